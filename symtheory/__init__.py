"""symtheory: the toolkit of implicit advantage symmetry in group-relative RL (arXiv:2602.05548).

>>> import symtheory
>>> symtheory.advantages([[1, 0, 0, 0]], "hard_focused").round(3)
array([[ 1.732, -0.577, -0.577, -0.577]])
>>> symtheory.estimators.get("agrae").rewards
'unit'

Subpackages are imported when they are first used: `estimators`, `metrics`, `theory`, `worlds`, `dynamics`,
`transformer`, `studies`, `claims`, `figures`, `testing`, `audit`, `evidence`, `plan`.
"""

import importlib
import os
from typing import TYPE_CHECKING

from .errors import InputError

if TYPE_CHECKING:
    from . import audit as audit
    from . import claims as claims
    from . import dynamics as dynamics
    from . import estimators as estimators
    from . import evidence as evidence
    from . import figures as figures
    from . import metrics as metrics
    from . import plan as plan
    from . import studies as studies
    from . import testing as testing
    from . import theory as theory
    from . import transformer as transformer
    from . import worlds as worlds
    from .estimators import advantages

__version__ = "0.3.0"
__all__ = ["InputError", "advantages"]

_SUBPACKAGES = tuple(
    f.name for f in os.scandir(__path__[0]) if os.path.exists(f"{f.path}/__init__.py") and f.name != "cli"
)


def __getattr__(name: str):
    """Import `advantages` and the subpackages on first use, so that the command line answers without numpy."""
    if name == "advantages":
        globals()[name] = importlib.import_module(".estimators", __name__).advantages
        return globals()[name]
    if name in _SUBPACKAGES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBPACKAGES})
