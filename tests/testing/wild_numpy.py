"""Advantage functions over numpy arrays, as people write them; the truth about each is in `test_wild.py`."""

import numpy as np


def one_group(r):
    return (r - r.mean()) / (r.std() + 1e-6)


def clipped_at_3(rewards):
    a = (rewards - rewards.mean(-1, keepdims=True)) / (rewards.std(-1, keepdims=True) + 1e-6)
    return np.clip(a, -3.0, 3.0)


def clipped_at_5(rewards):
    a = (rewards - np.mean(rewards)) / (np.std(rewards, ddof=1) + 1e-6)
    return np.clip(a, -5, 5)


def capped(rewards):
    return np.minimum((rewards - np.mean(rewards)) / (np.std(rewards) + 1e-8), 3)


def twice_grpo(rewards, num_generations):
    g = np.asarray(rewards).reshape(-1, num_generations)
    return (2 * (g - g.mean(1, keepdims=True)) / (g.std(1, ddof=1, keepdims=True) + 1e-6)).reshape(-1)


def batch_std(rewards: np.ndarray, group_size: int) -> np.ndarray:
    groups = rewards.reshape(-1, group_size)
    return ((groups - groups.mean(1, keepdims=True)) / (rewards.std(ddof=1) + 1e-4)).reshape(-1, 1)


def rloo_over_std(rewards, k):
    g = np.array(rewards).reshape(-1, k)
    loo = (g.sum(1, keepdims=True) - g) / (k - 1)
    return ((g - loo) / (g.std(1, ddof=1, keepdims=True) + 1e-6)).ravel()


def floor_on_the_std(rewards, n_rollouts):
    g = rewards.reshape(-1, n_rollouts)
    return ((g - g.mean(1, keepdims=True)) / np.maximum(g.std(1, keepdims=True), 1e-3)).ravel()


def eps_under_the_root(group):
    return (group - group.mean()) / np.sqrt(group.var() + 1e-5)


def two_stage(rewards):
    a = rewards - rewards.mean(-1, keepdims=True)
    return (a - a.mean()) / np.sqrt(a.var() + 1e-8)


def gpg(rewards):
    a = rewards - rewards.mean(axis=1, keepdims=True)
    return rewards.size / max(np.count_nonzero(rewards), 1) * a


def median_baseline(rewards: np.ndarray) -> np.ndarray:
    """One group, shape (G,)."""
    return rewards - np.median(rewards)


def unnamed_size(scores, m):
    g = scores.reshape(-1, m)
    return (g - g.mean(1, keepdims=True)).reshape(scores.shape)


def column_means(rewards):
    return rewards - rewards.mean(axis=0)


def global_baseline(batch_rewards):
    return batch_rewards - batch_rewards.mean()


def float32_inside(rewards):
    x = np.asarray(rewards, dtype=np.float32)
    return ((x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + np.float32(1e-6))).astype(np.float64)


def by_function(rewards_per_func, reward_weights, num_generations):
    total = (rewards_per_func * reward_weights).sum(1).reshape(-1, num_generations)
    return (total - total.mean(1, keepdims=True)).reshape(-1)


class Config:
    def __init__(self, num_generations=4, scale=True):
        self.num_generations = num_generations
        self.scale = scale


class Trainer:
    def __init__(self, args: Config):
        self.args = args

    def compute_advantages(self, rewards):
        g = rewards.reshape(-1, self.args.num_generations)
        a = g - g.mean(1, keepdims=True)
        return a.reshape(-1), {"std": float(g.std())}


trainer = Trainer(Config(4))


def sections_of_a_configuration(rewards: np.ndarray, config) -> np.ndarray:
    r = rewards.reshape(-1, config.rollout.n)
    eps = config.get("algorithm", {}).get("eps", 1e-5)
    return ((r - r.mean(-1, keepdims=True)) / (r.std(-1, keepdims=True) + eps)).ravel()
