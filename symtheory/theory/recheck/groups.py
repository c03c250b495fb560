"""Formulas tried on the code: every group written out reward by reward, in numpy, in jax, and in exact numbers."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from ... import estimators
from ...estimators import Estimator
from ...estimators.group import VARIANCE, make_group, two_outcome_batch
from ...ops import jax_ops, numpy_ops
from ..exact import ROLLOUTS, exact_advantages
from ..surds import Surd, exp, sqrt, surd
from .formulas import Formula, estimators_in, name_and_parameters, tree, walk

EVERY, LARGEST, BEYOND = 64, 200, (256, 512, 1024)
"""Up to the first size every group is tried, up to the second some of every size; and some of the sizes beyond, and of
one that is drawn."""
EDGE = 1e-6
"""How near the batch mean omega comes to 0 and 1."""
EXACT = 6
"""Largest group that is evaluated in exact numbers."""
TOLERANCE = 1e-10
"""Of float64 sums over up to a thousand rollouts, relative to the two sides and to the largest term of the code."""

PUBLISHED = {"beta": Fraction(10), "gamma": Fraction(1, 2), "alpha": Fraction(1), "eps": Fraction(1, 10), "ddof": 0}
"""Values of open parameters; others are drawn."""


@functools.cache
def parameters(seed: int) -> tuple[dict[str, Any], ...]:
    """Two values of each open parameter: the published one, and one that is drawn; `guard` is eps."""
    rng = np.random.default_rng(seed)
    within = {"beta": (3, 200, 10), "gamma": (1, 20, 20), "alpha": (1, 20, 20), "eps": (1, 200, 1000)}
    drawn = {name: Fraction(int(rng.integers(low, high)), below) for name, (low, high, below) in within.items()}
    return tuple({**values, "guard": values["eps"]} for values in (PUBLISHED, {**drawn, "ddof": 1}))


OTHERS: dict[str, Estimator] = {}
"""Estimators that are not registered, by name: a user's own, while it is checked."""


def resolve(spec: str) -> Estimator:
    """The estimator of a formula's header, open parameters left at their defaults."""
    name, parameters = name_and_parameters(spec)
    base = OTHERS[name] if name in OTHERS else estimators.get(name)
    return base.with_params(**{k: _number(v) for k, v in parameters.items() if v != k})


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, Fraction) else value


def with_values(spec: str, values: Mapping[str, Any], exact: bool) -> Estimator:
    """The estimator of a header with its open parameters at `values`."""
    _, parameters = name_and_parameters(spec)
    chosen = {k: values.get(k, values.get("eps")) for k, v in parameters.items() if v == k}
    if exact:
        return resolve(spec).with_params(**chosen)
    return resolve(spec).with_params(**{k: _number(v) for k, v in chosen.items()})


def open_parameters(formula: Formula) -> bool:
    """Whether a formula leaves a parameter of an estimator open."""
    return any(v == k for spec in estimators_in(formula) for k, v in name_and_parameters(spec)[1].items())


def parameter_values(formula: Formula, seed: int) -> tuple[dict[str, Any], ...]:
    """The values at which a formula is tried."""
    return parameters(seed)[: 2 if open_parameters(formula) or _free_names(formula) else 1]


def _free_names(formula: Formula) -> bool:
    from .ratios import variables_of

    return bool((variables_of(formula.left) | variables_of(formula.right)) & set(PUBLISHED))


class Spoiled(AssertionError):
    """The code treats rollouts of one group and one reward differently, or gives no number."""


def written_out(estimator: Estimator, backend: str, drawn: Sequence[tuple]) -> list[tuple[np.ndarray, np.ndarray]]:
    """A+[n] and A-[n] of groups whose 0/1 rewards are written out; NaN where a class is empty.

    Each of `drawn` is groups of one size: correct rollouts [n], the batch mean omega [n], the order of rollouts [G].
    """
    rewards = [(np.arange(len(o)) < np.asarray(k)[:, None]).astype(float)[:, o] for k, _, o in drawn]
    advantages = _advantages(estimator, backend, rewards, [w for _, w, _ in drawn])
    return [_by_class(estimator.name, r, a) for r, a in zip(rewards, advantages, strict=True)]


def _advantages(estimator: Estimator, backend: str, rewards: list, omega: list) -> list[np.ndarray]:
    """Advantages [n, G] of rewards [n, G] in a batch of mean [n], for each of several sizes; jax compiles them once."""
    op = numpy_ops() if backend == "numpy" else jax_ops()

    def run(rewards: list, omega: list) -> list:
        found = []
        for r, w in zip(rewards, omega, strict=True):
            batch = two_outcome_batch(op, ROLLOUTS * w[:, None], op.xp.asarray(float(ROLLOUTS)))
            found.append(op.xp.broadcast_to(estimator(make_group(op, r, batch=batch), op), r.shape))
        return found

    if backend == "numpy":
        with np.errstate(all="ignore"):
            return run(rewards, omega)
    import jax

    from ...dynamics.devices import quick_jit

    with jax.enable_x64(True):
        return [np.asarray(a) for a in quick_jit(run, once=True)(rewards, omega)]


def _by_class(name: str, rewards: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = []
    for outcome in (1.0, 0.0):
        mine = np.where(rewards == outcome, a, np.nan)
        with np.errstate(all="ignore"):
            low, high = (
                np.nanmin(np.where(np.isnan(mine), np.inf, mine), 1),
                np.nanmax(np.where(np.isnan(mine), -np.inf, mine), 1),
            )
        some = np.isfinite(low)
        if (np.abs(high - low)[some] > TOLERANCE * (1 + np.abs(high[some]))).any():
            raise Spoiled(f"{name} gives rollouts of one reward different advantages at G = {rewards.shape[1]}")
        found.append(np.where(some, high, np.nan))
    return found[0], found[1]


@dataclass(frozen=True)
class Draws:
    """Groups at which formulas are tried: K, F and omega, each [n], and a seed for the order of the rollouts."""

    correct: np.ndarray
    wrong: np.ndarray
    omega: np.ndarray
    seed: int


@functools.cache
def all_sizes(seed: int, largest: int = LARGEST) -> Draws:
    """Every group up to `EVERY`; of larger ones those with one or two of a kind, half of each and a drawn number."""
    rng = np.random.default_rng(seed)
    pairs = []
    for size in (*range(2, largest + 1), *BEYOND, int(rng.integers(largest + 1, BEYOND[-1]))):
        chosen = range(1, size) if size <= EVERY else {1, 2, size // 2, size - 2, size - 1, int(rng.integers(1, size))}
        pairs += [(k, size - k) for k in sorted(chosen)]
    correct, wrong = np.array(pairs).T
    omega = rng.random(len(pairs))
    omega[::5], omega[1::5] = 1 - EDGE, EDGE  # a batch that holds a mixed group is never all correct or all wrong
    omega[2::5] = np.clip(np.round(20 * omega[2::5]), 1, 19) / 20
    return Draws(correct, wrong, omega, seed)


@functools.cache
def two_sizes(seed: int) -> Draws:
    """Groups of one small and one large random size, for jax, which compiles every shape anew."""
    rng = np.random.default_rng(seed + 1)
    pairs = []
    for size in (int(rng.integers(4, 17)), int(rng.integers(30, LARGEST + 1))):
        chosen = sorted({1, 2, size // 2, size - 2, size - 1, *rng.integers(1, size, 11).tolist()})
        pairs += [(k, size - k) for k in (chosen * 16)[:16]]
    correct, wrong = np.array(pairs).T
    omega = rng.random(len(pairs))
    omega[::4] = 1 - EDGE
    return Draws(correct, wrong, omega, seed)


_KEPT: dict[Any, Any] = {}
"""Advantages that were computed already, by the code that gave them and the groups."""


def _code_of(spec: str, values: Mapping[str, Any]) -> tuple:
    """What an estimator is, for `_KEPT`: a name may stand for other code a moment later."""
    estimator = resolve(spec)
    return spec, estimator.links, repr(sorted(estimator.params.items())), tuple(sorted(values.items()))


def run_code(spec: str, values: Mapping[str, Any], backend: str, draws: tuple) -> tuple[np.ndarray, np.ndarray]:
    """A+[n] and A-[n] of an estimator at groups (K, F, omega, seed), each written out reward by reward in some order.

    They are kept for the next formula.
    """
    correct, wrong, omega, seed = draws
    key = (*_code_of(spec, values), backend, correct.tobytes(), wrong.tobytes(), omega.tobytes(), seed)
    if key in _KEPT:
        return _KEPT[key]
    estimator = with_values(spec, values, exact=False)
    sizes = correct + wrong
    rng = np.random.default_rng(seed)
    plus, minus = np.full(len(sizes), np.nan), np.full(len(sizes), np.nan)
    rows, drawn = [], []
    for size in np.unique(sizes):
        order = rng.permutation(int(size))
        if size >= max(estimator.min_size, estimator.params.get("k", 1)):
            rows.append(np.flatnonzero(sizes == size))
            drawn.append((correct[rows[-1]], omega[rows[-1]], order))
    for mine, (a, b) in zip(rows, written_out(estimator, backend, drawn), strict=True):
        plus[mine], minus[mine] = a, b
    _KEPT[key] = plus, minus
    return plus, minus


@dataclass(frozen=True)
class Floats:
    """The arithmetic of `walk` on float arrays over many groups."""

    estimator: str
    values: Mapping[str, Any]
    backend: str
    correct: np.ndarray
    wrong: np.ndarray
    omega: np.ndarray
    seed: int

    def flipped(self) -> "Floats":
        return replace(self, correct=self.wrong, wrong=self.correct, omega=1 - self.omega)

    def shifted(self) -> "Floats":
        return replace(self, correct=self.correct - 1, wrong=self.wrong + 1)

    def number(self, value: Fraction) -> Any:
        return float(value)

    def name(self, name: str) -> Any:
        size = self.correct + self.wrong
        known = {"K": self.correct, "F": self.wrong, "G": size, "p": self.correct / size, "w": self.omega}
        known |= {"omega": self.omega, "v": 1 - self.omega, "N": float(ROLLOUTS), "V": VARIANCE}
        known |= {k: float(v) for k, v in self.values.items()}
        return known[name] if name in known else float(self.values["eps"])  # another guard of a division

    def quantity(self, spec: str, name: str) -> Any:
        spec = spec or self.estimator
        plus, minus = run_code(spec, self.values, self.backend, (self.correct, self.wrong, self.omega, self.seed))
        return sums(name, self.correct, self.wrong, plus, minus)

    def add(self, a: Any, b: Any) -> Any:
        return a + b

    def multiply(self, a: Any, b: Any) -> Any:
        with np.errstate(all="ignore"):
            return a * b

    def divide(self, a: Any, b: Any) -> Any:
        with np.errstate(all="ignore"):
            return np.divide(a, b)

    def power(self, base: Any, exponent: Fraction) -> Any:
        with np.errstate(all="ignore"):
            return np.asarray(base, dtype=float) ** float(exponent)

    def call(self, name: str, args: list[Any]) -> Any:
        functions: dict[str, Callable] = {"sqrt": np.sqrt, "exp": np.exp, "abs": np.abs}
        functions |= {"min": np.minimum, "max": np.maximum}
        with np.errstate(all="ignore"):
            return functions[name](*args)


def sums(name: str, correct: Any, wrong: Any, plus: Any, minus: Any) -> Any:
    """A+, A-, sum A, sum |A| or sum A^2 of groups."""
    match name:
        case "Aplus":
            return plus
        case "Aminus":
            return minus
        case "C":
            return correct * plus + wrong * minus
        case "L1":
            return correct * abs(plus) + wrong * abs(minus)
        case "L2":
            return correct * plus * plus + wrong * minus * minus
    raise ValueError(f"no quantity {name}")


def holds_on(formula: Formula, backend: str, seed: int, largest: int = LARGEST) -> tuple[int, str]:
    """Groups tried in floats, and the first complaint or nothing."""
    draws = all_sizes(seed, largest) if backend == "numpy" else two_sizes(seed)
    correct, wrong, omega = draws.correct, draws.wrong, draws.omega
    mine = (correct >= formula.least[0]) & (wrong >= formula.least[1])
    for e in (resolve(spec) for spec in estimators_in(formula)):
        mine &= (wrong >= e.params.get("k", 1)) & (correct + wrong >= e.min_size)
    tried = 0
    for values in parameter_values(formula, seed):
        at = Floats(formula.estimator, values, backend, correct, wrong, omega, draws.seed)
        left, right = (np.broadcast_to(walk(tree(s), at), correct.shape) for s in (formula.left, formula.right))
        scale = 1 + np.abs(left) + np.abs(right) + _largest_term(formula, at)
        good = compare(formula.relation, left - right, TOLERANCE * scale) | ~mine
        if not good.all():
            i = int(np.flatnonzero(~good)[0])
            return tried, (
                f"{formula.text}: at K = {correct[i]}, F = {wrong[i]}, w = {omega[i]:.3g} {backend} gives "
                f"{left[i]:.9g} and {right[i]:.9g}"
            )
        tried += int(mine.sum())
    return tried, "" if tried else f"{formula.text}: no group to try it on"


def _largest_term(formula: Formula, at: Floats) -> Any:
    """K |A+|, whose rounding a sum of advantages carries; 0 where no sum is taken."""
    if not any(q in formula.left + formula.right for q in ("C", "L1")) or not formula.estimator:
        return 0.0
    return np.nan_to_num(np.abs(at.quantity("", "L1")))


def compare(relation: str, gap: Any, slack: Any) -> Any:
    """Whether left REL right, given left - right, up to `slack`."""
    with np.errstate(all="ignore"):
        match relation:
            case "=":
                return np.abs(gap) <= slack
            case ">=":
                return gap >= -slack
            case "<=":
                return gap <= slack
            case ">":
                return gap > 0
            case "<":
                return gap < 0
            case "!=":
                return np.abs(gap) > slack
    raise ValueError(f"no relation {relation!r}")


@dataclass(frozen=True)
class Exact:
    """The arithmetic of `walk` on exact numbers, at one group."""

    estimator: str
    values: Mapping[str, Any]
    correct: int
    wrong: int
    omega: Fraction

    def flipped(self) -> "Exact":
        return replace(self, correct=self.wrong, wrong=self.correct, omega=1 - self.omega)

    def shifted(self) -> "Exact":
        return replace(self, correct=self.correct - 1, wrong=self.wrong + 1)

    def number(self, value: Fraction) -> Surd:
        return surd(value)

    def name(self, name: str) -> Surd:
        size = self.correct + self.wrong
        known = {"K": self.correct, "F": self.wrong, "G": size, "p": Fraction(self.correct, size), "w": self.omega}
        known |= {"omega": self.omega, "v": 1 - self.omega, "N": ROLLOUTS, "V": VARIANCE, **self.values}
        return surd(known[name] if name in known else self.values["eps"])

    def quantity(self, spec: str, name: str) -> Surd:
        spec = spec or self.estimator
        key = ("exact", *_code_of(spec, self.values), self.correct, self.wrong, self.omega)
        if key not in _KEPT:
            e = with_values(spec, self.values, exact=True)
            rewards = [1] * self.correct + [0] * self.wrong
            a = exact_advantages(e, rewards[::-1], omega=self.omega)[::-1]
            plus, minus = a[0], a[-1]
            if any(x != plus for x in a[: self.correct]) or any(x != minus for x in a[self.correct :]):
                raise Spoiled(f"{e.name} gives rollouts of one reward different advantages")
            _KEPT[key] = plus, minus
        plus, minus = _KEPT[key]
        return surd(sums(name, self.correct, self.wrong, plus, minus))

    def add(self, a: Any, b: Any) -> Surd:
        return a + b

    def multiply(self, a: Any, b: Any) -> Surd:
        return a * b

    def divide(self, a: Any, b: Any) -> Surd:
        return a / b

    def power(self, base: Any, exponent: Fraction) -> Surd:
        return surd(base) ** exponent

    def call(self, name: str, args: list[Any]) -> Any:
        return {"sqrt": sqrt, "exp": exp, "abs": abs, "min": min, "max": max}[name](*args)


OMEGAS = (Fraction(2, 7), Fraction(39, 40))


def holds_exactly(formula: Formula, largest: int = EXACT, seed: int = 0) -> tuple[int, str]:
    """Groups tried in exact numbers, and the first complaint or nothing."""
    tried = 0
    smallest = max([2, *(resolve(s).params.get("k", 1) for s in estimators_in(formula))])
    for values in parameter_values(formula, seed):
        for size in range(smallest, largest + 1):
            for k in range(formula.least[0], size - formula.least[1] + 1):
                if any(size - k < resolve(s).params.get("k", 1) for s in estimators_in(formula)):
                    continue
                for w in OMEGAS:
                    at = Exact(formula.estimator, values, k, size - k, w)
                    left, right = (surd(walk(tree(s), at)) for s in (formula.left, formula.right))
                    if not exactly(formula.relation, left - right):
                        return tried, f"{formula.text}: at K = {k}, G = {size}, w = {w} it is {left} and {right}"
                    tried += 1
    return tried, ""


def exactly(relation: str, gap: Surd) -> bool:
    """left REL right, given left - right; numbers that contain exp are equal to 50 digits."""
    zero = not gap.terms or abs(gap.rational()) < Fraction(1, 10**50)
    sign = 0 if zero else gap.sign()
    answers = {"=": zero, "!=": not zero, ">=": sign >= 0, "<=": sign <= 0, ">": sign > 0, "<": sign < 0}
    return answers[relation]


def code_matches_forms(spec: str, form: Mapping[str, str], least: tuple[int, int], seed: int) -> str:
    """Complaint about the closed forms in a certificate, which must be what the code computes, or nothing."""
    key = ("forms", *_code_of(spec, {}), form["Aplus"], form["Aminus"], least, seed)
    if key not in _KEPT:
        _KEPT[key] = ""
        for name in ("Aplus", "Aminus"):
            formula = Formula(f"{spec}: {name} = {form[name]}", spec, name, "=", form[name], least)
            for backend in ("numpy", "jax"):
                _KEPT[key] = _KEPT[key] or holds_on(formula, backend, seed)[1]
    return _KEPT[key]
