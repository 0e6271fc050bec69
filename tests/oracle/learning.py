"""Learning, one synapse after another, in plain integers; only what a trace keeps in a step is a float.

A rule is data here: its products as they mean, not as text. What the published models leave open is a choice of the
chip, or was made like this:

random bits   Traces of a side of a projection have a key in each step, and a word for each neuron and trace: its lower
              16 bits round the decay of that step, the others the impulse of a spike in it. A projection has a key for
              its synapses at the end of each epoch, and from that a key for each source, and from that a word for
              each synapse: weight, delay and tag take 7 bits of it each.
visited rows  The synapses of a source are visited where some product can be other than zero as far as it depends on
              the source, on whether any target fired, and on what all synapses share. The others stay as they are.
              That decides what a visit costs, and nothing else: a product of zero adds nothing and clips nothing, and
              a value that nothing was added to stays, even one that is outside its limits.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cache
from math import ceil, exp, floor

TRACE_STREAM, SYNAPSE_STREAM = 3, 4
GOLDEN = 0x9E3779B9
WORD = 2**32
PRE, POST = ("x1", "x2"), ("y1", "y2", "y3")
TARGETS = ("w", "d", "t")


@cache
def philox(counter: tuple[int, int, int, int], seed: int) -> list[int]:
    """Return the four words of Philox4x32-10 for a counter; the seed is the key."""
    a, b, c, d = counter
    k0, k1 = seed % WORD, seed // WORD
    for _ in range(10):
        p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = q // WORD ^ b ^ k0, q % WORD, p // WORD ^ d ^ k1, p % WORD
        k0, k1 = (k0 + GOLDEN) % WORD, (k1 + 0xBB67AE85) % WORD
    return [a, b, c, d]


def keyed(x: int, first: int, second: int) -> int:
    """Return the word of number x under two keys."""
    x = (x + first) % WORD
    x = (x ^ x >> 17) * 0xED5AD4BB % WORD
    x = ((x ^ x >> 11) + second) * 0xAC4C1B51 % WORD
    x = (x ^ x >> 15) * 0x31848BAB % WORD
    return x ^ x >> 14


def within(value: int, limits: tuple[int, int]) -> bool:
    """Return whether a value is within limits."""
    return limits[0] <= value <= limits[1]


@dataclass
class Engine:
    """What a chip decides."""

    rounding: str = "stochastic"
    trace_decay: str = "exponential"
    second_impulse: str = "up"
    uk_counts: str = "epochs"
    mantissa_bits: int = 4
    product_bits: int = 15
    accumulator: tuple[int, int] = (-32769, 32767)
    weights: tuple[int, int] = (-256, 255)
    tags: tuple[int, int] = (-257, 255)
    max_delay: int = 63


@dataclass
class Factor:
    name: str  # x0 x1 x2 y0 .. y3 r0 r1 u0 .. u9 w d t
    constant: int = 0
    is_sign: bool = False

    @property
    def width(self) -> int:
        if self.name in ("w", "d", "t"):
            return 9
        if self.name in ("r0", "r1"):
            return 8
        return 7 if self.name in PRE + POST else 1


@dataclass
class Product:
    """mantissa x 2**exponent, as it is written, x gate x factors."""

    gate: str
    mantissa: int
    exponent: int
    factors: list[Factor]


@cache
def held(mantissa: int, exponent: int, bits: int) -> tuple[int, int]:
    """Return a constant as the engine holds it: of its forms that fit, the one nearest to what was written."""
    if mantissa == 0:
        return 0, 0
    forms = []
    for k in range(-80, 81):
        other = mantissa * 2.0**k
        fits = other == int(other) and -(2 ** (bits - 1)) <= other < 2 ** (bits - 1)
        if fits and -7 <= exponent - k <= 8:
            forms.append((abs(k), int(other), exponent - k))
    return min(forms)[1:]


@dataclass
class Rule:
    products: dict[str, list[Product]]  # by target, in the order w, d, t
    traces: dict[str, tuple[float, float] | str]  # (impulse, tau), or the word that supplies it
    epoch: int


@dataclass
class Synapse:
    pre: int
    post: int
    w: int
    d: int = 0
    t: int = 0
    ordinal: int = 0  # among those of the same pair


@dataclass
class Learner:
    """A projection that learns; `number` is its place in the network."""

    rule: Rule
    engine: Engine
    number: int
    n_pre: int
    n_post: int
    synapses: list[Synapse]
    seed: int = 0
    rewards: list[int] = field(default_factory=lambda: [0, 0])
    visited: list[set[int]] = field(
        default_factory=list
    )  # after each step, sources whose synapses were visited
    seen: Counter = field(default_factory=Counter)  # how often what happened, for tests of tests

    def __post_init__(self) -> None:
        pairs = Counter()
        for synapse in self.synapses:
            synapse.ordinal = pairs[synapse.pre, synapse.post]
            pairs[synapse.pre, synapse.post] += 1
        self.seen["repeated"] += len(self.synapses) - len(pairs)
        self.rest()

    def rest(self) -> None:
        """Forget spikes and rewards."""
        self.rewards = [0, 0]
        self.value = {name: [0] * self.size(name) for name in self.rule.traces}
        self.given = {
            name: {} for name in self.rule.traces
        }  # by step of the epoch, what a program supplied
        self.when = {"x": [0] * self.n_pre, "y": [0] * self.n_post}

    def size(self, trace: str) -> int:
        return self.n_pre if trace in PRE else self.n_post

    # Traces

    def bits(self, trace: str, neuron: int, step: int) -> int:
        side, number = ("x", PRE.index(trace)) if trace in PRE else ("y", POST.index(trace))
        key = philox((step % WORD, 2 * self.number + (side == "y"), TRACE_STREAM, 0), self.seed)
        return keyed((neuron + number * GOLDEN) % WORD, key[0], key[1])

    def rounded(self, value: float, bits: int) -> int:
        """Return a value without its fraction; `bits` are 16."""
        fraction = value - floor(value)
        if self.engine.rounding == "stochastic":
            return floor(value) + (bits < round(65536 * fraction))
        return floor(value) + (self.engine.rounding == "nearest" and fraction > 0.5)

    def decayed(self, trace: str, neuron: int, step: int, z: int) -> int:
        tau = self.rule.traces[trace][1]
        if tau == 0:
            keep = 0.0
        elif self.engine.trace_decay == "exponential":
            keep = exp(-1 / tau)
        else:
            keep = max(0.0, 1 - 1 / tau)
        return self.rounded(z * keep, self.bits(trace, neuron, step) % 65536)

    def raised(self, trace: str, neuron: int, step: int, z: int) -> int:
        impulse = self.rounded(
            float(self.rule.traces[trace][0]), self.bits(trace, neuron, step) // 65536
        )
        self.seen["trace saturates"] += z + impulse > 127
        return min(127, z + impulse)

    def note(self, step: int, side: str, neuron: int) -> None:
        """Take in a spike; an earlier one of the epoch is added to the traces at once."""
        begin = step - step % self.rule.epoch
        earlier = self.when[side][neuron]
        if earlier:
            self.seen["second spike"] += 1
        for trace, values in self.value.items():
            if trace[0] != side or not earlier or isinstance(self.rule.traces[trace], str):
                continue
            if side == "x" and self.engine.second_impulse == "up":
                values[neuron] = min(127, values[neuron] + ceil(self.rule.traces[trace][0]))
            else:
                values[neuron] = self.raised(trace, neuron, begin + earlier - 1, values[neuron])
        self.when[side][neuron] = step - begin + 1

    def follow(self, trace: str, neuron: int, begin: int) -> list[int]:
        """Return a trace at the beginning of the epoch and after each of its steps."""
        if isinstance(self.rule.traces[trace], str):
            return [0] + [self.given[trace][s][neuron] for s in range(1, self.rule.epoch + 1)]
        path = [self.value[trace][neuron]]
        for s in range(1, self.rule.epoch + 1):
            z = self.decayed(trace, neuron, begin + s - 1, path[-1])
            if self.when[trace[0]][neuron] == s:
                z = self.raised(trace, neuron, begin + s - 1, z)
            path.append(z)
        return path

    # Steps and epochs

    def step(
        self,
        step: int,
        pre: set[int],
        post: set[int],
        rewards: tuple[int, int] = (0, 0),
        supplied: dict[str, list[int]] | None = None,
    ) -> int:
        """Take in what happened in a step; at the end of an epoch learn. Return the synapses visited."""
        for neuron in pre:
            self.note(step, "x", neuron)
        for neuron in post:
            self.note(step, "y", neuron)
        for trace, values in (supplied or {}).items():
            self.given[trace][step % self.rule.epoch + 1] = values
            self.value[trace] = list(values)
        for k in (0, 1):
            self.rewards[k] = max(-(2**24), min(2**24, self.rewards[k] + rewards[k]))
        ends = (step + 1) % self.rule.epoch == 0
        self.visited.append(self.end_epoch(step) if ends else set())
        return sum(synapse.pre in self.visited[-1] for synapse in self.synapses)

    def end_epoch(self, step: int) -> set[int]:
        """Learn; return the sources whose synapses were visited."""
        begin = step + 1 - self.rule.epoch
        self.path = {
            trace: [self.follow(trace, i, begin) for i in range(self.size(trace))]
            for trace in self.value
        }
        count = step + 1 if self.engine.uk_counts == "steps" else (step + 1) // self.rule.epoch
        self.shared = {f"r{k}": max(-128, min(127, self.rewards[k])) for k in (0, 1)}
        self.shared |= {f"u{k}": int(count % 2**k == 0) for k in range(10)}
        products = [p for some in self.rule.products.values() for p in some if self.may_act(p)]
        visited = {i for i in range(self.n_pre) if any(self.acts(p, i) for p in products)}
        self.key = philox((step % WORD, self.number, SYNAPSE_STREAM, 0), self.seed)
        for synapse in self.synapses:
            if synapse.pre in visited:
                self.learn(synapse)
        for trace, paths in self.path.items():
            self.value[trace] = [path[-1] for path in paths]
        self.when = {"x": [0] * self.n_pre, "y": [0] * self.n_post}
        self.rewards = [0, 0]
        return visited

    def may_act(self, product: Product) -> bool:
        """Return whether a product can be other than zero anywhere, as far as all synapses share what decides it."""
        needed = [f.name for f in product.factors if not f.constant and not f.is_sign]
        gate = self.shared | {"x0": 1, "y0": any(self.when["y"])}
        return (
            product.mantissa != 0
            and gate[product.gate]
            and all(self.shared.get(name, 1) for name in needed)
        )

    def acts(self, product: Product, pre: int) -> bool:
        """Return whether a product can be other than zero for the synapses of a source."""
        fired = self.when["x"][pre]
        for name in [product.gate, *(f.name for f in product.factors if not f.constant)]:
            if name == "x0" and not fired:
                return False
            if name in PRE:
                path = self.path[name][pre]
                read = {"x0": path[fired : fired + 1], "y0": path[1:]}.get(product.gate, path[-1:])
                if not any(read):
                    return False
        return True

    def learn(self, synapse: Synapse) -> None:
        """Update one synapse; all products read the values from before."""
        row = [keyed(synapse.pre, *self.key[:2]), keyed(synapse.pre, *self.key[2:])]
        bits = keyed((synapse.post + synapse.ordinal * GOLDEN) % WORD, *row)
        limits = {"w": self.engine.weights, "d": (0, self.engine.max_delay), "t": self.engine.tags}
        after = {}
        for target in self.rule.products:
            before = total = 128 * getattr(synapse, target)
            for product in self.rule.products[target]:
                total = self.added(total, self.value_of(product, synapse))
            if total == before:
                self.seen["stays outside"] += not within(before // 128, limits[target])
                continue
            random = bits // 2 ** (25 - 7 * TARGETS.index(target)) % 128
            up = {"down": 0, "nearest": total % 128 > 64, "stochastic": random < total % 128}
            value = total // 128 + up[self.engine.rounding]
            after[target] = self.clipped(target, value, limits[target])
            self.seen["changes"] += value != getattr(synapse, target)
        for target, value in after.items():
            setattr(synapse, target, value)

    def added(self, total: int, value: int) -> int:
        if value == 0:
            self.seen["zero onto more than the accumulator"] += not within(
                total, self.engine.accumulator
            )
            return total
        value = self.clipped("product", value, self.engine.accumulator)
        return self.clipped("accumulator", total + value, self.engine.accumulator)

    def clipped(self, what: str, value: int, limits: tuple[int, int]) -> int:
        self.seen[f"{what} below"] += value < limits[0]
        self.seen[f"{what} above"] += value > limits[1]
        return max(limits[0], min(limits[1], value))

    def value_of(self, product: Product, synapse: Synapse) -> int:
        """Return what a product adds to the accumulator, before it is clipped."""
        at_pre, at_post = self.when["x"][synapse.pre], self.when["y"][synapse.post]
        at = {"x0": at_pre, "y0": at_post}.get(product.gate, self.rule.epoch)
        if not (self.shared[product.gate] if product.gate[0] == "u" else at):
            return 0
        known = self.shared | vars(synapse) | {"x0": int(at_pre > 0), "y0": int(at_post > 0)}
        for trace, paths in self.path.items():
            known[trace] = paths[synapse.pre if trace in PRE else synapse.post][at]
        result, exponent = held(product.mantissa, product.exponent, self.engine.mantissa_bits)
        width = self.engine.mantissa_bits
        for factor in product.factors:
            value = known[factor.name] + factor.constant
            if factor.is_sign:
                value = (value > 0) - (value < 0)
            limit = 2**factor.width
            self.seen["factor clipped"] += not -limit <= value < limit
            result *= max(-limit, min(limit - 1, value))
            width += factor.width
        down = max(0, width - self.engine.product_bits)
        self.seen["shift loses bits"] += result % 2**down != 0
        return result // 2**down * 2 ** (exponent + 7)


def run(neurons, static, learners, ends, inputs, rules, first_step=0):
    """Run a network of which some projections learn, one spike after another.

    Parameters
    ----------
    neurons : list of Compartment
    static : list of (source, target, weight, delay)
        Sources 0..len(neurons) - 1 are the neurons; the rest are inputs.
    learners : list of Learner
    ends : list of (first source, first target, scale)
        Of each learner: the source that its neuron 0 is, the neuron (or, of a clamped input, the source) that its
        target 0 is, and what weight 1 adds to u; 0: the target is clamped.
    inputs : list of set of int
        Input sources that spike in each step.

    Returns
    -------
    spikes : list of (step, source)
    states : per step, (u, v) of every neuron
    learned : per step, for each learner, (w, d, t) of every synapse
    visits : per step, for each learner
    """
    due = defaultdict(list)
    spikes, states, learned, visits = [], [], [], []
    for step, outside in enumerate(inputs, first_step):
        fired = [i for i, cell in enumerate(neurons) if cell.step(due.pop((step, i), []), rules)]
        fired = set(fired) | outside
        spikes += [(step, source) for source in sorted(fired)]
        for source, target, weight, delay in static:
            if source in fired:
                due[step + 1 + delay, target].append(weight)
        for learner, (pre, post, scale) in zip(learners, ends, strict=True):
            for s in learner.synapses:
                if scale and pre + s.pre in fired:
                    due[step + 1 + s.d, post + s.post].append(s.w * scale)
        visits.append(
            [
                learner.step(
                    step,
                    {i for i in range(learner.n_pre) if pre + i in fired},
                    {i for i in range(learner.n_post) if post + i in fired},
                )
                for learner, (pre, post, _) in zip(learners, ends, strict=True)
            ]
        )
        states.append([(cell.u, cell.v) for cell in neurons])
        learned.append([[(s.w, s.d, s.t) for s in learner.synapses] for learner in learners])
    return spikes, states, learned, visits
