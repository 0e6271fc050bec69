"""Files and nodes of any name: read, called what is left of their names, and told."""

import re

import h5py
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emulator import Network, Program, compile_network, load_chip
from emulator.errors import NetworkError
from emulator.importers.names import cleaned
from emulator.importers.nir import load_nir
from tests.unit.test_importer_nir import (
    chain,
    feed_forward,
    if_,
    io,
    lif,
    linear,
    spikes_on_chip,
    write_nir,
    write_raw,
)

ALLOWED = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}")

CLEANED = {
    "lif.1": "lif.1", "my input": "my_input", "caf\u00e9": "cafe", "e\u0301": "e", "\u00fc-\u00df": "u-",
    "[1]": "1", "a/b": "a_b", "/a": "a", ".hidden": "hidden", "..": "node", "": "node", "-x": "x", "\U0001f600": "node",
    "\x1b[31mred": "31mred", "a\nb": "a_b", "a->b": "a-_b", "\u202eabc": "abc", "%s": "s", "\udce9": "node",
    "x" * 300: "x" * 200, "\u00e9" * 300: "e" * 200, "\uff11": "1", "\u0663": "node", "a__b": "a__b",
}  # fmt: skip


@pytest.mark.parametrize("name", CLEANED)
def test_what_is_left_of_a_name(name):
    assert cleaned([name], "node") == {name: CLEANED[name]}


def test_names_that_are_left_alike_get_numbers():
    names = ["a b", "a_b", "a?b", "a_b_2", "\u00e9", "e", "!", "?", "x" * 201, "x" * 202]
    expected = {
        "a_b": "a_b", "a b": "a_b_3", "a_b_2": "a_b_2", "a?b": "a_b_4", "e": "e", "\u00e9": "e_2", "!": "node",
        "?": "node_2", "x" * 201: "x" * 200, "x" * 202: "x" * 198 + "_2",
    }  # fmt: skip
    assert cleaned(names, "node") == expected
    assert cleaned(reversed(names * 2), "node") == expected


def is_accepted(name) -> bool:
    try:
        return bool(Network(name).input(name, 1))
    except NetworkError:
        return False


any_name = (
    st.text(max_size=12)
    | st.text("ab_. -/\u00e9", max_size=4)
    | st.from_regex(ALLOWED, fullmatch=True)
)


@given(st.lists(any_name, max_size=12))
def test_names_are_allowed_and_different(names):
    found = cleaned(names, "node")
    assert set(found) == set(names)
    assert len(set(found.values())) == len(found)
    assert all(ALLOWED.fullmatch(name) for name in found.values())
    assert all(found[name] == name for name in names if is_accepted(name))
    assert all(is_accepted(name) for name in found.values())


# nodes

ODD = [
    "my input", "caf\u00e9", "[1]", "a/b", "/a", ".hidden", "x" * 300, "\U0001f600", "d//b", "e/", "./f", "..", "tab\t",
    "\x1b[31mred", "a\nb", "type", "nodes", "edges", "a/type", "node/nodes", "metadata", "/b/c", "w1", "lif.w_rec", "%s",
]  # fmt: skip


def renamed(names):
    """Return a graph and the same with other names for its nodes."""
    nodes, edges = feed_forward(lif(8, 60.375), lif(4, 40.375, tau=4.0, r=2.0))
    new = dict(zip(nodes, names, strict=True))
    return {new[n]: node for n, node in nodes.items()}, [(new[a], new[b]) for a, b in edges]


@pytest.mark.parametrize("first", range(len(ODD) - 5))
def test_odd_names_change_nothing(tmp_path, first):
    """As the public package writes them; HDF5 makes folders of what stands before a '/'."""
    rows = (np.random.default_rng(8).random((20, 6)) < 0.3).astype(int).tolist()
    write_nir(tmp_path / "plain.nir", *renamed(["input", "w_a", "a", "w_b", "b", "output"]))
    expected = spikes_on_chip(load_nir(tmp_path / "plain.nir", 1.0), {"input": rows})
    names = ODD[first : first + 6]
    write_nir(tmp_path / "odd.nir", *renamed(names))
    net = load_nir(tmp_path / "odd.nir", 1.0)
    assert list(net.populations) == list(net.names.values()) == list(net.depth_steps)
    assert all(ALLOWED.fullmatch(name) for name in net.populations)
    source = next(iter(net.populations))
    found = spikes_on_chip(net, {source: rows})
    assert [raster.tolist() for raster in found.values()] == [
        raster.tolist() for raster in expected.values()
    ]


node_names = any_name.map(lambda name: name.replace("\0", "")).filter(
    lambda name: "/" not in name.strip("/") and name.strip("/") not in ("", ".")
)


@given(st.lists(node_names, min_size=6, max_size=6, unique_by=lambda name: name.strip("/")))
@example(["a b", "a_b", "a?b", "a!b", "\u00e9", "e"])
def test_nodes_of_any_names_are_read(tmp_path_factory, names):
    path = tmp_path_factory.mktemp("names") / "x.nir"
    nodes, edges = renamed([name.strip("/") for name in names])
    write_raw(path, nodes, edges)
    net = load_nir(path, 1.0)
    assert len(net.populations) == 3
    assert set(net.names) == {names[k].strip("/") for k in (0, 2, 4)}
    told = [text for text in net.assumptions if text.startswith("Names: ")]
    assert len(told) == any(old != new for old, new in net.names.items())
    assert all(text.isprintable() for text in net.assumptions + net.warnings)


def test_names_are_told(tmp_path):
    path = tmp_path / "my net (1).nir"
    nodes = {
        "\u00e9": io("Input", 1),
        "\x1b[31m": if_(1, 0.75),
        "b": if_(1, 0.75),
        "out/1": io("Output", 1),
    }
    write_nir(path, nodes, [*chain("\u00e9", "\x1b[31m", "b", "out/1"), ("\u00e9", "b")])
    net = load_nir(path, 1.0)
    assert net.name == "my_net_1"
    assert net.names == {"\u00e9": "e", "\x1b[31m": "31m", "b": "b"}
    assert [p.name for p in net.projections] == ["e->31m", "31m->b", "e->b"]
    for text in (
        r"Names: '\x1b[31m' is '31m', 'é' is 'e'.",
        "Steps behind the input: 'e' 0, '31m' 1, 'b' 2.",
        "The network of file 'my net (1)' is called 'my_net_1'.",
        "'e' -> 'b' skips layers: a delay of 1 steps keeps it in time.",
    ):
        assert any(sorted(text) == sorted(found) for found in net.assumptions), (
            text,
            net.assumptions,
        )
    assert net.outputs == ["b"]
    program = compile_network(net, load_chip("tiny"))
    assert program.name == "my_net_1"


def test_names_are_shown_safely_where_something_is_wrong(tmp_path):
    path = tmp_path / "x.nir"
    nodes = {"in": io("Input", 1), "\x1b[2J": if_(1, 0.75, r=3.0), "out": io("Output", 1)}
    write_raw(path, nodes, chain(*nodes))
    with pytest.raises(NetworkError) as error:
        load_nir(path, 1.0)
    assert str(error.value) == (
        rf"{path}: node '\x1b[2J' (IF): r is 3; it must be 1/dt = 1 (v += dt * r * input) or 1 (v += input)"
    )
    write_raw(path, nodes, [*chain(*nodes), ("\x1b[2J", "\u202egone")])
    with pytest.raises(NetworkError) as error:
        load_nir(path, 1.0)
    assert str(error.value).isprintable()


def test_names_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "x.nir"
    nodes = {"in": io("Input", 1), "cell": if_(1, 0.75), "out": io("Output", 1)}
    write_raw(path, nodes, chain(*nodes))
    with h5py.File(path, "r+") as file:
        del file["node/edges"]
        edges = np.array([[b"in", b"\xe9"], [b"\xe9", b"out"]], object)
        file.create_dataset("node/edges", data=edges, dtype=h5py.string_dtype())
    with pytest.raises(NetworkError) as error:
        load_nir(path, 1.0)
    assert rf"{path}: edge 'in' -> '\udce9': there is no node '\udce9'" in str(error.value)
    with h5py.File(path, "r+") as file:
        file.move("node/nodes/cell", b"node/nodes/\xe9")
    with pytest.raises(NetworkError) as error:
        load_nir(path, 1.0)
    assert str(error.value) == rf"{path}: /node/nodes/\udce9 has a name that is not UTF-8 text"


def test_the_longest_names_make_a_program(tmp_path):
    path = tmp_path / f"{'f' * 250}.nir"
    nodes = {"a" * 500: io("Input", 1), "b" * 500: if_(1, 0.75), "out": io("Output", 1)}
    write_raw(path, nodes, [*chain(*nodes), ("b" * 500, "b" * 500)])
    program = compile_network(load_nir(path, 1.0), load_chip("tiny"))
    program.save(tmp_path / "x.program")
    found = Program.load(tmp_path / "x.program").manifest
    assert [p["name"] for p in found["projections"]] == [
        f"{'a' * 200}->{'b' * 200}",
        f"{'b' * 200}->{'b' * 200}",
    ]
    assert found["name"] == "f" * 200


def test_a_folder_of_nodes_is_none_itself(tmp_path):
    """A node, and others whose names begin with its name and a '/'; and a group that is nothing."""
    path = tmp_path / "x.nir"
    nodes = {
        "in": io("Input", 1),
        "in/a": if_(1, 0.75),
        "in/a/w": linear([[1.0]]),
        "out": io("Output", 1),
        "in/b": if_(1, 0.75),
    }
    edges = chain("in", "in/a", "in/a/w", "in/b", "out")
    write_raw(path, nodes, edges)
    assert load_nir(path, 1.0).names == {"in": "in", "in/a": "in_a", "in/b": "in_b"}
    with h5py.File(path, "r+") as file:
        file.create_group("node/nodes/empty")
        file["node/nodes/half/tau"] = 1.0
    with pytest.raises(NetworkError) as error:
        load_nir(path, 1.0)
    assert str(error.value).splitlines() == [
        f"{path}: node '{name}': it has no field 'type'" for name in ("empty", "half")
    ]


def test_what_is_not_read_is_told(tmp_path):
    path = tmp_path / "x.nir"
    nodes = {"in": io("Input", 1), "/a": if_(1, 0.75), "out": io("Output", 1)}
    write_nir(path, nodes, chain(*nodes))
    assert not any("Not read" in text for text in load_nir(path, 1.0).assumptions)
    with h5py.File(path, "r+") as file:
        file["data/spikes"] = [1]
        file["node/units"] = "ms"
        file["a/metadata/reset"] = "subtract"
        del file["version"]
        file["version"] = "2.1"
    assumptions = load_nir(path, 1.0).assumptions
    assert "Not read: /data, /node/units, metadata of '/a'." in assumptions
    assert "The file is of NIR 2.1; it is read as one of 1.0.8." in assumptions
