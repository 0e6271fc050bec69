"""What a run's plastic synapses have learned: at its end, and every so many steps."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.arguments import frozen, is_one_of, is_whole, quoted, shown
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
        self.name = name
        pre, post, place, _ = program.synapse_places(name)
        self.first = int(place.min()) if len(place) else 0
        self.pre, self.post, self.place = frozen(pre), frozen(post), frozen(place - self.first)
        sizes = {p["name"]: p["size"] for p in program.manifest["populations"]}
        projection = next(p for p in program.manifest["projections"] if p["name"] == name)
        self.shape = sizes[projection["target"]], sizes[projection["source"]]
        self.words = program.synapses[self.first : self.first + len(place)]

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """The synapses by pre, then post; those of one pair in the order in which they were given."""
        order: NDArray[np.int64] = np.lexsort((self.post, self.pre))
        return order

    @cached_property
    def repeats(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of each synapse that is not the first of its pair of neurons: itself, and the first."""
        pre, post = self.pre[self.order], self.post[self.order]
        new = np.ones(len(pre), bool)
        new[1:] = (pre[1:] != pre[:-1]) | (post[1:] != post[:-1])
        first = np.maximum.accumulate(np.where(new, np.arange(len(new)), 0))
        again = np.flatnonzero(~new)
        return self.order[again], self.order[first[again]]

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

    def conflict(self, values: NDArray[np.int32], what: str) -> str:
        """Say why delays or tags are no matrix: a pair of neurons has several synapses that differ; or nothing."""
        if what == "weights":
            return ""
        again, first = self.repeats
        differ = np.flatnonzero(values[again] != values[first])
        if not len(differ):
            return ""
        k = int(again[differ[0]])
        return (
            f"'{self.name}': several synapses from neuron {self.pre[k]} to neuron {self.post[k]} have different "
            f"{what}, so these are no matrix (post, pre); run.synapses('{self.name}') has its synapses one by one"
        )

    def dense(self, values: NDArray[np.int32], what: str) -> NDArray[np.int32]:
        """Return values as a matrix (post, pre), 0 where there is no synapse; weights of one pair are added.

        Raises
        ------
        RunError
            When delays or tags of one pair are different.
        """
        conflict = self.conflict(values, what)
        if conflict:
            raise RunError(conflict)
        table = np.zeros(self.shape, np.int32)
        if what == "weights":
            np.add.at(table, (self.post, self.pre), values)
        else:
            table[self.post, self.pre] = values
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
        for _, state in states:
            for own in state.values():
                for array in own.values():
                    frozen(array)
        self._synapses: dict[str, Synapses] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy in another process needs: no management functions, nothing that follows from the rest."""
        return {"program": self.program.bare, "states": self.states, "every": self.every}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Learned.__init__(self, **state)

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
        return self._state(name, None)

    def _state(self, name: str, step: int | None) -> dict[str, NDArray[Any]]:
        """Return the state of a projection at the end, or after so many steps."""
        names = [p["name"] for p in self.program.manifest["projections"]]
        if not is_one_of(name, names):
            raise KeyError(f"no projection {quoted(name)}; there are: {', '.join(names)}")
        states = {k: state for k, state in self.states if step is None or k in self.steps}
        if step is not None and not (is_whole(step) and step in states):
            kept = ", ".join(map(str, self.steps)) or "none: weights_every was not given"
            raise RunError(f"step is {shown(step)}; synapses were kept after these: {kept}")
        found = states.get(step, {}) if step is not None else [{}, *states.values()][-1]
        return found.get(name, {"words": self.synapses_of(name).words})

    def matrix(self, name: str, what: str) -> NDArray[np.int32]:
        """Return weights, delays or tags of a projection at the end, (post, pre)."""
        own = self.final(name)
        synapses = self.synapses_of(name)
        self._require_room(synapses, 1)
        return synapses.dense(synapses.values(own, what), what)

    def table(self, name: str, step: int | None = None) -> dict[str, NDArray[np.int32]]:
        """Return pre, post, weight, delay and tag of each synapse of a projection; see `Run.synapses`."""
        own = self._state(name, step)
        synapses = self.synapses_of(name)
        values = {what[:-1]: synapses.values(own, what) for what in SYNAPTIC}
        columns = {"pre": synapses.pre, "post": synapses.post} | values
        return {column: array[synapses.order] for column, array in columns.items()}

    def recordings(self) -> dict[str, dict[str, NDArray[Any] | str]]:
        """Return what was kept every so many steps: (n, post, pre) by projection, and traces (n, neurons).

        Where something is no matrix, or too large a one, there is the reason.
        """
        kept = [state for step, state in self.states if step in set(self.steps)]
        found: dict[str, dict[str, NDArray[Any] | str]] = {}
        if not self.every:
            return found
        for k, rule in self.program.rules.items():
            name = self.program.manifest["projections"][k]["name"]
            synapses, own = self.synapses_of(name), found.setdefault(name, {})
            wanted = [w for w in SYNAPTIC if w != "tags" or rule.has_tag]
            own |= self._matrices(synapses, wanted, [state[name] for state in kept])
            for trace in TRACES:
                if getattr(rule, trace) is not None:
                    size = synapses.shape[1 if trace in PRE_TRACES else 0]
                    rows = np.array([s[name][trace] for s in kept], np.uint8)
                    own[trace] = frozen(rows.reshape(-1, size))
        return found

    def _matrices(
        self, synapses: Synapses, wanted: list[str], states: list[dict[str, NDArray[Any]]]
    ) -> dict[str, NDArray[Any] | str]:
        """Return matrices of a projection, one for each state."""
        too_large = self._too_large(synapses, len(states) * len(wanted))
        found: dict[str, NDArray[Any] | str] = {}
        for what in wanted:
            each = [synapses.values(state, what) for state in states]
            conflicts = filter(None, (synapses.conflict(values, what) for values in each))
            reason = too_large or next(conflicts, "")
            if reason:
                found[what] = reason
            else:
                table = np.array([synapses.dense(values, what) for values in each], np.int32)
                found[what] = frozen(table.reshape(-1, *synapses.shape))
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
        trained = Program(changed, tables | {"synapses": frozen(synapses)})
        trained.managed = self.program.managed
        return trained

    def _require_room(self, synapses: Synapses, n: int) -> None:
        reason = self._too_large(synapses, n)
        if reason:
            raise RunError(reason)

    @staticmethod
    def _too_large(synapses: Synapses, n: int) -> str:
        """Say why so many matrices cannot be had; nothing if they can."""
        n_bytes = 4 * n * synapses.shape[0] * synapses.shape[1]
        if n_bytes <= most_bytes(n_bytes):
            return ""
        return (
            f"'{synapses.name}': matrices (post, pre) of it take {n_bytes / 1e9:,.1f} GB; "
            f"run.synapses('{synapses.name}') has its synapses one by one"
        )
