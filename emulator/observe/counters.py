"""Counters: how often each event happened, on which core, for which population."""

from collections.abc import Iterable, Iterator
from typing import Any, Literal, Self, overload

import numpy as np
from numpy.typing import NDArray

from emulator.chip import EVENTS

CHIP = -1
"""Core, or population, of an event that belongs to the chip as a whole."""

CODE = {event: code for code, event in enumerate(EVENTS)}


class Counters:
    """A table of exact counts: one line for each core, population and event that happened.

    Lines are unique, none is zero, and they are sorted by event (in the order of `EVENTS`), core
    and population, so that equal counts are equal tables. Counters can be added: over runs, steps.

    Parameters
    ----------
    core, population : array of int
        Where an event happened and for whom; `CHIP` (-1) stands for the chip as a whole.
    code : array of int
        Which event, as an index into `EVENTS`.
    count : array of int
        How often. Lines with equal keys are added.
    """

    def __init__(
        self,
        core: NDArray[np.integer],
        population: NDArray[np.integer],
        code: NDArray[np.integer],
        count: NDArray[np.integer],
    ) -> None:
        order = np.lexsort((population, core, code))
        keys = np.stack(
            [np.asarray(column, np.int64)[order] for column in (code, core, population)]
        )
        counts = np.asarray(count, np.int64)[order]
        if counts.size:
            is_first = np.ones(counts.size, bool)
            is_first[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
            counts = np.add.reduceat(counts, np.flatnonzero(is_first))
            keys = keys[:, is_first][:, counts != 0]
            counts = counts[counts != 0]
        self.code = keys[0].astype(np.uint8)
        self.core = keys[1].astype(np.int32)
        self.population = keys[2].astype(np.int32)
        self.count = counts
        self._freeze()

    def _freeze(self) -> None:
        for column in (self.code, self.core, self.population, self.count):
            column.flags.writeable = False

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._freeze()

    @classmethod
    def from_rows(cls, rows: Iterable[tuple[int, int, str, int]]) -> Self:
        """Make counters from (core, population, event, count) lines."""
        table = [(core, population, CODE[event], count) for core, population, event, count in rows]
        return cls(*np.array(table, np.int64).reshape(-1, 4).T)

    @property
    def event(self) -> NDArray[np.str_]:
        """Name of each line's event."""
        names: NDArray[np.str_] = np.array(EVENTS)[self.code]
        return names

    def rows(self) -> Iterator[tuple[int, int, str, int]]:
        """Yield (core, population, event, count) for each line."""
        columns = (
            self.core.tolist(),
            self.population.tolist(),
            self.event.tolist(),
            self.count.tolist(),
        )
        yield from zip(*columns, strict=True)

    def total(self, event: str) -> int:
        """Return how often an event happened on the whole chip."""
        if event not in CODE:
            raise KeyError(f"no event '{event}'; there are: {', '.join(EVENTS)}")
        return int(self.count[self.code == CODE[event]].sum())

    @overload
    def by(self, cut: Literal["event"]) -> dict[str, int]: ...

    @overload
    def by(self, cut: Literal["core", "population"]) -> dict[int, dict[str, int]]: ...

    def by(self, cut: str) -> dict[str, int] | dict[int, dict[str, int]]:
        """Return the counts cut by event, core or population; what did not happen is left out.

        Returns
        -------
        dict
            `by("event")["packet"]`; `by("core")[3]["packet"]`; `by("population")[0]["packet"]`.
        """
        if cut == "event":
            return {
                event: self.total(event) for event in EVENTS if (self.code == CODE[event]).any()
            }
        if cut not in ("core", "population"):
            raise KeyError(f"no cut by '{cut}'; there are: event, core, population")
        cuts: dict[int, dict[str, int]] = {}
        for core, population, event, count in self.rows():
            events = cuts.setdefault(core if cut == "core" else population, {})
            events[event] = events.get(event, 0) + count
        return dict(sorted(cuts.items()))

    def __add__(self, other: object) -> "Counters":
        if not isinstance(other, Counters):
            return NotImplemented
        return Counters(
            np.concatenate([self.core, other.core]),
            np.concatenate([self.population, other.population]),
            np.concatenate([self.code, other.code]),
            np.concatenate([self.count, other.count]),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Counters):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("core", "population", "code", "count")
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    def __len__(self) -> int:
        return len(self.count)

    def __repr__(self) -> str:
        totals = ", ".join(
            f"{event} {self.total(event):,}" for event in EVENTS if self.total(event)
        )
        return f"<Counters: {totals or 'nothing happened'}>"
