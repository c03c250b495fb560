"""Attacks on `prove`, each on a copy of the package: it must exit with 1 and name the row."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import jax
import numpy as np
import pytest
import sympy

from symtheory import InputError, estimators, paths
from symtheory.claims import ledger, ours, published
from symtheory.cli import prove as prove_command
from symtheory.estimators.base import _registry
from symtheory.theory import kept, proofs
from symtheory.theory.recheck import groups, program, trials
from symtheory.theory.recheck.formulas import formulas
from symtheory.theory.recheck.trials import forms
from symtheory.theory.recheck.trials.base import TRIALS, Trial, disagreement
from symtheory.theory.surds import surd
from symtheory.theory.theorems import find, theorems

REPOSITORY = Path(__file__).parents[2]
E, T = "symtheory/estimators", "symtheory/theory/theorems"


@dataclass(frozen=True)
class Attack:
    """One edit of one file, the rows asked for, and the row that must fail."""

    name: str
    file: str
    old: str
    new: str
    ids: tuple[str, ...]
    fails: str


def scaled(factor: str) -> tuple[str, str]:
    """GRPO's std link with its result multiplied by `factor`."""
    line = "    return op.div(a, op.sqrt(variance) + eps)\n"
    return line, line.replace("op.div", f"({factor}) * op.div")


ATTACKS = [
    Attack(
        "1.5 times on groups written out",
        f"{E}/grpo.py",
        *scaled("1.5 if a.shape[-1] > 2 else 1"),
        ("update_magnitude",),
        "update_magnitude",
    ),
    Attack(
        "a factor at G = 150 only",
        f"{E}/grpo.py",
        *scaled("1 + (g.size == 150) * 0.5"),
        ("update_magnitude",),
        "update_magnitude",
    ),
    Attack(
        "a factor beyond G = 40",
        f"{E}/grpo.py",
        *scaled("op.where(op.positive(g.weight.sum() - 40), 2, 1) if op.known(g.size) else 1"),
        ("square_sum_is_constant",),
        "square_sum_is_constant",
    ),
    Attack(
        "a factor of the batch mean",
        f"{E}/grpo.py",
        *scaled("1 + g.batch.omega / 100"),
        ("update_magnitude",),
        "update_magnitude",
    ),
    Attack(
        "a factor of the first rollout",
        f"{E}/grpo.py",
        *scaled("1 + (np.arange(a.shape[-1]) == 0)"),
        ("magnitude_bound",),
        "magnitude_bound",
    ),
    Attack(
        "a factor of the other prompts",
        f"{E}/grpo.py",
        *scaled("1 + 0 * a + (0 if a.ndim < 2 else a.shape[0] / 1e3)"),
        ("square_sum_is_constant",),
        "square_sum_is_constant",
    ),
    Attack(
        "minimum for maximum in numpy and jax",
        "symtheory/ops.py",
        "self.minimum, self.maximum = xp.minimum, xp.maximum",
        "self.minimum, self.maximum = xp.maximum, xp.minimum",
        ("ass_imbalance",),
        "ass_imbalance",
    ),
    Attack(
        "minimum for maximum in jax alone",
        "symtheory/ops.py",
        "self.minimum, self.maximum = xp.minimum, xp.maximum",
        "self.minimum = xp.minimum if xp is np else xp.maximum\n        self.maximum = xp.maximum",
        ("agrae_imbalance",),
        "agrae_imbalance",
    ),
    Attack(
        "minimum for maximum on symbols",
        "symtheory/ops.py",
        "self.minimum, self.maximum = _each(sympy.Min), _each(sympy.Max)",
        "self.minimum, self.maximum = _each(sympy.Max), _each(sympy.Min)",
        ("ass_imbalance",),
        "ass_imbalance",
    ),
    Attack(
        "degenerate groups get 1",
        "symtheory/ops.py",
        "return self.xp.where(bad, 0, a",
        "return self.xp.where(bad, 1, a",
        ("every_reward_vector",),
        "every_reward_vector",
    ),
    Attack(
        "omega and 1 - omega change places",
        f"{E}/agrae.py",
        "omega * focus_hard(a, g, op) + (1 - omega) * focus_easy(a, g, op)",
        "omega * focus_easy(a, g, op) + (1 - omega) * focus_hard(a, g, op)",
        ("eq12_ddas",),
        "eq12_ddas",
    ),
    Attack(
        "wrong rollouts are damped",
        f"{E}/agrae.py",
        "op.where(op.positive(a), op.minimum(1, g.batch.omega / alpha) * a, a)",
        "op.where(op.positive(a), a, op.minimum(1, g.batch.omega / alpha) * a)",
        ("ass_imbalance",),
        "ass_imbalance",
    ),
    Attack("beta is 9", f"{E}/controlled.py", "beta=10", "beta=9", ("entanglement",), "entanglement"),
    Attack(
        "gamma is 0.6",
        f"{E}/difficulty.py",
        "gamma=0.5",
        "gamma=0.6",
        ("focus_maximum_is_not_attained",),
        "focus_maximum_is_not_attained",
    ),
    Attack(
        "the released divisor",
        f"{E}/difficulty.py",
        "op.div(gamma * a, op.sqrt(1 - g.mean))",
        "op.div(gamma * a, 1 - op.sqrt(g.mean))",
        ("table1b_sums",),
        "table1_easy_focused",
    ),
    Attack(
        "ddof with the wrong sign",
        f"{E}/grpo.py",
        "g.size - ddof",
        "g.size + ddof",
        ("update_magnitude_ddof",),
        "update_magnitude_ddof",
    ),
    Attack("ngrpo's std with ddof 1", f"{E}/ngrpo.py", "ddof=0", "ddof=1", ("ngrpo_imbalance",), "ngrpo_imbalance"),
    Attack(
        "leave two out",
        f"{E}/reinforce.py",
        "op.div(g.size, g.size - 1)",
        "op.div(g.size, g.size - 2)",
        ("exact_finite_slopes",),
        "exact_finite_slopes",
    ),
    Attack(
        "maxrl divides by p^2",
        f"{E}/reinforce.py",
        "return op.div(a, g.mean + eps)",
        "return op.div(a, g.mean**2 + eps)",
        ("exact_finite_slopes",),
        "exact_finite_slopes",
    ),
    Attack(
        "pass@k counts one rollout less",
        f"{E}/passk.py",
        "failing_with_me = share_of_failing(op, wrong - 1, g.size - 1, k - 1)",
        "failing_with_me = share_of_failing(op, wrong - 1, g.size, k - 1)",
        ("zero_sum:passk", "passk_zero_sum"),
        "passk_zero_sum",
    ),
    Attack(
        "a stated weight of 7",
        f"{T}/objectives.py",
        "rloo: A+ - shift(A-) = 1 for",
        "rloo: A+ - shift(A-) = 7 for",
        ("exact_finite_slopes",),
        "exact_finite_slopes",
    ),
    Attack(
        "certificates that say 0",
        "symtheory/theory/algebra.py",
        "    roots = Roots()\n    written",
        "    return Certificate('0', meaning=meaning)\n    roots = Roots()\n    written",
        ("master_theorem",),
        "master_theorem",
    ),
    Attack(
        "a statement with another constant",
        f"{T}/difficulty.py",
        "`grpo: sum |A| = 2 G sqrt(p (1 - p))`",
        "`grpo: sum |A| = 3 G sqrt(p (1 - p))`",
        ("update_magnitude",),
        "update_magnitude",
    ),
    Attack(
        "a statement about another estimator",
        f"{T}/difficulty.py",
        "`ddas: sum A = 0`",
        "`ass: sum A = 0`",
        ("ddas_magnitude",),
        "ddas_magnitude",
    ),
    Attack(
        "another verdict in the ledger",
        "symtheory/claims/claims.toml",
        'verdict = "exact"\nproof = ["ass_imbalance"]',
        'verdict = "fails"\nproof = ["ass_imbalance"]',
        ("eq13_ass",),
        "eq13_ass",
    ),
    Attack(
        "another formula in the ledger",
        "symtheory/claims/claims.toml",
        "`grpo: sum |A| <= G` with",
        "`grpo: sum |A| <= 2 G` with",
        ("theorem2_peak",),
        "theorem2_peak",
    ),
    Attack(
        "a theorem that says the opposite",
        f"{T}/flow.py",
        '"negative_dominant": "beta",',
        '"negative_dominant": "1/beta",',
        ("stability_indices",),
        "stability_indices",
    ),
    Attack(
        "another counterexample",
        f"{T}/updates.py",
        '"dP / eta": "-4/125"',
        '"dP / eta": "-3/125"',
        ("sure_improvement_needs_its_hypotheses",),
        "sure_improvement_needs_its_hypotheses",
    ),
    Attack(
        "a published count",
        f"{T}/published.py",
        '"hits": 3,',
        '"hits": 4,',
        ("fig9_counts",),
        "fewer_collapses_are_significant",
    ),
    Attack(
        "a wrong clock",
        f"{T}/flow.py",
        '"grpo": ("(P - Q)/sqrt(P*Q)"',
        '"grpo": ("2*(P - Q)/sqrt(P*Q)"',
        ("two_arm_clocks",),
        "two_arm_clocks",
    ),
    Attack(
        "omega is the mean of the prompts' means",
        f"{E}/agrae.py",
        "    omega = g.batch.omega\n",
        "    omega = g.batch.omega_prompts\n",
        ("one_function_in_every_form",),
        "one_function_in_every_form",
    ),
    Attack(
        "omega of mixed groups only",
        f"{E}/group.py",
        "return self._op.div((self._group.weight * self._group.rewards).sum(), self.rollouts)",
        "mixed = self._group.weight * (self._group.mean > 0) * (self._group.mean < 1)\n"
        "        return self._op.div((mixed * self._group.rewards).sum(), mixed.sum())",
        ("one_function_in_every_form",),
        "one_function_in_every_form",
    ),
    Attack(
        "counts of more than 200 rollouts",
        f"{E}/base.py",
        "        return a[..., 0], a[..., 1]\n",
        "        return a[..., 0] * (1 + 0.5 * (a.dtype != object and size > 200)), a[..., 1]\n",
        ("one_function_in_every_form",),
        "one_function_in_every_form",
    ),
    Attack(
        "numpy's root is wrong in the ninth digit",
        "symtheory/ops.py",
        "self.sqrt, self.exp = xp.sqrt, xp.exp",
        "self.sqrt, self.exp = (lambda x: xp.sqrt(x) * (1 + 1e-9)), xp.exp",
        ("square_sum_is_constant",),
        "square_sum_is_constant",
    ),
    Attack(
        "from the 300th call on",
        f"{E}/grpo.py",
        "    return op.div(a, op.sqrt(variance) + eps)\n",
        "    CALLS.append(1)\n    return (1 + 0.1 * (len(CALLS) > 300)) * op.div(a, op.sqrt(variance) + eps)\n"
        "\n\nCALLS = []\n",
        ("square_sum_is_constant",),
        "square_sum_is_constant",
    ),
    Attack(
        "another parameter",
        f"{E}/reinforce.py",
        '    eps=1e-4,\n    source="ms-swift',
        '    eps=1e-2,\n    source="ms-swift',
        (),
        "theorems.json",
    ),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the checkout that the attacks may edit."""
    root = tmp_path_factory.mktemp("copy")
    keep = shutil.ignore_patterns("__pycache__", "*.nc", "*.png")
    for name in ("symtheory", "paper", "figures", "proofs"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=keep)
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, root)
    return root


def prove(root: Path, *arguments: str) -> tuple[int, str]:
    """Exit status and output of `prove` in a copy, with a cache of its own."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(root / "cache"), "PYTHONPATH": str(root), "COLUMNS": "200"}
    command = [sys.executable, "-m", "symtheory", "prove", *arguments, "--format", "json"]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_the_copy_as_it_is_passes(copy):
    status, output = prove(copy, "update_magnitude", "eq13_ass", "zero_sum:grpo")
    assert status == 0, output


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS, ids=[a.name for a in ATTACKS])
def test_attack_is_caught_and_its_row_named(copy, attack):
    path = copy / attack.file
    original = path.read_text()
    assert attack.old in original, "the attack no longer applies"
    head = "import numpy as np\n" if "np." in attack.new and attack.file.startswith(E) else ""
    edited = original.replace(attack.old, attack.new)
    path.write_text(re.sub(r'(""".*?"""\n)', rf"\1{head}", edited, count=1, flags=re.DOTALL))
    try:
        status, output = prove(copy, *attack.ids)
    finally:
        path.write_text(original)
    assert status == 1, output
    rows = {row["id"]: row for row in json.loads(output[output.index("[") :])}
    named = [id for id, row in rows.items() if not row["rechecked"]]
    assert any(attack.fails in id or attack.fails in rows[id]["method"] for id in named), rows


LINKS = '''
def fading(a, g, op):
    """(20 - G) a: turns round at G = 20."""
    return (20 - g.size) * a


def late(a, g, op):
    """(0.95 - omega) a: turns round at the end of training."""
    return (0.95 - g.batch.omega) * a


def wide(a, g, op):
    """Three times the reward where a group has more than two columns."""
    return a * (3 if a.shape[-1] > 2 else 1)
'''


@pytest.mark.slow
@pytest.mark.parametrize("link", ["fading", "late", "wide"])
def test_estimator_that_turns_round_somewhere_is_not_called_sure(copy, link):
    head = "from symtheory.estimators.grpo import center, scale_by_std\n"
    (copy / "mine.py").write_text(f"{head}{LINKS}\n\nlinks = (center, scale_by_std, {link})\n")
    environment = {**os.environ, "XDG_CACHE_HOME": str(copy / "cache"), "PYTHONPATH": str(copy)}
    command = [sys.executable, "-m", "symtheory", "prove", "--derive", "mine:links", "--format", "json"]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    rows = json.loads(done.stdout)["theorems"]
    sure = next(row for row in rows if row["id"].startswith("sure_improvement"))
    if link == "wide":
        assert done.returncode == 1
        assert not all(row["rechecked"] for row in rows)
    else:
        assert (sure["verdict"], sure["rechecked"]) == ("fails", True), sure


ENTRY = "table1_hard_focused"


@pytest.fixture(scope="module")
def entry():
    theorem = find(ENTRY)
    return json.loads(json.dumps(proofs.record(theorem, theorem.derive())))


def edited(entry: dict, *path, value) -> dict:
    copy = json.loads(json.dumps(entry))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value(place[path[-1]]) if callable(value) else value
    return copy


FIRST = ("formulas", 0, "parts", 0)
EDITS = {
    "the left side": (*FIRST, "left"),
    "the right side": (*FIRST, "right"),
    "the formula": ("formulas", 0, "text"),
    "a form": ("table", "forms", "hard_focused[gamma]", "Aplus"),
    "the other form": ("table", "forms", "hard_focused[gamma]", "Aminus"),
}


@pytest.mark.parametrize("path", EDITS.values(), ids=EDITS)
def test_edited_certificate_fails_its_row(entry, path):
    assert program.check(entry).rechecked
    changed = edited(entry, *path, value=lambda x: x.replace("= 2 ", "= 3 ") if "= 2 " in x else f"2*({x})")
    assert program.check(changed).complaints


def test_edited_cofactor_root_or_verdict_fails_its_row(entry):
    cofactors = entry["formulas"][0]["parts"][0]["cofactors"]
    for name in cofactors:
        assert program.check(edited(entry, *FIRST, "cofactors", name, value="0")).complaints
    assert program.check(edited(entry, "table", "roots", 0, value=lambda x: f"2*{x}")).complaints
    assert program.check(edited(entry, "verdict", value="fails")).complaints
    assert program.check({**entry, "formulas": []}).complaints
    assert program.check({**entry, "table": {}}).complaints


def test_certificate_of_another_row_or_under_another_hypothesis_fails(entry):
    """Exchanged, weakened to fewer groups, or made conditional; the writer may renew the hash."""
    other = find("table1_easy_focused")
    theirs = json.loads(json.dumps(proofs.record(other, other.derive())))
    parts = ("statement", "source", "id")
    swapped = {**theirs, **{name: entry[name] for name in parts}}
    weaker = edited(entry, "statement", value=lambda s: s.replace("`hard_focused", "`easy_focused", 1))
    conditional = {**entry, "when": "p < 1/2"}
    for changed in (theirs | {"id": ENTRY}, swapped, weaker, conditional):
        row, _ = prove_command._check(ENTRY, changed | {"digest": kept.digest(changed)}, 1)
        assert not row.rechecked, row
    row, _ = prove_command._check(ENTRY, entry | {"digest": kept.digest(entry)}, 1)
    assert row.rechecked, row


@pytest.mark.parametrize(
    ("name", "weaker"),
    [
        ("trials", lambda _: []),
        ("certificates", lambda certificates: certificates[:1]),
        ("rests_on", lambda _: "exact at points"),
    ],
)
def test_kept_certificate_that_was_weakened_by_one_who_renews_its_hash_fails_its_row(name, weaker, monkeypatch):
    theorem = find("ddas_peak_and_height")
    entry = proofs.record(theorem, theorem.derive())
    weakened = {**entry, name: weaker(entry[name])}
    assert program.check(weakened, 1).rechecked  # it is true, and less than is published
    row, _ = prove_command._check(theorem.id, weakened | {"digest": kept.digest(weakened)}, 1)
    assert not row.rechecked
    assert f"has not the {name}" in row.method
    monkeypatch.setattr(kept, "load", lambda: {theorem.id: weakened | {"digest": kept.digest(weakened)}})
    assert prove_command.run((theorem.id,), format="json") == 1


FORMS = {
    "G = 256 only": lambda a, g: a.shape[-1] == 256,
    "jax in float64 only": lambda a, g: isinstance(a, jax.Array) and a.dtype == np.float64,
    "7 right of 60 only": lambda a, g: a.dtype != object and (g.size == 60) & (abs(g.size * g.mean - 7) < 0.5),
    "half right of 100 only": lambda a, g: a.dtype != object and (g.size == 100) & (g.mean == 0.5),
    "float32": lambda a, g: a.dtype == np.float32,
    "jax in float32": lambda a, g: isinstance(a, jax.Array) and a.dtype == np.float32,
    "padded": lambda a, g: a.dtype != object and a.shape[-1] > 2 and (g.weight == 0).any(),
    "torch": lambda a, g: type(a).__module__ == "torch",
    "rollouts of 3 tokens": lambda a, g: a.dtype != object and (g.length != 1).any(),
    "one prompt alone": lambda a, g: a.ndim > 1 and a.shape[0] > 64,
    "prompts on two axes": lambda a, g: a.ndim == 3,
    "a group without an axis of prompts": lambda a, g: a.ndim == 1 and a.dtype != object,
}
"""Where an estimator is wrong, and right everywhere else."""
OF_FORMULAS = ("G = 256 only", "jax in float64 only", "7 right of 60 only", "half right of 100 only")
"""What the formulas notice; the others are forms of `one_function_in_every_form`, by name."""
if not importlib.util.find_spec("torch"):
    del FORMS["torch"]


def wrong_where(condition) -> estimators.Estimator:
    """GRPO with half as much again for correct rollouts where a condition holds."""

    def favour_right(a, g, op):
        """1.5 a for correct rollouts, under the condition."""
        where = condition(a, g)
        return a if where is False else a * (1 + 0.5 * where * (g.rewards > 0))

    grpo = estimators.get("grpo")
    return replace(grpo, links=(*grpo.links, favour_right))


REWARDS = {
    "negative": lambda r: (r < 0).any(-1, keepdims=True),
    "above 1000": lambda r: (r > 1000).any(-1, keepdims=True),
    "below a thousandth": lambda r: (abs(r) < 1e-3).all(-1, keepdims=True),
    "of three values": lambda r: ((r > r.min(-1, keepdims=True)) & (r < r.max(-1, keepdims=True))).any(
        -1, keepdims=True
    ),
}
"""Real rewards at which an estimator is wrong."""


@pytest.mark.parametrize("rewards", REWARDS)
def test_estimator_that_is_wrong_at_some_real_rewards_fails_their_trial(rewards, monkeypatch):
    wrong = wrong_where(
        lambda a, g: REWARDS[rewards](g.rewards) if isinstance(a, np.ndarray) and a.dtype == float else False
    )
    monkeypatch.setitem(_registry, "grpo", wrong)
    answers = trials.get("real_rewards").run(0, specs=["grpo"])
    assert any(map(disagreement, answers))


def test_an_error_in_the_sixth_digit_is_noticed_in_floats_and_in_exact_numbers(monkeypatch):
    def enlarge(a, g, op):
        """a, a millionth larger."""
        return a * (1 + Fraction(1, 10**6)) if a.dtype == object else a * (1 + 1e-6)

    grpo = estimators.get("grpo")
    monkeypatch.setitem(_registry, "grpo", replace(grpo, links=(*grpo.links, enlarge)))
    [formula] = formulas("grpo: sum A^2 = G")
    for _, complaint in (
        groups.holds_on(formula, "numpy", 0),
        groups.holds_on(formula, "jax", 0),
        groups.holds_exactly(formula),
    ):
        assert complaint


def test_relations_hold_up_to_rounding_and_strict_ones_strictly():
    gaps = np.array([-1e-3, -1e-12, 0.0, 1e-12, 1e-3])
    holds = {"=": [0, 1, 1, 1, 0], ">=": [0, 1, 1, 1, 1], "<=": [1, 1, 1, 1, 0]}
    holds |= {">": [0, 0, 0, 1, 1], "<": [1, 1, 0, 0, 0], "!=": [1, 0, 0, 0, 1]}
    for relation, expected in holds.items():
        assert groups.compare(relation, gaps, 1e-9).tolist() == [bool(x) for x in expected], relation
        exact = [groups.exactly(relation, surd(Fraction(n, 7))) for n in (-1, 0, 1)]
        assert exact == [bool(expected[0]), bool(expected[2]), bool(expected[4])], relation


@pytest.mark.parametrize("kind", ["numpy", "jax", "exact"])
def test_a_formula_is_tried_in_numpy_in_jax_and_in_exact_numbers(kind, monkeypatch):
    where = {
        "numpy": lambda a, g: a.dtype == float and isinstance(a, np.ndarray),
        "jax": FORMS["jax in float64 only"],
        "exact": lambda a, g: a.dtype == object and not isinstance(a.flat[0], sympy.Basic),
    }
    formula = {"text": "grpo: sum A^2 = G", "method": "all G to n", "parts": [{}]}
    entry = {"id": "x", "statement": "", "verdict": "exact", "formulas": [formula]}
    assert program.check(entry).rechecked
    monkeypatch.setitem(_registry, "grpo", wrong_where(where[kind]))
    [complaint, *_] = program.check(entry).complaints
    assert {"numpy": "numpy gives", "jax": "jax gives", "exact": "it is"}[kind] in complaint


def test_forms_that_are_not_the_code_fail_also_where_the_formula_is_true_of_both():
    formula = {"text": "grpo: sum A = 0", "method": "identity for all G", "parts": [{"lean": True}]}
    table = {"forms": {"grpo": {"Aplus": "F", "Aminus": "-K"}}}
    entry = {"id": "x", "statement": "", "verdict": "exact", "formulas": [formula], "table": table}
    assert "the code is not the form" in program.check(entry).complaints[0]


def test_trial_that_tries_nothing_or_of_which_one_point_disagrees_fails_its_row(monkeypatch):
    entry = {"id": "x", "statement": "", "verdict": "exact", "trials": [{"name": "fake"}]}
    for answers, complaint in (
        ([True, "at G = 7"], "1 of 2 do not agree: at G = 7"),
        ([], "tried nothing"),
        ([True], ""),
    ):
        monkeypatch.setitem(
            TRIALS, "fake", Trial(lambda seed, answers=answers: iter(answers), "exact at points", "exact")
        )
        found = program.check(entry).complaints
        assert complaint in found[0] if complaint else not found, found


NO_CODE = {"antiderivative", "two_counts", "published_rows_differ", "random_trees", "undrawn_leaves_move", "forward_kl"}
NO_CODE |= {
    "recursion",
    "own_directions",
    "monotone_rates",
    "tilted_on_what_is_trained",
    "bonus_on_small_policies",
    "conserved",
}
"""Trials of formulas, trees, tables or policies, without an estimator."""


ANY_ADVANTAGES = {"master_by_enumeration", "master_by_the_law_of_success", "noisy_verifier_by_enumeration", "ascends"}
ANY_ADVANTAGES |= {"placebo_by_enumeration", "placebo_at_second_order", "steps_by_exchange_rates", "every_form"}
"""Trials of what holds for any advantages, if every form of the input has the same ones."""


@pytest.mark.slow
def test_every_trial_of_an_estimator_notices_that_it_is_another(monkeypatch):
    named = [(t["name"], t["args"]) for entry in kept.load().values() for t in entry["trials"]]
    named = named or [(n, a) for id in theorems() for n, a in find(id).derive().named]
    blind = {n: [a for m, a in named if m == n] for n, _ in named if n not in NO_CODE | ANY_ADVANTAGES}
    rights = {name: estimators.get(name) for name in estimators.names()}
    for wrong in (favour_few, favour_right, twice, turned, one_more):
        for name, right in rights.items():
            monkeypatch.setitem(_registry, name, replace(right, links=(*right.links, wrong)))
        blind = {
            n: given
            for n, given in blind.items()
            if not any(disagreement(x) for args in given for x in trials.get(n).run(0, **args))
        }
    assert not blind


def favour_few(a, g, op):
    """a, and a fifth more for the only correct rollout of a group of numbers."""
    return a + (g.rewards * op.where(op.sum(g.weight * g.rewards) == 1, 1, 0 * g.size)) / 5


def favour_right(a, g, op):
    """a + r/5."""
    return a + g.rewards / 5


def twice(a, g, op):
    """2 a."""
    return 2 * a


def turned(a, g, op):
    """-a."""
    return -a


def one_more(a, g, op):
    """a + 1, also where all rewards are equal."""
    return a + 1


@pytest.mark.parametrize("form", OF_FORMULAS)
def test_estimator_that_is_wrong_in_some_groups_fails_its_row(form, monkeypatch, capsys):
    monkeypatch.setitem(_registry, "grpo", wrong_where(FORMS[form]))
    assert prove_command.run(("zero_sum:grpo",), format="json", fresh=True) == 1
    assert [r["id"] for r in json.loads(capsys.readouterr().out) if not r["rechecked"]] == ["zero_sum:grpo"]


@pytest.mark.slow
def test_a_wrong_form_fails_the_row_which_names_the_estimator_and_the_form(monkeypatch, capsys):
    monkeypatch.setitem(_registry, "grpo", wrong_where(FORMS["padded"]))
    assert prove_command.run(("one_function_in_every_form",), format="json", fresh=True) == 1
    [row] = json.loads(capsys.readouterr().out)
    assert "grpo, padded: an advantage is" in row["method"]


@pytest.mark.parametrize("form", [None, *(f for f in FORMS if f not in OF_FORMULAS)])
def test_each_wrong_form_is_noticed_and_the_right_code_passes(form):
    estimator = wrong_where(FORMS[form]) if form else estimators.get("grpo")
    complaints = [c for f in forms.forms_of([estimator], 1) if (c := forms.disagreement(f))]
    assert any(c.startswith(f"grpo, {form}: ") for c in complaints) if form else not complaints, complaints


@pytest.fixture
def ledger_copy(tmp_path, monkeypatch):
    """A copy of the ledger, with the effects of every seed, that the attacks may edit."""
    shutil.copytree(ledger.HERE, tmp_path, dirs_exist_ok=True)
    for module in (ledger, published):
        monkeypatch.setattr(module, "HERE", tmp_path)
    return tmp_path


def published_complaints() -> dict[str, str]:
    """What `prove` without arguments says of the published files that are not what was checked, by file."""
    try:
        findings = ledger.load_findings()
    except InputError:
        findings = {}
    return {row.id: row.method for row in published.rows([], findings, None) if not row.rechecked}


def test_published_claims_are_those_of_the_ledger(ledger_copy):
    assert set(published_complaints()) == {published.THEOREMS}  # no theorem was checked for this


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A copy of what is published, that the attacks may edit."""
    for name in ("figures", "paper/results", "paper/generated", "proofs"):
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=shutil.ignore_patterns("*.nc", "certificates.json"))
    shutil.copy(REPOSITORY / "README.md", tmp_path)
    monkeypatch.setattr(paths, "checkout", lambda: tmp_path)
    return tmp_path


PUBLISHED = [
    ("figures/full/fig2.md", "**no effect**", "**supported**", "figures"),
    ("figures/full/fig2.md", "calibrated to the published MATH pass@1", "calibrated to nothing", published.FILES),
    ("figures/replay/training-full-3.md", "-0.92", "-0.12", published.FILES),
    ("paper/generated/effects.tex", "40", "41", published.FILES),
    ("paper/results/interference-runs.json", "0.1", "0.2", published.FILES),
    ("proofs/Groups.v", "Theorem master", "Theorem other", published.FILES),
    ("README.md", "| no effect | reversed | supported |", "| no effect | no effect | supported |", "README.md"),
    ("README.md", "-2.38", "-2.39", "README.md"),
    ("README.md", "44 estimators", "45 estimators", "README.md"),
    ("README.md", "rows 43 lie", "rows 53 lie", "README.md"),
    ("README.md", "keeps more from 54", "keeps more from 44", "README.md"),
]


@pytest.mark.parametrize(("file", "old", "new", "row"), PUBLISHED, ids=[f"{f}: {new}" for f, _, new, _ in PUBLISHED])
def test_edited_number_of_a_published_file_fails_its_row(file, old, new, row, checkout):
    text = (checkout / file).read_text()
    assert old in text, "the attack no longer applies"
    (checkout / file).write_text(text.replace(old, new))
    assert row in published_complaints()


@pytest.mark.slow
def test_numbers_of_the_law_are_computed_again():
    law = ours.law_outcome()
    known = {r.id: r for r in published.rows([], ledger.load_findings(), law)}
    assert known["README.md"].rechecked, known["README.md"].method
    turned = law.assign(order=-law.order.where(law.predictor != "runs", -law.order))
    assert "it does not say '0 of 53 cases'" in "".join(
        published._readme(paths.checkout(), ledger.load_findings(), turned)
    )


CLAIM = "table3_agrae_beats_grpo_pass256"


def test_margin_edited_after_the_fact_or_claim_deleted_fails_the_published_claims(ledger_copy):
    text = (ledger_copy / "claims.toml").read_text()
    mine = next(block for block in text.split("[[claim]]") if f'"{CLAIM}"' in block)
    changed = mine.replace("margin = ", "margin = 9")
    assert changed != mine
    for attack in (text.replace(mine, changed), text.replace(f"[[claim]]{mine}", "")):
        (ledger_copy / "claims.toml").write_text(attack)
        assert CLAIM in published_complaints()[published.CLAIMS]


def test_seeds_that_were_dropped_or_whose_effects_were_edited_fail_the_published_claims(ledger_copy):
    path = ledger_copy / "seeds/tree.json"
    content = json.loads(path.read_text())
    setting = next(s for s in content["settings"].values() if CLAIM in s["claims"])
    setting["seeds"] = setting["seeds"][:20]
    setting["claims"] = {id: {r: v[:20] for r, v in c.items()} for id, c in setting["claims"].items()}
    path.write_text(json.dumps(content))
    assert CLAIM in published_complaints()[published.CLAIMS]


def test_seeds_file_that_is_cut_off_fails_the_measured_claims_by_name(ledger_copy, capsys):
    path = ledger_copy / "seeds/bandit.json"
    path.write_text(path.read_text()[:20_000])
    assert prove_command.run((CLAIM, "fig9_counts"), format="json") == 1
    failed = {r["id"]: r["method"] for r in json.loads(capsys.readouterr().out) if not r["rechecked"]}
    assert set(failed) == {CLAIM}
    assert "effects of the bandit world cannot be read" in failed[CLAIM]
    assert published.CLAIMS in published_complaints()


def test_interval_with_its_ends_exchanged_and_verdict_against_its_interval_fail_the_claim():
    claim = next(c for c in ledger.load_claims() if c.id == CLAIM)
    findings = ledger.load_findings()[CLAIM]
    assert ledger.claim_row(claim, {}, {CLAIM: findings}).rechecked
    reading, cell = next((r, c) for r, c in findings[0].cells.items() if c.verdict not in ("supported", "reversed"))
    swapped = replace(cell, parts=tuple(replace(p, low=p.high, high=p.low) for p in cell.parts))
    for changed in (swapped, replace(cell, verdict="supported"), replace(cell, verdict="reversed")):
        finding = replace(findings[0], cells={**findings[0].cells, reading: changed})
        row = ledger.claim_row(claim, {}, {CLAIM: (finding, *findings[1:])})
        assert not row.rechecked, row


def test_upgraded_method_or_deleted_row_in_the_published_theorems_fails(tmp_path, monkeypatch):
    saved = [{"formulas": [], **row} for row in json.loads((paths.checkout() / published.THEOREMS).read_text())]
    checked = [ledger.Row(**row) for row in saved]
    (tmp_path / "paper/results").mkdir(parents=True)
    (tmp_path / published.THEOREMS).write_text(json.dumps(saved))
    assert list(published._theorems(tmp_path, checked)) == []
    grpo = next(row for row in saved if row["id"] == "closed_form:grpo")
    weak = next(row for row in saved if row["method"].startswith("float to tolerance"))
    for edited_rows, id in (
        ([row | {"method": "identity for all G"} if row is weak else row for row in saved], weak["id"]),
        ([row for row in saved if row["id"] != "zero_sum:grpo"], "zero_sum:grpo"),
        ([row | {"formulas": ["grpo: A+ = 1"]} if row is grpo else row for row in saved], "closed_form:grpo"),
    ):
        (tmp_path / published.THEOREMS).write_text(json.dumps(edited_rows))
        assert any(id in complaint for complaint in published._theorems(tmp_path, checked))


def test_kept_certificate_knows_that_it_was_edited(entry):
    assert kept.digest(entry) == kept.digest(json.loads(json.dumps(entry)))
    assert kept.digest(entry) != kept.digest(edited(entry, "verdict", value="fails"))


def test_published_certificates_are_those_of_this_code():
    """Where this fails, estimators or theory have changed: `symtheory paper --prove` renews them."""
    content = json.loads((paths.checkout() / kept.PUBLISHED).read_text())
    assert content["code"] == kept.code()
    assert all(entry["digest"] == kept.digest(entry) for entry in content["theorems"])


def test_published_certificate_that_was_edited_fails_its_row(tmp_path, monkeypatch):
    root = paths.checkout()
    text = (root / kept.PUBLISHED).read_text()
    text = text.replace(json.loads(text)["code"], kept.code())  # an edit of today's code is another test's concern
    assert '"id": "zero_sum:grpo"' in text
    (tmp_path / kept.PUBLISHED).parent.mkdir(parents=True)
    (tmp_path / kept.PUBLISHED).write_text(text.replace("grpo: sum A = 0", "grpo: sum A >= 0"))
    monkeypatch.setattr(paths, "checkout", lambda: tmp_path)
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    row, _ = prove_command._check("zero_sum:grpo", kept.load()["zero_sum:grpo"], 1)
    assert not row.rechecked
    (tmp_path / kept.PUBLISHED).write_text(text.replace(kept.code(), "of other code"))
    assert kept.load() == {}  # and everything is derived anew


@pytest.mark.slow
def test_published_certificates_are_what_the_derivations_write():
    content = json.loads((paths.checkout() / kept.PUBLISHED).read_text())
    for entry in content["theorems"]:
        theorem = find(entry["id"])
        made = json.loads(json.dumps(proofs.record(theorem, theorem.derive())))
        assert made == {key: value for key, value in entry.items() if key != "digest"}


def test_a_stronger_method_than_was_used_is_not_believed(entry):
    assert program.check(entry | {"rests_on": "exact at points"}).method == "exact at points"
    floats = {**entry, "formulas": [], "statement": "", "trials": [{"name": "conserved", "args": {}}]}
    assert program.check(floats | {"rests_on": "all G to n"}).method == "float to tolerance"


def test_recheck_knows_no_computer_algebra():
    code = "import symtheory.theory.recheck.program, sys; sys.exit('sympy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
