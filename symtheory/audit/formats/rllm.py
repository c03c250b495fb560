"""rLLM: one indented JSON file an episode, with the trajectories of its agents."""

from .base import Format

FORMAT = Format(
    "rllm",
    "rLLM: `train_step_N_epoch_E/episode_*.json`",
    ("training_step", "task_hash", "trajectories.reward"),
    {
        "step": ("training_step",), "group": ("task_hash+trajectories.name",), "prompt": ("task_hash",),
        "id": ("episode_id+trajectories.uid", "trajectories.uid"), "reward": ("trajectories.reward",),
        "success": ("is_correct",), "text": ("trajectories.steps",), "length": (), "cut": ("termination_reason",),
        "split": ("mode", "split"),
    },
    rows="trajectories",
)  # fmt: skip
