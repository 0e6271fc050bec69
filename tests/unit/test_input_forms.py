"""The forms of input spikes: each is the same spikes, none is taken for another, and what is given is copied."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from emulator import Emulator, Network, compile_network, load_chip
from emulator.engine import spike_schedule
from emulator.errors import NetworkError

TINY = load_chip("tiny", set={"core.axons_in": 100})
AMBIGUOUS = (
    "inputs: 'in' is zeros and ones in two columns, for two neurons: pairs of step and neuron, or a raster (steps, 2)? "
    "Write np.array(values, bool) for a raster, and for pairs a table {'step': [...], 'neuron': [...]}"
)


def program_of(*sizes: int, payload_bits: int = 0):
    net = Network("net")
    sources = [
        net.input("in" if k == 0 else f"in{k}", n, payload_bits=payload_bits)
        for k, n in enumerate(sizes)
    ]
    cells = net.population("cells", 2, vth_mant=100)
    for source, n in zip(sources, sizes, strict=True):
        net.connect(source, cells, weights=np.full((2, n), 60))
    chip = load_chip("loihi2") if payload_bits else TINY
    return compile_network(net, chip)


PROGRAMS = {n: program_of(n) for n in (1, 2, 3, 4, 70)}


def spikes_of(program, values, n_steps):
    """Return the (step, neuron) rows that a schedule holds."""
    schedule = spike_schedule(program, {"in": values}, n_steps)
    step = np.repeat(np.arange(n_steps), np.diff(schedule.start))
    first = program.input_start[program.population_index["in"]]
    return list(zip(step.tolist(), (schedule.source - first).tolist(), strict=True))


@st.composite
def rasters(draw):
    size, n_rows = draw(st.sampled_from(list(PROGRAMS))), draw(st.integers(0, 5))
    cells = st.integers(0, max(0, n_rows * size - 1))
    raster = np.zeros((n_rows, size), bool)
    for place in draw(st.sets(cells, max_size=8)) if n_rows else ():
        raster.reshape(-1)[place] = True
    return raster, n_rows + draw(st.integers(0, 2))


def apart(raster):
    """Return the raster as a view whose bytes are not neighbours."""
    wide = np.ones((2 * len(raster), 2 * raster.shape[1]), bool)
    wide[::2, 1::2] = raster
    return wide[::2, 1::2]


def sparse(raster, kind):
    """Return a sparse matrix with an explicit zero, where one finds room."""
    coo = sp.coo_array(raster.astype(float))
    empty = np.argwhere(~raster)[:1]
    data = np.append(coo.data, np.zeros(len(empty)))
    row, col = (np.append(axis, empty[:, k]) for k, axis in enumerate((coo.row, coo.col)))
    return sp.coo_array((data, (row, col)), raster.shape).asformat(kind)


def forms(raster):
    """Yield the same spikes in every form that is no other one's."""
    pairs = np.argwhere(raster)
    yield "bool", raster
    yield "bool by columns", np.asfortranarray(raster)
    yield "bool apart", apart(raster)
    yield "bool backwards", raster[::-1][::-1]
    yield "not masked", np.ma.array(raster)
    if raster.size:
        yield "list of bool", raster.tolist()
    table = {"step": pairs[:, 0], "neuron": pairs[:, 1].astype(np.uint64)}
    yield "table", table
    yield "table of lists", {name: column.tolist() for name, column in table.items()}
    yield "frame", pd.DataFrame(table)[["neuron", "step"]]
    yield "arrow", pa.table(table)
    yield "fields", np.array([*map(tuple, pairs)], [("step", "i4"), ("neuron", "u1")])
    for kind in ("coo", "csr", "csc", "lil", "dok"):
        yield kind, sparse(raster, kind)


def forms_of_integers(raster):
    """Yield the same spikes in the forms that are ambiguous for two neurons."""
    pairs = np.argwhere(raster)
    for dtype in (np.uint8, np.int8, np.int64, ">i4"):
        yield f"raster of {dtype}", raster.astype(dtype)
        yield f"raster of {dtype} by columns", np.asfortranarray(raster.astype(dtype))
    for dtype in (np.uint8, np.int16, np.int32, np.int64, np.uint32, np.uint64, ">i8"):
        yield f"pairs of {dtype}", pairs.astype(dtype)
    yield "pairs by columns", np.asfortranarray(pairs)
    yield "pairs backwards", pairs[::-1]
    yield "list of pairs", pairs.tolist()
    yield "tuple of pairs", tuple(map(tuple, pairs.tolist()))


@given(rasters())
def test_every_form_is_the_same_spikes(drawn):
    raster, n_steps = drawn
    program, expected = PROGRAMS[raster.shape[1]], [*map(tuple, np.argwhere(raster).tolist())]
    for name, values in forms(raster):
        assert spikes_of(program, values, n_steps) == expected, name
    if raster.shape[1] != 2:
        for name, values in forms_of_integers(raster):
            assert spikes_of(program, values, n_steps) == expected, name


@given(rasters().filter(lambda drawn: drawn[0].shape[1] == 2))
def test_for_two_neurons_no_form_is_taken_for_another(drawn):
    raster, n_steps = drawn
    expected = [*map(tuple, np.argwhere(raster).tolist())]
    for name, values in forms_of_integers(raster):
        n_rows = len(values)
        if "raster" in name and n_rows < n_steps and np.dtype(values.dtype).itemsize > 1:
            continue  # one that is shorter than the run is pairs, where each row is there once
        try:
            found = spikes_of(PROGRAMS[2], values, n_steps)
        except NetworkError as error:
            assert str(error) == AMBIGUOUS, name  # noqa: PT017  # one of two outcomes
            assert name != "list of pairs", name
        else:
            assert found == expected, name


@pytest.mark.parametrize(
    ("values", "n_steps", "spikes"),
    [
        ([[0, 0], [0, 1]], 2, [(0, 0), (0, 1)]),  # a list in order
        ([[1, 0]], 2, [(1, 0)]),
        ([[1, 0]], 1, None),  # neither in the run nor in order: a raster?
        ([[0, 0], [0, 1], [1, 0]], 2, [(0, 0), (0, 1), (1, 0)]),  # too long for a raster
        ([[1, 0], [0, 1]], 2, None),
        ([[1, 0], [0, 1]], 1, None),
        (np.array([[0, 0], [0, 1]]), 3, [(0, 0), (0, 1)]),
        (np.array([[1, 0], [0, 1]]), 3, [(0, 1), (1, 0)]),  # in any order
        (np.array([[0, 0], [0, 1]]), 2, None),  # a row for each step
        (np.array([[0, 0], [0, 1]], np.uint8), 3, None),
        (np.array([[0, 1], [1, 0]], np.uint8), 2, [(0, 1), (1, 0)]),  # the same both ways
        (np.array([[0, 1], [2, 0]], np.uint8), 3, [(0, 1), (2, 0)]),
        (np.array([[0, 1], [0, 1], [1, 1]]), 5, None),
    ],
)
def test_zeros_and_ones_for_two_neurons(values, n_steps, spikes):
    if spikes is not None:
        assert spikes_of(PROGRAMS[2], values, n_steps) == spikes
        return
    with pytest.raises(NetworkError, match=r"for two neurons|allowed: steps 0 to 0"):
        spikes_of(PROGRAMS[2], values, n_steps)


class Unreadable:
    """What a tensor with a gradient does."""

    def __array__(self, *_, **__):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


REFUSED = {
    "masked": (
        np.ma.array(np.ones((2, 3), bool), mask=[[1, 0, 0], [1, 0, 0]]),
        "inputs: 'in' is a masked array, 2 of whose values are masked: say what they are, as values.filled(0) does",
    ),
    "masked rows": (
        [np.ma.array([0, 1], mask=[0, 1])],
        "inputs: 'in' is a masked array, 1 of whose values are masked: say what they are, as values.filled(0) does",
    ),
    "tensor": (
        Unreadable(),
        (
            "inputs: 'in' is a tests.unit.test_input_forms.Unreadable, which numpy cannot read (Can't call numpy() on Tensor "
            "that requires grad.): give a numpy array"
        ),
    ),
    "objects": (
        np.array([[True, None, False]], object),
        (
            "inputs: 'in' is object of shape (1, 3); it must be bool (steps, 3) or integer pairs (n_spikes, 2) of step and "
            "neuron"
        ),
    ),
    "floats": (
        np.eye(3),
        (
            "inputs: 'in' is float64 of shape (3, 3); it must be bool (steps, 3) or integer pairs (n_spikes, 2) of step and "
            "neuron; for a raster write values != 0"
        ),
    ),
    "counts": (
        np.array([[0, 1, 0, 2]], np.uint8),
        (
            "inputs: 'in' is uint8 of shape (1, 4); it must be bool (steps, 3) or integer pairs (n_spikes, 2) of step "
            "and neuron"
        ),
    ),
    "more than one spike": (
        np.array([[0, 1, 2], [0, 0, 0], [0, 0, 0], [1, 0, 0]]),
        "inputs: 'in' has triples, but no payload: it is made by input('in', 3, payload_bits=...)",
    ),
    "turned": (
        np.ones((3, 2), bool),
        (
            "inputs: 'in' has shape (3, 2); the run has 5 steps and the population 3 neurons; steps come first: write "
            "values.T"
        ),
    ),
    "unknown columns": (
        {"step": [0], "id": [1]},
        "inputs: 'in' is a table of 'step', 'id'; its columns must be step, neuron",
    ),
    "a payload too many": (
        {"step": [0], "neuron": [1], "payload": [3]},
        "inputs: 'in' is a table of 'step', 'neuron', 'payload'; its columns must be step, neuron",
    ),
    "real steps": (
        {"step": [0.5], "neuron": [1]},
        "inputs: 'in': step is float64 of shape (1,); it must be one row of integers",
    ),
    "columns of two lengths": (
        {"step": [0, 1], "neuron": [1]},
        "inputs: 'in' has columns of different lengths: step 2, neuron 1; each spike needs one of each",
    ),
    "huge in a table": (
        {"step": np.array([2**64 - 1], np.uint64), "neuron": [0]},
        "inputs: 'in' row 0 is step 18446744073709551615, neuron 0; allowed: steps 0 to 4, neurons 0 to 2",
    ),
    "sparse counts": (
        sp.csr_array([[0, 2, 0]]),
        "inputs: 'in' is a sparse matrix with values other than 0 and 1; a neuron spikes once a step, or not",
    ),
    "sparse nan": (
        sp.csr_array([[0, np.nan, 0]]),
        "inputs: 'in' is a sparse matrix with values other than 0 and 1; a neuron spikes once a step, or not",
    ),
    "sparse twice": (
        sp.coo_array(([1, 1], ([2, 2], [1, 1])), (4, 3)),
        "inputs: 'in' has neuron 1 twice in step 2; a neuron spikes once a step",
    ),
    "sparse and too wide": (
        sp.csr_array((5, 4)),
        "inputs: 'in' has shape (5, 4); the run has 5 steps and the population 3 neurons",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_form_is_refused(name):
    values, message = REFUSED[name]
    with pytest.raises(NetworkError) as error:
        spike_schedule(PROGRAMS[3], {"in": values}, 5)
    assert str(error.value) == message


def test_a_raster_of_counts_is_refused():
    for dtype in (np.uint8, np.int8, np.int32):
        for value in (2, 100):
            counts = np.zeros((5, 4), dtype)
            counts[1, 2] = value
            with pytest.raises(NetworkError, match="a raster has 0 and 1 only"):
                spike_schedule(PROGRAMS[4], {"in": counts}, 5)
    with pytest.raises(NetworkError, match="with values -1 to 0; a raster has 0 and 1 only"):
        spike_schedule(PROGRAMS[4], {"in": np.full((5, 4), -1) * np.eye(5, 4, dtype=int)}, 5)


def test_payloads_follow_their_spikes():
    program = program_of(3, payload_bits=8)
    rows = np.array([[2, 1, 5], [0, 2, -3], [2, 0, 7], [0, 1, 9]])
    in_order = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    table = dict(zip(("step", "neuron", "payload"), rows.T, strict=True))
    fields = np.array([*map(tuple, rows)], [("payload", "i2"), ("step", "i4"), ("neuron", "i4")])
    fields = fields.copy()
    fields["step"], fields["neuron"], fields["payload"] = rows.T
    expected = spike_schedule(program, {"in": in_order}, 4)
    assert expected.payload.tolist() == [9, -3, 7, 5]
    for values in (rows, rows.tolist(), rows.astype(np.int8), table, fields, pd.DataFrame(table)):
        found = spike_schedule(program, {"in": values}, 4)
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    for values in (np.ones((4, 3), bool), sp.csr_array((4, 3)), rows[:, :2]):
        with pytest.raises(NetworkError, match="its spikes have payloads: it must be integer tri"):
            spike_schedule(program, {"in": values}, 4)


@given(st.lists(st.sets(st.tuples(st.integers(0, 5), st.integers(0, 2))), min_size=3, max_size=3))
def test_populations_in_any_order_are_one_schedule(spikes):
    program = program_of(3, 3, 3)
    names = ["in", "in1", "in2"]
    given_spikes = {name: sorted(own) for name, own in zip(names, spikes, strict=True)}
    there = spike_schedule(program, given_spikes, 6)
    back = spike_schedule(program, dict(reversed(given_spikes.items())), 6)
    assert all(np.array_equal(a, b) for a, b in zip(there, back, strict=True))
    expected = sorted(
        (step, program.input_start[program.population_index[name]] + neuron)
        for name, own in given_spikes.items()
        for step, neuron in own
    )
    step = np.repeat(np.arange(6), np.diff(there.start))
    assert list(zip(step.tolist(), there.source.tolist(), strict=True)) == expected


def buffers():
    """Return inputs in several forms, as arrays that a caller would fill again."""
    rng = np.random.default_rng(2)
    raster = rng.random((400, 4)) < 0.2
    pairs = np.argwhere(rng.random((400, 4)) < 0.2)
    yield {"in": raster.copy()}
    yield {"in": np.array(raster, order="F")}
    yield {"in": raster.astype(np.uint8)}
    yield {"in": pairs.copy()}
    yield {"in": pairs.astype(np.uint32)}
    yield {"in": {"step": pairs[:, 0].copy(), "neuron": pairs[:, 1].copy()}}


@pytest.mark.parametrize("folder", [None, "run"])
def test_what_is_given_may_be_filled_again_while_the_run_goes_on(tmp_path, folder):
    program = PROGRAMS[4]
    for k, inputs in enumerate(buffers()):
        expected = Emulator(TINY, program).run(400, inputs, timing="off")

        def refill(_done, given=inputs["in"]):
            for array in given.values() if isinstance(given, dict) else [given]:
                array[:] = 0

        options = {} if folder is None else {"save_to": tmp_path / f"{folder}{k}", "checkpoint_every": 50}  # fmt: skip
        run = Emulator(TINY, program).run(400, inputs, timing="off", progress=refill, **options)
        for name in ("in", "cells"):
            assert run.spikes[name].tolist() == expected.spikes[name].tolist()
