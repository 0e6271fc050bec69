"""`emulator models`, `asm`, `disasm` and `step`: neuron programs."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from emulator.cli import options
from emulator.cli.completing import model_names
from emulator.cli.kinds import reading
from emulator.cli.networks import load_program
from emulator.cli.printing import JsonOption, print_document
from emulator.errors import EmulatorError, MicrocodeError, RunError
from emulator.observe.tabulated import TextTable

if TYPE_CHECKING:
    from emulator.chip import Chip
    from emulator.microcode import Model
    from emulator.stepping import NeuronStep

NEURON = re.compile(r"(.+)\[(\d{1,9})\]")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(name="models", epilog="Example: emulator models --chip tiny")(models)
    app.command(name="asm", epilog="Example: emulator asm my_model.nasm --chip loihi2")(asm)
    app.command(name="disasm", epilog="Example: emulator disasm net.program --model izhikevich")(
        disasm
    )
    app.command(
        name="step", epilog="Example: emulator step net.program --neuron cells[3] --steps 5"
    )(step)


def models(
    chip: options.OptionalChipOption = None,
    changes: options.SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the library of neuron models; docs/microcode.md has their equations and parameters."""
    from emulator.microcode import load_model, shipped_models

    described = _chip(chip, changes)
    lines = [_figures(load_model(name), described) for name in shipped_models()]
    if as_json:
        print_document("models", {"chip": described and described.label, "models": lines})
        return
    table = TextTable(None, [("model", "name"), ("instructions", "right"), ("bytes", "right")])
    table.add_column("payload", "right")
    table.add_column("what it is", "text")
    if described:
        table.add_column(f"on {described.name}", "name")
    for line in lines:
        ways = [line[way]["instructions"] for way in ("shortest", "longest")]
        fits = ["no" if line["exceeds"] else "fits"] if described else []
        table.add_row(
            line["name"],
            f"{ways[0]} to {ways[1]}",
            str(line["state_bytes"] + line["parameter_bytes"]),
            f"{line['payload_bits']} bits" if line["payload_bits"] else "",
            line["description"],
            *fits,
        )
    Console().print(table)
    for line in lines:
        for what in line.get("exceeds", ()):
            typer.echo(f"{line['name']}: {what}")


def asm(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Files *.nasm, or models of the library.",
            autocompletion=model_names,
        ),
    ],
    chip: options.OptionalChipOption = None,
    changes: options.SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check neuron programs, with --chip against its limits, and list them: encoding, memory, ways in cycles."""
    from emulator.microcode import listing, load_model

    described, errors, lines = _chip(chip, changes), list[EmulatorError](), list[dict[str, Any]]()
    cycles = None if described is None else described.service_cycles("instruction")
    for file in files:
        try:
            with reading(file, "nasm"):
                model = load_model(file)
            _require_fit(file, model, described)
        except EmulatorError as error:
            errors.append(error)
            lines.append({"file": file, "legal": False, "mistakes": str(error).splitlines()})
            continue
        lines.append({"file": file, "legal": True} | _figures(model, described))
        if not as_json:
            where = f" on {described.name}" if described else ""
            typer.echo(f"{file}: legal{where}\n\n{listing(model, cycles)}")
    if as_json:
        print_document("asm", {"chip": described and described.label, "programs": lines})
    options.collected(errors)


def disasm(
    program: Annotated[Path, typer.Argument(metavar="PROGRAM", help="A compiled program.")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="NAME",
            help="Only this one of its models.",
            autocompletion=model_names,
        ),
    ] = None,
    chip: options.OptionalChipOption = None,
    changes: options.SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the neuron programs in a compiled program, as text that `asm` reads; --chip holds them to its limits."""
    from emulator.microcode import disassemble

    described, models = _chip(chip, changes), load_program(program).models
    if model is not None and model not in models:
        raise MicrocodeError(
            f"{program}: no neuron program '{model}'; there are: {', '.join(models) or 'none'}"
        )
    if not models:
        typer.echo(f"{program}: no population runs microcode", err=True)
    wanted = {name: one for name, one in models.items() if model in (None, name)}
    for name, one in wanted.items():
        _require_fit(f"{program}: '{name}'", one, described)
    if as_json:
        lines = [_figures(one, described) | {"text": disassemble(one)} for one in wanted.values()]
        print_document("disasm", {"chip": described and described.label, "models": lines})
        return
    for name, one in wanted.items():
        typer.echo(f"; {name}\n{disassemble(one)}")


def _chip(chip: str | None, changes: list[str] | None) -> Chip | None:
    if chip is not None:
        return options.described(chip, changes)
    if changes:
        raise RunError("--set changes a chip: give --chip too")
    return None


def _require_fit(where: str, model: Model, chip: Chip | None) -> None:
    """Refuse a neuron program that a chip cannot run, with everything that it allows less of."""
    from emulator.compiler.words import program_mistakes

    mistakes = [] if chip is None else program_mistakes(model, chip)
    if mistakes:
        raise MicrocodeError("\n".join(f"{where}: {mistake}" for mistake in mistakes))


def _figures(model: Model, chip: Chip | None) -> dict[str, Any]:
    """Return what a neuron takes of a chip, and the instructions."""
    from emulator.compiler.words import bound_model, program_mistakes
    from emulator.microcode import Op, instruction_text, labels_of

    on_chip = model if chip is None else bound_model(model, chip)
    labels, n_state = labels_of(model), sum(word.n_bytes for word in on_chip.states)
    figures: dict[str, Any] = {
        "name": model.name,
        "description": " ".join(model.text.partition("\n\n")[0].split()),
        "state_bytes": n_state,
        "parameter_bytes": on_chip.n_state_bytes - n_state,
        "payload_bits": on_chip.payload_bits,
    }
    for name, way in zip(("shortest", "longest"), model.shortest_and_longest(), strict=True):
        cycles = None if chip is None else len(way) * chip.service_cycles("instruction")
        spikes = any(model.steps[k].op == Op.SPIKE for k in way)
        figures[name] = {"instructions": len(way), "cycles": cycles, "spikes": spikes, "way": way}
    figures["instructions"] = [
        {"index": k, "encoding": f"{code:016x}", "label": labels.get(k), "text": text}
        for k, (code, text) in enumerate(
            zip(
                model.code().tolist(),
                (instruction_text(model, step, labels) for step in model.steps),
                strict=True,
            )
        )
    ]
    return figures if chip is None else figures | {"exceeds": program_mistakes(model, chip)}


def step(
    program: Annotated[Path, typer.Argument(metavar="PROGRAM", help="A compiled program.")],
    neuron: Annotated[
        str,
        typer.Option("--neuron", metavar="NAME[N]", help="Which one: a population and a number."),
    ],
    steps: Annotated[int, typer.Option("--steps", metavar="N", min=1, help="Time steps.")] = 1,
    skip: Annotated[
        int, typer.Option("--skip", metavar="N", min=0, help="Steps that are run and not shown.")
    ] = 0,
    input_file: Annotated[
        Path | None,
        typer.Option("--input", metavar="FILE", help=".npz with <population>_step and _neuron."),
    ] = None,
    seed: options.SeedOption = 0,
    chip: options.OptionalChipOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a program and show one neuron, instruction by instruction: what each writes, and the flag."""
    from emulator.emulator import Emulator
    from emulator.inputs import as_tables, read_inputs, read_rewards

    match = NEURON.fullmatch(neuron)
    if not match:
        raise RunError(f"--neuron {neuron}: it must be a population and a number, like cells[3]")
    loaded = load_program(program)
    n_steps, inputs, rewards = skip + steps, {}, None
    if input_file is not None:
        with reading(input_file, "inputs"):
            given, rewards = read_inputs(input_file), read_rewards(input_file, n_steps) or None
        inputs = as_tables({name: rows[rows[:, 0] < n_steps] for name, rows in given.items()})
    emulator = Emulator(options.chip_of(loaded, chip), loaded)
    console, documents = Console(), list[dict[str, Any]]()
    shown = emulator.watch(match[1], int(match[2]), n_steps, inputs, seed=seed, rewards=rewards)
    for one in shown:
        if one.step >= skip and as_json:
            documents.append(asdict(one))
        elif one.step >= skip:
            _print_step(neuron, one, console)
    if as_json:
        print_document("step", {"network": loaded.name, "neuron": neuron, "steps": documents})


def _print_step(neuron: str, one: NeuronStep, console: Console) -> None:
    end = "no spike"
    if one.spiked:
        end = "a spike" if one.payload is None else f"a spike with payload {one.payload:,}"
    n_done = sum(line.executed for line in one.instructions)
    console.print(
        Text(
            f"step {one.step}: {neuron}, input {one.input:,}: {end}; {n_done} instructions", "bold"
        )
    )
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for line in one.instructions:
        style = "" if line.executed else "dim"
        wrote = f"{line.target} = {line.value:,}" if line.executed and line.target else ""
        flag = "" if line.flag is None else f"c = {int(line.flag)}"
        if not line.executed:
            wrote, flag = "not on its way", ""
        table.add_row(f"{line.index:4}", Text(line.text), wrote, flag, style=style)
    console.print(table)
    changed = [
        f"{name} {before:,} -> {one.after[name]:,}"
        for name, before in one.before.items()
        if one.after[name] != before
    ]
    console.print(Text(f"  changed: {', '.join(changed) or 'nothing'}\n"))
