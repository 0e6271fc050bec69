"""What management cores did as tables of a run folder, and back; there are none where they did nothing.

management.parquet  step, phase, core (-1: the host), kind, peer, count
messages.parquet    step, channel, message, word, value: what the host got
"""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from emulator.account import COLUMNS, KINDS, MESSAGE_COLUMNS, Managed
from emulator.errors import RunError
from emulator.network.managed import PHASES
from emulator.observe.parquet import Columns, Named, Stream, read_columns
from emulator.program import Program

MANAGEMENT, MESSAGES = "management.parquet", "messages.parquet"
FILES = (MANAGEMENT, MESSAGES)


class ManagedTables:
    """The tables of management cores, made when there is something to put into them."""

    def __init__(self, folder: Path, parts: Path, program: Program) -> None:
        self._folder, self._parts = folder, parts
        self._channels = [channel["name"] for channel in program.manifest["channels"]]
        self.streams: list[Stream] = []

    def add(self, managed: Managed) -> None:
        """Write what was done in some steps."""
        if managed and not self.streams:
            empty = self._columns(Managed())
            self.streams = [
                Stream(self._folder / name, self._parts, columns)
                for name, columns in zip(FILES, empty, strict=True)
            ]
        for stream, columns in zip(self.streams, self._columns(managed), strict=False):
            stream.write(columns)

    def _columns(self, managed: Managed) -> tuple[Columns, Columns]:
        step, phase, core, kind, peer, count = managed.lines.T
        at, channel, message, word, value = managed.messages.T
        return {
            "step": step.astype(np.uint32),
            "phase": Named(phase.astype(np.int32), PHASES),
            "core": core.astype(np.int32),
            "kind": Named(kind.astype(np.int32), KINDS),
            "peer": peer.astype(np.int32),
            "count": np.ascontiguousarray(count),
        }, {
            "step": at.astype(np.uint32),
            "channel": Named(channel.astype(np.int32), self._channels),
            "message": message.astype(np.int64),
            "word": word.astype(np.uint32),
            "value": np.ascontiguousarray(value),
        }


def read_managed(
    folder: Path, program: Program, n_steps: int, n_cores: int, listed: Collection[str]
) -> Managed:
    """Return what management cores did, from the files that a run lists."""
    if MANAGEMENT not in listed or MESSAGES not in listed:
        return Managed()
    lines = read_columns(
        folder / MANAGEMENT, step="uint32", phase=PHASES, core="int32", kind=KINDS, peer="int32",
        count="int64",
    )  # fmt: skip
    names = [channel["name"] for channel in program.manifest["channels"]]
    messages = read_columns(
        folder / MESSAGES,
        step="uint32",
        channel=names,
        message="int64",
        word="uint32",
        value="int64",
    )
    did = Managed(
        np.column_stack([lines[name].astype(np.int64) for name in COLUMNS]),
        np.column_stack([messages[name].astype(np.int64) for name in MESSAGE_COLUMNS]),
    )
    outside = (
        (did.lines[:, 0] >= n_steps).any()
        or (did.lines[:, 1:4] < [0, -1, 0]).any()
        or (did.lines[:, 2] >= 16).any()
        or (did.lines[:, 4] < -1).any()
        or (did.lines[:, 4] >= max(n_cores, 16)).any()
        or (did.lines[:, 5] < 0).any()
        or (did.messages[:, :2] < 0).any()
        or (did.messages[:, 0] >= n_steps).any()
    )
    if outside:
        raise RunError(
            f"{folder / MANAGEMENT}: it holds a line outside the run's {n_steps} steps and its cores"
        )
    return did
