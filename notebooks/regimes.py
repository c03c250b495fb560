# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""Regimes: verifiers that err, redrawn groups, bands, copies, stale rollouts, clipping, entropy and KL, exactly."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="full", app_title="symtheory: regimes", css_file="explore.css")


@app.cell
def _():
    import time

    import marimo as mo

    from symtheory import estimators
    from symtheory.apps import regimes as lab
    from symtheory.apps import svg as page

    return estimators, lab, mo, page, time


@app.cell
def _(mo):
    mo.md("""
    # Regimes of training

    A step moves a prompt by F'(P) grad P. The dashed line is the plain setting: fresh independent groups and a perfect
    verifier. The full line is yours. Everything here is exact; the last chart follows one prompt in the mean field.

    **Try this.** Set both error rates to 0.5: rewards are random, and the step is zero at every difficulty. Set *draws
    until mixed* to 8: hard and easy prompts take larger steps and cost more rollouts; plotted against rollouts the two
    paths are close. Set the *band* to 0.2 to 0.8: the prompt stops at its edge, and a prompt whose *base success* lies
    outside is never trained on. Set a *lag* and then *clip above*: stale rollouts stop counting, and progress slows
    down. Make *copies* as many as the group has rollouts: no two different rollouts are left to compare.
    """)
    return


@app.cell
def _(estimators, mo):
    _names = [n for n in estimators.names("two_class") if "batch_independence" in estimators.get(n).laws]
    controls = mo.ui.dictionary(
        {
            "estimator": mo.ui.dropdown(_names, value="grpo", label="estimator"),
            "group_size": mo.ui.slider(4, 16, 4, value=8, label="group size", show_value=True),
            "false_positive": mo.ui.slider(0, 0.5, 0.05, value=0.1, label="false positives", show_value=True),
            "false_negative": mo.ui.slider(0, 0.5, 0.05, value=0.1, label="false negatives", show_value=True),
            "tries": mo.ui.slider(0, 16, 1, value=0, label="draws until mixed (0: off)", show_value=True),
            "copies": mo.ui.slider(steps=[1, 2, 4], value=1, label="copies", show_value=True),
            "start": mo.ui.slider(0.02, 0.9, 0.02, value=0.3, label="base success", show_value=True),
            "band": mo.ui.range_slider(0, 1, 0.05, value=[0, 1], label="band of success", show_value=True),
            "lag": mo.ui.slider(0, 50, 5, value=0, label="lag", show_value=True),
            "clip_low": mo.ui.slider(
                steps=[0.02, 0.05, 0.1, 0.2, 0.5, 1], value=1, label="clip below (1: off)", show_value=True
            ),
            "clip_high": mo.ui.slider(
                steps=[0.02, 0.05, 0.1, 0.2, 0.28, 0.5, 1, 10], value=10, label="clip above (10: off)", show_value=True
            ),
            "entropy": mo.ui.slider(0, 0.5, 0.05, value=0, label="entropy bonus", show_value=True),
            "kl": mo.ui.slider(0, 1, 0.05, value=0, label="KL penalty", show_value=True),
        }
    )
    run = mo.ui.run_button(label="Sample groups")
    mo.hstack([*controls.elements.values(), run], justify="start", wrap=True, gap=1.5)
    return controls, run


@app.cell
def _(controls, lab):
    setting = lab.Setting(**controls.value)
    return (setting,)


@app.cell
def _(lab, mo, run, setting):
    dotted = None
    if run.value:
        with mo.status.spinner("sampling 4,000 groups at ten difficulties"):
            dotted = lab.sample(setting)
    return (dotted,)


@app.cell
def _(dotted, lab, mo, page, setting, time):
    _begin = time.perf_counter()
    curves = lab.curves(setting)
    path = lab.path(setting, curves)
    _charts = [
        lab.weight_chart(setting, curves, dotted),
        lab.cost_chart(setting, curves),
        lab.path_chart(setting, path),
    ]
    _pictures = mo.Html(page.row(_charts))
    seconds = time.perf_counter() - _begin
    _dots = "" if dotted is None else " Dots: sampled groups, bars two standard errors."
    mo.vstack(
        [
            _pictures,
            mo.md(
                f"{lab.summary(setting, curves, path)}{_dots} <small>Slider to picture: {1000 * seconds:.0f} ms of "
                "computing and drawing.</small>"
            ),
        ]
    )
    return (seconds,)


if __name__ == "__main__":
    app.run()
