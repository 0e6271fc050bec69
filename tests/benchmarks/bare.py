"""Bare loops in C over the arrays of a loaded program, compiled when they are needed."""

import ctypes
import subprocess
from pathlib import Path
from statistics import median
from time import perf_counter, thread_time

import numpy as np

from emulator.engine import Engine
from emulator.engine.layout import large_pages
from emulator.streams import SYNAPSES, philox4x32

SOURCE = Path(__file__).with_name("bare.c")
VISIT = np.dtype(
    [
        ("start", "u4"),
        ("pre", "u4"),
        ("first", "i4"),
        ("length", "u2"),
        ("x1", "u1"),
        ("fired", "u1"),
    ]
)
CONSECUTIVE, STOCHASTIC = 1, 2
LIF_TABLES = ("u_retain", "v_retain", "bias", "threshold", "refractory")


def compiled(folder: Path) -> ctypes.CDLL:
    """Compile the loops for this machine."""
    library = folder / "bare.so"
    command = ["cc", "-O3", "-march=native", "-shared", "-fPIC", str(SOURCE), "-o", str(library)]
    subprocess.run(command, check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.walk.restype = loaded.learn.restype = ctypes.c_int64
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
        began = thread_time()
        n_events = self.library.walk(listed, ctypes.c_int64(len(rows)), *others)
        return thread_time() - began, n_events


def seconds_a_step_to_walk(library, engine: Engine, spikes: list[np.ndarray]) -> tuple[float, int]:
    """Return the median time of a step's walk, and all synaptic events."""
    bare = Bare(library, engine)
    walks = [bare.walk(source) for source in spikes]
    return median(seconds for seconds, _ in walks), sum(n for _, n in walks)


def seconds_to_update(library, engine: Engine, n_repeats: int) -> float:
    """Return the median time of a pass over the state of all compartments."""
    bare = Bare(library, engine)
    return median(bare.update() for _ in range(n_repeats))


class BareLearning:
    """Pairwise STDP in epochs of one step, over a copy of the synapses of an engine with one rule.

    Parameters
    ----------
    library : ctypes.CDLL
        From `compiled`.
    engine : Engine
        Not yet run.
    seed : int
        Of the run.
    """

    def __init__(self, library: ctypes.CDLL, engine: Engine, seed: int) -> None:
        self.library, self.seed = library, seed
        self.tables, (self.rule,) = engine.plastic.tables, engine.plastic.rules
        self.synapses = large_pages(self.tables["packed"].shape, np.uint32)
        self.synapses[:] = self.tables["packed"]
        self._steps: list[tuple] = []
        flags = self.rule["rows"]["flags"][:-1]  # the last row is a spare one
        self._is_consecutive = bool((flags & CONSECUTIVE).all())

    def note(self, step: int) -> None:
        """List the rows of the step that was just done, and keep what its visits read."""
        rule, n = self.rule, self.rule["n_pre"]
        y0, y1 = (rule["own"][3 * rule["stride"] :].copy(), rule["planes"][rule["stride"] :].copy())
        x0, x1 = rule["seen"][:n] > 0, rule["history"][1::4]
        pre = np.flatnonzero(x0 | (x1 > 0) if y0.any() else x0)
        first = rule["first_row"][pre].astype(np.int64)
        n_rows = rule["first_row"][pre + 1] - first
        before = np.cumsum(n_rows) - n_rows
        rows = rule["rows"][np.arange(n_rows.sum()) + np.repeat(first - before, n_rows)]
        visits = np.zeros(len(rows), VISIT)
        visits["start"], visits["length"] = rows["start"], rows["length"]
        visits["first"] = rows["first"]
        for name, values in (("pre", pre), ("x1", x1[pre]), ("fired", x0[pre])):
            visits[name] = np.repeat(values, n_rows)
        counter = np.array([step, rule["number"], SYNAPSES, 0], np.uint32)
        key = philox4x32(counter, (self.seed & 0xFFFFFFFF, self.seed >> 32))
        self._steps.append((visits, y0, y1, key if rule["rounding"] == STOCHASTIC else None))

    def learn(self) -> tuple[float, int]:
        """Return the seconds of all steps noted, and the synapses visited."""
        seconds, n_visits = 0.0, 0
        for visits, y0, y1, key in self._steps:
            listed, *others = _pointers(visits, self.synapses, y0, y1)
            key_at = None if key is None else ctypes.c_void_p(key.ctypes.data)
            began = thread_time()
            n_visits += self.library.learn(
                listed, ctypes.c_int64(len(visits)), *others, key_at, int(self._is_consecutive)
            )
            seconds += thread_time() - began
        self._steps.clear()
        return seconds, n_visits
