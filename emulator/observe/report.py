"""The figures of a run as plain data: `emulator report --json`, and what the text is made from."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from emulator.chip import EVENTS, Chip
from emulator.chip.upgrade import UNPRICED
from emulator.observe.counters import CHIP
from emulator.observe.energy import STATIC, Energy
from emulator.observe.learned_report import learning_figures
from emulator.observe.managed_report import management_figures
from emulator.observe.run import Run
from emulator.observe.timed import timing_figures
from emulator.program import Program
from emulator.timing import CORE_ARRAYS

FORMAT = "emulator-report"
VERSION = 1
TOP = 30
"""Lines of a table that is cut, where --top says nothing else."""

MEANING = {
    "neuron_idle": "update of a compartment without input or state, once per step",
    "neuron_active": "update of a compartment with input, state, bias or refractory",
    "neuron_spike": "a spike, on top of the update that made it",
    "instruction": "instruction of neuron microcode, executed for one compartment",
    "dendrite_join": "value or gate passed from a compartment to another of its core",
    "axon_out": "packet made at its source core",
    "packet": "packet's way within tiles, once however far it travels",
    "hop_ew": "flit over one link between routers, to the east or west",
    "hop_ns": "flit over one link between routers, to the north or south",
    "host": "packet of an input, entering at a host port or a management core",
    "axon_in": "axon look-up for a packet at its destination core",
    "synapse_word": "word of synapse memory read",
    "synaptic_event": "stored synapse that a spike reached: its weight added to an input",
    "learning_instruction": "micro-instruction of a learning rule, executed for one synapse",
    "management_call": "run of a management program in a phase",
    "management_instruction": "instruction of a management core",
    "management_word": "word that a management core read or wrote in a neuron core",
    "message": "message between management cores, sent or received",
    "host_message": "message to or from the host",
    "barrier": "end of a step, for the whole chip",
    STATIC: "power drawn whatever happens, times the run's duration",
}
"""What one event is, for people."""


def figures(run: Run, *, top: int | None = None) -> dict[str, Any]:
    """Return every figure of a run's report; keys are stable, numbers are JSON's.

    Energies are the doubles nearest to exact values; `energy.exact_pj` has these as fractions.

    Parameters
    ----------
    run : Run
        What to report.
    top : int, optional
        Hottest links there are at most, of which a chip has too many to list; 5 by default. All else is complete.
    """
    energy = run.energy()
    return {
        "format": FORMAT,
        "version": VERSION,
        "network": run.program.name,
        "chip": _chip(run.chip),
        "run": {
            "status": run.status,
            "steps": run.n_steps,
            "steps_asked": run.n_steps if run.steps_asked is None else run.steps_asked,
            "seed": run.seed,
            "overflows": run.n_overflows,
            "wall_seconds": run.wall_seconds,
        },
        "spikes": _spikes(run),
        "events": {event: run.counters.total(event) for event in EVENTS},
        "timing": None
        if run.timing is None
        else timing_figures(run.timing, run.chip, cores_in_use(run.program), top),
        "energy": _energy(energy),
        "populations": _populations(run, energy),
        "cores": _cores(run, energy),
        "learning": learning_figures(run),
        "management": management_figures(run),
        "neurobench": _neurobench(run),
        "unlimited": unlimited(run.chip),
        "warnings": list(run.program.manifest["warnings"]),
        "rounding": list(run.program.manifest.get("rounding", ())),
        "assumptions": {
            "network": list(run.program.manifest["assumptions"]),
            "chip": assumed(run.chip),
        },
    }


def _chip(chip: Chip) -> dict[str, Any]:
    return {
        "name": chip.label,
        "width": chip.mesh.width,
        "height": chip.mesh.height,
        "tiles": chip.mesh.n_tiles,
        "cores": chip.mesh.n_cores,
        "cores_per_tile": chip.mesh.cores_per_tile,
        "multicast": chip.mesh.multicast != "none",
        "clock_mhz": chip.clock.mhz,
        "static_mw": chip.static_power.mw,
        "cost_pj": {event: getattr(chip.costs, event).energy_pj for event in EVENTS},
    }


def _spikes(run: Run) -> dict[str, int]:
    counts = run.spikes.counts()
    inputs = sum(counts[p["name"]] for p in run.program.manifest["populations"] if p["is_input"])
    total = sum(counts.values())
    return {"total": total, "neurons": total - inputs, "inputs": inputs}


def _energy(energy: Energy) -> dict[str, Any]:
    by_event = energy.by("event")
    return {
        "total_pj": float(energy.total_pj),
        "dynamic_pj": float(energy.dynamic_pj),
        "static_pj": None if energy.static_pj is None else float(energy.static_pj),
        "static_note": "power times duration"
        if energy.static_pj is not None
        else "the run was not timed, so it has no duration and no static part",
        "by_event_pj": {event: float(pj) for event, pj in by_event.items()},
        "exact_pj": {
            "total": str(energy.total_pj),
            "by_event": {event: str(pj) for event, pj in by_event.items()},
        },
    }


def _populations(run: Run, energy: Energy) -> list[dict[str, Any]]:
    spikes, by_population = run.spikes.counts(), run.counters.by("population")
    energy_pj = energy.by("population")
    cores = run.program.segments[:, [0, 3]]
    lines = []
    for index, entry in enumerate(run.program.manifest["populations"]):
        events = by_population.get(index, {})
        n_spikes = spikes[entry["name"]]
        lines.append(
            {
                "name": entry["name"],
                "model": entry["model"],
                "neurons": entry["size"],
                "cores": len(np.unique(cores[cores[:, 0] == index, 1])),
                "spikes": n_spikes,
                "spikes_per_neuron_and_step": n_spikes / max(1, entry["size"] * run.n_steps),
                "packets_sent": events.get("packet", 0),
                "hops": events.get("hop_ew", 0) + events.get("hop_ns", 0),
                "synaptic_events_received": events.get("synaptic_event", 0),
                "energy_pj": float(energy_pj.get(index, Fraction())),
            }
        )
    return lines


def _cores(run: Run, energy: Energy) -> list[dict[str, Any]]:
    mesh, by_core, energy_pj = run.chip.mesh, run.counters.by("core"), energy.by("core")
    lines = []
    for core in cores_in_use(run.program):
        events = by_core.get(core, {})
        tile = core // mesh.cores_per_tile
        line = {
            "core": core,
            "tile": tile,
            "x": tile % mesh.width,
            "y": tile // mesh.width,
            "neurons": int(run.program.core_start[core + 1] - run.program.core_start[core]),
            "spikes": events.get("neuron_spike", 0),
            "synaptic_events": events.get("synaptic_event", 0),
            "energy_pj": float(energy_pj.get(core, Fraction())),
        }
        if run.timing is not None:
            line |= {
                name.removeprefix("core_"): int(getattr(run.timing, name)[core])
                for name in CORE_ARRAYS
            }
        lines.append(line)
    chip = float(energy_pj.get(CHIP, Fraction()))
    return [*lines, {"core": CHIP, "energy_pj": chip}]


def cores_in_use(program: Program) -> list[int]:
    """Return the cores that hold compartments."""
    in_use: list[int] = np.flatnonzero(np.diff(program.core_start)).tolist()
    return in_use


def _neurobench(run: Run) -> dict[str, Any]:
    """Return NeuroBench's metrics for the whole run; its own are per sample."""
    n_updates = run.program.n_compartments * run.n_steps
    total = run.counters.total
    n_spikes, n_macs = total("neuron_spike"), _graded_events(run)
    # A compartment with microcode runs its program in every step.
    n_programmed = n_updates - total("neuron_active") - total("neuron_idle")
    return {
        "SynapticOperations": {
            "Effective_MACs": n_macs,
            "Effective_ACs": total("synaptic_event") - n_macs,
        },
        "MembraneUpdates": total("neuron_active") + n_programmed,
        "NeuronUpdates": n_updates,
        "ActivationSparsity": 1 - n_spikes / n_updates if n_updates else None,
    }


def _graded_events(run: Run) -> int:
    """Return the synaptic events of spikes with a payload: a multiplication each."""
    program = run.program
    if not program.is_graded:
        return 0
    fan_out = np.zeros(program.n_sources, np.int64)
    source = np.repeat(np.arange(program.n_sources), np.diff(program.row_start))
    np.add.at(fan_out, source, program.rows["length"].astype(np.int64))
    is_graded = np.array(program.payload_bits)[program.source_population] > 0
    return int((fan_out * run.records.spikes_per_source)[is_graded].sum())


def unlimited(chip: Chip) -> list[str]:
    """Return the keys of the chip's limits that are null, which means unlimited."""
    return [f"core.{key}" for key, value in chip.core if value is None] + [
        f"arithmetic.{key}" for key, value in chip.arithmetic if value is None
    ]


def assumed(chip: Chip) -> list[dict[str, Any]]:
    """Return every source in the chip's description that is no published figure, and its keys."""
    texts: dict[str, list[str]] = {}
    for key, text in _sources(chip.model_dump()):
        if any(
            word in text.lower()
            for word in ("assumed", "scaled", "fitted", "interpolated", "changed: ", UNPRICED)
        ):
            texts.setdefault(text, []).append(key)
    return [{"keys": keys, "source": text} for text, keys in texts.items()]


def _sources(section: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in section.items():
        if key == "source":
            yield path or "the whole chip", value
        elif isinstance(value, dict):
            yield from _sources(value, f"{path}.{key}" if path else key)
