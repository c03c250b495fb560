"""The answer in words: what a plan says, shortest first."""


def answer(report: dict) -> list[str]:
    """The plan in a few sentences, each with its numbers.

    Args:
        report: as `report.plan` returns it.

    Returns:
        The sentences, the short answer first.
    """
    now = next(g for g in report["group_sizes"] if g["group_size"] == report["group_size"])
    if not now["live"] > 0:
        return ["No group can hold a correct and a wrong rollout: every question is always or never solved."]
    return [
        *_short(report, now),
        *_sizes(report, now),
        *_filter(report, now),
        _dynamic(now),
        *_estimators(report, now),
        *_evaluation(report),
    ]


def percent(value: float, found: list | None = None) -> str:
    """A share in words, with its range if it is not exact.

    >>> percent(0.384, [0.36, 0.41]), percent(0.0004)
    ('38% (36 to 41)', '0.04%')
    """
    text = _percent(value)
    return f"{text}%" if found is None else f"{text}% ({_percent(found[0])} to {_percent(found[1])})"


def _percent(value: float) -> str:
    value = 100 * value
    return f"{value:.0f}" if value >= 1 or value < 0.005 else f"{value:.1g}"


def times(value: float) -> str:
    """A factor in words.

    >>> times(1.0234), times(12.34)
    ('1.02', '12.3')
    """
    return f"{value:.3g}"


def main(report: dict, size: dict) -> dict:
    """The present estimator's numbers at one group size."""
    return size["estimators"][report["estimator"]]


def _short(report: dict, now: dict) -> list[str]:
    """What changes most, in one line."""
    chosen, found = _next(report, now), main(report, now).get("filter") or {}
    parts = []
    if chosen is not None:
        parts.append(
            f"G = {chosen['group_size']}: {percent(chosen['live'], chosen['live_range'])} of the groups live instead "
            f"of {percent(now['live'], now['live_range'])} at G = {now['group_size']}"
        )
    if found.get("gain_lost") is not None:
        low, high = report["filter"]
        lost = percent(found["gain_lost"], found["gain_lost_range"])
        parts.append(f"a filter at {low:g}-{high:g} costs {lost} of the gain of {report['estimator']}")
    return ["; ".join(parts) + "."] if parts else []


def _next(report: dict, now: dict) -> dict | None:
    """The next larger group size, else the largest of the others."""
    others = [g for g in report["group_sizes"] if g is not now]
    larger = [g for g in others if g["group_size"] > now["group_size"]]
    return (larger[:1] or others[-1:] or [None])[0]


def _sizes(report: dict, now: dict) -> list[str]:
    chosen = _next(report, now)
    if chosen is None:
        return []
    size, name = chosen["group_size"], report["estimator"]
    text = (
        f"At G = {size} a step of {report['rollouts']} rollouts holds {chosen['groups']} questions instead of "
        f"{now['groups']}"
    )
    noise = {g["group_size"]: main(report, g).get("signal_to_noise") or 0.0 for g in report["group_sizes"]}
    here = noise[now["group_size"]]
    if here and noise[size]:
        best = max(noise, key=lambda size: noise[size])
        end = f" (greatest at G = {best}: {times(noise[best] / here)})" if best != size else ""
        text += f", and its signal to noise under {name} is {times(noise[size] / here)} times what it is now{end}"
    return [f"{text}."]


def _filter(report: dict, now: dict) -> list[str]:
    low, high = report["filter"]
    kept, found = now["kept_by_filter"], main(report, now).get("filter")
    if found is None:
        return []
    if not kept["questions"] > 0 or found["gain_ratio"] is None:
        return [f"A filter at {low:g}-{high:g} keeps no question with signal."]
    noise, share = found["signal_to_noise_ratio"], percent(kept["questions"], kept["questions_range"])
    ratio = "" if noise is None else f", its signal to noise {times(noise)} times"
    return [
        f"The filter keeps {share} of the questions. Its cost is that of seeing each of them as often as before; if "
        f"all rollouts go to them, the gain of a step is {times(found['gain_ratio'])} times what it is now{ratio}."
    ]


def _dynamic(now: dict) -> str:
    full, found = now["rollouts_for_a_full_step"], now["rollouts_for_a_full_step_range"]
    between = "" if found is None or found[1] is None else f" ({found[0]:.0f} to {found[1]:.0f})"
    wasted = percent(now["wasted_rollouts"], _dead(now))
    return (
        f"Dynamic sampling at G = {now['group_size']} takes {full:.0f}{between} rollouts on average for a step of "
        f"{now['groups'] * now['group_size']} live ones; {wasted} of all rollouts are wasted, "
        "with it and without it."
    )


def _dead(now: dict) -> list[float] | None:
    found = now["live_range"]
    return None if found is None else [1 - found[1], 1 - found[0]]


def _estimators(report: dict, now: dict) -> list[str]:
    noise = {name: e.get("signal_to_noise") for name, e in now["estimators"].items()}
    known = {name: value for name, value in noise.items() if value}
    here = known.get(report["estimator"])
    if not here or len(known) < 2:
        return []
    best = max(known, key=lambda name: known[name])
    if best == report["estimator"]:
        return [f"Of {len(known)} estimators, {best} has most signal to noise at G = {now['group_size']}."]
    return [
        f"Of {len(known)} estimators, {best} has most signal to noise at G = {now['group_size']}: "
        f"{times(known[best] / here)} times that of {report['estimator']}."
    ]


def _evaluation(report: dict) -> list[str]:
    power = report["power"]
    points, lines = 100 * power["size"], []
    seen = [d for d in power["differences"] if d["difference"] is not None]
    if seen:
        last = seen[-1]
        lines.append(
            f"A difference of {points:g} points at pass@{last['k']} is seen with {percent(power['power'])} chance on "
            f"{last['questions_needed']} new questions with {power['samples']} samples each, or on the same "
            f"{power['questions']} with {_many(last['samples_needed'])} samples each."
        )
    lines += [
        f"No method of this kind is {points:g} points better at pass@{d['k']}, which is {100 * d['pass_at_k']:.1f}%."
        for d in power["differences"]
        if d["difference"] is None
    ]
    if cross := power["crossing"]:
        low, high = (end["k"] for end in cross["ends"])
        lines.append(
            f"A crossing of {points:g} points (above at pass@{low}, below at pass@{high}) is seen "
            f"with at least {percent(power['power'])} chance on {cross['questions_needed']} new questions with "
            f"{power['samples']} samples each, or on the same {power['questions']} with "
            f"{_many(cross['samples_needed'])} samples each."
        )
    return [*lines, *[_compared(c) for c in report["compared"]]]


def _many(samples: int | None) -> str:
    return "more than a million" if samples is None else str(samples)


def _compared(found: dict) -> str:
    first, last = found["differences"][0], found["differences"][-1]
    ends = " and ".join(
        f"{100 * d['difference']:+.1f} +- {100 * d['standard_error']['same_questions']:.1f} points at pass@{d['k']}"
        for d in (first, last)
    )
    between = ", ".join(f"{a} and {b}" for a, b in found["crosses_between"])
    cross = (
        f"the curves cross between k = {between}, which is {'' if found['crossing_is_seen'] else 'not '}beyond chance"
        if between
        else "the curves do not cross"
    )
    return f"{found['method']} beside this row: {ends} (one standard error, same questions); {cross}."
