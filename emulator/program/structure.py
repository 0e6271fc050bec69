"""That the tables of a program fit together: every index is checked once, before the first step.

The kernels trust what passed here, so a damaged or malicious file is an error and never a crash.
"""

from typing import TYPE_CHECKING

import numpy as np

from emulator.errors import MicrocodeError, ProgramError
from emulator.kernels import synapse
from emulator.microcode import mistakes_of_steps, mistakes_of_words

if TYPE_CHECKING:
    from emulator.program.program import Program

PER_COMPARTMENT = (
    "u_retain",
    "v_retain",
    "bias",
    "refractory",
    "u_init",
    "v_init",
    "refractory_init",
)
STATE_LIMIT = 2**29  # keeps every sum of the LIF kernel within 32 bits


def check_structure(program: "Program") -> None:
    """Raise ProgramError with every mistake found; tables that depend on a wrong one are not looked at."""
    for check in (_check_state, _check_cores, _check_segments, _check_microcode, _check_rows):
        mistakes = [f"program: {mistake}" for mistake in check(program)]
        if mistakes:
            raise ProgramError("\n".join(mistakes))


def _check_state(program: "Program") -> list[str]:
    n = program.n_compartments
    wrong_length = [
        f"table '{name}' has {len(getattr(program, name))} entries for {n} compartments"
        for name in PER_COMPARTMENT
        if len(getattr(program, name)) != n
    ]
    if wrong_length or not n:
        return wrong_length
    mistakes = [
        f"table '{name}' holds {getattr(program, name).max()}; at most 4096 is allowed"
        for name in ("u_retain", "v_retain")
        if getattr(program, name).max() > 4096
    ]
    mistakes += [
        f"table '{name}' exceeds +-{STATE_LIMIT}"
        for name in ("bias", "u_init", "v_init", "threshold")
        if getattr(program, name).min() < -STATE_LIMIT or getattr(program, name).max() > STATE_LIMIT
    ]
    if program.threshold.min() < 0:
        mistakes.append("table 'threshold' holds a negative value")
    return mistakes


def _check_cores(program: "Program") -> list[str]:
    n, start = program.n_compartments, program.core_start
    rises = len(start) and start[0] == 0 and start[-1] == n and np.all(start[1:] >= start[:-1])
    if not rises:
        return [f"table 'core_start' does not rise from 0 to the {n} compartments"]
    if len(start) > 65_536:
        return ["table 'core_start' has more than 65535 cores"]
    if np.diff(start).max(initial=0) > 65_536:
        return ["table 'core_start' gives a core more than 65536 compartments"]
    shard = program.shard_start
    if len(shard) != len(start) - 1:
        return [f"table 'shard_start' has {len(shard)} entries for {len(start) - 1} cores"]
    begins = (shard == start[:-1]) | np.concatenate([[False], shard[1:] == shard[:-1]])[
        : len(shard)
    ]
    if len(shard) and (not begins.all() or np.max(start[1:] - shard) > 65_536):
        return [
            "table 'shard_start' does not begin each shard at a core, with 65536 compartments at most"
        ]
    return []


def _check_segments(program: "Program") -> list[str]:
    populations = program.manifest["populations"]
    seen = [np.zeros(0 if p["is_input"] else p["size"], bool) for p in populations]
    mistakes, expected = [], 0
    for index, (population, first, stop, core, compartment) in enumerate(program.segments.tolist()):
        where = f"segment {index}"
        if not (0 <= population < len(populations) and not populations[population]["is_input"]):
            mistakes.append(f"{where} names population {population}")
        elif not 0 <= first < stop <= populations[population]["size"]:
            mistakes.append(
                f"{where} covers neurons {first} to {stop} of {populations[population]['size']}"
            )
        elif seen[population][first:stop].any():
            mistakes.append(f"{where} places neurons of population {population} a second time")
        elif not (0 <= core < program.n_cores and compartment == expected):
            mistakes.append(
                f"{where} begins at compartment {compartment} of core {core}, not at {expected}"
            )
        elif (
            not program.core_start[core]
            <= compartment
            <= program.core_start[core + 1] - (stop - first)
        ):
            mistakes.append(f"{where} does not lie within core {core}")
        else:
            seen[population][first:stop] = True
            expected = compartment + stop - first
            continue
        return mistakes
    if expected != program.n_compartments:
        mistakes.append(f"the segments cover {expected} of {program.n_compartments} compartments")
    missing = [p["name"] for p, placed in zip(populations, seen, strict=True) if not placed.all()]
    if missing:
        mistakes.append(f"neurons of {', '.join(missing)} have no compartment")
    return mistakes


def _check_microcode(program: "Program") -> list[str]:
    n_instructions = sum(model["n_instructions"] for model in program.manifest["models"])
    if len(program.code) != n_instructions:
        return [f"table 'code' has {len(program.code)} entries for {n_instructions} instructions"]
    try:
        models = program.models.values()
    except MicrocodeError as error:
        return [str(error)]
    mistakes = [f"model '{m.name}': {what}" for m in models for what in mistakes_of_words(m)]
    mistakes += [
        f"model '{m.name}': instruction {k}: {what}"
        for m in models
        for k, _, what in mistakes_of_steps(m)
    ]
    if mistakes:
        return mistakes
    if len(program.words) != program.word_start[-1]:
        return [
            f"table 'words' has {len(program.words)} entries for {program.word_start[-1]} words"
        ]
    for segment, row in enumerate(program.segments.tolist()):
        model = program.model_of(row[0])
        if model is None:
            continue
        first, stop = program.word_start[segment : segment + 2].tolist()
        table = program.words[first:stop].reshape(len(model.words), row[2] - row[1])
        mistakes += [
            f"table 'words' holds {values.min()} to {values.max()} for '{word.name}' of segment {segment}; "
            f"{word.low} to {word.high} is allowed"
            for word, values in zip(model.words, table, strict=True)
            if values.min() < word.low or values.max() > word.high
        ]
    return mistakes or _check_joins(program)


def _check_joins(program: "Program") -> list[str]:
    mistakes = []
    joined = np.bincount(program.joins[:, 1], program.joins[:, 4], len(program.manifest["joins"]))
    for index, join in enumerate(program.manifest["joins"]):
        size = program.manifest["populations"][program.population_index[join["source"]]]["size"]
        if joined[index] != size:
            mistakes.append(
                f"{size - int(joined[index])} compartments of '{join['source']}' are on another core than those of "
                f"'{join['target']}' that they are joined to"
            )
    if np.any(program.joins[:, 2] >= program.joins[:, 3]):
        mistakes.append("a compartment stands behind the one it passes something to")
    return mistakes


def _check_rows(program: "Program") -> list[str]:
    n_inputs = sum(p["size"] for p in program.manifest["populations"] if p["is_input"])
    n_rows, start, blocks = len(program.rows), program.row_start, program.blocks
    if len(start) != program.n_compartments + n_inputs + 1:
        return [
            f"table 'row_start' has {len(start)} entries for {program.n_compartments + n_inputs} sources"
        ]
    if start[0] != 0 or start[-1] != n_rows or np.any(start[1:] < start[:-1]):
        return [f"table 'row_start' does not rise from 0 to the {n_rows} rows"]
    if len(blocks) > 65_536:
        return [f"table 'blocks' has {len(blocks)} entries; at most 65536 are allowed"]
    limits = {
        "core": (blocks[:, 0], program.n_cores - 1),
        "projection": (blocks[:, 1], len(program.manifest["projections"]) - 1),
        "shift": (blocks[:, 2], 13),
        "bits_per_synapse": (blocks[:, 3], 64),
        "format": (blocks[:, 4], 1),
    }
    mistakes = [
        f"table 'blocks' holds {name} {column.min()} to {column.max()}; 0 to {limit} is allowed"
        for name, (column, limit) in limits.items()
        if len(blocks) and (column.min() < 0 or column.max() > limit)
    ]
    if mistakes:
        return mistakes
    sizes = np.diff(program.core_start)[blocks[:, 0]] if len(blocks) else np.zeros(0, np.int32)
    if np.any(sizes == 0):
        return ["table 'blocks' names a core that holds no compartment"]
    delays = np.full(len(blocks), program.max_delay_steps, np.uint8)
    cores = blocks[:, 0] if len(blocks) else np.zeros(0, np.int32)
    lowest = (program.core_start[:-1] - program.shard_start)[cores]
    bad = synapse.first_bad_row(
        program.rows,
        lowest.astype(np.uint16),
        (lowest + sizes - 1).astype(np.uint16),
        delays,
        program.synapses,
    )
    if bad >= 0:
        return [
            f"row {bad} points outside its table, its core or the {program.max_delay_steps} delay steps"
        ]
    return []
