"""`python -m symtheory` is the command line."""

from .cli import main

main()
