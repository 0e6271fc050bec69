"""What the compartments of a population begin with: registers of a native model, words of a neuron program."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.microcode import Model, Word, mistakes_of_words
from emulator.network import Network, Population

LIF_WORDS = {"u": "u_init", "v": "v_init", "left": "refractory_init"}
"""State words of "lif" in microcode, and the registers of the native model that they begin with."""


@dataclass
class Cells:
    """Registers of a population as the kernels use them, (size,) each."""

    u_retain: NDArray[np.uint16]
    v_retain: NDArray[np.uint16]
    bias: NDArray[np.int32]
    threshold: NDArray[np.int32]
    refractory: NDArray[np.uint8]
    u_init: NDArray[np.int32]
    v_init: NDArray[np.int32]
    refractory_init: NDArray[np.uint8]

    @classmethod
    def empty(cls, size: int) -> Self:
        """Return registers that nobody reads: those of compartments that run microcode."""
        dtypes = {
            "u_retain": np.uint16,
            "v_retain": np.uint16,
            "refractory": np.uint8,
            "refractory_init": np.uint8,
        }
        return cls(**{f.name: np.zeros(size, dtypes.get(f.name, np.int32)) for f in fields(cls)})


def bound_model(model: Model, chip: Chip) -> Model:
    """Return a neuron program in the widths of a chip's u and v."""
    rules, half = chip.arithmetic, 1 << chip.arithmetic.u_bits - 1
    return model.on(
        Word("u", -half, half - 1, rules.u_overflow),
        Word("v", rules.v_limits.minimum, rules.v_limits.maximum, "clip"),
    )


def model_mistakes(population: Population, model: Model, chip: Chip) -> list[str]:
    """Return why a chip cannot run a neuron program, which is in its widths, in a population."""
    name = population.model
    if not chip.microcode.instructions:
        return [f"chip '{chip.name}' runs no microcode, which model '{name}' is"]
    found = [
        f"model '{name}' on chip '{chip.name}': {mistake}" for mistake in mistakes_of_words(model)
    ]
    return found + [f"model '{name}' has {what}" for what in _beyond_limits(model, chip)]


def program_mistakes(model: Model, chip: Chip) -> list[str]:
    """Return why a chip cannot run a neuron program, whatever network it is in."""
    if not chip.microcode.instructions:
        return [f"chip '{chip.name}' runs no microcode (microcode.instructions is 0)"]
    bound = bound_model(model, chip)
    found = [f"on chip '{chip.name}': {mistake}" for mistake in mistakes_of_words(bound)]
    copied = [] if bound.payload is None else _too_wide_for_copies(bound.payload_bits, chip)
    return found + _beyond_limits(bound, chip) + copied


def _beyond_limits(model: Model, chip: Chip) -> list[str]:
    """Return what of a neuron program, in the chip's widths, is more than a chip allows."""
    limits = chip.microcode
    needs = (
        ("instructions", len(model.steps), limits.instructions),
        ("bytes of state and parameters", model.n_state_bytes, limits.state_bytes),
        ("bits of payload", model.payload_bits, limits.payload_bits),
    )
    return [
        f"{need} {what}; chip '{chip.name}' allows {limit}"
        for what, need, limit in needs
        if need > limit
    ]


def _too_wide_for_copies(payload_bits: int, chip: Chip) -> list[str]:
    """Return why routers of a chip cannot copy spikes with a payload; nothing where they can, or copy none."""
    n_bits = chip.mesh.header_bits + payload_bits
    if chip.mesh.multicast != "tree" or n_bits <= chip.mesh.flit_bits:
        return []
    what = (
        f"header and payload take {n_bits} bits; mesh.multicast 'tree' copies packets of one flit, "
    )
    return [f"{what}{chip.mesh.flit_bits} bits"]


def payload_mistakes(network: Network, chip: Chip) -> list[str]:
    """Return payloads that the chip's packets cannot carry."""
    mistakes = []
    for population in network.populations.values():
        if population.payload is None:
            continue
        low, high = population.payload
        n_bits = Word("payload", low, high).n_bits
        where = f"population '{population.name}'"
        if population.is_input and n_bits > chip.microcode.payload_bits:
            mistakes.append(
                f"{where}: a payload of {n_bits} bits; chip '{chip.name}' allows {chip.microcode.payload_bits}"
            )
        mistakes += [f"{where}: {what}" for what in _too_wide_for_copies(n_bits, chip)]
    return mistakes


def words_of(
    population: Population, model: Model, cells: Cells | None, mistakes: list[str]
) -> NDArray[np.int32]:
    """Return the words of each neuron, (n_words, size), as the program begins.

    Parameters
    ----------
    cells : Cells or None
        The registers of "lif" that a population has whose model is the same in microcode.
    """
    table = np.empty((len(model.words), population.size), np.int32)
    for row, word in zip(table, model.words, strict=True):
        if cells is not None:
            row[:] = getattr(cells, LIF_WORDS.get(word.name, word.name))
            continue
        value = np.asarray(population.parameters.get(word.name, word.default))
        if value.min() < word.low or value.max() > word.high:
            mistakes.append(
                f"population '{population.name}': {word.name} is {value.min()} to {value.max()}; allowed: "
                f"{word.low} to {word.high}"
            )
        row[:] = value
    return table
