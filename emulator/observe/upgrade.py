"""Run folders and checkpoints of earlier formats as today's: a function for each step from one version to the next.

What a table of a run lacks is in the columns that `tables` and `checkpoint` read as `Later`: instructions of neuron
programs and payloads came with run format 2, cycles of learning engines with 3. Events that a folder does not know
did not happen in its run.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Manifest = dict[str, Any]
State = dict[str, NDArray[Any]]


class Later(str):
    """The dtype of a column that tables of earlier formats lack, and what each of their lines would hold."""

    __slots__ = ("value",)
    value: int

    def __new__(cls, dtype: str, value: int) -> "Later":
        """Return the name of a dtype that knows a value."""
        kind = super().__new__(cls, dtype)
        kind.value = value
        return kind


MAX_STEPS = 2**32 - 1
"""Steps are numbered in 32 bits."""
INSTRUCTIONS = Later("uint32", 0)
PAYLOAD = Later("int32", 1)
CORE_CYCLES = {"core_learning_cycles": Later("int64", 0)}
"""Of the arrays of a timing, those that tables of earlier formats lack."""


def run_from_1(manifest: Manifest) -> Manifest:
    """Run format 1 had no neuron programs: what that changed is in the tables."""
    return manifest


def run_from_2(manifest: Manifest) -> Manifest:
    """Run format 2 had no learning, so that no weights were kept."""
    return (
        manifest if manifest.get("status") == "unfinished" else manifest | {"weights_every": None}
    )


RUN_STEPS: dict[int, Callable[[Manifest], Manifest]] = {1: run_from_1, 2: run_from_2}
"""By the version they start from."""


def upgraded_run(manifest: Manifest) -> Manifest:
    """Return the manifest of a run as today's format has it; one that is of no earlier format as it is."""
    version = manifest.get("version")
    while type(version) is int and version in RUN_STEPS:
        manifest = RUN_STEPS[version](manifest)
        version += 1
        manifest = manifest | {"version": version}
    return manifest


def checkpoint_from_1(manifest: Manifest, state: State) -> tuple[Manifest, State]:
    """Checkpoint format 1 kept the slot of the accumulators that is due, not the step; and no words of neuron programs.

    Nothing that such a run does depends on the step but for its slot, so the first one from the run's own count on
    will do.
    """
    slot, step, n_slots = state.get("slot"), manifest.get("step"), _n_slots(state)
    if slot is None or slot.shape != (1,) or not n_slots or not isinstance(step, int):
        return manifest, state  # which is a mistake that the checks find
    step = min(step, MAX_STEPS)  # more is one, too
    step += (int(slot[0]) - step) % n_slots
    known: State = {"step": np.array([step], np.int64), "words": np.empty(0, np.int32)}
    return manifest, state | known


def _n_slots(state: State) -> int:
    """Return how many slots the accumulators have, one where there are no compartments; 0 where none can be told."""
    accumulators, u = state.get("accumulators"), state.get("u")
    if accumulators is None or u is None:
        return 0
    return accumulators.size // u.size if u.size else 1


def checkpoint_from_2(manifest: Manifest, state: State) -> tuple[Manifest, State]:
    """Checkpoint format 2 had no learning: no core spent time on it, and it bounded no step."""
    cycles = state.get("core_neuron_cycles")
    if cycles is not None:
        state = state | {"core_learning_cycles": np.zeros_like(cycles)}
    return _with_bottleneck(manifest, "learning"), state


def checkpoint_from_3_unmanaged(manifest: Manifest, state: State) -> tuple[Manifest, State]:
    """Checkpoint format 3 had no management cores at first, which could bound a step."""
    return _with_bottleneck(manifest, "management"), state


def _with_bottleneck(manifest: Manifest, name: str) -> Manifest:
    """Return the manifest of a run whose steps may be bounded by one thing more, if it is timed."""
    timed = manifest.get("timed")
    if not isinstance(timed, dict) or not isinstance(timed.get("bottleneck_names"), list):
        return manifest
    names = timed["bottleneck_names"]
    added = [] if name in names else [name]
    return manifest | {"timed": timed | {"bottleneck_names": [*names, *added]}}


CHECKPOINT_STEPS: dict[int, Callable[[Manifest, State], tuple[Manifest, State]]] = {
    1: checkpoint_from_1,
    2: checkpoint_from_2,
    3: checkpoint_from_3_unmanaged,
}
"""By the version they start from; the last one ends in its own."""


def upgraded_checkpoint(version: int, manifest: Manifest, state: State) -> tuple[Manifest, State]:
    """Return manifest and tables of a checkpoint as today's format has them.

    Parameters
    ----------
    version : int
        In which the file was written.
    manifest : dict
        Of the file.
    state : dict of str to ndarray
        Its tables.
    """
    for earlier in range(version, max(CHECKPOINT_STEPS) + 1):
        manifest, state = CHECKPOINT_STEPS[earlier](manifest, state)
    return manifest, state
