"""`emulator retime`: a recorded run on another mesh, clock or cost table, without running it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from emulator.cli import options
from emulator.cli.kinds import reading
from emulator.cli.printing import JsonOption, print_document

if TYPE_CHECKING:
    from emulator.observe.run import Run


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
    timing: options.TimingOption = "cycle",
    threads: options.ThreadsOption = 1,
    force: Annotated[bool, typer.Option("--force", help="Replace a run folder.")] = False,
    changes: options.SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Time and price a recorded run on another chip; spikes and state stay what they are."""
    from emulator.cli.progress import progress_bar
    from emulator.observe.folder import check_target
    from emulator.observe.run import Run

    options.timing_mode(timing)
    if output is not None:
        check_target(output, force=force)
    described = options.described(chip, changes)
    with reading(folder, "run", "unfinished", "folder"):
        before = Run.load(folder)
    with progress_bar("timing", before.n_steps) as progress:
        after = before.retimed(described, timing, threads, progress)  # type: ignore[arg-type]  # checked above
    if output is not None:
        after.save(output, force=force)
    if as_json:
        from emulator.observe.report import figures

        written = {} if output is None else {"written": {"path": str(output)}}
        runs = {"recorded": figures(before), "retimed": figures(after)}
        print_document("retime", runs | written)
    else:
        _print(before, after)


def _print(before: Run, after: Run) -> None:
    from emulator.observe.quantities import energy_text

    table = Table(box=None)
    for column in (
        "",
        f"on {before.chip.label}, recorded",
        f"on {after.chip.label}, retimed",
        "ratio",
    ):
        table.add_column(column, justify="right" if column else "left")
    for name, old, new, shown in (
        ("cycles", _cycles(before), _cycles(after), lambda n: f"{n:,.0f}"),
        ("time", _seconds(before), _seconds(after), lambda s: f"{s * 1e6:,.3f} us"),
        ("energy", float(before.energy().total_pj), float(after.energy().total_pj), energy_text),
    ):
        ratio = f"{new / old:.3f}" if old and new is not None else "-"
        table.add_row(name, *("-" if x is None else shown(x) for x in (old, new)), ratio)
    Console().print(table)


def _cycles(run: Run) -> float | None:
    return None if run.timing is None else run.timing.total_cycles


def _seconds(run: Run) -> float | None:
    return None if run.timing is None else float(run.timing.seconds)
