"""Registered estimators in verl's registry: import this module, then `algorithm.adv_estimator=symtheory/agrae`.

verl imports it itself with the environment variable `VERL_USE_EXTERNAL_MODULES=symtheory.trainers.verl`.
Parameters are read from `+algorithm.symtheory.NAME=VALUE`.
"""

from collections.abc import Callable
from typing import Any

import torch
from verl.trainer.ppo.core_algos import register_adv_est

from .. import estimators
from ..errors import InputError
from .monitor import Monitor, as_numpy
from .rollouts import Rates, by_id, named

_monitors: list[Monitor] = []


def watch(monitor: Monitor) -> Monitor:
    """Let a monitor see every step of the estimators of this module; its `latest` holds the metrics to log."""
    _monitors.append(monitor)
    return monitor


def advantage_function(name: str) -> Callable:
    """verl's kind of advantage function for a registered estimator: token-level rewards in, token-level advantages out.

    A rollout's reward is the sum over its tokens, its advantage stands at every token of the response mask, and
    rollouts of one `index` (verl's uid) form a group, in any order and of any size that the estimator allows.
    """
    rates = Rates()

    @torch.no_grad()
    def compute(
        token_level_rewards: torch.Tensor,
        response_mask: torch.Tensor,
        index: Any = None,
        config: Any = None,
        non_tensor_batch: dict | None = None,
        old_log_probs: torch.Tensor | None = None,
        **_: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = named(name, **dict(_setting(config, "symtheory") or {}))
        _check(token_level_rewards, response_mask, index, name)
        layout = by_id(index)
        mask = torch.as_tensor(layout.mask, device=token_level_rewards.device)
        valid = response_mask.to(token_level_rewards.dtype)
        lengths = valid.sum(dim=-1)
        rewards = layout.group(token_level_rewards.sum(dim=-1))
        given: dict[str, Any] = {"mask": mask, "lengths": layout.group(lengths).clamp(min=1)}
        if keys := _setting(config, "gdpo_reward_keys"):
            given |= _components(keys, _setting(config, "gdpo_reward_weights"), non_tensor_batch, layout, rewards, name)
        if "logprobs" in chosen.needs and old_log_probs is not None:
            given["logprobs"] = layout.group((old_log_probs * valid).sum(dim=-1) / lengths.clamp(min=1))
        if "rates" in chosen.needs:
            given |= rates.given()
        a = estimators.advantages(rewards, chosen, **given)
        rates.add(as_numpy(rewards), layout.mask)
        for monitor in _monitors:
            beside = {"length": as_numpy(layout.group(lengths))}
            monitor.step(as_numpy(rewards), as_numpy(a), mask=layout.mask, estimator=chosen, beside=beside)
        advantages = layout.flat(a)[:, None] * response_mask
        return advantages, advantages

    compute.__name__ = compute.__qualname__ = f"symtheory_{name}"
    compute.__doc__ = f"{name}: {estimators.get(name).source}."
    return compute


def _check(rewards: torch.Tensor, mask: torch.Tensor, index: Any, name: str) -> None:
    if not rewards.is_floating_point():
        raise InputError(f"token_level_rewards must be floating point for symtheory/{name}, got {rewards.dtype}")
    if rewards.ndim != 2 or rewards.shape != mask.shape:
        raise InputError(
            "token_level_rewards and response_mask must both have shape [rollouts, tokens], "
            f"got {tuple(rewards.shape)} and {tuple(mask.shape)}"
        )
    if index is None or len(index) != len(rewards):
        raise InputError(f"index must name the group of each of the {len(rewards)} rollouts for symtheory/{name}")


def _setting(config: Any, key: str) -> Any:
    """An entry of verl's algorithm config, None where it has none."""
    return None if config is None else config.get(key, None)


def _components(keys, weights, batch: dict | None, layout, like: torch.Tensor, name: str) -> dict[str, torch.Tensor]:
    """The several rewards that `gdpo_reward_keys` names."""
    if batch is None:
        raise InputError(
            f"symtheory/{name} cannot see the rewards of gdpo_reward_keys: verl hands them to the name gdpo only"
        )
    values = [torch.as_tensor(batch[key].astype(float)).to(like) for key in keys]
    weights = [1.0] * len(values) if weights is None else list(weights)
    return {"components": torch.stack([layout.group(x) for x in values]), "weights": torch.as_tensor(weights).to(like)}


for _name in estimators.names():
    register_adv_est(f"symtheory/{_name}")(advantage_function(_name))
