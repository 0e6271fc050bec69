"""`emulator noc replay` and `emulator noc sweep`: the mesh of a chip on its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from emulator.cli import options
from emulator.cli.groups import QuickGroup
from emulator.cli.kinds import reading
from emulator.cli.printing import JsonOption, print_document
from emulator.errors import RunError
from emulator.observe.tabulated import TextTable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emulator.chip import Chip
    from emulator.noc import Replayed, SweepPoint

HOTTEST = 5
MOST_MAP_ROWS = 32
SUFFIXES = (".csv", ".npz")
TRAFFIC = ("uniform", "transpose", "bit_complement", "neighbour", "hotspot")
MEASURED_CYCLES = WARMUP_CYCLES = 3000
"""With SUFFIXES as `emulator.noc` has them, which help need not import."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    noc = typer.Typer(
        name="noc",
        cls=QuickGroup,
        help="Study the mesh of a chip on its own: packets of a trace, or synthetic traffic.",
        epilog="Example: emulator noc sweep --chip noc_s --traffic uniform",
    )
    noc.command(
        name="replay",
        epilog="Example: emulator noc replay trace.npz --chip noc_s --set mesh.width=4 -o arrivals.npz",
    )(replay_)
    noc.command(
        name="sweep",
        epilog="Example: emulator noc sweep --chip noc_d --traffic hotspot --loads 0.02,0.05,0.1 -o sweep.csv",
    )(sweep_)
    app.add_typer(noc)


def replay_(
    trace_file: Annotated[
        Path,
        typer.Argument(metavar="TRACE", help=".npz or .csv with cycle, src, dst, size of packets."),
    ],
    chip: options.ChipOption,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT.npz", help="File to write.")
    ],
    changes: options.SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replay a trace of packets, cycle by cycle: when each enters the mesh and when it arrives."""
    from emulator.cli.progress import progress_bar
    from emulator.noc import load_trace, replay

    _check_target(output, (".npz",))
    described = options.described(chip, changes)
    with reading(trace_file, "trace"):
        trace = load_trace(trace_file, described)
    with progress_bar("replaying", len(trace)) as progress:
        result = replay(trace, described, progress=progress)
    with _writing(output):
        result.save(output)
    if as_json:
        figures = _replay_figures(result, described)
        print_document("noc-replay", figures | {"written": {"path": str(output)}})
        return
    _print_replay(result, described, Console())
    typer.echo(f"saved in {output}: inject_cycle and arrive_cycle of each packet")


def sweep_(
    chip: options.ChipOption,
    traffic: Annotated[
        str,
        typer.Option(
            "--traffic",
            metavar="|".join(TRAFFIC),
            help="Where packets go.",
            autocompletion=lambda: list(TRAFFIC),
        ),
    ],
    loads: Annotated[
        str | None,
        typer.Option("--loads", metavar="A,B,...", help="Offered flits for each tile and cycle."),
    ] = None,
    size: Annotated[int, typer.Option("--size", metavar="FLITS", help="Of each packet.")] = 1,
    seed: options.SeedOption = 0,
    cycles: Annotated[
        int, typer.Option("--cycles", metavar="N", help="In which packets are measured.")
    ] = MEASURED_CYCLES,
    warmup: Annotated[
        int, typer.Option("--warmup", metavar="N", help="Cycles before measuring.")
    ] = WARMUP_CYCLES,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT.csv|.npz", help="File to write."),
    ] = None,
    changes: options.SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure latency over offered load under synthetic traffic, as BookSim2 does."""
    from emulator.cli.progress import progress_bar
    from emulator.noc import sweep
    from emulator.noc.points import save_points
    from emulator.noc.sweeping import DEFAULT_LOADS

    if output is not None:
        _check_target(output, SUFFIXES)
    described = options.described(chip, changes)
    wanted = DEFAULT_LOADS if loads is None else _numbers("--loads", loads)
    with progress_bar("sweeping", len(wanted)) as progress:
        points = sweep(
            described,
            traffic,
            wanted,
            size,
            seed,
            warmup_cycles=warmup,
            cycles=cycles,
            progress=progress,
        )
    if output is not None:
        with _writing(output):
            save_points(points, output)
    mesh = described.mesh
    if as_json:
        figures = {
            "chip": described.label,
            "width": mesh.width,
            "height": mesh.height,
            "traffic": traffic,
            "packet_flits": size,
            "measured_cycles": cycles,
            "warmup_cycles": warmup,
            "seed": seed,
            "points": [_point_figures(point) for point in points],
        }
        written = {} if output is None else {"written": {"path": str(output)}}
        print_document("noc-sweep", figures | written)
        return
    console = Console()
    console.print(
        Text.assemble(
            (traffic, "bold"),
            f" traffic on {described.name}: {mesh.width} x {mesh.height} tiles, {size:,}-flit packets,\n"
            f"{cycles:,} cycles measured after {warmup:,}, seed {seed}",
        )
    )
    _print_sweep(points, console)
    if output is not None:
        typer.echo(f"saved in {output}")


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise RunError(f"{option} {text}: it must be numbers with commas: 0.02,0.1") from None


def _check_target(path: Path, suffixes: tuple[str, ...]) -> None:
    """Refuse a file that cannot be written, before the work is done."""
    if path.suffix.lower() not in suffixes:
        raise RunError(f"{path}: the name of the output must end in {' or '.join(suffixes)}")
    if path.exists() and not path.is_file():
        raise RunError(f"{path}: it exists and is not a regular file")
    if not path.absolute().parent.is_dir():
        raise RunError(f"{path}: the folder '{path.absolute().parent}' does not exist")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}") from None


def _point_figures(point: SweepPoint) -> dict[str, Any]:
    """Return what was found under one load; what no packet tells is null."""
    return {
        name: None if isinstance(value, float) and isnan(value) else value
        for name, value in asdict(point).items()
    }


def _replay_figures(result: Replayed, chip: Chip) -> dict[str, Any]:
    import numpy as np

    from emulator.noc import PORTS

    n_flits = result.link_flits
    return {
        "trace": result.trace.name,
        "chip": chip.label,
        "width": chip.mesh.width,
        "height": chip.mesh.height,
        "packets": len(result.trace),
        "latency_cycles": _four(result.latency),
        "network_latency_cycles": _four(result.network_latency),
        "cycles": result.cycles,
        "accepted_flits_per_tile_and_cycle": result.accepted,
        "flit_routers": result.flit_routers,
        "wall_seconds": result.seconds,
        "links": [
            {"tile": int(tile), "to": PORTS[port], "flits": int(n_flits[tile, port])}
            for tile, port in np.argwhere(n_flits)
        ],
    }


def _print_replay(result: Replayed, chip: Chip, console: Console) -> None:
    mesh = chip.mesh
    console.print(
        Text.assemble(
            (result.trace.name, "bold"),
            f" on {chip.name}: {len(result.trace):,} packets over {mesh.width} x {mesh.height} tiles",
        )
    )
    console.print(_latencies(result))
    if not len(result.trace):
        return
    console.print(_throughput(result))
    console.print()
    console.print(_hottest(result, chip))
    if mesh.height <= MOST_MAP_ROWS:
        console.print(_link_map(result, chip, console))


def _latencies(result: Replayed) -> TextTable:
    table = TextTable(None, [("cycles", "name")])
    for name in ("mean", "p50", "p99", "maximum"):
        table.add_column(name, "right")
    table.add_column("of each packet", "text")
    for name, cycles, meaning in (
        ("latency", result.latency, "due to arrival"),
        ("network latency", result.network_latency, "sent to arrival"),
    ):
        four = _four(cycles)
        shown = [
            "-" if x is None else f"{x:,.2f}" if k == "mean" else f"{x:,}" for k, x in four.items()
        ]
        table.add_row(name, *shown, meaning)
    return table


def _four(cycles: NDArray[np.int64]) -> dict[str, float | None]:
    """Return mean, median, the 99th percentile and the largest; nothing of no packets."""
    import numpy as np

    names = ("mean", "p50", "p99", "max")
    if not len(cycles):
        return dict.fromkeys(names)
    some = np.percentile(cycles, (50, 99, 100), method="inverted_cdf").tolist()
    return dict(zip(names, (float(cycles.mean()), *some), strict=True))


def _throughput(result: Replayed) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row("  accepted", f"{result.accepted:.4g} flits for each tile and cycle")
    table.add_row("  cycles", f"{result.cycles:,} from the first packet due to the last arrival")
    speed = result.flit_routers / result.seconds if result.seconds else 0.0
    table.add_row(
        "  speed",
        f"{speed:,.0f} flit-routers per second ({result.flit_routers:,} in {result.seconds:.3g} s)",
    )
    return table


def _hottest(result: Replayed, chip: Chip) -> TextTable:
    import numpy as np

    from emulator.noc import PORTS

    table = TextTable("Hottest links", [("from tile", "name"), ("to", "name")])
    for name in ("flits", "utilisation"):
        table.add_column(name, "right")
    order = np.argsort(-result.link_flits, axis=None, kind="stable")[:HOTTEST]
    for tile, port in np.argwhere(result.link_flits > -1)[order].tolist():
        if result.link_flits[tile, port]:
            y, x = divmod(tile, chip.mesh.width)
            share = f"{100 * result.utilisation[tile, port]:.1f} %"
            n_flits = f"{result.link_flits[tile, port]:,}"
            table.add_row(f"{tile} at x {x}, y {y}", PORTS[port], n_flits, share)
    return table


def _link_map(result: Replayed, chip: Chip, console: Console) -> RenderableType:
    """Draw the busiest link that leaves each tile for another one."""
    from emulator.noc import PORTS
    from emulator.observe.heatmap import COLOURS, heat_map, level_glyph

    unicode = console.encoding.lower().startswith("utf")
    tiles = chip.model_copy(update={"mesh": chip.mesh.model_copy(update={"cores_per_tile": 1})})
    busiest = 100 * result.utilisation[:, : PORTS.index("local")].max(axis=1)
    drawn, bounds = heat_map(
        dict(enumerate(busiest.tolist())), tiles, console.width - 2, unicode=unicode, combine=max
    )
    legend = Text()
    for level, bound in enumerate((0.0, *bounds)):
        legend.append(level_glyph(level, unicode=unicode) * 2, style=COLOURS[level])
        legend.append(" 0   " if level == 0 else f" up to {bound:.3g} %   ")
    title = "Link load: the busiest link from each tile to another (tile 0 top left, y down)"
    return Group(Text(title, style="bold"), Text(), Padding(drawn, (0, 0, 0, 2)), legend, Text())


def _print_sweep(points: list[SweepPoint], console: Console) -> None:
    from emulator.noc.plot import latency_plot

    table = TextTable()
    for name in ("load", "accepted", "packets", "mean", "p50", "p99", "max", "network", "left"):
        table.add_column(name, "right")
    table.add_column("", "name")
    for point in points:
        figures = (
            point.latency_mean,
            point.latency_p50,
            point.latency_p99,
            point.latency_max,
            point.network_latency_mean,
        )
        digits = (1 if point.latency_mean > 1000 else 2, 0, 0, 0, 2)
        table.add_row(
            f"{point.load:g}",
            f"{point.accepted:.4f}",
            f"{point.packets:,}",
            *("-" if isnan(f) else f"{f:,.{d}f}" for f, d in zip(figures, digits, strict=True)),
            f"{point.undrained:,}",
            "saturated" if point.saturated else "stable",
        )
    console.print(table)
    console.print(
        "load, accepted: flits for each tile and cycle\n"
        "mean to max: cycles from when a packet was made to its arrival\n"
        "network: mean cycles from when it left its source\n"
        "left: packets that had not arrived at the end; they count with their age then\n"
        "saturated: a mean above 500, packets left, or less than 97 % of the load accepted\n",
        highlight=False,
    )
    if any(not isnan(point.latency_mean) for point in points):
        unicode = console.encoding.lower().startswith("utf")
        console.print(latency_plot(points, console.width, unicode=unicode))
