from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

PLASTIC_ROW: np.dtype[Any]
"""start, length, block, first, flags (1: consecutive targets, 2: a target more than once)."""
TERM: np.dtype[Any]
OPERAND: np.dtype[Any]
TRACE_KIND: np.dtype[Any]
MARK: np.dtype[Any]
"""rule, side (0 pre, 1 post), index: a source's place at one end of a rule."""
SUPPLY: np.dtype[Any]

class Learning:
    """The plastic synapses of a program, and the arrays that a run changes."""

    def __init__(
        self, rules: Sequence[dict[str, Any]], tables: dict[str, NDArray[Any]]
    ) -> None: ...
