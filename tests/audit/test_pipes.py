"""Pipes in place of files: `symtheory audit <(zcat log.gz)`, `/dev/stdin`, `-`."""

import gzip
import json
import os
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress

import pyarrow.parquet as pq
import pytest

from symtheory.audit import audit, read
from symtheory.audit.files import spool
from symtheory.cli import main
from symtheory.errors import InputError

from . import shapes

RUN = shapes.made()
RATES = b"0.1\n0.5\n0.9\n"
TABLE = b"method,pass@1,pass@4\nBase,10.0,20.0\nRL,30.0,35.0\n"


def log():
    return "".join(json.dumps(shapes.plain(r)) + "\n" for r in RUN).encode()


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    """Where copies are made; nothing is left there."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    yield
    assert not list((tmp_path / "scratch").iterdir())


@contextmanager
def piped(tmp_path, content):
    """A named pipe that a thread writes to."""
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def write():
        with suppress(BrokenPipeError), open(path, "wb") as stream:
            stream.write(content)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    yield path
    thread.join(10)
    path.unlink()


@contextmanager
def standard_input(content):
    """Standard input of this process as a pipe with this content, which fits the pipe's buffer."""
    assert len(content) < 1 << 16
    kept, (end, begin) = os.dup(0), os.pipe()
    os.write(begin, content)
    os.close(begin)
    os.dup2(end, 0)
    os.close(end)
    yield
    os.dup2(kept, 0)
    os.close(kept)


def command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["symtheory", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    return stop.value.code


def test_the_format_is_told_from_the_bytes(tmp_path):
    columns = {k: [shapes.plain(r)[k] for r in RUN] for k in ("step", "prompt_id", "reward")}
    pq.write_table(shapes.pa.table(columns), tmp_path / "log.parquet")
    csv = "\n".join(["step,prompt_id,reward", *(f"{s},{q},{x}" for s, q, x in zip(*columns.values(), strict=True))])
    array = json.dumps([shapes.plain(r) for r in RUN], indent=1).encode()
    contents = {
        ".jsonl": log(),
        ".gz": gzip.compress(log()),
        ".json": array,
        ".csv": csv.encode(),
        ".parquet": (tmp_path / "log.parquet").read_bytes(),
        ".txt": RATES,
    }
    for ending, content in contents.items():
        with piped(tmp_path, content) as path, spool.spooled([path]) as (copy,):
            assert copy.endswith(ending)
            assert ending == ".txt" or audit(read(copy))["groups"] == 12


def test_standard_input_is_read_under_all_its_names_and_with_last_twice(monkeypatch, capsys):
    for name in ("-", "/dev/stdin"):
        with standard_input(log()):
            assert command(monkeypatch, "audit", name, "--last", 2, "--format", "json") == 0
        assert json.loads(capsys.readouterr().out)["step_range"] == [2, 3]


def test_a_report_names_the_pipe_and_not_its_copy(monkeypatch, capsys):
    with standard_input(log() + b"not JSON\n"):
        assert command(monkeypatch, "audit", "-", "--format", "json") == 0
    text = capsys.readouterr().out
    assert "the first at -:97" in text
    assert "pipe.jsonl" not in text


def test_plan_and_evidence_read_pipes_too(tmp_path, monkeypatch, capsys):
    for content, text in ((log(), "12 groups"), (RATES, "3 pass rates"), (TABLE, "pass@k of")):
        with standard_input(content):
            assert command(monkeypatch, "plan", "-") in (0, None)
        assert text in capsys.readouterr().out
    with piped(tmp_path, TABLE) as path:
        assert command(monkeypatch, "evidence", path) in (0, None)
    assert "RL" in capsys.readouterr().out


def test_sentences_name_the_pipe_and_not_its_copy(tmp_path, monkeypatch):
    with piped(tmp_path, b'{"a": 1}\n') as path, pytest.raises(InputError, match=f"^{path}: no reward"):  # noqa: SIM117
        with spool.spooled([path]) as paths:
            read(paths)
    monkeypatch.setattr(spool, "MOST", 10)
    monkeypatch.setattr(spool, "BLOCK", 8)
    with piped(tmp_path, log()) as path, pytest.raises(InputError, match=f"^{path} must be a pipe of at most"):  # noqa: SIM117
        with spool.spooled([path]):
            pass


def test_files_and_devices_are_left_to_the_reader(tmp_path):
    shapes.lines(tmp_path / "log.jsonl", [shapes.plain(r) for r in RUN])
    with spool.spooled([tmp_path / "log.jsonl", "/dev/zero", "none*"]) as paths:
        assert paths == [str(tmp_path / "log.jsonl"), "/dev/zero", "none*"]


def test_a_pipe_cannot_be_followed(monkeypatch, capsys):
    assert command(monkeypatch, "audit", "-", "--follow") == 2
    assert "--follow must have files or folders that grow, got a pipe" in capsys.readouterr().err
