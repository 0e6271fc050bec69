"""What is said of management cores: figures, tables, and the option of the command line."""

import io
import json

import pytest
from rich.console import Console

from emulator import Run
from emulator.cli import main
from emulator.observe.render import print_report
from emulator.observe.report import figures
from tests.test_management import TINY, everything, relay, run


def managed(timing="analytic"):
    net = relay()
    net.channel("out", 0, "host")
    net.manage(0, "post", everything, every=2, instructions=60)
    net.manage("host", "pre", lambda core: core.waiting("out") and core.receive("out"))
    return run(net, 4, timing=timing)


@pytest.mark.parametrize("timing", ["analytic", "cycle", "off"])
def test_the_figures_are_what_was_done(timing, tmp_path):
    net = relay()
    net.channel("out", 0, "host")
    net.manage(0, "post", everything, every=2, instructions=60)
    result = run(net, 4, timing=timing)
    data = figures(result)["management"]
    assert json.loads(json.dumps(data)) == data
    (core,) = data["cores"]
    assert {k: core[k] for k in ("core", "tile", "calls", "instructions", "words_read", "words_written", "messages")} == {
        "core": 0, "tile": 0, "calls": 2, "instructions": 200, "words_read": 8, "words_written": 4, "messages": 2,
    }  # fmt: skip
    assert data["host_messages"] == 2
    assert data["steps"] == 2
    cycles = int(result.management_cycles()[0].sum())
    if timing == "off":
        assert data["cycles"] is data["share_of_time"] is None
    else:
        assert data["cycles"] == sum(core["cycles_by_phase"].values()) == cycles
        assert data["share_of_time"] == cycles / result.timing.total_cycles
    result.save(tmp_path / "run")
    assert figures(Run.load(tmp_path / "run"))["management"] == data


def test_a_run_without_management_says_nothing_of_it():
    assert figures(run(relay(), 2))["management"] is None


@pytest.mark.parametrize("width", [80, 132])
def test_the_table_fits(width):
    console = Console(file=io.StringIO(), width=width)
    print_report(managed(), console)
    text = console.file.getvalue()
    assert "Management cores" in text
    assert "of the run's time: " in text
    assert max(map(len, text.splitlines())) <= width


def test_the_options_mistakes_come_at_once(tmp_path, capsys):
    path = tmp_path / "net.py"
    path.write_text("from emulator import Network\ndef network():\n    n = Network()\n    n.input('a', 1)\n"
                    "    n.population('b', 1, vth_mant=1)\n    return n\n")  # fmt: skip
    code = main([
        "run", str(path), "--chip", "tiny", "-o", str(tmp_path / "r"),
        "--management", "core=x,phase=now,elf=f", "--management", "core=0,core=1", "--management", "what",
    ])  # fmt: skip
    assert code == 2
    lines = " ".join(capsys.readouterr().err.split())
    for text in (
        "--management core=x,phase=now,elf=f: core is 'x'; it must be a whole number",
        "--management core=x,phase=now,elf=f: phase is 'now'; allowed: pre, post, pre_learning, post_learning, host",
        "--management core=0,core=1: core is given twice",
        "--management what: 'what' is no KEY=VALUE; keys are: core, phase, elf, every, first, when",
    ):
        assert text in lines
    assert not (tmp_path / "r").exists()
    assert TINY.management.cores == 3
