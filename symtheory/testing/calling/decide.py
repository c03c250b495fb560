"""How to call a function: candidates by its signature, then what they answer on probe groups.

Names say which layouts are possible. Where two layouts run and answer alike, it does not matter; where they differ,
evidence decides (does the code name an axis? does it pool whatever it is given? do its annotations and its docstring
speak of one group?), and where nothing decides, both answers are shown and the user is asked.
"""

import dataclasses
import inspect
import itertools
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ...errors import InputError
from ..target import PROBE, Raised, Target, show
from .adapter import LAYOUTS, Adapter, ChangesInput, holder_of, settled, sized_attributes
from .arrays import DTYPES, installed, unit_roundoff
from .fill import EPSILON, Forms, filled, passed
from .refuse import Refusal
from .signature import Signature, describe, name_of, plain_function, role_of
from .state import Memory, fresh, seeded

OTHER = np.array([[7.0, 3.0, 4.0], [5.0, 1.0, 1.0]])
"""Two groups unlike the probe: what a function remembers of them shows."""
GRADED = np.array([[0.1, 0.9, 0.5, 0.2], [0.3, 0.3, 0.8, 0.1], [1.0, 0.0, 0.0, 0.0]])
UNIT_OTHER = np.array([[0.7, 0.3, 0.4], [0.5, 0.1, 0.1]])
ARRAY_METHODS = {"mean", "std", "var", "sum", "reshape", "view", "shape", "ndim", "dtype", "tolist"}
TORCH_METHODS = {
    "unsqueeze",
    "view",
    "float",
    "detach",
    "clamp",
    "repeat_interleave",
    "scatter",
    "expand",
    "numel",
    "item",
}


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
        working, error = _working(signature, kind, layout, dtype, candidate)
        first_error = first_error or error
        if working:
            break
    if not working:
        raise _refusal(signature, name, first_error, layout)
    chosen, notes = _choose(signature, working, name, layout)
    target = chosen.target
    target.signature = signature
    why = getattr(plain_function(f), "__globals__", {}).get("__why_isolated__")
    cut = [f"cut out of its file, since that does not import ({why})"] if why else []
    target.notes = [*cut, *notes, *_given(signature)]
    _settle_memory(target, chosen.adapter, memory, name)
    if not target.state:
        target._function = settled(chosen.adapter, PROBE)
    target.dtypes = _precisions(target, dtype)
    target.options = {"layout": layout, "backend": backend, "dtype": dtype, "rewards": rewards}
    return target.settled()


def candidates(signature: Signature, backend: str, layout: str | None) -> Iterator[Adapter]:
    """All ways of calling it with arrays of one library, the likeliest first."""
    for meant in _meanings(signature):
        for kind, forms in _layouts(meant, backend, layout):
            yield Adapter(meant, kind, forms)


def _meanings(signature: Signature) -> list[Signature]:
    """The signature as its names tell it; with one unknown parameter, as each thing that it may be."""
    unknown = signature.unknown
    if not unknown:
        return [signature]
    if len(unknown) > 1:
        return []
    return [signature.with_role(unknown[0].name, role) for role in ("size", "ids") if not signature.has(role)]


def _layouts(signature: Signature, backend: str, layout: str | None) -> Iterator[tuple[str, Forms]]:
    has = signature.has
    masks = ("tokens", "flat") if has("mask") else ("flat",)
    if has("tokens"):
        kinds = [("tokens", "tokens")]
    elif has("verifier"):
        kinds = [("responses", "texts")]
    elif has("functions") or (has("weights") and signature.having("weights")[0].required):
        kinds = [("functions", "functions"), ("flat", "flat")]
    elif has("ids"):
        kinds = [("ids", "flat"), ("ids", "objects"), ("ids", "matrix")]
    elif has("size"):
        kinds = [("flat", "flat"), ("flat", "objects"), ("flat", "records"), ("matrix", "matrix"), ("group", "group")]
    else:
        kinds = [("matrix", "matrix"), ("group", "group"), ("lists", "lists"), ("group", "objects"), ("ids", "objects")]
        kinds += [("group", "records"), ("lists", "mapping")]
        if _size_is_hidden(signature):
            kinds.insert(0, ("flat", "flat"))
    if layout and layout not in dict(kinds):
        kinds = [(layout, {"ids": "flat", "responses": "texts"}.get(layout, layout))]
    for (kind, form), mask in itertools.product([k for k in kinds if layout in (None, k[0])], masks):
        for ids in _id_forms(signature, backend) if kind in ("ids", "tokens") else ("texts",):
            for verdict in ("mapping", "number") if kind == "responses" else ("mapping",):
                yield kind, Forms(form, backend, ids, "matrix" if form == "matrix" and has("mask") else mask, verdict)


def _id_forms(signature: Signature, backend: str) -> list[str]:
    """How ids may be told, what the annotation says first."""
    forms = ["texts", "list", "numbers", "array", "rows"]
    kind = "".join(p.annotation for p in signature.having("ids")).lower()
    first = "array" if "tensor" in kind or "jnp" in kind or "jax" in kind else "numbers" if "int" in kind else ""
    if (not first and "list" in kind) or "sequence" in kind:
        first = "list"
    return sorted(forms, key=lambda form: form != first)


def _size_is_hidden(signature: Signature) -> bool:
    """Whether the group size is in the object or in a configuration, not among the parameters."""
    if sized_attributes(holder_of(signature.function)) or any(p.required for p in signature.having("config")):
        return True
    if signature.owner is None:
        return False
    made = list(map(str, describe_owner(signature.owner)))
    return "size" in made or "config" in made


def describe_owner(owner: type) -> list[str | None]:
    """Roles of what a class asks for when it is made."""
    try:
        return [role_of(n) for n in inspect.signature(owner).parameters]
    except (ValueError, TypeError):
        return []


def likely_backends(signature: Signature) -> list[str]:
    """Backends in the order worth trying: what the code refers to, else what the file around it imports."""
    if signature.has("tokens"):
        return ["torch"]
    own, annotations = signature.packages, " ".join(p.annotation for p in signature.parameters).lower()
    arrays = signature.methods & ARRAY_METHODS and "statistics" not in own
    order: list[str] = []
    if "list" in annotations or "sequence" in annotations or "iterable" in annotations:
        order.append("list")
    order += [
        kind
        for kind in ("torch", "jax", "numpy")
        if kind in annotations or (kind == "numpy" and "ndarray" in annotations)
    ]
    order += [kind for kind in ("torch", "jax", "numpy") if kind in own]
    if signature.methods & TORCH_METHODS:
        order.append("torch")
    if not own & {"torch", "jax", "numpy"} and not arrays:
        order.append("list")
    order += ["torch"] if "torch" in signature.around else []  # numpy and jax agree where both run; torch's std differs
    order += ["numpy", "jax", "list", "torch"] if arrays else ["list", "numpy", "jax", "torch"]
    return [kind for kind in dict.fromkeys(order) if installed(kind)]


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
    """Whether a group size that is not among the parameters makes a difference at all."""
    if tried.adapter.signature.has("size"):
        return True
    try:
        pairs = tried.target.evaluate(PROBE.reshape(3, 2))
    except (Raised, InputError):
        return True
    return not np.allclose(pairs.ravel(), tried.answer.ravel(), equal_nan=True)


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
    matrix, group = by_layout.get("matrix"), by_layout.get("group")
    if matrix is None or group is None or _agree(matrix, group):
        return matrix or group or first, []
    return _matrix_or_group(signature, matrix, group, name)


def _matrix_or_group(signature, matrix: Candidate, group: Candidate, name: str) -> tuple[Candidate, list[str]]:
    """Whole matrix or row by row, where it makes a difference."""
    text = signature.text
    lists = any("list" in p.annotation.lower() for p in signature.having("rewards"))
    nested = any(
        p.annotation.lower().count("list") + p.annotation.lower().count("sequence") > 1 for p in signature.parameters
    )
    for_group = (lists and not nested) + any(
        w in text for w in ("[g]", "(g,)", "(group_size,)", "one group", "single group")
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
    return show(np.round(_evaluated(c.target, rewards), 3) + 0.0)


def _agree(a: Candidate, b: Candidate) -> bool:
    """Whether two ways of calling answer alike, on the probe and on graded groups of another shape."""
    return _agree_on(PROBE, a, b) and _agree_on(GRADED, a, b)


def _agree_on(rewards: np.ndarray, a: Candidate, b: Candidate) -> bool:
    x, y = _evaluated(a.target, rewards), _evaluated(b.target, rewards)
    return np.allclose(x, y, rtol=1e-4, atol=1e-4, equal_nan=True)


def _settle_memory(target: Target, adapter: Adapter, memory: Memory, name: str) -> None:
    """Find out whether the answers depend on earlier calls; if on what it remembers, let it forget before each call."""
    owner = adapter.signature.owner
    if owner is not None:
        target.notes.append(f"each call gets a fresh {owner.__name__}")
        target.state = _state_of_one_object(target, adapter)
        return
    memory.restore()
    other = {"real": OTHER, "unit": UNIT_OTHER, "binary": 1 - PROBE}[target.rewards]
    first, second, third = (_evaluated(target, r) for r in (PROBE, other, PROBE))
    changed = memory.changed()
    memory.restore()
    if _same(first, third) and _same(second, _evaluated(target, other)):
        memory.restore()
        return
    target._function = fresh(adapter, memory)
    if _same(_evaluated(target, PROBE), _evaluated(target, PROBE)) and changed:
        target.state = ", ".join(sorted(changed))
        return
    calls = f"two calls on the rewards {show(PROBE)} differ"
    target._function = seeded(adapter)
    if not changed or _same(_evaluated(target, PROBE), _evaluated(target, PROBE)):
        raise InputError(f"{name} is random: {calls}; seed or remove it")
    raise InputError(f"{name} is random, or keeps state that cannot be put back: {calls}; seed or remove it")


def _state_of_one_object(target: Target, adapter: Adapter) -> str:
    """What an object would remember from one call to the next, if it were used twice."""
    assert adapter.signature.owner is not None
    method = types.MethodType(adapter.signature.function, filled(adapter.signature.owner, PROBE.shape[1]))
    once = dataclasses.replace(adapter, signature=dataclasses.replace(adapter.signature, function=method, owner=None))
    memory = Memory(method)
    first = once(PROBE)
    try:
        once(1 - PROBE)
        lasts = not _same(first, once(PROBE))
    except Exception:  # a second call on one object fails
        lasts = True
    return ", ".join(sorted(memory.changed())) if lasts else ""


def _evaluated(target: Target, rewards: np.ndarray) -> np.ndarray:
    try:
        return target.evaluate(rewards)
    except Raised:
        return np.full(rewards.shape, np.nan)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a, b, equal_nan=True)


def _precisions(target: Target, dtype: str | None) -> tuple[str, ...]:
    """The dtypes it is judged in: both float64 and float32 for torch and jax, which train in the latter."""
    if dtype:
        return (dtype,)
    if target.backend in ("list", "numpy"):
        return ("float32",) if noise(target) > 1e-10 else ("float64",)
    running = []
    for name in DTYPES[:2]:
        try:
            target.at(name).evaluate(PROBE)
        except (Raised, InputError):
            continue
        running.append(name)
    if running == ["float32"]:
        target.notes.append("it does not run in float64")
    elif noise(target.at("float64")) > 1e-10:
        target.notes.append("it computes in float32 inside, whatever it is given")
        target.at("float64").unit_roundoff = unit_roundoff("float32")
        return ("float32",) if "float32" in running else ("float64",)
    return tuple(running)


def noise(target: Target) -> float:
    """How far the answers jump where the rewards move smoothly: the precision of what happens inside.

    Second differences along a line of rewards, in steps of a third of float32's spacing: about 1e-15 where all is
    computed in float64, about 1e-7 where something inside is rounded to float32.
    """
    base = np.array([[0.1, 0.7, 0.35], [0.3, 0.9, 0.25]])
    direction = np.array([[1.0, -0.7, 0.4], [0.6, 0.3, -0.8]]) * 2.0**-25
    if target.rewards == "binary":
        return 0.0
    try:
        answers = [target.evaluate(base + k * direction) for k in range(7)]
    except (Raised, InputError):
        return 0.0
    bend = np.diff(np.stack(answers), n=2, axis=0)
    return float(np.nanmax(np.abs(bend))) if np.isfinite(bend).any() else 0.0


def _given(signature: Signature) -> list[str]:
    """What was passed for parameters that say nothing about rewards."""
    values = {
        "epsilon": f"{EPSILON:g}",
        "flag": "True",
        "one": "1",
        "config": "a configuration with the usual settings",
    }
    told = [f"{p.name} = {values[p.role]}" for p in passed(signature) if p.role in values]
    return [f"passed: {', '.join(told)}"] if told else []


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
