"""GRPO training steps per second of `symtheory.transformer` against a plain PyTorch loop, sampling included.

Both train the same transformer (4 layers, width 128, vocabulary 32, 0.8 M parameters) on the same batch (64 prompts
of 4 tokens, groups of 8, completions of 12 tokens): cached sampling, rewards, standardised advantages, clipped loss,
Adam. The PyTorch loop is eager, with a key-value cache that the group shares, as ours does; its logits equal ours on
the same parameters, or there is no row. PyTorch is no dependency of the package: `pip install torch` first.
"""

import math
import os
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from symtheory import estimators
from symtheory.dynamics import advantage_of
from symtheory.dynamics.sampled import State
from symtheory.transformer import model, task, train

from .timing import interleave, skipped, speed_row

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    torch = None

PROMPTS, PROMPT_LENGTH, RATE = 64, 4, 1e-4


@dataclass(frozen=True)
class Matching:
    """A completion is correct if its first two tokens leave the same remainder by 4 as those of the prompt."""

    vocab: int = 32
    length: int = 12
    end: None = None

    def prompts(self):
        tokens = np.random.default_rng(0).integers(0, self.vocab, (PROMPTS, PROMPT_LENGTH))
        return task.Prompts(jnp.asarray(tokens), jnp.asarray(tokens[:, :2]), jnp.zeros(PROMPTS, int))

    def reward(self, facts, completions):
        return ((completions[..., :2] % 4) == (facts % 4)).all(-1).astype(jnp.float32)


CONFIG = model.ModelConfig(vocab=32, context=16, layers=4, width=128, heads=4)
UPDATE = train.Update(batch=PROMPTS, mini_batches=1, learning_rate=RATE)


def jax_stepper(params, devices: int):
    """A function that takes one step of ours."""
    asked, prompts = Matching(), Matching().prompts()
    advantage = advantage_of([estimators.get("grpo")], 0)
    mesh = Mesh(np.array(jax.devices()[:devices]), ("prompt",))
    batch = NamedSharding(mesh, PartitionSpec("prompt")) if devices > 1 else None

    @jax.jit
    def step(key, state):
        return train.step(key, state, CONFIG, asked, prompts, advantage, UPDATE, None, batch)

    state = State(params, UPDATE.make_optimizer().init(params))
    if devices > 1:
        state = jax.device_put(state, NamedSharding(mesh, PartitionSpec()))
    count = 0

    def once():
        nonlocal state, count
        count += 1
        state, info = jax.block_until_ready(step(jax.random.key(count), state))
        return float(info.correct)

    return once


def apply_torch(params, tokens, cache):
    """Logits after `tokens[B, S]`, the forward pass of `model.apply` in PyTorch; extends `cache` in place."""
    batch, new = tokens.shape
    past = cache[0][0].shape[2] if cache else 0
    d, heads = CONFIG.width, CONFIG.heads
    visible = torch.ones(new, past + new, dtype=torch.bool, device=tokens.device).tril(past)
    x = params["embed"][tokens] + params["position"][past : past + new]
    for i, layer in enumerate(params["layers"]):
        q, k, v = (
            t.view(batch, new, heads, d // heads).transpose(1, 2)
            for t in (F.rms_norm(x, (d,), layer["attention_norm"], 1e-6) @ layer["qkv"]).split(d, -1)
        )
        if past:
            k, v = torch.cat([cache[i][0], k], 2), torch.cat([cache[i][1], v], 2)
        if cache is not None:
            cache[i : i + 1] = [(k, v)]
        mixed = F.scaled_dot_product_attention(q, k, v, visible, scale=1 / math.sqrt(d // heads))
        x = x + mixed.transpose(1, 2).reshape(batch, new, d) @ layer["out"]
        hidden = F.gelu(F.rms_norm(x, (d,), layer["mlp_norm"], 1e-6) @ layer["up"], approximate="tanh")
        x = x + hidden @ layer["down"]
    return F.rms_norm(x, (d,), params["norm"], 1e-6) @ params["head"]


def torch_stepper(params, device: str = "cpu", compile_with: str | None = None):
    """A function that takes one step of the PyTorch loop, eager or with its forward passes compiled by a backend."""
    params = jax.tree.map(lambda x: torch.tensor(np.asarray(x), device=device).requires_grad_(), params)
    torch_apply = (
        apply_torch if compile_with is None else torch.compile(apply_torch, dynamic=True, backend=compile_with)
    )
    optimizer = torch.optim.Adam(jax.tree.leaves(params), RATE)
    asked = torch.tensor(np.asarray(Matching().prompts().tokens), device=device).long()
    group, length = UPDATE.group_size, Matching().length

    @torch.no_grad()
    def sample():
        cache = []
        logits = torch_apply(params, asked, cache)[:, -1].repeat_interleave(group, 0)
        cache = [(k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)) for k, v in cache]
        tokens = []
        for t in range(length):
            if t:
                logits = torch_apply(params, tokens[-1], cache)[:, -1]
            tokens.append(torch.multinomial(logits.softmax(-1), 1))
        return torch.cat(tokens, 1)

    def once():
        completions = sample()
        prompts = asked.repeat_interleave(group, 0)
        reward = ((completions[:, :2] % 4) == (prompts[:, :2] % 4)).all(-1).float().view(-1, group)
        centred = reward - reward.mean(1, keepdim=True)
        std = reward.std(1, keepdim=True, unbiased=False)
        a = torch.where(std > 0, centred / std.clamp(min=1e-9), 0).view(-1, 1)
        logits = torch_apply(params, torch.cat([prompts, completions[:, :-1]], 1), None)[:, PROMPT_LENGTH - 1 :]
        log_prob = logits.log_softmax(-1).gather(-1, completions[..., None])[..., 0]
        ratio = (log_prob - log_prob.detach()).exp()
        loss = -torch.minimum(ratio * a, ratio.clamp(0.8, 1.2) * a).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return float(reward.mean())

    return once


def largest_difference(params) -> float:
    """Between the logits of the two forward passes on the same tokens."""
    tokens = np.random.default_rng(1).integers(0, CONFIG.vocab, (8, 15))
    ours, _ = model.apply(params, CONFIG, jnp.asarray(tokens))
    with torch.no_grad():
        theirs = apply_torch(jax.tree.map(lambda x: torch.tensor(np.asarray(x)), params), torch.tensor(tokens), None)
    return float(np.abs(np.asarray(ours) - theirs.numpy()).max())


def rows(rounds: int):
    """Steps on all cores against PyTorch on as many threads."""
    against = "eager PyTorch with a key-value cache"
    if torch is None:
        yield skipped("GRPO step of a transformer", "pip install torch", against)
        return
    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)
    params = model.init(jax.random.key(0), CONFIG)
    difference = largest_difference(params)
    if difference > 1e-5:  # float32 rounding of logits of order one
        raise RuntimeError(f"the two forward passes differ by {difference}: not the same model")
    programs = {"jax": (jax_stepper(params, cores), 1), "torch": (torch_stepper(params), 1)}
    seconds = interleave(programs, rounds)
    yield speed_row("GRPO step of a transformer, sampling included", seconds, "jax", "torch", against, threads=cores)
