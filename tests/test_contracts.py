"""DESIGN section 2 on the whole path: the function depends on nothing but program, input and seed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emulator import Emulator, Program, compile_network, load_chip
from emulator.mapping import Mapping
from tests.oracle import analytic as analytic_oracle
from tests.oracle import machine as oracle
from tests.oracle.counters import way_of
from tests.oracle.neuron_lif import Rules
from tests.strategies import Case, cases

CHIP = load_chip("tiny")


def logical(run, case: Case) -> list[tuple[int, int]]:
    """Return a run's spikes as (step, source) in the oracle's numbering."""
    first, found = 0, []
    for name, size in [*case.sizes.items(), ("in", case.network.populations["in"].size)]:
        found += [(step, first + neuron) for step, neuron in run.spikes[name].tolist()]
        first += size
    return sorted(found)


def states(run, case: Case) -> list[list[tuple[int, int]]]:
    """Return (u, v) of every neuron in every step."""
    u, v = (
        np.concatenate([run.recordings[name][x] for name in case.sizes], axis=1).tolist()
        for x in ("u", "v")
    )
    return [list(zip(*pair, strict=True)) for pair in zip(u, v, strict=True)]


@st.composite
def scattered(draw, case: Case) -> Mapping:
    """Draw a mapping that cuts every population in two and puts the parts on random cores."""
    cores = draw(st.permutations(range(CHIP.mesh.n_cores)))
    segments = []
    for name, size in case.sizes.items():
        cut = draw(st.integers(0, size))
        for start, stop in ((0, cut), (cut, size)):
            if stop > start:
                segments.append((name, start, stop, cores[len(segments)]))
    return Mapping(segments=segments)


@given(cases())
def test_the_whole_path_equals_the_oracle(case):
    run = Emulator(CHIP, compile_network(case.network, CHIP)).run(case.steps, inputs=case.inputs)
    spikes, expected_states, n_events = oracle.run(
        case.cells(), case.synapses, case.schedule(), Rules()
    )
    assert logical(run, case) == sorted(spikes)
    assert states(run, case) == expected_states
    assert run.counters.total("synaptic_event") == n_events


@given(cases(), st.data())
def test_mapping_threads_timing_and_file_change_nothing(tmp_path_factory, case, data):
    plain = compile_network(case.network, CHIP)
    other = compile_network(case.network, CHIP, data.draw(scattered(case)))
    path = tmp_path_factory.mktemp("program") / "other.program"
    other.save(path)
    runs = [
        Emulator(CHIP, plain).run(case.steps, inputs=case.inputs),
        Emulator(CHIP, plain, threads=2).run(case.steps, inputs=case.inputs, timing="off"),
        Emulator(CHIP, plain, threads=2).run(case.steps, inputs=case.inputs, timing="analytic"),
        Emulator(CHIP, other, threads=3).run(case.steps, inputs=case.inputs),
        Emulator(CHIP, Program.load(path)).run(case.steps, inputs=case.inputs),
    ]
    assert all(logical(run, case) == logical(runs[0], case) for run in runs)
    assert all(states(run, case) == states(runs[0], case) for run in runs)
    assert runs[3].timing == runs[4].timing


@given(cases(), st.data())
def test_run_a_plus_b_is_run_a_then_run_b(case, data):
    cut = data.draw(st.integers(0, case.steps))
    emulator = Emulator(CHIP, compile_network(case.network, CHIP))
    whole = emulator.run(case.steps, inputs=case.inputs)
    emulator.reset()
    parts = [
        emulator.run(cut, inputs={"in": case.inputs["in"][:cut]}),
        emulator.run(case.steps - cut, inputs={"in": case.inputs["in"][cut:]}),
    ]
    assert states(parts[0], case) + states(parts[1], case) == states(whole, case)
    shifted = [(step + cut, source) for step, source in logical(parts[1], case)]
    assert sorted(logical(parts[0], case) + shifted) == logical(whole, case)
    assert parts[0].counters + parts[1].counters == whole.counters
    assert parts[0].energy().total_pj + parts[1].energy().total_pj == whole.energy().total_pj


ROUTES = [
    {"mesh.topology": topology, "mesh.routing": order, "mesh.virtual_channels": 2}
    for topology in ("mesh", "torus")
    for order in ("xy", "yx")
]


@given(cases(), st.sampled_from(ROUTES), st.data())
def test_every_step_takes_the_analytic_time(case, routes, data):
    chip = load_chip("tiny", set=routes)
    program = compile_network(case.network, chip, data.draw(st.none() | scattered(case)))
    run = Emulator(chip, program).run(case.steps, inputs=case.inputs, timing="analytic")
    cost = analytic_oracle.Costs(
        *(chip.service_cycles(e) for e in (
            "neuron_idle", "neuron_active", "neuron_spike", "axon_out", "axon_in", "synapse_word", "synaptic_event",
            "host",
        )),
        flits=-(-chip.mesh.header_bits // chip.mesh.flit_bits),
        barrier=run.timing.barrier_cycles,
    )  # fmt: skip
    for step in range(case.steps):
        spiking = run.spike_source[run.spike_step == step].tolist()
        neurons = {}
        for k, (_, first, stop, core, compartment) in enumerate(program.segments.tolist()):
            idle, active, fired = neurons.get(core, (0, 0, 0))
            mine = sum(compartment <= s < compartment + stop - first for s in spiking)
            n_active = int(run.active[step, k])
            neurons[core] = (idle + stop - first - n_active, active + n_active, fired + mine)
        packets = []
        for source in spiking:
            packets += _packets(program, source)
        expected = analytic_oracle.step_cycles(
            neurons, packets, chip.mesh.cores_per_tile, way_of(chip.mesh), cost
        )
        assert run.timing.step_cycles[step] == expected


def _packets(program, source):
    """Return the packets of one spike as the oracle wants them, read off the program row by row."""
    home = (
        int(np.searchsorted(program.core_start, source, side="right")) - 1
        if source < program.n_compartments
        else -1
    )
    ordinal = source - program.n_compartments
    tile = (
        home // CHIP.mesh.cores_per_tile
        if home >= 0
        else CHIP.host.ports[ordinal % len(CHIP.host.ports)]
    )
    to = {}
    for row in program.rows[program.row_start[source] : program.row_start[source + 1]].tolist():
        _, length, block = row
        core, _, _, bits, _ = program.blocks[block].tolist()
        words, left = 0, length
        while left:
            n = min(left, CHIP.synapses.block_synapses)
            words += -(-(n * bits + CHIP.synapses.block_header_bits) // CHIP.synapses.word_bits)
            left -= n
        before = to.get(core, (0, 0))
        to[core] = (before[0] + words, before[1] + length)
    return [(home, tile, core, words, events) for core, (words, events) in to.items()]


@given(cases(), st.integers(1, 5))
def test_reset_every_sample_is_a_fresh_run_of_each(case, length):
    emulator = Emulator(CHIP, compile_network(case.network, CHIP))
    whole = emulator.run(case.steps, inputs=case.inputs, reset_every=length)
    expected = []
    for first in range(0, case.steps, length):
        emulator.reset()
        part = case.inputs["in"][first : first + length]
        expected += states(emulator.run(len(part), inputs={"in": part}), case)
    assert states(whole, case) == expected


@given(
    cases(),
    st.integers(1, 4),
    st.sampled_from([50.0, 333.0]),
    st.sampled_from(["none", "tree"]),
    st.sampled_from(["cycle", "analytic"]),
)
def test_a_run_retimed_on_another_chip_is_a_run_on_that_chip(case, width, mhz, multicast, timing):
    changes = {
        "mesh.multicast": multicast,
        "mesh.width": width,
        "mesh.height": 4,
        "clock.mhz": mhz,
        "costs.hop_ew.energy_pj": 9.7,
    }
    other = load_chip("tiny", set=changes)
    program = compile_network(case.network, CHIP)
    here = Emulator(CHIP, program).run(case.steps, inputs=case.inputs, timing="off")
    retimed = here.retimed(other, timing)
    there = Emulator(other, program).run(case.steps, inputs=case.inputs, timing=timing)
    assert retimed.timing == there.timing
    assert retimed.counters == there.counters
    assert retimed.energy().total_pj == there.energy().total_pj
