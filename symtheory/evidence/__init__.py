"""What published pass@k tables can and cannot say: consistency, granularity, inferred difficulty, transport.

A row of pass@k values for k = 1, 2, 4 ... is a mixture over the questions of a benchmark. That makes it a test (is
there any mixture that gives the row?) and a measurement (which distribution of difficulty gives it?). All values
here are fractions in [0, 1]; a percentage point is 0.01.
"""

from .difficulty import infer_success, success_probabilities
from .findings import evidence
from .tables import published, read

__all__ = ["evidence", "infer_success", "published", "read", "success_probabilities"]
