"""What was learned as tables of a run folder, and back.

visits.parquet  step, block, projection, core, visits: synapses that a learning rule visited on a core
learned.parquet step, projection, pre, post, weight, delay, tag: the state after so many steps
traces.parquet  step, projection, trace, neuron, value: likewise
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulator.errors import RunError
from emulator.learning import PRE_TRACES, TRACE_MAX, TRACES
from emulator.observe.learned import SYNAPTIC, Learned, State, Synapses
from emulator.observe.parquet import Columns, Folder, Named, Stream, read_columns
from emulator.observe.records import Part
from emulator.program import Program

VISITS, LEARNED, TRACE_FILE = "visits.parquet", "learned.parquet", "traces.parquet"
WEIGHTS = {"mixed": (-256, 255), "exc": (0, 255), "inh": (-255, 0)}
"""What a synapse holds, whatever the chip's limits are."""
FILES = (VISITS, LEARNED, TRACE_FILE)
"""Files of a run of a program that learns."""


class LearnedTables:
    """The tables of what is learned, which grow with the run; none where nothing learns."""

    def __init__(self, folder: Path, parts: Path, program: Program, n_parts: int) -> None:
        self.program = program
        self._names = _names(program)
        self._synapses: dict[str, Synapses] = {}
        self.streams: dict[str, Stream] = {}
        if program.learns:
            empty = (_visits(program, 0, np.zeros((0, program.n_counts), np.uint32)),
                     self._synaptic(0, "", None), self._traces(0, []))  # fmt: skip
            self.streams = {
                name: Stream(folder / name, parts, columns, n_parts)
                for name, columns in zip(FILES, empty, strict=True)
            }

    def add(self, part: Part) -> None:
        """Write the visits of some steps, and the states kept in them."""
        if not self.streams:
            return
        self.streams[VISITS].write(_visits(self.program, part.first_step, part.active))
        for step, state in part.learned:
            for name, own in state.items():
                self.streams[LEARNED].write(self._synaptic(step, name, own))
                self.streams[TRACE_FILE].write(self._traces(step, [(name, own)]))

    def _synaptic(
        self, step: int, name: str, own: dict[str, NDArray[np.generic]] | None
    ) -> Columns:
        pre = post = np.empty(0, np.int32)
        values, code = dict.fromkeys(SYNAPTIC, pre), 0
        if own is not None:
            if name not in self._synapses:
                self._synapses[name] = Synapses(self.program, name)
            synapses = self._synapses[name]
            pre, post, code = synapses.pre, synapses.post, self._names.index(name)
            values = {what: synapses.values(own, what) for what in SYNAPTIC}
        n = len(pre)
        return {
            "step": np.full(n, step, np.uint32),
            "projection": Named(np.full(n, code, np.int32), self._names),
            "pre": pre.astype(np.uint32),
            "post": post.astype(np.uint32),
            "weight": values["weights"].astype(np.int16),
            "delay": values["delays"].astype(np.uint8),
            "tag": values["tags"].astype(np.int16),
        }

    def _traces(
        self, step: int, states: list[tuple[str, dict[str, NDArray[np.generic]]]]
    ) -> Columns:
        lines = [
            (self._names.index(name), k, own[trace])
            for name, own in states
            for k, trace in enumerate(TRACES)
            if trace in own
        ]
        sizes = [len(values) for *_, values in lines]
        neuron = [np.arange(n, dtype=np.uint32) for n in sizes]
        return {
            "step": np.full(sum(sizes), step, np.uint32),
            "projection": Named(
                np.repeat(np.array([p for p, *_ in lines], np.int32), sizes), self._names
            ),
            "trace": Named(np.repeat(np.array([k for _, k, _ in lines], np.int32), sizes), TRACES),
            "neuron": np.concatenate([np.empty(0, np.uint32), *neuron]),
            "value": np.concatenate([np.empty(0, np.uint8), *(v for *_, v in lines)]).astype(
                np.uint8
            ),
        }


def _names(program: Program) -> list[str]:
    return [p["name"] for p in program.manifest["projections"]]


def _visits(program: Program, first_step: int, counts: NDArray[np.uint32]) -> Columns:
    visits = counts[:, len(program.segments) :]
    step, block = np.nonzero(visits)
    core, projection = program.blocks[program.learning_blocks[block], :2].T
    return {
        "step": (step + first_step).astype(np.uint32),
        "block": block.astype(np.uint32),
        "projection": Named(np.ascontiguousarray(projection), _names(program)),
        "core": np.ascontiguousarray(core),
        "visits": visits[step, block],
    }


def read_visits(folder: Folder, program: Program, n_steps: int) -> NDArray[np.uint32]:
    """Return the synapses visited in each step by each learning block, (n_steps, n_blocks)."""
    blocks = program.learning_blocks
    visits = np.zeros((n_steps, len(blocks)), np.uint32)
    if not program.learns:
        return visits
    path = folder / VISITS
    table = read_columns(path, step="uint32", block="uint32", visits="uint32")
    sizes = np.bincount(program.rows["block"], program.rows["length"], len(program.blocks))[blocks]
    step, block = table["step"], table["block"]
    outside = (step >= n_steps).any() or (block >= len(blocks)).any()
    if outside or (table["visits"] > sizes[block]).any():
        raise RunError(
            f"{path}: it holds a line outside the run's {n_steps} steps and its synapses"
        )
    visits[step, block] = table["visits"]
    return visits


def read_learned(
    folder: Folder, program: Program, every: int | None, n_steps: int | None = None
) -> Learned:
    """Return what was learned; with the number of steps of the run, nothing that should be there may be missing."""
    if not program.learns:
        return Learned(program, [], every)
    states: dict[int, State] = {}
    for step, name, own in (*_read_synapses(folder, program), *_read_traces(folder, program)):
        states.setdefault(step, {}).setdefault(name, {}).update(own)
    empty = [k for k in program.rules if not program.manifest["projections"][k]["n_synapses"]]
    for state in states.values():
        for k in empty:
            own = state.setdefault(_names(program)[k], {})
            own["words"], own["tags"] = np.empty(0, np.uint32), np.empty(0, np.int16)
    if n_steps is not None and len(empty) < len(program.rules):
        _require_whole(folder, program, states, every, n_steps)
    return Learned(program, sorted(states.items()), every)


def _require_whole(
    folder: Folder, program: Program, states: dict[int, State], every: int | None, n_steps: int
) -> None:
    wanted = {n_steps} | set(range(every, n_steps + 1, every) if every else ())
    if set(states) != wanted:
        raise RunError(
            f"{folder / LEARNED}: it holds what was learned after {_steps(set(states))} steps; the run kept "
            f"{_steps(wanted)}"
        )
    names = _names(program)
    for step, state in states.items():
        for k, rule in program.rules.items():
            kept = {"words", "tags"} | {t for t in TRACES if getattr(rule, t) is not None}
            missing = sorted(kept - set(state.get(names[k], {})))
            if missing:
                raise RunError(
                    f"{folder}: of '{names[k]}' after {step} steps there is no {', '.join(missing)}"
                )


def _steps(steps: set[int]) -> str:
    listed = [str(step) for step in sorted(steps)]
    return ", ".join([*listed[:5], *(["and more"] if len(listed) > 5 else [])]) or "no"


def _read_synapses(
    folder: Folder, program: Program
) -> Iterator[tuple[int, str, dict[str, NDArray[np.generic]]]]:
    path, names = folder / LEARNED, _names(program)
    table = read_columns(
        path, step="uint32", projection=names, pre="uint32", post="uint32", weight="int16", delay="uint8",
        tag="int16",
    )  # fmt: skip
    for k, rule in program.rules.items():
        synapses = Synapses(program, names[k])
        mine = np.flatnonzero(table["projection"] == k)
        n = len(synapses.pre)
        if not n:
            continue
        if len(mine) % n:
            raise RunError(
                f"{path}: it has {len(mine)} lines of '{names[k]}', which has {n} synapses"
            )
        for first in range(0, len(mine), n):
            rows = mine[first : first + n]
            whole = (
                np.array_equal(table["pre"][rows], synapses.pre)
                and np.array_equal(table["post"][rows], synapses.post)
                and (table["step"][rows] == table["step"][rows[0]]).all()
            )
            if not whole:
                raise RunError(f"{path}: these are not the synapses of '{names[k]}' in their order")
            if not _fits(program, k, {c: table[c][rows] for c in ("weight", "delay")}):
                raise RunError(
                    f"{path}: a weight or a delay of '{names[k]}' is outside what its synapses hold"
                )
            words = synapses.words.copy()
            weight = table["weight"][rows].astype(np.int32).view(np.uint32) << np.uint32(23)
            late = table["delay"][rows].astype(np.uint32) << np.uint32(16)
            words[synapses.place] = weight | late | (words[synapses.place] & np.uint32(0xFFFF))
            own: dict[str, NDArray[np.generic]] = {"words": words}
            tags = np.zeros(n if rule.has_tag else 0, np.int16)
            if rule.has_tag:
                tags[synapses.place] = table["tag"][rows]
            yield int(table["step"][rows[0]]), names[k], own | {"tags": tags}


def _fits(program: Program, k: int, columns: dict[str, NDArray[np.generic]]) -> bool:
    """Return whether values are such as a run can leave in synapses."""
    low, high = WEIGHTS[program.manifest["projections"][k]["sign_mode"]]
    weight, delay = columns["weight"], columns["delay"]
    return bool(
        weight.min() >= low and weight.max() <= high and delay.max() <= program.max_delay_steps
    )


def _read_traces(
    folder: Folder, program: Program
) -> Iterator[tuple[int, str, dict[str, NDArray[np.generic]]]]:
    path, names = folder / TRACE_FILE, _names(program)
    table = read_columns(
        path, step="uint32", projection=names, trace=TRACES, neuron="uint32", value="uint8"
    )
    sizes = {p["name"]: p["size"] for p in program.manifest["populations"]}
    for k, rule in program.rules.items():
        projection = program.manifest["projections"][k]
        for number, trace in enumerate(TRACES):
            if getattr(rule, trace) is None:
                continue
            n = sizes[projection["source" if trace in PRE_TRACES else "target"]]
            mine = np.flatnonzero((table["projection"] == k) & (table["trace"] == number))
            if (table["value"][mine] > TRACE_MAX).any():
                raise RunError(f"{path}: {trace} of '{names[k]}' is above {TRACE_MAX}")
            if len(mine) % n:
                raise RunError(
                    f"{path}: it has {len(mine)} lines of {trace} of '{names[k]}'; {n} make one"
                )
            for first in range(0, len(mine), n):
                rows = mine[first : first + n]
                yield int(table["step"][rows[0]]), names[k], {trace: table["value"][rows]}
