"""What a .nir file leaves open: what is assumed, and what its meaning depends on so much that a user must look.

Measured with the float networks of the reference cases, another reset or a step of rest after each spike: two networks
without feedback kept their accuracy within 3 points, and their spike counts within a factor of 2.3; one that feeds back
fell from 88 % to 30 %. What can do that is a warning; the rest are assumptions.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from emulator.files import shown_name
from emulator.importers.nir_graph import Graph, Node, Reals

DECAY_ONE = 4096
"""A decay register counts in parts of this; the decay of u is one more than its register."""
ROUGH = 0.05
"""A decay that is rounded by more of itself than this is warned of."""
GRID = 1e-6
"""How near to a multiple of the smallest weight another one counts as that."""


@dataclass(frozen=True)
class Route:
    """One projection to be: spikes of `source` to `target` through `weight`, or one to one."""

    source: str
    target: str
    weight: str | None


@dataclass
class Layer:
    """A node of neurons in steps: what an input adds to the state, how the state decays."""

    gain: Reals  # what a weight of 1 adds to v (LIF, IF) or to u (CubaLIF)
    parameters: dict[str, Any]  # of the population, as registers or in units of the threshold
    bias: Reals  # added to v in every step
    current_keep: Reals | None = (
        None  # the part of u that is left after a step; None: u has no memory
    )
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def decay_notes(layer: Layer, node: Node, name: str, dt: float, exact: Reals, real: Reals) -> None:
    """Say how a decay was rounded, which a wrong step makes rough, and where nothing is left after a step."""
    if not np.allclose(real, exact, rtol=1e-6, atol=0):
        layer.notes.append(
            f"The decay of {node.where} by dt/{name} = {text(exact)}/4096 per step "
            f"is rounded to {text(real)}/4096."
        )
    check = f"check that dt = {dt:g} is in the unit of {name} ({text(node.fields[name])})"
    if (np.abs(real - exact) > ROUGH * exact).any():
        layer.warnings.append(
            f"{node.where}: {name} is so long that its decay of {text(exact)}/4096 per step becomes "
            f"{text(real)}/4096; {check}"
        )
    if name != "tau_syn" and (exact >= DECAY_ONE * (1 - 1e-6)).any():
        layer.warnings.append(
            f"{node.where}: {name} is one step, so v forgets in each step what came before; {check}"
        )


def warned(graph: Graph, layers: Mapping[str, Layer], routes: Iterable[Route]) -> list[str]:
    """Return what a user must look at, a sentence or two each."""
    routes = list(routes)
    back = sorted({route.source for route in routes if route.source == route.target})
    found = [_feeds_back([graph.nodes[name] for name in back])] if back else []
    for name, layer in sorted(layers.items()):
        found += layer.warnings
        if graph.nodes[name].kind == "IF":
            found += _counts(graph, name, layer, [r for r in routes if r.target == name])
    return found


def _feeds_back(nodes: list[Node]) -> str:
    names = ", ".join(node.where for node in nodes)
    verb, itself = ("feeds", "itself") if len(nodes) == 1 else ("feed", "themselves")
    return (
        f"{names} {verb} back to {itself}, and the file does not say what a neuron does after its spike: here v is 0 "
        "at once, the spike arrives a step later, and decays are dt/tau. Trained with a step of rest after each spike "
        "(snnTorch's reset_delay), with v_threshold taken from v, or with decays of 1 - exp(-dt/tau), a network can "
        "come out all wrong: one was right in 30 % instead of 88 %. Compare accuracy and spike counts with those of "
        "the tool that it is from"
    )


def _counts(graph: Graph, name: str, layer: Layer, routes: list[Route]) -> Iterator[str]:
    """Yield where neurons that add up their input can count otherwise: they are often converted from real numbers."""
    where = graph.nodes[name].where
    threshold = np.broadcast_to(layer.parameters["threshold"], layer.gain.shape)
    weights = [
        np.diag(layer.gain)
        if route.weight is None
        else graph.nodes[route.weight].fields["weight"] * layer.gain[:, None]
        for route in routes
    ]
    most = sum((np.maximum(w, 0).sum(axis=1) for w in weights), np.maximum(layer.bias, 0))
    if (most >= 2 * threshold).any():
        yield (
            f"{where}: a step can bring {float((most / threshold).max()):.3g} times its v_threshold, and the file does "
            "not say what becomes of more than one: here a neuron spikes once, and v is 0. Made for several spikes in "
            "a step, or for v_threshold taken from v, as converted networks are (sinabs), one was right in 79 % "
            "instead of 98 %. Compare accuracy and spike counts with those of the tool that it is from"
        )
    values = np.concatenate([np.abs(w).ravel() for w in weights] + [threshold, np.abs(layer.bias)])
    unit = values[values > 0].min(initial=np.inf)
    if np.isfinite(unit) and (np.abs(values / unit - np.rint(values / unit)) < GRID).all():
        yield (
            f"{where}: its weights and v_threshold are multiples of {unit:.6g}, so v can equal v_threshold: here it "
            "does not spike then (v > v_threshold); tools that spike at v >= v_threshold (sinabs, rockpool) are earlier"
        )


def assumed(
    dt: float,
    graph: Graph,
    layers: Mapping[str, Layer],
    depths: Mapping[str, int],
    names: Mapping[str, str],
) -> list[str]:
    """Return what the file leaves open and was decided here, a sentence each."""
    depth = max(depths.values())
    listed = ", ".join(f"'{names[name]}' {steps}" for name, steps in depths.items())
    changed = [f"'{shown_name(name)}' is '{names[name]}'" for name in depths if names[name] != name]
    integrator = (
        "Integrator: forward Euler: in a step v and u lose dt/tau of themselves (a population with tau_mem_ms loses "
        "1 - exp(-dt/tau)); dt/tau and r (and w_in) are folded into the weights."
    )
    return [
        *([f"Names: {', '.join(changed)}."] if changed else []),  # what inputs are to be called
        f"A step is {dt:g} in the file's unit of time, taken as seconds.",
        integrator,
        "A neuron spikes when v > v_threshold, once in a step, and v is 0 at once; there is no refractory step.",
        "Inputs are spikes: one or none of an input neuron in a step.",
        f"The network has depth {depth}: input of T steps needs T + {depth} steps.",
        f"Steps behind the input: {listed}.",
        *graph.notes,
        *(note for node in graph.nodes.values() for note in node.notes),
        *(note for name in depths if name in layers for note in layers[name].notes),
    ]


def text(values: Any) -> str:
    """Return one value, or the range, of an array."""
    low, high = np.min(values), np.max(values)
    return f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"
