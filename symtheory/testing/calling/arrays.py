"""Numbers as the arrays that a function wants, and back: Python lists, numpy, torch, jax."""

import importlib.util
from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np

from ...errors import InputError

Backend = Literal["list", "numpy", "torch", "jax"]
BACKENDS: tuple[str, ...] = get_args(Backend)
DTYPES = ("float64", "float32", "bfloat16")


def installed(backend: str) -> bool:
    return backend in ("list", "numpy") or importlib.util.find_spec(backend) is not None


def numpy_dtype(name: str) -> np.dtype:
    """The numpy dtype of a name; bfloat16 comes with jax.

    Raises:
        InputError: bfloat16 where no library here has it.
    """
    if name != "bfloat16":
        return np.dtype(name)
    try:
        import ml_dtypes
    except ImportError:
        raise InputError("dtype bfloat16 needs ml_dtypes, which comes with jax") from None
    return np.dtype(ml_dtypes.bfloat16)


def unit_roundoff(dtype: str) -> float:
    """Distance of 1 from the next number."""
    return {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}[dtype]


def maker(backend: str) -> Callable[[np.ndarray], Any]:
    """From a numpy array to the same numbers, in the same dtype, as another library holds them.

    Raises:
        InputError: the library is not installed.
    """
    if not installed(backend):
        raise InputError(f"backend {backend!r} is not installed")
    return {"list": np.ndarray.tolist, "numpy": np.copy, "torch": _torch, "jax": _jax}[backend]


def _torch(x: np.ndarray) -> Any:
    import torch

    if x.dtype.kind in "biu" or x.dtype in (np.float32, np.float64):
        return torch.from_numpy(x.copy())
    return torch.from_numpy(x.astype(np.float32)).to(torch.bfloat16)


def _jax(x: np.ndarray) -> Any:
    import jax

    return jax.numpy.asarray(x)


def as_numpy(x: Any) -> np.ndarray:
    """Any array, or nested lists of numbers and one-number arrays, in float64.

    Raises:
        TypeError, ValueError: it does not hold numbers only.
    """
    if hasattr(x, "detach"):
        x = x.detach().cpu()
        return x.double().numpy()
    if isinstance(x, list | tuple):
        if x and all(isinstance(v, float | int) for v in x):
            return np.array(x, dtype=np.float64)
        return np.array([as_numpy(v) for v in x], dtype=np.float64)
    if isinstance(x, str | bytes | dict | set) or x is None:
        raise TypeError(f"{type(x).__name__} is no number")
    return np.asarray(x, dtype=np.float64)
