"""The command line as a user meets it: in a process of its own where that can make a difference."""

import re
import shlex
import subprocess
import sys
from functools import wraps
from inspect import signature
from pathlib import Path

import pytest
import tyro

from symtheory.cli import WRITTEN, check_out, commands, main
from symtheory.errors import InputError


def symtheory(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "symtheory", *map(str, arguments)], capture_output=True, text=True, **options
    )


def test_help_teaches_and_does_not_load_jax():
    run = symtheory("--help")
    assert run.returncode == 0
    assert "reproduce" in run.stdout
    code = (
        "import sys; from symtheory.cli import commands as c; c(); "
        "print([m in sys.modules for m in ('jax', 'sympy', 'numpy', 'matplotlib')])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert loaded.stdout.strip() == "[False, False, False, False]"


def examples(command):
    return re.findall(r"^\s+\$ symtheory (.*)$", commands()[command].__doc__, re.MULTILINE)


@pytest.mark.parametrize("command", commands())
def test_help_shows_commands_to_paste_and_they_are_understood(command):
    parsers = {name: wraps(run)(lambda *_, **__: "understood") for name, run in commands().items()}
    assert examples(command)
    for line in examples(command):
        assert line.split()[0] == command
        asked = shlex.split(re.sub(r" > \S+$", "", line))
        assert tyro.extras.subcommand_cli_from_dict(parsers, args=asked) == "understood"


def test_importing_the_package_and_an_advantage_does_not_load_jax():
    code = "import sys, symtheory; symtheory.advantages([[1, 0]], 'grpo'); print('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_list_shows_every_estimator():
    from symtheory import estimators

    shown = symtheory("list").stdout
    assert all(name in shown for name in estimators.names())


def test_bad_arguments_end_in_one_sentence_and_status_2(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["symtheory", "reproduce", "--only", "fig22", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "no figure 'fig22'. Did you mean 'fig2'?" in said
    assert "Traceback" not in said
    with pytest.raises(InputError, match="seeds must be at least 2"):
        commands()["reproduce"](seeds=1, out=tmp_path)


def test_a_folder_that_cannot_be_written_ends_in_one_sentence(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    run = symtheory("reproduce", "--only", "table1", "--out", blocked)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    assert str(blocked) in run.stderr


def test_reproduce_writes_picture_pdf_dataset_and_caption_and_repeats_itself_byte_for_byte(tmp_path):
    """Once in a process of its own, and once in this one, which has used jax and matplotlib otherwise."""
    run = symtheory("reproduce", "--only", "table1", "table4", "--pdf", "--out", tmp_path / "a")
    assert run.returncode == 0, run.stderr
    commands()["reproduce"](only=("table1", "table4"), pdf=True, out=tmp_path / "b")
    made = [{p.name: p.read_bytes() for p in sorted((tmp_path / f / "quick").iterdir())} for f in ("a", "b")]
    assert set(made[0]) == {f"{t}.{s}" for t in ("table1", "table4") for s in ("png", "pdf", "nc", "md")}
    for name in made[0]:
        if not name.endswith(".nc"):
            assert made[0][name] == made[1][name], name
    caption = made[0]["table1.md"].decode()
    assert "would refute" in caption
    assert "symtheory reproduce --preset quick --only table1" in caption


def test_the_locks_name_no_host_and_agree():
    from pathlib import Path

    users, developers = (
        (Path(__file__).parent.parent / f"requirements{which}.lock").read_text() for which in ("", "-dev")
    )
    for lock in (users, developers):
        assert "://" not in lock
        assert lock.count("--hash=sha256:") > 100
    pins = [line for line in users.splitlines() if line[:1].isalpha()]
    assert [pin for pin in pins if pin not in developers.splitlines()] == []
    assert not any(pin.startswith(("numba", "marimo", "mkdocs", "pytest", "z3")) for pin in pins)


def test_the_version_is_the_packages():
    import symtheory as package

    assert symtheory("--version").stdout == f"symtheory {package.__version__}\n"


WRITING = [(name, path) for name, run in commands().items() for path in WRITTEN if path in signature(run).parameters]


@pytest.mark.parametrize(("command", "path"), WRITING)
def test_every_command_says_at_once_that_a_path_cannot_be_written(command, path, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        InputError, match=rf"{path} must be a path that can be written, got '.*/file/x': '.*/file' is a file"
    ):
        commands()[command](**{path: tmp_path / "file" / "x"})


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that nobody can write to, not even root")
def test_a_folder_in_which_nothing_can_be_made_is_refused_by_name():
    with pytest.raises(InputError, match=r"out must be .*, got '/proc/x/y': nothing can be made in '/proc'"):
        check_out(Path("/proc/x/y"))


def test_a_folder_where_a_file_is_meant_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match="out must be the file to write, got the folder"):
        commands()["page"](out=tmp_path)
    with pytest.raises(InputError, match="against must be a file that `symtheory bench --out` wrote"):
        commands()["bench"](against=tmp_path)
    with pytest.raises(InputError, match=r"no file .*; `symtheory sweep --example` prints one"):
        commands()["sweep"](tmp_path)


def test_out_may_be_a_new_folder_an_old_one_or_a_file_to_write_again(tmp_path):
    (tmp_path / "page.html").touch()
    for out in (tmp_path, tmp_path / "new" / "folder", tmp_path / "page.html", tmp_path / "new" / "page.html"):
        check_out(out)
