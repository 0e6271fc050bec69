"""Ctrl-C ends a command with status 130 and SIGTERM with 143, whatever it was doing; nothing half done is left."""

import os
import signal
import subprocess
import sys

import pytest

from emulator import Program, Run
from tests.conftest import ROOT

NETWORK = """
import os
import numpy as np
from emulator import Network

SIGNAL = int(os.environ["SIGNAL"])

def press():
    os.kill(os.getpid(), SIGNAL)

def network():
    net = Network("demo")
    source = net.input("in", 8)
    cells = net.population("cells", 8, vth_mant=100)
    net.connect(source, cells, weights=np.eye(8, dtype=int) * 120)
    {in_network}
    return net

def inputs(steps, seed):
    {in_inputs}
    return {{"in": np.ones((steps, 8), bool)}}
"""
STARTED = """
import sys
sys.argv[0] = "emulator"
{before}
from emulator.cli import main
sys.exit(main())
"""
AT_IMPORT = """
import os
class Press:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))
sys.meta_path.insert(0, Press())
"""
AT_FIRST_PART = """
    from emulator.observe.writing import RunWriter as Writer
    add, pressed = Writer.add, []
    Writer.add = lambda self, part: (add(self, part), pressed or press(), pressed.append(1))
"""
# Where in the work the signal comes: what the file of the network does then.
MOMENTS = {
    "in the network's file": {"in_network": "press()"},
    "in a text of code": {"in_network": "exec('press()')"},
    "while it is compiled": {
        "in_network": "from emulator.program import Program; Program.__init__ = lambda *_, **__: press()"
    },
    "in its inputs": {"in_inputs": "press()"},
}


@pytest.fixture
def started(tmp_path):
    """Return a function that runs a command in a process of its own, and gives status, output and errors."""

    def run(line, number=signal.SIGINT, before="", preexec=None, **moment):
        text = NETWORK.format(**{"in_network": "pass", "in_inputs": "pass"} | moment)
        (tmp_path / "net.py").write_text(text)
        environment = os.environ | {"PYTHONPATH": str(ROOT), "SIGNAL": str(int(number))}
        done = subprocess.run(
            [sys.executable, "-c", STARTED.format(before=before), *line.split()],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, preexec_fn=preexec,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run


def left(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
@pytest.mark.parametrize(
    ("number", "status", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_before_a_step_is_run_nothing_is_left(started, tmp_path, moment, number, status, word):
    line = "run net.py --chip tiny --steps 20"
    assert started(line, number, **moment) == (status, "", f"emulator: {word}\n")
    assert left(tmp_path) == ["net.py"]


@pytest.mark.parametrize("module", ["typer", "emulator.cli.chips", "numpy", "pydantic"])
def test_while_it_is_imported(started, module):
    before = AT_IMPORT.format(name=module)
    assert started("check tiny", before=before) == (130, "", "emulator: interrupted\n")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_while_it_runs_what_was_run_is_kept(started, tmp_path, number, status):
    moment = {"in_inputs": AT_FIRST_PART}
    line = "run net.py --chip tiny --steps 300000 --timing off -o out"
    code, out, err = started(line, number, **moment)
    run = Run.load(tmp_path / "out")
    assert (code, run.status) == (status, "interrupted")
    assert (
        err
        == f"emulator: interrupted after {run.n_steps:,} of 300,000 steps; what was run is in out\n"
    )
    assert f"INTERRUPTED after {run.n_steps:,} of 300,000 steps" in out
    assert left(tmp_path) == ["net.py", "out"]


def test_while_a_run_with_checkpoints_goes_on(started, tmp_path):
    moment = {"in_inputs": AT_FIRST_PART}
    line = "run net.py --chip tiny --steps 200000 --timing off --checkpoint-every 500"
    code, out, err = started(line, signal.SIGTERM, **moment)
    n_steps = Run.load(tmp_path / "net_run").n_steps
    assert (code, out) == (143, "")
    assert err == (
        f"emulator: interrupted after {n_steps:,} of 200,000 steps; 'emulator run --resume net_run' goes on from there\n"
    )


@pytest.mark.parametrize(
    "line", ["run net.py --chip tiny --steps 20", "compile net.py --chip tiny"]
)
def test_while_it_is_written(started, tmp_path, line):
    """What is written is whole, or not there at all."""
    moment = {
        "in_network": "import emulator.atomic as a; old = a._sync_folder; a._sync_folder = lambda p: (press(), old(p))",
    }
    code, _, err = started(line, **moment)
    assert code == 130
    assert err in (
        "emulator: interrupted\n",
        "emulator: interrupted when all was done: nothing is missing\n",
    )
    if "net.program" in left(tmp_path):
        assert Program.load(tmp_path / "net.program").n_compartments == 8
    elif "net_run" in left(tmp_path):
        assert Run.load(tmp_path / "net_run").status == "complete"
    else:
        assert left(tmp_path) == ["net.py"]


def test_an_interruption_that_python_ignores_has_its_status_all_the_same(started, tmp_path):
    moment = {"in_network": "type('Careless', (), {'__del__': lambda _: press()})()"}
    code, out, err = started("run net.py --chip tiny --steps 20 -o out", **moment)
    assert code == 130
    assert "saved in out" in out
    assert err.splitlines()[-1] == "emulator: interrupted when all was done: nothing is missing"
    assert Run.load(tmp_path / "out").status == "complete"


def test_a_library_that_makes_an_error_of_it_does_not_hide_it(started):
    before = """
import os, emulator.cli.app
def broken(_):
    try:
        os.kill(os.getpid(), 2)
    except KeyboardInterrupt:
        raise ValueError("cancelled") from None
emulator.cli.app.run_command = broken
"""
    assert started("chips", before=before) == (130, "", "emulator: interrupted\n")


def test_a_job_in_the_background_is_not_interrupted_but_can_be_terminated(started, tmp_path):
    def ignored():
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    line = "run net.py --chip tiny --steps 20"
    moment = {"in_network": "press()"}
    assert started(line, signal.SIGINT, preexec=ignored, **moment)[0] == 0
    assert left(tmp_path) == ["net.py", "net_run"]
    assert started(line, signal.SIGTERM, preexec=ignored, **moment) == (143, "", "emulator: terminated\n")  # fmt: skip


def test_a_process_that_a_network_forks_ends_as_usual(started):
    fork = """child = os.fork()
    if not child:
        import time
        time.sleep(60)
        os._exit(0)
    os.kill(child, 15)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -15"""
    code, _, err = started("run net.py --chip tiny --steps 3", in_network=fork)
    assert (code, err) == (0, "")
