"""A run folder whose files are read, and verified, when something of them is first asked for."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from emulator.account import Managed
from emulator.chip import Chip
from emulator.errors import RunError
from emulator.observe import tables
from emulator.observe.counters import Counters
from emulator.observe.learned import Learned
from emulator.observe.learned_tables import LEARNED, TRACE_FILE, VISITS, read_learned
from emulator.observe.managed_tables import MANAGEMENT, MESSAGES, read_managed
from emulator.observe.records import Columns
from emulator.observe.run import Run
from emulator.program import Program

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class File(BaseModel):
    """A file as the manifest of its run lists it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    n_bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256


def sha256_of(path: Path) -> str:
    """Return the digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fault_of(path: Path, listed: File, *, whole: bool = True) -> str | None:
    """Return what is wrong with a file that a manifest lists; unless `whole`, only whether it has its size."""
    if not path.is_file():
        return f"{path}: this file of the run is missing"
    try:
        size, digest = path.stat().st_size, sha256_of(path) if whole else listed.sha256
    except OSError as error:
        return f"{path}: cannot be read: {error.strerror}"
    if size != listed.n_bytes:
        return f"{path}: damaged: it has {size} bytes; the manifest says {listed.n_bytes}"
    return (
        None if digest == listed.sha256 else f"{path}: damaged: its checksum is not the manifest's"
    )


@dataclass(frozen=True, eq=False)
class LazyRecords:
    """Records in the files of a run folder; each file is verified when it is first read. See `Records`."""

    folder: Path
    program: Program
    chip: Chip
    n_steps: int
    weights_every: int | None
    files: Mapping[str, File]

    def __getstate__(self) -> dict[str, Any]:
        """Return where the files are, for another process: nothing that was read from them."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return own | {"folder": self.folder.absolute(), "program": self.program.bare}

    def verified(self, *names: str) -> Path:
        """Return the folder, of whose files these are as the manifest lists them, where it does."""
        mistakes = [
            fault_of(self.folder / name, self.files[name]) for name in names if name in self.files
        ]
        if any(mistakes):
            raise RunError("\n".join(filter(None, mistakes)))
        return self.folder

    @cached_property
    def _spikes(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.int32]]:
        folder = self.verified("spikes.parquet")
        return tables.read_spikes(folder / "spikes.parquet", self.program, self.n_steps)

    @property
    def spike_step(self) -> NDArray[np.uint32]:
        """Step of every spike, (n_spikes,), ascending."""
        return self._spikes[0]

    @property
    def spike_source(self) -> NDArray[np.uint32]:
        """Source of every spike, inputs included, ascending in each step."""
        return self._spikes[1]

    @property
    def spike_payload(self) -> NDArray[np.int32]:
        """Payload of every spike, 1 of those without; empty where the program has none."""
        return self._spikes[2]

    @cached_property
    def active(self) -> NDArray[np.uint32]:
        """What was counted in each step, (n_steps, n_counts): see `Part`."""
        folder = self.verified("active.parquet", VISITS)
        return tables.read_active(folder / "active.parquet", self.program, self.n_steps)

    @cached_property
    def learned(self) -> Learned:
        """What plastic synapses have learned."""
        folder = self.verified(LEARNED, TRACE_FILE)
        return read_learned(folder, self.program, self.weights_every, self.n_steps)

    @cached_property
    def recordings(self) -> Columns:
        """What was probed."""
        names = [name for name in self.files if name.startswith(tables.RECORDINGS)]
        return tables.read_recordings(self.verified(*names), self.program, self.n_steps)

    @cached_property
    def managed(self) -> Managed:
        """What management cores did."""
        folder = self.verified(MANAGEMENT, MESSAGES)
        return read_managed(folder, self.program, self.n_steps, self.chip.mesh.n_cores, self.files)

    @cached_property
    def spikes_per_source(self) -> NDArray[np.int64]:
        """How often each source fired, (n_sources,)."""
        return np.bincount(self.spike_source, minlength=self.program.n_sources)

    @cached_property
    def active_per_segment(self) -> NDArray[np.int64]:
        """What was counted, summed over the steps, (n_counts,)."""
        total: NDArray[np.int64] = self.active.sum(axis=0, dtype=np.int64)
        return total

    @cached_property
    def counters(self) -> Counters:
        """Every event of the run, as they were counted."""
        path = self.verified("counters.parquet") / "counters.parquet"
        return tables.read_counters(path, self.program)


@dataclass(frozen=True, eq=False, repr=False)
class LazyRun(Run):
    """A run of which files are read when something of them is asked for."""

    @cached_property
    def counters(self) -> Counters:
        """Every event of the run: from their file, unless they are wanted for another chip."""
        if isinstance(self.records, LazyRecords) and self.chip is self.records.chip:
            return self.records.counters
        return self.count(0, self.n_steps)
