"""`emulator report`: what a saved run did."""

import json
from pathlib import Path
from typing import Annotated

import typer

from emulator.cli.kinds import reading
from emulator.errors import RunError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="report", epilog="Example: emulator report digits_run --map spikes")(report)


def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder that a run was saved in.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
    map_of: Annotated[
        str, typer.Option("--map", metavar="energy|spikes", help="What the map of cores shows.")
    ] = "energy",
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            metavar="N",
            min=1,
            help="Lines of each table that is cut: populations, projections that learn, links.",
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print everything that was assumed.")
    ] = False,
) -> None:
    """Report a run: spikes, cycles, energy by event, map of the cores, populations, bottlenecks."""
    from emulator.observe.render import print_report
    from emulator.observe.report import figures
    from emulator.observe.run import Run

    if map_of not in ("energy", "spikes"):
        raise RunError(f"--map {map_of}: allowed: energy, spikes")
    with reading(folder, "run", "unfinished", "folder"):
        run = Run.load(folder)
    if as_json:
        typer.echo(json.dumps(figures(run, top=top), indent=1, allow_nan=False))
    else:
        print_report(run, map_of=map_of, top=top, verbose=verbose)  # type: ignore[arg-type]  # checked above
