"""A run before and after it was retimed: like beside like, as plain data and as a table."""

from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from emulator.observe.quantities import energy_text, power_text, share_text, table_of, time_text
from emulator.observe.render import MOST_NOTES, print_notes, rests_on
from emulator.observe.report import assumed, cores_in_use, unlimited
from emulator.observe.run import Run
from emulator.observe.tabulated import Paragraph
from emulator.observe.timed import timing_figures

FORMAT = "emulator-retime"
VERSION = 1
QUANTITIES = {
    "cycles": lambda n: f"{n:,}",
    "seconds": time_text,
    "seconds_per_step": time_text,
    "dynamic_pj": energy_text,
    "static_pj": energy_text,
    "total_pj": energy_text,
    "power_watts": power_text,
    "latency_mean_seconds": time_text,
    "latency_p99_seconds": time_text,
}
"""What has a ratio, and how it is shown."""
NAMES = {
    "cycles": "cycles",
    "seconds": "time",
    "seconds_per_step": "time per step",
    "dynamic_pj": "dynamic energy",
    "static_pj": "static energy",
    "total_pj": "energy",
    "power_watts": "power",
    "latency_mean_seconds": "latency, mean",
    "latency_p99_seconds": "latency, 99 % within",
}
TIMELESS = ("dynamic_pj",)
"""What does not depend on a timing model."""


def retime_figures(before: Run, after: Run) -> dict[str, Any]:
    """Return the figures of a run before and after it was retimed; keys are stable, numbers are JSON's.

    What an untimed run does not have is None, and so is a ratio of what is missing on one side or comes from another
    timing model: static energy, energy in all and power need a duration.
    """
    sides = {"before": _side(before), "after": _side(after)}
    first, second = sides.values()
    same_model = first["timing"] == second["timing"]
    ratios = {
        name: second[name] / first[name]
        if first[name] and second[name] is not None and (same_model or name in TIMELESS)
        else None
        for name in QUANTITIES
    }
    return {
        "format": FORMAT,
        "version": VERSION,
        "network": after.program.name,
        "steps": after.n_steps,
        **sides,
        "ratios": ratios,
        "unlimited": unlimited(after.chip),
        "assumptions": {
            "network": list(after.program.manifest["assumptions"]),
            "chip": assumed(after.chip),
        },
    }


def _side(run: Run) -> dict[str, Any]:
    energy, timing, chip = run.energy(), run.timing, run.chip
    side: dict[str, Any] = {"chip": chip.label, "timing": "off", "clock_mhz": chip.clock.mhz}
    side |= dict.fromkeys(QUANTITIES)
    side |= {"dynamic_pj": float(energy.dynamic_pj), "bottleneck_steps": None, "latency": None}
    side |= {"hottest_link": None}
    if timing is None:
        return side
    figures = timing_figures(timing, chip, cores_in_use(run.program), 1)
    seconds, latency, clock_hz = timing.seconds, figures["latency"], 1e6 * timing.clock_mhz
    assert energy.static_pj is not None, "a run that was timed has a duration"
    return side | {
        "timing": timing.mode,
        "clock_mhz": timing.clock_mhz,
        "cycles": timing.total_cycles,
        "seconds": float(seconds),
        "seconds_per_step": float(seconds / run.n_steps) if run.n_steps else None,
        "static_pj": float(energy.static_pj),
        "total_pj": float(energy.total_pj),
        "power_watts": float(energy.total_pj / 10**12 / seconds) if seconds else None,
        "latency_mean_seconds": latency and latency["mean_cycles"] / clock_hz,
        "latency_p99_seconds": latency and latency["p99_cycles"] / clock_hz,
        "bottleneck_steps": figures["bottleneck_steps"],
        "latency": latency,
        "hottest_link": next(iter(figures["hottest_links"]), None),
    }


def print_retimed(
    data: dict[str, Any], console: Console | None = None, *, verbose: bool = False
) -> None:
    """Print the figures of `retime_figures`: a table, then what it rests on."""
    console = console or Console()
    console.print(_table(data))
    console.print(Text("What this rests on", style="bold"))
    print_notes(console, rests_on(data), verbose=verbose, most=MOST_NOTES - 1)


def _table(data: dict[str, Any]) -> RenderableType:
    sides = data["before"], data["after"]
    steps = data["steps"]
    parts: list[RenderableType] = [Paragraph(f"{data['network']}: {steps:,} steps", 0, "bold")]
    for side, what in zip(sides, ("before: recorded", "after: retimed"), strict=True):
        model = "not timed" if side["timing"] == "off" else f"{side['timing']} timing"
        parts.append(Paragraph(f"{what} on {side['chip']}, at {side['clock_mhz']:g} MHz, {model}"))
    table = table_of("", ("", "name"), ("before", "right"), ("after", "right"), ("ratio", "right"))
    table.title = None
    for name, show in QUANTITIES.items():
        ratio = data["ratios"][name]
        told = ["-" if side[name] is None else show(side[name]) for side in sides]
        table.add_row(NAMES[name], *told, "-" if ratio is None else f"{ratio:.3f}")
    table.add_row("bottleneck", *(_bottleneck(side, steps) for side in sides))
    table.add_row("hottest link", *(_link(side) for side in sides))
    notes = [Paragraph(note) for note in _remarks(data)]
    return Group(*parts, table, *notes, *[Text()] * bool(notes))


def _bottleneck(side: dict[str, Any], n_steps: int) -> str:
    """Return what bounded most steps, and how many of them."""
    counts = {name: n for name, n in (side["bottleneck_steps"] or {}).items() if n}
    if not counts:
        return "-"
    name = max(counts, key=counts.__getitem__)
    return f"{name}, {share_text(counts[name], n_steps)}"


def _link(side: dict[str, Any]) -> str:
    link = side["hottest_link"]
    if link is None:
        return "-"
    return f"tile {link['tile']} {link['direction']}, {share_text(link['utilisation'])}"


def _remarks(data: dict[str, Any]) -> list[str]:
    """Return what is not compared, and why."""
    models = data["before"]["timing"], data["after"]["timing"]
    if models == ("off", "off"):
        return ["neither was timed: both are energies of events only, without static energy"]
    if "off" in models:
        which = "before" if models[0] == "off" else "after"
        told = "no static energy, no energy in all and no power: compare the dynamic energies"
        return [f"{which} was not timed: it has no duration, so {told}"]
    if models[0] == models[1]:
        return []
    return [f"the times are those of two models, {models[0]} and {models[1]}: they have no ratio"]
