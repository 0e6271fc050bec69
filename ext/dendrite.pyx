"""Joins between compartments of a core: what a dendrite passes acts on the input of the next one in the same step.

Oracle: tests/oracle/dendrite.py. Sums wrap at 32 bits, as those of synapses do.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from emulator.kernels.state cimport Compartments, Join

cdef enum:                         # of Join.op
    ADD, MAX, PASS, BLOCK

cdef enum:                         # of Join.word: variables of a native kernel
    U = -1
    V = -2


cdef void pass_on(
    const Join *join,
    const Compartments *cells,
    const int32_t *words,
    int32_t *due,
    const uint8_t *fired,
) noexcept nogil:
    """Let compartments that were just advanced pass a value, or a gate, to the input of others.

    `due` and `fired` are counted from the first compartment of all.
    """
    cdef int64_t i
    cdef int32_t *target = due + join.target
    cdef const uint8_t *gate = fired + join.source
    cdef const int32_t *value
    if join.word == U:
        value = cells.u + join.source
    elif join.word == V:
        value = cells.v + join.source
    else:
        value = words + join.word
    if join.op == ADD:
        for i in range(join.n):
            target[i] = <int32_t>(<uint32_t>target[i] + <uint32_t>value[i])
    elif join.op == MAX:
        for i in range(join.n):
            target[i] = max(target[i], value[i])
    elif join.op == PASS:
        for i in range(join.n):
            target[i] = target[i] if gate[i] else 0
    else:
        for i in range(join.n):
            target[i] = 0 if gate[i] else target[i]
