"""The run loop: every phase of every step, with no Python in between.

A machine owns the state of all compartments; workers own ranges of cores and never write elsewhere, so
the result does not depend on their number. One barrier per step separates spiking from delivery; the spike
lists are double-buffered, so that a fast worker may begin the next step while a slow one still delivers.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import numpy as np

from emulator.kernels.dendrite cimport pass_on
from emulator.kernels.fired cimport list_fired
from emulator.kernels.learning cimport Learning, visit
from emulator.kernels.meeting cimport meet, meeting_t, worked_ns
from emulator.kernels.microcode cimport Instruction, Lanes, Microcode, Watch, run_microcode
from emulator.kernels.neuron_lif cimport lif_update
from emulator.kernels.state cimport (
    Accumulators, Arithmetic, Block, Compartments, Join, Row, Segment, Synapses,
)
from emulator.kernels.phases cimport HOST_PHASE, POST, POST_LEARNING, PRE, PRE_LEARNING, Phases
from emulator.kernels.plasticity cimport Plasticity
from emulator.kernels.synapse cimport Sorter, deliver, deliver_graded, deliver_sorted
from emulator.kernels.traces cimport ends_epoch, follow, mark, reward, supply
from emulator.kernels.worker cimport Worker, own_places, own_segments

cdef enum:
    CACHED_SYNAPSES = 1 << 18      # of which all rows are quickly at hand in any order
    SORTED_ROWS = 1 << 17          # that are sorted by core at a time

cdef Block _block
cdef Segment _segment
cdef Instruction _instruction
cdef Join _join
BLOCK = np.asarray(<Block[:1]> &_block).dtype
INSTRUCTION = np.asarray(<Instruction[:1]> &_instruction).dtype
JOIN = np.asarray(<Join[:1]> &_join).dtype
SEGMENT = np.asarray(<Segment[:1]> &_segment).dtype


cdef class Machine(Phases):
    """The state of a loaded program, and the workers that advance it.

    Parameters
    ----------
    tables : dict of str to ndarray
        The arrays of the structs in `state.pxd`, by field name; state arrays are changed in place.
    rules : dict of str to int
        The fields of `Arithmetic`.
    microcode : sequence
        For each segment None, or (instructions, words (n_words, n_cells), n_states, numbers (n_numbers, lanes), first
        number in the network, whether its spikes have payloads): changed in place are words.
    joins : (n_joins,) JOIN
        What compartments pass to others of their core before these are advanced, by segment.
    graded : bool
        Whether any source sends payloads.
    learning : Learning, optional
        The plastic synapses.
    core_start : ndarray of int32, (n_cores + 1,)
        First compartment of each core.
    core_ranges : sequence of (first, stop)
        The cores of each worker; together every core once.
    cached_synapses : int
        Rows are sorted by block before they are visited when there are more synapses than this.
    sorted_rows : int
        Rows sorted at a time; raised to those of any source.
    """

    cdef Compartments cells
    cdef Arithmetic rules
    cdef Synapses axons
    cdef Accumulators inputs
    cdef Worker[64] workers
    cdef object _keep
    cdef object _keep_rows
    cdef bint sorted
    cdef const Segment[::1] segments
    cdef const int32_t[::1] core_start
    cdef Microcode *microcode      # of each segment
    cdef Lanes *lanes              # of each worker
    cdef const Join[::1] joins
    cdef const int32_t[::1] join_start  # (n_segments + 1,)  of each segment, the joins it gives
    cdef int64_t[::1] first_word   # (n_segments + 1,)  of each segment, where probes count its words from
    cdef Watch watch
    cdef uint32_t[2] seed
    cdef Plasticity *plastic       # or NULL
    cdef int32_t[:, ::1] rewards
    cdef int32_t[:, ::1] payload   # (n_workers, compartments of the largest segment), of those that fired
    cdef int32_t[:, ::1] payloads  # (2, n) as spikes, where they have any
    cdef uint8_t[:, ::1] fired     # (n_workers, compartments of the largest segment, padded)
    cdef uint32_t[:, ::1] spikes
    # The chunk being run: set by begin(), read by every worker.
    cdef int64_t n_steps, n_sources, capacity
    cdef int strict
    cdef uint32_t[::1] spike_source
    cdef int64_t[::1] spike_start
    cdef uint32_t[:, ::1] active
    cdef int32_t[::1] spike_payload
    cdef int32_t[::1] u_probe, v_probe
    cdef int64_t[::1] word_probe
    cdef int32_t[:, ::1] u_rows, v_rows, word_rows
    cdef const int32_t *words_at
    cdef int32_t[::1] words        # of all microcode segments, one after the other
    cdef readonly int64_t steps_done
    cdef public bint clocked       # whether the first worker adds up how long it delivers, and learns
    cdef readonly int64_t delivery_ns, learning_ns

    def __init__(
        self, dict tables, dict rules, const int32_t[::1] core_start, core_ranges,
        int64_t cached_synapses=CACHED_SYNAPSES, int64_t sorted_rows=SORTED_ROWS, microcode=None, bint graded=False,
        Learning learning=None,
    ):
        cdef int32_t[::1] u = tables["u"], v = tables["v"]
        cdef uint8_t[::1] left = tables["refractory_left"]
        cdef const uint16_t[::1] u_retain = tables["u_retain"], v_retain = tables["v_retain"]
        cdef const int32_t[::1] bias = tables["bias"], threshold = tables["threshold"]
        cdef const uint8_t[::1] refractory = tables["refractory"]
        cdef const uint32_t[::1] row_start = tables["row_start"], packed = tables["synapses"]
        cdef const Row[::1] rows = tables["rows"]
        cdef const Block[::1] blocks = tables["blocks"]
        cdef int32_t[:, ::1] accumulators = tables["accumulators"]
        cdef Py_ssize_t n = u.shape[0]
        self._keep = (
            u, v, left, u_retain, v_retain, bias, threshold, refractory, row_start, packed, rows, blocks,
            accumulators, learning,
        )
        self.plastic = NULL if learning is None else &learning.plasticity
        self.segments = tables["segments"]
        self.spikes = np.zeros((2, n + 1), np.uint32)
        self.n_sources = row_start.shape[0] - 1
        if n:
            self.cells = Compartments(
                &u[0], &v[0], &left[0], &u_retain[0], &v_retain[0], &bias[0], &threshold[0], &refractory[0]
            )
            self.inputs = Accumulators(&accumulators[0, 0], n, <int32_t>accumulators.shape[0])
        self.axons.row_start = &row_start[0]
        if rows.shape[0]:
            self.axons.rows = &rows[0]
            self.axons.blocks = &blocks[0]
            self.axons.packed = &packed[0] if packed.shape[0] else NULL
        self.rules = Arithmetic(
            rules["u_shift"], rules["u_saturates"], rules["accumulator_shift"], rules["v_min"], rules["v_max"]
        )
        self.core_start = core_start
        self.n_workers = len(core_ranges)
        widest = max((s["stop"] - s["first"] for s in tables["segments"]), default=0)
        self.fired = np.zeros((self.n_workers, -(-widest // 64) * 64 + 64), np.uint8)
        self._load_microcode(tables, microcode)
        self.graded = graded
        self.payload = np.zeros((self.n_workers, widest), np.int32)
        self.payloads = np.ones((2, (n if graded else 0) + 1), np.int32)
        self.sorted = packed.shape[0] > cached_synapses and not graded
        if self.sorted:
            self._make_sorters(blocks.shape[0], sorted_rows)
        self.divide(core_ranges)
        self.step = 0

    def divide(self, core_ranges):
        """Give ranges of cores to workers, at most as many as there were first; between chunks."""
        cdef Py_ssize_t k
        if not 1 <= len(core_ranges) <= self.fired.shape[0]:
            raise ValueError(f"{len(core_ranges)} workers; allowed: 1 to {self.fired.shape[0]}")
        self.n_workers = len(core_ranges)
        for k, (first, stop) in enumerate(core_ranges):
            self.workers[k].first_core = first
            self.workers[k].stop_core = stop
            self.workers[k].first_compartment = self.core_start[first]
            self.workers[k].sorter.all_mine = self.n_workers == 1
            if self.segments.shape[0]:
                own_segments(&self.workers[k], &self.segments[0], <int32_t>self.segments.shape[0])

    def __dealloc__(self):
        free(self.microcode)
        free(self.lanes)

    cdef void _load_microcode(self, dict tables, microcode):
        cdef Py_ssize_t s, k, n = self.segments.shape[0]
        cdef const Instruction[::1] steps
        cdef int32_t[:, ::1] words
        cdef const int32_t[:, ::1] numbers
        cdef Microcode *own
        self.words = tables.get("words", np.zeros(0, np.int32))
        self.words_at = &self.words[0] if self.words.shape[0] else NULL
        self.joins = tables.get("joins", np.zeros(0, JOIN))
        self.join_start = np.searchsorted(
            np.asarray(self.joins)["segment"], np.arange(n + 1)
        ).astype(np.int32)
        self.first_word = np.zeros(n + 1, np.int64)
        self.watch = Watch(-1, NULL)
        if microcode is None:
            microcode = [None] * n
        self._keep = (self._keep, microcode)
        self.microcode = <Microcode *> calloc(n + 1, sizeof(Microcode))
        has_any = any(one is not None for one in microcode)
        self.lanes = <Lanes *> calloc(self.n_workers if has_any else 1, sizeof(Lanes) if has_any else 1)
        if self.microcode == NULL or self.lanes == NULL:
            raise MemoryError
        for k in range(self.n_workers):
            self.workers[k].lanes = &self.lanes[k] if has_any else NULL
        for s in range(n):
            self.first_word[s + 1] = self.first_word[s]
            if microcode[s] is None:
                continue
            steps, words, n_states, numbers, first_id, has_payload = microcode[s]
            own = &self.microcode[s]
            own.steps, own.n_steps = &steps[0], <int32_t> steps.shape[0]
            own.words = &words[0, 0] if words.shape[0] else NULL
            own.n_cells, own.n_states = self.segments[s].stop - self.segments[s].first, n_states
            own.numbers = &numbers[0, 0] if numbers.shape[0] else NULL
            own.first_id, own.has_payload, own.n_rows = first_id, has_payload, words.shape[0]
            self.first_word[s + 1] += words.shape[0] * own.n_cells

    def seed_with(self, uint64_t seed):
        """Set the seed of the random bits."""
        self.seed[0], self.seed[1] = <uint32_t> (seed & 0xFFFFFFFF), <uint32_t> (seed >> 32)
        if self.plastic != NULL:
            self.plastic.seed[0], self.plastic.seed[1] = self.seed[0], self.seed[1]

    def fired_now(self, int64_t t):
        """Return the sources that fired in a step of this chunk, neurons and inputs."""
        cdef int parity = t & 1, k
        cdef int64_t first
        parts = [np.empty(0, np.uint32)]
        for k in range(self.n_workers):
            first = self.workers[k].first_compartment
            parts.append(np.asarray(self.spikes[parity, first:first + self.workers[k].n_spikes[parity]]))
        if self.n_now[parity]:
            parts.append(np.asarray(<const uint32_t[:self.n_now[parity]]>self.now_source[parity]))
        return np.concatenate(parts)

    def look_at(self, int64_t compartment, int32_t[:, ::1] rows):
        """Note every instruction of one compartment in rows (n_instructions, 3); -1: of none."""
        self.watch.compartment = compartment
        self.watch.rows = &rows[0, 0]
        self._keep_rows = rows

    cdef void _make_sorters(self, Py_ssize_t n_blocks, int64_t most):
        cdef const uint32_t *row_start = self.axons.row_start
        cdef int64_t i
        cdef Py_ssize_t k
        for i in range(self.n_sources):
            most = max(most, <int64_t>row_start[i + 1] - row_start[i])
        cdef uint32_t[:, ::1] start = np.zeros((self.n_workers, n_blocks), np.uint32)
        cdef int64_t[:, ::1] rows = np.zeros((self.n_workers, 2 * most), np.int64)
        for k in range(self.n_workers):
            self.workers[k].sorter = Sorter(
                &start[k, 0], <Row *>&rows[k, 0], <Row *>&rows[k, most], most, <int32_t>n_blocks, 0
            )
        self._keep = (self._keep, start, rows)

    def begin(
        self,
        int64_t n_steps,
        int64_t[::1] input_start,     # IN   (n_steps + 1,)  into input_source
        uint32_t[::1] input_source,   # IN   sources of input spikes, ascending in each step
        uint32_t[::1] spike_source,   # OUT  sources of all spikes, by step, ascending in each
        int64_t[::1] spike_start,     # OUT  (n_steps + 1,)  into spike_source
        int32_t[::1] input_payload,   # IN   as input_source where the machine is graded
        int32_t[::1] spike_payload,   # OUT  as spike_source where the machine is graded
        uint32_t[:, ::1] active,      # OUT  (n_steps, n_segments + n_learning_blocks)  active compartments, or
                                      #      instructions executed; then plastic synapses visited
        int32_t[::1] u_probe,         # IN   (n_u,)  compartments, ascending
        int32_t[:, ::1] u_rows,       # OUT  (n_steps, n_u)
        int32_t[::1] v_probe,         # IN   (n_v,)  compartments, ascending
        int32_t[:, ::1] v_rows,       # OUT  (n_steps, n_v)
        int64_t[::1] word_probe,      # IN   (n_w,)  words of microcode, ascending
        int32_t[:, ::1] word_rows,    # OUT  (n_steps, n_w)
        int32_t[:, ::1] rewards,      # IN   (n_steps, 2)  where anything learns
        bint strict,
    ):
        """Set what the next chunk reads and writes. It ends early when spike_source may overflow."""
        cdef Py_ssize_t k
        cdef Worker *worker
        self.n_steps = n_steps
        self.input_start, self.input_source = input_start, input_source
        self.spike_source, self.spike_start, self.active = spike_source, spike_start, active
        self.input_payload, self.spike_payload = input_payload, spike_payload
        self.u_probe, self.u_rows, self.v_probe, self.v_rows = u_probe, u_rows, v_probe, v_rows
        self.word_probe, self.word_rows = word_probe, word_rows
        self.rewards = rewards
        self.capacity = spike_source.shape[0]
        self.strict = strict
        self.steps_done = 0
        self.failure, self.stopped = None, False
        spike_start[0] = 0
        self.meeting = meeting_t(0, 0)
        for k in range(self.n_workers):
            worker = &self.workers[k]
            worker.n_events = worker.n_overflows = 0
            worker.overflow_segment = -1
            self._own_probes(worker)

    cdef void _own_probes(self, Worker *worker):
        cdef int64_t first = worker.first_compartment, stop = first
        if worker.stop_segment > worker.first_segment:
            stop = self.segments[worker.stop_segment - 1].stop
        own_places(self.u_probe, first, stop, &worker.first_u_probe, &worker.stop_u_probe)
        own_places(self.v_probe, first, stop, &worker.first_v_probe, &worker.stop_v_probe)
        first, stop = self.first_word[worker.first_segment], self.first_word[worker.stop_segment]
        own_places(self.word_probe, first, stop, &worker.first_word_probe, &worker.stop_word_probe)

    def work(self, int k):
        """Run the chunk as worker k; every worker must be called, each in its own thread."""
        with nogil:
            self._work(k)

    cdef void _work(self, int k) noexcept nogil:
        cdef int64_t t, recorded = 0
        cdef int parity
        for t in range(self.n_steps):
            if recorded + self.n_sources > self.capacity:
                break
            parity = t & 1
            if self.managed and self.call(k, t, PRE):
                break
            if k == 0:
                self.take_inputs(t, parity)
            self._spike(&self.workers[k], k, &self.fired[k, 0], t, parity)
            meet(&self.meeting, self.n_workers)
            if self.stopped or (self.strict and self._overflowed()):
                break
            if k == 0 and self.clocked:
                self.delivery_ns -= worked_ns()
            self._deliver(&self.workers[k], t, parity)
            if k == 0 and self.clocked:
                self.delivery_ns += worked_ns()
            if k == 0:
                self._record(t, parity, recorded)
            recorded += self._count(parity) + self.n_now[parity]
            if self.managed and self.call(k, t, POST):
                break
            if self.plastic != NULL and ends_epoch(self.plastic, self.step + t):
                if self.managed and self.call(k, t, PRE_LEARNING):
                    break
                if k == 0 and self.clocked:
                    self.learning_ns -= worked_ns()
                follow(self.plastic, self.step + t, k, self.n_workers)
                meet(&self.meeting, self.n_workers)
                visit(self.plastic, self.step + t, self.n_workers, self.workers[k].first_core,
                      self.workers[k].stop_core, &self.active[t, self.segments.shape[0]])
                if k == 0 and self.clocked:
                    self.learning_ns += worked_ns()
                if self.managed and self.call(k, t, POST_LEARNING):
                    break
            if self.managed and self.call(k, t, HOST_PHASE):
                break
            if k == 0:
                self.steps_done = t + 1
        meet(&self.meeting, self.n_workers)
        if k == 0:
            self.step += self.steps_done

    cdef void _spike(self, Worker *worker, int worker_of, uint8_t *fired, int64_t t, int parity) noexcept nogil:
        cdef int64_t n_active, overflows, n_cells, n_before, j, n_spikes = 0
        cdef int32_t s, i
        cdef int32_t slot = <int32_t>((self.step + t) % self.inputs.n_slots) if self.inputs.n_slots else 0
        cdef int32_t *due = self.inputs.input + slot * self.inputs.n_compartments
        cdef const Segment *segment
        for s in range(worker.first_segment, worker.stop_segment):
            segment = &self.segments[s]
            n_active = overflows = 0
            if self.microcode[s].steps != NULL:
                run_microcode(
                    &self.microcode[s], worker.lanes, due + segment.first, self.rules.accumulator_shift, fired,
                    &self.payload[worker_of, 0], segment.first, <uint32_t>(self.step + t), self.seed, &self.watch,
                    &n_active, &overflows,
                )
            else:
                lif_update(&self.cells, &self.rules, due, fired, segment.first, segment.stop, &n_active, &overflows)
            for j in range(self.join_start[s], self.join_start[s + 1]):
                pass_on(&self.joins[j], &self.cells, self.words_at, due, fired - segment.first)
            self.active[t, s] = <uint32_t>n_active
            worker.n_overflows += overflows
            if overflows and worker.overflow_segment < 0:
                worker.overflow_segment = s
            n_cells = segment.stop - segment.first
            memset(fired + n_cells, 0, 64)
            n_before = n_spikes
            n_spikes += list_fired(
                fired, segment.first, n_cells, &self.spikes[parity, worker.first_compartment + n_spikes]
            )
            if self.graded:
                for j in range(worker.first_compartment + n_before, worker.first_compartment + n_spikes):
                    self.payloads[parity, j] = (
                        self.payload[worker_of, self.spikes[parity, j] - segment.first]
                        if self.microcode[s].has_payload else 1
                    )
        worker.n_spikes[parity] = n_spikes
        if self.plastic != NULL:
            self._note(worker, worker_of, t, parity)
        for i in range(worker.first_u_probe, worker.stop_u_probe):
            self.u_rows[t, i] = self.cells.u[self.u_probe[i]]
        for i in range(worker.first_v_probe, worker.stop_v_probe):
            self.v_rows[t, i] = self.cells.v[self.v_probe[i]]
        for i in range(worker.first_word_probe, worker.stop_word_probe):
            self.word_rows[t, i] = self.words[self.word_probe[i]]

    cdef void _note(self, Worker *worker, int worker_of, int64_t t, int parity) noexcept nogil:
        """Tell the learning engine what fired, what neuron programs supply and what rewards there are."""
        cdef int32_t s
        mark(
            self.plastic, &self.spikes[parity, worker.first_compartment], worker.n_spikes[parity], self.step + t
        )
        for s in range(worker.first_segment, worker.stop_segment):
            supply(self.plastic, s, self.step + t)
        if worker_of == 0:
            reward(self.plastic, &self.rewards[t, 0])
            if self.n_now[parity]:
                mark(self.plastic, self.now_source[parity], self.n_now[parity], self.step + t)

    cdef bint _overflowed(self) noexcept nogil:
        cdef int k
        for k in range(self.n_workers):
            if self.workers[k].overflow_segment >= 0:
                return True

    cdef int64_t _count(self, int parity) noexcept nogil:
        cdef int k
        cdef int64_t n = 0
        for k in range(self.n_workers):
            n += self.workers[k].n_spikes[parity]
        return n

    cdef void _deliver(self, Worker *worker, int64_t t, int parity) noexcept nogil:
        cdef int k
        cdef int32_t slot
        cdef Worker *other
        if self.inputs.n_slots == 0:
            return
        slot = <int32_t>((self.step + t + 1) % self.inputs.n_slots)
        for k in range(self.n_workers):
            other = &self.workers[k]
            self._deliver_list(
                worker, &self.spikes[parity, other.first_compartment],
                &self.payloads[parity, other.first_compartment] if self.graded else NULL, other.n_spikes[parity], slot,
            )
        if self.n_now[parity]:
            self._deliver_list(
                worker, self.now_source[parity], self.now_payload[parity], self.n_now[parity], slot
            )

    cdef void _deliver_list(
        self, Worker *worker, const uint32_t *sources, const int32_t *payloads, int64_t n_sources, int32_t slot
    ) noexcept nogil:
        if payloads != NULL:
            worker.n_events += deliver_graded(
                &self.axons, &self.inputs, sources, payloads, n_sources, slot, worker.first_core, worker.stop_core
            )
        elif self.sorted:
            worker.n_events += deliver_sorted(
                &self.axons, &self.inputs, sources, n_sources, slot, worker.first_core, worker.stop_core,
                &worker.sorter,
            )
        else:
            worker.n_events += deliver(
                &self.axons, &self.inputs, sources, n_sources, slot, worker.first_core, worker.stop_core
            )

    cdef void _record(self, int64_t t, int parity, int64_t recorded) noexcept nogil:
        cdef int k
        cdef int64_t first
        for k in range(self.n_workers):
            first = self.workers[k].first_compartment
            recorded += self._keep_spikes(
                recorded, &self.spikes[parity, first], &self.payloads[parity, first] if self.graded else NULL,
                self.workers[k].n_spikes[parity],
            )
        if self.n_now[parity]:
            recorded += self._keep_spikes(
                recorded, self.now_source[parity], self.now_payload[parity], self.n_now[parity]
            )
        self.spike_start[t + 1] = recorded

    cdef int64_t _keep_spikes(
        self, int64_t recorded, const uint32_t *sources, const int32_t *payloads, int64_t n
    ) noexcept nogil:
        if n:
            memcpy(&self.spike_source[recorded], sources, n * sizeof(uint32_t))
            if payloads != NULL:
                memcpy(&self.spike_payload[recorded], payloads, n * sizeof(int32_t))
        return n

    @property
    def n_events(self):
        """Synaptic events that the last chunk made, counted where they were made."""
        return sum(self.workers[k].n_events for k in range(self.n_workers))

    @property
    def n_overflows(self):
        """Wrap-arounds of u or of its input in the last chunk."""
        return sum(self.workers[k].n_overflows for k in range(self.n_workers))

    @property
    def overflow_segment(self):
        """First segment in which the last chunk met a wrap-around, or -1."""
        found = [self.workers[k].overflow_segment for k in range(self.n_workers)]
        return min((segment for segment in found if segment >= 0), default=-1)
