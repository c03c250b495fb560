"""How `data/trainers.json` was made: the trainers' own advantage functions, run on random rewards, values only.

Packages from PyPI (verl, google-tunix, ms-swift, with torch 2.13.0 on CPU) are called through their own names; of
repositories that are no package the named function is compiled from its file and called. None of their code is kept:

    python tests/golden/make_trainers.py CHECKOUTS > tests/golden/data/trainers.json

CHECKOUTS holds bare or working checkouts named maxrl, CurveRL, AReaL, rllm, rewarding-unlikely-release, MathForge.
TRL computes inside a method; its values are in `trl_*.json`, and `tests/trainers` compares with the running trainer.
"""

import ast
import json
import subprocess
import sys
import types
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

SIZES = (2, 4, 8)
PROMPTS = 5


def source(folder: Path, file: str) -> tuple[str, str]:
    """Text of a file at the newest commit of a checkout, and that commit."""

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True).stdout

    return git("show", f"HEAD:{file}"), git("rev-parse", "HEAD").strip()


def compiled(text: str, names: list[str], scope: dict) -> dict:
    """Functions and classes of a file by name, without its imports and decorators."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in names:
            node.decorator_list = []
            exec(compile(ast.Module([node], []), "golden", "exec"), scope)
    return scope


def scope() -> dict:
    import dataclasses
    import math
    import typing

    from einops import rearrange

    found = dict(torch=torch, np=np, math=math, defaultdict=defaultdict, rearrange=rearrange, dataclasses=dataclasses)
    return found | {n: getattr(typing, n) for n in ("Any", "Callable", "Optional", "Tuple", "List", "Dict")}


def batches(binary: bool):
    """Rewards [P, G]: random groups, an all-wrong and an all-correct one."""
    rng = np.random.default_rng(0)
    for size in SIZES:
        for _ in range(2):
            r = rng.random((PROMPTS, size)).round(3)
            if binary:
                r = (r < rng.random((PROMPTS, 1))).astype(float)
            r[0], r[1] = 0, 1
            r[2, 0], r[2, 1] = 1, 0
            yield r


def flat(rewards):
    """verl's arguments for a batch: one token a rollout, uids of the groups."""
    index = np.repeat(np.arange(len(rewards)), rewards.shape[1])
    tokens = torch.tensor(rewards.reshape(-1, 1))
    return dict(token_level_rewards=tokens, response_mask=torch.ones_like(tokens), index=index)


def case(rewards, advantages, **beside):
    found = {"rewards": rewards, "advantages": np.asarray(advantages, float).reshape(rewards.shape), **beside}
    return {k: np.asarray(v, float).tolist() for k, v in found.items()}


def entry(estimator, params, where, version, function, cases):
    return dict(estimator=estimator, params=params, repository=where, version=version, function=function, cases=cases)


def verl():
    import importlib.metadata

    from verl.trainer.ppo import core_algos

    version, registry = importlib.metadata.version("verl"), core_algos.ADV_ESTIMATOR_REGISTRY

    def plain(name, binary=False):
        return [case(r, registry[name](**flat(r))[0]) for r in batches(binary)]

    name = "reinforce_plus_plus_baseline"
    yield entry("reinforce_pp_baseline", {}, "verl", version, name, plain(name))
    rng, cases = np.random.default_rng(1), []
    for r in batches(binary=False):
        other, weights = (rng.random(r.shape) < 0.5).astype(float), [1.0, 0.5]
        keys = {"gdpo_reward_keys": ["a", "b"], "gdpo_reward_weights": weights}
        prompts = dict(prompts=torch.zeros(r.size, 1), attention_mask=torch.ones(r.size, 2, dtype=int))
        given = dict(config=keys, non_tensor_batch={"a": r.reshape(-1), "b": other.reshape(-1)}, batch=prompts)
        cases.append(case(r, registry["gdpo"](**flat(r), **given)[0], components=[r, other], weights=weights))
    yield entry("gdpo", {}, "verl", version, "gdpo", cases)


def swift():
    import importlib.metadata

    from swift.rl_core.advantage import compute_advantages

    def run(r, **options):
        return compute_advantages(torch.tensor(r.reshape(-1, 1)), torch.ones(1).double(), r.shape[1], **options)[0]

    for name, options in (
        ("rloo_std", dict(advantage_estimator="rloo", scale_rewards="group")),
        ("grpo_batch_std", dict(scale_rewards="batch")),
    ):
        cases = [case(r, run(r, **options)) for r in batches(binary=False)]
        version = importlib.metadata.version("ms-swift")
        yield entry(name, {}, "ms-swift", version, f"compute_advantages, {options}", cases)


def tunix():
    import importlib.metadata

    import jax

    jax.config.update("jax_enable_x64", True)
    from tunix.rl import algo_core, function_registry

    assert algo_core
    for theirs, ours in (("grpo", "grpo_ddof1"), ("rloo", "rloo"), ("drgrpo", "dr_grpo")):
        f = function_registry.get_advantage_estimator(theirs)
        cases = [case(r, f(rewards=r.reshape(-1), num_generations=r.shape[1])) for r in batches(binary=False)]
        yield entry(ours, {}, "google-tunix", importlib.metadata.version("google-tunix"), theirs, cases)


def maxrl(checkouts):
    text, commit = source(checkouts / "maxrl", "verl/trainer/ppo/core_algos.py")
    names = ["pkpo", "misc", "dsgrpo", "maxrl"]
    found = compiled(text, [f"compute_{n}_outcome_advantage" for n in names], scope() | {"print": lambda *_: None})

    def run(name, r, **options):
        return found[f"compute_{name}_outcome_advantage"](**flat(r), **options)[0]

    where = "tajwarfahim/maxrl"
    for k in (2, 4):
        config = types.SimpleNamespace(pass_k=k)
        cases = [case(r, run("pkpo", r, config=config)) for r in batches(binary=True) if r.shape[1] >= k]
        yield entry("pkpo", {"k": k}, where, commit, f"pkpo, pass_k={k}", cases)
    config = types.SimpleNamespace(advantage_type="maxrl")
    cases = [case(r, run("misc", r, config=config)) for r in batches(binary=True)]
    yield entry("maxrl_std", {}, where, commit, "misc, advantage_type=maxrl", cases)
    cases = [case(r, run("maxrl", r)) for r in batches(binary=True)]
    yield entry("maxrl", {"eps": 1e-6}, where, commit, "maxrl", cases)
    rng, cases = np.random.default_rng(2), []
    for r in batches(binary=True):
        logprobs = -rng.exponential(size=r.shape)
        old = torch.tensor(logprobs.reshape(-1, 1))
        cases.append(case(r, run("dsgrpo", r, old_log_probs=old), logprobs=logprobs))
    yield entry("differential_smoothing", {}, where, commit, "differential_smoothing", cases)


def curverl(checkouts):
    text, commit = source(checkouts / "CurveRL", "verl/trainer/ppo/core_algos.py")
    wanted = [n.name for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)]
    wanted = [n for n in wanted if n.startswith("_") or "curverl" in n]
    found = compiled(text, wanted, scope() | {"_flatten_metric_vector": lambda *_: {}})
    cases, state = [], None
    for r in batches(binary=True):
        rates = [] if state is None else state["pool_values"]
        given = dict(config={"curverl_pool_num": 10}, curverl_state=state, return_stats=True)
        a, _, state, _ = found["compute_curverl_outcome_advantage"](**flat(r), **given)
        cases.append(case(r, a, **({"rates": list(rates)} if rates else {})))
    yield entry("curverl", {}, "zhyzmath/CurveRL", commit, "curverl, one run of six steps", cases)


def areal(checkouts):
    text, commit = source(checkouts / "AReaL", "areal/utils/data.py")
    quiet = types.SimpleNamespace(is_initialized=lambda: False)
    norm = compiled(text, ["Normalization"], scope() | {"dist": quiet, "NormConfig": object})["Normalization"]

    def level(mean, std, size):
        shared = dict(mean_leave1out=False, std_unbiased=True, eps=1e-5, group_size=size)
        return norm(types.SimpleNamespace(mean_level=mean, std_level=std, **shared))

    cases = []
    for r in batches(binary=False):
        scores = level("group", "group", r.shape[1])(torch.tensor(r.reshape(-1)))
        cases.append(case(r, level("batch", "batch", 1)(scores[:, None], torch.ones(r.size, 1))))
    what = "Normalization: reward_norm group/group, then adv_norm batch/batch"
    yield entry("two_stage", {}, "inclusionAI/AReaL", commit, what, cases)
    cases = [case(r, level("batch", "batch", 1)(torch.tensor(r.reshape(-1)))) for r in batches(binary=False)]
    yield entry("prpo", {"ddof": 1, "eps": 1e-5}, "inclusionAI/AReaL", commit, "Normalization: batch/batch", cases)


def rllm(checkouts):
    text, commit = source(checkouts / "rllm", "rllm/trainer/algorithms/advantage.py")
    f = compiled(text, ["calculate_prpo_advantages"], scope() | {"AlgorithmConfig": object})[
        "calculate_prpo_advantages"
    ]
    cases = [case(r, f(list(r), None)[0]) for r in batches(binary=False)]
    yield entry("prpo", {}, "rllm-org/rllm", commit, "prpo", cases)


def statements(text: str, first: str, last: str) -> str:
    """The lines of a method from one that holds `first` to one that holds `last`, without their indentation."""
    import textwrap

    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if first in line)
    end = next(i for i, line in enumerate(lines) if i >= start and last in line)
    return textwrap.dedent("\n".join(lines[start : end + 1]))


def unlikely(checkouts):
    folder = checkouts / "rewarding-unlikely-release"
    text, commit = source(folder, "verl/trainer/ppo/ray_lean_trainer.py")
    code = statements(text, "bsz = scores.shape[0]", "scores[i] = (modified_scores[i]")
    rng, cases = np.random.default_rng(3), []
    for r in batches(binary=True):
        logprobs = -rng.exponential(size=r.shape)
        given = flat(r)
        values = dict(scores=torch.tensor(r.reshape(-1)), old_log_probs=torch.tensor(logprobs.reshape(-1)))
        values |= dict(index=given["index"], rank_penalty=0.25, epsilon=1e-6, torch=torch, defaultdict=defaultdict)
        values["modified_scores"] = values["scores"].clone()
        exec(code, values)
        cases.append(case(r, values["scores"], logprobs=logprobs))
    yield entry("unlikeliness", {}, "AndreHe02/rewarding-unlikely-release", commit, "rank_penalty=0.25", cases)


def mathforge(checkouts):
    text, commit = source(checkouts / "MathForge", "trl-0.20.0/trl/trainer/grpo_trainer.py")
    code = statements(
        text, "advantages_extent = advantages.view(-1, self.num_generations)", "(advantages_extent + 1e-4)"
    )
    cases = []
    for r in batches(binary=False):
        trainer = types.SimpleNamespace(num_generations=r.shape[1])
        scores = torch.tensor(r)
        values = dict(self=trainer, advantages=(scores - scores.mean(1, keepdim=True)).reshape(-1))
        exec(code, values)
        cases.append(case(r, values["advantages"]))
    yield entry("dgpo", {}, "AMAP-ML/MathForge", commit, "GRPOTrainer with enable_dgpo, without its weights", cases)


if __name__ == "__main__":
    checkouts = Path(sys.argv[1])
    made = [*verl(), *swift(), *tunix()]
    for part in (maxrl, curverl, areal, rllm, unlikely, mathforge):
        made += part(checkouts)
    json.dump(made, sys.stdout)
