import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emulator import Emulator, Program, compile_network, load_chip
from emulator.cli import app, main
from emulator.importers.python_file import PythonFile
from emulator.observe.run import Run
from emulator.observe.writing import RunWriter
from tests.conftest import ROOT

NETWORK = """
import numpy as np
from emulator import Network

def network(size=8, weight=120):
    net = Network("demo")
    source = net.input("in", size)
    cells = net.population("cells", size, du=400, dv=128, vth_mant=100)
    net.connect(source, cells, weights=np.eye(size, dtype=int) * weight)
    net.connect(cells, cells, weights=np.full((size, size), -20), delay=2)
    net.probe(cells, "v")
    return net

def inputs(steps, seed):
    return {"in": np.random.default_rng(seed).random((steps, 8)) < 0.3}
"""
COMMANDS = tuple(name for name, _ in app.all_commands())


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "net.py").write_text(NETWORK)
    return tmp_path


@pytest.fixture
def cli(capsys):
    """Return a function that runs one command line and gives its status, output and errors."""

    def run(line):
        status = main(line.split())
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def refused(cli):
    def run(line):
        status, _, err = cli(line)
        assert status == 2, err
        assert all(text.startswith("emulator: ") for text in err.splitlines())
        return err.replace("emulator: ", "")

    return run


@pytest.fixture
def done(cli):
    def run(line):
        status, out, err = cli(line)
        assert (status, err) == (0, "")
        return out

    return run


def shell(line, **options):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    command = line.replace("emulator ", f"{sys.executable} -m emulator ", 1)
    return subprocess.run(
        command, shell=True, capture_output=True, text=True, env=environment, check=False, **options
    )


# help


def test_help_lists_the_commands_and_each_has_an_example(done):
    text = done("--help")
    assert all(f" {command.split()[0]} " in text for command in COMMANDS)
    for command in COMMANDS:
        assert "Example: emulator " in done(f"{command} --help")


def test_without_arguments_help_is_shown(cli, done):
    assert cli("") == (0, done("--help"), "")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("frobnicate", "No such command 'frobnicate'"),
        ("check", "Missing argument 'CHIP...'"),
        ("run --chip tiny", "PROGRAM|NETWORK must be given (or --resume RUN alone)"),
        ("run net.py -o out", "--chip CHIP must be given (or --resume RUN alone)"),
        ("run net.py --chip tiny -o out --stops 3", "No such option: --stops"),
        (
            "run net.py --chip tiny -o out --steps many",
            "Invalid value for '--steps': Input should be a valid integer",
        ),
        (
            "run net.py --chip tiny -o out --threads 0",
            "Invalid value for '--threads': Input should be greater",
        ),
        ("run net.py --chip tiny -o out --timing never", "--timing never: allowed: off, analytic"),
        ("run net.py --chip tiny -o out --param size", "--param size: it must be KEY=VALUE"),
        ("run net.py --chip tiny -o out --param a=1 --param a=2", "--param a: given twice"),
        ("report runs --map wires", "--map wires: allowed: energy, spikes"),
    ],
)
def test_mistakes_in_the_arguments(here, refused, line, message):
    assert message in refused(line)
    assert not (here / "out").exists()


# chips


def test_check_shows_costs_in_ns_and_cycles(done):
    text = done("check tiny loihi")
    chip = load_chip("loihi")
    assert "tiny: valid" in text
    assert "loihi: valid" in text
    cost = chip.costs.synaptic_event
    cycles = chip.service_cycles("synaptic_event")
    pattern = rf"synaptic_event +{cost.energy_pj:g} +{cost.time_ns:g} +{cycles:,} "
    assert re.search(pattern, text)


def test_check_reports_every_bad_file_and_still_shows_the_good(here, cli):
    (here / "bad.yaml").write_text("format: 1\nmesh: 3\n")
    status, out, err = cli("check bad.yaml tiny missing.yaml")
    assert status == 2
    assert "tiny: valid" in out
    assert "bad.yaml" in err
    assert "missing.yaml" in err
    assert all(line.startswith("emulator: ") for line in err.splitlines())


def test_check_with_a_changed_key(done, refused):
    assert "5 x " in done("check tiny --set mesh.width=5")
    assert "mesh.widht" in refused("check tiny --set mesh.widht=5")


def test_chips_lists_the_shipped_ones(done):
    text = done("chips")
    assert all(name in text for name in ("loihi", "loihi2", "loihi2_full", "tiny"))


def test_chips_prints_the_schema(done):
    schema = json.loads(done("chips --schema"))
    assert "mesh" in schema["properties"]


# compile, run, report


def test_compile_writes_a_program(here, done):
    text = done("compile net.py --chip tiny --param size=8 --param weight=100 -o net.program")
    program = Program.load(here / "net.program")
    assert program.n_compartments == 8
    assert "8 neurons and 72 synapses" in text
    assert "in->cells" in text
    assert program.sha256[:16] in text


def test_run_of_a_network_and_of_its_program_equal_the_python_interface(here, done):
    chip = load_chip("tiny")
    file = PythonFile(here / "net.py")
    program = compile_network(file.network(), chip)
    inputs = file.inputs(50, 3)
    step, neuron = np.nonzero(inputs["in"])
    np.savez("spikes.npz", in_step=step, in_neuron=neuron)
    expected = Emulator(chip, program).run(50, inputs, seed=3)

    done("run net.py --chip tiny --steps 50 --seed 3 -o first")
    done("compile net.py --chip tiny -o net.program")
    done("run net.program --chip tiny --steps 50 --seed 3 --threads 2 --input spikes.npz -o second")

    for name in ("first", "second"):
        run = Run.load(here / name)
        np.testing.assert_array_equal(run.spikes["cells"], expected.spikes["cells"])
        np.testing.assert_array_equal(
            run.recordings["cells"]["v"], expected.recordings["cells"]["v"]
        )
        assert run.counters == expected.counters
        assert run.timing == expected.timing
        assert run.wall_seconds > 0
    assert (here / "second" / "program.safetensors").samefile(here / "net.program")
    assert len(pd.read_parquet(here / "first" / "spikes.parquet")) == len(expected.spike_step)


def test_run_prints_figures_and_the_report_prints_more(here, done):
    text = done("run net.py --chip tiny --steps 40 -o out")
    again = done("run net.py --chip tiny --steps 40 -o again")
    assert text.splitlines()[:-1] == again.splitlines()[:-1]
    assert text.splitlines()[-1].startswith("saved in out; ")
    run = Run.load(here / "out")
    report = done("report out")
    for output in (text, report):
        assert f"{run.counters.total('synaptic_event'):,}" in output
        assert f"{run.timing.total_cycles:,}" in output
    assert "Energy by event" in report
    assert "spikes emitted by each core" in done("report out --map spikes")
    data = json.loads(done("report out --json"))
    assert data["run"]["steps"] == 40
    assert data["events"]["synaptic_event"] == run.counters.total("synaptic_event")


def test_steps_follow_from_the_input_file(here, done):
    np.savez("spikes.npz", in_step=[4], in_neuron=[0])
    done("run net.py --chip tiny --input spikes.npz -o out")
    # The last spike, one layer, and once round the loop, whose delay is 2.
    assert Run.load(here / "out").n_steps == 5 + 1 + 3


def test_a_network_without_input_spikes_is_warned_of(here, cli):
    (here / "silent.py").write_text(NETWORK.replace("def inputs", "def other"))
    status, _, err = cli("run silent.py --chip tiny -o out")
    assert (status, err) == (0, "emulator: warning: no spikes were given for input: in\n")
    assert Run.load(here / "out").n_steps == 100


def test_timing_off_has_no_static_part(here, done):
    assert "not timed" in done("run net.py --chip tiny --timing off -o out")
    assert json.loads(done("report out --json"))["timing"] is None


def test_an_existing_folder_needs_force(here, done, refused):
    done("run net.py --chip tiny --steps 3 -o out")
    message = "out: exists already; choose another name, or replace it with --force\n"
    assert refused("run net.py --chip tiny --steps 4 -o out") == message
    assert Run.load(here / "out").n_steps == 3
    done("run net.py --chip tiny --steps 4 --force -o out")
    assert Run.load(here / "out").n_steps == 4


def test_neurons_per_core_and_mapping_change_the_placement(here, done):
    done("compile net.py --chip tiny --neurons-per-core 3 -o spread.program")
    cores = Program.load(here / "spread.program").segments[:, 3]
    assert len(set(cores.tolist())) == 3
    (here / "map.txt").write_text("cells[0:4] 5\ncells[4:8] 2\n")
    done("compile net.py --chip tiny --mapping map.txt -o mapped.program")
    assert sorted(Program.load(here / "mapped.program").segments[:, 3].tolist()) == [2, 5]


def test_a_nir_file_runs_with_dt(here, done, refused):
    nir = ROOT / "programs" / "digits.nir"
    assert "give --dt" in refused(f"compile {nir} --chip loihi -o digits.program")
    assert "assumption: " in done(f"compile {nir} --dt 1e-3 --chip loihi -o digits.program")


def test_a_step_that_is_too_short_for_a_nir_file_is_warned_of(here, cli):
    nir = ROOT / "programs" / "digits.nir"
    status, _, err = cli(f"compile {nir} --dt 1e-4 --chip loihi -o digits.program")
    assert status == 0
    assert "check that dt = 0.0001 is in the unit of tau" in err


# what it rests on

ASSUMING = (
    NETWORK.replace(
        "    return net\n",
        "    net.assumptions += [f'it is number {k} of them' for k in range(n)]\n    return net\n",
        1,
    )
    .replace("weight=120)", "weight=120, n=7)")
    .replace("def inputs", "def other")
)


@pytest.mark.parametrize("command", ["compile", "run"])
def test_assumptions_stand_behind_the_result_and_are_few(here, cli, command):
    (here / "many.py").write_text(ASSUMING)
    line = f"{command} many.py --chip tiny"
    _, out, _ = cli(line)
    lines = out.splitlines()
    first = lines.index("assumption: it is number 0 of them")
    assert lines[first:-1] == [
        *(f"assumption: it is number {k} of them" for k in range(4)), "3 more with --verbose"
    ]  # fmt: skip
    assert "in->cells" in "".join(lines[:first]) or "energy" in "".join(lines[:first])
    assert lines[-1].startswith(("written to ", "saved in "))
    _, out, _ = cli(f"{line} --verbose")
    assert out.splitlines()[-8:-1] == [f"assumption: it is number {k} of them" for k in range(7)]
    _, out, _ = cli(f"{line} --param n=5")
    assert out.splitlines()[-6:-1] == [f"assumption: it is number {k} of them" for k in range(5)]
    _, out, _ = cli(f"{line} --param n=0")
    assert "assumption" not in out


def test_warnings_stand_before_the_result_on_the_standard_error(here):
    clipping = NETWORK.replace("weights=np.eye(size, dtype=int) * weight", "weights=np.full((size, size), -256), sign_mode='mixed', weight_exp=7")  # fmt: skip
    (here / "warned.py").write_text(clipping.replace("def inputs", "def other"))
    both = "--chip tiny --set arithmetic.weight_policy=brian 2>&1"
    for command in ("compile", "run"):
        lines = shell(f"emulator {command} warned.py {both}", cwd=here).stdout.splitlines()
        assert lines[0].startswith("emulator: warning: projection 'in->cells': 64 weights act as")
        assert not any("warning" in line for line in lines[2:])
    assert lines[1] == "emulator: warning: no spikes were given for input: in"


def test_odd_names_are_printed_as_they_are(here, done, cli):
    """Square brackets are no markup."""
    (here / "[bold]odd.yaml").write_text((ROOT / "chipconfigs" / "tiny.yaml").read_text())
    assert "[bold]odd.yaml: valid" in done("check [bold]odd.yaml")
    (here / "[red].csv").write_text("cycle,src,dst,size\n0,0,63,1\n")
    assert "[red].csv on noc_s: 1 packets" in done("noc replay [red].csv --chip noc_s -o a.npz")


# mistakes of the user


def test_names_of_files_do_not_reach_the_terminal_as_commands(here, refused):
    (here / "\x1b[31mred.py").write_text("1/0")
    assert refused("run \x1b[31mred.py --chip tiny -o out") == (
        "\\x1b[31mred.py:1: ZeroDivisionError: division by zero\n"
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def network(:", "bad.py:1: invalid syntax"),
        ("import nonesuch", "bad.py:1: ModuleNotFoundError: No module named 'nonesuch'"),
        ("x = 1", "bad.py: it has no function network(); it must return a Network"),
        (
            "def network():\n    return 3",
            "bad.py: network() returned int; it must return a Network",
        ),
        ("def network():\n\n    return 1 / 0", "bad.py:3: ZeroDivisionError: division by zero"),
        ("raise SystemExit(5)", "bad.py:1: SystemExit: 5"),
        (NETWORK.replace("du=400", "du=4096"), "bad.py:8: "),
        (NETWORK.replace('{"in"', '{"out"'), "inputs: 'out' does not exist; inputs are: in"),
        (NETWORK + "\ndef inputs(steps, seed):\n    return [1]", "inputs() returned list; it must"),
    ],
)
def test_mistakes_in_a_network_file_have_their_line(here, refused, source, message):
    (here / "bad.py").write_text(source)
    assert message in refused("run bad.py --chip tiny -o out")
    assert not (here / "out").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("run none.py --chip tiny -o out", "none.py: cannot be read: No such file or directory"),
        ("run none.program --chip tiny -o out", "none.program: cannot be read: No such file"),
        ("run net.py --chip nowhere -o out", "nowhere"),
        ("run net.py --chip tiny -o a/b", "a/b: the folder "),
        ("run net.py --chip tiny -o out --dt 1", "net.py: --dt is for .nir files"),
        (
            "run net.py --chip tiny -o out --param sice=3",
            "no parameter 'sice'; it has: size, weight",
        ),
        ("run net.py --chip tiny -o out --mapping map.txt", "map.txt"),
        (
            "run net.py --chip tiny -o out --input none.npz",
            "none.npz: cannot be read: No such file or directory",
        ),
        ("run x.program --chip tiny -o out --param a=1", "x.program: --param is for .py files"),
        ("run x.program --chip tiny -o out --mapping m", "x.program: --mapping is for networks"),
        ("compile x.txt --chip tiny -o out", "x.txt: a network is a .py or a .nir file"),
        ("compile net.py --chip tiny -o .", "cannot be written"),
        ("report none", "none: there is no such folder"),
        ("report .", "not a run folder: it has no manifest.json"),
    ],
)
def test_mistakes_in_files(here, refused, line, message):
    assert message in refused(line)
    assert not (here / "out").exists()


def test_a_program_for_another_chip_is_refused(here, cli, done, refused):
    done("compile net.py --chip tiny -o net.program")
    other = "run net.program --chip loihi --set arithmetic.u_bits=20 -o out"
    assert "was compiled for chip 'tiny'" in refused(other)
    status, out, _ = cli("run net.program --chip loihi -o larger")
    assert (status, out.partition(":")[0]) == (0, "demo on loihi")


def test_a_strict_run_stops_at_an_overflow(here, refused, done):
    loud = "weights=np.eye(size, dtype=int) * 254, weight_exp=7"
    source = NETWORK.replace("weights=np.eye(size, dtype=int) * weight", loud)
    (here / "loud.py").write_text(source.replace("du=400", "du=0").replace("< 0.3", "< 2"))
    assert "strict run" in refused("run loud.py --chip tiny --strict -o out")
    assert "overflows" in done("run loud.py --chip tiny -o out")


# how it ends


class Impatient(Emulator):
    """An emulator whose user presses Ctrl-C soon after the start."""

    def run(self, *args, progress, **options):
        def press(done):
            progress(done)
            os.kill(os.getpid(), signal.SIGINT)

        return super().run(*args, progress=press, **options)


def test_ctrl_c_keeps_a_readable_partial_run(here, cli, monkeypatch):
    np.savez("one.npz", in_step=[0], in_neuron=[0])
    monkeypatch.setattr("emulator.emulator.Emulator", Impatient)
    status, out, err = cli("run net.py --chip tiny --steps 1000000 --input one.npz -o out")
    run = Run.load(here / "out")
    assert run.status == "interrupted"
    assert 0 < run.n_steps < run.steps_asked == 10**6
    message = f"interrupted after {run.n_steps:,} of 1,000,000 steps; what was run is in out"
    assert (status, err) == (130, f"emulator: {message}\n")
    for text in (out, cli("report out")[1]):
        assert f"INTERRUPTED after {run.n_steps:,} of 1,000,000 steps" in text


def test_ctrl_c_before_the_run_leaves_nothing(here, cli, monkeypatch):
    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("emulator.cli.running.load", interrupted)
    for line in ("run net.py --chip tiny -o out", "run net.py --chip tiny"):
        assert cli(line) == (130, "", "emulator: interrupted\n")
    assert [path.name for path in here.iterdir()] == ["net.py"]


def test_an_unexpected_error_is_a_bug_and_shows_itself(here, monkeypatch):
    def broken(*_args, **_options):
        raise ZeroDivisionError

    monkeypatch.setattr("emulator.observe.run.Run.load", broken)
    with pytest.raises(ZeroDivisionError):
        main(["report", "out"])


def test_a_closed_pipe_is_no_error(here, done):
    done("run net.py --chip tiny --steps 5 -o out")
    piped = shell("emulator report out --json | head -n 1", cwd=here)
    assert (piped.stdout, piped.stderr) == ("{\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_the_output_is_said(here, done):
    done("run net.py --chip tiny --steps 5 -o out")
    for line in (
        "emulator chips",
        "emulator report out --json",
        "emulator run net.py --chip tiny -o more",
    ):
        ended = shell(f"{line} > /dev/full", cwd=here)
        assert (ended.returncode, ended.stderr) == (
            2,
            "emulator: the output: No space left on device\n",
        )


def test_ctrl_c_during_the_imports_is_said(capsys, monkeypatch):
    class Interrupted:
        def __getattr__(self, name):
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "emulator.cli.app", Interrupted())
    assert main(["chips"]) == 130
    assert capsys.readouterr().err == "emulator: interrupted\n"


def test_ctrl_c_while_saving_still_saves(here, cli, monkeypatch):
    whole = RunWriter.finish

    def finish(self, run):
        os.kill(os.getpid(), signal.SIGINT)
        whole(self, run)

    monkeypatch.setattr(RunWriter, "finish", finish)
    status, out, err = cli("run net.py --chip tiny --steps 5 -o out")
    assert (status, err) == (130, "emulator: interrupted when all was done: nothing is missing\n")
    assert out.splitlines()[-1].startswith("saved in out; ")
    assert Run.load(here / "out").status == "complete"


def test_compile_replaces_programs_and_nothing_else(here, done, refused):
    done("compile net.py --chip tiny -o net.program")
    done("compile net.py --chip tiny -o net.program")
    before = Path("net.py").read_text()
    assert refused("compile net.py --chip tiny -o net.py") == (
        "net.py: this is the network itself; choose another name\n"
    )
    Path("notes.txt").write_text("mine")
    assert refused("compile net.py --chip tiny -o notes.txt") == (
        "notes.txt: exists and is no program; it is not replaced: choose another name\n"
    )
    assert (Path("net.py").read_text(), Path("notes.txt").read_text()) == (before, "mine")


def test_samples_in_a_row_are_reset(here, done):
    np.savez("two.npz", in_step=[0, 1, 5, 6], in_neuron=[0, 1, 0, 1])
    done("run net.py --chip tiny --steps 10 --input two.npz --reset-every 5 -o out")
    found = Run.load(here / "out").spikes
    both = [
        [rows[rows[:, 0] // 5 == k] - [5 * k, 0] for rows in (found[name] for name in found)]
        for k in (0, 1)
    ]
    assert all(np.array_equal(a, b) for a, b in zip(*both, strict=True))


def test_the_version_is_printed(done):
    assert re.fullmatch(r"(\d+\.\d+\.\d+|not installed)\n", done("--version"))
