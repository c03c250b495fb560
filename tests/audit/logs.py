"""Make logs whose contents are known: a run in the plain schema, rows as JSONL."""

import json
from pathlib import Path

import numpy as np

import symtheory

SAMPLES = Path(__file__).parent / "samples"


def write_rows(path, rows) -> Path:
    """One JSON object per line."""
    path = Path(path)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(estimator="grpo", steps=4, prompts=24, size=8, seed=0, advantages=True, factor=None, lengths=None, **params):
    """Rows of a synthetic run: fresh prompts of Beta-distributed success, advantages as float32."""
    rng = np.random.default_rng(seed)
    rows = []
    for step in range(steps):
        p = rng.beta(0.6, 0.9, prompts)
        reward = (rng.random((prompts, size)) < p[:, None]).astype(float)
        length = rng.integers(20, 400, reward.shape) if lengths is None else lengths(reward)
        if advantages:
            a = symtheory.advantages(reward, estimator, lengths=length.astype(float), **params)
            a = (a * (1 if factor is None else factor(reward))).astype(np.float32)
        for i in range(prompts):
            for j in range(size):
                row = {"step": step, "prompt_id": f"{step}-{i}", "reward": reward[i, j]}
                row["length"] = int(length[i, j])
                rows.append(row | ({"advantage": float(a[i, j])} if advantages else {}))
    return rows
