# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""Your estimator: type five lines, get its curves, its place, its laws and its closed forms."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="full", app_title="symtheory: your estimator", css_file="explore.css")


@app.cell
def _():
    import time

    import marimo as mo

    from symtheory import estimators
    from symtheory.apps import estimator as lab
    from symtheory.apps import plane as plane_lab
    from symtheory.apps import svg as page
    from symtheory.errors import InputError
    from symtheory.metrics import place

    return InputError, plane_lab, estimators, mo, page, place, time, lab


@app.cell
def _(mo):
    mo.md("""
    # Your estimator

    An estimator is a chain of links; a link takes the advantages so far `a`, the group `g` (`g.rewards`, `g.mean`,
    `g.size`, `g.batch.omega`) and the operations `op` it may call (`op.sqrt`, `op.div`, `op.where`, `op.positive`,
    `op.minimum`). The same lines are evaluated on numbers, tested for the laws, and run on symbols for the closed
    forms.

    **Try this.** Write `a * g.mean` for `a * (1 - g.mean)` and *Run*: the point jumps to where easy prompts weigh more.
    Write `op.where(op.positive(a), 0 * a, a)` for the last line: *zero_sum* fails, and the point goes to the left
    edge. Misspell something: the message names the line.

    The code runs as Python on this machine, with all that Python may do: type only what you would run yourself.
    """)
    return


@app.cell
def _(mo, lab):
    typed = mo.ui.code_editor(lab.EXAMPLE, language="python", min_height=150).form(submit_button_label="Run")
    omega = mo.ui.slider(0, 1, 0.05, value=0.5, label="omega of the batch", show_value=True)
    mo.vstack([typed, mo.md(f"Links at hand: {', '.join(f'`{link.__name__}`' for link in lab.LINKS)}."), omega])
    return omega, typed


@app.cell
def _(InputError, mo, typed, lab):
    code = typed.value or lab.EXAMPLE
    try:
        estimator = lab.read(code)
        _said = None
    except InputError as error:
        estimator = None
        _said = mo.callout(mo.md(f"**Your code stopped.** {mo.as_html(str(error))}"), kind="danger")
    _said
    return code, estimator


@app.cell
def _(InputError, code, plane_lab, estimator, estimators, mo, omega, page, place, time, lab):
    mo.stop(estimator is None)
    _begin = time.perf_counter()
    try:
        _here = place(estimator, 8, omega.value)
        _charts = [
            plane_lab.plane_map(_here, plane_lab.places(8, omega.value)),
            plane_lab.update_curves(
                plane_lab.groups(estimator, 8, omega.value), plane_lab.groups(estimators.get("grpo"), 8, omega.value)
            ),
        ]
        _where = f"asymmetry **{_here.asymmetry:+.3f}**, tilt **{_here.tilt:+.3f}**"
        _shown = mo.Html(page.legend(["grpo", "plane"]) + page.row(_charts))
    except InputError as error:
        _where, _shown = str(error), mo.md("")
    except Exception as error:  # typed code may fail on some groups only
        _where, _shown = lab.where(code, error), mo.md("")
    seconds = time.perf_counter() - _begin
    mo.vstack(
        [
            _shown,
            mo.md(
                f"On the symmetry plane: {_where}. <small>Slider to picture: {1000 * seconds:.0f} ms of computing and "
                "drawing.</small>"
            ),
        ]
    )
    return (seconds,)


@app.cell
def _(code, estimator, lab, mo):
    mo.stop(estimator is None)
    with mo.status.spinner("testing the laws"):
        _laws = lab.told(code, lambda: lab.law_table(lab.laws(estimator)))
    mo.md(f"### Laws\n\n{_laws}")
    return


@app.cell
def _(code, estimator, lab, mo):
    mo.stop(estimator is None)
    with mo.status.spinner("deriving closed forms"):
        _forms = lab.told(code, lambda: lab.form_table(lab.closed_forms(estimator)))
    mo.md(f"### Closed forms\n\n{_forms}")
    return


if __name__ == "__main__":
    app.run()
