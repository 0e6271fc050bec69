"""What a core holds: neurons, accumulators, axons in and synapse memory, counted as neurons are added."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from emulator.chip import Chip
from emulator.compiler.storage import choose_format, delay_reach, rows_of, weight_bits
from emulator.kernels.sorting import stable_order
from emulator.network import Network, Projection
from emulator.program.storage import row_words

Run = tuple[int, int, int]
"""Neurons of a population on a core: start, stop, and the slot of the first."""


@dataclass(frozen=True)
class Limits:
    """What a core may hold at most; None: as much as there is."""

    neurons: int
    synapse_memory_bits: int | None
    axons_in: int | None
    axons_out: int | None
    accumulator_entries: int | None

    @classmethod
    def of(cls, chip: Chip) -> Self:
        """Return a core's own limits."""
        core = chip.core
        return cls(
            core.neurons, core.synapse_memory_bits, core.axons_in, core.axons_out,
            core.accumulator_entries,
        )  # fmt: skip

    @property
    def most_axons_out(self) -> int:
        """The limit of axons out, as a number."""
        return 2**62 if self.axons_out is None else self.axons_out

    def part(self, neurons: int, share: float) -> Self:
        """Return so many neurons and a share of each other limit."""
        return type(self)(
            min(self.neurons, neurons),
            *(
                None if limit is None else int(limit * share)
                for limit in (
                    self.synapse_memory_bits, self.axons_in, self.axons_out,
                    self.accumulator_entries,
                )
            ),
        )  # fmt: skip


@dataclass
class Load:
    """What a core holds so far."""

    neurons: int = 0
    max_delay_steps: int = 0
    memory_bits: int = 0
    axons_out: int = 0
    sources: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass
class Incoming:
    """The synapses of one projection, ordered by target."""

    projection: Projection
    first_source: int  # the number of its source's neuron 0 among all sources
    first: NDArray[np.int64]  # (size + 1,) where each target's synapses begin
    pre: NDArray[np.int32]
    post: NDArray[np.int32]
    delay: NDArray[np.uint8] | int

    @classmethod
    def of(cls, projection: Projection, first_source: int) -> Self:
        """Order the synapses of a projection."""
        first, order = stable_order(projection.post, projection.target.size)
        delay = projection.delays
        return cls(
            projection, first_source, first, projection.pre[order], projection.post[order],
            delay if isinstance(delay, int) else delay[order],
        )  # fmt: skip

    def on_core(self, runs: list[Run]) -> tuple[NDArray[Any], NDArray[Any], int]:
        """Return sources, target slots and the largest delay of the synapses onto runs of neurons."""
        parts = [slice(self.first[start], self.first[stop]) for start, stop, _ in runs]
        pre = [self.pre[part] for part in parts]
        slot = [
            self.post[part] + (first - start)
            for part, (start, _, first) in zip(parts, runs, strict=True)
        ]
        late = (
            self.delay
            if isinstance(self.delay, int)
            else max(int(self.delay[part].max(initial=0)) for part in parts)
        )
        return np.concatenate(pre), np.concatenate(slot), late


def source_offsets(network: Network) -> dict[str, int]:
    """Return the first logical source of each population: those with compartments first, then inputs."""
    ordered = sorted(network.populations.values(), key=lambda p: p.is_input)
    starts = np.cumsum([0, *(p.size for p in ordered)]).tolist()
    return {p.name: start for p, start in zip(ordered, starts, strict=False)}


def fit(
    chip: Chip, limits: Limits, incoming: Iterable[Incoming], load: Load, runs: list[Run]
) -> tuple[Load | None, str]:
    """Return the load of a core with runs of a population added, or None and the resource that does not suffice.

    Axons out are not looked at: they depend on where the targets are.
    """
    neurons = load.neurons + sum(stop - start for start, stop, _ in runs)
    if neurons > limits.neurons:
        return None, f"neurons: {neurons} needed, {limits.neurons} on a core"
    delay, bits, sources = load.max_delay_steps, load.memory_bits, load.sources
    for arriving in incoming:
        pre, slot, here = arriving.on_core(runs)
        if not len(pre):
            continue
        here = delay_reach(arriving.projection, chip, here)
        delay = max(delay, here)
        rows, lengths, consecutive = rows_of(pre, slot)
        top = int(slot.max())
        form = choose_format(
            chip, weight_bits(arriving.projection, chip), here, top, consecutive=consecutive
        )
        if form is None:  # an index reaches every neuron of a core, so it can only be the format
            return None, (
                "formats: targets that do not follow one another need 'sparse'; "
                f"chip '{chip.name}' has {', '.join(chip.synapses.formats)}"
            )
        bits += (
            int(row_words(lengths, form.bits_per_synapse, chip.synapses).sum())
            * chip.synapses.word_bits
        )
        if limits.axons_in is not None:
            sources = np.union1d(sources, rows + arriving.first_source)
    checks = (
        ("synapse memory", bits, limits.synapse_memory_bits, " bits"),
        ("axons in", len(sources), limits.axons_in, ""),
        (
            "accumulator entries",
            neurons * (delay + 2),
            limits.accumulator_entries,
            f" ({delay + 2} slots of {neurons})",
        ),
    )
    for resource, need, limit, unit in checks:
        if limit is not None and need > limit:
            return None, f"{resource}: {need}{unit} needed, {limit} on a core of chip '{chip.name}'"
    return Load(neurons, delay, bits, load.axons_out, sources), ""
