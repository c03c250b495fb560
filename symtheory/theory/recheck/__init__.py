"""The re-check: a small program over whole numbers and fractions that reads certificates and runs the estimators' code.

It shares nothing with the derivations but the estimators themselves: no computer algebra, and no module that derives.
`python -m symtheory.theory.recheck FILE` checks a file of certificates.
"""
