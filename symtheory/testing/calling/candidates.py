"""The ways in which a function may be meant to be called, by its signature alone, the likeliest first."""

import inspect
import itertools
from collections.abc import Iterator

from .adapter import Adapter
from .arrays import installed
from .fill import Forms
from .signature import Signature, role_of
from .sizes import constants, holder_of, sized_attributes

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
    return [signature.with_role(next(iter(unknown)).name, role) for role in ("size", "ids") if not signature.has(role)]


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
    """Whether the group size is in the object, in a configuration or a constant, not among the parameters."""
    if (
        constants(signature.function)
        or sized_attributes(holder_of(signature.function))
        or any(p.required for p in signature.having("config"))
    ):
        return True
    if signature.owner is None:
        return False
    named = [n for n, v in vars(signature.owner).items() if isinstance(v, int)]
    made = [*map(role_of, named), *describe_owner(signature.owner)]
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
    order += [kind for kind in ("torch", "jax", "numpy") if kind in signature.annotated]
    order += [kind for kind in ("torch", "jax", "numpy") if kind in own]
    if signature.methods & TORCH_METHODS:
        order.append("torch")
    if not own & {"torch", "jax", "numpy"} and not arrays:
        order.append("list")
    order += [kind for kind in ("torch", "jax") if kind in signature.around]
    order += ["numpy", "jax", "list", "torch"] if arrays else ["list", "numpy", "jax", "torch"]
    return [kind for kind in dict.fromkeys(order) if installed(kind)]
