"""A registered estimator in TRL's trainers: the class that you already use, with one method replaced.

from trl import GRPOConfig, GRPOTrainer
from symtheory.trainers.trl import with_estimator

trainer = with_estimator(GRPOTrainer, "agrae", alpha=1.0)(model=..., reward_funcs=..., args=GRPOConfig(...))
"""

from typing import Any

import torch

from ..errors import InputError
from .monitor import Monitor, as_numpy
from .rollouts import Rates, advantages_of_scored, check_size, in_a_row, named

HOOKS = ("_calculate_rewards", "_generate_and_score_completions")


def with_estimator(trainer: type, estimator: str, *, monitor: Monitor | None = None, **params) -> type:
    """A trainer class that takes its advantages from a registered estimator.

    Rewards are those of all processes; a rollout's reward is the weighted sum over the reward functions that gave one,
    and a rollout to which none gave a reward has advantage 0 and counts nowhere. `gdpo` gets the rewards one by one.
    The logged advantages are the estimator's as well, and TRL's metrics gain those of `monitor.measure`. TRL's
    `scale_rewards` and `multi_objective_aggregation` no longer have an effect.

    Args:
        trainer: `trl.GRPOTrainer`, or a subclass or relative with its hooks (`trl.RLOOTrainer`).
        estimator: a registered name.
        monitor: where to keep metrics and rows; default a `Monitor` that writes no file.
        **params: parameters of the estimator.

    Raises:
        InputError: no such estimator or parameter, or a class without TRL's hooks; the class it returns raises it for
            groups that the estimator is not defined for, before the first step.
    """
    chosen = named(estimator, **params)
    missing = [hook for hook in HOOKS if not hasattr(trainer, hook)]
    if missing:
        raise InputError(f"trainer must be TRL's GRPOTrainer or a relative, {trainer.__name__} has no {missing[0]}")

    class WithEstimator(trainer):
        symtheory_estimator = chosen

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            check_size(chosen, self.num_generations)
            self.symtheory_monitor = monitor or Monitor()
            self._symtheory_rates = Rates()

        def _calculate_rewards(self, *args: Any, **kwargs: Any) -> torch.Tensor:
            self._symtheory_rewards = super()._calculate_rewards(*args, **kwargs)
            return self._symtheory_rewards

        def _generate_and_score_completions(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
            output = super()._generate_and_score_completions(*args, **kwargs)
            return _replace_advantages(self, output)

    WithEstimator.__name__ = WithEstimator.__qualname__ = f"{trainer.__name__}_{estimator}"
    return WithEstimator


@torch.no_grad()
def _replace_advantages(trainer: Any, output: dict[str, Any]) -> dict[str, Any]:
    """Put the estimator's advantages where TRL's were: in the batch of this process, and in the log of all."""
    chosen, each = trainer.symtheory_estimator, trainer._symtheory_rewards
    training = trainer.model.training
    size = trainer.num_generations if training else getattr(trainer, "num_generations_eval", trainer.num_generations)
    layout = in_a_row(len(each), size)
    components = torch.stack([layout.group(column) for column in each.unbind(dim=1)])
    scored = ~torch.isnan(components).all(dim=0)
    gather = trainer.accelerator.gather
    given = {"lengths": layout.group(gather(output["completion_mask"].sum(dim=1))).clamp(min=1).to(each.dtype)}
    if "logprobs" in chosen.needs:
        given["logprobs"] = layout.group(gather(_mean_log_probabilities(trainer, output)))
    if "rates" in chosen.needs:
        given |= trainer._symtheory_rates.given()
    weights = trainer.reward_weights.to(each)
    kept = scored.any(dim=-1)  # a prompt whose rollouts nobody scored is no part of the batch
    a = torch.zeros_like(scored, dtype=each.dtype)
    if kept.any():
        beside = {name: x[kept] if torch.is_tensor(x) else x for name, x in given.items()}
        beside |= {"mask": scored[kept], "components": components[:, kept], "weights": weights}
        a[kept] = advantages_of_scored(None, chosen, **beside)
    flat = layout.flat(a)
    local = len(output["advantages"])
    first = trainer.accelerator.process_index * local
    output["advantages"] = flat[first : first + local].to(output["advantages"].dtype)
    _replace_logged(trainer._logs["advantages"], flat.tolist())
    rewards = (components * weights[:, None, None]).nansum(dim=0)
    _observe(trainer, layout, rewards, a, scored, given, training)
    return output


def _replace_logged(log: Any, values: list[float]) -> None:
    """The last entries of a log of bounded length become `values`."""
    for _ in range(min(len(values), len(log))):
        log.pop()
    log.extend(values)


def _observe(trainer: Any, layout, rewards, a, scored, given, training: bool) -> None:
    """Metrics of the step into TRL's log; rows by the main process, of training only."""
    prompts = list(trainer._logs["prompt"])[-layout.mask.size :]
    whole = len(prompts) == layout.mask.size  # TRL keeps the prompts of one generation batch
    columns = {"length": as_numpy(given["lengths"])}
    if "logprobs" in given:
        columns["logprob"] = as_numpy(given["logprobs"] * given["lengths"])
    metrics = trainer.symtheory_monitor.step(
        as_numpy(rewards),
        as_numpy(a),
        mask=as_numpy(scored),
        estimator=trainer.symtheory_estimator,
        step=trainer.state.global_step,
        prompts=[str(prompts[i]) for i in layout.rows[:, 0]] if whole else None,
        beside=columns,
        write=training and trainer.accelerator.is_main_process,
    )
    if training:
        trainer._symtheory_rates.add(as_numpy(rewards), as_numpy(scored))
    for name, value in metrics.items():
        trainer._metrics["train" if training else "eval"][name].append(value)


def _mean_log_probabilities(trainer: Any, output: dict[str, Any]) -> torch.Tensor:
    """[local rollouts] mean log-probability of the tokens of each completion under the policy that drew it."""
    mask = output["completion_mask"]
    for name in ("old_per_token_logps", "sampling_per_token_logps"):
        if output.get(name) is not None:
            logps = output[name]
            break
    else:  # TRL needs none in its loss, where the policy has not moved since
        ids = torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1)
        attention = torch.cat([output["prompt_mask"], mask], dim=1)
        logps = trainer._get_per_token_logps_and_entropies(trainer.model, ids, attention, mask.shape[1])[0]
    return (torch.nan_to_num(logps) * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
