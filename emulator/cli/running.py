"""`emulator run`: a program or network runs on a chip and leaves a run folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from emulator.cli import options
from emulator.cli.attaching import attached
from emulator.cli.compiling import print_warnings
from emulator.cli.completing import network_names
from emulator.cli.kinds import expect, kind_of, reading
from emulator.cli.networks import Loaded, Source, depth_steps, load
from emulator.cli.printing import (
    JsonOption,
    VerboseOption,
    only_document,
    print_assumptions,
    print_report_document,
    warn,
)
from emulator.cli.programs import network_path
from emulator.cli.targets import new_folder
from emulator.errors import RunError

if TYPE_CHECKING:
    from emulator.observe.run import Run

DEFAULT_STEPS = 100


def register(app: typer.Typer) -> None:
    """Add the command."""
    epilog = "Example: emulator run digits --chip loihi --steps 140 --reset-every 14"
    app.command(name="run", epilog=epilog)(run)


OPTION = {"input_file": "input", "changes": "set"}


def run(  # noqa: PLR0913, PLR0917  # each is an option of the command
    context: typer.Context,
    network: Annotated[
        Path | None,
        typer.Argument(
            metavar="PROGRAM|NETWORK",
            help="A compiled program, .py or .nir file, or the name of a shipped network.",
            callback=network_path,
            autocompletion=network_names,
        ),
    ] = None,
    chip: options.OptionalChipOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="RUN",
            help="Folder for the results; by default a new NAME_run here.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            metavar="N",
            min=0,
            help="Time steps; by default as many as --input needs to pass through, delays included, or 100.",
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
    timing: options.TimingOption = "cycle",
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
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run a program or network on a chip; Ctrl-C keeps what was run so far."""
    if resume is not None:
        _refuse_others(context)
        _resume(resume, threads, verbose=verbose, as_json=as_json)
        return
    if network is None or chip is None:
        given = {"PROGRAM|NETWORK": network, "--chip CHIP": chip}
        missing = [name for name, value in given.items() if value is None]
        raise RunError(f"{', '.join(missing)} must be given (or --resume RUN alone)")
    options.timing_mode(timing)
    programs = attached(management)
    for program in programs:
        expect(program["run"], "elf")
    from emulator.emulator import Emulator
    from emulator.observe.folder import check_target

    if output is not None:
        check_target(output, force=force)
    described = options.described(chip, changes)
    source = Source(network, options.parameters(param), dt, mapping, neurons_per_core)
    with only_document(as_json):
        loaded = load(source, described, seed)
        print_warnings(loaded.program)
        n_steps, inputs, rewards = _what_to_run(loaded, input_file, steps, seed)
        _warn_of_silence(loaded, inputs)
        emulator = Emulator(described, loaded.program, threads=threads)
        for program in programs:
            emulator.manage(**program)
        with _folder(output, network) as folder, _progress(n_steps) as progress:
            result = emulator.run(
                n_steps,
                inputs,
                timing=timing,  # type: ignore[arg-type]  # checked above
                seed=seed,
                strict=strict,
                reset_every=reset_every,
                progress=progress,
                keep_partial=True,
                save_to=folder,
                force=force,
                checkpoint_every=checkpoint_every,
                weights_every=weights_every,
                rewards=rewards,
            )
    _print(result, folder, verbose=verbose, as_json=as_json)


@contextmanager
def _folder(output: Path | None, source: Path) -> Iterator[Path]:
    """Give the folder to write to: `-o`, or a new one."""
    if output is not None:
        yield output
        return
    with new_folder(source) as folder:
        yield folder


@contextmanager
def _progress(n_steps: int, done: int = 0) -> Iterator[Any]:
    from emulator.cli.progress import progress_bar

    with progress_bar("running", n_steps) as progress:
        progress(done)
        yield progress


def _refuse_others(context: typer.Context) -> None:
    """Refuse what --resume would ignore: the folder says what was asked of the run."""
    others = [
        name
        for name in context.params
        if name not in {"resume", "threads", "verbose", "as_json"}
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


def _resume(folder: Path, threads: int, *, verbose: bool, as_json: bool) -> None:
    from emulator.emulator import resume_run
    from emulator.observe.checkpoint import read_plan
    from emulator.observe.folder import check_unfinished

    if kind_of(folder) == "folder":
        raise RunError(
            f"{folder}: not a run folder: it has no manifest.json; --resume goes on with the folder of a run that was "
            "started with --checkpoint-every"
        )
    if kind_of(folder) != "run":
        expect(folder, "unfinished")
    check_unfinished(folder)
    plan, done = read_plan(folder)
    with only_document(as_json), _progress(plan.steps, done) as progress:
        result = resume_run(folder, threads=threads, progress=progress)
    _print(result, folder, verbose=verbose, as_json=as_json)


def _what_to_run(
    loaded: Loaded, input_file: Path | None, steps: int | None, seed: int
) -> tuple[int, Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """Return the number of steps, the input spikes and the rewards."""
    import numpy as np

    from emulator.inputs import as_tables, read_inputs, read_rewards

    if input_file is None:
        n_steps = DEFAULT_STEPS if steps is None else steps
        return n_steps, loaded.inputs(n_steps, seed), loaded.rewards(n_steps, seed)
    with reading(input_file, "inputs"):
        inputs, rewards = read_inputs(input_file), read_rewards(input_file)
    if steps is None:
        steps = _steps_of(loaded, inputs, rewards)
    # As with spikes, nothing comes after the last; too many are refused where the run begins.
    padded = {
        name: np.append(values, np.zeros(max(0, steps - len(values)), np.int64))
        for name, values in rewards.items()
    }
    return steps, as_tables(inputs), padded or None


def _steps_of(loaded: Loaded, inputs: Mapping[str, Any], rewards: Mapping[str, Any]) -> int:
    """Return the steps that pass until nothing is on its way any more that the input spikes lead to."""
    ends = [int(spikes[:, 0].max()) + 1 for spikes in inputs.values() if len(spikes)]
    through = max(ends) + depth_steps(loaded.program) if ends else 0
    return max([through, *map(len, rewards.values())]) or DEFAULT_STEPS


def _warn_of_silence(loaded: Loaded, inputs: Mapping[str, Any] | None) -> None:
    silent = [
        population["name"]
        for population in loaded.program.manifest["populations"]
        if population["is_input"]
        and population["sent_by"] is None
        and population["name"] not in (inputs or {})
    ]
    if silent:
        warn(f"no spikes were given for input: {', '.join(silent)}")


def _print(result: Run, folder: Path, *, verbose: bool, as_json: bool) -> None:
    """Print what happened, what it rests on, and where it is."""
    if as_json:
        print_report_document(result, folder)
    else:
        from emulator.observe.render import print_summary

        print_summary(result, Console())
        print_assumptions(result.program.manifest["assumptions"], verbose=verbose)
    if result.status == "interrupted":
        raise RunError(
            f"interrupted after {result.n_steps:,} of {result.steps_asked:,} steps; "
            f"what was run is in {folder}"
        )
    if not as_json:
        typer.echo(
            f"saved in {folder}; emulator report {folder} shows energy by event, cores and more"
        )
