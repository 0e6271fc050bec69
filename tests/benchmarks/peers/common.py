"""What the peers share: the networks, a program as plain arrays, our own time, the table."""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from emulator import Chip, Emulator, Network, Program, compile_network, load_chip
from emulator import Mapping as Placement

FAN_OUT = 100
ACTIVITY = 0.02  # part of the neurons that fire in a step
THRESHOLD = 8192 * 64  # in units of v
LARGEST_DELAY = 7
REPEATS = 5
SEED = 1
CONSOLE = Console(width=None if sys.stdout.isatty() else 120)  # a file takes the whole table
Spikes = dict[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Cells:
    """A population in its own order: registers as they act, in units of u and v."""

    name: str
    size: int
    is_input: bool
    u_retain: NDArray[np.float64]  # part of u that is left after a step
    v_retain: NDArray[np.float64]
    bias: NDArray[np.float64]
    threshold: NDArray[np.float64]
    u_init: NDArray[np.float64]
    v_init: NDArray[np.float64]


@dataclass(frozen=True)
class Synapses:
    """A projection: one entry for each synapse, by source and then by target."""

    source: str
    target: str
    pre: NDArray[np.int32]
    post: NDArray[np.int32]
    weight: NDArray[np.float64]
    delay: NDArray[np.int32]


@dataclass(frozen=True)
class Measured:
    """One timed run."""

    seconds_per_step: float
    n_events: int


@dataclass(frozen=True)
class Whole:
    """One whole run: its seconds, the spikes that it ended with, and the seconds of the steps alone."""

    seconds: float
    n_spikes: int
    loop_seconds: float


@dataclass(frozen=True)
class WholeRow:
    """One comparison of whole runs, taken in turns."""

    network: str
    neurons: int
    steps: int
    ours: list[Whole]
    theirs: list[Whole]

    def __post_init__(self) -> None:
        for our, their in zip(self.ours, self.theirs, strict=True):
            assert abs(our.n_spikes - their.n_spikes) <= 0.01 * our.n_spikes, (
                f"{self.network}: {our.n_spikes:,} spikes here, {their.n_spikes:,} there"
            )


@dataclass(frozen=True)
class Row:
    """One comparison: a network, our mode and theirs, and the runs of both sides, taken in turns."""

    network: str
    neurons: int
    synapses: int
    steps: int
    ours: list[Measured]
    theirs: list[Measured]

    def __post_init__(self) -> None:
        for our, their in zip(self.ours, self.theirs, strict=True):
            assert abs(our.n_events - their.n_events) <= 0.01 * our.n_events, (
                f"{self.network}: {our.n_events:,} synaptic events here, {their.n_events:,} there"
            )


def autonomous(n_neurons: int) -> Network:
    """Make neurons that a bias fires every 50 steps, each with its own phase and weak synapses to any others."""
    return _recurrent("autonomous", n_neurons, 0)


def leaky(n_neurons: int) -> Network:
    """Make the same neurons with a current and a potential that decay: current-based leaky integrate-and-fire."""
    return _recurrent("leaky", n_neurons, 0, du=1024, dv=4)


def delayed(n_neurons: int) -> Network:
    """Make the same neurons with a delay of its own for each synapse, 0 to 7 steps."""
    return _recurrent("delayed", n_neurons, LARGEST_DELAY)


def _recurrent(
    name: str, n_neurons: int, largest_delay: int, du: int = 4095, dv: int = 0
) -> Network:
    rng = np.random.default_rng(SEED)
    net = Network(name)
    exponent = 3  # the mantissa has 13 bits and a sign
    cells = net.population(
        "cells",
        n_neurons,
        du=du,
        dv=dv,
        vth_mant=THRESHOLD // 64,
        bias_mant=round(THRESHOLD * ACTIVITY) >> exponent,
        bias_exp=exponent,
        v_init=rng.integers(0, THRESHOLD, n_neurons),
    )
    pre, post, weight = _random_synapses(n_neurons, rng)
    delay = rng.integers(0, largest_delay + 1, len(pre)) if largest_delay else 0
    net.connect(cells, cells, weights=(pre, post, weight), delay=delay)
    return net


def driven(n_neurons: int) -> Network:
    """Make inputs, to be fired at random, and neurons that receive them and never fire."""
    rng = np.random.default_rng(SEED)
    net = Network("driven")
    source = net.input("in", n_neurons)
    cells = net.population("cells", n_neurons, du=4095, dv=0, vth_mant=2**17 - 1)
    net.connect(source, cells, weights=_random_synapses(n_neurons, rng))
    return net


def _random_synapses(
    n_neurons: int, rng: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    pre = np.repeat(np.arange(n_neurons, dtype=np.int32), FAN_OUT)
    post = rng.integers(0, n_neurons, len(pre), dtype=np.int32)
    return pre, post, 2 * rng.choice(np.array([-1, 1], np.int32), len(pre))


def benchmark_programs(
    networks: Iterable[Network], chip: Chip, per_core: int | None = None
) -> Iterable[Program]:
    """Yield the program named on the command line, or else each network, compiled, saved and loaded.

    Parameters
    ----------
    networks : iterable of Network
        Made one at a time, as the larger ones fill memory.
    chip : Chip
        What they are compiled for.
    per_core : int, optional
        Neurons placed on a core; by default as many as fit.
    """
    if len(sys.argv) > 2:
        sys.exit(f"usage: {Path(sys.argv[0]).name} [PROGRAM]")
    if len(sys.argv) == 2:
        yield Program.load(sys.argv[1])
        return
    for net in networks:
        placement = None if per_core is None else _spread(net, per_core)
        with TemporaryDirectory() as directory:
            path = Path(directory) / "benchmark.program"
            compile_network(net, chip, placement).save(path)
            yield Program.load(path)


def _spread(net: Network, per_core: int) -> Placement:
    segments, core = [], 0
    for population in net.populations.values():
        for first in range(0, 0 if population.is_input else population.size, per_core):
            segments.append((population.name, first, min(first + per_core, population.size), core))
            core += 1
    return Placement(segments)


def chip_of(program: Program) -> Chip:
    """Return the shipped chip that a program was compiled for."""
    return load_chip(program.manifest["chip"]["name"])


def plain_network(program: Program) -> tuple[list[Cells], list[Synapses]]:
    """Return the populations and projections of a program, as any simulator of LIF neurons can read them.

    Neurons that rest after a spike are refused: what happens meanwhile differs between simulators.
    """
    if program.refractory.max(initial=1) > 1 or program.refractory_init.any():
        sys.exit(f"{program.name}: the peers run programs without refractory periods only")
    cells = [
        _cells(program, population["name"], population["is_input"])
        for population in program.manifest["populations"]
    ]
    synapses = []
    for projection in program.manifest["projections"]:
        pre, post, weight, delay = program.projection_synapses(projection["name"])
        order = np.lexsort((post, pre))  # the order in which a simulator finds its memory fastest
        arrays = pre[order], post[order], weight[order].astype(float), delay[order]
        synapses.append(Synapses(projection["source"], projection["target"], *arrays))
    return cells, synapses


def _cells(program: Program, name: str, is_input: bool) -> Cells:
    sources = program.sources_of(name)
    mine = sources[:0] if is_input else sources  # inputs have no registers

    def register(table: NDArray[Any], unit: float = 1.0) -> NDArray[np.float64]:
        return table[mine] / unit

    return Cells(
        name=name,
        size=len(sources),
        is_input=is_input,
        u_retain=register(program.u_retain, 4096),
        v_retain=register(program.v_retain, 4096),
        bias=register(program.bias),
        threshold=register(program.threshold),
        u_init=register(program.u_init),
        v_init=register(program.v_init),
    )


def random_inputs(program: Program, steps: int) -> Spikes:
    """Return (step, neuron) of each input population: in every step as many, and others."""
    rng = np.random.default_rng(SEED)
    spikes = {}
    for population in program.manifest["populations"]:
        if population["is_input"]:
            n_active = max(1, round(population["size"] * ACTIVITY))
            neurons = [rng.permutation(population["size"])[:n_active] for _ in range(steps)]
            step = np.repeat(np.arange(steps), n_active)
            spikes[population["name"]] = np.column_stack([step, np.concatenate(neurons)])
    return spikes


def raster(spikes: NDArray[np.int64], steps: int, size: int) -> NDArray[np.bool_]:
    """Return (step, neuron) rows as most users have them: bool (steps, size)."""
    table = np.zeros((steps, size), bool)
    table[spikes[:, 0], spikes[:, 1]] = True
    return table


def n_events(synapses: list[Synapses], spike_counts: Mapping[str, NDArray[Any]]) -> int:
    """Return the synapses visited when the neurons of each population fired so many times."""
    return sum(
        int(np.bincount(s.pre, minlength=len(count)) @ count)
        for s in synapses
        for count in [spike_counts[s.source]]
    )


def in_turns(
    ours: Callable[[], Measured], theirs: Callable[[], Measured], what: str
) -> tuple[list[Measured], list[Measured]]:
    """Run both sides alternately, so that what else the machine does meets both."""
    repeats = track(range(REPEATS), what, console=CONSOLE, disable=not CONSOLE.is_terminal)
    pairs = [(ours(), theirs()) for _ in repeats]
    return [our for our, _ in pairs], [their for _, their in pairs]


def run_steps(emulator: Emulator, steps: int, inputs: Spikes) -> Measured:
    """Run from the start and time the steps alone, between the first report of progress and the last.

    What comes before, mostly sorting the inputs, and after is left out, as it is for the peer. Seconds are those of
    the processor, in one thread, which is what a peer's own clock counts.
    """
    reports: list[tuple[int, float]] = []
    emulator.reset()
    run = emulator.run(
        steps, inputs, timing="off", progress=lambda done: reports.append((done, process_time()))
    )
    (first, began), (last, ended) = reports[0], reports[-1]
    return Measured((ended - began) / (last - first), run.counters.total("synaptic_event"))


def run_whole(
    chip: Chip,
    program: Program,
    steps: int,
    inputs: dict[str, NDArray[np.bool_]],
    recorded: tuple[str, ...],
) -> Whole:
    """Make a new emulator, run it and take the spikes of some populations: seconds of the wall, as users wait."""
    reports: list[float] = []
    began = perf_counter()
    run = Emulator(chip, program).run(
        steps, inputs, timing="off", progress=lambda _: reports.append(perf_counter())
    )
    spikes = [run.spikes[name] for name in recorded]
    seconds = perf_counter() - began
    return Whole(seconds, sum(map(len, spikes)), reports[-1] - reports[0])


def print_table(peer: str, rows: list[Row]) -> None:
    """Print medians, and the lowest and highest ratio of two runs that followed one another."""
    table = Table(title=f"one thread, {REPEATS} runs of each in turns, of which the medians")
    for name in (
        "network",
        "neurons",
        "synapses",
        "active",
        "M events\nours",
        f"\n{peer}",
        "M events/s\nours",
        f"\n{peer}",
        "ours / theirs",
    ):
        table.add_column(name, justify="left" if name == "network" else "right")
    for row in rows:
        sides = row.ours, row.theirs
        seconds = [median(m.seconds_per_step for m in runs) for runs in sides]
        events = [median(m.n_events for m in runs) for runs in sides]
        speeds = [n / row.steps / s for n, s in zip(events, seconds, strict=True)]
        ratios = [t.seconds_per_step / o.seconds_per_step for o, t in zip(*sides, strict=True)]
        table.add_row(
            row.network,
            f"{row.neurons:,}",
            f"{row.synapses:,}",
            f"{events[0] / row.steps / row.synapses:.2%}",
            *(f"{n / 1e6:,.3f}" for n in events),
            *(f"{x / 1e6:,.2f}" for x in speeds),
            f"{speeds[0] / speeds[1]:.2f} ({min(ratios):.2f} .. {max(ratios):.2f})",
        )
    CONSOLE.print(table)


def print_whole(peer: str, rows: list[WholeRow]) -> None:
    """Print medians of whole runs, and the lowest and highest ratio of two that followed one another."""
    table = Table(title=f"whole runs, from arrays to spikes, {REPEATS} of each in turns, medians")
    for name in (
        "network",
        "neurons",
        "steps",
        "spikes\nours",
        f"\n{peer}",
        "ms\nours",
        f"\n{peer}",
        "theirs / ours",
        f"{peer}'s loop\nalone, ms",
    ):
        table.add_column(name, justify="left" if name == "network" else "right")
    for row in rows:
        sides = row.ours, row.theirs
        spikes = [round(median(w.n_spikes for w in runs)) for runs in sides]
        seconds = [median(w.seconds for w in runs) for runs in sides]
        ratios = [their.seconds / our.seconds for our, their in zip(*sides, strict=True)]
        loop = median(w.loop_seconds for w in row.theirs)
        table.add_row(
            row.network,
            f"{row.neurons:,}",
            f"{row.steps:,}",
            *(f"{n:,}" for n in spikes),
            *(f"{1e3 * s:,.0f}" for s in seconds),
            f"{seconds[1] / seconds[0]:.2f} ({min(ratios):.2f} .. {max(ratios):.2f})",
            f"{1e3 * loop:,.0f}",
        )
    CONSOLE.print(table)
