"""Programs without the packages that not everybody has: they work, or one line says what to install."""

import ast
import runpy
import sys
import tomllib

import numpy as np
import pytest

from emulator import Run
from emulator.cli import main
from programs.digits_data import load_digits, load_split
from tests.conftest import ROOT

FOLDER = ROOT / "programs"
FILES = {path.stem: path for path in sorted(FOLDER.glob("*.py"))}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EVERYBODY_HAS = {name.split(">")[0].replace("pyyaml", "yaml") for name in PROJECT["dependencies"]}
ELSE = ("matplotlib", "gymnasium", "sklearn", "scipy", "pandas", "nir", "unicorn", "elftools")
TO_DRAW = {  # what is given to a script that draws
    "cartpole": "a.svg", "e_prop": ".", "equilibrium": "a.svg", "izhikevich_patterns": "a.svg", "looming": "a.svg",
    "memristor": ".", "pendulum": "a.svg", "reward_stdp": "a.svg", "sigma_delta_theory": ".", "stdp_window": ".",
    "stdp_digits": "--picture=a.svg",
}  # fmt: skip
HALTED = "(import of {0} halted; None in sys.modules): pip install {0}"


@pytest.fixture
def script(tmp_path, monkeypatch, capsys):
    """Return a function that runs a program where nothing is installed but what the emulator needs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def run(name, *arguments, missing=ELSE):
        for package in missing:
            for module in [m for m in sys.modules if m.partition(".")[0] == package]:
                monkeypatch.delitem(sys.modules, module)
            monkeypatch.setitem(sys.modules, package, None)
        monkeypatch.setattr(sys, "argv", [str(FILES[name]), *arguments])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(FILES[name]), run_name="__main__")
        out, err = capsys.readouterr()
        return end.value.code or 0, out, err

    return run


def imports(tree):
    """Yield the packages that a file imports, and whether it does so in a function."""
    functions = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from ((name.partition(".")[0], id(node) in functions) for name in names)


@pytest.mark.parametrize("name", FILES)
def test_what_a_program_imports_is_there_or_asked_for(name):
    text = FILES[name].read_text()
    for package, in_function in imports(ast.parse(text)):
        if package in sys.stdlib_module_names or package in {*EVERYBODY_HAS, *FILES, "emulator"}:
            continue
        assert in_function, f"{package} is imported whether it is there or not"
        assert f'need("{package}"' in text, f"nothing says that {package} must be installed"


@pytest.mark.parametrize("name", [n for n, path in FILES.items() if "__main__" in path.read_text()])
def test_every_script_ends_as_the_others(name):
    assert "    run_script(" in FILES[name].read_text()


def test_every_script_that_draws_is_known():
    drawing = {name for name, path in FILES.items() if "need_to_draw(" in path.read_text()}
    assert drawing - {"program_tools"} == set(TO_DRAW)


@pytest.mark.parametrize("name", TO_DRAW)
def test_a_picture_without_matplotlib(script, name):
    missing = [package for package in ELSE if package != "gymnasium"]
    message = f"{name}: a picture needs matplotlib {HALTED.format('matplotlib')}\n"
    assert script(name, TO_DRAW[name], missing=missing) == (2, "", message)


def test_a_picture_without_its_folder(script, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", sys)  # something to import
    message = "equilibrium: there is no folder nowhere\n"
    assert script("equilibrium", "nowhere/a.svg", missing=()) == (2, "", message)


@pytest.mark.parametrize(("name", "what"), [("cartpole", "cart-pole"), ("pendulum", "pendulum")])
def test_an_environment_without_gymnasium(script, name, what):
    message = f"{name}: the {what} needs gymnasium {HALTED.format('gymnasium')}\n"
    assert script(name) == (2, "", message)


@pytest.mark.parametrize(
    ("name", "arguments", "shown"),
    [
        ("digits", [], "441 of 450"),
        ("e_prop", ["--quick"], "it falls >= 4 times: "),
        ("izhikevich_patterns", [], "C  tonic bursting: 28 spikes, 28 in floating point\n"),
        ("looming", ["--trials", "8"], "asked >= 95% avoided, measured 100% of 8\n"),
        ("readout", [], "fired most, "),
        ("sigma_delta_theory", [], "dB per decade; theory: 20\n"),
        ("stdp_window", ["--pairs", "300"], "stochastic: tau asked 20.00, measured "),
    ],
)
def test_a_script_needs_nothing_else(script, name, arguments, shown):
    status, out, err = script(name, *arguments)
    assert (status, err) == (0, "")
    assert shown in out


def test_equilibrium_needs_nothing_else(script):
    """So few repeats do not show what it asks, which it says, with status 1."""
    status, out, err = script("equilibrium", "--settings=1", "--repeats=1", "--epochs=1")
    assert (status, err) == (1, "")
    assert "FAILS  XOR: every answer of the trained program is right: " in out


def test_x86_code_without_its_packages(script):
    status, _, err = script("readout", "--x86")
    assert status == 2
    assert "readout: " in err
    assert err.count("\n") == 1


def test_growth_without_matplotlib(script, monkeypatch):
    monkeypatch.setitem(FILES, "growth", ROOT / "tests" / "benchmarks" / "growth.py")
    message = f"growth: a picture needs matplotlib {HALTED.format('matplotlib')}\n"
    assert script("growth", "a.svg") == (2, "", message)


def test_an_interrupted_script_says_so(script, monkeypatch):
    monkeypatch.setattr("emulator.load_chip", lambda name: (_ for _ in ()).throw(KeyboardInterrupt))
    assert script("readout") == (130, "", "readout: interrupted\n")


def test_the_digits_spread_over_tiles_by_themselves(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    common = ["run", "digits", "--chip", "loihi", "--steps", "140", "--reset-every", "14"]
    assert main([*common, "-o", "spread"]) == 0
    assert main([*common, "-o", "packed", "--param", "neurons_per_core=256"]) == 0
    spread, packed = Run.load("spread"), Run.load("packed")
    cores = [set(run.program.segments[:, 3].tolist()) for run in (spread, packed)]
    n_tiles = [len({core // spread.chip.mesh.cores_per_tile for core in used}) for used in cores]
    assert n_tiles == [5, 1]
    hops = [run.counters.total("hop_ew") + run.counters.total("hop_ns") for run in (spread, packed)]
    assert hops[0] > 0 == hops[1]
    assert spread.timing.total_cycles * 5 < packed.timing.total_cycles
    for name in ("hidden", "digit"):
        assert np.array_equal(spread.spikes[name], packed.spikes[name])
    capsys.readouterr()


def test_the_digits_are_those_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    selection = pytest.importorskip("sklearn.model_selection")
    theirs = datasets.load_digits()
    images, labels = load_digits()
    assert np.array_equal(images * 16, theirs.data)
    assert np.array_equal(labels, theirs.target)
    parts = selection.train_test_split(
        images, labels, test_size=0.25, stratify=labels, random_state=0
    )
    assert all(np.array_equal(a, b) for a, b in zip(load_split(), parts, strict=True))
