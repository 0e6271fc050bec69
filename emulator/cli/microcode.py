"""`emulator models`, `asm`, `disasm` and `step`: neuron programs."""

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from emulator.chip import load_chip
from emulator.cli import options
from emulator.cli.networks import chip_of
from emulator.emulator import Emulator
from emulator.errors import EmulatorError, MicrocodeError, RunError
from emulator.inputs import read_inputs, read_rewards
from emulator.microcode import disassemble, listing, load_model, shipped_models
from emulator.observe.tabulated import TextTable
from emulator.program import Program
from emulator.stepping import NeuronStep

NEURON = re.compile(r"(.+)\[(\d{1,9})\]")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(name="models", epilog="Example: emulator models")(models)
    app.command(name="asm", epilog="Example: emulator asm my_model.nasm --chip loihi2")(asm)
    app.command(name="disasm", epilog="Example: emulator disasm net.program --model izhikevich")(
        disasm
    )
    app.command(
        name="step", epilog="Example: emulator step net.program --neuron cells[3] --steps 5"
    )(step)


def models() -> None:
    """List the library of neuron models; docs/microcode.md has their equations and parameters."""
    table = TextTable(None, [("model", "name"), ("instructions", "right"), ("bytes", "right")])
    table.add_column("payload", "right")
    table.add_column("what it is", "text")
    for name in shipped_models():
        model = load_model(name)
        shortest, longest = model.shortest_and_longest()
        payload = f"{model.payload_bits} bits" if model.payload_bits else ""
        first = " ".join(model.text.partition("\n\n")[0].split())
        table.add_row(
            name, f"{len(shortest)} to {len(longest)}", str(model.n_state_bytes), payload, first
        )
    Console().print(table)


def asm(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Files *.nasm, or models of the library.")
    ],
    chip: options.OptionalChipOption = None,
    changes: options.SetOption = None,
) -> None:
    """Check neuron programs and list them: encoding, memory, and the shortest and longest way in cycles."""
    cycles, errors = None, list[EmulatorError]()
    if chip is not None:
        cycles = load_chip(chip, options.pairs("--set", changes)).service_cycles("instruction")
    elif changes:
        raise RunError("--set changes a chip: give --chip too")
    for file in files:
        try:
            model = load_model(file)
        except EmulatorError as error:
            errors.append(error)
            continue
        typer.echo(f"{file}: legal\n\n{listing(model, cycles)}")
    options.collected(errors)


def disasm(
    program: Annotated[Path, typer.Argument(metavar="PROGRAM", help="A compiled program.")],
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="Only this one of its models.")
    ] = None,
) -> None:
    """Print the neuron programs in a compiled program, as text that `asm` reads."""
    models = Program.load(program).models
    if model is not None and model not in models:
        raise MicrocodeError(
            f"{program}: no neuron program '{model}'; there are: {', '.join(models) or 'none'}"
        )
    if not models:
        typer.echo(f"{program}: no population runs microcode", err=True)
    for name, one in models.items():
        if model in (None, name):
            typer.echo(f"; {name}\n{disassemble(one)}")


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
) -> None:
    """Run a program and show one neuron, instruction by instruction: what each writes, and the flag."""
    match = NEURON.fullmatch(neuron)
    if not match:
        raise RunError(f"--neuron {neuron}: it must be a population and a number, like cells[3]")
    loaded = Program.load(program)
    n_steps = skip + steps
    given = {} if input_file is None else read_inputs(input_file)
    inputs = {name: spikes[spikes[:, 0] < n_steps] for name, spikes in given.items()}
    rewards = None if input_file is None else read_rewards(input_file, n_steps) or None
    emulator = Emulator(chip_of(loaded, chip), loaded)
    console = Console()
    shown = emulator.watch(match[1], int(match[2]), n_steps, inputs, seed=seed, rewards=rewards)
    for one in shown:
        if one.step >= skip:
            _print_step(neuron, one, console)


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
