"""`emulator run`: a program or network runs on a chip and leaves a run folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from emulator.chip import load_chip
from emulator.cli import options
from emulator.cli.attaching import attached
from emulator.cli.compiling import print_notes
from emulator.cli.networks import Loaded, Source, depth_steps, load
from emulator.cli.progress import progress_bar
from emulator.emulator import Emulator, resume_run
from emulator.errors import RunError
from emulator.inputs import as_tables, read_inputs, read_rewards
from emulator.observe.checkpoint import read_plan
from emulator.observe.folder import check_target, check_unfinished
from emulator.observe.render import print_summary
from emulator.observe.run import Run
from emulator.timing import TIMING_MODES

DEFAULT_STEPS = 100


def register(app: typer.Typer) -> None:
    """Add the command."""
    epilog = "Example: emulator run programs/digits.py --chip loihi --steps 140 --reset-every 14 -o digits_run"
    app.command(name="run", epilog=epilog)(run)


OPTION = {"input_file": "input", "changes": "set"}


def run(  # noqa: PLR0913, PLR0917  # each is an option of the command
    context: typer.Context,
    network: Annotated[
        Path | None,
        typer.Argument(metavar="PROGRAM|NETWORK", help="A compiled program, .py or .nir file."),
    ] = None,
    chip: options.OptionalChipOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="RUN", help="Folder to write the results to."),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            metavar="N",
            min=0,
            help="Time steps; by default as many as --input needs to pass through, or 100.",
        ),
    ] = None,
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="FILE",
            help=".npz with <population>_step and _neuron, and rewards r0 and r1 of each step.",
        ),
    ] = None,
    timing: Annotated[
        str, typer.Option("--timing", metavar="|".join(TIMING_MODES), help="Timing model.")
    ] = "cycle",
    threads: options.ThreadsOption = 1,
    seed: options.SeedOption = 0,
    reset_every: Annotated[
        int | None,
        typer.Option(
            "--reset-every",
            metavar="N",
            min=1,
            help="Reset the state before every N-th step: samples in a row.",
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop when a sum wraps around.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a run folder.")] = False,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            "--checkpoint-every",
            metavar="N",
            min=1,
            help="Keep the state after every N-th step, to go on from with --resume.",
        ),
    ] = None,
    weights_every: Annotated[
        int | None,
        typer.Option(
            "--weights-every",
            metavar="N",
            min=1,
            help="Keep what synapses have learned after every N-th step, as recordings.",
        ),
    ] = None,
    management: Annotated[
        list[str] | None,
        typer.Option(
            "--management",
            metavar="core=K,phase=PHASE,elf=FILE",
            help="A program of a management core, with every=, first= and when=CHANNEL if it has a guard.",
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            metavar="RUN",
            help="Go on with an unfinished run; of the other options only --threads applies.",
        ),
    ] = None,
    mapping: options.MappingOption = None,
    neurons_per_core: options.PerCoreOption = None,
    dt: options.DtOption = None,
    param: options.ParamOption = None,
    changes: options.SetOption = None,
) -> None:
    """Run a program or network on a chip; Ctrl-C keeps what was run so far."""
    if resume is not None:
        _refuse_others(context)
        _resume(resume, threads)
        return
    if network is None or chip is None or output is None:
        given = {"PROGRAM|NETWORK": network, "--chip CHIP": chip, "--output RUN": output}
        missing = [name for name, value in given.items() if value is None]
        raise RunError(f"{', '.join(missing)} must be given (or --resume RUN alone)")
    if timing not in TIMING_MODES:
        raise RunError(f"--timing {timing}: allowed: {', '.join(TIMING_MODES)}")
    check_target(output, force=force)
    described = load_chip(chip, options.pairs("--set", changes))
    source = Source(network, options.parameters(param), dt, mapping, neurons_per_core)
    loaded = load(source, described, seed)
    n_steps, inputs, rewards = _what_to_run(loaded, input_file, steps, seed)
    console = Console()
    print_notes(loaded.program, console)
    _warn_of_silence(loaded, inputs)

    emulator = Emulator(described, loaded.program, threads=threads)
    for program in attached(management):
        emulator.manage(**program)
    with progress_bar("running", n_steps) as progress:
        result = emulator.run(
            n_steps,
            inputs,
            timing=timing,  # type: ignore[arg-type]  # checked above
            seed=seed,
            strict=strict,
            reset_every=reset_every,
            progress=progress,
            keep_partial=True,
            save_to=output,
            force=force,
            checkpoint_every=checkpoint_every,
            weights_every=weights_every,
            rewards=rewards,
        )
    print_summary(result, console)
    _say_where(result, output)


def _refuse_others(context: typer.Context) -> None:
    """Refuse what --resume would ignore: the folder says what was asked of the run."""
    others = [
        name
        for name in context.params
        if name not in {"resume", "threads"}
        and context.get_parameter_source(name).name == "COMMANDLINE"  # type: ignore[union-attr]
    ]
    if others:
        shown = ", ".join(
            "PROGRAM|NETWORK" if n == "network" else f"--{OPTION.get(n, n).replace('_', '-')}"
            for n in others
        )
        raise RunError(
            f"{shown}: cannot be given with --resume, which goes on with what was asked of the run"
        )


def _resume(folder: Path, threads: int) -> None:
    check_unfinished(folder)
    plan, done = read_plan(folder)
    with progress_bar("running", plan.steps) as progress:
        progress(done)
        result = resume_run(folder, threads=threads, progress=progress)
    print_summary(result, Console())
    _say_where(result, folder)


def _what_to_run(
    loaded: Loaded, input_file: Path | None, steps: int | None, seed: int
) -> tuple[int, Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """Return the number of steps, the input spikes and the rewards."""
    if input_file is None:
        n_steps = DEFAULT_STEPS if steps is None else steps
        return n_steps, loaded.inputs(n_steps, seed), loaded.rewards(n_steps, seed)
    inputs, rewards = read_inputs(input_file), read_rewards(input_file)
    if steps is None:
        last = max((int(spikes[:, 0].max(initial=-1)) for spikes in inputs.values()), default=-1)
        steps = max(last + 1 + depth_steps(loaded.program), *map(len, rewards.values()), 0)
    # As with spikes, nothing comes after the last; too many are refused where the run begins.
    padded = {
        name: np.append(values, np.zeros(max(0, steps - len(values)), np.int64))
        for name, values in rewards.items()
    }
    return steps, as_tables(inputs), padded or None


def _warn_of_silence(loaded: Loaded, inputs: Mapping[str, Any] | None) -> None:
    silent = [
        population["name"]
        for population in loaded.program.manifest["populations"]
        if population["is_input"]
        and population["sent_by"] is None
        and population["name"] not in (inputs or {})
    ]
    if silent:
        typer.echo(
            f"emulator: warning: no spikes were given for input: {', '.join(silent)}", err=True
        )


def _say_where(result: Run, folder: Path) -> None:
    if result.status == "interrupted":
        raise RunError(
            f"interrupted after {result.n_steps:,} of {result.steps_asked:,} steps; "
            f"what was run is in {folder}"
        )
    typer.echo(f"saved in {folder}; emulator report {folder} shows energy by event, cores and more")
