"""The analytic time of one step, from packets that walk their XY routes one link at a time."""

from collections import Counter
from dataclasses import dataclass


@dataclass
class Costs:
    idle: int
    active: int
    spike: int
    axon_out: int
    axon_in: int
    word: int
    event: int
    host: int
    flits: int
    barrier: int


def route(source: int, target: int, width: int) -> list[tuple[int, str]]:
    """Return the links of an XY route, as (tile that is left, direction)."""
    links, here = [], source
    while here % width != target % width:
        step = 1 if target % width > here % width else -1
        links.append((here, "+x" if step == 1 else "-x"))
        here += step
    while here != target:
        step = width if target > here else -width
        links.append((here, "+y" if step > 0 else "-y"))
        here += step
    return links


def step_cycles(
    neurons: dict[int, tuple[int, int, int]],
    packets: list[tuple[int, int, int, int, int]],
    cores_per_tile: int,
    width: int,
    costs: Costs,
) -> int:
    """Return the cycles of a step.

    Parameters
    ----------
    neurons : dict of core to (idle, active, spiking) compartments
    packets : list of (source core or -1, source tile, destination core, memory words, synaptic events)
    """
    servers = Counter()
    for core, (idle, active, spiking) in neurons.items():
        servers["neurons", core] += (
            idle * costs.idle + active * costs.active + spiking * costs.spike
        )
    for core_from, tile_from, core_to, words, events in packets:
        if core_from >= 0:
            servers["axon out", core_from] += costs.axon_out
        else:
            servers["host", tile_from] += costs.host
        servers["receive", core_to] += costs.axon_in + words * costs.word + events * costs.event
        tile_to = core_to // cores_per_tile
        servers["in", tile_from] += costs.flits
        servers["out", tile_to] += costs.flits
        for link in route(tile_from, tile_to, width):
            servers[link] += costs.flits
    return max(servers.values(), default=0) + costs.barrier
