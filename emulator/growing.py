"""Columns of unknown length that grow in place: what is put together of parts would be in memory twice."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

STEP = 8
"""A column that is full grows by one part in so many: that much of it may be in vain."""


class Growing:
    """A column that values are put behind.

    Parameters
    ----------
    dtype : dtype
        Of its values.
    """

    def __init__(self, dtype: Any) -> None:
        self._values = np.empty(0, dtype)
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def add(self, values: NDArray[Any]) -> None:
        """Put values behind those that are there."""
        stop = self._n + len(values)
        if stop > len(self._values):
            # The memory is moved by its pages, not copied, where it is large.
            self._values.resize(max(stop, self._n + self._n // STEP), refcheck=False)
        self._values[self._n : stop] = values
        self._n = stop

    def take(self) -> NDArray[Any]:
        """Return all values and begin again."""
        values = self._values
        values.resize(self._n, refcheck=False)
        self._values, self._n = np.empty(0, values.dtype), 0
        return values
