"""Bare loops in C over the arrays of a loaded program, compiled when they are needed."""

import ctypes
import subprocess
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from emulator.engine import Engine

SOURCE = Path(__file__).with_name("bare.c")
LIF_TABLES = ("u_retain", "v_retain", "bias", "threshold", "refractory")


def compiled(folder: Path) -> ctypes.CDLL:
    """Compile the loops for this machine."""
    library = folder / "bare.so"
    command = ["cc", "-O3", "-march=native", "-shared", "-fPIC", str(SOURCE), "-o", str(library)]
    subprocess.run(command, check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.walk.restype = ctypes.c_int64
    return loaded


def _pointers(*arrays: np.ndarray) -> list[ctypes.c_void_p]:
    return [ctypes.c_void_p(array.ctypes.data) for array in arrays]


def seconds_a_step_to_walk(library, engine: Engine, spikes: list[np.ndarray]) -> tuple[float, int]:
    """Return the time to add the rows of a step's spikes, as a median over steps, and all synaptic events.

    The rows are listed and sorted by block before the clock starts.
    """
    tables, times, n_events = engine.tables, [], 0
    start = tables["row_start"].astype(np.int64)
    out = tables["accumulators"][0].copy()
    for source in spikes:
        length = start[source + 1] - start[source]
        before = np.cumsum(length) - length
        rows = tables["rows"][np.arange(length.sum()) + np.repeat(start[source] - before, length)]
        rows = rows[np.argsort(rows["block"], kind="stable")]
        listed, packed, blocks, target = _pointers(rows, tables["synapses"], tables["blocks"], out)
        began = perf_counter()
        n_events += library.walk(listed, ctypes.c_int64(len(rows)), packed, blocks, target)
        times.append(perf_counter() - began)
    return median(times), n_events


def seconds_to_update(library, engine: Engine, n_repeats: int) -> float:
    """Return the time of a pass over the state of all compartments, as a median."""
    state = {name: array.reshape(-1).copy() for name, array in engine.state.items()}
    n, times = len(state["u"]), []
    fired = np.zeros(n, np.uint8)
    changing = _pointers(state["u"], state["v"], state["refractory_left"])
    constant = _pointers(*(engine.tables[name] for name in LIF_TABLES))
    others = _pointers(state["accumulators"], fired)
    for _ in range(n_repeats):
        began = perf_counter()
        library.update(*changing, *constant, *others, ctypes.c_int64(n))
        times.append(perf_counter() - began)
    return median(times)
