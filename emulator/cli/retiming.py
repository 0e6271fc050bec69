"""`emulator retime`: a recorded run on another mesh, clock or cost table, without running it again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emulator.cli import options
from emulator.cli.kinds import reading
from emulator.cli.printing import JsonOption, VerboseOption, print_document


def register(app: typer.Typer) -> None:
    """Add the command."""
    epilog = "Example: emulator retime digits_run --chip loihi --set clock.mhz=1000 -o slower_run"
    app.command(name="retime", epilog=epilog)(retime)


def retime(  # each is an option of the command
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder that a run was saved in.")],
    chip: options.ChipOption,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="RUN", help="Folder for the new run.")
    ] = None,
    timing: Annotated[
        str | None,
        typer.Option(
            "--timing",
            metavar="|".join(options.TIMING),
            help="Timing model; by default that of the run, or cycle where it was not timed.",
            autocompletion=lambda: list(options.TIMING),
        ),
    ] = None,
    threads: options.ThreadsOption = 1,
    force: Annotated[bool, typer.Option("--force", help="Replace a run folder.")] = False,
    changes: options.SetOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Time and price a recorded run on another chip; spikes and state stay what they are."""
    from emulator.cli.progress import progress_bar
    from emulator.observe.folder import check_target
    from emulator.observe.retimed_report import print_retimed, retime_figures
    from emulator.observe.run import Run

    if timing is not None:
        options.timing_mode(timing)
    if output is not None:
        check_target(output, force=force)
    described = options.described(chip, changes)
    with reading(folder, "run", "unfinished", "folder"):
        before = Run.load(folder)
    model = timing or ("cycle" if before.timing is None else before.timing.mode)
    with progress_bar("timing", before.n_steps) as progress:
        after = before.retimed(described, model, threads, progress)  # type: ignore[arg-type]  # checked above
    if output is not None:
        after.save(output, force=force)
    figures = retime_figures(before, after)
    if as_json:
        written = {} if output is None else {"written": {"path": str(output)}}
        print_document("retime", figures | written)
    else:
        print_retimed(figures, verbose=verbose)
