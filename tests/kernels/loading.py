"""Load networks of the oracle's form into a Machine, by hand: what the compiler does, in its plainest form."""

from itertools import pairwise

import numpy as np

from emulator.kernels.machine import BLOCK, SEGMENT, Machine
from emulator.program import ROW
from tests.oracle.neuron_lif import Compartment, Rules

Synapse = tuple[int, int, int, int]


def load(
    neurons: list[Compartment],
    synapses: list[Synapse],
    n_inputs: int,
    rules: Rules,
    core_sizes: list[int],
    threads: int = 1,
    **options: int,
) -> tuple[Machine, dict[str, np.ndarray]]:
    """Return a machine and its state; weights of the synapses are multiples of 64 units."""
    core_start = np.concatenate([[0], np.cumsum(core_sizes)]).astype(np.int32)
    core_of = np.repeat(np.arange(len(core_sizes)), core_sizes)
    n_sources = len(neurons) + n_inputs
    rows, packed, row_start = [], [], [0]
    for source in range(n_sources):
        for core in range(len(core_sizes)):
            mine = [s for s in synapses if s[0] == source and core_of[s[1]] == core]
            if mine:
                rows.append((len(packed), len(mine), core))
            for _, target, weight, delay in mine:
                packed.append(
                    (weight // 64 & 0x1FF) << 23 | delay << 16 | int(target - core_start[core])
                )
        row_start.append(len(rows))
    column = {
        "u_retain": np.uint16, "v_retain": np.uint16, "bias": np.int32, "threshold": np.int32, "refractory": np.uint8,
    }  # fmt: skip
    tables = {
        name: np.array([getattr(n, name) for n in neurons], dtype) for name, dtype in column.items()
    }
    n_slots = 1 + max((delay for *_, delay in synapses), default=0)
    state = {
        "u": np.array([n.u for n in neurons], np.int32),
        "v": np.array([n.v for n in neurons], np.int32),
        "refractory_left": np.array([n.left for n in neurons], np.uint8),
        "accumulators": np.zeros((n_slots, len(neurons)), np.int32),
    }
    tables |= state | {
        "row_start": np.array(row_start, np.uint32),
        "rows": np.array(rows, ROW),
        "synapses": np.array(packed, np.uint32),
        "blocks": np.array([(c, core_start[c], 64) for c in range(len(core_sizes))], BLOCK),
        "segments": np.array(
            [(c, core_start[c], core_start[c + 1]) for c in range(len(core_sizes))], SEGMENT
        ),
    }
    registers = {
        "u_shift": 32 - rules.u_bits,
        "u_saturates": int(rules.u_saturates),
        "accumulator_shift": 32 - rules.accumulator_bits,
        "v_min": rules.v_min,
        "v_max": rules.v_max,
    }
    bounds = [len(core_sizes) * k // threads for k in range(threads + 1)]
    ranges = list(pairwise(bounds))
    return Machine(tables, registers, core_start, ranges, **options), state
