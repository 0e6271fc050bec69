"""The rows of one rule that are visited, and a piece of one: see ext/piece.pyx."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint32_t

from emulator.kernels.lanes cimport scale_t
from emulator.kernels.plasticity cimport LearningTerm, PlasticRow, PlasticRule, Plasticity

cdef enum:
    QUEUE = 32                     # rows; a power of two

cdef struct Product:               # a term, as far as it is the same for all rows of an epoch
    const LearningTerm *term
    int32_t coefficient
    int32_t n_scalars
    int32_t n_lanes
    int32_t[8] scalars             # operands of one number for a row
    int32_t[8] lanes               # operands of a number for each synapse

cdef struct Visit:                 # of the rows of one rule
    Plasticity *p
    PlasticRule *rule
    uint32_t[4] key
    uint32_t[4] cycle              # key of what pulses deviate in this step, where there are devices
    bint few_fired                 # of the targets
    int32_t n_products
    Product[64] products
    # The source whose rows are being visited: the products that act, and what they need.
    int64_t pre
    int32_t n_acting
    int32_t[64] acting
    scale_t[64] scale
    bint is_simple                 # weights only, and one or two products of one lane each
    uint32_t needed                # bit mask of operands
    int32_t targets                # bit mask
    bint gated                     # all products wait for spikes of the target, of which there are few
    uint32_t k0
    uint32_t k1
    # Rows that were asked for and are not visited yet.
    int64_t n_asked
    int64_t n_visited
    const PlasticRow *row[32]
    int64_t[32] row_pre
    # One piece of a row. Loops run to whole vectors.
    int32_t[272] at                # where in the row, if its synapses are not worked on in place
    int32_t[272] index             # targets
    int32_t[272] id                # for random bits: target, and which of several synapses onto it
    int32_t[272] word
    int16_t[272] tag
    int32_t[272] random
    int32_t[272] product
    int32_t[272] sum
    int16_t[24][272] lanes

cdef void look_up(
    Visit *v, const int32_t *word, const int16_t *tag, int64_t n, int64_t first, const int32_t *index
) noexcept nogil
cdef void work(Visit *v, int32_t *word, int16_t *tag, int64_t n) noexcept nogil
