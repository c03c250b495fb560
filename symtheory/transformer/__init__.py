"""The transformer: the real GRPO update on a small language model, to see which of the theory survives it.

`model` is the network, `task` what it is asked, `loss` what trainers minimise, `train` the update and the exact
metrics, `predict` the comparison of single steps with Theorem 1 of arXiv:2602.05548 and its relatives. Everything
here takes arrays and keys and returns arrays; files, labels and presets are in `symtheory.studies.transformer`.
"""
