"""What to change before the next run: group size, filter, estimator, and how many samples an evaluation needs."""

from .population import Population, exact_population, measured_population, row_population
from .step import Step, live, slope, step

__all__ = [
    "Population",
    "Step",
    "exact_population",
    "live",
    "measured_population",
    "row_population",
    "slope",
    "step",
]
