"""Sizes of the replay, by name.

They stand apart from `replay`, whose code is part of the address of a result: a new size leaves the old results found.
"""

from dataclasses import dataclass, replace

from ...transformer import train
from .base import Base
from .steps import OneStep
from .training import ESTIMATORS, Training


@dataclass(frozen=True)
class Preset:
    """A size of the whole replay."""

    training: tuple[Training, ...]
    """settings; verdicts are drawn from the first, the others say how far they hold"""
    one_step: OneStep
    seeds_at_once: int = 2
    """seeds that train side by side; a checkpoint holds all their states"""
    runs_at_once: int = 1
    """runs that a device works on as one batch: 1 on a CPU, many on an accelerator"""


_FULL = Training(seeds=20, confirm=True)
PRESETS = {
    "ci": Preset(
        (Training(seeds=2, steps=20, stride=10, estimators=("grpo", "positive_dominant", "negative_dominant")),),
        OneStep(depths=(100,), batches=(1, 4), estimators=("grpo",), histories=(0,), seeds=2, draws=2, bystanders=4),
    ),
    "cpu": Preset((Training(),), OneStep(histories=(20,))),
    "full": Preset(
        (
            _FULL,
            replace(_FULL, update=train.Update(learning_rate=3e-4)),
            # the smallest of 0.01, 0.03, 0.1 with which GRPO's training pass@1 ends as high as Adam's in the first
            replace(_FULL, update=train.Update(optimizer="sgd", learning_rate=0.03)),
        ),
        OneStep(sizes=((1, 32), (2, 64), (3, 96)), histories=(20,), seeds=20, confirm=True),
    ),
    "gpu": Preset(
        (
            Training(
                Base(layers=4, width=256, heads=8, dtype="bfloat16", steps=1000, batch=512, rate=1e-3),
                train.Update(batch=64, mini_batches=4, learning_rate=1e-4),
                seeds=20,
                steps=600,
                stride=50,
                estimators=(*ESTIMATORS, "w_reinforce", "dr_grpo"),
            ),
        ),
        OneStep(
            base=Base(task="congruence", batch=256, rate=1e-3),
            sizes=((2, 64), (4, 128), (6, 256)),
            depths=(150, 600, 1500),
            seeds=20,
            draws=4,
        ),
        seeds_at_once=4,
        runs_at_once=44,
    ),
}
