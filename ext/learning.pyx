"""The learning engine: visits the rows of an epoch that may change, one micro-instruction to a piece at a time.

Semantics: docs/learning.md. Oracle: tests/oracle/learning.py. Where all products that are left wait for spikes of the
target (gate y0) and few fired, only the synapses of these are worked on: the others keep their values.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

import numpy as np

from emulator.kernels.devices cimport Devices, cycle_key
from emulator.kernels.hashing cimport keyed_hash, philox_words
from emulator.kernels.lanes cimport PREFETCH, hash_lanes, hash_run, scale_t
from emulator.kernels.piece cimport QUEUE, Product, Visit, look_up, work
from emulator.kernels.plasticity cimport (
    PIECE, PRE_AT_END, PRE_AT_POST, PRE_AT_PRE, PRE_FIRED, SHARED, STOCHASTIC, LearningOperand,
    LearningTerm, Mark, PlasticRow, PlasticRule, Plasticity, Supply, TraceKind,
)

cdef enum:
    GATE_X0 = 0
    GATE_Y0 = 1
    SYNAPSE_STREAM = 4             # of random bits, see emulator/streams.py
    CONSECUTIVE = 1
    REPEATED = 2
    SOURCES = 32                   # whose rows are fetched together
    ROWS_AHEAD = 16

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
            fired |= rule.n_fired[i] != 0
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


cdef bint is_lane(const LearningOperand *operand) noexcept nogil:
    """Return whether an operand differs between the synapses of a row."""
    return operand.source not in (PRE_AT_PRE, PRE_AT_END, SHARED, PRE_FIRED)


cdef inline int32_t adjusted(const LearningOperand *operand, int32_t value) noexcept nogil:
    """Return an operand with its constant, or its sign, as it is clipped."""
    if not (operand.constant or operand.is_sign):
        return value
    value += operand.constant
    if operand.is_sign:
        value = (value > 0) - (value < 0)
    return min(operand.high, max(operand.low, value))


cdef inline int32_t number_of(const PlasticRule *rule, const LearningOperand *operand, int64_t pre) noexcept nogil:
    """Return an operand that is one number for all rows of a source."""
    cdef int32_t seen = rule.seen[pre], at = rule.epoch if operand.source == PRE_AT_END else seen
    if operand.source == PRE_FIRED:
        return adjusted(operand, seen != 0)
    if not at or not rule.seen[rule.n_pre + pre]:
        return adjusted(operand, 0)
    return adjusted(operand, rule.history[(pre * 2 + operand.index) * (rule.epoch + 1) + at])


cdef void add_term(Visit *v, const LearningTerm *term) noexcept nogil:
    """Note a term that may act in this epoch."""
    cdef Product *product = &v.products[v.n_products]
    cdef const LearningOperand *operand
    cdef int j
    product.term, product.coefficient = term, term.mantissa
    product.n_scalars = product.n_lanes = 0
    for j in range(term.n_operands):
        operand = &v.rule.operands[term.operands[j]]
        if operand.source == SHARED:
            product.coefficient *= adjusted(operand, v.rule.shared[operand.index])
        elif is_lane(operand):
            product.lanes[product.n_lanes] = term.operands[j]
            product.n_lanes += 1
        else:
            product.scalars[product.n_scalars] = term.operands[j]
            product.n_scalars += 1
    v.n_products += 1


cdef void take_source(Visit *v, int64_t pre) noexcept nogil:
    """Find what acts in the rows of a source. Products of zero, which change nothing, are left out."""
    cdef PlasticRule *rule = v.rule
    cdef const Product *product
    cdef int32_t t, j, coefficient
    v.pre, v.n_acting, v.needed = pre, 0, 0
    v.targets = 0
    v.gated = v.few_fired
    v.is_simple = True
    for t in range(v.n_products):
        product = &v.products[t]
        if not acts(rule, product.term, pre):
            continue
        coefficient = product.coefficient
        for j in range(product.n_scalars):
            coefficient *= number_of(rule, &rule.operands[product.scalars[j]], pre)
        if not coefficient:
            continue
        for j in range(product.n_lanes):
            v.needed |= <uint32_t>1 << product.lanes[j]
        v.targets |= 1 << product.term.target
        v.gated &= product.term.gate == GATE_Y0
        v.acting[v.n_acting] = t
        v.scale[v.n_acting] = scale_t(coefficient, product.term.down, product.term.up)
        v.n_acting += 1
        v.is_simple &= product.n_lanes == 1
    v.is_simple &= v.targets == 1 and v.n_acting <= 2 and rule.devices == NULL and not rule.loose & 1
    if rule.rounding == STOCHASTIC:
        v.k0 = keyed_hash(<uint32_t>pre, v.key[0], v.key[1])
        v.k1 = keyed_hash(<uint32_t>pre, v.key[2], v.key[3])


cdef void visit_rule(
    Plasticity *p, PlasticRule *rule, int64_t step, int n_workers, int32_t first_core, int32_t stop_core,
    uint32_t *visits,
) noexcept nogil:
    cdef Visit v
    cdef int i, n
    cdef int64_t n_fired = 0
    cdef bint skips = True
    cdef int64_t pre, r
    cdef int64_t[32] sources
    cdef const PlasticRow *row
    v.p, v.rule, v.pre, v.n_products = p, rule, -1, 0
    v.n_asked = v.n_visited = 0
    for i in range(rule.n_terms):
        if may_act(rule, &rule.terms[i], n_workers):
            add_term(&v, &rule.terms[i])
            skips = skips and needs_source(&rule.terms[i])
    if v.n_products == 0:
        return
    for i in range(n_workers):
        n_fired += rule.n_fired[i]
    v.few_fired = 16 * n_fired <= rule.n_post
    philox_words(v.key, <uint32_t>step, <uint32_t>rule.number, SYNAPSE_STREAM, 0, p.seed)
    if rule.devices != NULL:
        cycle_key(rule.devices, step, p.seed, v.cycle)
    pre = next_live(rule, 0) if skips else 0
    while pre < rule.n_pre:
        n = 0
        while pre < rule.n_pre and n < SOURCES:
            for i in range(v.n_products):
                if acts(rule, v.products[i].term, pre):
                    PREFETCH(&rule.first_row[pre])
                    sources[n] = pre
                    n += 1
                    break
            pre = next_live(rule, pre + 1) if skips else pre + 1
        for i in range(n):
            PREFETCH(&rule.rows[rule.first_row[sources[i]]])
        for i in range(n):
            for r in range(rule.first_row[sources[i]], rule.first_row[sources[i] + 1]):
                row = &rule.rows[r]
                if first_core <= p.block_core[row.block] < stop_core:
                    visits[row.block] += row.length
                    ask_for(&v, row, sources[i])
    while v.n_visited < v.n_asked:
        visit_next(&v)


cdef inline void ask_for(Visit *v, const PlasticRow *row, int64_t pre) noexcept nogil:
    """Have the synapses of a row fetched, and visit one that was asked for earlier."""
    PREFETCH(v.p.packed + row.start)
    PREFETCH(v.p.packed + row.start + row.length - 1)
    v.row[v.n_asked % QUEUE], v.row_pre[v.n_asked % QUEUE] = row, pre
    v.n_asked += 1
    if v.n_asked - v.n_visited > ROWS_AHEAD:
        visit_next(v)


cdef void visit_next(Visit *v) noexcept nogil:
    cdef const PlasticRow *row = v.row[v.n_visited % QUEUE]
    cdef int64_t pre = v.row_pre[v.n_visited % QUEUE]
    v.n_visited += 1
    if pre != v.pre:
        take_source(v, pre)
    if v.n_acting == 0 or row.length == 0:
        return
    if v.gated or not row.flags & CONSECUTIVE or v.rule.devices != NULL:
        visit_picked(v, row)
    else:
        visit_run(v, row)


cdef void visit_run(Visit *v, const PlasticRow *row) noexcept nogil:
    """Visit all synapses of a row onto consecutive targets, in place."""
    cdef PlasticRule *rule = v.rule
    cdef uint32_t *word = v.p.packed + row.start
    cdef int64_t done = 0, n, first = row.first + <int64_t>(word[0] & 0xFFFF)
    cdef int16_t *tag
    while done < row.length:
        n = min(<int64_t>PIECE, row.length - done)
        tag = NULL if rule.tags == NULL else rule.tags + (row.start - rule.first_synapse + done)
        look_up(v, <int32_t *>(word + done), tag, n, first + done, NULL)
        if rule.rounding == STOCHASTIC:
            hash_run(v.random, n, <uint32_t>(first + done), v.k0, v.k1)
        work(v, <int32_t *>(word + done), tag, n)
        done += n


cdef inline int32_t pick(
    Visit *v, const uint32_t *word, int32_t first, const uint8_t *when, int32_t length, int32_t *k
) noexcept nogil:
    """List the synapses of a row whose target fired, or all, from k on, as far as a piece holds."""
    cdef int32_t n = 0, i, at = k[0]
    if not v.gated:
        n = min(<int32_t>PIECE, length - at)
        for i in range(n):
            v.at[i], v.index[i] = at + i, first + <int32_t>(word[at + i] & 0xFFFF)
        at += n
    while at < length and n < PIECE:
        i = first + <int32_t>(word[at] & 0xFFFF)
        v.at[n], v.index[n] = at, i
        n += when[i] != 0
        at += 1
    k[0] = at
    return n


cdef inline int32_t pick_fired(
    Visit *v, const uint8_t *when, int32_t first, int32_t length, int32_t *k
) noexcept nogil:
    """List the synapses of a row onto consecutive targets that fired, as `pick` does."""
    cdef int32_t n = 0, at = k[0]
    cdef uint64_t eight
    while at < length and n < PIECE:
        memcpy(&eight, when + first + at, 8)
        if not eight:
            at += 8
            continue
        if when[first + at]:
            v.at[n], v.index[n] = at, first + at
            n += 1
        at += 1
    k[0] = at
    return n


cdef void visit_picked(Visit *v, const PlasticRow *row) noexcept nogil:
    """Visit the synapses of a row whose target fired, or all, in a copy."""
    cdef PlasticRule *rule = v.rule
    cdef uint32_t *word = v.p.packed + row.start
    cdef const uint8_t *when = rule.own + 3 * rule.stride
    cdef int16_t *tag = NULL if rule.tags == NULL else rule.tags + (row.start - rule.first_synapse)
    cdef int32_t k = 0, j, n
    while k < row.length:
        if v.gated and row.flags & CONSECUTIVE:
            n = pick_fired(v, when, row.first + <int32_t>(word[0] & 0xFFFF), row.length, &k)
        else:
            n = pick(v, word, row.first, when, row.length, &k)
        if n == 0:
            return
        if v.gated:
            for j in range(n):
                v.word[j] = <int32_t>word[v.at[j]]
        else:
            memcpy(v.word, word + v.at[0], n * sizeof(int32_t))
        if tag != NULL:
            for j in range(n):
                v.tag[j] = tag[v.at[j]]
        look_up(v, v.word, v.tag, n, 0, v.index)
        memcpy(v.id, v.index, n * sizeof(int32_t))
        if row.flags & REPEATED:       # the same target again: another number for each
            for j in range(n):
                v.id[j] += <int32_t>(ordinal_of(word, v.at[j]) * <uint32_t>0x9E3779B9)
        if rule.rounding == STOCHASTIC:
            hash_lanes(v.random, v.id, n, v.k0, v.k1)
        work(v, v.word, v.tag, (n + 15) & ~15)
        if v.gated:
            for j in range(n):
                word[v.at[j]] = <uint32_t>v.word[j]
        else:
            memcpy(word + v.at[0], v.word, n * sizeof(int32_t))
        if v.targets & 4:
            for j in range(n):
                tag[v.at[j]] = v.tag[j]


cdef uint32_t ordinal_of(const uint32_t *word, int64_t k) noexcept nogil:
    """Return how many synapses onto the same target stand before this one in its row."""
    cdef uint32_t n = 0
    while k > 0 and (word[k - 1] & 0xFFFF) == (word[k] & 0xFFFF):
        n += 1
        k -= 1
    return n


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
    rule.targets, rule.stride, rule.loose = given["targets"], given["stride"], given["loose"]
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
    cdef Devices devices = given["devices"]
    rule.devices = &devices.kind if devices is not None else NULL


cdef class Learning:
    """The plastic synapses of a program, and the arrays that a run changes.

    Parameters
    ----------
    rules : sequence of dict
        For each projection that learns the fields of `PlasticRule`: numbers, and arrays by the names of its pointers.
    tables : dict of str to ndarray
        `packed` (changed in place), `block_core`, `mark_start`, `marks`, `supplies`, `words`.
    """

    def __cinit__(self, rules, dict tables):
        cdef int r
        cdef uint32_t[::1] packed = tables["packed"]
        cdef const int32_t[::1] block_core = tables["block_core"]
        cdef const int32_t[::1] words = tables["words"]
        cdef const uint32_t[::1] mark_start = tables["mark_start"]
        cdef const Mark[::1] marks = tables["marks"]
        cdef const Supply[::1] supplies = tables["supplies"]
        cdef Plasticity *p = &self.plasticity
        self._keep = [packed, block_core, words, mark_start, marks, supplies, list(rules)]
        p.packed, p.block_core = &packed[0], &block_core[0]
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
