"""The command line: each module of this package is one command, and its `run` function holds the arguments.

Command modules import numpy, jax, sympy and matplotlib inside `run`, so that `symtheory --help` answers at once.
"""

import importlib
import pkgutil
import sys


def commands() -> dict:
    """Command name -> function, for every module of this package."""
    modules = (importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__))
    return {m.__name__.rpartition(".")[2].replace("_", "-"): m.run for m in modules}


def main() -> None:
    """Run one command; bad input ends in one sentence and exit status 2, Ctrl-C in status 130."""
    import tyro

    from ..errors import InputError

    try:
        status = tyro.extras.subcommand_cli_from_dict(
            commands(),
            prog="symtheory",
            description="Implicit advantage symmetry in group-relative RL (arXiv:2602.05548): reproduce, prove, test.",
            sort_subcommands=False,
        )
    except InputError as error:
        sys.exit(_say(f"symtheory: {error}", 2))
    except OSError as error:
        sys.exit(_say(f"symtheory: {error.strerror or error}: {error.filename or ''}".rstrip(": "), 1))
    except KeyboardInterrupt:
        sys.exit(_say("symtheory: stopped; what is finished is kept, and the same command goes on from there", 130))
    sys.exit(status or 0)


def _say(message: str, status: int) -> int:
    print(message, file=sys.stderr)
    return status
