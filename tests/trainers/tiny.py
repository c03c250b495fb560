"""A transformer of a few thousand weights and a tokenizer of digits, made on the spot, and rewards for them."""

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import GRPOConfig

CHARACTERS = ["<pad>", "<eos>", *"0123456789+= "]


def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    ends = dict(pad_token_id=0, eos_token_id=1, bos_token_id=1)
    return LlamaForCausalLM(LlamaConfig(vocab_size=len(CHARACTERS), num_key_value_heads=2, **sizes, **ends))


def tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({c: i for i, c in enumerate(CHARACTERS)}, unk_token="<pad>"))
    words.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<eos>")


def prompts(count: int = 12) -> Dataset:
    return Dataset.from_list([{"prompt": f"{i}+{i + 1}="} for i in range(count)])


def even(completions, **_):
    """1 for an even number of characters."""
    return [float(len(c) % 2 == 0) for c in completions]


def low(completions, **_):
    """The share of digits below 5; None for a completion that begins with a digit above 6."""
    return [None if c[:1] in ("7", "8", "9") else sum(x in "01234" for x in c) / max(len(c), 1) for c in completions]


def shy(completions, **_):
    """1 for an even number of characters; None for a completion that begins with a digit above 6."""
    return [None if c[:1] in ("7", "8", "9") else float(len(c) % 2 == 0) for c in completions]


def config(folder, **options) -> GRPOConfig:
    usual = dict(per_device_train_batch_size=12, num_generations=4, max_completion_length=6, max_steps=3, seed=1)
    quiet = dict(logging_steps=1, report_to=[], use_cpu=True, log_completions=True, disable_tqdm=True)
    return GRPOConfig(output_dir=str(folder), **{"learning_rate": 1e-2, **usual, **quiet, **options})


def train(trainer_class, folder, rewards, **options):
    """Three steps of training; the trainer, with the advantages that its loss got in `seen`."""
    seen = []

    class Recording(trainer_class):
        def _compute_loss(self, model, inputs):
            seen.append(inputs["advantages"].detach().clone())
            return super()._compute_loss(model, inputs)

    trainer = Recording(
        model=model(),
        reward_funcs=rewards,
        args=config(folder, **options),
        train_dataset=prompts(),
        eval_dataset=prompts(4),
        processing_class=tokenizer(),
    )
    trainer.train()
    trainer.seen = seen
    return trainer
