"""Checks run in 64 bit; a test of the simulators' 32-bit path asks for it.

Compiling takes most of the tests' time. XLA therefore optimises less here than it does for users, and by its older
emitters, which take a third of the time, unless XLA_FLAGS names a level. All compiled programs, however small, are kept
for all workers and for the next run: reading one back takes half the time of compiling it. Processes that tests start
inherit both.
"""

import functools
import os
import shutil
from pathlib import Path

from symtheory import paths

LEVEL = "--xla_backend_optimization_level"
if LEVEL not in os.environ.get("XLA_FLAGS", ""):  # read when jax first computes
    quick = f"{LEVEL}=0 --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {quick}".strip()
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(paths.cache(), "xla-tests")))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES", "none")

import jax
import pytest
from hypothesis import settings
from jax._src.interpreters import mlir

jax.config.update("jax_enable_x64", True)
# jax makes a context of MLIR for every program, which takes a quarter of the time of a small one; tests share one
mlir.make_ir_context = functools.cache(mlir.make_ir_context)
settings.register_profile("default", deadline=None, derandomize=True)
settings.load_profile("default")


@pytest.fixture
def single_precision():
    with jax.enable_x64(False):
        yield


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `-n`, the tests of a module go to one worker: they share its fixtures and compiled programs."""
    from xdist.scheduler import LoadScopeScheduling

    return LoadScopeScheduling(config, log) if config.getoption("dist") == "load" else None


@pytest.fixture(scope="module")
def chromium():
    """Headless Chromium, or a skip where it or playwright is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium on this machine")
    quiet = ["background-networking", "component-update", "sync", "gpu", "quic"]
    flags = ["--no-sandbox", "--no-first-run", *(f"--disable-{feature}" for feature in quiet)]
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=program, args=flags)
        yield browser
        browser.close()
