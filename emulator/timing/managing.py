"""Management cores in time: what they did in the phases of a step, on the cores and the mesh of a chip.

The cores of a phase work side by side, and the phases of a step one after another, before, after and between its
spikes and its learning. A core waits for each word that it reads: a packet there and one back. What it writes, and
messages, are packets that it does not wait for, but the phase ends when the last has arrived. `analytic` takes the
time that cores work and their ports carry flits; `cycle` adds the ways through the mesh, which is empty in these phases
but for the few packets of other management cores.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emulator.account import CALL, INSTRUCTIONS, READ, RECEIVE, SEND, SEND_WORDS, WRITE
from emulator.chip import Chip
from emulator.noc import replay
from emulator.timing.traffic import flits_per_packet

MANAGEMENT = "management"
"""The bottleneck of a step in which management cores take longer than all else."""
WORD_BITS = 32
HOST = -1
ALONE = 100_000
"""Cycles between two packets that do not meet."""


class ManagementTraffic:
    """The packets of management cores on a chip.

    Parameters
    ----------
    chip : Chip
        Its mesh, and where its management cores and host ports are.
    """

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self.n_cores = chip.management.cores
        tiles = np.resize(chip.management.tiles, max(1, self.n_cores))
        self._tile_of = np.append(tiles, chip.host.ports[0]).astype(
            np.int64
        )  # the last, -1, is the host
        self.flits = {
            READ: (flits_per_packet(chip, WORD_BITS), flits_per_packet(chip, WORD_BITS)),
            WRITE: (flits_per_packet(chip, 2 * WORD_BITS), 0),
            SEND_WORDS: (flits_per_packet(chip, WORD_BITS), 0),
        }
        """Flits of the packets of one word: of that which leaves a core, and of the answer."""

    def tiles(self, lines: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the tile of the management core and of the peer of each line."""
        peer, kind = lines[:, 4], lines[:, 3]
        own = self._tile_of[lines[:, 2]]
        to_neurons = (kind == READ) | (kind == WRITE)
        at = np.where(to_neurons, peer // self.chip.mesh.cores_per_tile, 0)
        others = ~to_neurons
        at[others] = self._tile_of[peer[others]]
        return own, at

    def distance(self, lines: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the hops along x and along y from the management core to the peer of each line."""
        own, at = self.tiles(lines)
        return self.chip.mesh.routes.hops(own, at)

    def cycles(self, lines: NDArray[np.int64], *, exact: bool) -> NDArray[np.int64]:
        """Return the cycles that each line keeps its core busy; `exact` adds the ways through the mesh."""
        cost = self.chip.service_cycles
        kind, peer, count = lines[:, 3], lines[:, 4], lines[:, 5]
        word, message, host = cost("management_word"), cost("message"), cost("host_message")
        each = np.zeros(len(lines), np.int64)
        each[kind == CALL] = cost("management_call")
        each[kind == INSTRUCTIONS] = cost("management_instruction")
        for one, (out, back) in self.flits.items():
            each[kind == one] = out + back + (word if one != SEND_WORDS else 0)
        told = (kind == SEND) | (kind == RECEIVE)
        each[told] = np.where(peer[told] == HOST, host, message)
        total = each * count
        if exact:
            there = np.flatnonzero(np.isin(kind, list(self.flits)))
            total[there] += self._ways(lines[there])
        return total

    def _ways(self, lines: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the cycles in the mesh beside the flits: for each word read, and for the last that leaves."""
        dx, dy = self.distance(lines)
        kind, count = lines[:, 3], lines[:, 5]
        way = self._latency[dx, dy]
        return np.where(kind == READ, 2 * way * count, way)

    @cached_property
    def _latency(self) -> NDArray[np.int64]:
        """Cycles of one flit that meets nobody, by hops along x and y, as the cycle model of the mesh has them."""
        mesh = self.chip.mesh
        dst = np.arange(mesh.n_tiles)
        alone = {"cycle": dst * ALONE, "src": 0 * dst, "dst": dst, "size": 0 * dst + 1}
        by_hops = np.zeros((mesh.width, mesh.height), np.int64)
        by_hops[mesh.routes.hops(0 * dst, dst)] = replay(alone, self.chip).latency
        return by_hops


def managed_cycles(
    lines: NDArray[np.int64], chip: Chip, n_steps: int, *, exact: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the cycles that management takes in each step, (n_steps,), and each core in each phase, (5, n_cores).

    Programs of the host take none: what its computer needs is not known.
    """
    traffic = ManagementTraffic(chip)
    per_step, per_core = np.zeros(n_steps, np.int64), np.zeros((5, traffic.n_cores), np.int64)
    lines = lines[lines[:, 2] != HOST]
    if not len(lines):
        return per_step, per_core
    keys, place = np.unique(lines[:, :3], axis=0, return_inverse=True)
    of_core = np.zeros(len(keys), np.int64)
    np.add.at(of_core, place.reshape(-1), traffic.cycles(lines, exact=exact))
    np.add.at(per_core, (keys[:, 1], keys[:, 2]), of_core)
    together, place = np.unique(keys[:, :2], axis=0, return_inverse=True)
    slowest = np.zeros(len(together), np.int64)
    np.maximum.at(slowest, place.reshape(-1), of_core)
    np.add.at(per_step, together[:, 0], slowest)
    return per_step, per_core


class ManagementTimer:
    """Adds the phases of management cores to steps that were timed without them.

    Parameters
    ----------
    chip : Chip
        The chip to time on.
    barrier_cycles : int
        Cycles of the barrier, which each step's cycles contain.
    exact : bool
        Whether the ways through the mesh count.
    """

    def __init__(self, chip: Chip, barrier_cycles: int, *, exact: bool) -> None:
        self.chip, self.barrier_cycles, self.exact = chip, barrier_cycles, exact
        self._parts: list[NDArray[np.int64]] = []
        self._n_steps = 0

    def submit(self, lines: NDArray[np.int64], n_steps: int) -> None:
        """Keep what was done in the steps that follow those before; steps count from the first of them."""
        if len(lines):
            self._parts.append(lines + np.array([self._n_steps, 0, 0, 0, 0, 0]))
        self._n_steps += n_steps

    def take(
        self, step_cycles: NDArray[np.int64], bottleneck: NDArray[np.uint8], number: int
    ) -> None:
        """Add it to the cycles of all steps since it was taken last; where it takes longest, it is the bottleneck."""
        if self._parts:
            lines = np.concatenate(self._parts)
            cycles, _ = managed_cycles(lines, self.chip, len(step_cycles), exact=self.exact)
            bottleneck[cycles > step_cycles - self.barrier_cycles] = number
            step_cycles += cycles
        self._parts.clear()
        self._n_steps = 0
