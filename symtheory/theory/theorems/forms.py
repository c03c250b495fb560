"""That the code of an estimator is one function of the rewards, however they are written."""

from ..proofs import Proof, theorem


@theorem("the code of every estimator whose input is rewards")
def one_function_in_every_form() -> Proof:
    """An advantage is the same in float32 as in float64, in jax and torch as in numpy, for whole numbers as for floats,
    with padding as without, for prompts on two axes as on one and without an axis, with omega given as with the mean
    reward of all rollouts, by counts as written out, and, where prompts do not touch each other, also alone and for any
    one length of the rollouts; for every estimator that rewards suffice for."""
    return Proof("exact", "every form of the input, by the estimator's own code", named=(("every_form", {}),))
