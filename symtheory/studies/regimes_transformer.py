"""Clip-higher against symmetric clipping in the transformer: the regimes that the replay has knobs for.

The learning rate was chosen from symmetric clipping alone, on seeds 900 and 901: of 1e-4, 3e-4, 1e-3 the one with the
largest training pass@1 after 120 steps (0.268, 0.494, 0.608). Clip-higher was not run before the design was committed.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..metrics.passk import pass_at_k
from ..transformer import train
from .transformer.base import Base, Report
from .transformer.training import Training, training

SYMMETRIC = train.Update(learning_rate=1e-3, epochs=4)
HIGHER = replace(SYMMETRIC, clip_high=0.28)
DESIGN = Training(Base(layers=1, width=32), SYMMETRIC, ("grpo",), seeds=20)


def effects(config: Training, folder: Path, report: Report) -> dict[str, np.ndarray]:
    """Clip-higher minus symmetric clipping at the last step, [seed, 1], by question.

    Arms of one seed share base model, prompts and random numbers. Entropy (nat) and pass@16 (points) are exact and
    means over the training prompts, since every prompt is trained on in the bandit and the tree too.
    """
    entropy, passed = [], []
    for update in (SYMMETRIC, HIGHER):
        last = training(replace(config, update=update), folder, report).isel(estimator=0, step=-1).sel(split="train")
        entropy.append(last.entropy.mean("prompt").values)
        passed.append(100 * np.asarray(pass_at_k(last.success.values, 16)).mean(-1))
    return {
        "clip_higher_raises_entropy": (entropy[1] - entropy[0])[:, None],
        "clip_higher_raises_passk": (passed[1] - passed[0])[:, None],
    }
