"""The claims of the paper: what experiments measure for each, the rule that judges, and the ledger."""
