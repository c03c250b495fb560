"""Advantage functions over Python lists, as people write them; the truth about each is in `test_wild.py`."""

import asyncio
import math
import statistics
from collections import defaultdict
from dataclasses import dataclass, replace


def one_group_population(rewards: list[float]) -> list[float]:
    mean = sum(rewards) / len(rewards)
    std = math.sqrt(sum((r - mean) ** 2 for r in rewards) / len(rewards))
    return [(r - mean) / (std + 1e-8) for r in rewards]


def one_group_statistics(group_rewards):
    mean = statistics.fmean(group_rewards)
    spread = statistics.stdev(group_rewards) if len(group_rewards) > 1 else 0.0
    if spread == 0.0:
        return [0.0 for _ in group_rewards]
    return [(x - mean) / (spread + 1e-4) for x in group_rewards]


def leave_one_out(rs):
    total = sum(rs)
    return [r - (total - r) / (len(rs) - 1) for r in rs]


def flat_samples_per_prompt(rewards, n_samples_per_prompt):
    out = []
    for start in range(0, len(rewards), n_samples_per_prompt):
        chunk = rewards[start : start + n_samples_per_prompt]
        mean = sum(chunk) / len(chunk)
        out.extend(r - mean for r in chunk)
    return out


def flat_with_ids(rewards: list[float], group_ids: list[int], eps: float = 1e-4) -> list[float]:
    members = defaultdict(list)
    for reward, g in zip(rewards, group_ids, strict=True):
        members[g].append(reward)
    mean = {g: sum(v) / len(v) for g, v in members.items()}
    var = {g: sum((r - mean[g]) ** 2 for r in v) / max(len(v) - 1, 1) for g, v in members.items()}
    return [(r - mean[g]) / (math.sqrt(var[g]) + eps) for r, g in zip(rewards, group_ids, strict=True)]


def ignores_its_ids(rewards: list[float], prompt_ids: list[str]) -> list[float]:
    size = prompt_ids.count(prompt_ids[0])
    out = []
    for start in range(0, len(rewards), size):
        chunk = rewards[start : start + size]
        out += [r - sum(chunk) / len(chunk) for r in chunk]
    return out


def nested(groups: list[list[float]]) -> list[list[float]]:
    return [[r - sum(g) / len(g) for r in g] for g in groups]


def one_by_one(groups: list[list[float]]):
    for g in groups:
        yield [r - sum(g) / len(g) for r in g]


async def awaited(rewards: list[float]) -> list[float]:
    await asyncio.sleep(0)
    return [2 * (r - sum(rewards) / len(rewards)) for r in rewards]


def by_prompt(rewards: dict[str, list[float]]) -> dict[str, list[float]]:
    return {p: [r - sum(g) / len(g) for r in g] for p, g in rewards.items()}


class Rollout:
    def __init__(self, reward):
        self.reward = reward
        self.advantage = 0.0


def sets_advantages(rollouts: list[Rollout]) -> None:
    mean = sum(x.reward for x in rollouts) / len(rollouts)
    for x in rollouts:
        x.advantage = x.reward - mean


@dataclass
class Episode:
    prefix: str
    text: str
    token_ids: list[int]
    is_finished: bool
    reward: float


def normalised_episodes(episodes: list[Episode]) -> list[Episode]:
    groups = defaultdict(list)
    for e in episodes:
        groups[e.prefix].append(e)
    out = []
    for group in groups.values():
        mean = sum(e.reward for e in group) / len(group)
        std = math.sqrt(sum((e.reward - mean) ** 2 for e in group) / len(group))
        out += [replace(e, reward=(e.reward - mean) / (std + 1e-4)) for e in group]
    return out


class Normaliser:
    def __init__(self, group_size: int = 4, eps: float = 1e-6):
        self.group_size = group_size
        self.eps = eps

    def run(self, rewards):
        out = []
        for i in range(0, len(rewards), self.group_size):
            g = rewards[i : i + self.group_size]
            mean = sum(g) / len(g)
            std = (sum((r - mean) ** 2 for r in g) / len(g)) ** 0.5
            out.extend((r - mean) / (std + self.eps) for r in g)
        return {"advantages": out, "mean_reward": sum(rewards) / len(rewards)}


normaliser = Normaliser(8)


class Tracker:
    """Remembers the rewards of every prompt and standardises by all of them."""

    def __init__(self):
        self.history = {}

    def update(self, prompts, rewards):
        out = [0.0] * len(rewards)
        for p in set(prompts):
            here = [r for q, r in zip(prompts, rewards, strict=True) if q == p]
            self.history.setdefault(p, []).extend(here)
        for i, (p, r) in enumerate(zip(prompts, rewards, strict=True)):
            seen = self.history[p]
            mean = sum(seen) / len(seen)
            std = math.sqrt(sum((x - mean) ** 2 for x in seen) / len(seen))
            out[i] = (r - mean) / (std + 1e-4)
        return out


tracker = Tracker()
running = {"mean": 0.0, "n": 0}


def moving_baseline(rewards: list[float]) -> list[float]:
    running["n"] += 1
    running["mean"] += (sum(rewards) / len(rewards) - running["mean"]) / running["n"]
    return [r - running["mean"] for r in rewards]


def from_responses(reward_fn, rollout_responses, repeated_ground_truths, group_size, advantage_eps, normalize_by_std):
    raw = [reward_fn(a, b)["reward"] for a, b in zip(rollout_responses, repeated_ground_truths, strict=True)]
    out = []
    for i in range(0, len(raw), group_size):
        g = raw[i : i + group_size]
        mean = sum(g) / len(g)
        std = math.sqrt(sum((r - mean) ** 2 for r in g) / (len(g) - 1)) if normalize_by_std else 1 - advantage_eps
        out += [(r - mean) / (std + advantage_eps) for r in g]
    return out, raw, {"mean": sum(raw) / len(raw)}


def asks_for_a_critic(rewards, critic_estimates):
    return [r - v for r, v in zip(rewards, critic_estimates, strict=True)]


def raises_at_the_second_call(rewards, seen=[]):  # noqa: B006
    seen.append(1)
    if len(seen) > 1:
        raise RuntimeError("only once")
    return rewards


class WithCritic:
    def __init__(self, temperature, eps):
        self.temperature, self.eps = temperature, eps

    def advantages(self, rewards, critic_estimates, group_size):
        return [r - v for r, v in zip(rewards, critic_estimates, strict=True)]
