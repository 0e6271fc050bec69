"""Every command has --json: then the standard output holds one JSON document, and nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from emulator import Emulator, Network, Run, compile_network, load_chip
from emulator.cli import app, main
from emulator.observe.report import figures
from tests.conftest import ROOT
from tests.management_tools import needs_compiler

LOUD = """
import os
import numpy as np
from emulator import Network

print("this file is loaded")

def network():
    print("the network is made")
    os.system("echo by another program")
    net = Network("loud")
    source = net.input("in", 4, core=0)
    other = net.input("other", 4)
    cells = net.population("cells", 4, threshold=1.0)
    net.connect(source, cells, weights=np.eye(4) * 2)
    net.connect(other, cells, weights=np.eye(4) * 0.5)
    net.manage(0, "post", lambda core: print("a management core"), instructions=3)
    return net

def inputs(steps, seed):
    print("inputs are made")
    return {}
"""
LEARNER = """
import numpy as np
from emulator import Network, Rule, Trace

def network():
    net = Network("learner")
    rule = Rule(dw="x1*y0", x1=Trace(16, 10))
    net.connect(net.input("in", 2), net.population("cells", 2, vth_mant=100), weights=np.eye(2, dtype=int), learning=rule)
    return net
"""
LINES = {
    "chips": "chips",
    "check": "check tiny loihi",
    "programs": "programs",
    "compile": "compile loud.py --chip loihi -o new.program",
    "run": "run loud.py --chip loihi --steps 3 -o new_run",
    "report": "report made",
    "retime": "retime made --chip loihi2",
    "noc replay": "noc replay t.csv --chip noc_s -o out.npz",
    "noc sweep": "noc sweep --chip noc_s --traffic uniform --loads 0.1,0.000001 --cycles 50 --warmup 0 -o out.csv",
    "models": "models --chip tiny",
    "asm": "asm lif if --chip loihi2",
    "disasm": "disasm p.program",
    "step": "step p.program --neuron p[1] --steps 2",
    "learn show": "learn show dw=x1*y0 --trace x1=16,10",
    "learn save": "learn save learned -o trained.program",
    "build-management": "build-management --header-only --program p.program -o management.h",
}
NAMES = [name for name, _ in app.all_commands()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with something for every command."""
    here = tmp_path_factory.mktemp("json")
    chip, net = load_chip("loihi2"), Network("small")
    source = net.input("in", 2)
    p = net.population("p", 4, model="if", threshold=[10, 20, 30, 40])
    net.connect(source, p, weights=[[2, 0]] * 4, weight_exp=-6)
    program = compile_network(net, chip)
    program.save(here / "p.program")
    Emulator(chip, program).run(5, {"in": [[0, 0], [1, 1]]}).save(here / "made")
    (here / "loud.py").write_text(LOUD)
    (here / "learner.py").write_text(LEARNER)
    (here / "t.csv").write_text("cycle,src,dst,size\n0,0,63,1\n0,5,5,3\n4,63,1,2\n")
    assert main(f"run {here}/learner.py --chip loihi2 --steps 9 -o {here}/learned".split()) == 0
    return here


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for name in ("new_run", "new.program", "trained.program"):
        assert not (folder / name).exists()
    yield folder
    subprocess.run(["rm", "-rf", "new_run", "new.program", "trained.program"], check=True)


def unequal(_constant):
    raise AssertionError("NaN and infinities are no JSON")


def document(text: str) -> dict:
    read = json.loads(text, parse_constant=unequal)
    assert isinstance(read, dict)
    assert read["format"].startswith("emulator-")
    assert isinstance(read["version"], int)
    return read


def test_there_is_a_line_for_every_command():
    assert list(LINES) == NAMES


@pytest.mark.parametrize(("name", "command"), list(app.all_commands()), ids=NAMES)
def test_every_command_has_the_option(name, command):
    assert any("--json" in parameter.opts for parameter in command.params), name


@pytest.mark.parametrize("name", NAMES)
def test_its_output_is_one_document(capfd, name):
    assert main([*LINES[name].split(), "--json"]) == 0
    read = document(capfd.readouterr().out)
    expected = "report" if name == "run" else name.replace(" ", "-")
    assert read["format"] == f"emulator-{expected}"


def test_what_a_network_prints_goes_to_the_standard_error():
    for stdout in (subprocess.PIPE,):
        done = subprocess.run(
            [sys.executable, "-m", "emulator", *LINES["run"].split(), "--json"],
            stdout=stdout, stderr=subprocess.PIPE, text=True, check=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    assert document(done.stdout)["run"]["steps"] == 3
    said = done.stderr.splitlines()
    for text in ("this file is loaded", "the network is made", "inputs are made", "a management core", "by another program"):  # fmt: skip
        assert text in said
    assert "emulator: warning: no spikes were given for input: other" in said


def test_a_run_prints_its_report(capsys):
    assert main([*LINES["run"].split(), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == figures(Run.load("new_run")) | {"written": {"path": "new_run"}}  # fmt: skip


def given(capsys, line: str, status: int = 0) -> dict:
    assert main([*line.split(), "--json"]) == status
    return document(capsys.readouterr().out)


def test_what_is_compiled_is_described(capsys):
    read = given(capsys, LINES["compile"])
    assert (read["network"], read["neurons"], read["synapses"], read["cores"]) == ("loud", 4, 8, 1)
    assert [line["name"] for line in read["projections"]] == ["in->cells", "other->cells"]
    assert read["projections"][1]["quantisation"]["max_abs_error"] < 0.1
    assert read["written"]["path"] == "new.program"
    assert read["written"]["bytes"] == Path("new.program").stat().st_size


def test_mistakes_stand_beside_what_is_right(capsys):
    for line, key in (("check tiny p.program", "chips"), ("asm lif t.csv", "programs")):
        assert main([*line.split(), "--json"]) == 2
        captured = capsys.readouterr()
        first, second = document(captured.out)[key]
        assert first["file"] in ("tiny", "lif")
        assert second["mistakes"]
        assert captured.err == f"emulator: {second['mistakes'][0]}\n"


def test_an_error_prints_no_document(capsys):
    assert main(["compile", "none.py", "--chip", "tiny", "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "emulator: none.py: cannot be read: No such file or directory\n"


def test_figures_of_the_others(capsys):
    chip = load_chip("loihi2")
    read = given(capsys, "asm if --chip loihi2")["programs"][0]
    assert read["shortest"] == {"instructions": 6, "cycles": 12, "spikes": False, "way": list(range(6))}  # fmt: skip
    assert read["instructions"][7] == {
        "index": 7, "encoding": "2100100000000000", "label": None, "text": "ADD     v, v, r0"
    }  # fmt: skip
    read = given(capsys, LINES["noc sweep"])
    assert read["points"][1]["latency_mean"] is None  # no packet was made
    read = given(capsys, LINES["noc replay"])
    assert sum(link["flits"] for link in read["links"]) > 3
    read = given(capsys, "chips")["chips"]
    mine = next(line for line in read if line["name"] == "loihi2")
    assert mine["neurons"] == chip.mesh.n_cores * chip.core.neurons
    read = given(capsys, LINES["learn show"])["rules"][0]
    assert read["visit"]["instructions"] == len(read["instructions"]) == 3
    read = given(capsys, LINES["step"])
    assert [step["step"] for step in read["steps"]] == [0, 1]
    assert [e["text"] for e in read["steps"][0]["instructions"]]
    read = given(capsys, LINES["models"])["models"]
    assert any(line["exceeds"] for line in read) or all(line["exceeds"] == [] for line in read)


@needs_compiler
def test_warnings_of_the_compiler_are_in_the_document(capsys, here):
    (here / "w.c").write_text('#include "management.h"\nvoid run(void) { int unused; }\n')
    read = given(capsys, "build-management w.c --program p.program -o w.elf")
    assert any("unused variable" in line for line in read["warnings"])


def test_the_steps_of_a_resumed_run_are_reported(capsys, here):
    np.savez(here / "in.npz", in_step=[0], in_neuron=[0])
    read = given(
        capsys, "run p.program --chip loihi2 --input in.npz --checkpoint-every 1 -o new_run"
    )
    assert read["run"]["status"] == "complete"


# docs/commands.md

REPORTS = ("run", "report", "retime")
"""What a report holds is told by its first keys alone; there are many more below."""


def keys(name: str, read: dict) -> str:
    """Return a line of the page: the keys of a document, and of the first thing in each of its lists."""
    shown = []
    for key, value in read.items():
        if key in ("format", "version"):
            continue
        below = value[0] if isinstance(value, list) and value else value
        inner = list(below) if isinstance(below, dict) and name not in REPORTS else []
        mark = "[]" if isinstance(value, list) and inner else ""
        shown.append(f"`{key}{mark}`" + (f" ({', '.join(map(str, inner))})" if inner else ""))
    return f"| `{name}` | {', '.join(shown)} |"


@pytest.mark.parametrize("name", NAMES)
def test_the_page_has_the_keys(capfd, name):
    assert main([*LINES[name].split(), "--json"]) == 0
    line = keys(name, document(capfd.readouterr().out))
    assert line in (ROOT / "docs" / "commands.md").read_text().splitlines()
