"""x86 management programs: an ELF file that runs on a management core, in the extra `x86`."""

import mmap
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulator.errors import ManagementError
from emulator.kernels.x86 import Processor
from emulator.management.channels import Channel
from emulator.management.elf import EXECUTE, IMAGE_ADDRESS, Image, missing
from emulator.management.faults import STACK_BOTTOM, fault_text
from emulator.management.header import map_digest
from emulator.management.memory import MemoryMap
from emulator.management.regions import Input
from emulator.network.managed import PHASES

PAGE = 4096
MEMORY_BYTES, STACK_BYTES = 128 << 10, 16 << 10
BUDGET = 10_000_000
SENDS, RECEIVES = 1, 2
MOST_STACK_BYTES = IMAGE_ADDRESS - STACK_BOTTOM - PAGE
MOST_MEMORY_BYTES = 64 << 20
OnWait = Callable[[Channel, bool], None]
OnReset = Callable[[str | None], None]


class X86Program:
    """A program of a management core, from an ELF file.

    Parameters
    ----------
    path : str or Path
        What `build_management` made.
    memory : MemoryMap
        Of the program that is managed.
    channels : sequence of Channel
        All channels, in the order of the header.
    core : int
        Which management core this is.
    inputs : mapping of str to Input
        Populations to which spikes can be sent.
    populations : sequence of str
        In the order of the program.
    on_wait : callable
        Called with a channel and whether it is to be sent to (else received from) where the program has to wait; when
        it returns, the program looks again.
    on_reset : callable
        Called with the name of a population, or None for all, whose state is to be restored now.
    memory_bytes, stack_bytes : int
        For code and variables, and for the stack.
    budget : int
        Instructions that a phase may take.

    Attributes
    ----------
    n_instructions : int
        That the last run executed.
    rewards : (int, int)
        What the last run added to r0 and r1.
    spikes : (n, 3) int64
        What the last run sent: source, step, payload.

    Raises
    ------
    ManagementError
        When the file is not one that can run here.
    EmulatorError
        When the extra `x86` is not installed.
    """

    def __init__(  # noqa: PLR0913  # each is a part of what it runs beside
        self,
        path: str | Path,
        memory: MemoryMap,
        channels: Sequence[Channel],
        core: int,
        *,
        inputs: Mapping[str, Input],
        populations: Sequence[str],
        on_wait: OnWait,
        on_reset: OnReset,
        memory_bytes: int = MEMORY_BYTES,
        stack_bytes: int = STACK_BYTES,
        budget: int = BUDGET,
    ) -> None:
        _check_sizes(memory_bytes, stack_bytes, budget)
        self.image = Image(path, memory_bytes)
        if self.image.digest != map_digest(memory, channels, inputs, populations):
            raise ManagementError(
                f"{path}: was built for another program, or other channels: memory map {self.image.digest.hex()[:16]}; "
                "build it again with `emulator build-management`"
            )
        self._memory, self._channels, self._core = list(memory), list(channels), core
        self._inputs, self._populations = dict(inputs), list(populations)
        self._on_wait, self._on_reset, self._budget = on_wait, on_reset, budget
        self._stack_bytes, self._step, self._phase = stack_bytes, 0, 0
        self._spans = self._lay_out()
        self._processor: Processor | None = None
        self.n_instructions, self.rewards = 0, (0, 0)
        self.spikes: NDArray[np.int64] = np.empty((0, 3), np.int64)
        self.reset()
        self._processor = self._make_processor()

    def reset(self) -> None:
        """Restore memory as the file says: every variable has its first value again."""
        self._ram[:] = 0
        for segment, (_, data, _) in zip(self.image.segments, self._spans[1:], strict=True):
            at = segment.address % PAGE
            data[at : at + len(segment.data)] = np.frombuffer(segment.data, np.uint8)

    def snapshot(self) -> NDArray[np.uint8]:
        """Return a copy of memory, as `restore` takes it."""
        return self._ram.copy()

    def restore(self, snapshot: NDArray[np.uint8]) -> None:
        """Go back to a snapshot of this program."""
        if snapshot.shape != self._ram.shape:
            raise ManagementError(
                f"{self.image.path}: memory of {snapshot.size} bytes cannot be restored: it has {self._ram.size}"
            )
        code = self._ram[self._is_code]
        self._ram[:] = snapshot
        self._ram[self._is_code] = code

    def run(self, step: int, phase: int, earliest_spike: int | None = None) -> None:
        """Call the program's `run` once.

        Parameters
        ----------
        step : int
            Which step it is.
        phase : int
            An index of `PHASES`.
        earliest_spike : int, optional
            The first step in which spikes that are sent can still act; by default the next one.

        Raises
        ------
        ManagementError
            When it fails: with core, phase and step, the place in the program and the registers.
        """
        self._step, self._phase = step, phase
        processor = self._processor or self._make_processor()
        self._processor = (
            None  # after a fault, or an error of a callback, it is in no state to go on
        )
        earliest = step + 1 if earliest_spike is None else earliest_spike
        processor.begin(self.image.entry, step, phase, earliest, self._budget)
        try:
            while (outcome := processor.advance()) == "waits":
                number, sending = processor.waits
                self._on_wait(self._channels[number], sending)
        finally:
            self.n_instructions, self.rewards = processor.n_instructions, processor.rewards
            self.spikes = processor.spikes
        if outcome == "failed":
            raise self._error(processor)
        self._processor = processor

    def _error(self, processor: Processor) -> BaseException:
        fault, registers = processor.fault, processor.registers
        cause: BaseException | None = fault[5]
        if cause is not None:
            return cause
        text = fault_text(
            fault,
            registers,
            self._memory,
            self._channels,
            self._inputs,
            self._populations,
            self._stack_bytes,
        )
        shown = " ".join(f"{name}={value:08x}" for name, value in registers.items())
        return ManagementError(
            f"management core {self._core}, phase {PHASES[self._phase]}, step {self._step}: {self.image.path.name}: "
            f"{text}\n  {self.image.where(registers['eip'])}, eip={registers['eip']:#x}\n  {shown}"
        )

    def _lay_out(self) -> list[tuple[int, NDArray[np.uint8], int]]:
        """Return the stack, then each segment: address, memory, protection; all of them parts of one array."""
        extents = [(STACK_BOTTOM, self._stack_bytes, 3)]
        for segment in self.image.segments:
            first = segment.address // PAGE * PAGE
            stop = -(-(segment.address + segment.n_bytes) // PAGE) * PAGE
            extents.append((first, stop - first, segment.protection))
        total = sum(n_bytes for _, n_bytes, _ in extents)
        self._ram = np.frombuffer(
            mmap.mmap(-1, total), np.uint8
        )  # on pages, as the processor needs it
        self._is_code = np.zeros(total, bool)
        spans, done = [], 0
        for address, n_bytes, protection in extents:
            spans.append((address, self._ram[done : done + n_bytes], protection))
            self._is_code[done : done + n_bytes] = bool(protection & EXECUTE)
            done += n_bytes
        return spans

    def _make_processor(self) -> Processor:
        ends = [
            (c, SENDS * (c.source == self._core) | RECEIVES * (c.target == self._core))
            for c in self._channels
        ]
        sources = np.array(list(self._inputs.values()), np.int64).reshape(-1, 4)
        return Processor(
            library_path(),
            self._spans,
            STACK_BOTTOM + self._stack_bytes,
            self._memory,
            ends,
            sources,
            self._core,
            len(self._populations),
            self._reset_one,
        )

    def _reset_one(self, number: int | None) -> None:
        self._on_reset(None if number is None else self._populations[number])


def library_path() -> str:
    """Return the path of libunicorn, which the package `unicorn` brings.

    Raises
    ------
    EmulatorError
        When it is not installed.
    """
    spec = find_spec("unicorn")
    for folder in () if spec is None else spec.submodule_search_locations or ():
        for pattern in ("libunicorn.so*", "libunicorn*.dylib", "unicorn.dll"):
            for path in sorted(Path(folder, "lib").glob(pattern)):
                return str(path)
    raise missing("unicorn")


def _check_sizes(memory_bytes: int, stack_bytes: int, budget: int) -> None:
    for name, value, most in (
        ("memory_bytes", memory_bytes, MOST_MEMORY_BYTES),
        ("stack_bytes", stack_bytes, MOST_STACK_BYTES),
    ):
        if not (0 < value <= most and value % PAGE == 0):
            raise ManagementError(
                f"{name} is {value}; it must be a multiple of {PAGE}, at most {most}"
            )
    if budget < 1:
        raise ManagementError(f"budget is {budget}; it must be 1 instruction or more")
