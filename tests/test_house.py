"""The rules of the house that a machine can check."""

import ast
import re
from pathlib import Path

import pytest

from emulator.chip import EVENTS
from emulator.chip.schema import Costs
from tests.conftest import ROOT

LAYERS = [
    {"errors", "units", "atomic", "streams", "arguments", "growing", "memory"},
    {"microcode", "learning"},
    {"chip", "network", "mapping"},
    {"program", "importers", "encode", "kernels", "inputs", "noc", "account"},
    {"compiler"},
    {"engine", "timing"},
    {"management"},
    {"observe"},
    {"running", "stepping", "budget"},
    {"emulator"},
    {"world"},
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
SAME_LAYER = {("timing", "engine"), ("engine", "timing"), ("chip", "network"), ("network", "chip")}
FILES = sorted((ROOT / "emulator").rglob("*.py"))


def part_of(path: Path) -> str:
    return path.relative_to(ROOT / "emulator").parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Return the parts of the emulator that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("emulator.")}
    return found


@pytest.mark.parametrize(
    "path", [f for f in FILES if f.name != "__init__.py" or f.parent.name != "emulator"], ids=str
)
def test_imports_point_down(path):
    part = part_of(path)
    for other in imported(path) - {part}:
        assert RANK[other] <= RANK[part], f"{part} imports {other}, which lies above it"
        assert (part, other) not in SAME_LAYER, f"{part} and {other} must not know each other"


def test_every_part_has_a_layer():
    assert {part_of(f) for f in FILES} - {"__init__", "__main__"} <= set(RANK)


def test_every_kernel_has_types():
    kernels = {f.stem for f in (ROOT / "ext").glob("*.pyx")}
    stubs = {f.stem for f in (ROOT / "emulator" / "kernels").glob("*.pyi")}
    assert kernels == stubs


def test_no_file_is_too_long_to_hold_in_mind():
    long = {
        str(path.relative_to(ROOT)): n
        for path in [*FILES, *(ROOT / "ext").iterdir()]
        if path.is_file() and (n := len(path.read_text().splitlines())) > 500
    }
    assert not long


def test_events_are_the_lines_of_the_cost_table():
    assert tuple(Costs.model_fields) == EVENTS


def test_every_program_says_what_it_is():
    for path in (ROOT / "programs").glob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path


def test_the_readme_table_names_files_that_exist():
    table = re.findall(
        r"`((?:emulator|ext|tests|chipconfigs|docs)/[\w./]*)`", (ROOT / "README.md").read_text()
    )
    assert len(table) > 10
    for name in table:
        assert (ROOT / name).exists(), name
