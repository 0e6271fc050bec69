"""Every documented form of an argument means the same, and what was given may be changed after the call."""

from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from emulator import Emulator, Mapping, Network, Rule, Run, Trace, compile_network, load_chip
from emulator.errors import ProgramError
from emulator.program import Program
from emulator.program.container import digest
from emulator.world import Places, Weighted

CHIP = load_chip("loihi2")
DTYPES = ("int8", "uint8", "int16", "int32", "int64", "uint64", ">i4")
REAL_DTYPES = ("float16", "float32", "float64", "longdouble")
SPARSE = ("coo", "csr", "csc", "lil", "dok", "bsr", "dia")
RULE = Rule(dw="x1*y0", x1=Trace(4, 3))


PARTS = ("data", "row", "col", "indices", "indptr", "offsets")
"""Arrays of a sparse matrix."""


def spoil(thing):
    """Change everything that can be changed in what was given to a call."""
    if isinstance(thing, np.ndarray):
        if thing.flags.writeable and thing.size:
            thing[...] = 1 if thing.dtype.kind == "b" else thing.flat[0] + 1
    elif isinstance(thing, pd.Series | pd.DataFrame):
        thing.iloc[:] = 1
    elif sparse.issparse(thing):
        for part in (getattr(thing, name, None) for name in PARTS):
            if isinstance(part, np.ndarray) and part.dtype != object:
                part[...] = 0
    elif isinstance(thing, list | tuple | dict):
        for part in thing.values() if isinstance(thing, dict) else thing:
            spoil(part)
        if not isinstance(thing, tuple):
            thing.clear()


MATRICES = {
    "array": np.copy,
    "columns first": lambda x: np.asfortranarray(x.copy()),
    "strided": lambda x: np.repeat(x, 2, 1)[:, ::2],
    "backwards": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "np.matrix": lambda x: x.copy().view(np.matrix),
    "frame": lambda x: pd.DataFrame(x.tolist()),
    "lists": np.ndarray.tolist,
    "list of arrays": lambda x: list(x.copy()),
    "list of tuples": lambda x: list(map(tuple, x.tolist())),
    "masked nowhere": lambda x: np.ma.masked_array(x.copy(), np.zeros(x.shape, bool)),
    "tuples": lambda x: tuple(map(tuple, x.tolist())),
    "tuple of lists": lambda x: tuple(map(list, x.tolist())),
    **{name: getattr(sparse, f"{name}_array") for name in SPARSE},
    **{f"{name} matrix": getattr(sparse, f"{name}_matrix") for name in SPARSE},
}
"""What makes a matrix in each form that stands for one."""
UNKNOWN_TO_SCIPY = ("float16", "longdouble", ">i4")


@st.composite
def forms_of(draw, values, dtype, *, stored_zeros=True):
    """Draw a matrix in one of its forms."""
    names = [name for name in MATRICES if not (name.startswith("tuple") and len(values) == 3)]
    if dtype in UNKNOWN_TO_SCIPY or not (stored_zeros or values.all()):
        names = [name for name in names if not name.startswith(SPARSE)]
    return MATRICES[draw(st.sampled_from(names))](values.astype(dtype))


class Refilled:
    """Chunks that come in the same arrays again and again, as a reader of a file makes them."""

    def __init__(self, columns, size):
        self._columns, self._size = columns, size
        self.buffers = tuple(np.zeros(size, column.dtype) for column in columns)

    def __iter__(self):
        for first in range(0, len(self._columns[0]), self._size):
            n = min(self._size, len(self._columns[0]) - first)
            for buffer, column in zip(self.buffers, self._columns, strict=True):
                buffer[:n] = column[first : first + n]
            yield tuple(buffer[:n] for buffer in self.buffers)
            for buffer in self.buffers:
                buffer[:] = 0


@st.composite
def matrices(draw):
    shape = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    cells = st.lists(st.integers(0, 60), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1])
    weights = 2 * np.array(draw(cells)).reshape(shape)
    delays = np.array(draw(cells)).reshape(shape) % 9
    return weights, delays


def projected(weights, delay, shape, *, real, learning=None):
    """Return the digest of a program whose only projection was given so, and everything spoilt then."""
    net = Network("n")
    kind = {"threshold": 1.0} if real else {"vth_mant": 5}
    source, cells = net.input("a", shape[1]), net.population("b", shape[0], **kind)
    buffers = weights.buffers if isinstance(weights, Refilled) else ()
    given_ = iter(weights) if isinstance(weights, Refilled) else weights
    net.connect(source, cells, weights=given_, delay=delay, learning=learning)
    spoil([weights, delay, *buffers])
    return digest_of(compile_network(net, CHIP))


def digest_of(program):
    """Return a digest of a program without its mean error, whose last bit depends on the order of its terms."""
    manifest = deepcopy(program.manifest)
    for projection in manifest["projections"]:
        if projection["quantisation"] is not None:
            projection["quantisation"].pop("rms_error", None)
    return digest(manifest, program.tensors())


@given(matrices(), st.sampled_from([*DTYPES, *REAL_DTYPES]), st.data())
def test_forms_of_a_matrix_are_equal_and_copied(drawn, dtype, data):
    weights, delays = drawn
    shape, real = weights.shape, dtype in REAL_DTYPES
    learning = data.draw(st.sampled_from([None, RULE]))
    plain = weights.astype("float64" if real else "int64")
    wanted = projected(plain, delays.copy(), shape, real=real, learning=learning)
    for _ in range(4):
        # A zero that is not stored is no entry of a sparse matrix, so no synapse that learns.
        form = data.draw(forms_of(weights, dtype, stored_zeros=learning is None))
        late = data.draw(forms_of(delays, data.draw(st.sampled_from(DTYPES))))
        assert projected(form, late, shape, real=real, learning=learning) == wanted


@given(matrices(), st.data())
def test_forms_of_synapses_one_by_one_are_equal_and_copied(drawn, data):
    weights, delays = drawn
    shape, real = weights.shape, data.draw(st.booleans())
    post, pre = np.nonzero(weights)
    plain = weights.astype("float64" if real else "int64")
    wanted = projected(plain.copy(), delays.copy(), shape, real=real)
    kinds = st.sampled_from([np.int32, np.int64, np.uint16, np.int16, np.uint8])
    order = np.array(data.draw(st.permutations(range(len(pre)))), int)

    def columns():
        dtypes = [
            data.draw(st.sampled_from(REAL_DTYPES) if real else kinds),
            *(data.draw(kinds) for _ in range(3)),
        ]
        parts = (plain[post, pre], pre, post, delays[post, pre])
        w, i, j, d = (x[order].astype(dtype) for x, dtype in zip(parts, dtypes, strict=True))
        return i, j, w, d

    forms = {
        "arrays": lambda i, j, w, d: ((i, j, w), d),
        "views": lambda i, j, w, d: ((i[::-1][::-1], np.repeat(j, 2)[::2], w), np.repeat(d, 3)[::3]),
        "series": lambda i, j, w, d: ((pd.Series(i), pd.Series(j), pd.Series(w.tolist())), pd.Series(d)),
        "lists": lambda i, j, w, d: ((i.tolist(), j.tolist(), w.tolist()), d.tolist()),
        "tuples in chunks": lambda *parts: (Refilled(parts, data.draw(st.integers(1, 5))), 0),
    }  # fmt: skip
    for name, make in forms.items():
        given_, late = make(*columns())
        assert projected(given_, late, shape, real=real) == wanted, name


def test_delays_of_one_axis_are_spread_over_the_other():
    shape = (2, 3)

    def late(delay):
        return projected(np.full(shape, 2), delay, shape, real=False)

    for delay in ([[1], [4]], [[1, 4, 2]]):
        wanted = late(np.broadcast_to(delay, shape).copy())
        assert (
            late(np.array(delay))
            == late(np.array(delay, np.uint8))
            == late(deepcopy(delay))
            == wanted
        )
    for delay in (np.int8(7), np.array(7), np.full(shape, 7), [[7]]):
        assert late(delay) == late(7)


REGISTERS = ("du", "dv", "vth_mant", "bias_mant", "refractory", "u_init", "v_init")


@given(st.data())
def test_parameters_of_a_population_are_equal_in_all_forms_and_copied(data):
    size = data.draw(st.integers(1, 4))
    values = {
        name: np.array(data.draw(st.lists(st.integers(1, 63), min_size=size, max_size=size)))
        for name in ("vth_mant", *data.draw(st.lists(st.sampled_from(REGISTERS), unique=True)))
    }
    digests = set()
    for make in (
        np.copy,
        np.ndarray.tolist,
        tuple,
        pd.Series,
        lambda x: x.astype("i2"),
        lambda x: x.astype(float),
    ):
        parameters = {name: make(column) for name, column in values.items()}
        net = Network("n")
        cells = net.population("b", size, **parameters)
        learner = net.population("c", size, model="izhikevich", v=(v := values["vth_mant"].copy()))
        spoil(parameters)
        spoil(v)
        digests.add(compile_network(net, CHIP).sha256)
        for array in (*cells.parameters.values(), *learner.parameters.values()):
            assert not array.flags.writeable
    assert len(digests) == 1


@given(st.lists(st.integers(0, 4), max_size=6), st.data())
def test_neurons_of_a_probe_are_copied(neurons, data):
    made = data.draw(st.sampled_from([list, tuple, lambda x: np.array(x, np.int32), lambda x: pd.Series(x, dtype=int)]))(
        neurons
    )  # fmt: skip
    net = Network("n")
    cells = net.population("b", 5, vth_mant=5)
    net.probe(cells, "u", neurons=made)
    spoil(made)
    assert net.probes[0].neurons.tolist() == neurons
    assert compile_network(net, CHIP).manifest["probes"][0]["neurons"] == neurons


def test_segments_of_a_mapping_are_copied():
    net = Network("n")
    net.population("b", 5, vth_mant=5)
    rows = [["b", 0, np.int64(2), 4], ("b", 2, 5, np.uint8(1))]
    for given_ in (rows, tuple(rows), iter(rows)):
        mapping = Mapping(given_)
        assert mapping.segments == [("b", 0, 2, 4), ("b", 2, 5, 1)]
        assert {type(x) for segment in mapping.segments for x in segment} == {str, int}
    mapping = Mapping(rows)
    wanted = compile_network(net, CHIP, mapping).sha256
    spoil(rows)
    assert compile_network(net, CHIP, mapping).sha256 == wanted
    mapping.segments[1:] = [("b", 2, 4, 1)]
    mapping.segments.append(("b", 4, 5, 1))
    assert compile_network(net, CHIP, mapping).segments[:, 2].tolist() == [4, 5, 2]


def test_what_is_written_into_a_chip_and_sent_through_it_is_copied():
    net = Network("n")
    source, cells = net.input("a", 3, core=0), net.population("b", 3, vth_mant=1000, du=0, dv=0)
    net.connect(source, cells, weights=np.eye(3, dtype=int) * 2)
    net.channel("seen", 0, "host", words=2)
    net.probe(cells, "v")
    neurons, words, values = (
        np.array([0, 2]),
        np.array([5, 6], np.int32),
        np.arange(3, dtype=np.int32),
    )

    def act(core):
        core.send_spikes("a", neurons)
        core.send("seen", words)
        core.write("b.v", values)
        spoil([neurons, words, values])

    net.manage(0, "pre", act, every=100)
    emulator = Emulator(CHIP, compile_network(net, CHIP))
    given_ = np.arange(3, dtype=np.int32)
    emulator.write("b", "u", given_)
    given_ += 100
    assert emulator.read("b", "u").tolist() == [0, 1, 2]
    run = emulator.run(2, timing="off")
    assert run.spikes["a"].tolist() == [[0, 0], [0, 2]]
    assert run.messages["seen"].tolist() == [[0, 5, 6]]


def test_codes_of_a_world_keep_nothing_that_is_given():
    low, high, n = np.zeros(2), np.ones(2), np.array([3, 4])
    code, weights = Places(low, high, n), np.array([[1, -1]])
    motors = Weighted(weights, 2.0)
    before = code.words([0.3, 0.9]).tolist()
    spoil([low, high, n, weights])
    assert code.words([0.3, 0.9]).tolist() == before
    assert motors.words(np.array([3, 1]), None).tolist() == [2]


# The other direction: what is handed out.


def ran():
    net = Network("n")
    source, cells = net.input("a", 3), net.population("b", 3, vth_mant=[1, 2, 3], du=4095)
    net.connect(
        source, cells, weights=(np.array([0, 1, 2]), np.arange(3), np.full(3, 90)), delay=[0, 1, 2]
    )
    net.connect(source, cells, weights=np.full((3, 3), 90), learning=RULE, name="plastic")
    net.connect(source, cells, weights=np.full((3, 3), 4), name="fixed")
    net.probe(cells, "spikes", "u", neurons=[2, 1])
    net.channel("seen", 0, "host")
    net.manage(0, "pre", lambda core: core.send("seen", core.step))
    program = compile_network(net, CHIP)
    emulator = Emulator(CHIP, program)
    run = emulator.run(6, {"a": np.ones((6, 3), bool)}, weights_every=2)
    return net, program, emulator, run


def arrays_of(net, program, emulator, run):
    """Return every array that a user can get hold of, by what to write to get it."""
    first, cells, timing = net.projections[0], net.populations["b"], run.timing
    return {
        **{f"projection.{name}": getattr(first, name) for name in ("pre", "post", "weights", "delays")},
        "parameters": cells.parameters["vth_mant"],
        "probe.neurons": net.probes[0].neurons,
        **{f"program.{name}": table for name, table in program.tensors().items()},
        **{
            f"program.{name}": getattr(program, name)
            for name in ("rows", "source_population", "source_neuron", "joins", "word_start", "learning_blocks")
        },
        "program.sources_of": program.sources_of("b"),
        **{f"program.projection_synapses {k}": x for k, x in enumerate(program.projection_synapses("plastic"))},
        "emulator.read": emulator.read("b", "u"),
        "emulator.weights": emulator.weights("plastic"),
        **{f"emulator.synapses {name}": x for name, x in emulator.synapses("plastic").items()},
        "run.weights": run.weights("plastic"),
        "run.delays": run.delays("plastic"),
        "run.tags": run.tags("plastic"),
        **{f"run.synapses {name}": x for name, x in run.synapses("plastic").items()},
        "run.spikes": run.spikes["b"],
        "run.payloads": run.spikes.payloads("b"),
        **{f"run.{name}": getattr(run, name) for name in ("spike_step", "spike_source", "active")},
        "run.visits": run.visits("plastic"),
        "run.messages": run.messages["seen"],
        **{f"run.recordings b {name}": x for name, x in run.recordings["b"].items()},
        **{f"run.recordings plastic {name}": x for name, x in run.recordings["plastic"].items()},
        **{f"records.{name}": getattr(run.records, name) for name in ("spikes_per_source", "active_per_segment")},
        **{f"learned.{name}": x for name, x in run.learned.states[-1][1]["plastic"].items()},
        "learned.pre": run.learned.synapses_of("plastic").pre,
        **{f"counters.{name}": getattr(run.counters, name) for name in ("core", "population", "code", "count")},
        **{
            f"timing.{name}": getattr(timing, name)
            for name in ("step_cycles", "bottleneck", "core_neuron_cycles", "link_flits", "latency_packets")
        },
        **{f"management_cycles {k}": x for k, x in enumerate(run.management_cycles())},
    }  # fmt: skip


@pytest.mark.parametrize("lazy", [False, True])
def test_nothing_that_a_run_folder_hands_out_changes_what_was_read(tmp_path, lazy):
    net, program, emulator, run = ran()
    run.save(tmp_path / "run")
    read = Run.load(tmp_path / "run", lazy=lazy)
    parts = (net, program, emulator, read)
    wanted = {name: array.copy() for name, array in arrays_of(*parts).items()}
    for array in arrays_of(*parts).values():
        if array.flags.writeable:
            array[...] = 0 if array.dtype.names is None else np.zeros(1, array.dtype)[0]
    for name, array in arrays_of(*parts).items():
        np.testing.assert_array_equal(array, wanted[name], err_msg=name)


def test_nothing_that_is_handed_out_changes_what_is_held(tmp_path):
    parts = ran()
    wanted = {name: array.copy() for name, array in arrays_of(*parts).items()}
    assert len(wanted) > 60
    energy = parts[3].energy().total_pj
    for array in arrays_of(*parts).values():
        if array.flags.writeable:  # a copy
            array[...] = 0 if array.dtype.names is None else np.zeros(1, array.dtype)[0]
        else:
            with pytest.raises(ValueError, match="read-only"):
                array[...] = array
    again = arrays_of(*parts)
    for name, array in wanted.items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)
    net, program, _, run = parts
    assert compile_network(net, CHIP).sha256 == program.sha256 == ran()[1].sha256
    assert run.energy().total_pj == run.retimed(CHIP).energy().total_pj == energy
    run.save(tmp_path / "run")
    read = type(run).load(tmp_path / "run")
    for array in (
        read.spike_step,
        read.spikes["b"],
        read.recordings["b"]["u"],
        read.weights("plastic"),
    ):
        if array.flags.writeable:
            array[...] = 0
    assert np.array_equal(read.weights("plastic"), wanted["run.weights"])
    assert np.array_equal(read.spikes["b"], wanted["run.spikes"])


def test_tables_of_a_program_are_copied_where_somebody_could_write_them():
    program = ran()[1]
    tables = {name: table.copy() for name, table in program.tensors().items()}
    own = {name: table[::1] if k % 2 else table for k, (name, table) in enumerate(tables.items())}
    again = Program(deepcopy(program.manifest), own)
    for table in tables.values():
        spoil(table)
    assert again.sha256 == program.sha256
    with pytest.raises(ProgramError):
        Program(deepcopy(program.manifest), own)
    kept = Program(program.manifest, program.tensors())
    assert np.shares_memory(kept.synapses, program.synapses)
