"""Algebra of the advantages: closed forms, zero sum, duality (Eq. 5 and 18 of arXiv:2602.05548, and around them)."""

import itertools
from fractions import Fraction

from ... import estimators
from ...estimators import Estimator
from ..algebra import NotProved
from ..certificates import Certificate
from ..closed_form import closed_forms, guards
from ..exact import exact_advantages, exact_two_outcomes
from ..proofs import Proof, mixed_groups, proved, same, theorem, theorem_of_each_estimator
from ..recheck import groups
from ..recheck.formulas import formulas
from ..statements import as_text
from ..surds import Surd
from ..symbols import Expr

OMEGAS = (Fraction(2, 7), Fraction(0), Fraction(1), Fraction(9, 10))
"""Batch mean rewards at which a counterexample is looked for."""


def spec_of(estimator: Estimator, *, guarded: bool = False) -> str:
    """The estimator as the header of a formula; `guarded` leaves its guards (eps) open."""
    if estimator.name not in estimators.names():
        groups.OTHERS[estimator.name] = estimator
    names = [symbol.name for symbol in guards(estimator)] if guarded else []
    return estimator.name + (f"[{', '.join(names)}]" if names else "")


def where_k_counts(estimator: Estimator) -> str:
    """The condition of a formula about pass@k training: with fewer wrong rollouts than k every advantage is 0."""
    return f" for F >= {estimator.params['k']}" if "k" in estimator.params else ""


def as_formula(form: Expr) -> str:
    """A sympy closed form as the text of a formula."""
    return as_text(form).replace("**", "^").replace("Min(", "min(").replace("Max(", "max(").replace("Abs(", "abs(")


@theorem_of_each_estimator("its code")
def closed_form(estimator: Estimator) -> Proof:
    """In a mixed group the advantages A+ of a correct and A- of a wrong rollout, C = sum A, sum |A| and sum A^2 of
    NAME are the closed forms that `symtheory prove --derive NAME` prints.
    """
    forms = closed_forms(estimator, symbolic_guards=True)
    spec = spec_of(estimator, guarded=True)
    named = {"A+": forms.correct, "A-": forms.wrong, "sum A": forms.imbalance}
    named |= {"sum |A|": forms.magnitude, "sum A^2": forms.square}
    texts = {q: f"{spec}: {q} = {as_formula(form)}" for q, form in named.items()}
    edge = where_k_counts(estimator)
    how = ", ".join(f"{name} = {value}" for name, value in sorted(estimator.params.items()))
    if not any(complaint for text in texts.values() for complaint in _in_small_groups(text + edge)):
        return proved(*(text + edge for text in texts.values()), method=how)
    # a rollout that is alone of its kind may be a case of its own, as the only correct one in verl's grpo_passk
    least = " for K >= 2, F >= 2"
    when = "at least two rollouts are correct and two are wrong"
    return Proof("holds when", how, formulas=tuple(text + least for text in texts.values()), when=when)


def _in_small_groups(text: str) -> list[str]:
    """Complaints about a formula in the groups of up to 4; a form may also have a pole there."""
    try:
        return [complaint for f in formulas(text) if (complaint := groups.holds_exactly(f, 5)[1])]
    except ZeroDivisionError:
        return [f"{text}: a pole"]


@theorem_of_each_estimator("Eq. 5, 18 of arXiv:2602.05548, asked of every estimator")
def zero_sum(estimator: Estimator) -> Proof:
    """`NAME: sum A = 0` in every mixed group: its correct and its wrong rollouts carry equal total weight."""
    spec = spec_of(estimator)
    text = f"{spec}: sum A = 0"
    found = unbalanced_group(estimator)
    if found:
        return Proof("fails", counterexample=found, refuted=(text,))
    return proved()


def unbalanced_group(estimator: Estimator) -> dict | None:
    """The smallest mixed group (then the fewest correct) with C != 0; None if there is none up to G = 12 or, in
    floats, up to G = 200.
    """
    for (correct, size), w in itertools.product(mixed_groups(estimator), OMEGAS):
        try:
            c = total(estimator, correct, size, w)
        except ZeroDivisionError:
            continue
        if not same(c, 0):
            return {"K": correct, "G": size, "omega": w, "C": c}
    formula = formulas(f"{spec_of(estimator)}: sum A = 0")[0]
    _, complaint = groups.holds_on(formula, "numpy", 0)
    if complaint:
        raise NotProved(complaint)
    return None


def total(estimator: Estimator, correct: int, size: int, w: Fraction) -> Surd:
    """C = sum A of a group, exactly."""
    plus, minus = exact_two_outcomes(estimator, correct, size, w)
    return correct * plus + (size - correct) * minus


@theorem("Eq. 5 and 18 of arXiv:2602.05548")
def group_symmetry() -> Proof:
    """In every mixed group of K correct and F wrong rollouts, for every ddof < G and every eps >= 0, the advantages
    (r - mean) / (std + eps) obey `grpo[ddof, eps]: K A+ = F |A-|` and `grpo[ddof, eps]: sum A = 0`.
    """
    return proved()


@theorem("Eq. 5 of arXiv:2602.05548, beyond binary rewards")
def group_symmetry_of_real_rewards() -> Proof:
    """The advantages (r - mean) / (std + eps) of a group sum to 0 for all real rewards and every G, ddof and eps,
    because sum_i (G r_i - sum_j r_j) = 0.
    """
    certificate = Certificate(
        "G*T - G*S",
        ("T - S",),
        ("G",),
        meaning="sum_i (G r_i - S) = G T - G S with T = sum_i r_i, which is what S stands for: at every G",
    )
    trials = (("real_rewards", {"specs": ["grpo", "grpo[ddof, eps]"]}),)
    return Proof("exact", "sum of the numerators", (certificate,), named=trials, rests_on="identity for all G")


@theorem("Eq. 3, 5, 10 of arXiv:2602.05548")
def every_reward_vector() -> Proof:
    """Under GRPO each of the 2^G reward vectors of 0 and 1, for G = 2 to 12, with K ones, has sum A = 0 and (sum
    |A|)^2 = 4 K (G - K), and sum A^2 = G where it is mixed.
    """
    return Proof("exact", "every vector through the code", named=(("every_reward_vector", {}),))


@theorem("Eq. 3 of arXiv:2602.05548; Samuelson's inequality")
def largest_advantage() -> Proof:
    """Under GRPO |A_i| <= sqrt(G - 1) for every rollout of a mixed group, because `grpo: K (G - 1 - A+^2) = G (K -
    1)` and `grpo: F (G - 1 - A-^2) = G (F - 1)`. Real rewards have the same bound, by Samuelson's inequality.
    """
    meaning = (
        "(G-1)(G S2 - T^2) - (G r - T)^2 with S2 = r^2 + s2, T = r + t (r one reward, t and s2 the sum and the sum of "
        "squares of the others) is G times (G-1) s2 - t^2, which Cauchy-Schwarz keeps at or above 0: at every G"
    )
    samuelson = Certificate(
        "(G - 1)*(G*(r**2 + s2) - (r + t)**2) - (G*r - (r + t))**2",
        ("(G - 1)*s2 - t**2 - slack",),
        ("G",),
        meaning=meaning,
    )
    samuelson = Certificate(f"{samuelson.claim} - G*slack", samuelson.hypotheses, samuelson.cofactors, meaning=meaning)
    trials = (("largest_advantage_of_real_rewards", {}),)
    return Proof("exact", "", (samuelson,), named=trials, rests_on="identity for all G")


DUAL = (
    ("grpo", "grpo", ""),
    ("dr_grpo", "dr_grpo", ""),
    ("rloo", "rloo", ""),
    ("hard_focused[gamma]", "easy_focused[gamma]", ""),
    ("positive_dominant[beta]", "negative_dominant[beta]", "beta "),
    ("ddas", "ddas", ""),
)
"""(a, b, factor): A_a(1 - r) = -factor A_b(r); omega becomes 1 - omega with the rewards."""


@theorem("Sec. 4 of arXiv:2602.05548: the controlled methods as mirror images")
def flip_duality() -> Proof:
    """Exchanging correct and wrong (r -> 1 - r, so that omega becomes 1 - omega) turns the advantages of GRPO,
    Dr.GRPO and RLOO into their negatives, those of Hard-Focused into minus those of Easy-Focused, those of DDAS at
    omega into minus those of DDAS at 1 - omega, and those of Positive-Dominant into -beta times those of
    Negative-Dominant: `flip(grpo.A-) = -grpo.A+`, `flip(hard_focused[gamma].A-) = -easy_focused[gamma].A+`,
    `flip(ddas.A-) = -ddas.A+`, `flip(positive_dominant[beta].A-) = -beta negative_dominant[beta].A+`.
    """
    return proved(
        *(
            f"flip({a}.{mine}) = -{factor}{b}.{theirs}"
            for a, b, factor in DUAL
            for mine, theirs in (("A-", "A+"), ("A+", "A-"))
        )
    )


@theorem("arXiv:2509.18851 (NGRPO)")
def ngrpo_imbalance() -> Proof:
    """In every mixed group NGRPO has `ngrpo: A+ = sqrt(F/(K + 1))`, `ngrpo: A- = -sqrt((K + 1)/F)` and `ngrpo: sum
    A = -A+`. It normalises with one virtual correct rollout, and the sum leaves that rollout out.
    """
    return proved()


@theorem("Eq. 4 of arXiv:2602.05548 under token-mean aggregation (DAPO)")
def token_mean_keeps_zero_sum() -> Proof:
    """Under token-mean aggregation the gradient of log pi(o_i) has the coefficient A_i / sum_j |o_j|, so that sum A
    = 0 keeps the update of whole trajectories zero-sum. The sum of token advantages, sum_i |o_i| A_i = G Cov(|o|, A),
    is another quantity, and need not be 0.
    """
    zero = Certificate("C*u", ("C",), ("u",), meaning="u = 1 / sum |o| is common to the group: sum_i A_i u = C u")
    tokens = Certificate(
        "S - (S - C*L*h)",
        ("C",),
        ("L*h",),
        meaning="S = sum |o| A, L = sum |o|, h = 1/G: G Cov(|o|, A) = S - C L / G, at every G, given C = 0",
    )
    return Proof("exact", "", (zero, tokens), named=(("length_weights", {}),), rests_on="identity for all G")


@theorem("GRPO's 1/|o_i| (Eq. 1 of arXiv:2602.05548), in the update of whole trajectories")
def length_mean_breaks_zero_sum() -> Proof:
    """Under GRPO's aggregation, the mean over the tokens of each rollout, the coefficients A_i / |o_i| of the
    gradients of log pi(o_i) sum to 0 in every group. (They sum to G Cov(1/|o|, A).)
    """
    lengths, rewards = (1, 2), (1, 0)
    a = exact_advantages(estimators.get("grpo"), rewards)
    found = {"lengths": lengths, "rewards": rewards, "C": sum(x / n for x, n in zip(a, lengths, strict=True))}
    meaning = "S = sum A/|o|, L = sum 1/|o|, h = 1/G: G Cov(1/|o|, A) = S - C L / G, at every G, given C = 0"
    certificate = Certificate("S - (S - C*L*h)", ("C",), ("L*h",), meaning=meaning)
    return Proof(
        "holds when",
        "",
        (certificate,),
        counterexample=found,
        when="all rollouts have one length, or 1/|o| is uncorrelated with A",
        named=(("length_weights", {}), ("boundary", {"example": BY_LENGTH})),
        rests_on="identity for all G",
    )


BY_LENGTH = {
    "kind": "weights",
    "policy": ["1/8", "1/8", "3/4"],
    "correct": [1, 0, 0],
    "draws": [0, 1],
    "weights": ["1/4", "1"],
}
"""One correct rollout of 4 tokens and one wrong one of 1 token lower P under 1/|o_i|, first and in a finite step."""


@theorem("arXiv:2508.10751 (pass@k training)")
def passk_zero_sum() -> Proof:
    """Pass@k training is zero-sum in every mixed group, for every k <= G, because F C(F-1,k-1)/C(G-1,k-1) = G
    C(F,k)/C(G,k).
    """
    texts = [f"passk[k:{k}]: sum A = 0 for F >= {k}" for k in range(1, 5)]
    return Proof(
        "exact",
        "k = 1..4 for every G; every k <= G to G = 30",
        formulas=tuple(texts),
        named=(("passk_is_zero_sum", {}),),
    )
