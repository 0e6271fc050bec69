"""Memristive devices: what becomes of a pulse that a learning rule has added up for a weight.

Model: emulator/learning/device.py. Oracle: tests/oracle/devices.py. Nothing is stored for a synapse: its device
follows from the seed of the devices, the projection, the source, the target, and which of several synapses
between the two it is.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t

import numpy as np

from emulator.kernels.hashing cimport keyed_hash, philox_words

cdef enum:
    DEVICE_STREAM = 5              # of random bits, see emulator/streams.py
    UNIT_BITS = 12                 # of factors that are drawn
    ANSWER_BITS = 39               # 15 of a table of non-linearity, 12 of the device, 12 of the pulse
    RANGE = 0                      # places in `spreads`
    STEP = 1
    CYCLE = 2

cdef struct Device:
    int32_t low
    int32_t high
    int32_t up
    int32_t down
    int32_t stuck


cdef inline int32_t varied(const DeviceKind *kind, int which, uint32_t bits) noexcept nogil:
    """Return 1 plus a spread times the normal number of 10 bits, not below 0."""
    cdef int32_t factor = (1 << UNIT_BITS) + (kind.spreads[which] * kind.normal[bits & 1023] >> UNIT_BITS)
    return max(factor, <int32_t>0)


cdef inline int32_t end_of(const DeviceKind *kind, int which, uint32_t bits) noexcept nogil:
    """Return one end of a device's range."""
    cdef int32_t end = (kind.range[which] * varied(kind, RANGE, bits) + (1 << UNIT_BITS - 1)) >> UNIT_BITS
    return max(kind.limits[0], min(kind.limits[1], end))


cdef inline Device device_of(const DeviceKind *kind, uint32_t k0, uint32_t k1, uint32_t name) noexcept nogil:
    """Return the device of a synapse; the keys are those of its source."""
    cdef Device device
    cdef uint32_t bits = keyed_hash(name, k0, k1)
    device.low = end_of(kind, 0, bits)
    device.high = max(device.low, end_of(kind, 1, bits >> 10))
    bits = keyed_hash(bits, k1, k0)
    device.up = varied(kind, STEP, bits)
    device.down = varied(kind, STEP, bits >> 10)
    bits = keyed_hash(bits, k0, k1) & 0xFFFF
    device.stuck = 1 if bits < kind.stuck[0] else 2 if bits < kind.stuck[1] else 0
    return device


cdef inline uint32_t name_of(int32_t post, int32_t repeat) noexcept nogil:
    return <uint32_t>post + <uint32_t>repeat * <uint32_t>0x9E3779B9


cdef inline int32_t answer(
    const DeviceKind *kind, const Device *device, int32_t weight, int32_t pulse, uint32_t bits
) noexcept nogil:
    """Return the weight after a pulse, both in units of 2^-7."""
    cdef int32_t now = max(device.low, min(device.high, weight))
    cdef int32_t span = device.high - device.low, at = 0
    cdef int64_t change
    if device.stuck:
        return 128 * (device.low if device.stuck == 1 else device.high)
    if span:
        at = ((now - device.low) * (2 * N_POSITIONS - 2) + span) // (2 * span)
    change = <int64_t>pulse * varied(kind, CYCLE, bits)
    change *= kind.up[at] * <int64_t>device.up if pulse > 0 else kind.down[at] * <int64_t>device.down
    change = (change + (<int64_t>1 << ANSWER_BITS - 1)) >> ANSWER_BITS
    return <int32_t>max(<int64_t>128 * device.low, min(<int64_t>128 * device.high, 128 * now + change))


cdef void cycle_key(const DeviceKind *kind, int64_t step, const uint32_t *seed, uint32_t *key) noexcept nogil:
    """Find the key of what pulses deviate in a step."""
    philox_words(key, <uint32_t>step, <uint32_t>kind.number, DEVICE_STREAM, 1, seed)


cdef void respond(
    const DeviceKind *kind, const uint32_t *cycle, uint32_t pre, const int32_t *name, int64_t n, const int32_t *word,
    int32_t *sum
) noexcept nogil:
    """Turn the pulses of n synapses of a source, by the names of their targets, into new weights; `sum` holds both."""
    cdef uint32_t k0 = keyed_hash(pre, kind.key[0], kind.key[1]), k1 = keyed_hash(pre, kind.key[2], kind.key[3])
    cdef uint32_t c0 = keyed_hash(pre, cycle[0], cycle[1]), c1 = keyed_hash(pre, cycle[2], cycle[3])
    cdef int64_t k
    cdef Device device
    for k in range(n):
        if sum[k] == 0:
            sum[k] = 128 * (word[k] >> 23)
            continue
        device = device_of(kind, k0, k1, <uint32_t>name[k])
        sum[k] = answer(kind, &device, word[k] >> 23, sum[k], keyed_hash(<uint32_t>name[k], c0, c1))


cdef class Devices:
    """The memristors of a projection: what `Memristor.registers` returns, as the learning engine takes it."""

    def __cinit__(self, dict fields):
        cdef int k
        cdef DeviceKind *kind = &self.kind
        kind.number = fields["number"]
        for k in range(2):
            kind.range[k], kind.limits[k], kind.stuck[k] = fields["range"][k], fields["limits"][k], fields["stuck"][k]
        for k in range(3):
            kind.spreads[k] = fields["spreads"][k]
        for k in range(4):
            kind.key[k] = fields["key"][k]
        for k in range(N_POSITIONS):
            kind.up[k], kind.down[k] = fields["up"][k], fields["down"][k]
        for k in range(N_QUANTILES):
            kind.normal[k] = fields["normal"][k]

    def settings(self, const int32_t[::1] pre, const int32_t[::1] post, const int32_t[::1] repeat):
        """Return of the device of each synapse: lowest, highest weight, steps up and down, stuck or not."""
        cdef int64_t i, n = pre.shape[0]
        found = np.empty((5, n), np.int32)
        cdef int32_t[:, ::1] table = found
        cdef const DeviceKind *kind = &self.kind
        cdef Device device
        cdef uint32_t k0, k1
        for i in range(n):
            k0 = keyed_hash(<uint32_t>pre[i], kind.key[0], kind.key[1])
            k1 = keyed_hash(<uint32_t>pre[i], kind.key[2], kind.key[3])
            device = device_of(kind, k0, k1, name_of(post[i], repeat[i]))
            table[0, i], table[1, i], table[2, i] = device.low, device.high, device.up
            table[3, i], table[4, i] = device.down, device.stuck
        return found
