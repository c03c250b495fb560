"""Typed estimators: what is said of good ones and of bad ones."""

import pytest

from symtheory import estimators
from symtheory.apps import estimator as workbench
from symtheory.errors import InputError
from symtheory.metrics.plane import place


def test_the_example_is_the_estimator_it_says_and_can_be_placed_tested_and_derived():
    estimator = workbench.read(workbench.EXAMPLE)
    rewards = [[1, 0, 0, 0], [1, 1, 1, 0]]
    expected = estimators.advantages(rewards, "grpo") * [[0.75], [0.25]]
    assert abs(estimators.advantages(rewards, estimator) - expected).max() < 1e-15
    assert place(estimator).tilt > place("grpo").tilt + 0.1
    report = workbench.laws(estimator, examples=5)
    assert {"zero_sum", "group_symmetry"} <= report.laws
    assert "Holds: " in workbench.law_table(report)
    forms = dict(workbench.closed_forms(estimator))
    assert forms["C"] == "0"
    assert forms["sum|A|"] == r"\frac{2 F \sqrt{F K}}{G}"


def test_what_the_app_says_to_try_happens():
    easy = workbench.read(workbench.EXAMPLE.replace("a * (1 - g.mean)", "a * g.mean"))
    assert place(easy).tilt < -0.1
    last = "    return op.where(op.positive(a), 0 * a, a)\n"
    negative = workbench.read(workbench.EXAMPLE.replace("    return a * (1 - g.mean) ** strength\n", last))
    assert place(negative).asymmetry == pytest.approx(-1)
    report = workbench.laws(negative, examples=0)
    assert report["zero_sum"].holds is False
    assert "| `zero_sum` | 0, 1 |" in workbench.law_table(report)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = (", "line 1, `x = (`: '(' was never closed"),
        ("links = 3", "must end with a tuple of links"),
        ("1 / 0", "line 1, `1 / 0`: ZeroDivisionError: division by zero"),
        ("def f(a, g, op):\n    return a * g.men\nlinks = (f,)", "line 2, `return a * g.men`: AttributeError"),
        ("def f(a, g, op):\n    return a[..., None]\nlinks = (f,)", "ValueError: operands could not be broadcast"),
        ("exit()", "line 1, `exit()`: SystemExit"),
    ],
)
def test_bad_code_ends_in_one_sentence_with_its_line(code, message):
    with pytest.raises(InputError) as raised:
        workbench.read(code)
    assert message in str(raised.value)


def test_code_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(workbench, "SECONDS", 0.3)
    with pytest.raises(InputError, match="did not return within"):
        workbench.read("while True:\n    pass")
