"""symtheory: the toolkit of implicit advantage symmetry in group-relative RL (arXiv:2602.05548).

>>> import symtheory
>>> symtheory.advantages([[1, 0, 0, 0]], "hard_focused").round(3)
array([[ 1.732, -0.577, -0.577, -0.577]])
"""

from .errors import InputError
from .estimators import advantages

__version__ = "0.1.0"
__all__ = ["InputError", "advantages"]
