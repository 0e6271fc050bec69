"""The run loop, the LIF kernel and the synapse kernel against the plain-Python oracle, to the bit."""

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.loading import load
from tests.oracle import machine as oracle
from tests.oracle.neuron_lif import Compartment, Rules

LIMIT = 2**23
small = st.integers(-4, 4)  # so that values meet the threshold, zero and each other exactly
unit = st.integers(-3, 3).map(lambda n: 64 * n)  # sums of weights meet these exactly
state = small | unit | st.integers(-LIMIT, LIMIT - 1)
retain = st.sampled_from([0, 1, 4095, 4096]) | st.integers(0, 4096)
compartments = st.builds(
    Compartment,
    u_retain=retain,
    v_retain=retain,
    bias=small | unit | st.integers(-(2**20), 2**20),
    threshold=st.sampled_from([0, 1, 63, 64, 128, LIMIT - 2, LIMIT - 1]) | st.integers(0, LIMIT),
    refractory=st.integers(1, 4) | st.just(63),
    u=state,
    v=state,
    left=st.integers(0, 3),
)
rules = st.builds(
    Rules,
    u_bits=st.sampled_from([16, 24, 24, 24]),
    u_saturates=st.booleans(),
    accumulator_bits=st.sampled_from([32, 32, 22, 12]),
    v_min=st.sampled_from([0, -5, -LIMIT + 1]),
    v_max=st.sampled_from([LIMIT - 1, 300]),
)


@st.composite
def networks(draw, max_neurons=12):
    """Draw (neurons, synapses, inputs by step, n_inputs, rules, core sizes)."""
    neurons = draw(st.lists(compartments, min_size=1, max_size=max_neurons))
    n_inputs = draw(st.integers(0, 3))
    n_sources = len(neurons) + n_inputs
    weight = st.integers(-2, 2) | st.sampled_from([-256, 255])
    synapse = st.tuples(
        st.integers(0, n_sources - 1), st.integers(0, len(neurons) - 1), weight.map(lambda w: 64 * w),
        st.integers(0, 1) | st.integers(0, 9),
    )  # fmt: skip
    synapses = draw(st.lists(synapse, max_size=40))
    inputs = draw(
        st.lists(
            st.sets(st.integers(len(neurons), n_sources - 1)) if n_inputs else st.just(set()),
            max_size=14,
        )
    )
    cut = draw(st.lists(st.integers(0, len(neurons)), max_size=3).map(sorted))
    sizes = np.diff([0, *cut, len(neurons)]).tolist()
    return neurons, synapses, inputs, n_inputs, draw(rules), sizes


NO_WORD = np.zeros(0, np.int32)


def execute(network, threads=1, chunks=None, **options):
    """Run a network on the kernels; return spikes, states, events, active counts and overflows."""
    neurons, synapses, inputs, n_inputs, arithmetic, sizes = network
    machine, _ = load(neurons, synapses, n_inputs, arithmetic, sizes, threads, **options)
    spikes, states, active, n_events, n_overflows, first = [], [], [], 0, 0, 0
    everyone = np.arange(len(neurons), dtype=np.int32)
    for n in chunks or [len(inputs)]:
        now = [sorted(step) for step in inputs[first : first + n]]
        start = np.cumsum([0, *map(len, now)]).astype(np.int64)
        source = np.array([s for step in now for s in step], np.uint32)
        buffer = np.zeros((len(neurons) + n_inputs) * (n + 1), np.uint32)
        spike_start, counts = np.zeros(n + 1, np.int64), np.zeros((n, len(sizes)), np.uint32)
        u, v = (np.zeros((n, len(neurons)), np.int32) for _ in range(2))
        machine.begin(
            n, start, source, buffer, spike_start, NO_WORD, NO_WORD, counts, everyone, u, everyone, v,
            NO_WORD.astype(np.int64), np.zeros((n, 0), np.int32), np.zeros((0, 2), np.int32), False,
        )  # fmt: skip
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(machine.work, range(threads)))
        assert machine.steps_done == n
        steps = np.repeat(np.arange(n) + first, np.diff(spike_start))
        spikes += list(zip(steps.tolist(), buffer[: spike_start[n]].tolist(), strict=True))
        states += [
            list(zip(a, b, strict=True)) for a, b in zip(u.tolist(), v.tolist(), strict=True)
        ]
        active += counts.tolist()
        n_events += machine.n_events
        n_overflows += machine.n_overflows
        first += n
    return spikes, states, n_events, active, n_overflows


@given(networks())
def test_every_step_is_bit_exact(network):
    neurons, synapses, inputs, _, arithmetic, _ = network
    cells = deepcopy(neurons)
    expected = oracle.run(cells, synapses, inputs, arithmetic)
    assert execute(network)[:3] == expected


@given(networks())
def test_active_compartments_and_overflows_are_counted(network):
    neurons, synapses, inputs, _, arithmetic, sizes = network
    expected_active, expected_overflows = [], 0
    cells = deepcopy(neurons)
    bounds = np.cumsum([0, *sizes])
    for step in range(len(inputs)):
        again = deepcopy(neurons)
        oracle.run(again, synapses, inputs[: step + 1], arithmetic)
        cells = again
        expected_active.append([sum(c.active for c in cells[a:b]) for a, b in pairwise(bounds)])
        expected_overflows += sum(c.overflowed for c in cells)
    _, _, _, active, n_overflows = execute(network)
    assert active == expected_active
    assert n_overflows == expected_overflows


@given(networks(), st.integers(2, 4))
def test_threads_change_nothing(network, threads):
    assert execute(network, threads) == execute(network)


@given(networks(), st.integers(1, 3), st.sampled_from([1, 2, 3, 100]))
def test_rows_sorted_by_block_change_nothing(network, threads, at_a_time):
    found = execute(network, threads, cached_synapses=-1, sorted_rows=at_a_time)
    assert found == execute(network)


@given(networks(), st.data())
def test_chunks_change_nothing(network, data):
    total = len(network[2])
    cut = data.draw(st.integers(0, total))
    assert execute(network, chunks=[cut, total - cut]) == execute(network)


def test_a_thousand_compartments_run_through_the_vectorised_loop():
    rng = np.random.default_rng(5)
    edge = [0, 1, -1, 64, -64, LIMIT - 1, -LIMIT]

    def some(low, high):
        return int(rng.choice(edge)) if rng.random() < 0.3 else int(rng.integers(low, high))

    neurons = [
        Compartment(
            u_retain=int(rng.integers(0, 4097)), v_retain=int(rng.integers(0, 4097)), bias=some(-900, 900),
            threshold=abs(some(0, 90_000)), refractory=int(rng.integers(1, 5)), u=some(-LIMIT, LIMIT),
            v=some(-LIMIT, LIMIT), left=int(rng.integers(0, 3)),
        )
        for _ in range(1003)
    ]  # fmt: skip
    synapses = [
        (
            int(rng.integers(1008)),
            int(rng.integers(1003)),
            64 * int(rng.integers(-256, 256)),
            int(rng.integers(0, 4)),
        )
        for _ in range(20_000)
    ]
    inputs = [{1003 + int(i) for i in rng.integers(0, 5, 2)} for _ in range(30)]
    network = (neurons, synapses, inputs, 5, Rules(), [500, 0, 503])
    expected = oracle.run(deepcopy(neurons), synapses, inputs, Rules())
    found = execute(network)
    assert len(expected[0]) > 4_000
    assert found[:3] == expected
    assert execute(network, cached_synapses=0, sorted_rows=50) == found


def test_a_full_spike_buffer_ends_the_chunk_early():
    cell = Compartment(u_retain=0, v_retain=0, bias=10, threshold=5, refractory=1)
    machine, _ = load([cell], [], 0, Rules(), [1])
    start, nothing = np.zeros(11, np.int64), np.zeros(0, np.uint32)
    none, rows = np.zeros(0, np.int32), np.zeros((10, 0), np.int32)
    buffer, spike_start = np.zeros(4, np.uint32), np.zeros(11, np.int64)
    machine.begin(
        10,
        start,
        nothing,
        buffer,
        spike_start,
        none,
        none,
        np.zeros((10, 1), np.uint32),
        none,
        rows,
        none,
        rows,
        none.astype(np.int64),
        rows,
        np.zeros((0, 2), np.int32),
        False,
    )
    machine.work(0)
    assert machine.steps_done == 4
    assert machine.step == 4
