"""x86 management cores: what an active phase costs, and how fast code runs."""

from time import perf_counter, process_time

import numpy as np
import pytest

from emulator import Emulator, Network, compile_network, load_chip
from emulator.management.build import build_for
from emulator.management.channels import Channel
from emulator.management.memory import MemoryMap, Region
from emulator.network.managed import HOST
from tests.management_tools import World, needs_x86

pytestmark = needs_x86
N, PHASES = 35, 2_000
READOUT = """
void run(void)
{
    int32_t best = 0, at = 0;
    for (uint32_t i = 0; i < N_cells_v; i++) {
        int32_t v = cells_v[i];
        if (v > best) {
            best = v;
            at = i;
        }
    }
    for (uint32_t i = 0; i < N_cells_threshold; i++)
        cells_threshold[i] = 64 * (i + STEP);
    cells_threshold[at] = best;
}
"""
CODE = {
    "registers alone": """
static volatile uint32_t state = 1;
void run(void)
{
    uint32_t s = state;
    for (uint32_t k = 0; k < 1000000; k++)
        s = (s ^ s << 7) * 1664525 + k;
    state = s;
}""",
    "two loads and a store in eleven": """
static volatile uint32_t a[256];
void run(void)
{
    for (uint32_t k = 0; k < 1000000; k++)
        a[k & 255] += a[(k + 7) & 255] ^ k;
}""",
}


def world() -> World:
    one = World()
    place, core = np.arange(N, dtype=np.int64), np.zeros(N, np.int32)
    one.regions = [
        Region(f"cells.{name}", np.arange(N, dtype=np.int32), place, core, -(2**23), 2**23, 1)
        for name in ("v", "threshold")
    ]
    one.memory = MemoryMap(iter(one.regions))
    one.channels = [Channel("answers", 0, HOST, 1, 1, "int32")]
    return one


def test_active_phase(benchmark, line, tmp_path):
    one = world()
    program = one.compiled(tmp_path, READOUT)
    times = []

    def phases():
        for step in range(PHASES):
            start = perf_counter()
            program.run(step, 3)
            times.append(perf_counter() - start)

    benchmark.pedantic(phases, rounds=5)
    n_words = int(one.memory.reads.sum() + one.memory.writes.sum()) / len(times)
    assert n_words == N + N + 1
    line(
        f"x86 phase: {program.n_instructions} instructions, {n_words:.0f} words read or written",
        f"{1e6 * np.median(times):.1f} us a phase (limit 50)",
    )


@pytest.mark.parametrize("name", CODE)
def test_code(benchmark, line, tmp_path, name):
    program = world().compiled(tmp_path, CODE[name], budget=100_000_000)
    benchmark.pedantic(program.run, (0, 3), rounds=5, warmup_rounds=1)
    assert program.n_instructions > 4_000_000
    line(
        f"x86 code, {program.n_instructions:,} instructions: {name}",
        f"{program.n_instructions / benchmark.stats.stats.median / 1e6:.0f} M instructions/s",
    )


SHORT = """
void run(void)
{
    int32_t best = 0;
    for (uint32_t i = 0; i < N_cells_v; i++)
        if (cells_v[i] > cells_v[best])
            best = i;
    cells_threshold[best] = 6400 + 64 * CORE;
}
"""
STEPS = 10_000
GUARDS = {
    "every= that never holds": {"every": 10**6},
    "a function that is false": {"when": lambda core: core.number > 9},
}


def managed(tmp_path, programs):
    """Return an emulator of ten cells with programs (core, run, options), run once already."""
    chip, net = load_chip("loihi"), Network("managed")
    source, cells = net.input("in", 4), net.population("cells", 10, vth_mant=100, du=4095, dv=0)
    net.connect(source, cells, weights=np.full((10, 4), 40))
    program = compile_network(net, chip)
    elf = tmp_path / "short.elf"
    if not elf.exists():
        source_file = tmp_path / "short.c"
        source_file.write_text('#include "management.h"\n' + SHORT)
        build_for(program, chip, source_file, elf)
    emulator = Emulator(chip, program)
    for core, run, options in programs:
        emulator.manage(core, "post", run or elf, **options)
    emulator.run(1000, timing="off")
    return emulator


def us_a_step(emulator) -> float:
    """Return the CPU time of a step, the least of five."""
    times = []
    for _ in range(5):
        start = process_time()
        run = emulator.run(STEPS, timing="off")
        times.append(process_time() - start)
        assert run.n_steps == STEPS
    return 1e6 * min(times) / STEPS


@pytest.mark.parametrize("guard", GUARDS)
def test_phases_whose_guard_is_false(benchmark, line, tmp_path, guard):
    programs = [(core, lambda core: None, GUARDS[guard]) for core in range(3)]
    alone, guarded = managed(tmp_path, []), managed(tmp_path, programs)
    took = benchmark.pedantic(us_a_step, (guarded,)) - us_a_step(alone)
    assert guarded.run(10, timing="off").counters.total("management_call") == 0
    line(f"three cores, 10,000 steps, guard: {guard}", f"{took / 3:.2f} us a phase (limit 1)")


def test_active_x86_phases_of_three_cores(benchmark, line, tmp_path):
    programs = [(core, None, {}) for core in range(3)]
    alone, active = managed(tmp_path, []), managed(tmp_path, programs)
    took = benchmark.pedantic(us_a_step, (active,)) - us_a_step(alone)
    assert active.run(10, timing="off").counters.total("management_call") == 30
    line("three cores, 10,000 steps, x86 programs active", f"{took / 3:.1f} us a phase (limit 50)")
