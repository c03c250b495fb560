"""Formulas of the theory as numbers: against slow loops, against the simulators, and against values known exactly."""

import itertools
import math

import jax
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import symtheory
from symtheory import InputError, estimators
from symtheory.metrics.slope import expected_slope, kept_group_slope, objective
from symtheory.theory.closed_form import closed_forms, to_function
from symtheory.theory.symbols import BATCH, F, K, N, P, V, omega
from symtheory.theory.theorems import difficulty, flow, objectives
from symtheory.theory.theorems.objectives import limit_objective, limit_slope, slope_polynomial

RHO = [0.4, 0.3, 0.2, 0.1]


@pytest.fixture(scope="module", autouse=True)
def sixty_four_bit():
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


LONG_FORMS = ("agrae_released", "passk", "grpo_lead")
HAVE_FORMS = [pytest.param(n, marks=pytest.mark.slow) if n in LONG_FORMS else n for n in estimators.names("two_class")]


def variance_before_whitening(estimator, rewards):
    """Variance over the batch of what the first link that whitens receives; 0 where none does."""
    before = estimator.before_whitening
    return 0.0 if before is None else symtheory.advantages(rewards, before).var()


@pytest.mark.parametrize("name", HAVE_FORMS)
def test_closed_forms_as_jax_functions_are_the_estimator_on_random_batches(name):
    rng, e = np.random.default_rng(0), estimators.get(name)
    forms = closed_forms(e)
    functions = [to_function(x, (K, F, omega, N, V)) for x in (forms.correct, forms.wrong, forms.imbalance)]
    values = jax.jit(lambda *args: [f(*args) for f in functions])
    for size in (4, 7, 16):
        least = e.params.get("k", 1)  # the closed form of passk is stated for K, F >= k
        alone = 2 if name in ("nemo_grpo", "grpo_passk") else 1  # theirs is for two right and two wrong at least
        counts = np.arange(alone, size - max(least, alone) + 1)
        if not len(counts):
            continue
        correct = rng.choice(counts, 3)
        rewards = rng.permuted((np.arange(size) < correct[:, None]).astype(float), axis=1)
        a = symtheory.advantages(rewards, e)
        shared = rewards.mean(), float(rewards.size), variance_before_whitening(e, rewards)
        for row, k, group in zip(a, correct, rewards, strict=True):
            args = (float(k), float(size - k), *shared)
            right, wrong, total = values(*args)
            expected = np.where(group > 0, right, wrong)
            np.testing.assert_allclose(row, expected, rtol=1e-11, atol=1e-11)
            np.testing.assert_allclose(row.sum(), total, rtol=1e-10, atol=1e-10)


def test_closed_forms_are_differentiable():
    magnitude = to_function(closed_forms(estimators.get("grpo")).magnitude)
    slope = jax.grad(lambda k: magnitude(k, 8.0 - k, 0.5))
    assert float(slope(4.0)) == pytest.approx(0, abs=1e-12)
    assert float(slope(2.0)) > 0 > float(slope(6.0))


def slow_slope(name, size, success, w):
    """E over the other G - 1 rollouts, outcome by outcome, through the public function."""
    e, total = estimators.get(name), 0.0
    for others in itertools.product((0.0, 1.0), repeat=size - 1):
        chance = math.prod(success if r else 1 - success for r in others)
        gain = [symtheory.advantages([r, *others], e, omega=w)[0] for r in (1.0, 0.0)]
        total += chance * (gain[0] - gain[1])
    return total


def sees_more_than_omega(name):
    """Whether the other groups of a batch matter when the batch mean reward is given."""
    beside = [[1, 0, 0, 0, 0], [1, 1, 1, 1, 0]], [[0, 0, 0, 0, 0], [1, 1, 0, 0, 0]]
    a, b = (symtheory.advantages([[1, 1, 0, 0, 0], *others], name, omega=0.4)[0] for others in beside)
    return not np.allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("name", [n for n in estimators.names("two_class") if not sees_more_than_omega(n)])
def test_expected_slope_is_the_sum_over_all_groups(name):
    assert expected_slope(name, 5, 0.3, 0.4) == pytest.approx(slow_slope(name, 5, 0.3, 0.4), rel=1e-12)


def test_expected_slope_agrees_with_the_expected_dynamics():
    from symtheory.dynamics.expected import slope

    success, names = np.array([0.05, 0.3, 0.5, 0.9]), ("grpo", "negative_dominant", "maxrl", "nsr", "ngrpo")
    simulated = jax.jit(lambda p: {name: slope(estimators.get(name), 8, p) for name in names})(success)
    for name in names:
        np.testing.assert_allclose(simulated[name], expected_slope(name, 8, success), rtol=1e-12, err_msg=name)


@given(st.floats(0.02, 0.98), st.sampled_from([2, 3, 8]))
def test_objective_is_the_antiderivative_of_the_slope(success, size):
    h = 1e-5
    for name in ("grpo", "agrae", "raft", "nsr"):
        rise = (objective(name, size, success + h) - objective(name, size, success - h)) / (2 * h)
        assert rise == pytest.approx(float(expected_slope(name, size, success)), rel=1e-6)  # O(h^2) of the difference


@pytest.mark.parametrize("name", ["grpo", "hard_focused", "agrae", "reinforce_rej", "passk"])
def test_polynomial_and_numeric_slopes_agree(name):
    exact = slope_polynomial(name, 5).subs({P: sympy.Rational(3, 10), omega: sympy.Rational(1, 4)})
    assert float(exact) == pytest.approx(float(expected_slope(name, 5, 0.3, 0.25)), rel=1e-13)


@pytest.mark.parametrize("name", [n for n in estimators.names("two_class") if n != "grpo_lead"])
def test_slope_tends_to_its_limit(name):
    form = limit_slope(name).subs({P: 0.4, omega: 0.3, **BATCH})
    free = difficulty.unguarded(estimators.get(name))
    gap = [abs(float(expected_slope(free, size, 0.4, 0.3)) - float(form)) for size in (200, 800)]
    assert gap[1] < max(0.5 * gap[0], 1e-5)  # O(1/G)


EXACT_SLOPES = [
    ("grpo", 4, 0.3, math.sqrt(3) + (3 - 2 * math.sqrt(3)) * 0.21),
    ("grpo", 5, 0.2, 2 + (2 * math.sqrt(6) - 6) * 0.16),
    ("grpo", 8, 0.0, math.sqrt(7)),
    ("grpo", 3, 0.77, math.sqrt(2)),
    ("raft", 8, 0.25, (1 - 0.75**8) / 0.25),
    ("maxrl", 8, 0.25, (1 - 0.75**8) / 0.25 - 0.75**7),
    ("reinforce_rej", 6, 0.3, 2 - 0.7**5 - 0.3**5),
    ("dr_grpo", 8, 0.9, 7 / 8),
    ("w_reinforce", 8, 0.4, 1.1),
]


@pytest.mark.parametrize(("name", "size", "success", "value"), EXACT_SLOPES)
def test_slopes_with_closed_forms(name, size, success, value):
    assert float(expected_slope(name, size, success)) == pytest.approx(value, abs=1e-12)


def test_slope_of_grpo_at_large_groups():
    assert float(expected_slope("grpo", 64, 0.1)) == pytest.approx(3.25477, abs=5e-6)
    assert float(expected_slope("grpo", 8, 0.1)) == pytest.approx(2.3277, abs=5e-5)


def test_kept_groups_carry_the_whole_slope():
    kept = kept_group_slope("dapo", 8, 0.2) * (1 - 0.2**8 - 0.8**8)
    assert kept == pytest.approx(float(expected_slope("grpo", 8, 0.2)))


def test_limit_objectives_are_those_of_the_table():
    x, y = sympy.sqrt(P), sympy.sqrt(1 - P)
    expected = {
        "grpo": 2 * sympy.asin(x),
        "rloo": P,
        "hard_focused": -sympy.atanh(y),
        "easy_focused": sympy.atanh(x),
        "ddas": (1 - omega) * sympy.atanh(x) - omega * sympy.atanh(y),
        "positive_dominant": 11 * sympy.asin(x) + 9 * x * y,
        "maxrl": sympy.log(P),
    }
    for name, form in expected.items():
        difference = (limit_objective(name) - form).subs(omega, sympy.Rational(3, 10))
        assert abs(complex(difference.subs(P, 0.3) - difference.subs(P, 0.8))) < 1e-14, name


def test_ddas_peak_is_the_argmax_of_the_magnitude():
    for w in (0.2, 0.5, 0.7):
        grid = difficulty.magnitude("ddas", 2000, w)
        assert np.argmax(grid) / 2000 == pytest.approx(difficulty.ddas_peak(w), abs=1e-3)
        assert grid.max() / 2000 == pytest.approx(difficulty.ddas_height(w), abs=1e-6)
        assert difficulty.numeric_peak("ddas", w) == pytest.approx(difficulty.ddas_peak(w), abs=1e-12)


def test_peak_difficulty_has_a_closed_form_where_there_is_one():
    assert difficulty.peak_difficulty("grpo") == sympy.Rational(1, 2)
    assert difficulty.peak_difficulty("easy_focused") == 1
    w = sympy.Rational(3, 10)
    assert difficulty.peak_difficulty("agrae").subs(omega, w) == sympy.Rational(49, 58)
    assert difficulty.peak_difficulty("raft") is None
    assert math.isnan(difficulty.numeric_peak("raft"))


def test_imbalance_and_magnitude_of_table_1():
    size, p = 8, np.arange(9) / 8
    root = np.sqrt(p * (1 - p))
    np.testing.assert_allclose(difficulty.imbalance("negative_dominant", size), -0.9 * size * root, atol=1e-14)
    np.testing.assert_allclose(difficulty.magnitude("positive_dominant", size), 11 * size * root, atol=1e-13)


def test_collapse_thresholds():
    assert flow.nsr_critical_step(0.003, RHO) == pytest.approx(0.04333333333, abs=1e-9)
    assert flow.nsr_critical_step(0.003, RHO, weight=1) == pytest.approx(2 * 0.04333333333, abs=1e-9)
    eta = 0.17
    assert flow.nsr_critical_step(flow.nsr_collapse_threshold(eta, RHO), RHO) == pytest.approx(eta)
    assert flow.negative_dominant_critical_beta(5, RHO) == pytest.approx(6.11, abs=5e-3)
    assert flow.negative_dominant_critical_step(5, 10, RHO) == pytest.approx(4.61, abs=5e-3)
    assert flow.negative_dominant_critical_step(5, 6, RHO) == math.inf


def test_nsr_threshold_is_where_the_exact_expected_gain_changes_sign():
    """E[dP] of one finite NSR step by enumeration; the formula is the leading order in P and eta."""
    size, success = 3, 0.003
    pi = np.array([success, *(np.array(RHO) * (1 - success))])

    def gain(eta):
        total = 0.0
        for counts, ways in objectives.compositions(5, size):
            chance = ways * math.prod(x**n for x, n in zip(pi, counts, strict=True))
            wrong = size - counts[0]
            weights = pi * np.exp(eta * (-np.array([0, *counts[1:]]) + wrong * pi))
            total += chance * (weights[0] / weights.sum() - success)
        return total

    critical = flow.nsr_critical_step(success, RHO)
    assert gain(0.95 * critical) > 0 > gain(1.05 * critical)


def test_stability_indices():
    w = 0.3
    root = math.sqrt(7)
    assert flow.stability_index("agrae", 8, w) == pytest.approx((w + 0.7 * root) / (w * (w * root + 0.7)), rel=1e-12)
    assert flow.stability_index("agrae_released", 8, w) == pytest.approx(19.3, abs=0.05)
    assert flow.stability_index("ngrpo", 8) == pytest.approx(1.27, abs=5e-3)


def test_fixed_points_of_the_regularised_recursion():
    assert flow.regularised_fixed_point("grpo", 0.2, 2.0) == pytest.approx(0.408732720588, abs=1e-12)
    assert flow.regularised_fixed_point("grpo", 0.2, 1.0) == pytest.approx(0.681301, abs=1e-6)
    assert flow.regularised_fixed_point("dr_grpo", 0.2, 1.0) == pytest.approx(0.404610, abs=1e-6)
    assert flow.fixed_point_slope("grpo", 0.2, 2.0) == pytest.approx(-0.0928268, abs=1e-7)


TIMES = [("grpo", 9.849, 9.849), ("rloo", 54.09, 54.09), ("hard_focused", 5.042, 18.73), ("easy_focused", 18.73, 5.042)]
TIMES += [("negative_dominant", 65.89, 10.91), ("positive_dominant", 1.091, 6.589)]


@pytest.mark.parametrize(("name", "first", "second"), TIMES)
def test_two_arm_times(name, first, second):
    measured = flow.two_arm_time(name, 0.01, 0.5), flow.two_arm_time(name, 0.5, 0.99)
    assert measured == pytest.approx((first, second), rel=5e-4)


@pytest.mark.parametrize("name", flow.CLOCKS)
def test_two_arm_times_are_differences_of_the_clocks(name):
    clock = sympy.sympify(flow.CLOCKS[name][0], {"P": P, "Q": 1 - P})
    expected = float(clock.subs(P, 0.7) - clock.subs(P, 0.1))
    assert flow.two_arm_time(name, 0.1, 0.7) == pytest.approx(expected, rel=1e-10)


def test_initial_gains_over_beta_laws():
    from scipy.special import beta

    assert flow.initial_gain("grpo", 2, 4) == pytest.approx(2 * beta(3.5, 5.5) / beta(2, 4), rel=1e-9)
    assert flow.initial_gain("hard_focused", 10, 1) == pytest.approx(beta(11, 2.5) / beta(10, 1), rel=1e-9)


def test_orbit_conserves_what_it_should_and_reaches_the_given_success():
    start = np.array([0.05, 0.25, 0.45, 0.15, 0.10])
    end = flow.mean_field_orbit(start, [1, 1, 0, 0, 0], 0.9)
    assert end[:2].sum() == pytest.approx(0.9, abs=1e-10)
    assert -(end * np.log(end)).sum() == pytest.approx(0.538500127, abs=1e-9)


def test_tail_miss_probability_is_the_enumeration():
    size, mass, tail = 4, 0.4, 0.05
    total = 0.0
    for group in itertools.product(range(3), repeat=size):  # 0: tail, 1: other right, 2: wrong
        mixed = 2 in group and any(x < 2 for x in group)
        if mixed and 0 not in group:
            total += math.prod((tail, mass - tail, 1 - mass)[x] for x in group)
    assert flow.tail_miss_probability(size, mass, tail) == pytest.approx(total, abs=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: expected_slope("grpo", 8, 1.2), "P must be a success probability"),
        (lambda: expected_slope("grpo", 1, 0.5), "size must be a whole number >= 2"),
        (lambda: expected_slope("grpo", 8, 0.5, 2.0), "omega must be a mean reward"),
        (lambda: expected_slope("grpoo", 8, 0.5), "Did you mean 'grpo'"),
        (lambda: difficulty.ddas_peak(-0.1), "omega must be a mean reward"),
        (lambda: flow.nsr_collapse_threshold(0.1, [0.5, 0.4]), "rho must be probabilities"),
        (lambda: flow.mean_field_orbit([0.5, 0.5], [1, 0], 0.4), "success rate below until"),
    ],
)
def test_bad_input_gets_one_sentence(call, message):
    with pytest.raises(InputError, match=message):
        call()
