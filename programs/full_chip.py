"""A whole chip of neurons that keep firing: 1,048,576 LIF neurons and 125,829,120 synapses, from a seed.

    emulator compile full_chip --chip loihi2_full -o full_chip.program
    emulator run full_chip.program --chip loihi2_full --timing off --steps 100 -o full_chip_run
    emulator run full_chip --chip loihi2_full --param neurons=20000 --param variant=local -o small_run

Every neuron is driven by a bias that alone makes it fire once in 1 / `activity` steps, begins somewhere within that
period, and sends to `cores` cores; weak weights of both signs shift the spikes without changing how many there are.
Variants, which differ in where the synapses go:

random   neurons of random cores, so that a source needs `cores` axons and not one for each synapse
layered  the same, but to the cores of the next of `layers` layers, and from the last to the first
local    neurons nearby on a grid, cut into a patch for each core, so that spikes travel few hops
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from emulator import Network
from emulator.errors import NetworkError
from emulator.network import Population

THRESHOLD = 8192  # mantissa, 64 units of v
PER_CORE = 8192  # neurons of loihi2_full's cores, to which the synapses are drawn
CHUNK = 1 << 16  # neurons whose synapses are made at a time
LARGEST_WEIGHT = 30
Chunk = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]


def network(
    neurons: int = 1 << 20,
    synapses: int = 120,
    cores: int = 8,
    variant: str = "random",
    activity: float = 0.01,
    layers: int = 16,
    seed: int = 1,
) -> Network:
    """Return the network.

    Parameters
    ----------
    neurons : int
        Neurons in all.
    synapses : int
        Synapses of each neuron.
    cores : int
        Cores that a neuron reaches, in the variants random and layered.
    variant : {"random", "layered", "local"}
        Where the synapses go.
    activity : float
        Part of the neurons that fire in a step, 0.001 to 0.5.
    layers : int
        Layers of the variant layered.
    seed : int
        Of everything random.
    """
    _check(neurons, synapses, cores, variant, activity, layers)
    net = Network(f"full_chip_{variant}")
    rng = np.random.default_rng(seed)
    n_layers = layers if variant == "layered" else 1
    sizes = np.diff(np.linspace(0, neurons, n_layers + 1).astype(int)).tolist()
    made = [_population(net, k, size, activity, rng) for k, size in enumerate(sizes)]
    for k, source in enumerate(made):
        target = made[(k + 1) % len(made)]
        chunks = (
            _local(source.size, synapses, rng)
            if variant == "local"
            else _to_cores(source.size, target.size, synapses, cores, rng)
        )
        net.connect(source, target, weights=chunks)
    return net


def _check(
    neurons: int, synapses: int, cores: int, variant: str, activity: float, layers: int
) -> None:
    mistakes = [
        f"{name} is {value!r}; it must be a whole number from 1"
        for name, value in (
            ("neurons", neurons),
            ("synapses", synapses),
            ("cores", cores),
            ("layers", layers),
        )
        if not isinstance(value, int) or value < 1
    ]
    if variant not in {"random", "layered", "local"}:
        mistakes.append(f"variant is {variant!r}; allowed: random, layered, local")
    if not isinstance(activity, int | float) or not 0.001 <= activity <= 0.5:
        mistakes.append(f"activity is {activity!r}; allowed: 0.001 to 0.5")
    if not mistakes and variant == "layered" and layers > neurons:
        mistakes.append(f"layers is {layers}; there are only {neurons} neurons")
    if mistakes:
        raise NetworkError("\n".join(mistakes))


def _population(
    net: Network, k: int, size: int, activity: float, rng: np.random.Generator
) -> Population:
    threshold = THRESHOLD * 64
    bias = int(threshold * activity)
    exponent = max(0, bias.bit_length() - 12)
    return net.population(
        f"cells{k}",
        size,
        du=2048,  # the current halves in a step
        dv=0,
        vth_mant=THRESHOLD,
        bias_mant=bias >> exponent,
        bias_exp=exponent,
        v_init=rng.integers(0, threshold, size),
    )


def _weights(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.int32]:
    return 2 * rng.integers(-LARGEST_WEIGHT // 2, LARGEST_WEIGHT // 2 + 1, shape, dtype=np.int32)


def _to_cores(
    n_pre: int, n_post: int, n_synapses: int, n_cores: int, rng: np.random.Generator
) -> Iterator[Chunk]:
    """Yield the synapses of all neurons onto random neurons of random cores, as many on each."""
    n_there = -(-n_post // PER_CORE)
    n_cores = min(n_cores, n_there, n_synapses)
    for first in range(0, n_pre, CHUNK):
        n = min(CHUNK, n_pre - first)
        core = _distinct(n, n_cores, n_there, rng)
        core = core[:, np.arange(n_synapses) * n_cores // n_synapses]
        size = np.minimum(PER_CORE, n_post - core * PER_CORE)
        post = core * PER_CORE + (rng.random(core.shape, np.float32) * size).astype(np.int32)
        post = np.minimum(post, n_post - 1)  # a float32 below 1 may round to the core's size
        pre = np.repeat(np.arange(first, first + n, dtype=np.int32), n_synapses)
        yield pre, post.ravel(), _weights(pre.shape, rng)


def _distinct(n: int, n_chosen: int, n_all: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Choose distinct numbers below n_all, (n, n_chosen), each choice as likely as any other (R. Floyd)."""
    chosen = np.empty((n, n_chosen), np.int32)
    for k, last in enumerate(range(n_all - n_chosen, n_all)):
        drawn = rng.integers(0, last + 1, n, dtype=np.int32)
        taken = (chosen[:, :k] == drawn[:, None]).any(axis=1)
        chosen[:, k] = np.where(taken, last, drawn)
    return chosen


def _local(n: int, n_synapses: int, rng: np.random.Generator) -> Iterator[Chunk]:
    """Yield synapses onto neurons at most so far away, in both directions of a grid, that twice as many are there.

    The grid consists of patches of 128 x 64 neurons, numbered one after the other, in rows of about a square. What
    would leave the grid at an edge stays at it.
    """
    wide, high = 128, PER_CORE // 128
    across = max(1, round(np.sqrt(n / PER_CORE * high / wide)))
    width = min(across * wide, max(1, n // high))
    height = -(-n // (across * PER_CORE)) * high
    reach = max(1, int(np.sqrt(2 * n_synapses)) // 2)
    for first in range(0, n, CHUNK):
        pre = np.repeat(np.arange(first, min(first + CHUNK, n), dtype=np.int32), n_synapses)
        patch, inside = np.divmod(pre, PER_CORE)
        x = patch % across * wide + inside % wide
        y = patch // across * high + inside // wide
        x = np.clip(x + rng.integers(-reach, reach + 1, len(pre), dtype=np.int32), 0, width - 1)
        y = np.clip(y + rng.integers(-reach, reach + 1, len(pre), dtype=np.int32), 0, height - 1)
        post = (y // high * across + x // wide) * PER_CORE + y % high * wide + x % wide
        yield pre, np.where(post < n, post, pre), _weights(pre.shape, rng)
