"""A user's mapping, held to the network and to every capacity of the chip."""

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.compiler.axons import Destinations, axons_out_message
from emulator.compiler.capacity import Incoming, Limits, Load, Run, fit, source_offsets
from emulator.compiler.joined import check_joined
from emulator.errors import CapacityError, NetworkError
from emulator.mapping import Mapping, Segment
from emulator.network import Network


def check_mapping(network: Network, chip: Chip, mapping: Mapping) -> list[Segment]:
    """Return a user's segments by core, after holding them to the network and to every capacity.

    Raises
    ------
    NetworkError
        For neurons that are missing, placed twice, or on a core that does not exist.
    CapacityError
        For a core that is given more than it holds.
    """
    segments = sorted(_segments(network, chip, mapping), key=lambda segment: segment[3])
    check_joined(network, segments)
    _check_cores(network, chip, segments)
    _check_axons_out(network, chip, segments)
    return segments


def _segments(network: Network, chip: Chip, mapping: Mapping) -> list[Segment]:
    """Return the segments of a mapping; raise NetworkError unless each neuron is once on a core of the chip."""
    mistakes: list[str] = []
    segments: list[Segment] = []
    seen = {
        name: np.zeros(p.size, np.int64)
        for name, p in network.populations.items()
        if not p.is_input
    }
    doubtful = set[str]()  # populations of which more is said already
    for name, start, stop, core in mapping.segments:
        wrong = _wrong_segment(name, start, stop, core, seen, chip)
        if wrong:
            mistakes.append(f"mapping: {name}[{start}:{stop}] {core}: {wrong}")
            doubtful.add(name)
        else:
            seen[name][start:stop] += 1
            segments.append((name, start, stop, core))
    for name, times in seen.items():
        for what, places in (
            ("is on no core", times == 0),
            ("is placed more than once", times > 1),
        ):
            if np.any(places) and name not in doubtful:
                mistakes.append(
                    f"mapping: neuron {int(np.flatnonzero(places)[0])} of '{name}' {what}"
                )
    if mistakes:
        raise NetworkError("\n".join(mistakes))
    return segments


def _wrong_segment(
    name: str, start: int, stop: int, core: int, seen: dict[str, NDArray[np.int64]], chip: Chip
) -> str:
    """Say what is wrong with a segment; nothing if nothing is."""
    if name not in seen:
        there = ", ".join(seen) or "none"
        return f"there is no population '{name}' with compartments; there are: {there}"
    if not 0 <= start < stop <= len(seen[name]):
        return f"'{name}' has neurons 0 to {len(seen[name]) - 1}"
    if not 0 <= core < chip.mesh.n_cores:
        return f"chip '{chip.name}' has cores 0 to {chip.mesh.n_cores - 1}"
    return ""


def _check_cores(network: Network, chip: Chip, segments: list[Segment]) -> None:
    """Raise CapacityError for the first core that is given more than it holds."""
    # A projection's rows on a core span all runs of a population.
    runs: dict[tuple[int, str], list[Run]] = {}
    neurons: dict[int, int] = {}
    for name, start, stop, core in segments:
        runs.setdefault((core, name), []).append((start, stop, neurons.get(core, 0)))
        neurons[core] = neurons.get(core, 0) + stop - start
    number, limits = source_offsets(network), Limits.of(chip)
    incoming: dict[str, list[Incoming]] = {name: [] for _, name in runs}
    for p in network.projections:
        if len(p.pre):
            incoming[p.target.name].append(Incoming.of(p, number[p.source.name]))
    load, before = Load(), -1
    for (core, name), mine in runs.items():
        load = load if core == before else Load()
        before = core
        found, why = fit(chip, limits, incoming[name], load, mine)
        if found is None:
            where = ", ".join(f"{name}[{start}:{stop}]" for start, stop, _ in mine)
            raise CapacityError(f"core {core}: {where} does not fit: {why}")
        load = found


def _check_axons_out(network: Network, chip: Chip, segments: list[Segment]) -> None:
    """Raise CapacityError for the first core with too many axons out."""
    if chip.core.axons_out is None:
        return
    place = {
        name: np.empty(p.size, np.int32)
        for name, p in network.populations.items()
        if not p.is_input
    }
    core_at, first = [], 0
    for name, start, stop, core in segments:
        place[name][start:stop] = np.arange(first, first + stop - start)
        core_at.append(np.full(stop - start, core, np.int32))
        first += stop - start
    counts = Destinations(network, place).count(np.concatenate([np.empty(0, np.int32), *core_at]))
    total: dict[int, int] = {}
    for name, start, stop, core in segments:
        total[core] = total.get(core, 0) + int(counts[place[name][start:stop]].sum())
        if total[core] > chip.core.axons_out:
            raise CapacityError(axons_out_message(name, total[core], chip))
