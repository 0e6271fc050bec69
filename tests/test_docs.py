"""What the documents show is what the code does."""

import doctest
import importlib
import pkgutil

import pytest

import emulator
from tests.conftest import ROOT

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(emulator.__path__, "emulator.")
    if not module.name.startswith("emulator.kernels") and not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", ["README.md", "docs/networks.md"])
def test_a_page_shows_true_output(name):
    failed, tried = doctest.testfile(
        str(ROOT / name), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert tried > 5
    assert failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_show_true_output(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0
