"""Axons out: on how many cores each neuron has targets, which only a placement of all populations decides."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.kernels.sorting import stable_order
from emulator.network import Network


class Destinations:
    """Who reaches which place, sorted once, so that a placement is counted in one pass, and the next one again.

    Parameters
    ----------
    network : Network
    place : dict[str, (size,) ndarray]
        A number for each neuron with a compartment, from 0 without a gap, such that cores rise with it.
    """

    def __init__(self, network: Network, place: Mapping[str, NDArray[np.int32]]) -> None:
        self._n_places = sum(len(each) for each in place.values())
        going = [p for p in network.projections if p.source.name in place and len(p.pre)]
        source, target = (
            np.concatenate([np.empty(0, np.int32), *ends])
            for ends in (
                [place[p.source.name][p.pre] for p in going],
                [place[p.target.name][p.post] for p in going],
            )
        )
        _, order = stable_order(target, self._n_places)
        _, order = stable_order(source, self._n_places, order)
        self._source, self._target = source[order], target[order]
        self._first = np.ones(len(source), bool)  # of a source's synapses
        self._first[1:] = self._source[1:] != self._source[:-1]

    def count(self, core: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the number of destination cores of each neuron, by place.

        Parameters
        ----------
        core : (n_places,) int32
            The core of each place, rising.
        """
        at = core[self._target]
        new = self._first.copy()
        new[1:] |= at[1:] != at[:-1]
        return np.bincount(self._source[new], minlength=self._n_places)


def axons_out_message(name: str, need: int, chip: Chip) -> str:
    """Return how a population's core has too many axons out."""
    return (
        f"population '{name}': axons out: {need} needed, {chip.core.axons_out} on a core of chip '{chip.name}' "
        "(one for each neuron and destination core)"
    )
