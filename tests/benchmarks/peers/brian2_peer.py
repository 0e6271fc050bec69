"""The same network in this emulator and in Brian2 (C++ standalone), one thread each: who is faster?

    python tests/benchmarks/peers/brian2_peer.py [PROGRAM]

Brian2 runs with its own compiler options, in float64, as it does unless told otherwise. In the first table its time is
that of its simulation loop, as its binary reports it; compiling, connecting and files are left out.

The second table has whole runs, as their users wait for them: from input spikes in memory to all spikes in memory. Ours
are a new `Emulator` and its first run; theirs is `device.run` of the binary that was built before, whose inputs are in
files already, and the reading of its results. The binary makes its synapses each time, as the emulator loads its program.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from common import (
    Cells,
    Measured,
    Row,
    Spikes,
    Synapses,
    Whole,
    WholeRow,
    autonomous,
    benchmark_programs,
    chip_of,
    delayed,
    driven,
    in_turns,
    leaky,
    n_events,
    plain_network,
    print_table,
    print_whole,
    random_inputs,
    raster,
    run_steps,
    run_whole,
)

from emulator import Emulator, Program, load_chip

try:
    import brian2
    from brian2 import ms
except ImportError:
    brian2 = None

SIZES = (10_000, 100_000)
NEURON_UPDATES = 40_000_000  # of a run: some tenths of a second
WHOLE_UPDATES = 10_000_000  # of a whole run, as users make them


class Standalone:
    """A network as a compiled program of Brian2, which can be run again and again."""

    def __init__(
        self,
        cells: list[Cells],
        synapses: list[Synapses],
        inputs: Spikes,
        steps: int,
        path: Path,
        *,
        records: bool = False,
    ) -> None:
        self.steps, self.path, self.synapses = steps, path, synapses
        brian2.device.reinit()
        brian2.device.activate(directory=str(path), build_on_run=False)
        brian2.defaultclock.dt = 1 * ms
        self.groups = {c.name: _group(c, inputs) for c in cells}
        sources = {s.source for s in synapses}
        # Counts only, unless asked: nothing is recorded, although the other side keeps every spike.
        self.monitors = {
            name: brian2.SpikeMonitor(group, record=records)
            for name, group in self.groups.items()
            if name in sources
        }
        by_name = {c.name: c for c in cells}
        connections = [self._connect(s, by_name[s.target]) for s in synapses]
        network = brian2.Network(*self.groups.values(), *self.monitors.values(), *connections)
        # A neuron is reset before the spikes of a step reach it, so that both sides lose none.
        network.schedule = ["start", "groups", "thresholds", "resets", "synapses", "end"]
        network.run(steps * ms)
        brian2.device.build(directory=str(path), compile=True, run=False)

    def _connect(self, synapses: Synapses, target: Cells) -> brian2.Synapses:
        to = "v" if _is_instant(target) else "u"
        made = brian2.Synapses(
            self.groups[synapses.source],
            self.groups[synapses.target],
            "w : 1",
            on_pre=f"{to}_post += w",
        )
        made.connect(i=synapses.pre, j=synapses.post)
        made.w = synapses.weight
        if synapses.delay.any():
            made.delay = synapses.delay * ms
        return made

    def run(self) -> Measured:
        """Run the binary from the start."""
        brian2.device.run(directory=str(self.path), with_output=False)
        # Processor seconds of the simulation loop, and how much of the run was done.
        seconds, _ = (self.path / "results" / "last_run_info.txt").read_text().split()
        counts = {name: np.asarray(monitor.count) for name, monitor in self.monitors.items()}
        return Measured(float(seconds) / self.steps, n_events(self.synapses, counts))

    def run_whole(self) -> Whole:
        """Run the binary and read every spike into arrays."""
        began = perf_counter()
        measured = self.run()
        spikes = [
            (np.asarray(monitor.i), np.asarray(monitor.t)) for monitor in self.monitors.values()
        ]
        seconds = perf_counter() - began
        n_spikes = sum(len(neuron) for neuron, _ in spikes)
        return Whole(seconds, n_spikes, measured.seconds_per_step * self.steps)


def _is_instant(cells: Cells) -> bool:
    """Return whether input acts on v at once and u is never seen, so that Brian2 is spared it."""
    return not (cells.u_retain.any() or cells.u_init.any()) and (cells.v_retain == 1).all()


def _group(cells: Cells, inputs: Spikes) -> brian2.SpikeGeneratorGroup | brian2.NeuronGroup:
    if cells.is_input:
        step, neuron = inputs[cells.name].T
        return brian2.SpikeGeneratorGroup(cells.size, neuron, step * ms)
    registers = {
        name: getattr(cells, name) for name in ("u_retain", "v_retain", "bias", "threshold")
    }
    # What is the same for all neurons is a constant of the code and costs no memory access.
    shared = {name: float(x[0]) for name, x in registers.items() if np.ptp(x) == 0}
    own = {name: x for name, x in registers.items() if name not in shared}
    if _is_leaky(cells):
        return _leaky_group(cells, shared["bias"], shared["threshold"])
    if _is_instant(cells):
        variables, update = ["v"], "v += bias"
    else:
        variables, update = ["u", "v"], "v = v * v_retain + u + bias\nu *= u_retain"
    group = brian2.NeuronGroup(
        cells.size,
        "\n".join([*(f"{x} : 1" for x in variables), *(f"{x} : 1 (constant)" for x in own)]),
        threshold="v > threshold",
        reset="v = 0",
        namespace=shared,
    )
    group.run_regularly(update)
    group.v = cells.v_init
    if "u" in variables:
        group.u = cells.u_init * cells.u_retain  # its first decay: an update ends with it
    for name, values in own.items():
        setattr(group, name, values)
    return group


def _is_leaky(cells: Cells) -> bool:
    """Return whether u and v decay, alike in all neurons, so that differential equations say what happens."""
    registers = (cells.u_retain, cells.v_retain, cells.bias, cells.threshold)
    alike = all(np.ptp(register) == 0 for register in registers)
    return alike and 0 < cells.u_retain[0] < cells.v_retain[0] < 1


def _leaky_group(cells: Cells, bias: float, threshold: float) -> brian2.NeuronGroup:
    """Return the neurons as Brian2's users write them: equations, which it integrates exactly."""
    group = brian2.NeuronGroup(
        cells.size,
        """
        du/dt = -u * rate_u : 1
        dv/dt = -v * rate_v + (u + bias) / ms : 1
        """,
        threshold="v > threshold",
        reset="v = 0",
        method="exact",
        namespace={
            "rate_u": -np.log(cells.u_retain[0]) / ms,
            "rate_v": -np.log(cells.v_retain[0]) / ms,
            "bias": bias,
            "threshold": threshold,
        },
    )
    group.u, group.v = cells.u_init, cells.v_init
    return group


def compare(program: Program) -> Row:
    """Run a program on both sides."""
    steps = int(np.clip(NEURON_UPDATES // max(1, program.n_compartments), 100, 10_000))
    cells, synapses = plain_network(program)
    inputs = random_inputs(program, steps)
    emulator = Emulator(chip_of(program), program)
    with TemporaryDirectory() as directory:
        peer = Standalone(cells, synapses, inputs, steps, Path(directory))
        ours, theirs = in_turns(lambda: run_steps(emulator, steps, inputs), peer.run, program.name)
    return Row(program.name, program.n_compartments, program.n_synapses, steps, ours, theirs)


def compare_whole(program: Program) -> WholeRow:
    """Make whole runs of a program on both sides."""
    steps = int(np.clip(WHOLE_UPDATES // max(1, program.n_compartments), 100, 1_000))
    cells, synapses = plain_network(program)
    chip, spikes = chip_of(program), random_inputs(program, steps)
    inputs = {c.name: raster(spikes[c.name], steps, c.size) for c in cells if c.is_input}
    with TemporaryDirectory() as directory:
        peer = Standalone(cells, synapses, spikes, steps, Path(directory), records=True)
        recorded = tuple(peer.monitors)
        ours, theirs = in_turns(
            lambda: run_whole(chip, program, steps, inputs, recorded), peer.run_whole, program.name
        )
    return WholeRow(program.name, program.n_compartments, steps, ours, theirs)


def main() -> None:
    """Print the tables."""
    if brian2 is None:
        print("not installed: pip install brian2")
        sys.exit()
    brian2.BrianLogger.log_level_error()
    brian2.set_device("cpp_standalone", build_on_run=False)
    networks = (make(n) for n in SIZES for make in (leaky, autonomous, delayed, driven))
    programs = benchmark_programs(networks, load_chip("loihi2_full"))
    rows = [(compare(program), compare_whole(program)) for program in programs]
    print_table("Brian2", [steps for steps, _ in rows])
    print_whole("Brian2", [whole for _, whole in rows])


if __name__ == "__main__":
    main()
