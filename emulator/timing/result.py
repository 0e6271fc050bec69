"""Timing: what a timing model says about a run, in cycles of the mesh's clock."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.arguments import frozen
from emulator.units import seconds_from_cycles

LINKS = ("+x", "-x", "+y", "-y")
"""The four links that leave a tile, in the order of the columns of `Timing.link_flits`."""


CORE_ARRAYS = (
    "core_neuron_cycles",
    "core_axon_cycles",
    "core_receive_cycles",
    "core_learning_cycles",
    "core_axon_waited_cycles",
    "core_receive_waited_cycles",
)
"""What a timing says of each core."""
SUMS = (*CORE_ARRAYS, "link_flits", "latency_packets")
"""What a timing adds up over its steps."""
SCALARS = ("mode", "clock_mhz", "bottleneck_names", "barrier_cycles")
"""What is the same in every part of a run."""


def _sum(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Add arrays; the shorter of two histograms is zero where it ends, and a sum ends where it is not."""
    if first.ndim > 1 or len(first) == len(second):
        total = first + second
    else:
        total = np.zeros(max(len(first), len(second)), np.int64)
        total[: len(first)] += first
        total[: len(second)] += second
    return total


@dataclass(frozen=True, eq=False)
class Timing:
    """Cycles of every step, what bounded each, and the work of every core and link over the run; read-only.

    Attributes
    ----------
    mode : str
        Name of the timing model, as on the command line.
    clock_mhz : float
        Clock that turns cycles into seconds.
    step_cycles : (n_steps,) int64
        Cycles of each step, its barrier included.
    bottleneck : (n_steps,) uint8
        What bounded each step: an index into `bottleneck_names`.
    bottleneck_names : tuple of str
        Names of the possible bottlenecks.
    core_neuron_cycles : (n_cores,) int64
        Cycles each core's neuron loop worked, summed over the steps.
    core_axon_cycles : (n_cores,) int64
        Cycles each core's axon server made packets.
    core_receive_cycles : (n_cores,) int64
        Cycles each core's receive path worked (axon look-up, synapse words, accumulation).
    core_learning_cycles : (n_cores,) int64
        Cycles each core's learning engine worked, after the spikes of an epoch's last step.
    core_axon_waited_cycles : (n_cores,) int64
        Cycles in which a packet of the core was ready and the mesh had not taken it; 0 in analytic timing.
    core_receive_waited_cycles : (n_cores,) int64
        Cycles in which a packet for the core stood before its full queue, in the mesh; 0 in analytic timing.
    link_flits : (n_tiles, 4) int64
        Flits that left each tile to its neighbour at +x, -x, +y, -y (see `LINKS`).
    barrier_cycles : int
        Cycles of one barrier; each step ends with one.
    latency_packets : (n,) int64
        Packets by their cycles from ready at the source to the destination's terminal, the local port of its router;
        the last for all longer ones;
        empty in analytic timing.
    """

    mode: str
    clock_mhz: float
    step_cycles: NDArray[np.int64]
    bottleneck: NDArray[np.uint8]
    bottleneck_names: tuple[str, ...]
    core_neuron_cycles: NDArray[np.int64]
    core_axon_cycles: NDArray[np.int64]
    core_receive_cycles: NDArray[np.int64]
    core_learning_cycles: NDArray[np.int64]
    core_axon_waited_cycles: NDArray[np.int64]
    core_receive_waited_cycles: NDArray[np.int64]
    link_flits: NDArray[np.int64]
    barrier_cycles: int
    latency_packets: NDArray[np.int64]

    def __post_init__(self) -> None:
        for name in ("step_cycles", "bottleneck", *SUMS):
            frozen(getattr(self, name))

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.__post_init__()

    @property
    def n_steps(self) -> int:
        """Number of steps timed."""
        return len(self.step_cycles)

    @cached_property
    def total_cycles(self) -> int:
        """Cycles of all steps together."""
        return int(self.step_cycles.sum(dtype=np.int64))

    @property
    def seconds(self) -> Fraction:
        """Duration of all steps together, exactly."""
        return seconds_from_cycles(self.total_cycles, self.clock_mhz)

    def then(self, later: "Timing") -> "Timing":
        """Return the timing of these steps and of the ones that followed them.

        Raises
        ------
        ValueError
            When the two are not parts of one run: another mode, clock, barrier or set of bottlenecks.
        """
        for name in SCALARS:
            if getattr(self, name) != getattr(later, name):
                raise ValueError(f"{name} is {getattr(self, name)} and then {getattr(later, name)}")
        sums: dict[str, Any] = {
            name: _sum(getattr(self, name), getattr(later, name)) for name in SUMS
        }
        return replace(
            self,
            step_cycles=np.concatenate([self.step_cycles, later.step_cycles]),
            bottleneck=np.concatenate([self.bottleneck, later.bottleneck]),
            **sums,
        )

    def since(self, sums: Mapping[str, NDArray[np.int64]]) -> "Timing":
        """Return the timing without what its sums were earlier; its steps are the later ones already."""
        later: dict[str, Any] = {
            name: _sum(getattr(self, name), -earlier) for name, earlier in sums.items()
        }
        return replace(self, **later)

    def sums(self) -> dict[str, NDArray[np.int64]]:
        """Return copies of everything that is added up over steps."""
        return {name: getattr(self, name).copy() for name in SUMS}

    def latency_quantile(self, part: float) -> int | None:
        """Return the latency in cycles that `part` of all packets do not exceed; None when none were timed."""
        n_packets = int(self.latency_packets.sum())
        if not n_packets:
            return None
        return int(np.searchsorted(np.cumsum(self.latency_packets), part * n_packets))

    def bottleneck_steps(self) -> dict[str, int]:
        """Return how many steps each bottleneck bounded, the ones that bounded none included."""
        counts = np.bincount(self.bottleneck, minlength=len(self.bottleneck_names))
        return dict(zip(self.bottleneck_names, counts.tolist(), strict=True))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Timing):
            return NotImplemented
        arrays = ("step_cycles", "bottleneck", *SUMS)
        return all(getattr(self, name) == getattr(other, name) for name in SCALARS) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in arrays
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays
