"""Results of the replay in the form of a study, so that one list of claims and one rule judge every world.

The held-out prompts are also split into an easier and a harder half by the base model's mean success on each class of
difficulty, which stand for the easier and the harder benchmark of the paper.
"""

import numpy as np
import xarray as xr

from ...claims.judge import Cell
from ...claims.ledger import judge_study
from ...metrics.passk import pass_at_k, unbiased_pass_at_k
from ...studies.controlled import KS

POPULATIONS = ("train", "held-out", "easier half", "harder half")


def prompt_pass_at_k(result: xr.Dataset, k, cut: bool = False) -> xr.DataArray:
    """pass@k of every prompt; dims (estimator, seed, step, split, prompt), and k last if it is a list.

    `cut` evaluates at temperature 0.6 and top-p 0.95. Exact where the result is, else the unbiased estimate.
    """
    success = result["success_cut" if cut else "success"].astype(float)
    ks = xr.DataArray(np.atleast_1d(k), dims="k", coords={"k": np.atleast_1d(k)})
    p = success.expand_dims(k=ks.size).assign_coords(k=ks.k).transpose(*success.dims, "k")
    samples = int(result.attrs.get("samples", 0))
    if samples:
        values = unbiased_pass_at_k(samples, np.round(p.values * samples), np.broadcast_to(ks.values, p.shape))
    else:
        values = pass_at_k(p.values, ks.values)
    passed = p.copy(data=values)
    return passed if np.ndim(k) else passed.isel(k=0, drop=True)


def mean_pass_at_k(result: xr.Dataset, k, split: str = "held_out", cut: bool = False) -> xr.DataArray:
    """pass@k, mean over the prompts of a split; dims (estimator, seed, step), and k last if it is a list."""
    return prompt_pass_at_k(result.sel(split=[split]), k, cut).mean(("split", "prompt"))


def membership(result: xr.Dataset) -> xr.DataArray:
    """Weight of each prompt in the mean over each of `POPULATIONS`; dims (population, seed, split, prompt)."""
    base = result.success.isel(estimator=0, step=0).astype(float)
    classes = result.difficulty
    order = np.unique(classes)
    by_class = {c: float(base.where(classes == c).mean()) for c in order}
    ranked = sorted(order, key=lambda c: -by_class[c])
    easier = classes.isin(ranked[: len(ranked) // 2])
    train, held_out = (xr.ones_like(base) * (result.split == split) for split in ("train", "held_out"))
    members = [train, held_out, held_out * easier, held_out * ~easier]
    index = xr.DataArray(list(POPULATIONS), dims="population", name="population")
    weight: xr.DataArray = xr.concat([m.transpose("seed", "split", "prompt") for m in members], index)  # type: ignore
    return weight / weight.sum(("split", "prompt"))


def as_study(result: xr.Dataset) -> xr.Dataset:
    """The result of `replay.training` with the names and dimensions of `study.run`; means over prompts."""
    weight = membership(result)

    def over_prompts(x):
        return xr.dot(x.astype(float), weight, dim=("split", "prompt")).rename(step="record")

    batches = result[["correct", "unsolved", "abs_advantage", "imbalance"]].isel(step=slice(1, None))
    data = {
        "pass_at_k": over_prompts(prompt_pass_at_k(result, list(KS))),
        "entropy": over_prompts(result.entropy),
        "greedy": over_prompts(result.greedy),
    }
    study = xr.Dataset(data).reset_index("record", drop=True)
    return study.merge(batches.rename(step="interval").reset_index("interval", drop=True), compat="override")


def verdicts(result: xr.Dataset) -> dict[str, dict[str, Cell]]:
    """Cells of the training claims whose estimators the result has, by claim and reading."""
    return judge_study(as_study(result), "replay")
