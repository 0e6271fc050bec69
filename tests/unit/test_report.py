import io
import json
import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from emulator import Program
from emulator.chip import EVENTS
from emulator.observe.heatmap import cell_of_map, heat_map
from emulator.observe.quantities import energy_text, power_text, time_text
from emulator.observe.render import print_report, print_summary
from emulator.observe.report import MEANING, assumed, figures, unlimited
from emulator.observe.tabulated import shortened
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
    "unlimited warnings rounding assumptions",
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


@pytest.mark.parametrize("width", [60, 80, 100, 140, 160])
@pytest.mark.parametrize("timing", ["analytic", "off"])
def test_the_text_holds_the_figures_and_explains_them(width, timing):
    run = sample(timing=timing)
    text = rendered(run, width, verbose=True)
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
    assert "the 30 of most energy of 40; more with --top 40, all with --json." in rendered(run, 120)
    assert "more with --top" not in rendered(run, top=40)
    text = rendered(run, top=3)
    energy = {line["name"]: line["energy_pj"] for line in figures(run)["populations"]}
    heaviest = sorted(energy, key=energy.__getitem__, reverse=True)[:3]
    shown = [
        line.split()[0]
        for line in text.splitlines()
        if line.split()[:1] and line.split()[0] in energy
    ]
    assert shown == heaviest


def test_top_is_for_links_too():
    run = sample(timing="cycle")
    flits = sorted(run.timing.link_flits.ravel().tolist(), reverse=True)
    for top, expected in ((None, 5), (2, 2), (9, 9)):
        links = figures(run, top=top)["timing"]["hottest_links"]
        assert [link["flits"] for link in links] == [n for n in flits[:expected] if n]


def test_what_it_rests_on_takes_five_lines_or_all():
    run = sample()
    run.program.manifest["assumptions"] = [f"choice {k} was made" for k in range(9)]
    for width in (60, 80, 140):
        lines = rendered(run, width).partition("What this rests on")[2].splitlines()[1:]
        assert len(lines) == 4
        assert lines[:3] == [f"- network: choice {k} was made" for k in range(3)]
        assert lines[3].endswith("more with --verbose")
    text = rendered(run, verbose=True)
    assert all(f"choice {k} was made" in text for k in range(9))
    assert "--verbose" not in text


def test_warnings_stand_first():
    run = sample()
    run.program.manifest["warnings"] = ["population 'p0': 3 weights were clipped"]
    lines = rendered(run).splitlines()
    assert lines[1] == "- warning: population 'p0': 3 weights were clipped"
    assert figures(run)["warnings"] == ["population 'p0': 3 weights were clipped"]


def rounded(population, parameter, asked, held, unit, error):
    return {
        "population": population, "parameter": parameter, "neuron": 0, "asked": asked, "held": held, "unit": unit,
        "relative_error": error,
    }  # fmt: skip


ROUNDED = [
    rounded("p0", "tau_mem_ms", 20.0, 20.0221, "ms", 0.0011),
    {
        "population": "p1",
        "parameter": "bias",
        "asked": [0.1, 0.25],
        "held": [0.0999, 0.25],
        "unit": "",
    },
    rounded("x" * 200, "refractory_ms", 1.5, 2.0, "ms", 1 / 3),
    rounded("p2", "tau_syn_ms", 1e7, None, "ms", None),
]


def test_what_registers_do_not_hold_is_listed():
    run = sample()
    assert figures(run)["rounding"] == []
    assert "Rounded to registers" not in rendered(run)
    run.program.manifest["rounding"] = ROUNDED
    assert figures(run)["rounding"] == ROUNDED
    text = rendered(run)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    table = lines[lines.index("Rounded to registers") + 4 :][:5]
    assert table == [
        "p2 tau_syn_ms 1e+07 no decay ms -",
        table[1],
        "refractory_ms 1.5 2 ms 33 %",
        "p0 tau_mem_ms 20 20.0221 ms 0.11 %",
        "p1 bias 0.1 to 0.25 0.0999 to 0.25 -",
    ]
    assert table[1] == shortened("x" * 200, 78)
    assert "3 more: --top 4, or --json" in rendered(run, top=1)


def test_the_core_that_waits_longest_stands_beside_the_busiest():
    run = sample(timing="cycle")
    in_use = np.flatnonzero(np.diff(run.program.core_start)).tolist()
    waited = np.ones(run.chip.mesh.n_cores, np.int64)
    waited[in_use[1]] = run.timing.total_cycles // 2
    run = replace(run, timing=replace(run.timing, core_receive_waited_cycles=waited))
    stage = figures(run)["timing"]["stages"][2]
    assert stage["longest_waiting_core"] == in_use[1]
    assert stage["longest_waited_cycles"] == waited[in_use[1]]
    table = rendered(run).partition("Stages of the cores")[2]
    line = next(line for line in table.splitlines() if line.startswith("  receive "))
    assert f" core {in_use[1]} " in line
    assert f" {100 * waited[in_use[1]] / run.timing.total_cycles:.1f} % " in line
    waited[:] = 0
    assert figures(run)["timing"]["stages"][2]["longest_waiting_core"] is None


@pytest.mark.parametrize("width", [60, 80, 100, 140])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_no_word_and_no_name_is_broken(width, encoding):
    rng = np.random.default_rng(1)
    chip = make_chip(mesh={"width": 64, "height": 16, "cores_per_tile": 1})
    program = make_program(rng, chip, sizes=(1,) * 300)
    named = lambda k: f"p{k}_" + ("layer_" * 32 if int(k) % 3 else "x" * 40)  # noqa: E731
    text = re.sub(r'"p(\d+)"', lambda name: f'"{named(name[1])}"', json.dumps(program.manifest))
    run = make_run(rng, Program(json.loads(text), program.tensors()), chip, timing="cycle")
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", write_through=True)
    print_report(run, Console(file=stream, width=width), top=300, verbose=True)
    text = stream.buffer.getvalue().decode()
    assert max(map(len, text.splitlines())) <= width
    words = set(text.split())
    names = [line["name"] for line in figures(run)["populations"]]
    for name in names:
        assert shortened(name, width - 2, unicode=encoding == "utf-8") in words
    assert {"neuron", "loop", "receive", "packets", "bottleneck"} <= words


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


@given(st.integers(1, 64), st.integers(1, 20), st.integers(1, 16), st.integers(12, 200))
def test_a_map_fits_its_width_and_shows_every_core_or_tile(width, height, per_tile, columns):
    chip = make_chip(mesh={"width": width, "height": height, "cores_per_tile": per_tile})
    values = dict.fromkeys(range(chip.mesh.n_cores), 1.0)
    text, _ = heat_map(values, chip, columns)
    assert max(map(len, text.plain.splitlines())) <= columns
    drawn = {"a core": (chip.mesh.n_cores, 2 * chip.mesh.n_cores), "a tile": (chip.mesh.n_tiles,)}
    cell, n_drawn = cell_of_map(chip, columns), text.plain.count("█") + text.plain.count("▓")
    if cell in drawn:
        assert n_drawn in drawn[cell]
    else:
        side = int(cell.partition(" ")[0])
        assert f"{side} x {side} tiles" == cell
        assert (
            -(-width // side) * -(-height // side) >= n_drawn >= (width // side) * (height // side)
        )


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
