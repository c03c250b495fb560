"""Any estimator as one kind of callable: float arrays `[prompts, G]` in, float64 advantages `[prompts, G]` out.

The function may take lists, numpy, torch or jax arrays in any layout. It may raise, hang, return the wrong shape,
change its input, be random or keep state. `calling/decide.py` finds out how to call it; here it is called, once for
equal inputs.
"""

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import estimators
from ..errors import InputError
from ..estimators.base import Estimator, Rewards
from ..estimators.loading import first_line
from .calling.adapter import Layout
from .calling.answers import brief
from .calling.arrays import Backend, as_numpy, numpy_dtype, unit_roundoff
from .worker import TimedOut, Worker

PROBE = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
"""Two mixed groups: every estimator worth checking is defined here."""


class Raised(Exception):
    """The function under test raised."""


class Target:
    """An estimator under test. Call it with rewards `[P, G]`; equal inputs are evaluated once.

    Attributes:
        name: how reports call it.
        rewards: rewards it is defined for: `"real"`, `"unit"` ([0, 1]) or `"binary"`.
        time_limit: seconds that one call may take; None for a registered estimator, which is trusted.
        layout, backend: how it is called, as the options of `as_target` name it; `how` says it in words.
        dtype: the precision that its rewards come in here; `at` gives the same estimator in another one.
        dtypes: those it runs in and is judged in.
        shuffles: whether ids tell its groups, so that rollouts may stand in any order.
        has_lengths: whether it is told how long rollouts are.
        unit_roundoff: machine epsilon of the arithmetic that its results show.
        state: names of what it remembers between calls, if the answers depend on it; each call is as if the first.
        notes: what else a report should say about how it is called.
        options: the options that call it in this way again.
    """

    def __init__(
        self,
        function: Callable,
        name: str,
        rewards: Rewards,
        time_limit: float | None,
        *,
        layout: str = "matrix",
        how: str = "matrix [prompts, G]",
        backend: str = "numpy",
        dtypes: tuple[str, ...] = ("float64",),
        shuffles: bool = False,
        has_lengths: bool = False,
    ):
        self.name, self.time_limit = name, time_limit
        self.rewards: Rewards = rewards
        self.layout, self.how, self.backend = layout, how, backend
        self.dtypes, self.dtype = dtypes, dtypes[0]
        self.shuffles, self.has_lengths = shuffles, has_lengths
        self.unit_roundoff = unit_roundoff(self.dtype)
        self.notes: list[str] = []
        self.state = ""
        self.options: dict[str, Any] = {}
        self.signature: Any = None
        self._function = function
        self._worker = None if time_limit is None else Worker(time_limit)
        self._known: dict[tuple, np.ndarray] = {}
        self._raised: dict[tuple, str] = {}
        self._hung: InputError | None = None
        self._relatives: dict[str, Target] = {self.dtype: self}

    def at(self, dtype: str) -> "Target":
        """The same estimator on rewards of another precision."""
        if dtype not in self._relatives:
            other = Target(self._function, self.name, self.rewards, self.time_limit)
            ours = vars(self)
            other.__dict__.update({k: ours[k] for k in ours if k not in ("_known", "_raised", "unit_roundoff")})
            other.dtype, other.unit_roundoff = dtype, unit_roundoff(dtype)
            self._relatives[dtype] = other
        return self._relatives[dtype]

    def settled(self) -> "Target":
        """This target as it is now, in the first of its precisions; forgets the answers so far."""
        rough = {n: t.unit_roundoff for n, t in self._relatives.items()}
        self._known, self._raised, self._relatives = {}, {}, {self.dtype: self}
        for dtype in self.dtypes:
            self.at(dtype).unit_roundoff = rough.get(dtype, unit_roundoff(dtype))
        return self.at(self.dtypes[0])

    def __call__(self, rewards: np.ndarray, order=None, lengths=None) -> np.ndarray:
        """Advantages; all nan where the function raises (`error_on` has the message).

        Args:
            rewards: `[P, G]`.
            order: `[N]` order of the rollouts in a flat batch, for a target that `shuffles`.
            lengths: `[P, G]` tokens of each rollout, for a target that `has_lengths`.

        Raises:
            InputError: it hangs, returns another shape or no numbers, or changes its input.
        """
        key = _key(rewards, order, lengths)
        if key not in self._known:
            try:
                self._known[key] = self.evaluate(rewards, order, lengths)
            except Raised as error:
                self._raised[key] = str(error)
                self._known[key] = np.full(rewards.shape, np.nan)
        return self._known[key]

    def error_on(self, rewards: np.ndarray, order=None, lengths=None) -> str | None:
        """What it raised on these rewards, if it did."""
        return self._raised.get(_key(rewards, order, lengths))

    def admits(self, rewards: np.ndarray) -> bool:
        """Whether it is defined for these rewards (a registered estimator refuses what it is not defined for)."""
        if self.time_limit is None:
            try:
                return self(rewards) is not None
            except InputError:
                return False
        if self.rewards == "binary":
            return bool(((rewards == 0) | (rewards == 1)).all())
        return self.rewards == "real" or bool(((rewards >= 0) & (rewards <= 1)).all())

    def evaluate(self, rewards: np.ndarray, order=None, lengths=None) -> np.ndarray:
        """One call, not remembered.

        Raises:
            Raised: the function raised.
            InputError: as for a call.
        """
        if self._hung:
            raise self._hung
        given = rewards.astype(numpy_dtype(self.dtype))
        extra = {k: v for k, v in (("order", order), ("lengths", lengths)) if v is not None}
        before = given.copy()
        result = self._within_limit(lambda: self._function(given, **extra), before)
        if not np.array_equal(given, before):
            raise InputError(f"{self.name} changes its input in place: rewards {show(before)} became {show(given)}")
        try:
            result = as_numpy(result)
        except (TypeError, ValueError):
            raise InputError(f"{self.name} must return an array of numbers, got {brief(result)}") from None
        if result.shape != rewards.shape:
            raise InputError(
                f"{self.name} must return advantages of the shape of rewards, {rewards.shape}, got {result.shape}"
            )
        return result

    def _within_limit(self, call: Callable, rewards: np.ndarray) -> Any:
        def quietly():
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                return call()

        if self._worker is None:
            return quietly()
        try:
            return self._worker(quietly)
        except InputError:
            raise
        except TimedOut:
            self._hung = InputError(
                f"{self.name} did not return within {self.time_limit:g} s on rewards {show(rewards)}"
            )
            raise self._hung from None
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            raise Raised(f"{type(error).__name__}: {first_line(error)}") from None


def as_target(
    f: Target | Estimator | str | Callable,
    *,
    name: str | None = None,
    rewards: Rewards = "real",
    layout: Layout | None = None,
    backend: Backend | None = None,
    dtype: str | None = None,
    time_limit: float = 10.0,
) -> Target:
    """Make anything that estimates advantages checkable.

    Args:
        f: a registered name, an `Estimator`, or a function, method, class or callable object that computes advantages
            from rewards, in any layout of `calling.adapter.LAYOUTS`.
        name: how reports call it; default its own name.
        rewards: rewards that a callable is defined for (registered estimators say it themselves).
        layout: how rewards come, if it cannot be told from names and behaviour.
        backend: arrays that a callable wants; default: what its code refers to, else what it accepts.
        dtype: judge in this precision only; default: float32 and float64 for torch and jax, float64 for the others.
        time_limit: seconds one call may take.

    Returns:
        The target: rewards [P, G] -> advantages [P, G].

    Raises:
        InputError: it cannot be called, or fails, hangs, changes its input or is random on two mixed groups, or
            nothing decides between two ways of calling it that give different answers.

    >>> as_target("dr_grpo")(np.array([[1.0, 0.0]]))
    array([[ 0.5, -0.5]])
    """
    if isinstance(f, Target):
        return f
    if isinstance(f, str):
        f = estimators.get(f)
    if isinstance(f, Estimator):
        return _registered(f, name or f.name)
    if not callable(f):
        raise InputError(f"an estimator must be callable or a registered name, got {brief(f)}")
    from .calling.decide import decide

    return decide(f, name, rewards, layout, backend, dtype, time_limit)


def _registered(estimator: Estimator, name: str) -> Target:
    """A registered estimator, on numpy arrays; what uses lengths is told them."""

    @functools.wraps(estimators.advantages)
    def call(rewards, lengths=None):
        return estimators.advantages(rewards, estimator, lengths=lengths)

    return Target(call, name, estimator.rewards, None, has_lengths=True)


def _key(rewards: np.ndarray, order, lengths) -> tuple:
    rest = tuple(None if x is None else np.asarray(x).tobytes() for x in (order, lengths))
    return (rewards.shape, rewards.tobytes(), *rest)


def show(rewards: np.ndarray) -> str:
    """Rewards as a Python literal on one line.

    >>> show(np.array([[1.0, 0.1]]))
    '[[1.0, 0.1]]'
    """
    return str(np.asarray(rewards).tolist())
