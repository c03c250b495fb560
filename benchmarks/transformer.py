"""A GRPO step of the replayed transformer against eager PyTorch with a key-value cache; the programs are in replay.py."""

import jax

from .timing import interleave, speed_row


def rows(rounds: int):
    import torch

    from . import replay

    cores = jax.local_device_count()
    torch.set_num_threads(cores)
    params = replay.model.init(jax.random.key(0), replay.SHAPE)
    made = {
        "ours": (replay.jax_stepper(params, cores), 1),
        "torch": (replay.torch_stepper(params), 1),
    }
    seconds = interleave(made, rounds)
    yield speed_row(
        "GRPO step of a transformer, sampling included", seconds, "ours", "torch", "PyTorch, eager, key-value cache"
    )
