"""Advantage functions over arrays and lists, spelled as people spell them; the truth is in `test_trainers.py`."""

import math
import statistics as st
from collections import defaultdict
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

G = 8
NUM_GENERATIONS = 4
settings = SimpleNamespace(n_samples_per_prompt=4, eps=1e-4)
HPARAMS = {"group_size": 6, "lr": 1e-6}


def pure_python(group: list[float]) -> list[float]:
    mu = st.mean(group)
    sigma = st.pstdev(group)
    return [(reward - mu) / (sigma + 1e-4) for reward in group]


def doubled(rs):
    m = sum(rs) / len(rs)
    s = math.sqrt(sum((x - m) ** 2 for x in rs) / len(rs))
    return [2 * (x - m) / (s + 1e-6) for x in rs]


def clamped(group_scores: list[float]):
    m, s = st.fmean(group_scores), st.pstdev(group_scores)
    return [max(-3.0, min(3.0, (x - m) / (s + 1e-6))) for x in group_scores]


def global_size(rewards):
    grouped = np.asarray(rewards).reshape(-1, G)
    return ((grouped - grouped.mean(axis=1, keepdims=True)) / (grouped.std(axis=1, keepdims=True) + 1e-4)).reshape(-1)


def global_size_of_lists(rewards):
    out = []
    for start in range(0, len(rewards), NUM_GENERATIONS):
        chunk = rewards[start : start + NUM_GENERATIONS]
        out.extend(x - sum(chunk) / len(chunk) for x in chunk)
    return out


def settings_size(scores: np.ndarray):
    s = scores.reshape(-1, settings.n_samples_per_prompt)
    return ((s - s.mean(1)[:, None]) / (s.std(1, ddof=1)[:, None] + settings.eps)).flatten()


def _rows(scores):
    return scores.reshape(-1, HPARAMS["group_size"])


def helper_size(scores):
    rows = _rows(scores)
    return (rows - rows.mean(-1, keepdims=True)).ravel()


def make(num_rollouts=4):
    def inner(rewards):
        grouped = np.array(rewards).reshape(-1, num_rollouts)
        return (grouped - np.mean(grouped, axis=1, keepdims=True)).flatten()

    return inner


closure = make()


def top_of_the_group(rewards):
    """G is a number of the method here, not the group size."""
    best = sorted(rewards)[-G:]
    return [x - sum(best) / len(best) for x in rewards]


def per_prompt(rewards: npt.NDArray[np.float64], n_samples_per_prompt: int = 8):
    r = rewards.reshape((-1, n_samples_per_prompt))
    mean, std = r.mean(axis=-1), r.std(axis=-1, ddof=1)
    return ((r - mean[:, np.newaxis]) / (std[:, np.newaxis] + 1e-4)).reshape(-1)


def batch_whitened(rewards, rollouts_per_prompt):
    r = rewards.reshape(-1, rollouts_per_prompt)
    return ((r - r.mean(1, keepdims=True)) / (rewards.std() + 1e-4)).reshape(rewards.shape)


def single(rewards, group_size):
    r = np.asarray(rewards, np.float32).reshape(-1, group_size)
    return ((r - r.mean(1, keepdims=True)) / (r.std(1, ddof=1, keepdims=True) + 1e-4)).reshape(-1).tolist()


def half_precision(rewards, group_size):
    r = np.asarray(rewards).astype(np.float16).reshape(-1, group_size)
    return ((r - r.mean(1, keepdims=True)) / (r.std(1, keepdims=True) + np.float16(1e-4))).reshape(-1)


def by_id(scores: list[float], group_ids: list[str]):
    pools = defaultdict(list)
    for s, g in zip(scores, group_ids, strict=True):
        pools[g].append(s)
    stats = {g: (np.mean(v), np.std(v)) for g, v in pools.items()}
    return np.array([(s - stats[g][0]) / (stats[g][1] + 1e-8) for s, g in zip(scores, group_ids, strict=True)])


def by_unique(rewards: np.ndarray, uids: np.ndarray):
    out = np.empty_like(rewards)
    for u in np.unique(uids):
        rows = uids == u
        others = (rewards[rows].sum() - rewards[rows]) / max(rows.sum() - 1, 1)
        out[rows] = rewards[rows] - others
    return out


def ragged(groups: list[list[float]]) -> list[list[float]]:
    out = []
    for g in groups:
        m, s = np.mean(g), np.std(g)
        out.append([float((x - m) / (s + 1e-6)) for x in g])
    return out


def weighted(rewards_per_func: np.ndarray, weights: np.ndarray, num_generations: int):
    """[N, n_funcs] and one weight for each."""
    total = (rewards_per_func * weights[None, :]).sum(axis=1)
    mean = np.repeat(total.reshape(-1, num_generations).mean(axis=1), num_generations)
    std = np.repeat(total.reshape(-1, num_generations).std(axis=1, ddof=1), num_generations)
    return (total - mean) / (std + 1e-4)


def scored(reward_fn, responses, truths, group_size):
    raw = np.array([reward_fn(a, b)["reward"] for a, b in zip(responses, truths, strict=True)])
    g = raw.reshape(-1, group_size)
    return ((g - g.mean(-1, keepdims=True)) / (g.std(-1, ddof=1, keepdims=True) + 1e-6)).reshape(-1), {"n": len(raw)}


class Advantages(NamedTuple):
    values: np.ndarray
    mean: float


def named_tuple(returns, k):
    g = returns.reshape(-1, k)
    return Advantages((g - g.mean(1, keepdims=True)).reshape(-1), float(g.mean()))


@dataclass
class GRPOConfig:
    num_generations: int = 8
    epsilon: float = 1e-5
    scale: bool = True


class Learner:
    def __init__(self, config: GRPOConfig):
        self.config = config

    def compute(self, rewards):
        r = np.reshape(rewards, (-1, self.config.num_generations))
        a = r - r.mean(1, keepdims=True)
        if self.config.scale:
            a = a / (r.std(1, keepdims=True) + self.config.epsilon)
        return {"advantages": a.ravel(), "reward_std": r.std(1)}


learner = Learner(GRPOConfig())


class Fixed:
    GROUP_SIZE = 4

    def __call__(self, rewards):
        r = np.asarray(rewards).reshape(-1, self.GROUP_SIZE)
        return (r - r.mean(1, keepdims=True)).ravel()


@dataclass
class Running:
    """Whitens by the mean and the variance of all rewards so far."""

    group_size: int = 4
    seen: list = field(default_factory=list)

    def step(self, rewards):
        self.seen.extend(np.asarray(rewards).tolist())
        r = np.asarray(rewards).reshape(-1, self.group_size)
        return ((r - r.mean(1, keepdims=True)) / (np.std(self.seen) + 1e-4)).ravel()


running = Running()


@dataclass
class Sample:
    text: str
    reward: float
    group_id: int


def from_samples(samples: list[Sample]) -> list[float]:
    pools = defaultdict(list)
    for s in samples:
        pools[s.group_id].append(s.reward)
    return [s.reward - sum(pools[s.group_id]) / len(pools[s.group_id]) for s in samples]


def from_records(rollouts: list[dict]) -> list[float]:
    m = sum(r["reward"] for r in rollouts) / len(rollouts)
    return [r["reward"] - m for r in rollouts]


def slipped_axis(rewards, num_generations):
    g = rewards.reshape(-1, num_generations)
    return ((g - g.mean(0)) / (g.std(0) + 1e-6)).reshape(-1)


def best_is_the_baseline(rewards, num_generations):
    g = rewards.reshape(-1, num_generations)
    return (g - g.max(1, keepdims=True)).reshape(-1)


def wrong_reshape(rewards, num_generations):
    g = rewards.reshape(num_generations, -1)
    return (g - g.mean(0, keepdims=True)).reshape(-1)


def absolute(group):
    return [abs(x - sum(group) / len(group)) for x in group]


def unguarded(group):
    m = sum(group) / len(group)
    s = math.sqrt(sum((x - m) ** 2 for x in group) / len(group))
    return [(x - m) / s for x in group]
