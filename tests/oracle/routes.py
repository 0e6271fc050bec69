"""Routes over a mesh or torus of tiles, one link at a time: what emulator/chip/routes.py must say in tables.

A tile is x + width * y. A packet goes along one axis until it is done with it, then along the other; on a torus it
goes the shorter way round, upwards where both ways are equal.
"""

from dataclasses import dataclass

EAST, WEST, NORTH, SOUTH, LOCAL = range(5)  # +x, -x, +y, -y, arrived
NAMES = ["+x", "-x", "+y", "-y", "local"]


@dataclass(frozen=True)
class Way:
    """How packets travel."""

    width: int
    height: int
    torus: bool = False
    order: str = "xy"

    def steps(self, start: int, end: int, size: int) -> int:
        """Return +1, -1 or 0: which way a packet goes along an axis of `size` places."""
        if start == end:
            return 0
        up, down = (end - start) % size, (start - end) % size
        if not self.torus:
            return 1 if end > start else -1
        return 1 if up <= down else -1

    def port(self, here: int, target: int) -> int:
        """Return the port by which a packet leaves a tile."""
        x = self.steps(here % self.width, target % self.width, self.width)
        y = self.steps(here // self.width, target // self.width, self.height)
        along = {"x": {1: EAST, -1: WEST}.get(x), "y": {1: NORTH, -1: SOUTH}.get(y)}
        ports = [along[axis] for axis in self.order if along[axis] is not None]
        return ports[0] if ports else LOCAL

    def neighbour(self, tile: int, port: int) -> int:
        """Return the tile behind a port."""
        x, y = tile % self.width, tile // self.width
        x, y = x + (port == EAST) - (port == WEST), y + (port == NORTH) - (port == SOUTH)
        return x % self.width + self.width * (y % self.height)

    def links(self, source: int, target: int) -> list[tuple[int, int]]:
        """Return the links of a route, as (tile that is left, port)."""
        found, here = [], source
        while (port := self.port(here, target)) != LOCAL:
            found.append((here, port))
            here = self.neighbour(here, port)
        assert here == target
        return found

    def crosses_later(self, here: int, target: int) -> bool:
        """Return whether a packet goes over an edge of the torus before it turns or arrives, this link included."""
        port = first = self.port(here, target)
        while port == first != LOCAL:
            there = self.neighbour(here, port)
            if there != here + {EAST: 1, WEST: -1, NORTH: self.width, SOUTH: -self.width}[port]:
                return True
            here, port = there, self.port(there, target)
        return False


def ways(width: int, height: int) -> list[Way]:
    """Return every way there is over so many tiles."""
    return [Way(width, height, torus, order) for torus in (False, True) for order in ("xy", "yx")]
