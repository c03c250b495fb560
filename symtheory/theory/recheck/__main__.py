"""`python -m symtheory.theory.recheck FILE`: check a file of certificates; exit status 1 names the rows that fail."""

import sys
from pathlib import Path

from . import program


def main() -> int:
    failed = 0
    for outcome in program.check_all(program.read(Path(sys.argv[1]))):
        print(f"{outcome.id}: {outcome.verdict}, {outcome.method}")
        for complaint in outcome.complaints:
            failed = 1
            print(f"  NO: {complaint}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
