"""The report of a run for people: tables and a map of the cores, whole words and names at any width."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from emulator.chip import Chip
from emulator.observe.energy import STATIC
from emulator.observe.heatmap import COLOURS, cell_of_map, heat_map, level_glyph
from emulator.observe.learned_report import learning_tables
from emulator.observe.managed_report import management_tables
from emulator.observe.quantities import energy_text, power_text, share_text, table_of, time_text
from emulator.observe.report import MEANING, TOP, figures
from emulator.observe.run import Run
from emulator.observe.tabulated import Kind, Paragraph, TextTable, cut
from emulator.observe.timed import timing_tables

MapOf = Literal["energy", "spikes"]
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
    whole = "these in full" if shown != list(notes[: len(shown)]) else ""
    return [*shown, f"{' and '.join(filter(None, (rest, whole)))} with --verbose"]


def print_report(
    run: Run,
    console: Console | None = None,
    *,
    map_of: MapOf = "energy",
    top: int | None = None,
    verbose: bool = False,
) -> None:
    """Print the report of a run.

    Parameters
    ----------
    run : Run
        What to report.
    console : Console, optional
        Where; by default the standard output.
    map_of : {"energy", "spikes"}
        What the map of the cores shows.
    top : int, optional
        Lines of tables that are cut: populations, projections that learn, links, rounded parameters. By default 30
        of each, and 5 links.
    verbose : bool
        Whether to print everything that the figures rest on, not five lines of it.
    """
    console = console or Console()
    data, width = figures(run, top=top), console.width
    unicode = console.encoding.lower().startswith("utf")
    most = TOP if top is None else top
    console.print(_title(data))
    print_notes(console, [f"warning: {text}" for text in data["warnings"]], verbose=verbose)
    console.print(_summary(data))
    console.print(_events(data, width))
    console.print(core_map(data, run.chip, map_of, width, unicode=unicode))
    console.print(_population_table(data, most))
    if data["rounding"]:
        console.print(rounding_table(data["rounding"], most))
    if data["learning"]:
        console.print(learning_tables(data["learning"], most))
    if data["management"] is not None:
        console.print(management_tables(data["management"]))
    if data["timing"] is not None:
        console.print(timing_tables(data["timing"], data["run"]["steps"], unicode=unicode))
    console.print(Text("What this rests on", style="bold"))
    print_notes(console, rests_on(data), verbose=verbose, most=MOST_NOTES - 1)


def print_summary(run: Run, console: Console | None = None) -> None:
    """Print the first part of the report: what happened."""
    console = console or Console()
    data = figures(run)
    console.print(_title(data))
    console.print(_summary(data))


def print_notes(
    console: Console, notes: Sequence[str], *, verbose: bool, most: int = MOST_NOTES
) -> None:
    """Print notes, each on a line of its own, or whole and wrapped (`verbose`)."""
    if verbose:
        for note in notes:
            console.print(Paragraph(note, first="- "))
        return
    ascii_only = not console.encoding.lower().startswith("utf")
    for line in notes_lines(notes, verbose, width=console.width - 3, most=most):
        told = line.replace("…", "...") if ascii_only else line
        console.print(Text(f"- {told}"), no_wrap=True, overflow="ignore", crop=False)


def _title(data: dict[str, Any]) -> Paragraph:
    run, chip = data["run"], data["chip"]
    done = f"{run['steps']:,} steps"
    if run["status"] == "interrupted":
        done = f"INTERRUPTED after {run['steps']:,} of {run['steps_asked']:,} steps"
    elif run["status"] == "unfinished":
        done = f"UNFINISHED, {run['steps']:,} of {run['steps_asked']:,} steps, up to the last checkpoint"
    title = f"{data['network']} on {chip['name']}: {done}, seed {run['seed']}"
    return Paragraph(title, indent=0, style="bold")


def _summary(data: dict[str, Any]) -> TextTable:
    table = table_of("What happened", ("figure", "name"), ("value", "right"), ("of what", "text"))
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
        "stored synapses that spikes reached (NeuroBench: Effective_"
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


def _add_time_and_energy(table: TextTable, data: dict[str, Any]) -> None:
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
    in_column = width >= COLUMNS_FOR_MEANINGS
    columns: list[tuple[str, Kind]] = [
        ("event", "name"), ("count", "right"), ("pJ each", "right"), ("energy", "right"),
        ("share", "right"),
    ]  # fmt: skip
    table = TextTable(
        "Energy by event", [*columns, ("one of them is", "text")] if in_column else columns
    )
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
    for event, count, each, pj in lines:
        energy = ("-", "-") if pj is None else (energy_text(pj), share_text(pj, total))
        table.add_row(event, count, each, *energy, *([meanings[event]] if in_column else []))
    table.add_total("total", "", "", energy_text(total), share_text(total, total))
    if in_column:
        return table
    below = TextTable(None, [("", "name"), ("", "text")])
    for event, *_ in lines:
        below.add_row(event, meanings[event])
    return Group(table, below)


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
    tiles = f"{chip.mesh.width} x {chip.mesh.height} tiles of {chip.mesh.cores_per_tile} cores"
    title = f"Cores: {what} ({tiles}; a cell is {cell_of_map(chip, width - 2)}; tile 0 top left, blank: unused)"
    lines: list[RenderableType] = [
        Paragraph(title, indent=0, style="bold"),
        Text(),
        Padding(drawn, (0, 0, 0, 2)),
        _legend(bounds, show, width, unicode=unicode),
    ]
    if cores:
        hottest = max(cores, key=lambda line: line[key])
        tile = f"tile {hottest['tile']} at x {hottest['x']}, y {hottest['y']}"
        told = f"most: core {hottest['core']} on {tile}: {show(hottest[key])}"
        lines.append(Paragraph(told, indent=0))
    if map_of == "energy":
        rest = show(data["cores"][-1]["energy_pj"])
        managed = data["management"] or {"cores": []}
        own = sum(line["energy_pj"] or 0 for line in managed["cores"])
        also = f", {show(own)} of management cores" if own else ""
        told = f"not on the map: {rest} of the chip (host packets, barrier, static){also}"
        lines.append(Paragraph(told, indent=0))
    return Group(*lines, Text())


def _legend(
    bounds: list[float], show: Callable[[float], str], width: int, *, unicode: bool
) -> Text:
    """Return what each shade stands for, in lines that break between shades only."""
    glyphs = [level_glyph(n, unicode=unicode) * 2 for n in range(len(bounds) + 1)]
    told = ["0", *(f"up to {show(bound)}" for bound in bounds)]
    legend, used = Text(), 0
    for level, (glyph, text) in enumerate(zip(glyphs, told, strict=True)):
        part = len(glyph) + 1 + len(text)
        if used and used + 3 + part > width:
            legend.append("\n")
            used = 0
        legend.append("   " if used else "").append(glyph, COLOURS[level]).append(f" {text}")
        used += part + (3 if used else 0)
    return legend


def _population_table(data: dict[str, Any], most: int) -> RenderableType:
    table = table_of(
        "Populations",
        ("name", "name"), ("neurons", "right"), ("cores", "right"), ("spikes", "right"),
        ("rate", "right"), ("synaptic events", "right"), ("energy", "right"),
    )  # fmt: skip
    shown, note = cut(data["populations"], most, lambda line: line["energy_pj"], "of most energy")
    for line in shown:
        table.add_row(
            line["name"],
            f"{line['neurons']:,}",
            f"{line['cores']:,}" if line["cores"] else "input",
            f"{line['spikes']:,}",
            f"{line['spikes_per_neuron_and_step']:.4g}",
            f"{line['synaptic_events_received']:,}",
            energy_text(line["energy_pj"]),
        )
    caption = Paragraph(
        f"{note}spikes: emitted; rate: spikes per neuron and step; synaptic events: received; energy: packets and "
        "hops as sender, updates and synaptic events as receiver"
    )
    return Group(table, caption, Text())


def rounding_table(lines: list[dict[str, Any]], most: int = TOP) -> RenderableType:
    """Return the table of real values that registers do not hold as they were asked for.

    Parameters
    ----------
    lines : list of dict
        With the keys `population`, `parameter`, `asked`, `held` (None: forever) and `unit`; `relative_error` (None:
        without limit) where it is known, by which lines are sorted.
    most : int
        Lines there may be.
    """
    table = table_of(
        "Rounded to registers",
        ("population", "name"), ("parameter", "name"), ("asked", "right"), ("held", "right"),
        ("unit", "name"), ("off", "right"),
    )  # fmt: skip
    errors = [line.get("relative_error", 0) for line in lines]
    order = sorted(
        range(len(lines)), key=lambda k: math.inf if errors[k] is None else errors[k], reverse=True
    )
    for k in order[:most]:
        line, error = lines[k], errors[k]
        table.add_row(
            line["population"],
            line["parameter"],
            value_text(line["asked"]),
            "no decay" if line["held"] is None else value_text(line["held"]),
            line["unit"],
            f"{100 * error:.2g} %" if error else "-",
        )
    rest = len(lines) - most
    note = f"{rest:,} more: --top {len(lines)}, or --json" if rest > 0 else ""
    return Group(table, Paragraph(note), Text()) if note else table


def value_text(value: object) -> str:
    """Return a number with six digits, or the range of several."""
    if isinstance(value, list | tuple):
        first, last = (value_text(end) for end in (min(value), max(value)))
        return first if first == last else f"{first} to {last}"
    return f"{value:.6g}" if isinstance(value, int | float) else str(value)


def rests_on(data: dict[str, Any]) -> list[str]:
    """Return what the figures of a run rest on: what was assumed, and the limits that are none."""
    notes = [f"network: {text}" for text in data["assumptions"]["network"]]
    if data["unlimited"]:
        notes.append(
            f"limits of the chip that are null, that is unlimited: {', '.join(data['unlimited'])}"
        )
    notes += [
        f"chip, {', '.join(entry['keys'])}: {entry['source']}"
        for entry in data["assumptions"]["chip"]
    ]
    return notes or ["nothing that is assumed"]
