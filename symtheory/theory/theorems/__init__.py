"""The theorems: statements with their derivations. Each module of this folder registers its own on import."""

import functools
import importlib
import pkgutil

from ... import estimators
from ...errors import no_such
from ...estimators import Estimator
from ..proofs import FAMILIES, THEOREMS, Theorem, statement_of


def about(family: str, estimator: Estimator) -> Theorem:
    """The theorem of a family about one estimator, which need not be registered."""
    _load()
    function, source = FAMILIES[family]
    statement = statement_of(function).replace("NAME", estimator.name)
    return Theorem(f"{family}:{estimator.name}", statement, source, lambda: function(estimator))


def families() -> tuple[str, ...]:
    """Names of the theorem families that hold one theorem per estimator."""
    _load()
    return tuple(FAMILIES)


def theorems() -> dict[str, Theorem]:
    """All theorems by id, those about each registered estimator included."""
    each = [about(family, estimators.get(name)) for family in families() for name in estimators.names("two_class")]
    return {**THEOREMS, **{t.id: t for t in each}}


def find(id: str) -> Theorem:
    """The theorem of this id; raises `InputError` for an unknown one."""
    known = theorems()
    if id not in known:
        raise no_such("theorem", id, known)
    return known[id]


@functools.cache
def _load() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
