"""Traces of spikes for learning, and when its epochs end.

Semantics: docs/learning.md. Oracle: tests/oracle/learning.py. Within an epoch only the last spike of a source is
kept: earlier ones are added to the trace at once. At the epoch's end the trace is followed step by step.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from emulator.kernels.hashing cimport keyed_hash, philox_words
from emulator.kernels.plasticity cimport N_SHARED, Mark, PlasticRule, Plasticity, Supply, TraceKind

cdef enum:
    TRACE_STREAM = 3               # of random bits, see emulator/streams.py
    TRACE_MAX = 127
    REWARD_MIN = -128
    REWARD_MAX = 127


cdef inline void key_of(
    const Plasticity *p, const PlasticRule *rule, int side, int64_t step, uint32_t *key
) noexcept nogil:
    philox_words(key, <uint32_t>step, <uint32_t>(2 * rule.number + side), TRACE_STREAM, 0, p.seed)


cdef inline uint32_t bits_of(const uint32_t *key, int64_t i, int q) noexcept nogil:
    """Return random bits of trace q of neuron i: the lower 16 for its decay, the others for its impulse."""
    return keyed_hash(<uint32_t>i + <uint32_t>q * <uint32_t>0x9E3779B9, key[0], key[1])


cdef inline int32_t raised(const TraceKind *kind, int32_t z, uint32_t bits) noexcept nogil:
    """Return a trace after an impulse."""
    return min(<int32_t>TRACE_MAX, z + kind.impulse + <int32_t>((bits >> 16) < kind.impulse_chance))


cdef inline int32_t followed(const TraceKind *kind, int32_t z, uint32_t bits) noexcept nogil:
    """Return a trace one step later."""
    return kind.decayed[z] + <int32_t>((bits & 0xFFFF) < kind.chance[z])


cdef void mark(Plasticity *p, const uint32_t *sources, int64_t n, int64_t step) noexcept nogil:
    """Note the spikes of a step at both ends of every rule."""
    cdef int64_t i, j, m
    cdef int32_t z
    cdef int q
    cdef uint32_t[4] key
    cdef uint32_t bits
    cdef const Mark *at
    cdef PlasticRule *rule
    cdef const TraceKind *kind
    cdef uint8_t *values
    cdef uint8_t *when
    for i in range(n):
        for m in range(p.mark_start[sources[i]], p.mark_start[sources[i] + 1]):
            at = &p.marks[m]
            rule = &p.rules[at.rule]
            j = rule.n_post if at.side else rule.n_pre
            values = (rule.post if at.side else rule.pre) + at.index
            when = values + (3 if at.side else 2) * j
            if when[0]:
                for q in range(3 if at.side else 2):
                    kind = &rule.kinds[q + (2 if at.side else 0)]
                    if kind.kept != 1:
                        continue
                    z = values[q * j]
                    if not at.side and rule.rounds_up:
                        z = min(<int32_t>TRACE_MAX, z + kind.impulse_up)
                    else:
                        bits = 0
                        if kind.impulse_chance:  # with the bits of the step in which the earlier spike was
                            key_of(p, rule, at.side, step - step % rule.epoch + when[0] - 1, key)
                            bits = bits_of(key, at.index, q)
                        z = raised(kind, z, bits)
                    values[q * j] = <uint8_t>z
            when[0] = <uint8_t>(step % rule.epoch + 1)


cdef void supply(Plasticity *p, int32_t segment, int64_t step) noexcept nogil:
    """Keep what neuron programs supply in this step."""
    cdef int s
    cdef int64_t i
    cdef const Supply *one
    cdef PlasticRule *rule
    cdef uint8_t *plane
    for s in range(p.n_supplies):
        one = &p.supplies[s]
        if one.segment != segment:
            continue
        rule = &p.rules[one.rule]
        plane = rule.planes + (one.trace * (rule.epoch + 1) + step % rule.epoch + 1) * rule.stride + one.first
        for i in range(one.n):
            plane[i] = <uint8_t>p.words[one.word + i]
            rule.post[one.trace * rule.n_post + one.first + i] = plane[i]


cdef void reward(Plasticity *p, const int32_t *rewards) noexcept nogil:
    """Add the rewards of a step."""
    cdef int r, k
    for r in range(p.n_rules):
        for k in range(2):
            p.rules[r].rewards[k] = max(
                <int32_t>-(1 << 24), min(<int32_t>(1 << 24), p.rules[r].rewards[k] + rewards[k])
            )


cdef bint ends_epoch(const Plasticity *p, int64_t step) noexcept nogil:
    """Return whether an epoch of any rule ends with this step."""
    cdef int r
    for r in range(p.n_rules):
        if (step + 1) % p.rules[r].epoch == 0:
            return True
    return False


cdef void share(PlasticRule *rule, int64_t step) noexcept nogil:
    """Keep the rewards of the epoch that ends, and which u_k are 1."""
    cdef int k
    cdef int64_t count = (step + 1) if rule.counts_steps else (step + 1) // rule.epoch
    for k in range(2):
        rule.shared[k] = max(<int32_t>REWARD_MIN, min(<int32_t>REWARD_MAX, rule.rewards[k]))
        rule.rewards[k] = 0
    for k in range(N_SHARED - 2):
        rule.shared[2 + k] = count % (<int64_t>1 << k) == 0


cdef void follow(Plasticity *p, int64_t step, int worker, int n_workers) noexcept nogil:
    """Bring the traces of all rules whose epoch ends to its end; each worker takes a part of the neurons."""
    cdef int r, s
    cdef PlasticRule *rule
    cdef uint32_t[2][256] keys
    for r in range(p.n_rules):
        rule = &p.rules[r]
        if (step + 1) % rule.epoch:
            continue
        for s in range(rule.epoch):
            key_of(p, rule, 0, step + 1 - rule.epoch + s, &keys[0][4 * s])
            key_of(p, rule, 1, step + 1 - rule.epoch + s, &keys[1][4 * s])
        if worker == 0:
            share(rule, step)
        follow_pre(rule, keys[0], rule.n_pre * worker // n_workers, rule.n_pre * (worker + 1) // n_workers)
        rule.n_fired[worker] = follow_post(
            rule, keys[1], rule.n_post * worker // n_workers, rule.n_post * (worker + 1) // n_workers
        )


cdef inline uint64_t eight(const uint8_t *values) noexcept nogil:
    cdef uint64_t found
    memcpy(&found, values, 8)
    return found


cdef void follow_pre(PlasticRule *rule, const uint32_t *keys, int64_t first, int64_t stop) noexcept nogil:
    cdef int64_t i, n = rule.n_pre
    cdef int32_t q, s, z, ever, epoch = rule.epoch
    cdef uint8_t *x1 = rule.pre
    cdef uint8_t *x2 = rule.pre + n
    cdef uint8_t *when = rule.pre + 2 * n
    cdef uint8_t *seen = rule.seen
    cdef uint8_t *live = rule.seen + n
    cdef uint8_t *path
    cdef const TraceKind *kind
    cdef uint32_t bits
    memcpy(seen + first, when + first, stop - first)
    memset(live + first, 0, stop - first)
    i = first - 1
    while i + 1 < stop:
        i += 1
        if i + 8 <= stop and not eight(x1 + i) | eight(x2 + i) | eight(when + i):
            i += 7                 # most sources are silent
            continue
        if not (x1[i] | x2[i] | when[i]):
            continue
        when[i] = 0
        live[i] = seen[i] != 0
        for q in range(2):
            kind = &rule.kinds[q]
            if kind.kept != 1:
                continue
            path = rule.history + (i * 2 + q) * (epoch + 1)
            z = rule.pre[q * n + i]
            ever = 0
            for s in range(1, epoch + 1):
                if z or seen[i] == s:
                    bits = bits_of(keys + 4 * (s - 1), i, q)
                    z = followed(kind, z, bits)
                    if seen[i] == s:
                        z = raised(kind, z, bits)
                path[s] = <uint8_t>z
                ever |= z
            rule.pre[q * n + i] = <uint8_t>z
            live[i] |= (ever != 0) << (1 + q) | (z != 0) << (3 + q)


cdef int32_t follow_post(PlasticRule *rule, const uint32_t *keys, int64_t first, int64_t stop) noexcept nogil:
    cdef int64_t i, n = rule.n_post, stride = rule.stride
    cdef int32_t q, s, z, epoch = rule.epoch, fired = 0
    cdef uint8_t *when = rule.post + 3 * n
    cdef uint8_t *seen = rule.own + 3 * stride
    cdef uint8_t *values
    cdef uint8_t *plane
    cdef const TraceKind *kind
    cdef uint32_t bits
    memcpy(seen + first, when + first, stop - first)
    memset(when + first, 0, stop - first)
    for i in range(first, stop):
        fired += seen[i] != 0
    for q in range(3):
        kind = &rule.kinds[2 + q]
        plane = rule.planes + q * (epoch + 1) * stride
        values = rule.post + q * n
        if kind.kept == 0:
            continue
        i = first - 1
        while i + 1 < stop:
            i += 1
            if kind.kept == 1 and i + 8 <= stop and not eight(values + i) | eight(seen + i):
                memset(rule.own + q * stride + i, 0, 8)
                for s in range(1, epoch + 1):
                    memset(plane + s * stride + i, 0, 8)
                i += 7
                continue
            if kind.kept == 2:
                rule.own[q * stride + i] = plane[seen[i] * stride + i] if seen[i] else 0
                continue
            z = values[i]
            if not z and not seen[i]:
                rule.own[q * stride + i] = 0
                for s in range(1, epoch + 1):
                    plane[s * stride + i] = 0
                continue
            for s in range(1, epoch + 1):
                if z or seen[i] == s:
                    bits = bits_of(keys + 4 * (s - 1), i, q)
                    z = followed(kind, z, bits)
                    if seen[i] == s:
                        z = raised(kind, z, bits)
                plane[s * stride + i] = <uint8_t>z
            values[i] = <uint8_t>z
            rule.own[q * stride + i] = plane[seen[i] * stride + i] if seen[i] else 0
    return fired
