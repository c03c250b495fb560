"""Difficulties of made-up populations of prompts."""

import numpy as np


def many_hard_some_easy(prompts: int) -> np.ndarray:
    """Success of the base policy, [prompts]: the quantiles (i + 1/2) / prompts of Beta(0.6, 1.2), in [0.002, 0.98].

    >>> many_hard_some_easy(4).round(2).tolist()
    [0.03, 0.16, 0.39, 0.73]
    """
    from scipy.stats import beta

    return np.clip(beta.ppf((np.arange(prompts) + 0.5) / prompts, 0.6, 1.2), 2e-3, 0.98)
