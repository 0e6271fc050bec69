"""What a user writes: a rule for the weight, the delay and the tag of each synapse, and the traces it reads."""

from dataclasses import asdict, dataclass, field
from math import inf, isnan
from typing import Any

from emulator.arguments import is_number, is_whole, plain, shown
from emulator.errors import LearningError
from emulator.learning.device import Memristor
from emulator.learning.grammar import Product, parse

TARGETS = ("w", "d", "t")
"""What rules change, in the order of `Rule.products`."""
KEYS = {"w": "dw", "d": "dd", "t": "dt"}
PRE_TRACES, POST_TRACES = ("x1", "x2"), ("y1", "y2", "y3")
TRACES = PRE_TRACES + POST_TRACES
TRACE_MAX = 127
MAX_EPOCH = 63


@dataclass(frozen=True)
class Trace:
    """A filtered spike history: it jumps at each spike and decays in each step.

    Parameters
    ----------
    impulse : float
        What a spike adds, 0 to 127; a fraction is rounded as the chip does.
    tau : float
        Time constant of the decay, in steps; 0: nothing is left in the next step; `inf`: it does not decay.
    """

    impulse: float
    tau: float

    def __post_init__(self) -> None:
        mistakes = []
        for name, top in (("impulse", TRACE_MAX), ("tau", inf)):
            value: Any = getattr(self, name)
            if not is_number(value) or isnan(value):
                mistakes.append(f"{name} is {shown(value)}; it must be a number")
            elif not 0 <= value <= top:
                mistakes.append(f"{name} is {value}; allowed: 0 to {top}")
            else:
                object.__setattr__(self, name, plain(value))
        if mistakes:
            raise LearningError("\n".join(f"trace: {mistake}" for mistake in mistakes))


@dataclass(frozen=True)
class Rule:
    """How the synapses of a projection learn: `Rule(dw="2^-2*x1*y0 - 2^-2*y1*x0", x1=Trace(16, 10), y1=...)`.

    Parameters
    ----------
    dw, dt, dd : str, optional
        What is added to the weight, the tag and the delay at the end of each epoch: a sum of products, see
        `docs/learning.md`. At least one.
    x1, x2 : Trace, optional
        Traces of the spikes of the source; one that no rule reads is kept all the same.
    y1, y2, y3 : Trace or str, optional
        Traces of the spikes of the target; a string is the state word of its neuron program that supplies the
        value instead (unsigned, of at most 7 bits).
    epoch : int
        Steps from one update to the next, 1 to 63.
    device : Memristor, optional
        What holds the weights: the sum of `dw` is a pulse then, and the device says what becomes of it.

    Raises
    ------
    LearningError
        With every mistake.
    """

    dw: str | None = None
    dt: str | None = None
    dd: str | None = None
    x1: Trace | None = None
    x2: Trace | None = None
    y1: Trace | str | None = None
    y2: Trace | str | None = None
    y3: Trace | str | None = None
    epoch: int = 1
    device: Memristor | None = None
    products: dict[str, tuple[Product, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        mistakes: list[str] = []
        products: dict[str, tuple[Product, ...]] = {}
        for target in TARGETS:
            text = getattr(self, KEYS[target])
            if text is None:
                continue
            try:
                products[target] = parse(KEYS[target], text)
            except LearningError as error:
                mistakes.append(str(error))
        if not products and not mistakes:
            mistakes.append("a rule needs dw, dt or dd")
        object.__setattr__(self, "products", products)
        mistakes += self._wrong_traces()
        epoch: Any = self.epoch
        if is_whole(epoch) and 1 <= epoch <= MAX_EPOCH:
            object.__setattr__(self, "epoch", int(epoch))
        else:
            mistakes.append(
                f"epoch is {shown(epoch)}; it must be a whole number of steps, 1 to {MAX_EPOCH}"
            )
        device: Any = self.device
        if not isinstance(device, Memristor | None):
            mistakes.append(f"device is {shown(device)}; it must be a Memristor")
        elif device is not None and self.dw is None:
            mistakes.append("device holds weights that never change: a rule with a device needs dw")
        if mistakes:
            raise LearningError("\n".join(mistakes))

    def _wrong_traces(self) -> list[str]:
        mistakes = []
        for name in TRACES:
            value = getattr(self, name)
            where = [KEYS[target] for target in self.products if name in self.names(target)]
            if value is None:
                if where:
                    mistakes.append(
                        f"{' and '.join(where)} read{'s' * (len(where) == 1)} {name}, which has no trace: give "
                        f"{name}=Trace(impulse=..., tau=...)"
                    )
            elif isinstance(value, str) and name in PRE_TRACES:
                mistakes.append(
                    f"{name} is {shown(value)}; only y1, y2 and y3 come from neuron programs"
                )
            elif not isinstance(value, Trace | str):
                mistakes.append(f"{name} is {shown(value)}; it must be a Trace")
        return mistakes

    def names(self, target: str) -> set[str]:
        """Return the variables that the rule of a target reads, gates included."""
        products = self.products.get(target, ())
        return {f.name for p in products for f in p.factors} | {p.gate for p in products}

    @property
    def variables(self) -> set[str]:
        """All variables that its rules read, gates included."""
        return set().union(*(self.names(target) for target in self.products))

    @property
    def has_tag(self) -> bool:
        """Whether synapses keep a tag."""
        return "t" in self.products or "t" in self.variables

    @property
    def moves_delays(self) -> bool:
        """Whether delays change."""
        return "d" in self.products

    @property
    def supplied(self) -> dict[str, str]:
        """The traces that a neuron program supplies: name of the state word by trace."""
        given = {name: getattr(self, name) for name in POST_TRACES}
        return {name: value for name, value in given.items() if isinstance(value, str)}

    def described(self) -> dict[str, Any]:
        """Return the rule as plain data, which `described_rule` reads."""
        keys = (*KEYS.values(), *TRACES, "epoch")
        values = {key: getattr(self, key) for key in keys}
        plain = {k: asdict(v) if isinstance(v, Trace) else v for k, v in values.items()}
        return plain | {"device": None if self.device is None else self.device.described()}


def described_rule(described: dict[str, Any]) -> Rule:
    """Return the rule that `Rule.described` described.

    Raises
    ------
    LearningError
        When it is not a rule.
    """
    values: dict[str, Any] = {
        k: (Memristor if k == "device" else Trace)(**v) if isinstance(v, dict) else v
        for k, v in described.items()
    }
    return Rule(**values)
