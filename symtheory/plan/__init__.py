"""What to change before the next run: group size, filter, estimator, and how many samples an evaluation needs.

>>> from symtheory.plan import exact_population, plan
>>> report = plan(exact_population([0.02, 0.1, 0.5, 0.9]), estimators=("grpo", "rloo"))
>>> [round(size["live"], 3) for size in report["group_sizes"]]
[0.225, 0.41, 0.57, 0.726, 0.852, 0.931]
"""

from .population import exact_population, measured_population
from .report import plan

__all__ = ["exact_population", "measured_population", "plan"]
