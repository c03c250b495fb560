"""The transformer: the full GRPO update on a small language model, to see which parts of the theory hold for it.

`model` is the network, `task` has its tasks, `loss` what trainers minimise, `train` the update and the exact
metrics, `predict` the comparison of single steps with Theorem 1 of arXiv:2602.05548 and its relatives. Everything
here takes arrays and keys and returns arrays; files, labels and presets are in `symtheory.studies.transformer`.
"""
