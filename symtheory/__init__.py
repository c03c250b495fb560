"""symtheory: the toolkit of implicit advantage symmetry in group-relative RL (arXiv:2602.05548).

>>> import symtheory
>>> symtheory.advantages([[1, 0, 0, 0]], "hard_focused").round(3)
array([[ 1.732, -0.577, -0.577, -0.577]])
"""

from typing import TYPE_CHECKING

from .errors import InputError

if TYPE_CHECKING:
    from .estimators import advantages

__version__ = "0.1.0"
__all__ = ["InputError", "advantages"]


def __getattr__(name: str):
    """`advantages` is imported when it is first asked for, so that the command line answers without numpy."""
    if name == "advantages":
        from .estimators import advantages

        globals()[name] = advantages
        return advantages
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
