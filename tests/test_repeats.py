"""Several synapses between the same two neurons: each keeps its weight, its delay and its tag, by every way in and out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from emulator import (
    Emulator,
    Mapping,
    Network,
    Program,
    Rule,
    Run,
    Trace,
    compile_network,
    load_chip,
)
from emulator.errors import NetworkError, RunError

CHIP = load_chip("loihi2")
# A tag counts what its synapse did, and a delay grows with the weight, so that repeats become different.
RULE = Rule(dw="x0*y0", dt="w*x0", dd="x0*y0", x1=Trace(4, 3))


@st.composite
def synapses(draw, *, most_repeats=3):
    """Draw (pre, post, weight, delay) of synapses, in no order, and the sizes of both populations."""
    n_pre, n_post = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    one = st.tuples(st.integers(-50, 50).map(lambda w: 2 * w or 2), st.integers(0, 9))
    pairs = st.tuples(st.integers(0, n_pre - 1), st.integers(0, n_post - 1))
    chosen = draw(
        st.dictionaries(pairs, st.lists(one, min_size=1, max_size=most_repeats), max_size=8)
    )
    rows = [(i, j, w, d) for (i, j), values in chosen.items() for w, d in values]
    return draw(st.permutations(rows)), (n_post, n_pre)


def in_order(rows):
    """Return rows by pre, then post; those of one pair stay in their order."""
    return sorted(rows, key=lambda row: row[:2])


def columns(rows):
    table = np.array(rows, int).reshape(-1, 4)
    return tuple(table.T.copy())


def csr(rows, shape, values):
    """Return a matrix in rows whose entries stand as they come: repeated, and in no order."""
    ends = [[k for k, row in enumerate(rows) if row[1] == post] for post in range(shape[0])]
    order = [k for end in ends for k in end]
    starts = np.cumsum([0, *map(len, ends)])
    data, indices = np.array(values, int)[order], np.array([rows[k][0] for k in order], int)
    return sparse.csr_array((data, indices, starts), shape=shape), [rows[k] for k in order]


def connected(shape, weights, delay, **keywords):
    net = Network("n")
    source, cells = net.input("a", shape[1]), net.population("b", shape[0], vth_mant=5)
    return net, net.connect(source, cells, weights=weights, delay=delay, **keywords)


def table_of(run, name="a->b"):
    found = run.synapses(name)
    return list(zip(*(found[c].tolist() for c in ("pre", "post", "weight", "delay")), strict=True))


@given(synapses(), st.data())
def test_each_synapse_is_itself_whatever_the_form(drawn, data):
    rows, shape = drawn
    pre, post, weight, delay = columns(rows)
    coo = sparse.coo_array((weight, (post, pre)), shape)
    late = sparse.coo_array((delay, (post, pre)), shape)
    by_rows, order = csr(rows, shape, weight)
    late_by_rows, _ = csr(rows, shape, delay)
    size = data.draw(st.integers(1, 4))
    chunks = (
        tuple(x[k : k + size] for x in (pre, post, weight, delay)) for k in range(0, len(pre), size)
    )
    forms = {
        "arrays": ((pre, post, weight), delay, rows),
        "chunks": (chunks, 0, rows),
        "coo": (coo, late, rows),
        "coo, delays in rows": (coo, late_by_rows, rows),
        "csr": (by_rows, late_by_rows, order),
        "csr, delays in coo": (by_rows, late, order),
        "csc": (
            sparse.csc_array((weight, (post, pre)), shape) if not len(rows) else coo,
            late,
            rows,
        ),
    }
    for name, (weights, delays, as_given) in forms.items():
        net, made = connected(shape, weights, delays)
        each = zip(
            made.pre,
            made.post,
            made.weights,
            np.broadcast_to(made.delays, len(made.pre)),
            strict=True,
        )
        assert [tuple(map(int, row)) for row in each] == [
            tuple(map(int, row)) for row in as_given
        ], name
        emulator = Emulator(CHIP, compile_network(net, CHIP))
        assert table_of(emulator) == in_order(rows), name


@given(synapses(), st.data())
def test_the_table_is_the_matrix_where_no_pair_is_repeated(drawn, data):
    rows, shape = drawn
    net, made = connected(shape, columns(rows)[:3], columns(rows)[3])
    cut = data.draw(st.integers(0, shape[0]))
    parts = [(0, cut, 3), (cut, shape[0], 1)]
    mapping = Mapping(
        [("b", *part) for part in data.draw(st.permutations(parts)) if part[0] < part[1]]
    )
    run = Emulator(CHIP, compile_network(net, CHIP, mapping)).run(1, timing="off")
    assert table_of(run) == in_order(rows)
    assert table_of(run) == table_of(Emulator(CHIP, run.program))
    held = {name: np.zeros(shape, int) for name in ("weights", "delays")}
    np.add.at(held["weights"], (made.post, made.pre), made.weights)
    assert np.array_equal(run.weights("a->b"), held["weights"])
    assert not run.tags("a->b").any()
    late = {}
    for i, j, _, d in rows:
        late.setdefault((i, j), set()).add(d)
        held["delays"][j, i] = d
    if all(len(found) == 1 for found in late.values()):
        assert np.array_equal(run.delays("a->b"), held["delays"])
    else:
        i, j = min(pair for pair, found in late.items() if len(found) > 1)
        with pytest.raises(RunError) as error:
            run.delays("a->b")
        assert str(error.value) == (
            f"'a->b': several synapses from neuron {i} to neuron {j} have different delays, so these are no matrix "
            "(post, pre); run.synapses('a->b') has its synapses one by one"
        )


@settings(max_examples=20)
@given(synapses(), st.integers(1, 3))
def test_what_repeats_learn_is_theirs(tmp_path_factory, drawn, every):
    rows, shape = drawn
    net, _ = connected(shape, columns(rows)[:3], columns(rows)[3], learning=RULE)
    emulator = Emulator(CHIP, compile_network(net, CHIP))
    spikes = {"a": np.ones((6, shape[1]), bool)}
    run = emulator.run(6, spikes, timing="off", weights_every=every)
    table = run.synapses("a->b")
    assert list(zip(table["pre"].tolist(), table["post"].tolist(), strict=True)) == [
        r[:2] for r in in_order(rows)
    ]
    assert all(np.array_equal(table[c], x) for c, x in emulator.synapses("a->b").items())
    steps = list(range(every, 7, every))
    tables = [run.synapses("a->b", step) for step in steps]
    if steps[-1] == 6:
        assert all(np.array_equal(table[c], tables[-1][c]) for c in table)
    recorded = run.recordings["a->b"]
    for name in ("weights", "delays", "tags"):
        each = [t[name[:-1]] for t in tables]
        first = {
            pair: k
            for k, pair in reversed([*enumerate(zip(table["pre"], table["post"], strict=True))])
        }
        same = np.array(
            [first[pair] for pair in zip(table["pre"], table["post"], strict=True)], int
        )
        if name != "weights" and any((x != x[same]).any() for x in each):
            with pytest.raises(RunError, match=f"different {name}, so these are no matrix"):
                recorded[name]
            assert name not in recorded
            continue
        for k, x in enumerate(each):
            matrix = np.zeros(shape, int)
            if name == "weights":
                np.add.at(matrix, (table["post"], table["pre"]), x)
            else:
                matrix[table["post"], table["pre"]] = x
            assert np.array_equal(recorded[name][k], matrix)
    # What is written and read again, and the program that learns no more, have the same synapses.
    folder = tmp_path_factory.mktemp("runs")
    run.save(folder / "run")
    run.trained().save(folder / "trained.program")
    read = Run.load(folder / "run")
    trained = Emulator(CHIP, Program.load(folder / "trained.program")).synapses("a->b")
    for column in ("pre", "post", "weight", "delay"):
        assert np.array_equal(read.synapses("a->b")[column], table[column])
        assert np.array_equal(trained[column], table[column])
    assert np.array_equal(read.synapses("a->b")["tag"], table["tag"])


def test_repeats_act_each_in_its_own_step():
    weights = sparse.coo_array(([20, 40, 60], ([0, 0, 0], [0, 0, 0])), (1, 1))
    delays = sparse.coo_array(([0, 3, 1], ([0, 0, 0], [0, 0, 0])), (1, 1))
    net = Network("n")
    source, cells = net.input("a", 1), net.population("b", 1, vth_mant=10_000, du=4095, dv=0)
    net.connect(source, cells, weights=weights, delay=delays)
    net.probe(cells, "u")
    run = Emulator(CHIP, compile_network(net, CHIP)).run(6, {"a": [[0, 0]]})
    assert (run.recordings["b"]["u"][:, 0] // 64).tolist() == [0, 20, 60, 0, 40, 0]
    assert run.weights("a->b").tolist() == [[120]]
    assert run.counters.total("synaptic_event") == 3


def test_delays_of_a_sparse_matrix_that_are_of_no_synapse():
    shape, one = (2, 3), ([2, 4, 6], ([0, 0, 1], [1, 1, 2]))
    weights = sparse.coo_array(one, shape)
    # An entry for a pair is for all of its synapses; none is 0; a pair without a synapse may have any.
    delays = sparse.coo_array(([7, 9, 9], ([0, 1, 1], [1, 0, 0])), shape)
    assert connected(shape, weights, delays)[1].delays.tolist() == [7, 7, 0]
    for n in (3, 2):
        wrong = sparse.coo_array(([1] * n, ([n == 2] * n, [1 + (n == 2)] * n)), shape)
        with pytest.raises(NetworkError) as error:
            connected(shape, weights, wrong)
        pair, has = ("pre 1, post 0", 2) if n == 3 else ("pre 2, post 1", 1)
        assert str(error.value) == (
            f"projection 'a->b': delays have {n} entries for {pair}, and the weights {has}; there must be one, or one "
            "for each synapse in the order of the weights"
        )


def test_zeros_that_are_stored_are_no_synapse_and_take_their_delays_along():
    shape = (2, 3)
    weights = sparse.coo_array(([0, 2, 0, 4], ([0, 0, 1, 1], [1, 1, 2, 2])), shape)
    delays = sparse.coo_array(([1, 2, 3, 5], ([0, 0, 1, 1], [1, 1, 2, 2])), shape)
    made = connected(shape, weights, delays)[1]
    assert made.weights.tolist() == [2, 4]
    assert made.delays.tolist() == [2, 5]
    learns = connected(shape, weights, delays, learning=RULE)[1]
    assert learns.weights.tolist() == [0, 2, 0, 4]
    assert learns.delays.tolist() == [1, 2, 3, 5]


def test_a_step_after_which_nothing_was_kept():
    net, _ = connected((1, 1), [[2]], 0, learning=RULE)
    emulator = Emulator(CHIP, compile_network(net, CHIP))
    run = emulator.run(6, weights_every=2)
    for step in (1, 0, 7, 2.0, True, "end", [2]):
        with pytest.raises(RunError) as error:
            run.synapses("a->b", step)
        shown = repr(step)
        assert str(error.value) == f"step is {shown}; synapses were kept after these: 2, 4, 6"
    with pytest.raises(RunError, match="after these: none: weights_every was not given"):
        emulator.run(2).synapses("a->b", 2)
