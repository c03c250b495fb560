"""Coverage-guided fuzzing of every reader, by atheris, which is no dependency: `pip install atheris` (Python to 3.13).

    python -m tests.audit.coverage_guided CORPUS -max_total_time=3600 -timeout=60 -rss_limit_mb=1024

starts from the files in CORPUS, which it extends, and ends at the first crash, hang (`timeout`, by the clock), input
that takes more than five seconds of processor time, or memory beyond the limit. Other options are libFuzzer's:
`-merge=1 SMALL CORPUS` keeps the inputs that reach something of their own.
"""

import importlib
import pkgutil
import sys
import tempfile
import time
import zlib
from pathlib import Path

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
import atheris

SECONDS = 5.0
PACKAGES = ("symtheory.audit", "symtheory.evidence", "symtheory.plan")

with atheris.instrument_imports(include=list(PACKAGES)):
    for package in map(importlib.import_module, PACKAGES):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)

from .fuzzing import try_input  # noqa: E402 (the readers are instrumented first)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:

        def run(data: bytes) -> None:
            if not data:
                return
            begin = time.process_time()
            # an audit costs ten times as much as reading, so every eighth input is audited
            try_input(data, Path(folder), whole=zlib.crc32(data) % 8 == 0)
            assert time.process_time() - begin < SECONDS

        atheris.Setup(sys.argv, run)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
