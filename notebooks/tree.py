# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""Tree: reasoning as a path from root to leaf, and how probability moves along shared prefixes."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="full", app_title="symtheory: tree", css_file="explore.css")


@app.cell
def _():
    import time

    import marimo as mo

    from symtheory import estimators
    from symtheory.apps import svg as page
    from symtheory.apps import tree as lab
    from symtheory.figures import tree_picture as tree_steps

    return lab, estimators, mo, page, time, tree_steps


@app.cell
def _(mo):
    mo.md("""
    # A reasoning tree

    A rollout is a path of four choices; green leaves are correct answers, and rollouts that share a prefix share
    parameters. So a step moves leaves that were not drawn, which Theorem 1 of the paper excludes: blue edges gain,
    orange ones lose.

    **Try this.** Drag *step*: the probability moves to one or two green leaves, mostly the likeliest correct one, and
    away from other correct leaves. Change *draw of the tree*: in another tree another leaf gains. Choose
    *negative_dominant*: with few correct leaves the policy stays near the start for long.
    """)
    return


@app.cell
def _(estimators, mo):
    step = mo.ui.slider(0, 119, 1, value=8, label="step", show_value=True, full_width=True)
    estimator = mo.ui.dropdown(list(estimators.names("two_class")), value="grpo", label="estimator")
    success = mo.ui.slider(0.02, 0.9, 0.02, value=0.2, label="base success", show_value=True)
    decoys = mo.ui.slider(0, 1, 0.1, value=0.3, label="share of tempting mistakes", show_value=True)
    rate = mo.ui.slider(0.1, 2, 0.1, value=0.5, label="learning rate", show_value=True)
    seed = mo.ui.slider(0, 50, 1, value=0, label="draw of the tree", show_value=True)
    mo.vstack([step, mo.hstack([estimator, success, decoys, rate, seed], justify="start", wrap=True, gap=1.5)])
    return decoys, estimator, rate, seed, step, success


@app.cell
def _(estimator, mo, tree_steps):
    with mo.status.spinner("compiling once for this estimator"):
        tree_steps.run(tree_steps.Config(estimator=estimator.value, steps=120))
    ready = True
    return (ready,)


@app.cell
def _(decoys, lab, estimator, mo, page, rate, ready, seed, step, success, time, tree_steps):
    assert ready
    _begin = time.perf_counter()
    config = tree_steps.Config(
        estimator=estimator.value,
        success=success.value,
        decoys=decoys.value,
        learning_rate=rate.value,
        steps=120,
        seed=seed.value,
    )
    data = tree_steps.run(config)
    _now, _largest = data.isel(step=step.value), lab.largest_leaf(data)
    _charts = [lab.tree(_now, "mass", _largest), lab.tree(_now, "change", _largest), lab.course(data, step.value)]
    _pictures = mo.Html(page.row(_charts))
    seconds = time.perf_counter() - _begin
    mo.vstack(
        [
            _pictures,
            mo.md(
                f"One sampled run, {config.group_size} rollouts a step (dots: what it drew; bars: probability of "
                f"each leaf). Entropy {float(_now.entropy):.2f} nats. <small>Slider to picture: {1000 * seconds:.0f} "
                "ms of computing and drawing.</small>"
            ),
        ]
    )
    return (seconds,)


if __name__ == "__main__":
    app.run()
