"""Hypothesis strategies for learning: rules as text and as the oracle's data, chips, synapses, spike trains."""

from dataclasses import dataclass, field, replace
from math import inf

import numpy as np
from hypothesis import strategies as st

from emulator import Network, Rule, Trace, load_chip
from emulator.chip import Chip
from emulator.chip.schema import SignedRange
from tests.oracle import learning as oracle
from tests.oracle.neuron_lif import Rules
from tests.strategies import compartments, registers

LOIHI2 = load_chip("loihi2")
small = st.integers(-3, 3)
bit = st.builds(oracle.Factor, st.sampled_from(["x0", "y0", "u0", "u1", "u2", "u9"])) | st.builds(
    oracle.Factor, st.sampled_from("wdt"), small | st.integers(-256, 255), st.just(True)
)
value = st.builds(
    oracle.Factor,
    st.sampled_from(["x1", "x2", "y1", "y2", "y3", "x1", "y1", "r0", "r1", "w", "d", "t"]),
    st.just(0) | small | st.integers(-256, 255) | st.sampled_from([-256, 255]),
)
small_size = st.integers(1, 8)
rates = st.sampled_from([0.0, 0.05, 0.3, 1.0])
traces = st.tuples(
    st.sampled_from([0, 1, 16, 100, 127, 0.5, 10.25, 10.75]) | st.floats(0, 127),
    st.sampled_from([0, 0.4, 1, 2, 10, inf]) | st.floats(0.1, 50),
)


def written(draw, product: oracle.Product) -> str:
    """Return a product as text without its sign, in one of the ways in which it can be written."""
    mantissa, exponent = abs(product.mantissa), product.exponent
    parts = [str(mantissa)] if mantissa != 1 or draw(st.booleans()) else []
    if draw(st.booleans()):
        first = draw(st.integers(-4, 4))
        parts += [f"2^{first}", f"2^({exponent - first})"]
    elif exponent or not parts:
        parts.append(f"2^{exponent}")
    if draw(st.booleans()):
        parts = [f"({'*'.join(parts)})"]
    names = []
    for factor in product.factors:
        inner = factor.name if not factor.constant else f"{factor.name}{factor.constant:+d}"
        names.append(
            f"sgn({inner})" if factor.is_sign else f"({inner})" if factor.constant else inner
        )
    # The first of x0, y0 and u_k is the gate.
    gates = [
        k
        for k, f in enumerate(product.factors)
        if not f.constant and f.name[0] + f.name[-1] in ("x0", "y0")
    ]
    gates += [k for k, f in enumerate(product.factors) if f.name[0] == "u"]
    names.insert(draw(st.integers(0, min(gates, default=len(names)))), product.gate)
    cut = draw(st.integers(0, len(names)))
    return draw(st.sampled_from(["*", " * "])).join([*names[:cut], *parts, *names[cut:]])


@st.composite
def products(draw, bits: int, *, rewards: bool = True, of_source: bool = False) -> oracle.Product:
    """Draw a product that an engine with mantissas of so many bits can do; one that needs the source, if asked."""
    half = 2 ** (bits - 1)
    mantissa = draw(st.integers(-half, half - 1) | st.sampled_from([1, -1, -half, half - 1]))
    exponent = draw(st.integers(-7, 8) | st.integers(-3, 1) | st.sampled_from([-7, 8]))
    if mantissa and draw(st.integers(0, 4)) == 0:  # another form of the same constant, or nearly
        k = draw(st.integers(1, 3))
        mantissa, exponent = mantissa << k, exponent - k
    values = value if rewards else value.filter(lambda factor: factor.name[0] != "r")
    factors = draw(st.lists(values, max_size=2 if of_source else 3)) + draw(
        st.lists(bit, max_size=1)
    )
    gate = draw(st.sampled_from(["x0", "y0", "u0", "u1", "u2"]))
    if of_source and gate != "x0":
        factors.append(oracle.Factor("x1"))
    return oracle.Product(gate, mantissa, exponent, draw(st.permutations(factors)))


@st.composite
def rules(
    draw, engine: oracle.Engine, epoch: int, *, rewards: bool = True
) -> tuple[Rule, oracle.Rule]:
    """Draw a rule as a user writes it, and as the oracle takes it."""
    targets = draw(st.lists(st.sampled_from("wdt"), min_size=1, max_size=3, unique=True))
    chosen, texts, left = {}, {}, 5
    of_source = draw(st.integers(0, 2)) == 0  # then only some rows are visited
    for target in sorted(targets, key="wdt".index):
        one = products(engine.mantissa_bits, rewards=rewards, of_source=of_source)
        chosen[target] = draw(st.lists(one, min_size=1, max_size=max(1, left - 2)))
        left -= len(chosen[target])
        text = "".join(
            (" - " if p.mantissa < 0 else " + ") + written(draw, p) for p in chosen[target]
        )
        texts[f"d{target}"] = text.removeprefix(" + ")
    used = {f.name for some in chosen.values() for p in some for f in p.factors}
    used |= set(draw(st.lists(st.sampled_from(oracle.PRE + oracle.POST), max_size=2)))
    kept = {name: draw(traces) for name in oracle.PRE + oracle.POST if name in used}
    rule = Rule(**texts, **{name: Trace(*trace) for name, trace in kept.items()}, epoch=epoch)
    return rule, oracle.Rule(chosen, kept, epoch)


def chip_of(engine: oracle.Engine, sign_mode: str = "mixed") -> Chip:
    """Return Loihi 2 with the choices of an oracle's engine; its weights are those of the sign mode."""
    low, high = {"exc": (-256, engine.weights[1]), "inh": (-256, -engine.weights[0])}.get(
        sign_mode, engine.weights
    )
    span = lambda limits: SignedRange(minimum=limits[0], maximum=limits[1])  # noqa: E731
    same = (
        "rounding",
        "trace_decay",
        "second_impulse",
        "uk_counts",
        "mantissa_bits",
        "product_bits",
    )
    choices = {name: getattr(engine, name) for name in same} | {
        "accumulator_limits": span(engine.accumulator), "tag_limits": span(engine.tags),
        "mixed_weight_limits": span((low, high)),
    }  # fmt: skip
    sections = {
        "learning": LOIHI2.learning.model_copy(update=choices),
        "synapses": LOIHI2.synapses.model_copy(update={"max_delay_steps": engine.max_delay}),
    }
    return LOIHI2.model_copy(update=sections)


@st.composite
def engines(draw, sign_mode: str) -> oracle.Engine:
    """Draw what a chip decides."""
    most = draw(st.sampled_from([255, 255, 127]))
    weights = {"mixed": (-most - 1, most), "exc": (0, most), "inh": (-most, 0)}[sign_mode]
    return oracle.Engine(
        draw(st.sampled_from(["stochastic", "stochastic", "down", "nearest"])),
        draw(st.sampled_from(["exponential", "linear"])),
        draw(st.sampled_from(["up", "rounded"])),
        draw(st.sampled_from(["epochs", "steps"])),
        draw(st.sampled_from([4, 4, 3, 2])),
        draw(st.sampled_from([15, 15, 8, 16])),
        draw(st.sampled_from([(-32769, 32767), (-32769, 32767), (-131072, 131071), (-3000, 2000)])),
        weights,
        draw(st.sampled_from([(-257, 255), (-257, 255), (-512, 511), (-4, 3)])),
        draw(st.sampled_from([6, 63, 1])),
    )


@st.composite
def synapses(
    draw, engine: oracle.Engine, n_pre: int, n_post: int, most: int
) -> list[oracle.Synapse]:
    """Draw synapses: all pairs, or some, of which a few stand there more than once."""
    low, high = engine.weights
    step = 2 if low < 0 < high else 1  # mixed weights are even at first
    weight = (
        small.map(lambda w: 2 * w) | st.integers(low, high) | st.sampled_from([low, high])
    ).map(lambda w: max(low, min(high, w)) // step * step)
    if n_pre * n_post <= most and draw(st.booleans()):
        pairs = [(i, j) for j in range(n_post) for i in range(n_pre)]
    else:
        pair = st.tuples(st.integers(0, n_pre - 1), st.integers(0, n_post - 1))
        pairs = draw(st.lists(pair, max_size=most))
    delay = st.sampled_from([0, engine.max_delay]) | st.integers(0, engine.max_delay)
    seed, scale = draw(st.integers(0, 99)), draw(st.sampled_from([0.05, 1.0]))
    edges = draw(st.lists(st.tuples(weight, delay), min_size=4, max_size=4))
    rng = np.random.default_rng(seed)
    found = []
    for i, j in pairs:
        w, d = edges[rng.integers(4)]
        if rng.random() < 0.7:
            w = int(rng.integers(int(low * scale), int(high * scale) + 1)) // step * step
            w, d = max(low, w), int(rng.integers(0, engine.max_delay + 1))
        found.append(oracle.Synapse(i, j, w, d))
    return found


@st.composite
def trains(draw, n: int, steps: int, epoch: int) -> np.ndarray:
    """Draw spikes (steps, n): random, or only at the ends or the beginnings of epochs."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    spikes = rng.random((steps, n)) < draw(rates)
    where = draw(st.sampled_from(["anywhere", "anywhere", "end", "begin"]))
    if where != "anywhere":
        place = epoch - 1 if where == "end" else 0
        spikes = (np.arange(steps) % epoch == place)[:, None] & (rng.random((steps, n)) < 0.6)
    return spikes


@dataclass
class Case:
    """A projection that learns between clamped inputs."""

    engine: oracle.Engine
    chip: Chip = field(repr=False)
    sign_mode: str
    rule: Rule
    plain: oracle.Rule
    sizes: tuple[int, int]
    is_recurrent: bool  # one input at both ends
    synapses: list[oracle.Synapse]
    pre: np.ndarray
    post: np.ndarray
    rewards: np.ndarray
    seed: int

    def learner(self, number: int = 0) -> oracle.Learner:
        """Return the oracle's projection, fresh."""
        fresh = [replace(s) for s in self.synapses]
        return oracle.Learner(self.plain, self.engine, number, *self.sizes, fresh, self.seed)

    def given(self) -> dict[str, np.ndarray]:
        """Return the rewards that the rule reads, as `Emulator.run` takes them."""
        return {
            name: self.rewards[:, k]
            for k, name in enumerate(("r0", "r1"))
            if name in self.rule.variables
        }

    def connected(self) -> dict:
        """Return the arguments of `Network.connect`."""
        columns = np.array([(s.pre, s.post, s.w, s.d) for s in self.synapses], int).reshape(-1, 4).T
        return {
            "weights": tuple(columns[:3]), "delay": columns[3], "sign_mode": self.sign_mode, "learning": self.rule,
        }  # fmt: skip


@st.composite
def cases(draw, n_pre=small_size, n_post=small_size, most: int = 40, n_epochs: int = 16) -> Case:
    """Draw a chip, a rule, synapses and spikes."""
    sign_mode = draw(st.sampled_from(["mixed", "mixed", "exc", "inh"]))
    engine = draw(engines(sign_mode))
    epoch = draw(st.sampled_from([1, 2, 4, 63]) | st.integers(1, 8))
    rule, plain = draw(rules(engine, epoch))
    steps = epoch * draw(st.integers(1, max(1, min(n_epochs, 130 // epoch)))) + draw(
        st.integers(0, epoch - 1)
    )
    is_recurrent = draw(st.integers(0, 5)) == 0
    sizes = draw(n_pre), draw(n_post)
    sizes = (sizes[0], sizes[0]) if is_recurrent else sizes
    pre, post = (draw(trains(n, steps, epoch)) for n in sizes)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    bound = draw(st.sampled_from([3, 128]))
    rewards = rng.integers(-bound, bound, (steps, 2)) * (rng.random((steps, 2)) < draw(rates))
    return Case(
        engine, chip_of(engine, sign_mode), sign_mode, rule, plain, sizes, is_recurrent,
        draw(synapses(engine, *sizes, most)), pre, pre if is_recurrent else post, rewards,
        draw(st.sampled_from([0, 1, 2**63 - 1]) | st.integers(0, 2**63 - 1)),
    )  # fmt: skip


@dataclass
class Loop:
    """Neurons that are driven by synapses that do not learn, and by their own and an input's that do."""

    engine: oracle.Engine
    chip: Chip = field(repr=False)
    registers: list[dict[str, int]]
    static: list[tuple[int, int, int, int]]  # from an input, to a neuron, weight, delay
    rules: list[tuple[Rule, oracle.Rule]]  # of input to neurons, and of neurons to neurons
    synapses: list[list[oracle.Synapse]]
    exponents: list[int]
    inputs: np.ndarray
    seed: int

    @property
    def sizes(self) -> tuple[int, int]:
        return self.inputs.shape[1], len(self.registers)

    def network(self) -> Network:
        """Return the network; its projections are 'static', 'in' and 'own'."""
        net = Network("loop")
        source = net.input("in", self.sizes[0])
        columns = {key: np.array([row[key] for row in self.registers]) for key in self.registers[0]}
        cells = net.population("cells", self.sizes[1], model="lif", **columns)
        net.probe(cells, "u", "v")
        pre, post, weight, delay = np.array(self.static, int).reshape(-1, 4).T
        net.connect(source, cells, weights=(pre, post, weight), delay=delay, name="static")
        for name, end, synapses, (rule, _), exponent in zip(
            ("in", "own"), (source, cells), self.synapses, self.rules, self.exponents, strict=True
        ):
            columns = np.array([(s.pre, s.post, s.w, s.d) for s in synapses], int).reshape(-1, 4).T
            net.connect(
                end,
                cells,
                weights=tuple(columns[:3]),
                delay=columns[3],
                weight_exp=exponent,
                learning=rule,
                name=name,
            )
        return net

    def expected(self):
        """Run the oracle: spikes, states, what was learned and visits of each step, and the projections at the end."""
        n_inputs, n_cells = self.sizes
        learners = [
            oracle.Learner(
                rule, self.engine, number, n_pre, n_cells, [replace(s) for s in synapses], self.seed
            )
            for number, (n_pre, synapses, (_, rule)) in enumerate(
                zip((n_inputs, n_cells), self.synapses, self.rules, strict=True), 1
            )
        ]
        first = (n_cells, 0)  # sources: neurons, then inputs
        ends = [(pre, 0, 2 ** (6 + e)) for pre, e in zip(first, self.exponents, strict=True)]
        outside = [{n_cells + int(i) for i in np.flatnonzero(row)} for row in self.inputs]
        static = [(n_cells + i, j, 64 * w, d) for i, j, w, d in self.static]
        cells = compartments(self.registers)
        return (*oracle.run(cells, static, learners, ends, outside, Rules()), learners)


@st.composite
def loops(draw, n_epochs: int = 12) -> Loop:
    """Draw neurons that fire because of what is learned."""
    engine = draw(engines("mixed"))
    epoch = draw(st.sampled_from([1, 2, 5]) | st.integers(1, 8))
    steps = epoch * draw(st.integers(1, n_epochs)) + draw(st.integers(0, epoch - 1))
    n_inputs, n_cells = draw(st.integers(1, 4)), draw(st.integers(1, 7))
    one = st.tuples(
        st.integers(0, n_inputs - 1), st.integers(0, n_cells - 1),
        (small | st.integers(-127, 127)).map(lambda w: 2 * w), st.integers(0, engine.max_delay),
    )  # fmt: skip
    return Loop(
        engine, chip_of(engine), draw(st.lists(registers, min_size=n_cells, max_size=n_cells)),
        draw(st.lists(one, max_size=10)), [draw(rules(engine, epoch, rewards=False)) for _ in range(2)],
        [draw(synapses(engine, n, n_cells, 24)) for n in (n_inputs, n_cells)],
        draw(st.lists(st.sampled_from([0, 0, -6, -1, 3]), min_size=2, max_size=2)),
        draw(trains(n_inputs, steps, epoch)), draw(st.integers(0, 2**63 - 1)),
    )  # fmt: skip
