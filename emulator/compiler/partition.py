"""Pass 2: which neurons sit on which core, in order, within every capacity of the chip.

A core takes as many neurons of a population as fit; every population begins on a new core unless it is packed.
Neurons, accumulators, axons in and synapse memory depend on the neurons of the core alone; axons out depend on where
the targets went, so cores with too many are cut afterwards, until none has.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.compiler.joined import check_joined, joined_group
from emulator.compiler.storage import choose_format, delay_reach, row_words, rows_of, weight_bits
from emulator.errors import CapacityError, NetworkError
from emulator.kernels.sorting import stable_order
from emulator.mapping import Mapping, Segment
from emulator.network import Network, Population, Projection

Run = tuple[int, int, int]
"""Neurons of a population on a core: start, stop, and the slot of the first."""


@dataclass
class Incoming:
    """The synapses of one projection, ordered by target."""

    projection: Projection
    first: NDArray[np.int64]  # (size + 1,) where each target's synapses begin
    pre: NDArray[np.int32]
    post: NDArray[np.int32]
    delay: NDArray[np.uint8] | int

    def on_core(self, runs: list[Run]) -> tuple[NDArray[Any], NDArray[Any], int]:
        """Return sources, target slots and the largest delay of the synapses onto runs of neurons."""
        parts = [slice(self.first[start], self.first[stop]) for start, stop, _ in runs]
        pre = [self.pre[part] for part in parts]
        slot = [
            self.post[part] + (first - start)
            for part, (start, _, first) in zip(parts, runs, strict=True)
        ]
        late = (
            self.delay
            if isinstance(self.delay, int)
            else max(int(self.delay[part].max(initial=0)) for part in parts)
        )
        return np.concatenate(pre), np.concatenate(slot), late


@dataclass
class Load:
    """What a core holds so far."""

    neurons: int = 0
    max_delay_steps: int = 0
    memory_bits: int = 0
    sources: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))


def partition(network: Network, chip: Chip, neurons_per_core: int | None) -> list[Segment]:
    """Return segments (population, start, stop, core), by core.

    Parameters
    ----------
    neurons_per_core : int or None
        At most so many neurons of a population on a core, where the population does not say it itself.

    Raises
    ------
    CapacityError
        Naming the resource, the population, the need and the limit.
    """
    first_source = source_offsets(network)
    segments: list[Segment] = []
    core, load = -1, Load()
    reasons: dict[str, Counter[str]] = {}
    for name, population in network.populations.items():
        group = joined_group(network, name)
        if population.is_input or name != group[0]:
            continue
        if len(group) > 1:
            core = _place_together(
                network, chip, group, neurons_per_core, first_source, core, segments
            )
            load = Load()
            continue
        if core < 0 or not population.pack:
            core, load = core + 1, Load()
        at_most = population.neurons_per_core or neurons_per_core
        core, load = _place(
            network, chip, population, at_most, first_source, (core, load), segments, reasons
        )
    segments = _cut_axons_out(network, chip, segments)
    check_joined(network, segments, placed_core(network, segments))
    n_cores = 1 + max((s[3] for s in segments), default=-1)
    if n_cores > chip.mesh.n_cores:
        name = next(s[0] for s in segments if s[3] >= chip.mesh.n_cores)
        n_own = len({s[3] for s in segments if s[0] == name})
        full = reasons.get(name, Counter()).most_common(1)
        why = f", most of them full of {full[0][0]}" if full else ""
        raise CapacityError(
            f"cores: the network needs {n_cores}, chip '{chip.name}' has {chip.mesh.n_cores}; population '{name}', "
            f"which takes {n_own}{why}, does not fit any more"
        )
    return segments


def _incoming(network: Network, name: str) -> list[Incoming]:
    return [_by_target(p) for p in network.projections if p.target.name == name and len(p.pre)]


def _place_together(
    network: Network,
    chip: Chip,
    group: list[str],
    neurons_per_core: int | None,
    first_source: dict[str, int],
    core: int,
    segments: list[Segment],
) -> int:
    """Place joined populations, neuron i of each on one core, from core + 1 on; return the last core."""
    incoming = {name: _incoming(network, name) for name in group}
    populations = [network.populations[name] for name in group]
    wishes = [p.neurons_per_core or neurons_per_core for p in populations]
    size = populations[0].size
    most = min([n for n in wishes if n] + [size, chip.core.neurons // len(group)])
    start = 0
    while start < size:
        core += 1
        n = min(most, size - start)
        while True:
            load: Load | None = Load()
            why = ""
            for k, name in enumerate(group):
                if load is not None:
                    load, why = _fit(
                        chip, incoming[name], first_source, load, [(start, start + n, k * n)]
                    )
            if n and load is not None:
                break
            if n <= 1:
                raise CapacityError(
                    f"populations {', '.join(group)}: neuron {start} of each does not fit one core: "
                    f"{why or f'neurons: a core holds {chip.core.neurons}'}"
                )
            n = max(1, n - max(1, n // 8))
        segments += [(name, start, start + n, core) for name in group]
        start += n
    return core


def _place(
    network: Network,
    chip: Chip,
    population: Population,
    at_most: int | None,
    first_source: dict[str, int],
    begun: tuple[int, Load],
    segments: list[Segment],
    reasons: dict[str, Counter[str]],
) -> tuple[int, Load]:
    """Place a population from a core on that may hold something; return the last core and what it holds."""
    name, (core, load) = population.name, begun
    incoming = _incoming(network, name)
    start = length = 0
    while start < population.size:
        stop, after, why = _longest(
            chip, population.size, at_most, incoming, first_source, load, start, length
        )
        if stop == start:
            if load.neurons == 0:
                raise CapacityError(
                    f"population '{name}': neuron {start} does not fit an empty core: {why}"
                )
        else:
            segments.append((name, start, stop, core))
            start, length, load = stop, stop - start, after
        if start < population.size:
            core, load = core + 1, Load()
            if why:  # nothing is full where the user said how many neurons a core has
                reasons.setdefault(name, Counter())[why.partition(":")[0]] += 1
    return core, load


def check_mapping(network: Network, chip: Chip, mapping: Mapping) -> list[Segment]:
    """Return a user's segments by core, after holding them to the network and to every capacity.

    Raises
    ------
    NetworkError
        For neurons that are missing, placed twice, or on a core that does not exist.
    CapacityError
        For a core that is given more than it holds.
    """
    _check_segments(network, chip, mapping)
    segments = sorted(mapping.segments, key=lambda segment: segment[3])
    check_joined(network, segments, placed_core(network, segments))
    runs: dict[
        tuple[int, str], list[Run]
    ] = {}  # a projection's rows on a core span all runs of a population
    neurons: dict[int, int] = {}
    for name, start, stop, core in segments:
        runs.setdefault((core, name), []).append((start, stop, neurons.get(core, 0)))
        neurons[core] = neurons.get(core, 0) + stop - start
    incoming = {
        name: [_by_target(p) for p in network.projections if p.target.name == name and len(p.pre)]
        for name, population in network.populations.items()
        if not population.is_input
    }
    first_source, load, before = source_offsets(network), Load(), -1
    for (core, name), mine in runs.items():
        load = load if core == before else Load()
        before = core
        found, why = _fit(chip, incoming[name], first_source, load, mine)
        if found is None:
            where = ", ".join(f"{name}[{start}:{stop}]" for start, stop, _ in mine)
            raise CapacityError(f"core {core}: {where} does not fit: {why}")
        load = found
    over = _axons_out_over(network, chip, segments)
    if over is not None:
        _, name, need = over
        raise CapacityError(_axons_out_message(name, need, chip))
    return segments


def _check_segments(network: Network, chip: Chip, mapping: Mapping) -> None:
    """Raise NetworkError unless each neuron is placed exactly once, on a core of the chip."""
    mistakes = []
    seen = {
        name: np.zeros(p.size, np.int64)
        for name, p in network.populations.items()
        if not p.is_input
    }
    for name, start, stop, core in mapping.segments:
        where = f"mapping: {name}[{start}:{stop}] {core}"
        if name not in seen:
            mistakes.append(
                f"{where}: there is no population '{name}' with compartments; there are: {', '.join(seen)}"
            )
        elif not 0 <= start < stop <= len(seen[name]):
            mistakes.append(f"{where}: '{name}' has neurons 0 to {len(seen[name]) - 1}")
        elif not 0 <= core < chip.mesh.n_cores:
            mistakes.append(f"{where}: chip '{chip.name}' has cores 0 to {chip.mesh.n_cores - 1}")
        else:
            seen[name][start:stop] += 1
    for name, times in seen.items():
        for what, wrong in (("is on no core", times == 0), ("is placed more than once", times > 1)):
            if np.any(wrong) and not mistakes:
                mistakes.append(
                    f"mapping: neuron {int(np.flatnonzero(wrong)[0])} of '{name}' {what}"
                )
    if mistakes:
        raise NetworkError("\n".join(mistakes))


def source_offsets(network: Network) -> dict[str, int]:
    """Return the first logical source of each population: those with compartments first, then inputs."""
    ordered = sorted(network.populations.values(), key=lambda p: p.is_input)
    starts = np.cumsum([0, *(p.size for p in ordered)]).tolist()
    return {p.name: start for p, start in zip(ordered, starts, strict=False)}


def _by_target(projection: Projection) -> Incoming:
    first, order = stable_order(projection.post, projection.target.size)
    delay = projection.delays
    return Incoming(
        projection, first, projection.pre[order], projection.post[order],
        delay if isinstance(delay, int) else delay[order],
    )  # fmt: skip


def _longest(
    chip: Chip,
    size: int,
    at_most: int | None,
    incoming: list[Incoming],
    first_source: dict[str, int],
    load: Load,
    start: int,
    guess: int,
) -> tuple[int, Load, str]:
    """Return the end of the longest run of neurons that fits the core, the core's load with it, and what stopped it.

    A run that does not fit does not fit when it is longer, so the search begins at `guess` neurons (0 for all) and
    needs to look at few runs: as a rule the previous core's length and one neuron more.
    """
    most = min(size, start + chip.core.neurons - load.neurons, start + (at_most or size))
    if most <= start:
        return start, load, f"neurons: a core holds {chip.core.neurons}"
    good, best, bad = start, load, 1 + _most_by_memory(chip, incoming, load, start, most)
    probe, step, failed, why = start + guess if guess else bad - 1, 1, False, ""
    while bad - good > 1:
        probe = min(max(probe, good + 1), bad - 1)
        after, why = _fit(chip, incoming, first_source, load, [(start, probe, load.neurons)])
        if after is None:
            bad, failed = probe, True
        else:
            good, best = probe, after
        probe = (good + bad) // 2 if failed else good + step
        step *= 2
    if good == start:
        _, why = _fit(chip, incoming, first_source, load, [(start, start + 1, load.neurons)])
    return good, best, why


def _most_by_memory(chip: Chip, incoming: list[Incoming], load: Load, start: int, most: int) -> int:
    """Return an end that no run can exceed: weights without index, delay and header fill the memory."""
    if chip.core.synapse_memory_bits is None:
        return most
    bits = np.zeros(most - start, np.int64)
    for arriving in incoming:
        counts = arriving.first[start + 1 : most + 1] - arriving.first[start]
        bits += counts * arriving.projection.weight_bits
    free = chip.core.synapse_memory_bits - load.memory_bits
    return start + int(np.searchsorted(bits, free, side="right"))


def _fit(
    chip: Chip,
    incoming: list[Incoming],
    first_source: dict[str, int],
    load: Load,
    runs: list[Run],
) -> tuple[Load | None, str]:
    """Return the load of a core with runs of a population added, or None and the resource that does not suffice."""
    core = chip.core
    neurons = load.neurons + sum(stop - start for start, stop, _ in runs)
    if neurons > core.neurons:
        return None, f"neurons: {neurons} needed, {core.neurons} on a core"
    delay, bits, sources = load.max_delay_steps, load.memory_bits, load.sources
    for arriving in incoming:
        pre, slot, here = arriving.on_core(runs)
        if not len(pre):
            continue
        here = delay_reach(arriving.projection, chip, here)
        delay = max(delay, here)
        rows, lengths, consecutive = rows_of(pre, slot)
        top = int(slot.max())
        form = choose_format(
            chip, weight_bits(arriving.projection, chip), here, top, consecutive=consecutive
        )
        if form is None:  # an index reaches every neuron of a core, so it can only be the format
            return None, (
                "formats: targets that do not follow one another need 'sparse'; "
                f"chip '{chip.name}' has {', '.join(chip.synapses.formats)}"
            )
        bits += (
            int(row_words(lengths, form.bits_per_synapse, chip.synapses).sum())
            * chip.synapses.word_bits
        )
        if core.axons_in is not None:
            sources = np.union1d(sources, rows + first_source[arriving.projection.source.name])
    checks = (
        ("synapse memory", bits, core.synapse_memory_bits, " bits"),
        ("axons in", len(sources), core.axons_in, ""),
        (
            "accumulator entries",
            neurons * (delay + 2),
            core.accumulator_entries,
            f" ({delay + 2} slots of {neurons})",
        ),
    )
    for resource, need, limit, unit in checks:
        if limit is not None and need > limit:
            return None, f"{resource}: {need}{unit} needed, {limit} on a core of chip '{chip.name}'"
    return Load(neurons, delay, bits, sources), ""


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


def _axons_out(network: Network, segments: list[Segment]) -> dict[str, NDArray[np.int64]]:
    """Return the number of destination cores of each neuron, by population."""
    core_of = placed_core(network, segments)
    counts = {}
    n_cores = 1 + max((s[3] for s in segments), default=0)
    for name in core_of:
        going = [p for p in network.projections if p.source.name == name]
        pairs = [
            np.unique(p.pre.astype(np.int64) * n_cores + core_of[p.target.name][p.post])
            for p in going
        ]
        both = (
            np.unique(np.concatenate([np.empty(0, np.int64), *pairs]))
            if len(pairs) != 1
            else pairs[0]
        )
        counts[name] = np.bincount(both // n_cores, minlength=network.populations[name].size)
    return counts


def _axons_out_over(
    network: Network, chip: Chip, segments: list[Segment]
) -> tuple[int, str, int] | None:
    """Return (index of the segment, population, axons) of the first core with too many axons out."""
    if chip.core.axons_out is None:
        return None
    counts = _axons_out(network, segments)
    total: dict[int, int] = {}
    for index, (name, start, stop, core) in enumerate(segments):
        total[core] = total.get(core, 0) + int(counts[name][start:stop].sum())
        if total[core] > chip.core.axons_out:
            return index, name, total[core]
    return None


def _axons_out_message(name: str, need: int, chip: Chip) -> str:
    return (
        f"population '{name}': axons out: {need} needed, {chip.core.axons_out} on a core of chip '{chip.name}' "
        "(one for each neuron and destination core)"
    )


def _cut_axons_out(network: Network, chip: Chip, segments: list[Segment]) -> list[Segment]:
    """Cut cores with too many axons out, all at once; where that fails, one core after the other.

    A cut changes how many axons out the other cores need, so a round of many cuts may cut a core in vain.
    """
    limit = chip.core.axons_out
    if limit is None:
        return segments
    try:
        return _cut_in_rounds(network, chip, segments, limit, one_core=False)
    except CapacityError as error:
        if any((each > limit).any() for each in _axons_out(network, segments).values()):
            raise  # a neuron alone has too many, and cuts never lower it
        try:
            return _cut_in_rounds(network, chip, segments, limit, one_core=True)
        except CapacityError:
            raise error from None


def _cut_in_rounds(
    network: Network, chip: Chip, segments: list[Segment], limit: int, *, one_core: bool
) -> list[Segment]:
    """Move what is beyond the limit of a core to a new one, until no core has too many axons out."""
    while True:
        counts = _axons_out(network, segments)
        cut: list[Segment] = []
        used = added = 0
        victim = ""
        last = -1
        for name, begin, stop, core in segments:
            used, last, start = used if core == last else 0, core, begin
            while start < stop:
                if one_core and added:
                    cut.append((name, start, stop, core + added))
                    break
                total = np.cumsum(counts[name][start:stop])
                fits = int(np.searchsorted(total, limit - used, side="right"))
                if fits == 0 and used == 0:
                    raise CapacityError(_axons_out_message(name, int(total[0]), chip))
                if fits:
                    cut.append((name, start, start + fits, core + added))
                    used += int(total[fits - 1])
                start += fits
                if start < stop:
                    used, added, victim = 0, added + 1, name
        if not added:
            return segments
        segments = cut
        beyond_last = one_core and segments[-1][3] >= chip.mesh.n_cores
        if beyond_last or len(segments) > 4 * chip.mesh.n_cores + len(network.populations):
            raise CapacityError(
                f"cores: population '{victim}' was cut for axons out until the network needed "
                f"{segments[-1][3] + 1}; chip '{chip.name}' has {chip.mesh.n_cores}"
            )
