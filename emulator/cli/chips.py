"""`emulator check` and `emulator chips`: chip descriptions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from emulator.cli.completing import chip_names
from emulator.cli.options import SetOption, collected, described, pairs
from emulator.cli.printing import JsonOption, print_document
from emulator.errors import EmulatorError
from emulator.observe.tabulated import TextTable

if TYPE_CHECKING:
    from emulator.chip import Chip


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        name="check", epilog="Example: emulator check loihi my_chip.yaml --set mesh.width=4"
    )(check)
    app.command(name="chips", epilog="Example: emulator chips --schema > chip.schema.json")(chips)


def check(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="CHIP...",
            help="Chip files, or names of shipped ones.",
            autocompletion=chip_names,
        ),
    ],
    changes: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Validate chip files and show what they say: sizes, and each cost in pJ, ns and cycles."""
    console, errors, lines = Console(), list[EmulatorError](), list[dict[str, Any]]()
    pairs("--set", changes)  # said once, not for every file
    for file in files:
        try:
            chip = described(file, changes)
        except EmulatorError as error:
            errors.append(error)
            lines.append({"file": file, "valid": False, "mistakes": str(error).splitlines()})
            continue
        lines.append({"file": file, "valid": True} | _described(chip))
        if not as_json:
            console.print(Text.assemble((file, "bold"), ": valid"))
            console.print(_sizes(chip))
            console.print(_costs(chip))
    if as_json:
        print_document("check", {"chips": lines})
    collected(errors)


def chips(
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of chip files, for editors.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the shipped chips."""
    from emulator.chip import chip_json_schema, load_chip, shipped_chips

    if schema:
        typer.echo(json.dumps(chip_json_schema(), indent=1))
        return
    loaded = {path.stem: load_chip(path) for path in shipped_chips()}
    if as_json:
        print_document("chips", {"chips": [_counted(name, chip) for name, chip in loaded.items()]})
        return
    table = TextTable(None, [("name", "name"), ("tiles", "right"), ("cores", "right")])
    table.add_column("neurons", "right")
    table.add_column("description", "text")
    for name, chip in loaded.items():
        line = _counted(name, chip)
        mesh = f"{line['width']} x {line['height']}"
        table.add_row(name, mesh, f"{line['cores']:,}", f"{line['neurons']:,}", line["description"])
    Console().print(table)


def _counted(name: str, chip: Chip) -> dict[str, Any]:
    mesh = chip.mesh
    return {
        "name": name,
        "description": chip.description.strip(),
        "width": mesh.width,
        "height": mesh.height,
        "tiles": mesh.n_tiles,
        "cores": mesh.n_cores,
        "neurons": mesh.n_cores * chip.core.neurons,
    }


def _described(chip: Chip) -> dict[str, Any]:
    """Return what a chip's file says, and what follows from it."""
    from emulator.chip import EVENTS, to_json, unpriced
    from emulator.observe.report import assumed, unlimited
    from emulator.timing.analytic import barrier_cycles

    return _counted(chip.name, chip) | {
        "barrier_cycles": {
            "one_tile": barrier_cycles(chip, 1),
            "all_tiles": barrier_cycles(chip, chip.mesh.n_tiles),
        },
        "cost_cycles": {event: chip.service_cycles(event) for event in EVENTS},
        "unlimited": unlimited(chip),
        "not_priced": unpriced(chip),
        "assumed": assumed(chip),
        "chip": json.loads(to_json(chip)),
    }


def _sizes(chip: Chip) -> Table:
    from emulator.chip import unpriced
    from emulator.observe.report import unlimited
    from emulator.timing.analytic import barrier_cycles

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


def _costs(chip: Chip) -> TextTable:
    from emulator.chip import EVENTS

    table = TextTable(None, [("event", "name"), ("pJ", "right"), ("ns", "right")])
    table.add_column("cycles", "right")
    table.add_column("source", "text")
    for event in EVENTS:
        cost = getattr(chip.costs, event)
        cycles = f"{chip.service_cycles(event):,}"
        table.add_row(event, f"{cost.energy_pj:g}", f"{cost.time_ns:g}", cycles, cost.source)
    return table
