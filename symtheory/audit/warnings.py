"""What a reader of the report should not miss, each with its reason, as one sentence."""


def warnings(report: dict, counts, sums) -> list[str]:
    """Sentences on what the numbers of a report mean for the run."""
    return [*_signal(report), *_symmetry(report), *_estimator(report), *_data(report, counts, sums)]


def _signal(report: dict) -> list[str]:
    dead, found = report["dead"], []
    if report["dead_fraction"] >= 0.25:
        parts = f"{dead['all_wrong']:.0%} all wrong, {dead['all_right']:.0%} all right"
        if dead["equal_graded"]:
            parts += f", {dead['equal_graded']:.0%} at an equal reward in between"
        found.append(f"{report['dead_fraction']:.0%} of groups carry no signal, all their rewards being equal: {parts}")
    trend = [s["dead_fraction"] for s in report["per_step"]]
    fifth = len(trend) // 5
    early, late = sum(trend[:fifth]) / max(fifth, 1), sum(trend[len(trend) - fifth :]) / max(fifth, 1)
    if late - early > 0.15:
        found.append(f"groups without signal grow from {early:.0%} in the first fifth of the steps to {late:.0%}")
    return found


def _symmetry(report: dict) -> list[str]:
    asymmetry, length, found = report["group_asymmetry"], report["length"], []
    if asymmetry is None:
        return ["every advantage is 0: the log holds no learning signal"]
    if abs(asymmetry) > 0.01:
        lead = "right" if asymmetry > 0 else "wrong"
        found.append(
            f"the advantages are not zero-sum: C / sum|A| = {asymmetry:+.3f}, so {lead} rollouts weigh more, and by "
            "Theorem 1 the logits of what was not sampled move"
        )
    if length and abs(length["token_asymmetry"] - asymmetry) > 0.02:
        token = length["token_asymmetry"]
        longer = "right" if token > asymmetry else "wrong"
        unit = " (lengths in characters)" if length["unit"] == "characters" else ""
        found.append(
            f"a token-mean loss weighs rollouts by length and makes C / sum|A| {token:+.3f} instead of "
            f"{asymmetry:+.3f}: {longer} rollouts are longer{unit}"
        )
    return found


def _estimator(report: dict) -> list[str]:
    nearest = report["identification"]
    if nearest is None:
        if report["advantages"] == "logged":
            return []
        return [f"the log has no advantages: those of {report['estimator']} are used (--estimator chooses another)"]
    if nearest["equal"]:
        return []
    if nearest["proportional"]:
        low, high = nearest["proportional"]
        factor = f"{low:.4g}" if high - low < 1e-4 * abs(high) else f"{low:.4g} to {high:.4g}"
        return [
            f"the advantages are those of {nearest['name']} times a factor per step ({factor}), as dividing by a "
            "statistic of the whole batch gives"
        ]
    first = nearest["first_disagreement"]
    return [
        f"the advantages equal no registered estimator; nearest is {nearest['name']}, {nearest['distance']:.2g} away "
        f"in relative norm, first at {first['where']}: logged {first['logged']:.6g}, expected {first['expected']:.6g}"
    ]


def _data(report: dict, counts, sums) -> list[str]:
    rollouts, sizes, found = report["rollouts"], report["group_sizes"], []
    if report["skipped_rows"]:
        first = report["skipped"]["first"][0]
        found.append(f"{report['skipped_rows']} rows were skipped, the first at {first['where']}: {first['reason']}")
    if len(sizes) > 1:
        listed = ", ".join(f"{count} of {size}" for size, count in list(sizes.items())[:6])
        listed += " ..." if len(sizes) > 6 else ""
        found.append(f"groups differ in size ({listed}): rows are missing, or a prompt drawn twice is one group")
    if counts.alone:
        found.append(f"{counts.alone} groups hold one rollout, which has no group to be compared with")
    if sums.reopened:
        found.append(f"rows of one step lie far apart ({sums.reopened} times), so groups may have been split")
    if sums.repeated:
        found.append(f"{sums.repeated} steps repeat the rollouts of the step before, and are counted again")
    if counts.outside:
        share = counts.outside / rollouts
        found.append(f"{share:.0%} of rewards lie outside [0, 1]: in their groups p is the share of rewards above 0")
    if counts.graded > 0.01 * rollouts:
        found.append("rewards are graded: p is the mean reward, and an advantage above 0 is not a right rollout")
    return [*found, *report["notes"]]
