"""A piece of a plastic row: operands are looked up, then each product is one loop over its synapses.

The most common rules, weights plus one or two products of one factor each, are one loop in all.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t
from libc.string cimport memcpy, memset

from emulator.kernels.devices cimport respond
from emulator.kernels.lanes cimport (
    adjust, delays_of, is_set, learn1, learn2, load_delays, load_tags, load_weights, mac, mac0, mac1, mac2, multiply,
    put_delays, put_tags, put_weights, range_t, scale_bits, scale_t, start, weights_of, widen,
)
from emulator.kernels.plasticity cimport (
    DELAY, NEAREST, POST_AT_END, POST_AT_POST, POST_FIRED, PRE_AT_POST, STOCHASTIC, TAG, WEIGHT, LearningOperand,
    PlasticRule,
)


cdef void look_up(
    Visit *v, const int32_t *word, const int16_t *tag, int64_t n, int64_t first, const int32_t *index
) noexcept nogil:
    """Look up the operands that differ between synapses: of targets from `first` on, or of those in `index`."""
    cdef PlasticRule *rule = v.rule
    cdef const LearningOperand *operand
    cdef int32_t o
    cdef int16_t *x
    for o in range(rule.n_operands):
        if not v.needed >> o & 1:
            continue
        operand, x = &rule.operands[o], v.lanes[o]
        if operand.source == WEIGHT:
            weights_of(x, word, n)
        elif operand.source == DELAY:
            delays_of(x, word, n)
        elif operand.source == TAG:
            memcpy(x, tag, n * sizeof(int16_t))
        elif operand.source == PRE_AT_POST:
            look_up_pre(v, operand, x, n, first, index)
        else:
            look_up_post(v, operand, x, n, first, index)
        if operand.constant or operand.is_sign:
            adjust(x, n, operand.constant, operand.is_sign, operand.low, operand.high)


cdef inline void look_up_pre(
    Visit *v, const LearningOperand *operand, int16_t *x, int64_t n, int64_t first, const int32_t *index
) noexcept nogil:
    """Look up a trace of the source when each target fired last; 0 where it did not."""
    cdef PlasticRule *rule = v.rule
    cdef int32_t epoch = rule.epoch, k
    cdef const uint8_t *when = rule.own + 3 * rule.stride
    cdef bint live = rule.seen[rule.n_pre + v.pre] != 0
    cdef const uint8_t *path = rule.history + (v.pre * 2 + operand.index) * (epoch + 1)
    cdef uint8_t[64] table
    if index == NULL and (epoch == 1 or not live):
        scale_bits(x, when + first, n, path[1] if live else 0)
        return
    table[0] = 0
    for k in range(1, epoch + 1):
        table[k] = path[k] if live else 0
    if index == NULL:
        for k in range(n):
            x[k] = table[when[first + k]]
    else:
        for k in range(n):
            x[k] = table[when[index[k]]]


cdef inline void look_up_post(
    Visit *v, const LearningOperand *operand, int16_t *x, int64_t n, int64_t first, const int32_t *index
) noexcept nogil:
    """Look up a trace of each target, or whether it fired."""
    cdef PlasticRule *rule = v.rule
    cdef int32_t k
    cdef const uint8_t *column
    if operand.source == POST_FIRED:
        column = rule.own + 3 * rule.stride
    elif operand.source == POST_AT_POST:
        column = rule.own + operand.index * rule.stride
    else:
        k = rule.epoch if operand.source == POST_AT_END else rule.seen[v.pre]
        column = rule.planes + (operand.index * (rule.epoch + 1) + k) * rule.stride
    if index == NULL and operand.source == POST_FIRED:
        is_set(x, column + first, n)
    elif index == NULL:
        widen(x, column + first, n)
    elif operand.source == POST_FIRED:
        for k in range(n):
            x[k] = column[index[k]] != 0
    else:
        for k in range(n):
            x[k] = column[index[k]]


cdef void work(Visit *v, int32_t *word, int16_t *tag, int64_t n) noexcept nogil:
    """Run the rule for a piece of a row whose operands are looked up."""
    cdef PlasticRule *rule = v.rule
    cdef const int32_t *random = v.random if rule.rounding == STOCHASTIC else NULL
    cdef int32_t least = 65 if rule.rounding == NEAREST else 128
    cdef int32_t target, i, loose
    cdef range_t range_of_weights
    cdef const int16_t *f
    if v.is_simple:
        range_of_weights = range_t(rule.accumulator_low, rule.accumulator_high, rule.low[0], rule.high[0], least)
        f = v.lanes[v.products[v.acting[0]].lanes[0]]
        if v.n_acting == 1:
            learn1(word, random, n, &range_of_weights, f, &v.scale[0])
        else:
            learn2(
                word, random, n, &range_of_weights, f, &v.scale[0], v.lanes[v.products[v.acting[1]].lanes[0]],
                &v.scale[1],
            )
        return
    for target in range(3):
        if not v.targets >> target & 1:
            continue
        loose = rule.loose >> target & 1
        if target == 0 and rule.devices != NULL:
            memset(v.sum, 0, n * sizeof(int32_t))  # only the pulse is added up
        elif target == 0:
            load_weights(v.sum, word, n)
        elif target == 1:
            load_delays(v.sum, word, n)
        else:
            load_tags(v.sum, tag, n)
        for i in range(v.n_acting):
            if v.products[v.acting[i]].term.target == target:
                add_product(v, &v.products[v.acting[i]], &v.scale[i], n, loose)
        if target == 0 and rule.devices != NULL:
            respond(rule.devices, v.cycle, <uint32_t>v.pre, v.id, n, word, v.sum)
        if target == 0:
            put_weights(word, v.sum, random, n, 25, least, rule.low[0], rule.high[0], loose)
        elif target == 1:
            put_delays(word, v.sum, random, n, 18, least, rule.low[1], rule.high[1], loose)
        else:
            put_tags(tag, v.sum, random, n, 11, least, rule.low[2], rule.high[2], loose)


cdef inline void add_product(
    Visit *v, const Product *product, const scale_t *scale, int64_t n, int32_t loose
) noexcept nogil:
    cdef int32_t low = v.rule.accumulator_low, high = v.rule.accumulator_high
    cdef int32_t m = scale.m, down = scale.down, up = scale.up, j
    if product.n_lanes == 0:
        mac0(v.sum, n, m, down, up, low, high, loose)
    elif product.n_lanes == 1:
        mac1(v.sum, v.lanes[product.lanes[0]], n, m, down, up, low, high, loose)
    elif product.n_lanes == 2:
        mac2(v.sum, v.lanes[product.lanes[0]], v.lanes[product.lanes[1]], n, m, down, up, low, high, loose)
    else:
        start(v.product, v.lanes[product.lanes[0]], n, m)
        for j in range(1, product.n_lanes):
            multiply(v.product, v.lanes[product.lanes[j]], n)
        mac(v.sum, v.product, n, down, up, low, high, loose)
