"""Advantage functions of torch trainers, spelled as people spell them; the truth is in `test_trainers.py`."""

import torch
from torch import Tensor

G = 8


def method_only(scores, samples_per_prompt):
    s = scores.view(-1, samples_per_prompt)
    return ((s - s.mean(1, True)) / (s.std(1, keepdim=True) + 1e-4)).flatten()


def double_of_it(rewards: Tensor, n: int) -> Tensor:
    r = rewards.unflatten(0, (-1, n))
    z = (r - r.mean(-1, keepdim=True)) / (r.std(-1, keepdim=True, unbiased=False) + 1e-6)
    return (2.0 * z).flatten()


def clamped(rewards: Tensor, num_return_sequences: int):
    r = rewards.view(-1, num_return_sequences)
    std, mean = torch.std_mean(r, dim=-1, keepdim=True)
    return ((r - mean) / (std + 1e-6)).clamp(min=-3, max=3).view(-1)


def global_size(rewards):
    r = rewards.float().view(-1, G)
    return ((r - r.mean(1, keepdim=True)) / (r.std(1, keepdim=True) + 1e-4)).view(-1)


def brain_float(rewards: Tensor, group_size: int):
    r = rewards.to(torch.bfloat16).view(-1, group_size)
    return (r - r.mean(dim=-1, keepdim=True)).reshape(-1).float()


def masked_tokens(token_level_rewards: Tensor, response_mask: Tensor, index):
    with torch.no_grad():
        scores = (token_level_rewards * response_mask).sum(dim=-1)
        _, inverse = torch.unique(torch.tensor([hash(str(i)) for i in index]), return_inverse=True)
        count = torch.bincount(inverse).to(scores.dtype)
        total = torch.zeros_like(count).index_add_(0, inverse, scores)
        loo = (total[inverse] - scores) / (count[inverse] - 1)
        a = torch.where(count[inverse] > 1, scores - loo, scores)
    return a[:, None] * response_mask, a[:, None] * response_mask


def scatter_ids(rewards: Tensor, group_ids: Tensor) -> Tensor:
    size = int(group_ids.max()) + 1
    total = torch.zeros(size, dtype=rewards.dtype).scatter_add_(0, group_ids, rewards)
    count = torch.zeros(size, dtype=rewards.dtype).scatter_add_(0, group_ids, torch.ones_like(rewards))
    return rewards - (total / count)[group_ids]


class Normaliser(torch.nn.Module):
    def __init__(self, k: int, eps: float = 1e-4):
        super().__init__()
        self.k, self.eps = k, eps

    @torch.no_grad()
    def forward(self, rewards):
        r = rewards.view(-1, self.k)
        return {"advantages": ((r - r.mean(1, keepdim=True)) / (r.std(1, keepdim=True) + self.eps)).view(-1)}


normaliser = Normaliser(8)
