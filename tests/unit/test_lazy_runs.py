"""Runs of which files are read, and verified, when something of them is asked for."""

import builtins
import io
import json
import pathlib
import pickle

import numpy as np
import pytest

from emulator import Emulator, Network, Rule, Run, Trace, compile_network, load_chip
from emulator.errors import RunError
from emulator.observe.lazy import LazyRecords

CHIP = load_chip("loihi2")


def program(name="net"):
    net = Network(name)
    source, cells = net.input("in", 4), net.population("cells", 5, vth_mant=50, du=2000, dv=300)
    rule = Rule(dw="2^-1*x1*y0", x1=Trace(16, 10))
    net.connect(source, cells, weights=np.full((5, 4), 40), learning=rule, name="plastic")
    net.probe(cells, "v", "spikes")
    net.manage(0, "post", lambda core: core.read("cells.v"))
    return compile_network(net, CHIP)


@pytest.fixture
def saved(tmp_path):
    inputs = {"in": np.random.default_rng(3).random((40, 4)) < 0.4}
    emulator = Emulator(CHIP, program())
    run = emulator.run(40, inputs, weights_every=10, timing="cycle")
    run.save(tmp_path / "run")
    return tmp_path / "run"


LOOKS = {
    "spikes.parquet": lambda run: {k: run.spikes[k].tolist() for k in run.spikes},
    "active.parquet": lambda run: run.active.tolist(),
    "visits.parquet": lambda run: run.visits("plastic").tolist(),
    "counters.parquet": lambda run: list(run.counters.rows()),
    "learned.parquet": lambda run: run.weights("plastic").tolist(),
    "traces.parquet": lambda run: run.recordings["plastic"]["x1"].tolist(),
    "recordings_cells.parquet": lambda run: run.recordings["cells"]["v"].tolist(),
    "management.parquet": lambda run: [part.tolist() for part in run.management_cycles()],
}
LEARNED = {"learned.parquet", "traces.parquet"}
ALSO = {
    "active.parquet": {"active.parquet", "visits.parquet"},
    "visits.parquet": {"active.parquet", "visits.parquet"},
    "learned.parquet": LEARNED,
    "traces.parquet": {*LEARNED, "recordings_cells.parquet"},
    "recordings_cells.parquet": {*LEARNED, "recordings_cells.parquet"},
}
"""What else is read where something of a file is looked at."""
AT_ONCE = ("chip.json", "timing.parquet", "timing_cores.parquet", "timing_links.parquet")


def test_everything_is_the_same(saved):
    whole, lazy = Run.load(saved), Run.load(saved, lazy=True)
    assert lazy.counters == whole.counters
    assert lazy.energy() == whole.energy()
    assert lazy.timing == whole.timing
    assert lazy.chip == whole.chip
    assert lazy.program.sha256 == whole.program.sha256
    for name in ("n_steps", "seed", "status", "steps_asked", "n_overflows", "wall_seconds"):
        assert getattr(lazy, name) == getattr(whole, name)
    for look in LOOKS.values():
        assert look(lazy) == look(whole)
    assert lazy.spikes.counts() == whole.spikes.counts()
    assert lazy.count(3, 17) == whole.count(3, 17)
    assert lazy.energy(start=3, stop=17) == whole.energy(start=3, stop=17)
    assert lazy.trained().sha256 == whole.trained().sha256
    assert repr(lazy) == repr(whole)


def test_counters_of_another_chip_are_counted_anew(saved):
    far = load_chip("loihi2", set={"host.ports": [9]})
    whole, lazy = Run.load(saved), Run.load(saved, lazy=True)
    assert lazy.retimed(far, "analytic").counters == whole.retimed(far, "analytic").counters
    assert lazy.retimed(far, "analytic").counters != whole.counters


def test_a_lazy_run_is_saved_and_sent(saved, tmp_path):
    lazy = Run.load(saved, lazy=True)
    lazy.save(tmp_path / "again")
    assert LOOKS["spikes.parquet"](Run.load(tmp_path / "again")) == LOOKS["spikes.parquet"](lazy)
    sent = pickle.loads(pickle.dumps(Run.load(saved, lazy=True)))
    assert isinstance(sent.records, LazyRecords)
    for look in LOOKS.values():
        assert look(sent) == look(lazy)
    assert sent.counters == lazy.counters


@pytest.mark.parametrize("name", LOOKS)
def test_a_file_is_verified_when_it_is_read_and_no_other_is(saved, name):
    content = bytearray((saved / name).read_bytes())
    content[len(content) // 2] ^= 1
    (saved / name).write_bytes(content)
    with pytest.raises(RunError, match=f"{name}: damaged: its checksum is not the manifest's"):
        Run.load(saved)
    whole = Run.load(saved, lazy=True)
    with pytest.raises(RunError, match=f"{name}: damaged: its checksum is not the manifest's"):
        LOOKS[name](whole)
    for other, look in LOOKS.items():
        if name not in ALSO.get(other, {other}):
            look(Run.load(saved, lazy=True))


@pytest.mark.parametrize("name", [*LOOKS, *AT_ONCE])
def test_what_is_missing_or_cut_is_found_at_once(saved, name):
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[:-1])
    with pytest.raises(RunError, match=f"{name}: damaged: it has {len(content) - 1} bytes"):
        Run.load(saved, lazy=True)
    (saved / name).unlink()
    with pytest.raises(RunError, match=f"{name}: this file of the run is missing"):
        Run.load(saved, lazy=True)


@pytest.mark.parametrize("name", AT_ONCE)
def test_what_is_read_at_once_is_verified_at_once(saved, name):
    content = bytearray((saved / name).read_bytes())
    content[-3] ^= 1
    (saved / name).write_bytes(content)
    with pytest.raises(RunError, match=f"{name}: damaged: its checksum is not the manifest's"):
        Run.load(saved, lazy=True)


def test_a_look_at_counters_opens_no_spikes(saved, monkeypatch):
    opened = []
    real = io.open

    def noted(file, *arguments, **options):
        opened.append(pathlib.Path(str(file)).name)
        return real(file, *arguments, **options)

    monkeypatch.setattr(io, "open", noted)
    monkeypatch.setattr(builtins, "open", noted)
    assert Run.load(saved, lazy=True).counters.total("synaptic_event")
    assert "counters.parquet" in opened
    assert not {"spikes.parquet", "active.parquet", "recordings_cells.parquet"} & set(opened)


def test_the_program_of_a_sweep_is_read_once(saved, tmp_path):
    Emulator(CHIP, program()).run(5).save(tmp_path / "second")
    other = program("other")
    Emulator(CHIP, other).run(5).save(tmp_path / "third")
    first, second, third = (
        Run.load(folder, lazy=True) for folder in (saved, tmp_path / "second", tmp_path / "third")
    )
    assert first.program is second.program
    assert third.program.sha256 == other.sha256
    path = tmp_path / "second" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["program"]["sha256"] = other.sha256
    path.write_text(json.dumps(manifest))
    with pytest.raises(RunError, match="this is not the program of this run"):
        Run.load(tmp_path / "second", lazy=True)
