"""Memristors as plastic synapses: what becomes of a change of the weight that a rule asks for.

Source: Querlioz, Bichler, Dollfus & Gamrat 2013, "Immunity to device variations in a spiking neural network with
memristive nanodevices", IEEE Transactions on Nanotechnology 12(3), section II: a pulse raises a conductance G by
a exp(-b (G - Gmin) / (Gmax - Gmin)) and another lowers it by a exp(-b (Gmax - G) / (Gmax - Gmin)), where all six
parameters differ from device to device.
"""

from dataclasses import asdict, dataclass, fields
from math import exp
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.arguments import is_number, is_whole, plain, shown
from emulator.errors import LearningError
from emulator.streams import DEVICES, philox4x32

POSITIONS = 512
"""Entries of the tables of non-linearity: from the lowest conductance to the highest."""
QUANTILES = 1024
"""Entries of the table of normal numbers, each as likely as the other."""
SHARES = 1 << 16
UNIT, FINE_UNIT = 1 << 12, 1 << 15
"""1 of a factor that is drawn, and of one from a table of non-linearity."""
WEIGHTS = range(-256, 256)
MAX_NONLINEARITY = 20
NONLINEARITIES = ("nonlinearity_up", "nonlinearity_down")
PARTS = ("range_spread", "step_spread", "cycle_spread", "stuck_low", "stuck_high")


@dataclass(frozen=True)
class Memristor:
    """A device that holds a weight, as a crossbar has one at each crossing: `Rule(..., device=Memristor(...))`.

    A rule adds up a pulse, from 0 and not from the weight, in units of 2^-7 of a weight. The device answers with
    another change: the pulse times exp(-nonlinearity_up x) if it raises the weight, exp(-nonlinearity_down (1 - x)) if
    it lowers it, where x is 0 at the device's lowest weight and 1 at its highest, times what this device and this pulse
    deviate. The answer is rounded to 2^-7, then the weight as the chip rounds.

    Which device a synapse has is decided by `seed`, the projection and the neurons at its ends, so a program always
    finds the same crossbar, whatever its mapping and the seed of the run; what one pulse deviates from another depends
    on the run. The compiler puts initial weights into the range of their devices, and says how many it changed. A
    device has no micro-instruction of its own: a visit costs what its rule costs.

    Parameters
    ----------
    minimum, maximum : int
        Range of the weight, in mantissas, -256 to 255.
    nonlinearity_up, nonlinearity_down : float
        How much smaller steps become towards the end of the range, 0 (not at all) to 20.
    range_spread : float
        Standard deviation of `minimum` and of `maximum` over devices, of 1. No range changes sign, nor leaves the
        projection's sign mode, and one that would end below its beginning is empty.
    step_spread : float
        Standard deviation over devices of the steps up and of the steps down, of 1; none is below 0.
    cycle_spread : float
        Standard deviation of a step from pulse to pulse, of 1; none is below 0.
    stuck_low, stuck_high : float
        Share of the devices that hold their lowest, or their highest, weight for ever.
    seed : int
        Of the devices.

    Raises
    ------
    LearningError
        With every mistake.
    """

    minimum: int = 0
    maximum: int = 255
    nonlinearity_up: float = 0.0
    nonlinearity_down: float = 0.0
    range_spread: float = 0.0
    step_spread: float = 0.0
    cycle_spread: float = 0.0
    stuck_low: float = 0.0
    stuck_high: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        whole = dict.fromkeys(("minimum", "maximum"), (WEIGHTS[0], WEIGHTS[-1]))
        whole |= {"seed": (0, 2**63 - 1)}
        real = dict.fromkeys(NONLINEARITIES, MAX_NONLINEARITY) | dict.fromkeys(PARTS, 1)
        mistakes = []
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            is_kind = is_whole if name in whole else is_number
            low, high = whole.get(name) or (0, real[name])
            if not is_kind(value):
                what = "a whole number" if name in whole else "a number"
                mistakes.append(f"{name} is {shown(value)}; it must be {what}")
            elif not low <= value <= high:
                mistakes.append(f"{name} is {shown(plain(value))}; allowed: {low} to {high}")
            else:
                object.__setattr__(self, name, plain(value))
        if not mistakes and self.minimum >= self.maximum:
            mistakes.append(f"minimum is {self.minimum}; it must be below maximum, {self.maximum}")
        if not mistakes and self.stuck_low + self.stuck_high > 1:
            mistakes.append(
                f"stuck_low {self.stuck_low} and stuck_high {self.stuck_high} are more than all devices"
            )
        if mistakes:
            raise LearningError("\n".join(f"device: {mistake}" for mistake in mistakes))

    def described(self) -> dict[str, Any]:
        """Return its parameters as plain data."""
        return asdict(self)

    def registers(self, number: int, limits: tuple[int, int]) -> dict[str, Any]:
        """Return the fields of a `DeviceKind`: whole numbers, and tables.

        Parameters
        ----------
        number : int
            Of the projection.
        limits : tuple of int
            Lowest and highest weight of its sign mode.
        """
        place = [k / (POSITIONS - 1) for k in range(POSITIONS)]
        quantile = [NormalDist().inv_cdf((k + 0.5) / QUANTILES) for k in range(QUANTILES)]
        stuck = self.stuck_low, self.stuck_low + self.stuck_high
        counter = np.array([0, number, DEVICES, 0], np.uint32)
        return {
            "range": (self.minimum, self.maximum),
            "limits": limits,
            "spreads": [round(s * UNIT) for s in (self.range_spread, self.step_spread, self.cycle_spread)],
            "stuck": [round(share * SHARES) for share in stuck],
            "number": number,
            "key": philox4x32(counter, (self.seed & 0xFFFFFFFF, self.seed >> 32)),
            "up": _table(FINE_UNIT, [exp(-self.nonlinearity_up * x) for x in place]),
            "down": _table(FINE_UNIT, [exp(-self.nonlinearity_down * (1 - x)) for x in place]),
            "normal": _table(UNIT, quantile),
        }  # fmt: skip


def _table(unit: int, values: list[float]) -> NDArray[np.int32]:
    return np.array([round(unit * value) for value in values], np.int32)
