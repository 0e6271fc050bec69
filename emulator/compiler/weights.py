"""Register policies: how a user's weight becomes the weight a chip adds, in units of u (multiples of 64).

Three public models of Loihi differ in the bits that a narrow weight loses: lava takes the floor of mixed weights and
rounds the others toward zero, brian rounds toward zero, nengo to the nearest (ties to even).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

UNIT = 64  # units of u that mantissa 1 stands for at exponent 0
BRIAN_LIMIT = 2**21 - UNIT  # brian2-loihi clips every single weight to 21 bits


def weight_step(sign_mode: str, weight_bits: int) -> int:
    """Return the distance of two mantissas that `weight_bits` can hold: a mixed weight spends a bit on its sign."""
    return 1 << (8 - weight_bits + (sign_mode == "mixed"))


def mantissa_limit(sign_mode: str, weight_bits: int) -> int:
    """Return the largest magnitude that is a symmetric mantissa: 254 for mixed, 255 otherwise, at 8 bits."""
    step = weight_step(sign_mode, weight_bits)
    return 255 // step * step


def chip_weights(
    values: NDArray[Any], sign_mode: str, weight_bits: int, weight_exp: int, policy: str
) -> NDArray[np.int32]:
    """Return what each weight adds to u.

    Parameters
    ----------
    values : (n,) ndarray
        Weights as mantissas, 1 = 64 units at exponent 0.
    sign_mode : {"mixed", "exc", "inh"}
    weight_bits : int
        Bits stored, 1 to 8.
    weight_exp : int
        A negative exponent loses the bits below 64 units, per synapse.
    policy : {"lava", "brian", "nengo"}
        How bits that are not stored are lost.

    Returns
    -------
    (n,) ndarray of int32
        Multiples of 64.
    """
    step = weight_step(sign_mode, weight_bits)
    if policy == "nengo":
        return _nengo(np.asarray(values, np.float64), sign_mode, step, weight_exp)
    low, high = {
        "mixed": (-256, 255),
        "exc": (0, 255),
        "inh": (-256 if policy == "brian" else -255, 0),
    }[sign_mode]
    mantissa = np.clip(np.asarray(values, np.int64), low, high)
    if policy == "lava" and sign_mode == "mixed":
        stored = mantissa // step * step
    else:
        stored = np.sign(mantissa) * (np.abs(mantissa) // step * step)
    scaled = (stored << weight_exp if weight_exp >= 0 else stored >> -weight_exp) * UNIT
    if policy == "brian":
        scaled = np.clip(scaled, -BRIAN_LIMIT, BRIAN_LIMIT)
    return scaled.astype(np.int32)


def _nengo(
    values: NDArray[np.float64], sign_mode: str, step: int, weight_exp: int
) -> NDArray[np.int32]:
    if sign_mode != "mixed":
        values = np.abs(values) if sign_mode == "exc" else -np.abs(values)
    most = 256 // step - 1
    stored = np.clip(np.rint(values / step), -most, most)
    exponent = float(np.log2(step)) + weight_exp
    if exponent < 0:
        scale = 2.0**exponent
        stored = np.clip(np.rint(stored * scale) / scale, -most, most)
    return np.asarray(np.floor(stored * 2.0**exponent) * UNIT, np.int32)
