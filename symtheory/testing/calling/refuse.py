"""What to say when a function cannot be called: one sentence, and an adapter to paste and fill in."""

import inspect

from ...errors import InputError
from .candidates import likely_backends
from .fill import passed
from .signature import Signature, name_of, plain_function, role_of

ARRAYS = {
    "list": ("", "list[float]", "[1.0] * len(rewards)"),
    "numpy": ("import numpy as np\n", "np.ndarray", "np.ones_like(rewards)"),
    "torch": ("import torch\n", "torch.Tensor", "torch.ones_like(rewards)"),
    "jax": ("import jax\nimport jax.numpy as jnp\n", "jax.Array", "jnp.ones_like(rewards)"),
}
"""Backend -> its import, the type of an array, and ones like the rewards."""


class Refusal(InputError):
    """A callable that check cannot call by itself; `adapter` is code that would let it."""

    def __init__(self, sentence: str, signature: Signature) -> None:
        super().__init__(sentence)
        self.signature = signature

    @property
    def adapter(self) -> str:
        """A file to save: the function with everything but the rewards filled in by its user."""
        f, owner = plain_function(self.signature.function), self.signature.owner
        written = hasattr(f, "__code__")
        name = f.__name__ if written else name_of(self.signature.function)
        file = getattr(getattr(f, "__code__", None), "co_filename", "") or "your_file.py"
        importing, kind, ones = ARRAYS[(likely_backends(self.signature) or ["numpy"])[0]]
        loaded = owner.__name__ if owner else f.__qualname__ if written else name
        call = f"{loaded}(\n{_made(owner)}    ).{name}" if owner else name
        arguments = "".join(f"        {line}\n" for line in _lines(self._known(ones), self._wanted()))
        return (
            "# adapter.py: fill in what rewards do not give, then run: symtheory check adapter.py:advantages\n"
            f"{importing}\n"
            "from symtheory.testing import load\n\n"
            f'{loaded.split(".")[-1]} = load("{file}:{loaded}")\n\n\n'
            f"def advantages(rewards: {kind}, num_generations: int):  # flat rewards, groups in a row\n"
            f"    return {call}(\n{arguments}    )\n"
        )

    def _wanted(self) -> list[tuple[str, str | None]]:
        """Name and role of every parameter that gets an argument."""
        given = {p.name for p in (*passed(self.signature), *self.signature.unknown)}
        return [(p.name, p.role) for p in self.signature.parameters if p.name in given]

    def _known(self, ones: str) -> dict[str, str]:
        """Role -> the argument for it."""
        tokens = self.signature.has("tokens")
        return {
            "rewards": "rewards",
            "tokens": "rewards[:, None]",
            "functions": "rewards[:, None]",
            "mask": f"{ones}[:, None]" if tokens else ones,
            "size": "num_generations",
            "count": "len(rewards) // num_generations",
            "ids": "[i // num_generations for i in range(len(rewards))]",
            "epsilon": "1e-6",
            "flag": "True",
            "one": "1.0",
            "device": '"cpu"',
        }


def _made(owner: type | None) -> str:
    """The arguments that a class is made with, one a line."""
    known = {"size": "num_generations", "epsilon": "1e-6", "flag": "True", "one": "1.0", "device": '"cpu"'}
    try:
        required = [n for n, q in inspect.signature(owner).parameters.items() if q.default is q.empty]  # type: ignore
    except (ValueError, TypeError):
        return ""
    return "".join(f"        {line}\n" for line in _lines(known, [(n, role_of(n)) for n in required]))


def _lines(known: dict[str, str], wanted: list[tuple[str, str | None]]) -> list[str]:
    """`name=argument,` for each; what is not known is left to fill in."""
    return [f"{n}={known[role]}," if role in known else f"{n}=...,  # fill in" for n, role in wanted]
