"""The run folder: a run as files that other tools read, verified when read; `writing` makes it.

manifest.json        what this is: versions, status, steps, seed, hashes of everything else
chip.json            the whole chip description
program.safetensors  what ran
spikes.parquet       step, population, neuron: every spike, inputs included; payload, where any has one
active.parquet       step, segment, population, core, active: compartments that were active; instructions executed
counters.parquet     core, population, event, count; core -1 and an empty population are the chip
timing.parquet       step, cycles, bottleneck; with timing_cores, timing_links and timing_latency.parquet
visits.parquet       step, block, projection, core, visits: of plastic synapses; with learned and traces.parquet
management.parquet   step, phase, core, kind, peer, count: what management cores did; with messages.parquet
recordings_P.parquet step, neuron, and a column for each variable probed in population P

A run that has checkpoints and is not finished has checkpoint.safetensors, inputs.parquet and the parts of its tables
in parts/ instead, and a manifest that says only that it is unfinished; it is read by `unfinished`.
"""

import json
import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emulator.atomic import is_empty_folder
from emulator.chip import Chip, chip_from_json
from emulator.errors import EmulatorError, RunError
from emulator.observe import tables
from emulator.observe.checkpoint import CHECKPOINT, INPUTS, REWARDS
from emulator.observe.lazy import File, LazyRecords, LazyRun, Sha256, fault_of, sha256_of
from emulator.observe.learned_tables import read_learned
from emulator.observe.managed_tables import read_managed
from emulator.observe.records import HeldRecords, Records
from emulator.observe.run import Run
from emulator.observe.tables import TIMING_FILES
from emulator.observe.unfinished import read_unfinished
from emulator.observe.upgrade import upgraded_run
from emulator.program import Program
from emulator.program.container import PROGRAM as PROGRAM_FILE
from emulator.program.container import identity
from emulator.timing import Timing
from emulator.versions import package_version

FORMAT: Literal["emulator-run"] = "emulator-run"
VERSION: Literal[3] = 3
MANIFEST, CHIP, PROGRAM = "manifest.json", "chip.json", "program.safetensors"
UNFINISHED = {"format": FORMAT, "version": VERSION, "status": "unfinished"}
Count = Annotated[int, Field(ge=0)]
T = TypeVar("T")
_last: dict[str, Program] = {}
"""The program that was read last from a folder that is read lazily, by its digest."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Identity(_Part):
    name: str
    sha256: Sha256


class _Timing(_Part):
    mode: str
    clock_mhz: Annotated[float, Field(gt=0)]
    barrier_cycles: Count
    bottleneck_names: list[str]


class Manifest(_Part):
    """The contents of manifest.json."""

    format: Literal["emulator-run"]
    version: Literal[3]
    status: Literal["complete", "interrupted"]
    n_steps: Count
    steps_asked: Count | None
    weights_every: Annotated[int, Field(ge=1)] | None
    seed: int
    n_overflows: Count
    chip: _Identity
    program: _Identity
    timing: _Timing | None
    wall_seconds: Annotated[float, Field(ge=0)]
    finished: str
    versions: dict[str, str]
    files: dict[str, File]


def check_target(folder: Path, *, force: bool = False) -> None:
    """Refuse a folder that a run may not be written to, before the work of a run is done.

    Raises
    ------
    RunError
        When there is something at `folder` already, unless it is empty, or a run folder and `force` is set,
        or when the folder it should be in does not exist.
    """
    if os.path.lexists(folder) and not is_empty_folder(folder):
        if not force:
            raise RunError(
                f"{folder}: exists already; choose another name, or replace it with --force"
            )
        if not _is_run_folder(folder):
            raise RunError(
                f"{folder}: exists and is not a run folder (no {MANIFEST} of format '{FORMAT}'); "
                "it is not replaced"
            )
    elif not folder.absolute().parent.is_dir():
        raise RunError(f"{folder}: the folder '{folder.absolute().parent}' does not exist")


def check_unfinished(folder: Path) -> None:
    """Refuse a folder that holds no run to go on with, and say why."""
    if _read_content(folder) == UNFINISHED:
        return
    manifest = _read_manifest(folder)
    why = f"all of its {manifest.n_steps:,} steps are done"
    if manifest.status == "interrupted":
        asked = "" if manifest.steps_asked is None else f" of {manifest.steps_asked:,}"
        why = (
            f"it has {manifest.n_steps:,}{asked} steps and no checkpoint, so that no file holds the state to go on "
            "from; run it again with --checkpoint-every N"
        )
    raise RunError(
        f"{folder}: this run is {manifest.status}; only an unfinished one can be resumed: {why}; "
        f"'emulator report {folder}' shows what it did"
    )


def load_run(folder: Path, *, lazy: bool = False) -> Run:
    """Read a run folder; see `Run.load`."""
    if _read_content(folder) == UNFINISHED:
        program, chip = read_program_and_chip(folder)
        try:
            return read_unfinished(folder, program, chip)
        except RunError:
            if _read_content(folder) == UNFINISHED:  # else it has been finished meanwhile
                raise
    manifest = _read_manifest(folder)
    now = {CHIP, *TIMING_FILES}
    mistakes = [
        fault_of(folder / name, file, whole=not lazy or name in now)
        for name, file in manifest.files.items()
    ]
    if any(mistakes):
        raise RunError("\n".join(filter(None, mistakes)))
    program = _read_program(folder, manifest.program.sha256, lazy=lazy)
    if not program.is_known_as(manifest.program.sha256):
        raise RunError(f"{folder / PROGRAM}: this is not the program of this run")
    unlisted = {CHIP, *tables.files(program, timed=manifest.timing is not None)} - set(
        manifest.files
    )
    if unlisted:
        raise RunError(f"{folder / MANIFEST}: it does not list '{min(unlisted)}'")
    chip = read_chip(folder)
    if lazy:
        records = LazyRecords(
            folder=folder,
            program=program,
            n_steps=manifest.n_steps,
            weights_every=manifest.weights_every,
            chip=chip,
            files=manifest.files,
        )
        return _run(LazyRun, manifest, program, chip, records, _timing(folder, manifest))
    return _read_tables(folder, manifest, program, chip)


def read_program_and_chip(folder: Path) -> tuple[Program, Chip]:
    """Return what ran, and on what."""
    return read_part(folder / PROGRAM, Program.load), read_chip(folder)


def read_chip(folder: Path) -> Chip:
    """Return what a run ran on."""
    return read_part(folder / CHIP, lambda path: _chip_of(path.read_text("utf-8")))


def _read_program(folder: Path, sha256: str, *, lazy: bool) -> Program:
    """Return the program of a run; a lazy reader takes the one it had last, where it is the same by its digest."""
    path = folder / PROGRAM
    if lazy and sha256 in _last and read_part(path, lambda p: identity(p, PROGRAM_FILE)) == sha256:
        return _last[sha256]
    program = read_part(path, Program.load)
    if lazy:
        _last.clear()
        _last[program.sha256] = program
    return program


@lru_cache(4)
def _chip_of(text: str) -> Chip:
    """Return the chip of a description; folders of a sweep mostly have the same."""
    return chip_from_json(text)


def _read_tables(folder: Path, manifest: Manifest, program: Program, chip: Chip) -> Run:
    n_steps = manifest.n_steps
    step, source, payload = tables.read_spikes(folder / "spikes.parquet", program, n_steps)
    timing = _timing(folder, manifest)
    records = HeldRecords(
        program.n_sources,
        step,
        source,
        tables.read_active(folder / "active.parquet", program, n_steps),
        read_learned(folder, program, manifest.weights_every, n_steps),
        tables.read_recordings(folder, program, n_steps),
        payload,
        read_managed(folder, program, n_steps, chip.mesh.n_cores, manifest.files),
    )
    run = _run(Run, manifest, program, chip, records, timing)
    if tables.read_counters(folder / "counters.parquet", program) != run.counters:
        raise RunError(
            f"{folder / 'counters.parquet'}: these are not the counters of this run's spikes"
        )
    return run


def _timing(folder: Path, manifest: Manifest) -> Timing | None:
    kept = manifest.timing
    if kept is None:
        return None
    names = tuple(kept.bottleneck_names)
    return tables.read_timing(
        folder, manifest.n_steps, kept.mode, kept.clock_mhz, names, kept.barrier_cycles
    )


def _run(
    kind: type[Run],
    manifest: Manifest,
    program: Program,
    chip: Chip,
    records: Records,
    timing: Timing | None,
) -> Run:
    """Return a run of a folder with what its manifest says."""
    return kind(
        program=program,
        chip=chip,
        n_steps=manifest.n_steps,
        seed=manifest.seed,
        status=manifest.status,
        records=records,
        timing=timing,
        n_overflows=manifest.n_overflows,
        steps_asked=manifest.steps_asked,
        wall_seconds=manifest.wall_seconds,
    )


def manifest_of(run: Run, folder: Path) -> Manifest:
    """Return the manifest of a run whose other files are written."""
    timing = run.timing
    return Manifest(
        format=FORMAT,
        version=VERSION,
        status="complete" if run.status == "complete" else "interrupted",
        n_steps=run.n_steps,
        steps_asked=run.steps_asked,
        weights_every=run.learned.every,
        seed=run.seed,
        n_overflows=run.n_overflows,
        chip=_Identity(name=run.chip.name, sha256=sha256_of(folder / CHIP)),
        program=_Identity(name=run.program.name, sha256=run.program.sha256),
        timing=None
        if timing is None
        else _Timing(
            mode=timing.mode,
            clock_mhz=timing.clock_mhz,
            barrier_cycles=timing.barrier_cycles,
            bottleneck_names=list(timing.bottleneck_names),
        ),
        wall_seconds=run.wall_seconds,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={
            "emulator": package_version("neurochip-emulator"),
            "numpy": np.__version__,
            "pyarrow": package_version("pyarrow"),
            "python": platform.python_version(),
        },
        files={
            path.name: File(n_bytes=path.stat().st_size, sha256=sha256_of(path))
            for path in sorted(folder.iterdir())
            # A program has checksums of its own.
            if path.is_file() and path.name not in {MANIFEST, PROGRAM, CHECKPOINT, INPUTS, REWARDS}
        },
    )


def _is_run_folder(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("format") == FORMAT


def _read_content(folder: Path) -> dict[str, Any]:
    """Return what the manifest of a run folder holds, as this version would have written it."""
    path = folder / MANIFEST
    try:
        if folder.exists() and not folder.is_dir():
            raise RunError(f"{folder}: this is a file; a run is a folder")
        if not folder.is_dir():
            raise RunError(f"{folder}: there is no such folder")
        if not path.is_file():
            raise RunError(f"{folder}: not a run folder: it has no {MANIFEST}")
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise RunError(f"{path}: damaged: it is not JSON") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise RunError(f"{path}: not the manifest of a run: its format is not '{FORMAT}'")
    content = upgraded_run(content)
    if content.get("version") != VERSION:
        raise RunError(
            f"{path}: run format {content.get('version')!r}; "
            f"this version of the emulator reads 1 to {VERSION}"
        )
    return content


def _read_manifest(folder: Path) -> Manifest:
    path, content = folder / MANIFEST, _read_content(folder)
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        mistakes = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise RunError(f"{path}: damaged: " + "; ".join(mistakes)) from None


def read_part(path: Path, read: Callable[[Path], T]) -> T:
    """Return what `read` makes of a file of the run; its errors name the file."""
    try:
        return read(path)
    except FileNotFoundError:
        raise RunError(f"{path}: this file of the run is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: cannot be read: {error}") from None
    except EmulatorError as error:
        message = str(error)
        raise RunError(message if str(path) in message else f"{path}: {message}") from None
