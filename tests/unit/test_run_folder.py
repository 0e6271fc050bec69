import hashlib
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import RunError
from emulator.observe import folder as folder_module
from emulator.observe.run import Run
from emulator.program import Program
from tests.synthetic import make_chip, make_program, make_run


def sample(seed=1, **options):
    rng = np.random.default_rng(seed)
    chip = make_chip(rng)
    return make_run(rng, make_program(rng, chip, probed=True), chip, **options)


def assert_same(run, other):
    for name in ("n_steps", "seed", "status", "n_overflows", "steps_asked", "chip", "timing"):
        assert getattr(run, name) == getattr(other, name), name
    for name in ("spike_step", "spike_source", "active"):
        first, second = getattr(run, name), getattr(other, name)
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)
    assert run.program.sha256 == other.program.sha256
    assert run.counters == other.counters
    assert run.recordings.keys() == other.recordings.keys()
    for population, variables in run.recordings.items():
        assert variables.keys() == other.recordings[population].keys()
        for variable, values in variables.items():
            read = other.recordings[population][variable]
            assert read.dtype == values.dtype
            np.testing.assert_array_equal(read, values)


@given(
    st.integers(0, 2**32),
    st.integers(0, 30),
    st.sampled_from([0.0, 0.2, 1.0]),
    st.sampled_from(["analytic", "off"]),
)
def test_what_was_saved_is_read_back(tmp_path_factory, seed, n_steps, rate, timing):
    run = sample(seed, n_steps=n_steps, rate=rate, timing=timing)
    folder = tmp_path_factory.mktemp("runs") / "run"
    run.save(folder)
    assert_same(Run.load(folder), run)


def test_a_run_without_synapses_spikes_or_probes_is_read_back(tmp_path):
    chip = make_chip()
    rng = np.random.default_rng(0)
    run = make_run(rng, make_program(rng, chip, density=0.0), chip, rate=0.0)
    run.save(tmp_path / "run")
    assert_same(Run.load(tmp_path / "run"), run)


def test_an_interrupted_run_says_so(tmp_path):
    run = sample(status="interrupted")
    object.__setattr__(run, "steps_asked", 100)
    run.save(tmp_path / "run")
    read = Run.load(tmp_path / "run")
    assert (read.status, read.n_steps, read.steps_asked) == ("interrupted", 20, 100)


def test_pandas_reads_every_table(tmp_path):
    run = sample()
    run.save(tmp_path / "run")
    tables = {path.stem: pd.read_parquet(path) for path in (tmp_path / "run").glob("*.parquet")}

    assert {name: list(table.columns) for name, table in tables.items()} == {
        "spikes": ["step", "population", "neuron"],
        "active": ["step", "segment", "population", "core", "active", "instructions"],
        "counters": ["core", "population", "event", "count"],
        "timing": ["step", "cycles", "bottleneck"],
        "timing_cores": [
            "core",
            "neuron_cycles",
            "axon_cycles",
            "receive_cycles",
            "learning_cycles",
            "axon_waited_cycles",
            "receive_waited_cycles",
        ],
        "timing_latency": ["latency_cycles", "packets"],
        "timing_links": ["tile", "x", "y", "direction", "flits"],
        "recordings_p1": ["step", "neuron", "u", "v"],
        "recordings_p3": ["step", "neuron", "spikes"],
    }
    spikes = tables["spikes"]
    assert str(spikes["population"].dtype) == "category"
    mine = spikes[spikes["population"] == "p2"][["step", "neuron"]].sort_values(["step", "neuron"])
    np.testing.assert_array_equal(mine, run.spikes["p2"])
    counters = tables["counters"]
    events = counters.groupby("event", observed=True)["count"].sum()
    assert events.to_dict() == run.counters.by("event")
    assert counters[counters["event"] == "barrier"]["population"].isna().all()
    assert tables["active"]["active"].sum() == run.active.sum()
    assert tables["timing"]["cycles"].sum() == run.timing.total_cycles
    flits = tables["timing_links"].groupby("direction", observed=True)["flits"].sum()
    assert flits.to_dict() == dict(
        zip(("+x", "-x", "+y", "-y"), run.timing.link_flits.sum(0), strict=True)
    )
    recording = tables["recordings_p1"]
    u = recording.pivot_table(index="step", columns="neuron", values="u")
    np.testing.assert_array_equal(u, run.recordings["p1"]["u"])


def test_a_recording_keeps_the_order_of_its_probes(tmp_path):
    run = sample()
    run.save(tmp_path / "run")
    table = pd.read_parquet(tmp_path / "run" / "recordings_p1.parquet")
    v = table.pivot_table(index="step", columns="neuron", values="v")
    np.testing.assert_array_equal(v[[2, 0, 1]], run.recordings["p1"]["v"])


def test_the_manifest_says_what_the_run_was(tmp_path):
    run = sample()
    run.save(tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["format"] == "emulator-run"
    assert manifest["status"] == "complete"
    assert (manifest["n_steps"], manifest["seed"]) == (20, 7)
    assert manifest["program"] == {"name": "synthetic", "sha256": run.program.sha256}
    assert manifest["timing"]["mode"] == "analytic"
    files = {p.name for p in (tmp_path / "run").iterdir()}
    assert set(manifest["files"]) | {"manifest.json", "program.safetensors"} == files
    chip = json.loads((tmp_path / "run" / "chip.json").read_text())
    assert chip["mesh"]["width"] == 3


def test_a_program_from_a_file_is_linked_not_copied(tmp_path):
    run = sample()
    run.program.save(tmp_path / "program")
    program = Program.load(tmp_path / "program")
    object.__setattr__(run, "program", program)
    run.save(tmp_path / "run")
    stored = tmp_path / "run" / "program.safetensors"
    assert stored.samefile(tmp_path / "program")

    # replaced since it was loaded: the run keeps what ran
    rng = np.random.default_rng(2)
    make_program(rng, make_chip()).save(tmp_path / "program")
    run.save(tmp_path / "again")
    stored = tmp_path / "again" / "program.safetensors"
    assert not stored.samefile(tmp_path / "program")
    assert Program.load(stored).sha256 == program.sha256


def test_odd_population_names_make_good_file_names(tmp_path):
    rng = np.random.default_rng(5)
    chip = make_chip()
    program = make_program(rng, chip, probed=True)
    manifest = json.loads(json.dumps(program.manifest).replace('"p1"', '"../a b\\u00e9/%"'))
    renamed = Program(manifest, program.tensors())
    run = make_run(rng, renamed, chip)
    run.save(tmp_path / "run")
    assert (tmp_path / "run" / "recordings_..%2Fa b%C3%A9%2F%25.parquet").is_file()
    assert_same(Run.load(tmp_path / "run"), run)


# what stands in the way


def test_an_existing_folder_is_not_replaced_by_default(tmp_path):
    first, second = sample(1), sample(2)
    first.save(tmp_path / "run")
    with pytest.raises(RunError, match=r"run: exists already; choose another name, or replace it"):
        second.save(tmp_path / "run")
    assert_same(Run.load(tmp_path / "run"), first)
    second.save(tmp_path / "run", force=True)
    assert_same(Run.load(tmp_path / "run"), second)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_force_replaces_nothing_but_run_folders(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("years of work")
    (tmp_path / "file").write_text("x")
    for name in ("thesis", "file"):
        with pytest.raises(RunError, match=f"{name}: exists and is not a run folder"):
            sample().save(tmp_path / name, force=True)
    assert (tmp_path / "thesis" / "chapter").read_text() == "years of work"


def test_a_missing_parent_is_named(tmp_path):
    with pytest.raises(RunError, match=r"b: the folder '.*a' does not exist"):
        sample().save(tmp_path / "a" / "b")


def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_module.tables, "write_counters", full)
    with pytest.raises(RunError, match="run: cannot be written: No space left on device"):
        sample().save(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


# crashes

WRITER = """
import sys
import numpy as np
from tests.unit.test_run_folder import sample
runs = sample(1), sample(2)
print("ready", flush=True)
for i in range(10**6):
    runs[i % 2].save(sys.argv[1], force=True)
"""


@pytest.mark.parametrize(
    "step", ["_spike_columns", "_active_columns", "write_counters", "write_timing"]
)
def test_an_error_in_the_middle_keeps_the_previous_run(tmp_path, monkeypatch, step):
    first = sample(1)
    first.save(tmp_path / "run")
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()}

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(folder_module.tables, step, crash)
    with pytest.raises(KeyboardInterrupt):
        sample(2).save(tmp_path / "run", force=True)
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_kill_at_any_moment_leaves_one_run_or_the_other(tmp_path):
    expected = sample(1), sample(2)
    expected[0].save(tmp_path / "run")
    rng = np.random.default_rng(0)
    for _ in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "run")], stdout=subprocess.PIPE
        )
        writer.stdout.readline()
        time.sleep(rng.random() * 0.2)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        run = Run.load(tmp_path / "run")
        assert_same(run, next(e for e in expected if e.program.sha256 == run.program.sha256))


def test_folders_are_exchanged_where_the_system_call_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("emulator.atomic.ctypes.CDLL", lambda *_args, **_kwargs: object())
    sample(1).save(tmp_path / "run")
    sample(2).save(tmp_path / "run", force=True)
    assert_same(Run.load(tmp_path / "run"), sample(2))
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


# damage

NAMES = (
    "chip.json", "spikes.parquet", "active.parquet", "counters.parquet", "timing.parquet",
    "timing_cores.parquet", "timing_links.parquet", "timing_latency.parquet", "recordings_p1.parquet",
)  # fmt: skip


@pytest.fixture
def saved(tmp_path):
    sample().save(tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    with pytest.raises(RunError, match=f"{name}: this file of the run is missing"):
        Run.load(saved)


@pytest.mark.parametrize("name", NAMES)
def test_a_truncated_or_flipped_file_is_named(saved, name):
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[:-3])
    n = len(content)
    with pytest.raises(
        RunError, match=f"{name}: damaged: it has {n - 3} bytes; the manifest says {n}"
    ):
        Run.load(saved)
    flipped = bytearray(content)
    flipped[n // 2] ^= 1
    (saved / name).write_bytes(flipped)
    with pytest.raises(RunError, match=f"{name}: damaged: its checksum is not the manifest's"):
        Run.load(saved)


def test_all_damages_are_reported_at_once(saved):
    (saved / "spikes.parquet").unlink()
    (saved / "chip.json").write_text("{}")
    with pytest.raises(RunError) as error:
        Run.load(saved)
    assert len(str(error.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "not a run folder: it has no manifest.json"),
        ("{", "manifest.json: damaged: it is not JSON"),
        ("[]", "manifest.json: not the manifest of a run: its format is not 'emulator-run'"),
        ({"format": "x"}, "manifest.json: not the manifest of a run"),
        ({"version": 4}, "manifest.json: run format 4; this version of the emulator reads 1 to 3"),
        ({"n_steps": -1}, "manifest.json: damaged: n_steps: Input should be greater than or eq"),
        ({"extra": 1}, "manifest.json: damaged: extra: Extra inputs are not permitted"),
        ({"files": {}}, "manifest.json: it does not list 'active.parquet'"),
        ({"n_steps": 3}, "spikes.parquet: it holds a spike outside the run's 3 steps"),
        ({"n_steps": 30}, "timing.parquet: it does not have one line for each of the run's 30"),
    ],
)
def test_a_wrong_manifest_is_refused(saved, change, message):
    path = saved / "manifest.json"
    if change is None:
        path.unlink()
    elif isinstance(change, str):
        path.write_text(change)
    else:
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RunError) as error:
        Run.load(saved)
    assert message in str(error.value)


def relisted(saved, name, write):
    """Replace a file and its checksum, as a hostile or careless writer would."""
    write(saved / name)
    manifest = json.loads((saved / "manifest.json").read_text())
    manifest["files"][name] = {
        "n_bytes": (saved / name).stat().st_size,
        "sha256": hashlib.sha256((saved / name).read_bytes()).hexdigest(),
    }
    (saved / "manifest.json").write_text(json.dumps(manifest))


def test_a_file_that_is_no_parquet_is_refused(saved):
    relisted(saved, "spikes.parquet", lambda path: path.write_bytes(b"PAR1 nonsense PAR1"))
    with pytest.raises(RunError, match=r"spikes\.parquet: this is no readable Parquet file: "):
        Run.load(saved)


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        ("spikes", {"step": np.zeros(2, np.uint32)}, "it has no column 'neuron'"),
        ("spikes", {"step": np.zeros(2)}, "column 'step' is double; it must be uint32"),
        ("spikes", {"neuron": np.full(2, 99, np.uint32)}, "a spike outside the run's 20 steps"),
        ("spikes", {"population": ["x", "y"]}, "column 'population' holds 'x'; allowed: p0, p1, "),
        ("active", {"segment": np.full(2, 99, np.uint32)}, "a line outside the run's 20 steps"),
        ("active", {"active": np.full(2, 99, np.uint32)}, "a line outside the run's 20 steps"),
        ("counters", {"count": np.full(2, 1)}, "these are not the counters of this run's spikes"),
        ("counters", {"event": ["hop", "hop"]}, "column 'event' holds 'hop'; allowed: neuron_idle"),
        ("recordings_p1", {}, "it has 2 lines; 20 steps of 3 neurons need 60"),
        ("timing_links", {}, "its directions are not +x, -x, +y, -y for each tile"),
    ],
)
def test_wrong_contents_are_refused(saved, name, columns, message):
    def write(path):
        table = pd.read_parquet(path).iloc[:2].copy()
        if "no column" in message:
            table = table[list(columns)]
        for column, values in columns.items():
            table[column] = pd.Categorical(values) if isinstance(values, list) else values
        table.to_parquet(path, index=False)

    relisted(saved, f"{name}.parquet", write)
    with pytest.raises(RunError) as error:
        Run.load(saved)
    assert message in str(error.value)
    assert f"{name}.parquet" in str(error.value)


def test_another_program_is_refused(saved):
    make_program(np.random.default_rng(3), make_chip()).save(saved / "program.safetensors")
    with pytest.raises(
        RunError, match=r"program\.safetensors: this is not the program of this run"
    ):
        Run.load(saved)


def test_a_damaged_program_is_refused(saved):
    path = saved / "program.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RunError, match=r"program\.safetensors: this program file is damaged"):
        Run.load(saved)
    path.unlink()
    with pytest.raises(RunError, match=r"program\.safetensors: .*No such file"):
        Run.load(saved)
    with pytest.raises(RunError, match="nowhere: there is no such folder"):
        Run.load(saved / "nowhere")


def test_a_chip_that_is_no_chip_is_refused(saved):
    relisted(saved, "chip.json", lambda path: path.write_text("{}"))
    with pytest.raises(RunError, match=r"chip\.json"):
        Run.load(saved)
