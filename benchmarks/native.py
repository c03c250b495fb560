"""C kernels, built when they are needed into a temporary folder."""

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path


def library(name: str) -> ctypes.CDLL | None:
    """The shared library of `name`.c beside this file, or None where there is no C compiler."""
    cc = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if cc is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        built, source = Path(folder, f"{name}.so"), Path(__file__).with_name(f"{name}.c")
        compiled = built.with_suffix(".o")
        flags = ["-O3", "-march=native", "-ffast-math", "-fPIC"]
        subprocess.run([cc, *flags, "-c", "-o", str(compiled), str(source)], check=True)
        # linked without -ffast-math, which would make the whole process flush subnormal numbers to zero
        subprocess.run([cc, "-shared", "-o", str(built), str(compiled), "-lm"], check=True)
        return ctypes.CDLL(str(built))
