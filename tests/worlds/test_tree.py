"""The tree world: its dynamic programmes against enumeration, autodiff and sampling."""

import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from symtheory import InputError, estimators
from symtheory.dynamics import Update, advantage_of, expected, graded, sampled
from symtheory.dynamics.sampled import State
from symtheory.worlds import make_hashed_tree, make_tree
from symtheory.worlds.hashed_tree import HashedTree
from symtheory.worlds.tree import Tree, path

KINDS = {
    "ragged": dict(depth=3, branching=3, ragged=True, spread=2.0),
    "shared features": dict(depth=3, branching=2, features=5, tokens=(1, 9), formatted=0.5),
}
SUCCESS = [0.003, 0.2, 0.5, 0.97]
success, entropy, enumerate_leaves = jax.jit(Tree.success), jax.jit(Tree.entropy), jax.jit(Tree.enumerate)
sample = jax.jit(Tree.sample, static_argnums=3)


def made(seed, success, **options):
    """A tree, made in one program."""
    return jax.jit(lambda key: make_tree(key, success, **options))(jax.random.key(seed))


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=KINDS)
def world(request):
    with jax.enable_x64(True):
        return made(3, SUCCESS, **KINDS[request.param])


def moved(world):
    """Parameters away from the base policy; children that do not exist stay at their logit."""
    params = world.init()
    return params + 0.3 * jax.random.normal(jax.random.key(8), params.shape)


def test_base_success_is_as_asked_for(world):
    np.testing.assert_allclose(success(world, world.init()), SUCCESS, rtol=1e-12)


def test_success_and_entropy_equal_their_sums_over_leaves(world):
    params = moved(world)
    log_policy = enumerate_leaves(world, params)
    policy = jnp.exp(log_policy)
    np.testing.assert_allclose(policy.sum(-1), 1, rtol=1e-12)
    np.testing.assert_allclose(success(world, params), (policy * world.correct).sum(-1), rtol=1e-12)
    np.testing.assert_allclose(entropy(world, params), -(policy * log_policy).sum(-1), rtol=1e-12)
    np.testing.assert_allclose(jax.jit(Tree.reach)(world, params)[-1], policy, rtol=1e-11)


def test_log_prob_of_each_leaf_is_its_enumeration(world):
    params = moved(world)
    leaves = jnp.broadcast_to(jnp.arange(world.correct.shape[1]), world.correct.shape)
    real = enumerate_leaves(world, params) > -1e6  # leaves below children that exist
    np.testing.assert_allclose(
        jnp.where(real, jax.jit(Tree.log_prob)(world, params, leaves), 0),
        jnp.where(real, enumerate_leaves(world, params), 0),
        rtol=1e-12,
    )


def test_gradients_in_closed_form_equal_autodiff(world):
    params, slopes = moved(world), jnp.array([2.0, -1.0, 0.5, 1.0])
    rollouts = sample(world, jax.random.key(1), params, 6)
    weight = jax.random.normal(jax.random.key(2), rollouts.shape)
    by_autodiff = jax.jit(jax.grad(lambda p: (weight * world.log_prob(p, rollouts)).sum()))(params)
    np.testing.assert_allclose(jax.jit(Tree.policy_gradient)(world, params, rollouts, weight), by_autodiff, atol=1e-12)
    by_autodiff = jax.jit(jax.grad(lambda p: (slopes * success(world, p)).sum()))(params)
    np.testing.assert_allclose(jax.jit(Tree.success_gradient)(world, params, slopes), by_autodiff, atol=1e-12)


def test_sampled_leaves_follow_the_policy(world):
    params, draws = moved(world), 20_000
    rollouts = sample(world, jax.random.key(4), params, draws)
    counts = np.stack([np.bincount(r, minlength=world.correct.shape[1]) for r in np.asarray(rollouts)])
    policy = np.exp(enumerate_leaves(world, params))
    spread = np.sqrt(policy * (1 - policy) / draws)
    assert (counts[policy == 0] == 0).all()
    common = policy * draws > 30
    assert np.abs((counts / draws - policy) / np.where(common, spread, 1))[common].max() < 4.5


@pytest.mark.parametrize(("name", "formatted"), [("nsr", None), ("agrae", None), ("agrae", 0.5)])
def test_expected_update_equals_enumeration_of_all_groups(name, formatted):
    """Every ordered group of 4 among 8 leaves, with its probability and its gradient: no sampling on either road."""
    world = made(5, [0.3], depth=3, branching=2, density=0.3, formatted=formatted)
    params, estimator, size = world.init(), estimators.get(name), 4
    groups = jnp.array(list(itertools.product(range(8), repeat=size)))[:, None, :]
    advantage = advantage_of([estimator], 0)

    def weighed(rollouts):
        chance = jnp.exp(world.log_prob(params, rollouts).sum())
        a = advantage(world.reward(rollouts))
        return chance * world.policy_gradient(params, rollouts, a / size)

    enumerated = jax.jit(lambda: jax.vmap(weighed)(groups).sum(0))()
    by_class = jax.jit(lambda: graded.gradient(world, params, estimator, size))()
    np.testing.assert_allclose(by_class, enumerated, atol=1e-10)
    if formatted is None:
        slopes = jax.jit(lambda: expected.slope(estimator, size, world.success(params)))()
        np.testing.assert_allclose(jax.jit(Tree.success_gradient)(world, params, slopes), enumerated, atol=1e-10)


@pytest.mark.slow
def test_expected_update_is_the_mean_of_sampled_ones():
    world = make_tree(jax.random.key(6), [0.1, 0.6], depth=4, branching=2, density=0.2)
    params, estimator, groups = world.init(), estimators.get("negative_dominant"), 20_000
    advantage = advantage_of([estimator], 0)

    def one(key):
        rollouts = world.sample(key, params, 8)
        return world.policy_gradient(params, rollouts, advantage(world.reward(rollouts)) / 8)

    draws = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(7), groups))
    slopes = jax.jit(lambda: expected.slope(estimator, 8, world.success(params)))()
    error = draws.mean(0) - world.success_gradient(params, slopes)
    z = error / (draws.std(0) / np.sqrt(groups) + 1e-15)
    assert jnp.abs(z).max() < 4.5  # 60 logits: a normal maximum beyond 4.5 has chance 4e-4
    assert 0.5 < jnp.sqrt((z**2).mean()) < 1.6


def test_token_mean_and_sequence_mean_differ_only_when_lengths_do():
    grpo, sgd = advantage_of([estimators.get("grpo")], 0), optax.sgd(1.0)

    @jax.jit
    def changes(world):
        """By the mean over tokens, the mean over sequences, and the sum."""
        state = State(world.init(), sgd.init(world.init()))
        updates = [Update(aggregation=how) for how in ("token-mean", "sequence-mean", "sequence-sum")]
        steps = [sampled.step(jax.random.key(2), state, world, grpo, sgd, update)[0] for update in updates]
        return [after.params - state.params for after in steps]

    for unequal, tokens in ((False, (2, 2)), (True, (1, 9))):
        world = made(1, [0.5, 0.3], depth=3, branching=2, density=0.4, tokens=tokens)
        token, sequence, total = map(np.asarray, changes(world))
        assert (np.abs(token - sequence).max() > 1e-3) == unequal
        if not unequal:
            np.testing.assert_allclose(sequence, total / 6, atol=1e-14)


def test_token_mean_breaks_the_zero_sum_at_the_root_by_length():
    """The weight through the root is G Cov(length share, A): zero for equal lengths only (1.12 of the theory)."""
    world = made(1, [0.5], depth=3, branching=2, density=0.4, tokens=(1, 9))

    @jax.jit
    def weights(key):
        """Advantages, and their shares in the mean over sequences and over tokens."""
        rollouts = world.sample(key, world.init(), 8)
        a = advantage_of([estimators.get("grpo")], 0)(world.reward(rollouts))
        return a, *(a * sampled.token_share(world, rollouts, of) for of in ("sequence-mean", "token-mean"))

    plain, sequence, token = (abs(float(a.sum())) for a in weights(jax.random.key(2)))
    assert plain < 1e-12
    assert sequence > 1e-3
    assert token < 1e-12


def test_graded_rewards_are_tenths_for_accuracy_and_the_rest_for_format():
    world = made(0, [0.3], depth=3, branching=3, formatted=0.5)
    rewards = jax.jit(world.reward)(np.arange(27)[None])[0]
    assert set(np.asarray(rewards).tolist()) == {0.0, 0.9, 1.0}
    np.testing.assert_array_equal(rewards == 1, world.correct[0])


def test_mistakes_fall_where_they_are_asked_for():
    early = made(0, [0.3] * 20, depth=3, branching=3, density=0.4, mistakes=(1, 1))
    blocks = np.asarray(early.correct).reshape(20, 3, 9)
    assert (blocks.all(-1) | ~blocks.any(-1)).all()  # a first step decides everything
    late = made(0, [0.3] * 20, depth=3, branching=3, density=0.4, mistakes=(3, 3))
    assert not np.asarray(late.correct).reshape(20, 3, 9).all(-1).any()


def test_decoys_hold_wrong_mass_and_no_solution():
    plain, decoyed = (made(2, [0.1] * 10, density=0.2, decoys=d, decoy_pull=6.0) for d in (0.0, 0.3))
    assert (plain.correct == decoyed.correct).all()
    assert entropy(decoyed, decoyed.init()).mean() < entropy(plain, plain.init()).mean() - 0.2


def test_a_ragged_tree_never_ends_in_a_missing_child():
    world = made(2, [0.3] * 10, ragged=True)
    mass = np.exp(enumerate_leaves(world, world.init()))
    assert (mass == 0).mean() > 0.3
    assert (np.take_along_axis(mass, np.asarray(sample(world, jax.random.key(0), world.init(), 500)), -1) > 0).all()


def test_rare_solutions_are_the_less_likely_half():
    world = made(2, [0.3] * 10, density=0.3)
    mass, rare = np.exp(enumerate_leaves(world, world.init())), np.asarray(jax.jit(Tree.rare)(world))
    for q in range(10):
        common = np.asarray(world.correct[q]) & ~rare[q]
        assert mass[q][rare[q]].max() <= mass[q][common].min()
        assert abs(rare[q].sum() - common.sum()) <= 1


def explicit_of(hashed: HashedTree):
    """The enumerable tree that a hashed one stands for."""
    nodes = (hashed.branching**hashed.depth - 1) // (hashed.branching - 1)
    logits = hashed.logits[:, jax.jit(hashed.slot)(np.arange(nodes))]
    correct = (np.arange(hashed.branching**hashed.depth)[:, None] == np.asarray(hashed.solutions)[:, None, :]).any(-1)
    world = made(0, [0.5], depth=hashed.depth, branching=hashed.branching)
    return replace(world, logits=logits, correct=jnp.asarray(correct))


def test_a_hashed_tree_is_the_tree_it_stands_for():
    shape = dict(depth=4, branching=2, solutions=4, slots=16)
    hashed = jax.jit(lambda key: make_hashed_tree(key, [0.05, 0.3], **shape))(jax.random.key(4))
    tree, params = explicit_of(hashed), hashed.init()
    rollouts = jax.jit(HashedTree.sample, static_argnums=3)(hashed, jax.random.key(1), params, 16)
    np.testing.assert_array_equal(rollouts, sample(tree, jax.random.key(1), tree.logits, 16))

    @jax.jit
    def read(world, params):
        return world.success(params), world.entropy(params), world.reward(rollouts), world.log_prob(params, rollouts)

    found, explicit = read(hashed, params), read(tree, tree.logits)
    np.testing.assert_allclose(found[0], [0.05, 0.3], rtol=1e-3)
    for ours, theirs in zip(found, explicit, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)

    @jax.jit
    def gradients(hashed, params, weight):
        by_autodiff = jax.grad(lambda p: (weight * hashed.log_prob(p, rollouts)).sum())(params)
        stepped = hashed.ascend(params, params, rollouts, weight)
        return hashed.policy_gradient(params, rollouts, weight), by_autodiff, stepped - params

    gradient, by_autodiff, change = gradients(hashed, params, np.random.default_rng(2).normal(size=rollouts.shape))
    np.testing.assert_allclose(gradient, by_autodiff, atol=1e-12)
    np.testing.assert_allclose(change, by_autodiff, atol=1e-12)


def test_paths_number_nodes_level_by_level():
    node, action = path(jnp.array([5]), 3, 2)  # leaf 101
    assert node.tolist() == [[0, 2, 5]]
    assert action.tolist() == [[1, 0, 1]]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (dict(branching=1), "branching must be at least 2, got 1"),
        (dict(depth=40, branching=2), r"at most 65536 leaves to enumerate, got 2\^40"),
        (dict(density=0.0), "without a correct leaf"),
        (dict(density=1.0), "without a wrong leaf"),
        (dict(mistakes=(2, 9)), "between 1 and depth = 4"),
        (dict(decoys=1.5), r"decoys must be in \[0, 1\], got 1.5"),
        (dict(tokens=(0, 3)), "1 <= fewest <= most"),
        (dict(depth=0), "depth must be at least 1"),
    ],
)
def test_bad_trees_are_refused_in_one_sentence(options, sentence):
    with pytest.raises(InputError, match=sentence):
        make_tree(jax.random.key(0), [0.5], **options)


def test_bad_hashed_trees_are_refused_in_one_sentence():
    with pytest.raises(InputError, match="success must be probabilities"):
        make_hashed_tree(jax.random.key(0), [1.0])
    with pytest.raises(InputError, match="solutions must be at least 1"):
        make_hashed_tree(jax.random.key(0), [0.5], solutions=0)
    with pytest.raises(InputError, match="out of reach"):
        make_hashed_tree(jax.random.key(0), [0.99], depth=8, slots=8, solutions=60)
    deep = jax.jit(lambda key: make_hashed_tree(key, [0.1], depth=20, branching=2, slots=1024))(jax.random.key(0))
    with pytest.raises(InputError, match=r"to enumerate, got 2\^20"):
        deep.entropy(deep.init())
