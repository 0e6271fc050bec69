"""Which way packets take over a mesh of tiles: the one owner of topologies and routing orders.

A route is decided tile by tile from the way that is left, a signed number of links along x and along y. A topology
says how long that way is and which tiles are neighbours; a routing order says which port goes first. Both become
tables (`Routes`) that the router kernel, the timing models and the counters read. To add a routing order, add its name
to `RoutingOrder` and its line to `PRIORITY`: every order of the four ports gives routes without detours, and an order
that never comes back to a port it has left cannot deadlock.

Oracle: tests/oracle/routes.py.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]

PORTS = ("+x", "-x", "+y", "-y", "local")
"""Ports of a router; the last leads to the cores of its tile."""
LOCAL = 4
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1))

Topology = Literal["mesh", "torus"]
RoutingOrder = Literal["xy", "yx"]

PRIORITY: dict[str, tuple[str, str, str, str]] = {
    "xy": ("+x", "-x", "+y", "-y"),
    "yx": ("+y", "-y", "+x", "-x"),
}
"""The order in which a packet takes the ports that bring it nearer to its destination."""


def _on_a_line(n: int) -> Ints:
    """Return the signed links from each of n places to each other, (n, n), without a link between the ends."""
    place = np.arange(n)
    return place[None, :] - place[:, None]


def _on_a_ring(n: int) -> Ints:
    """Return the same with a link between the ends: the shorter way round, upwards where both are equal."""
    most_down = (n - 1) // 2
    return (_on_a_line(n) + most_down) % n - most_down


OFFSETS = {"mesh": _on_a_line, "torus": _on_a_ring}


@dataclass(frozen=True, eq=False)
class Routes:
    """The routes of a mesh, as tables.

    Attributes
    ----------
    width, height : int
        Tiles along x and y; tile numbers are x + width * y.
    wraps : bool
        Whether the last tile of a row or column is a neighbour of the first. Such rings need two classes of virtual
        channels: a packet that has still to cross from one end to the other takes the lower half, others the upper.
    offset_x : (width, width) int64
        Signed links from a column to a column.
    offset_y : (height, height) int64
        Signed links from a row to a row.
    neighbour : (n_tiles, 4) int32
        The tile behind each port but the local one, or -1 where there is no link.
    first_port, last_port : (16,) uint8
        The port by which a packet leaves, and by which it will arrive, from the signs of the way left: bit 0 is set
        when it leads along +x, bit 1 along -x, bit 2 along +y, bit 3 along -y.
    """

    width: int
    height: int
    wraps: bool
    offset_x: Ints
    offset_y: Ints
    neighbour: NDArray[np.int32]
    first_port: NDArray[np.uint8]
    last_port: NDArray[np.uint8]

    @classmethod
    def of(cls, width: int, height: int, topology: str = "mesh", order: str = "xy") -> Self:
        """Return the routes of a topology and a routing order; the names are keys of OFFSETS and PRIORITY."""
        offsets, priority = OFFSETS[topology], PRIORITY[order]
        wraps = topology == "torus"
        return cls(
            width,
            height,
            wraps,
            offsets(width),
            offsets(height),
            _neighbours(width, height, wraps=wraps),
            _port_by_signs(priority),
            _port_by_signs(priority[::-1]),
        )

    @cached_property
    def packed(self) -> NDArray[np.int32]:
        """All of it in one row of numbers, as `emulator/kernels/routes.pxd` reads it."""
        corner = 0 if self.wraps or self._first_axis is None else 1 + self._first_axis
        size = (self.width, self.height, self.wraps, corner)
        tables = (
            self.first_port, self.last_port, self.offset_x, self.offset_y, self.neighbour,
            *self._places(np.arange(len(self.neighbour)))[::-1],
        )  # fmt: skip
        packed = np.concatenate([np.array(size), *(table.ravel() for table in tables)])
        return np.ascontiguousarray(packed, np.int32)

    @cached_property
    def _first_axis(self) -> int | None:
        """0 where packets go along x and then along y, 1 for the other way round, None for any other order."""
        for axis, name in enumerate(("xy", "yx")):
            if np.array_equal(self.first_port, _port_by_signs(PRIORITY[name])):
                return axis
        return None

    def offsets(self, source: ArrayLike, target: ArrayLike) -> tuple[Ints, Ints]:
        """Return the signed links along x and along y from tiles to tiles."""
        (from_y, from_x), (to_y, to_x) = self._places(source), self._places(target)
        return self.offset_x[from_x, to_x], self.offset_y[from_y, to_y]

    def hops(self, source: ArrayLike, target: ArrayLike) -> tuple[Ints, Ints]:
        """Return how many links along x and along y routes from tiles to tiles have."""
        x, y = self.offsets(source, target)
        return np.abs(x), np.abs(y)

    def next_port(self, here: ArrayLike, target: ArrayLike) -> NDArray[np.uint8]:
        """Return the port by which a packet leaves a tile on its way to another; LOCAL where it has arrived."""
        ports: NDArray[np.uint8] = self.first_port[self._signs(here, target)]
        return ports

    def tree_hops(self, tree: ArrayLike, source: ArrayLike, target: ArrayLike) -> tuple[Ints, Ints]:
        """Return how many links along x and along y trees have, each link that several routes share counted once.

        Parameters
        ----------
        tree : (n,) ints
            The number of the tree that each route belongs to, from 0.
        source, target : (n,) ints
            Tiles; all routes of a tree have one source.

        Returns
        -------
        hops_x, hops_y : (n_trees,) int64
        """
        tree = np.asarray(tree, np.int64)
        n_trees = int(tree.max(initial=-1)) + 1
        if self._first_axis is None:
            return self._walked_tree_hops(tree, n_trees, source, target)
        offsets, there = self.offsets(source, target), self._places(target)[::-1]
        first, second = self._first_axis, 1 - self._first_axis
        counts = np.zeros((2, n_trees), np.int64)
        # A trunk along one axis, and from it a branch along the other at each place that has destinations.
        kept, span = _spans(tree, offsets[first])
        counts[first, tree[kept]] = span
        place = tree * max(self.width, self.height) + there[first]
        kept, span = _spans(place, offsets[second])
        np.add.at(counts[second], tree[kept], span)
        return counts[0], counts[1]

    def _walked_tree_hops(
        self, tree: Ints, n_trees: int, source: ArrayLike, target: ArrayLike
    ) -> tuple[Ints, Ints]:
        """Return what `tree_hops` does, from all routes walked backwards at once."""
        source, here = np.asarray(source, np.int64), np.asarray(target, np.int64)
        counts = np.zeros((2, n_trees), np.int64)
        seen = np.empty(0, np.int64)
        while len(tree):
            key = tree * self.width * self.height + here
            _, first = np.unique(key, return_index=True)
            # The link to a tile was counted before exactly when the tile was met before.
            first = first[~np.isin(key[first], seen) & (here[first] != source[first])]
            seen = np.union1d(seen, key)
            tree, source, here = tree[first], source[first], here[first]
            port = self.last_port[self._signs(source, here)]
            np.add.at(counts, (port // 2, tree), 1)
            here = self.neighbour[here, port ^ 1].astype(np.int64)
        return counts[0], counts[1]

    def _places(self, tiles: ArrayLike) -> tuple[Ints, Ints]:
        """Return row and column of tiles."""
        row, column = np.divmod(np.asarray(tiles, np.int64), self.width)
        return row, column

    def _signs(self, here: ArrayLike, target: ArrayLike) -> Ints:
        x, y = self.offsets(here, target)
        return (x > 0) | (x < 0) << 1 | (y > 0) << 2 | (y < 0) << 3


def _spans(key: Ints, offset: Ints) -> tuple[Ints, Ints]:
    """Return an index of each key, and the links from 0 to the farthest offsets of that key on both sides."""
    order = np.argsort(key, kind="stable")
    begins = np.flatnonzero(np.diff(key[order], prepend=-1))
    if not len(begins):
        return begins, begins
    span = np.maximum.reduceat(np.maximum(offset[order], 0), begins)
    span += np.maximum.reduceat(np.maximum(-offset[order], 0), begins)
    return order[begins], span


@lru_cache(maxsize=64)
def routes_of(width: int, height: int, topology: str, order: str) -> Routes:
    """Return the routes of a mesh; made once."""
    return Routes.of(width, height, topology, order)


def _neighbours(width: int, height: int, *, wraps: bool) -> NDArray[np.int32]:
    y, x = np.divmod(np.arange(width * height), width)
    table = np.full((width * height, 4), -1, np.int32)
    for port, (right, up) in enumerate(DIRECTIONS):
        to_x, to_y = x + right, y + up
        if wraps and (width if right else height) > 1:
            to_x, to_y = to_x % width, to_y % height
        there = (to_x >= 0) & (to_x < width) & (to_y >= 0) & (to_y < height)
        table[there, port] = (to_x + width * to_y)[there]
    return table


def _port_by_signs(priority: tuple[str, ...]) -> NDArray[np.uint8]:
    """Return the first port of an order that is set in each combination of signs."""
    numbers = [PORTS.index(port) for port in priority]
    return np.array(
        [next((p for p in numbers if signs >> p & 1), LOCAL) for signs in range(16)], np.uint8
    )
