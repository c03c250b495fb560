"""What the distance of a row would be under other protocols than one set of samples for every k.

The distance to all sets of samples is 0 for every row of one protocol: all k from the same n samples of each question.
How large it gets under others is simulated here, from the difficulty that was inferred for the row itself, with its
rounding. Averages over runs, temperatures or more than n samples stay inside, since they are mixtures of such sets, and
so does the plug-in 1 - (1 - c/n)^k; what leaves them is any choice or draw that differs between the values of k.
"""

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from .difficulty import count_kernel, infer_difficulty, infer_success, passed_by_count, success_probabilities
from .findings import questions_of
from .tables import Row

PROTOCOLS = {
    "one set": "all k from the same n samples of each question",
    "own samples": "n new samples of each question for every k",
    "own draws": "k new samples of each question for every k, and no estimator",
    "best checkpoint": "n samples from each of 5 checkpoints, logits 0.8 to 1.25 times the row's, the best at every k",
    "fewer samples": "n/2 to n samples of each question, and a question with n - c < k counted as passed",
}
CHECKPOINTS = np.geomspace(0.8, 1.25, 5)
QUESTIONS = 500
"""Questions of a benchmark whose number is not known"""


def null(
    rows: Sequence[Row],
    repeats: int,
    n: int | None = None,
    questions: dict[str, int] | None = None,
    rounding: float | None = None,
    seed: int = 0,
) -> list[dict]:
    """Simulate every row under each protocol, and measure how far outside the simulated rows lie.

    Args:
        rows: rows with at least two values of k; others are left out.
        repeats: simulated rows of each row and protocol, at least 1.
        n: samples per question; the largest k of each row if not given.
        questions: questions per benchmark; those known to `findings.questions_of`, else 500.
        rounding: half a unit of the last digit, as a fraction; that of each row if not given.
        seed: of the generator.

    Returns:
        One JSON-ready dict per protocol: `simulated` rows, the share `beyond_rounding` with its `standard_error` over
        the rows, and the `median`, `p90` and `largest` distance of the simulated rows.

    Raises:
        InputError: no simulated row asked for, or no row with two values of k.
    """
    if repeats < 1:
        raise InputError(f"null must be at least 1 simulated row for each row and protocol, got {repeats}")
    rows = [row for row in rows if len(row.ks) > 1]
    if not rows:
        raise InputError("null needs a row with at least two values of k")
    rng = np.random.default_rng(seed)
    distance = {name: np.zeros((len(rows), repeats)) for name in PROTOCOLS}
    half = np.array([row.rounding if rounding is None else rounding for row in rows])
    for i, row in enumerate(rows):
        samples = n or int(row.ks.max())
        p = success_probabilities(
            infer_success(row.ks, row.values), questions_of(row.dataset, questions or {}) or QUESTIONS
        )
        for name in PROTOCOLS:
            for j in range(repeats):
                values = simulate(rng, name, p, row.ks, samples)
                values = np.round(values / (2 * half[i])) * 2 * half[i] if half[i] else values
                distance[name][i, j] = infer_difficulty(row.ks, np.clip(values, 0, 1), samples).distance
    found = []
    for name, text in PROTOCOLS.items():
        beyond = (distance[name] > half[:, None] + 1e-9).mean(1)
        found.append(
            {
                "protocol": name,
                "meaning": text,
                "simulated": distance[name].size,
                "beyond_rounding": float(beyond.mean()),
                "standard_error": _standard_error(beyond, repeats),
                "median": float(np.median(distance[name])),
                "p90": float(np.quantile(distance[name], 0.9)),
                "largest": float(distance[name].max()),
            }
        )
    return found


def _standard_error(share: np.ndarray, repeats: int) -> float:
    """Of the mean share of rows: over rows, and not below that of independent draws."""
    rows, mean = len(share), float(share.mean())
    drawn = (mean * (1 - mean) / (rows * repeats)) ** 0.5
    return max(drawn, float(share.std(ddof=1)) / rows**0.5 if rows > 1 else 0.0)


def simulate(rng: np.random.Generator, protocol: str, p: np.ndarray, ks: np.ndarray, n: int) -> np.ndarray:
    """One row of pass@k [k], before rounding, of questions with success p[q] under a protocol of `PROTOCOLS`."""
    kernel, column = count_kernel(n, ks), np.arange(len(ks))
    if protocol == "one set":
        return kernel[rng.binomial(n, p)].mean(0)
    if protocol == "own samples":
        return kernel[rng.binomial(n, p[:, None], (len(p), len(ks))), column].mean(0)
    if protocol == "own draws":
        return (rng.binomial(ks, p[:, None]) > 0).mean(0)
    if protocol == "best checkpoint":
        sharper = p[:, None] ** CHECKPOINTS / (p[:, None] ** CHECKPOINTS + (1 - p[:, None]) ** CHECKPOINTS)
        return kernel[rng.binomial(n, sharper)].mean(0).max(0)
    if protocol != "fewer samples":
        raise InputError(f"protocol must be one of {', '.join(PROTOCOLS)}, got {protocol!r}")
    tries = rng.integers(n - n // 2, n + 1, len(p))
    correct = rng.binomial(tries, p)
    return passed_by_count(tries[:, None], correct[:, None], ks).mean(0)
