# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""One step: a group of rollouts, its advantages, and what one update does to every behaviour."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="full", app_title="symtheory: one step", css_file="explore.css")


@app.cell
def _():
    import time

    import marimo as mo
    import numpy as np

    from symtheory import estimators
    from symtheory.apps import one_step as lab
    from symtheory.apps import svg as page

    return lab, estimators, mo, np, page, time


@app.cell
def _(mo):
    mo.md("""
    # One step

    Eight rollouts are drawn from twelve behaviours, a verifier marks the correct ones, and the logits take one step
    along the sum of A log pi. Theorem 1 of the paper predicts it: the rings are the formula, the bars what happened.

    **Try this.** With *grpo* the pale bars of the second chart are zero: logits that were not drawn stay. In the third
    chart they move, all by one factor. Choose *negative_dominant*: pale logits rise, likely ones most. Now tick
    behaviour **1** as correct: the same logits rise, and the probabilities of the rare ones **fall**. Rare behaviours
    gain only if wrong answers are likely. Raise the *step size*: the formula for logits stays exact; that for
    probabilities holds to first order.
    """)
    return


@app.cell
def _(estimators, mo):
    estimator = mo.ui.dropdown(list(estimators.names("two_class")), value="grpo", label="estimator")
    seed = mo.ui.slider(0, 50, 1, value=2, label="draw another group", show_value=True)
    concentration = mo.ui.slider(0, 2.5, 0.1, value=0.8, label="concentration of the policy", show_value=True)
    eta = mo.ui.slider(0.02, 2, 0.02, value=0.2, label="step size eta", show_value=True)
    omega = mo.ui.slider(0, 1, 0.05, value=0.5, label="omega of the batch", show_value=True)
    verifier = mo.ui.array(
        [mo.ui.checkbox(value=b in (1, 4, 7, 8), label=str(b + 1)) for b in range(12)],
        label="behaviours that are correct",
    )
    mo.vstack(
        [
            mo.hstack([estimator, seed, concentration, eta, omega], justify="start", wrap=True, gap=1.5),
            mo.hstack([mo.md("correct behaviours:"), *verifier.elements], justify="start", wrap=True),
        ]
    )
    return concentration, estimator, eta, omega, seed, verifier


@app.cell
def _(lab, mo, np):
    with mo.status.spinner("compiling once"):
        lab.step(lab.policy(12, 0.5), np.arange(12) < 4, lab.draw(0, np.ones(12) / 12, 8), "grpo", 0.1)
    ready = True
    return (ready,)


@app.cell
def _(concentration, lab, estimator, eta, mo, np, omega, page, ready, seed, time, verifier):
    assert ready
    _begin = time.perf_counter()
    _policy = lab.policy(12, concentration.value)
    result = lab.step(
        _policy,
        np.array(verifier.value),
        lab.draw(seed.value, _policy, 8),
        estimator.value,
        eta.value,
        omega.value,
    )
    _charts = [lab.advantages(result), lab.changes(result, "logit"), lab.changes(result, "log_prob")]
    _pictures = mo.Html(lab.key() + page.row(_charts))
    seconds = time.perf_counter() - _begin
    mo.vstack(
        [
            _pictures,
            mo.md(
                f"{lab.summary(result)} <small>Slider to picture: {1000 * seconds:.0f} ms of computing and "
                "drawing.</small>"
            ),
        ]
    )
    return (seconds,)


if __name__ == "__main__":
    app.run()
