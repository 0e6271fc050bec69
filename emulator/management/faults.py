"""What went wrong on a management core, in words."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from emulator.kernels.x86 import CHANNEL_REGISTERS, LAYOUT, REGISTERS
from emulator.management.channels import Channel, end_text
from emulator.management.memory import Region
from emulator.management.regions import Input

STACK_BOTTOM = 0x0001_0000
GUARD_BYTES = 0x8000
"""Below the stack; an access there is an overflow, one still lower is of a null pointer."""
EXCEPTIONS = {
    0: "division by zero, or a quotient that does not fit",
    1: "a debug trap",
    3: "a breakpoint (int3)",
    4: "an overflow trap (into)",
    5: "an index out of bounds (bound)",
    6: "an illegal instruction",
    7: "an instruction of a coprocessor that is not there",
    8: "a double fault",
    10: "an invalid task segment",
    11: "a segment that is not present",
    12: "a stack segment fault",
    13: "an instruction that is not allowed in user mode, or a bad segment",
    16: "a floating-point error",
}
Fault = tuple[str, int, int, int, int, BaseException | None]


def fault_text(
    fault: Fault,
    registers: Mapping[str, int],
    regions: Sequence[Region],
    channels: Sequence[Channel],
    inputs: Mapping[str, Input],
    populations: Sequence[str],
    stack_bytes: int,
) -> str:
    """Return what a fault of `Processor.fault` means, with the names of what it is about."""
    kind, address, value, size, index, _ = fault
    if kind in {"read", "write", "fetch"}:
        return _wild(kind, address, size, registers, stack_bytes)
    texts: dict[str, Callable[[], str]] = {
        "budget": lambda: f"more than {value:,} instructions in one phase: an endless loop?",
        "read only memory": lambda: (
            f"wild pointer: {address:#x} was written, which is code or a constant"
        ),
        "unreadable memory": lambda: f"wild pointer: {address:#x} was read, which cannot be",
        "not code": lambda: f"wild jump to {address:#x}, which is no code",
        "illegal": lambda: "illegal instruction (the processor is a Pentium: no CMOV, no SSE)",
        "exception": lambda: (
            f"{EXCEPTIONS.get(value, f'interrupt {value:#x}, which has no meaning here')}"
        ),
        "port": lambda: f"port {address:#x} was used (in, out); there are no ports",
        "system call": lambda: "a system call; there is no operating system",
        "stopped": lambda: f"the processor stopped for no reason that is known ({value})",
        "access size": lambda: _access(address, size),
        "no device": lambda: f"wild pointer: there is nothing at {address:#x}",
        "not readable": lambda: f"{_register(address)} was read; it can only be written",
        "not writable": lambda: f"{_register(address, regions)} was written; it can only be read",
        "outside": lambda: f"wild pointer: {address:#x} lies behind the {_extent(regions[index])}",
        "range": lambda: (
            f"{regions[index].name}[{address - regions[index].address >> 2}] = {value}; allowed: "
            f"{regions[index].low} to {regions[index].high}"
        ),
        "no message": lambda: f"channel '{channels[index].name}' was read, but has no message",
        "no room": lambda: f"channel '{channels[index].name}' was written, but has no room",
        "not an end": lambda: _not_an_end(channels[index], value),
        "source": lambda: (
            f"a spike of source {value & 0xFFFFFFFF} was sent; inputs are {_inputs(inputs)}"
        ),
        "spike time": lambda: f"a spike was sent for step {value}, which is past",
        "payload": lambda: (
            f"a spike of '{list(inputs)[index]}' was sent with payload {value}; allowed: "
            f"{list(inputs.values())[index].low} to {list(inputs.values())[index].high}"
        ),
        "population": lambda: f"reset of population {value}; there are {len(populations)}",
        "reward": lambda: f"a reward of {value}; allowed: -128 to 127",
        "no wait": lambda: f"int {LAYOUT['wait_interrupt']:#x} without a channel in WAIT",
        "channel": lambda: f"channel {value} does not exist; there are {len(channels)}",
        "memory": lambda: "no memory is left for the spikes that were sent",
    }
    return texts[kind]()


def _wild(
    kind: str, address: int, size: int, registers: Mapping[str, int], stack_bytes: int
) -> str:
    bottom = STACK_BOTTOM
    if kind != "fetch" and (bottom - GUARD_BYTES <= address < bottom or registers["esp"] < bottom):
        return f"stack overflow: {stack_bytes:,} bytes are not enough ({address:#x})"
    if kind == "fetch":
        return f"wild jump to {address:#x}, where nothing is"
    what = "null pointer" if address < 4096 else "wild pointer"
    return f"{what}: {size} bytes at {address:#x} were {'read' if kind == 'read' else 'written'}, where nothing is"


def _access(address: int, size: int) -> str:
    return f"{size} bytes at {address:#x} were asked for; devices and state are words: 4 bytes at a multiple of 4"


def _not_an_end(channel: Channel, wanted: int) -> str:
    lacks = {1: "does not send on it", 2: "does not receive on it"}.get(wanted, "is no end of it")
    ends = f"from {end_text(channel.source)} to {end_text(channel.target)}"
    return f"channel '{channel.name}' is {ends}; this core {lacks}"


def _extent(region: Region) -> str:
    return f"{len(region)} words of {region.name}, {region.address:#x} to {region.address + 4 * len(region):#x}"


def _register(address: int, regions: Sequence[Region] = ()) -> str:
    """Return what is at an address of a device, as people read it."""
    for region in regions:
        if region.address <= address < region.address + 4 * len(region):
            return f"{region.name}[{address - region.address >> 2}]"
    if address < LAYOUT["channels"]:
        names = {LAYOUT["registers"] + offset: name for name, offset in REGISTERS.items()}
    else:
        number, offset = divmod(address - LAYOUT["channels"], LAYOUT["channel_bytes"])
        names = {}
        for name, at in CHANNEL_REGISTERS.items():
            if at == offset:
                names[address] = f"{name} of channel {number}"
    return f"{names.get(address, 'what is not there')} ({address:#x})"


def _inputs(inputs: Mapping[str, Input]) -> str:
    known: list[Any] = [
        f"'{name}' {one.first} to {one.first + one.size - 1}" for name, one in inputs.items()
    ]
    return ", ".join(known) or "none"
