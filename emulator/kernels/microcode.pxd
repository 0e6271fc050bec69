"""What the interpreter of neuron microcode works on. Declarations only."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

cdef enum:
    LANES = 512                # compartments of a block: state, parameters and registers stay in the first cache

cdef struct Instruction:
    int32_t action             # one of the interpreter's own, see ACTIONS
    int32_t d                  # places: kind << 10 | index
    int32_t a
    int32_t b
    int32_t n                  # shift, or the instruction that is jumped to, or the number of a random draw
    int32_t fit                # a second loop that fits the result to low..high, see FITS
    int32_t unused_bits        # of a word that wraps: 32 less its own
    int32_t counts             # whether what does not fit is counted
    int32_t low
    int32_t high
    int32_t joins              # whether compartments that jumped may go on here

cdef struct Microcode:         # of the compartments of one population on one core
    const Instruction *steps   # NULL: a native kernel runs them
    int32_t n_steps
    int32_t *words             # (n_words, n_cells): state words, then parameters
    int64_t n_cells
    int64_t n_states
    int64_t n_rows             # states and parameters
    const int32_t *numbers     # (n_numbers, LANES): each number as often as there are lanes
    int32_t has_payload
    uint32_t first_id          # number of the first compartment in the network, for random bits

cdef struct Watch:             # one compartment whose every instruction is noted
    int64_t compartment        # or -1
    int32_t *rows              # (n_steps, 3): executed, the flag, the value written

cdef struct Lanes:             # what a worker needs for a block
    int32_t registers[16 * LANES]
    uint8_t live[LANES]
    uint8_t flag[LANES]
    int32_t waits[LANES]         # instruction at which a compartment that jumped goes on

cdef void run_microcode(
    const Microcode *program,
    Lanes *lanes,
    int32_t *inputs,
    int32_t accumulator_shift,
    uint8_t *fired,
    int32_t *payload,
    int64_t first,
    uint32_t step,
    const uint32_t *seed,
    Watch *watch,
    int64_t *n_executed,
    int64_t *n_overflows,
) noexcept nogil
