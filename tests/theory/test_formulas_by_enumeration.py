"""Every formula between backticks in a statement, read by sympy's own parser, over every mixed vector of rewards.

Neither the project's reader of formulas nor its code takes part: advantages are written out from the papers' equations.
"""

import itertools
import re

import numpy as np
import pytest
import sympy
from sympy.parsing.sympy_parser import implicit_multiplication, parse_expr, standard_transformations

import symtheory
from symtheory.theory.theorems import find, theorems

VALUES = {"ddof": (0, 1), "eps": (0, 0.1), "gamma": (0.5, 0.3), "beta": (10, 3), "alpha": (1, 0.5)}
"""Values of the parameters that a formula leaves open; the first is the default."""
MEANS = (0.25, 0.4, 0.8)
"""Batch mean rewards omega; the middle one is below alpha = 1/2, the last above."""


def grpo(r, w, ddof=0, eps=0):
    """Eq. 3: (r - mean r) / (std r + eps)."""
    away = r - r.mean()
    return away / (np.sqrt((away**2).sum() / (len(r) - ddof)) + eps)


def attenuated(a, w, alpha):
    """Eq. 13: min(1, omega / alpha) on the advantages of correct rollouts."""
    return np.where(a > 0, min(1, w / alpha) * a, a)


def hard(r, w, gamma=0.5):
    return gamma * grpo(r, w) / np.sqrt(r.mean())


def easy(r, w, gamma=0.5):
    return gamma * grpo(r, w) / np.sqrt(1 - r.mean())


def ddas(r, w):
    """Eq. 12."""
    return w * hard(r, w) + (1 - w) * easy(r, w)


def virtual(r, w):
    """NGRPO: standardised beside one more reward of 1."""
    more = np.append(r, 1.0)
    return (r - more.mean()) / more.std()


EQUATIONS = {
    "grpo": grpo,
    "dr_grpo": lambda r, w: r - r.mean(),
    "rloo": lambda r, w: np.array([x - np.delete(r, i).mean() for i, x in enumerate(r)]),
    "hard_focused": hard,
    "easy_focused": easy,
    "positive_dominant": lambda r, w, beta=10: np.where(r > 0, beta, 1) * grpo(r, w),
    "negative_dominant": lambda r, w, beta=10: np.where(r > 0, 1 / beta, 1) * grpo(r, w),
    "ddas": ddas,
    "ass": lambda r, w, alpha=1: attenuated(grpo(r, w), w, alpha),
    "agrae": lambda r, w, alpha=1: attenuated(ddas(r, w), w, alpha),
    "ngrpo": virtual,
    "nsr": lambda r, w: np.where(r > 0, 0.0, -1.0),
}
SPEC = r"[a-z_]+(?:\[[^\]]*\])?"
QUANTITY = re.compile(rf"(?:(flip)\()?(?:({SPEC})\.)?(sum \|A\||sum A\^2|sum A|\|A\+\||\|A-\||A\+|A-)(\))?")
OF_GROUP = {
    "A+": lambda a, r: a[r > 0][0],
    "A-": lambda a, r: a[r == 0][0],
    "|A+|": lambda a, r: abs(a[r > 0][0]),
    "|A-|": lambda a, r: abs(a[r == 0][0]),
    "sum A": lambda a, r: a.sum(),
    "sum |A|": lambda a, r: np.abs(a).sum(),
    "sum A^2": lambda a, r: (a**2).sum(),
}
RELATIONS = {"=": np.isclose, "<=": lambda a, b: a <= b + 1e-9, ">=": lambda a, b: a >= b - 1e-9, ">": np.greater}


def read(side, owner):
    """A side of a formula as an expression, and what each quantity in it is: name -> (flipped, estimator, quantity)."""
    quantities = {}

    def named(match):
        flipped, spec, quantity, closing = match.groups()
        name = f"Q{len(quantities)}"
        quantities[name] = bool(flipped), spec or owner, quantity
        return f" {name} " + (closing or "" if not flipped else "")

    text = QUANTITY.sub(named, side).replace("^", "**").replace("min(", "Min(")
    names = {n: sympy.Symbol(n) for n in (*quantities, *VALUES, *"KFGpwPN")}
    return parse_expr(text, names, (*standard_transformations, implicit_multiplication)), quantities


def value(side, owner, rewards, w, open_values):
    """Value of one side of a formula in one group."""
    form, quantities = read(side, owner)
    k, size = rewards.sum(), len(rewards)
    at = {"K": k, "F": size - k, "G": size, "p": k / size, "w": w, **open_values}
    for name, (flipped, spec, quantity) in quantities.items():
        estimator, _, inside = spec.partition("[")
        mine = {n.strip(): open_values[n.strip()] for n in inside.rstrip("]").split(",") if n}
        r, mean = (1 - rewards, 1 - w) if flipped else (rewards, w)
        at[name] = OF_GROUP[quantity](EQUATIONS[estimator](r, mean, **mine), r)
    return float(form.subs(at))


def parts(text):
    """(estimator of the header, sides, relations) of a formula."""
    header = re.match(rf"({SPEC}): ", text)
    body = text[header.end() :] if header else text
    pieces = re.split(r" (>=|<=|=|>) ", body)
    return header[1] if header else "", pieces[::2], pieces[1::2]


def mixed(size):
    """Mixed vectors of rewards of one size."""
    return [np.array(r, float) for r in itertools.product((0, 1), repeat=size) if 0 < sum(r) < size]


def complaints(text):
    """(group, omega, parameters) at which a formula is false."""
    owner, sides, relations = parts(text)
    free = [n for n in VALUES if re.search(rf"\[[^\]]*\b{n}\b[^\]]*\]", text)]
    omegas = MEANS if re.search(r"ddas|ass|agrae", text) else MEANS[:1]
    for size, w in itertools.product((2, 3, 5), omegas):
        # groups with the same K are one group but for the order, which the next test tries
        groups = [r for r in mixed(size) if (np.diff(r) <= 0).all()]
        for rewards, values in itertools.product(groups, itertools.product(*(VALUES[n] for n in free))):
            open_values = dict(zip(free, values, strict=True))
            found = [value(side, owner, rewards, w, open_values) for side in sides]
            for i, relation in enumerate(relations):
                if not RELATIONS[relation](found[i], found[i + 1]):
                    yield rewards.tolist(), w, open_values, found


def formulas_of(statement):
    return [text for text in re.findall(r"`([^`]*)`", statement) if re.search(r"[<>=]", text)]


IDS = [id for id, t in theorems().items() if ":" not in id and formulas_of(t.statement)]


@pytest.mark.parametrize("id", IDS)
def test_formulas_of_a_statement_hold_in_every_group_written_out(id):
    for text in formulas_of(find(id).statement):
        assert not list(complaints(text)), text


def test_formulas_that_a_proof_adds_hold_in_every_group_written_out():
    added = find("flip_duality").derive().formulas
    assert len(added) == 12
    for text in added:
        assert not list(complaints(text)), text


@pytest.mark.parametrize("name", EQUATIONS)
def test_the_code_is_the_equation_in_every_vector_of_rewards(name):
    for size in (2, 3, 4, 5):
        for rewards, w in itertools.product(mixed(size), MEANS):
            ours = symtheory.advantages(rewards, name, omega=w)
            np.testing.assert_allclose(ours, EQUATIONS[name](rewards, w), atol=1e-12)


def test_a_wrong_formula_is_noticed():
    assert list(complaints("grpo: sum |A| = 3 G sqrt(p (1 - p))"))
    assert list(complaints("flip(hard_focused[gamma].A-) = -hard_focused[gamma].A+"))
