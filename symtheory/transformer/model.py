"""A decoder-only transformer over short token sequences: forward pass, cached sampling, exact enumeration.

Parameters are a plain pytree of float32 arrays; matrix products run in the dtype of `ModelConfig`, logits and norms
in float32. One function, `apply`, serves training, sampling and enumeration: it extends sequences whose earlier tokens
are given as cached keys and values. Completions here are at most some dozens of tokens, so that the decoding loop is
unrolled and each step attends to exactly the tokens that exist.
"""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import InputError
from ..estimators.group import Array

Params = dict[str, Any]
Cache = list[tuple[Array, Array]]
"""For each layer the keys and values of the tokens so far, each [B, heads, S, width / heads]."""


@dataclass(frozen=True)
class ModelConfig:
    """Size of the transformer."""

    vocab: int
    """V, number of tokens"""
    context: int
    """longest sequence, prompt and completion together"""
    layers: int = 2
    width: int = 64
    heads: int = 4
    dtype: str = "float32"
    """of the matrix products: float32, or bfloat16 where the hardware has units for it"""

    def __post_init__(self):
        if self.width % self.heads:
            raise InputError(f"width must be a multiple of heads, got width {self.width} and heads {self.heads}")


def init(key: Array, config: ModelConfig) -> Params:
    """Random parameters, normal with variance 1 / fan-in; the matrices that end a residual branch start smaller."""
    d = config.width
    residual = 1 / math.sqrt(2 * config.layers)
    key_embed, key_position, key_head, *key_layers = jax.random.split(key, 3 + config.layers)

    def matrix(key, rows, columns, scale=1.0):
        return jax.random.normal(key, (rows, columns), jnp.float32) * (scale / math.sqrt(rows))

    def layer(key):
        key_qkv, key_out, key_up, key_down = jax.random.split(key, 4)
        return {
            "attention_norm": jnp.ones(d, jnp.float32),
            "qkv": matrix(key_qkv, d, 3 * d),
            "out": matrix(key_out, d, d, residual),
            "mlp_norm": jnp.ones(d, jnp.float32),
            "up": matrix(key_up, d, 4 * d),
            "down": matrix(key_down, 4 * d, d, residual),
        }

    return {
        "embed": jax.random.normal(key_embed, (config.vocab, d), jnp.float32) * 0.5,
        "position": jax.random.normal(key_position, (config.context, d), jnp.float32) * 0.5,
        "layers": [layer(key) for key in key_layers],
        "norm": jnp.ones(d, jnp.float32),
        "head": matrix(key_head, d, config.vocab),
    }


def size(params: Params) -> int:
    """Number of parameters.

    >>> size(init(jax.random.key(0), ModelConfig(vocab=32, context=16, layers=4, width=128)))
    797824
    """
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def apply(params: Params, config: ModelConfig, tokens: Array, cache: Cache | None = None) -> tuple[Array, Cache]:
    """Logits of the next token after each of `tokens[B, S]`, [B, S, V], and the cache extended by them.

    Tokens are flattened to one axis for every matrix product, and looked up by a product with one-hot rows: both
    are several times faster than the plain forms on a CPU, forward and backward.
    """
    batch, new = tokens.shape
    past = cache[0][0].shape[2] if cache else 0
    dtype, d, heads = jnp.dtype(config.dtype), config.width, config.heads
    wide = jnp.promote_types(dtype, jnp.float32)
    if past + new > config.context:
        raise InputError(f"context must hold the whole sequence of {past + new} tokens, got {config.context}")

    def product(x, weight):
        return x.astype(dtype) @ weight.astype(dtype)

    def split(x):
        return x.reshape(batch, new, heads, d // heads).swapaxes(1, 2)

    visible = np.tri(new, past + new, past, dtype=bool)
    x = product(jax.nn.one_hot(tokens.reshape(-1), config.vocab, dtype=dtype), params["embed"])
    x = (x.reshape(batch, new, d) + params["position"][past : past + new]).reshape(-1, d)
    extended = []
    for i, layer in enumerate(params["layers"]):
        q, k, v = map(split, jnp.split(product(rms_norm(x, layer["attention_norm"]), layer["qkv"]), 3, axis=-1))
        if cache:
            k, v = jnp.concatenate([cache[i][0], k], axis=2), jnp.concatenate([cache[i][1], v], axis=2)
        extended.append((k, v))
        scores = jnp.einsum("bhqd,bhkd->bhqk", q, k).astype(wide) / math.sqrt(d // heads)
        attention = jax.nn.softmax(jnp.where(visible, scores, -jnp.inf), axis=-1).astype(dtype)
        mixed = jnp.einsum("bhqk,bhkd->bhqd", attention, v).swapaxes(1, 2).reshape(-1, d)
        x = x + product(mixed, layer["out"])
        hidden = jax.nn.gelu(product(rms_norm(x, layer["mlp_norm"]), layer["up"]))
        x = x + product(hidden, layer["down"])
    logits = product(rms_norm(x, params["norm"]), params["head"]).astype(wide)
    return logits.reshape(batch, new, config.vocab), extended


def rms_norm(x: Array, weight: Array) -> Array:
    """x / sqrt(mean x^2) * weight, in at least float32."""
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    return x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-6) * weight


def token_log_prob(params: Params, config: ModelConfig, prompts: Array, completions: Array) -> Array:
    """log pi of each token of `completions[B, T]` given `prompts[B, L]` and the tokens before it, [B, T]."""
    length = completions.shape[-1]
    logits, _ = apply(params, config, jnp.concatenate([prompts, completions[:, :-1]], axis=-1))
    log_policy = jax.nn.log_softmax(logits[:, -length:], axis=-1)
    chosen = jax.nn.one_hot(completions, config.vocab, dtype=log_policy.dtype)
    return (log_policy * chosen).sum(-1)


def sample(
    key: Array,
    params: Params,
    config: ModelConfig,
    prompts: Array,
    group: int,
    length: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
) -> Array:
    """`group` completions of `length` tokens for each of `prompts[P, L]`, [P, group, length].

    The prompt is read once and its cache shared by the group; each token is an inverse-CDF draw.
    """
    uniforms = jax.random.uniform(key, (length, prompts.shape[0] * group, 1))
    logits, cache = apply(params, config, prompts)
    logits, cache = jax.tree.map(lambda x: jnp.repeat(x, group, axis=0), (logits, cache))
    tokens = []
    for t in range(length):
        if tokens:
            logits, cache = apply(params, config, tokens[-1][:, None], cache)
        cumulative = jnp.cumsum(sharpen(jax.nn.softmax(logits[:, -1]), temperature, top_p), axis=-1)
        drawn = (uniforms[t] * cumulative[:, -1:] >= cumulative).sum(-1)
        tokens.append(jnp.minimum(drawn, config.vocab - 1))
    return jnp.stack(tokens, axis=-1).reshape(-1, group, length)


def sharpen(policy: Array, temperature: float, top_p: float) -> Array:
    """The sampling distribution of `policy[..., V]` at a temperature, cut to its nucleus and renormalised.

    The nucleus is the smallest set of most likely tokens with mass of at least `top_p`. Temperature 0 is greedy.

    >>> np.asarray(sharpen(jnp.array([0.6, 0.2, 0.1, 0.1]), 1.0, 0.75)).round(3).tolist() == [0.75, 0.25, 0, 0]
    True
    """
    if temperature == 0:
        return jax.nn.one_hot(policy.argmax(-1), policy.shape[-1], dtype=policy.dtype)
    if temperature != 1:
        policy = jax.nn.softmax(jnp.log(policy) / temperature, axis=-1)
    if top_p < 1:
        ordered = -jnp.sort(-policy, axis=-1)
        before = jnp.cumsum(ordered, axis=-1) - ordered
        least = jnp.where(before < top_p, ordered, jnp.inf).min(-1, keepdims=True)
        policy = jnp.where(policy >= least, policy, 0)
        policy = policy / policy.sum(-1, keepdims=True)
    return policy


def conditionals(params: Params, config: ModelConfig, prompts: Array, length: int) -> list[Array]:
    """log pi of the next token at every node of the tree of completions: level t is [P, V^t, V].

    Each node is computed once, from the cache of its parent: about V^(length-1) tokens for a prompt rather than
    length times as many.
    """
    prompts_count, vocab = prompts.shape[0], config.vocab
    logits, cache = apply(params, config, prompts)
    levels = [jax.nn.log_softmax(logits[:, -1:], axis=-1)]
    for t in range(1, length):
        cache = jax.tree.map(lambda x: jnp.repeat(x, vocab, axis=0), cache)
        children = jnp.tile(jnp.arange(vocab), prompts_count * vocab ** (t - 1))[:, None]
        logits, cache = apply(params, config, children, cache)
        levels.append(jax.nn.log_softmax(logits, axis=-1).reshape(prompts_count, vocab**t, vocab))
    return levels


def leaves(levels: list[Array]) -> Array:
    """Sum of the entries along each root-to-leaf path, [P, V^length], the first token the most significant digit.

    Of `conditionals` it gives the log-probability of every completion.
    """
    total = levels[0].reshape(levels[0].shape[0], -1)
    for level in levels[1:]:
        total = (total[..., None] + level).reshape(total.shape[0], -1)
    return total
