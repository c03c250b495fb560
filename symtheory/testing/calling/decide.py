"""How to call a function: candidates by its signature, then what they answer on probe groups.

Names say which layouts are possible. Where two layouts run and answer alike, it does not matter; where they differ,
evidence decides (does the code name an axis? does it pool whatever it is given? do its annotations and its docstring
speak of one group?), and where nothing decides, both answers are shown and the user is asked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InputError
from ..target import PROBE, Raised, Target, show
from .adapter import LAYOUTS, Adapter, ChangesInput, settled
from .candidates import candidates, likely_backends
from .fill import EPSILON, passed
from .refuse import Refusal
from .settle import evaluated, precisions, settle_memory
from .signature import Signature, describe, name_of, plain_function
from .state import Memory

GRADED = np.array([[0.1, 0.9, 0.5, 0.2], [0.3, 0.3, 0.8, 0.1], [1.0, 0.0, 0.0, 0.0]])


@dataclass(frozen=True)
class Candidate:
    """One way of calling the function that works, and what it answers on the probe."""

    adapter: Adapter
    target: Target
    answer: np.ndarray


def decide(f: Callable, name, rewards, layout, backend, dtype, time_limit) -> Target:
    """The target that calls `f` as its author means it (arguments as for `as_target`)."""
    signature = describe(f)
    name = name or name_of(f)
    memory = Memory(signature.function)

    def candidate(adapter: Adapter, precision: str) -> Candidate:
        target = Target(
            adapter,
            name,
            rewards,
            time_limit,
            layout=adapter.layout,
            how=adapter.describe(),
            backend=adapter.forms.backend,
            dtypes=(precision,),
            shuffles=adapter.shuffles,
            has_lengths=adapter.has_lengths,
        )
        memory.restore()
        return Candidate(adapter, target, target.evaluate(PROBE))

    working, first_error = [], None
    for kind in [backend] if backend else likely_backends(signature):
        found, error = _working(signature, kind, layout, dtype, candidate)
        first_error = first_error or error
        if found and not (backend is None and _only_passes_through(signature, kind, found[0])):
            if kind == "jax" and "numpy" in signature.around:  # jax hides it where numpy arrays would be changed
                _working(signature, "numpy", layout, dtype, candidate)
            working = found
            break
        working = working or found
    if not working:
        raise _refusal(signature, name, first_error, layout)
    chosen, notes = _choose(signature, working, name, layout)
    target = chosen.target
    target.signature = signature
    why = getattr(plain_function(f), "__globals__", {}).get("__why_isolated__")
    cut = [f"cut out of its file, since that does not import ({why})"] if why else []
    target.notes = [*cut, *notes, *_given(signature)]
    settle_memory(target, chosen.adapter, memory, name)
    memory.restore()
    if not target.state:
        target._function = settled(chosen.adapter, PROBE)
    target.dtypes = precisions(target, dtype)
    target.options = {"layout": layout, "backend": backend, "dtype": dtype, "rewards": rewards}
    return target.settled()


def _working(signature, backend, layout, dtype, candidate) -> tuple[list[Candidate], Exception | None]:
    """The candidates of one backend that run, in float64 or, failing that, in float32."""
    error: Exception | None = None
    for precision in [dtype] if dtype else ["float64"] if backend in ("list", "numpy") else ["float64", "float32"]:
        found = []
        for adapter in candidates(signature, backend, layout):
            if any(_same_but_form(adapter, c.adapter) and _grouped(c) for c in found):
                continue
            try:
                tried = candidate(adapter, precision)
            except (Raised, InputError) as problem:
                if isinstance(problem, ChangesInput) or "did not return" in str(problem):
                    raise
                error = error or problem
                continue
            meant = _grouped(tried) if signature.unknown else adapter.layout != "flat" or _uses_size(tried)
            if meant:
                found.append(tried)
        if found:
            return found, None
    return [], error


def _only_passes_through(signature: Signature, kind: str, tried: Candidate) -> bool:
    """Whether arrays of a library that only the file around it imports come back as those of another."""
    if kind in signature.packages | signature.annotated or kind not in signature.around:
        return False
    try:
        return tried.adapter.answers_in(PROBE) not in (kind, None)
    except Exception:  # it remembers its calls, say
        return False


def _same_but_form(a: Adapter, b: Adapter) -> bool:
    """Whether two adapters differ only in how ids, masks or verdicts are told."""
    return (a.layout, a.forms.rewards, a.signature.parameters) == (b.layout, b.forms.rewards, b.signature.parameters)


def _grouped(tried: Candidate) -> bool:
    """Whether a change in one group shows in that group, beyond the changed rollout, and in no other."""
    changed = PROBE.copy()
    changed[0, 0] = 0.5
    try:
        moved = ~np.isclose(tried.target.evaluate(changed), tried.answer, rtol=1e-6, atol=1e-6)
    except (Raised, InputError):
        return False
    return bool(moved[0, 1:].any() and not moved[1].any())


def _uses_size(tried: Candidate) -> bool:
    """Whether a group size that is not among the parameters makes a difference, and who stands beside whom does too."""
    if tried.adapter.signature.has("size"):
        return True
    order = np.array([0, 3, 2, 1, 4, 5])  # two rollouts change places with another group's
    try:
        pairs = tried.target.evaluate(PROBE.reshape(3, 2)).ravel()
        moved = tried.target.evaluate(PROBE.ravel()[order].reshape(PROBE.shape)).ravel()
    except (Raised, InputError):
        return True
    answer = tried.answer.ravel()
    return not np.allclose(pairs, answer, equal_nan=True) and not np.allclose(moved, answer[order], equal_nan=True)


def _choose(signature: Signature, working: list[Candidate], name: str, layout) -> tuple[Candidate, list[str]]:
    """The candidate that the function means; asks where nothing decides."""
    first = working[0]
    by_layout = {c.adapter.layout: c for c in reversed(working)}
    if layout or first.adapter.layout in ("tokens", "responses", "functions"):
        return first, []
    if first.adapter.layout == "ids":
        return next((c for c in working if _grouped(c)), first), []
    if first.adapter.layout == "flat":
        return first, []
    if (ids := by_layout.get("ids")) and _grouped(ids):  # it reads the groups off its rollouts
        return ids, []
    matrix, group = by_layout.get("matrix"), by_layout.get("group")
    if matrix is None or group is None or _agree(matrix, group):
        return matrix or group or first, []
    return _matrix_or_group(signature, matrix, group, name)


def _matrix_or_group(signature, matrix: Candidate, group: Candidate, name: str) -> tuple[Candidate, list[str]]:
    """Whole matrix or row by row, where it makes a difference."""
    text = signature.text
    lists = any("list" in p.annotation.lower() for p in signature.having("rewards"))
    hints = [p.annotation.lower() for p in signature.parameters]
    nested = any(sum(h.count(w) for w in ("list", "sequence", "ndarray", "tensor")) > 1 for h in hints)
    for_group = (lists and not nested) + any(
        w in text for w in ("[g]", "(g,)", "(group_size,)", "one group", "single group", "per_group", "per-group")
    )
    for_matrix = 2 * nested + any(
        w in text for w in ("[p, g]", "[b, g]", "(p, g)", "[..., g]", "[prompts, g]", "matrix")
    )
    for_matrix += any(w in text for w in ("(num_prompts, ", "[num_prompts, ", "batch_size, group"))
    if signature.axis:
        for_matrix += 1
    elif not any(word in text for word in ("whiten", "batch", "global", "reinforce_p")):
        for_group += 1
    rewards = next(r for r in (PROBE, GRADED) if not _agree_on(r, matrix, group))
    answers = (
        f"rewards {show(rewards)} give {_rounded(matrix, rewards)} as a matrix and {_rounded(group, rewards)} "
        "one group at a time"
    )
    if for_group == for_matrix:
        raise InputError(
            f"{name} may take a matrix [prompts, G] or one group, and nothing tells which: {answers}; "
            "choose with --layout matrix or --layout group"
        )
    chosen, option = (group, "matrix") if for_group > for_matrix else (matrix, "group")
    return chosen, [f"taken as {LAYOUTS[chosen.adapter.layout]}, which matters: {answers} (else: --layout {option})"]


def _rounded(c: Candidate, rewards: np.ndarray) -> str:
    return show(np.round(evaluated(c.target, rewards), 3) + 0.0)


def _agree(a: Candidate, b: Candidate) -> bool:
    """Whether two ways of calling answer alike, on the probe and on graded groups of another shape."""
    return _agree_on(PROBE, a, b) and _agree_on(GRADED, a, b)


def _agree_on(rewards: np.ndarray, a: Candidate, b: Candidate) -> bool:
    x, y = evaluated(a.target, rewards), evaluated(b.target, rewards)
    return np.allclose(x, y, rtol=1e-4, atol=1e-4, equal_nan=True)


def _given(signature: Signature) -> list[str]:
    """What was passed for parameters that say nothing about rewards."""
    values = {
        "epsilon": f"{EPSILON:g}",
        "flag": "True",
        "one": "1",
        "config": _told(signature.settings),
    }
    told = [f"{p.name} = {values[p.role]}" for p in passed(signature) if p.role in values]
    if signature.settings and not signature.has("config"):
        told.append(f"its configuration = {_told(signature.settings)}")
    return [f"passed: {', '.join(told)}"] if told else []


def _told(settings: dict[str, Any]) -> str:
    return ", ".join(f"{k}: {v}" for k, v in settings.items()).join("{}") if settings else "its defaults"


def _refusal(signature: Signature, name: str, error: Exception | None, layout: str | None) -> InputError:
    """One sentence on why it cannot be called, with an adapter to fill in."""
    unknown = ", ".join(p.name for p in signature.unknown)
    if unknown:
        return Refusal(
            f"{name} must be a function of rewards, but also asks for {unknown}, which rewards alone do not give; "
            "fill in the adapter below",
            signature,
        )
    if isinstance(error, InputError):
        return error
    if error is None:
        return InputError(f"{name} has no layout {layout!r} that its parameters allow")
    return Refusal(f"{name} raised {error} on rewards {show(PROBE)} of shape {PROBE.shape}", signature)
