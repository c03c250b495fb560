"""`symtheory sweep`: a grid of training runs, on as many devices, processes and machines as there are."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional


def run(
    config: Annotated[Path | None, Positional] = None,
    out: Path = Path("results/sweep"),
    shard: str = "0/1",
    coordinator: str | None = None,
    process: str | None = None,
    example: bool = False,
) -> None:
    """Train every combination of estimators, parameters, difficulties, group sizes, learning rates and seeds.

    Writes OUT/NAME.nc, one labelled dataset with a dimension for every axis (open it with xarray). The work is cut into
    tiles, kept in OUT/cache: interrupted commands resume, a larger grid runs only its new tiles, and any number of
    devices, shards or hosts gives the same bytes. To start, `symtheory sweep --example > my.toml`.

    Examples to paste:

        $ symtheory sweep --example > my.toml
        $ symtheory sweep my.toml

    Args:
        config: TOML file of the sweep; --example prints one with comments.
        out: Folder for the results; shards and hosts share it.
        shard: i/n: only every n-th tile, from the i-th (0 to n - 1). Shards do not communicate: in a Slurm
            array of n, --shard $SLURM_ARRAY_TASK_ID/n. The shard that finishes last writes the dataset.
        coordinator: HOST:PORT of process 0, to run as one job of several processes by jax.distributed; "auto" under
            Slurm or Open MPI. Process 0 writes the dataset. If one process dies, all of them end: prefer --shard.
        process: i/n: which of the n processes this is, with --coordinator HOST:PORT.
        example: Print an example configuration and stop.
    """
    from ..errors import InputError
    from ..studies import sweep, sweep_file

    if example:
        print(sweep_file.EXAMPLE, end="")
        return
    if config is None:
        raise InputError("config is missing: give the TOML file of a sweep; --example prints one")
    index, count = _part("shard", shard)

    import jax
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from ..dynamics import use_all_cores
    from ..storage import store, tiles

    use_all_cores()
    if coordinator is not None:
        if coordinator == "auto":
            jax.distributed.initialize()
        else:
            this, all_of_them = _part("process", process or "")
            jax.distributed.initialize(coordinator, all_of_them, this)
        index, count = jax.process_index(), jax.process_count()
    described = sweep_file.read(config)
    tiles.prepare(out)
    planned = sweep.plan(described)
    cache = out / "cache"
    console = Console()
    columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        mine = planned[index::count]
        task = progress.add_task("tiles", total=len(mine))
        parts = tiles.run(mine, cache, sweep.NAME, lambda done: progress.advance(task, done))
    if coordinator is not None:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices("all tiles are finished")
        if index > 0:
            return
    left = sweep.unfinished(planned, cache)
    if left and coordinator is None:
        console.print(f"shard {shard} is finished; {left} of {len(planned)} tiles are left to the others")
        return
    if left:
        raise InputError(f"{left} of {len(planned)} tiles are missing in {cache}; all processes must share this folder")
    if count > 1:
        parts = tiles.run(planned, cache, sweep.NAME)
    result = sweep.gather(described, parts)
    store.save(result, out / f"{described.name}.nc")
    sizes = ", ".join(f"{name} {size}" for name, size in result.sizes.items() if size > 1)
    console.print(f"{out / described.name}.nc: {sizes}", highlight=False, soft_wrap=True)


def _part(name: str, text: str) -> tuple[int, int]:
    """i and n of "i/n"."""
    from ..errors import InputError

    i, slash, n = text.partition("/")
    if not (slash and i.isdecimal() and n.isdecimal() and int(i) < int(n)):
        raise InputError(f"{name} must be i/n with 0 <= i < n, got {text!r}")
    return int(i), int(n)
