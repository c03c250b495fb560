"""`python -m benchmarks NAME [--rounds N]`: the rows of one benchmark, one JSON object a line as they come."""

import argparse
import importlib
import json

from .timing import skipped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    from symtheory.dynamics import use_all_cores

    use_all_cores()
    try:
        for row in importlib.import_module(f"benchmarks.{options.name}").rows(options.rounds):
            print(json.dumps(row), flush=True)
    except ModuleNotFoundError as error:
        print(json.dumps(skipped(options.name, f"pip install {error.name}")))


if __name__ == "__main__":
    main()
