"""Energy: counts times costs, exactly, plus static power times duration. A pure function.

Costs are read as the decimal numbers they were written as, and sums are fractions, so that every
cut of the ledger adds up to the total to the last digit.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Literal, overload

from emulator.chip import EVENTS, Chip
from emulator.chip.schema import EventCost
from emulator.observe.counters import CHIP, Counters
from emulator.units import exact

STATIC = "static"
"""Name of the static part in a cut by event."""
WHOLE_CHIP = "(chip)"
"""Name of what belongs to no population in a cut by name; no population can be called so."""
PJ_PER_MILLIJOULE = 10**9  # static power in mW times seconds is mJ


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One line of the ledger."""

    core: int
    population: int
    event: str
    count: int
    energy_pj: Fraction


@dataclass(frozen=True)
class Energy:
    """The energy of some counted events, and of the time they took.

    Attributes
    ----------
    counters : Counters
        What happened.
    cost_pj : dict of str to Fraction
        Energy of one event, for every event.
    static_pj : Fraction or None
        Static power times duration; None when the run was not timed and so has no duration.
    names : tuple of str
        Names of the populations, by index; empty when not known.
    """

    counters: Counters
    cost_pj: dict[str, Fraction]
    static_pj: Fraction | None
    names: tuple[str, ...] = field(default=(), compare=False)

    def ledger(self) -> Iterator[LedgerRow]:
        """Yield a line for each core, population and event that happened; none is static."""
        for core, population, event, count in self.counters.rows():
            yield LedgerRow(core, population, event, count, count * self.cost_pj[event])

    @cached_property
    def dynamic_pj(self) -> Fraction:
        """Energy of all events."""
        counts = self.counters.by("event")
        return sum((count * self.cost_pj[event] for event, count in counts.items()), Fraction())

    @property
    def total_pj(self) -> Fraction:
        """Energy of all events and the static part, where there is one."""
        return self.dynamic_pj + (self.static_pj or 0)

    @overload
    def by(self, cut: Literal["event", "name"]) -> dict[str, Fraction]: ...

    @overload
    def by(self, cut: Literal["core", "population"]) -> dict[int, Fraction]: ...

    def by(self, cut: str) -> dict[str, Fraction] | dict[int, Fraction]:
        """Return the energy in pJ by event, core, population or name; the values add up to `total_pj`.

        By core and by population the keys are indices, and -1 is the chip as a whole: its barriers, host packets (by
        core) and the static part. By name, populations have their names and the chip is `"(chip)"`. By event, the
        static part is `"static"`.
        """
        if cut == "event":
            counts = self.counters.by("event")
            events = {event: count * self.cost_pj[event] for event, count in counts.items()}
            return events if self.static_pj is None else events | {STATIC: self.static_pj}
        if cut == "name" and self.names:
            shares = self.by("population").items()
            return {WHOLE_CHIP if k == CHIP else self.names[k]: pj for k, pj in shares}
        if cut not in ("core", "population"):
            known = "event, core, population" + (", name" if self.names else "")
            raise KeyError(f"no cut by '{cut}'; there are: {known}")
        sums: defaultdict[int, Fraction] = defaultdict(Fraction)
        for row in self.ledger():
            sums[row.core if cut == "core" else row.population] += row.energy_pj
        if self.static_pj is not None:
            sums[CHIP] += self.static_pj
        return dict(sorted(sums.items()))

    def __repr__(self) -> str:
        static = "no static part: not timed" if self.static_pj is None else "static part included"
        return f"<Energy: {float(self.total_pj):,.6g} pJ, {static}>"


def energy(
    counters: Counters, chip: Chip, duration: Fraction | None, names: tuple[str, ...] = ()
) -> Energy:
    """Price counted events with a chip's costs.

    Parameters
    ----------
    counters : Counters
        What happened, on any chip.
    chip : Chip
        Whose costs and static power to use.
    duration : Fraction or None
        Seconds for which static power was drawn; None when not known: then no static part.
    names : tuple of str
        Names of the populations, for a cut by name.

    Returns
    -------
    Energy
        Exact, in pJ; with another chip's costs the same counters are re-priced.
    """
    costs: dict[str, EventCost] = {event: getattr(chip.costs, event) for event in EVENTS}
    cost_pj = {event: exact(cost.energy_pj) for event, cost in costs.items()}
    if duration is None:
        return Energy(counters, cost_pj, None, names)
    static_pj = exact(chip.static_power.mw) * duration * PJ_PER_MILLIJOULE
    return Energy(counters, cost_pj, static_pj, names)
