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


def check_joined(
    network: Network, segments: list[Segment], core_of: dict[str, NDArray[np.int32]]
) -> None:
    """Refuse joined compartments on different cores, or in the wrong order."""
    for join in network.joins:
        apart = np.flatnonzero(core_of[join.source] != core_of[join.target])
        if len(apart):
            neuron = int(apart[0])
            raise CapacityError(
                f"join '{join.source}' to '{join.target}': neuron {neuron} is on core "
                f"{int(core_of[join.source][neuron])} in one and {int(core_of[join.target][neuron])} in the other; "
                "joined compartments share a core: give both one neurons_per_core, small enough for their axons"
            )
        first = {
            end: next(k for k, s in enumerate(segments) if s[0] == end)
            for end in (join.source, join.target)
        }
        if first[join.source] > first[join.target]:
            raise CapacityError(
                f"join '{join.source}' to '{join.target}': on their core, '{join.source}' must stand first"
            )
