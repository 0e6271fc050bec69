"""A trace crosses the mesh: when each packet enters and arrives, and what the links carried."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.arguments import require_kind
from emulator.atomic import atomic_file
from emulator.chip import Chip
from emulator.chip.routes import PORTS
from emulator.errors import ChipError, RunError, TraceError
from emulator.kernels.router import Replay
from emulator.noc.mesh import mesh_settings, stuck_message
from emulator.noc.trace import Trace, make_trace

TILE_CYCLES = 200_000  # between two looks at Ctrl-C: well below 0.1 s on a loaded mesh

Int64s = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Replayed:
    """What became of the packets of a trace.

    Attributes
    ----------
    trace : Trace
        The packets.
    inject_cycle, arrive_cycle : (n_packets,) int64
        When the head of each packet left its source, and when its tail was at its terminal.
    link_flits : (n_tiles, 5) int64
        Flits that left each router, by PORTS.
    flit_routers : int
        Routers that flits crossed: the work of the run.
    seconds : float
        What the run took.
    """

    trace: Trace
    inject_cycle: Int64s
    arrive_cycle: Int64s
    link_flits: Int64s
    flit_routers: int
    seconds: float

    @property
    def latency(self) -> Int64s:
        """Cycles from when each packet was due to its arrival."""
        return self.arrive_cycle - self.trace.cycle

    @property
    def network_latency(self) -> Int64s:
        """Cycles from when the head of each packet left its source to its arrival."""
        return self.arrive_cycle - self.inject_cycle

    @property
    def cycles(self) -> int:
        """Cycles from the first packet that is due to the last arrival, both included."""
        if not len(self.trace):
            return 0
        return int(self.arrive_cycle.max() - self.trace.cycle[0]) + 1

    @property
    def accepted(self) -> float:
        """Flits that arrived for each tile and cycle."""
        n_flits = int(self.trace.size.sum(dtype=np.int64))
        return n_flits / (self.cycles * len(self.link_flits)) if self.cycles else 0.0

    @property
    def utilisation(self) -> NDArray[np.float64]:
        """Part of the cycles in which each link carried a flit, as `link_flits` has them."""
        return self.link_flits / max(1, self.cycles)

    def save(self, path: str | Path) -> None:
        """Write `inject_cycle` and `arrive_cycle` to an .npz file, whole or not at all."""
        with atomic_file(path) as file:
            np.savez(file, inject_cycle=self.inject_cycle, arrive_cycle=self.arrive_cycle)


def replay(
    trace: Trace | Mapping[str, ArrayLike],
    chip: Chip,
    *,
    progress: Callable[[int], None] | None = None,
    blocked_tile: int = -1,
) -> Replayed:
    """Let the packets of a trace cross the mesh of a chip, cycle by cycle.

    Packets of a source leave in the order of the trace, one flit in a cycle. Terminals take a flit
    in each cycle. Every packet goes to one tile: `mesh.multicast` plays no part.

    Parameters
    ----------
    trace : Trace or mapping of str to array_like
        The packets: `load_trace(path)`, or columns cycle, src, dst and size.
    chip : Chip
        Whose mesh.
    progress : callable, optional
        Is called with the number of packets that arrived, several times a second.
    blocked_tile : int
        Fault injection: the terminal of this tile never says that it has room again; -1 for none.

    Returns
    -------
    Replayed
        The cycles of each packet and the load of each link.

    Raises
    ------
    TraceError
        When the trace is not valid, or leaves the mesh.
    RunError
        When the network is stuck: says what waits where, and for what.

    Examples
    --------
    >>> from emulator import load_chip
    >>> packets = {"cycle": [0, 0], "src": [0, 1], "dst": [63, 1], "size": [1, 1]}
    >>> replay(packets, load_chip("noc_s")).latency.tolist()
    [47, 5]
    """
    if not isinstance(trace, Trace):
        require_kind(
            "trace", trace, Mapping, "of columns, or a Trace as load_trace returns it", TraceError
        )
        trace = make_trace(trace)
    require_kind("chip", chip, Chip, "as load_chip returns it", ChipError)
    trace.check_tiles(chip.mesh)
    settings = mesh_settings(chip, blocked_tile)
    routes = chip.mesh.routes.packed
    kernel = Replay(settings, routes, trace.cycle, trace.src, trace.dst, trace.size)
    start = perf_counter()
    for _ in advance(kernel, chip):
        if progress is not None:
            progress(len(trace) - kernel.n_left)
    seconds = perf_counter() - start
    return Replayed(trace, kernel.inject, kernel.arrive, kernel.link_flits, kernel.n_moves, seconds)


def advance(kernel: Replay, chip: Chip, until: int | None = None) -> Iterator[None]:
    """Advance to a cycle, or until all packets arrived, in slices between which Ctrl-C is heard.

    Raises
    ------
    RunError
        When the network is stuck.
    """
    longest = max(1, TILE_CYCLES // chip.mesh.n_tiles)
    while kernel.n_left and (until is None or kernel.now < until):
        n_cycles = longest if until is None else min(longest, until - kernel.now)
        if not kernel.advance(n_cycles):
            raise _stuck(kernel, chip)
        yield


def _stuck(kernel: Replay, chip: Chip) -> RunError:
    """Say what waits where, those first that wait for their own terminal: they hold up the rest."""
    local = PORTS.index("local")
    occupied = sorted(kernel.occupied(), key=lambda entry: (entry[4] != local, *entry[:3]))
    left = f"cycle {kernel.now:,}, {kernel.n_left:,} packets have not arrived"
    return RunError(f"{left}: {stuck_message(chip, occupied)}")
