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


class Bare:
    """Bare loops over the arrays of an engine; its state is copied.

    Parameters
    ----------
    library : ctypes.CDLL
        From `compiled`.
    engine : Engine
        Whose tables are walked.
    """

    def __init__(self, library: ctypes.CDLL, engine: Engine) -> None:
        self.library, self.tables = library, engine.tables
        self._start = self.tables["row_start"].astype(np.int64)
        state = {name: array.reshape(-1).copy() for name, array in engine.state.items()}
        self._n = len(state["u"])
        self._input = state["accumulators"]
        self._fired = np.zeros(self._n, np.uint8)
        self._state = state
        self._arguments = [
            *_pointers(state["u"], state["v"], state["refractory_left"]),
            *_pointers(*(self.tables[name] for name in LIF_TABLES)),
            *_pointers(self._input, self._fired),
        ]

    def update(self) -> float:
        """Return the seconds of one pass over the state of all compartments."""
        began = perf_counter()
        self.library.update(*self._arguments, ctypes.c_int64(self._n))
        return perf_counter() - began

    def walk(self, source: np.ndarray) -> tuple[float, int]:
        """Return the seconds of adding the rows of some spikes, and the synaptic events.

        The rows are listed and sorted by block before the clock starts.
        """
        length = self._start[source + 1] - self._start[source]
        before = np.cumsum(length) - length
        index = np.arange(length.sum()) + np.repeat(self._start[source] - before, length)
        rows = self.tables["rows"][index]
        rows = rows[np.argsort(rows["block"], kind="stable")]
        packed, blocks = self.tables["synapses"], self.tables["blocks"]
        self.update()  # as between the steps of a run, which leave nothing of the synapses in the cache
        listed, *others = _pointers(rows, packed, blocks, self._input)
        began = perf_counter()
        n_events = self.library.walk(listed, ctypes.c_int64(len(rows)), *others)
        return perf_counter() - began, n_events


def seconds_a_step_to_walk(library, engine: Engine, spikes: list[np.ndarray]) -> tuple[float, int]:
    """Return the median time of a step's walk, and all synaptic events."""
    bare = Bare(library, engine)
    walks = [bare.walk(source) for source in spikes]
    return median(seconds for seconds, _ in walks), sum(n for _, n in walks)


def seconds_to_update(library, engine: Engine, n_repeats: int) -> float:
    """Return the median time of a pass over the state of all compartments."""
    bare = Bare(library, engine)
    return median(bare.update() for _ in range(n_repeats))
