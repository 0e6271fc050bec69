import math
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from emulator import Emulator, Mapping, Network, compile_network, load_chip
from emulator.compiler.storage import DENSE, choose_format, row_words, rows_of
from emulator.errors import CapacityError, NetworkError, ProgramError
from tests.oracle import storage as oracle
from tests.strategies import cases

CHIP = load_chip("tiny")
WIDE = {"mesh.width": 8, "mesh.height": 8, "core.synapse_memory_bits": None, "core.axons_in": None,
        "core.axons_out": None, "core.accumulator_entries": None}  # fmt: skip
LIF = {"vth_mant": 1}


def chip(name="tiny", **limits):
    """Return a chip with no limit on a core but its neurons and those given."""
    return load_chip(name, set=WIDE | {f"core.{key}": value for key, value in limits.items()})


def rules_of(description):
    s = description.synapses
    return oracle.Rules(
        s.word_bits, s.block_synapses, s.block_header_bits, tuple(s.index_bits), tuple(s.formats)
    )


def fan(n_pre, n_post, *, delay=0, **keywords):
    """Return a network of every input onto every neuron."""
    net = Network("fan")
    cells = net.population("b", n_post, **LIF, **keywords)
    net.connect(net.input("a", n_pre), cells, weights=np.full((n_post, n_pre), 2), delay=delay)
    return net


def gaps():
    """Return a network of one input with two synapses onto each neuron, which no dense row holds."""
    net = Network()
    cells, ends = net.population("b", 4, **LIF), np.arange(8) // 2
    net.connect(net.input("a", 1), cells, weights=(0 * ends, ends, ends * 0 + 2))
    return net


def sizes(program):
    return np.diff(program.core_start).tolist()


def refused(kind, *args, **keywords):
    with pytest.raises(kind) as error:
        compile_network(*args, **keywords)
    return str(error.value)


# Conservation


def network_synapses(net):
    """Return (projection, pre, post, units, delay) of every synapse as the network was given them."""
    return Counter(
        (p.name, pre, post, math.floor(weight * 2.0**p.weight_exp) * 64, delay)
        for p in net.projections
        for pre, post, weight, delay in zip(
            p.pre.tolist(), p.post.tolist(), p.weights.tolist(),
            np.broadcast_to(p.delays, len(p.pre)).tolist(), strict=True,
        )
    )  # fmt: skip


def walk(program):
    """Yield (source, core, projection, slot, units, delay) of every stored synapse, by the layout's definition."""
    for source in range(program.n_sources):
        for row in range(int(program.row_start[source]), int(program.row_start[source + 1])):
            start, length, block = program.rows[row].tolist()
            core, projection, shift, _, _ = program.blocks[block].tolist()
            before = int(program.core_start[core] - program.shard_start[core])
            for word in program.synapses[start : start + length].tolist():
                mantissa = word >> 23
                mantissa -= 512 * (mantissa >= 256)
                yield (
                    source,
                    core,
                    projection,
                    (word & 0xFFFF) - before,
                    mantissa * 2**shift,
                    word >> 16 & 63,
                )


def program_synapses(program):
    names = [p["name"] for p in program.manifest["projections"]]
    place = {}
    for index, first, stop, _, compartment in program.segments.tolist():
        for neuron in range(first, stop):
            place[compartment + neuron - first] = (index, neuron)
    for index, start in program.input_start.items():
        for neuron in range(program.manifest["populations"][index]["size"]):
            place[start + neuron] = (index, neuron)
    found = Counter()
    for source, core, projection, slot, units, delay in walk(program):
        target = int(program.core_start[core]) + slot
        assert slot >= 0
        assert target < program.core_start[core + 1]
        ends = program.manifest["projections"][projection]
        populations = program.population_index
        assert place[source][0] == populations[ends["source"]]
        assert place[target][0] == populations[ends["target"]]
        found[names[projection], place[source][1], place[target][1], units, delay] += 1
    return found


@st.composite
def mappings(draw, net, description):
    """Draw a mapping that cuts populations anywhere and puts several parts on a core, in any order."""
    parts = []
    for name, population in net.populations.items():
        if population.is_input:
            continue
        cuts = draw(st.sets(st.integers(1, population.size), max_size=3)) | {0, population.size}
        edges = sorted(cuts)
        parts += [(name, a, b) for a, b in pairwise(edges)]
    parts = draw(st.permutations(parts))
    last = description.mesh.n_cores - 1
    return Mapping([(*part, draw(st.integers(0, min(last, 3)))) for part in parts])


@given(cases(), st.data())
def test_every_synapse_is_in_the_program_once(case, data):
    net = case.network
    expected = network_synapses(net)
    programs = [
        compile_network(net, CHIP),
        compile_network(net, CHIP, neurons_per_core=data.draw(st.integers(3, 9))),
        compile_network(net, chip(), data.draw(mappings(net, CHIP))),
    ]
    for program in programs:
        assert program_synapses(program) == expected
        assert sum(p["n_synapses"] for p in program.manifest["projections"]) == expected.total()


# Storage


def storage_of(program, description):
    """Return {core: bits} by the oracle, and hold each block's format to it."""
    groups = defaultdict(list)
    for source, core, projection, slot, _, delay in walk(program):
        groups[core, projection].append((source, slot, delay))
    bits = defaultdict(int)
    stored = {(core, p): (each, form) for core, p, _, each, form in program.blocks.tolist()}
    assert set(stored) == set(groups)
    for (core, projection), synapses in groups.items():
        width = program.manifest["projections"][projection]["weight_bits"]
        each, total = oracle.group(synapses, width, rules_of(description))
        assert stored[core, projection][0] == each
        bits[core] += total
    return bits


@given(cases(max_neurons=12), st.data())
def test_no_core_holds_more_than_its_memory(case, data):
    limit = data.draw(st.integers(2, 40)) * 32
    small, roomy = chip(synapse_memory_bits=limit), chip()
    mapping = data.draw(st.none() | mappings(case.network, small))
    try:
        most = max(
            storage_of(compile_network(case.network, roomy, mapping), small).values(), default=0
        )
    except CapacityError:  # the mapping puts too many neurons on a core
        return
    if mapping is None:
        event("memory decides" if most > limit else "neurons decide")
    if mapping is not None and most > limit:
        assert "synapse memory: " in refused(CapacityError, case.network, small, mapping)
        return
    try:
        program = compile_network(case.network, small, mapping)
    except CapacityError:
        program = None
    if program is None:
        assert mapping is None
        alone = compile_network(case.network, roomy, neurons_per_core=1)
        assert max(storage_of(alone, small).values()) > limit
        return
    assert max(storage_of(program, small).values(), default=0) <= limit


@given(
    synapses=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 70), st.integers(0, 9)), min_size=1, max_size=60),
    full=st.booleans(),
    weight_bits=st.integers(1, 8),
    word_bits=st.sampled_from([8, 32, 64]),
    block=st.integers(1, 9),
    header=st.integers(0, 40),
    index_bits=st.lists(st.integers(0, 7), max_size=3),
    reach=st.sampled_from([4, 7]),
    formats=st.sampled_from([["sparse"], ["dense"], ["sparse", "dense"]]),
)  # fmt: skip
def test_rows_take_what_the_oracle_says(
    synapses, full, weight_bits, word_bits, block, header, index_bits, reach, formats
):
    if full:  # give every source the same run of targets, so that dense has a chance
        sources = {source for source, *_ in synapses}
        synapses = [(s, 3 + k, synapses[0][2]) for s in sources for k in range(len(synapses))]
    values = {"word_bits": word_bits, "block_synapses": block, "block_header_bits": header,
              "index_bits": sorted({*index_bits, reach}), "formats": formats}  # fmt: skip
    made = load_chip("tiny", set={f"synapses.{key}": value for key, value in values.items()})
    expected = oracle.group(synapses, weight_bits, rules_of(made))
    pre, slot, delay = (np.array(column) for column in zip(*synapses, strict=True))
    _, lengths, consecutive = rows_of(pre, slot)
    form = choose_format(
        made, weight_bits, int(delay.max()), int(slot.max()), consecutive=consecutive
    )
    if form is None:
        assert expected is None
        return
    words = row_words(lengths, form.bits_per_synapse, made.synapses)
    assert (form.bits_per_synapse, int(words.sum()) * word_bits) == expected
    assert (form.kind == DENSE) == (consecutive and "dense" in formats)


def test_a_row_by_hand():
    """20 synapses of 8 bits in blocks of 8: 74, 74 and 42 bits, in words of 32."""
    assert oracle.row_bits(20, 8, rules_of(CHIP)) == (3 + 3 + 2) * 32
    assert row_words([20, 8, 9, 0], 8, CHIP.synapses).tolist() == [8, 3, 4, 0]


# Capacities

PER_SPIKE = "(one for each neuron and destination core)"
CAPACITIES = [
    (
        "neurons", fan(1, 129), {},
        "neurons: network 'fan' has 129; chip 'tiny' holds 128, 16 on each of 8 cores",
    ),
    (
        "all synapse memory", fan(40, 100), {"core.synapse_memory_bits": 3999},
        ("synapse memory: the weights of network 'fan' alone take 32,000 bits; chip 'tiny' has 31,992, "
         "3,999 on each of 8 cores"),
    ),
    (
        # Rows are rounded up to words of 32 bits, so that a core takes 8 of the 100 neurons.
        "cores", fan(40, 100), {"core.synapse_memory_bits": 4000, "core.axons_in": 40},
        ("cores: placed in order, the network needs 13, chip 'tiny' has 8; population 'b', which takes 13, most of "
         "them full of synapse memory, does not fit any more; a mapping of your own may do with fewer"),
    ),
    (
        # 40 rows of one dense synapse: 18 bits each, one word of 32.
        "synapse memory", fan(40, 1), {"core.synapse_memory_bits": 1279},
        ("population 'b': neuron 0 does not fit an empty core: synapse memory: 1280 bits needed, 1279 on a core of "
        "chip 'tiny'"),
    ),
    (
        "axons in", fan(33, 2), {},
        "population 'b': neuron 0 does not fit an empty core: axons in: 33 needed, 32 on a core of chip 'tiny'",
    ),
    (
        "formats", gaps(), {"synapses.formats": ["dense"]},
        ("population 'b': neuron 0 does not fit an empty core: formats: targets that do not follow one another need "
        "'sparse'; chip 'tiny' has dense"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("net", "changes", "message"), [c[1:] for c in CAPACITIES], ids=[c[0] for c in CAPACITIES]
)
def test_what_does_not_fit_is_named(net, changes, message):
    assert refused(CapacityError, net, load_chip("tiny", set=changes)) == message


def test_a_neuron_with_too_many_axons_out_is_named():
    net = Network()
    source, cells = net.population("s", 3, **LIF), net.population("b", 5, neurons_per_core=1, **LIF)
    net.connect(source, cells, weights=[[2, 0, 2]] * 5)
    expected = f"population 's': axons out: 5 needed, 4 on a core of chip 'tiny' {PER_SPIKE}"
    assert refused(CapacityError, net, chip(axons_out=4)) == expected
    assert sizes(compile_network(net, chip(axons_out=9))) == [2, 1, 1, 1, 1, 1, 1]
    assert sizes(compile_network(net, chip(axons_out=10))) == [3, 1, 1, 1, 1, 1]


def test_neurons_beyond_a_core_named_in_a_mapping():
    assert refused(CapacityError, fan(1, 17), CHIP, Mapping([("b", 0, 17, 0)])) == (
        "core 0: b[0:17] does not fit: neurons: 17 needed, 16 on a core"
    )


def test_how_many_cores_axons_out_take_is_said_beyond_the_end_of_the_chip():
    net = Network()
    source = net.population("s", 60, **LIF)
    cells = net.population("b", 8, neurons_per_core=1, **LIF)
    net.connect(source, cells, weights=np.full((8, 60), 2))
    small = {"core.axons_out": 8, "core.axons_in": 60, "core.synapse_memory_bits": 2**20}
    assert refused(CapacityError, net, load_chip("tiny", set=small)) == (
        "cores: placed in order, the network takes 68 for its axons out, chip 'tiny' has 8; population 's', which "
        "takes 60, most of them full of axons out, does not fit any more; a mapping of your own may do with fewer"
    )


@pytest.mark.parametrize(
    ("net", "limits", "expected"),
    [
        # Exactly at a limit all fit; one less and the last neuron moves to another core.
        (fan(1, 16), {"neurons": 16}, [16]),
        (fan(1, 16), {"neurons": 15}, [15, 1]),
        (fan(3, 8), {"synapse_memory_bits": 3 * 3 * 32}, [8]),  # 3 rows of 74 bits
        (fan(3, 8), {"synapse_memory_bits": 3 * 3 * 32 - 1}, [6, 2]),  # 2 words hold 6 weights
        (fan(1, 8, delay=2), {"accumulator_entries": 32}, [8]),
        (fan(1, 8, delay=2), {"accumulator_entries": 31}, [7, 1]),
        (fan(5, 8), {"axons_in": 5}, [8]),
    ],
)  # fmt: skip
def test_a_core_is_filled_to_its_limit(net, limits, expected):
    assert sizes(compile_network(net, chip(**limits))) == expected


def test_axons_in_are_counted_once_for_each_source():
    net = Network()
    source, cells = net.input("a", 6), net.population("b", 6, **LIF)
    net.connect(source, cells, weights=np.eye(6, dtype=int) * 2)
    net.connect(source, cells, weights=np.eye(6, dtype=int) * 4)  # the same sources again
    assert sizes(compile_network(net, chip(axons_in=6))) == [6]
    assert sizes(compile_network(net, chip(axons_in=5))) == [5, 1]


def test_a_chip_of_dense_rows_takes_neurons_up_to_the_first_gap():
    net = Network()
    one = np.array([[2, 2], [2, 2], [0, 2], [2, 2], [2, 2]])
    net.connect(net.input("a", 2), net.population("b", 5, **LIF), weights=one)
    dense = load_chip("tiny", set={"synapses.formats": ["dense"]})
    assert sizes(compile_network(net, dense)) == [3, 2]
    assert sizes(compile_network(net, CHIP)) == [5]


def test_the_index_is_the_narrowest_that_reaches_the_highest_target():
    for n, width in ((2, 2), (4, 2), (5, 4), (16, 4)):
        net = Network()
        ends = np.array([n - 1, n - 1])
        net.connect(
            net.input("a", 1), net.population("b", n, **LIF), weights=(0 * ends, ends, ends * 0 + 2)
        )
        assert compile_network(net, CHIP).blocks[:, 3].tolist() == [8 + width]


def test_the_longest_run_is_found_wherever_it_ends():
    """Every core but the last is full: one neuron more would not have fitted."""
    rng = np.random.default_rng(3)
    net = Network()
    dense = rng.integers(-9, 9, (300, 40)) * 2 * (rng.random((300, 40)) < rng.random((300, 1)))
    net.connect(net.input("a", 40), net.population("b", 300, **LIF), weights=dense)
    limit = 128 * 32
    free = {"neurons": 1024, "synapse_memory_bits": limit}
    wide = load_chip("loihi", set={f"core.{k}": v for k, v in free.items()})
    segments = compile_network(net, wide).segments.tolist()
    assert len(segments) > 8
    for _, start, stop, core, _ in segments:
        for end, fits in ((stop, True), (stop + 1, False)):
            if end > 300:
                continue
            part = [(s, n, 0) for n, s in np.argwhere(dense[start:end]).tolist()]
            _, bits = oracle.group(part, 8, rules_of(wide))
            assert (bits <= limit) == fits, (core, start, end)


def test_populations_begin_on_a_core_of_their_own_unless_packed():
    def cores(pack):
        net = Network()
        net.population("a", 5, **LIF)
        net.population("b", 20, pack=pack, **LIF)
        return compile_network(net, CHIP).segments[:, [1, 2, 3]].tolist()

    assert cores(pack=False) == [[0, 5, 0], [0, 16, 1], [16, 20, 2]]
    assert cores(pack=True) == [[0, 5, 0], [0, 11, 0], [11, 20, 1]]


def test_neurons_per_core_of_all_and_of_one():
    net = Network()
    net.population("a", 5, **LIF)
    net.population("b", 5, neurons_per_core=2, **LIF)
    net.population("c", 4, pack=True, **LIF)
    assert sizes(compile_network(net, CHIP)) == [5, 2, 2, 1 + 4]
    assert sizes(compile_network(net, CHIP, neurons_per_core=3)) == [3, 2, 2, 2, 1 + 3, 1]
    # The smaller of both holds, whoever says it.
    assert sizes(compile_network(net, CHIP, neurons_per_core=2)) == [2, 2, 1, 2, 2, 1 + 2, 2]
    everyone = Mapping([("a", 0, 5, 0), ("b", 0, 5, 1), ("c", 0, 4, 2)])
    for wrong, mapping, message in (
        (0, None, "neurons_per_core is 0; it must be a whole number from 1 to 65,536"),
        (-1, None, "neurons_per_core is -1; it must be a whole number from 1 to 65,536"),
        (1.5, None, "neurons_per_core is 1.5; it must be a whole number from 1 to 65,536"),
        (3, everyone, "neurons_per_core cannot be given with a mapping"),
    ):
        with pytest.raises(NetworkError) as error:
            compile_network(net, CHIP, mapping, neurons_per_core=wrong)
        assert str(error.value) == message


# Real units


def real(net=None, **parameters):
    net = net or Network("real", dt_ms=0.5)
    cells = net.population("b", 2, **{"threshold": 1.0} | parameters)
    net.connect(net.input("a", 2), cells, weights=[[0.5, -0.25], [0.125, 0.0]])
    return net


def test_real_units_become_registers():
    net = real(
        tau_syn_ms=5.0, tau_mem_ms=20.0, refractory_ms=2.0, bias=[0.25, -3.0], v_start=0.5, u_start=-0.25,
    )  # fmt: skip
    program = compile_network(net, CHIP)
    # All are multiples of 0.125, of which a mantissa holds 31 steps four times: 0.5 is mantissa 248, at exponent 1, so
    # that the threshold is at least 512: 1.0 is 992.
    assert program.threshold.tolist() == [992 << 6] * 2
    # u decays by du + 1 on this chip, v by dv; each is 1 - exp(-dt / tau) of 4096.
    assert program.u_retain.tolist() == [round(4096 * math.exp(-0.1))] * 2
    assert program.v_retain.tolist() == [round(4096 * math.exp(-0.025))] * 2
    assert program.refractory.tolist() == [5, 5]  # 4 steps at rest, and the one in which it spikes
    assert program.v_init.tolist() == [496 << 6] * 2
    assert program.u_init.tolist() == [-(248 << 6)] * 2
    # 0.25 is 248 << 6, held by 1984 << 3; -3.0 is 2976 << 6.
    assert program.bias.tolist() == [248 << 6, -(2976 << 6)]
    pre, post, units, _ = program.projection_synapses("a->b")
    assert dict(zip(zip(pre.tolist(), post.tolist(), strict=True), units.tolist(), strict=True)) == {
        (0, 0): 496 << 6, (1, 0): -(248 << 6), (0, 1): 124 << 6,
    }  # fmt: skip
    report = program.manifest["projections"][0]["quantisation"]
    assert report == {
        "scale": 992.0, "weight_exp": 1, "n_clipped": 0, "n_zero": 0, "max_abs_error": 0.0, "rms_error": 0.0,
    }  # fmt: skip


def test_real_weights_that_are_no_multiples_are_rounded_to_the_largest_mantissa():
    net = Network("real", dt_ms=0.5)
    cells = net.population("b", 2, threshold=1.0, bias=0.25)
    net.connect(net.input("a", 2), cells, weights=[[0.5, -0.2501], [0.1251, 0.0]])
    program = compile_network(net, CHIP)
    # The largest weight, 0.5, is mantissa 254 and exponent 1, so that the threshold is at least 512: 1.0 is 1016.
    assert program.threshold.tolist() == [1016 << 6] * 2
    assert program.bias.tolist() == [254 << 6] * 2
    pre, post, units, _ = program.projection_synapses("a->b")
    assert dict(zip(zip(pre.tolist(), post.tolist(), strict=True), units.tolist(), strict=True)) == {
        (0, 0): 508 << 6, (1, 0): -(256 << 6), (0, 1): 128 << 6,
    }  # fmt: skip
    errors = [256 / 1016 - 0.2501, 128 / 1016 - 0.1251]
    assert program.manifest["projections"][0]["quantisation"] == {
        "scale": 1016.0, "weight_exp": 1, "n_clipped": 0, "n_zero": 0,
        "max_abs_error": pytest.approx(errors[0]), "rms_error": pytest.approx(math.hypot(*errors) / math.sqrt(3)),
    }  # fmt: skip


def test_what_real_values_cannot_be_held_is_said():
    where = "population 'b': "
    limits = "chip 'tiny' allows -8388607 to 8388607"
    for parameters, expected in (
        ({"v_start": 1e30}, f"v_init is 4611686018427387904; {limits}"),
        ({"u_start": -1e9}, "u_init is -65024000000000; chip 'tiny' allows -8388608 to 8388607"),
        ({"bias": 1e30}, "bias_mant is 4611686018427387904; chip 'tiny' allows -4096 to 4095"),
        ({"refractory_ms": 31.6}, "refractory is 64; chip 'tiny' allows 1 to 63"),
    ):
        assert refused(NetworkError, real(**parameters), CHIP) == where + expected
    assert compile_network(real(refractory_ms=31.0), CHIP).refractory.tolist() == [63, 63]


def test_one_bit_holds_no_real_weight_of_both_signs():
    net = Network()
    source, cells = net.input("a", 1), net.population("b", 1, threshold=1.0)
    net.connect(source, cells, weights=[[0.5]], weight_bits=1)
    assert refused(NetworkError, net, CHIP) == (
        "projection 'a->b': weight_bits is 1, which holds no real weights of sign_mode 'mixed': one bit is the sign"
    )


def test_warnings_say_what_precision_is_lost():
    net = real(threshold=1e6, tau_mem_ms=1e6)
    assert compile_network(net, CHIP).manifest["warnings"] == [
        (
            "population 'b': the threshold is so many times the largest weight that its register "
            "cannot hold it at full weight precision; weights use fewer bits"
        ),
        "population 'b': tau_mem_ms 1e+06 ms of neuron 0 is held as no decay",
        (
            "projection 'a->b': all 3 weights act as 0, so small are they beside the threshold of 'b' or its other "
            "weights"
        ),
    ]


@given(st.integers(0, 2**16), st.sampled_from([1e-6, 0.3, 1.0, 25.0, 1e5]))
def test_rounding_costs_at_most_half_a_step(seed, unit):
    rng = np.random.default_rng(seed)
    weights = rng.normal(0, unit, (6, 5))
    net = Network()
    cells = net.population("b", 6, threshold=unit * rng.uniform(0.5, 8))
    net.connect(net.input("a", 5), cells, weights=weights)
    program = compile_network(net, CHIP)
    report = program.manifest["projections"][0]["quantisation"]
    pre, post, units, _ = program.projection_synapses("a->b")
    error = np.abs(units / 64 / report["scale"] - weights[post, pre])
    assert error.max() == pytest.approx(report["max_abs_error"], rel=1e-6, abs=1e-12 * unit)
    assert error.max() <= 2 ** report["weight_exp"] / report["scale"] * (1 + 1e-9)
    assert np.abs(weights).max() / 254 >= error.max() * (1 - 1e-9)
    assert report["n_clipped"] == 0


def test_spikes_of_real_units_are_near_a_float_simulation():
    rng = np.random.default_rng(7)
    n_pre, n, steps = 30, 12, 400
    weights, inputs = rng.normal(0.08, 0.12, (n, n_pre)), rng.random((steps, n_pre)) < 0.1
    net = Network(dt_ms=1.0)
    cells = net.population("b", n, threshold=1.0, tau_syn_ms=5.0, tau_mem_ms=20.0)
    net.connect(net.input("a", n_pre), cells, weights=weights)
    net.probe(cells, "v")
    chip_ = load_chip("loihi")
    run = Emulator(chip_, compile_network(net, chip_)).run(steps, inputs={"a": inputs})
    u = v = np.zeros(n)
    spikes = np.zeros((steps, n), bool)
    for t in range(1, steps):
        u = u * math.exp(-1 / 5) + weights @ inputs[t - 1]
        v = v * math.exp(-1 / 20) + u
        spikes[t] = v > 1.0
        v = np.where(spikes[t], 0.0, v)
    emulated = np.bincount(run.spikes["b"][:, 1], minlength=n)
    simulated = spikes.sum(axis=0)
    assert simulated.sum() > 500
    assert np.abs(emulated - simulated).max() <= 3
    assert abs(int(emulated.sum()) - int(simulated.sum())) <= 0.01 * simulated.sum()


# What a chip cannot hold


@pytest.mark.parametrize(
    ("cells", "synapses", "message"),
    [
        ({"vth_mant": 2**17}, {}, "population 'b': vth_mant is 131072; chip 'tiny' allows 0 to 131071"),
        ({"bias_mant": 4096}, {}, "population 'b': bias_mant is 4096; chip 'tiny' allows -4096 to 4095"),
        ({"bias_mant": -4097}, {}, "population 'b': bias_mant is -4097; chip 'tiny' allows -4096 to 4095"),
        ({"refractory": 64}, {}, "population 'b': refractory is 64; chip 'tiny' allows 1 to 63"),
        ({"refractory_init": 64}, {}, "population 'b': refractory_init is 64; chip 'tiny' allows 0 to 63"),
        ({"u_init": 2**23}, {}, "population 'b': u_init is 8388608; chip 'tiny' allows -8388608 to 8388607"),
        ({"v_init": -(2**23)}, {}, "population 'b': v_init is -8388608; chip 'tiny' allows -8388607 to 8388607"),
        ({}, {"delay": 7}, "projection 'a->b': a delay is 7 steps; chip 'tiny' allows 0 to 6"),
        ({}, {"weight_bits": 3}, "projection 'a->b': weight_bits is 3; chip 'tiny' stores [1, 2, 4, 8]"),
    ],
)  # fmt: skip
def test_what_a_chip_cannot_hold_is_named(cells, synapses, message):
    net = Network()
    target = net.population("b", 2, **LIF | cells)
    net.connect(net.input("a", 1), target, weights=[[2], [2]], **synapses)
    assert refused(NetworkError, net, CHIP) == message


def test_every_mistake_of_a_network_for_a_chip_comes_at_once():
    net = Network()
    target = net.population("b", 1, vth_mant=2**17, refractory=64)
    net.connect(net.input("a", 1), target, weights=[[2]], weight_exp=7, delay=63, weight_bits=7)
    narrow = load_chip("tiny", set={"arithmetic.weight_exponent_max": 6})
    assert refused(NetworkError, net, narrow).splitlines() == [
        "population 'b': vth_mant is 131072; chip 'tiny' allows 0 to 131071",
        "population 'b': refractory is 64; chip 'tiny' allows 1 to 63",
        "projection 'a->b': a delay is 63 steps; chip 'tiny' allows 0 to 6",
        "projection 'a->b': weight_bits is 7; chip 'tiny' stores [1, 2, 4, 8]",
        "projection 'a->b': weight_exp is 7; chip 'tiny' allows -8 to 6",
    ]


def test_registers_at_their_limits_reach_the_program():
    net = Network()
    net.population(
        "b", 2, du=[0, 4095], dv=[0, 4095], vth_mant=[0, 2**17 - 1], bias_mant=[-4096, 4095], bias_exp=[7, 0],
        refractory=[1, 63], refractory_init=[0, 63], u_init=[-(2**23), 2**23 - 1], v_init=[1 - 2**23, 2**23 - 1],
    )  # fmt: skip
    program = compile_network(net, CHIP)
    assert program.u_retain.tolist() == [4095, 0]
    assert program.v_retain.tolist() == [4096, 1]
    assert program.threshold.tolist() == [0, (2**17 - 1) << 6]
    assert program.bias.tolist() == [-4096 << 7, 4095]
    assert program.refractory.tolist() == [1, 63]
    assert program.refractory_init.tolist() == [0, 63]
    assert program.u_init.tolist() == [-(2**23), 2**23 - 1]
    assert program.v_init.tolist() == [1 - 2**23, 2**23 - 1]


def test_input_that_could_leave_32_bits_is_refused():
    def onto_one(n):
        net = Network()
        target = net.population("b", 2, **LIF)
        ends = np.zeros(n, int)
        net.connect(net.input("a", 1), target, weights=(ends, ends + 1, ends - 256), weight_exp=7)
        return net

    assert compile_network(onto_one(1023), chip()).n_synapses == 1023  # 1024 x 256 x 2^13 is 2^31
    assert refused(NetworkError, onto_one(1024), chip()) == (
        "population 'b': the weights onto neuron 1 add up to 2.15e+09 units; "
        "at most 2147483647 can be added in one step: lower weight_exp"
    )


def test_a_network_without_populations_and_one_of_inputs_alone():
    assert refused(NetworkError, Network("void"), CHIP) == "network 'void' has no population"
    net = Network()
    net.input("a", 3)
    program = compile_network(net, CHIP)
    assert (program.n_sources, program.n_compartments, program.n_cores) == (3, 0, 0)


# Fit and determinism


def test_a_program_runs_only_on_a_chip_that_has_enough():
    program = compile_network(fan(2, 33), CHIP)
    with pytest.raises(ProgramError) as error:
        Emulator(load_chip("tiny", set={"name": "other", "core.neurons": 15}), program)
    assert str(error.value) == (
        "program 'fan' was compiled for chip 'tiny' and needs more than 'other' has: core.neurons is 15, core 0 needs 16"
    )
    small = {"mesh.width": 1, "mesh.height": 1, "management.tiles": [0]}
    with pytest.raises(ProgramError) as error:
        Emulator(load_chip("tiny", set=small), program)
    assert str(error.value) == "program 'fan' uses cores up to 2; chip 'tiny' has 2"
    slower = load_chip("tiny", set={"clock.mhz": 10.0, "mesh.width": 3})
    assert Emulator(slower, program).run(1).n_steps == 1


@given(cases())
def test_the_same_arguments_give_the_same_bytes(tmp_path_factory, case):
    first, second = (compile_network(case.network, CHIP, seed=5) for _ in range(2))
    assert first.sha256 == second.sha256
    assert all(
        a.tobytes() == b.tobytes()
        for a, b in zip(first.tensors().values(), second.tensors().values(), strict=True)
    )
    assert compile_network(case.network, CHIP, seed=6).sha256 != first.sha256


def test_files_of_two_compilations_are_equal(tmp_path):
    for name in ("a", "b"):
        compile_network(fan(3, 20), CHIP, seed=1).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_manifest_says_what_was_compiled():
    net = fan(2, 3, delay=4)
    net.assumptions.append("drawn by chance")
    net.probe(net.populations["b"], "u", neurons=[2, 0])
    manifest = compile_network(net, CHIP, seed=9).manifest
    assert manifest["chip"] == {
        "name": "tiny",
        "fingerprint": CHIP.fingerprint(),
        "function": CHIP.function(),
    }
    assert (manifest["name"], manifest["seed"], manifest["dt_ms"]) == ("fan", 9, 1.0)
    assert manifest["max_delay_steps"] == 4
    assert manifest["assumptions"] == ["drawn by chance"]
    assert manifest["probes"] == [{"population": "b", "variable": "u", "neurons": [2, 0]}]
    assert [(p["name"], p["size"], p["is_input"]) for p in manifest["populations"]] == [
        ("b", 3, False), ("a", 2, True),
    ]  # fmt: skip


def test_rows_longer_than_sixteen_bits_are_cut():
    n = 70_000
    net = Network()
    ends = np.zeros(n, int)
    net.connect(net.input("a", 1), net.population("b", 1, **LIF), weights=(ends, ends, ends + 2))
    program = compile_network(net, chip())
    assert program.rows.tolist() == [(0, 65_535, 0), (65_535, n - 65_535, 0)]
    emulator = Emulator(chip(), program)
    assert emulator.run(2, inputs={"a": [[0, 0]]}).counters.total("synaptic_event") == n


def test_weights_alone_may_fill_the_memory():
    bare = load_chip(
        "tiny", set=WIDE | {"core.synapse_memory_bits": 32, "synapses.block_header_bits": 0}
    )
    assert sizes(compile_network(fan(1, 8), bare)) == [4, 4]


def test_a_core_has_the_slots_of_its_longest_delay():
    net = Network()
    source, cells = net.input("a", 1), net.population("b", 8, **LIF)
    for delay in (2, 0):
        net.connect(source, cells, weights=np.full((8, 1), 2), delay=delay)
    assert sizes(compile_network(net, chip(accumulator_entries=32))) == [8]
    assert sizes(compile_network(net, chip(accumulator_entries=31))) == [7, 1]


def test_axons_out_of_packed_populations_add_up():
    net = Network()
    first, second = net.population("s", 4, **LIF), net.population("t", 4, pack=True, **LIF)
    target = net.population("b", 1, pack=False, **LIF)
    for source in (first, second):
        net.connect(source, target, weights=np.full((1, 4), 2))
    assert sizes(compile_network(net, chip(axons_out=8))) == [8, 1]
    assert sizes(compile_network(net, chip(axons_out=6))) == [6, 2, 1]


def test_a_brian_weight_that_no_mantissa_can_say_is_warned_of():
    brian = load_chip("tiny", set={"arithmetic.weight_policy": "brian"})
    net = Network()
    cells = net.population("b", 1, **LIF)
    net.connect(net.input("a", 2), cells, weights=[[-256, -254]], weight_exp=7)
    manifest = compile_network(net, brian).manifest
    assert manifest["warnings"] == [
        (
            "projection 'a->b': 1 weights act as -2097152; the policy 'brian' would stop at -2097088, "
            "which no mantissa at weight_exp 7 can say"
        )
    ]
    assert manifest["projections"][0]["quantisation"] == {
        "policy": "brian", "n_truncated": 0, "n_zero": 0, "max_loss": 0.0, "n_beyond": 1,
    }  # fmt: skip


def test_where_many_cuts_at_once_fail_one_at_a_time_is_tried():
    rng = np.random.default_rng(252)
    rng.integers(5, 10), rng.integers(10, 60)  # as the search that found this network drew it
    net = Network()
    cells = net.population("a", 38, **LIF)
    some = rng.random((38, 38)) < rng.choice([0.05, 0.1, 0.2])
    net.connect(cells, cells, weights=2 * some.astype(int))
    assert sum(sizes(compile_network(net, chip(axons_out=9)))) == 38
