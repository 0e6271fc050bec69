"""Whether there is memory to compile a network: an estimate, before any table is made."""

import numpy as np

from emulator.chip import Chip
from emulator.compiler.route import SAMPLE, SHARD
from emulator.errors import CapacityError
from emulator.memory import require_room
from emulator.network import Network

SMALL = 64_000_000
"""Bytes that need no look at how much there is."""
SYNAPSE_BYTES, SORTED_BYTES, ROW_BYTES, NEURON_BYTES = 14, 26, 24, 45
"""Measured: of a synapse for good, of one while those of its shard are sorted, of a row, of a neuron or input."""


def compile_bytes(network: Network, chip: Chip) -> int:
    """Return about how many bytes compiling takes beside the network."""
    n_neurons = sum(p.size for p in network.populations.values())
    n_synapses = sum(len(p.pre) for p in network.projections)
    together = [len(p.pre) * min(1.0, SHARD / max(1, p.target.size)) for p in network.projections]
    return (
        SYNAPSE_BYTES * n_synapses
        + SORTED_BYTES * int(max(together, default=0))
        + ROW_BYTES * _rows(network, chip, n_synapses)
        + NEURON_BYTES * n_neurons
    )


def check_room(network: Network, chip: Chip) -> None:
    """Refuse a network that there is no memory to compile.

    Raises
    ------
    CapacityError
        With what it takes.
    """
    n_synapses = sum(len(p.pre) for p in network.projections)
    most = (SYNAPSE_BYTES + SORTED_BYTES + ROW_BYTES) * n_synapses
    n_neurons = sum(p.size for p in network.populations.values())
    if most + NEURON_BYTES * n_neurons <= SMALL:
        return
    require_room(
        f"network '{network.name}': compiling its {n_synapses:,} synapses and {n_neurons:,} neurons",
        compile_bytes(network, chip),
        "compile it where there is more",
        CapacityError,
    )


def _rows(network: Network, chip: Chip, n_synapses: int) -> int:
    """Return about how many rows there will be, of a source on a core each: as a sample of the sources has."""
    every, total = 1 + n_synapses // SAMPLE, 0.0
    for projection in network.projections:
        some = np.flatnonzero(projection.pre % every == 0)
        core = projection.post[some] // chip.core.neurons
        rows = np.unique(projection.pre[some].astype(np.int64) << 32 | core)
        total += len(projection.pre) * len(rows) / max(1, len(some))
    return int(total)
