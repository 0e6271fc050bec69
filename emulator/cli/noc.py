"""`emulator noc replay` and `emulator noc sweep`: the mesh of a chip on its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import isnan
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from emulator.chip import Chip, load_chip
from emulator.cli import options
from emulator.cli.progress import progress_bar
from emulator.errors import RunError
from emulator.noc import PORTS, TRAFFIC, Replayed, SweepPoint, load_trace, replay, sweep
from emulator.noc.plot import latency_plot
from emulator.noc.points import SUFFIXES, save_points
from emulator.noc.sweeping import DEFAULT_LOADS, MEASURED_CYCLES, WARMUP_CYCLES
from emulator.observe.heatmap import COLOURS, heat_map, level_glyph
from emulator.observe.tabulated import TextTable

HOTTEST = 5
MOST_MAP_ROWS = 32


def register(app: typer.Typer) -> None:
    """Add the commands."""
    noc = typer.Typer(
        name="noc",
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
) -> None:
    """Replay a trace of packets, cycle by cycle: when each enters the mesh and when it arrives."""
    _check_target(output, (".npz",))
    described = load_chip(chip, options.pairs("--set", changes))
    trace = load_trace(trace_file, described)
    with progress_bar("replaying", len(trace)) as progress:
        result = replay(trace, described, progress=progress)
    with _writing(output):
        result.save(output)
    console = Console()
    _print_replay(result, described, console)
    typer.echo(f"saved in {output}: inject_cycle and arrive_cycle of each packet")


def sweep_(
    chip: options.ChipOption,
    traffic: Annotated[
        str, typer.Option("--traffic", metavar="|".join(TRAFFIC), help="Where packets go.")
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
) -> None:
    """Measure latency over offered load under synthetic traffic, as BookSim2 does."""
    if output is not None:
        _check_target(output, SUFFIXES)
    described = load_chip(chip, options.pairs("--set", changes))
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
    console = Console()
    mesh = described.mesh
    console.print(
        f"[bold]{traffic}[/] traffic on {described.name}: {mesh.width} x {mesh.height} tiles, {size:,}-flit "
        f"packets,\n{cycles:,} cycles measured after {warmup:,}, seed {seed}",
        highlight=False,
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


def _print_replay(result: Replayed, chip: Chip, console: Console) -> None:
    mesh = chip.mesh
    console.print(
        f"[bold]{result.trace.name}[/] on {chip.name}: {len(result.trace):,} packets over "
        f"{mesh.width} x {mesh.height} tiles",
        highlight=False,
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
        table.add_row(name, *_four(cycles), meaning)
    return table


def _four(cycles: NDArray[np.int64]) -> tuple[str, ...]:
    if not len(cycles):
        return ("-",) * 4
    p50, p99, most = np.percentile(cycles, (50, 99, 100), method="inverted_cdf")
    return f"{cycles.mean():,.2f}", f"{p50:,}", f"{p99:,}", f"{most:,}"


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
