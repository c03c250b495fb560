"""Verdicts about regimes follow from the committed effects of the seeds."""

import numpy as np

from symtheory.claims import regimes
from symtheory.figures.regimes.effects import draw


def test_every_question_has_effects_of_twenty_seeds_in_both_worlds():
    found = regimes.saved()
    assert set(found) == {"bandit", "tree"}
    for own in found.values():
        assert set(own) == set(regimes.questions())
        for id, effects in own.items():
            assert effects.shape == (20, len(regimes.questions()[id].get("parts", ("",))))
            assert np.isfinite(effects).all()


def test_effects_of_the_other_sign_turn_the_verdicts():
    for own in regimes.saved().values():
        cells = regimes.verdicts(own)
        turned = regimes.verdicts({id: -effects for id, effects in own.items()})
        assert cells["removed_prompts_come_back"].verdict == turned["placebo_raises_pass1"].verdict == "supported"
        assert turned["removed_prompts_come_back"].verdict == cells["placebo_raises_pass1"].verdict == "reversed"


def test_the_figure_has_a_mark_for_every_effect_of_both_worlds():
    fig = draw({world: regimes.verdicts(own) for world, own in regimes.saved().items()})
    parts = sum(len(q.get("parts", ("",))) for q in regimes.questions().values())
    assert sum(len(ax.containers) for ax in fig.axes) == 2 * parts
