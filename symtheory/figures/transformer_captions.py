"""Results of the replay in the form of a study, so that one list of claims and one rule judge every world.

The held-out prompts are also split into an easier and a harder half by the base model's mean success on each class of
difficulty, which stand for the easier and the harder benchmark of the paper.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ..claims.effects import STEP_MEASURES
from ..claims.judge import Cell
from ..claims.ledger import READING, judge_study, sentence
from ..claims.report import markdown_table
from ..metrics.intervals import Interval, bootstrap
from ..metrics.passk import pass_at_k, unbiased_pass_at_k
from ..studies.controlled import KS
from ..studies.transformer.training import Training
from . import easy_focus

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


def against_grpo(result: xr.Dataset, config: Training) -> xr.Dataset:
    """`easy_focus.against_grpo` for training runs of one setting."""
    names = {name: name for name in config.estimators}
    return easy_focus.against_grpo(as_study(result), config.update.group_size, names)


def focused(results: Sequence[xr.Dataset], configs: Sequence[Training]) -> xr.Dataset:
    """`easy_focus.together` for the training runs of several settings, with its caption."""
    settings = zip(results, configs, strict=True)
    together = easy_focus.together(
        {result.attrs["setting"]: against_grpo(result, config) for result, config in settings}
    )
    return together.assign_attrs(caption=easy_focus.caption(together, results[0].sizes["seed"]))


def _beside_grpo(found: xr.Dataset) -> str:
    """`against_grpo` in words and as a table."""
    rows = []
    for name in found.estimator.values:
        of = found.sel(estimator=name)
        cells = of.gain.transpose("k", "reading", "statistic").values.reshape(-1, 3)
        rows.append(
            (name, f"{float(of.focus):.2f}", *(f"{m:+.1f} [{low:+.1f}, {high:+.1f}]" for m, low, high in cells))
        )
    columns = [f"pass@{k}, {reading}" for k in found.k.values for reading in found.reading.values]
    told = "Held-out pass@k minus GRPO's, in points, in the order of the expected focus on easy prompts (GRPO: 1)."
    if len(rows) > 2:
        rank = float(found.rank_correlation.sel(reading="equal training pass@1"))
        told += f" Rank correlation of this focus with the last column, GRPO included: {rank:+.2f}."
    return f"{told}\n\n{markdown_table(('estimator', 'focus', *columns), rows)}"


def step_verdicts(steps: xr.Dataset) -> dict[str, dict[str, Cell]]:
    """Cells of the claims about single steps, from a result of `one_step`."""
    return judge_study(steps, "replay", STEP_MEASURES)


REGIME_HEADER = (
    "parameters",
    "pretraining",
    "optimizer",
    "prompts",
    "T1 sampled",
    "T1 all",
    "tree all",
    "kernel all",
    "spill",
)


def regime(steps: xr.Dataset) -> list[tuple[dict, dict[str, Interval]]]:
    """For each size, depth, optimiser and batch: its coordinates, and intervals over seeds at the smallest rate.

    The intervals are of the last columns of `REGIME_HEADER`. T1, tree and kernel: shares of the squared change of
    log-probability that Theorem 1, the token tree and the tangent kernel explain, of sampled or of all completions.
    Spill: root mean square change of unsampled completions over that of sampled correct ones. GRPO; mean over
    histories and draws that moved something.
    """
    at = steps.sel(estimator="grpo").isel(rate=0).mean(["history", "draw"], skipna=True)
    theorem, tree, kernel = (at.r2.sel(predictor=p) for p in ("theorem_1", "token_tree", "tangent_kernel"))
    quantities = (
        theorem.sel(subset="sampled"),
        theorem.sel(subset="all"),
        tree.sel(subset="all"),
        kernel.sel(subset="all"),
        at.rms.sel(subset="unsampled") / at.rms.sel(subset="sampled_correct"),
    )
    cells = []
    for index in np.ndindex(*(at.sizes[d] for d in ("size", "depth", "optimizer", "batch"))):
        where = dict(zip(("size", "depth", "optimizer", "batch"), index, strict=True))
        own = [q.isel(where) for q in quantities]
        values = [bootstrap(x.where(np.isfinite(x)).dropna("seed").values) for x in own]  # a change may round to zero
        labels = {name: at[name].values[i] for name, i in where.items()}
        cells.append((labels, dict(zip(REGIME_HEADER[4:], values, strict=True))))
    return cells


def regime_rows(steps: xr.Dataset) -> list[list[str]]:
    """`regime` as rows of text under `REGIME_HEADER`."""
    return [
        [f"{labels['size']:,}", *(str(labels[n]) for n in ("depth", "optimizer", "batch"))]
        + [f"{i.mean:.2f} [{i.low:.2f}, {i.high:.2f}]" for i in intervals.values()]
        for labels, intervals in regime(steps)
    ]


def usable(steps: xr.Dataset, share: float = 0.5) -> str:
    """Where Theorem 1 explains more than `share` of the squared change, as sentences made from `regime`."""
    cells = regime(steps)

    def where(column):
        return [labels for labels, intervals in cells if intervals[column].low > share]

    sampled, everything = where("T1 sampled"), where("T1 all")
    kinds = sorted({(str(c["optimizer"]), int(c["batch"])) for c in sampled})
    words = ", ".join(
        f"{sum((c['optimizer'], c['batch']) == kind for c in sampled)} of "
        f"{sum((labels['optimizer'], labels['batch']) == kind for labels, _ in cells)} with {kind[0]} and "
        f"{kind[1]} prompt{'s' * (kind[1] > 1)}"
        for kind in kinds
    )
    return (
        f"Theorem 1 explains more than {share:.0%} of the squared change (lower end of the interval) of sampled "
        f"completions in {len(sampled)} of {len(cells)} combinations of model size, pretraining, optimiser and batch"
        + (f" ({words})" if words else "")
        + f", and of all completions in {len(everything)}."
    )


def training_caption(result: xr.Dataset, config: Training) -> str:
    """What was trained and what came out, with the verdicts of this setting."""
    u = config.update
    lines = [f"- {sentence(id, cells)}" for id, cells in verdicts(result).items()]
    what = f"""The real update on a decoder-only transformer ({config.base.layers} layers, width {config.base.width}),
    pretrained on the task {config.base.task} to partial competence: {config.steps} rollout batches of {u.batch} prompts
    x {u.group_size} rollouts, {u.mini_batches} mini-batches, {u.aggregation} loss, clip {u.clip_low} and {u.clip_high},
    {result.attrs["setting"]}; {config.prompts} training prompts and as many held-out ones,
    {result.sizes["seed"]} seeds. Mean over seeds of the difference to the seed's own base model, with 95% bootstrap
    intervals."""
    against = [_beside_grpo(against_grpo(result, config))] if "grpo" in config.estimators else []
    return "\n\n".join([_one_line(what), *against, "In this setting:", "\n".join(lines), READING])


def at_pass_at_1(simulated: xr.Dataset, target: xr.DataArray, k: int) -> xr.DataArray:
    """pass@k of the simulated training prompts when their pass@1 first reaches `target` (estimator, seed).

    Linear between records; the last value where it never does. Dims (world, estimator, seed).
    """
    p = simulated.success.transpose("world", "estimator", "seed", "step", "prompt").astype(float)
    x = np.maximum.accumulate(p.mean("prompt").values, axis=-1)
    y = np.asarray(pass_at_k(p.values, k)).mean(-1)
    found = np.empty(x.shape[:-1])
    for index in np.ndindex(found.shape):
        rising, first = np.unique(x[index], return_index=True)
        found[index] = np.interp(target.transpose("estimator", "seed").values[index[1:]], rising, y[index][first])
    return p.isel(step=0, prompt=0, drop=True).copy(data=found)


def worlds_caption(trained: xr.Dataset, simulated: xr.Dataset) -> str:
    """What the comparison with the simulators shows."""
    solved, found = (mean_pass_at_k(trained, k, "train").isel(step=-1, drop=True) for k in (1, 256))
    gap = 100 * (at_pass_at_1(simulated, solved, 256) - found)
    of = "grpo" if "grpo" in gap.estimator else gap.estimator.values[0]
    told = []
    for world in simulated.world.values:
        i = bootstrap(gap.sel(world=world, estimator=of).values)
        told.append(f"{i.mean:+.1f} points [{i.low:+.1f}, {i.high:+.1f}] in the {world}")
    return _one_line(
        f"""Points: the transformer after every record. Lines: the same base policies of its
        {trained.sizes["prompt"]} training prompts in the simulators, trained by SGD on sampled groups. In the bandit
        every completion has a logit of its own (Theorem 1), in the tree every token after every prefix; prompts share
        nothing. Compare paths, since the steps differ: with points on the lines, sharing parameters would not matter.
        At the pass@1 with which {of} ends in the transformer, a simulator's pass@256 differs by
        {" and ".join(told)} (mean over {trained.sizes["seed"]} seeds, 95% bootstrap intervals)."""
    )


def step_caption(steps: xr.Dataset) -> str:
    """What single steps show, with the regime in which Theorem 1 is usable and the verdicts."""
    what = f"""One step on a transformer whose 4,096 completions are enumerated: share of the squared change of
    log-probability that each prediction explains (Theorem 1 and its token form with the step size fitted, the tangent
    kernel as it is), against the learning rate, and how far completions move that were not sampled.
    {steps.sizes["seed"]} base models, 95% bootstrap intervals."""
    table_note = """At the smallest learning rate, GRPO (T1: Theorem 1; spill: root mean square change of unsampled
    completions over that of sampled correct ones):"""
    rows = markdown_table(REGIME_HEADER, regime_rows(steps))
    sentences = "\n".join(f"- {sentence(id, cells)}" for id, cells in step_verdicts(steps).items())
    return f"{_one_line(what)}\n\n{usable(steps)} {_one_line(table_note)}\n\n{rows}\n\n{sentences}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
