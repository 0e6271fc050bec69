"""Memristive devices: see ext/devices.pyx."""

from libc.stdint cimport int32_t, int64_t, uint32_t

cdef enum:
    N_POSITIONS = 512
    N_QUANTILES = 1024

cdef struct DeviceKind:            # the devices of a projection
    int32_t number                 # of the projection, for random bits
    int32_t[2] range               # lowest and highest weight of a device without spread
    int32_t[2] limits              # of the sign mode
    int32_t[3] spreads             # of 4096: of ranges, of steps, from pulse to pulse
    uint32_t[2] stuck              # of 65536: low, low or high
    uint32_t[4] key                # from the seed of the devices
    int32_t[512] up                # of 32768: what is left of a pulse, by place in the range
    int32_t[512] down
    int32_t[1024] normal           # of 4096: equally likely normal numbers

cdef void cycle_key(const DeviceKind *kind, int64_t step, const uint32_t *seed, uint32_t *key) noexcept nogil

cdef void respond(
    const DeviceKind *kind, const uint32_t *cycle, uint32_t pre, const int32_t *name, int64_t n, const int32_t *word,
    int32_t *sum
) noexcept nogil

cdef class Devices:
    cdef DeviceKind kind
