import io
import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from emulator.chip import EVENTS
from emulator.observe.heatmap import heat_map
from emulator.observe.quantities import energy_text, power_text, time_text
from emulator.observe.render import print_report, print_summary
from emulator.observe.report import MEANING, assumed, figures, unlimited
from tests.synthetic import make_chip, make_program, make_run


def sample(seed=3, *, mesh=None, **options):
    rng = np.random.default_rng(seed)
    chip = make_chip(rng, mesh=mesh or {})
    return make_run(rng, make_program(rng, chip), chip, **options)


def rendered(run, width=80, **options):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    print_report(run, Console(file=stream, width=width), **options)
    return stream.buffer.getvalue().decode()


KEYS = {
    "": "format version network chip run spikes events timing energy populations cores learning management neurobench "
    "unlimited assumptions",
    "chip": "name width height tiles cores cores_per_tile multicast clock_mhz static_mw cost_pj",
    "run": "status steps steps_asked seed overflows wall_seconds",
    "spikes": "total neurons inputs",
    "timing": "mode clock_mhz cycles seconds cycles_per_step barrier_cycles bottleneck_steps "
    "flits_by_direction hottest_links stages latency",
    "energy": "total_pj dynamic_pj static_pj static_note by_event_pj exact_pj",
    "neurobench": "SynapticOperations MembraneUpdates NeuronUpdates ActivationSparsity",
    "assumptions": "network chip",
}


@pytest.mark.parametrize("section", KEYS)
def test_the_keys_of_the_json_are_stable(section):
    data = json.loads(json.dumps(figures(sample())))
    data = data[section] if section else data
    assert list(data) == KEYS[section].split()


def test_the_figures_are_the_runs():
    run = sample()
    data = figures(run)
    assert data["spikes"]["total"] == len(run.spike_step)
    assert data["events"] == {event: run.counters.total(event) for event in EVENTS}
    assert data["timing"]["cycles"] == run.timing.total_cycles
    assert data["timing"]["seconds"] == float(run.timing.seconds)
    assert sum(data["timing"]["bottleneck_steps"].values()) == 20
    timing, latency = data["timing"], data["timing"]["latency"]
    n_packets = run.timing.latency_packets.sum()
    assert latency["packets"] == n_packets
    assert sum(line["packets"] for line in latency["histogram"]) == n_packets
    flits = sorted(run.timing.link_flits.ravel().tolist(), reverse=True)
    assert [link["flits"] for link in timing["hottest_links"]] == flits[:5]
    in_use = np.flatnonzero(np.diff(run.program.core_start))
    for stage, name in zip(timing["stages"], ("neuron", "axon", "receive"), strict=True):
        assert stage["busy_cycles"] == getattr(run.timing, f"core_{name}_cycles")[in_use].max()
    assert Fraction(data["energy"]["exact_pj"]["total"]) == run.energy().total_pj
    exact = map(Fraction, data["energy"]["exact_pj"]["by_event"].values())
    assert sum(exact) == run.energy().total_pj
    for name in ("populations", "cores"):
        total = sum(line["energy_pj"] for line in data[name])
        chip = 0 if name == "cores" else float(run.energy().by("population")[-1])
        assert total + chip == pytest.approx(float(run.energy().total_pj), rel=1e-12)
    assert sum(line["spikes"] for line in data["populations"]) == len(run.spike_step)
    assert sum(line.get("spikes", 0) for line in data["cores"]) == data["spikes"]["neurons"]


def test_neurobench_names():
    run = sample()
    bench = figures(run)["neurobench"]
    n_updates = run.program.n_compartments * 20
    assert bench == {
        "SynapticOperations": {
            "Effective_MACs": 0,
            "Effective_ACs": run.counters.total("synaptic_event"),
        },
        "MembraneUpdates": run.counters.total("neuron_active"),
        "NeuronUpdates": n_updates,
        "ActivationSparsity": 1 - run.counters.total("neuron_spike") / n_updates,
    }


def test_a_run_that_was_not_timed_has_no_static_part_and_says_so():
    run = sample(timing="off")
    data = figures(run)
    assert data["timing"] is None
    assert data["energy"]["static_pj"] is None
    text = rendered(run)
    assert "not timed (timing off)" in text
    assert "no static part" in text
    assert "What bounded the steps" not in text


def test_an_empty_run_is_reported():
    for timing in ("analytic", "off"):
        run = sample(n_steps=0, timing=timing)
        assert figures(run)["neurobench"]["ActivationSparsity"] is None
        assert "0 steps" in rendered(run)


@pytest.mark.parametrize("width", [80, 120, 160])
@pytest.mark.parametrize("timing", ["analytic", "off"])
def test_the_text_holds_the_figures_and_explains_them(width, timing):
    run = sample(timing=timing)
    text = rendered(run, width)
    data = figures(run)
    assert max(map(len, text.splitlines())) <= width
    for event, count in data["events"].items():
        if count:
            assert any(event in line and f"{count:,}" in line for line in text.splitlines())
            assert MEANING[event].split()[0] in text
    assert f"{data['spikes']['total']:,}" in text
    assert energy_text(run.energy().total_pj) in text
    if timing == "analytic":
        assert f"{run.timing.total_cycles:,}" in text
        assert time_text(run.timing.seconds) in text
    for name in ("p0", "p1", "p2", "p3"):
        assert f"\n  {name} " in text
    text = " ".join(text.split())
    assert "core.axons_out" in text
    assert "the weights were drawn by chance" in text
    assert "assumed: made for a test" in text
    assert "Effective_ACs" in text


def test_an_interrupted_run_says_so_first():
    run = sample(status="interrupted")
    object.__setattr__(run, "steps_asked", 1000)
    assert rendered(run).startswith("synthetic on synthetic: INTERRUPTED after 20 of 1,000 steps")


def test_without_colour_the_text_is_plain(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    print_report(sample(), Console(file=stream, width=80, force_terminal=True))
    assert "[38;" not in stream.getvalue()
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = io.StringIO()
    print_report(sample(), Console(file=stream, width=80, force_terminal=True))
    assert "[38;" in stream.getvalue()


def test_an_ascii_terminal_gets_ascii():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    print_report(sample(), Console(file=stream, width=80))
    stream.flush()
    assert b"##" in stream.buffer.getvalue()


def test_the_summary_is_the_first_part():
    run = sample()
    stream = io.StringIO()
    print_summary(run, Console(file=stream, width=80))
    assert "What happened" in stream.getvalue()
    assert "Energy by event" not in stream.getvalue()


def test_many_populations_are_cut_short():
    rng = np.random.default_rng(1)
    chip = make_chip(mesh={"width": 8, "height": 8})
    run = make_run(rng, make_program(rng, chip, sizes=(1,) * 40, inputs=()), chip)
    assert "10 more; emulator report --json lists all" in rendered(run)


# map of the cores


def test_a_map_by_hand():
    chip = make_chip(mesh={"width": 2, "height": 2, "cores_per_tile": 2})
    text, bounds = heat_map({0: 8, 1: 0, 3: 2, 6: 3.0}, chip, 80)
    assert [line.rstrip() for line in text.plain.splitlines()] == [
        "     x 0   x 1",
        "y 0  ██··    ░░",
        "",
        "y 1        ▒▒",
    ]
    assert bounds == [2, 4, 6, 8]


@given(st.integers(1, 64), st.integers(1, 20), st.integers(1, 16), st.integers(70, 200))
def test_a_map_fits_its_width_and_shows_every_core_or_tile(width, height, per_tile, columns):
    chip = make_chip(mesh={"width": width, "height": height, "cores_per_tile": per_tile})
    values = dict.fromkeys(range(chip.mesh.n_cores), 1.0)
    text, _ = heat_map(values, chip, columns)
    assert max(map(len, text.plain.splitlines())) <= columns
    assert text.plain.count("█") in (2 * chip.mesh.n_cores, chip.mesh.n_cores, chip.mesh.n_tiles)


def test_a_map_without_anything_is_drawn():
    text, bounds = heat_map({}, make_chip(), 80)
    assert "y 1" in text.plain
    assert bounds == [0, 0, 0, 0]
    assert "·" in heat_map({0: 0.0}, make_chip(), 80)[0].plain


# words


def test_limits_and_assumptions_of_the_chip_are_listed():
    chip = make_chip(
        core={"axons_in": None}, static_power={"mw": 1.0, "source": "measured: paper 1, table 2"}
    )
    assert unlimited(chip) == [
        "core.axons_in", "core.axons_out", "core.accumulator_entries",
        "arithmetic.accumulator_bits",
    ]  # fmt: skip
    (entry,) = assumed(chip)
    assert entry["source"] == "assumed: made for a test"
    assert "costs.hop_ew" in entry["keys"]
    assert "static_power" not in entry["keys"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (energy_text(0), "0 J"),
        (energy_text(Fraction(1)), "1 pJ"),
        (energy_text(0.5), "500 fJ"),
        (energy_text(1e-9), "1e-06 fJ"),
        (energy_text(12_345), "12.3 nJ"),
        (energy_text(999_999), "1 uJ"),
        (energy_text(999.4), "999 pJ"),
        (energy_text(10**18), "1,000,000 J"),
        (time_text(Fraction(1, 3)), "333 ms"),
        (time_text(0.00455), "4.55 ms"),
        (power_text(0.0123), "12.3 mW"),
    ],
)
def test_quantities_have_three_digits_and_a_prefix(text, expected):
    assert text == expected
