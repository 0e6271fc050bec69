"""Populations that are joined: neuron i of each is on one core, and what passes something stands first."""

import numpy as np
from numpy.typing import NDArray

from emulator.errors import CapacityError
from emulator.mapping import Segment
from emulator.network import Network


def joined_group(network: Network, name: str) -> list[str]:
    """Return the populations that share cores because of joins, those that pass something before those that take it."""
    group, found = {name}, [name]
    while found:
        here = found.pop()
        near = [j.target for j in network.joins if j.source == here]
        near += [j.source for j in network.joins if j.target == here]
        found += [other for other in near if other not in group]
        group |= set(near)
    ordered: list[str] = []
    while len(ordered) < len(group):
        waits = {j.target for j in network.joins if j.source in group.difference(ordered)}
        ordered += [
            p for p in network.populations if p in group and p not in ordered and p not in waits
        ]
    return ordered


def placed_core(network: Network, segments: list[Segment]) -> dict[str, NDArray[np.int32]]:
    """Return the core of each neuron, by population."""
    core_of = {
        name: np.empty(p.size, np.int32)
        for name, p in network.populations.items()
        if not p.is_input
    }
    for name, start, stop, core in segments:
        core_of[name][start:stop] = core
    return core_of


def check_joined(network: Network, segments: list[Segment]) -> None:
    """Refuse joined compartments on different cores, or in the wrong order."""
    if not network.joins:
        return
    core_of, slot_of = placed_core(network, segments), _placed_slot(network, segments)
    for join in network.joins:
        where = f"join '{join.source}' to '{join.target}'"
        apart = np.flatnonzero(core_of[join.source] != core_of[join.target])
        if len(apart):
            neuron = int(apart[0])
            raise CapacityError(
                f"{where}: neuron {neuron} is on core {int(core_of[join.source][neuron])} in one and "
                f"{int(core_of[join.target][neuron])} in the other; joined compartments share a core"
            )
        behind = np.flatnonzero(slot_of[join.source] > slot_of[join.target])
        if len(behind):
            core = int(core_of[join.source][behind[0]])
            raise CapacityError(f"{where}: on core {core}, '{join.source}' must stand first")


def _placed_slot(network: Network, segments: list[Segment]) -> dict[str, NDArray[np.int64]]:
    """Return how many neurons are placed before each, by population."""
    slot_of = {
        name: np.empty(p.size, np.int64)
        for name, p in network.populations.items()
        if not p.is_input
    }
    first = 0
    for name, start, stop, _ in segments:
        slot_of[name][start:stop] = np.arange(first, first + stop - start)
        first += stop - start
    return slot_of
