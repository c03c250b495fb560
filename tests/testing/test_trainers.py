"""Forty private functions in the shapes that trainers have: layout, backend, formula, name and laws are all found.

Each line was derived by hand from the code. `fails` lists the laws of `LAWS` that do not hold.
"""

from pathlib import Path

import pytest

from symtheory.testing import as_target, check_estimator, load
from symtheory.testing.conform import compare
from symtheory.testing.fit import fit

HERE = Path(__file__).parent
LAWS = ("zero_sum", "sign_correct", "permutation_of_rollouts", "batch_independence", "duplication", "degenerate_zero")
TRUTH = """
numpy:pure_python           group  list   group mean / group std 0 / 1.0e-4 / none / 1.00   grpo(eps=0.0001)
numpy:doubled               group  list   group mean / group std 0 / 1.0e-6 / none / 2.00   2.00 x grpo(eps=1e-06)
numpy:clamped               group  list   group mean / group std 0 / 1.0e-6 / +-3 / 1.00    -   zero_sum
numpy:global_size           flat  numpy  group mean / group std 0 / 1.0e-4 / none / 1.00   grpo(eps=0.0001)
numpy:global_size_of_lists  flat  list   group mean / none / - / none / 1.00               dr_grpo
numpy:settings_size         flat  numpy  group mean / group std 1 / 1.0e-4 / none / 1.00   trl_grpo_group   duplication
numpy:helper_size           flat  numpy  group mean / none / - / none / 1.00               dr_grpo
numpy:closure               flat  numpy  group mean / none / - / none / 1.00               dr_grpo
numpy:per_prompt            flat  numpy  group mean / group std 1 / 1.0e-4 / none / 1.00   trl_grpo_group   duplication
numpy:batch_whitened        flat  numpy  group mean / batch std 0 / 1.0e-4 / none / 1.00   grpo_batch_std(ddof=0)  batch_independence
numpy:single                flat  numpy  group mean / group std 1 / 1.0e-4 / none / 1.00   trl_grpo_group   duplication
numpy:half_precision        flat  numpy  group mean / group std 0 / 0 / none / 1.00        grpo
numpy:by_id                 ids  list   group mean / group std 0 / 1.0e-8 / none / 1.00   grpo(eps=1e-08)
numpy:by_unique             ids  numpy  mean of the other rollouts / none / - / none / 1.00   rloo   duplication
numpy:ragged                matrix  list   group mean / group std 0 / 1.0e-6 / none / 1.00   grpo(eps=1e-06)
numpy:weighted              functions  numpy  group mean / group std 1 / 1.0e-4 / none / 1.00   trl_grpo_group   duplication
numpy:scored                responses  numpy  group mean / group std 1 / 1.0e-6 / none / 1.00   verl_grpo   duplication
numpy:named_tuple           flat  numpy  group mean / none / - / none / 1.00               dr_grpo
numpy:Learner.compute       flat  numpy  group mean / group std 0 / 1.0e-5 / none / 1.00   grpo(eps=1e-05)
numpy:learner.compute       flat  numpy  group mean / group std 0 / 1.0e-5 / none / 1.00   grpo(eps=1e-05)
numpy:Fixed                 flat  numpy  group mean / none / - / none / 1.00               dr_grpo
numpy:Running.step          flat  numpy  group mean / batch std 0 / 1.0e-4 / none / 1.00   grpo_batch_std(ddof=0)  batch_independence
numpy:running.step          flat  numpy  group mean / batch std 0 / 1.0e-4 / none / 1.00   grpo_batch_std(ddof=0)  batch_independence
numpy:from_samples          ids  list   group mean / none / - / none / 1.00               dr_grpo
numpy:from_records          group  list   group mean / none / - / none / 1.00               dr_grpo
numpy:best_is_the_baseline  flat  numpy  group maximum / none / - / none / 1.00            -   zero_sum
torch:method_only           flat  torch  group mean / group std 1 / 1.0e-4 / none / 1.00   trl_grpo_group   duplication
torch:double_of_it          flat  torch  group mean / group std 0 / 1.0e-6 / none / 2.00   2.00 x grpo(eps=1e-06)
torch:clamped               flat  torch  group mean / group std 1 / 1.0e-6 / +-3 / 1.00    -   zero_sum duplication
torch:global_size           flat  torch  group mean / group std 1 / 1.0e-4 / none / 1.00   trl_grpo_group   duplication
torch:brain_float           flat  torch  group mean / none / - / none / 1.00               dr_grpo
torch:masked_tokens         tokens  torch  mean of the other rollouts / none / - / none / 1.00   verl_rloo   duplication
torch:scatter_ids           ids  torch  group mean / none / - / none / 1.00               dr_grpo
torch:Normaliser            flat  torch  group mean / group std 1 / 1.0e-4 / none / 1.00   trl_grpo_group   duplication
torch:normaliser            flat  torch  group mean / group std 1 / 1.0e-4 / none / 1.00   trl_grpo_group   duplication
jax:one_group               group  jax    group mean / group std 1 / 1.0e-4 / none / 1.00   trl_grpo_group   duplication
jax:flat                    flat  jax    group mean / none / - / none / 1.00               dr_grpo
jax:Head                    flat  jax    group mean / none / - / none / 2.00               2.00 x dr_grpo
jax:head.centred            flat  jax    group mean / none / - / none / 1.00               dr_grpo
jax:on_the_host             group  numpy  group mean / none / - / none / 1.00               dr_grpo
"""  # noqa: E501
ROWS = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in TRUTH.strip().splitlines()]


def target(place):
    library, name = place.split(":")
    if library in ("torch", "jax"):
        pytest.importorskip(library)
    return as_target(load(f"{HERE}/trainers_{library}.py:{name}"))


def by_row(rows):
    return pytest.mark.parametrize("row", rows, ids=lambda row: row[0])


DEAR = ("jax:flat", "jax:head.centred", "jax:Head")  # each shape compiles


@by_row([pytest.param(row, marks=pytest.mark.slow) if row[0] in DEAR else row for row in ROWS])
def test_a_private_function_gets_its_layout_backend_formula_and_name(row):
    place, layout, backend, formula, name, *_ = row
    subject = target(place)
    assert (subject.layout, subject.backend) == (layout, backend)
    found = fit(subject)
    assert found.fits
    assert short(found) == formula
    names = [c.describe() for c in compare(subject) if c.equal or c.distance < 1e-6]
    assert name in names if name != "-" else not names


@pytest.mark.parametrize("place", DEAR)
def test_jax_is_recognised_by_what_the_file_imports_and_what_comes_back(place):
    assert target(place).backend == "jax"


KEEPS_ALL = [row for row in ROWS if len(row) == 5]
QUICK = ("numpy:pure_python", "numpy:by_id", "numpy:learner.compute", "torch:scatter_ids")


@by_row(
    [row for row in ROWS if row not in KEEPS_ALL and row[0][:3] != "jax"]
    + [row if row[0] in QUICK else pytest.param(row, marks=pytest.mark.slow) for row in KEEPS_ALL]
    + [pytest.param(row, marks=pytest.mark.slow) for row in ROWS if row not in KEEPS_ALL and row[0][:3] == "jax"]
)
def test_a_private_function_breaks_these_laws_and_no_other(row):
    place, *_, fails = [*row, ""] if len(row) == 5 else row
    report = check_estimator(target(place), laws=LAWS, examples=0)
    assert {f.name for f in report.findings if f.holds is False} == set(fails.split())


def short(f):
    scale = f.scale if f.ddof is None else f"{f.scale} {f.ddof}"
    eps = "-" if f.scale == "none" else f.describe().partition("eps ")[2].split(";")[0].split(" ")[0]
    clip = "none" if f.clip is None else f"+-{f.clip[1]:g}"
    return f"{f.baseline} / {scale} / {eps} / {clip} / {f.factor:.2f}"


@pytest.mark.parametrize(
    ("fault", "law"),
    [
        ("slipped_axis", "batch_independence"),
        ("best_is_the_baseline", "zero_sum"),
        ("wrong_reshape", "batch_independence"),
        ("absolute", "sign_correct"),
        ("unguarded", "finite"),
    ],
)
def test_a_faulty_estimator_is_caught_with_at_most_four_rewards(fault, law):
    found = check_estimator(target(f"numpy:{fault}"), laws=[law], examples=0)[law]
    assert found.verdict == "fails"
    assert found.counterexample.size <= 4


def test_a_constant_that_is_no_group_size_is_left_alone():
    assert target("numpy:top_of_the_group").layout == "group"


@pytest.mark.parametrize(("place", "inside"), [("numpy:half_precision", "float16"), ("torch:brain_float", "bfloat16")])
def test_precision_lost_inside_is_named(place, inside):
    assert f"it computes in {inside} inside" in " ".join(target(place).notes)


@pytest.mark.parametrize("place", ["numpy:Running.step", "numpy:running.step"])
def test_a_running_history_is_named(place):
    assert target(place).state == "self.seen"


def test_constants_are_put_back():
    import importlib

    check_estimator(target("numpy:global_size"), laws=["zero_sum"], examples=0)
    assert load(f"{HERE}/trainers_numpy.py:G") == 8
    assert importlib.import_module("tests.testing.trainers_numpy").settings.n_samples_per_prompt == 4
