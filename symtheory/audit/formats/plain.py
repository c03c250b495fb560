"""Any log: the names that people give to each field, the most telling first."""

from .base import Format

SYNONYMS: dict[str, tuple[str, ...]] = {
    "step": (
        "step", "global_step", "training_step", "train_step", "trainer_step", "optimizer_step", "current_step",
        "gen_step", "iteration", "iter", "update", "rollout_step", "policy_step", "policy_version", "head_version",
        "model_version", "weight_version", "version", "round", "batch_idx", "batch_index", "epoch",
    ),
    "group": (
        "group_id", "group_idx", "group_index", "group", "group_uid", "grpo_group_id",
        "traj_group_id", "trajectory_group_id", "prompt_group_id", "uid",
    ),
    "prompt": (
        "prompt_id", "problem_id", "question_id", "query_id", "example_id", "task_id", "item_id", "prompt_idx",
        "prompt_index", "problem_idx", "question_idx", "task_idx", "task_index", "example_idx", "task_hash",
        "prompt_hash", "data_id", "sample_uid", "qid", "pid", "problem", "question", "query", "prompt", "prompts",
        "input_prompt", "prompt_text", "input", "instruction", "messages", "source", "id", "idx", "index",
        "prompt_tokens", "prompt_token_ids", "prompt_ids", "input_tokens", "input_ids",
    ),
    "id": (
        "rollout_id", "rollout_idx", "rollout_index", "completion_id", "response_id", "trajectory_id", "traj_idx",
        "traj_id", "sample_id", "sample_idx", "sample_index", "generation_id", "generation_idx", "pair_index",
        "request_id", "sample", "attempt", "k",
    ),
    "turn": ("turn", "turn_idx", "turn_index"),
    "reward": (
        "reward", "rewards", "total_reward", "reward_total", "final_reward", "reward_score", "trajectory_reward",
        "episode_reward", "score", "scores", "total_score", "return", "returns", "r", "correct", "is_correct",
        "correctness", "accuracy", "acc", "success", "passed", "solved",
    ),
    "success": (
        "is_correct", "correct", "correctness", "acc", "accuracy", "success", "is_success", "solved", "passed",
        "accuracy_reward",
    ),
    "advantage": (
        "advantage", "advantages", "adv", "advs", "group_advantage", "normalized_advantage", "grpo_advantage",
        "advantage_value",
    ),
    "length": (
        "length", "num_tokens", "n_tokens", "completion_length", "response_length", "num_output_tokens",
        "output_tokens", "completion_tokens", "num_completion_tokens", "response_len", "completion_len",
        "output_length", "gen_length", "generated_tokens", "token_count", "tokens_generated", "ac_len",
        "response_tokens", "completion_ids", "response_ids", "output_ids",
    ),
    "logprob": (
        "logprob", "log_prob", "logprobs", "log_probs", "sum_logprob", "total_logprob", "logp", "sequence_logprob",
        "rollout_log_probs", "rollout_logprobs", "old_log_probs", "old_logprobs", "sampling_logprobs",
        "sampling_per_token_logps", "completion_logprobs", "response_logprobs",
    ),
    "text": (
        "completion", "completions", "response", "responses", "output", "outputs", "generation", "generations",
        "output_response", "completion_text", "response_text", "model_output", "model_response", "generated_text",
        "answer_text", "text", "conversation_text",
    ),
    "token_mask": ("token_loss_mask", "completion_mask", "response_mask", "loss_mask", "action_mask"),
    "mask": ("sample_loss_mask", "sample_mask"),
    "cut": ("is_truncated", "truncated", "finish_reason", "stop_reason", "stop_condition", "clipped"),
    "epoch": ("epoch", "epoch_idx", "num_epoch"),
    "run": (
        "run_id", "run_name", "run", "wandb_run_id", "experiment_id", "experiment_name", "experiment", "exp_name",
        "trial", "trial_id", "seed", "run_seed",
    ),
    "split": ("split", "phase", "mode", "stage", "subset", "is_eval", "is_train"),
}  # fmt: skip
"""Field -> usual names of its column, in lower case with underscores."""

FORMAT = Format("plain", "any JSON, CSV or parquet with a reward a rollout, under the usual names or --columns", ())
