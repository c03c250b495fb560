# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""Difficulty lab: which estimator helps depends on how hard the prompts are, and on what else they share."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="full", app_title="symtheory: difficulty lab", css_file="explore.css")


@app.cell
def _():
    import time

    import marimo as mo
    import xarray as xr

    from symtheory.apps import difficulty as lab
    from symtheory.apps import svg as page
    from symtheory.figures.style import look

    return lab, look, mo, page, time, xr


@app.cell
def _(mo):
    mo.md("""
    # Difficulty lab

    What an estimator gains depends on the prompts. **With prompts of one difficulty and logits of their own, all
    estimators follow one path at different speeds.** With mixed difficulties, shared parameters or Adam the paths
    differ.

    1. Move *difficulty* from -3 (hard) to +3 (easy): Hard-Focused, GRPO and Easy-Focused reverse their order in the
       first chart, while in the third all curves coincide.
    2. Choose *MATH, Qwen2.5-Math-7B*: at equal steps Positive-Dominant leads and Negative-Dominant is 7 points behind
       at pass@1. Switch to *equal progress*: less than 3 points, at small k, are left. The rest was a difference of
       speed.
    3. Choose *shared*, back at equal steps: held-out pass@1 rises and then falls, pass@256 ends below the base
       policy, and Negative-Dominant, being slower, **helps**. At equal progress it mostly **hurts** at k = 16: change
       *world* under *more*.
    4. Choose *few hard, many easy* and *at an angle*, compare at *equal progress*, and drag the *angle* between the
       gradients of hard and easy prompts. Near 0 Easy-Focused keeps most held-out pass@4; from about 50 degrees on the
       order turns, and from about 120 on GRPO ends below its base policy. The sentence below the charts predicts this
       from the interference kernel of the base policy, without training.
    5. *Run sampled groups*: dots with 95% shades are sampled training; their distance from the lines is what the mean
       field ignores. Then switch SGD to Adam.
    """)
    return


@app.cell
def _(lab, look, mo):
    prompts = mo.ui.dropdown(list(lab.POPULATIONS), value=lab.ONE, label="prompts")
    sharing = mo.ui.radio(
        ["independent", "shared", "at an angle"], value="independent", label="parameters", inline=True
    )
    optimizer = mo.ui.radio(["sgd", "adam"], value="sgd", label="optimiser", inline=True)
    group_size = mo.ui.dropdown([2, 4, 8, 16, 32], value=8, label="group size G")
    speed = mo.ui.slider(-1.0, 1.0, 0.1, value=0.0, label="log10 of learning rate / default", show_value=True)
    beta = mo.ui.slider(1, 20, 0.5, value=10, label="beta of Positive-, Negative-Dominant", show_value=True)
    alpha = mo.ui.slider(0.1, 2.0, 0.1, value=1.0, label="alpha of A-GRAE and ASS", show_value=True)
    world = mo.ui.slider(0, 15, 1, value=0, label="world (draw of the shared features)", show_value=True)
    angle = mo.ui.slider(0, 180, 5, value=90, label="angle of hard and easy (degrees)", show_value=True)
    at = mo.ui.radio(["equal steps", "equal progress"], value="equal steps", label="compare at", inline=True)
    shown_k = mo.ui.dropdown([1, 4, 16, 64, 256], value=1, label="pass@k over steps, k")
    chosen = mo.ui.multiselect(
        {look(n)["label"]: n for n in lab.ESTIMATORS},
        value=[look(n)["label"] for n in lab.ESTIMATORS[1:5]] + [look("agrae")["label"]],
        label="estimators beside GRPO",
    )
    return alpha, angle, at, beta, chosen, group_size, optimizer, prompts, sharing, shown_k, speed, world


@app.cell
def _(lab, mo, prompts):
    _start = -2.0 if prompts.value == lab.ONE else 0.0  # of a benchmark: as it was published
    shift = mo.ui.slider(-5, 5, 0.25, value=_start, label="difficulty (logits; right is easier)", show_value=True)
    return (shift,)


@app.cell
def _(alpha, angle, at, beta, chosen, group_size, mo, optimizer, prompts, sharing, shift, shown_k, speed, world):
    _knob = [angle] if sharing.value == "at an angle" else []
    mo.vstack(
        [
            mo.hstack([prompts, sharing, *_knob, optimizer, at], justify="start", wrap=True, gap=1.5),
            mo.hstack([shift, speed, group_size, shown_k], justify="start", wrap=True, gap=1.5),
            mo.accordion({"more": mo.hstack([chosen, beta, alpha, world], justify="start", wrap=True, gap=1.5)}),
        ]
    )
    return


@app.cell
def _(alpha, angle, beta, chosen, group_size, lab, optimizer, prompts, sharing, shift, speed, world):
    setting = lab.Setting(sharing.value, optimizer.value, group_size.value)
    success = lab.population(prompts.value, shift.value, setting.prompts)
    names = ["grpo", *(n for n in lab.ESTIMATORS if n in chosen.value and n != "grpo")]
    rate = lab.RATES[sharing.value, optimizer.value] * 10**speed.value
    params = {"beta": beta.value, "alpha": alpha.value}
    run_of = (setting, success, names, rate, params, world.value, angle.value)
    return names, rate, run_of, setting, success


@app.cell
def _(lab, mo, setting):
    with mo.status.spinner("compiling once for this setting"):
        lab.expected(setting, lab.population(lab.ONE, 0.0, setting.prompts), ["grpo"], 0.1, {"beta": 10, "alpha": 1})
    ready = True
    return (ready,)


@app.cell
def _(at, lab, get_runs, mo, names, page, ready, run_of, setting, shown_k, success, time):
    assert ready
    _start = time.perf_counter()
    paths = lab.expected(*run_of)
    _origin, _runs = get_runs()
    _runs = _runs if _origin is run_of else None
    _population = setting.populations[-1]
    _charts = [
        lab.course(paths, _population, shown_k.value, _runs),
        lab.gains(lab.gain(paths, at.value), _population, at.value, _runs and lab.gain(_runs, at.value)),
        lab.orbit(paths, _population, _runs),
    ]
    _law = "" if _population == "train" else lab.law(setting, success, run_of[4], run_of[5], run_of[6], shown_k.value)
    _omega = paths.pass_at_k.sel(population="train", k=1, estimator=names[-1])[0]
    _pictures = mo.Html(page.legend(names) + page.row(_charts))
    seconds = time.perf_counter() - _start
    _done = "" if _runs is None else f" Dots: mean of {_runs.sizes['seed']} of {lab.SEEDS} sampled runs, shade: 95%."
    _with = "" if _runs is None else ", intervals of the sampled runs included"
    mo.vstack(
        [
            _pictures,
            mo.md(_law),
            mo.md(
                f"Lines: **mean field (ignores spread)**.{_done} Base policy: mean success {success.mean():.3f}, "
                f"from {success.min():.2g} to {success.max():.2g}. At equal training pass@1 the entropies of these "
                f"estimators differ by at most **{lab.orbit_distance(paths):.3f} nats**. omega, the mean reward that "
                f"A-GRAE weighs by, goes from {float(_omega[0]):.2f} to {float(_omega[-1]):.2f} under "
                f"{lab.label(names[-1])}."
            ),
            mo.md(f"<small>Slider to picture: {1000 * seconds:.0f} ms of computing and drawing{_with}.</small>"),
        ]
    )
    return (seconds,)


@app.cell
def _(mo):
    start = mo.ui.run_button(label="Run sampled groups")
    stop = mo.ui.run_button(label="Stop")
    get_runs, set_runs = mo.state((None, None))
    mo.hstack([start, stop], justify="start")
    return get_runs, set_runs, start, stop


@app.cell
def _(lab, mo, run_of, set_runs, start, stop, time, xr):
    # a change of any setting, or a click on stop, runs this cell again, and marimo tells the thread to exit
    def _work():
        done, shown = [], time.monotonic()
        for one in lab.sampled(*run_of):
            if mo.current_thread().should_exit:
                return
            done.append(one)
            if time.monotonic() > shown + 1 or len(done) == lab.SEEDS:  # not so often that clicks have to wait
                set_runs((run_of, xr.concat(done, "seed")))
                shown = time.monotonic()

    if start.value and not stop.value:
        mo.Thread(target=_work).start()
    return


if __name__ == "__main__":
    app.run()
