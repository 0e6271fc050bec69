"""The devices of a management core as its code sees them: registers, channels and the memory map; none needs Python.

Each callback is libunicorn's for an access to a device. An access that is not allowed is noted as a fault, which stops
the core. Oracles: `Region.read`, `Region.write`, `Channel.put` and `Channel.get`, in tests/kernels/test_x86.py.
"""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport realloc

from emulator.kernels.libunicorn cimport Unicorn
from emulator.kernels.management cimport ChannelQueue, MemoryRegion, SpikePort

cdef enum:
    REGISTERS_ADDRESS = 0x80000000
    CHANNELS_ADDRESS = 0x80100000
    CHANNEL_SHIFT = 13             # a page of registers and one of words for each channel
    CHANNEL_DATA = 0x1000
    REGIONS_ADDRESS = 0x90000000
    WAIT_INTERRUPT = 0x40
    EVERYTHING = 0xFFFFFFFF

cdef enum:                         # registers, by their offset
    STEP = 0x00
    PHASE = 0x04
    CORE = 0x08
    REWARD0 = 0x10
    REWARD1 = 0x14
    RESET = 0x20
    SPIKE_STEP = 0x30
    SPIKE_PAYLOAD = 0x34
    SPIKE_SEND = 0x38
    WAIT = 0x40
    WAITING = 0x00                 # of each channel
    ROOM = 0x04
    COMMIT = 0x08

cdef enum:
    MAY_SEND = 1
    MAY_RECEIVE = 2

cdef enum Fault:
    NOTHING, BUDGET, READ, WRITE, FETCH, READ_ONLY_MEMORY, UNREADABLE_MEMORY, NOT_CODE, ILLEGAL, EXCEPTION, PORT,
    SYSTEM_CALL, STOPPED, ACCESS_SIZE, NO_DEVICE, NOT_READABLE, NOT_WRITABLE, OUTSIDE, RANGE, NO_MESSAGE, NO_ROOM,
    NOT_AN_END, SOURCE, SPIKE_TIME, PAYLOAD, POPULATION, REWARD, CALLBACK, NO_WAIT, CHANNEL, MEMORY

cdef struct Source:                # neurons of an input population, and what their spikes may carry
    int64_t first
    int64_t size
    int64_t low
    int64_t high

cdef struct Work:                  # all that callbacks see
    void *engine
    Unicorn unicorn
    void *owner                    # the Processor, for RESET
    int (*reset)(void *, int64_t) noexcept nogil
    uint32_t *lengths              # (code_bytes,) of the block at each address: instructions << 16 | bytes
    uint32_t code_first, code_bytes
    int64_t n_instructions, budget
    MemoryRegion *regions
    int32_t n_regions, last_region
    ChannelQueue *channels
    uint8_t *ends
    int32_t n_channels, n_populations, n_sources
    Source *sources
    SpikePort port
    int64_t port_n
    int64_t step, earliest_spike
    int64_t spike_step
    int32_t phase, core, spike_payload
    int64_t[2] rewards
    int64_t waits                  # for which channel: 2 * channel + sending; -1: for none
    int32_t fault
    int32_t fault_index
    uint32_t fault_address, fault_size
    int64_t fault_value


cdef inline void fail(
    Work *work, int fault, uint32_t address, int64_t value, uint32_t size, int32_t index
) noexcept nogil:
    """Note what went wrong first, and stop."""
    if work.fault == NOTHING:
        work.fault, work.fault_index = fault, index
        work.fault_address, work.fault_size, work.fault_value = address, size, value
    work.unicorn.stop(work.engine)


cdef inline bint is_word(Work *work, uint32_t address, uint32_t size, int64_t value) noexcept nogil:
    """Return whether to go on: nothing happens after a fault, and devices know whole words only."""
    if work.fault != NOTHING:
        return False
    if size != 4 or address & 3:
        fail(work, ACCESS_SIZE, address, value, size, 0)
        return False
    return True


cdef inline uint64_t read_register(void *engine, uint64_t offset, unsigned int size, void *data) noexcept nogil:
    cdef Work *work = <Work *> data
    cdef uint32_t address = <uint32_t> (REGISTERS_ADDRESS + offset)
    if not is_word(work, address, size, 0):
        return 0
    if offset == STEP:
        return <uint32_t> work.step
    if offset == PHASE:
        return <uint32_t> work.phase
    if offset == CORE:
        return <uint32_t> work.core
    if offset == SPIKE_STEP:
        return <uint32_t> work.spike_step
    if offset == SPIKE_PAYLOAD:
        return <uint32_t> work.spike_payload
    fail(work, NOT_READABLE, address, 0, 4, 0)
    return 0


cdef inline void write_register(
    void *engine, uint64_t offset, unsigned int size, uint64_t given, void *data
) noexcept nogil:
    cdef Work *work = <Work *> data
    cdef uint32_t address = <uint32_t> (REGISTERS_ADDRESS + offset)
    cdef int64_t value = <int32_t> given
    if not is_word(work, address, size, value):
        return
    if offset == REWARD0 or offset == REWARD1:
        if not -128 <= value <= 127:
            fail(work, REWARD, address, value, 4, 0)
        else:
            work.rewards[(offset - REWARD0) >> 2] += value
    elif offset == RESET:
        if <uint32_t> given != <uint32_t> EVERYTHING and <uint32_t> given >= <uint32_t> work.n_populations:
            fail(work, POPULATION, address, <uint32_t> given, 4, 0)
        elif work.reset(work.owner, -1 if value == -1 else value) != 0:
            fail(work, CALLBACK, address, value, 4, 0)
    elif offset == SPIKE_STEP:
        work.spike_step = <uint32_t> given
    elif offset == SPIKE_PAYLOAD:
        work.spike_payload = <int32_t> value
    elif offset == SPIKE_SEND:
        send_spike(work, address, <uint32_t> given)
    elif offset == WAIT:
        if <uint32_t> given >> 1 >= <uint32_t> work.n_channels:
            fail(work, CHANNEL, address, <uint32_t> given >> 1, 4, 0)
        elif not work.ends[value >> 1] & (MAY_SEND if value & 1 else MAY_RECEIVE):
            fail(work, NOT_AN_END, address, MAY_SEND if value & 1 else MAY_RECEIVE, 4, <int32_t> (value >> 1))
        else:
            work.waits = value
    else:
        fail(work, NOT_WRITABLE, address, value, 4, 0)


cdef inline void send_spike(Work *work, uint32_t address, int64_t source) noexcept nogil:
    cdef int32_t k
    cdef int64_t *rows
    for k in range(work.n_sources):
        if 0 <= source - work.sources[k].first < work.sources[k].size:
            break
    else:
        fail(work, SOURCE, address, source, 4, 0)
        return
    if not work.sources[k].low <= work.spike_payload <= work.sources[k].high:
        fail(work, PAYLOAD, address, work.spike_payload, 4, k)
        return
    if work.spike_step < work.earliest_spike:
        fail(work, SPIKE_TIME, address, work.spike_step, 4, k)
        return
    if work.port_n == work.port.capacity:
        rows = <int64_t *> realloc(work.port.rows, (2 * work.port.capacity + 64) * 3 * sizeof(int64_t))
        if rows is NULL:
            fail(work, MEMORY, address, 0, 4, 0)
            return
        work.port.rows, work.port.capacity = rows, 2 * work.port.capacity + 64
    rows = work.port.rows + 3 * work.port_n
    rows[0], rows[1], rows[2] = source, work.spike_step, work.spike_payload
    work.port_n += 1


cdef inline ChannelQueue *channel_at(Work *work, uint32_t address, uint64_t offset, uint8_t wanted) noexcept nogil:
    """Return a channel of which this core is an end, either end if 0 is wanted; NULL after a fault."""
    cdef int32_t k = <int32_t> (offset >> CHANNEL_SHIFT)
    if k >= work.n_channels:
        fail(work, NO_DEVICE, address, 0, 4, 0)
    elif not work.ends[k] & (wanted or MAY_SEND | MAY_RECEIVE):
        fail(work, NOT_AN_END, address, wanted, 4, k)
    else:
        return &work.channels[k]
    return NULL


cdef inline uint64_t read_channel(void *engine, uint64_t offset, unsigned int size, void *data) noexcept nogil:
    cdef Work *work = <Work *> data
    cdef uint32_t address = <uint32_t> (CHANNELS_ADDRESS + offset)
    cdef uint32_t at = offset & ((1 << CHANNEL_SHIFT) - 1)
    cdef ChannelQueue *channel
    if not is_word(work, address, size, 0):
        return 0
    channel = channel_at(work, address, offset, MAY_RECEIVE if at >= CHANNEL_DATA else 0)
    if channel is NULL:
        return 0
    if at == WAITING:
        return <uint32_t> channel.state[1]
    if at == ROOM:
        return <uint32_t> (channel.depth - channel.state[1])
    if at < CHANNEL_DATA or (at - CHANNEL_DATA) >> 2 >= <uint32_t> channel.words:
        fail(work, NOT_READABLE, address, 0, 4, 0)
    elif channel.state[1] == 0:
        fail(work, NO_MESSAGE, address, 0, 4, <int32_t> (offset >> CHANNEL_SHIFT))
    else:
        return <uint32_t> channel.data[channel.state[0] * channel.words + ((at - CHANNEL_DATA) >> 2)]
    return 0


cdef inline void write_channel(
    void *engine, uint64_t offset, unsigned int size, uint64_t given, void *data
) noexcept nogil:
    cdef Work *work = <Work *> data
    cdef uint32_t address = <uint32_t> (CHANNELS_ADDRESS + offset)
    cdef uint32_t at = offset & ((1 << CHANNEL_SHIFT) - 1)
    cdef int64_t value = <int32_t> given
    cdef int32_t k = <int32_t> (offset >> CHANNEL_SHIFT)
    cdef bint sending = at >= CHANNEL_DATA or value != 0
    cdef ChannelQueue *channel
    if not is_word(work, address, size, value):
        return
    if at != COMMIT and at < CHANNEL_DATA:
        fail(work, NOT_WRITABLE, address, value, 4, 0)
        return
    channel = channel_at(work, address, offset, MAY_SEND if sending else MAY_RECEIVE)
    if channel is NULL:
        return
    if at >= CHANNEL_DATA and (at - CHANNEL_DATA) >> 2 >= <uint32_t> channel.words:
        fail(work, NOT_WRITABLE, address, value, 4, 0)
    elif sending and channel.state[1] >= channel.depth:
        fail(work, NO_ROOM, address, value, 4, k)
    elif not sending and channel.state[1] == 0:
        fail(work, NO_MESSAGE, address, value, 4, k)
    elif at >= CHANNEL_DATA:
        channel.data[
            (channel.state[0] + channel.state[1]) % channel.depth * channel.words + ((at - CHANNEL_DATA) >> 2)
        ] = <int32_t> value
    elif sending:
        channel.state[1] += 1
        channel.state[2] += 1
    else:
        channel.state[0] = (channel.state[0] + 1) % channel.depth
        channel.state[1] -= 1
        channel.state[3] += 1


cdef inline MemoryRegion *region_at(Work *work, uint32_t address) noexcept nogil:
    """Return the region in which a word lies, or NULL after a fault."""
    cdef int32_t low = work.last_region, high, middle
    cdef MemoryRegion *region = &work.regions[low]
    if address < region.address or (address - region.address) >> 2 >= region.n:
        low, high = 0, work.n_regions
        while high - low > 1:
            middle = (low + high) >> 1
            if work.regions[middle].address <= address:
                low = middle
            else:
                high = middle
        region = &work.regions[low]
        if (address - region.address) >> 2 >= region.n:
            fail(work, OUTSIDE, address, 0, 4, low)
            return NULL
        work.last_region = low
    return region


cdef inline uint64_t read_region(void *engine, uint64_t offset, unsigned int size, void *data) noexcept nogil:
    cdef Work *work = <Work *> data
    cdef uint32_t address = <uint32_t> (REGIONS_ADDRESS + offset)
    cdef MemoryRegion *region
    cdef int64_t place, value
    cdef uint32_t k
    if not is_word(work, address, size, 0):
        return 0
    region = region_at(work, address)
    if region is NULL:
        return 0
    k = (address - region.address) >> 2
    place = region.place[k]
    region.reads[region.core[k]] += 1
    if region.item_bytes == 4:
        value = (<int32_t *> region.data)[place]
    elif region.item_bytes == 2:
        value = (<int16_t *> region.data)[place]
    else:
        value = (<int8_t *> region.data)[place]
    value = value >> region.shift & ((<int64_t> 1 << region.bits) - 1)
    if region.is_signed:
        value -= value >> (region.bits - 1) << region.bits
    return <uint32_t> value


cdef inline void write_region(
    void *engine, uint64_t offset, unsigned int size, uint64_t given, void *data
) noexcept nogil:
    cdef Work *work = <Work *> data
    cdef uint32_t address = <uint32_t> (REGIONS_ADDRESS + offset), k
    cdef MemoryRegion *region
    cdef int64_t place, value = <int32_t> given, mask
    if not is_word(work, address, size, value):
        return
    region = region_at(work, address)
    if region is NULL:
        return
    if not region.writable or not region.low <= value <= region.high:
        fail(work, RANGE if region.writable else NOT_WRITABLE, address, value, 4, work.last_region)
        return
    k = (address - region.address) >> 2
    place = region.place[k]
    region.writes[region.core[k]] += 1
    mask = ((<int64_t> 1 << region.bits) - 1) << region.shift
    value = value << region.shift & mask
    if region.item_bytes == 4:
        (<uint32_t *> region.data)[place] = <uint32_t> ((<uint32_t *> region.data)[place] & ~mask | value)
    elif region.item_bytes == 2:
        (<uint16_t *> region.data)[place] = <uint16_t> ((<uint16_t *> region.data)[place] & ~mask | value)
    else:
        (<uint8_t *> region.data)[place] = <uint8_t> ((<uint8_t *> region.data)[place] & ~mask | value)
