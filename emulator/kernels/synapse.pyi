from typing import Any

import numpy as np
from numpy.typing import NDArray

def first_bad_row(
    rows: NDArray[Any],
    lowest: NDArray[np.uint16],
    highest: NDArray[np.uint16],
    max_delay: NDArray[np.uint8],
    packed: NDArray[np.uint32],
) -> int:
    """Return the first row that points outside a table or has a synapse outside its core, or -1."""
