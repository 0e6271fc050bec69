"""`emulator check` and `emulator chips`: chip descriptions."""

import json
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from emulator.chip import EVENTS, Chip, chip_json_schema, load_chip, shipped_chips, unpriced
from emulator.cli.options import SetOption, collected, pairs
from emulator.errors import EmulatorError
from emulator.observe.report import unlimited
from emulator.timing.analytic import barrier_cycles


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        name="check", epilog="Example: emulator check loihi my_chip.yaml --set mesh.width=4"
    )(check)
    app.command(name="chips", epilog="Example: emulator chips --schema > chip.schema.json")(chips)


def check(
    files: Annotated[
        list[str], typer.Argument(metavar="CHIP...", help="Chip files, or names of shipped ones.")
    ],
    changes: SetOption = None,
) -> None:
    """Validate chip files and show what they say: sizes, and each cost in pJ, ns and cycles."""
    console, errors = Console(), list[EmulatorError]()
    for file in files:
        try:
            chip = load_chip(file, pairs("--set", changes))
        except EmulatorError as error:
            errors.append(error)
            continue
        console.print(f"[bold]{file}[/]: valid", highlight=False)
        console.print(_sizes(chip))
        console.print(_costs(chip))
    collected(errors)


def chips(
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of chip files, for editors.")
    ] = False,
) -> None:
    """List the shipped chips."""
    if schema:
        typer.echo(json.dumps(chip_json_schema(), indent=1))
        return
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("name", "tiles", "cores", "neurons", "description"):
        justify = "left" if name in ("name", "description") else "right"
        table.add_column(name, justify=justify, no_wrap=name != "description")  # type: ignore[arg-type]
    for path in shipped_chips():
        chip = load_chip(path)
        mesh = chip.mesh
        n_neurons = mesh.n_cores * chip.core.neurons
        table.add_row(
            path.stem,
            f"{mesh.width} x {mesh.height}",
            f"{mesh.n_cores:,}",
            f"{n_neurons:,}",
            chip.description.strip(),
        )
    Console().print(table)


def _sizes(chip: Chip) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    mesh, core = chip.mesh, chip.core
    table.add_row("chip", f"{chip.name}: {chip.description.strip()}")
    table.add_row("clock", f"{chip.clock.mhz:g} MHz ({chip.clock.source})")
    table.add_row(
        "mesh",
        f"{mesh.width} x {mesh.height} tiles of {mesh.cores_per_tile} cores are {mesh.n_cores:,} "
        f"cores; flits of {mesh.flit_bits} bits",
    )
    table.add_row("neurons", f"{core.neurons:,} per core, {mesh.n_cores * core.neurons:,} in all")
    limits = {
        "bits of synapse memory": core.synapse_memory_bits,
        "axons in": core.axons_in,
        "axons out": core.axons_out,
        "accumulator entries": core.accumulator_entries,
    }
    table.add_row(
        "per core",
        ", ".join(f"{'unlimited' if n is None else f'{n:,}'} {name}" for name, n in limits.items()),
    )
    microcode = chip.microcode
    table.add_row(
        "microcode",
        f"programs of {microcode.instructions:,} instructions, {microcode.state_bytes:,} bytes a "
        f"neuron, payloads of {microcode.payload_bits} bits"
        if microcode.instructions
        else "none: only native neuron models",
    )
    table.add_row("learning", _learning(chip))
    table.add_row("management", _management(chip))
    if unlimited(chip):
        table.add_row("unlimited", f"{', '.join(unlimited(chip))} (null)")
    if unpriced(chip):
        table.add_row(
            "not priced",
            f"{', '.join(unpriced(chip))}: the file is older than these events, which cost nothing and take no time",
        )
    first, last = barrier_cycles(chip, 1), barrier_cycles(chip, mesh.n_tiles)
    table.add_row(
        "barrier",
        f"{first:,} cycles with one tile in use, {last:,} with all {mesh.n_tiles:,}",
    )
    table.add_row("static", f"{chip.static_power.mw:g} mW ({chip.static_power.source})")
    return table


def _management(chip: Chip) -> str:
    cores = chip.management
    if not cores.cores:
        return "none"
    tiles = [str(cores.tiles[k % len(cores.tiles)]) for k in range(cores.cores)]
    return (
        f"{cores.cores} cores on tiles {', '.join(tiles)}, {cores.memory_bytes:,} bytes each; an x86 program may take "
        f"{cores.instruction_budget:,} instructions in a phase"
    )


def _learning(chip: Chip) -> str:
    engine = chip.learning
    if not engine.instructions:
        return "none: synapses cannot learn"
    rewards = "rewards r0 and r1" if engine.rewards else "no rewards"
    supplied = "y1 to y3 also from neuron programs, " if engine.post_factors else ""
    weights, tags = engine.mixed_weight_limits, engine.tag_limits
    return (
        f"rules of {engine.instructions:,} micro-instructions, epochs of up to {engine.epoch_steps_max} steps, "
        f"{rewards}, {supplied}rounding {engine.rounding}; weights {weights.minimum:,} to {weights.maximum:,}, tags "
        f"{tags.minimum:,} to {tags.maximum:,} in {engine.tag_bits} bits"
    )


def _costs(chip: Chip) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("event", "pJ", "ns", "cycles"):
        table.add_column(name, justify="left" if name == "event" else "right", no_wrap=True)
    table.add_column("source", overflow="fold")
    for event in EVENTS:
        cost = getattr(chip.costs, event)
        cycles = f"{chip.service_cycles(event):,}"
        table.add_row(event, f"{cost.energy_pj:g}", f"{cost.time_ns:g}", cycles, cost.source)
    return table
