"""Regimes: exact steps against the mean of sampled ones, limits against the plain program, and bad combinations."""

import functools
import itertools
import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from symtheory import estimators
from symtheory.dynamics import (
    Band,
    Group,
    HardFirst,
    Redraw,
    Regime,
    Repeat,
    Solved,
    Stale,
    Update,
    Verifier,
    advantage_of,
    drawing,
    expected,
    expected_regime,
    mean_field,
    sampled,
    train,
)
from symtheory.dynamics.regime import parse
from symtheory.dynamics.sampled import State
from symtheory.errors import InputError
from symtheory.worlds import make_bandit, make_tree

G, ASCENT = 6, optax.sgd(1.0)
GRPO = estimators.get("grpo")


@functools.cache
def world(kind):
    if kind == "bandit":
        make = functools.partial(make_bandit, success=[0.15, 0.6], trajectories=12, correct=4, lengths=(4.0, 9.0))
    else:
        make = functools.partial(make_tree, success=[0.2, 0.6], depth=2, branching=3, tokens=(1, 4))
    return jax.jit(make)(jax.random.key(1))


def advantage():
    return advantage_of([GRPO], 0)


@functools.partial(jax.jit, static_argnums=1)
def away_from_the_base(w, regime):
    """Parameters, and a memory whose past differs from them."""
    params = w.init() + 0.5 * jax.random.normal(jax.random.key(5), w.logits.shape)
    memory = drawing.start(w, regime)
    if "past" in memory:
        memory["past"] += 0.3 * jax.random.normal(jax.random.key(8), memory["past"].shape)
    return State(params, ASCENT.init(params), memory)


exact_gradient = jax.jit(
    lambda params, w, update, regime, memory: expected_regime.gradient(params, w, GRPO, update, regime, memory),
    static_argnums=(2, 3),
)
draw = jax.jit(drawing.draw, static_argnums=(4, 5))
CASES = {
    "verifier": ("bandit", Regime(Verifier(0.1, 0.2)), Update(G)),
    "placebo": ("tree", Regime(Verifier.placebo(0.4)), Update(G)),
    "redraw": ("tree", Regime(redraw=Redraw(tries=3)), Update(G)),
    "sizes": ("bandit", Regime(group=Group(sizes=(2, 4, 6))), Update(G)),
    "copies redrawn with a verifier": (
        "bandit",
        Regime(Verifier(0.1), Redraw(tries=2), group=Group(copies=2)),
        Update(G),
    ),
    "a band of the policy": ("tree", Regime(admit=Band(0.1, 0.5)), Update(G)),
    "entropy and kl under everything": (
        "bandit",
        Regime(Verifier(0.1, 0.2), Redraw(0.2, 0.8, 2), entropy=0.1, kl=0.2),
        Update(G),
    ),
    "lengths": ("tree", Regime(entropy=0.05), Update(G, aggregation="sequence-mean")),
    "stale with ratios and clipping": (
        "bandit",
        Regime(Verifier(0.1, 0.1), stale=Stale(2), entropy=0.1),
        Update(G, clip_low=0.1, clip_high=0.3),
    ),
    "stale without ratios": ("tree", Regime(stale=Stale(2, corrected=False), kl=0.2), Update(G)),
}


@pytest.mark.parametrize("case", CASES)
def test_sampled_steps_under_a_regime_average_to_its_exact_step(case):
    """8,000 steps of the simulators' own code, each coordinate and the cost within 5 standard errors."""
    kind, regime, update = CASES[case]
    w = world(kind)
    state = away_from_the_base(w, regime)

    @jax.jit
    @jax.vmap
    def change(key):
        after, info = sampled.prompt_step(key, state, w, advantage(), ASCENT, update, regime)
        return after.params - state.params, info.rollouts

    changes, spent = (np.asarray(x) for x in change(jax.random.split(jax.random.key(2), 8000)))
    exact = np.asarray(exact_gradient(state.params, w, update, regime, state.memory))
    z = (changes.mean(0) - exact) / np.maximum(changes.std(0) / math.sqrt(len(changes)), 1e-9)
    assert np.abs(z).max() < 5
    assert np.sqrt((z**2).mean()) < 1.8  # coordinates are correlated
    if regime.admit is None:
        source = drawing.sampler_of(state.memory, state.params)
        cost = np.asarray(expected_regime.rollouts(G, w.success(source), regime))
        assert (np.abs(spent.mean(0) - cost) <= 5 * spent.std(0) / math.sqrt(len(spent)) + 1e-9).all()


NOTHING = {
    "J = 1": Regime(Verifier(0.0, 0.0)),
    "lag 0": Regime(stale=Stale(0)),
    "one copy": Regime(group=Group(copies=1)),
    "one try": Regime(redraw=Redraw(tries=1)),  # drops groups of equal rewards, whose GRPO advantages are 0
    "a band of everything": Regime(admit=Band(0.0, 1.0)),
    "all prompts first": Regime(admit=HardFirst(first=1.0)),
    "one batch of all": Regime(admit=Repeat(batch=2)),
    "nothing solved": Regime(admit=Solved(above=1.0)),
}


@pytest.mark.parametrize("case", NOTHING)
def test_a_regime_that_departs_from_nothing_gives_the_plain_numbers_bit_for_bit(case):
    w = world("bandit")
    state = State(w.init(), ASCENT.init(w.init()))
    step = functools.partial(sampled.step, jax.random.key(3), world=w, advantage=advantage(), optimizer=ASCENT)
    plain, info = step(state=state, update=Update(G))
    other, told = step(state=state, update=Update(G), regime=NOTHING[case])
    assert np.array_equal(plain.params, other.params)
    assert float(info.correct) == float(told.correct)
    exact = expected_regime.gradient(w.init(), w, GRPO, Update(G), NOTHING[case])
    assert np.array_equal(exact, expected.gradient(w.init(), w, GRPO, G))


@pytest.mark.parametrize("epochs", [1, 2])
def test_the_program_without_a_regime_does_not_know_that_there_are_regimes(epochs):
    """Options that are off leave no trace in the program: it is the same as with a record in which all are off."""
    w = world("tree")

    def program(regime):
        run = lambda key: train(  # noqa: E731
            key, w, advantage(), ASCENT, Update(G, epochs), observe=w.success, records=2, stride=3, regime=regime
        )
        return str(jax.make_jaxpr(run)(jax.random.key(0)))

    assert program(None) == program(Regime())
    assert program(None) != program(Regime(Verifier(0.0, 0.0)))


def test_a_stale_policy_with_ratios_keeps_the_direction_and_an_old_slope():
    """E step = F'_G(P_old) grad P_new where nothing is clipped: the old policy sets the speed, the new one the way."""
    w, regime = world("tree"), Regime(stale=Stale(1))
    state = away_from_the_base(w, regime)
    update = Update(G, clip_low=1.0, clip_high=1e9)
    exact = exact_gradient(state.params, w, update, regime, state.memory)

    @jax.jit
    def by_hand(w, state):
        old = w.success(drawing.sampler_of(state.memory, state.params))
        return w.success_gradient(state.params, expected.slope(GRPO, G, old))

    np.testing.assert_allclose(exact, by_hand(w, state), atol=1e-12)


def test_a_redrawn_group_costs_as_many_draws_as_it_gains():
    """Per rollout, dynamic sampling leaves the expected step of a prompt as it was."""

    @jax.jit
    def slopes(p):
        regimes = [Regime(redraw=Redraw(tries=tries)) for tries in (1, 3, 8)]
        redrawn = [expected_regime.slope(GRPO, G, p, r) / expected_regime.rollouts(G, p, r) * G for r in regimes]
        return redrawn, expected.slope(GRPO, G, p)

    redrawn, plain = slopes(np.linspace(0.01, 0.99, 9))
    for per_rollout in redrawn:
        np.testing.assert_allclose(per_rollout, plain, rtol=1e-12)


def test_copies_of_a_rollout_make_the_group_as_small_as_it_is_without_them():
    rloo = estimators.get("rloo")  # leave-one-out leaves one copy in: a duplicate is in its own baseline

    @jax.jit
    def slopes(p):
        twice = Regime(group=Group(copies=2))
        return [(expected_regime.slope(e, 8, p, twice), expected.slope(e, 4, p)) for e in (GRPO, rloo)]

    of_grpo, of_rloo = slopes(np.linspace(0.05, 0.95, 7))
    np.testing.assert_allclose(*of_grpo, rtol=1e-12)
    assert np.abs(np.subtract(*of_rloo)).min() > 0.1


def test_removed_prompts_stay_out_or_come_back_as_asked():
    success, base = jnp.array([0.95, 0.5, 0.3]), jnp.zeros(3)
    out = jnp.array([False, False, True])
    assert Solved(0.9).admits(out, success, base, 0).tolist() == [False, False, True]
    assert Solved(0.9, back=0.6).admits(out, success, base, 0).tolist() == [False, True, True]


def test_curricula_admit_the_hardest_first_and_batches_in_turn():
    base = jnp.array([0.9, 0.1, 0.5, 0.3])
    hard = HardFirst(steps=10, first=0.25)
    assert hard.admits(None, base, base, jnp.array(0)).tolist() == [False, True, False, False]
    assert hard.admits(None, base, base, jnp.array(10)).all()
    turns = [Repeat(2, times=2).admits(None, base, base, jnp.array(t)).tolist() for t in range(5)]
    assert turns == [[True, True, False, False]] * 2 + [[False, False, True, True]] * 2 + [[True, True, False, False]]


def test_a_replayed_success_rescues_a_group_without_one():
    w = jax.jit(lambda key: make_bandit(key, [0.02], trajectories=8, correct=2))(jax.random.key(0))
    regime = Regime(group=Group(replay=True))
    memory = {**drawing.start(w, regime), "stored": jnp.array([1]), "has": jnp.array([True])}
    drawn, later = draw(jax.random.key(0), memory, w.init(), w, 4, regime)
    assert drawn.rewards.tolist() == [[0, 0, 0, 1]]
    assert int(drawn.rollouts[0, -1]) == 1
    assert int(later["stored"][0]) == 1
    fresh, _ = draw(jax.random.key(0), drawing.start(w, regime), w.init(), w, 4, regime)
    assert fresh.rewards.sum() == 0


SMALL = (0.2, -0.1, 0.4, -0.3)


def log_policy(w, params):
    """[N] log-probability of every trajectory of the only prompt."""
    return w.enumerate(params)[0] if hasattr(w, "enumerate") else jax.nn.log_softmax(params[0])


def independent(policies):
    """All groups whose rollouts follow these distributions [N], one each, with their chances."""
    groups = jnp.array(list(itertools.product(range(len(policies[0])), repeat=len(policies))))
    return groups, jnp.stack([p[groups[:, i]] for i, p in enumerate(policies)]).prod(0)


def forked(w, params):
    """Groups of a trunk and a fork from it in a tree of depth 2: a new path, or the trunk's first step kept."""
    policy = jnp.exp(log_policy(w, params)).reshape(w.branching, w.branching)
    groups, chance = independent([policy.reshape(-1)] * 2)
    same = groups[:, 0] // w.branching == groups[:, 1] // w.branching
    kept = policy.reshape(-1)[groups].prod(-1) / policy.sum(-1)[groups[:, 0] // w.branching] * same
    return groups, (chance + kept) / 2


def change_by_definition(w, params, groups, rewards, update):
    """[M, ...] change of the parameters for each group [M, G], from PPO's objective and GRPO's advantage as printed."""

    def one(group, reward):
        std = reward.std()
        a = jnp.where(std > 0, (reward - reward.mean()) / jnp.where(std > 0, std, 1), 0)
        share = 1 / w.length[0, group].mean() if update.aggregation == "token-mean" else 1.0

        def objective(q):
            ratio = jnp.exp((log_policy(w, q) - log_policy(w, params))[group])
            kept = jnp.clip(ratio, 1 - update.clip_low, 1 + update.clip_high)
            return (jnp.minimum(ratio * a, kept * a) * share).mean()

        new = params
        for _ in range(update.epochs):
            new = new + jax.grad(objective)(new)
        return new - params

    return jax.vmap(one)(groups, rewards)


@functools.cache
def tiny_world(kind):
    """A world of one prompt, all groups of which can be listed."""
    if kind == "bandit":
        make = functools.partial(make_bandit, success=[0.3], trajectories=4, correct=2, lengths=(4.0, 9.0))
    else:
        make = functools.partial(make_tree, success=[0.4], depth=2, branching=3)
    return jax.jit(make)(jax.random.key(1))


WITHOUT_EXACT_STEP = {
    "rollouts at another temperature": (Regime(group=Group(hot=2, temperature=3.0)), Update(3)),
    "two epochs with clipping": (Regime(Verifier(0.0, 0.0)), Update(3, epochs=2, clip_low=0.1, clip_high=0.2)),
    "two plain epochs with clipping": (None, Update(3, epochs=2, clip_low=0.1, clip_high=0.2)),
    "a mean over the tokens of a batch": (Regime(Verifier(0.0, 0.0)), Update(3, aggregation="token-mean")),
    "a replayed success": (Regime(group=Group(replay=True)), Update(3)),
    "a shared beginning": (Regime(group=Group(trunks=1)), Update(2)),
}


@pytest.mark.parametrize("case", WITHOUT_EXACT_STEP)
def test_sampled_steps_without_an_exact_mean_average_to_that_over_all_groups(case):
    """The mean over all groups, from the definitions; 8,000 sampled steps lie within 5 standard errors of it."""
    regime, update = WITHOUT_EXACT_STEP[case]
    w = tiny_world("tree" if case == "a shared beginning" else "bandit")
    params = w.init() + np.resize(SMALL, w.init().shape)
    memory = () if regime is None else drawing.start(w, regime)
    if case == "a replayed success":
        memory = {**memory, "stored": jnp.array([1]), "has": jnp.array([True])}

    @jax.jit
    def all_groups(params):
        """Chance and change of every group."""
        policy = jnp.exp(log_policy(w, params))
        hot = jax.nn.softmax(params[0] / 3.0) if regime is not None and regime.group and regime.group.hot else policy
        groups, chance = forked(w, params) if update.group_size == 2 else independent([policy, hot, hot])
        rewards = jnp.asarray(w.correct, float).reshape(-1)[groups]
        if case == "a replayed success":
            lost = rewards.sum(-1) == 0
            groups = groups.at[:, -1].set(jnp.where(lost, 1, groups[:, -1]))
            rewards = rewards.at[:, -1].set(jnp.where(lost, 1.0, rewards[:, -1]))
        return chance, change_by_definition(w, params, groups, rewards, update)

    chance, changes = map(np.asarray, all_groups(params))
    assert chance.sum() == pytest.approx(1)
    exact = np.tensordot(chance, changes, 1)

    state = State(params, ASCENT.init(params), memory)
    step = lambda key: sampled.prompt_step(key, state, w, advantage(), ASCENT, update, regime)[0].params - params  # noqa: E731
    found = np.asarray(jax.jit(jax.vmap(step))(jax.random.split(jax.random.key(2), 8000)))
    z = (found.mean(0) - exact) / np.maximum(found.std(0) / math.sqrt(len(found)), 1e-9)
    assert np.abs(z).max() < 5
    assert np.abs(exact).max() > 20 * found.std(0).max() / math.sqrt(len(found))  # the test can tell it from nothing
    if regime is not None:
        with pytest.raises(InputError, match="no exact mean of a step: "):
            expected_regime.gradient(params, w, GRPO, update, regime, memory)


def test_a_mean_field_remembers_what_the_regime_asks_for():
    """With a lag of 2 the first three steps all have the slope of the base policy."""
    w, regime = world("bandit"), Regime(stale=Stale(2, corrected=False))
    state, _ = mean_field(w, GRPO, optax.sgd(0.01), G, observe=w.success, steps=3, regime=regime)
    base = expected.slope(GRPO, G, w.success(w.init()))
    policy = w.policy(w.init())
    first = base[:, None] * policy * (w.correct - w.success(w.init())[:, None])
    np.testing.assert_allclose(state.params - w.init(), 0.03 * first, rtol=0.05, atol=1e-5)
    assert np.asarray(state.memory["past"]).shape[0] == 2


BAD = {
    "false_positive must be a share": lambda: Verifier(1.5),
    "low and high must be shares": lambda: Band(0.8, 0.2),
    "back must be between 0 and above": lambda: Solved(0.5, back=0.9),
    "one way at a time, got sizes and copies": lambda: Group(sizes=(2, 4), copies=2),
    "temperature is that of hot rollouts": lambda: Group(temperature=2.0),
    "temperature must be above 0": lambda: Group(hot=1, temperature=0.0),
    "kl must be a weight": lambda: Regime(kl=-1.0),
    "replay and stale both reuse": lambda: Regime(group=Group(replay=True), stale=Stale(1)),
    "redraw works on groups of one size": lambda: Regime(redraw=Redraw(), group=Group(sizes=(2, 6))),
    "copies must divide": lambda: drawing.check(world("bandit"), 6, Regime(group=Group(copies=4))),
    "largest of sizes must be": lambda: drawing.check(world("bandit"), 6, Regime(group=Group(sizes=(2, 4)))),
    "trunks need a tree": lambda: drawing.check(world("bandit"), 6, Regime(group=Group(trunks=2))),
    "rewards, got a world with graded": lambda: drawing.check(
        replace(world("tree"), formatted=world("tree").correct), 6, Regime(Verifier(0.1))
    ),
    "looks at the rewards of all prompts": lambda: expected_regime.gradient(
        world("bandit").init(), world("bandit"), estimators.get("agrae"), Update(G), Regime(redraw=Redraw())
    ),
    "from the second epoch on": lambda: expected_regime.gradient(
        world("bandit").init(), world("bandit"), GRPO, Update(G, 2), Regime(kl=0.1)
    ),
    "mean length of a batch": lambda: expected_regime.gradient(
        world("bandit").init(), world("bandit"), GRPO, Update(G, aggregation="token-mean"), Regime(kl=0.1)
    ),
    "no key of a regime 'verifer'": lambda: parse({"verifer": {}}),
    "kind of admit must be one of": lambda: parse({"admit": {"low": 0.1}}),
    "admit needs batch": lambda: parse({"admit": {"kind": "repeat"}}),
    "tries of redraw must be a number": lambda: parse({"redraw": {"tries": "8"}}),
}


@pytest.mark.parametrize("sentence", BAD)
def test_a_bad_combination_gets_one_sentence(sentence):
    with pytest.raises(InputError, match=sentence) as refused:
        BAD[sentence]()
    assert "\n" not in str(refused.value)


def test_lengths_tell_the_three_aggregations_apart():
    """Wrong answers are longer: 1/|o| weighs them less, so GRPO as published has C > 0 where Theorem 1 has C = 0."""
    w = world("bandit")
    rollouts, rewards = jnp.array([[0, 6], [0, 6]]), jnp.array([[1.0, 0.0]] * 2)
    a = advantage()(rewards)
    shares = {n: sampled.token_share(w, rollouts, n) for n in ("sequence-sum", "sequence-mean", "token-mean")}
    sums = {n: float((a * s).sum(-1)[0]) for n, s in shares.items()}
    assert sums["sequence-sum"] == pytest.approx(0)
    assert sums["token-mean"] == pytest.approx(0)
    assert sums["sequence-mean"] > 0.01
    with pytest.raises(InputError, match="has no lengths"):
        bare = replace(w, length=None)
        sampled.token_share(bare, rollouts, "sequence-mean")
