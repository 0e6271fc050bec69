"""Synthetic traffic as BookSim2 defines it: where packets of each tile go, and when they are made.

A tile makes a packet in each cycle with the same probability. Over all tiles and cycles that is one row
of independent coins, so what is drawn is the gaps between its heads, which are geometric.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.chip.schema import Mesh

GAPS, TARGETS = 0, 1  # streams of random numbers
DRAWN_AT_ONCE: Final = 65_536  # part of what a seed means
HOTSPOT_WEIGHT: Final = 6

Tiles = NDArray[np.int32]
Weights = NDArray[np.float64]


def _xy(mesh: Mesh) -> tuple[Tiles, Tiles]:
    tiles = np.arange(mesh.n_tiles, dtype=np.int32)
    return tiles % mesh.width, tiles // mesh.width


def transpose(mesh: Mesh) -> Tiles:
    """(x, y) sends to (y, x); the mesh must be square."""
    x, y = _xy(mesh)
    return y + mesh.width * x


def bit_complement(mesh: Mesh) -> Tiles:
    """Each tile sends to the one whose number has every bit turned; in any mesh, to the opposite one."""
    return mesh.n_tiles - 1 - np.arange(mesh.n_tiles, dtype=np.int32)


def neighbour(mesh: Mesh) -> Tiles:
    """Each tile sends one further along x and along y, around the edge."""
    x, y = _xy(mesh)
    return (x + 1) % mesh.width + mesh.width * ((y + 1) % mesh.height)


def uniform(mesh: Mesh) -> Weights:
    """Every tile is as likely a target as any other, the source itself included."""
    return np.ones(mesh.n_tiles)


def hotspot(mesh: Mesh) -> Weights:
    """Tiles at the centre, four where width and height are even, are 6 times as likely as others."""
    x, y = _xy(mesh)
    middle_x = (x == (mesh.width - 1) // 2) | (x == mesh.width // 2)
    middle_y = (y == (mesh.height - 1) // 2) | (y == mesh.height // 2)
    return np.where(middle_x & middle_y, float(HOTSPOT_WEIGHT), 1.0)


FIXED: dict[str, Callable[[Mesh], Tiles]] = {
    "transpose": transpose,
    "bit_complement": bit_complement,
    "neighbour": neighbour,
}
RANDOM: dict[str, Callable[[Mesh], Weights]] = {"uniform": uniform, "hotspot": hotspot}
TRAFFIC = ("uniform", "transpose", "bit_complement", "neighbour", "hotspot")
"""Names of the traffic patterns."""


def packets(
    traffic: str, mesh: Mesh, rate: float, n_cycles: int, seed: int
) -> tuple[NDArray[np.int64], Tiles, Tiles]:
    """Return cycle, source and target of the packets that are made in some cycles.

    More cycles add packets at the end and change none.

    Parameters
    ----------
    traffic : str
        One of TRAFFIC.
    mesh : Mesh
        Its tiles send and receive.
    rate : float
        Packets for each tile and cycle: above 0, at most 1.
    n_cycles : int
        How many cycles.
    seed : int
        Of all random numbers; 0 or more.
    """
    random = np.random.default_rng((seed, GAPS))
    n_coins = n_cycles * mesh.n_tiles
    heads, last = [], -1
    while last < n_coins:
        heads.append(last + np.cumsum(random.geometric(rate, DRAWN_AT_ONCE)))
        last = int(heads[-1][-1])
    coins = np.concatenate(heads or [np.empty(0, np.int64)])
    cycle, source = np.divmod(coins[coins < n_coins], mesh.n_tiles)
    source = source.astype(np.int32)
    if traffic in FIXED:
        return cycle, source, FIXED[traffic](mesh)[source]
    likely = np.cumsum(RANDOM[traffic](mesh))
    draw = np.random.default_rng((seed, TARGETS)).random(len(cycle))
    target = np.searchsorted(likely, draw * likely[-1], side="right")
    return cycle, source, target.astype(np.int32)
