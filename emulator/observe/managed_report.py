"""What management cores did, as figures of a run's report and as a table."""

from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from emulator.account import CALL, INSTRUCTIONS, READ, RECEIVE, SEND, WRITE
from emulator.network.managed import HOST, PHASES
from emulator.observe.quantities import energy_text, share_text, table_of, time_text
from emulator.observe.run import Run
from emulator.observe.tabulated import Paragraph
from emulator.units import seconds_from_cycles

COUNTED = {
    "calls": (CALL,),
    "instructions": (INSTRUCTIONS,),
    "words_read": (READ,),
    "words_written": (WRITE,),
    "messages": (SEND, RECEIVE),
}


def management_figures(run: Run) -> dict[str, Any] | None:
    """Return the figures of management cores; None where they did nothing. Keys are stable, numbers are JSON's."""
    lines = run.records.managed.lines
    if not len(lines):
        return None
    chip, energy_pj = run.chip, run.energy().by("core")
    cycles, by_core = run.management_cycles()
    cores = []
    for core in np.unique(lines[:, 2]).tolist():
        mine = lines[lines[:, 2] == core]
        told = {
            name: int(mine[np.isin(mine[:, 3], kinds), 5].sum()) for name, kinds in COUNTED.items()
        }
        on_chip = core != HOST
        own = by_core[:, core].tolist() if on_chip else [0] * len(PHASES)
        cores.append(
            {
                "core": core,
                "tile": chip.management.tiles[core % len(chip.management.tiles)]
                if on_chip
                else None,
                **told,
                "energy_pj": float(energy_pj.get(chip.mesh.n_cores + core, 0)) if on_chip else None,
                "cycles_by_phase": dict(zip(PHASES, own, strict=True)),
            }
        )
    timing = run.timing
    return {
        "cores": cores,
        "steps": len(np.unique(lines[lines[:, 2] != HOST, 0])),
        "cycles": None if timing is None else int(cycles.sum()),
        "seconds": None
        if timing is None
        else float(seconds_from_cycles(int(cycles.sum()), timing.clock_mhz)),
        "share_of_time": None
        if timing is None
        else float(cycles.sum()) / max(1, timing.total_cycles),
        "host_messages": len(np.unique(run.records.managed.messages[:, :3], axis=0)),
    }


def management_tables(data: dict[str, Any]) -> RenderableType:
    """Return the table of management cores, and what share of the time they took."""
    table = table_of(
        "Management cores",
        ("core", "right"), ("calls", "right"), ("instructions", "right"), ("words", "right"),
        ("messages", "right"), ("cycles", "right"), ("energy", "right"),
    )  # fmt: skip
    timed = data["cycles"] is not None
    for line in data["cores"]:
        on_chip = line["tile"] is not None
        table.add_row(
            str(line["core"]) if on_chip else "host",
            f"{line['calls']:,}",
            f"{line['instructions']:,}",
            f"{line['words_read'] + line['words_written']:,}",
            f"{line['messages']:,}",
            f"{sum(line['cycles_by_phase'].values()):,}" if on_chip and timed else "-",
            energy_text(line["energy_pj"]) if on_chip else "-",
        )
    note = "words: of neuron cores, read or written, each with its packets; the host's own computer is not counted"
    if data["cycles"] is not None:
        note = (
            f"{share_text(data['share_of_time'])} of the run's time: {data['cycles']:,} cycles, "
            f"{time_text(data['seconds'])}, in {data['steps']:,} steps; {note}"
        )
    return Group(table, Paragraph(note), Text())
