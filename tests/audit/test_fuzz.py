"""Fuzzing: whatever bytes a log holds, it is audited or refused with one sentence.

The samples of every format are damaged at random. A test run damages a few; with SYMTHEORY_FUZZ_SECONDS=3600
it goes on for an hour, and SYMTHEORY_FUZZ_SEED chooses where it starts.
"""

import json
import os
import subprocess
import sys
import time

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from symtheory.audit.formats import named as formats

from .fuzzing import accept, try_input
from .logs import SAMPLES

FORMATS = formats()
SECONDS = float(os.environ.get("SYMTHEORY_FUZZ_SECONDS", 0))
CASES = 40
SEED = int(os.environ.get("SYMTHEORY_FUZZ_SEED", 0))
FILES = sorted(p for p in SAMPLES.rglob("*") if p.suffix in (".jsonl", ".parquet"))
TOKENS = [
    b"NaN",
    b"1e999",
    b"-1",
    b"true",
    b"null",
    b"[[[[",
    b'"',
    b"{}",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xff\xff\xff\x7f",
    b"\x1f\x8b",
]


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """A few random changes: bytes flipped, runs removed, repeated or inserted, odd tokens, the end cut."""
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        at = int(rng.integers(len(data) + 1))
        run = int(rng.integers(1, 200))
        changes = [
            data[:at] + bytes([rng.integers(256)]) + data[at + 1 :],
            data[:at] + data[at + run :],
            data[:at] + rng.bytes(run % 20) + data[at:],
            data[:at] + data[max(at - run, 0) : at] + data[at:],
            data[:at] + TOKENS[rng.integers(len(TOKENS))] + data[at:],
            data[:at],
        ]
        data = changes[rng.choice(6, p=[0.4, 0.12, 0.12, 0.12, 0.2, 0.04])]
    return data


def test_damaged_logs_are_audited_or_refused_and_never_crash(tmp_path):
    rng = np.random.default_rng(SEED)
    end, cases = time.monotonic() + SECONDS, 0
    while cases < CASES or time.monotonic() < end:
        source = FILES[rng.integers(len(FILES))]
        target = tmp_path / source.name
        target.write_bytes(damage(source.read_bytes(), rng))
        accept(target, group_size=4 if rng.random() < 0.5 else None)
        cases += 1


@pytest.mark.parametrize("file", sorted((SAMPLES / "fuzz").iterdir()), ids=lambda f: f.name)
def test_what_fuzzing_found_is_audited_or_refused(tmp_path, file):
    try_input(file.read_bytes(), tmp_path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=300),
    name=st.sampled_from(["a.jsonl", "a.parquet", "a.jsonl.gz"]),
    form=st.sampled_from([None, *FORMATS]),
)
def test_any_bytes_are_refused_with_one_sentence(tmp_path, data, name, form):
    (tmp_path / name).write_bytes(data)
    accept(tmp_path / name, log_format=form, group_size=2)


numbers = st.one_of(
    st.floats(), st.integers(), st.booleans(), st.text(max_size=3), st.none(), st.lists(st.floats(), max_size=2)
)
rows = st.fixed_dictionaries(
    {
        "step": st.one_of(st.integers(-3, 3), numbers),
        "prompt_id": st.one_of(st.integers(0, 2), numbers),
        "reward": numbers,
    },
    optional={"advantage": numbers, "length": numbers, "logprob": numbers, "rollout_id": numbers, "x": numbers},
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.lists(rows, min_size=1, max_size=12))
def test_values_of_any_type_are_used_or_counted(tmp_path, table):
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in table))
    found = accept(file)
    if found is not None:  # a row with lists is a group
        assert found["rollouts"] + found["skipped_rows"] + sum(found["left_out"].values()) >= len(table)


@pytest.mark.slow
def test_memory_is_flat_while_the_log_grows_tenfold(tmp_path):
    """Peak memory of the process for 100,000 and 1,000,000 rollouts; 30 MB are the rows held for open steps."""
    row = '{"step":%d,"prompt_id":"%d","reward":%d.0,"advantage":0.5,"text":"%d' + "x" * 200 + '"}\n'
    script = (
        "import resource, sys; from symtheory.audit import audit, read; found = audit(read(sys.argv[1])); "
        "print(found['rollouts'], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    peak = {}
    for steps in (100, 1000):
        file = tmp_path / f"{steps}.jsonl"
        with open(file, "w") as stream:
            for step in range(steps):
                stream.writelines(row % (step, i // 8, i * step % 3 % 2, 1000 * step + i) for i in range(1000))
        run = subprocess.run([sys.executable, "-c", script, str(file)], capture_output=True, text=True, check=True)
        rollouts, peak[steps] = map(int, run.stdout.split())
        assert rollouts == 1000 * steps
    assert peak[1000] < peak[100] + 40
