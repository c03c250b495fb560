"""Trees of rollouts: node values are zero-sum at every node, and Theorem 1 does not carry over to leaves.

An autoregressive policy is a tree of softmaxes. Its leaves share parameters along their paths, so an undrawn leaf
moves whenever a drawn one shares a prefix with it, whatever C is.
"""

import itertools
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from ...errors import InputError
from ..certificates import Certificate
from ..proofs import Proof, theorem
from ..recheck.trials.base import IDENTITY

Path = tuple[int, ...]


def node_values(rewards: Mapping[Path, Any]) -> dict[Path, Any]:
    """V(s), the mean reward of the leaves below each node s; `rewards` maps paths of leaves to rewards.

    >>> node_values({(0, 0): 1, (0, 1): 0, (1, 0): 0})[()]
    Fraction(1, 3)
    """
    if not rewards:
        raise InputError("rewards must name at least one leaf, got none")
    nodes = {leaf[:depth] for leaf in rewards for depth in range(len(leaf))} | set(rewards)
    below = {node: [r for leaf, r in rewards.items() if leaf[: len(node)] == node] for node in nodes}
    return {node: sum(map(Fraction, rs), Fraction(0)) / len(rs) for node, rs in below.items()}


def leaf_update(policy: Mapping[Path, Sequence[Any]], draws: Sequence[tuple[Path, Any]], leaf: Path) -> Any:
    """d log pi(leaf) / eta after a step on sum_i A_i log pi(leaf_i), for a softmax at each node.

    `policy` maps each inner node to the probabilities of its children, `draws` are pairs (leaf, A).
    The sum over nodes v on the path is f(a_v) - sum_a pi_v(a) f(a), f(a) = N_v(a) - C_v pi_v(a), with N_v(a) the
    advantage that passes through child a and C_v the advantage that passes through v.
    """
    total = Fraction(0)
    for depth, child in enumerate(leaf):
        node, pi = leaf[:depth], policy[leaf[:depth]]
        through = [
            sum((a for path, a in draws if path[: depth + 1] == (*node, c)), Fraction(0)) for c in range(len(pi))
        ]
        f = [n - sum(through) * x for n, x in zip(through, pi, strict=True)]
        total += f[child] - sum(x * y for x, y in zip(pi, f, strict=True))
    return total


def uniform_binary_tree(depth: int) -> dict[Path, list[Fraction]]:
    """The policy that takes each of two branches with probability 1/2 at every inner node."""
    nodes = (node for d in range(depth) for node in itertools.product((0, 1), repeat=d))
    return {node: [Fraction(1, 2)] * 2 for node in nodes}


@theorem("TreeRL (arXiv:2506.11902), TreePO (arXiv:2508.17445): local advantages of a tree")
def node_values_are_zero_sum() -> Proof:
    """In a tree of rollouts let V(s) be the mean reward of the leaves below a node s, and n_c the number of leaves
    below its child c. Then sum_c n_c (V(c) - V(s)) = 0 at every node, and the differences V(c) - V(s) along a path sum
    to r - V(root).
    """
    local = Certificate(
        "S - N*V",
        ("N*V - S",),
        ("-1",),
        meaning="S = sum_c n_c V(c), N = sum_c n_c, V = S / N the value of the node: any number of children",
    )
    return Proof(
        "exact", "by definition of V; random trees", (local,), named=(("random_trees", {}),), rests_on=IDENTITY
    )


@theorem("Theorem 1, case C (Eq. 9) of arXiv:2602.05548, in an autoregressive policy")
def undrawn_leaves_stay() -> Proof:
    """If C = sum A = 0, a step leaves the probabilities of undrawn trajectories as they are, also where
    trajectories share prefixes.
    """
    depth, draws = 2, [((0, 0), Fraction(1)), ((1, 1), Fraction(-1))]
    policy, leaves = uniform_binary_tree(depth), itertools.product((0, 1), repeat=depth)
    moved = {leaf: leaf_update(policy, draws, leaf) for leaf in leaves}
    found = {"policy": f"uniform, depth {depth}", "drawn": draws, "d log pi / eta": moved}
    trials = (("undrawn_leaves_move", {}),)
    return Proof("fails", "smallest tree with shared prefixes", counterexample=found, named=trials)
