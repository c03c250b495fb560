"""One run in every shape that trainers and people write gives one report."""

import pytest

from symtheory.audit import audit, read

from . import shapes

RUN = shapes.made()
P = [sum(r["reward"] for r in g) / shapes.SIZE for g in shapes.by_group(RUN).values()]


def facts(report):
    return {
        "groups": report["groups"],
        "sizes": report["group_sizes"],
        "success": round(report["success"], 9),
        "dead": round(report["dead_fraction"], 9),
        "visits": sum(b["visits"] for b in report["change"]["bins"]) if report["change"] else None,
    }


EXPECTED = {
    "groups": len(P),
    "sizes": {str(shapes.SIZE): len(P)},
    "success": round(sum(P) / len(P), 9),
    "dead": round(sum(p in (0, 1) for p in P) / len(P), 9),
    "visits": shapes.PROMPTS * (shapes.STEPS - 1),
}


@pytest.mark.parametrize("shape", shapes.WITH_ADVANTAGES, ids=lambda s: s.__name__)
def test_a_run_with_advantages_is_the_same_in_every_shape(tmp_path, shape):
    shape(tmp_path, RUN)
    report = audit(read(tmp_path))
    assert facts(report) == EXPECTED
    assert (report["nearest_estimator"], report["identification"]["equal"]) == ("grpo_ddof1", True)
    assert report["skipped_rows"] == 0


@pytest.mark.parametrize("shape", shapes.REWARDS_ONLY, ids=lambda s: s.__name__)
def test_a_run_without_advantages_is_the_same_in_every_shape(tmp_path, shape):
    shape(tmp_path, RUN)
    report = audit(read(tmp_path))
    assert facts(report) == EXPECTED
    assert (report["advantages"], report["nearest_estimator"], report["skipped_rows"]) == ("computed", None, 0)
