"""A run that is not finished, read from its folder as far as its last checkpoint."""

from pathlib import Path

import numpy as np

from emulator.chip import Chip
from emulator.engine import Engine
from emulator.errors import RunError
from emulator.observe import tables
from emulator.observe.checkpoint import Plan, Standing, read_checkpoint
from emulator.observe.learned import Learned
from emulator.observe.learned_tables import read_learned
from emulator.observe.parquet import Parts
from emulator.observe.records import HeldRecords
from emulator.observe.run import Run
from emulator.program import Program


def read_unfinished(folder: Path, program: Program, chip: Chip) -> Run:
    """Return what an unfinished run was at its last checkpoint; another process may be going on with it.

    Raises
    ------
    RunError
        When a file is missing, damaged, or does not belong to the checkpoint.
    """
    plan, standing, n_parts = read_checkpoint(folder, program)
    parts, n_steps = Parts(folder / tables.PARTS, n_parts), standing.step
    step, source, payload = tables.read_spikes(parts / "spikes.parquet", program, n_steps)
    records = HeldRecords(
        program.n_sources,
        step,
        source,
        tables.read_active(parts / "active.parquet", program, n_steps),
        _learned(parts, program, chip, plan, standing),
        tables.read_recordings(parts, program, n_steps),
        payload,
    )
    run = Run(
        program=program,
        chip=chip,
        n_steps=n_steps,
        seed=plan.seed,
        status="unfinished",
        records=records,
        timing=standing.timing,
        n_overflows=standing.n_overflows,
        steps_asked=plan.steps,
        wall_seconds=standing.wall_seconds,
    )
    belong = (
        np.array_equal(records.spikes_per_source, standing.spikes_per_source)
        and np.array_equal(records.active_per_segment, standing.active_per_segment)
        and run.counters.total("synaptic_event") == standing.n_synaptic_events
    )
    if not belong:
        raise RunError(f"{parts.folder}: these tables are not those of the run's last checkpoint")
    return run


def _learned(parts: Parts, program: Program, chip: Chip, plan: Plan, standing: Standing) -> Learned:
    """Return what was kept of plastic synapses, and as the last state that of the checkpoint."""
    learned = read_learned(parts, program, plan.weights_every)
    if program.learns and (not learned.states or learned.states[-1][0] != standing.step):
        engine = Engine(program, chip, 1)
        engine.restore(standing.state)
        learned.states.append((standing.step, engine.learned()))
    return learned
