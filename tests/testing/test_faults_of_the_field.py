"""What went wrong on other people's code once: each with its smallest input and the right answer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from symtheory import InputError
from symtheory.testing import as_target, assert_laws, check_estimator, invariants, load
from symtheory.testing.conform import compare, conform
from symtheory.testing.evidence import as_test, proven

from . import wild_numpy

HERE = Path(__file__).parent


def finding(f, law, **options):
    return check_estimator(f, laws=[law], examples=0, **options)[law]


def torch_function(name):
    pytest.importorskip("torch")
    return load(f"{HERE}/wild_torch.py:{name}")


def test_a_function_of_one_group_keeps_all_laws_of_grpo():
    report = check_estimator(wild_numpy.one_group, examples=0)
    assert not [f.name for f in report.findings if f.holds is False]
    assert {f.name for f in report.findings if f.verdict == "holds to epsilon"} == {"positive_scale", "l2_constant"}


def test_code_that_computes_in_float32_inside_is_judged_in_float32():
    report = check_estimator(torch_function("float32_inside"), examples=0)
    assert report.dtype == "float32"
    assert {f.name for f in report.findings if f.holds is False} == {"finite", "duplication"}  # ddof 1


def test_degenerate_zero_fails_in_the_precision_that_trains():
    found = finding(torch_function("tiny_eps"), "degenerate_zero")
    assert (found.verdict, found.dtype) == ("fails", "float32")
    assert found.size > 0.5
    values = np.unique(found.counterexample)
    assert len(values) == 1
    assert values[0] not in (0, 1)


def test_rounding_beside_large_rewards_is_no_failure():
    found = finding(wild_numpy.two_stage, "positive_scale")
    assert found.verdict == "holds to epsilon"  # 1e-8 under the root
    assert found.size < 1e-5


def test_rounding_of_float32_does_not_lower_the_success_probability():
    torch = pytest.importorskip("torch")

    def whitened(rewards: torch.Tensor):
        a = (rewards - rewards.mean(-1, keepdim=True)).float()
        return (a - a.mean()) / (a.std() + 1e-8)

    assert invariants.sure_monotonicity(whitened, [[0, 0, 0], [0, 0, 1]], dtype="float32") is True


def test_a_batch_law_shows_both_batches():
    found = finding(wild_numpy.gpg, "shift")
    assert found.verdict == "fails"
    assert [side.rewards.tolist() for side in found.sides] == [[[0.0, 1.0]], [[0.5, 1.5]]]
    assert [side.advantages.tolist() for side in found.sides] == [[[-1.0, 1.0]], [[-0.5, 0.5]]]


def test_a_batch_law_shows_the_rows_that_broke_it():
    found = finding(wild_numpy.global_baseline, "shift", layout="matrix")
    assert found.sides[0].rewards.tolist() == [[0.0, 0.0], [0.5, 0.5], [0.0, 0.0]]
    assert found.sides[0].advantages[1].tolist() == pytest.approx([1 / 3, 1 / 3])


def test_groups_of_one_and_large_groups_are_looked_at():
    assert finding(torch_function("one_group"), "finite").counterexample.tolist() == [[0.0]]
    assert finding(wild_numpy.capped, "zero_sum").counterexample.shape[-1] == 16
    assert finding(wild_numpy.clipped_at_5, "zero_sum").counterexample.shape[-1] == 64


def test_ids_that_are_ignored_are_found_by_interleaving():
    found = finding(load(f"{HERE}/wild_lists.py:ignores_its_ids"), "permutation_of_rollouts")
    assert found.counterexample.tolist() == [[0.0, 0.0], [0.0, 1.0]]
    assert found.sides[-1].order.tolist() == [0, 2, 1, 3]
    assert found.sides[-1].advantages.tolist() == [[0.0, -0.5], [0.0, 0.5]]


@pytest.mark.parametrize("eps", [1e-4, 1e-5])
def test_epsilons_are_told_apart(eps):
    def ours(rewards):
        return (rewards - rewards.mean(-1, keepdims=True)) / (rewards.std(-1, ddof=1, keepdims=True) + eps)

    nemo = next(c for c in conform(ours, "nemo") if c.name == "nemo_grpo_noloo")
    assert not nemo.equal
    assert {c.name for c in conform(ours, "trl") if c.equal} == ({"trl_grpo_group"} if eps == 1e-4 else set())


def test_multiples_are_named_with_their_factor():
    def third(rewards):
        return (rewards - rewards.mean(-1, keepdims=True)) / 3

    nearest = compare(as_target(third))[0]
    assert (nearest.equal, nearest.distance) == (False, pytest.approx(0, abs=1e-9))
    assert nearest.describe() == "0.33 x verl_dr_grpo"


def test_grpo_is_named_and_an_added_length_weight_is_not_overlooked():
    assert [c.name for c in compare(as_target("grpo")) if c.equal] == ["dapo", "grpo"]
    opo = {c.name for c in compare(as_target("opo")) if c.equal}
    assert opo == {"opo", "verl_opo"}


def test_sizes_tell_an_epsilon_from_another_estimator():
    epsilon, other = finding("grpo_ddof1", "l2_constant"), finding("rloo", "l2_constant")
    assert epsilon.verdict == "holds to epsilon"
    assert 0 < epsilon.size < 1e-4
    assert other.verdict == "fails"
    assert other.size > 0.1


BROKEN_PACKAGE = {
    "pyproject.toml": "",
    "src/lab/__init__.py": "import no_such_library_at_all\n",
    "src/lab/util.py": "def centre(r):\n    return r - r.mean()\n",
    "src/lab/algos/__init__.py": "",
    "src/lab/algos/adv.py": "from ..util import centre\n\n\ndef advantages(group):\n    return centre(group)\n",
    "src/lab/algos/heavy.py": """
import no_such_library_at_all
from no_such_library_at_all import registry
from ..util import centre as middle
import lab.util as tools
from lab.util import centre

EPS = 1e-6


def half(x):
    return x / 2


@registry.register("x")
def advantages(group: "no_such_library_at_all.Tensor"):
    return half(middle(group)) + 0 * EPS + 0 * tools.centre(group) + 0 * centre(group)


class Kind(str):
    pass


NAME = "grpo"
""",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    for name, text in BROKEN_PACKAGE.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path / "src/lab/algos"
    for name in [n for n in sys.modules if n.split(".")[0] == "lab"]:
        del sys.modules[name]


def test_a_file_of_a_package_that_does_not_import_is_run_by_itself(package):
    np.testing.assert_allclose(load(f"{package}/adv.py:advantages")(np.array([1.0, 0.0])), [0.5, -0.5])


@pytest.mark.parametrize("isolate", [False, True])
def test_a_function_is_cut_out_of_a_file_that_does_not_import(package, isolate):
    f = load(f"{package}/heavy.py:advantages", isolate=isolate)
    np.testing.assert_allclose(f(np.array([1.0, 0.0])), [0.25, -0.25])


def test_a_text_is_not_looked_up_as_one_of_our_names(package):
    with pytest.raises(InputError, match="is the text 'grpo'; check needs a function"):
        load(f"{package}/heavy.py:NAME")


def run(*arguments, cwd):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )


MINE = (
    "def advantages(rewards, group_size):\n    g = rewards.reshape(-1, group_size)\n    return (g - g[:, :1]).ravel()\n"
)


def test_the_whole_command_says_how_it_called_and_leaves_nothing_behind(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    done = run("-m", "symtheory", "check", "mine.py:advantages", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["layout"], report["backend"], report["dtype"]) == ("flat", "numpy", "float64")
    broken = next(i for i in report["invariants"] if i["name"] == "zero_sum")
    assert broken["sides"] == [
        {"rewards": [[0.0, 1.0]], "order": None, "advantages": [[0.0, 1.0]], "raised": None},
    ]
    assert {"name", "equal", "factor", "distance"} <= set(report["conformance"][0])
    assert report["fit"] is None  # its baseline is the first rollout
    assert {p.name for p in tmp_path.iterdir()} <= {"mine.py", "__pycache__"}


def test_assert_laws_shows_the_line_of_the_user_and_not_the_library(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "test_mine.py").write_text(
        "from mine import advantages\nfrom symtheory.testing import assert_laws\n\n\n"
        "def test_mine():\n    assert_laws(advantages, 'zero_sum', examples=0)  # the user's line\n"
    )
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py", cwd=tmp_path)
    assert "the user's line" in done.stdout
    assert "breaks zero_sum" in done.stdout
    assert "symtheory/testing" not in done.stdout


def test_the_printed_test_carries_its_options_and_fails():
    pytest.importorskip("torch")
    place = f"{HERE}/wild_torch.py:tiny_eps"
    target = as_target(load(place), name=place, backend="torch")
    report = check_estimator(target, laws=["degenerate_zero"], examples=0)
    text = as_test(report, report["degenerate_zero"])
    assert "backend='torch', dtype='float32')" in text
    assert proven(text)


def test_assert_laws_passes_on_code_with_an_epsilon():
    pytest.importorskip("torch")
    from . import verl_like

    assert_laws(wild_numpy.one_group, "zero_sum l2_constant", examples=0)
    with pytest.raises(AssertionError, match="breaks duplication"):
        assert_laws(verl_like.grpo, "zero_sum duplication", examples=0)
