"""A run folder whose files are read, and verified, when something of them is first asked for."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from emulator.account import Managed
from emulator.arguments import frozen
from emulator.chip import Chip
from emulator.errors import RunError
from emulator.observe import tables
from emulator.observe.counters import Counters
from emulator.observe.managed_tables import MANAGEMENT, MESSAGES, read_managed
from emulator.observe.run import Run
from emulator.observe.stored import StoredRecords

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


@dataclass(frozen=True, eq=False, kw_only=True)
class LazyRecords(StoredRecords):
    """Records in the files of a run folder; each file is verified when it is first read. See `Records`."""

    chip: Chip
    files: Mapping[str, File]

    def holding(self, *names: str) -> Path:
        """Return the folder, of whose files these are as the manifest lists them, where it does."""
        mistakes = [
            fault_of(self.folder / name, self.files[name]) for name in names if name in self.files
        ]
        if any(mistakes):
            raise RunError("\n".join(filter(None, mistakes)))
        return self.folder

    @cached_property
    def managed(self) -> Managed:
        """What management cores did."""
        folder = self.holding(MANAGEMENT, MESSAGES)
        n_cores = self.chip.mesh.n_cores
        return Managed(
            *map(frozen, read_managed(folder, self.program, self.n_steps, n_cores, self.files))
        )

    @cached_property
    def spikes_per_source(self) -> NDArray[np.int64]:
        """How often each source fired, (n_sources,)."""
        return frozen(np.bincount(self.spike_source, minlength=self.program.n_sources))

    @cached_property
    def active_per_segment(self) -> NDArray[np.int64]:
        """What was counted, summed over the steps, (n_counts,)."""
        return frozen(self.active.sum(axis=0, dtype=np.int64))

    @cached_property
    def counters(self) -> Counters:
        """Every event of the run, as they were counted."""
        path = self.holding("counters.parquet") / "counters.parquet"
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
