"""What the learning engine works on. Declarations only."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t

from emulator.kernels.devices cimport DeviceKind

cdef enum:
    PIECE = 256                    # synapses of a row that are worked on at a time
    MAX_EPOCH = 63
    MOST_OPERANDS = 24
    MOST_FACTORS = 8
    N_SHARED = 12                  # r0, r1, u0 to u9

cdef enum:                         # where an operand comes from, as emulator.learning.Source
    PRE_AT_PRE, PRE_AT_POST, PRE_AT_END, POST_AT_PRE, POST_AT_POST, POST_AT_END
    WEIGHT, DELAY, TAG, SHARED, PRE_FIRED, POST_FIRED

cdef enum:                         # roundings; 0 is down
    NEAREST = 1
    STOCHASTIC = 2

cdef struct PlasticRow:            # plastic synapses of one source on one core
    uint32_t start
    uint16_t length
    uint16_t block                 # learning block: counts the visits of one rule on one core
    int32_t first                  # the neuron that a synapse's target counts from
    uint32_t flags                 # 1: targets are consecutive; 2: some target stands there more than once

cdef struct LearningTerm:
    int32_t target                 # 0 w, 1 d, 2 t
    int32_t gate                   # 0 x0, 1 y0, 2 u
    int32_t k                      # of u_k
    int32_t mantissa
    int32_t down
    int32_t up
    int32_t n_operands
    int32_t[8] operands
    int32_t n_needs
    int32_t[8] need_source
    int32_t[8] need_index

cdef struct LearningOperand:
    int32_t source
    int32_t index
    int32_t constant
    int32_t is_sign
    int32_t low                    # it is clipped to
    int32_t high

cdef struct TraceKind:             # of x1, x2, y1, y2, y3
    int32_t kept                   # 0 not at all, 1 from spikes, 2 supplied by neuron programs
    int32_t impulse
    int32_t impulse_up             # rounded up
    uint32_t impulse_chance        # of one more, of 65536
    int32_t[128] decayed
    uint32_t[128] chance           # of one more, of 65536

cdef struct PlasticRule:           # a projection that learns
    int32_t number                 # of the projection, for random bits
    int32_t epoch
    int32_t rounding               # 0 down, 1 nearest, 2 stochastic
    int32_t rounds_up              # whether second impulses are rounded up
    int32_t counts_steps           # whether u_k counts steps
    int32_t targets                # bit mask: 1 w, 2 d, 4 t
    int32_t loose                  # bit mask: targets of which some value may be beyond its limits or the accumulator
    int32_t[3] low                 # of w, d, t
    int32_t[3] high
    int32_t accumulator_low
    int32_t accumulator_high
    int64_t n_pre
    int64_t n_post
    int64_t stride                 # of the planes of targets
    int32_t n_terms
    int32_t n_operands
    const LearningTerm *terms
    const LearningOperand *operands
    const TraceKind *kinds         # (5,)
    uint8_t *pre                   # (3, n_pre): x1, x2, when it fired last in this epoch, from 1; 0: not
    uint8_t *post                  # (4, n_post): y1, y2, y3, when
    uint8_t *planes                # (3, epoch + 1, stride): y1, y2, y3 at each step of the epoch
    uint8_t *own                   # (4, stride): y1, y2, y3 when the target fired last, and when that was
    uint8_t *history               # (n_pre, 2, epoch + 1): x1, x2 at each step of the epoch
    uint8_t *seen                  # (2, n_pre): when each source fired last, and what of it is not zero
    const uint32_t *first_row      # (n_pre + 1,)
    const PlasticRow *rows
    int64_t first_synapse
    int16_t *tags                  # of its synapses; NULL: it has none
    const DeviceKind *devices      # that hold the weights; NULL: plain memory
    int32_t *rewards               # (2,) sums of this epoch
    int32_t[12] shared             # of the epoch that has ended
    int32_t[64] n_fired            # of the targets that each worker looked at

cdef struct Mark:                  # a source's place at one end of a rule
    int32_t rule
    int32_t side                   # 0 pre, 1 post
    int32_t index

cdef struct Supply:                # a state word that stands for a trace
    int32_t segment
    int32_t rule
    int32_t trace                  # 0 to 2
    int32_t n
    int64_t word                   # first of them
    int64_t first                  # target

cdef struct Plasticity:
    PlasticRule *rules
    int32_t n_rules
    const uint32_t *mark_start     # (n_sources + 1,)
    const Mark *marks
    const Supply *supplies
    int32_t n_supplies
    const int32_t *words
    uint32_t *packed               # the synapses
    const int32_t *block_core      # of each learning block
    uint32_t[2] seed
