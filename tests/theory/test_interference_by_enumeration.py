"""The interference law on a small population: every group of every prompt is drawn, pass@k is differenced."""

import itertools
import math
import re
from fractions import Fraction

import numpy as np
import pytest
from scipy.special import softmax
from textbook import chance, group_advantages, groups, slope, value

from symtheory.theory.recheck import trials
from symtheory.theory.recheck.trials.base import disagreement
from symtheory.theory.theorems import find, interference

RNG = np.random.default_rng(0)
RIGHT = np.array([1, 1, 0, 0])
TRAINED, WATCHED = RNG.normal(size=(3, 4, 3)), RNG.normal(size=(2, 4, 3))
"""Features of four trajectories of each prompt, [prompts, trajectories, parameters]: all prompts share parameters."""
START = np.array([0.2, -0.4, 0.3])


def success(parameters, features):
    """P of each prompt."""
    return softmax(features @ parameters, axis=1) @ RIGHT


def pass_at_k(parameters, features, k):
    """Mean over prompts of the chance that one of k rollouts is right."""
    return np.mean(1 - (1 - success(parameters, features)) ** k)


def along(function, direction, h=1e-5):
    """Derivative of a function of the parameters along a direction."""
    return (function(START + h * direction) - function(START - h * direction)) / (2 * h)


def gradients(features):
    """grad P of each prompt, [prompts, parameters]."""
    return np.stack([along(lambda x: success(x, features), e) for e in np.eye(3)], axis=1)


def expected_step(name, features, size=3):
    """Sum over prompts of the mean policy gradient over all groups."""
    step = np.zeros(3)
    for prompt in features:
        pi = softmax(prompt @ START)
        scores = prompt - pi @ prompt
        for group in groups(4, size):
            a = group_advantages(name, RIGHT[list(group)].tolist(), 1 / 3)
            step += chance(group, pi) * sum(x * scores[o] for x, o in zip(a, group, strict=True)) / size
    return step


@pytest.mark.parametrize("name", ["grpo", "hard_focused", "negative_dominant", "agrae"])
def test_the_slope_at_equal_progress_is_the_weighted_mean_of_the_rates_of_single_prompts(name):
    statement = find("slope_is_a_mean_of_exchange_rates").statement
    assert (
        "is the mean over training prompts q of the exchange rates rho_q = B_q / T_q with weights F'_q T_q" in statement
    )
    step, own = expected_step(name, TRAINED), gradients(TRAINED)
    for k in (1, 2, 5):
        gain, progress = (lambda x, k=k: pass_at_k(x, WATCHED, k)), (lambda x: pass_at_k(x, TRAINED, 1))
        measured = along(gain, step) / along(progress, step)
        b, t = (np.array([along(f, g) for g in own]) for f in (gain, progress))  # training on one prompt alone
        weight = np.array([slope(name, 3, p, 1 / 3) for p in success(START, TRAINED)])
        assert measured == pytest.approx(np.average(b / t, weights=weight * t), rel=1e-6)


@pytest.mark.parametrize("name", ["grpo", "rloo", "maxrl", "hard_focused", "easy_focused", "agrae", "ddas"])
def test_exact_slopes_are_the_enumerated_ones(name):
    for size, p in ((2, Fraction(1, 3)), (5, Fraction(4, 5))):
        assert float(trials.interference.exact_slope(name, size, p)) == pytest.approx(
            slope(name, size, float(p), 1 / 3)
        )


def keeps(weight, progress, rates):
    """d pass@k / d pass@1 of an estimator with these F' on prompts with these T and rho."""
    gain = sum(w * t * r for w, t, r in zip(weight, progress, rates, strict=True))
    return Fraction(gain) / sum(w * t for w, t in zip(weight, progress, strict=True))


def falls(values):
    return all(a >= b for a, b in itertools.pairwise(values))


def test_harder_focus_keeps_more_wherever_the_premises_hold_in_every_small_case():
    text = find("exchange_rates_set_the_sign").statement
    assert "Let T > 0 and F' > 0 for all training prompts" in text
    assert "F'_A / F'_B falls with P. If the exchange rate rho = B/T falls with P, A gains at least as much" in text
    assert "if rho rises, at most as much" in text
    few = list(itertools.product((1, 3), repeat=3))
    falling = [x for x in itertools.product((-1, 1, 2), repeat=3) if falls(x)]
    ratios = [x for x in falling if min(x) > 0]
    cases = list(itertools.product(few, few, ratios, falling))
    for t, w, ratio, rates in cases:
        v = [x * y for x, y in zip(ratio, w, strict=True)]
        assert keeps(v, t, rates) >= keeps(w, t, rates)
        assert keeps(v, t, rates[::-1]) <= keeps(w, t, rates[::-1])
        assert trials.interference._slope(v, t, rates) == keeps(v, t, rates)
    assert len(cases) == 8 * 8 * 4 * 10


@pytest.mark.parametrize("dropped", interference.COUNTEREXAMPLES)
def test_each_counterexample_drops_one_premise_and_is_of_the_fewest_prompts(dropped):
    case = interference.COUNTEREXAMPLES[dropped]
    ratio = [v / w for v, w in zip(case["v"], case["w"], strict=True)]
    holds = {
        "T not positive": min(case["T"]) > 0,
        "ratio of F' not monotone": falls(ratio),
        "rho not monotone": falls(case["rho"]),
    }
    assert [premise for premise, true in holds.items() if not true] == [dropped]
    assert min(*case["v"], *case["w"]) > 0
    assert keeps(case["v"], case["T"], case["rho"]) < keeps(case["w"], case["T"], case["rho"])
    # with two prompts and T > 0 the order follows from one comparison of each, so the last two need three
    assert len(ratio) == (2 if dropped == "T not positive" else 3)
    shown = find("exchange_rates_set_the_sign").derive().counterexample
    assert {key: text for key, text in shown.items() if key.startswith(f"{dropped}: ")} == {
        f"{dropped}: {letter}": ", ".join(map(str, numbers)) for letter, numbers in case.items()
    }


def test_with_two_prompts_the_rule_is_an_iff_in_every_small_case():
    assert "with two classes of prompts it is an iff" in find("exchange_rates_set_the_sign").derive().when
    for t, v, w in itertools.product(itertools.product((1, 2, 3), repeat=2), repeat=3):
        rates = (2, 1)
        assert (keeps(v, t, rates) > keeps(w, t, rates)) == (Fraction(v[0], v[1]) > Fraction(w[0], w[1]))


@pytest.mark.parametrize("size", [2, 3, 4, 5, 8, 12])
def test_the_weight_of_harder_focus_over_easier_falls_with_success(size):
    text = find("focus_is_ordered_by_marginal_values").statement
    assert "Hard-Focused and Positive-Dominant are harder in focus than GRPO" in text
    assert "which is harder than Easy-Focused and Negative-Dominant" in text
    grid = np.linspace(0.01, 0.99, 50)
    weights = {name: np.array([slope(name, size, p) for p in grid]) for name in interference.FOCUS}
    harder, easier = interference.FOCUS[:2], interference.FOCUS[3:]
    assert interference.FOCUS[2] == "grpo"
    assert set(harder) == {"hard_focused", "positive_dominant"}
    assert set(easier) == {"easy_focused", "negative_dominant"}
    for name in harder:
        assert np.all(np.diff(weights[name] / weights["grpo"]) < 1e-12)
    for name in easier:
        assert np.all(np.diff(weights["grpo"] / weights[name]) < 1e-12)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_tilting_to_hard_prompts_raises_the_slope_at_the_stated_rate(k):
    text = find("tilting_to_hard_prompts_never_hurts_what_is_trained").statement
    tilt, stated = re.search(r"w_q = (.+?)\. Giving .* derivative at e = 0 is (.+) >= 0\.", text).groups()
    own, p = gradients(TRAINED), success(START, TRAINED)
    w = np.array([value(tilt.replace("P_q", "P"), k=k, P=x) for x in p])
    rise = np.array(
        [along(lambda x, q=q: 1 - (1 - success(x, TRAINED)[q]) ** k, e) for q in range(3) for e in np.eye(3)]
    )
    np.testing.assert_allclose(rise.reshape(3, 3), w[:, None] * own, atol=1e-8)  # w is the derivative of pass@k by P

    def ratio(e):
        step = (1 + e * w) @ own
        return along(lambda x: pass_at_k(x, TRAINED, k), step) / along(lambda x: pass_at_k(x, TRAINED, 1), step)

    kernel, one = own @ own.T, np.ones(3)
    forms = {"a": w @ kernel @ w, "b": one @ kernel @ one, "c": one @ kernel @ w}
    read = stated.replace("w'Kw", "a").replace("1'K1", "b").replace("1'Kw", "c").replace("[", "(").replace("]", ")")
    measured = (ratio(1e-4) - ratio(-1e-4)) / 2e-4
    assert measured == pytest.approx(value(read, **forms), rel=1e-4)
    assert measured > 0


def test_more_weight_on_the_hard_class_helps_iff_the_kernel_is_positive_on_the_two():
    """Kernels of every sign, with slopes differenced by the weight of the hard class."""
    text = find("two_classes_favour_hard_focus").statement
    form = re.search(r"iff (kappa_HH kappa_EE > kappa_EH\^2)\. A kernel never has", text).group(1)
    w_h, w_e, seen = 3.0, 0.5, set()
    for hh, ee, he in itertools.product((0.5, 1.0, 2.0), (0.5, 1.0, 2.0), (-0.4, 0.0, 0.7, 1.2)):
        top = lambda v: w_h * (hh * v + he) + w_e * (he * v + ee)  # noqa: B023, E731  d pass@k of both classes
        bottom = lambda v: (hh * v + he) + (he * v + ee)  # noqa: B023, E731
        if bottom(1) <= 0:
            continue
        rises = top(1.001) / bottom(1.001) > top(0.999) / bottom(0.999)
        left, right = (value(side, kappa_HH=hh, kappa_EE=ee, kappa_EH=he) for side in form.split(" > "))
        if left != right:
            assert rises == (left > right)
            seen.add(bool(rises))
    assert seen == {True, False}
    for a, b in RNG.normal(size=(20, 2, 3)):  # gradients of the two classes: a kernel is never below
        assert (a @ a) * (b @ b) > (a @ b) ** 2
        assert (a @ a) * (4 * a @ a) == pytest.approx((2 * a @ a) ** 2)


def rates_with_own_directions(n_hard, n_easy, v_hard, v_easy, cosine, own):
    """rho of a hard and of an easy trained prompt; gradients are written out as vectors, watched prompts are hard."""
    count = n_hard + n_easy
    shared = {"H": np.array([1.0, 0.0]), "E": np.array([cosine, math.sqrt(1 - cosine**2)])}
    kinds = ["H"] * n_hard + ["E"] * n_easy
    size = {"H": v_hard, "E": v_easy}
    rows = [
        size[kind] * np.concatenate([shared[kind], math.sqrt(own) * np.eye(count)[i]]) for i, kind in enumerate(kinds)
    ]
    watched = v_hard * np.concatenate([shared["H"], np.zeros(count)])  # own directions of other prompts
    progress = [sum(row @ other for other in rows) for row in rows]
    rates = [(watched @ row) / t for row, t in zip(rows, progress, strict=True)]
    return rates[0], rates[-1]


def test_own_directions_turn_the_order_where_the_statement_says():
    theorem = find("own_directions_turn_the_order")
    form = re.search(r"iff (.+) > 0\.", theorem.statement).group(1)
    form = form.replace("sin^2 phi", "(1 - c^2)").replace("cos phi", "c")
    bound = re.search(r"s < (.+)$", theorem.derive().when).group(1)
    bound = bound.replace("sin^2 phi", "(1 - c^2)").replace("cos phi", "c")
    seen = set()
    cases = itertools.product((1, 2), (1, 3), (0.16, 0.05), (0.09, 0.2), (0.1, 0.6, 0.95), (0.0, 0.3, 2.0))
    for n_hard, n_easy, v_hard, v_easy, cosine, own in cases:
        hard, easy = rates_with_own_directions(n_hard, n_easy, v_hard, v_easy, cosine, own)
        letters = dict(n_E=n_easy, V_E=v_easy, V_H=v_hard, c=cosine, s=own)
        assert (hard > easy) == (value(form, **letters) > 0)
        assert (hard > easy) == (cosine < v_easy / v_hard or own < value(bound, **letters))
        seen.add(hard > easy)
    assert seen == {True, False}


def test_the_example_of_own_directions_is_of_the_successes_that_it_names():
    example = {name: float(x) for name, x in interference.OWN_DIRECTIONS.items()}
    hard, easy = rates_with_own_directions(1, 1, example["V_H"], example["V_E"], example["c"], example["s"])
    assert hard < easy
    assert example["V_H"] == pytest.approx(1 / 5 * 4 / 5)  # P (1 - P), the size of grad P by the logit of success
    assert example["V_E"] == pytest.approx(9 / 10 * 1 / 10)
    assert find("own_directions_turn_the_order").derive().counterexample == interference.OWN_DIRECTIONS


def test_falling_below_the_base_takes_the_interference_that_the_statement_says():
    theorem = find("falling_below_the_base_needs_negative_interference")
    assert "iff kappa_HE < -(F'_H / F'_E) kappa_HH" in theorem.statement
    example = theorem.derive().counterexample
    hard, easy = re.search(r"at P = (\S+), (\S+)$", list(example)[-1]).groups()
    order = []
    for name in interference.FOCUS:
        f_h, f_e = (slope(name, 8, value(p)) for p in (hard, easy))
        order.append(f_h / f_e)
        for kappa in (-1.001 * f_h / f_e, -0.999 * f_h / f_e, 0.2):
            h, far = 1e-7, 200  # d pass@k of a hard and an easy prompt at large k, differenced
            before = [value(p) for p in (hard, easy)]
            after = [before[0] + h * (f_h + f_e * kappa), before[1] + h * (f_h * kappa + f_e)]
            gain = sum((1 - p) ** far - (1 - q) ** far for p, q in zip(before, after, strict=True))
            assert (gain < 0) == (kappa < -f_h / f_e)
    assert order == sorted(order, reverse=True)  # the harder in focus stands more interference
    grpo = slope("grpo", 8, value(hard)) / slope("grpo", 8, value(easy))
    assert example[list(example)[-1]] == pytest.approx(grpo)
    assert example["kappa_HE"] < -grpo * example["kappa_HH"]  # so GRPO falls below its base there
    assert slope("hard_focused", 8, value(hard)) / slope("hard_focused", 8, value(easy)) > 1.1  # and this does not


def test_gradients_of_random_prompts_are_those_that_differencing_gives():
    policy, features = [Fraction(n, 10) for n in (1, 2, 3, 4)], [(1, 5), (2, 2), (7, 1), (3, 3)]
    rate, gradient = trials.interference.gradient_of_success(policy, features)
    logits = np.log([float(x) for x in policy])
    moved = lambda e: softmax(logits + np.array(features) @ e) @ RIGHT  # noqa: E731
    assert float(rate) == pytest.approx(moved(np.zeros(2)))
    differenced = [(moved(1e-6 * e) - moved(-1e-6 * e)) / 2e-6 for e in np.eye(2)]
    np.testing.assert_allclose([float(x) for x in gradient], differenced, atol=1e-9)


@pytest.mark.parametrize("id", ["slope_is_a_mean_of_exchange_rates", "exchange_rates_set_the_sign"])
def test_certificates_are_for_as_many_prompts_as_the_method_names(id):
    proof = find(id).derive()
    words = {"two": 2, "three": 3, "four": 4}
    named = re.search(r"certificates? for ([^;]+?) prompts", proof.method).group(1)
    named = [words.get(x) or int(x) for x in re.split(", | and ", named)]
    counted = [len(set(re.findall(r"T\d+", c.claim))) for c in proof.certificates]
    assert counted == named


def test_the_sum_of_squares_is_for_as_many_prompts_and_parameters_as_the_method_names():
    proof = find("tilting_to_hard_prompts_never_hurts_what_is_trained").derive()
    assert "certificate for three prompts and two parameters" in proof.method
    claim = proof.certificates[0].claim
    assert set(re.findall(r"w\d", claim)) == {"w1", "w2", "w3"}
    assert set(re.findall(r"g\d\d", claim)) == {f"g{q}{i}" for q in (1, 2, 3) for i in (1, 2)}


def stated_trials():
    """How many outcomes the method of each theorem promises."""
    how = {id: find(id).derive().method for id in TRIED}
    populations, tilts = (int(re.search(r"(\d+) random populations", how[id]).group(1)) for id in TRIED[:2])
    few, three = re.search(
        r"three prompts with T, F'_B in \{(.+)\} and ratio, rho in \{(.+)\}; counter", how[TRIED[2]]
    ).groups()
    few, three = few.split(", "), three.split(", ")
    falling = math.comb(len(three) + 2, 3)  # falling triples
    first, last = map(int, re.search(r"G = (\d+)\.\.(\d+)", how[TRIED[3]]).groups())
    cases = 2 * len(few) ** 6 * falling**2 + len(interference.COUNTEREXAMPLES)
    return populations * 2, tilts * 2, cases, (last - first + 1) * (len(interference.FOCUS) - 1) * 2


TRIED = ("slope_is_a_mean_of_exchange_rates", "tilting_to_hard_prompts_never_hurts_what_is_trained",
         "exchange_rates_set_the_sign", "focus_is_ordered_by_marginal_values")  # fmt: skip


def test_as_many_trials_run_as_the_methods_promise():
    named = [trial for id in TRIED for trial in find(id).derive().named]
    answers = [list(trials.get(name).run(0, **arguments)) for name, arguments in named]
    assert not any(map(disagreement, itertools.chain(*answers)))
    assert tuple(map(len, answers)) == stated_trials()
