"""Pass rates of the prompts of a log: what plans and difficulty studies start from."""

from typing import NamedTuple

import numpy as np

from ..errors import InputError
from .read import Log


class PassRates(NamedTuple):
    """Correct rollouts of each prompt, in no particular order."""

    correct: np.ndarray
    """[m] sum of the successes; whole numbers where success is 0 or 1"""
    rollouts: np.ndarray
    """[m] how many there were"""
    group_size: int
    """rollouts of a group, the most frequent number"""

    @property
    def rates(self) -> np.ndarray:
        """[m] correct / rollouts"""
        return self.correct / self.rollouts


def pass_rates(log: Log, last_steps: int | None = None) -> PassRates:
    """Successes and rollouts of every prompt; draws of a prompt at different steps add up.

    Args:
        log: as `symtheory.audit.read` returns it; it is consumed.
        last_steps: count only so many of the last steps, since pass rates move while a policy trains.

    Returns:
        The counts of correct and of all rollouts of each prompt.

    Raises:
        InputError: if there is no usable rollout.
    """
    steps: dict[int, dict[int, tuple[float, int]]] = {}
    sizes: dict[int, int] = {}
    for batch in log.batches:
        found = steps.setdefault(batch.step, {})
        success = np.add.reduceat(batch.rows["success"], batch.starts)
        first = batch.rows[batch.starts]
        keys = np.where(first["prompt"] != 0, first["prompt"], first["group"])
        for key, correct, size in zip(keys.tolist(), success.tolist(), batch.sizes.tolist(), strict=True):
            before = found.get(key, (0.0, 0))
            found[key] = (before[0] + correct, before[1] + size)
            sizes[size] = sizes.get(size, 0) + 1
        while last_steps is not None and len(steps) > last_steps:
            del steps[min(steps)]
    total: dict[int, tuple[float, int]] = {}
    for found in steps.values():
        for key, (correct, size) in found.items():
            before = total.get(key, (0.0, 0))
            total[key] = (before[0] + correct, before[1] + size)
    if not total:
        raise InputError(f"no usable rollout in {log.files[0]}: {log.skipped.total} rows were skipped")
    correct, rollouts = (np.array(values, float) for values in zip(*total.values(), strict=True))
    return PassRates(correct, rollouts, max(sizes, key=lambda size: sizes[size]))
