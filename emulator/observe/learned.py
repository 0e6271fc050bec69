"""What a run's plastic synapses have learned: at its end, and every so many steps."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.chip import fingerprint_of
from emulator.errors import RunError
from emulator.learning import PRE_TRACES, TRACES
from emulator.memory import room
from emulator.program import Program

State = dict[str, dict[str, NDArray[Any]]]
"""By projection: `words` (synapses as a program stores them), `tags`, and traces by name."""
MOST_BYTES, SMALL = 4 << 30, 64_000_000
SYNAPTIC = ("weights", "delays", "tags")


def most_bytes(wanted: int) -> int:
    """Return how large matrices may be: no larger than what is free, at which one looks where much is wanted."""
    free = room() if wanted > SMALL else None
    return MOST_BYTES if free is None else min(MOST_BYTES, free)


class Synapses:
    """The synapses of a projection, in the order of its rows.

    Attributes
    ----------
    pre, post : (n,) int32
        Neurons at both ends.
    place : (n,) int64
        Where each stands among the projection's words.
    shape : tuple of int
        Neurons of the target, and of the source.
    """

    def __init__(self, program: Program, name: str) -> None:
        self.pre, self.post, place, _ = program.synapse_places(name)
        self.first = int(place.min()) if len(place) else 0
        self.place = place - self.first
        sizes = {p["name"]: p["size"] for p in program.manifest["populations"]}
        projection = next(p for p in program.manifest["projections"] if p["name"] == name)
        self.shape = sizes[projection["target"]], sizes[projection["source"]]
        self.words = program.synapses[self.first : self.first + len(place)]

    def values(self, own: dict[str, NDArray[Any]], what: str) -> NDArray[np.int32]:
        """Return weights (mantissas), delays or tags of each synapse."""
        if what == "tags":
            tags = own.get("tags", np.empty(0))
            return (
                tags[self.place].astype(np.int32)
                if len(tags)
                else np.zeros(len(self.place), np.int32)
            )
        words = own["words"][self.place]
        return (
            words.view(np.int32) >> 23 if what == "weights" else (words >> 16 & 63).astype(np.int32)
        )

    def dense(self, values: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return values as a matrix (post, pre), 0 where there is no synapse; those of one pair are added."""
        table = np.zeros(self.shape, np.int32)
        np.add.at(table, (self.post, self.pre), values)
        return table


class Learned:
    """What the plastic synapses of a run have learned.

    Parameters
    ----------
    program : Program
        What ran.
    states : list of (step, State)
        After so many steps, ascending; the last is the run's end.
    every : int, optional
        Steps from one state that was asked for to the next.
    """

    def __init__(
        self, program: Program, states: list[tuple[int, State]], every: int | None = None
    ) -> None:
        self.program, self.states, self.every = program, states, every
        self._synapses: dict[str, Synapses] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy in another process needs: no management functions, nothing that follows from the rest."""
        return {
            "program": self.program.bare, "states": self.states, "every": self.every, "_synapses": {},
        }  # fmt: skip

    def synapses_of(self, name: str) -> Synapses:
        """Return the synapses of a projection."""
        if name not in self._synapses:
            self._synapses[name] = Synapses(self.program, name)
        return self._synapses[name]

    @cached_property
    def steps(self) -> list[int]:
        """After how many steps the states were kept that were asked for."""
        return [step for step, _ in self.states if self.every and step % self.every == 0 and step]

    def final(self, name: str) -> dict[str, NDArray[Any]]:
        """Return the last state of a projection; of one that does not learn, what the program holds."""
        names = [p["name"] for p in self.program.manifest["projections"]]
        if name not in names:
            raise KeyError(f"no projection '{name}'; there are: {', '.join(names)}")
        if self.states and name in self.states[-1][1]:
            return self.states[-1][1][name]
        return {"words": self.synapses_of(name).words}

    def matrix(self, name: str, what: str) -> NDArray[np.int32]:
        """Return weights, delays or tags of a projection at the end, (post, pre)."""
        own = self.final(name)
        synapses = self.synapses_of(name)
        self._require_room(name, synapses, 1)
        return synapses.dense(synapses.values(own, what))

    def table(self, name: str) -> dict[str, NDArray[np.int32]]:
        """Return pre, post, weight, delay and tag of each synapse of a projection at the end."""
        own, synapses = self.final(name), self.synapses_of(name)
        values = {what[:-1]: synapses.values(own, what) for what in SYNAPTIC}
        return {"pre": synapses.pre, "post": synapses.post} | values

    def recordings(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return what was kept every so many steps: (n, post, pre) by projection, and traces (n, neurons)."""
        kept = [state for step, state in self.states if step in set(self.steps)]
        found: dict[str, dict[str, NDArray[Any]]] = {}
        if not self.every:
            return found
        for k, rule in self.program.rules.items():
            name = self.program.manifest["projections"][k]["name"]
            synapses, own = self.synapses_of(name), found.setdefault(name, {})
            wanted = [w for w in SYNAPTIC if w != "tags" or rule.has_tag]
            self._require_room(name, synapses, len(kept) * len(wanted))
            for what in wanted:
                each = [synapses.dense(synapses.values(state[name], what)) for state in kept]
                own[what] = np.array(each, np.int32).reshape(-1, *synapses.shape)
            for trace in TRACES:
                if getattr(rule, trace) is not None:
                    size = synapses.shape[1 if trace in PRE_TRACES else 0]
                    own[trace] = np.array([s[name][trace] for s in kept], np.uint8).reshape(
                        -1, size
                    )
        return found

    def trained(self) -> Program:
        """Return the program with the synapses as they are at the end; none of them learns any more."""
        tables = self.program.tensors()
        synapses = self.program.synapses.copy()
        manifest = self.program.manifest
        projections = []
        for projection in manifest["projections"]:
            if projection["learning"] is not None and self.states:
                own = self.synapses_of(projection["name"])
                words = self.final(projection["name"])["words"]
                synapses[own.first : own.first + len(words)] = words
            projections.append(projection | {"learning": None})
        function = dict(manifest["chip"]["function"])
        function.pop("learning", None)
        chip = manifest["chip"] | {"function": function, "fingerprint": fingerprint_of(function)}
        changed = manifest | {"projections": projections, "chip": chip}
        trained = Program(changed, tables | {"synapses": synapses})
        trained.managed = self.program.managed
        return trained

    def _require_room(self, name: str, synapses: Synapses, n: int) -> None:
        n_bytes = 4 * n * synapses.shape[0] * synapses.shape[1]
        if n_bytes > most_bytes(n_bytes):
            raise RunError(
                f"'{name}': matrices (post, pre) of it take {n_bytes / 1e9:,.1f} GB; "
                "run.learned.table(name) has its synapses one by one"
            )
