"""What to say when a function cannot be called: one sentence, and an adapter to paste and fill in."""

from ...errors import InputError
from .fill import passed
from .signature import Signature, plain_function


class Refusal(InputError):
    """A callable that check cannot call by itself; `adapter` is code that would let it."""

    def __init__(self, sentence: str, signature: Signature) -> None:
        super().__init__(sentence)
        self.signature = signature

    @property
    def adapter(self) -> str:
        """A file to save: the function with everything but the rewards filled in by its user."""
        f = plain_function(self.signature.function)
        name = getattr(f, "__name__", "f")
        file = getattr(getattr(f, "__code__", None), "co_filename", "") or "your_file.py"
        known = {
            "rewards": "rewards",
            "tokens": "rewards[:, None]",
            "size": "num_generations",
            "ids": "[i // num_generations for i in range(len(rewards))]",
            "epsilon": "1e-6",
            "flag": "True",
            "one": "1.0",
        }
        wanted = [*passed(self.signature), *self.signature.unknown]
        arguments = ", ".join(f"{p.name}={known.get(p.role or '', '...  # fill in')}" for p in wanted)
        arguments = ",\n        ".join(a for a in arguments.split(", ")) if "fill in" in arguments else arguments
        return (
            f"# adapter.py: fill in what rewards do not give, then run: symtheory check adapter.py:advantages\n"
            f"from symtheory.testing import load\n\n"
            f'{name} = load("{file}:{getattr(f, "__qualname__", name)}")\n\n\n'
            f"def advantages(rewards, num_generations):  # flat rewards, groups of num_generations in a row\n"
            f"    return {name}(\n        {arguments}\n    )\n"
        )
