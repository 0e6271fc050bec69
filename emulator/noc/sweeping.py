"""Latency over offered load, measured as BookSim2 measures it: warm up, measure, drain."""

from collections.abc import Callable, Sequence
from math import nan

import numpy as np
from numpy.typing import NDArray

from emulator.arguments import require_kind, shown
from emulator.chip import Chip
from emulator.errors import ChipError, RunError
from emulator.kernels.router import Replay
from emulator.noc.mesh import mesh_settings
from emulator.noc.points import SweepPoint
from emulator.noc.replaying import advance
from emulator.noc.trace import MAX_FLITS
from emulator.noc.traffic import TRAFFIC, packets

WARMUP_CYCLES = 3000  # of BookSim2: sample_period 1000, warm-up of three, measured until it has converged, in three
MEASURED_CYCLES = 3000
DRAIN_CYCLES = (
    1000,
    5000,
)  # traffic that goes on while measured packets drain; at first, and if that is too short
LATENCY_LIMIT_CYCLES = 500  # BookSim2: latency_thres
ACCEPTED_LIMIT = 0.97
MOST_CYCLES = 10_000_000
MOST_PACKETS = 50_000_000
DEFAULT_LOADS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
TO_TERMINAL = 3  # cycles from winning the last switch to the terminal


def sweep(
    chip: Chip,
    traffic: str,
    loads: Sequence[float] = DEFAULT_LOADS,
    size: int = 1,
    seed: int = 0,
    *,
    warmup_cycles: int = WARMUP_CYCLES,
    cycles: int = MEASURED_CYCLES,
    progress: Callable[[int], None] | None = None,
) -> list[SweepPoint]:
    """Measure latency and throughput of the mesh of a chip under synthetic traffic.

    Parameters
    ----------
    chip : Chip
        Whose mesh.
    traffic : str
        uniform, transpose, bit_complement, neighbour or hotspot.
    loads : sequence of float
        Offered flits for each tile and cycle, above 0 and at most 1.
    size : int
        Flits of each packet.
    seed : int
        Of all random numbers. A load's result does not depend on the other loads.
    warmup_cycles, cycles : int
        Cycles before measuring, and cycles in which packets that are made are measured. Traffic goes on
        until they have arrived, for 5,000 more cycles at most.
    progress : callable, optional
        Is called with the number of loads that are done.

    Returns
    -------
    list of SweepPoint
        One for each load.

    Raises
    ------
    RunError
        When an argument is not allowed, or the network is stuck.

    Examples
    --------
    >>> from emulator import load_chip
    >>> low, high = sweep(load_chip("noc_s"), "uniform", [0.02, 0.6])
    >>> round(low.latency_mean), low.saturated, high.saturated
    (21, False, True)
    """
    check(chip, traffic, loads, size, seed, warmup_cycles, cycles)
    points = []
    for load in loads:
        points.append(_measure_drained(chip, traffic, load, size, seed, (warmup_cycles, cycles)))
        if progress is not None:
            progress(len(points))
    return points


def check(
    chip: Chip,
    traffic: str,
    loads: Sequence[float],
    size: int,
    seed: int,
    warmup_cycles: int,
    cycles: int,
) -> None:
    """Raise a `RunError` with everything that a sweep cannot be made with."""
    require_kind("chip", chip, Chip, "as load_chip returns it", ChipError)
    mistakes = []
    if not isinstance(traffic, str) or traffic not in TRAFFIC:
        mistakes.append(f"traffic {shown(traffic)}: allowed: {', '.join(TRAFFIC)}")
    elif traffic == "transpose" and chip.mesh.width != chip.mesh.height:
        mistakes.append(
            f"traffic transpose: the mesh is {chip.mesh.width} x {chip.mesh.height}; allowed: square"
        )
    for name, value, low, high in (
        ("size", size, 1, MAX_FLITS),
        ("seed", seed, 0, 2**64 - 1),
        ("warmup_cycles", warmup_cycles, 0, MOST_CYCLES),
        ("cycles", cycles, 1, MOST_CYCLES),
    ):
        is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not (is_whole and low <= value <= high):
            mistakes.append(f"{name} {shown(value)}: allowed: {low} to {high}")
    bad = _wrong_loads(loads)
    if bad:
        mistakes.append(
            f"loads {bad}: allowed: one or more, above 0, at most 1 flit a tile and cycle"
        )
    elif not mistakes:
        n_tile_cycles = chip.mesh.n_tiles * (warmup_cycles + cycles + DRAIN_CYCLES[-1])
        expected = max(loads) / size * n_tile_cycles
        if expected > MOST_PACKETS:
            mistakes.append(
                f"cycles: about {expected:,.0f} packets at a load of {max(loads):g}; allowed: {MOST_PACKETS:,}"
            )
    if mistakes:
        raise RunError("\n".join(mistakes))


def _wrong_loads(loads: object) -> str:
    """Return what is wrong with loads, as a message names it; nothing where all is well."""
    if isinstance(loads, str) or not isinstance(loads, Sequence | np.ndarray):
        return shown(loads)
    wrong = [
        f"{load:g}" if isinstance(load, int | float | np.number) else shown(load)
        for load in loads
        if not isinstance(load, int | float | np.integer | np.floating) or not 0 < load <= 1
    ]
    return ", ".join(wrong) if len(loads) else "none"


def _measure_drained(
    chip: Chip, traffic: str, load: float, size: int, seed: int, phases: tuple[int, int]
) -> SweepPoint:
    for drain_cycles in DRAIN_CYCLES:
        point = _measure(chip, traffic, load, size, seed, (*phases, drain_cycles))
        if not point.undrained or point.latency_mean > LATENCY_LIMIT_CYCLES:
            break
    return point


def _measure(
    chip: Chip, traffic: str, load: float, size: int, seed: int, phases: tuple[int, int, int]
) -> SweepPoint:
    mesh = chip.mesh
    first, end, last = np.cumsum(phases).tolist()
    cycle, source, target = packets(traffic, mesh, load / size, last, seed)
    flits = np.full(len(cycle), size, np.int32)
    kernel = Replay(mesh_settings(chip), mesh.routes.packed, cycle, source, target, flits)
    arrived_flits = []
    for until in (first, end):
        for _ in advance(kernel, chip, max(0, until - TO_TERMINAL)):
            pass
        arrived_flits.append(int(kernel.link_flits[:, -1].sum()))
    window = slice(*np.searchsorted(cycle, (first, end)).tolist())
    for _ in advance(kernel, chip, last):
        if kernel.arrive[window].min(initial=0) >= 0:
            break
    arrive = kernel.arrive[window]
    return _point(
        load,
        made=cycle[window],
        inject=kernel.inject[window],
        arrive=np.where(arrive < 0, -1, arrive),
        now=kernel.now,
        flits=(size, arrived_flits[1] - arrived_flits[0]),
        tiles=(mesh.n_tiles, end - first),
    )


def _point(
    load: float,
    *,
    made: NDArray[np.int64],
    inject: NDArray[np.int64],
    arrive: NDArray[np.int64],
    now: int,
    flits: tuple[int, int],
    tiles: tuple[int, int],
) -> SweepPoint:
    arrived = arrive >= 0
    latency = np.where(arrived, arrive, now) - made
    (size, accepted), (n_tiles, n_cycles) = flits, tiles
    offered = len(made) * size
    mean = float(latency.mean()) if len(made) else nan
    short = accepted < ACCEPTED_LIMIT * offered and offered - accepted > 2 * size * n_tiles
    undrained = int(np.count_nonzero(~arrived))
    p50, p99, most = (
        (float(q) for q in np.percentile(latency, (50, 99, 100), method="inverted_cdf"))
        if len(made)
        else (nan, nan, nan)
    )
    return SweepPoint(
        load=load,
        offered=offered / (n_tiles * n_cycles),
        accepted=accepted / (n_tiles * n_cycles),
        packets=len(made),
        latency_mean=mean,
        latency_p50=p50,
        latency_p99=p99,
        latency_max=most,
        network_latency_mean=float((arrive - inject)[arrived].mean()) if arrived.any() else nan,
        undrained=undrained,
        saturated=bool(mean > LATENCY_LIMIT_CYCLES or undrained or short),
    )
