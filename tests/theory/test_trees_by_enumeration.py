"""Trees of rollouts, leaf by leaf: gradients as differences of log-probabilities, values as means over leaves."""

import itertools
import math
from fractions import Fraction

import pytest

from symtheory.theory.theorems import find
from symtheory.theory.theorems.trees import leaf_update, node_values, uniform_binary_tree

LOGITS = {(): [0.2, -0.4, 0.1], (0,): [0.5, 0.0], (1,): [-0.3, 0.8], (2,): [0.0, 1.0], (1, 0): [0.4, -0.2, 0.3]}
LEAVES = [(0, 0), (0, 1), (1, 0, 0), (1, 0, 1), (1, 0, 2), (1, 1), (2, 0), (2, 1)]


def log_prob(logits, leaf):
    """log pi(leaf): a softmax at each node of the path."""
    choices = ((logits[leaf[:d]], leaf[d]) for d in range(len(leaf)))
    return sum(h[c] - math.log(sum(map(math.exp, h))) for h, c in choices)


def moved(logits, step):
    return {node: [x + step.get((node, i), 0.0) for i, x in enumerate(h)] for node, h in logits.items()}


def gradient(function, logits, h=1e-5):
    """Central differences by every logit of the tree."""
    places = [(node, i) for node, values in logits.items() for i in range(len(values))]
    return {x: (function(moved(logits, {x: h})) - function(moved(logits, {x: -h}))) / (2 * h) for x in places}


def enumerated_update(logits, draws, leaf):
    """d log pi(leaf) / d eta after a step along the gradient of sum_i A_i log pi(leaf_i)."""
    step = gradient(lambda x: sum(a * log_prob(x, drawn) for drawn, a in draws), logits)
    own = gradient(lambda x: log_prob(x, leaf), logits)
    return sum(step[place] * own[place] for place in step)


@pytest.mark.parametrize("leaf", LEAVES, ids=str)
def test_a_leaf_moves_as_differences_of_log_probabilities_say(leaf):
    policy = {node: [math.exp(x) / sum(map(math.exp, h)) for x in h] for node, h in LOGITS.items()}
    draws = [((1, 0, 0), 1.5), ((1, 0, 2), -0.5), ((1, 1), 0.7), ((2, 0), -1.7), ((1, 0, 0), 1.5)]
    found = leaf_update(policy, [(path, Fraction(a)) for path, a in draws], leaf)
    assert found == pytest.approx(enumerated_update(LOGITS, draws, leaf), abs=1e-8)


def test_a_step_without_draws_moves_no_leaf():
    assert leaf_update(uniform_binary_tree(2), [], (0, 1)) == 0


def test_values_are_means_over_the_leaves_below_and_sum_to_zero_at_every_node():
    rewards = {leaf: (3 * i) % 4 for i, leaf in enumerate(LEAVES)}
    values = node_values(rewards)
    nodes = {leaf[:d] for leaf in LEAVES for d in range(len(leaf) + 1)}
    assert set(values) == nodes
    below = {node: [r for leaf, r in rewards.items() if leaf[: len(node)] == node] for node in nodes}
    assert values == {node: Fraction(sum(rs), len(rs)) for node, rs in below.items()}
    for node in LOGITS:
        children = [x for x in nodes if x[:-1] == node and x]
        assert sum(len(below[c]) * (values[c] - values[node]) for c in children) == 0
    for leaf, r in rewards.items():
        steps = [values[leaf[: d + 1]] - values[leaf[:d]] for d in range(len(leaf))]
        assert sum(steps) == r - values[()]
    assert (
        "sum_c n_c (V(c) - V(s)) = 0 at every node, and the differences V(c) - V(s) along a path sum to r - V(root)"
        in find("node_values_are_zero_sum").statement
    )


def test_a_uniform_tree_gives_every_leaf_one_chance():
    for depth in (1, 3):
        policy = uniform_binary_tree(depth)
        assert set(policy) == {node for d in range(depth) for node in itertools.product((0, 1), repeat=d)}
        for leaf in itertools.product((0, 1), repeat=depth):
            assert math.prod(policy[leaf[:d]][leaf[d]] for d in range(depth)) == Fraction(1, 2**depth)


def test_the_counterexample_to_undrawn_leaves_that_stay_is_what_differences_give():
    proof = find("undrawn_leaves_stay").derive()
    draws, found = proof.counterexample["drawn"], proof.counterexample["d log pi / eta"]
    assert proof.verdict == "fails"
    assert draws == [((0, 0), 1), ((1, 1), -1)]  # C = 0, all four leaves equally likely
    logits = {node: [0.0, 0.0] for node in ((), (0,), (1,))}
    assert list(found) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for leaf, number in found.items():
        assert float(number) == pytest.approx(enumerated_update(logits, draws, leaf), abs=1e-8)
    assert found[0, 1] != 0 != found[1, 0]  # undrawn
