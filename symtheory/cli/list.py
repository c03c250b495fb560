"""`symtheory list`: the registry of estimators."""


def run() -> None:
    """List every estimator: the links it is composed of with their formulas, its parameters, and its source."""
    import inspect

    from rich.console import Console
    from rich.table import Table

    from .. import estimators

    table = Table("estimator", "advantage, link by link", "parameters", "rewards", "source")
    for name in estimators.names():
        e = estimators.get(name)
        steps = [(inspect.getdoc(link) or link.__name__).splitlines()[0].rstrip(".") for link in e.links]
        params = ", ".join(f"{key}={value:g}" for key, value in e.params.items())
        table.add_row(name, "; then ".join(steps), params, e.rewards, e.source)
    Console().print(table)
