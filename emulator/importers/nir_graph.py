"""What a .nir file says: nodes and edges, checked field by field, with nothing interpreted yet.

The format is the one that the `nir` package writes (version 1.0.8, older ones included); the
package is not needed. Node types and fields outside the table `FIELDS` are refused by name.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.errors import NetworkError
from emulator.files import shown_name
from emulator.importers.hdf5 import Tree, read_tree

Reals = NDArray[np.float64]

FIELDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Input": (("shape",), ()),
    "Output": (("shape",), ()),
    "Linear": (("weight",), ()),
    "Affine": (("weight", "bias"), ()),
    "LIF": (("tau", "r", "v_leak", "v_threshold"), ("v_reset",)),
    "IF": (("r", "v_threshold"), ("v_reset",)),
    "CubaLIF": (("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"), ("v_reset", "w_in")),
}
"""The supported node types: the fields that each must have, and may have."""

NEURONS = ("LIF", "IF", "CubaLIF")
WEIGHTS = ("Linear", "Affine")


@dataclass(frozen=True)
class Node:
    """One node: its type, and its fields as real arrays ("shape" is dropped: see the sizes)."""

    name: str
    kind: str
    fields: Mapping[str, Reals]
    n_inputs: int
    n_outputs: int
    notes: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """What messages call it."""
        return f"node '{shown_name(self.name)}' ({self.kind})"

    @property
    def is_population(self) -> bool:
        """Whether spikes come out of it."""
        return self.kind == "Input" or self.kind in NEURONS


@dataclass(frozen=True)
class Graph:
    """A valid graph: each edge joins two nodes of matching sizes and of types that may follow."""

    nodes: Mapping[str, Node]
    edges: tuple[tuple[str, str], ...]
    metadata: Mapping[str, Any]
    notes: tuple[str, ...] = ()  # on what else the file holds

    def sources(self, name: str) -> list[str]:
        """Return the nodes with an edge to this one, sorted."""
        return sorted(source for source, target in self.edges if target == name)

    def targets(self, name: str) -> list[str]:
        """Return the nodes with an edge from this one, sorted."""
        return sorted(target for source, target in self.edges if source == name)


def read_graph(path: Path, limit_bytes: int) -> Graph:
    """Read the graph of a .nir file.

    Parameters
    ----------
    path : Path
        The file.
    limit_bytes : int
        Most bytes that its data sets may declare together.

    Returns
    -------
    Graph
        All its nodes and edges, checked.

    Raises
    ------
    NetworkError
        With every mistake found, one per line, each naming the file and the node.
    """
    tree = read_tree(path, limit_bytes)
    top = tree.get("node")
    problems: list[str] = []
    if not isinstance(top, dict) or str(top.get("type")) != "NIRGraph":
        problems = ["not a NIR file: it has no group 'node' of type 'NIRGraph'"]
    elif not isinstance(top.get("nodes"), dict):
        problems = ["not a NIR file: /node/nodes is missing"]
    else:
        edges = _edges(top.get("edges"), problems)
        found = dict(_nodes(top["nodes"], "")) | _absolute(tree, edges)
        nodes = {name: _node(name, fields, problems) for name, fields in found.items()}
        problems += _graph_problems(nodes, edges)
        known = {name: node for name, node in nodes.items() if node is not None}
        if not problems:
            problems += _edge_problems(known, edges)
        if not problems:
            metadata = top.get("metadata", {})
            notes = tuple(_not_read(tree, found))
            return Graph(known, tuple(edges), metadata if isinstance(metadata, dict) else {}, notes)
    raise NetworkError("\n".join(f"{path}: {problem}" for problem in problems))


def _nodes(group: Tree, before: str) -> Iterator[tuple[str, Any]]:
    """Yield the nodes of a group by name; HDF5 makes a group of what stands before a '/' in one."""
    for key, value in group.items():
        name = f"{before}{key}"
        if not isinstance(value, dict):
            yield name, value
            continue
        kind = value.get("type")
        inner = {k: v for k, v in value.items() if isinstance(v, dict)}
        if isinstance(kind, str):
            is_known = kind in FIELDS  # others may have groups of their own
            nodes = {
                k: v for k, v in inner.items() if is_known and k != "metadata" and _holds_nodes(v)
            }
            yield name, {k: v for k, v in value.items() if k not in nodes}
            yield from _nodes(nodes, f"{name}/")
        elif inner and all(isinstance(v, dict) for v in value.values()):
            yield from _nodes(inner, f"{name}/")
        else:
            yield name, value


def _holds_nodes(group: Tree) -> bool:
    return isinstance(group.get("type"), str) or any(
        _holds_nodes(value) for value in group.values() if isinstance(value, dict)
    )


def _absolute(tree: Tree, edges: list[tuple[str, str]]) -> dict[str, Any]:
    """Return the nodes whose names begin with '/', by name: HDF5 has put them beside the graph."""
    found = {}
    for name in sorted({end for edge in edges for end in edge if end.startswith("/")}):
        value: Any = tree
        for key in name[1:].split("/"):
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, dict) and value is not tree:
            found[name] = value
    return found


def _not_read(tree: Tree, nodes: Mapping[str, Any]) -> Iterator[str]:
    """Yield what else the file holds, which means nothing here."""
    top, used = tree["node"], {name[1:].partition("/")[0] for name in nodes if name[0] == "/"}
    others = [f"/{key}" for key in tree if key not in {"node", "version", *used}]
    others += [f"/node/{key}" for key in top if key not in {"type", "nodes", "edges", "metadata"}]
    others += [f"metadata of '{name}'" for name, fields in nodes.items() if fields.get("metadata")]
    if others:
        yield f"Not read: {', '.join(shown_name(other) for other in others)}."
    version = tree.get("version")
    if isinstance(version, str) and re.match(r"\d+", version) and int(version.split(".")[0]) > 1:
        yield f"The file is of NIR {shown_name(version)}; it is read as one of 1.0.8."


def _node(name: str, fields: Any, problems: list[str]) -> Node | None:
    """Check one node by itself; None if it cannot be used."""
    kind = fields.get("type") if isinstance(fields, dict) else None
    where = f"node '{shown_name(name)}'"
    if not isinstance(kind, str):
        problems.append(f"{where}: it has no field 'type'")
        return None
    if kind not in FIELDS:
        problems.append(
            f"{where}: type '{shown_name(kind)}' is not supported; allowed are {', '.join(FIELDS)}"
        )
        return None
    found = [f"{where} ({kind}): {problem}" for problem in _field_problems(kind, fields)]
    problems += found
    return None if found else _sized(name, kind, fields)


def _field_problems(kind: str, fields: Tree) -> Iterator[str]:
    """Yield missing, unknown and misshapen fields."""
    required, optional = FIELDS[kind]
    yield from (f"it has no field '{field}'" for field in required if field not in fields)
    for field in sorted(fields.keys() - {"type", "metadata", *required, *optional}):
        yield f"unknown field '{shown_name(field)}'; allowed are {', '.join(required + optional)}"
    arrays = {}
    for field in (field for field in (*required, *optional) if field in fields):
        value = fields[field]
        if isinstance(value, (dict, str)) or value.dtype.kind not in "fiu":
            yield f"field '{field}' does not hold numbers"
        elif not np.isfinite(value).all():
            yield f"field '{field}' holds values that are not finite"
        else:
            arrays[field] = np.asarray(value)
    if kind in NEURONS:
        yield from _neuron_shape_problems(arrays)
    elif kind in WEIGHTS:
        yield from _weight_shape_problems(arrays)
    elif "shape" in arrays:
        yield from _size_problems(arrays["shape"])


def _size_problems(shape: NDArray[Any]) -> Iterator[str]:
    if shape.ndim != 1 or shape.size == 0 or shape.dtype.kind == "f" or (shape < 1).any():
        yield f"shape is {shape.tolist()}; it must be a list of whole numbers of at least 1"
    elif (shape[:-1] != 1).any():
        yield f"shape is {shape.tolist()}; only the last axis may be longer than 1"


def _neuron_shape_problems(arrays: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    expected = arrays["v_threshold"].shape if "v_threshold" in arrays else ()
    if "v_threshold" in arrays and (len(expected) != 1 or expected[0] == 0):
        yield f"field 'v_threshold' has shape {expected}; it must be (n,), one value per neuron"
        return
    for field, array in arrays.items():
        if expected and array.shape != expected and not (field == "w_in" and array.shape == ()):
            yield f"field '{field}' has shape {array.shape}, but v_threshold has {expected}"


def _weight_shape_problems(arrays: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    weight = arrays.get("weight")
    if weight is None:
        return
    if weight.ndim != 2 or weight.size == 0:
        yield f"field 'weight' has shape {weight.shape}; it must be (out, in)"
    elif "bias" in arrays and arrays["bias"].shape != weight.shape[:1]:
        yield (
            f"field 'bias' has shape {arrays['bias'].shape}; "
            f"with a weight of shape {weight.shape} it must be {weight.shape[:1]}"
        )


def _sized(name: str, kind: str, fields: Tree) -> Node:
    """Return a node whose fields are known to be good."""
    notes = []
    if "shape" in fields:
        shape = fields["shape"].tolist()
        if len(shape) > 1:
            notes.append(
                f"The shape {shape} of '{shown_name(name)}' is read as {shape[-1]} neurons."
            )
        return Node(name, kind, {}, shape[-1], shape[-1], tuple(notes))
    required, optional = FIELDS[kind]
    values = {
        key: np.asarray(fields[key], np.float64) for key in (*required, *optional) if key in fields
    }
    if kind in WEIGHTS:
        n_outputs, n_inputs = values["weight"].shape
        return Node(name, kind, values, n_inputs, n_outputs)
    n_neurons = values["v_threshold"].size
    for field, default in (("v_reset", 0.0), ("w_in", 1.0)):
        if field in optional and field not in values:
            notes.append(f"'{shown_name(name)}' has no {field}: {default:g} is assumed.")
            values[field] = np.full(n_neurons, default)
    if "w_in" in values:
        values["w_in"] = np.broadcast_to(values["w_in"], (n_neurons,))
    return Node(name, kind, values, n_neurons, n_neurons, tuple(notes))


def _edges(edges: Any, problems: list[str]) -> list[tuple[str, str]]:
    if edges is None:
        problems.append("it has no edges: /node/edges is missing")
        return []
    if isinstance(edges, np.ndarray) and not edges.size:  # of any type: it holds none
        return []
    if (
        not isinstance(edges, np.ndarray)
        or edges.dtype != object
        or edges.ndim != 2
        or edges.shape[1] != 2
    ):
        problems.append("/node/edges must be a table of two columns of node names")
        return []
    return [(_path(str(source)), _path(str(target))) for source, target in edges]


def _path(name: str) -> str:
    """Return a node's name as HDF5 has it: an empty part, and '.', lead nowhere."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") and parts[:2] != ["node", "nodes"]:
        return f"/{'/'.join(parts)}"
    return "/".join(parts[2:] if name.startswith("/") else parts)


def _graph_problems(
    nodes: Mapping[str, Node | None], edges: list[tuple[str, str]]
) -> Iterator[str]:
    """Yield edges that are listed twice or lead nowhere, and missing inputs and outputs."""
    for (source, target), count in Counter(edges).items():
        where = f"edge '{shown_name(source)}' -> '{shown_name(target)}'"
        if count > 1:
            yield f"{where} is listed {count} times; once is allowed"
        for end in dict.fromkeys((source, target)):
            if end not in nodes:
                yield f"{where}: there is no node '{shown_name(end)}'"
    if None in nodes.values():
        return
    kinds = [node.kind for node in nodes.values() if node is not None]
    for kind in ("Input", "Output"):
        if kind not in kinds:
            yield f"it has no node of type {kind}"


def _edge_problems(nodes: Mapping[str, Node], edges: list[tuple[str, str]]) -> Iterator[str]:
    """Yield edges that do not fit the two nodes they join, and nodes that are joined to nothing."""
    for source, target in edges:
        tail, head = nodes[source], nodes[target]
        before, behind = f"'{shown_name(source)}'", f"'{shown_name(target)}'"
        where = f"edge {before} -> {behind}"
        if tail.kind == "Output":
            yield f"{where}: nothing may follow the Output {before}"
        elif head.kind == "Input":
            yield f"{where}: nothing may lead to the Input {behind}"
        elif tail.kind in WEIGHTS and head.kind in WEIGHTS:
            yield (
                f"{where}: {before} ({tail.kind}) and {behind} ({head.kind}) "
                "have no neurons between them; merge them into one"
            )
        elif tail.kind in WEIGHTS and head.kind == "Output":
            yield f"{where}: {before} is {tail.kind}; only neurons may lead to an Output"
        elif tail.n_outputs != head.n_inputs:
            yield (
                f"{where}: {before} has {tail.n_outputs} outputs, "
                f"but {behind} has {head.n_inputs} inputs"
            )
    tails, heads = {source for source, _ in edges}, {target for _, target in edges}
    for node in nodes.values():
        if node.kind != "Input" and node.name not in heads:
            yield f"{node.where}: no edge leads to it"
        if (node.kind == "Input" or node.kind in WEIGHTS) and node.name not in tails:
            yield f"{node.where}: no edge leaves it"
