"""Writing a run folder while the run goes on: whole at one instant, or unfinished, with checkpoints to resume from."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulator.account import Managed, joined
from emulator.atomic import atomic_file, atomic_folder
from emulator.chip import Chip, to_json
from emulator.engine import Schedule
from emulator.errors import EmulatorError, RunError
from emulator.observe import tables
from emulator.observe.checkpoint import (
    CHECKPOINT,
    INPUTS,
    REWARDS,
    Plan,
    Standing,
    read_checkpoint,
    read_inputs,
    write_checkpoint,
    write_inputs,
)
from emulator.observe.folder import (
    CHIP,
    MANIFEST,
    PROGRAM,
    UNFINISHED,
    check_target,
    check_unfinished,
    manifest_of,
    read_part,
    read_program_and_chip,
)
from emulator.observe.records import Part, part_of
from emulator.observe.run import Run
from emulator.observe.stored import StoredRecords
from emulator.observe.upgrade_unfinished import upgrade_unfinished
from emulator.program import Program, container
from emulator.program.container import PROGRAM as PROGRAM_FILE
from emulator.program.container import identity
from emulator.timing import Timing

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None  # type: ignore[assignment]


class RunWriter:
    """A run folder that is being written, while the run goes on.

    Parameters
    ----------
    folder : Path
        A folder that holds the program and the chip (`RunWriter.begin`).
    program, chip : Program, Chip
        What runs, and on what.
    n_parts : int
        Parts of its tables that are there already, all that belong to the last checkpoint.
    weights_every : int, optional
        After how many steps states of plastic synapses are kept.
    """

    def __init__(
        self,
        folder: Path,
        program: Program,
        chip: Chip,
        n_parts: int = 0,
        weights_every: int | None = None,
    ) -> None:
        self.folder, self.program, self.chip = folder, program, chip
        self.weights_every = weights_every
        self.tables = tables.RunTables(folder, program, n_parts)
        self._steps = tables.step_stream(folder, n_parts)

    @classmethod
    def begin(
        cls, folder: Path, program: Program, chip: Chip, weights_every: int | None = None
    ) -> "RunWriter":
        """Put what is known before the first step into an empty folder."""
        _put_program(program, folder / PROGRAM)
        (folder / CHIP).write_text(to_json(chip), encoding="utf-8")
        return cls(folder, program, chip, 0, weights_every)

    def add(self, part: Part) -> None:
        """Write the steps that follow those before."""
        self.tables.add(part)

    def checkpoint(self, plan: Plan, standing: Standing, timed: Timing | None) -> None:
        """Make what was written last, and then say so; `timed` are the steps since the last checkpoint."""
        if timed is not None:
            self._steps.write({"cycles": timed.step_cycles, "bottleneck": timed.bottleneck})
        self.tables.cut()
        self._steps.cut()
        standing.spikes_per_source = self.tables.totals.spikes_per_source
        standing.active_per_segment = self.tables.totals.active_per_segment
        write_checkpoint(self.folder, plan, self.program, standing, self.tables.n_parts)

    def close(self) -> None:
        """Close files that are open."""
        self.tables.close()
        self._steps.close()

    def records(self, n_steps: int) -> "WrittenRecords":
        """Return what was written; it can be read once the folder is finished."""
        totals = self.tables.totals
        return WrittenRecords(
            folder=self.folder,
            program=self.program,
            n_steps=n_steps,
            weights_every=self.weights_every,
            spikes_per_source=totals.spikes_per_source,
            active_per_segment=totals.active_per_segment,
            managed=joined(totals.managed),
        )

    def finish(self, run: Run) -> None:
        """Write everything else; the folder is a whole run when its manifest is there."""
        self.tables.finish()
        tables.write_counters(self.folder / "counters.parquet", run)
        if run.timing is not None:
            tables.write_timing(self.folder, run.timing, run.chip.mesh.width)
        content = manifest_of(run, self.folder).model_dump(mode="json")
        with atomic_file(self.folder / MANIFEST) as file:
            file.write((json.dumps(content, indent=1) + "\n").encode())
        for name in (CHECKPOINT, INPUTS, REWARDS):
            (self.folder / name).unlink(missing_ok=True)
        shutil.rmtree(self.folder / tables.PARTS)


@dataclass(frozen=True, eq=False, kw_only=True)
class WrittenRecords(StoredRecords):
    """Records that were written, and what was summed meanwhile."""

    spikes_per_source: NDArray[np.int64]
    active_per_segment: NDArray[np.int64]
    managed: Managed


@contextmanager
def new_run_folder(
    folder: Path,
    program: Program,
    chip: Chip,
    *,
    force: bool = False,
    weights_every: int | None = None,
) -> Iterator[RunWriter]:
    """Write a run folder that appears whole when the block ends without an error, and not at all otherwise.

    Raises
    ------
    RunError
        When there is something at `folder` that may not be replaced, or it cannot be written.
    """
    check_target(folder, force=force)
    with saying_where(folder), atomic_folder(folder, replace=force) as new:
        writer = RunWriter.begin(new, program, chip, weights_every)
        try:
            yield writer
        finally:
            writer.close()
    writer.folder = folder


@contextmanager
def new_unfinished_folder(
    folder: Path,
    program: Program,
    chip: Chip,
    plan: Plan,
    schedule: Schedule,
    standing: Standing,
    *,
    force: bool = False,
) -> Iterator[RunWriter]:
    """Make a run folder that is there from the first step on and can be resumed; then write it.

    Raises
    ------
    RunError
        When there is something at `folder` that may not be replaced, or it cannot be written.
    """
    check_target(folder, force=force)
    with saying_where(folder), atomic_folder(folder, replace=force) as new:
        writer = RunWriter.begin(new, program, chip, plan.weights_every)
        write_inputs(new, schedule)
        writer.checkpoint(plan, standing, None)
        (new / MANIFEST).write_text(json.dumps(UNFINISHED, indent=1) + "\n", encoding="utf-8")
    with saying_where(folder), _alone(folder):
        writer = RunWriter(folder, program, chip, writer.tables.n_parts, plan.weights_every)
        try:
            yield writer
        finally:
            writer.close()


@contextmanager
def unfinished_folder(folder: Path) -> Iterator[tuple[RunWriter, Plan, Standing, Schedule]]:
    """Open the folder of a run that was not finished, at its last checkpoint, to go on writing it.

    Raises
    ------
    RunError
        When there is no such run, it is finished, it is damaged, or another process goes on with it.
    """
    check_unfinished(folder)
    with saying_where(folder), _alone(folder):
        program, chip = read_program_and_chip(folder)
        plan, standing, n_parts = read_checkpoint(folder, program)
        schedule = read_part(folder / INPUTS, lambda path: read_inputs(path, program, plan.steps))
        upgrade_unfinished(folder, program, chip, plan, standing, n_parts)
        writer = RunWriter(folder, program, chip, n_parts, plan.weights_every)
        writer.tables.totals.spikes_per_source = standing.spikes_per_source
        writer.tables.totals.active_per_segment = standing.active_per_segment
        try:
            yield writer, plan, standing, schedule
        finally:
            writer.close()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a run folder against other processes; the system lets go of it when this one dies."""
    with (folder / tables.PARTS / "lock").open("a") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RunError(f"{folder}: another process is running this run") from None
        yield


@contextmanager
def saying_where(folder: Path) -> Iterator[None]:
    """Turn an error of the file system into one that names the folder."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{folder}: cannot be written: {error.strerror or error}") from error


def save_run(run: Run, folder: Path, *, force: bool = False) -> None:
    """Write a run folder; see `Run.save`."""
    every = run.learned.every
    with new_run_folder(folder, run.program, run.chip, force=force, weights_every=every) as writer:
        writer.add(part_of(run.records))
        writer.finish(run)


def _put_program(program: Program, path: Path) -> None:
    """Store the program: as another name of the file it came from if possible, else as a copy."""
    if program.path is not None:
        with suppress(OSError, EmulatorError):
            path.hardlink_to(program.path)
            # The file may have been replaced since it was loaded.
            if identity(path, PROGRAM_FILE) == program.sha256:
                return
        path.unlink(missing_ok=True)
    container.write(path, PROGRAM_FILE, program.manifest, program.tensors())
