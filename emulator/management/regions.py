"""What of a program management cores reach: a region for each variable of each population and projection."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.engine.plastic import plastic_places, plastic_sizes
from emulator.learning import PRE_TRACES, TRACE_MAX, TRACES
from emulator.management.channels import Channel
from emulator.management.memory import Cores, LateRegion, Places, Region
from emulator.program import Program
from emulator.program.structure import STATE_LIMIT

READ_ONLY = (0, -1)
WEIGHT_SHIFT, WEIGHT_BITS = 23, 9
DELAY_SHIFT, DELAY_BITS = 16, 6
STATE = {
    "spikes": np.uint8,
    "u": np.int32,
    "v": np.int32,
    "refractory_left": np.uint8,
    "bias": np.int32,
    "threshold": np.int32,
    "words": np.int32,
    "synapses": np.uint32,
    "traces": np.uint8,
    "tags": np.int16,
}
State = Mapping[str, NDArray[Any]]


class Input(NamedTuple):
    """An input population: its first source, its neurons, and the payloads of its spikes."""

    first: int
    size: int
    low: int
    high: int


def program_inputs(program: Program) -> dict[str, Input]:
    """Return the input populations of a program by name; a spike without a payload carries 1."""
    found = {}
    for index, first in program.input_start.items():
        population = program.manifest["populations"][index]
        payload = population["payload"] or {"low": 1, "high": 1}
        found[population["name"]] = Input(
            first, population["size"], payload["low"], payload["high"]
        )
    return found


def program_populations(program: Program) -> list[str]:
    """Return the populations of a program in the order of their numbers, as RESET takes them."""
    return [str(population["name"]) for population in program.manifest["populations"]]


def program_channels(program: Program) -> list[Channel]:
    """Return the channels of a program, empty, in the order of their numbers."""
    return [Channel(**described) for described in program.manifest["channels"]]


def empty_state(program: Program) -> dict[str, NDArray[Any]]:
    """Return arrays of the right shapes for `program_regions`, where no engine has them: to lay out memory only."""
    sizes = dict.fromkeys(STATE, program.n_compartments)
    sizes |= {"spikes": program.n_sources, "words": len(program.words)}
    sizes |= {"synapses": program.n_synapses, "traces": 0, "tags": 0}
    sizes |= {name: n for name, n in plastic_sizes(program).items() if name in STATE}
    return {name: np.zeros(sizes[name], dtype) for name, dtype in STATE.items()}


def program_regions(program: Program, chip: Chip, state: State) -> Iterator[Region]:
    """Give the regions of a program, populations first, in an order and with words that no mapping changes.

    Parameters
    ----------
    program : Program
        Its populations and projections.
    chip : Chip
        Whose ranges hold.
    state : mapping of str to ndarray
        The arrays of `STATE`; `traces` and `tags` only where synapses learn.

    Yields
    ------
    Region
        Of a native population `spikes`, `u`, `v`, `refractory` (steps left), `bias` and `threshold`; of one that runs
        microcode `spikes` and its words; of a projection `weights` (mantissas) and, where it learns, `delays`, `tags`
        and its traces. Synapses are in the order of pre, then post.
    """
    for index, population in enumerate(program.manifest["populations"]):
        if not population["is_input"] and population["clamped_by"] is None:
            yield from _of_population(program, chip, state, index)
    places = plastic_places(program)
    for index in range(len(program.manifest["projections"])):
        yield from _of_projection(program, chip, state, index, places)


def _of_population(program: Program, chip: Chip, state: State, index: int) -> Iterator[Region]:
    name = program.manifest["populations"][index]["name"]
    model, rules = program.model_of(index), chip.arithmetic
    place = program.sources_of(name).astype(np.int64)
    core = _core_of(program, place)

    def region(variable: str, array: str, low: int, high: int, at: NDArray[Any] = place) -> Region:
        data = state[array]
        bits, signed = 8 * data.itemsize, data.dtype.kind == "i"
        full = f"{name}.{variable}"
        return Region(full, data, at, core, low, high, program.n_cores, bits=bits, is_signed=signed)

    yield region("spikes", "spikes", *READ_ONLY)
    if model is not None:
        for word in model.words:
            yield region(
                word.name, "words", word.low, word.high, program.word_places(name, word.name)
            )
        return
    step = 1 << rules.bias_exponent_max
    bias = min(step << rules.bias_mantissa_bits - 1, STATE_LIMIT)
    yield region("u", "u", -(1 << rules.u_bits - 1), (1 << rules.u_bits - 1) - 1)
    yield region("v", "v", rules.v_limits.minimum, rules.v_limits.maximum)
    yield region("refractory", "refractory_left", 0, rules.refractory_steps_max)
    yield region("bias", "bias", -bias, bias - step)
    yield region("threshold", "threshold", 0, 64 * ((1 << rules.threshold_bits) - 1))


def _of_projection(
    program: Program,
    chip: Chip,
    state: State,
    index: int,
    places: Mapping[int, Mapping[str, slice]],
) -> Iterator[Region]:
    projection, rule = program.manifest["projections"][index], program.rules.get(index)
    name = projection["name"]

    @cache
    def synapses() -> tuple[Places, Cores, NDArray[np.int32]]:
        """Return place, core and pre of each synapse: 16 bytes of each, so only of projections that are looked into."""
        pre, post, place, block = program.synapse_places(name)
        order = np.lexsort((post, pre))
        core = program.blocks[block[order], 0].astype(np.int32)
        return place[order], core, pre[order]

    def field(variable: str, shift: int, bits: int, low: int, high: int) -> Region:
        return LateRegion(
            f"{name}.{variable}", state["synapses"], projection["n_synapses"], lambda: synapses()[:2], low, high,
            program.n_cores, shift=shift, bits=bits, is_signed=shift == WEIGHT_SHIFT,
        )  # fmt: skip

    # Weights that do not learn are those of the program: reports, and what is trained, count on it.
    limits = READ_ONLY if rule is None else chip.learning.weight_limits(projection["sign_mode"])
    yield field("weights", WEIGHT_SHIFT, WEIGHT_BITS, *limits)
    if rule is None:
        return
    yield field("delays", DELAY_SHIFT, DELAY_BITS, 0, program.max_delay_steps)
    place, core, pre = synapses()
    if rule.has_tag:
        at = place - int(place.min() if len(place) else 0) + places[index]["tags"].start
        tags = chip.learning.tag_limits
        yield Region(
            f"{name}.tags", state["tags"], at, core, tags.minimum, tags.maximum, program.n_cores,
            bits=16,
        )  # fmt: skip
    cores_of = _ends(program, projection, pre, core)
    for trace in TRACES:
        if getattr(rule, trace) is not None:
            kept = places[index][trace]
            yield Region(
                f"{name}.{trace}", state["traces"], np.arange(kept.start, kept.stop),
                cores_of[trace not in PRE_TRACES], 0, TRACE_MAX, program.n_cores, bits=8, is_signed=False,
            )  # fmt: skip


def _core_of(program: Program, compartment: NDArray[np.int64]) -> NDArray[np.int32]:
    return (np.searchsorted(program.core_start, compartment, side="right") - 1).astype(np.int32)


def _ends(
    program: Program,
    projection: dict[str, Any],
    pre: NDArray[np.int32],
    core: NDArray[np.int32],
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the core that holds the traces of each neuron before and behind the synapses.

    Pre traces lie with the synapses: on the lowest core that has some of the neuron, or of the projection.
    """
    sizes = {p["name"]: p["size"] for p in program.manifest["populations"]}
    before = np.full(sizes[projection["source"]], core.min() if len(core) else 0, np.int32)
    lowest = np.full(len(before), program.n_cores, np.int32)
    np.minimum.at(lowest, pre, core)
    has = lowest < program.n_cores
    before[has] = lowest[has]
    behind = _core_of(program, program.sources_of(projection["target"]).astype(np.int64))
    return before, behind
