"""The controlled study on trees: the same prompts, methods and readings, with trajectories that share prefixes.

The design follows `study` and was fixed before any run that draws a verdict. Trees have 4^4 = 256 leaves, as many as
the bandit has trajectories, a tenth of them correct. Two numbers were set by GRPO's learning curve alone, on seeds 900
and 901: the signal of the shared features (0.5, 1, 2) and the learning rate (a grid in steps of three) so that GRPO's
held-out MATH pass@1 ends nearest the published 76.5; with independent prompts the learning rate is the smallest of the
grid with which its training pass@1 ends above 0.9.
"""

from dataclasses import dataclass
from typing import Any

from ..worlds import make_tree
from .controlled import Study

LEARNING_RATES = {
    ("shared", "adam"): 0.003,
    ("shared", "sgd"): 0.03,
    ("independent", "adam"): 0.01,
    ("independent", "sgd"): 0.1,
}


@dataclass(frozen=True)
class TreeStudy(Study):
    """One setting in which all methods are trained on trees. Half the prompts of the bandit's study, for its cost."""

    prompts: int = 64
    heldout: int = 32
    features: int = 16
    depth: int = 4
    branching: int = 4
    density: float = 0.1
    feature_signal: float = 1.0

    @property
    def learning_rate(self) -> float:
        return LEARNING_RATES[self.sharing, self.optimizer]

    def config(self) -> dict[str, Any]:
        return {**super().config(), "world": "tree"}

    def make_world(self, key, success) -> Any:
        return make_tree(
            key,
            success,
            depth=self.depth,
            branching=self.branching,
            density=self.density,
            features=self.features if self.sharing == "shared" else 0,
            feature_signal=self.feature_signal,
        )
