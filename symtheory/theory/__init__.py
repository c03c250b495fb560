"""The symbolic half: closed forms, theorems and verdicts, all derived by running the estimators' own code on symbols.

`closed_form`, `moments`, `atlas` and `derivation` compute; `theorems` holds the statements and their proofs; `proofs`,
`certificates`, `recheck` and `kernel` hold what is re-checked, and how. `symtheory.claims` joins it with the paper.
"""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .closed_form import closed_forms, display, to_function
    from .moments import expected_update, signal_to_noise

__all__ = ["closed_forms", "display", "expected_update", "signal_to_noise", "to_function"]

__getattr__ = lazily(
    __name__, closed_form=("closed_forms", "display", "to_function"), moments=("expected_update", "signal_to_noise")
)
