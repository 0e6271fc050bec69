"""Records that are read from the files of a run folder when they are asked for."""

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.arguments import frozen
from emulator.observe import tables
from emulator.observe.learned import Learned
from emulator.observe.learned_tables import LEARNED, TRACE_FILE, VISITS, read_learned
from emulator.observe.records import Columns, freeze_columns
from emulator.program import Program


@dataclass(frozen=True, eq=False, kw_only=True)
class StoredRecords:
    """What the files of a finished run folder hold, read-only; see `Records`."""

    folder: Path
    program: Program
    n_steps: int
    weights_every: int | None

    def __getstate__(self) -> dict[str, Any]:
        """Return where the files are, for another process: nothing that was read from them."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return own | {"folder": self.folder.absolute(), "program": self.program.bare}

    def holding(self, *_names: str) -> Path:
        """Return the folder before files of these names are read; who does not trust them looks at them here."""
        return self.folder

    @cached_property
    def _spikes(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.int32]]:
        path = self.holding("spikes.parquet") / "spikes.parquet"
        step, source, payload = tables.read_spikes(path, self.program, self.n_steps)
        return frozen(step), frozen(source), frozen(payload)

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
        path = self.holding("active.parquet", VISITS) / "active.parquet"
        return frozen(tables.read_active(path, self.program, self.n_steps))

    @cached_property
    def learned(self) -> Learned:
        """What plastic synapses have learned."""
        folder = self.holding(LEARNED, TRACE_FILE)
        return read_learned(folder, self.program, self.weights_every, self.n_steps)

    @cached_property
    def recordings(self) -> Columns:
        """What was probed."""
        folder = self.holding(*tables.recording_files(self.program))
        return freeze_columns(tables.read_recordings(folder, self.program, self.n_steps))
