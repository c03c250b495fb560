"""The command line: each module of this package is one command, and its `run` function holds the arguments.

Command modules import numpy, jax, sympy and matplotlib inside `run`, so that `symtheory --help` answers at once.
"""

import functools
import importlib
import os
import pkgutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

WRITTEN = ("out", "verdicts", "atlas")
"""Arguments of commands that name what they write."""
STOPPED = "symtheory: stopped. Finished parts are kept; run the same command again to resume."


def commands() -> dict[str, Callable]:
    """Command name -> function, for every module of this package."""
    modules = (importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__))
    return {m.__name__.rpartition(".")[2].replace("_", "-"): _with_out_checked(m.run) for m in modules}


def _with_out_checked(command: Callable) -> Callable:
    """The command, which says before it computes that a path it writes to cannot be written."""

    @functools.wraps(command)
    def run(*args, **options):
        for name in WRITTEN:
            if options.get(name) is not None:
                check_out(options[name], name)
        return command(*args, **options)

    return run


def check_out(out: Path, name: str = "out") -> None:
    """Raise an `InputError` if `out` cannot be written; a path with a suffix may be a file."""
    from ..errors import InputError

    nearest = next(path for path in (out, *out.absolute().parents) if path.exists())
    file_wanted = nearest == out and bool(out.suffix)
    if not (nearest.is_dir() or file_wanted):
        raise InputError(f"{name} must be a path that can be written, got {str(out)!r}: {str(nearest)!r} is a file")
    folder = nearest.parent if file_wanted else nearest
    try:
        tempfile.TemporaryFile(dir=folder).close()  # rights alone do not tell: a superuser has them in /proc too
    except OSError:
        raise InputError(
            f"{name} must be a path that can be written, got {str(out)!r}: nothing can be made in {str(folder)!r}"
        ) from None


def main() -> None:
    """Run one command; bad input ends in one sentence and exit status 2, Ctrl-C in status 130."""
    import tyro

    from .. import __version__
    from ..errors import InputError

    if sys.argv[1:] == ["--version"]:
        print(f"symtheory {__version__}")
        return
    _obey_ctrl_c(within=1.5)
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
        _stop()
    sys.exit(status or 0)


def _obey_ctrl_c(within: float) -> None:
    """Let Ctrl-C end the process in so many seconds even where Python does not see it, as inside an XLA compilation."""
    waiting, told = socket.socketpair()
    told.setblocking(False)
    signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)

    def watch():
        while told.fileno() >= 0 and waiting.recv(1)[0] != signal.SIGINT:
            pass
        time.sleep(within)
        _stop()

    threading.Thread(target=watch, daemon=True).start()

    def unraisable(unraised):
        # Python drops a KeyboardInterrupt that comes in a destructor or in a hook of its garbage collector
        _stop() if isinstance(unraised.exc_value, KeyboardInterrupt) else sys.__unraisablehook__(unraised)

    sys.unraisablehook = unraisable


def _stop() -> None:
    """End now: an ordinary exit would wait for what devices still compute."""
    if sys.stdout.isatty():
        print("\x1b[?25h", end="")  # a progress bar hides the cursor
    _say(STOPPED, 130)
    sys.stdout.flush()
    os._exit(130)


def _say(message: str, status: int) -> int:
    print(message, file=sys.stderr)
    return status
