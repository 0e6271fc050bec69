"""Where neurons go without a mapping: who shares a core, what is refused, and how many cores are named then."""

import re
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from emulator import Emulator, Mapping, Network, Rule, compile_network, load_chip
from emulator.compiler.axons import Destinations
from emulator.compiler.mapped import check_mapping
from emulator.errors import CapacityError, NetworkError

LOIHI, LOIHI2, TINY = (load_chip(name) for name in ("loihi", "loihi2", "tiny"))
LIF = {"vth_mant": 1}


def chip(n_cores, **limits):
    """Return a tiny chip of so many cores of 16 neurons, with no limit on a core but its neurons and those given."""
    free = dict.fromkeys(
        ("synapse_memory_bits", "axons_in", "axons_out", "accumulator_entries"), None
    )
    core = {f"core.{key}": value for key, value in (free | limits).items()}
    mesh = {"mesh.width": n_cores, "mesh.height": 1, "mesh.cores_per_tile": 1}
    return load_chip("tiny", set=core | mesh | {"management.tiles": [0], "host.ports": [0]})


def line(*sizes, **options):
    """Return a network of unconnected populations p0, p1, ..."""
    net = Network("line")
    for k, size in enumerate(sizes):
        net.population(f"p{k}", size, **LIF, **options)
    return net


def placed(program):
    """Return {core: "p0[0:5] p1[0:3]"}."""
    names = [p["name"] for p in program.manifest["populations"]]
    found = {}
    for k, start, stop, core, _ in program.segments.tolist():
        found.setdefault(core, []).append(f"{names[k]}[{start}:{stop}]")
    return {core: " ".join(runs) for core, runs in found.items()}


def sizes(program):
    return np.diff(program.core_start).tolist()


def refused(*args, **keywords):
    with pytest.raises(CapacityError) as error:
        compile_network(*args, **keywords)
    return str(error.value)


# Sharing


def test_small_populations_share_cores():
    """Up to 16 neurons together."""
    assert sizes(compile_network(line(8, 8, 8, 3, 5, 40, 1, 15, 1), LOIHI)) == [16, 16, 40, 16, 1]
    assert sizes(compile_network(line(15, 2, 14), LOIHI)) == [15, 16]
    assert sizes(compile_network(line(16, 10), LOIHI)) == [16, 10]


def chain(n, size):
    """Return so many populations of a size, each with synapses onto the next."""
    net = line(*[size] * n)
    for before, after in pairwise(list(net.populations.values())):
        net.connect(before, after, weights=np.full((size, size), 2))
    return net


def test_a_hundred_and_thirty_populations_of_eight_fit_128_cores():
    for description in (LOIHI, LOIHI2):
        assert sizes(compile_network(chain(130, 8), description)) == [16] * 65


def test_no_core_is_shared_by_more_than_a_chip_asks_for():
    """300 of 8: 16 neurons a core are 150 cores, 32 are 75; 2,000 of 8: 128 neurons are 125."""
    assert sizes(compile_network(chain(300, 8), LOIHI)) == [32] * 75
    assert sizes(compile_network(chain(2000, 8), LOIHI)) == [128] * 125


def test_what_is_left_of_a_large_population_is_shared():
    assert sizes(compile_network(line(1030, 10, 900, 10, 1), LOIHI)) == [1024, 16, 900, 11]


def test_a_small_part_is_one_of_every_capacity():
    """2 KB of synapses, 64 axons in and 128 accumulators are a sixty-fourth on Loihi."""

    def shares(n_pre, n_post, delay=0, times=1):
        net = line(n_post, n_post)
        source = net.input("in", n_pre)
        for name in ("p0", "p1") * times:
            cells = net.populations[name]
            net.connect(source, cells, weights=np.full((n_post, n_pre), 2), delay=delay)
        return len(sizes(compile_network(net, LOIHI))) == 1

    assert shares(64, 4)
    assert not shares(65, 4)
    assert shares(64, 6, times=2)  # 256 rows of 1 word: 6 synapses and a header in 64 bits
    assert not shares(64, 7, times=2)  # 2 words
    assert shares(2, 8, delay=6)  # 16 neurons with 8 slots
    assert not shares(2, 8, delay=7)


def test_pack_says_who_shares():
    def runs(*packs):
        net = Network("packs")
        for k, pack in enumerate(packs):
            net.population(f"p{k}", 5, pack=pack, **LIF)
        return list(placed(compile_network(net, LOIHI)).values())

    assert runs(None, None) == ["p0[0:5] p1[0:5]"]
    assert runs(None, False, None, None) == ["p0[0:5]", "p1[0:5]", "p2[0:5] p3[0:5]"]
    assert runs(False, True, None) == ["p0[0:5] p1[0:5] p2[0:5]"]
    assert runs(True, np.True_, np.False_) == ["p0[0:5] p1[0:5]", "p2[0:5]"]
    for wrong in (1, "yes", 0.0):
        with pytest.raises(NetworkError) as error:
            runs(wrong)
        assert str(error.value) == (
            f"population 'p0': pack is {wrong!r}; it must be True, False or None"
        )


def test_neurons_per_core_hold_for_what_shares():
    assert sizes(compile_network(line(5, 5, 5, 5), LOIHI, neurons_per_core=10)) == [10, 10]
    assert sizes(compile_network(line(5, 5, 5), LOIHI, neurons_per_core=5)) == [5, 5, 5]
    assert sizes(compile_network(line(5, 5, neurons_per_core=3), LOIHI)) == [3, 2, 3, 2]
    net = line(5)
    net.population("q", 4, neurons_per_core=8, **LIF)
    assert sizes(compile_network(net, LOIHI)) == [5, 4]


def test_neurons_per_core_hold_for_what_must_share_too():
    assert sizes(compile_network(line(10, 10, 10), chip(2))) == [16, 14]
    message = "cores: placed in order, the network needs 3, chip 'tiny' has 2; "
    assert refused(line(10, 10, 10), chip(2), neurons_per_core=10).startswith(message)
    net = line(10, 10)
    net.population("few", 4, neurons_per_core=12, **LIF)
    assert sizes(compile_network(net, chip(3))) == [10, 10, 4]
    assert placed(compile_network(net, chip(2))) == {0: "p0[0:10] p1[0:6]", 1: "p1[6:10] few[0:4]"}


def test_populations_that_learn_in_different_epochs_do_not_share():
    def cores(*epochs):
        net = line(*[4] * len(epochs))
        source = net.input("in", 2)
        for k, epoch in enumerate(epochs):
            rule = Rule(dw="2^-2*x0*y0", epoch=epoch) if epoch else None
            net.connect(source, net.populations[f"p{k}"], weights=np.full((4, 2), 2), learning=rule)
        return list(placed(compile_network(net, LOIHI)).values())

    assert cores(2, 2) == ["p0[0:4] p1[0:4]"]
    assert cores(2, 3) == ["p0[0:4]", "p1[0:4]"]
    assert cores(2, 0, 2, 4) == ["p0[0:4] p1[0:4] p2[0:4]", "p3[0:4]"]


def test_joined_populations_share_as_one():
    net = Network("joined")
    pairs = [[net.population(f"{end}{k}", 4, **LIF) for end in "ab"] for k in range(130)]
    for a, b in pairs:
        net.join(b, a)
    program = compile_network(net, LOIHI)
    assert sizes(program) == [16] * 65
    assert placed(program)[64] == "b128[0:4] a128[0:4] b129[0:4] a129[0:4]"


def test_a_chip_with_few_cores_is_filled_more_densely():
    """Twice as densely, again and again, and at last populations are cut."""
    assert sizes(compile_network(line(9, 9, 9, 9, 9), chip(5))) == [9] * 5
    assert sizes(compile_network(line(9, 9, 9, 9, 9), chip(3))) == [16, 16, 13]
    assert placed(compile_network(line(9, 9, 9), chip(2))) == {
        0: "p0[0:9] p1[0:7]",
        1: "p1[7:9] p2[0:9]",
    }
    last = line(9, 9)
    last.population("own", 2, pack=False, **LIF)
    assert sizes(compile_network(last, chip(3))) == [9, 9, 2]
    assert refused(last, chip(2)) == (
        "cores: placed in order, the network needs 3, chip 'tiny' has 2; population 'own', which takes 1, does not "
        "fit any more; a mapping of your own may do with fewer"
    )


def test_sharing_changes_no_spike():
    def run(pack):
        rng = np.random.default_rng(5)
        net = Network("chain")
        source = before = net.input("in", 6)
        for k in range(5):
            cells = net.population(f"p{k}", 6, vth_mant=60, du=2000, dv=300, pack=pack)
            net.connect(before, cells, weights=2 * rng.integers(-20, 60, (6, 6)), delay=k % 3)
            net.connect(cells, cells, weights=2 * rng.integers(-20, 20, (6, 6)))
            net.probe(cells, "v")
            before = cells
        program = compile_network(net, LOIHI)
        return program.n_cores, Emulator(LOIHI, program).run(
            60, {source.name: rng.random((60, 6)) < 0.4}
        )

    (few, shared), (many, alone) = run(None), run(False)
    assert (few, many) == (3, 5)
    assert shared.spikes.counts() == alone.spikes.counts()
    assert sum(shared.spikes.counts().values()) > 300
    for name, each in alone.recordings.items():
        assert np.array_equal(each["v"], shared.recordings[name]["v"])
        assert np.array_equal(alone.spikes[name], shared.spikes[name])


# How many cores


@st.composite
def networks(draw):
    """Draw up to three small populations of recurrent, forward and input synapses."""
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    net = line(*draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    ends = list(net.populations.values())
    source = net.input("in", draw(st.integers(1, 5)))
    for _ in range(draw(st.integers(1, 4))):
        pre, post = ends[rng.integers(len(ends))], ends[rng.integers(len(ends))]
        pre = source if rng.random() < 0.3 else pre
        weights = 2 * rng.integers(1, 50, (post.size, pre.size))
        weights[rng.random(weights.shape) > rng.choice([0.3, 0.6, 1])] = 0
        net.connect(pre, post, weights=weights, delay=int(rng.integers(0, 3)))
    return net


LIMITS = st.fixed_dictionaries(
    {
        "neurons": st.integers(2, 4),
        "synapse_memory_bits": st.none() | st.integers(64, 1200),
        "axons_in": st.none() | st.integers(3, 12),
        "accumulator_entries": st.none() | st.integers(8, 24),
    }
)


def runs(part, core):
    """Return neurons (name, number) on a core as segments."""
    for name in dict.fromkeys(name for name, _ in part):
        numbers = [k for other, k in part if other == name]
        yield name, numbers[0], numbers[-1] + 1, core


def fewest_cores(net, limits):
    """Return the fewest cores on which neurons can be placed in order, by trying all cuts with mappings; or None."""
    flat = [(p.name, k) for p in net.populations.values() if not p.is_input for k in range(p.size)]
    everywhere = chip(len(flat), **limits)
    for n_cuts in range(len(flat)):
        for cuts in combinations(range(1, len(flat)), n_cuts):
            parts = [flat[a:b] for a, b in pairwise([0, *cuts, len(flat)])]
            segments = [segment for core, part in enumerate(parts) for segment in runs(part, core)]
            try:
                check_mapping(net, everywhere, Mapping(segments))
            except CapacityError:
                continue
            return n_cuts + 1
    return None


@given(networks(), LIMITS)
def test_a_network_is_refused_only_where_no_packing_in_order_fits(net, limits):
    fewest = fewest_cores(net, limits)
    if fewest is None:
        assert "does not fit an empty core" in refused(net, chip(9, **limits))
        return
    program = compile_network(net, chip(fewest, **limits))
    assert program.n_cores <= fewest
    n_neurons = sum(p.size for p in net.populations.values() if not p.is_input)
    if fewest > 1 and n_neurons <= limits["neurons"] * (fewest - 1):
        event("capacities decide")
        message = refused(net, chip(fewest - 1, **limits))
        if message.startswith("cores: "):
            found = re.match(r"cores: placed in order, the network needs (\d+), ", message)
            assert found, message
            assert int(found[1]) == fewest


@given(networks(), LIMITS, st.integers(2, 12))
def test_axons_out_are_kept_where_a_network_is_placed_for_them(net, limits, axons_out):
    limits |= {"axons_out": axons_out}
    fewest = fewest_cores(net, limits)
    try:
        program = compile_network(net, chip(9, **limits))
    except CapacityError:
        event("refused")
        return
    assert fewest is not None
    assert fewest <= program.n_cores
    names = [p["name"] for p in program.manifest["populations"]]
    same = Mapping([(names[k], a, b, core) for k, a, b, core, _ in program.segments.tolist()])
    assert compile_network(net, chip(9, **limits), same).n_cores == program.n_cores


@given(networks(), st.data())
def test_destinations_are_counted_as_sets_are(net, data):
    here = {name: p.size for name, p in net.populations.items() if not p.is_input}
    n = sum(here.values())
    order = data.draw(st.permutations(range(n)))  # any mapping has an order in which cores rise
    first = dict(zip(here, np.cumsum([0, *here.values()]).tolist(), strict=False))
    place = {
        name: np.array(order[first[name] : first[name] + size], np.int32)
        for name, size in here.items()
    }
    reach = Destinations(net, place)
    for _ in range(3):
        cores = sorted(
            data.draw(st.lists(st.integers(0, 6), min_size=n, max_size=n), label="cores")
        )
        expected = [set() for _ in range(n)]
        for p in net.projections:
            if p.source.is_input:
                continue
            for pre, post in zip(p.pre.tolist(), p.post.tolist(), strict=True):
                expected[place[p.source.name][pre]].add(cores[place[p.target.name][post]])
        counted = reach.count(np.array(cores, np.int32))
        assert counted.tolist() == [len(each) for each in expected]


# Large networks


def grid(side, radius, rng):
    """Return neurons on a square, in any order, each with synapses onto all within a radius."""
    place, (y, x) = rng.permutation(side * side), np.divmod(np.arange(side * side), side)
    ends = []
    for dy, dx in np.argwhere(np.ones((13, 13))) - 6:
        if 0 < dx * dx + dy * dy <= radius * radius:
            inside = (y + dy >= 0) & (y + dy < side) & (x + dx >= 0) & (x + dx < side)
            ends.append((place[inside], place[((y + dy) * side + x + dx)[inside]]))
    pre, post = (np.concatenate(each) for each in zip(*ends, strict=True))
    net = Network("grid")
    cells = net.population("cells", side * side, **LIF)
    net.connect(cells, cells, weights=(pre, post, np.full(len(pre), 2)))
    return net


@pytest.mark.parametrize(("radius", "most"), [(1.0, 4), (1.5, 8), (5.6, 60)])
def test_a_grid_of_ten_thousand_fits_loihi2_as_shipped(radius, most):
    net = grid(100, radius, np.random.default_rng(0))
    program = compile_network(net, LOIHI2)
    assert program.n_cores <= most
    assert program.n_synapses == len(net.projections[0].pre)


def test_axons_out_cost_a_few_cores_not_twice_as_many():
    """Cores that are cut anywhere leave remnants, and each cut makes new axons out: cores are filled again instead."""
    net = grid(40, 3.0, np.random.default_rng(1))

    def axons_out(limit):
        limits = {"core.axons_in": 1024, "core.axons_out": limit}
        program = compile_network(net, load_chip("loihi", set=limits))
        core = np.repeat(np.arange(program.n_cores), np.diff(program.core_start))
        return np.bincount(core, np.diff(program.row_start)), program.n_cores

    free, n_free = axons_out(None)
    limit = int(np.percentile(free, 10))  # what nine of ten cores exceed
    tight, n_tight = axons_out(limit)
    assert free.max() > 1.05 * limit
    assert tight.max() <= limit
    assert n_free < n_tight <= 1.4 * n_free
