"""Nothing is lost: what a killed, starved or interrupted command leaves behind, seen through the command line.

Commands run in processes forked from a server that has imported the package, so that each starts in milliseconds.
"""

import ctypes
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

import h5py
import pytest

from symtheory.cli import STOPPED
from symtheory.storage import store

CONFIG = """
estimators = ["grpo"]
difficulties = [0.1, 0.5]
learning_rates = [0.1, 1.0]
seeds = 6
tile = 6
steps = 20
stride = 10
ks = [1, 16]
[bandit]
trajectories = 16
correct = 3
"""
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["symtheory.studies.sweep", "rich.progress", "tyro", "h5netcdf"])


def obey_file_modes():
    """Give up the capability (CAP_DAC_OVERRIDE) by which root writes where the file mode forbids it."""
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.capget(header, sets) == 0
    sets[0] &= ~2
    assert libc.capset(header, sets) == 0


def child(arguments, log, environment, limit, unprivileged):
    """The body of a process: `symtheory ARGUMENTS` with its output in a file."""
    import jax

    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    for name, value in environment.items():
        jax.config.update(name, value)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if unprivileged:
        obey_file_modes()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's children are born deaf to it
    sys.argv = ["symtheory", *arguments]
    from symtheory.cli import main

    main()


class Command:
    """`symtheory ARGUMENTS`, started now; `wait` gives its exit status, `says` the lines that it wrote.

    Compiled programs are kept in the folder `programs`, by default one beside the log.
    """

    def __init__(self, *arguments, log, programs=None, devices=1, limit=None, unprivileged=False):
        self.log = log
        programs = str(programs or log.parent / "programs")
        environment = {"jax_num_cpu_devices": devices, "jax_compilation_cache_dir": programs}
        arguments = list(map(str, arguments))
        self.process = context.Process(target=child, args=(arguments, log, environment, limit, unprivileged))
        self.process.start()

    def wait(self, seconds=240):
        self.process.join(seconds)
        return self.process.exitcode

    @property
    def says(self):
        """What it wrote, without the progress bar."""
        return [line for line in self.log.read_text().splitlines() if line.strip() and not line.startswith("tiles ")]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A sweep that ran to its end undisturbed: its configuration, its folder and the bytes of its result."""
    folder = tmp_path_factory.mktemp("finished")
    config = folder / "small.toml"
    config.write_text(CONFIG)
    command = Command("sweep", config, "--out", folder / "out", log=folder / "log", devices=2)
    assert command.wait() == 0, command.log.read_text()
    return config, folder / "out", (folder / "out/small.nc").read_bytes()


@pytest.fixture
def sweep(finished, tmp_path):
    """A function that starts the same sweep in an empty folder, with all programs compiled."""
    config, done, _ = finished
    options = {"programs": done.parent / "programs"}

    def start(*arguments, log="log", **others):
        return Command("sweep", config, "--out", tmp_path / "out", *arguments, log=tmp_path / log, **options, **others)

    return start


def tiles(out):
    return sorted((out / "cache").glob("sweep-*.nc"))


def killed_at_random(start, kills, longest):
    """Start a command again and again, each time killed after a random time; returns how often it had ended before."""
    rng = random.Random(0)
    ended = 0
    for _ in range(kills):
        command = start()
        command.process.join(rng.uniform(0, longest))
        ended += not command.process.is_alive()
        command.process.kill()
        command.wait()
    return ended


@pytest.mark.slow
@pytest.mark.parametrize("kills", [3, 20])
def test_a_sweep_killed_at_random_moments_ends_with_the_same_bytes(finished, sweep, tmp_path, kills):
    started = time.monotonic()
    command = sweep()
    assert command.wait() == 0
    whole = time.monotonic() - started
    for path in [*tiles(tmp_path / "out"), tmp_path / "out/small.nc"]:
        path.unlink()
    killed_at_random(sweep, kills, whole)
    kept = {path: path.stat().st_mtime_ns for path in tiles(tmp_path / "out")}
    assert sweep().wait() == 0
    assert (tmp_path / "out/small.nc").read_bytes() == finished[2]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "finished tiles were made again"
    assert list((tmp_path / "out").rglob(".*tmp*")) == []


def test_shards_in_any_order_give_the_bytes_of_the_whole(finished, sweep, tmp_path):
    for shard in ("2/3", "0/3"):
        command = sweep("--shard", shard)
        assert command.wait() == 0
        assert not (tmp_path / "out/small.nc").exists()
    assert sweep("--shard", "1/3").wait() == 0
    assert (tmp_path / "out/small.nc").read_bytes() == finished[2]


def test_two_processes_on_one_folder_at_once_both_end_well(finished, sweep, tmp_path):
    both = [sweep(log="one"), sweep(log="two")]
    assert [command.wait() for command in both] == [0, 0]
    assert (tmp_path / "out/small.nc").read_bytes() == finished[2]
    assert len(tiles(tmp_path / "out")) == 4


def test_a_full_disk_ends_in_one_sentence_and_leaves_no_partial_file(finished, sweep, tmp_path):
    largest = max(path.stat().st_size for path in tiles(finished[1]))
    command = sweep(limit=largest // 2)
    assert command.wait() == 1
    (sentence,) = command.says
    assert "File too large" in sentence
    assert str(tmp_path / "out/cache/sweep-") in sentence
    assert tiles(tmp_path / "out") == []
    assert list((tmp_path / "out").rglob(".*tmp*")) == []


def test_damaged_tiles_are_named_and_made_again(finished, sweep, tmp_path):
    assert sweep("--shard", "0/2").wait() == 0
    truncated, flipped, *_ = tiles(tmp_path / "out")
    truncated.write_bytes(truncated.read_bytes()[:1000])
    content = bytearray(flipped.read_bytes())
    with h5py.File(flipped) as file:
        content[file["entropy"].id.get_chunk_info(0).byte_offset + 1] ^= 64
    flipped.write_bytes(content)
    command = sweep()
    assert command.wait() == 0
    assert (tmp_path / "out/small.nc").read_bytes() == finished[2]
    for path in (truncated, flipped):
        assert f"{path} is damaged; it is made again" in command.log.read_text().replace("\n", " ")


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(finished, tmp_path):
    (tmp_path / "out").mkdir(mode=0o555)
    for arguments in (["sweep", finished[0]], ["plane"], ["reproduce"], ["replay", "ci"], ["tree", "picture"]):
        command = Command(*arguments, "--out", tmp_path / "out", log=tmp_path / "log", unprivileged=True)
        assert command.wait() == 2
        out = f"{tmp_path}/out"
        sentence = f"out must be a path that can be written, got {out!r}: nothing can be made in {out!r}"
        assert command.says == [f"symtheory: {sentence}"]


def test_ctrl_c_ends_a_command_before_its_work_is_done_and_says_what_is_kept(tmp_path):
    """At first the signal comes while XLA compiles, where Python does not look; the work would take minutes."""
    config = tmp_path / "long.toml"
    config.write_text(CONFIG.replace("steps = 20", "steps = 20_000_000").replace("stride = 10", "stride = 10_000_000"))
    for moment in (0, 0.5, 2):
        out = tmp_path / f"{moment}"
        command = Command("sweep", config, "--out", out, log=tmp_path / "log")
        while not (out / "cache").exists():
            assert command.process.is_alive(), command.log.read_text()
            time.sleep(0.01)
        time.sleep(moment)
        os.kill(command.process.pid, signal.SIGINT)
        assert command.wait() == 130, command.log.read_text()
        assert command.says == [STOPPED]
        assert tiles(out) == []


def test_a_keyboard_interrupt_that_python_would_drop_ends_the_command_too():
    code = (
        "import gc, os, signal, symtheory.cli as c; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "c._obey_ctrl_c(within=60); gc.callbacks.append(lambda *_: signal.raise_signal(signal.SIGINT))\n"
        "gc.collect(); print('went on')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (130, "")
    assert run.stderr.strip() == STOPPED


def test_a_bad_configuration_ends_in_one_sentence_and_writes_nothing(tmp_path):
    (tmp_path / "bad.toml").write_text(CONFIG.replace("seeds = 6", "seeds = [1, 2, 1]"))
    command = Command("sweep", tmp_path / "bad.toml", "--out", tmp_path / "out", log=tmp_path / "log")
    assert command.wait() == 2
    assert command.says == ["symtheory: seeds must not repeat a value, got 1 twice"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("devices", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (4, 8))])
def test_any_number_of_devices_gives_the_same_bytes(finished, sweep, tmp_path, devices):
    assert sweep(devices=devices).wait() == 0
    assert (tmp_path / "out/small.nc").read_bytes() == finished[2]


@pytest.mark.slow
def test_two_processes_of_one_job_give_the_same_bytes(finished, sweep, tmp_path):
    """Over loopback by jax.distributed; process 0 gathers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    job = [sweep("--coordinator", f"127.0.0.1:{port}", "--process", f"{i}/2", log=f"log{i}", devices=2) for i in (0, 1)]
    assert [command.wait() for command in job] == [0, 0], [command.log.read_text() for command in job]
    assert (tmp_path / "out/small.nc").read_bytes() == finished[2]


@pytest.mark.slow
def test_a_job_that_lost_a_process_in_mid_sweep_is_started_again_and_gives_the_same_bytes(finished, sweep, tmp_path):
    """Two processes of two devices. After the kill the other would wait, so it is ended too, as a launcher does."""

    def start():
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        job = ("--coordinator", f"127.0.0.1:{port}", "--process")
        return [sweep(*job, f"{i}/2", log=f"log{i}", devices=2) for i in (0, 1)]

    job = start()
    while not tiles(tmp_path / "out"):
        assert all(command.process.is_alive() for command in job), [command.log.read_text() for command in job]
        time.sleep(0.005)
    for command in reversed(job):
        command.process.kill()
        command.wait()
    assert not (tmp_path / "out/small.nc").exists(), "the sweep had ended before the kill: this test tests nothing"
    assert [command.wait() for command in start()] == [0, 0]
    assert (tmp_path / "out/small.nc").read_bytes() == finished[2]


COMMANDS = {
    "plane": ["plane", "--points", "5", "--seeds", "2"],
    "reproduce": ["reproduce", "--only", "table3", "--seeds", "2"],
    "replay": ["replay", "ci", "--part", "training", "--seeds", "3", "--steps", "20", "--pretraining", "20"],
}


class Kept:
    """A command that keeps results, and what it left when it ran undisturbed to its end."""

    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        started = time.monotonic()
        command = self.start(folder / "whole")
        assert command.wait(500) == 0, command.log.read_text()
        self.seconds = time.monotonic() - started

    def start(self, out, **options):
        return Command(*self.arguments, "--out", out, log=self.folder / f"{out.name}.log", devices=2, **options)

    @staticmethod
    def results(out):
        """Bytes of all results; the command, which a published one names, is left out, since the folder is in it."""
        found = {}
        for path in out.rglob("*.nc"):
            dataset = store.load(path)
            dataset.attrs.pop("command", None)
            content = path.read_bytes() if path.parent.name == "cache" else dataset.to_netcdf(engine="h5netcdf")
            found[str(path.relative_to(out))] = bytes(content)
        return found

    def assert_whole(self, out):
        assert self.results(out) == self.results(self.folder / "whole")
        assert list(out.rglob(".*tmp*")) == []


@pytest.fixture(scope="module", params=COMMANDS)
def kept(request, tmp_path_factory):
    return Kept(COMMANDS[request.param], tmp_path_factory.mktemp(request.param))


@pytest.mark.slow
def test_every_command_goes_on_after_kills_to_the_same_bytes(kept, tmp_path):
    killed_at_random(lambda: kept.start(tmp_path / "out", programs=tmp_path / "programs"), 5, kept.seconds)
    assert kept.start(tmp_path / "out").wait(500) == 0
    kept.assert_whole(tmp_path / "out")


@pytest.mark.slow
def test_every_command_makes_what_is_damaged_again(kept, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(kept.folder / "whole", out)
    damaged = sorted((out / "cache").glob("*.nc"))[0]
    damaged.write_bytes(damaged.read_bytes()[:1000])
    command = kept.start(out)
    assert command.wait(500) == 0
    assert f"{damaged} is damaged; it is made again" in command.log.read_text().replace("\n", " ")
    kept.assert_whole(out)


@pytest.mark.slow
def test_every_command_shares_its_folder_with_another_process(kept, tmp_path):
    out = tmp_path / "out"
    both = [kept.start(out), kept.start(out)]
    assert [command.wait(500) for command in both] == [0, 0]
    kept.assert_whole(out)


@pytest.mark.slow
def test_every_command_ends_in_one_sentence_on_a_full_disk_and_on_ctrl_c(kept, tmp_path):
    out = tmp_path / "out"
    command = kept.start(out, limit=2000)
    assert command.wait(500) == 1
    assert re.fullmatch(rf"symtheory: File too large: {out}/cache/\S+", command.says[-1])
    assert "Traceback" not in command.log.read_text()
    command = kept.start(tmp_path / "fresh", programs=tmp_path / "programs")  # with everything to compile
    time.sleep(kept.seconds / 4)
    os.kill(command.process.pid, signal.SIGINT)
    assert command.wait(500) == 130
    assert command.says[-1] == STOPPED
