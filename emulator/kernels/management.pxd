"""What management programs work on, as x86 code reaches it. Declarations only; see emulator/management/."""

from libc.stdint cimport int32_t, int64_t, uint32_t

cdef struct MemoryRegion:          # consecutive 32-bit words at an address, one for each element
    uint32_t address
    uint32_t n
    void *data                     # state that the kernels work on
    int32_t item_bytes             # of an element of data: 1, 2 or 4
    int32_t is_signed
    int32_t shift                  # of the field in an element
    int32_t bits
    int32_t writable
    int64_t low                    # allowed when written
    int64_t high
    const int64_t *place           # (n,) of each element in data
    const int32_t *core            # (n,) neuron core that holds it
    int64_t *reads                 # (n_cores,) words read from each neuron core
    int64_t *writes                # (n_cores,)

cdef struct ChannelQueue:          # messages from one end to the other, in order
    int32_t *data                  # (depth, words) ring
    int64_t *state                 # (4,): first message, messages waiting, sent in all, received in all
    int32_t depth
    int32_t words

cdef struct SpikePort:             # spikes that a program sends, in the order in which it did
    int64_t *rows                  # (capacity, 3): source, step, payload
    int64_t *n                     # how many
    int64_t capacity
