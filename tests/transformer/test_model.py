"""The transformer: its cached paths are its forward pass, and its enumeration is a probability."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

from symtheory import InputError
from symtheory.transformer import model, task

apply = jax.jit(model.apply, static_argnums=1)
conditionals = jax.jit(model.conditionals, static_argnums=(1, 3))
sample = jax.jit(model.sample, static_argnums=(2, 4, 5, 6, 7))


def test_cached_decoding_is_the_forward_pass(tiny):
    config = dataclasses.replace(tiny[1], layers=2)
    params = jax.jit(model.init, static_argnums=1)(jax.random.key(0), config)
    tokens = np.random.default_rng(0).integers(0, config.vocab, (3, 4))
    whole, _ = apply(params, config, tokens)
    first, cache = apply(params, config, tokens[:, :2])
    second, cache = apply(params, config, tokens[:, 2:3], cache)
    third, _ = apply(params, config, tokens[:, 3:], cache)
    np.testing.assert_allclose(jnp.concatenate([first, second, third], axis=1), whole, atol=1e-5)


def test_a_token_does_not_see_later_ones(tiny):
    _, config, params = tiny
    one, _ = apply(params, config, jnp.array([[1, 2, 3, 0]]))
    other, _ = apply(params, config, jnp.array([[1, 2, 0, 3]]))
    np.testing.assert_array_equal(one[:, :2], other[:, :2])
    assert not np.allclose(one[:, 2:], other[:, 2:])


def test_enumeration_is_the_log_probability_of_every_completion(tiny):
    asked, config, params = tiny
    prompts = asked.prompts().tokens
    log_prob = model.leaves(conditionals(params, config, prompts, asked.length))
    completions = jnp.asarray(task.all_completions(asked))
    repeated = jnp.broadcast_to(prompts[5], (len(completions), 2))
    direct = jax.jit(model.token_log_prob, static_argnums=1)(params, config, repeated, completions).sum(-1)
    np.testing.assert_allclose(log_prob[5], direct, atol=1e-5)


@pytest.mark.parametrize("name", ["congruence", "expression"])
def test_enumerated_probabilities_sum_to_one(name):
    asked = task.TASKS[name]()
    prompts = task.pick(asked.prompts(), slice(4))
    config = model.ModelConfig(asked.vocab, prompts.tokens.shape[1] + asked.length)

    @jax.jit
    def enumerate_all(key):
        params = jax.tree.map(lambda x: 2 * x, model.init(key, config))  # a sharper policy than at the start
        return model.leaves(model.conditionals(params, config, prompts.tokens, asked.length))

    log_prob = enumerate_all(jax.random.key(0))
    assert log_prob.shape == (4, asked.vocab**asked.length)
    assert jnp.abs(jnp.exp(log_prob).sum(-1) - 1).max() < 1e-6


def test_samples_follow_the_enumerated_probabilities(tiny):
    asked, config, params = tiny
    prompts, n = asked.prompts().tokens[:2], 20_000
    drawn = sample(jax.random.key(1), params, config, prompts, n, asked.length)
    expected = n * np.exp(model.leaves(conditionals(params, config, prompts, asked.length)))
    for q in range(2):
        counts = np.bincount(np.asarray(drawn[q] @ np.array([4, 1])), minlength=16)
        statistic = ((counts - expected[q]) ** 2 / expected[q]).sum()
        assert statistic < chi2.ppf(1 - 1e-6, 15)


def test_cut_samples_follow_the_cut_enumeration(tiny):
    asked, config, params = tiny
    prompts, n = asked.prompts().tokens[:1], 20_000
    drawn = sample(jax.random.key(2), params, config, prompts, n, asked.length, 0.9, 0.9)
    levels = conditionals(params, config, prompts, asked.length)
    cut = jax.jit(lambda levels: model.leaves([jnp.log(model.sharpen(jnp.exp(x), 0.9, 0.9)) for x in levels]))
    expected = n * np.exp(cut(levels))[0]
    counts = np.bincount(np.asarray(drawn[0] @ np.array([4, 1])), minlength=16)
    assert (expected == 0).any()
    assert (counts[expected == 0] == 0).all()
    kept = expected > 0
    assert ((counts - expected)[kept] ** 2 / expected[kept]).sum() < chi2.ppf(1 - 1e-6, kept.sum() - 1)


def test_bfloat16_stays_near_float32_and_keeps_float32_parameters(tiny):
    asked, config, params = tiny
    half = dataclasses.replace(config, dtype="bfloat16")
    prompts = asked.prompts().tokens
    exact, rough = (model.leaves(conditionals(params, s, prompts, 2)) for s in (config, half))
    assert rough.dtype == jnp.float32
    np.testing.assert_allclose(rough, exact, atol=0.1)  # 8 bits of mantissa through two layers
    assert jnp.abs(jnp.exp(rough).sum(-1) - 1).max() < 1e-6


def test_sizes_reach_from_a_tenth_to_a_hundred_million_parameters():
    small, large = (
        model.ModelConfig(vocab=16, context=5),
        model.ModelConfig(vocab=32, context=16, layers=14, width=768, heads=12),
    )
    counts = [model.size(jax.eval_shape(lambda s=s: model.init(jax.random.key(0), s))) for s in (small, large)]
    assert 0.99e5 < counts[0] < 1.1e5
    assert 0.9e8 < counts[1] < 1.1e8


def test_a_sequence_longer_than_the_context_is_refused(tiny):
    _, config, params = tiny
    with pytest.raises(InputError, match="context must hold the whole sequence of 5 tokens, got 4"):
        model.apply(params, config, jnp.zeros((1, 5), int))
