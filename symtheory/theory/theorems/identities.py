"""Algebra of the advantages: closed forms, zero sum, duality (Eq. 5 and 18 of arXiv:2602.05548, and around them)."""

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial

import sympy

from ... import estimators
from ...estimators import Estimator
from ..algebra import NotProved, certify
from ..certificates import Certificate
from ..closed_form import ClosedForms, closed_forms, guards, raw_forms
from ..proofs import Proof, mixed_groups, same, theorem, theorem_of_each_estimator
from ..surds import Surd
from ..symbols import (
    BATCH,
    Expr,
    F,
    K,
    alpha,
    beta,
    ddof,
    eps,
    exact_advantages,
    exact_two_outcomes,
    exact_value,
    gamma,
    omega,
    two_outcomes,
)

OMEGAS = (Fraction(2, 7), Fraction(1, 2), Fraction(9, 10))
VALUES = (
    {beta: Fraction(10), gamma: Fraction(1, 2), alpha: Fraction(1), eps: Fraction(1, 10), ddof: 0},
    {beta: Fraction(7, 3), gamma: Fraction(2, 3), alpha: Fraction(1, 2), eps: Fraction(1, 100), ddof: 1},
)
"""Values that open parameters take in trials."""


def prove_forms(estimator: Estimator, claimed: dict[str, Expr], method: str = "", least: int = 1) -> Proof:
    """Proof that quantities of an estimator (`correct`, `wrong`, `imbalance`, ...) have the claimed closed forms.

    A parameter of the estimator may be a symbol; the claim then holds for every value of it. It is about groups with
    at least `least` right and as many wrong rollouts.
    """
    raw = raw_forms(estimator)
    certificates = tuple(
        certify(getattr(raw, quantity) - form, f"{quantity} of {estimator.name}") for quantity, form in claimed.items()
    )
    return Proof("exact", method or "polynomial certificate", certificates, lambda: _trials(estimator, claimed, least))


def _trials(estimator: Estimator, claimed: dict[str, Expr], least: int, largest: int = 12) -> Iterator[bool]:
    """Run the code exactly on every mixed group of up to 12 rollouts and compare with the claimed forms."""
    for values in VALUES:
        symbols = {name: s for name, s in estimator.params.items() if isinstance(s, sympy.Symbol)}
        values = dict.fromkeys(symbols.values(), values[eps]) | values  # one that has no value of its own is a guard
        open_params = {name: values[s] for name, s in symbols.items()}
        numeric = estimator.with_params(**open_params)
        for (correct, size), w in itertools.product(mixed_groups(estimator, largest, least), OMEGAS):
            measured = sums(correct, size - correct, *exact_two_outcomes(numeric, correct, size, w))
            point = {**values, K: correct, F: size - correct, omega: w, **BATCH}
            yield all(same(getattr(measured, q), exact_value(form, point)) for q, form in claimed.items())
        if not open_params:
            return


def sums(correct, wrong, plus, minus) -> ClosedForms:
    """The five quantities of a group from A+ and A-; works for exact numbers."""
    magnitude = correct * abs(plus) + wrong * abs(minus)
    return ClosedForms(plus, minus, correct * plus + wrong * minus, magnitude, correct * plus**2 + wrong * minus**2)


@theorem_of_each_estimator("its code")
def closed_form(estimator: Estimator) -> Proof:
    """A+, A-, C, sum |A| and sum A^2 of NAME are the closed forms that `symtheory prove --derive NAME` prints."""
    forms = closed_forms(estimator, symbolic_guards=True)
    estimator = estimator.with_params(**{symbol.name: symbol for symbol in guards(estimator)})
    claimed = {q: getattr(forms, q) for q in ("correct", "wrong", "imbalance", "magnitude", "square")}
    if _in_small_groups(estimator, claimed):
        return prove_forms(estimator, claimed)
    # a rollout that is alone of its kind may be a case of its own, as the only right one in verl's grpo_passk
    proof = prove_forms(estimator, claimed, least=2)
    return replace(proof, verdict="holds when", when="at least two rollouts are right and two are wrong")


def _in_small_groups(estimator: Estimator, claimed: dict[str, Expr]) -> bool:
    """Whether the closed forms hold in all groups of up to 4; a form may also have a pole there."""
    try:
        return all(_trials(estimator, claimed, least=1, largest=4))
    except ZeroDivisionError:
        return False


@theorem_of_each_estimator("Eq. 5, 18 of arXiv:2602.05548, asked of every estimator")
def zero_sum(estimator: Estimator) -> Proof:
    """sum A = 0 in every mixed group under NAME, that is, right and wrong rollouts carry equal total weight."""
    plus, minus = two_outcomes(estimator)
    try:
        certificate = certify(K * plus + F * minus, f"C of {estimator.name}")
    except NotProved:
        return _unbalanced_group(estimator)
    trials = lambda: (total(estimator, k, g, w) == 0 for k, g in mixed_groups(estimator) for w in OMEGAS)  # noqa: E731
    if not all(trials()):  # the closed form leaves out groups with a single right or wrong rollout
        return _unbalanced_group(estimator)
    return Proof("exact", "polynomial certificate for symbolic G", (certificate,), trials)


def total(estimator: Estimator, correct: int, size: int, w: Fraction) -> Surd:
    """C = sum A of a group, exactly."""
    plus, minus = exact_two_outcomes(estimator, correct, size, w)
    return correct * plus + (size - correct) * minus


def _unbalanced_group(estimator: Estimator) -> Proof:
    """The smallest mixed group (then the fewest correct) with C != 0."""
    for (correct, size), w in itertools.product(mixed_groups(estimator), OMEGAS):
        c = total(estimator, correct, size, w)
        if not same(c, 0):
            found = {"K": correct, "G": size, "omega": w, "C": c}
            return Proof("fails", "smallest group with C != 0", (), partial(_rewards_sum, estimator, found), found)
    raise NotProved(f"no certificate of C = 0 for {estimator.name}, and no counterexample up to G = 12")


def _rewards_sum(estimator: Estimator, found: dict) -> Iterator[bool]:
    """Whether the counterexample also holds for the group written out as G single rollouts."""
    rewards = [1] * found["K"] + [0] * (found["G"] - found["K"])
    c = sum(exact_advantages(estimator, rewards, omega=found["omega"]))
    yield same(c, found["C"]) and not same(c, 0)


@theorem("Eq. 5 and 18 of arXiv:2602.05548")
def group_symmetry() -> Proof:
    """K A+ = (G - K) |A-| for (r - mean) / (std + eps), for every G, every ddof and every eps >= 0."""
    general = estimators.get("grpo", ddof=ddof, eps=eps)
    return prove_forms(general, {"imbalance": sympy.Integer(0)}, "certificate for symbolic G, ddof and eps")


@theorem("Eq. 5 of arXiv:2602.05548, beyond binary rewards")
def group_symmetry_of_real_rewards() -> Proof:
    """sum A = 0 for (r - mean) / (std + eps) with any real rewards: sum_i (G r_i - sum r) = 0, any ddof and eps."""
    certificates = []
    for size in range(2, 9):
        names = [f"r{i}" for i in range(size)]
        numerators = " + ".join(f"({size}*{r} - ({' + '.join(names)}))" for r in names)
        certificates.append(Certificate(numerators, meaning=f"sum of G r_i - sum r at G = {size}"))
    return Proof("exact", "expansion, and rational rewards through the code", tuple(certificates), _graded_trials)


def _graded_trials() -> Iterator[bool]:
    rng = random.Random(0)
    for size, values in itertools.product(range(2, 9), VALUES):
        e = estimators.get("grpo", ddof=int(values[ddof]), eps=values[eps])
        rewards = [Fraction(rng.randint(-4, 12), 10) for _ in range(size)]
        yield same(sum(exact_advantages(e, rewards)), 0)


@theorem("Eq. 3, 5, 10 of arXiv:2602.05548")
def every_reward_vector() -> Proof:
    """Over all 2^G reward vectors, G = 2..12: sum A = 0, (sum |A|)^2 = 4 K (G - K), sum A^2 = G under GRPO."""
    return Proof("exact", "integers: A_i = (G r_i - sum r) / sqrt(G sum r^2 - (sum r)^2)", (), _integer_trials)


def _integer_trials() -> Iterator[bool]:
    code = estimators.get("grpo")
    for size in range(2, 13):
        runs = {k: exact_two_outcomes(code, k, size) for k in range(1, size)}
        for bits in range(1, 2**size - 1):
            correct = bits.bit_count()
            above, below, d = size - correct, -correct, correct * (size - correct)  # numerators of A+, A-; d = spread
            zero = correct * above + (size - correct) * below == 0
            l1 = (correct * above - (size - correct) * below) ** 2 == 4 * correct * (size - correct) * d
            l2 = correct * above**2 + (size - correct) * below**2 == size * d
            yield zero and l1 and l2
        for k, (plus, minus) in runs.items():
            d = k * (size - k)
            yield plus**2 * d == (size - k) ** 2 and minus**2 * d == k**2 and plus > 0 > minus


@theorem("Eq. 3 of arXiv:2602.05548; Samuelson's inequality")
def largest_advantage() -> Proof:
    """|A_i| <= sqrt(G - 1) under GRPO: K (G - 1 - A+^2) = G (K - 1) and F (G - 1 - A-^2) = G (F - 1)."""
    plus, minus = two_outcomes(estimators.get("grpo"))
    certificates = (
        certify(K * (K + F - 1 - plus**2) - (K + F) * (K - 1), "slack of A+, non-negative for K >= 1"),
        certify(F * (K + F - 1 - minus**2) - (K + F) * (F - 1), "slack of A-"),
        *(_samuelson(size) for size in range(3, 7)),
    )
    return Proof("exact", "polynomial certificates; sum of squares for real rewards", certificates, _largest_trials)


def _samuelson(size: int) -> Certificate:
    """(G-1)(G sum r^2 - T^2) - (G r_1 - T)^2 = G [(G-1) sum_{i>1} r_i^2 - (sum_{i>1} r_i)^2], by pairs of squares."""
    r = [f"r{i}" for i in range(1, size + 1)]
    square, t = " + ".join(f"{x}**2" for x in r), " + ".join(r)
    claim = f"{size - 1}*({size}*({square}) - ({t})**2) - ({size}*r1 - ({t}))**2"
    pairs = list(itertools.combinations(r[1:], 2))
    return Certificate(
        claim,
        tuple(f"({a} - {b})**2" for a, b in pairs),
        tuple(str(size) for _ in pairs),
        meaning=f"G = {size}: a sum of squares, so the claim is at least 0, and 0 iff r_2 = ... = r_G",
    )


def _largest_trials() -> Iterator[bool]:
    for k, g in mixed_groups(estimators.get("grpo")):
        plus, minus = exact_two_outcomes(estimators.get("grpo"), k, g)
        yield plus**2 <= g - 1 and minus**2 <= g - 1 and (plus**2 == g - 1) == (k == 1)


DUAL = (
    ("grpo", "grpo", 1),
    ("dr_grpo", "dr_grpo", 1),
    ("rloo", "rloo", 1),
    ("reinforce_rej", "reinforce_rej", 1),
    ("hard_focused", "easy_focused", 1),
    ("positive_dominant", "negative_dominant", beta),
)
"""(a, b, factor): A_a(1 - r) = -factor A_b(r)."""


@theorem("Sec. 4 of arXiv:2602.05548: the controlled methods as mirror images")
def flip_duality() -> Proof:
    """Under r -> 1 - r: GRPO, Dr.GRPO, RLOO map to -A, Hard to -Easy, DDAS_w to -DDAS_(1-w), PosDom to -beta NegDom."""
    swap = {K: F, F: K}
    certificates = []
    for left, right, factor in DUAL:
        known = {"beta": beta} if factor is beta else {"gamma": gamma} if "focused" in left else {}
        (a, b), (c, d) = (two_outcomes(estimators.get(n, **known)) for n in (left, right))
        for flipped, kept in ((b, c), (a, d)):  # a wrong rollout of the flipped group is a right one of the group
            certificates.append(certify(flipped.xreplace(swap) + factor * kept, f"{left} flipped against {right}"))
    a, b = two_outcomes(estimators.get("ddas"))
    certificates += [certify(x.xreplace({**swap, omega: 1 - omega}) + y, "DDAS flipped") for x, y in ((b, a), (a, b))]
    return Proof("exact", "polynomial certificates for symbolic G, gamma, beta and omega", tuple(certificates), _flips)


def _flips() -> Iterator[bool]:
    pairs = [(estimators.get(a), estimators.get(b), 10 if f is beta else f) for a, b, f in DUAL]
    ddas = estimators.get("ddas")
    for size in range(2, 9):
        for rewards in itertools.product((0, 1), repeat=size):
            if size <= 5 and 0 < sum(rewards) < size:
                flipped = [1 - r for r in rewards]
                for a, b, factor in pairs:
                    left, right = exact_advantages(a, flipped), exact_advantages(b, rewards)
                    yield all(same(x, -factor * y) for x, y in zip(left, right, strict=True))
                w = Fraction(2, 7)
                mirrored = exact_advantages(ddas, flipped, omega=w), exact_advantages(ddas, rewards, omega=1 - w)
                yield all(same(x, -y) for x, y in zip(*mirrored, strict=True))


@theorem("arXiv:2509.18851 (NGRPO)")
def ngrpo_imbalance() -> Proof:
    """NGRPO: A+ = sqrt((G-K)/(K+1)), A- = -sqrt((K+1)/(G-K)) and C = -A+: one virtual right rollout is left out."""
    root = sympy.sqrt(F / (K + 1))
    return prove_forms(estimators.get("ngrpo"), {"correct": root, "wrong": -1 / root, "imbalance": -root})


@theorem("Eq. 4 of arXiv:2602.05548 under token-mean aggregation (DAPO)")
def token_mean_breaks_zero_sum() -> Proof:
    """With weights l_i (token-mean loss) the imbalance is sum l_i A_i = G Cov(l, A), not 0 unless length is
    uncorrelated.
    """
    certificates = []
    for size in range(2, 7):
        a, l = sympy.symbols(f"a1:{size + 1}"), sympy.symbols(f"l1:{size + 1}")
        covariance = sum(x * y for x, y in zip(a, l, strict=True)) - sum(a) * sum(l) / size
        certificates.append(
            certify(
                sum(x * y for x, y in zip(a, l, strict=True)) - covariance,
                f"sum l A - G Cov(l, A) at G = {size}, given sum A = 0",
                {a[0]: -sum(a[1:])},
            )
        )
    example = {"lengths": (1, 2), "rewards": (1, 0), "C": Fraction(-1)}
    return Proof(
        "holds when",
        "certificate, and an example",
        tuple(certificates),
        lambda: [_weighted(example)],
        example,
        "all rollouts have one length, or length is uncorrelated with A",
    )


def _weighted(example: dict) -> bool:
    a = exact_advantages(estimators.get("grpo"), example["rewards"])
    return sum(l * x for l, x in zip(example["lengths"], a, strict=True)) == example["C"] != 0


def falling_factorials_agree(size: int, wrong: int, k: int) -> bool:
    """F C(F-1, k-1) / C(G-1, k-1) = G C(F, k) / C(G, k): the identity behind the zero sum of pass@k training."""
    left = Fraction(wrong * math.comb(wrong - 1, k - 1), math.comb(size - 1, k - 1)) if wrong else Fraction(0)
    return left == Fraction(size * math.comb(wrong, k), math.comb(size, k))


@theorem("arXiv:2508.10751 (pass@k training)")
def passk_zero_sum() -> Proof:
    """Pass@k training is zero-sum for every k <= G, because F C(F-1,k-1)/C(G-1,k-1) = G C(F,k)/C(G,k)."""

    def trials() -> Iterator[bool]:
        for size in range(2, 11):
            for k, correct in itertools.product(range(1, size + 1), range(size + 1)):
                yield falling_factorials_agree(size, size - correct, k)
                yield total(estimators.get("passk", k=k), correct, size, OMEGAS[0]) == 0

    certificates = []
    for k in range(1, 6):
        plus, minus = two_outcomes(estimators.get("passk", k=k))
        certificates.append(certify(K * plus + F * minus, f"C at k = {k}"))
    return Proof(
        "exact", "certificates for k = 1..5 and symbolic G, all groups for k <= G <= 10", tuple(certificates), trials
    )
