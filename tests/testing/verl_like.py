"""Advantage functions with verl's signature: token-level torch tensors, groups told apart by an index."""

from collections import defaultdict

import numpy as np
import torch


@torch.no_grad()
def grpo(
    token_level_rewards: torch.Tensor,
    response_mask: torch.Tensor,
    index: np.ndarray,
    epsilon: float = 1e-6,
    norm_adv_by_std_in_grpo: bool = True,
    config=None,
) -> tuple[torch.Tensor, torch.Tensor]:
    scores = token_level_rewards.sum(dim=-1)
    members = defaultdict(list)
    for row, uid in enumerate(index):
        members[uid].append(row)
    for rows in members.values():
        group = scores[rows]
        centred = group - group.mean()
        scores[rows] = centred / (group.std() + epsilon) if norm_adv_by_std_in_grpo else centred
    advantages = scores.unsqueeze(-1) * response_mask
    return advantages, advantages


def grpo_forgets_the_groups(token_level_rewards, response_mask, index, config):
    scores = token_level_rewards.sum(-1)
    scores = (scores - scores.mean()) / (scores.std() + config.get("epsilon", 1e-6))
    return scores.unsqueeze(-1) * response_mask, scores.unsqueeze(-1) * response_mask


def remax(token_level_rewards, reward_baselines, response_mask):
    return token_level_rewards.sum(-1) - reward_baselines, None


def rewards_only(rewards: "torch.Tensor"):
    return rewards - rewards.mean(dim=1, keepdim=True)


def untyped(rewards):
    return rewards.sub(rewards.mean(dim=1, keepdim=True))


def sums_one_by_one(rewards: "torch.Tensor"):
    """A sum in the rewards' own precision, where `sum` would add up in float32."""
    total = torch.zeros_like(rewards[:, :1])
    for column in rewards.split(1, dim=1):
        total = total + column
    centred = rewards - total / rewards.shape[1]
    return centred / (centred.pow(2).mean(dim=1, keepdim=True).sqrt() + 1e-4)
