"""The symbols of the theory, and estimators evaluated on them.

A group has K correct and F = G - K wrong rollouts, both positive integers: with positive symbols the closed forms
come out without branches. Every derivation starts at `two_outcomes`, which runs the registered estimator itself.
"""

from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from ..estimators import Estimator
from ..estimators.group import VARIANCE, two_outcome_batch
from ..ops import symbol_ops
from .exact import ROLLOUTS, exact_advantages, exact_two_outcomes
from .surds import Surd, surd

__all__ = ["ROLLOUTS", "exact_advantages", "exact_two_outcomes"]

Expr = Any
"""A sympy expression; sympy's operators are not typed well enough to say more."""

K, F = sympy.symbols("K F", positive=True, integer=True)
omega = sympy.Symbol("omega", positive=True)
"""Mean reward of the batch (Eq. 11 of arXiv:2602.05548)."""
N = sympy.Symbol("N", positive=True, integer=True)
"""Rollouts in the batch, which only batch-whitening estimators see."""
V = sympy.Symbol("V", positive=True)
"""Variance over the batch of the advantages that a whitening link receives."""
P = sympy.Symbol("P", positive=True)
"""Success probability of the policy on a prompt; the group's own rate is p = K/G."""
p = sympy.Symbol("p", positive=True)
BATCH = {N: ROLLOUTS, V: Fraction(VARIANCE)}
"""Numbers for what an estimator may know of the batch beside omega."""
beta, gamma, alpha, eps, guard = sympy.symbols("beta gamma alpha eps guard", positive=True)
ddof = sympy.Symbol("ddof", nonnegative=True)


def with_exact_params(estimator: Estimator) -> Estimator:
    """The estimator with float parameters replaced by the decimals they print as, as sympy rationals."""
    exact = {k: sympy.Rational(repr(v)) if isinstance(v, float) else v for k, v in estimator.params.items()}
    return estimator.with_params(**exact)


def two_outcomes(estimator: Estimator, correct=K, size=K + F) -> tuple[Expr, Expr]:
    """A+ and A- of a group as sympy expressions in K, F, omega, N and V: the estimator's own code, run on symbols.

    `correct` and `size` may also be sympy integers, which gives exact numbers; a class without members has A = 0.
    """
    op, as_object = symbol_ops(), lambda x: np.array(sympy.sympify(x), dtype=object)
    batch = two_outcome_batch(op, as_object(N * omega), as_object(N))
    batch = batch._replace(omega=as_object(omega), omega_prompts=as_object(omega), token_mean=as_object(omega))
    batch = batch._replace(spread=(as_object(0), as_object(N * V)))
    pair = with_exact_params(estimator).two_outcomes(as_object(correct), as_object(size), batch, op)
    return tuple(_rational(x.item() if isinstance(x, np.ndarray) else x) for x in pair)


def _rational(x) -> Expr:
    """Replace floats that a link wrote itself by the decimals they print as."""
    x = sympy.sympify(x)
    return x.xreplace({f: sympy.Rational(str(f)) for f in x.atoms(sympy.Float)})


def exact_value(expression: Expr, values: dict) -> Surd:
    """Value of a closed form at exact numbers, by walking its tree: no sympy evaluation or simplification.

    >>> exact_value(sympy.sqrt(F / K), {K: 2, F: 6})
    sqrt(3)
    """
    from . import surds

    args = expression.args
    match expression:
        case sympy.Symbol():
            return surd(values[expression])
        case sympy.Rational():
            return surd(Fraction(int(expression.p), int(expression.q)))
        case sympy.Add():
            return sum((exact_value(a, values) for a in args), surd(0))
        case sympy.Mul():
            product = surd(1)
            for a in args:
                product = product * exact_value(a, values)
            return product
        case sympy.Pow(exp=sympy.Rational() as e) if e.q <= 2:
            base = exact_value(args[0], values)
            return base ** int(e.p) if e.q == 1 else surds.sqrt(base) ** int(e.p)
        case sympy.exp():
            return surds.exp(exact_value(args[0], values))
        case sympy.Min():
            return min(exact_value(a, values) for a in args)
        case sympy.Abs():
            return abs(exact_value(args[0], values))
        case sympy.Max():
            return max(exact_value(a, values) for a in args)
    raise TypeError(f"no exact value for {expression.func.__name__} in {expression}")
