"""A compiled network: what a chip is loaded with, in memory and as a file."""

from emulator.program.fit import check_fit
from emulator.program.program import (
    BLOCK_COLUMNS,
    JOIN_COLUMNS,
    ROW,
    SEGMENT_COLUMNS,
    STATE_TENSORS,
    TENSORS,
    Program,
)

__all__ = [
    "BLOCK_COLUMNS",
    "JOIN_COLUMNS",
    "ROW",
    "SEGMENT_COLUMNS",
    "STATE_TENSORS",
    "TENSORS",
    "Program",
    "check_fit",
]
