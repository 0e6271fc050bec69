"""What a network is made of: populations, projections, joins and probes, as plain data."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.arguments import frozen
from emulator.learning import Rule
from emulator.microcode import PREFIX, Model

VARIABLES = ("spikes", "u", "v")


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons of one model; inputs are populations whose spikes come from outside."""

    name: str
    size: int
    model: str
    parameters: dict[str, Any] = field(default_factory=dict)
    neurons_per_core: int | None = None
    pack: bool | None = None
    program: Model | None = None  # in microcode; None: a native model, or an input
    payload: tuple[int, int] | None = None  # range of the payload of its spikes
    # the input whose spikes it stands for, as the target of learning synapses
    clamped_by: str | None = None
    sent_by: int | None = None  # the management core that sends an input's spikes

    @property
    def takes_lif_parameters(self) -> bool:
        """Whether it has the registers of "lif": the native model, or the same in microcode."""
        return self.program is None or self.model == f"{PREFIX}lif"

    @property
    def is_real(self) -> bool:
        """Whether its threshold, and so its input, is given in real units."""
        return self.takes_lif_parameters and "threshold" in self.parameters

    @property
    def variables(self) -> tuple[str, ...]:
        """What can be recorded of each neuron in each step."""
        return (
            VARIABLES
            if self.program is None
            else ("spikes", *(w.name for w in self.program.states))
        )

    @property
    def is_input(self) -> bool:
        """Whether the neurons are sources outside the chip, which occupy no compartment."""
        return self.model == "input"

    def __len__(self) -> int:
        return self.size


@dataclass(frozen=True, eq=False)
class Projection:
    """Synapses from one population to another: read-only arrays of one length, in the order they were given."""

    name: str
    source: Population
    target: Population
    pre: NDArray[np.int32]
    post: NDArray[np.int32]
    weights: NDArray[Any]  # int16 mantissas, or float64 real values
    delays: NDArray[np.uint8] | int
    weight_exp: int
    sign_mode: str
    weight_bits: int
    learning: Rule | None = None

    def __post_init__(self) -> None:
        for array in (self.pre, self.post, self.weights, self.delays):
            if isinstance(array, np.ndarray):
                frozen(array)

    @property
    def is_real(self) -> bool:
        """Whether the weights are real values that the compiler quantises."""
        return self.weights.dtype.kind == "f"


@dataclass(frozen=True)
class Join:
    """Compartments that pass something to as many others, before these are advanced in the same step."""

    source: str
    target: str
    op: str
    value: str


@dataclass(frozen=True, eq=False)
class Probe:
    """A variable of a population to record in every step."""

    population: str
    variable: str
    neurons: NDArray[np.int32] | None
