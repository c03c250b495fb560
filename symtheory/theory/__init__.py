"""The symbolic half: closed forms, theorems and verdicts, all derived by running the estimators' own code on symbols.

closed_form, difficulty, objectives, updates, flow and trees hold the mathematics, each with its theorems; proofs and
certificates hold what is re-checked, and how; ledger joins it with the claims of arXiv:2602.05548.
"""
