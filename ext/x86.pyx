"""x86 code of a management core: driven through libunicorn, which is loaded when it is first needed.

The code runs in user mode (ring 3) of a Pentium, so that it can do nothing but compute and touch memory. Instructions
are counted by basic blocks, whose lengths are asked for once. Devices are the registers, the channels and the memory
map of emulator/management/memory.py; all of it without Python. Oracles: `Region.read`, `Region.write`, `Channel.put`
and `Channel.get`, and libunicorn's own hook of every instruction; tests/kernels/test_x86.py.
"""

import ctypes
import mmap

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

import numpy as np

from emulator.kernels.mmio cimport *
from emulator.kernels.libunicorn cimport *
from emulator.kernels.management cimport ChannelQueue, MemoryRegion

cdef enum:
    SYSTEM_ADDRESS = 0xFFFFF000    # a page of our own: descriptors, and where a program returns to
    FRAME = 0x100
    RETURN_TO_USER = 0x200
    EXIT = 0xFFFFF800
    PAGE = 4096
    USER_CODE = 0x08 | 3
    USER_DATA = 0x10 | 3
    KERNEL_CODE = 0x18
    KERNEL_DATA = 0x20
    NO_TIME_STAMP = 1 << 2         # of CR4: RDTSC is not for ring 3; it would not be the same twice

cdef enum Outcome:
    RETURNED, WAITS, FAILED

FAULTS = (
    "nothing", "budget", "read", "write", "fetch", "read only memory", "unreadable memory", "not code", "illegal",
    "exception", "port", "system call", "stopped", "access size", "no device", "not readable", "not writable",
    "outside", "range", "no message", "no room", "not an end", "source", "spike time", "payload", "population",
    "reward", "callback", "no wait", "channel", "memory",
)
OUTCOMES = ("returned", "waits", "failed")
LAYOUT = {
    "registers": REGISTERS_ADDRESS & 0xFFFFFFFF, "channels": CHANNELS_ADDRESS & 0xFFFFFFFF,
    "channel_bytes": 1 << CHANNEL_SHIFT, "channel_data": CHANNEL_DATA, "everything": EVERYTHING & 0xFFFFFFFF,
    "wait_interrupt": WAIT_INTERRUPT,
}
REGISTERS = {
    "STEP": STEP, "PHASE": PHASE, "CORE": CORE, "REWARD0": REWARD0, "REWARD1": REWARD1, "RESET": RESET,
    "SPIKE_STEP": SPIKE_STEP, "SPIKE_PAYLOAD": SPIKE_PAYLOAD, "SPIKE_SEND": SPIKE_SEND, "WAIT": WAIT,
}
CHANNEL_REGISTERS = {"WAITING": WAITING, "ROOM": ROOM, "COMMIT": COMMIT}
FLAT = {
    "eax": UC_X86_REG_EAX, "ebx": UC_X86_REG_EBX, "ecx": UC_X86_REG_ECX, "edx": UC_X86_REG_EDX,
    "esi": UC_X86_REG_ESI, "edi": UC_X86_REG_EDI, "ebp": UC_X86_REG_EBP, "esp": UC_X86_REG_ESP,
}

cdef void on_block(void *engine, uint64_t address, uint32_t size, void *data) noexcept nogil:
    cdef Work *work = <Work *> data
    cdef uint32_t at = <uint32_t> address - work.code_first, length
    cdef uc_block_t block
    if at >= work.code_bytes:
        return                     # our own page
    length = work.lengths[at]
    if length & 0xFFFF != size:
        if work.unicorn.control(engine, UC_CTL_TB_REQUEST_CACHE, address, &block) != 0 or block.size != size:
            fail(work, STOPPED, <uint32_t> address, 0, size, 0)
            return
        length = work.lengths[at] = <uint32_t> block.icount << 16 | size
    work.n_instructions += length >> 16
    if work.n_instructions > work.budget:
        fail(work, BUDGET, <uint32_t> address, work.budget, 0, 0)


cdef void on_interrupt(void *engine, uint32_t number, void *data) noexcept nogil:
    cdef Work *work = <Work *> data
    if number != WAIT_INTERRUPT:
        fail(work, EXCEPTION, 0, number, 0, 0)
    elif work.waits < 0:
        fail(work, NO_WAIT, 0, 0, 0, 0)
    else:
        work.unicorn.stop(engine)


cdef bint on_bad_memory(
    void *engine, int kind, uint64_t address, int size, int64_t value, void *data
) noexcept nogil:
    cdef int fault = NOT_CODE
    if kind == UC_MEM_READ_UNMAPPED:
        fault = READ
    elif kind == UC_MEM_WRITE_UNMAPPED:
        fault = WRITE
    elif kind == UC_MEM_FETCH_UNMAPPED:
        fault = FETCH
    elif kind == UC_MEM_WRITE_PROT:
        fault = READ_ONLY_MEMORY
    elif kind == UC_MEM_READ_PROT:
        fault = UNREADABLE_MEMORY
    fail(<Work *> data, fault, <uint32_t> address, value, <uint32_t> size, 0)
    return False


cdef void on_device_read(
    void *engine, int kind, uint64_t address, int size, int64_t value, void *data
) noexcept nogil:
    """Look at a read of a device as the code asked for it: one that is misaligned would come there as two of words.

    This hook makes code that does nothing but load 1.6 times slower (280 -> 170 M instructions/s).
    """
    if size != 4 or address & 3:
        fail(<Work *> data, ACCESS_SIZE, <uint32_t> address, value, <uint32_t> size, 0)


cdef uint32_t on_port_read(void *engine, uint32_t port, int size, void *data) noexcept nogil:
    fail(<Work *> data, PORT, port, 0, size, 0)
    return 0


cdef void on_port_write(void *engine, uint32_t port, int size, uint32_t value, void *data) noexcept nogil:
    fail(<Work *> data, PORT, port, value, size, 0)


cdef void on_system_call(void *engine, void *data) noexcept nogil:
    fail(<Work *> data, SYSTEM_CALL, 0, 0, 0, 0)


cdef int call_reset(void *owner, int64_t number) noexcept with gil:
    """Call back for a reset, in the middle of an instruction; return 0, or -1 when that raised."""
    cdef Processor processor = <Processor> owner
    try:
        processor.on_reset(None if number < 0 else number)
    except BaseException as error:
        processor.error = error
        return -1
    return 0


cdef class Processor:
    """A management core: memory, devices, and the code that runs on it.

    Parameters
    ----------
    library : str
        Path of libunicorn.
    memory : sequence of (address, ndarray of uint8, protection)
        Whole pages, in order; protection is 1 (read) + 2 (write) + 4 (execute).
    stack_top : int
        Behind the last byte of the stack, which is one of `memory`.
    regions : sequence of Region
        By rising address.
    channels : sequence of (Channel, ends)
        Ends: 1 (this core sends) + 2 (it receives).
    sources : (n, 4) int64
        Input populations: first source, how many, lowest and highest payload.
    core, n_populations : int
    on_reset : callable
        Called with the number of a population, or None for all, in the middle of a run.
    """

    cdef Work work
    cdef object _keep
    cdef object on_reset
    cdef object error
    cdef uint32_t stack
    cdef uint32_t *return_address

    def __init__(
        self, str library, memory, uint32_t stack_top, regions, channels, const int64_t[:, ::1] sources, int core,
        int n_populations, on_reset,
    ):
        cdef int k
        self.work.owner, self.work.reset = <void *> self, call_reset
        self.work.core, self.work.n_populations = core, n_populations
        self.on_reset, self.stack = on_reset, stack_top
        self._keep = [list(memory), list(regions), list(channels)]
        self._load(library)
        self._check(self.work.unicorn.open(UC_ARCH_X86, UC_MODE_32, &self.work.engine), "opened")
        self._check(
            self.work.unicorn.control(self.work.engine, <uint32_t> UC_CTL_CPU_MODEL, <int> UC_CPU_X86_PENTIUM),
            "made a Pentium",
        )
        self._map_memory(memory)
        self._lay_out_regions(regions)
        self._lay_out_channels(channels)
        self.work.n_sources = sources.shape[0]
        self.work.sources = <Source *> calloc(max(1, sources.shape[0]), sizeof(Source))
        for k in range(sources.shape[0]):
            self.work.sources[k] = Source(sources[k, 0], sources[k, 1], sources[k, 2], sources[k, 3])
        self._enter_user_mode()
        self._add_hooks()

    def __dealloc__(self):
        if self.work.engine is not NULL:
            self.work.unicorn.close(self.work.engine)
        free(self.work.lengths)
        free(self.work.regions)
        free(self.work.channels)
        free(self.work.ends)
        free(self.work.sources)
        free(self.work.port.rows)

    def begin(
        self, uint32_t entry, int64_t step, int phase, int64_t earliest_spike, int64_t budget,
    ):
        """Prepare a call of the code at `entry`; `advance` runs it."""
        cdef uint32_t zero = 0, flags = 2, esp = self.stack - 20, data = USER_DATA
        cdef uint16_t control = 0x37F, no_status = 0, empty = 0xFFFF
        work = &self.work
        work.step, work.phase, work.earliest_spike, work.budget = step, phase, earliest_spike, budget
        work.n_instructions = work.port_n = work.rewards[0] = work.rewards[1] = 0
        work.spike_step, work.spike_payload, work.waits, work.fault = earliest_spike, 1, -1, NOTHING
        self.error = None
        for register in FLAT.values():
            self._write(register, &zero)
        self._write(UC_X86_REG_ESP, &esp)
        self._write(UC_X86_REG_EFLAGS, &flags)
        self._write(UC_X86_REG_EIP, &entry)
        for register in (UC_X86_REG_DS, UC_X86_REG_ES, UC_X86_REG_FS, UC_X86_REG_GS):
            self._write(register, &data)
        self._write(UC_X86_REG_FPCW, &control)
        self._write(UC_X86_REG_FPSW, &no_status)
        self._write(UC_X86_REG_FPTAG, &empty)
        self.return_address[0] = <uint32_t> EXIT

    def advance(self):
        """Run until the call returns, waits for a channel, or fails; return which, one of `OUTCOMES`."""
        cdef uint32_t at = self._register(UC_X86_REG_EIP)
        cdef int error
        self.work.waits = -1
        with nogil:
            error = self.work.unicorn.start(self.work.engine, at, <uint32_t> EXIT, 0, 0)
        if self.work.fault == NOTHING:
            if error == UC_ERR_INSN_INVALID:
                self.work.fault = ILLEGAL
            elif error != 0:
                self.work.fault, self.work.fault_value = STOPPED, error
            elif self._register(UC_X86_REG_EIP) == <uint32_t> EXIT:
                return OUTCOMES[<int> RETURNED]
            elif self.work.waits >= 0:
                return OUTCOMES[<int> WAITS]
            else:
                self.work.fault = STOPPED
        return OUTCOMES[<int> FAILED]

    @property
    def n_instructions(self):
        """Instructions executed since `begin`."""
        return self.work.n_instructions

    @property
    def rewards(self):
        """What was added to both rewards since `begin`."""
        return self.work.rewards[0], self.work.rewards[1]

    @property
    def waits(self):
        """The number of the channel that is waited for, and whether for sending."""
        return self.work.waits >> 1, bool(self.work.waits & 1)

    @property
    def spikes(self):
        """Spikes sent since `begin`, (n, 3) int64: source, step, payload."""
        rows = np.empty((self.work.port_n, 3), np.int64)
        cdef int64_t[:, ::1] view = rows
        cdef int64_t i, j
        for i in range(self.work.port_n):
            for j in range(3):
                view[i, j] = self.work.port.rows[3 * i + j]
        return rows

    @property
    def fault(self):
        """What went wrong: (one of `FAULTS`, address, value, bytes, index, error that a callback raised)."""
        return (
            FAULTS[self.work.fault], self.work.fault_address, self.work.fault_value, self.work.fault_size,
            self.work.fault_index, self.error,
        )

    @property
    def registers(self):
        """Registers by name, `eip` among them."""
        values = {name: self._register(number) for name, number in FLAT.items()}
        return {"eip": self._register(UC_X86_REG_EIP)} | values

    cdef uint32_t _register(self, int number):
        cdef uint32_t value = 0
        self.work.unicorn.read_register(self.work.engine, number, &value)
        return value

    cdef int _write(self, int number, void *value) except -1:
        self._check(self.work.unicorn.write_register(self.work.engine, number, value), f"set: register {number}")
        return 0

    cdef int _check(self, int error, str what) except -1:
        if error != 0:
            raise RuntimeError(f"libunicorn: not {what}: {self.work.unicorn.error_text(error).decode()}")
        return 0

    def _load(self, library):
        found = ctypes.CDLL(library)
        self._keep.append(found)

        def address(name):
            return ctypes.cast(getattr(found, name), ctypes.c_void_p).value

        unicorn = &self.work.unicorn
        unicorn.open = <uc_open_t> <size_t> address("uc_open")
        unicorn.close = <uc_close_t> <size_t> address("uc_close")
        unicorn.control = <uc_ctl_t> <size_t> address("uc_ctl")
        unicorn.map_memory = <uc_map_ptr_t> <size_t> address("uc_mem_map_ptr")
        unicorn.map_device = <uc_mmio_t> <size_t> address("uc_mmio_map")
        unicorn.add_hook = <uc_hook_t> <size_t> address("uc_hook_add")
        unicorn.read_register = <uc_reg_t> <size_t> address("uc_reg_read")
        unicorn.write_register = <uc_reg_t> <size_t> address("uc_reg_write")
        unicorn.start = <uc_start_t> <size_t> address("uc_emu_start")
        unicorn.stop = <uc_stop_t> <size_t> address("uc_emu_stop")
        unicorn.error_text = <uc_error_t> <size_t> address("uc_strerror")
        unicorn.version = <uc_version_t> <size_t> address("uc_version")
        cdef unsigned int major = 0, minor = 0
        unicorn.version(&major, &minor)
        if major != 2 or minor < 1:
            raise RuntimeError(f"{library} is version {major}.{minor}; it must be 2.1 or a later 2")

    def _map_memory(self, memory):
        code = [(a, a + len(data)) for a, data, protection in memory if protection & UC_PROT_EXEC]
        self.work.code_first = min((first for first, _ in code), default=0)
        self.work.code_bytes = max((stop for _, stop in code), default=0) - self.work.code_first
        self.work.lengths = <uint32_t *> calloc(max(1, self.work.code_bytes), sizeof(uint32_t))
        if self.work.lengths is NULL:
            raise MemoryError
        for address, data, protection in memory:
            if address < self.stack <= address + len(data):
                self.return_address = <uint32_t *> <size_t> (data.ctypes.data + self.stack - address - 20)
            self._map(address, data, protection)

    def _map(self, uint32_t address, data, uint32_t protection):
        cdef size_t where = data.ctypes.data
        self._check(
            self.work.unicorn.map_memory(self.work.engine, address, len(data), protection, <void *> where),
            f"mapped: {address:#x}",
        )

    def _map_device(self, uint32_t address, uint64_t n_bytes, size_t reads, size_t writes):
        self._check(
            self.work.unicorn.map_device(
                self.work.engine, address, (n_bytes + PAGE - 1) // PAGE * PAGE, <void *> reads, &self.work,
                <void *> writes, &self.work,
            ),
            f"mapped: {address:#x}",
        )

    def _lay_out_regions(self, regions):
        cdef MemoryRegion *row
        self._map_device(
            <uint32_t> REGISTERS_ADDRESS, PAGE, <size_t> &read_register, <size_t> &write_register
        )
        self.work.n_regions = len(regions)
        self.work.regions = <MemoryRegion *> calloc(max(1, len(regions)), sizeof(MemoryRegion))
        for k, region in enumerate(regions):
            data, n = region.data, len(region.place)
            for array, dtype in ((region.place, np.int64), (region.core, np.int32)):
                if array.dtype != dtype or not array.flags.c_contiguous or len(array) != n:
                    raise ValueError(f"{region.name}: place and core must be contiguous, int64 and int32")
            if not data.flags.c_contiguous or data.itemsize > 4 or (region.is_writable and not data.flags.writeable):
                raise ValueError(f"{region.name}: data must be contiguous, of 1, 2 or 4 bytes, and writable")
            if n and not (0 <= region.place.min() and region.place.max() < data.size):
                raise ValueError(f"{region.name}: place points outside of data")
            if n and not (0 <= region.core.min() and region.core.max() < region.n_cores):
                raise ValueError(f"{region.name}: core is outside 0 to {region.n_cores - 1}")
            row = &self.work.regions[k]
            row.address, row.n = region.address, n
            row.data = <void *> <size_t> data.ctypes.data
            row.item_bytes = data.itemsize
            row.shift = region.shift if region.is_field else 0
            row.bits = region.bits if region.is_field else 8 * data.itemsize
            row.is_signed = region.is_signed if region.is_field else data.dtype.kind == "i"
            row.writable, row.low, row.high = region.is_writable, region.low, region.high
            row.place = <const int64_t *> <size_t> region.place.ctypes.data
            row.core = <const int32_t *> <size_t> region.core.ctypes.data
            row.reads = <int64_t *> <size_t> region.reads.ctypes.data
            row.writes = <int64_t *> <size_t> region.writes.ctypes.data
        if len(regions):
            last = regions[len(regions) - 1]
            end = last.address + 4 * len(last.place) + PAGE
            self._map_device(
                <uint32_t> REGIONS_ADDRESS, end - <uint32_t> REGIONS_ADDRESS, <size_t> &read_region,
                <size_t> &write_region,
            )

    def _lay_out_channels(self, channels):
        self.work.n_channels = len(channels)
        self.work.channels = <ChannelQueue *> calloc(max(1, len(channels)), sizeof(ChannelQueue))
        self.work.ends = <uint8_t *> calloc(max(1, len(channels)), 1)
        for k, (channel, ends) in enumerate(channels):
            self.work.channels[k] = ChannelQueue(
                <int32_t *> <size_t> channel.data.ctypes.data, <int64_t *> <size_t> channel.state.ctypes.data,
                channel.depth, channel.words,
            )
            self.work.ends[k] = ends
        if len(channels):
            self._map_device(
                <uint32_t> CHANNELS_ADDRESS, len(channels) << CHANNEL_SHIFT, <size_t> &read_channel,
                <size_t> &write_channel,
            )

    def _enter_user_mode(self):
        """Go from ring 0, in which a Pentium begins, to ring 3 by an IRET: it is the only way."""
        cdef uc_table_t table = uc_table_t(0, <uint32_t> SYSTEM_ADDRESS, 0x27, 0)
        cdef uint32_t code = KERNEL_CODE, stack = KERNEL_DATA, control = 0
        cdef uint32_t frame = <uint32_t> (SYSTEM_ADDRESS + FRAME)
        page = np.frombuffer(mmap.mmap(-1, PAGE), np.uint8)
        self._keep.append(page)
        access = [0, 0xFB, 0xF3, 0x9B, 0x93]  # code and data of ring 3, then of ring 0: 4 GB from 0
        page[: 8 * len(access)].view("<u8")[1:] = [0x00CF00000000FFFF | a << 40 for a in access[1:]]
        frame_words = [EXIT & 0xFFFFFFFF, USER_CODE, 2, self.stack, USER_DATA]
        page[FRAME : FRAME + 4 * len(frame_words)].view("<u4")[:] = frame_words
        page[RETURN_TO_USER] = 0xCF
        self._map(<uint32_t> SYSTEM_ADDRESS, page, UC_PROT_READ | UC_PROT_EXEC)
        self._write(UC_X86_REG_GDTR, &table)
        self._write(UC_X86_REG_CS, &code)
        self._write(UC_X86_REG_SS, &stack)
        self.work.unicorn.read_register(self.work.engine, UC_X86_REG_CR4, &control)
        control |= NO_TIME_STAMP
        self._write(UC_X86_REG_CR4, &control)
        self._write(UC_X86_REG_ESP, &frame)
        self._check(
            self.work.unicorn.start(
                self.work.engine, <uint32_t> (SYSTEM_ADDRESS + RETURN_TO_USER), <uint32_t> EXIT, 0, 0
            ),
            "in user mode",
        )
        if self._register(UC_X86_REG_CS) & 3 != 3:
            raise RuntimeError("libunicorn: not in user mode")

    def _add_hooks(self):
        self._hook(UC_HOOK_BLOCK, <size_t> &on_block)
        self._hook(UC_HOOK_INTR, <size_t> &on_interrupt)
        self._hook(UC_HOOK_MEM_INVALID, <size_t> &on_bad_memory)
        self._hook(
            UC_HOOK_MEM_READ, <size_t> &on_device_read, 0, <uint32_t> REGISTERS_ADDRESS, <uint32_t> SYSTEM_ADDRESS - 1
        )
        self._hook(UC_HOOK_INSN, <size_t> &on_port_read, UC_X86_INS_IN)
        self._hook(UC_HOOK_INSN, <size_t> &on_port_write, UC_X86_INS_OUT)
        self._hook(UC_HOOK_INSN, <size_t> &on_system_call, UC_X86_INS_SYSCALL)
        self._hook(UC_HOOK_INSN, <size_t> &on_system_call, UC_X86_INS_SYSENTER)

    def _hook(self, int kind, size_t callback, int instruction=0, uint64_t first=1, uint64_t last=0):
        cdef size_t handle = 0
        self._check(
            self.work.unicorn.add_hook(
                self.work.engine, &handle, kind, <void *> callback, &self.work, first, last, instruction
            ),
            f"hooked: {kind}",
        )
