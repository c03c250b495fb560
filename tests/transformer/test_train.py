"""The update: its gradient is Eq. 4, its mean is the expected update, and it is the same on several devices."""

import dataclasses
import subprocess
import sys
import textwrap
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symtheory import InputError, estimators
from symtheory.dynamics import advantage_of
from symtheory.dynamics.expected import slope
from symtheory.dynamics.sampled import State
from symtheory.transformer import model, task, train


@partial(jax.jit, static_argnames=("asked", "config", "names", "update"))
def collect(key, params, index, *, asked, config, names, update):
    """Rollouts on the first four prompts, with the advantages of the estimator that `index` chooses."""
    prompts = task.pick(asked.prompts(), slice(4))
    advantage = advantage_of([estimators.get(name) for name in names], index)
    return train.collect(key, params, config, asked, prompts, advantage, update)[0]


def collected(tiny, update, name="grpo", names=("grpo",)):
    asked, config, params = tiny
    how = dict(asked=asked, config=config, names=names, update=update)
    return collect(jax.random.key(0), params, names.index(name), **how)


@partial(jax.jit, static_argnames="config")
def by_hand(params, rollouts, config):
    """-(1/B) sum_i A_i (1/|o_i|) sum_t grad log pi(o_it), with every rollout differentiated by itself."""

    def log_likelihood(params, prompt, completion):
        logits, _ = model.apply(params, config, jnp.concatenate([prompt, completion])[None])
        chosen = jax.nn.log_softmax(logits[0])[len(prompt) - 1 : -1]
        return chosen[jnp.arange(len(completion)), completion].mean()

    each = jax.vmap(jax.grad(log_likelihood), (None, 0, 0))(params, rollouts.prompts, rollouts.completions)
    return jax.tree.map(lambda g: -jnp.tensordot(rollouts.advantage, g, 1) / len(rollouts.advantage), each)


FINE_TUNED = ("grpo", "agrae_released")


@pytest.mark.parametrize("name", FINE_TUNED)
def test_eq4_gradient_of_the_loss_is_that_of_reweighted_fine_tuning(tiny, name):
    asked, config, params = tiny
    update = train.Update(batch=4, mini_batches=1)
    with jax.enable_x64(True):
        config = dataclasses.replace(config, dtype="float64")
        params = jax.tree.map(lambda x: x.astype(jnp.float64), params)
        rollouts = collected((asked, config, params), update, name, FINE_TUNED)
        gradient, expected = gradient_of(params, rollouts, config, update), by_hand(params, rollouts, config)
        assert max(np.abs(g).max() for g in jax.tree.leaves(gradient)) > 1e-3
        for ours, theirs in zip(jax.tree.leaves(gradient), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-13)


def test_mean_of_many_updates_is_the_expected_update(tiny):
    """F'_G(P) grad P of `dynamics.expected`, which knows nothing of tokens or losses, in standard errors."""
    asked, config, params = tiny
    prompts, draws = task.pick(asked.prompts(), slice(1, 2)), 4000
    update = train.Update(batch=1, mini_batches=1, aggregation="sequence-sum")
    advantage = advantage_of([estimators.get("grpo")], jnp.asarray(0))

    def gradient(key):
        rollouts, _ = train.collect(key, params, config, asked, prompts, advantage, update)
        return -jax.grad(train.objective)(params, config, rollouts, update)["head"]

    def success(params):
        return train.observe(params, config, asked, prompts).success[0]

    @jax.jit
    def both_roads(key, params):
        reached, uphill = jax.value_and_grad(success)(params)
        expected = slope(estimators.get("grpo"), update.group_size, reached[None]) * uphill["head"]
        return jax.lax.map(gradient, jax.random.split(key, draws), batch_size=500), expected

    many, expected = map(np.asarray, both_roads(jax.random.key(0), params))
    error = (many.mean(0) - expected) / (many.std(0) / np.sqrt(draws))
    assert np.sqrt((error**2).mean()) < 1.6  # about 1 for 32 correlated entries; a wrong constant gives tens
    assert np.abs(expected).max() / (many.std(0) / np.sqrt(draws)).max() > 10


@partial(jax.jit, static_argnames=("config", "update"))
def gradient_of(params, rollouts, config, update):
    """Gradient of the loss."""
    return jax.grad(train.objective)(params, config, rollouts, update)


def stepped(tiny, update, name="grpo", base=None):
    asked, config, params = tiny
    state = State(params, update.make_optimizer().init(params))
    advantage = advantage_of([estimators.get(name)], jnp.asarray(0))
    return jax.jit(
        lambda key, state, base: train.step(key, state, config, asked, asked.prompts(), advantage, update, base)
    )(jax.random.key(1), state, base)


def test_one_sgd_step_is_minus_the_gradient_times_the_rate(tiny):
    asked, config, params = tiny
    update = train.Update(batch=8, mini_batches=1, optimizer="sgd", learning_rate=0.1)
    state, info = stepped(tiny, update)
    moved = jax.tree.map(lambda new, old: (old - new) / 0.1, state.params, params)

    @jax.jit
    def gradient_of_the_batch(key):
        """With the same keys as in `step`, whose batch is all eight prompts in another order."""
        key_prompts, key_rollouts = jax.random.split(key)
        prompts = task.pick(asked.prompts(), jax.random.choice(key_prompts, 8, (8,), replace=False))
        advantage = advantage_of([estimators.get("grpo")], 0)
        rollouts, _ = train.collect(key_rollouts, params, config, asked, prompts, advantage, update)
        return jax.grad(train.objective)(params, config, rollouts, update)

    gradients = gradient_of_the_batch(jax.random.key(1))
    for by_step, gradient in zip(jax.tree.leaves(moved), jax.tree.leaves(gradients), strict=True):
        np.testing.assert_allclose(by_step, gradient, atol=1e-5)  # parameters of order 1 in float32, divided by 0.1
    assert abs(info.imbalance) < 1e-5
    assert 0 < info.correct < 1


def test_the_first_pass_is_on_policy_and_later_ones_are_clipped(tiny):
    update = train.Update(batch=4, mini_batches=2)
    rollouts = collected(tiny, update)
    _, config, params = tiny
    on_policy = gradient_of(params, rollouts._replace(old_log_prob=None), config, update)
    as_recorded = gradient_of(params, rollouts, config, update)
    for a, b in zip(jax.tree.leaves(on_policy), jax.tree.leaves(as_recorded), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    stale = rollouts._replace(old_log_prob=rollouts.old_log_prob - 1)  # every ratio is e: beyond the clip
    up = np.maximum(rollouts.advantage, 0)
    clipped = gradient_of(params, stale._replace(advantage=up), config, update)
    assert all((np.asarray(g) == 0).all() for g in jax.tree.leaves(clipped))


def test_mini_batches_and_epochs_take_as_many_optimiser_steps(tiny):
    for mini_batches, epochs in [(1, 1), (4, 2)]:
        state, _ = stepped(tiny, train.Update(batch=8, mini_batches=mini_batches, epochs=epochs))
        assert int(state.optimizer[0].count) == mini_batches * epochs


def test_the_kl_term_pulls_towards_the_base_policy(tiny):
    asked, config, params = tiny
    base = jax.jit(lambda key: model.init(key, config))(jax.random.key(9))
    update = train.Update(batch=8, mini_batches=1, kl=100.0, optimizer="sgd", learning_rate=1e-3)

    @jax.jit
    def divergence(params):
        p, q = (model.leaves(model.conditionals(x, config, asked.prompts().tokens, 2)) for x in (params, base))
        return (jnp.exp(p) * (p - q)).sum(-1).mean()

    with_kl, without = stepped(tiny, update, base=base), stepped(tiny, dataclasses.replace(update, kl=0.0))
    assert divergence(with_kl[0].params) < divergence(params) < divergence(without[0].params) + 0.01


@partial(jax.jit, static_argnames=("config", "update"))
def objective(params, rollouts, config, update):
    return train.objective(params, config, rollouts, update)


@pytest.mark.parametrize("aggregation", ["token-mean", "sequence-sum", "dr-grpo"])
def test_rules_of_aggregation_differ_by_a_factor_at_equal_lengths(tiny, aggregation):
    _, config, params = tiny
    update = train.Update(batch=4, mini_batches=1)
    rollouts = collected(tiny, update)
    reference, value = (
        objective(params, rollouts, config, u) for u in (update, dataclasses.replace(update, aggregation=aggregation))
    )
    np.testing.assert_allclose(value, reference * (2 if aggregation == "sequence-sum" else 1), rtol=1e-5, atol=1e-7)


def test_every_registered_estimator_trains(tiny):
    """All of them in one program, chosen by an index as the experiment does."""
    asked, config, params = tiny
    update = train.Update(batch=4, mini_batches=1)
    chain = [estimators.get(name) for name in estimators.names("rewards")]

    def one(index):
        state = State(params, update.make_optimizer().init(params))
        advantage = advantage_of(chain, index)
        return train.step(jax.random.key(1), state, config, asked, asked.prompts(), advantage, update)

    states, info = jax.jit(lambda indices: jax.lax.map(one, indices))(jnp.arange(len(chain)))
    assert all(jnp.isfinite(x).all() for x in jax.tree.leaves((states, info)))
    assert len(np.unique(np.asarray(info.abs_advantage).round(4))) > len(chain) / 2


def test_completions_of_several_lengths_train_and_are_observed():
    asked = task.Addition(digits=1, count=8)
    prompts = asked.prompts()
    config = model.ModelConfig(asked.vocab, prompts.tokens.shape[1] + asked.length, layers=1, width=8, heads=2)
    update = train.Update(batch=4, mini_batches=1, aggregation="token-mean")
    advantage = advantage_of([estimators.get("grpo")], jnp.asarray(0))

    @jax.jit
    def whole(key):
        params = train.pretrain(key, config, asked, prompts, 2, 8, 1e-2)
        state = State(params, update.make_optimizer().init(params))
        state, _ = train.step(key, state, config, asked, prompts, advantage, update)
        return train.observe_samples(key, state.params, config, asked, prompts, 16)

    seen = whole(jax.random.key(0))
    assert seen.success.shape == (8,)
    assert (seen.entropy > 0).all()


def test_pretraining_teaches(tiny):
    asked, config, _ = tiny
    prompts = asked.prompts()

    @jax.jit
    def competences(key):
        taught = [train.pretrain(key, config, asked, prompts, steps, 64, 1e-2) for steps in (0, 200)]
        return [train.observe(params, config, asked, prompts).success.mean() for params in taught]

    before, after = competences(jax.random.key(0))
    assert after > before + 0.1


def test_exact_observation_agrees_with_samples(tiny):
    asked, config, params = tiny
    prompts = asked.prompts()
    exact = jax.jit(lambda p: train.observe(p, config, asked, prompts))(params)
    n = 4000
    seen = jax.jit(lambda p: train.observe_samples(jax.random.key(0), p, config, asked, prompts, n))(params)
    for ours, theirs in ((exact.success, seen.success), (exact.success_cut, seen.success_cut)):
        assert jnp.abs(ours - theirs).max() < 5 * 0.5 / np.sqrt(n)
    np.testing.assert_array_equal(exact.greedy, seen.greedy)
    np.testing.assert_allclose(exact.entropy, seen.entropy, atol=0.1)


@pytest.mark.parametrize(("options", "message"), [
    ({"batch": 9, "mini_batches": 2}, "batch must be a multiple of mini_batches, got 9 and 2"),
    ({"epochs": 0}, "epochs must be at least 1, got 0"),
    ({"optimizer": "adan"}, "no optimizer 'adan'. Did you mean 'adam'"),
])  # fmt: skip
def test_bad_updates_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        train.Update(**options)


def test_a_batch_larger_than_the_prompts_is_refused(tiny):
    with pytest.raises(InputError, match="batch must be at most the 8 prompts, got 16"):
        stepped(tiny, train.Update(batch=16))


@pytest.mark.slow
def test_a_step_spread_over_devices_is_the_step_of_one():
    """Four virtual CPU devices in a process of their own: the batch over all of them, and runs over all of them."""
    program = """
        import jax, numpy as np
        jax.config.update("jax_num_cpu_devices", 4)
        import sys; sys.path.insert(0, "tests/transformer")
        from conftest import Tiny
        from jax.sharding import Mesh, NamedSharding, PartitionSpec
        from symtheory import estimators
        from symtheory.dynamics import advantage_of
        from symtheory.dynamics.sampled import State
        from symtheory.transformer import model, train

        asked, config = Tiny(), model.ModelConfig(vocab=4, context=4, layers=1, width=8, heads=2)
        params = model.init(jax.random.key(3), config)
        update = train.Update(batch=8, mini_batches=2, optimizer="sgd", learning_rate=0.1)
        advantage = advantage_of([estimators.get("agrae")], 0)
        spread = NamedSharding(Mesh(np.array(jax.devices()), ("prompt",)), PartitionSpec("prompt"))

        def step(key, sharding=None):
            state = State(params, update.make_optimizer().init(params))
            return train.step(key, state, config, asked, asked.prompts(), advantage, update, None, sharding)

        key = jax.random.key(1)
        one, many = (jax.jit(lambda k, s=s: step(k, s))(key) for s in (None, spread))
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)

        keys = jax.random.split(key, 8)
        few, all_devices = (train.over_runs(step, jax.devices()[:n], b)(keys) for n, b in ((1, 1), (4, 2)))
        assert len(jax.tree.leaves(all_devices)[0].sharding.device_set) == 4
        for a, b in zip(jax.tree.leaves(few), jax.tree.leaves(all_devices), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)
        print("same")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "same", done.stderr
