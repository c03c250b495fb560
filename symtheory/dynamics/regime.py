"""Regimes: what training does beyond fresh independent groups, a perfect verifier and fixed prompts.

A `Regime` has one field for each departure. A field that is None is off, and the program is then the one without
it. `drawing` draws under a regime, `expected_regime` gives the exact mean of such a step where there is one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import jax.numpy as jnp

from ..errors import InputError, no_such
from ..estimators.group import Array
from ..ops import jax_ops


def _share(name: str, value: Any) -> None:
    """Refuse a number outside [0, 1]; a traced one cannot be looked at."""
    if jax_ops().known(value) and not 0 <= float(value) <= 1:
        raise InputError(f"{name} must be a share in [0, 1], got {value}")


def _whole(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")


@dataclass(frozen=True)
class Verifier:
    """A verifier that errs, on each rollout independently. Its rates may be traced."""

    false_positive: Any = 0.0
    """chance that a wrong rollout is accepted"""
    false_negative: Any = 0.0
    """chance that a correct rollout is rejected"""

    def __post_init__(self):
        _share("false_positive", self.false_positive)
        _share("false_negative", self.false_negative)

    @classmethod
    def placebo(cls, rate: Any = 0.5) -> "Verifier":
        """Rewards that do not depend on correctness: 1 with chance `rate`."""
        return cls(rate, 1 - rate)

    @property
    def youden(self) -> Any:
        """J, the true positive rate minus the false positive rate: 1 without errors, 0 for a placebo."""
        return 1 - self.false_negative - self.false_positive

    def observed(self, success: Array) -> Array:
        """Chance that a rollout is accepted, where `success` is the chance that it is correct.

        >>> round(Verifier(0.1, 0.2).observed(0.5), 3)
        0.45
        """
        return self.false_positive + self.youden * success


@dataclass(frozen=True)
class Redraw:
    """Groups are kept if the share of accepted rollouts is in (low, high), and drawn again otherwise.

    The defaults are DAPO's dynamic sampling, which redraws groups of equal rewards. A group that is still outside
    after all tries has weight 0.
    """

    low: float = 0.0
    high: float = 1.0
    tries: int = 8
    """draws of a group at most; 1 drops groups and draws none again"""

    def __post_init__(self):
        _whole("tries", self.tries, 1)
        if not 0 <= self.low < self.high <= 1:
            raise InputError(f"low and high must be shares with low < high, got {self.low} and {self.high}")

    def keeps(self, correct: Array, size: Array) -> Array:
        """Whether a group with `correct` accepted rollouts of `size` is kept."""
        return (correct > self.low * size) & (correct < self.high * size)


@dataclass(frozen=True)
class Band:
    """Only prompts whose success is in [low, high] are trained on."""

    low: float = 0.2
    high: float = 0.8
    by: Literal["policy", "base"] = "policy"
    """the current policy's success, or the base policy's: a data set that was filtered once"""

    def __post_init__(self):
        if not 0 <= self.low < self.high <= 1:
            raise InputError(f"low and high must be shares with low < high, got {self.low} and {self.high}")
        if self.by not in ("policy", "base"):
            raise InputError(f"by must be 'policy' or 'base', got {self.by!r}")

    def admits(self, before, success, base, step):
        looked_at = success if self.by == "policy" else base
        return (looked_at >= self.low) & (looked_at <= self.high)


@dataclass(frozen=True)
class Solved:
    """A prompt is removed when its success reaches `above`, and let in again when it falls below `back`."""

    above: float = 0.9
    back: float | None = None
    """None: a removed prompt stays out"""

    def __post_init__(self):
        _share("above", self.above)
        if self.back is not None and not 0 <= self.back <= self.above:
            raise InputError(f"back must be between 0 and above = {self.above}, got {self.back}")

    def admits(self, before, success, base, step):
        stays = before & (success < self.above)
        return stays if self.back is None else stays | (~before & (success < self.back))


@dataclass(frozen=True)
class HardFirst:
    """The hardest prompts come first: at step t the share first + (1 - first) t / steps with the least base success."""

    steps: int = 100
    first: float = 0.25

    def __post_init__(self):
        _whole("steps", self.steps, 1)
        _share("first", self.first)

    def admits(self, before, success, base, step):
        share = self.first + (1 - self.first) * jnp.minimum(step / self.steps, 1)
        rank = jnp.argsort(jnp.argsort(base))
        return rank < jnp.maximum(jnp.ceil(share * base.shape[0] - 1e-4), 1)


@dataclass(frozen=True)
class Repeat:
    """Batches of `batch` prompts in turn, each for `times` updates in a row."""

    batch: int
    times: int = 1

    def __post_init__(self):
        _whole("batch", self.batch, 1)
        _whole("times", self.times, 1)

    def admits(self, before, success, base, step):
        prompts = base.shape[0]
        if prompts % self.batch:
            raise InputError(f"batch must divide the {prompts} prompts of the world, got {self.batch}")
        turn = step // self.times % (prompts // self.batch)
        return jnp.arange(prompts) // self.batch == turn


Admit = Band | Solved | HardFirst | Repeat


@dataclass(frozen=True)
class Group:
    """Groups that are not `Update.group_size` independent rollouts of the policy."""

    sizes: tuple[int, ...] = ()
    """each group has one of these sizes, with equal chances; the largest must be `Update.group_size`"""
    copies: int = 1
    """each rollout is there so many times, as if every GPU drew the same"""
    hot: int = 0
    """so many rollouts of a group are drawn at `temperature`"""
    temperature: float = 1.0
    trunks: int = 0
    """in a tree: so many rollouts are independent, the others fork from these (a shared prefix); 0: all independent"""
    replay: bool = False
    """whether a group without an accepted rollout gets the prompt's latest accepted one in the place of its last"""

    def __post_init__(self):
        _whole("copies", self.copies, 1)
        _whole("hot", self.hot, 0)
        _whole("trunks", self.trunks, 0)
        for size in self.sizes:
            _whole("sizes", size, 1)
        if not self.temperature > 0:
            raise InputError(f"temperature must be above 0, got {self.temperature}")
        if self.temperature != 1 and not self.hot:
            raise InputError(f"temperature is that of hot rollouts: give hot too, got temperature {self.temperature}")
        used = [n for n, on in (("sizes", self.sizes), ("copies", self.copies > 1), ("hot", self.hot)) if on]
        used += ["trunks"] if self.trunks else []
        if len(used) > 1:
            raise InputError(
                f"a group departs from independent rollouts in one way at a time, got {' and '.join(used)}"
            )

    @property
    def exact(self) -> bool:
        """Whether the mean of a step is known in closed form."""
        return not (self.hot or self.trunks or self.replay)


@dataclass(frozen=True)
class Stale:
    """Rollouts come from the policy of `lag` updates ago."""

    lag: int = 1
    corrected: bool = True
    """whether the update divides by that policy's probabilities (importance ratios, with `Update`'s clipping)"""

    def __post_init__(self):
        _whole("lag", self.lag, 0)


@dataclass(frozen=True)
class Regime:
    """Departures from the plain setting, in any combination; the default has none.

    >>> Regime(verifier=Verifier(0.1), redraw=Redraw()).name
    'verifier, redraw'
    """

    verifier: Verifier | None = None
    redraw: Redraw | None = None
    admit: Admit | None = None
    group: Group | None = None
    stale: Stale | None = None
    entropy: float = 0.0
    """weight of the entropy bonus: -log pi(o) is added to each rollout's advantage"""
    kl: float = 0.0
    """weight of GRPO's penalty (the k3 estimate of Eq. 1) for leaving the base policy"""

    def __post_init__(self):
        for name in ("entropy", "kl"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"{name} must be a weight of at least 0, got {getattr(self, name)}")
        if self.group is not None and self.redraw is not None and not (self.group.exact and not self.group.sizes):
            raise InputError(
                "redraw works on groups of one size of fresh rollouts, got a group with sizes, hot, trunks or replay"
            )
        if self.group is not None and self.group.replay and self.stale is not None:
            raise InputError("replay and stale both reuse old rollouts: take one of them")

    @property
    def name(self) -> str:
        """What is on, in words."""
        return ", ".join(f.name for f in fields(self) if getattr(self, f.name) not in (None, 0)) or "plain"


RECORDS: dict[str, dict[str, type]] = {
    "verifier": {"": Verifier},
    "redraw": {"": Redraw},
    "admit": {"band": Band, "solved": Solved, "hard_first": HardFirst, "repeat": Repeat},
    "group": {"": Group},
    "stale": {"": Stale},
}
"""Records by the key of a table, and by `kind` where there are several."""


def parse(given: Mapping[str, Any]) -> Regime:
    """A regime from plain data, such as a TOML table: `{verifier = {false_positive = 0.1}, kl = 0.01}`.

    >>> parse({"admit": {"kind": "band", "low": 0.1}}).admit
    Band(low=0.1, high=0.8, by='policy')
    """
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key not in {f.name for f in fields(Regime)}:
            raise no_such("key of a regime", key, [f.name for f in fields(Regime)])
        values[key] = _record(key, value) if key in RECORDS else _number(key, value)
    return Regime(**values)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{name} must be a number, got {value!r}")
    return value


def _record(key: str, given: Any) -> Any:
    if not isinstance(given, Mapping):
        raise InputError(f"{key} must be a table, got {given!r}")
    kinds, rest = RECORDS[key], dict(given)
    kind = rest.pop("kind", "") if len(kinds) > 1 else ""
    if kind not in kinds:
        raise InputError(f"kind of {key} must be one of {', '.join(kinds)}, got {kind!r}")
    known = {f.name: f for f in fields(kinds[kind])}
    for name, value in rest.items():
        if name not in known:
            raise no_such(f"key of {key}", name, known)
        if name == "sizes":
            rest[name] = tuple(value) if isinstance(value, list) else (value,)
        elif name not in ("by", "corrected", "replay", "back"):
            _number(f"{name} of {key}", value)
    try:
        return kinds[kind](**rest)
    except TypeError:
        missing = [n for n in known if n not in rest]
        raise InputError(f"{key} needs {', '.join(missing)}") from None
