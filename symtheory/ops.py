"""The few functions an estimator may call, over numpy, jax or sympy.

An estimator is written once with plain operators and the functions of one of these classes. Evaluated with
`ArrayOps` it trains a model or fills a table; evaluated with `SymbolOps` on symbols K and F = G - K it is the
derivation. The rollouts (or outcome classes) of a group are always the last axis.
"""

import functools
import sys
from typing import Any

import numpy as np


class ArrayOps:
    """Operations on numpy or jax arrays; `xp` is the array module."""

    def __init__(self, xp: Any) -> None:
        self.xp = xp
        self.sqrt, self.exp = xp.sqrt, xp.exp
        self.minimum, self.maximum = xp.minimum, xp.maximum

    def sum(self, x):
        """Sum over the group (last axis), which is kept: [..., n] -> [..., 1]."""
        return self.xp.sum(x, axis=-1, keepdims=True)

    def lowest(self, rewards, weight):
        """Lowest reward that has weight in each group: [..., n] -> [..., 1]."""
        return self.xp.min(self.xp.where(weight > 0, rewards, self.xp.inf), axis=-1, keepdims=True)

    def div(self, a, b):
        """a / b, and 0 where b is 0: the one place where degenerate groups are settled."""
        bad = b == 0
        return self.xp.where(bad, 0, a / self.xp.where(bad, 1, b))

    def where(self, condition, a, b):
        return self.xp.where(condition, a, b)

    def known(self, x) -> bool:
        """Whether the values of `x` can be looked at, which those of a traced jax array cannot."""
        if self.xp is np:
            return True
        from jax.core import Tracer

        return not isinstance(x, Tracer)

    def positive(self, a):
        """Where a > 0; the sign of a symbolic advantage is decidable, that of r - mean often is not."""
        return a > 0


class SymbolOps:
    """Operations on object arrays of sympy expressions, in which every symbol is positive."""

    def __init__(self) -> None:
        import sympy

        self.xp = np
        self.sqrt = _each(lambda x: sympy.sqrt(sympy.factor(x)))
        self.exp = _each(sympy.exp)
        self.minimum, self.maximum = _each(sympy.Min), _each(sympy.Max)
        self.positive = _each(_is_positive)
        self.div = _each(lambda a, b: sympy.Integer(0) if b == 0 else a / b)
        self.where = _each(lambda condition, a, b: a if condition else b)

    def known(self, x) -> bool:
        return False

    def sum(self, x):
        return np.sum(x, axis=-1, keepdims=True)

    def lowest(self, rewards, weight):
        """Zero: with two outcomes 1 and 0 it is the lowest reward, and any anchor gives the same mean."""
        return np.zeros((1,), dtype=object)


def _each(function):
    """Apply a scalar function of sympy expressions to object arrays, with broadcasting."""
    return np.vectorize(function, otypes=[object])


def _is_positive(x) -> bool:
    """Sign of an expression in positive symbols: by sympy's assumptions, else at exact sample points.

    The sample points only choose the branch of a derivation; every identity built on it is re-checked on arrays.
    """
    import sympy

    x = sympy.factor(sympy.sympify(x))
    if x.is_positive is not None:
        return bool(x.is_positive)
    symbols = sorted(x.free_symbols, key=str)
    signs = set()
    for j in range(5):  # counts are integers of at least 2, anything else (omega, say) lies in (0, 1)
        point = [
            2 + 3 * i + 5 * j if s.is_integer else sympy.Rational(1 + i + 2 * j, 3 + i + 4 * j)
            for i, s in enumerate(symbols)
        ]
        signs.add(bool(sympy.N(x.subs(dict(zip(symbols, point, strict=True)))) > 0))
    if len(signs) > 1:
        raise ValueError(f"the sign of {x} depends on its symbols: write the estimator without this branch")
    return signs.pop()


@functools.cache
def numpy_ops() -> ArrayOps:
    return ArrayOps(np)


@functools.cache
def jax_ops() -> ArrayOps:
    import jax.numpy as jnp

    return ArrayOps(jnp)


@functools.cache
def symbol_ops() -> SymbolOps:
    return SymbolOps()


def ops_for(*arrays) -> ArrayOps:
    """jax operations if any of the arrays is a jax array (or tracer), numpy otherwise; never imports jax itself."""
    jax = sys.modules.get("jax")
    if jax is not None and any(isinstance(a, jax.Array) for a in arrays):
        return jax_ops()
    return numpy_ops()
