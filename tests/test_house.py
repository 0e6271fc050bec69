"""The rules of the house that a machine can check."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from emulator.chip import EVENTS
from emulator.chip.schema import Costs
from tests.conftest import ROOT

LAYERS = [
    {
        "errors",
        "units",
        "atomic",
        "files",
        "streams",
        "arguments",
        "growing",
        "memory",
        "shipped",
        "interrupts",
        "versions",
    },
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
PAGES = [ROOT / "README.md", ROOT / "DESIGN.md", *sorted((ROOT / "docs").glob("*.md"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WHEEL = re.compile(rf"{PROJECT['name'].replace('-', '_')}-{PROJECT['version']}")


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


def named_files(text: str) -> list[str]:
    """Return the paths of the project that a page names between backticks."""
    return re.findall(
        r"`(?:python )?((?:emulator|ext|tests|chipconfigs|docs|programs)/[\w./*]*)", text
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_files_that_exist(page):
    for name in named_files(page.read_text()):
        assert list(ROOT.glob(name)), name


def test_the_readme_names_many_files():
    assert len(named_files((ROOT / "README.md").read_text())) > 40


def links(page: Path) -> list[tuple[str, Path]]:
    """Return what a page links to inside the project: "!" of a picture, and the file."""
    found = re.findall(r"(!?)\[[^\]]*\]\(([^)\s#]+)[^)]*\)", page.read_text())
    return [(mark, page.parent / target) for mark, target in found if "://" not in target]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_point_to_files_that_exist(page):
    for _, target in links(page):
        assert target.is_file(), target


def test_every_picture_is_on_some_page():
    pictures = {path for path in (ROOT / "docs").iterdir() if path.suffix != ".md"}
    shown = {target.resolve() for page in PAGES for mark, target in links(page) if mark}
    assert pictures == shown


def test_what_pages_and_messages_tell_to_install_is_there():
    """The project itself is in no package index."""
    extras = PROJECT["optional-dependencies"].values()
    known = [*PROJECT["dependencies"], *(name for names in extras for name in names)]
    allowed = {re.split(r"[<>=]", name)[0] for name in known} | {"brian2", "sanafe"}
    allowed |= {".", "{package}"}  # a checkout; what a message fills in
    texts = [*PAGES, *FILES, *(ROOT / "programs").glob("*.py"), ROOT / "tests/benchmarks/growth.py"]
    texts += (ROOT / "tests/benchmarks/peers").iterdir()
    told = []
    for path in filter(Path.is_file, texts):
        told += re.findall(r"pip install\s+([\w.{}-]+)", path.read_text())
        assert f"{PROJECT['name']}[" not in path.read_text(), path
    assert len(told) > 10
    assert {name for name in told if not WHEEL.match(name)} <= allowed
