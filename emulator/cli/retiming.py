"""`emulator retime`: a recorded run on another mesh, clock or cost table, without running it again."""

import json
from pathlib import Path
from typing import Annotated

import typer

from emulator.chip import load_chip
from emulator.cli import options
from emulator.cli.progress import progress_bar
from emulator.errors import RunError
from emulator.observe.folder import check_target
from emulator.observe.retimed_report import print_retimed, retime_figures
from emulator.observe.run import Run
from emulator.timing import TIMING_MODES


def register(app: typer.Typer) -> None:
    """Add the command."""
    epilog = "Example: emulator retime digits_run --chip loihi --set clock.mhz=1000 -o slower_run"
    app.command(name="retime", epilog=epilog)(retime)


def retime(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder that a run was saved in.")],
    chip: options.ChipOption,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="RUN", help="Folder for the new run.")
    ] = None,
    timing: Annotated[
        str | None,
        typer.Option(
            "--timing",
            metavar="|".join(TIMING_MODES),
            help="Timing model; by default that of the run, or cycle where it was not timed.",
        ),
    ] = None,
    threads: options.ThreadsOption = 1,
    force: Annotated[bool, typer.Option("--force", help="Replace a run folder.")] = False,
    changes: options.SetOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print everything that was assumed.")
    ] = False,
) -> None:
    """Time and price a recorded run on another chip; spikes and state stay what they are."""
    if timing is not None and timing not in TIMING_MODES:
        raise RunError(f"--timing {timing}: allowed: {', '.join(TIMING_MODES)}")
    if output is not None:
        check_target(output, force=force)
    described = load_chip(chip, options.pairs("--set", changes))
    before = Run.load(folder)
    model = timing or ("cycle" if before.timing is None else before.timing.mode)
    with progress_bar("timing", before.n_steps) as progress:
        after = before.retimed(described, model, threads, progress)  # type: ignore[arg-type]  # checked above
    if output is not None:
        after.save(output, force=force)
    figures = retime_figures(before, after)
    if as_json:
        typer.echo(json.dumps(figures, indent=1, allow_nan=False))
    else:
        print_retimed(figures, verbose=verbose)
