"""A NIR graph in plain Python and floats, one step after the other, as the text of the format reads.

A graph is a dictionary of nodes, each a dictionary of its type and fields (lists), and a list of edges.
Forward Euler; a neuron spikes when v > v_threshold and v is then zero; what feeds back arrives a step later.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Trace:
    """Spikes of each population of neurons, a row a step, and the least distance of v to its threshold."""

    spikes: dict[str, list[list[int]]]
    margin: dict[str, float]


@dataclass
class Simulation:
    nodes: dict[str, dict[str, Any]]
    edges: list[tuple[str, str]]
    dt: float
    if_is_impulse: bool = False  # v += r * input instead of v += dt * r * input
    hold: bool = False  # v stays 0 in the step after a spike
    v: dict[str, list[float]] = field(default_factory=dict)
    current: dict[str, list[float]] = field(default_factory=dict)
    last: dict[str, list[int]] = field(default_factory=dict)
    margin: dict[str, float] = field(default_factory=dict)

    def run(self, inputs: dict[str, list[list[int]]]) -> Trace:
        neurons = [name for name, node in self.nodes.items() if "v_threshold" in node]
        for name in neurons:
            n = len(self.nodes[name]["v_threshold"])
            self.v[name], self.current[name], self.last[name] = [0.0] * n, [0.0] * n, [0] * n
            self.margin[name] = float("inf")
        spikes: dict[str, list[list[int]]] = {name: [] for name in neurons}
        for t in range(max(len(rows) for rows in inputs.values())):
            done: dict[str, list[int]] = {name: rows[t] for name, rows in inputs.items()}
            for name in neurons:
                spikes[name].append(self.spikes_of(name, done, []))
            self.last = {name: done[name] for name in neurons}
        return Trace(spikes, self.margin)

    def spikes_of(self, name: str, done: dict[str, list[int]], busy: list[str]) -> list[int]:
        """Return what a population sends in this step; while it is being computed, what it sent in the last."""
        if name in busy:
            return self.last[name]
        if name not in done:
            done[name] = self.neurons(name, self.arriving(name, done, [*busy, name]))
        return done[name]

    def arriving(self, name: str, done: dict[str, list[int]], busy: list[str]) -> list[float]:
        """Return the sum of what the edges into a node bring."""
        parts = []
        for source, target in self.edges:
            if target != name:
                continue
            node = self.nodes[source]
            if "weight" in node:
                x = self.arriving(source, done, busy)
                y = [sum(w * a for w, a in zip(row, x, strict=True)) for row in node["weight"]]
                parts.append(
                    [a + b for a, b in zip(y, node.get("bias", [0.0] * len(y)), strict=True)]
                )
            else:
                parts.append([float(s) for s in self.spikes_of(source, done, busy)])
        return [sum(column) for column in zip(*parts, strict=True)]

    def neurons(self, name: str, arriving: list[float]) -> list[int]:
        node, spikes = self.nodes[name], []
        for k, (x, threshold) in enumerate(zip(arriving, node["v_threshold"], strict=True)):
            v = self.potential(name, k, x)
            if self.hold and self.last[name][k]:
                v = 0.0
            self.margin[name] = min(self.margin[name], abs(v - threshold))
            spikes.append(int(v > threshold))
            self.v[name][k] = 0.0 if v > threshold else v
        return spikes

    def potential(self, name: str, k: int, x: float) -> float:
        """Return v of neuron k after a step with input x, before the threshold."""
        node, v = self.nodes[name], self.v[name][k]
        if node["type"] == "IF":
            return v + (1.0 if self.if_is_impulse else self.dt) * node["r"][k] * x
        tau = node["tau"] if node["type"] == "LIF" else node["tau_mem"]
        if node["type"] == "CubaLIF":
            old = self.current[name][k]
            x = old + self.dt / node["tau_syn"][k] * (node["w_in"][k] * x - old)
            self.current[name][k] = x
        return v + self.dt / tau[k] * (node["v_leak"][k] - v + node["r"][k] * x)
