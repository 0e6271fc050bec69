"""What the documents show is what the code does."""

import doctest
import importlib
import pkgutil
import re
import shlex

import pytest

import emulator
from emulator.cli import main
from tests.conftest import ROOT

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(emulator.__path__, "emulator.")
    if not module.name.startswith("emulator.kernels") and not module.name.endswith("__main__")
)


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "docs/networks.md",
        "docs/learning.md",
        "docs/management.md",
        "docs/words.md",
        "docs/world.md",
    ],
)
def test_a_page_shows_true_output(name):
    failed, tried = doctest.testfile(
        str(ROOT / name), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert tried > 5
    assert failed == 0


def test_the_commands_of_a_page_print_what_it_shows(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "110")
    text = (ROOT / "docs" / "learning.md").read_text()
    shown = re.findall(r"```\n\$ emulator (.*)\n((?s:.*?))```", text)
    assert shown
    for command, expected in shown:
        assert main(shlex.split(command)) == 0
        printed = [line.rstrip() for line in capsys.readouterr().out.rstrip().splitlines()]
        assert printed == expected.rstrip().splitlines()


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_show_true_output(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0
