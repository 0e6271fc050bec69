"""The report of a run for people: tables and a map of the cores, in 80 columns or more."""

from collections.abc import Sequence
from typing import Any, Literal

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from emulator.chip import Chip
from emulator.observe.energy import STATIC
from emulator.observe.heatmap import COLOURS, heat_map, level_glyph
from emulator.observe.learned_report import learning_tables
from emulator.observe.managed_report import management_tables
from emulator.observe.quantities import energy_text, power_text, table_of, time_text
from emulator.observe.report import MEANING, figures
from emulator.observe.run import Run
from emulator.observe.timed import timing_tables

MapOf = Literal["energy", "spikes"]
MAX_POPULATIONS = 30
COLUMNS_FOR_MEANINGS = 132
MOST_NOTES = 5


def notes_lines(
    notes: Sequence[str], verbose: bool, *, width: int | None = None, most: int = MOST_NOTES
) -> list[str]:
    """Return the lines that say what a result rests on: all notes, or at most five lines.

    Parameters
    ----------
    notes : sequence of str
        What was assumed, the most important first.
    verbose : bool
        Whether to return every note, whole.
    width : int, optional
        Columns of a line; without `verbose` a longer note ends in an ellipsis.
    most : int
        Lines there may be without `verbose`, 2 or more.

    Returns
    -------
    list of str
        The notes; where some are left out or cut, the last line says so.
    """
    if verbose:
        return list(notes)
    cut = [
        note if width is None or len(note) <= width else f"{note[: width - 1]}…" for note in notes
    ]
    if cut == list(notes)[:most]:
        return cut
    shown = cut[: most - 1]
    rest = f"{len(notes) - len(shown)} more" if len(notes) > len(shown) else ""
    whole = "these whole" if shown != list(notes[: len(shown)]) else ""
    return [*shown, f"{' and '.join(filter(None, (rest, whole)))} with --verbose"]


def print_report(run: Run, console: Console | None = None, *, map_of: MapOf = "energy") -> None:
    """Print the report of a run.

    Parameters
    ----------
    run : Run
        What to report.
    console : Console, optional
        Where; by default the standard output.
    map_of : {"energy", "spikes"}
        What the map of the cores shows.
    """
    console = console or Console()
    data = figures(run)
    unicode = console.encoding.lower().startswith("utf")
    console.print(_title(data))
    console.print(_summary(data))
    console.print(_events(data, console.width))
    console.print(core_map(data, run.chip, map_of, console.width, unicode=unicode))
    console.print(_population_table(data))
    if data["learning"]:
        console.print(learning_tables(data["learning"]))
    if data["management"] is not None:
        console.print(management_tables(data["management"]))
    if data["timing"] is not None:
        console.print(timing_tables(data["timing"], data["run"]["steps"], unicode=unicode))
    console.print(_reservations(data))


def print_summary(run: Run, console: Console | None = None) -> None:
    """Print the first part of the report: what happened."""
    console = console or Console()
    data = figures(run)
    console.print(_title(data))
    console.print(_summary(data))


def _title(data: dict[str, Any]) -> Text:
    run, chip = data["run"], data["chip"]
    done = f"{run['steps']:,} steps"
    if run["status"] == "interrupted":
        done = f"INTERRUPTED after {run['steps']:,} of {run['steps_asked']:,} steps"
    elif run["status"] == "unfinished":
        done = f"UNFINISHED, {run['steps']:,} of {run['steps_asked']:,} steps, up to the last checkpoint"
    return Text(f"{data['network']} on {chip['name']}: {done}, seed {run['seed']}", style="bold")


def _summary(data: dict[str, Any]) -> Table:
    table = table_of("What happened", ("figure", "left"), ("value", "right"), ("of what", "left"))
    spikes, events, bench = data["spikes"], data["events"], data["neurobench"]
    n_hops = events["hop_ew"] + events["hop_ns"]
    macs = bench["SynapticOperations"]["Effective_MACs"]
    table.add_row(
        "spikes",
        f"{spikes['total']:,}",
        f"{spikes['neurons']:,} of neurons, {spikes['inputs']:,} of inputs",
    )
    table.add_row(
        "neuron updates",
        f"{bench['NeuronUpdates']:,}",
        f"every compartment in every step: {bench['MembraneUpdates']:,} active (NeuroBench: "
        f"MembraneUpdates), {events['neuron_idle']:,} idle",
    )
    if events["instruction"]:
        table.add_row("instructions", f"{events['instruction']:,}", "of neuron microcode, executed")
    table.add_row(
        "synaptic events",
        f"{events['synaptic_event']:,}",
        "stored synapses visited by spikes (NeuroBench: Effective_"
        + (f"ACs, and {macs:,} Effective_MACs)" if macs else "ACs)"),
    )
    if data["learning"]:
        table.add_row(
            "visits",
            f"{sum(line['visits'] for line in data['learning']):,}",
            f"of synapses by learning rules: {events['learning_instruction']:,} micro-instructions",
        )
    if data["management"] is not None:
        table.add_row(
            "management",
            f"{events['management_call']:,}",
            f"runs of programs: {events['management_instruction']:,} instructions, "
            f"{events['management_word']:,} words of neuron cores",
        )
    table.add_row(
        "packets",
        f"{events['packet']:,}",
        f"{'one per spike' if data['chip']['multicast'] else 'one per spike and destination core'}; "
        f"{events['host']:,} of inputs"
        + ("; and those of management cores" if data["management"] is not None else ""),
    )
    table.add_row(
        "hops",
        f"{n_hops:,}",
        f"flits over links between routers: {events['hop_ew']:,} east-west, "
        f"{events['hop_ns']:,} north-south",
    )
    if bench["ActivationSparsity"] is not None:
        sparsity = f"{100 * bench['ActivationSparsity']:.2f} %"
        table.add_row(
            "sparsity", sparsity, "updates without a spike (NeuroBench: ActivationSparsity)"
        )
    if data["run"]["overflows"]:
        table.add_row("overflows", f"{data['run']['overflows']:,}", "values that left their width")
    _add_time_and_energy(table, data)
    return table


def _add_time_and_energy(table: Table, data: dict[str, Any]) -> None:
    timing, energy = data["timing"], data["energy"]
    if timing is None:
        table.add_row("time", "-", "not timed (timing off)")
        note = "events only: " + energy["static_note"]
        table.add_row("energy", energy_text(energy["total_pj"]), note)
        return
    per_step = timing["cycles_per_step"]
    table.add_row(
        "cycles",
        f"{timing['cycles']:,}",
        f"{timing['mode']} timing; per step {per_step['mean']:,.1f} on average, "
        f"{per_step['min']:,} to {per_step['max']:,}; a barrier takes {timing['barrier_cycles']:,}",
    )
    table.add_row(
        "time",
        time_text(timing["seconds"]),
        f"of the chip, at {timing['clock_mhz']:g} MHz; "
        f"{time_text(timing['seconds'] / max(1, data['run']['steps']))} per step",
    )
    table.add_row(
        "energy",
        energy_text(energy["total_pj"]),
        f"{energy_text(energy['dynamic_pj'])} for events, "
        f"{energy_text(energy['static_pj'])} static ({data['chip']['static_mw']:g} mW)",
    )
    if timing["seconds"]:
        power = power_text(energy["total_pj"] / 1e12 / timing["seconds"])
        table.add_row("power", power, "energy over time, static part included")


def _events(data: dict[str, Any], width: int) -> RenderableType:
    """Return the energy table with each event explained, in a column or else below."""
    table = table_of(
        "Energy by event",
        ("event", "left"), ("count", "right"), ("pJ each", "right"), ("energy", "right"),
        ("share", "right"),
    )  # fmt: skip
    energy_pj, total = data["energy"]["by_event_pj"], data["energy"]["total_pj"]
    meanings = dict(MEANING)
    lines = [
        [event, f"{count:,}", f"{data['chip']['cost_pj'][event]:g}", energy_pj[event]]
        for event, count in data["events"].items()
        if count
    ]
    lines.append([STATIC, "", "", energy_pj.get(STATIC)])
    if STATIC not in energy_pj:
        meanings[STATIC] = data["energy"]["static_note"]
    in_column = width >= COLUMNS_FOR_MEANINGS
    if in_column:
        table.add_column("one of them is", overflow="fold")
    for event, count, each, pj in lines:
        energy = ("-", "-") if pj is None else (energy_text(pj), _share(pj, total))
        table.add_row(event, count, each, *energy, *([meanings[event]] if in_column else []))
    table.add_section()
    table.add_row("total", "", "", energy_text(total), _share(total, total))
    if in_column:
        return table
    below = Table.grid(padding=(0, 2))
    for event, *_ in lines:
        below.add_row(f"  {event}", meanings[event])
    return Group(table, below, Text())


def _share(part: float, total: float) -> str:
    return f"{100 * part / total:.1f} %" if total else "-"


def core_map(
    data: dict[str, Any], chip: Chip, map_of: MapOf, width: int, *, unicode: bool
) -> RenderableType:
    """Return the map of the cores with its legend."""
    show = energy_text if map_of == "energy" else lambda n: f"{n:,.0f}"
    key = "energy_pj" if map_of == "energy" else "spikes"
    cores = [line for line in data["cores"] if line["core"] >= 0]
    values = {line["core"]: line[key] for line in cores}
    drawn, bounds = heat_map(values, chip, width - 2, unicode=unicode)
    what = "energy of events at each core" if map_of == "energy" else "spikes emitted by each core"
    cells = f"{chip.mesh.width} x {chip.mesh.height} tiles of {chip.mesh.cores_per_tile} cores"
    legend = Text()
    for level, glyph in enumerate(level_glyph(n, unicode=unicode) for n in range(len(bounds) + 1)):
        legend.append(glyph * 2, style=COLOURS[level])
        legend.append(" 0   " if level == 0 else f" up to {show(bounds[level - 1])}   ")
    lines: list[RenderableType] = [
        Text(f"Cores: {what} ({cells}; tile 0 top left, blank: unused)", style="bold"),
        Text(),
        Padding(drawn, (0, 0, 0, 2)),
        legend,
    ]
    if cores:
        hottest = max(cores, key=lambda line: line[key])
        tile = f"tile {hottest['tile']} at x {hottest['x']}, y {hottest['y']}"
        lines.append(Text(f"most: core {hottest['core']} on {tile}: {show(hottest[key])}"))
    if map_of == "energy":
        rest = show(data["cores"][-1]["energy_pj"])
        managed = data["management"] or {"cores": []}
        own = sum(line["energy_pj"] or 0 for line in managed["cores"])
        also = f", {show(own)} of management cores" if own else ""
        lines.append(
            Text(f"not on the map: {rest} of the chip (host packets, barrier, static){also}")
        )
    return Group(*lines, Text())


def _population_table(data: dict[str, Any]) -> RenderableType:
    table = table_of(
        "Populations",
        ("name", "left"), ("neurons", "right"), ("cores", "right"), ("spikes", "right"),
        ("rate", "right"), ("synaptic events", "right"), ("energy", "right"),
    )  # fmt: skip
    for line in data["populations"][:MAX_POPULATIONS]:
        table.add_row(
            line["name"],
            f"{line['neurons']:,}",
            f"{line['cores']:,}" if line["cores"] else "input",
            f"{line['spikes']:,}",
            f"{line['spikes_per_neuron_and_step']:.4g}",
            f"{line['synaptic_events_received']:,}",
            energy_text(line["energy_pj"]),
        )
    rest = len(data["populations"]) - MAX_POPULATIONS
    caption = Text(f"  {rest:,} more; emulator report --json lists all\n" if rest > 0 else "")
    caption.append(
        "  spikes: emitted; rate: spikes per neuron and step; synaptic events: received;\n"
        "  energy: packets and hops as sender, updates and synaptic events as receiver\n"
    )
    return Group(table, caption)


def _reservations(data: dict[str, Any]) -> RenderableType:
    lines = []
    if data["unlimited"]:
        keys = ", ".join(data["unlimited"])
        lines.append(f"limits of the chip that are null, that is unlimited: {keys}")
    lines += [f"network: {text}" for text in data["assumptions"]["network"]]
    for entry in data["assumptions"]["chip"]:
        lines.append(f"chip, {', '.join(entry['keys'])}: {entry['source']}")
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    for line in lines or ["nothing that is assumed"]:
        table.add_row("-", Text(line, overflow="fold"))
    return Group(Text("What this rests on", style="bold"), table)
