"""Random bits that depend on nothing but their place: f(seed, stream, step, id).

Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy as
1, 2, 3", SC 2011. The key is the seed, the counter is (step, id, stream, draw): never a core, a
thread or an order, so a result does not change with the mapping.
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Words = NDArray[np.uint32]

RATE_ENCODER: Final = 1
"""Stream of `emulator.encode.rate`; each purpose has its own number, so a new one shifts none."""
NEURONS: Final = 2
"""Stream of neuron programs, which `ext/microcode.pyx` draws from; a draw is numbered as it stands in the program."""

TRACES: Final = 3
"""Stream of the keys with which traces are rounded, `ext/traces.pyx`; the id is twice the projection's number, plus 1
for traces of the target."""
SYNAPSES: Final = 4
"""Stream of the keys with which plastic synapses are rounded, `ext/learning.pyx`; the id is the projection's number."""
DEVICES: Final = 5
"""Stream of the keys of memristive devices (draw 0) and of what their pulses deviate (draw 1), `ext/devices.pyx`."""

_MULTIPLIERS = np.array([0xD2511F53, 0xCD9E8D57], np.uint64)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HIGH_SHIFT = np.uint64(32)


def philox4x32(counter: Words, key: tuple[int, int]) -> Words:
    """Return four random words for each counter.

    Parameters
    ----------
    counter : uint32 array (..., 4)
        What to encrypt.
    key : tuple of two int
        32 bits each.

    Returns
    -------
    uint32 array (..., 4)
        Ten rounds later.
    """
    words = counter.astype(np.uint64)
    keys = list(key)
    for _ in range(10):
        product = words[..., 0::2] * _MULTIPLIERS
        high, low = product >> _HIGH_SHIFT, product & _LOW
        words = np.stack(
            (
                high[..., 1] ^ words[..., 1] ^ np.uint64(keys[0]),
                low[..., 1],
                high[..., 0] ^ words[..., 3] ^ np.uint64(keys[1]),
                low[..., 0],
            ),
            axis=-1,
        )
        keys = [(word + bump) & 0xFFFFFFFF for word, bump in zip(keys, _WEYL, strict=True)]
    return words.astype(np.uint32)


def random_words(seed: int, stream: int, steps: ArrayLike, ids: ArrayLike, draw: int = 0) -> Words:
    """Return one random word for each (step, id), of the shape that the two broadcast to.

    Parameters
    ----------
    seed : int
        0 to 2**64 - 1.
    stream : int
        What the words are for: one of this module's constants.
    steps, ids : array_like of int
        Broadcast against each other; 0 to 2**32 - 1.
    draw : int
        Which of several words for the same step and id.

    Returns
    -------
    uint32 array
        Uniform words.
    """
    step, number = np.broadcast_arrays(np.asarray(steps, np.uint32), np.asarray(ids, np.uint32))
    counter = np.stack(
        (step, number, np.full_like(step, stream), np.full_like(step, draw)), axis=-1
    )
    return philox4x32(counter, (seed & 0xFFFFFFFF, seed >> 32))[..., 0]
