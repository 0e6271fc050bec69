"""A run with checkpoints that is not finished can be read: it is what a shorter run would have been."""

import json
import shutil

import numpy as np
import pytest

from emulator import Emulator, Network, Rule, Run, Trace, compile_network, load_chip, resume_run
from emulator.cli import main
from emulator.errors import RunError
from emulator.observe.report import figures
from tests.test_checkpoints import CHIP, INPUTS, PROGRAM, assert_same, stop_after

LEARNING_CHIP = load_chip("loihi2")


def learning_program():
    net = Network("learner")
    source, cells = net.input("in", 6), net.population("cells", 4, vth_mant=60, du=4095, dv=400)
    rule = Rule(
        dw="2^-2*x1*y0 - 2^-2*y1*x0", dt="x0*y0", x1=Trace(16, 10), y1=Trace(20, 10), epoch=4
    )
    net.connect(source, cells, weights=np.full((4, 6), 40), learning=rule)
    net.probe(cells, "v")
    return compile_network(net, LEARNING_CHIP)


def unfinished(folder, chip, program, after=50, **options):
    """Leave a run of 200 steps that was ended soon after some steps, with a checkpoint every 30 and at its end."""
    with pytest.raises(RunError, match="interrupted"):
        Emulator(chip, program).run(
            200, INPUTS, save_to=folder, checkpoint_every=30, progress=stop_after(after), **options
        )
    return Run.load(folder)


def first_steps(chip, program, n_steps, **options):
    inputs = {"in": INPUTS["in"][:n_steps]}
    return Emulator(chip, program).run(n_steps, inputs, **options)


@pytest.mark.parametrize("timing", ["off", "analytic", "cycle"])
@pytest.mark.parametrize("after", [1, 50, 120])
def test_it_is_what_a_shorter_run_would_have_been(tmp_path, timing, after):
    read = unfinished(tmp_path / "run", CHIP, PROGRAM, after, timing=timing)
    assert (read.status, read.steps_asked) == ("unfinished", 200)
    assert after <= read.n_steps < 200
    shorter = first_steps(CHIP, PROGRAM, read.n_steps, timing=timing)
    for name in ("counters", "timing", "n_overflows", "seed"):
        assert getattr(read, name) == getattr(shorter, name), name
    for name in ("spike_step", "spike_source", "active"):
        assert np.array_equal(getattr(read, name), getattr(shorter, name)), name
    for variable, rows in shorter.recordings["cells"].items():
        assert np.array_equal(read.recordings["cells"][variable], rows)
    assert read.energy().total_pj == shorter.energy().total_pj
    assert_same(resume_run(tmp_path / "run"), Emulator(CHIP, PROGRAM).run(200, INPUTS, timing=timing))  # fmt: skip


@pytest.mark.parametrize("weights_every", [None, 10, 7])
def test_what_it_has_learned_is_there(tmp_path, weights_every):
    program = learning_program()
    read = unfinished(tmp_path / "run", LEARNING_CHIP, program, weights_every=weights_every)
    shorter = first_steps(LEARNING_CHIP, program, read.n_steps, weights_every=weights_every)
    for what in ("weights", "tags", "delays"):
        assert np.array_equal(getattr(read, what)("in->cells"), getattr(shorter, what)("in->cells"))
    assert (read.weights("in->cells") != 40).any()
    assert np.array_equal(read.visits("in->cells"), shorter.visits("in->cells"))
    assert list(read.recordings) == list(shorter.recordings)
    if weights_every:
        kept, expected = (run.recordings["in->cells"] for run in (read, shorter))
        assert list(kept) == list(expected)
        for name, rows in expected.items():
            assert np.array_equal(kept[name], rows), name
    assert read.trained().sha256 == shorter.trained().sha256


def test_it_is_reported_and_marked(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    read = unfinished(tmp_path / "run", CHIP, PROGRAM)
    assert main(["report", str(tmp_path / "run")]) == 0
    text = capsys.readouterr().out
    assert f"UNFINISHED, {read.n_steps:,} of 200 steps, up to the last checkpoint" in text
    assert main(["report", str(tmp_path / "run"), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data == figures(read)
    assert (data["run"]["status"], data["run"]["steps_asked"]) == ("unfinished", 200)


def test_before_its_first_step_it_has_none(tmp_path):
    class StoppedError(Exception):
        pass

    def stop(_done):
        raise StoppedError

    with pytest.raises(StoppedError):
        Emulator(CHIP, PROGRAM).run(
            200, INPUTS, save_to=tmp_path / "run", checkpoint_every=100, progress=stop
        )
    read = Run.load(tmp_path / "run")
    assert (read.status, read.n_steps, len(read.spike_step)) == ("unfinished", 0, 0)
    assert main(["report", str(tmp_path / "run")]) == 0


def test_saved_elsewhere_it_is_an_interrupted_run(tmp_path):
    read = unfinished(tmp_path / "run", CHIP, PROGRAM)
    read.save(tmp_path / "saved")
    saved = Run.load(tmp_path / "saved")
    assert (saved.status, saved.n_steps, saved.steps_asked) == ("interrupted", read.n_steps, 200)
    assert saved.counters == read.counters
    assert saved.timing == read.timing


def test_a_run_that_another_process_goes_on_with_can_be_read(tmp_path):
    """The parts that a checkpoint counts stay as they are until the run is finished; then that is read."""
    seen = []

    def look(done):
        seen.append(Run.load(tmp_path / "run"))
        assert seen[-1].n_steps <= done

    Emulator(CHIP, PROGRAM).run(
        200, INPUTS, save_to=tmp_path / "run", checkpoint_every=10, progress=look
    )
    assert {run.status for run in seen} == {"unfinished"}
    assert seen[-1].n_steps == 200
    assert Run.load(tmp_path / "run").status == "complete"


def test_a_run_that_is_finished_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    unfinished(tmp_path / "run", CHIP, PROGRAM)

    def overtaken(folder, program, chip):
        resume_run(folder)
        raise RunError("its parts have gone")

    monkeypatch.setattr("emulator.observe.folder.read_unfinished", overtaken)
    assert Run.load(tmp_path / "run").status == "complete"


def test_parts_of_another_run_are_refused(tmp_path):
    unfinished(tmp_path / "run", CHIP, PROGRAM)
    with pytest.raises(RunError, match="interrupted"):
        Emulator(CHIP, PROGRAM).run(
            200, {"in": ~INPUTS["in"]}, save_to=tmp_path / "other", checkpoint_every=30, progress=stop_after(50)
        )  # fmt: skip
    shutil.copy(*(tmp_path / name / "parts" / "spikes.1.parquet" for name in ("other", "run")))
    with pytest.raises(RunError, match="parts: these tables are not those of the run's last"):
        Run.load(tmp_path / "run")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("spikes", "parts: these tables are not those of the run's last checkpoint"),
        ("active", "parts: these tables are not those of the run's last checkpoint"),
        ("recordings_cells", r"parts/recordings_cells\.\*\.parquet: it has .* lines; .* steps of"),
    ],
)
def test_missing_parts_are_noticed(tmp_path, table, message):
    unfinished(tmp_path / "run", CHIP, PROGRAM)
    (tmp_path / "run" / "parts" / f"{table}.1.parquet").unlink()
    with pytest.raises(RunError, match=message):
        Run.load(tmp_path / "run")


def resumed(capsys, folder) -> str:
    assert main(["run", "--resume", str(folder)]) == 2
    return capsys.readouterr().err


def test_resuming_says_why_it_cannot(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Emulator(CHIP, PROGRAM).run(10, save_to="done")
    Emulator(CHIP, PROGRAM).run(
        10**6, save_to="part", keep_partial=True, timing="off", progress=stop_after(1)
    )
    n_steps = Run.load("part").n_steps
    PROGRAM.save("p.program")
    (tmp_path / "plain").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    assert resumed(capsys, "done") == (
        "emulator: done: this run is complete; only an unfinished one can be resumed: all of its 10 steps are done; "
        "'emulator report done' shows what it did\n"
    )
    assert resumed(capsys, "part") == (
        f"emulator: part: this run is interrupted; only an unfinished one can be resumed: it has {n_steps:,} of 1,000,000 "
        "steps and no checkpoint, so that no file holds the state to go on from; run it again with --checkpoint-every N; "
        "'emulator report part' shows what it did\n"
    )
    assert resumed(capsys, "plain") == (
        "emulator: plain: not a run folder: it has no manifest.json; --resume goes on with the folder of a run that was "
        "started with --checkpoint-every\n"
    )
    assert resumed(capsys, "none") == "emulator: none: there is no such folder\n"
    assert (
        resumed(capsys, "notes.txt") == "emulator: notes.txt: this is a file; a run is a folder\n"
    )
    assert resumed(capsys, "p.program") == (
        "emulator: p.program: this is a compiled program, where the folder of an unfinished run is needed; "
        "emulator run, disasm, step, learn show and build-management read it\n"
    )
