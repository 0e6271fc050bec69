"""What a LIF compartment does in one step, in plain integers: the agreed rules, written out."""

from dataclasses import dataclass, field


def toward_zero(x: int, retain: int) -> int:
    """Return x * retain / 4096 without its fraction."""
    magnitude = abs(x) * retain // 4096
    return magnitude if x >= 0 else -magnitude


def wrap(x: int, bits: int) -> int:
    """Return x as a two's complement number of so many bits."""
    return (x + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


@dataclass
class Rules:
    u_bits: int = 24
    u_saturates: bool = False
    accumulator_bits: int = 32
    v_min: int = -(2**23) + 1
    v_max: int = 2**23 - 1


@dataclass
class Compartment:
    u_retain: int
    v_retain: int
    bias: int
    threshold: int
    refractory: int
    u: int = 0
    v: int = 0
    left: int = 0
    active: bool = field(default=False, init=False)
    overflowed: bool = field(default=False, init=False)

    def step(self, weights: list[int], rules: Rules) -> bool:
        """Add this step's weights, update, and return whether it spikes."""
        arrived = sum(weights)
        self.active = bool(arrived or self.u or self.v or self.bias or self.left)
        taken = wrap(arrived, rules.accumulator_bits)
        total = toward_zero(self.u, self.u_retain) + taken
        if rules.u_saturates:
            limit = 2 ** (rules.u_bits - 1)
            kept = max(-limit, min(limit - 1, total))
        else:
            kept = wrap(total, rules.u_bits)
        self.overflowed = taken != arrived or kept != total
        self.u = kept

        self.v = toward_zero(self.v, self.v_retain) + self.u + self.bias
        self.v = max(rules.v_min, min(rules.v_max, self.v))
        if self.left > 0:
            self.v = 0
        spikes = self.v > self.threshold
        if spikes:
            self.v = 0
            self.left = self.refractory
        self.left = max(self.left - 1, 0)
        return spikes
