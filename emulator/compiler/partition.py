"""Pass 2: which neurons sit on which core, in order, within every capacity of the chip.

A core takes as many neurons of a population as fit. A population begins on a new core, but small ones share: up to 16
neurons together, so few that no step becomes long by it. Where a chip has too few cores for that, twice as many share,
and twice as many again, until it has; in the end each population begins where the one before it ended.

Neurons, accumulators, axons in and synapse memory depend on the neurons of the core alone. Axons out depend on where
all targets are: cores are filled again by the axons out that the placement before needed, until a placement holds.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from math import ceil, log2

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.compiler.axons import Destinations, axons_out_message
from emulator.compiler.capacity import Incoming, Limits, Load, fit, source_offsets
from emulator.compiler.joined import joined_group
from emulator.errors import CapacityError
from emulator.mapping import Segment
from emulator.network import Network, Projection

Run = tuple[int, int, int, int]
"""Rows of a unit on a core: unit, start, stop, core."""
SMALL = 16
"""Neurons of several populations on a core, unless a chip has too few cores."""
PART = 1 / 64
"""What they take of its other capacities."""
KEPT_SYNAPSES = 2**24
"""Of so many, the order by target is kept between two placements: 8 to 9 bytes each."""
COUNTED_SYNAPSES = 2**21
"""Up to so many, it is worked out how many cores a network takes that is too large for a chip."""
PATIENCE = 12
"""Placements that are tried for axons out before each is given less of them than the one before."""


@dataclass
class Unit:
    """Populations that are placed together: one, or several that are joined. A row is neuron i of each."""

    names: list[str]
    size: int
    at_most: int | None  # rows on a core
    pack: bool | None
    first: int  # place of its first neuron: a place is a neuron's number in the order of placing
    epochs: frozenset[int]  # of the rules by which synapses onto it learn; a core has one
    incoming: list[list[Incoming]] | None = None  # by population
    bits: NDArray[np.int64] | None = None  # (size + 1,) of the weights onto the rows before each

    @property
    def width(self) -> int:
        """Neurons of a row."""
        return len(self.names)

    @property
    def neurons_at_most(self) -> int | None:
        """Neurons that its user wants on a core."""
        return None if self.at_most is None else self.at_most * self.width

    def row_sums(self, by_place: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (size + 1,) running sums over its rows of a number for each place."""
        mine = by_place[self.first : self.first + self.size * self.width]
        return np.concatenate([[0], np.cumsum(mine.reshape(-1, self.width).sum(axis=1))])


@dataclass
class Core:
    """The core that is being filled."""

    number: int = -1
    load: Load = field(default_factory=Load)
    at_most: int | None = None  # neurons that a population on it wants
    epochs: frozenset[int] = frozenset()
    is_own: bool = True  # of a population that shares with none

    def takes(self, unit: Unit) -> bool:
        """Whether a unit of which nothing was said may share it."""
        return not self.is_own and self.load.neurons > 0 and len(self.epochs | unit.epochs) < 2

    def begin(self) -> None:
        """Go on to the next core."""
        self.number, self.load, self.at_most = self.number + 1, Load(), None
        self.epochs = frozenset()


@dataclass
class Filled:
    """Cores that were filled in order."""

    runs: list[Run] = field(default_factory=list)
    full: dict[int, Counter[str]] = field(default_factory=dict)  # by unit: of what its cores are
    need: str = "needs {}"  # cores, and how sure that is

    @property
    def n_cores(self) -> int:
        """Cores in use."""
        return self.runs[-1][3] + 1 if self.runs else 0


@dataclass
class Demand:
    """Axons out as a placement before needed them, and how many a core may have by that count."""

    by_place: NDArray[np.int64]
    allowed: int


def partition(network: Network, chip: Chip, neurons_per_core: int | None) -> list[Segment]:
    """Return segments (population, start, stop, core), by core.

    Parameters
    ----------
    neurons_per_core : int or None
        At most so many neurons of a population on a core; a population may ask for fewer.

    Raises
    ------
    CapacityError
        Naming the resource, the population, the need and the limit.
    """
    return _Partition(network, chip, neurons_per_core).segments()


class _Partition:
    """A network that is placed on a chip in order, more densely where it has to be."""

    def __init__(self, network: Network, chip: Chip, neurons_per_core: int | None) -> None:
        self._network, self._chip = network, chip
        self._limits = Limits.of(chip)
        self._units = _units(network, neurons_per_core)
        self._can_share = any(unit.pack is None for unit in self._units[1:])
        self._number = source_offsets(network)
        self._onto: dict[str, list[Projection]] = {name: [] for name in network.populations}
        for projection in network.projections:
            if len(projection.pre):
                self._onto[projection.target.name].append(projection)
        self._n_synapses = sum(len(p.pre) for p in network.projections)
        self._reach: Destinations | None = None
        self._problem: CapacityError | None = None  # of the last attempt
        self._failed: list[list[Run]] = []  # before a thought of axons out
        self._is_too_large = False  # its cores were not enough even without a thought of axons out

    def segments(self) -> list[Segment]:
        """Return what `partition` does."""
        filled = self._attempt(0)
        if filled is None and self._can_share:
            filled = self._no_denser_than_it_must_be()
        if filled is None:
            assert self._problem is not None
            raise self._problem
        return [
            (name, start, stop, core)
            for unit, start, stop, core in filled.runs
            for name in self._units[unit].names
        ]

    def _no_denser_than_it_must_be(self) -> Filled | None:
        """Return what fits of the levels above 0: the lowest, where each is tried that halves what is left."""
        low, high = 0, self._n_levels
        best, problem = self._attempt(high), self._problem
        while best is None and high > 1 and not self._is_too_large:  # axons out: more cores may do
            high -= 1
            best = self._attempt(high)
        self._problem = problem
        while best is not None and high - low > 1:
            level = (low + high) // 2
            filled = self._attempt(level)
            if filled is None:
                low = level
            else:
                high, best = level, filled
        return best

    @cached_property
    def _n_levels(self) -> int:
        """Levels at which units share cores; the one above is that they are cut to fill them."""
        return max(ceil(log2(max(self._limits.neurons / SMALL, 1))), ceil(-log2(PART))) + 1

    def _attempt(self, level: int) -> Filled | None:
        """Return cores that were filled at a level; None, and the problem, where they are not enough."""
        n_cores = self._chip.mesh.n_cores
        filled = self._fill(level)  # or a neuron fits no core, which no level mends
        self._is_too_large = filled.n_cores > n_cores
        if level < self._n_levels and filled.runs in self._failed:
            return None
        runs = filled.runs
        try:
            filled = self._within_axons_out(filled, level)
        except CapacityError as error:
            self._problem = error
        else:
            if filled.n_cores <= n_cores:
                return filled
            self._problem = self._too_many_cores(filled)
        self._failed.append(runs)
        return None

    # Filling

    def _fill(self, level: int, demand: Demand | None = None) -> Filled:
        """Place every unit; from level to level, twice as much may be on a core that units share."""
        filled, core = Filled(), Core()
        limits = self._limits
        if demand is not None:
            limits = replace(limits, axons_out=demand.allowed)
        for k, unit in enumerate(self._units):
            out = None if demand is None else unit.row_sums(demand.by_place)
            may_share = unit.pack is None and core.takes(unit)
            if may_share and level < self._n_levels:
                shared = limits.part(SMALL << level, min(1.0, PART * 2**level))
                after = self._whole(unit, core, shared, out)
                if after is not None:
                    filled.runs.append((k, 0, unit.size, core.number))
                    core.load = after
                    core.at_most = _least(core.at_most, unit.neurons_at_most)
                    core.epochs |= unit.epochs
                    continue
                may_share = False
            if core.number < 0 or not (unit.pack or may_share):
                core.begin()
            self._place(k, core, limits, out, filled)
            core.epochs |= unit.epochs
            core.is_own = unit.pack is False
            if self._n_synapses > KEPT_SYNAPSES:
                unit.incoming = None
        return filled

    def _whole(
        self, unit: Unit, core: Core, limits: Limits, out: NDArray[np.int64] | None
    ) -> Load | None:
        """Return the load of a core that is shared with a whole unit; None when it is not to be."""
        neurons = core.load.neurons + unit.size * unit.width
        at_most = _least(core.at_most, unit.neurons_at_most)
        if neurons > limits.neurons or (at_most is not None and neurons > at_most):
            return None
        if out is not None and core.load.axons_out + int(out[-1]) > limits.most_axons_out:
            return None
        return self._rows(unit, limits, core.load, out, 0, unit.size)[0]

    def _rows(
        self,
        unit: Unit,
        limits: Limits,
        load: Load,
        out: NDArray[np.int64] | None,
        start: int,
        stop: int,
    ) -> tuple[Load | None, str]:
        """Return the load with rows of a unit added, or None and the resource that does not suffice."""
        after: Load | None = load
        why = ""
        for incoming in self._incoming(unit):
            if after is not None:
                run = (start, stop, after.neurons)
                after, why = fit(self._chip, limits, incoming, after, [run])
        if after is not None and out is not None:
            after.axons_out += int(out[stop] - out[start])
        return after, why

    def _incoming(self, unit: Unit) -> list[list[Incoming]]:
        """Return the synapses onto each population of a unit, ordered by target once."""
        if unit.incoming is None:
            unit.incoming = [
                [Incoming.of(p, self._number[p.source.name]) for p in self._onto[name]]
                for name in unit.names
            ]
            unit.bits = np.zeros(unit.size + 1, np.int64)
            for arriving in (each for incoming in unit.incoming for each in incoming):
                unit.bits += arriving.first * arriving.projection.weight_bits
        return unit.incoming

    def _place(
        self, k: int, core: Core, limits: Limits, out: NDArray[np.int64] | None, filled: Filled
    ) -> None:
        """Place a unit from a core on that may hold something."""
        unit, start, length = self._units[k], 0, 0
        core.at_most = _least(core.at_most, unit.neurons_at_most)
        here = limits
        if unit.pack is None and core.load.neurons:  # who is made to share keeps to what was wanted
            here = limits.part(core.at_most or limits.neurons, 1.0)
        while start < unit.size:
            stop, after, why = self._longest(unit, here, core.load, out, start, length)
            if stop > start:
                filled.runs.append((k, start, stop, core.number))
                start, length, core.load = stop, stop - start, after
            elif core.load.neurons == 0:
                raise CapacityError(self._does_not_fit(unit, start, why))
            if start < unit.size:
                core.begin()
                core.at_most, here = unit.neurons_at_most, limits
                if why:  # nothing is full where the user said how many neurons a core has
                    filled.full.setdefault(k, Counter())[why.partition(":")[0]] += 1

    def _longest(
        self,
        unit: Unit,
        limits: Limits,
        load: Load,
        out: NDArray[np.int64] | None,
        start: int,
        guess: int,
    ) -> tuple[int, Load, str]:
        """Return the end of the longest run of rows that fits a core, the core's load with it, and what stopped it.

        A run that does not fit does not fit when it is longer, so the search begins at `guess` rows (0 for all) and
        needs to look at few runs: as a rule the previous core's length and one row more.
        """
        top, why = self._at_most(unit, limits, load, out, start)
        good, best, bad = start, load, top + 1
        probe, step, failed = start + guess, 1, False
        if not guess or top <= start + guess + guess // 4:
            probe = top
        while bad - good > 1:
            probe = min(max(probe, good + 1), bad - 1)
            after, lack = self._rows(unit, limits, load, out, start, probe)
            if after is None:
                bad, failed, why = probe, True, lack
            else:
                good, best = probe, after
            probe = (good + bad) // 2 if failed else good + step
            step *= 2
        return good, best, why

    def _at_most(
        self, unit: Unit, limits: Limits, load: Load, out: NDArray[np.int64] | None, start: int
    ) -> tuple[int, str]:
        """Return an end that no run of rows from `start` can exceed, and why."""
        bounds = [(unit.size, "")]
        if unit.at_most:
            bounds.append((start + unit.at_most, ""))
        room = max(limits.neurons - load.neurons, 0) // unit.width
        bounds.append((start + room, f"neurons: a core holds {limits.neurons}"))
        if limits.synapse_memory_bits is not None:
            # Weights without index, delay and header fill the memory. One row is tried all the same, to say why not.
            self._incoming(unit)
            bits = unit.bits
            assert bits is not None
            free = limits.synapse_memory_bits - load.memory_bits
            end = int(np.searchsorted(bits, bits[start] + free, side="right")) - 1
            bounds.append((max(end, start + 1), "synapse memory"))
        if out is not None:
            end = (
                int(
                    np.searchsorted(
                        out, out[start] + limits.most_axons_out - load.axons_out, side="right"
                    )
                )
                - 1
            )
            alone = int(out[start + 1] - out[start])
            if load.neurons == 0 and alone <= self._limits.most_axons_out:
                end = max(end, start + 1)
            bounds.append((end, f"axons out: {alone} needed"))
        return min(bounds, key=lambda bound: bound[0])

    def _does_not_fit(self, unit: Unit, start: int, why: str) -> str:
        """Return how a row of a unit does not fit an empty core."""
        resource, _, need = why.partition(": ")
        if resource == "axons out":
            return axons_out_message(", ".join(unit.names), int(need.split()[0]), self._chip)
        if unit.width > 1:
            return f"populations {', '.join(unit.names)}: neuron {start} of each does not fit one core: {why}"
        return f"population '{unit.names[0]}': neuron {start} does not fit an empty core: {why}"

    def _too_many_cores(self, filled: Filled) -> CapacityError:
        """Return that a network needs more cores than there are."""
        n_cores = self._chip.mesh.n_cores
        k = next(unit for unit, _, _, core in filled.runs if core >= n_cores)
        n_own = len({core for unit, _, _, core in filled.runs if unit == k})
        full = filled.full.get(k, Counter()).most_common(1)
        why = f", most of them full of {full[0][0]}" if full else ""
        return CapacityError(
            f"cores: placed in order, the network {filled.need.format(filled.n_cores)}, chip '{self._chip.name}' has "
            f"{n_cores}; population '{self._units[k].names[0]}', which takes {n_own}{why}, does not fit any more; "
            "a mapping of your own may do with fewer"
        )

    # Axons out

    def _within_axons_out(self, filled: Filled, level: int) -> Filled:
        """Fill cores again until none has too many axons out."""
        is_last = level == self._n_levels or not self._can_share
        limit, n_cores = self._limits.axons_out, self._chip.mesh.n_cores
        if limit is None:
            return filled
        if self._reach is None:
            self._reach = Destinations(self._network, self._places())
        allowed, step = limit, 1
        for tried in count():
            core = self._core_of_places(filled)
            by_place = self._reach.count(core)
            excess = int(np.bincount(core, by_place).max(initial=0)) - limit
            if excess <= 0:
                break
            if filled.n_cores > n_cores and not (is_last and self._n_synapses <= COUNTED_SYNAPSES):
                filled.need = filled.need.replace("{}", "at least {}")
                break
            before = filled
            filled = self._fill(level, Demand(by_place, allowed))
            filled.need = "takes {} for its axons out"
            if tried >= PATIENCE or filled.n_cores <= before.n_cores:
                allowed, step = allowed - max(excess, step), 2 * step
        return filled

    def _core_of_places(self, filled: Filled) -> NDArray[np.int32]:
        """Return the core of each place."""
        core = np.array([run[3] for run in filled.runs], np.int32)
        return np.repeat(
            core, [(stop - start) * self._units[k].width for k, start, stop, _ in filled.runs]
        )

    def _places(self) -> dict[str, NDArray[np.int32]]:
        """Return the place of each neuron, by population."""
        return {
            name: np.arange(unit.size, dtype=np.int32) * unit.width + (unit.first + k)
            for unit in self._units
            for k, name in enumerate(unit.names)
        }


def _units(network: Network, neurons_per_core: int | None) -> list[Unit]:
    """Return what is placed together, in the order of placing."""
    joined = {end for join in network.joins for end in (join.source, join.target)}
    epochs: dict[str, set[int]] = {name: set() for name in network.populations}
    for projection in network.projections:
        if projection.learning is not None:
            epochs[projection.target.name].add(projection.learning.epoch)
    units: list[Unit] = []
    first = 0
    for name, population in network.populations.items():
        if population.is_input:
            continue
        group = joined_group(network, name) if name in joined else [name]
        if name != group[0]:
            continue
        members = [network.populations[each] for each in group]
        packs = {p.pack for p in members}
        pack = None if packs == {None} else False not in packs
        at_most = _least(neurons_per_core, *(p.neurons_per_core for p in members))
        learns = frozenset().union(*(epochs[each] for each in group))
        units.append(Unit(group, population.size, at_most, pack, first, learns))
        first += population.size * len(group)
    return units


def _least(*numbers: int | None) -> int | None:
    return min((n for n in numbers if n is not None), default=None)
