"""`symtheory explore`: the interactive laboratory in a browser."""

from typing import Annotated, Literal

from tyro.conf import Positional

Name = Literal["index", "plane", "difficulty", "one_step", "tree", "replay", "estimator"]


def run(name: Annotated[Name, Positional] = "index", browser: bool = True, port: int | None = None) -> int:
    """Explore by dragging sliders: regimes in which asymmetry helps and in which it hurts.

    Serves marimo apps on this machine (127.0.0.1) to whoever holds the token in the address, until Ctrl-C.

    Args:
        name: index: all of them. plane: an estimator anywhere on the symmetry plane. difficulty: populations of prompts
            from easy to hard. one_step: one group of rollouts, theory against measured. tree: mass moving through a
            reasoning tree. replay: a saved training of the transformer. estimator: your own, typed in.
        browser: Open the browser.
        port: Port to serve on; a free one by default.
    """
    import importlib.util
    import os
    import subprocess
    import sys

    from ..errors import InputError
    from ..paths import cache, notebooks

    if importlib.util.find_spec("marimo") is None:
        raise InputError('explore needs marimo; install it with: pip install "symtheory[explore]"')
    place = notebooks()
    apps = sorted(place.glob("*.py")) if name == "index" else [place / f"{name}.py"]
    if not apps or not apps[0].exists():
        raise InputError(f"no notebook {name!r} in {place}")
    if port is not None and not 1 <= port <= 65535:
        raise InputError(f"port must be between 1 and 65535, got {port}")
    command = [sys.executable, "-m", "marimo", "--yes", "run", *map(str, apps), "--no-sandbox", "--no-check"]
    command += ["--host", "127.0.0.1", "--token"]  # any program of this machine could use an app without a token
    command += [] if browser else ["--headless"]
    command += [] if port is None else ["--port", str(port)]
    compiled = {"JAX_COMPILATION_CACHE_DIR": str(cache() / "xla"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3"}
    return subprocess.run(command, env={**compiled, **os.environ}).returncode
