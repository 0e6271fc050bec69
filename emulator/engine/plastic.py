"""The plastic synapses of a program as the run loop takes them, and the state that learning changes."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.engine.layout import large_pages
from emulator.kernels.devices import Devices
from emulator.kernels.learning import MARK, OPERAND, PLASTIC_ROW, SUPPLY, TERM, TRACE_KIND, Learning
from emulator.learning import (
    POST_TRACES,
    PRE_TRACES,
    TRACES,
    Rule,
    Steps,
    Trace,
    compiled,
)
from emulator.program import Program

Array = NDArray[Any]
PAD = 64  # bytes behind planes, and words behind synapses: loops end at whole vectors
ROUNDING = {"down": 0, "nearest": 1, "stochastic": 2}
TARGET_NUMBER = {"w": 0, "d": 1, "t": 2}
GATE_NUMBER = {"x0": 0, "y0": 1}
CHANCES = 1 << 16
CONSECUTIVE, REPEATED = 1, 2
MOST_REWARD = 1 << 24
"""Where the sum of an epoch's rewards stops, as in ext/traces.pyx."""
FLAGGED = 1 << 20  # synapses looked at together
STATE = {"traces": np.uint8, "tags": np.int16, "rewards": np.int32}


class Plastic:
    """What learning changes, and the kernel that does it.

    Parameters
    ----------
    program : Program
        With at least one rule.
    chip : Chip
        Whose learning engine to use.
    words : ndarray
        Words of neuron programs, some of which may stand for traces.

    Attributes
    ----------
    synapses : (n_synapses + padding,) uint32
        All synapses of the program, of which those that learn are changed in place.
    places : dict of int to dict of str to slice
        By projection index, where its traces and tags stand in `state`.
    state : dict of str to ndarray
        `traces` uint8, `tags` int16, `rewards` int32: everything else that changes, flat.
    rules : list of dict of str to object, tables : dict of str to ndarray
        What the kernel works on, by the names of its fields: see `emulator/kernels/plasticity.pxd`.
    learning : Learning
        The kernel.
    """

    def __init__(self, program: Program, chip: Chip, words: NDArray[np.int32]) -> None:
        self.chip = chip
        self.steps = {k: compiled(rule, chip.learning) for k, rule in program.rules.items()}
        self.lay_out(program)
        self.rules = [self._fields(k) for k in program.rules]
        self.tables = self._tables(words)
        self.learning = Learning(self.rules, self.tables)
        self.reset()

    def lay_out(self, program: Program) -> None:
        """Make the arrays that a run changes."""
        self.program = program
        self.synapses = large_pages((len(program.synapses) + PAD,), np.uint32)
        self._ends = {k: self._sizes(k) for k in program.rules}
        self._rows = {k: self._rows_of(k) for k in program.rules}
        self._spans = {k: _span(rows) for k, (_, rows) in self._rows.items()}
        self.places: dict[int, dict[str, slice]] = {}
        self.state = self._make_state()

    def reset(self) -> None:
        """Restore what the program was loaded with."""
        self.synapses[: len(self.program.synapses)] = self.program.synapses
        for array in self.state.values():
            array.fill(0)

    def reward(self, r0: int, r1: int) -> None:
        """Add to the rewards of the epoch."""
        rewards = self.state["rewards"].reshape(-1, 2)
        rewards += np.array([r0, r1], np.int32)
        np.clip(rewards, -MOST_REWARD, MOST_REWARD, out=rewards)

    def rest(self) -> None:
        """Forget spikes and rewards; what was learned stays."""
        self.state["traces"].fill(0)
        self.state["rewards"].fill(0)

    @property
    def words(self) -> NDArray[np.uint32]:
        """A copy of the synapses that learn, one projection after the other."""
        parts = [self.synapses[first:stop] for first, stop in self._spans.values()]
        return np.concatenate([np.empty(0, np.uint32), *parts])

    def set_words(self, words: NDArray[np.uint32]) -> None:
        """Set the synapses that learn, as `words` returns them."""
        done = 0
        for first, stop in self._spans.values():
            self.synapses[first:stop] = words[done : done + stop - first]
            done += stop - first

    def learned(self) -> dict[str, dict[str, Array]]:
        """Return a copy of what each projection has learned, by name: see `observe.learned`."""
        found = {}
        for k, rule in self.program.rules.items():
            first, stop = self._spans[k]
            name = self.program.manifest["projections"][k]["name"]
            own: dict[str, Array] = {"words": self.synapses[first:stop].copy()}
            own["tags"] = self.state["tags"][self.places[k]["tags"]].copy()
            for trace in TRACES:
                if getattr(rule, trace) is not None:
                    own[trace] = self.state["traces"][self.places[k][trace]].copy()
            found[name] = own
        return found

    def _sizes(self, k: int) -> tuple[int, int]:
        projection = self.program.manifest["projections"][k]
        sizes = {p["name"]: p["size"] for p in self.program.manifest["populations"]}
        return sizes[projection["source"]], sizes[projection["target"]]

    def _make_state(self) -> dict[str, Array]:
        """Return the arrays that a run changes, with the place of each rule's part."""
        sizes = dict.fromkeys(STATE, 0)
        for k, rule in self.program.rules.items():
            n_pre, n_post = self._ends[k]
            first, stop = self._spans[k]
            planes = 3 * (rule.epoch + 1) * _stride(n_post)
            places = self.places[k] = {}
            for kind, name, size in (
                *(("traces", name, n_pre) for name in (*PRE_TRACES, "pre_when")),
                *(("traces", name, n_post) for name in (*POST_TRACES, "post_when")),
                ("traces", "planes", planes),
                ("tags", "tags", rule.has_tag * (stop - first)),
                ("rewards", "rewards", 2),
            ):
                places[name] = slice(sizes[kind], sizes[kind] + size)
                sizes[kind] += size
        return {name: np.zeros(sizes[name], dtype) for name, dtype in STATE.items()}

    def _fields(self, k: int) -> dict[str, Any]:
        """Return the fields of a `PlasticRule`."""
        rule, engine, places = self.program.rules[k], self.chip.learning, self.places[k]
        n_pre, n_post = self._ends[k]
        first_row, rows = self._rows[k]
        traces = self.state["traces"]
        tags = engine.tag_limits
        mode = self.program.manifest["projections"][k]["sign_mode"]
        weights = engine.weight_limits(mode)
        accumulator = (engine.accumulator_limits.minimum, engine.accumulator_limits.maximum)
        limits = [weights, (0, self.program.max_delay_steps), (tags.minimum, tags.maximum)]
        stride = _stride(n_post)
        return {
            "number": k,
            "epoch": rule.epoch,
            "rounding": ROUNDING[engine.rounding],
            "rounds_up": engine.second_impulse == "up",
            "counts_steps": engine.uk_counts == "steps",
            "targets": sum(1 << TARGET_NUMBER[t] for t in self.steps[k].targets),
            "limits": limits,
            "accumulator": accumulator,
            "loose": self._loose(k, limits, accumulator),
            "devices": None if rule.device is None else Devices(rule.device.registers(k, weights)),
            "n_pre": n_pre,
            "n_post": n_post,
            "stride": stride,
            "terms": _terms(self.steps[k]),
            "operands": _operands(self.steps[k]),
            "kinds": _kinds(rule, self.chip),
            "pre": traces[places["x1"].start : places["pre_when"].stop],
            "post": traces[places["y1"].start : places["post_when"].stop],
            "planes": traces[places["planes"]],
            "own": np.zeros(4 * stride, np.uint8),
            "history": np.zeros(n_pre * 2 * (rule.epoch + 1), np.uint8),
            "seen": np.zeros(2 * n_pre, np.uint8),
            "first_row": first_row,
            "rows": np.append(rows, np.zeros(1, PLASTIC_ROW)),  # the kernel looks one row ahead
            "first_synapse": self._spans[k][0],
            "tags": self.state["tags"][places["tags"]],
            "rewards": self.state["rewards"][places["rewards"]],
        }

    def _loose(self, k: int, limits: list[tuple[int, int]], accumulator: tuple[int, int]) -> int:
        """Return a bit for each target of which some value may be beyond its limits, or beyond the accumulator.

        The kernel has faster loops for the others, since adding zero cannot clip them.
        """
        first, stop = self._spans[k]
        words = self.program.synapses[first:stop].view(np.int32)
        starts = words >> 23, words >> 16 & 63, np.zeros(1, np.int32)
        return sum(
            1 << target
            for target, (values, (low, high)) in enumerate(zip(starts, limits, strict=True))
            if values.min(initial=low) < low
            or values.max(initial=high) > high
            or low << 7 < accumulator[0]
            or high << 7 > accumulator[1]
        )

    def _rows_of(self, k: int) -> tuple[NDArray[np.uint32], Array]:
        """Return where the rows of each source begin, and the rows, of one projection."""
        program = self.program
        block_of = np.full(len(program.blocks), -1, np.int64)
        block_of[program.learning_blocks] = np.arange(len(program.learning_blocks))
        mine = program.blocks[:, 1] == k
        chosen = np.flatnonzero(mine[program.rows["block"]])
        rows = program.rows[chosen]
        sources = np.searchsorted(program.row_start, chosen, side="right") - 1
        pre = program.source_neuron[sources]
        order = np.argsort(pre, kind="stable")
        table, pre = self._described(rows[order], block_of), pre[order]
        if self._is_split(k):
            table, pre = self._split(table, pre)
        self._flag(table)
        first = np.searchsorted(pre, np.arange(self._ends[k][0] + 1)).astype(np.uint32)
        return first, table

    def _described(self, rows: Array, block_of: NDArray[np.int64]) -> Array:
        """Return some rows of the program as plastic rows, without flags."""
        table = np.zeros(len(rows), PLASTIC_ROW)
        table["start"], table["length"] = rows["start"], rows["length"]
        table["block"] = block_of[rows["block"]]
        table["first"] = self._first_neuron(table, table["start"])
        return table

    def _first_neuron(self, table: Array, place: Array) -> NDArray[np.int64]:
        """Return, for a synapse of each row, the neuron that its target counts from."""
        program = self.program
        cores = program.blocks[program.learning_blocks, 0]
        target = (program.synapses[place] & 0xFFFF).astype(np.int64)
        compartment = target + program.shard_start[cores[table["block"]]]
        first: NDArray[np.int64] = program.source_neuron[compartment].astype(np.int64) - target
        return first

    def _is_split(self, k: int) -> bool:
        """Return whether the targets on one core come from several parts of a population."""
        target = self.program.manifest["projections"][k]["target"]
        mine = self.program.segments[:, 0] == self.program.population_index[target]
        return len(np.unique(self.program.segments[mine, 3])) < int(mine.sum())

    def _split(self, table: Array, pre: Array) -> tuple[Array, Array]:
        """Return the rows cut where their targets go on in another part of the population, and their sources."""
        lengths = table["length"].astype(np.int64)
        row, place = np.repeat(np.arange(len(table)), lengths), _places(table)
        first = self._first_neuron(table[row], place)
        begins = np.ones(len(row), bool)
        begins[1:] = (np.diff(row) != 0) | (np.diff(first) != 0)
        begins = np.flatnonzero(begins)
        cut = table[row[begins]]
        cut["start"], cut["first"] = place[begins], first[begins]
        cut["length"] = np.diff(begins, append=len(row))
        return cut, pre[row[begins]]

    def _flag(self, table: Array) -> None:
        """Note of each row whether its targets are consecutive neurons, and whether one is there twice."""
        n_before = np.cumsum(table["length"].astype(np.int64))
        bounds = np.searchsorted(n_before, np.arange(0, n_before[-1:].sum() + FLAGGED, FLAGGED))
        for begin, stop in pairwise(np.unique([0, *bounds, len(table)]).tolist()):
            part = table[begin:stop]
            row = np.repeat(np.arange(len(part)), part["length"])
            gap = np.diff((self.program.synapses[_places(part)] & 0xFFFF).astype(np.int32))
            gap[np.diff(row) != 0] = 1
            part["flags"] = CONSECUTIVE
            part["flags"][row[1:][gap != 1]] = 0
            part["flags"][row[1:][gap == 0]] |= REPEATED

    def _tables(self, words: NDArray[np.int32]) -> dict[str, Array]:
        program = self.program
        cores = program.blocks[program.learning_blocks, 0]
        start, marks = self._marks()
        return {
            "packed": self.synapses,
            "block_core": np.ascontiguousarray(np.append(cores, 0), np.int32),
            "mark_start": start,
            "marks": marks,
            "supplies": self._supplies(),
            "words": words,
        }

    def _marks(self) -> tuple[NDArray[np.uint32], Array]:
        """Return the places of each source at the ends of rules."""
        program = self.program
        clamps = {p["name"]: p["clamped_by"] for p in program.manifest["populations"]}
        sources, marks = [np.empty(0, np.int64)], [np.zeros(0, MARK)]
        for number, k in enumerate(program.rules):
            projection = program.manifest["projections"][k]
            target = clamps[projection["target"]] or projection["target"]
            for side, population in enumerate((projection["source"], target)):
                places = program.sources_of(population)
                part = np.zeros(len(places), MARK)
                part["rule"], part["side"], part["index"] = number, side, np.arange(len(places))
                sources.append(places.astype(np.int64))
                marks.append(part)
        source, table = np.concatenate(sources), np.concatenate(marks)
        order = np.argsort(source, kind="stable")
        start = np.searchsorted(source[order], np.arange(program.n_sources + 1)).astype(np.uint32)
        return start, table[order]

    def _supplies(self) -> Array:
        """Return which state words stand for traces."""
        program, lines = self.program, []
        for number, (k, rule) in enumerate(program.rules.items()):
            population = program.population_index[program.manifest["projections"][k]["target"]]
            model = program.model_of(population)
            for trace, word in rule.supplied.items():
                assert model is not None, "checked where the program was loaded"
                for segment in np.flatnonzero(program.segments[:, 0] == population).tolist():
                    _, first, stop, _, _ = program.segments[segment].tolist()
                    begin = int(program.word_start[segment]) + model.index[word] * (stop - first)
                    lines.append(
                        (segment, number, POST_TRACES.index(trace), stop - first, begin, first)
                    )
        return np.array(lines, SUPPLY)


def plastic_sizes(program: Program) -> dict[str, int]:
    """Return the sizes of the state of what learns, by name; nothing where nothing does."""
    if not program.learns:
        return {}
    plastic = _laid_out(program)
    return {"plastic": len(plastic.words)} | {k: len(v) for k, v in plastic.state.items()}


def plastic_places(program: Program) -> dict[int, dict[str, slice]]:
    """Return where the traces and tags of each rule stand in `Plastic.state`, by projection index and name."""
    return _laid_out(program).places if program.learns else {}


def _laid_out(program: Program) -> Plastic:
    """Return the arrays alone, without the kernel."""
    plastic = Plastic.__new__(Plastic)
    plastic.lay_out(program)
    return plastic


def _places(table: Array) -> NDArray[np.int64]:
    """Return the place of each synapse of some rows."""
    lengths = table["length"].astype(np.int64)
    begin = np.cumsum(lengths) - lengths
    return np.repeat(table["start"].astype(np.int64) - begin, lengths) + np.arange(lengths.sum())


def _stride(n_post: int) -> int:
    return -(-n_post // PAD) * PAD + PAD


def _span(rows: Array) -> tuple[int, int]:
    """Return the first synapse of some rows, and the one behind the last."""
    if not len(rows):
        return 0, 0
    return int(rows["start"].min()), int((rows["start"].astype(np.int64) + rows["length"]).max())


def _terms(steps: Steps) -> Array:
    table = np.zeros(len(steps.terms), TERM)
    for row, term in zip(table, steps.terms, strict=True):
        row["target"], row["gate"] = TARGET_NUMBER[term.target], GATE_NUMBER.get(term.gate, 2)
        row["k"] = int(term.gate[1:]) if term.gate[0] == "u" else 0
        row["mantissa"], row["down"], row["up"] = term.mantissa, term.down, term.up
        row["n_operands"], row["n_needs"] = len(term.operands), len(term.needs)
        row["operands"][: len(term.operands)] = term.operands
        for i, (source, index) in enumerate(term.needs):
            row["need_source"][i], row["need_index"][i] = source, index
    return table


def _operands(steps: Steps) -> Array:
    table = np.zeros(len(steps.operands), OPERAND)
    for row, operand in zip(table, steps.operands, strict=True):
        row["source"], row["index"] = operand.source, operand.index
        row["constant"], row["is_sign"] = operand.constant, operand.is_sign
        row["low"], row["high"] = -(1 << operand.width), (1 << operand.width) - 1
    return table


def _kinds(rule: Rule, chip: Chip) -> Array:
    """Return how each trace rises and falls; what rounding decides is in the tables already."""
    table = np.zeros(len(TRACES), TRACE_KIND)
    rounding = chip.learning.rounding
    for row, name in zip(table, TRACES, strict=True):
        trace = getattr(rule, name)
        row["kept"] = 0 if trace is None else 1 if isinstance(trace, Trace) else 2
        if not isinstance(trace, Trace):
            continue
        keep = _keep(trace.tau, chip.learning.trace_decay)
        whole, chance = _rounded(np.arange(128) * keep, rounding)
        row["decayed"], row["chance"] = whole, chance
        impulse, more = _rounded(np.array([float(trace.impulse)]), rounding)
        row["impulse"], row["impulse_chance"] = impulse[0], more[0]
        row["impulse_up"] = np.ceil(trace.impulse)
    return table


def _keep(tau: float, decay: str) -> float:
    """Return what a trace keeps in a step."""
    if tau == 0:
        return 0.0
    return float(np.exp(-1 / tau)) if decay == "exponential" else max(0.0, 1 - 1 / tau)


def _rounded(
    values: NDArray[np.floating[Any]], rounding: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the whole part of values, and of 65536 the chance of one more."""
    whole = np.floor(values)
    part = values - whole
    if rounding == "stochastic":
        return whole.astype(np.int64), np.rint(part * CHANCES).astype(np.int64)
    up = (part > 0.5) if rounding == "nearest" else np.zeros(len(part), bool)
    return (whole + up).astype(np.int64), np.zeros(len(part), np.int64)
