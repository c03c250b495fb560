"""What published pass@k tables can and cannot say: consistency, granularity, inferred difficulty, transport.

A row of pass@k values for k = 1, 2, 4 ... is a mixture over the questions of a benchmark. That makes it a test (is
there any mixture that gives the row?) and a measurement (which distribution of difficulty gives it?). All values
here are fractions in [0, 1]; a percentage point is 0.01.
"""

from .difficulty import Mixture, count_kernel, infer_difficulty, infer_success, success_probabilities, transport
from .findings import evidence, questions_of
from .null import null
from .tables import Row, Table, other_papers, published, read, read_table

__all__ = [
    "Mixture",
    "Row",
    "Table",
    "count_kernel",
    "evidence",
    "infer_difficulty",
    "infer_success",
    "null",
    "other_papers",
    "published",
    "questions_of",
    "read",
    "read_table",
    "success_probabilities",
    "transport",
]
