"""The few functions an estimator may call, over numpy, jax, torch or sympy.

An estimator is written once with plain operators and the functions of one of these classes. Evaluated with
`ArrayOps` or `TorchOps` it trains a model or fills a table; evaluated with `SymbolOps` on symbols K and F = G - K it
is the derivation. The rollouts (or outcome classes) of a group are always the last axis.
"""

import functools
import math
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
        """Lowest reward that has weight in each group, 0 if none has: [..., n] -> [..., 1]."""
        low = self.xp.min(self.xp.where(weight > 0, rewards, self.xp.inf), axis=-1, keepdims=True)
        return self.xp.where(low == self.xp.inf, 0, low)

    def identity(self, like):
        """Identity matrix of the size of the last axis: [..., n] -> [n, n]."""
        return self.xp.eye(like.shape[-1], dtype=int)

    def floor(self, x):
        return self.xp.floor(x)

    def floats(self, values, like=None):
        """`values` as an array to compute in: floating, at least single precision, with the dtype of `like` if given.

        Raises `TypeError` or `ValueError` where `values` are no real numbers in a rectangular array.
        """
        xp, values = self.xp, self.xp.asarray(values)
        if xp.issubdtype(values.dtype, xp.complexfloating):
            raise TypeError(f"complex numbers have no order, got dtype {values.dtype}")
        if like is not None:
            return values.astype(like.dtype)
        if not xp.issubdtype(values.dtype, xp.floating):
            return values.astype(np.result_type(float) if xp is np else float)
        return values.astype(np.float32) if values.dtype.itemsize < 4 else values

    def like(self, a, values):
        """`a` in the dtype of `values`, where that is a floating one which is no wider."""
        dtype = getattr(values, "dtype", None)
        half = dtype is not None and self.xp.issubdtype(dtype, self.xp.floating) and dtype.itemsize < 4
        return a.astype(dtype) if half else a

    def numpy(self, x) -> np.ndarray:
        """The values of an array whose values are `known`."""
        return np.asarray(x)

    def div(self, a, b):
        """a / b, and 0 where b is 0: the one place where degenerate groups are settled."""
        bad = b == 0
        if self.xp is np and not np.any(bad):
            return a / b
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


class TorchOps(ArrayOps):
    """Operations on torch tensors, on the device where they are; half precision is computed in single."""

    def __init__(self) -> None:
        import torch

        self.xp, self.torch = _TorchNamespace(torch), torch

    def _is_tensor(self, *values) -> bool:
        return any(isinstance(x, self.torch.Tensor) for x in values)

    def sqrt(self, x):
        return self.torch.sqrt(x) if self._is_tensor(x) else math.sqrt(x)

    def exp(self, x):
        return self.torch.exp(x) if self._is_tensor(x) else math.exp(x)

    def floor(self, x):
        return self.torch.floor(x) if self._is_tensor(x) else math.floor(x)

    def minimum(self, a, b):
        if self._is_tensor(a) and self._is_tensor(b):
            return self.torch.minimum(a, b)
        return a.clamp(max=b) if self._is_tensor(a) else b.clamp(max=a) if self._is_tensor(b) else min(a, b)

    def maximum(self, a, b):
        if self._is_tensor(a) and self._is_tensor(b):
            return self.torch.maximum(a, b)
        return a.clamp(min=b) if self._is_tensor(a) else b.clamp(min=a) if self._is_tensor(b) else max(a, b)

    def sum(self, x):
        return x.sum(dim=-1, keepdim=True)

    def lowest(self, rewards, weight):
        low = self.torch.where(weight > 0, rewards, math.inf).amin(dim=-1, keepdim=True)
        return self.torch.where(low == math.inf, 0, low)

    def identity(self, like):
        return self.torch.eye(like.shape[-1], dtype=like.dtype, device=like.device)

    def div(self, a, b):
        if not self._is_tensor(b):
            return a / b if b else 0 * a
        bad = b == 0
        return self.torch.where(bad, 0, a / self.torch.where(bad, 1, b))

    def where(self, condition, a, b):
        return self.torch.where(condition, a, b) if self._is_tensor(condition) else a if condition else b

    def known(self, x) -> bool:
        return not self.torch.compiler.is_compiling()

    def floats(self, values, like=None):
        torch = self.torch
        if not self._is_tensor(values):
            if isinstance(values, list | tuple) and self._is_tensor(*values):
                values = torch.stack([self.floats(x, like) for x in values])
            else:
                values = torch.as_tensor(numpy_ops().floats(values))
        if values.is_complex():
            raise TypeError(f"complex numbers have no order, got dtype {values.dtype}")
        if like is not None:
            return values.to(like)
        if not values.is_floating_point():
            return values.to(torch.get_default_dtype())
        return values.to(torch.float32) if values.dtype.itemsize < 4 else values

    def like(self, a, values):
        half = self._is_tensor(values) and values.is_floating_point() and values.dtype.itemsize < 4
        return a.to(values.dtype) if half else a

    def numpy(self, x) -> np.ndarray:
        return x.detach().cpu().numpy()


class _TorchNamespace:
    """torch under the names of numpy that the weighted group and its links use; everything else is torch's own."""

    inf = math.inf

    def __init__(self, torch: Any) -> None:
        self._torch = torch

    def __getattr__(self, name: str):
        return getattr(self._torch, name)

    def stack(self, arrays, axis=0):
        return self._torch.stack(list(arrays), dim=axis)

    def asarray(self, values, dtype=None):
        return self._torch.as_tensor(values, dtype=dtype)

    def broadcast_to(self, x, shape):
        return self._torch.broadcast_to(x, tuple(shape))


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

    def identity(self, like):
        return np.eye(like.shape[-1], dtype=int)

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
def torch_ops() -> TorchOps:
    return TorchOps()


@functools.cache
def symbol_ops() -> SymbolOps:
    return SymbolOps()


def ops_for(*arrays) -> ArrayOps:
    """Operations of torch or jax if any of the arrays is one of theirs, else of numpy; never imports either."""
    torch, jax = sys.modules.get("torch"), sys.modules.get("jax")
    if torch is not None and any(_holds(torch.Tensor, a) for a in arrays):
        return torch_ops()
    if jax is not None and any(_holds(jax.Array, a) for a in arrays):
        return jax_ops()
    return numpy_ops()


def _holds(kind: type, x) -> bool:
    """Whether `x` is such an array, or a list of them."""
    return isinstance(x, kind) or (isinstance(x, list | tuple) and bool(x) and isinstance(x[0], kind))
