"""The C header through which x86 management programs see a program: its memory map, channels and inputs.

A header belongs to one program. It puts a digest of what it says into the ELF file, which is compared when that is
loaded.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files

from emulator.kernels.x86 import CHANNEL_REGISTERS, LAYOUT, REGISTERS
from emulator.management.channels import Channel, end_text
from emulator.management.memory import MemoryMap, Region
from emulator.management.names import Identifiers, identifier
from emulator.management.regions import Input
from emulator.network.managed import HOST, PHASES

SECTION = ".emulator_map"
TYPES = tuple(f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64))
OWN = (
    "run", "memcpy", "memmove", "memset", "memcmp", "size_t", *TYPES, "send_spike", "add_reward0", "add_reward1",
    "reset", "reset_all", "management_wait", "management_receive", "management_send", "management_map",
    *(f"MANAGEMENT_{k}" for k in ("CHANNEL", "DATA", "EVERYTHING", "INTERRUPT", "INLINE", "H", *CHANNEL_REGISTERS)),
)  # fmt: skip


def map_digest(
    memory: MemoryMap,
    channels: Sequence[Channel],
    inputs: Mapping[str, Input],
    populations: Sequence[str],
) -> bytes:
    """Return a digest, 32 bytes, of all that code compiled with the header relies on."""
    regions = [
        (r.name, r.address, len(r), r.low, r.high, r.shift, r.bits, r.is_signed) for r in memory
    ]
    queues = [(c.name, c.source, c.target, c.depth, c.words, c.dtype) for c in channels]
    layout = (sorted(LAYOUT.items()), sorted(REGISTERS.items()), sorted(CHANNEL_REGISTERS.items()))
    said = [
        layout, PHASES, regions, queues, sorted((k, tuple(v)) for k, v in inputs.items()), list(populations),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(said).encode()).digest()


def management_header(
    memory: MemoryMap,
    channels: Sequence[Channel],
    inputs: Mapping[str, Input],
    populations: Sequence[str],
    name: str = "",
) -> str:
    """Return `management.h` for a program.

    Parameters
    ----------
    memory : MemoryMap
        Of the program.
    channels : sequence of Channel
        In the order of their numbers.
    inputs : mapping of str to Input
        Populations to which spikes can be sent.
    populations : sequence of str
        In the order of the program: those that can be reset.
    name : str
        Of the program, for the comment.

    Raises
    ------
    ManagementError
        When two names are the same in C.
    """
    taken = Identifiers((*OWN, *REGISTERS))
    digest = map_digest(memory, channels, inputs, populations)
    fixed = files("emulator.management").joinpath("fixed.h").read_text()
    lines = [
        f"/* management.h of program '{_comment(name)}'; made by `emulator build-management` */",
        fixed,
    ]
    lines += [
        f"#define {k} (*(volatile uint32_t *)0x{LAYOUT['registers'] + v:08x}u)"
        for k, v in REGISTERS.items()
    ]
    lines += _functions()
    lines += ["", "/* Phases: what PHASE is. */"]
    lines += [
        f"#define {taken.take('PHASE_' + identifier(p).upper(), f'phase {p}')} {k}u"
        for k, p in enumerate(PHASES)
    ]
    lines += _populations(populations, taken) + _inputs(inputs, taken)
    for region in memory:
        lines += _region(region, taken)
    for number, channel in enumerate(channels):
        lines += _channel(number, channel, taken)
    numbers = ", ".join(str(b) for b in digest)
    lines += [
        "",
        "/* Which program this belongs to. */",
        f'static const unsigned char management_map[32] __attribute__((used, section("{SECTION}"))) = {{{numbers}}};',
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    """Return text that cannot end a comment."""
    shown = "".join(c if c.isprintable() else "?" for c in text)
    return shown.replace("*/", "* /").replace("/*", "/ *").replace("??/", "?? /")


def _functions() -> list[str]:
    at = LAYOUT["channels"]
    place = f"0x{at:08x}u + {LAYOUT['channel_bytes']}u * (k) + (at)"
    found = [f"#define MANAGEMENT_CHANNEL(k, at) (*(volatile uint32_t *)({place}))"]
    found += [f"#define MANAGEMENT_{k} {v}u" for k, v in CHANNEL_REGISTERS.items()]
    found += [
        f"#define MANAGEMENT_DATA {LAYOUT['channel_data']}u",
        f"#define MANAGEMENT_EVERYTHING 0x{LAYOUT['everything']:08x}u",
        f'#define MANAGEMENT_INTERRUPT "{LAYOUT["wait_interrupt"]}"',
    ]
    return [*found, files("emulator.management").joinpath("functions.h").read_text()]


def _populations(populations: Sequence[str], taken: Identifiers) -> list[str]:
    lines = ["", "/* Populations, for reset(). */"]
    for number, name in enumerate(populations):
        text = taken.take(f"POPULATION_{identifier(name)}", f"population '{name}'")
        lines.append(f"#define {text} {number}u")
    return lines


def _inputs(inputs: Mapping[str, Input], taken: Identifiers) -> list[str]:
    lines = ["", "/* Inputs, for send_spike(INPUT_name + neuron, step, payload). */"]
    for name, one in inputs.items():
        owner = f"input '{name}'"
        first = taken.take(f"INPUT_{identifier(name)}", owner)
        size = taken.take(f"N_INPUT_{identifier(name)}", owner)
        lines.append(f"#define {first} {one.first}u  /* {_payload(one)} */")
        lines.append(f"#define {size} {one.size}u")
    return lines


def _payload(one: Input) -> str:
    return "payload 1" if one.low == one.high == 1 else f"payload {one.low} to {one.high}"


def _region(region: Region, taken: Identifiers) -> list[str]:
    text = taken.take(identifier(region.name), region.name)
    size = taken.take(f"N_{text}", f"the number of words of {region.name}")
    kind = "volatile int32_t" if region.is_writable else "volatile const int32_t"
    allowed = f"{region.low} to {region.high}" if region.is_writable else "read only"
    return [
        "",
        f"/* {_comment(region.name)}: {allowed} */",
        f"#define {size} {len(region)}u",
        f"static {kind} *const {text} __attribute__((unused)) = ({kind} *)0x{region.address:08x}u;",
    ]


def _channel(number: int, channel: Channel, taken: Identifiers) -> list[str]:
    name, owner = identifier(channel.name), f"channel '{channel.name}'"
    words = taken.take(f"WORDS_{name}", owner)
    taken.take(f"CHANNEL_{name}", owner)
    kind, n = f"{channel.dtype}_t", channel.words
    ends = f"from {end_text(channel.source)} to {end_text(channel.target)}"
    lines = [
        "",
        f"/* Channel '{_comment(channel.name)}' {ends}: {channel.depth} messages of {n} {channel.dtype}. */",
        f"#define CHANNEL_{name} {number}u",
        f"#define {words} {n}u",
    ]
    if channel.target != HOST:
        lines += [
            _function("uint32_t", taken.take(f"channel_waiting_{name}", owner), "void"),
            f"{{ return MANAGEMENT_CHANNEL({number}u, MANAGEMENT_WAITING); }}",
            _function("void", taken.take(f"channel_receive_{name}", owner), f"{kind} *words"),
            f"{{ management_receive({number}u, (uint32_t *)words, {n}u); }}",
        ]
    if channel.source != HOST:
        lines += [
            _function("uint32_t", taken.take(f"channel_room_{name}", owner), "void"),
            f"{{ return MANAGEMENT_CHANNEL({number}u, MANAGEMENT_ROOM); }}",
            _function("void", taken.take(f"channel_send_{name}", owner), f"const {kind} *words"),
            f"{{ management_send({number}u, (const uint32_t *)words, {n}u); }}",
        ]
    return lines


def _function(result: str, name: str, parameters: str) -> str:
    return f"MANAGEMENT_INLINE {result} {name}({parameters})"
