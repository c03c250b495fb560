"""Verdicts about regimes follow from the committed effects of the seeds."""

import json
from functools import partial

import numpy as np
import pytest

from symtheory.claims import regimes
from symtheory.cli import regimes as cli
from symtheory.errors import InputError
from symtheory.figures.regimes.effects import draw
from symtheory.studies import regimes as study


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


def test_the_figure_has_a_mark_for_every_published_effect():
    cells = regimes.published()
    assert set(cells) == {"bandit", "tree", "bandit, fresh seeds", "tree, fresh seeds", "transformer"}
    parts = sum(len(cell.parts) for own in cells.values() for cell in own.values())
    assert sum(len(ax.containers) for ax in draw(cells).axes) == parts


def test_fresh_seeds_answer_what_was_fixed_for_them_on_seeds_that_the_first_runs_had_not():
    found, content = regimes.saved(regimes.FRESH), json.loads(regimes.FRESH.read_text())
    assert content["design"] == regimes.fresh_designs()
    for world, design in regimes.fresh_designs().items():
        assert set(found[world]) == set(design["questions"])
        assert {len(effects) for effects in found[world].values()} == {design["seeds"]}
        assert world == "transformer" or design["first_seed"] >= 20


def test_a_run_of_fresh_seeds_goes_from_arms_to_verdicts_and_keeps_its_design(tmp_path, monkeypatch, capsys):
    arms = ["symmetric clipping", "clip-higher"]
    small = {"bandit": {"first_seed": 1000, "arms": arms, "questions": ["clip_higher_raises_entropy"]}}
    monkeypatch.setattr(regimes, "fresh_designs", lambda: small)
    monkeypatch.setattr(study, "Config", partial(study.Config, prompts=4, records=1, stride=1))
    assert cli.run(run=True, fresh=True, out=tmp_path, seeds=2) == 0
    assert "bandit, fresh seeds: " in capsys.readouterr().out
    kept = json.loads((tmp_path / "regimes-fresh.json").read_text())
    assert kept["design"]["bandit"] == small["bandit"] | {"seeds": 2}
    assert np.shape(kept["effects"]["bandit"]["clip_higher_raises_entropy"]) == (2, 1)


@pytest.mark.parametrize("option", [{"fresh": True}, {"seeds": 3}])
def test_options_of_a_run_without_a_run_get_one_sentence(option):
    with pytest.raises(InputError, match=f"{next(iter(option))} is about new runs: add --run"):
        cli.run(**option)
