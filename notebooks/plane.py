# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""Symmetry plane: put an estimator anywhere, and watch what training with it does."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="full", app_title="symtheory: symmetry plane", css_file="explore.css")


@app.cell
def _():
    import time

    import marimo as mo

    from symtheory import estimators
    from symtheory.apps import plane as lab
    from symtheory.apps import svg as page
    from symtheory.estimators.plane import PLANE
    from symtheory.figures.phase_diagram import PANELS
    from symtheory.metrics.plane import Position
    from symtheory.paths import cache
    from symtheory.studies import phase_diagram as plane

    return PANELS, PLANE, Position, cache, lab, estimators, mo, page, plane, time


@app.cell
def _(mo):
    mo.md("""
    # The symmetry plane

    Two numbers place any advantage estimator: how much more it pushes correct answers up than wrong ones down
    (*asymmetry*), and how much more it weighs hard prompts than easy ones (*tilt*). GRPO is the origin.

    **Try this.** Set *asymmetry* to -0.8, as Negative-Dominant has it. With *base success* at 0.1 it **hurts**: pass@1
    stays far below GRPO's. Move *base success* to 0.8: now it **helps**. Set the asymmetry to +0.8 and both effects are
    reversed. On the axis of asymmetry the expected step is GRPO's times 1 + asymmetry (1 - 2p), so weighing correct
    against wrong rollouts also weighs hard against easy prompts.
    """)
    return


@app.cell
def _(mo):
    success = mo.ui.slider(0.02, 0.98, 0.02, value=0.1, label="base success p", show_value=True)
    group_size = mo.ui.dropdown([2, 4, 8, 16, 32], value=8, label="group size G")
    shown_k = mo.ui.dropdown([1, 2, 4, 8, 16, 64, 256], value=4, label="pass@k, k")
    start_at = mo.ui.dropdown(
        ["grpo", "positive_dominant", "negative_dominant", "hard_focused", "easy_focused", "agrae", "agrae_released"],
        value="grpo",
        label="go to",
    )
    return group_size, shown_k, start_at, success


@app.cell
def _(group_size, mo, lab, start_at):
    _here = lab.places(group_size.value, 0.5).sel(estimator=start_at.value).values
    asymmetry = mo.ui.slider(
        -1, 1, 0.05, value=round(float(_here[0]) / 0.05) * 0.05, label="asymmetry", show_value=True
    )
    tilt = mo.ui.slider(-0.45, 0.45, 0.01, value=round(float(_here[1]), 2), label="tilt", show_value=True)
    return asymmetry, tilt


@app.cell
def _(asymmetry, group_size, mo, shown_k, start_at, success, tilt):
    mo.hstack([asymmetry, tilt, success, start_at, group_size, shown_k], justify="start", wrap=True, gap=1.5)
    return


@app.cell
def _(Position, group_size, mo, lab):
    with mo.status.spinner("compiling once for this group size"):
        lab.training(Position(0.0, 0.0), 0.5, group_size.value)
        places = lab.places(group_size.value, 0.5)
    return (places,)


@app.cell
def _(
    PLANE,
    Position,
    asymmetry,
    lab,
    estimators,
    get_diagram,
    group_size,
    measure,
    mo,
    page,
    places,
    shown_k,
    success,
    tilt,
    time,
):
    _begin = time.perf_counter()
    here = Position(float(asymmetry.value), float(tilt.value))
    _size = group_size.value
    _member = lab.groups(PLANE.with_params(**lab.member(here, _size)), _size)
    paths = lab.training(here, success.value, _size)
    _charts = [
        lab.plane_map(here, places, get_diagram(), measure.value),
        lab.update_curves(_member, lab.groups(estimators.get("grpo"), _size)),
        lab.course(paths, shown_k.value),
        lab.entropy(paths),
    ]
    _steps = lab.reached(paths, (1 + success.value) / 2)
    _said = {n: "more than these steps" if s is None else f"{s} steps" for n, s in _steps.items()}
    _pictures = mo.Html(page.legend(paths.estimator.values) + page.row(_charts))
    seconds = time.perf_counter() - _begin
    mo.vstack(
        [
            _pictures,
            mo.md(
                f"Half of the way from {success.value:.2f} to 1 takes your estimator **{_said['plane']}**, GRPO "
                f"**{_said['grpo']}**. **Mean field (ignores spread)**, prompts of one difficulty, SGD, equal learning "
                f"rate. <small>Slider to picture: {1000 * seconds:.0f} ms of computing and drawing.</small>"
            ),
        ]
    )
    return (seconds,)


@app.cell
def _(PANELS, mo):
    start = mo.ui.run_button(label="Compute the phase diagram")
    stop = mo.ui.run_button(label="Stop")
    measure = mo.ui.dropdown(
        {title: name for name, (title, _, _) in PANELS.items()}, value=PANELS["pass_256_gain"][0], label="colour"
    )
    get_diagram, set_diagram = mo.state(None)
    get_progress, set_progress = mo.state("")
    return get_diagram, get_progress, measure, set_diagram, set_progress, start, stop


@app.cell
def _(get_progress, measure, mo, start, stop):
    mo.vstack(
        [
            mo.md(
                "The line charts are one difficulty. What many difficulties with shared parameters, Adam and sampled "
                "groups make of every point of the plane is a phase diagram, drawn under the estimators (a minute to "
                "compute, then kept):"
            ),
            mo.hstack([start, stop, measure, mo.md(get_progress())], justify="start", wrap=True),
        ]
    )
    return


@app.cell
def _(cache, mo, plane, set_diagram, set_progress, start, stop):
    _sweep = plane.Sweep(points=13, seeds=16)

    def _work():
        made = 0

        def tick(rows):
            nonlocal made
            made += rows
            set_progress(f"{made} of {_sweep.points} rows")
            if mo.current_thread().should_exit:
                raise InterruptedError

        try:
            set_progress("compiling")
            set_diagram(plane.run(_sweep, cache() / "plane", tick))
            set_progress(f"{_sweep.points} x {_sweep.points} points, {_sweep.seeds} seeds each")
        except InterruptedError:
            set_progress(f"stopped after {made} rows, which are kept")
        except Exception as error:
            set_progress(f"failed: {type(error).__name__}: {error}")

    if start.value and not stop.value:
        mo.Thread(target=_work).start()
    return


if __name__ == "__main__":
    app.run()
