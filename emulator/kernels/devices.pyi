from typing import Any

import numpy as np
from numpy.typing import NDArray

class Devices:
    """The memristors of a projection: what `Memristor.registers` returns, as the learning engine takes it."""

    def __init__(self, fields: dict[str, Any]) -> None: ...
    def settings(
        self, pre: NDArray[np.int32], post: NDArray[np.int32], repeat: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """Return of the device of each synapse: lowest and highest weight, steps up and down, stuck or not.

        Shape (5, n). Steps are of 4096; stuck is 0, 1 for low, 2 for high. `repeat` counts synapses before it that join
        the same two neurons.
        """
