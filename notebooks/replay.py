# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""Replay viewer: a saved training of the small transformer, step by step."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="full", app_title="symtheory: replay viewer", css_file="explore.css")


@app.cell
def _():
    import time
    from pathlib import Path

    import marimo as mo

    from symtheory.apps import replay as lab
    from symtheory.apps import svg as page
    from symtheory.errors import InputError
    from symtheory.figures.style import look

    return InputError, Path, lab, look, mo, page, time


@app.cell
def _(mo):
    mo.md("""
    # Replay viewer

    `symtheory replay` trains a small transformer with the real update (clip, Adam, mini-batches) under several
    estimators and saves every prompt's success. Here is such a file: lines are means over seeds, shades 95% intervals
    over them.

    **Try this.** Drag *record*: in the third chart a point above the dotted diagonal is a class of prompts that
    improved. Switch *prompts* between training and held-out, and the measure to entropy. With the two seeds of the
    `ci` preset the shades are wide and most orderings are noise.
    """)
    return


@app.cell
def _(mo):
    path = mo.ui.text("results/replay/training-ci.nc", label="file", full_width=True)
    start = mo.ui.run_button(label="Run the ci preset")
    stop = mo.ui.run_button(label="Stop")
    get_progress, set_progress = mo.state("")
    return get_progress, path, set_progress, start, stop


@app.cell
def _(get_progress, mo, path, start, stop):
    mo.vstack([path, mo.hstack([start, stop, mo.md(get_progress())], justify="start", wrap=True)])
    return


@app.cell
def _(Path, mo, path, lab, set_progress, start, stop):
    _target = Path(path.value)

    def _work():
        def report(stage, done, total, rollouts):
            set_progress(f"{stage}: {done} of {total}")
            if mo.current_thread().should_exit:
                raise InterruptedError

        try:
            set_progress("pretraining the base models")
            lab.make(_target.parent, report)
            set_progress(f"done: {_target.parent / 'training-ci.nc'}")
        except InterruptedError:
            set_progress("stopped. Finished parts are kept; start again to resume.")
        except Exception as error:
            set_progress(f"failed: {type(error).__name__}: {error}")

    if start.value and not stop.value:
        mo.Thread(target=_work).start()
    return


@app.cell
def _(InputError, get_progress, mo, path, lab):
    get_progress()
    try:
        result = lab.open_replay(path.value)
        _said = None
    except InputError as error:
        result, _said = (
            None,
            mo.callout(f"{error}. Run the ci preset to make one (about a minute), or name another file.", kind="info"),
        )
    _said
    return (result,)


@app.cell
def _(lab, look, mo, result):
    mo.stop(result is None)
    _names = {look(n)["label"]: n for n in result.estimator.values}
    chosen = mo.ui.multiselect(_names, value=list(_names), label="estimators")
    split = mo.ui.radio(
        {v: k for k, v in lab.SPLITS.items()}, value=lab.SPLITS["held_out"], label="prompts", inline=True
    )
    measure = mo.ui.dropdown(list(lab.MEASURES), value="pass@1", label="over time")
    record = mo.ui.slider(0, len(result.step) - 1, 1, value=len(result.step) - 1, label="record", show_value=True)
    mo.hstack([record, measure, split, chosen], justify="start", wrap=True, gap=1.5)
    return chosen, measure, record, split


@app.cell
def _(chosen, lab, measure, mo, page, record, result, split, time):
    mo.stop(not chosen.value, mo.md("Choose at least one estimator."))
    _begin = time.perf_counter()
    _kept = result.sel(estimator=list(chosen.value))
    _charts = [
        lab.course(_kept, measure.value, split.value, record.value),
        lab.curves(_kept, split.value, record.value),
        lab.difficulty(lab.by_difficulty(_kept, split.value, record.value)),
    ]
    _pictures = mo.Html(page.legend(_kept.estimator.values) + page.row(_charts))
    seconds = time.perf_counter() - _begin
    mo.vstack(
        [
            _pictures,
            mo.md(
                f"{result.sizes['seed']} seeds, {result.sizes['prompt']} prompts of each kind, record {record.value}: "
                f"{int(result.step[record.value])} rollout batches. <small>Slider to picture: {1000 * seconds:.0f} ms "
                "of computing and drawing.</small>"
            ),
        ]
    )
    return (seconds,)


if __name__ == "__main__":
    app.run()
