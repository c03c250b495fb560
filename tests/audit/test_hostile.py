"""Hostile and damaged files: one sentence, nothing executed, and no memory or time beyond bounds."""

import importlib
import json
import os
import pickle
import resource
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from symtheory import InputError
from symtheory.audit import audit, read
from symtheory.audit.files import documents, pickles

from . import shapes

module = importlib.import_module("symtheory.audit.read")


class Calls:
    """Unpickles as a call of a function with arguments."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_plain_containers_come_out_of_every_pickle_protocol(protocol):
    value = {
        "a": [1, -2, 300, 70000, 2**40, 1.5, None, True, False, "text ß", b"bytes"],
        "b": ({}, [], (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    }
    if protocol < 3:
        value["a"].remove(b"bytes")
    assert pickles.loads(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [os.system, eval, subprocess.getoutput, open])
def test_nothing_in_a_pickle_is_executed(tmp_path, function, protocol):
    target = tmp_path / "touched"
    command = f"touch {target}" if function in (os.system, subprocess.getoutput) else f"open({str(target)!r}, 'w')"
    arguments = (str(target), "w") if function is open else (command,)
    samples = [{"group_index": 0, "reward": 1.0, "prompt": Calls(function, *arguments)}]
    shapes.write_pt(tmp_path / "rollout_1.pt", pickle.dumps({"rollout_id": 1, "samples": samples}, protocol))
    with pytest.raises(InputError, match=r"its pickle asks for .*; nothing in it was executed") as error:
        read(tmp_path / "rollout_1.pt")
    assert "\n" not in str(error.value)
    assert not target.exists()


def test_tensors_and_numpy_arrays_beside_the_rollouts_are_passed_over(tmp_path):
    rows = [
        {"group_index": i // 2, "index": i, "reward": float(i % 2), "prompt": "q", "response": "r", "x": np.arange(3)}
        for i in range(8)
    ]
    for protocol in (2, 4):
        shapes.write_pt(tmp_path / "rollout_1.pt", {"rollout_id": 1, "samples": rows}, protocol)
        assert audit(read(tmp_path))["group_sizes"] == {"2": 4}


def bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", b"]" * (100 << 20))


def memo(path):
    shapes.write_pt(path, b"\x80\x02]r\xff\xff\xff\x7f.")


def lists(path):
    shapes.write_pt(path, b"\x80\x02(" + b"]" * (9 << 20) + b"l.")


def own_self(path):
    shapes.write_pt(path, b"\x80\x02}q\x00X\x07\x00\x00\x00samplesq\x01]q\x02(h\x00h\x00h\x00es.")


def doubled(path):
    """Thirty lists, each holding the one before twice: 2^30 leaves if walked."""
    data = b"\x80\x02K\x01q\x00" + b"".join(b"](h%ch%ceq%c" % (i, i, i + 1) for i in range(30))
    prompt = b"}(X\x06\x00\x00\x00rewardG?\xf0" + bytes(6)
    prompt += b"X\x0b\x00\x00\x00group_indexK\x00X\x06\x00\x00\x00prompth\x1eu"
    shapes.write_pt(path, data + b"0}(X\x0a\x00\x00\x00rollout_idK\x01X\x07\x00\x00\x00samples](" + 4 * prompt + b"eu.")


def no_zip(path):
    path.write_bytes(b"PK\x03\x04" + bytes(range(256)))


def bare(path):
    path.write_bytes(pickle.dumps(Calls(os.system, "true")))


def endless_json(path):
    path.write_bytes(b"[" * (25 << 20))


def many_objects(path):
    path.write_bytes(b'{"reward": [' + b"{}," * (9 << 20) + b"{}]}")


def one_line(path):
    path.write_bytes(b'{"step": 1, "prompt_id": 1, "reward": 1, "x": "' + b"x" * (60 << 20))


def gzip_bomb(path):
    import gzip

    with gzip.open(path, "wb", 9) as stream:
        for _ in range(400):
            stream.write(bytes(1 << 20))


def many_cells(path):
    path.write_bytes(b"step,prompt_id,reward\n1,a,1\n" + b"," * (17 << 20))


def open_quote(path):
    path.write_bytes(b'step,prompt_id,reward\n1,"' + b"a,1\n" * (6 << 20))


HOSTILE = {
    bomb: "a.pt",
    memo: "a.pt",
    lists: "a.pt",
    own_self: "a.pt",
    doubled: "a.pt",
    no_zip: "a.pt",
    bare: "a.pt",
    endless_json: "a.json",
    many_objects: "a.jsonl",
    one_line: "a.jsonl",
    gzip_bomb: "a.jsonl.gz",
    many_cells: "a.csv",
    open_quote: "a.csv",
}


@pytest.mark.parametrize("make", HOSTILE, ids=lambda m: m.__name__)
def test_a_hostile_file_ends_in_one_sentence_within_bounds(tmp_path, make):
    """At most 1 GB and 20 seconds of processor time (5 on an idle machine) for the whole process."""
    file = tmp_path / HOSTILE[make]
    make(file)
    limits = {resource.RLIMIT_CPU: 20, resource.RLIMIT_DATA: 1 << 30}
    command = [sys.executable, "-m", "symtheory", "audit", str(file)]
    run = subprocess.run(
        command,
        capture_output=True,
        text=True,
        preexec_fn=lambda: [resource.setrlimit(k, (v, v)) for k, v in limits.items()],
    )
    assert "Traceback" not in run.stderr
    assert run.returncode in (0, 2)
    if run.returncode == 2:
        assert run.stderr.count("\n") == 1
        assert run.stderr.startswith("symtheory: ")


def test_reading_takes_no_pipe_or_device_and_links_in_circles_are_not_followed(tmp_path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    for path in (tmp_path / "pipe.jsonl", "/dev/zero"):
        with pytest.raises(InputError, match="got a pipe, socket or device"):
            read(path)
    for path in (tmp_path, f"{tmp_path}/*.jsonl"):  # nobody writes it: passed over, and not waited for
        with pytest.raises(InputError, match=r"holds no file|no log at"):
            read(path)
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "log" / "a.jsonl").symlink_to("b.jsonl")
    (tmp_path / "log" / "b.jsonl").symlink_to("a.jsonl")
    with pytest.raises(InputError, match="holds no file"):
        read(tmp_path)
    shapes.lines(tmp_path / "c.jsonl", [shapes.plain(r) for r in shapes.made()])
    assert audit(read(tmp_path))["groups"] == 12


def test_a_file_without_permission_is_left_out_of_a_folder_and_refused_alone(tmp_path, monkeypatch):
    shapes.lines(tmp_path / "a.jsonl", [shapes.plain(r) for r in shapes.made()])
    shapes.lines(tmp_path / "b.jsonl", [shapes.plain(r) for r in shapes.made()])
    whole = module.sample

    def denied(path):
        if path.name == "b.jsonl":
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path)

    monkeypatch.setattr(module, "sample", denied)  # the superuser may read everything
    log = read(tmp_path)
    assert audit(log)["groups"] == 12
    assert any("b.jsonl" in note and "Permission denied" in note for note in log.notes)
    with pytest.raises(InputError, match="Permission denied"):
        read(tmp_path / "b.jsonl")


def test_an_endless_first_line_costs_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "MAX_LINE", 1 << 16)
    rows = "".join(json.dumps(shapes.plain(r)) + "\n" for r in shapes.made())
    (tmp_path / "a.jsonl").write_text('{"x": "' + "x" * (1 << 17) + '"}\n' + rows)
    log = read(tmp_path / "a.jsonl")
    assert audit(log)["groups"] == 12
    assert log.skipped.total == 1


def test_numbers_beyond_all_bounds_are_no_numbers_and_those_below_are_zero(tmp_path):
    for rewards, kept in (((1e308, -1e308, 1, 0), 2), ((1e-200, 0, 1e-320, 0), 4), ((float("inf"), 0, 0, 1), 3)):
        rows = [{"step": 1, "prompt_id": 1, "reward": r, "advantage": r} for r in rewards]
        shapes.lines(tmp_path / "a.jsonl", rows)
        found = audit(read(tmp_path / "a.jsonl"), against=("agrae",))
        assert found["rollouts"] == kept
        json.dumps(found, allow_nan=False)


def test_deep_nesting_and_odd_bytes_cost_a_line_or_one_sentence(tmp_path):
    good = json.dumps({"step": 1, "prompt_id": 1, "reward": 1}).encode()
    for odd in (
        b"[" * 100_000,
        b'{"step":' * 50_000,
        b"\x80\x04\x95",
        b"\xff\xfe\x00",
        b"9" * 10_000,
        b'{"reward": ' + b"9" * 6000 + b"}",
    ):
        file = tmp_path / "a.jsonl"
        file.write_bytes(good + b"\n" + odd + b"\n" + good + b"\n")
        assert audit(read(file))["rollouts"] == 2
        file.write_bytes(odd)
        with pytest.raises(InputError) as error:
            audit(read(file))
        assert "\n" not in str(error.value)


def test_a_recoded_or_packed_stream_that_ends_early_is_located(tmp_path):
    rewards = np.random.default_rng(0).random(20_000)  # 1 MB: zstd gives back whole blocks of 128 KiB only
    text = "".join(json.dumps({"step": 1, "prompt_id": i // 4, "reward": x}) + "\n" for i, x in enumerate(rewards))
    for name, data in (("a.jsonl", text.encode("utf-16")), ("a.jsonl.zst", shapes.zstd(text.encode()))):
        (tmp_path / name).write_bytes(data[: len(data) * 2 // 3])
        log = read(tmp_path / name)
        assert 10_000 < audit(log)["rollouts"] < 14_000
        ((place, reason),) = log.skipped.examples
        assert place.startswith(f"{tmp_path / name}:")
        assert "cut" in reason
