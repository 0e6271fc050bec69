"""The learning engine: visits the rows of an epoch that may change, one micro-instruction for a batch of synapses.

Semantics: docs/learning.md. Oracle: tests/oracle/learning.py. A batch holds rows of several sources; each operand is
looked up once for all synapses of it, then each product is one loop, then rounding and clipping another.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

import numpy as np

from emulator.kernels.hashing cimport keyed_hash, philox_words
from emulator.kernels.lanes cimport (
    PREFETCH, adjust, copy, delays_of, fill, finish, gather, hash_lanes, hash_run, is_set, load, look_up, mac, mac2,
    multiply, put_delays, put_weights, scale_bits, weights_of, widen,
)
from emulator.kernels.plasticity cimport (
    VISIT_LANES, LearningOperand, LearningTerm, Mark, PlasticRow, PlasticRule,
    Plasticity, Supply, TraceKind,
)

cdef enum:
    PRE_AT_PRE, PRE_AT_POST, PRE_AT_END, POST_AT_PRE, POST_AT_POST, POST_AT_END
    WEIGHT, DELAY, TAG, SHARED, PRE_FIRED, POST_FIRED
    GATE_X0 = 0
    GATE_Y0 = 1
    SYNAPSE_STREAM = 4             # of random bits, see emulator/streams.py
    CONSECUTIVE = 1
    REPEATED = 2
    MOST_PIECES = 64               # rows of a batch
    ROWS_AHEAD = 6

cdef PlasticRow _row
cdef LearningTerm _term
cdef LearningOperand _operand
cdef TraceKind _kind
cdef Mark _mark
cdef Supply _supply
PLASTIC_ROW = np.asarray(<PlasticRow[:1]> &_row).dtype
TERM = np.asarray(<LearningTerm[:1]> &_term).dtype
OPERAND = np.asarray(<LearningOperand[:1]> &_operand).dtype
TRACE_KIND = np.asarray(<TraceKind[:1]> &_kind).dtype
MARK = np.asarray(<Mark[:1]> &_mark).dtype
SUPPLY = np.asarray(<Supply[:1]> &_supply).dtype


cdef struct Batch:                 # rows of one rule that are visited together
    int32_t n
    int32_t n_pieces
    int64_t[64] where              # of each piece: its first synapse
    int32_t[64] lane
    int32_t[64] length
    int32_t[272] word
    int32_t[272] index             # targets, where they are not consecutive
    int32_t[272] random
    int32_t[272] product
    int32_t[272] sum
    int32_t[3][272] before         # w, d, t
    int32_t[24][272] operand


cdef void visit(
    Plasticity *p, int64_t step, int n_workers, int32_t first_core, int32_t stop_core, uint32_t *visits
) noexcept nogil:
    """Update the synapses on some cores, of every rule whose epoch ends with this step; add up visits by block."""
    cdef int r
    for r in range(p.n_rules):
        if (step + 1) % p.rules[r].epoch == 0:
            visit_rule(p, &p.rules[r], step, n_workers, first_core, stop_core, visits)


cdef bint may_act(const PlasticRule *rule, const LearningTerm *term, int n_workers) noexcept nogil:
    """Return whether a product can be other than zero anywhere in this epoch, as far as all rows share it."""
    cdef int i, fired = 0
    if term.mantissa == 0:
        return False
    if term.gate == GATE_Y0:
        for i in range(n_workers):
            fired |= rule.any_fired[i]
        if not fired:
            return False
    elif term.gate > GATE_Y0 and not rule.shared[2 + term.k]:
        return False
    for i in range(term.n_needs):
        if term.need_source[i] == SHARED and not rule.shared[term.need_index[i]]:
            return False
    return True


cdef inline bint acts(const PlasticRule *rule, const LearningTerm *term, int64_t pre) noexcept nogil:
    """Return whether a product can be other than zero in the rows of a source."""
    cdef int i
    cdef uint8_t live = rule.seen[rule.n_pre + pre]
    cdef const uint8_t *path
    if term.gate == GATE_X0 and not live & 1:
        return False
    for i in range(term.n_needs):
        if term.need_source[i] == PRE_AT_POST and not live & 2 << term.need_index[i]:
            return False
        if term.need_source[i] == PRE_AT_END and not live & 8 << term.need_index[i]:
            return False
        if term.need_source[i] == PRE_FIRED and not live & 1:
            return False
        if term.need_source[i] == PRE_AT_PRE:
            path = rule.history + (pre * 2 + term.need_index[i]) * (rule.epoch + 1)
            if not path[rule.seen[pre]]:
                return False
    return True


cdef bint needs_source(const LearningTerm *term) noexcept nogil:
    """Return whether a product is zero in the rows of a source that was silent and has no trace."""
    cdef int i
    for i in range(term.n_needs):
        if term.need_source[i] in (PRE_AT_POST, PRE_AT_END, PRE_FIRED, PRE_AT_PRE):
            return True
    return term.gate == GATE_X0


cdef int64_t next_live(const PlasticRule *rule, int64_t pre) noexcept nogil:
    """Return the next source, from this one on, of which anything is not zero; n_pre if there is none."""
    cdef const uint8_t *live = rule.seen + rule.n_pre
    cdef uint64_t eight
    while pre < rule.n_pre:
        if pre + 8 <= rule.n_pre:
            memcpy(&eight, live + pre, 8)
            if not eight:
                pre += 8
                continue
        if live[pre]:
            return pre
        pre += 1
    return rule.n_pre


cdef void visit_rule(
    Plasticity *p, PlasticRule *rule, int64_t step, int n_workers, int32_t first_core, int32_t stop_core,
    uint32_t *visits,
) noexcept nogil:
    cdef Batch batch
    cdef const LearningTerm *terms[64]
    cdef int n_terms = 0, i
    cdef bint skips = True
    cdef int64_t pre, after, r
    cdef uint32_t[4] key
    cdef const PlasticRow *row
    for i in range(rule.n_terms):
        if may_act(rule, &rule.terms[i], n_workers):
            terms[n_terms] = &rule.terms[i]
            n_terms += 1
            skips = skips and needs_source(&rule.terms[i])
    if n_terms == 0:
        return
    philox_words(key, <uint32_t>step, <uint32_t>rule.number, SYNAPSE_STREAM, 0, p.seed)
    batch.n = batch.n_pieces = 0
    pre = next_live(rule, 0) if skips else 0
    while pre < rule.n_pre:
        after = next_live(rule, pre + 1) if skips else pre + 1
        if after < rule.n_pre:
            PREFETCH(&rule.rows[rule.first_row[after]])
            PREFETCH(&p.packed[rule.rows[rule.first_row[after]].start])
        for i in range(n_terms):
            if acts(rule, terms[i], pre):
                break
        else:
            pre = after
            continue
        for r in range(rule.first_row[pre], rule.first_row[pre + 1]):
            row = &rule.rows[r]
            if first_core <= p.block_core[row.block] < stop_core:
                visits[row.block] += row.length
                add_row(p, rule, row, pre, key, terms, n_terms, &batch)
        pre = after
    finish_batch(p, rule, terms, n_terms, &batch)


cdef void add_row(
    Plasticity *p, PlasticRule *rule, const PlasticRow *row, int64_t pre, const uint32_t *key,
    const LearningTerm **terms, int n_terms, Batch *batch,
) noexcept nogil:
    """Put a row into the batch, which is finished whenever it is full."""
    cdef int64_t done = 0, n
    while done < row.length:
        if batch.n == VISIT_LANES or batch.n_pieces == MOST_PIECES:
            finish_batch(p, rule, terms, n_terms, batch)
        n = min(<int64_t>(row.length - done), <int64_t>(VISIT_LANES - batch.n))
        add_piece(p, rule, row, done, n, pre, key, batch)
        done += n


cdef void add_piece(
    Plasticity *p, PlasticRule *rule, const PlasticRow *row, int64_t done, int64_t n, int64_t pre,
    const uint32_t *key, Batch *batch,
) noexcept nogil:
    cdef int32_t lane = batch.n, o, k, repeats = 0
    cdef const LearningOperand *operand
    cdef int32_t *x
    cdef int32_t *word = batch.word + lane
    cdef int32_t *index = batch.index + lane
    cdef const int32_t *post = p.post_of + p.block_first[row.block]
    cdef const uint32_t *packed = p.packed + row.start + done
    cdef bint dense = row.flags & CONSECUTIVE
    cdef int64_t first
    cdef uint32_t k0, k1
    memcpy(word, packed, n * sizeof(int32_t))
    first = post[word[0] & 0xFFFF]
    if not dense:
        for k in range(n):
            index[k] = post[word[k] & 0xFFFF]
    for o in range(rule.n_operands):
        operand = &rule.operands[o]
        x = batch.operand[o] + lane
        look(rule, operand, x, index, first, n, pre, dense)
    if rule.rounding == 2:
        k0 = keyed_hash(<uint32_t>pre, key[0], key[1])
        k1 = keyed_hash(<uint32_t>pre, key[2], key[3])
        if dense:
            hash_run(batch.random + lane, n, <uint32_t>first, k0, k1)
        elif row.flags & REPEATED:   # the same target again: another number for each
            for k in range(n):
                repeats = ordinal_of(p, row, done + k)
                batch.random[lane + k] = <int32_t>keyed_hash(
                    <uint32_t>index[k] + <uint32_t>repeats * <uint32_t>0x9E3779B9, k0, k1
                )
        else:
            hash_lanes(batch.random + lane, index, n, k0, k1)
    batch.where[batch.n_pieces] = row.start + done
    batch.lane[batch.n_pieces] = lane
    batch.length[batch.n_pieces] = <int32_t>n
    batch.n_pieces += 1
    batch.n += <int32_t>n


cdef int32_t ordinal_of(const Plasticity *p, const PlasticRow *row, int64_t k) noexcept nogil:
    """Return how many synapses onto the same target stand before this one in its row."""
    cdef int32_t n = 0
    cdef const uint32_t *packed = p.packed + row.start
    while k > 0 and (packed[k - 1] & 0xFFFF) == (packed[k] & 0xFFFF):
        n += 1
        k -= 1
    return n


cdef inline void look(
    PlasticRule *rule, const LearningOperand *operand, int32_t *x, const int32_t *index, int64_t first, int64_t n,
    int64_t pre, bint dense,
) noexcept nogil:
    """Look up an operand for n synapses of a source."""
    cdef int32_t epoch = rule.epoch, k, value
    cdef const uint8_t *column
    cdef const uint8_t *path = rule.history + (pre * 2 + operand.index) * (epoch + 1)
    cdef const uint8_t *when = rule.own + 3 * rule.stride
    cdef bint live = rule.seen[rule.n_pre + pre] != 0
    cdef int32_t[64] table
    if operand.source == PRE_AT_POST:
        if not live:
            fill(x, n, 0)
        elif epoch == 1 and dense:
            scale_bits(x, when + first, n, path[1])
        elif not dense:
            table[0] = 0
            for k in range(1, epoch + 1):
                table[k] = path[k]
            for k in range(n):
                x[k] = table[when[index[k]]]
        else:
            table[0] = 0
            for k in range(1, epoch + 1):
                table[k] = path[k]
            look_up(x, when + first, table, n)
        return
    if POST_AT_PRE <= operand.source <= POST_AT_END or operand.source == POST_FIRED:
        if operand.source == POST_FIRED:
            column = when
        elif operand.source == POST_AT_POST:
            column = rule.own + operand.index * rule.stride
        else:
            k = epoch if operand.source == POST_AT_END else rule.seen[pre]
            column = rule.planes + (operand.index * (epoch + 1) + k) * rule.stride
        if dense:
            widen(x, column + first, n)
        else:
            gather(x, column, index, n)
        if operand.source == POST_FIRED:
            is_set(x, n)
        return
    if operand.source in (WEIGHT, DELAY, TAG):
        return                         # of the whole batch, later
    if operand.source == SHARED:
        value = rule.shared[operand.index]
    elif operand.source == PRE_FIRED:
        value = rule.seen[pre] != 0
    elif not live:
        value = 0
    elif operand.source == PRE_AT_END:
        value = path[epoch]
    else:
        value = path[rule.seen[pre]] if rule.seen[pre] else 0
    fill(x, n, value)


cdef void finish_batch(
    Plasticity *p, PlasticRule *rule, const LearningTerm **terms, int n_terms, Batch *batch
) noexcept nogil:
    """Run the rule for all synapses of the batch, write them back, and empty it."""
    cdef int64_t n = batch.n
    cdef int i, j, o, target
    cdef const LearningOperand *operand
    if n == 0:
        return
    weights_of(batch.before[0], batch.word, n)
    delays_of(batch.before[1], batch.word, n)
    if rule.tags != NULL:
        for i in range(batch.n_pieces):
            for j in range(batch.length[i]):
                batch.before[2][batch.lane[i] + j] = rule.tags[batch.where[i] - rule.first_synapse + j]
    for o in range(rule.n_operands):
        operand = &rule.operands[o]
        if operand.source in (WEIGHT, DELAY, TAG):
            copy(batch.operand[o], batch.before[operand.source - WEIGHT], n)
        if operand.constant or operand.is_sign:
            adjust(batch.operand[o], n, operand.constant, operand.is_sign, operand.low, operand.high)
    for target in range(3):
        if not rule.targets >> target & 1:
            continue
        load(batch.sum, batch.before[target], n)
        for i in range(n_terms):
            if terms[i].target == target:
                add_product(rule, terms[i], batch)
        finish(
            batch.sum, batch.random, n, rule.rounding, 25 - 7 * target, rule.low[target], rule.high[target]
        )
        if target == 0:
            put_weights(batch.word, batch.sum, n)
        elif target == 1:
            put_delays(batch.word, batch.sum, n)
        else:
            for i in range(batch.n_pieces):
                for j in range(batch.length[i]):
                    rule.tags[batch.where[i] - rule.first_synapse + j] = <int16_t>batch.sum[batch.lane[i] + j]
    if rule.targets & 3:
        for i in range(batch.n_pieces):
            memcpy(p.packed + batch.where[i], batch.word + batch.lane[i], batch.length[i] * sizeof(int32_t))
    batch.n = batch.n_pieces = 0


cdef void add_product(const PlasticRule *rule, const LearningTerm *term, Batch *batch) noexcept nogil:
    cdef int64_t n = batch.n
    cdef int j
    cdef int32_t low = rule.accumulator_low, high = rule.accumulator_high
    if term.n_operands == 0:
        fill(batch.product, n, 1)
        mac(batch.sum, batch.product, n, term.mantissa, term.down, term.up, low, high)
    elif term.n_operands == 1:
        mac(batch.sum, batch.operand[term.operands[0]], n, term.mantissa, term.down, term.up, low, high)
    elif term.n_operands == 2:
        mac2(
            batch.sum, batch.operand[term.operands[0]], batch.operand[term.operands[1]], n, term.mantissa, term.down,
            term.up, low, high,
        )
    else:
        copy(batch.product, batch.operand[term.operands[0]], n)
        for j in range(1, term.n_operands):
            multiply(batch.product, batch.operand[term.operands[j]], n)
        mac(batch.sum, batch.product, n, term.mantissa, term.down, term.up, low, high)


cdef void fill_rule(PlasticRule *rule, dict given) except *:
    cdef const LearningTerm[::1] terms = given["terms"]
    cdef const LearningOperand[::1] operands = given["operands"]
    cdef const TraceKind[::1] kinds = given["kinds"]
    cdef uint8_t[::1] pre = given["pre"], post = given["post"], planes = given["planes"]
    cdef uint8_t[::1] own = given["own"], history = given["history"], seen = given["seen"]
    cdef const uint32_t[::1] first_row = given["first_row"]
    cdef const PlasticRow[::1] rows = given["rows"]
    cdef int16_t[::1] tags = given["tags"]
    cdef int32_t[::1] rewards = given["rewards"]
    cdef int k
    rule.number, rule.epoch, rule.rounding = given["number"], given["epoch"], given["rounding"]
    rule.rounds_up, rule.counts_steps = given["rounds_up"], given["counts_steps"]
    rule.targets, rule.stride = given["targets"], given["stride"]
    rule.accumulator_low, rule.accumulator_high = given["accumulator"]
    for k in range(3):
        rule.low[k], rule.high[k] = given["limits"][k]
    rule.n_pre, rule.n_post = given["n_pre"], given["n_post"]
    rule.terms, rule.n_terms = &terms[0], <int32_t>terms.shape[0]
    rule.operands, rule.n_operands = (&operands[0] if operands.shape[0] else NULL), <int32_t>operands.shape[0]
    rule.kinds, rule.pre, rule.post, rule.planes = &kinds[0], &pre[0], &post[0], &planes[0]
    rule.own, rule.history, rule.seen = &own[0], &history[0], &seen[0]
    rule.first_row, rule.rows = &first_row[0], (&rows[0] if rows.shape[0] else NULL)
    rule.first_synapse, rule.tags = given["first_synapse"], (&tags[0] if tags.shape[0] else NULL)
    rule.rewards = &rewards[0]


cdef class Learning:
    """The plastic synapses of a program, and the arrays that a run changes.

    Parameters
    ----------
    rules : sequence of dict
        For each projection that learns the fields of `PlasticRule`: numbers, and arrays by the names of its pointers.
    tables : dict of str to ndarray
        `packed` (changed in place), `post_of`, `block_core`, `block_first`, `mark_start`, `marks`, `supplies`, `words`.
    """

    def __cinit__(self, rules, dict tables):
        cdef int r
        cdef uint32_t[::1] packed = tables["packed"]
        cdef const int32_t[::1] post_of = tables["post_of"], block_core = tables["block_core"]
        cdef const int32_t[::1] block_first = tables["block_first"]
        cdef const int32_t[::1] words = tables["words"]
        cdef const uint32_t[::1] mark_start = tables["mark_start"]
        cdef const Mark[::1] marks = tables["marks"]
        cdef const Supply[::1] supplies = tables["supplies"]
        cdef Plasticity *p = &self.plasticity
        self._keep = [packed, post_of, block_core, block_first, words, mark_start, marks, supplies, list(rules)]
        p.packed, p.post_of, p.block_core, p.block_first = &packed[0], &post_of[0], &block_core[0], &block_first[0]
        p.mark_start, p.marks = &mark_start[0], &marks[0]
        p.supplies, p.n_supplies = (&supplies[0] if supplies.shape[0] else NULL), <int32_t>supplies.shape[0]
        p.words = &words[0] if words.shape[0] else NULL
        p.n_rules = len(rules)
        p.rules = <PlasticRule *>calloc(len(rules), sizeof(PlasticRule))
        if p.rules == NULL:
            raise MemoryError
        for r in range(len(rules)):
            fill_rule(&p.rules[r], rules[r])

    def __dealloc__(self):
        free(self.plasticity.rules)
