"""A run that was stopped and resumed equals the uninterrupted one to the bit, however it was stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from emulator import Emulator, Network, Run, compile_network, load_chip, resume_run
from emulator.errors import EmulatorError, OverflowPolicyError, RunError
from emulator.observe import writing
from emulator.observe.run import Run as RunType
from emulator.program import Program

CHIP = load_chip("tiny")


def network(**registers) -> Network:
    """Return a network whose neurons fire, remember, rest and wait: every part of the state matters."""
    rng = np.random.default_rng(5)
    net = Network("restless")
    source = net.input("in", 6)
    cells = net.population(
        "cells",
        20,
        **{
            "du": 900, "dv": 100, "vth_mant": 300, "bias_mant": 90, "bias_exp": 3, "refractory": 3,
            "v_init": rng.integers(0, 9000, 20),
        } | registers,
    )  # fmt: skip
    net.connect(source, cells, weights=2 * rng.integers(-60, 90, (20, 6)), delay=2)
    net.connect(
        cells,
        cells,
        weights=2 * rng.integers(-40, 50, (20, 20)),
        delay=rng.integers(0, 4, (20, 20)),
    )
    net.probe(cells, "u", "v", "spikes", neurons=[3, 1, 17])
    net.probe(cells, "spikes")
    return net


PROGRAM = compile_network(network(), CHIP, neurons_per_core=7)
INPUTS = {"in": np.random.default_rng(2).random((200, 6)) < 0.2}


def assert_same(run: RunType, other: RunType) -> None:
    """Compare everything that a run says, but for how long the emulator took."""
    for name in ("n_steps", "seed", "status", "n_overflows", "steps_asked", "counters", "timing"):
        assert getattr(run, name) == getattr(other, name), name
    for name in ("spike_step", "spike_source", "active"):
        assert np.array_equal(getattr(run, name), getattr(other, name)), name
    assert list(run.recordings) == list(other.recordings)
    for population, variables in run.recordings.items():
        assert list(variables) == list(other.recordings[population])
        for variable, rows in variables.items():
            there = other.recordings[population][variable]
            assert rows.dtype == there.dtype
            assert np.array_equal(rows, there), (population, variable)
    assert run.energy().total_pj == other.energy().total_pj


def stop_after(steps: int):
    """Return a progress callback that ends the process' run as Ctrl-C does, at the first look after `steps`."""

    def progress(done: int) -> None:
        if done >= steps:
            os.kill(os.getpid(), signal.SIGINT)

    return progress


@pytest.mark.parametrize("timing", ["off", "analytic", "cycle"])
@pytest.mark.parametrize("options", [{}, {"reset_every": 17}])
def test_a_resumed_run_equals_the_uninterrupted_one(tmp_path, timing, options):
    whole = Emulator(CHIP, PROGRAM).run(200, INPUTS, timing=timing, **options)
    kept = {"timing": timing, "save_to": tmp_path / "run", "checkpoint_every": 30, **options}
    with pytest.raises(
        RunError, match=r"interrupted after .* of 200 steps; 'emulator run --resume"
    ):
        Emulator(CHIP, PROGRAM).run(200, INPUTS, progress=stop_after(50), **kept)
    assert Run.load(tmp_path / "run").status == "unfinished"
    resumed = resume_run(tmp_path / "run", threads=2)
    assert_same(resumed, whole)
    assert_same(Run.load(tmp_path / "run"), whole)
    left = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert not {"parts", "checkpoint.safetensors", "inputs.parquet"} & set(left)


def test_checkpoints_change_nothing_and_parts_make_one_file(tmp_path):
    whole = Emulator(CHIP, PROGRAM).run(200, INPUTS)
    whole.save(tmp_path / "saved")
    streamed = Emulator(CHIP, PROGRAM).run(200, INPUTS, save_to=tmp_path / "streamed")
    kept = Emulator(CHIP, PROGRAM).run(200, INPUTS, save_to=tmp_path / "kept", checkpoint_every=7)
    for run in (streamed, kept, *(Run.load(tmp_path / n) for n in ("saved", "streamed", "kept"))):
        assert_same(run, whole)
    for table in (tmp_path / "saved").glob("*.parquet"):
        one, two, three = (
            pyarrow.parquet.read_table(tmp_path / name / table.name)
            for name in ("saved", "streamed", "kept")
        )
        assert one.equals(two), table.name
        assert one.equals(three), table.name


def test_an_emulator_that_ran_before_is_resumed_from_where_it_was(tmp_path):
    first, second = Emulator(CHIP, PROGRAM), Emulator(CHIP, PROGRAM)
    first.run(13, INPUTS_SHORT)
    second.run(13, INPUTS_SHORT)
    whole = first.run(90)
    with pytest.raises(RunError, match="interrupted"):
        second.run(90, save_to=tmp_path / "run", checkpoint_every=20, progress=stop_after(1))
    assert_same(resume_run(tmp_path / "run"), whole)


INPUTS_SHORT = {"in": INPUTS["in"][:13]}

KILLED = """
import sys
import numpy as np
from emulator import Emulator, load_chip
from emulator.program import Program
program = Program.load(sys.argv[1])
inputs = {"in": np.random.default_rng(2).random((200, 6)) < 0.2}
print("ready", flush=True)
Emulator(load_chip("tiny"), program).run(
    60_000, inputs, timing="analytic", save_to=sys.argv[2], checkpoint_every=2_500, force=True)
"""


def test_kill_at_random_moments_and_resume(tmp_path):
    PROGRAM.save(tmp_path / "p.program")
    whole = Emulator(CHIP, PROGRAM).run(60_000, INPUTS, timing="analytic")
    for moment in np.random.default_rng().uniform(0, 1.0, 4):
        folder = tmp_path / "run"
        arguments = [sys.executable, "-c", KILLED, str(tmp_path / "p.program"), str(folder)]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(moment)
        process.kill()
        process.communicate()
        if not folder.exists():  # killed before its first step: nothing was lost
            continue
        is_finished = json.loads((folder / "manifest.json").read_text())["status"] == "complete"
        assert_same(Run.load(folder) if is_finished else resume_run(folder), whole)


FULL = """
import resource, signal, sys
import numpy as np
from emulator import Emulator, load_chip
from emulator.errors import RunError
from emulator.program import Program
program = Program.load(sys.argv[1])
inputs = {"in": np.random.default_rng(2).random((200, 6)) < 0.2}
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    Emulator(load_chip("tiny"), program).run(
        60_000, inputs, timing="analytic", save_to=sys.argv[2], checkpoint_every=int(sys.argv[4]) or None)
except RunError as error:
    print(error)
    sys.exit(7)
"""


def full_disk(tmp_path: Path, n_bytes: int, every: int) -> str:
    """Run where no file may grow beyond so many bytes, and return the message of the error."""
    PROGRAM.save(tmp_path / "p.program")
    arguments = [tmp_path / "p.program", tmp_path / "run", n_bytes, every]
    done = subprocess.run(
        [sys.executable, "-c", FULL, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    return done.stdout


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path):
    whole = Emulator(CHIP, PROGRAM).run(60_000, INPUTS, timing="analytic")
    message = full_disk(tmp_path, 40_000, 1_000)
    assert message.startswith(f"{tmp_path / 'run'}: cannot be written: ")
    assert "File too large" in message
    assert_same(resume_run(tmp_path / "run"), whole)


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    message = full_disk(tmp_path, 40_000, 0)
    assert message.startswith(f"{tmp_path / 'run'}: cannot be written: ")
    assert [path.name for path in tmp_path.iterdir()] == ["p.program"]


def unfinished(folder: Path) -> None:
    with pytest.raises(RunError, match="interrupted"):
        Emulator(CHIP, PROGRAM).run(
            200, INPUTS, save_to=folder, checkpoint_every=30, progress=stop_after(50)
        )


def test_a_second_process_is_kept_out_and_a_program_may_be_open_twice(tmp_path):
    unfinished(tmp_path / "run")
    with writing.unfinished_folder(tmp_path / "run"):
        code = "import sys; from emulator import resume_run; resume_run(sys.argv[1])"
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "run")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "another process is running this run" in done.stderr
    PROGRAM.save(tmp_path / "p")
    first, second = Program.load(tmp_path / "p"), Program.load(tmp_path / "p")
    compile_network(network(vth_mant=500), CHIP).save(tmp_path / "p")  # replaced while it is open
    runs = [Emulator(CHIP, program).run(100, timing="off") for program in (first, second, PROGRAM)]
    assert_same(runs[0], runs[2])
    assert_same(runs[1], runs[2])
    assert_same(resume_run(tmp_path / "run"), Emulator(CHIP, PROGRAM).run(200, INPUTS))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("checkpoint.safetensors", lambda b: b[:-1], "this checkpoint file is damaged"),
        ("checkpoint.safetensors", lambda b: b[:-9] + bytes([b[-9] ^ 1]) + b[-8:], "the checksum of table"),
        ("checkpoint.safetensors", lambda _: b"", "not a checkpoint file"),
        ("program.safetensors", lambda b: b[:-1], "damaged"),
        ("chip.json", lambda _: b"{}", "chip.json"),
        ("inputs.parquet", lambda b: b[:-4], "no readable Parquet file"),
        ("manifest.json", lambda _: b"{", "damaged: it is not JSON"),
    ],
)  # fmt: skip
def test_a_damaged_folder_is_refused(tmp_path, name, change, message):
    unfinished(tmp_path / "run")
    path = tmp_path / "run" / name
    content = path.read_bytes()
    path.unlink()  # a program may share its file with another name
    path.write_bytes(change(content))
    with pytest.raises(EmulatorError, match=message):
        resume_run(tmp_path / "run")


def test_what_cannot_be_resumed_says_why(tmp_path):
    with pytest.raises(RunError, match="there is no such folder"):
        resume_run(tmp_path / "none")
    Emulator(CHIP, PROGRAM).run(10, save_to=tmp_path / "done")
    with pytest.raises(
        RunError, match="this run is complete; only an unfinished one can be resumed"
    ):
        resume_run(tmp_path / "done")
    with pytest.raises(RunError, match="exists already"):
        Emulator(CHIP, PROGRAM).run(10, save_to=tmp_path / "done")
    with pytest.raises(RunError, match="checkpoint_every needs save_to"):
        Emulator(CHIP, PROGRAM).run(10, checkpoint_every=5)
    with pytest.raises(RunError, match="checkpoint_every is 0"):
        Emulator(CHIP, PROGRAM).run(10, save_to=tmp_path / "new", checkpoint_every=0)


def test_an_error_in_a_run_with_checkpoints_keeps_them(tmp_path):
    chip = load_chip("tiny", set={"arithmetic.u_bits": 14})
    program = compile_network(network(), chip)
    with pytest.raises(OverflowPolicyError):
        Emulator(chip, program).run(
            200, INPUTS, strict=True, save_to=tmp_path / "run", checkpoint_every=2
        )
    with pytest.raises(OverflowPolicyError):
        resume_run(tmp_path / "run")
