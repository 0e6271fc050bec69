"""Hypothesis strategies named by what they make: whole networks with their inputs, for the tiny chip."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from emulator.network import Network
from tests.oracle.neuron_lif import Compartment

small = st.integers(-3, 3)


@dataclass
class Case:
    """A network as a user builds it, and the same network as the oracle wants it."""

    network: Network
    inputs: dict[str, np.ndarray]
    steps: int
    sizes: dict[str, int]  # of populations with compartments, in order
    synapses: list[
        tuple[int, int, int, int]
    ]  # sources: neurons of all populations in order, then inputs
    registers: list[dict[str, int]]  # of each neuron

    def cells(self) -> list[Compartment]:
        """Return fresh compartments for the oracle."""
        return compartments(self.registers)

    def schedule(self) -> list[set[int]]:
        """Return the input sources of each step."""
        first = sum(self.sizes.values())
        return [
            {first + int(i) for i in np.flatnonzero(self.inputs["in"][t])} if self.inputs else set()
            for t in range(self.steps)
        ]


def compartments(rows: list[dict[str, int]]) -> list[Compartment]:
    """Return fresh compartments for the oracle (u decays by du + 1, the chip's offset)."""
    return [
        Compartment(
            u_retain=4096 - 1 - r["du"], v_retain=4096 - r["dv"], bias=r["bias_mant"] << r["bias_exp"],
            threshold=r["vth_mant"] << 6, refractory=r["refractory"],
        )
        for r in rows
    ]  # fmt: skip


registers = st.fixed_dictionaries(
    {
        "du": st.sampled_from([0, 4095, 2048]) | st.integers(0, 4095),
        "dv": st.sampled_from([0, 4095, 128]) | st.integers(0, 4095),
        "vth_mant": st.integers(0, 4) | st.integers(0, 300),
        "bias_mant": small | st.integers(-300, 300),
        "bias_exp": st.integers(0, 3),
        "refractory": st.integers(1, 3),
    }
)


@st.composite
def cases(draw, max_neurons: int = 8) -> Case:
    """Draw one or two populations, an input, and projections with delays, exponents and repeats."""
    net = Network("drawn")
    sizes = {
        name: draw(st.integers(1, max_neurons)) for name in ("a", "b")[: draw(st.integers(1, 2))]
    }
    n_inputs, steps = draw(st.integers(1, 5)), draw(st.integers(0, 12))
    source = net.input("in", n_inputs)
    everyone, populations = [], {"in": source}
    for name, size in sizes.items():
        rows = draw(st.lists(registers, min_size=size, max_size=size))
        everyone += rows
        columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
        populations[name] = net.population(
            name, size, model="lif", pack=draw(st.booleans()), **columns
        )
    first = dict(zip([*sizes, "in"], np.cumsum([0, *sizes.values()]).tolist(), strict=True))
    synapses = []
    ends = st.tuples(st.sampled_from(["in", *sizes]), st.sampled_from(list(sizes)))
    for pre, post in draw(st.lists(ends, max_size=3)):
        n_pre, n_post = populations[pre].size, populations[post].size
        exponent = draw(st.integers(-2, 3))
        one = st.tuples(
            st.integers(0, n_pre - 1), st.integers(0, n_post - 1),
            (small | st.integers(-128, 127)).map(lambda w: 2 * w), st.just(0) | st.integers(0, 5),
        )  # fmt: skip
        drawn = draw(st.lists(one, min_size=1, max_size=30))
        i, j, w, d = (np.array(column) for column in zip(*drawn, strict=True))
        net.connect(
            populations[pre], populations[post], weights=(i, j, w), weight_exp=exponent, delay=d
        )
        synapses += [
            (
                first[pre] + a,
                first[post] + b,
                (weight << exponent if exponent >= 0 else weight >> -exponent) * 64,
                delay,
            )
            for a, b, weight, delay in drawn
        ]
    rate = draw(st.sampled_from([0.0, 0.3, 1.0]))
    spikes = np.random.default_rng(draw(st.integers(0, 99))).random((steps, n_inputs)) < rate
    for name in sizes:
        net.probe(populations[name], "spikes", "u", "v")
    return Case(net, {"in": spikes}, steps, sizes, synapses, everyone)
