"""Networks in the exchange format NIR: a graph of layers becomes populations and projections.

Time is discretised by forward Euler: a layer sees the spikes of the layer before it in the same NIR
step, spikes when v > v_threshold and is then set to zero. On the chip each hop between layers costs
one step, so a layer at depth k computes NIR step t in step t + k; what skips a layer is delayed to
match. Each choice that the file leaves open is written to the network's `assumptions`, and to its
`warnings` where the network's meaning depends on it (`nir_open`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from emulator.arguments import path_of, shown, whole
from emulator.errors import NetworkError
from emulator.files import shown_name
from emulator.importers.names import cleaned
from emulator.importers.nir_graph import NEURONS, WEIGHTS, Graph, Node, Reals, read_graph
from emulator.importers.nir_open import DECAY_ONE, Layer, Route, assumed, decay_notes, text, warned
from emulator.network import Network, Population

LONGEST_STEP = 1e30
MAX_HOLD_STEPS = 63
"""Longest time for which a refractory counter holds a layer at rest."""


class NirNetwork(Network):
    """A network read from a .nir file.

    Attributes
    ----------
    depth_steps : dict[str, int]
        Steps by which each population lags behind the input: row t + depth is NIR step t.
    outputs : list[str]
        The populations that lead to an Output node.
    metadata : dict[str, object]
        What the file's /node/metadata holds.
    names : dict[str, str]
        The population of each node of the file: its name, or what is left of it where a network cannot have it.
    """

    depth_steps: dict[str, int]
    outputs: list[str]
    metadata: dict[str, Any]
    names: dict[str, str]


@np.errstate(over="ignore", invalid="ignore")  # what is not finite in the end is refused
def load_nir(
    path: str | Path,
    dt_seconds: float,
    *,
    neurons_per_core: int | None = None,
    limit_bytes: int = 2**30,
) -> NirNetwork:
    """Read a network from a .nir file.

    Parameters
    ----------
    path : str or Path
        The file. It may come from a stranger: nothing outside it is opened.
    dt_seconds : float
        Duration of a step in the file's unit of time, which the file does not say: often 1e-4, or 1
        if its time constants are in steps.
    neurons_per_core : int, optional
        At most so many of each population on a core, as in `Network.population`.
    limit_bytes : int
        Most bytes that the file's data sets may declare together.

    Returns
    -------
    NirNetwork
        The network in units of the file, with what was assumed in `assumptions`, and what to check in
        `warnings`. Input of T steps needs T + max(depth_steps.values()) steps to pass through.

    Raises
    ------
    NetworkError
        With everything in the file that is damaged, malformed or not supported, one per line.
    """
    path = path_of("path", path, NetworkError)
    real = isinstance(dt_seconds, int | float | np.integer | np.floating)
    if not real or isinstance(dt_seconds, bool) or not 0 < dt_seconds <= LONGEST_STEP:
        raise NetworkError(f"dt_seconds is {shown(dt_seconds)}; it must be a positive number")
    limit_bytes = whole("limit_bytes", limit_bytes, 1, 2**63 - 1, NetworkError)
    graph = read_graph(path, limit_bytes)
    problems: list[str] = []
    layers = {
        node.name: _layer(node, dt_seconds, problems)
        for node in graph.nodes.values()
        if node.kind in NEURONS
    }
    routes = list(_routes(graph))
    depths = _depths(graph, routes, problems)
    if not problems:
        for name, layer in layers.items():
            _fold_biases(graph, name, layer, depths[name], problems)
    if problems:
        raise NetworkError("\n".join(f"{path}: {problem}" for problem in problems))
    try:
        return _build(path, dt_seconds, graph, layers, routes, depths, neurons_per_core)
    except NetworkError as error:
        raise NetworkError(f"{path}: {error}") from error


def _layer(node: Node, dt: float, problems: list[str]) -> Layer:
    """Turn the fields of a neuron node into what happens in one step."""
    values = node.fields
    where = node.where
    if (values["v_reset"] != 0).any():
        problems.append(
            f"{where}: v_reset is {text(values['v_reset'])}; only a reset to 0 is supported"
        )
    if (values["v_threshold"] <= 0).any():
        problems.append(
            f"{where}: v_threshold is {text(values['v_threshold'])}; it must be above 0"
        )
    threshold = _compact(values["v_threshold"])
    if node.kind == "IF":
        gain, note = _if_gain(where, values["r"], dt, problems)
        return Layer(
            gain, {"threshold": threshold, "du": 4095, "dv": 0}, np.zeros(gain.size), notes=[note]
        )
    tau = "tau" if node.kind == "LIF" else "tau_mem"
    part = _fraction(values[tau], dt)
    layer = Layer(part * values["r"], {"threshold": threshold, "du": 4095}, part * values["v_leak"])
    layer.parameters["dv"] = _decay(layer, node, tau, dt, 0, problems)
    if node.kind == "CubaLIF":
        du = layer.parameters["du"] = _decay(layer, node, "tau_syn", dt, 1, problems)
        layer.current_keep = np.broadcast_to(1 - (np.asarray(du) + 1) / DECAY_ONE, part.shape)
        layer.gain = layer.gain * _fraction(values["tau_syn"], dt) * values["w_in"]
    return layer


def _if_gain(where: str, r: Reals, dt: float, problems: list[str]) -> tuple[Reals, str]:
    """Return what an input of 1 adds to v: files differ in whether r is per step or per second."""
    if np.allclose(r, 1 / dt, rtol=1e-5, atol=0):
        return dt * r, f"{where} has r = 1/dt, so v += dt * r * input."
    if np.allclose(r, 1, rtol=1e-5, atol=0):
        return r, f"{where} has r = 1, so each input is an impulse: v += r * input."
    problems.append(
        f"{where}: r is {text(r)}; it must be 1/dt = {1 / dt:g} (v += dt * r * input) "
        "or 1 (v += input)"
    )
    return r, ""


def _fraction(tau: Reals, dt: float) -> Reals:
    """Return dt / tau, 0 where tau is not positive (which `_decay` reports)."""
    return np.divide(dt, tau, out=np.zeros(tau.shape), where=tau > 0)


def _decay(layer: Layer, node: Node, name: str, dt: float, offset: int, problems: list[str]) -> Any:
    """Return the decay register of a time constant, whose effect is `offset` larger than itself."""
    tau, where = node.fields[name], node.where
    exact = _fraction(tau, dt) * DECAY_ONE
    decay = np.rint(exact)
    if (tau <= 0).any():
        problems.append(f"{where}: {name} is {text(tau)}; it must be above 0")
    elif (decay > DECAY_ONE).any():
        problems.append(
            f"{where}: {name} is {text(tau)}, shorter than a step of {dt:g}; give a smaller dt"
        )
    elif (decay < offset).any():
        problems.append(
            f"{where}: {name} is {text(tau)}: in a step of {dt:g} the current decays by "
            f"{text(exact)}/4096; the chip's smallest decay is 1/4096"
        )
    register = np.clip(decay - offset, 0, DECAY_ONE - 1).astype(np.int32)
    decay_notes(layer, node, name, dt, exact, register + offset)
    return _compact(register)


def _routes(graph: Graph) -> Iterator[Route]:
    """Yield every way from a population to a layer of neurons: by one weight node, or directly."""
    for node in graph.nodes.values():
        if node.kind not in NEURONS:
            continue
        for before in graph.sources(node.name):
            if graph.nodes[before].kind in WEIGHTS:
                for source in graph.sources(before):
                    yield Route(source, node.name, before)
            else:
                yield Route(before, node.name, None)


def _depths(graph: Graph, routes: list[Route], problems: list[str]) -> dict[str, int]:
    """Return for each population the hops of the longest way to it from an Input."""
    hops = nx.DiGraph()
    hops.add_nodes_from(node.name for node in graph.nodes.values() if node.is_population)
    hops.add_edges_from(
        (route.source, route.target) for route in routes if route.source != route.target
    )
    for loop in nx.strongly_connected_components(hops):
        if len(loop) > 1:
            names = ", ".join(f"'{shown_name(name)}'" for name in sorted(loop))
            problems.append(
                f"nodes {names} feed back to each other; "
                "only a layer's projection onto itself may be recurrent"
            )
    inputs = [node.name for node in graph.nodes.values() if node.kind == "Input"]
    reached = set(inputs).union(*(nx.descendants(hops, name) for name in inputs))
    problems += (
        f"{node.where}: no Input leads to it"
        for node in graph.nodes.values()
        if node.is_population and node.name not in reached
    )
    if problems:
        return {}
    depths: dict[str, int] = {}
    for name in nx.topological_sort(hops):
        depths[name] = 1 + max((depths[before] for before in hops.predecessors(name)), default=-1)
    return depths


def _fold_biases(graph: Graph, name: str, layer: Layer, depth: int, problems: list[str]) -> None:
    """Turn the biases of a layer into a bias of v that is silent until the layer's first input."""
    where = graph.nodes[name].where
    weights = [graph.nodes[before] for before in graph.sources(name)]
    total = sum(
        (node.fields["bias"] for node in weights if node.kind == "Affine"),
        np.zeros(layer.gain.size),
    )
    added = layer.gain * total
    if layer.current_keep is None:
        layer.bias = layer.bias + added
    elif added.any():
        # v gets the value at which the current settles as its bias, u only what is missing to it.
        settled = added / (1 - layer.current_keep)
        keep = np.where(layer.current_keep > 0, layer.current_keep, np.inf)
        start = -settled * keep ** float(-depth)
        if (np.abs(start) > 2.0**17 * graph.nodes[name].fields["v_threshold"]).any():
            problems.append(
                f"{where}: its bias cannot wait for the first input at depth {depth}: "
                f"the current would have to start at {text(start)}, beyond 24 bits"
            )
        layer.bias = layer.bias + settled
        layer.parameters["u_start"] = _compact(start)
        layer.notes.append(
            f"The bias into the current of {where} acts as the bias of v to which the current "
            "would settle; u starts at what is still missing."
        )
    if not (np.isfinite(layer.bias).all() and np.isfinite(layer.gain).all()):
        problems.append(f"{where}: its weights or biases leave the range of real numbers")
    if not layer.bias.any():
        return
    if depth > MAX_HOLD_STEPS:
        problems.append(
            f"{where}: it has a bias at depth {depth}; "
            f"at most {MAX_HOLD_STEPS} layers are allowed before it"
        )
    layer.parameters |= {"bias": _compact(layer.bias), "refractory_init": depth}
    back = [node for node in weights if node.kind == "Affine" and name in graph.sources(node.name)]
    if any(node.fields["bias"].any() for node in back):
        layer.notes.append(f"The bias on the way back to {where} acts from the first step on.")
    layer.notes.append(
        f"The biases and v_leak of {where} are added to v in each step from step {depth} on; "
        "a refractory counter holds it at 0 until then."
    )


def _build(
    path: Path,
    dt: float,
    graph: Graph,
    layers: dict[str, Layer],
    routes: list[Route],
    depths: dict[str, int],
    neurons_per_core: int | None,
) -> NirNetwork:
    """Put the populations into a network, inputs first and then by depth, and join them."""
    stem = cleaned([path.stem], "network")[path.stem]
    network = NirNetwork(stem, dt_ms=dt * 1000)
    order = sorted(depths, key=lambda name: (depths[name], name))
    names = cleaned(order, "node")
    populations: dict[str, Population] = {}
    for name in order:
        node = graph.nodes[name]
        if node.kind == "Input":
            populations[name] = network.input(names[name], node.n_outputs)
        else:
            populations[name] = network.population(
                names[name],
                node.n_outputs,
                neurons_per_core=neurons_per_core,
                refractory=1,
                **layers[name].parameters,
            )
    for route in routes:
        gain = layers[route.target].gain
        if route.weight is None:
            every = np.arange(gain.size, dtype=np.int32)
            weights: Any = (every, every, gain)
        else:
            weights = graph.nodes[route.weight].fields["weight"] * gain[:, None]
        skipped = (
            depths[route.target] - depths[route.source] - 1 if route.source != route.target else 0
        )
        network.connect(
            populations[route.source], populations[route.target], weights=weights, delay=skipped
        )
        if skipped:
            network.assumptions.append(
                f"'{names[route.source]}' -> '{names[route.target]}' skips layers: "
                f"a delay of {skipped} steps keeps it in time."
            )
    network.names = {name: names[name] for name in order}
    network.depth_steps = {names[name]: depths[name] for name in order}
    network.outputs = sorted(
        {names[tail] for tail, head in graph.edges if graph.nodes[head].kind == "Output"}
    )
    network.metadata = dict(graph.metadata)
    in_order = {name: depths[name] for name in order}
    network.assumptions[:0] = assumed(dt, graph, layers, in_order, names)
    if stem != path.stem:
        network.assumptions.append(
            f"The network of file '{shown_name(path.stem)}' is called '{stem}'."
        )
    network.warnings = warned(graph, layers, routes)
    return network


def _compact(values: Any) -> Any:
    """Return one number where all are equal, so that neurons can share registers."""
    array = np.asarray(values)
    return array.flat[0].item() if (array == array.flat[0]).all() else array
