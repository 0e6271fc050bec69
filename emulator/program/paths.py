"""How long spikes are on their way through a program: the ways from population to population, delays included."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.program.program import Program

CHUNK = 1 << 22
"""Synapses that are looked at in one go."""
Edge = tuple[str, str, int]


def steps_after(program: Program) -> dict[str, int]:
    """Return for each population how many steps later than a spike of it the last one comes that the spike leads to.

    That is the longest way on through projections, where a synapse of delay d takes 1 + d steps; one whose delay is
    learned takes as long as the chip's synapses can. A join of compartments takes no time. Loops are gone round once:
    each population in one (in a strongly connected component) sends one spike round it, by the longest of its
    projections that stay in it. Neurons that fire later than something arrives, or without it, are not foreseen.

    Parameters
    ----------
    program : Program

    Returns
    -------
    dict of str to int
        Steps by population; 0 for those that lead nowhere.
    """
    import networkx as nx  # noqa: PLC0415  # 0.2 s

    graph = _graph(program)
    loops = nx.condensation(graph)
    after: dict[int, int] = {}
    for loop in reversed(list(nx.topological_sort(loops))):
        members = loops.nodes[loop]["members"]
        round_once = sum(
            max(
                (steps for _, to, steps in graph.out_edges(name, "steps") if to in members),
                default=0,
            )
            for name in members
        )
        onwards = [
            steps + after[loops.graph["mapping"][to]]
            for _, to, steps in graph.out_edges(members, "steps")
            if to not in members
        ]
        after[loop] = round_once + max(onwards, default=0)
    return {name: after[loops.graph["mapping"][name]] for name in graph}


def fewest_steps(program: Program, source: str, target: str) -> int | None:
    """Return the steps from a spike of a population to the first of another that it can cause; None without a way."""
    import networkx as nx  # noqa: PLC0415

    try:
        return int(nx.dijkstra_path_length(_graph(program, np.minimum), source, target, "steps"))
    except nx.NetworkXNoPath:
        return None


def _graph(program: Program, of: np.ufunc = np.maximum) -> Any:
    """Return the populations, with the longest (or shortest) step count of what leads from one to another."""
    import networkx as nx  # noqa: PLC0415

    better = max if of is np.maximum else min
    graph = nx.DiGraph()
    graph.add_nodes_from(program.population_index)
    for source, target, steps in _edges(program, of):
        known = graph.get_edge_data(source, target, {"steps": steps})["steps"]
        graph.add_edge(source, target, steps=better(known, steps))
    return graph


def _edges(program: Program, of: np.ufunc) -> Iterator[Edge]:
    delays = _delays(program, of).tolist()
    # What stands for a clamped input is not moved by its synapses.
    clamped = {p["name"] for p in program.manifest["populations"] if p["clamped_by"] is not None}
    for k, projection in enumerate(program.manifest["projections"]):
        if projection["n_synapses"] and projection["target"] not in clamped:
            rule = program.rules.get(k)
            delay = delays[k]
            if rule is not None and rule.moves_delays:
                delay = program.max_delay_steps if of is np.maximum else 0
            yield projection["source"], projection["target"], 1 + delay
    for join in program.manifest["joins"]:
        yield join["source"], join["target"], 0


def _delays(program: Program, of: np.ufunc) -> NDArray[np.int64]:
    """Return the largest (or smallest) delay of each projection, (n_projections,); 0 of those without synapses."""
    n = len(program.manifest["projections"])
    found = np.zeros(n, np.int64) if of is np.maximum else np.full(n, 63)
    if not program.max_delay_steps:
        return np.zeros(n, np.int64)
    rows = program.rows[program.rows["length"] > 0]
    ends = np.cumsum(rows["length"], dtype=np.int64)
    first = 0
    while first < len(rows):
        begin = ends[first - 1] if first else 0
        stop = max(first + 1, int(np.searchsorted(ends, begin + CHUNK)))
        chunk, lengths = rows[first:stop], rows["length"][first:stop].astype(np.int64)
        offsets = np.cumsum(lengths) - lengths
        within = np.arange(lengths.sum()) - np.repeat(offsets, lengths)
        place = np.repeat(chunk["start"].astype(np.int64), lengths) + within
        each = of.reduceat(program.synapses[place] >> 16 & 63, offsets)
        of.at(found, program.blocks[chunk["block"], 1], each)
        first = stop
    return found
