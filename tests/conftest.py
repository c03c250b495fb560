"""Checks run in 64 bit; a test of the simulators' 32-bit path asks for it."""

import jax
import pytest
from hypothesis import settings

jax.config.update("jax_enable_x64", True)
settings.register_profile("default", deadline=None, derandomize=True)
settings.load_profile("default")


@pytest.fixture
def single_precision():
    with jax.enable_x64(False):
        yield
