"""The master theorem by enumeration, and the weights F'_G of the code."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np

from ...surds import surd
from .. import groups
from ..groups import resolve
from .base import POINTS, TO_N, Answer, trial
from .tables import at_counts, bernstein, compositions, exact_table, table


@trial(POINTS)
def master_by_enumeration(seed: int, names: Sequence[str], coupled: bool = False) -> Iterator[Answer]:
    """Every group of four behaviours, drawn rollout by rollout: E[g] is G F'(P) grad P, exactly.

    `coupled`: omega is the mean reward of a batch that holds this group and 4 more rollouts, 1 of them correct.
    """
    pi, f = [Fraction(n, 10) for n in (1, 2, 3, 4)], (1, 0, 1, 0)
    rate = pi[0] + pi[2]
    for name in names:
        size = max(3, resolve(name).params.get("k", 1))
        omega = (lambda k, size=size: Fraction(1 + k, size + 4)) if coupled else Fraction(2, 7)
        a = exact_table(name, size, omega)
        mean = [surd(0)] * 4
        for counts, ways in compositions(4, size):
            right = counts[0] + counts[2]
            chance = ways * math.prod((x**n for x, n in zip(pi, counts, strict=True)), start=Fraction(1))
            plus, minus = a[right]
            c = right * plus + (size - right) * minus
            g = [n * (plus if ok else minus) - c * x for n, ok, x in zip(counts, f, pi, strict=True)]
            mean = [m + chance * u for m, u in zip(mean, g, strict=True)]
        slope = bernstein([a[j + 1][0] - a[j][1] for j in range(size)], rate)
        expected = [size * slope * x * (ok - rate) for x, ok in zip(pi, f, strict=True)]
        agrees = all(groups.exactly("=", surd(m) - e) for m, e in zip(mean, expected, strict=True))
        yield agrees or f"{name} at G = {size}: E[g] is {mean}, not {expected}"


SLOPES: dict[str, Callable[[Fraction, int], Fraction]] = {
    "(G-1)/G": lambda P, G: Fraction(G - 1, G),
    "1": lambda P, G: Fraction(1),
    "11/10": lambda P, G: Fraction(11, 10),
    "(1 - Q^G)/P": lambda P, G: (1 - (1 - P) ** G) / P,
    "(1 - Q^G)/P - Q^(G-1)": lambda P, G: (1 - (1 - P) ** G) / P - (1 - P) ** (G - 1),
    "2 - Q^(G-1) - P^(G-1)": lambda P, G: 2 - (1 - P) ** (G - 1) - P ** (G - 1),
}


@trial(TO_N)
def slopes_of_the_code(seed: int, forms: dict[str, str], largest: int = 24) -> Iterator[Answer]:
    """F'_G(P) from the code's advantages, exact at rational P for every G to `largest`, in floats to 200."""
    rng = np.random.default_rng(seed)
    for name, text in forms.items():
        form = SLOPES[text]
        for size in range(2, largest + 1):
            a = exact_table(name, size, Fraction(1, 2))
            d = [a[j + 1][0] - a[j][1] for j in range(size)]
            found = bernstein(d, Fraction(2, 7))
            yield found == form(Fraction(2, 7), size) or f"{name} at G = {size}: F'(2/7) is {found}, not {text}"
        for size in rng.integers(25, groups.LARGEST + 1, 4).tolist():
            plus, minus = table(name, size, 0.5)
            P = Fraction(int(rng.integers(1, 100)), 100)
            d = [Fraction(float(x)) for x in plus[1:] - minus[:-1]]
            n = size - 1
            exact = sum(math.comb(n, j) * P**j * (1 - P) ** (n - j) * x for j, x in enumerate(d))
            gap = abs(float(exact - form(P, size)))
            yield gap < 1e-9 * (1 + abs(float(exact))) or f"{name} at G = {size}: F'({P}) is {gap:.2g} from {text}"


@trial(TO_N)
def polynomial_slopes(seed: int, forms: dict[str, Sequence[str]]) -> Iterator[Answer]:
    """F'_G of GRPO at small G is the stated polynomial a + b P Q, at 20 exact P each (its degree is below 5)."""
    from ..formulas import python, tree, walk

    for size, (a, b) in forms.items():
        at = groups.Exact("grpo", {}, 1, 1, Fraction(1, 2))
        first, second = (surd(walk(tree(python(x)), at)) for x in (a, b))
        exact = exact_table("grpo", int(size), Fraction(1, 2))
        d = [exact[j + 1][0] - exact[j][1] for j in range(int(size))]
        for i in range(1, 21):
            P = Fraction(i, 21)
            yield bernstein(d, P) == first + second * P * (1 - P) or f"GRPO at G = {size}: F'({P}) is {bernstein(d, P)}"


@trial(TO_N)
def least_weight_at_half(seed: int) -> Iterator[Answer]:
    """d_j from the code is the degree elevation of c_j = (G-1)/sqrt((j+1)(G-1-j)), and F' is least at P = 1/2."""
    for size in range(4, groups.LARGEST + 1):
        plus, minus = table("grpo", size, 0.5)
        d = plus[1:] - minus[:-1]
        j = np.arange(size - 1)
        c = (size - 1) / np.sqrt((j + 1) * (size - 1.0 - j))
        left = np.append(c, 0) * (size - 1 - np.arange(size)) + np.insert(c, 0, 0) * np.arange(size)
        yield np.allclose(d, left / (size - 1), rtol=1e-11) or f"GRPO at G = {size}: the marginal values are {d}"
        convex = size == 4 or np.all(np.diff(c, 2) > 0)
        yield (convex and np.allclose(c, c[::-1])) or f"at G = {size} the c_j are not convex and symmetric"
        if size <= 40:
            grid = np.linspace(0.02, 0.98, 49)
            from scipy.stats import binom

            values = binom.pmf(np.arange(size), size - 1, grid[:, None]) @ d
            least = np.all(np.delete(values, 24) > values[24])
            yield least or f"GRPO at G = {size}: F' is least at P = {grid[values.argmin()]:.2f}"


@trial(TO_N)
def entangled(seed: int, pairs: Sequence[Sequence[str]]) -> Iterator[Answer]:
    """F' of the scaled estimator over F' of GRPO is l+ (1-P) + l- P, from the code, for every G to 200."""
    rng = np.random.default_rng(seed)
    from scipy.stats import binom

    for name, up, down in pairs:
        for size in range(2, groups.LARGEST + 1):
            P = float(rng.uniform(0.05, 0.95))
            law = binom.pmf(np.arange(size), size - 1, P)
            scaled, plain = (law @ (t[0][1:] - t[1][:-1]) for t in (table(name, size, 0.5), table("grpo", size, 0.5)))
            weight = float(Fraction(up)) * (1 - P) + float(Fraction(down)) * P
            agrees = math.isclose(scaled, plain * weight, rel_tol=1e-9)
            yield agrees or f"{name} at G = {size}, P = {P:.3f}: F' is {scaled}, stated {plain * weight}"


@trial(TO_N)
def ends_of_the_weight(seed: int, forms: dict[str, str]) -> Iterator[Answer]:
    """d_(G-1) = R d_0 with the stated R, from the code, every G to 200 and several omega (alpha = 1, so s = w)."""
    index: dict[str, Callable[[int, float], float]] = {
        "1": lambda g, w: 1.0,
        "beta": lambda g, w: 10.0,
        "1/beta": lambda g, w: 0.1,
        "sqrt(G-1)": lambda g, w: math.sqrt(g - 1),
        "1/sqrt(G-1)": lambda g, w: 1 / math.sqrt(g - 1),
        "1/s": lambda g, w: 1 / w,
        "1/(G-1)": lambda g, w: 1 / (g - 1),
        "agrae": lambda g, w: (w + (1 - w) * math.sqrt(g - 1)) / (w * (w * math.sqrt(g - 1) + 1 - w)),
    }
    for name, text in forms.items():
        for size, w in itertools.product(range(2, groups.LARGEST + 1), (0.3, 0.5, 0.9)):
            plus, minus = at_counts(name, np.array([0, 1, size - 1, size]), size, w)
            first, last = plus[1] - minus[0], plus[3] - minus[2]
            agrees = math.isclose(last, first * index[text](size, w), rel_tol=1e-9)
            yield agrees or f"{name} at G = {size}, w = {w}: R is {last / first}, stated {text}"


@trial(TO_N)
def thresholds(seed: int, easy: dict[str, str], hard_mirrors: bool = True) -> Iterator[Answer]:
    """Easy-Focused against GRPO at finite G: one sign change of the coefficients and the stated root, or none."""
    from scipy.optimize import brentq
    from scipy.stats import binom

    for size in range(2, 65):
        (a, b), (c, d), (u, v) = (table(n, size, 0.5) for n in ("easy_focused", "grpo", "hard_focused"))
        gap = (a[1:] - b[:-1]) - (c[1:] - d[:-1])
        mirrored = (u[1:] - v[:-1]) - (c[1:] - d[:-1])
        yield np.allclose(gap, mirrored[::-1], atol=1e-10) or f"at G = {size} Hard-Focused does not mirror Easy-Focused"
        signs = np.sign(gap[np.abs(gap) > 1e-12])
        changes = int((np.diff(signs) != 0).sum())
        # at most one root in (0, 1) then: Bernstein coefficients count them
        yield changes <= 1 or f"at G = {size} the difference from GRPO changes sign {changes} times"
        if str(size) in easy:
            value = lambda P, size=size, gap=gap: float(binom.pmf(np.arange(size), size - 1, P) @ gap)  # noqa: E731
            if easy[str(size)] == "none":
                yield (changes == 0 and (gap <= 1e-12).all()) or f"at G = {size} Easy-Focused is faster somewhere"
            else:
                root = float(brentq(value, 0.3, 0.999))  # type: ignore[arg-type]
                yield round(root, 3) == float(easy[str(size)]) or f"at G = {size} the threshold is {root:.4f}"
