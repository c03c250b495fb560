r"""The article in `paper/`: every number, table and caption in it is written here from saved results.

The sources ask by name, `\val{bandit.found}` or `\gentable{verdicts}`, and `symtheory paper` answers into
`paper/generated`. What no source asks for is not written; what no result gives is an error.
"""
