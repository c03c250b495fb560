"""`symtheory list`: the registry of estimators."""

NEEDS = {
    "logprobs": "needs logprobs, the mean log-probability of each rollout's tokens",
    "rates": "takes rates, the success rates of earlier groups (default: of the batch)",
}


def run(closed_forms: bool = False) -> None:
    """List every estimator with its formula, link by link, its parameters, the rewards it takes, and its source.

    In the formulas r is a reward, p the mean reward of the group, omega that of the batch, and a the result of
    the link before. In closed forms N is the number of rollouts in the batch, and V the variance over the batch of the
    advantages that a whitening link receives.

    Examples to paste:

        $ symtheory list
        $ symtheory list --closed-forms

    Args:
        closed_forms: Also derive A+ and A-, the advantage of a correct and of a wrong rollout, for K correct and
            F = G - K wrong ones (takes some seconds of sympy); estimators that see more than rewards have none.
    """
    import inspect

    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from .. import estimators

    console = Console(highlight=False)
    for name in estimators.names():
        e = estimators.get(name)
        console.print(Text.assemble((name, "bold"), f"   {e.source}"))
        lines = [(inspect.getdoc(link) or link.__name__).splitlines()[0] for link in e.links]
        params = ", ".join(f"{key} = {value:g}" for key, value in e.params.items())
        takes = {"real": "any rewards", "unit": "rewards in [0, 1]", "binary": "rewards 0 and 1"}[e.rewards]
        needs = NEEDS["logprobs"] if "logprobs" in e.needs else NEEDS["rates"] if "rates" in e.needs else ""
        lines.append("; ".join(filter(None, (params, takes, needs))))
        if closed_forms and e.two_class:
            from ..theory.closed_form import closed_forms as derive
            from ..theory.closed_form import display

            forms = derive(e)
            lines.append(f"A+ = {display(forms.correct)},   A- = {display(forms.wrong)}")
        console.print(Padding(Text("\n".join(lines)), (0, 0, 1, 4)))
