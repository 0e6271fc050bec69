import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import Mapping, Network, compile_network, load_chip
from emulator.errors import CapacityError, NetworkError

CHIP = load_chip("tiny")


def build(*, hidden=20, out=4):
    net = Network("n")
    source = net.input("in", 3)
    first = net.population("hidden", hidden, vth_mant=1)
    second = net.population("out", out, vth_mant=1)
    net.connect(source, first, weights=np.full((hidden, 3), 2))
    net.connect(first, second, weights=np.full((out, hidden), 2))
    return net


GOOD = [("hidden", 0, 12, 5), ("out", 0, 4, 5), ("hidden", 12, 20, 2)]
names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,20}", fullmatch=True)
numbers = st.integers(0, 2**31 - 1)


@settings(max_examples=25)  # each example is a file that is synchronised
@given(st.lists(st.tuples(names, numbers, numbers, numbers), max_size=10))
def test_a_file_comes_back_as_it_was(tmp_path_factory, segments):
    path = tmp_path_factory.mktemp("mapping") / "a.map"
    Mapping(segments).save(path)
    assert Mapping.load(path) == Mapping(segments)


def test_a_file_is_plain_text(tmp_path):
    path = tmp_path / "a.map"
    Mapping(GOOD).save(path)
    assert path.read_text() == "hidden[0:12] 5\nout[0:4] 5\nhidden[12:20] 2\n"


@pytest.mark.parametrize(
    "content",
    [
        b"hidden[0:12] 5\nout[0:4] 5\nhidden[12:20] 2",
        b"# where\r\n\r\n  hidden[0:12]\t5  # first\r\nout[0:4] 5#\r\nhidden[12:20]   2\r\n",
        b"\xef\xbb\xbfhidden[0:12] 5\nout[0:4] 05\n\n\nhidden[12:20] 2\n",
    ],
)
def test_what_editors_add_is_read(tmp_path, content):
    path = tmp_path / "a.map"
    path.write_bytes(content)
    assert Mapping.load(path).segments == GOOD


@pytest.mark.parametrize(
    "line",
    [
        "hidden 0 12 5", "hidden[0:12]", "hidden[0:12] five", "hidden[0-12] 5", "hidden[0:12] -1", "hidden[0:] 5",
        "[0:12] 5", "hidden[0:12] 5 6", "hidden[0:12]5", "hidden [0:12] 5", "a[0:" + "1" * 5000 + "] 0",
    ],
)  # fmt: skip
def test_a_bad_line_is_shown(tmp_path, line):
    path = tmp_path / "a.map"
    path.write_text(f"hidden[0:1] 0\n# {line}\n{line}\n")
    with pytest.raises(NetworkError) as error:
        Mapping.load(path)
    assert str(error.value) == f"{path}:3: '{line[:80]}' is not 'population[start:stop] core'"


def test_all_bad_lines_come_at_once(tmp_path):
    path = tmp_path / "a.map"
    path.write_text("one\nhidden[0:1] 0\ntwo\n")
    with pytest.raises(NetworkError) as error:
        Mapping.load(path)
    end = "is not 'population[start:stop] core'"
    assert str(error.value).splitlines() == [f"{path}:1: 'one' {end}", f"{path}:3: 'two' {end}"]


def test_a_file_that_cannot_be_read(tmp_path):
    path = tmp_path / "a.map"
    for make, why in (
        (lambda: None, "cannot be read: No such file or directory"),
        (
            lambda: path.write_bytes(b"hidden[0:1] 0\n\xff"),
            "byte 0xff in line 2 is not UTF-8 text; save the file as UTF-8",
        ),
        (
            lambda: (path.unlink(), path.mkdir()),
            "cannot be read: Is a directory",
        ),
    ):
        make()
        with pytest.raises(NetworkError) as error:
            Mapping.load(path)
        assert str(error.value) == f"{path}: {why}"


def test_neurons_sit_where_the_mapping_says():
    program = compile_network(build(), CHIP, Mapping(GOOD))
    # population, first, stop, core, first compartment: by core, and in the order of the mapping within it
    assert program.segments.tolist() == [[1, 12, 20, 2, 0], [1, 0, 12, 5, 8], [2, 0, 4, 5, 20]]
    assert program.core_start.tolist() == [0, 0, 0, 8, 8, 8, 24]
    assert program.sources_of("hidden").tolist() == [*range(8, 20), *range(8)]


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        (
            [],
            "mapping: neuron 0 of 'hidden' is on no core\nmapping: neuron 0 of 'out' is on no core",
        ),
        (GOOD[:2], "mapping: neuron 12 of 'hidden' is on no core"),
        ([*GOOD, ("hidden", 19, 20, 0)], "mapping: neuron 19 of 'hidden' is placed more than once"),
        (
            [*GOOD, ("hiden", 0, 1, 0)],
            "mapping: hiden[0:1] 0: there is no population 'hiden' with compartments; there are: hidden, out",
        ),
        (
            [*GOOD, ("in", 0, 3, 0)],
            "mapping: in[0:3] 0: there is no population 'in' with compartments; there are: hidden, out",
        ),
        ([*GOOD[:2], ("hidden", 12, 21, 2)], "mapping: hidden[12:21] 2: 'hidden' has neurons 0 to 19"),
        ([*GOOD, ("out", 2, 2, 0)], "mapping: out[2:2] 0: 'out' has neurons 0 to 3"),
        ([*GOOD, ("out", -1, 2, 0)], "mapping: out[-1:2] 0: 'out' has neurons 0 to 3"),
        ([*GOOD[:2], ("hidden", 12, 20, 8)], "mapping: hidden[12:20] 8: chip 'tiny' has cores 0 to 7"),
        ([*GOOD[:2], ("hidden", 12, 20, -1)], "mapping: hidden[12:20] -1: chip 'tiny' has cores 0 to 7"),
    ],
)  # fmt: skip
def test_a_mapping_that_does_not_fit_the_network(segments, message):
    with pytest.raises(NetworkError) as error:
        compile_network(build(), CHIP, Mapping(segments))
    assert str(error.value) == message.strip()


def test_all_mistakes_of_a_mapping_come_at_once():
    with pytest.raises(NetworkError) as error:
        compile_network(
            build(), CHIP, Mapping([("x", 0, 1, 0), ("out", 0, 9, 0), ("out", 0, 1, 9)])
        )
    assert str(error.value).splitlines() == [
        "mapping: x[0:1] 0: there is no population 'x' with compartments; there are: hidden, out",
        "mapping: out[0:9] 0: 'out' has neurons 0 to 3",
        "mapping: out[0:1] 9: chip 'tiny' has cores 0 to 7",
        "mapping: neuron 0 of 'hidden' is on no core",
    ]


def test_missing_and_doubled_neurons_come_at_once():
    with pytest.raises(NetworkError) as error:
        compile_network(build(), CHIP, Mapping([("hidden", 1, 20, 0), ("hidden", 3, 5, 1)]))
    assert str(error.value).splitlines() == [
        "mapping: neuron 0 of 'hidden' is on no core",
        "mapping: neuron 3 of 'hidden' is placed more than once",
        "mapping: neuron 0 of 'out' is on no core",
    ]


def test_numbers_of_numpy_are_whole_numbers():
    kinds = (np.uint8, np.int16, np.int64)
    other = [(n, *(k(x) for k, x in zip(kinds, rest, strict=True))) for n, *rest in GOOD]
    assert (
        compile_network(build(), CHIP, Mapping(other)).sha256
        == compile_network(build(), CHIP, Mapping(GOOD)).sha256
    )


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ({"neurons": 15}, "core 5: out[0:4] does not fit: neurons: 16 needed, 15 on a core"),
        (
            # 3 rows of 12 in blocks of 8 and 4, 74 and 42 bits: 5 words; 20 rows of 4, 42 bits: 2 words
            {"synapse_memory_bits": 1759},
            "core 5: out[0:4] does not fit: synapse memory: 1760 bits needed, 1759 on a core of chip 'tiny'",
        ),
        (
            {"axons_in": 22},
            "core 5: out[0:4] does not fit: axons in: 23 needed, 22 on a core of chip 'tiny'",
        ),
        (
            {"accumulator_entries": 31},
            "core 5: out[0:4] does not fit: accumulator entries: 32 (2 slots of 16) needed, 31 on a core of chip 'tiny'",
        ),
        (
            {"axons_out": 11},
            "population 'hidden': axons out: 12 needed, 11 on a core of chip 'tiny' (one for each neuron and destination core)",
        ),
    ],
)  # fmt: skip
def test_a_mapping_is_held_to_every_capacity(limit, message):
    roomy = {"core.synapse_memory_bits": 2**20}
    chip = load_chip("tiny", set=roomy | {f"core.{key}": value for key, value in limit.items()})
    with pytest.raises(CapacityError) as error:
        compile_network(build(), chip, Mapping(GOOD))
    assert str(error.value) == message
    enough = {f"core.{key}": value + 1 for key, value in limit.items()}
    assert (
        compile_network(build(), load_chip("tiny", set=roomy | enough), Mapping(GOOD)).n_cores == 6
    )


def test_runs_of_one_population_on_a_core_share_their_rows():
    """Rows onto neurons 0 and 15 are dense on their own and sparse together, which takes more memory."""
    net = Network("n")
    net.connect(
        net.input("in", 1), net.population("b", 16, vth_mant=1),
        weights=(np.zeros(16, int), np.r_[0:8, 0:8], np.full(16, 2)),
    )  # fmt: skip
    halves = Mapping([("b", 0, 4, 0), ("b", 8, 16, 0), ("b", 4, 8, 0)])
    # 16 synapses of 8 + 4 bits in two blocks of 8: 106 bits and so 4 words each.
    for bits, fits in ((256, True), (255, False)):
        chip = load_chip("tiny", set={"core.synapse_memory_bits": bits})
        if fits:
            assert compile_network(net, chip, halves).blocks[:, 3].tolist() == [12]
            continue
        with pytest.raises(CapacityError) as error:
            compile_network(net, chip, halves)
        assert str(error.value) == (
            "core 0: b[0:4], b[8:16], b[4:8] does not fit: synapse memory: 256 bits needed, "
            "255 on a core of chip 'tiny'"
        )


NO_SEGMENT = "it must be (population, start, stop, core): a name and three whole numbers"


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        ([("c", 0, 10.0, 0)], f"segment 0: stop is 10.0; {NO_SEGMENT}"),
        ([("c", 0, 10, 0), ("c", 0, 10, True)], f"segment 1: core is True; {NO_SEGMENT}"),
        ([("c", "0", None, 0)], f"segment 0: start is '0'; {NO_SEGMENT}\nmapping: segment 0: stop is None; {NO_SEGMENT}"),
        ([(3, 0, 10, 0)], f"segment 0: population is 3; {NO_SEGMENT}"),
        ([("c", 0, 10)], f"segment 0 is ('c', 0, 10); {NO_SEGMENT}"),
        (["c[0:10] 0"], f"segment 0 is 'c[0:10] 0'; {NO_SEGMENT}"),
        ([("c", 0, 10**5000, 0)], f"segment 0: stop is a int; {NO_SEGMENT}"),
        (
            "a.map",
            "segments are 'a.map'; they must be a list of (population, start, stop, core), and Mapping.load reads a file",
        ),
        (None, "segments are None; they must be a list of (population, start, stop, core)"),
        ({1}, "segments are {1}; they must be a list of (population, start, stop, core)"),
    ],
)  # fmt: skip
def test_what_is_no_segment_is_named(segments, message):
    with pytest.raises(NetworkError) as error:
        Mapping(segments)
    assert str(error.value) == f"mapping: {message}"


def test_what_is_appended_to_a_mapping_is_checked():
    mapping = Mapping(GOOD)
    mapping.segments.append(("hidden", 0, 1.5, 0))
    with pytest.raises(NetworkError) as error:
        compile_network(build(), CHIP, mapping)
    assert str(error.value) == f"mapping: segment 3: stop is 1.5; {NO_SEGMENT}"


@pytest.mark.parametrize("path", [3, None, "a\0b", ""])
def test_a_path_of_a_mapping_is_a_path(path):
    for call in (Mapping.load, Mapping(GOOD).save):
        with pytest.raises(NetworkError) as error:
            call(path)
        assert str(error.value) == f"mapping: path is {path!r}; it must be a path"


def test_a_mapping_that_cannot_be_written(tmp_path):
    with pytest.raises(NetworkError) as error:
        Mapping(GOOD).save(tmp_path)
    assert (
        str(error.value) == f"{tmp_path}: the mapping cannot be written: it is not a regular file"
    )
