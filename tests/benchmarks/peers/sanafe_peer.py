"""The same network in this emulator and in SANA-FE, one thread each: who is faster?

    python tests/benchmarks/peers/sanafe_peer.py [PROGRAM]

Both compute the spikes, the time of every step and the energy, with the same cores, mesh and costs. Each of SANA-FE's
models of time stands beside ours of the same ambition: `simple` beside `analytic`, and `detailed`, which estimates
waiting in the mesh, and `cycle`, which follows packets, beside `cycle`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import yaml
from common import (
    Cells,
    Measured,
    Row,
    Synapses,
    autonomous,
    benchmark_programs,
    chip_of,
    in_turns,
    plain_network,
    print_table,
)

from emulator import Chip, Emulator, Program, load_chip
from emulator.timing import TimingMode

try:
    import sanafe
except ImportError:
    sanafe = None

SIZES = (1_000, 10_000)
PER_CORE = 128  # neurons placed on a core, so that spikes have to cross the mesh
UNIT = 64  # SANA-FE keeps v to 1/64: this many of our units are its 1, and nothing is rounded
MODELS: tuple[tuple[str, TimingMode, int], ...] = (
    # theirs, ours, steps
    ("simple", "analytic", 400),
    ("detailed", "cycle", 100),
    ("cycle", "cycle", 20),
)
BOOKSIM_MESH = (8, 4, 4)  # its `cycle` has this mesh and this many cores a tile, whatever the chip


class Simulated:
    """A program on SANA-FE's chip, after a step that has set where every neuron begins."""

    def __init__(self, program: Program, chip: Chip) -> None:
        populations, synapses = plain_network(program)
        _refuse(program, populations, synapses)
        architecture = _architecture(chip)
        cores = architecture.cores()
        network = sanafe.Network()
        groups = {cells.name: _group(network, cells) for cells in populations}
        for population, first, stop, core, _ in program.segments.tolist():
            group = groups[populations[population].name]
            for neuron in range(first, stop):
                group[neuron].map_to_core(cores[_their_core(core, chip)])
        for s in synapses:
            pairs = list(zip(s.pre.tolist(), s.post.tolist(), strict=True))
            weights = {"weight": (s.weight / UNIT).tolist()}
            groups[s.source].connect_neurons_sparse(groups[s.target], weights, pairs)
        self.chip = sanafe.SpikingChip(architecture)
        self.chip.load(network)
        # There is no initial v, so a first step adds it as a bias, which nobody fires from.
        self._set_bias({cells.name: cells.v_init for cells in populations})
        self.run("simple", 1)
        self._set_bias({cells.name: cells.bias for cells in populations})

    def _set_bias(self, values: dict[str, Any]) -> None:
        for name, neurons in self.chip.mapped_neuron_groups.items():
            for neuron, bias in zip(neurons, (values[name] / UNIT).tolist(), strict=True):
                neuron.set_attributes(model_attributes={"bias": bias})

    def run(self, model: str, steps: int) -> Measured:
        """Go on from where the chip is."""
        with _silence():
            began = process_time()
            result = self.chip.sim(
                steps, timing_model=model, processing_threads=1, scheduler_threads=0
            )
            seconds = process_time() - began
        return Measured(seconds / steps, result["spikes"])


def _refuse(program: Program, populations: list[Cells], synapses: list[Synapses]) -> None:
    mistakes = {
        "inputs, each of which needs a unit of its own there": any(c.is_input for c in populations),
        "delays, which need another kind of core there": any(s.delay.any() for s in synapses),
        "a current at the beginning": any(c.u_init.any() for c in populations),
        "a v at the beginning that is above the threshold": any(
            (c.v_init > c.threshold).any() for c in populations
        ),
    }
    for what, is_there in mistakes.items():
        if is_there:
            sys.exit(f"{program.name}: SANA-FE runs programs without {what}")


def _group(network: sanafe.Network, cells: Cells) -> sanafe.NeuronGroup:
    group = network.create_neuron_group(cells.name, cells.size)
    registers = cells.threshold / UNIT, cells.v_retain, cells.u_retain
    names = "threshold", "leak_decay", "input_decay"
    for neuron, values in enumerate(zip(*(r.tolist() for r in registers), strict=True)):
        attributes = dict(zip(names, values, strict=True)) | {"reset_mode": "hard"}
        group[neuron].set_attributes(model_attributes=attributes)
    return group


def _their_core(core: int, chip: Chip) -> int:
    """Return SANA-FE's number of a core: its tiles are numbered along y first, ours along x."""
    tile, within = divmod(core, chip.mesh.cores_per_tile)
    y, x = divmod(tile, chip.mesh.width)
    return (x * chip.mesh.height + y) * chip.mesh.cores_per_tile + within


def _architecture(chip: Chip) -> sanafe.Architecture:
    """Return our chip as SANA-FE describes it."""
    mesh, costs = chip.mesh, chip.costs

    def price(what: str, *events: str) -> dict[str, float]:
        """Return what some events cost together, in J and s."""
        each = [getattr(costs, event) for event in events]
        return {
            f"energy_{what}": sum(float(e.energy_pj) for e in each) * 1e-12,
            f"latency_{what}": sum(float(e.time_ns) for e in each) * 1e-9,
        }

    def more(what: str, event: str, than: str) -> dict[str, float]:
        """Return what an event costs beyond another that is charged in any case."""
        whole, part = getattr(costs, event), getattr(costs, than)
        return {
            f"energy_{what}": float(whole.energy_pj - part.energy_pj) * 1e-12,
            f"latency_{what}": float(whole.time_ns - part.time_ns) * 1e-9,
        }

    def unit(name: str, **attributes: Any) -> dict[str, list[dict[str, Any]]]:
        return {name: [{"name": name, "attributes": attributes}]}

    soma = price("access_neuron", "neuron_idle") | price("spike_out", "neuron_spike")
    soma |= more("update_neuron", "neuron_active", "neuron_idle")
    core = {
        "name": f"core[0..{mesh.cores_per_tile - 1}]",
        "attributes": {
            "buffer_position": "soma",
            "buffer_inside_unit": False,
            "max_neurons_supported": chip.core.neurons,
        },
        **unit("axon_in", **price("message_in", "packet", "axon_in")),
        **unit("synapse", model="current_based", **price("process_spike", "synaptic_event")),
        **unit("dendrite", model="accumulator", energy_update=0.0, latency_update=0.0),
        **unit("soma", model="leaky_integrate_fire", **soma),
        **unit("axon_out", **price("message_out", "axon_out")),
    }
    hops: dict[str, float] = {}
    for event, directions in (("hop_ns", ("north", "south")), ("hop_ew", ("east", "west"))):
        for direction in directions:
            hops |= price(f"{direction}_hop", event)
    description = {
        "name": "chip",
        "attributes": {
            "topology": "mesh",
            "width": mesh.width,
            "height": mesh.height,
            "link_buffer_size": mesh.buffer_flits,
            "sync_model": "fixed",
            "latency_sync": float(chip.barrier.all_tiles_ns) * 1e-9,
        },
        "tile": [{"name": f"tile[0..{mesh.n_tiles - 1}]", "attributes": hops, "core": [core]}],
    }
    with TemporaryDirectory() as directory:
        path = Path(directory) / "chip.yaml"
        path.write_text(yaml.safe_dump({"architecture": description}, sort_keys=False))
        return sanafe.load_arch(path)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep SANA-FE's progress, which it writes past Python, off the terminal."""
    sys.stdout.flush()
    saved = os.dup(1)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)


def compare(program: Program) -> list[Row]:
    """Run a program on both sides with each model of time."""
    chip = chip_of(program)
    emulator, peer = Emulator(chip, program), Simulated(program, chip)
    mesh = chip.mesh
    rows = []
    for theirs, ours, steps in MODELS:
        if theirs == "cycle" and (mesh.width, mesh.height, mesh.cores_per_tile) != BOOKSIM_MESH:
            continue
        runs = in_turns(
            _timed(emulator, steps, ours),
            lambda model=theirs, n=steps: peer.run(model, n),
            f"{program.name}, {theirs}",
        )
        name = f"{program.name}, {ours} / {theirs}"
        rows.append(Row(name, program.n_compartments, program.n_synapses, steps, *runs))
    return rows


def _timed(emulator: Emulator, steps: int, timing: TimingMode) -> Callable[[], Measured]:
    def run() -> Measured:
        began = process_time()
        done = emulator.run(steps, timing=timing)
        seconds = process_time() - began
        return Measured(seconds / steps, done.counters.total("synaptic_event"))

    return run


def main() -> None:
    """Print the table."""
    if sanafe is None:
        print("not installed: pip install sanafe")
        sys.exit()
    networks = (autonomous(n) for n in SIZES)
    programs = benchmark_programs(networks, load_chip("loihi2_full"), PER_CORE)
    print_table("SANA-FE", [row for program in programs for row in compare(program)])


if __name__ == "__main__":
    main()
