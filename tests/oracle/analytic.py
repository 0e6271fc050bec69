"""The analytic time of one step, from packets that walk their routes one link at a time."""

from collections import Counter
from dataclasses import dataclass

from tests.oracle.routes import Way


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


def step_cycles(
    neurons: dict[int, tuple[int, int, int]],
    packets: list[tuple[int, int, int, int, int]],
    cores_per_tile: int,
    way: Way,
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
        for link in way.links(tile_from, tile_to):
            servers[link] += costs.flits
    return max(servers.values(), default=0) + costs.barrier
