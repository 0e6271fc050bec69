"""Hypothesis profiles and the reference data."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

slow_ok = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
settings.register_profile("dev", max_examples=60, deadline=None, suppress_health_check=slow_ok)
settings.register_profile(
    "ci",
    max_examples=100,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=slow_ok,
)
settings.register_profile(
    "nightly", max_examples=5000, deadline=None, suppress_health_check=slow_ok
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

# What is started in the background of a shell ignores Ctrl-C, and so would all that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT.parent / "shared" / "reference"


@pytest.fixture(scope="session")
def reference() -> Path:
    """Return the folder of reference data, which is not part of the project; skip where it is absent."""
    if not REFERENCE.is_dir():
        pytest.skip("reference data is not here")
    return REFERENCE
