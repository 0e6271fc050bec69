"""x86 management programs: what goes wrong is an error that names the place, files may hold anything, memory stays."""

import re
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.errors import EmulatorError, ManagementError
from emulator.management import x86 as x86_module
from emulator.management.build import build_management
from emulator.management.channels import Channel
from emulator.management.header import PHASES, management_header
from emulator.management.memory import MemoryMap, Region
from emulator.network.managed import HOST
from tests.management_tools import World, needs_compiler, needs_x86

FAULTS = {
    "null pointer": ("*(volatile int *)16 = 1;", "null pointer: 4 bytes at 0x10 were written, where nothing is"),
    "wild read": (
        "sink = *(volatile int *)0x40000000;",
        "wild pointer: 4 bytes at 0x40000000 were read, where nothing is",
    ),
    "wild jump": ("((void (*)(void))0x50000000)();", "wild jump to 0x50000000, where nothing is"),
    "jump to data": ("((void (*)(void))&sink)();", "wild jump to .*, which is no code"),
    "constant": ("*(volatile int *)&fixed = 1;", "wild pointer: .* was written, which is code or a constant"),
    "code": ("*(volatile int *)run = 1;", "wild pointer: 0x1.* was written, which is code or a constant"),
    "illegal": ('__asm__ volatile("ud2");', "illegal instruction"),
    "cmov": ('__asm__ volatile("cmovz %eax, %ebx");', r"illegal instruction \(the processor is a Pentium"),
    "sse": ('__asm__ volatile("addps %xmm0, %xmm1");', "illegal instruction"),
    "division": ("sink = 7 / sink;", "division by zero, or a quotient that does not fit"),
    "long division": ("sink = 7ll / (int64_t)sink;", "division by zero"),
    "breakpoint": ('__asm__ volatile("int3");', r"a breakpoint \(int3\)"),
    "interrupt": ('__asm__ volatile("int $0x80");', "interrupt 0x80, which has no meaning here"),
    "wait": ('__asm__ volatile("int $0x40");', "int 0x40 without a channel in WAIT"),
    "no channel": ("WAIT = 2 * 99;", "channel 99 does not exist; there are 3"),
    "port": ('__asm__ volatile("outb %al, $0x20");', r"port 0x20 was used \(in, out\); there are no ports"),
    "port read": ('__asm__ volatile("inb $0x21, %al");', "port 0x21 was used"),
    "system call": ('__asm__ volatile("sysenter");', "a system call; there is no operating system"),
    "halt": ('__asm__ volatile("hlt");', "not allowed in user mode"),
    "time stamp": ('__asm__ volatile("rdtsc" : : : "eax", "edx");', "not allowed in user mode"),
    "control register": ('__asm__ volatile("movl %eax, %cr0");', "not allowed in user mode"),
    "endless": ("for (;;) sink++;", "more than 100,000 instructions in one phase: an endless loop?"),
    "tight": ('__asm__ volatile("1: jmp 1b");', "more than 100,000 instructions"),
    "stack": ("sink = deep(1 << 20);", "stack overflow: 16,384 bytes are not enough"),
    "large frame": ("sink = wide();", "stack overflow"),
    "behind": ("sink = cells_v[N_cells_v];", "wild pointer: 0x900000a0 lies behind the 40 words of cells.v"),
    "before": ("sink = ((volatile int *)0x90000000u)[-1];", "wild pointer: 4 bytes at 0x8ffffffc were read"),
    "byte": ("sink = *(volatile uint8_t *)cells_v;", "1 bytes at 0x90000000 were asked for; devices and state are words"),
    "half word": ("*(volatile uint16_t *)&STEP = 1;", "2 bytes at 0x80000000 were asked for"),
    "misaligned": (
        "sink = *(volatile int *)((char *)cells_v + 2);", "4 bytes at 0x90000002 were asked for"
    ),
    "across pages": (
        "sink = *(volatile int *)0x80100ffe;", "4 bytes at 0x80100ffe were asked for"
    ),
    "eight bytes": (
        '__asm__ volatile("fildll (%0)" : : "r"(cells_v));', "8 bytes at 0x90000000 were asked for"
    ),
    "misaligned write": (
        "*(volatile int *)((char *)cells_v + 1) = 1;", "1 bytes at 0x9000000.* were asked for"
    ),
    "read only": ("*(volatile int *)&cells_spikes[3] = 1;", r"cells.spikes\[3\] was written; it can only be read"),
    "range": ("cells_u[2] = 1 << 23;", r"cells.u\[2\] = 8388608; allowed: -8388608 to 8388607"),
    "weight": ("a_b_weights[7] = 255;", r"a->b.weights\[7\] = 255; allowed: -256 to 254"),
    "step": ("STEP = 1;", r"STEP \(0x80000000\) was written; it can only be read"),
    "reward": ("add_reward0(128);", "a reward of 128; allowed: -128 to 127"),
    "read reward": ("sink = REWARD0;", r"REWARD0 \(0x80000010\) was read; it can only be written"),
    "no register": ("sink = *(volatile int *)0x80000100;", r"what is not there \(0x80000100\) was read"),
    "population": ("reset(3);", "reset of population 3; there are 3"),
    "source": ("send_spike(114, 900, 1);", "a spike of source 114 was sent; inputs are 'in' 100 to 109, 'graded' 110 to 113"),
    "past": ("send_spike(INPUT_in, STEP, 1);", r"a spike was sent for step \d+, which is past"),
    "payload": ("send_spike(INPUT_graded, 900, 1001);", "a spike of 'graded' was sent with payload 1001; allowed: -100 to 1000"),
    "binary payload": ("send_spike(INPUT_in, 900, 2);", "a spike of 'in' was sent with payload 2; allowed: 1 to 1"),
    "message": ("sink = MANAGEMENT_CHANNEL(0, MANAGEMENT_DATA);", "channel 'asks' was read, but has no message"),
    "take": ("MANAGEMENT_CHANNEL(0, MANAGEMENT_COMMIT) = 0;", "channel 'asks' was read, but has no message"),
    "room": (
        "for (;;) MANAGEMENT_CHANNEL(1, MANAGEMENT_COMMIT) = 1;",
        "channel 'answers' was written, but has no room",
    ),
    "end": (
        "int32_t word = 1; channel_send_others(&word);",
        "channel 'others' is from core 1 to core 2; this core is no end of it",
    ),
    "other end": (
        "MANAGEMENT_CHANNEL(0, MANAGEMENT_DATA) = 1;",
        "channel 'asks' is from the host to core 0; this core does not send on it",
    ),
    "wide message": (
        "MANAGEMENT_CHANNEL(1, MANAGEMENT_DATA + 8) = 1;",
        "what is not there .* was written",
    ),
    "waiting": ("MANAGEMENT_CHANNEL(1, MANAGEMENT_WAITING) = 1;", "WAITING of channel 1 .* was written; it can only be read"),
    "no such channel": ("sink = MANAGEMENT_CHANNEL(3, 0);", "wild pointer"),
}  # fmt: skip
FIRST_STEP = 10
FRAME = """
static volatile int32_t sink;
static const int32_t fixed = 3;
static __attribute__((noinline)) int32_t deep(int32_t n) { volatile int32_t x = n; return n ? deep(n - 1) + x : 0; }
static __attribute__((noinline)) int32_t wide(void) { volatile int32_t x[5000]; x[0] = 1; return x[0]; }
void run(void)
{
    sink = fixed - 3;
    switch (STEP) {
%s
    }
    if (0) sink = deep(sink) + wide();
}
"""
CASE = """
    case %d: {
#line %d "program.c"
        %s
        break;
    }"""
STEP_OF = {name: FIRST_STEP + k for k, name in enumerate(FAULTS)}
ALL_FAULTS = FRAME % "".join(
    CASE % (STEP_OF[n], 100 * STEP_OF[n], line) for n, (line, _) in FAULTS.items()
)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """Return a program that does something wrong in each step but the first ones."""
    return World().build(tmp_path_factory.mktemp("faulty"), ALL_FAULTS)


@pytest.fixture(scope="module")
def undescribed(tmp_path_factory):
    """Return the same without debug information."""
    return World().build(tmp_path_factory.mktemp("faulty"), ALL_FAULTS, flags=["-g0"])


@needs_x86
@pytest.mark.parametrize("name", FAULTS)
def test_what_goes_wrong_is_an_error_that_names_the_place(faulty, name):
    program, step = World().program(faulty, budget=100_000), STEP_OF[name]
    program.run(0, 3)
    for _ in range(2):  # and it is the same again: nothing of the first is left
        with pytest.raises(ManagementError) as caught:
            program.run(step, 3)
        text = str(caught.value)
        where = f"management core 0, phase {PHASES[3]}, step {step}: program.elf: "
        assert text.startswith(where), text
        assert re.search(FAULTS[name][1], text), text
        assert re.search(r"eip=0x[0-9a-f]+\n  eip=[0-9a-f]{8} eax=", text), text
        if "wild jump" not in text:
            assert re.search(r"in \w+\(\) at (program.c|management.h|runtime.c):\d+, ", text), text
    program.run(0, 3)


@needs_x86
@pytest.mark.parametrize(
    "name",
    ["null pointer", "wild read", "range", "behind", "division", "illegal", "endless", "halt"],
)
def test_the_line_is_that_of_the_source(faulty, name):
    step = STEP_OF[name]
    with pytest.raises(ManagementError, match=rf"in run\(\) at program.c:{100 * step}, eip="):
        World().program(faulty, budget=100_000).run(step, 0)


@needs_x86
@pytest.mark.parametrize("name", ["payload", "past", "reward", "population"])
def test_the_line_of_a_function_of_the_header_is_where_it_is_called(faulty, name):
    line = 100 * STEP_OF[name]
    with pytest.raises(
        ManagementError, match=rf"at management.h:\d+, called at program.c:{line}, eip="
    ):
        World().program(faulty).run(STEP_OF[name], 0)


@needs_x86
def test_without_debug_information_the_function_is_named(undescribed):
    with pytest.raises(ManagementError, match=r"\n  in run\(\), eip="):
        World().program(undescribed).run(STEP_OF["range"], 0)


@needs_x86
def test_nothing_happens_after_a_fault(tmp_path):
    world = World()
    program = world.compiled(
        tmp_path, "void run(void) { cells_u[0] = 5; cells_u[1] = 1 << 30; cells_u[2] = 5; send_spike(100, 50, 1); }"
    )  # fmt: skip
    before = world.memory["cells.u"].read().tolist()
    with pytest.raises(ManagementError):
        program.run(0, 0)
    assert world.memory["cells.u"].read().tolist() == [5, *before[1:]]
    assert len(program.spikes) == 0
    assert world.memory["cells.u"].writes.sum() == 1


COUNTER = """
static uint32_t calls;
static uint32_t table[3] = {5, 6, 7};
void run(void)
{
    uint32_t words[2] = {++calls, table[0]++};
    channel_send_answers(words);
}
"""


@needs_x86
def test_memory_stays_and_is_kept_and_restored(tmp_path):
    world = World()
    program = world.compiled(tmp_path, COUNTER)

    def answer():
        program.run(0, 0)
        return world.channels[1].get().tolist()

    assert [answer(), answer()] == [[1, 5], [2, 6]]
    kept = program.snapshot()
    assert [answer(), answer()] == [[3, 7], [4, 8]]
    program.restore(kept)
    assert answer() == [3, 7]
    program.reset()
    assert answer() == [1, 5]
    with pytest.raises(ManagementError, match="cannot be restored: it has"):
        program.restore(kept[1:])


@needs_x86
def test_a_snapshot_changes_no_code(tmp_path):
    program = World().compiled(tmp_path, COUNTER)
    kept = program.snapshot()
    program.restore(np.zeros_like(kept))
    program.run(0, 0)


@needs_x86
def test_two_programs_talk(tmp_path):
    world = World()
    channels = [Channel("there", 1, 2, 2, 2, "int32"), Channel("back", 2, 1, 2, 1, "int32")]
    world.channels = channels
    texts = {
        1: "void run(void) { int32_t w[2] = {STEP, -5}, r; channel_send_there(w); channel_receive_back(&r);"
        " add_reward1(r); }",
        2: "void run(void) { int32_t w[2]; channel_receive_there(w); w[0] += w[1]; channel_send_back(w); }",
    }
    programs = {}
    for core, text in texts.items():
        (tmp_path / str(core)).mkdir()
        path = world.build(tmp_path / str(core), text)
        programs[core] = world.program(path, core, on_wait=lambda *_: programs[2].run(0, 0))
    for step in range(30):
        programs[1].run(step, 0)
        assert programs[1].rewards == (0, step - 5)
    assert [c.state[2:].tolist() for c in channels] == [[30, 30], [30, 30]]


@needs_x86
@given(
    st.integers(-(2**63), 2**63 - 1) | st.integers(-(2**33), 2**33),
    st.integers(-(2**63), 2**63 - 1) | st.integers(-(2**33), 2**33),
)
@settings(max_examples=150)
def test_division_of_64_bits(divider, a, b):
    world, program = divider
    world.channels[0].clear()
    world.channels[0].put(np.array([a, b or 1], np.int64).view(np.int32))
    b = b or 1
    program.run(0, 0)
    found = [world.channels[1].get().view(np.int64)[0] for _ in range(4)]
    ua, ub = a % 2**64, b % 2**64
    quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    quotient = (quotient + 2**63) % 2**64 - 2**63
    assert [int(x) for x in found[:2]] == [
        quotient,
        a - b * (abs(a) // abs(b)) * (1 if (a < 0) == (b < 0) else -1),
    ]
    assert [int(x) % 2**64 for x in found[2:]] == [ua // ub, ua % ub]


@pytest.fixture(scope="module")
def divider(tmp_path_factory):
    world = World()
    world.channels[1] = Channel("answers", 0, HOST, 4, 2, "int32")
    text = """
    void run(void)
    {
        int64_t w[2];
        channel_receive_asks((int32_t *)w);
        int64_t x[4] = {w[0] / w[1], w[0] % w[1], (uint64_t)w[0] / (uint64_t)w[1], (uint64_t)w[0] % (uint64_t)w[1]};
        for (int k = 0; k < 4; k++)
            channel_send_answers((int32_t *)&x[k]);
    }
    """
    return world, world.compiled(tmp_path_factory.mktemp("divider"), text)


# --- files ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return World().build(tmp_path_factory.mktemp("good"), COUNTER)


@needs_x86
@given(
    st.lists(st.tuples(st.integers(0, 2**20), st.integers(1, 255)), min_size=1, max_size=6),
    st.booleans(),
)
@settings(max_examples=100)
def test_a_changed_file_is_refused_or_runs(good, changes, in_header):
    content = bytearray(good.read_bytes())
    for at, mask in changes:
        content[at % (116 if in_header else len(content))] ^= mask
    _try(good, bytes(content))


@needs_x86
@given(st.integers(0, 2**20))
@settings(max_examples=40)
def test_a_file_that_is_cut_off_is_refused_or_runs(good, length):
    content = good.read_bytes()
    _try(good, content[: length % len(content)])


def _try(good, content):
    path = good.with_name("changed.elf")
    path.write_bytes(content)
    world = World()
    try:
        program = world.program(path, budget=5000)
        program.run(0, 0)
    except ManagementError as error:
        assert "changed.elf: " in str(error)  # noqa: PT017  # most of them fail, and each must say where


@needs_x86
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is no ELF file; `emulator build-management` makes one of a C file"),
        (b"\x7fELF", r"is damaged, or no ELF file \("),
        (b"int run;", "is no ELF file"),
    ],
)
def test_other_files_are_refused(tmp_path, content, expected):
    path = tmp_path / "other.elf"
    path.write_bytes(content)
    with pytest.raises(ManagementError, match=f"other.elf: {expected}"):
        World().program(path)


@needs_x86
@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["-c"], "is ET_REL; it must be ET_EXEC: linked, static, not position-independent"),
        (["-m32", "-shared", "-fPIC"], "is ET_DYN; it must be ET_EXEC"),
        (["-m32", "-static-pie", "-fPIE"], "is ET_DYN; it must be ET_EXEC"),
        (["-m64", "-static"], "is for EM_X86_64, 64 bits; a management core is EM_386"),
        (["-m32", "-static"], "has a segment at 0x8.*; memory is 0x100000 to 0x120000"),
        (["-m32", "-static", "-Wl,-Ttext-segment=0x100000"], "does not include management.h"),
        (
            ["-m32", "-static", "-Wl,-N,-Ttext=0x100000"],
            "has a segment at .* that is both code and writable",
        ),
    ],
)
def test_other_programs_are_refused(tmp_path, flags, expected):
    source, path = tmp_path / "a.c", tmp_path / "other.elf"
    source.write_text("int x = 1; void run(void) { x++; }")
    if "-m32" not in flags:
        flags = ["-m32", *flags] if "-c" in flags else flags
    gcc = [
        shutil.which("gcc"),
        "-ffreestanding",
        "-nostdlib",
        "-e",
        "run",
        *flags,
        str(source),
        "-o",
        str(path),
    ]
    subprocess.run(gcc, check=True, capture_output=True)
    with pytest.raises(ManagementError, match=f"other.elf: {expected}"):
        World().program(path)


@needs_x86
def test_a_file_of_another_program_is_refused(good, tmp_path):
    world = World()
    world.populations.append("more")
    with pytest.raises(
        ManagementError, match=r"good.*: was built for another program, or other channels"
    ):
        world.program(good)
    with pytest.raises(ManagementError, match="cannot be read: No such file"):
        world.program(tmp_path / "none.elf")


@needs_x86
def test_memory_that_is_not_enough_is_refused(good):
    world = World()
    with pytest.raises(
        ManagementError, match=r"has a segment at .*; memory is 0x100000 to 0x101000"
    ):
        world.program(good, memory_bytes=4096)
    for options, name in (
        ({"memory_bytes": 100}, "memory_bytes"),
        ({"stack_bytes": 0}, "stack_bytes"),
    ):
        with pytest.raises(
            ManagementError, match=f"{name} is .*; it must be a multiple of 4096, at most"
        ):
            world.program(good, **options)
    with pytest.raises(ManagementError, match="budget is 0; it must be 1 instruction or more"):
        world.program(good, budget=0)


def test_without_the_packages_the_error_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(x86_module, "find_spec", lambda _name: None)
    with pytest.raises(
        EmulatorError,
        match=r"^x86 management programs need the package unicorn: pip install unicorn pyelftools$",
    ):
        x86_module.library_path()
    path = tmp_path / "a.elf"
    path.write_bytes(b"\x7fELF")
    monkeypatch.setitem(sys.modules, "elftools", None)
    monkeypatch.setitem(sys.modules, "elftools.elf.elffile", None)
    with pytest.raises(
        EmulatorError, match=r"need the package pyelftools: pip install unicorn pyelftools$"
    ):
        World().program(path)


# --- header and compiler -------------------------------------------------------------------------------------------


def region(name: str) -> Region:
    one = np.zeros(1, np.int32)
    return Region(name, one, np.zeros(1, np.int64), one, -5, 5, 1)


def header_of(*names: str, channels=(), inputs=None, populations=()) -> str:
    memory = MemoryMap(region(name) for name in names)
    return management_header(memory, channels, inputs or {}, populations, "odd */ name\n\\")


@needs_compiler
def test_odd_names_become_identifiers(tmp_path):
    names = ["a b.v", "1st.u", "größe.v", "a->b#2.weights", "...", "_x_.v", "for.v", "*/.v"]
    channels = [
        Channel("to host!", 0, HOST, 1, 1, "int32"),
        Channel("int", HOST, 0, 1, 3, "uint32"),
    ]
    header = header_of(*names, channels=channels, populations=["a b", "ä", "1st"])
    for text in ("a_b_v", "_1st_u", "gr_e_v", "a_b_2_weights", "x_v", "for_v", "channel_send_to_host",
                 "channel_receive_int", "POPULATION_a_b", "POPULATION__1st"):  # fmt: skip
        assert re.search(rf"\b{text}\b", header), text
    source = tmp_path / "a.c"
    source.write_text('#include "management.h"\nvoid run(void) { a_b_v[0] = gr_e_v[0] + N_for_v; }')
    assert build_management(source, header, tmp_path / "a.elf", flags=["-Wextra", "-Werror"]) == ""


@pytest.mark.parametrize(
    ("names", "options", "expected"),
    [
        (["a.b_c", "a_b.c"], {}, "a_b.c and a.b_c are both 'a_b_c' in C; rename one of them"),
        (["N_a.v", "a.v"], {}, "the number of words of a.v and N_a.v are both 'N_a_v' in C"),
        (["send.spike"], {}, "send.spike and the header's own are both 'send_spike' in C"),
        ([], {"populations": ["a b", "a-b"]}, "population 'a-b' and population 'a b' are both 'POPULATION_a_b'"),
    ],
)  # fmt: skip
def test_names_that_are_the_same_in_c_are_refused(names, options, expected):
    with pytest.raises(ManagementError, match=re.escape(expected)):
        header_of(*names, **options)


@needs_compiler
def test_what_the_compiler_says_is_shown(tmp_path):
    world = World()
    for text, expected in (
        (
            "void run(void) { nothing(); }",
            r"program.c:2:\d+: error: implicit declaration of function 'nothing'",
        ),
        ("void other(void) {}", "undefined reference to `run'|cannot find entry symbol run"),
        ("void run(void) { cells_spikes[0] = 1; }", "assignment of read-only location"),
        (
            "static volatile float x; void run(void) { x *= 2.5f; }",
            r"(?s)undefined reference to `__mulsf3'.*is floating point or another part of libgcc",
        ),
    ):
        with pytest.raises(ManagementError, match=expected):
            world.build(tmp_path, text)
        assert not (tmp_path / "program.elf").exists()
    with pytest.raises(ManagementError, match="there is no compiler 'no-such-gcc'"):
        world.build(tmp_path, "void run(void) {}", cc="no-such-gcc")
    source = tmp_path / "program.c"
    with pytest.raises(ManagementError, match="this is the source itself; choose another name"):
        build_management(source, world.header, source)
    with pytest.raises(ManagementError, match=r"none\.c: cannot be read: No such file"):
        build_management(tmp_path / "none.c", world.header, tmp_path / "a.elf")


@needs_compiler
def test_a_build_is_the_same_twice(tmp_path):
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        path = World().build(
            tmp_path / name, COUNTER, flags=[f"-ffile-prefix-map={tmp_path / name}=."]
        )
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]


def test_the_bytes_of_a_header_are_the_digest():
    header = World().header
    assert len(re.search(r"management_map\[32\].*= \{([\d, ]+)\};", header)[1].split(",")) == 32
    assert struct.calcsize("<32B") == 32
