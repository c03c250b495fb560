"""Estimators as people write them: a right one, and ones that are broken in one way each."""

import time

import numpy as np


def grpo_numpy(rewards):
    centred = rewards - rewards.mean(axis=1, keepdims=True)
    return centred / (rewards.std(axis=1, keepdims=True) + 1e-6)


def mean_with_ddof(rewards):
    baseline = rewards.sum(axis=1, keepdims=True) / (rewards.shape[1] - 1)
    return (rewards - baseline) / (rewards.std(axis=1, keepdims=True) + 1e-6)


def std_with_ddof_minus_one(rewards):
    variance = ((rewards - rewards.mean(1, keepdims=True)) ** 2).sum(1, keepdims=True) / (rewards.shape[1] + 1)
    return (rewards - rewards.mean(1, keepdims=True)) / (np.sqrt(variance) + 1e-6)


def std_without_eps(rewards):
    return (rewards - rewards.mean(1, keepdims=True)) / rewards.std(1, keepdims=True)


def wrong_axis(rewards):
    return (rewards - rewards.mean(axis=0)) / (rewards.std(axis=0) + 1e-6)


def wrong_sign_below_the_mean(rewards):
    return np.abs(rewards - rewards.mean(1, keepdims=True))


def sign_slip(rewards):
    return rewards.mean(1, keepdims=True) - rewards


def first_rollout_is_the_baseline(rewards):
    return rewards - rewards[:, :1]


def leaks_the_batch_std(rewards):
    return (rewards - rewards.mean(1, keepdims=True)) / (rewards.std() + 1e-6)


def first_prompt_leads(rewards):
    return (rewards - rewards.mean(1, keepdims=True)) * (1 + rewards[0].mean())


def one_pass_variance(rewards):
    mean = rewards.mean(1, keepdims=True)
    variance = (rewards**2).mean(1, keepdims=True) - mean**2
    return (rewards - mean) / (np.sqrt(np.maximum(variance, 0)) + 1e-8)


def unguarded_softmax(rewards):
    weight = np.exp(rewards) / np.exp(rewards).sum(1, keepdims=True)
    return weight - 1 / rewards.shape[1]


def division_by_zero_in_plain_python(rewards):
    rows = []
    for row in rewards.tolist():
        mean = sum(row) / len(row)
        std = (sum((r - mean) ** 2 for r in row) / len(row)) ** 0.5
        rows.append([(r - mean) / std for r in row])
    return rows


def truncates(rewards):
    return (10 * grpo_numpy(rewards)).astype(rewards.dtype if rewards.dtype == np.float64 else np.int32) / 10


def raises(rewards):
    raise KeyError("advantages")


def wrong_shape(rewards):
    return rewards.mean(axis=1)


def no_numbers(rewards):
    return "advantages"


def mutates(rewards):
    rewards -= rewards.mean(axis=1, keepdims=True)
    return rewards


def is_random(rewards):
    return rewards - rewards.mean(1, keepdims=True) + np.random.default_rng().normal(size=rewards.shape)


def hangs(rewards):
    time.sleep(3600)


def hangs_in_degenerate_groups(rewards):
    while (rewards[0] == rewards[0, 0]).all():
        pass
    return grpo_numpy(rewards)


def always_nan(rewards):
    return np.full(rewards.shape, np.nan)


def needs_more(rewards, old_log_probs):
    return rewards * old_log_probs


def exits(rewards):
    raise SystemExit(3)


def prints(rewards):
    print("noise on stdout")
    return rewards - rewards.mean(1, keepdims=True)
