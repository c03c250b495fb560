"""Advantage functions over torch tensors, as people write them; the truth about each is in `test_wild.py`."""

from collections import defaultdict

import torch


def one_group(rewards: torch.Tensor) -> torch.Tensor:
    return (rewards - rewards.mean()) / (rewards.std() + 1e-6)


def no_name_of_the_library(rewards):
    return (rewards - rewards.mean(-1, keepdims=True)) / (rewards.std(-1, keepdims=True) + 1e-4)


def flat(rewards: torch.Tensor, n_samples_per_prompt: int) -> torch.Tensor:
    g = rewards.view(-1, n_samples_per_prompt)
    return ((g - g.mean(dim=1, keepdim=True)) / (g.std(dim=1, keepdim=True) + 1e-4)).view(-1)


def flat_with_index(rewards: torch.Tensor, index, epsilon: float = 1e-6):
    members = defaultdict(list)
    for i, uid in enumerate(index):
        members[uid].append(i)
    out = torch.zeros_like(rewards)
    for rows in members.values():
        g = rewards[rows]
        if len(rows) == 1:
            continue
        out[rows] = (g - g.mean()) / (g.std() + epsilon)
    return out


def float32_inside(r):
    m, s = r.float().mean(-1, True), r.float().std(-1, keepdim=True)
    return (r - m) / (s + 1e-6)


def tiny_eps(rewards: torch.Tensor):
    return (rewards - rewards.mean(-1, keepdim=True)) / (rewards.std(-1, keepdim=True) + 1e-8)


def float32_only(rewards: torch.Tensor):
    """One group."""
    n = rewards.shape[0]
    return rewards - (torch.ones(n, n) / n) @ rewards


def column_result(rewards: torch.Tensor, grpo_size: int):
    g = rewards.reshape(-1, grpo_size)
    return (g - g.mean(1, keepdim=True)).reshape(-1, 1), {"reward_mean": rewards.mean().item()}


def tokens_with_config(token_level_rewards, response_mask, index, config=None):
    assert config is not None
    scores = (token_level_rewards * response_mask).sum(-1)
    members = defaultdict(list)
    for i, uid in enumerate(index):
        members[uid].append(i)
    out = scores.clone()
    for rows in members.values():
        out[rows] = scores[rows] - scores[rows].mean()
    out = out.unsqueeze(-1) * response_mask
    return out, out


def per_rollout_of_tokens(token_level_rewards, response_mask, index):
    a, _ = tokens_with_config(token_level_rewards, torch.ones_like(response_mask), index, config=1)
    return a[:, -1]


def length_weighted(token_level_rewards, response_mask, index):
    scores, lengths = token_level_rewards.sum(-1), response_mask.sum(-1)
    members = defaultdict(list)
    for i, uid in enumerate(index):
        members[uid].append(i)
    out = scores.clone()
    for rows in members.values():
        out[rows] = scores[rows] - (scores[rows] * lengths[rows]).sum() / lengths[rows].sum()
    out = out.unsqueeze(-1) * response_mask
    return out, out


class Estimator:
    def __init__(self, num_generations: int, eps: float = 1e-4):
        self.num_generations, self.eps = num_generations, eps

    def __call__(self, rewards: torch.Tensor) -> dict[str, torch.Tensor]:
        g = rewards.view(-1, self.num_generations)
        a = (g - g.mean(1, keepdim=True)) / (g.std(1, keepdim=True) + self.eps)
        return {"rewards": rewards, "advantages": a.flatten()}


class Loss:
    def advantages(self, prompt_ids, rewards, mask):
        """NeMo's shape: token ids of prompts tell the groups, advantages are spread over the mask."""
        out = torch.zeros_like(rewards)
        for prompt in torch.unique(prompt_ids, dim=0):
            rows = (prompt_ids == prompt).all(1)
            out[rows] = rewards[rows] - rewards[rows].mean()
        return out.unsqueeze(-1).expand(mask.shape)
