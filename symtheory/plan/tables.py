"""The tables of a plan, as text cells."""

from .sentences import main, percent, times


def tables(report: dict) -> list[tuple[str, list[str], list[list[str]]]]:
    """Title, columns and rows of each table."""
    return [_sizes(report), _estimators(report), _evaluation(report)]


def _sizes(report: dict):
    now = next(g for g in report["group_sizes"] if g["group_size"] == report["group_size"])
    here = main(report, now)
    rows = []
    for size in report["group_sizes"]:
        mine = main(report, size)
        rows.append(
            [
                f"{size['group_size']}{' *' if size is now else ''}",
                str(size["groups"]),
                percent(size["live"], size["live_range"]),
                percent(size["all_wrong"]),
                percent(size["all_correct"]),
                _many(size["rollouts_for_a_full_step"]),
                _ratio(mine.get("gain"), here.get("gain")),
                _ratio(mine.get("signal_to_noise"), here.get("signal_to_noise")),
                _share((mine.get("filter") or {}).get("gain_lost")),
            ]
        )
    columns = [
        "G",
        "questions",
        "live",
        "all wrong",
        "all correct",
        "for full step",
        "gain",
        "signal/noise",
        "filter costs",
    ]
    return f"{report['estimator']}, {report['rollouts']} rollouts a step (* now)", columns, rows


def _estimators(report: dict):
    now = next(g for g in report["group_sizes"] if g["group_size"] == report["group_size"])
    here, rows, bins = main(report, now), [], list(report["population"]["by_difficulty"])
    for name, mine in now["estimators"].items():
        if "undefined" in mine:
            rows.append([name, "-", "-", *["-"] * len(bins), "-"])
            continue
        rows.append(
            [
                name,
                _ratio(mine["gain"], here.get("gain")),
                _ratio(mine["signal_to_noise"], here.get("signal_to_noise")),
                *(_share(mine["gain_by_difficulty"][b]) for b in bins),
                _share(mine["filter"]["gain_lost"]),
            ]
        )
    shares = [_share(report["population"]["by_difficulty"][b]) for b in bins]
    rows.append(["(questions)", "", "", *shares, _share(1 - now["kept_by_filter"]["questions"])])
    columns = ["estimator", "gain", "signal/noise", *bins, "filter costs"]
    return f"G = {report['group_size']}: gain by difficulty (success p of the question)", columns, rows


def _evaluation(report: dict):
    power, rows = report["power"], []
    for d in power["differences"]:
        if d["difference"] is None:
            rows.append([f"pass@{d['k']}", f"{100 * d['pass_at_k']:.1f}%", "-", "-", "-", "-", "-"])
            continue
        error, chance = d["standard_error"], d["chance_to_see"]
        rows.append(
            [
                f"pass@{d['k']}",
                f"{100 * d['pass_at_k']:.1f}%",
                f"{100 * error['same_questions']:.2f}",
                percent(chance["same_questions"]),
                "> 1e6" if d["samples_needed"] is None else str(d["samples_needed"]),
                percent(chance["new_questions"]),
                str(d["questions_needed"]),
            ]
        )
    title = (
        f"To see {100 * power['size']:g} points: {power['questions']} questions, {power['samples']} samples each, "
        f"two-sided 5% test, {percent(power['power'])} wanted"
    )
    return title, ["", "now", "error", "same questions", "samples needed", "new questions", "questions needed"], rows


def _ratio(a: float | None, b: float | None) -> str:
    return "-" if a is None or not b else times(a / b)


def _share(value: float | None) -> str:
    return "-" if value is None else percent(value)


def _many(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
