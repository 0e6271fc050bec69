"""x86 code of management cores: devices equal their twins in Python, and every instruction is counted."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.errors import ManagementError
from tests.management_tools import World, needs_x86

pytestmark = needs_x86

AGENT = """
/* Does what the host asks: operation, address, value. */
void run(void)
{
    int32_t words[4];
    uint32_t answer[2] = {0, 0};
    channel_receive_asks(words);
    volatile uint32_t *at = (volatile uint32_t *)words[1];
    if (words[0])
        *at = words[2];
    else
        answer[0] = *at;
    answer[1] = STEP + PHASE * 1000;
    channel_send_answers(answer);
}
"""
COMPUTING = {
    "loops": """
static uint32_t a[64];
void run(void)
{
    for (uint32_t k = 0; k < 64 + STEP % 7; k++)
        for (uint32_t j = 0; j < k % 5; j++)
            a[k & 63] += j * k ^ STEP;
}""",
    "strings": """
static uint8_t a[300], b[300];
void run(void)
{
    uint32_t n = STEP * 37 % 300;
    memset(a, STEP, n);
    memmove(b + 3, a, n > 3 ? n - 3 : 0);
    memcpy(a, b, n);
    if (memcmp(a, b, 300) > 0)
        a[0]++;
}""",
    "division": """
static volatile int64_t q, r;
static volatile uint64_t p = 0x123456789abcdefull;
void run(void)
{
    int64_t x = (int64_t)(p * (STEP + 1)), y = (int64_t)STEP * 77777 - 12345678;
    q = x / y;
    r = x % y;
    p ^= (uint64_t)x / (STEP + 3) + p % 1000003 + (uint64_t)x / (0x123456789ull << STEP % 20);
}""",
    "waits": """
static volatile uint32_t a;
void run(void)
{
    for (uint32_t k = 0; k < STEP % 6; k++) {
        a += k;
        WAIT = 0;
        __asm__ volatile("int $0x40" : : : "memory");
    }
}""",
    "branches": """
static uint32_t f(uint32_t n) { return n < 2 ? n : f(n - 1) + f(n - 2); }
static volatile uint32_t state = 1;
void run(void)
{
    for (uint32_t k = 0; k < 200; k++) {
        uint32_t s = state;
        switch ((s >> 8) % 11) {
        case 0: s += f(s % 9); break;
        case 1: s ^= s << 13; break;
        case 2: s *= 5; break;
        case 3: s = s << 3 | s >> 29; break;
        case 4: s -= k; break;
        case 5: while (s & 1) s >>= 1; break;
        case 7: s = ~s; break;
        case 9: __asm__ volatile("1: decl %%ecx; jnz 1b" : : "c"(s % 17 + 1)); break;
        default: s += 0x9e3779b9; break;
        }
        state = s * 1664525 + 1013904223 + STEP;
    }
}""",
}


def counted_one_by_one(path, steps):
    """Return the instructions of each step, counted by a hook of each of them, with the package's own interface."""
    unicorn = pytest.importorskip("unicorn")
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415
    from unicorn import x86_const as x86  # noqa: PLC0415

    machine = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_32)
    machine.ctl_set_cpu_model(x86.UC_CPU_X86_PENTIUM)
    machine.mem_map(0, 0x0020_0000)
    with path.open("rb") as file:
        elf = ELFFile(file)
        for segment in elf.iter_segments("PT_LOAD"):
            machine.mem_write(segment["p_vaddr"], segment.data())
        entry = elf.get_section_by_name(".symtab").get_symbol_by_name("run")[0]["st_value"]
    step, n = [0], [0]
    machine.mmio_map(0x8000_0000, 4096, lambda *_: step[0], None, lambda *_: None, None)
    machine.hook_add(unicorn.UC_HOOK_INTR, lambda *_: None)

    def count(*_):
        n[0] += 1

    machine.hook_add(unicorn.UC_HOOK_CODE, count, None, 0x0010_0000, 0x0020_0000)
    counts = []
    for step[0] in steps:
        n[0] = 0
        machine.mem_write(0x0001_3FEC, struct.pack("<I", 0x0001_F000))
        machine.reg_write(x86.UC_X86_REG_ESP, 0x0001_3FEC)
        machine.emu_start(entry, 0x0001_F000)
        counts.append(n[0])
    return counts


@pytest.mark.parametrize("name", COMPUTING)
def test_every_instruction_is_counted(tmp_path, name):
    world = World()
    path = world.build(tmp_path, COMPUTING[name])
    program, counts = world.program(path, on_wait=lambda *_: None), []
    for step in range(40):
        program.run(step, 0)
        counts.append(program.n_instructions)
    assert counts == counted_one_by_one(path, range(40))
    assert len(set(counts)) > 3


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    return World().build(tmp_path_factory.mktemp("agent"), AGENT)


operations = st.lists(
    st.tuples(
        st.booleans(),
        st.integers(0, 8),
        st.integers(0, 60),
        st.integers(-(2**31), 2**31 - 1) | st.integers(-320, 320),
    ),
    min_size=1,
    max_size=30,
)


def asked_in_python(world, region, index, value, *, writing):
    """Return what the twin in Python answers, or None where it refuses."""
    channel = world.channels[0]
    channel.put([writing, 0, value, 0])
    channel.get()
    try:
        if writing:
            world.regions[region].write(value, [index])
            return 0
        return int(world.regions[region].read([index])[0]) & 0xFFFFFFFF
    except ManagementError:
        return None


@given(operations, st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_state_is_read_and_written_as_in_python(agent, operations, seed):
    mine, twin = World(seed), World(seed)
    program = mine.program(agent)
    for step, (writing, region, index, value) in enumerate(operations):
        address = mine.regions[region].address + 4 * index
        mine.channels[0].put([writing, np.int32(np.uint32(address)), value, 0])
        expected = asked_in_python(twin, region, index, value, writing=writing)
        if expected is None:
            with pytest.raises(ManagementError, match="management core 0"):
                program.run(step, step % 5)
            continue
        program.run(step, step % 5)
        answer = [expected, step + step % 5 * 1000]
        assert mine.channels[1].get().tolist() == answer
        twin.channels[1].put(answer)
        twin.channels[1].get()
    for name, array in mine.arrays.items():
        assert array.tolist() == twin.arrays[name].tolist()
    for one, other in zip(mine.regions, twin.regions, strict=True):
        assert one.reads.tolist() == other.reads.tolist()
        assert one.writes.tolist() == other.writes.tolist()
    for one, other in zip(mine.channels, twin.channels, strict=True):
        assert one.state.tolist() == other.state.tolist()


RELAY = """
/* Passes messages on. */
void run(void)
{
    int32_t words[4];
    channel_receive_asks(words);
    channel_send_answers((uint32_t *)words);
}
"""


@pytest.fixture(scope="module")
def relay(tmp_path_factory):
    return World().build(tmp_path_factory.mktemp("relay"), RELAY)


@given(st.lists(st.tuples(st.booleans(), st.integers(-(2**31), 2**31 - 1)), max_size=60))
@settings(max_examples=20)
def test_channels_are_rings(relay, messages):
    world, twin = World(), World()
    program, waited = world.program(relay), []
    for takes, value in messages:
        for one in (world, twin):
            one.channels[0].put([value, 1, 2, 3])
        if not twin.channels[1].has_room:  # the program waits until the host takes a message
            waited.append(("answers", True))
            twin.channels[1].get()
        twin.channels[1].put(twin.channels[0].get()[:2].view(np.uint32))
        program.run(0, 0)
        assert world.waited == waited
        if takes:
            assert world.channels[1].get().tolist() == twin.channels[1].get().tolist()
        for mine, theirs in zip(world.channels, twin.channels, strict=True):
            assert mine.state.tolist() == theirs.state.tolist()
            assert mine.data.tolist() == theirs.data.tolist()


def test_a_message_that_is_not_there_is_waited_for(relay):
    world = World()
    world.program(relay).run(0, 0)
    assert world.waited == [("asks", False)]
    assert world.channels[1].get().tolist() == [1, 1]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*range(98, 116), 2**32 - 1]),
            st.integers(0, 9) | st.just(2**32 - 1),
            st.integers(-105, 1005) | st.just(1),
        ),
        max_size=200,
    )
)
@settings(max_examples=20)
def test_spikes_are_kept_in_order(sender, spikes):
    world = World()
    program = world.program(sender)
    expected = []
    for source, step, payload in spikes:
        entry = next((e for e in world.inputs.values() if 0 <= source - e.first < e.size), None)
        legal = entry is not None and entry.low <= payload <= entry.high and step >= 4
        if legal:
            expected.append([source, step, payload])
        world.channels[0].clear()
        world.channels[0].put([np.int32(np.uint32(source)), np.int32(np.uint32(step)), payload, 0])
        if legal:
            program.run(3, 0)
            assert program.spikes.tolist() == [expected[-1]] * 100
        else:
            with pytest.raises(ManagementError, match="spike"):
                program.run(3, 0)


@pytest.fixture(scope="module")
def sender(tmp_path_factory):
    text = """
    void run(void)
    {
        int32_t words[4];
        channel_receive_asks(words);
        for (int32_t k = 0; k < 100; k++)
            send_spike(words[0], words[1], words[2]);
    }
    """
    return World().build(tmp_path_factory.mktemp("sender"), text)


def test_rewards_resets_and_registers(tmp_path):
    world = World()
    program = world.compiled(
        tmp_path,
        """
        void run(void)
        {
            add_reward0(-128);
            add_reward0(100);
            add_reward1(STEP);
            reset(POPULATION_cells);
            reset_all();
            uint32_t words[2] = {CORE, PHASE};
            channel_send_answers(words);
        }
        """,
    )
    program.run(127, 4)
    assert program.rewards == (-28, 127)
    assert world.resets == ["cells", None]
    assert world.channels[1].get().tolist() == [0, 4]
    program.run(1, 2)
    assert program.rewards == (-28, 1)
    assert world.channels[1].get().tolist() == [0, 2]


def test_an_error_of_a_reset_comes_through(tmp_path):
    world = World()

    def refuse(_name):
        raise KeyError("no such thing")

    path = world.build(tmp_path, "void run(void) { reset_all(); add_reward0(1); }")
    program = world.program(path, on_reset=refuse)
    with pytest.raises(KeyError, match="no such thing"):
        program.run(0, 0)
    assert program.rewards == (0, 0)


@given(st.binary(min_size=1, max_size=40), st.integers(0, 2**32 - 1))
@settings(max_examples=150)
def test_any_bytes_as_code_end_in_an_error_or_return(any_code, code, seed):
    world = World(seed)
    content = bytearray(any_code.read_bytes())
    at = content.index(b"\x90" * 64)
    content[at : at + len(code)] = code
    path = any_code.with_name("changed.elf")
    path.write_bytes(content)
    program = world.program(path, budget=2000)
    try:
        program.run(0, 0)
    except ManagementError as error:
        assert "management core 0, phase pre, step 0: changed.elf: " in str(error)  # noqa: PT017
    assert program.n_instructions <= 2000 + 64


@pytest.fixture(scope="module")
def any_code(tmp_path_factory):
    text = 'void run(void) { __asm__ volatile(".fill 64, 1, 0x90"); }'
    return World().build(tmp_path_factory.mktemp("any"), text)
