"""The figures of a timing as plain data, and their tables: bottlenecks, stages of cores, links, latencies."""

from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from emulator.chip import Chip
from emulator.observe.quantities import share_text, table_of
from emulator.observe.tabulated import Paragraph
from emulator.timing import LINKS, Timing
from emulator.timing.learning import LEARNING

HOTTEST = 5
BAR_COLUMNS = 30
LATENCY_LINES = 10
STAGES = {
    "neuron loop": ("core_neuron_cycles", None),
    "axon out": ("core_axon_cycles", "core_axon_waited_cycles"),
    "receive": ("core_receive_cycles", "core_receive_waited_cycles"),
}
"""Stages of a core: the cycles it worked, and those in which packets stood between it and the mesh."""


def timing_figures(
    timing: Timing, chip: Chip, cores: list[int], top: int | None = None
) -> dict[str, Any]:
    """Return the figures of a timing; keys are stable, numbers are JSON's.

    Parameters
    ----------
    timing : Timing
        Of a run.
    chip : Chip
        The chip it was timed on.
    cores : list of int
        Those that hold compartments.
    top : int, optional
        Hottest links to give at most.
    """
    cycles = timing.step_cycles
    return {
        "mode": timing.mode,
        "clock_mhz": timing.clock_mhz,
        "cycles": timing.total_cycles,
        "seconds": float(timing.seconds),
        "cycles_per_step": {
            "mean": timing.total_cycles / max(1, timing.n_steps),
            "min": int(cycles.min(initial=np.iinfo(np.int64).max)) if timing.n_steps else 0,
            "max": int(cycles.max(initial=0)),
        },
        "barrier_cycles": timing.barrier_cycles,
        "bottleneck_steps": timing.bottleneck_steps(),
        "flits_by_direction": dict(zip(LINKS, timing.link_flits.sum(axis=0).tolist(), strict=True)),
        "hottest_links": _hottest_links(timing, chip.mesh.width, HOTTEST if top is None else top),
        "stages": [_stage(timing, name, cores) for name in STAGES] if cores else [],
        "latency": _latency(timing),
    }


def _hottest_links(timing: Timing, width: int, most: int) -> list[dict[str, Any]]:
    flits = timing.link_flits.reshape(-1)
    order = np.argsort(-flits, kind="stable")[:most]
    return [
        {
            "tile": int(link) // len(LINKS),
            "x": int(link) // len(LINKS) % width,
            "y": int(link) // len(LINKS) // width,
            "direction": LINKS[int(link) % len(LINKS)],
            "flits": int(flits[link]),
            "utilisation": int(flits[link]) / max(1, timing.total_cycles),
        }
        for link in order
        if flits[link]
    ]


def _stage(timing: Timing, name: str, cores: list[int]) -> dict[str, Any]:
    """Return what the busiest core and the one that waited longest did in a stage, and all cores in use on average."""
    busy_name, waited_name = STAGES[name]
    busy = getattr(timing, busy_name)[cores]
    waited = np.zeros_like(busy) if waited_name is None else getattr(timing, waited_name)[cores]
    most, longest, total = int(busy.argmax()), int(waited.argmax()), max(1, timing.total_cycles)
    return {
        "stage": name,
        "busiest_core": cores[most],
        "busy_cycles": int(busy[most]),
        "waited_cycles": int(waited[most]),
        "idle_cycles": timing.total_cycles - int(busy[most]),
        "longest_waiting_core": cores[longest] if waited.any() else None,
        "longest_waited_cycles": int(waited[longest]),
        "mean_busy": float(busy.mean()) / total,
        "mean_waited": float(waited.mean()) / total,
    }


def _latency(timing: Timing) -> dict[str, Any] | None:
    packets = timing.latency_packets
    n_packets = int(packets.sum())
    if not n_packets:
        return None
    return {
        "packets": n_packets,
        "mean_cycles": float(np.arange(len(packets)) @ packets) / n_packets,
        **{f"p{round(100 * part)}_cycles": timing.latency_quantile(part) for part in (0.5, 0.99)},
        "max_cycles": len(packets) - 1,
        "histogram": _histogram(timing),
    }


def _histogram(timing: Timing) -> list[dict[str, int]]:
    """Return packets by ranges of latency, each half as long again as the one before."""
    packets = timing.latency_packets
    first = int(np.flatnonzero(packets)[0])
    ratio = max(1.05, (len(packets) / max(first, 1)) ** (1 / LATENCY_LINES))
    lines, start = [], first
    while start < len(packets):
        stop = min(max(start + 1, round(start * ratio)), len(packets))
        lines.append({"from": start, "to": stop - 1, "packets": int(packets[start:stop].sum())})
        start = stop
    return lines


def timing_tables(timing: dict[str, Any], n_steps: int, *, unicode: bool) -> RenderableType:
    """Return the tables of a timing's figures."""
    bar = "█" if unicode else "#"
    parts: list[RenderableType] = [_bottlenecks(timing, n_steps, bar), _stages(timing)]
    if timing["hottest_links"]:
        parts.append(_links(timing))
    if timing["latency"] is not None:
        parts.append(_latencies(timing, bar))
    return Group(*parts)


def _bottlenecks(timing: dict[str, Any], n_steps: int, bar: str) -> RenderableType:
    table = table_of(
        "What bounded the steps", ("bottleneck", "name"), ("steps", "right"), ("share", "right"), ("", "bar")
    )  # fmt: skip
    for name, count in sorted(timing["bottleneck_steps"].items(), key=lambda item: -item[1]):
        if count:
            drawn = bar * max(1, round(BAR_COLUMNS * count / n_steps))
            table.add_row(name, f"{count:,}", share_text(count, n_steps), drawn)
    if not timing["bottleneck_steps"].get(LEARNING):
        return table
    note = Paragraph(
        f"{LEARNING}: visits of plastic synapses, at the end of an epoch, took longer than all that the step did before"
    )
    return Group(table, note, Text())


def _stages(timing: dict[str, Any]) -> RenderableType:
    table = table_of(
        "Stages of the cores",
        ("stage", "name"), ("busiest core", "right"), ("busy", "right"), ("waits longest", "right"),
        ("waited", "right"), ("mean busy", "right"), ("mean waited", "right"),
    )  # fmt: skip
    total = max(1, timing["cycles"])
    for line in timing["stages"]:
        waiting = line["longest_waiting_core"]
        table.add_row(
            line["stage"],
            f"core {line['busiest_core']}",
            share_text(line["busy_cycles"], total),
            "-" if waiting is None else f"core {waiting}",
            share_text(line["longest_waited_cycles"], total),
            share_text(line["mean_busy"]),
            share_text(line["mean_waited"]),
        )
    note = Paragraph(
        "shares of the cycles; waited: a packet stood between the core and the mesh: made and not taken (axon out), or "
        "come and the core's queue full (receive); means are over the cores in use"
    )
    return Group(table, note, Text())


def _links(timing: dict[str, Any]) -> RenderableType:
    table = table_of(
        "Hottest links", ("from tile", "name"), ("towards", "name"), ("flits", "right"), ("utilisation", "right")
    )  # fmt: skip
    for line in timing["hottest_links"]:
        tile = f"{line['tile']} at x {line['x']}, y {line['y']}"
        table.add_row(
            tile, line["direction"], f"{line['flits']:,}", f"{100 * line['utilisation']:.2f} %"
        )
    return table


def _latencies(timing: dict[str, Any], bar: str) -> RenderableType:
    latency = timing["latency"]
    table = table_of("Latency of packets", ("cycles", "right"), ("packets", "right"), ("", "bar"))
    most = max(line["packets"] for line in latency["histogram"])
    for line in latency["histogram"]:
        columns = -(-BAR_COLUMNS * line["packets"] // most)
        table.add_row(f"{line['from']:,} to {line['to']:,}", f"{line['packets']:,}", bar * columns)
    note = Paragraph(
        f"from ready at the source to the destination's terminal: mean {latency['mean_cycles']:,.1f}, median "
        f"{latency['p50_cycles']:,}, 99 % within {latency['p99_cycles']:,}, at most {latency['max_cycles']:,} cycles"
    )
    return Group(table, note, Text())
