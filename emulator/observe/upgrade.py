"""Run folders and checkpoints of earlier formats as today's: a function for each step from one version to the next.

What a table of a run lacks is in the columns that `tables` and `checkpoint` read as `Later`: instructions of neuron
programs and payloads came with run format 2, cycles of learning engines with 3. Events that a folder does not know
did not happen in its run.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.observe.parquet import Later

Manifest = dict[str, Any]
State = dict[str, NDArray[Any]]

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


def checkpoint_from_1(manifest: Manifest, state: State) -> State:
    """Checkpoint format 1 kept the slot of the accumulators that is due, not the step; and no words of neuron programs.

    Nothing that such a run does depends on the step but for its slot, so the first one from the run's own count on
    will do.
    """
    slot, step = state.get("slot"), manifest.get("step")
    n_slots = _n_slots(state)
    if slot is None or slot.shape != (1,) or type(step) is not int or not n_slots:
        return state  # which is a mistake that the checks find
    step += (int(slot[0]) - step) % n_slots
    return state | {"step": np.array([step], np.int64), "words": np.empty(0, np.int32)}


def _n_slots(state: State) -> int:
    """Return how many slots the accumulators have, one where there are no compartments."""
    accumulators, u = state.get("accumulators"), state.get("u")
    if accumulators is None or u is None:
        return 0
    return len(accumulators) // len(u) if len(u) else 1


def checkpoint_from_2(_manifest: Manifest, state: State) -> State:
    """Checkpoint format 2 had no learning: no core spent time on it."""
    cycles = state.get("core_neuron_cycles")
    return state if cycles is None else state | {"core_learning_cycles": np.zeros_like(cycles)}


CHECKPOINT_STEPS: dict[int, Callable[[Manifest, State], State]] = {
    1: checkpoint_from_1,
    2: checkpoint_from_2,
}
"""By the version they start from."""


def upgraded_checkpoint(version: int, manifest: Manifest, state: State) -> State:
    """Return the tables of a checkpoint as today's format has them; its manifest needs no change.

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
        state = CHECKPOINT_STEPS[earlier](manifest, state)
    return state
