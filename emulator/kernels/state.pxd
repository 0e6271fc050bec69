"""The structs that kernels share: pointers into arrays that `machine.Machine` owns. Declarations only."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

cdef struct Arithmetic:
    int32_t u_shift            # 32 - u_bits: shifting left and right by it wraps u
    int32_t u_saturates        # 0 or 1
    int32_t accumulator_shift  # 32 - accumulator_bits
    int32_t v_min
    int32_t v_max

cdef struct Compartments:      # one entry per compartment, in placed order
    int32_t *u
    int32_t *v
    uint8_t *refractory_left   # steps in which v is still held at zero
    const uint16_t *u_retain   # per 4096
    const uint16_t *v_retain   # per 4096
    const int32_t *bias
    const int32_t *threshold
    const uint8_t *refractory

cdef struct Row:               # a run of synapses of one source on one core
    uint32_t start
    uint16_t length
    uint16_t block

cdef struct Block:             # all synapses of one projection on one core
    int32_t core
    int32_t first_compartment  # of that core
    int32_t scale              # a weight acts as mantissa * scale

cdef struct Segment:           # compartments of one population on one core
    int32_t core
    int32_t first
    int32_t stop

cdef struct Synapses:
    const uint32_t *row_start  # (n_sources + 1,)
    const Row *rows
    const Block *blocks
    const uint32_t *packed     # weight << 23 | delay << 16 | target slot

cdef struct Accumulators:      # (n_slots, n_compartments): the input of this and of the next steps
    int32_t *input
    int64_t n_compartments
    int32_t n_slots

cdef struct Join:              # compartments that pass something to as many others of their core
    int32_t segment            # of those that pass
    int32_t source             # first of them
    int32_t target             # first of those that take
    int32_t n
    int32_t op                 # 0 add, 1 max, 2 pass, 3 block
    int32_t word               # what is passed: first of a word of microcode; -1 is u, -2 is v of a native kernel
