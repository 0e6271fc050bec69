"""Engine: owns the state of a loaded program and runs it in chunks of steps.

Within a chunk there is no Python; between chunks the recordings are collected, the caller is told how far the
run is, and Ctrl-C is seen.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from emulator.arguments import NoArrayError, as_array, is_one_of, quoted
from emulator.chip import Chip
from emulator.engine.inputs import NO_PAYLOADS, Schedule
from emulator.engine.layout import in_large_pages, large_pages, visited_blocks, visited_rows
from emulator.engine.loading import joins, microcode
from emulator.engine.plastic import Plastic
from emulator.engine.team import Team, next_size
from emulator.errors import OverflowPolicyError, RunError
from emulator.kernels.machine import SEGMENT, Machine
from emulator.program import Program

CHUNK_BYTES = 64_000_000  # of recordings held between chunks
FIRST_STEPS = 16
"""Steps of a run's first chunk; a run of no more is short."""
PART_SOURCES = 1 << 16
MAX_THREADS = 64
PARAMETERS = ("bias", "threshold")
"""Of native neurons: a management program may write them."""
NATIVE_WORDS = 3
"""State of a native neuron: u, v, and the steps for which it is refractory."""


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some consecutive steps of a run, in the program's own numbering."""

    first_step: int
    spike_start: NDArray[np.int64]  # (n_steps + 1,) where the spikes of each step begin
    spike_source: NDArray[np.uint32]  # (n_spikes,) ascending in each step
    spike_payload: NDArray[np.int32]  # (n_spikes,) where a program has payloads, or empty
    # (n_steps, n_counts) of segments: active compartments, or instructions executed; then plastic synapses visited
    active: NDArray[np.uint32]
    u: NDArray[np.int32]  # (n_steps, n_u_probes)
    v: NDArray[np.int32]  # (n_steps, n_v_probes)
    words: NDArray[np.int32]  # (n_steps, n_word_probes)
    n_synaptic_events: int  # counted where they were made
    n_overflows: int


OnChunk = Callable[[Chunk], None]


class Stops(Protocol):
    """What ends a run before its last step."""

    def is_set(self) -> bool:
        """Return whether it does."""


class Probed(NamedTuple):
    """What is read in each step: compartments whose u, and v, and words of microcode; each ascending."""

    u: NDArray[np.int32]
    v: NDArray[np.int32]
    words: NDArray[np.int64]


class Engine:
    """A program loaded into arrays that a run changes.

    Parameters
    ----------
    program : Program
        What to run.
    chip : Chip
        Whose arithmetic to use.
    threads : int
        Workers; the result does not depend on it.
    is_managed : bool
        Whether management programs may write parameters, which are copies then.
    """

    def __init__(
        self, program: Program, chip: Chip, threads: int = 1, *, is_managed: bool = False
    ) -> None:
        self.program = program
        self.chip = chip
        self.is_managed, self._is_running = is_managed, False
        self.threads = min(threads, MAX_THREADS, max(1, program.n_cores))
        n_slots = program.max_delay_steps + 1
        self.state: dict[str, NDArray[Any]] = {
            "u": program.u_init.copy(),
            "v": program.v_init.copy(),
            "refractory_left": program.refractory_init.copy(),
            "accumulators": large_pages((n_slots, program.n_compartments), np.int32),
            "words": large_pages(program.words.shape, np.int32),
        }
        self.state["words"][:] = program.words
        self.plastic = Plastic(program, chip, self.state["words"]) if program.learns else None
        if self.plastic is not None:
            self.state |= self.plastic.state
        if is_managed:
            self.state |= {name: getattr(program, name).copy() for name in PARAMETERS}
        constant = ("u_retain", "v_retain", "bias", "threshold", "refractory")
        row_start, rows = visited_rows(program)
        self.tables = {name: getattr(program, name) for name in constant} | self.state
        self.tables |= {
            "row_start": row_start,
            "rows": in_large_pages(rows),
            "synapses": in_large_pages(program.synapses)
            if self.plastic is None
            else self.plastic.synapses,
            "blocks": visited_blocks(program),
            "segments": self._segments(),
            "joins": joins(program),
        }
        self._teams = [[(0, program.n_cores)], self._core_ranges()]
        self._team, self._divided = Team(self.threads), 1
        self._n_counts = program.n_counts
        self.machine = Machine(
            self.tables,
            self._rules(),
            program.core_start,
            self._teams[1],
            microcode=microcode(program, self.state["words"]),
            graded=program.is_graded,
            learning=None if self.plastic is None else self.plastic.learning,
        )

    def reset(self) -> None:
        """Restore the state of the freshly loaded program."""
        self._require_rest()
        self.rest()
        self.state["words"][:] = self.program.words
        for name in PARAMETERS if self.is_managed else ():
            self.state[name][:] = getattr(self.program, name)
        if self.plastic is not None:
            self.plastic.reset()

    def _require_rest(self) -> None:
        if self._is_running:
            raise RunError(
                "this chip is running: its management programs can neither run nor reset it"
            )

    def manage(self, manager: Any, guards: NDArray[np.int64]) -> None:
        """Let management programs run; see `Machine.manage`."""
        self.machine.manage(manager, guards)

    def rest(self) -> None:
        """Restore the state of the neurons; synapses keep what they learned, and their traces are zero.

        Parameters are no state: they stay as they were written.
        """
        if self.plastic is not None:
            self.plastic.rest()
        self.state["u"][:] = self.program.u_init
        self.state["v"][:] = self.program.v_init
        self.state["refractory_left"][:] = self.program.refractory_init
        self.state["accumulators"].fill(0)
        for own in self._state_words:
            self.state["words"][own] = self.program.words[own]

    @cached_property
    def _state_words(self) -> list[slice]:
        """Where the state words of each segment are, which stand before its parameters; nothing of native neurons."""
        places = []
        for segment, (population, first, stop, _, _) in enumerate(self.program.segments.tolist()):
            model = self.program.model_of(population)
            n_words = 0 if model is None else len(model.states) * (stop - first)
            begin = int(self.program.word_start[segment])
            places.append(slice(begin, begin + n_words))
        return places

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what management cores can reach: the state, and the synapses."""
        return self.state | {"synapses": self.tables["synapses"]}

    def reset_populations(self, names: tuple[str, ...]) -> NDArray[np.int64]:
        """Restore the state of populations, all where none is named; return the words of each core that wrote."""
        program = self.program
        known = [p["name"] for p in program.manifest["populations"] if not p["is_input"]]
        unknown = [quoted(name) for name in names if not is_one_of(name, known)]
        if unknown:
            raise RunError(f"there is no population {unknown[0]}; there are: {', '.join(known)}")
        if not names:
            self.rest()
        written = np.zeros(program.n_cores, np.int64)
        for segment, (population, first, stop, core, begin) in enumerate(program.segments.tolist()):
            if names and program.manifest["populations"][population]["name"] not in names:
                continue
            n, own = stop - first, self._state_words[segment]
            n_words = own.stop - own.start or NATIVE_WORDS * n
            written[core] += len(self.state["accumulators"]) * n + n_words
            if names:
                self._rest_cells(slice(begin, begin + n), own)
        return written

    def _rest_cells(self, cells: slice, words: slice) -> None:
        program, state = self.program, self.state
        state["u"][cells], state["v"][cells] = program.u_init[cells], program.v_init[cells]
        state["refractory_left"][cells] = program.refractory_init[cells]
        state["accumulators"][:, cells] = 0
        state["words"][words] = program.words[words]

    def variable(self, population: str, name: str) -> tuple[NDArray[np.int32], range]:
        """Return a variable of each neuron as it is now, (size,), and its range."""
        array, places, allowed = self._variable(population, name)
        return array[places], allowed

    def write(self, population: str, name: str, values: Any) -> None:
        """Set a variable of each neuron; see `Emulator.write`."""
        array, places, allowed = self._variable(population, name)
        where = f"{population}.{name}"
        try:
            given = as_array(values)
        except NoArrayError as error:
            raise RunError(
                f"{where}: it has {error}; it must be whole numbers, one or ({len(places)},)"
            ) from None
        if given.dtype.kind not in "iu" or given.shape not in ((), places.shape):
            raise RunError(
                f"{where}: {given.dtype} of shape {given.shape}; it must be whole numbers, one or ({len(places)},)"
            )
        if given.size and not (int(given.min()) in allowed and int(given.max()) in allowed):
            raise RunError(
                f"{where}: {given.min()} to {given.max()}; allowed: {allowed.start} to {allowed.stop - 1}"
            )
        array[places] = given

    def _variable(
        self, population: str, name: str
    ) -> tuple[NDArray[np.int32], NDArray[np.integer], range]:
        program, rules = self.program, self.chip.arithmetic
        if not is_one_of(population, program.population_index):
            known = ", ".join(program.population_index)
            raise RunError(f"no population {quoted(population)}; there are: {known}")
        entry = program.manifest["populations"][program.population_index[population]]
        model = program.model_of(population)
        ranges = {
            "u": range(-(1 << rules.u_bits - 1), 1 << rules.u_bits - 1),
            "v": range(rules.v_limits.minimum, rules.v_limits.maximum + 1),
        }
        if model is not None:
            ranges = {w.name: range(w.low, w.high + 1) for w in model.words}
        if entry["is_input"] or not is_one_of(name, ranges):
            known = "none" if entry["is_input"] else ", ".join(ranges)
            raise RunError(f"'{population}' has no variable {quoted(name)}; there are: {known}")
        if model is not None:
            return self.state["words"], program.word_places(population, name), ranges[name]
        return self.state[name], program.sources_of(population), ranges[name]

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return a copy of everything that a run changes, as `restore` takes it."""
        step = np.array([self.machine.step], np.int64)
        words = {} if self.plastic is None else {"plastic": self.plastic.words}
        copies = {name: array.reshape(-1).copy() for name, array in self.state.items()}
        return copies | words | {"step": step}

    def restore(self, snapshot: dict[str, NDArray[Any]]) -> None:
        """Go back to a snapshot of this program, whatever the number of threads was."""
        for name, array in self.state.items():
            array.reshape(-1)[:] = snapshot[name]
        if self.plastic is not None:
            self.plastic.set_words(snapshot["plastic"])
        self.machine.step = int(snapshot["step"][0])

    def learned(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return a copy of what each projection has learned, by name; nothing where none learns."""
        return {} if self.plastic is None else self.plastic.learned()

    def run(
        self,
        n_steps: int,
        schedule: Schedule,
        probed: Probed,
        on_chunk: OnChunk,
        *,
        seed: int = 0,
        first_step: int = 0,
        strict: bool = False,
        reset_every: int | None = None,
        pause_every: tuple[int | None, ...] = (),
        stop: Stops | None = None,
    ) -> int:
        """Advance from `first_step` to `n_steps`, or until `stop` is set, and return the steps done in all.

        Parameters
        ----------
        n_steps : int
            Steps of the whole run.
        schedule : Schedule
            Input spikes of the whole run.
        probed : Probed
            What is read in each step.
        on_chunk : callable
            Given each chunk of steps as soon as it is done; nothing of it is kept here.
        seed : int
            Of the random bits of neuron programs.
        first_step : int
            Steps that were done before.
        strict : bool
            Raise when a sum wrapped around.
        reset_every : int, optional
            Reset the neurons before every so many steps, the first included.
        pause_every : tuple of int or None
            End a chunk after every so many steps of each.
        stop : optional
            Like a threading.Event; looked at between chunks.

        Raises
        ------
        OverflowPolicyError
            When `strict` and a sum wrapped around.
        """
        self._require_rest()
        self._is_running = True
        try:
            return self._advance(
                n_steps, schedule, probed, on_chunk, seed, first_step, strict, reset_every,
                pause_every, stop,
            )  # fmt: skip
        finally:
            self._is_running = False

    def _advance(
        self, n_steps: int, schedule: Schedule, probed: Probed, on_chunk: OnChunk, seed: int,
        first_step: int, strict: bool, reset_every: int | None, pause_every: tuple[int | None, ...],
        stop: Stops | None,
    ) -> int:  # fmt: skip
        done, chunk_steps, team = first_step, FIRST_STEPS, self._team
        n_most = self._most_steps(len(probed.u) + len(probed.v) + len(probed.words))
        self.machine.seed_with(seed)
        helpers = nullcontext() if self.threads == 1 else ThreadPoolExecutor(self.threads - 1)
        with helpers as pool:
            while done < n_steps and not (stop is not None and stop.is_set()):
                n = min(chunk_steps, n_most, n_steps - done)
                for every in filter(None, (reset_every, *pause_every)):
                    n = min(n, every - done % every)
                if reset_every is not None and done % reset_every == 0:
                    self.rest()
                self._divide(team.choose())
                start = perf_counter()
                chunk = self._chunk(pool, done, n, schedule, probed, strict)
                took = perf_counter() - start
                team.took(took / max(1, len(chunk.active)))
                chunk_steps = next_size(len(chunk.active), took)
                done += len(chunk.active)
                if strict and chunk.n_overflows:
                    raise self._overflow(done)
                on_chunk(chunk)
        return done

    def _divide(self, among: int) -> None:
        """Give the cores to one worker, 0, or to all, 1."""
        if among != self._divided and self.threads > 1:
            self.machine.divide(self._teams[among])
        self._divided = among

    @cached_property
    def _spike_buffer(self) -> NDArray[np.uint32]:
        """Where the kernel writes the spikes of a chunk: kept, as making it takes longer than a short run."""
        return np.empty(max(2 * self.program.n_sources, 1 << 18), np.uint32)

    @cached_property
    def _payload_buffer(self) -> NDArray[np.int32]:
        """Likewise their payloads, where the program has any."""
        return np.empty(len(self._spike_buffer) if self.program.is_graded else 0, np.int32)

    @cached_property
    def fan_out(self) -> NDArray[np.uint32]:
        """Synapses of each source, (n_sources,): the synaptic events of a spike."""
        starts, lengths = self.tables["row_start"], self.tables["rows"]["length"]
        each = np.empty(self.program.n_sources, np.uint32)
        for first in range(0, len(each), PART_SOURCES):
            start = starts[first : first + PART_SOURCES + 1].astype(np.int64)
            before = np.append(0, np.cumsum(lengths[start[0] : start[-1]], dtype=np.int64))
            each[first : first + PART_SOURCES] = np.diff(before[start - start[0]])
        return each

    def _chunk(
        self,
        pool: ThreadPoolExecutor | None,
        first: int,
        n: int,
        schedule: Schedule,
        probed: Probed,
        strict: bool,
    ) -> Chunk:
        machine, spike_buffer, payloads = self.machine, self._spike_buffer, self._payload_buffer
        start, source, payload, rewards = schedule
        begin, stop = int(start[first]), int(start[first + n])
        if n < len(start) - 1:
            start = start[first : first + n + 1] - begin
            source, payload = source[begin:stop], payload[begin:stop]
        if self.plastic is not None:
            rewards = np.ascontiguousarray(rewards[first : first + n])
            rewards = rewards if len(rewards) else np.zeros((n, 2), np.int32)
        active = np.zeros((n, self._n_counts), np.uint32)
        u, v, words = (np.empty((n, len(which)), np.int32) for which in probed)
        spike_start = np.zeros(n + 1, np.int64)
        machine.begin(
            n, start, source, spike_buffer, spike_start, payload, payloads, active, probed.u, u, probed.v, v,
            probed.words, words, rewards, strict,
        )  # fmt: skip
        others = []
        if pool is not None:
            others = [pool.submit(machine.work, k) for k in range(1, machine.n_workers)]
        machine.work(0)
        for other in others:
            other.result()
        machine.raise_failure()
        if machine.steps_done < n:
            n = machine.steps_done
            spike_start, active, u, v, words = (
                spike_start[: n + 1], active[:n], u[:n], v[:n], words[:n],
            )  # fmt: skip
        n_spikes = int(spike_start[n])
        return Chunk(
            first, spike_start, spike_buffer[:n_spikes].copy(),
            payloads[:n_spikes].copy() if len(payloads) else NO_PAYLOADS,
            active, u, v, words, machine.n_events, machine.n_overflows,
        )  # fmt: skip

    def _overflow(self, step: int) -> OverflowPolicyError:
        population, first, stop, core, _ = self.program.segments[
            self.machine.overflow_segment
        ].tolist()
        name = self.program.manifest["populations"][population]["name"]
        what, width = (
            "the current u, or the input added to it,",
            f"{self.chip.arithmetic.u_bits} bits",
        )
        then = "wraps around"
        if self.program.model_of(population) is not None:
            what, width, then = (
                "the input, a state word or the payload",
                "declared range",
                "fits it in",
            )
        return OverflowPolicyError(
            f"strict run: step {step}: {what} of a neuron of '{name}'[{first}:{stop}] on core {core} left its "
            f"{width}; smaller weights or weight_exp avoid it, and without strict the chip {then} and counts it"
        )

    def _most_steps(self, n_probes: int) -> int:
        return max(1, CHUNK_BYTES // (4 * (self.program.n_counts + n_probes) + 16))

    def _rules(self) -> dict[str, int]:
        rules = self.chip.arithmetic
        return {
            "u_shift": 32 - rules.u_bits,
            "u_saturates": int(rules.u_overflow == "saturate"),
            "accumulator_shift": 32 - (rules.accumulator_bits or 32),
            "v_min": rules.v_limits.minimum,
            "v_max": rules.v_limits.maximum,
        }

    def _segments(self) -> NDArray[Any]:
        _, first, stop, core, compartment = self.program.segments.T
        segments = np.zeros(len(core), SEGMENT)
        segments["core"], segments["first"], segments["stop"] = (
            core,
            compartment,
            compartment + stop - first,
        )
        return segments

    def _core_ranges(self) -> list[tuple[int, int]]:
        """Return the cores of each worker: whole shards of about equal numbers of compartments and synapses."""
        n_cores = self.program.n_cores
        work = np.diff(self.program.core_start).astype(float)
        if self.threads > 1:
            per_block = np.bincount(
                self.program.rows["block"], self.program.rows["length"], len(self.program.blocks)
            )
            np.add.at(
                work, self.program.blocks[:, 0], per_block / 20
            )  # a few per cent of the synapses are visited
        begins = np.append(np.flatnonzero(np.diff(self.program.shard_start, prepend=-1)), n_cores)
        share = np.append(0, np.cumsum(work))[begins] / max(work.sum(), 1)
        parts = np.arange(1, self.threads) / self.threads
        bounds = [0, *begins[np.searchsorted(share, parts)].tolist(), n_cores]
        return [(bounds[k], max(bounds[k], bounds[k + 1])) for k in range(self.threads)]
