"""The regions of a program's memory map: every variable of a population, a projection or its traces."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.engine import plastic_places
from emulator.learning import PRE_TRACES, TRACES, Trace
from emulator.management.memory import Region
from emulator.program import Program

WEIGHT_LIMITS = {"mixed": (-256, 255), "exc": (0, 255), "inh": (-255, 0)}
"""What a weight of each sign mode may be that does not learn; of one that does, the chip says it."""
WEIGHT_SHIFT, WEIGHT_BITS = 23, 9
DELAY_SHIFT, DELAY_BITS = 16, 6
READ_ONLY = (1, 0)


def program_regions(
    program: Program, chip: Chip, arrays: Mapping[str, NDArray[Any]]
) -> Iterator[Region]:
    """Yield the regions of a program, in the order of its populations and projections.

    Parameters
    ----------
    program : Program
        What is loaded.
    chip : Chip
        Whose ranges hold.
    arrays : mapping of str to ndarray
        `Engine.arrays()`, or `blank_arrays`, and `fired` (n_sources,) uint8: 1 where a source fired in this step.
    """
    cores = _compartment_cores(program)
    for entry in program.manifest["populations"]:
        if not entry["is_input"] and entry["clamped_by"] is None:
            yield from _population(program, chip, arrays, entry["name"], cores)
    for k, entry in enumerate(program.manifest["projections"]):
        yield from _projection(program, chip, arrays, k, entry, cores)


def blank_arrays(program: Program) -> dict[str, NDArray[Any]]:
    """Return arrays for a memory map whose addresses alone matter."""
    nothing = np.zeros(1, np.int32)
    names = (
        "u",
        "v",
        "refractory_left",
        "bias",
        "threshold",
        "words",
        "synapses",
        "traces",
        "tags",
    )
    return dict.fromkeys(names, nothing) | {"fired": np.zeros(1, np.uint8)}


def _compartment_cores(program: Program) -> NDArray[np.int32]:
    core = np.searchsorted(program.core_start, np.arange(program.n_compartments), side="right") - 1
    return core.astype(np.int32)


def _population(
    program: Program,
    chip: Chip,
    arrays: Mapping[str, NDArray[Any]],
    name: str,
    cores: NDArray[np.int32],
) -> Iterator[Region]:
    places = program.sources_of(name).astype(np.int64)
    own, n_cores = cores[places], program.n_cores
    yield Region(f"{name}.spikes", arrays["fired"], places, own, *READ_ONLY, n_cores)
    model, rules = program.model_of(name), chip.arithmetic
    if model is not None:
        for word in model.words:
            at = program.word_places(name, word.name).astype(np.int64)
            yield Region(
                f"{name}.{word.name}", arrays["words"], at, own, word.low, word.high, n_cores
            )
        return
    half, bias = 1 << rules.u_bits - 1, 1 << rules.bias_mantissa_bits - 1 + rules.bias_exponent_max
    for variable, array, low, high in (
        ("u", "u", -half, half - 1),
        ("v", "v", rules.v_limits.minimum, rules.v_limits.maximum),
        ("refractory", "refractory_left", 0, rules.refractory_steps_max),
        ("bias", "bias", -bias, bias - 1),
        ("threshold", "threshold", 0, ((1 << rules.threshold_bits) - 1) << 6),
    ):
        yield Region(f"{name}.{variable}", arrays[array], places, own, low, high, n_cores)


def _projection(
    program: Program, chip: Chip, arrays: Mapping[str, NDArray[Any]], k: int, entry: dict[str, Any],
    cores: NDArray[np.int32],
) -> Iterator[Region]:  # fmt: skip
    name, rule = entry["name"], program.rules.get(k)
    pre, post, place, block = program.synapse_places(name)
    order = np.lexsort((place, post, pre))
    place, own = place[order], program.blocks[block[order], 0].astype(np.int32)
    low, high = WEIGHT_LIMITS[entry["sign_mode"]]
    if rule is not None:
        limits = chip.learning.mixed_weight_limits
        low, high = max(low, limits.minimum), min(high, limits.maximum)
    n_cores = program.n_cores
    yield Region(
        f"{name}.weights",
        arrays["synapses"],
        place,
        own,
        low,
        high,
        n_cores,
        WEIGHT_SHIFT,
        WEIGHT_BITS,
    )
    yield Region(
        f"{name}.delays", arrays["synapses"], place, own, 0, program.max_delay_steps, n_cores, DELAY_SHIFT,
        DELAY_BITS, is_signed=False,
    )  # fmt: skip
    if rule is None:
        return
    starts = {name: part.start for name, part in plastic_places(program)[k].items()}
    if rule.has_tag:
        tag = chip.learning.tag_limits
        at = place - int(place.min(initial=0)) + starts["tags"]
        yield Region(f"{name}.tags", arrays["tags"], at, own, tag.minimum, tag.maximum, n_cores)
    sizes = {p["name"]: p["size"] for p in program.manifest["populations"]}
    for trace in TRACES:
        if not isinstance(getattr(rule, trace), Trace):
            continue
        end = entry["source"] if trace in PRE_TRACES else entry["target"]
        at = starts[trace] + np.arange(sizes[end], dtype=np.int64)
        holds = np.full(len(at), own.min(initial=n_cores - 1) if len(own) else 0, np.int32)
        if (
            trace not in PRE_TRACES
        ):  # those of sources are at their synapses: the first core that has any
            holds = cores[program.sources_of(end)]
        yield Region(f"{name}.{trace}", arrays["traces"], at, holds, 0, 127, n_cores)
