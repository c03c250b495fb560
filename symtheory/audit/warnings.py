"""What a reader of the report should not miss, each with its reason, as one sentence."""

from fractions import Fraction

from .columns.rewards import Terms


def warnings(report: dict) -> list[str]:
    """Sentences on what the numbers of a report mean for the run."""
    return [*_reward(report), *_signal(report), *_symmetry(report), *_estimator(report), *_data(report)]


def _reward(report: dict) -> list[str]:
    reward, nearest = report["reward"], report["identification"]
    found = []
    if reward["default"] is not None:
        equal = f"equal {named(nearest)}" if nearest and nearest["equal"] else "a scaling of it"
        found.append(
            f"--reward {reward['option']} makes the advantages {equal}; the default would be {reward['default']}"
        )
    elif len(reward["columns"]) > 1 and not reward["chosen"]:
        others = ", ".join(c for c in reward["columns"] if not reward["weights"][c])
        shown = f"the reward is {reward['option']}" + (f", without {others}" if others else "")
        equal = " and makes the advantages equal " + named(nearest) if nearest and nearest["equal"] else ""
        found.append(f"{shown}{equal}; --reward chooses a column or a weighted sum")
    if reward["standardised"]:
        each = reward["standardised"]
        total = Terms(tuple(reward["columns"]), each["weights"])
        found.append(
            f"the advantages are those of GDPO times a factor per step: each reward is standardised in its group (ddof "
            f"{each['ddof']}, eps {each['eps']:g}), and {total} of them is taken"
        )
    if reward["untold"] and len(reward["columns"]) > 1:
        found.append(f"{', '.join(reward['untold'])}: constant in every group, so that nothing tells its weight")
    if not reward["success"].endswith(reward["option"]) or reward["graded"]:
        found.append(
            reward["success"]
            + (", graded: p is its mean, and an advantage above 0 is not a correct rollout" if reward["graded"] else "")
            + "; --success chooses a column"
        )
    return found


def _signal(report: dict) -> list[str]:
    dead, found = report["dead"], []
    if (report["dead_fraction"] or 0) >= 0.25:
        parts = f"{dead['all_wrong']:.0%} all wrong, {dead['all_right']:.0%} all right"
        if dead["equal_graded"]:
            parts += f", {dead['equal_graded']:.0%} at an equal reward in between"
        found.append(f"{report['dead_fraction']:.0%} of groups carry no signal, all their rewards being equal: {parts}")
    both = report["fifths"]
    if (
        both
        and len(report["per_step"]) >= 5
        and both["first"]["dead_fraction"] is not None
        and both["last"]["dead_fraction"] is not None
    ):
        early, late = both["first"]["dead_fraction"], both["last"]["dead_fraction"]
        if late - early > 0.15:
            found.append(f"groups without signal grow from {early:.0%} in the first fifth of the steps to {late:.0%}")
    return found


def _symmetry(report: dict) -> list[str]:
    asymmetry, length, found = report["group_asymmetry"], report["length"], []
    if asymmetry is None:
        return ["every advantage is 0: the log holds no learning signal"]
    if abs(asymmetry) > 0.01:
        lead = "correct" if asymmetry > 0 else "wrong"
        found.append(
            f"the advantages are not zero-sum: C / sum|A| = {asymmetry:+.3f}, so {lead} rollouts weigh more, and by "
            "Theorem 1 the logits of what was not sampled move"
        )
    if abs(report["sum_with_masked"] - report["sum_of_advantages"]) > 0.01 * report["sum_of_absolute_advantages"]:
        found.append(
            f"rollouts that are masked out of the loss take their part of the sum with them: C is "
            f"{_number(report['sum_with_masked'])} with them and {_number(report['sum_of_advantages'])} in the loss"
        )
    if length and abs(length["sequence_mean_asymmetry"] - asymmetry) > 0.02:
        inverse = length["sequence_mean_asymmetry"]
        shorter = "correct" if inverse > asymmetry else "wrong"
        unit = " (lengths in characters)" if length["unit"] == "characters" else ""
        found.append(
            f"a loss that divides each rollout by its length makes C / sum|A| {_signed(inverse)} instead of "
            f"{_signed(asymmetry)}: {shorter} rollouts are shorter{unit}; a token mean over the batch leaves it"
        )
    return found


def _number(value: float) -> str:
    return f"{value + 0.0:.4g}" if abs(value) > 1e-9 else "0"


def _signed(value: float) -> str:
    return f"{round(value, 3) + 0.0:+.3f}"


def _estimator(report: dict) -> list[str]:
    nearest = report["identification"]
    if report["reward"]["standardised"]:
        return []
    if nearest is None:
        if report["advantages"] == "logged":
            return []
        missing = any(f["key"] == "nan_advantages" for f in report["trust"]["findings"])
        lacks = "no advantage of the log is a number" if missing else "the log has no advantages"
        return [f"{lacks}: those of {report['estimator']} are used (--estimator chooses another)"]
    if nearest["equal"]:
        return []
    if nearest["proportional"]:
        low, high = nearest["proportional"]
        if high - low < 1e-4 * abs(high):
            return [f"the advantages are those of {named(nearest)} times a constant, {_fraction(low)}"]
        return [
            f"the advantages are those of {named(nearest)} times a factor per step ({low:.4g} to {high:.4g}), as "
            "dividing by a statistic of the whole batch gives"
        ]
    first = nearest["first_disagreement"]
    place = "none differs by itself"
    if first is not None:
        place = f"first at {first['where']}: logged {first['logged']:.6g}, expected {first['expected']:.6g}"
    agreeing = f"{nearest['name']} gives {nearest['agreeing']:.0%} of them"
    if not nearest["near"]:
        return [f"the advantages equal no registered estimator, and none is near; {agreeing}; {place}"]
    return [
        f"the advantages equal no registered estimator; nearest is {nearest['name']}, {nearest['distance']:.2g} away "
        f"in relative norm, and {agreeing}; {place}"
    ]


def _fraction(value: float) -> str:
    near = Fraction(value).limit_denominator(64)
    shown = f"{value:.4g}"
    return f"{shown} ({near})" if near.denominator > 1 and abs(float(near) - value) < 1e-5 * abs(value) else shown


def named(nearest: dict) -> str:
    """An estimator with its parameters: grpo_ddof1(ddof=1, eps=0.0001)."""
    params = ", ".join(f"{key}={value:g}" for key, value in nearest["params"].items())
    return nearest["name"] + (f"({params})" if params else "")


def _data(report: dict) -> list[str]:
    return list(report["notes"])
