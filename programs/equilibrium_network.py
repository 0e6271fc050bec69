"""A recurrent network of spiking units in two phases, on the chip: what `equilibrium.py` teaches and measures."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emulator import Emulator, Network, Rule, Run, Trace, compile_network, load_chip

ONE = 64
"""Mantissa of a weight of 1."""
TAU = 8
"""Steps in which a current follows its input."""
SPACING = 2
"""A rate of 1 is a spike every so many steps."""
PHASE = SPACING * 127
"""Steps of a phase: counts have 7 bits."""
REWARD, MOVE = 127, 64
THRESHOLD = 64 * ONE * TAU
MODEL = str(Path(__file__).with_name("rate_unit.nasm"))
CONTRAST = "7*2^-5*x1*y1*r0*u0 - t*r1*u0"
COUNT = Trace(impulse=1, tau=np.inf)
PLASTIC = ("in->hidden", "bias->hidden", "hidden->out", "out->hidden", "bias->out")
SIZES = (4, 8, 2)
X = np.array([(a, 1 - a, b, 1 - b) for a in (0, 1) for b in (0, 1)]) * 0.8 + 0.1
Y = np.array([(a ^ b, 1 - (a ^ b)) for a in (0, 1) for b in (0, 1)]) * 0.6 + 0.2
"""XOR: each number as two rates, the answer as two rates."""


@dataclass(frozen=True)
class Weights:
    """Weights as mantissas, (post, pre); the last column is the bias.

    Attributes
    ----------
    hidden : (n_hidden, n_in + 1) int64
    out : (n_out, n_hidden + 1) int64
        Those from hidden to output, which are those from output to hidden.
    """

    hidden: np.ndarray
    out: np.ndarray

    @classmethod
    def random(cls, seed: int, spread: float = 0.5) -> "Weights":
        """Return random weights, with biases that bring each unit to one half when all others are there."""
        rng = np.random.default_rng(seed)
        n_in, n_hidden, n_out = SIZES
        hidden = rng.normal(0, spread / np.sqrt(n_in), (n_hidden, n_in + 1))
        out = rng.normal(0, spread / np.sqrt(n_hidden), (n_out, n_hidden + 1))
        hidden[:, -1] = (1 - hidden[:, :-1].sum(axis=1) - out[:, :-1].sum(axis=0)) / 2
        out[:, -1] = (1 - out[:, :-1].sum(axis=1)) / 2
        return cls(even(hidden * ONE), even(out * ONE))

    @property
    def real(self) -> list[np.ndarray]:
        """Both as real numbers."""
        return [self.hidden / ONE, self.out / ONE]


def even(values: np.ndarray) -> np.ndarray:
    """Return the nearest even numbers, as mixed weights are when they are loaded."""
    return 2 * np.rint(values / 2).astype(np.int64)


def network(weights: Weights, beta: float, rate_shift: int | None) -> Network:
    """Return the network; without a `rate_shift` only its tags change."""
    n_in, n_hidden, n_out = SIZES
    net = Network("equilibrium")
    source, bias, target = net.input("in", n_in), net.input("bias", 1), net.input("target", n_out)
    off, dither = net.input("off", 2), net.input("dither", n_hidden + n_out, payload_bits=14)
    unit = {"keep": 4096 - 4096 // TAU, "top": THRESHOLD // SPACING, "threshold": THRESHOLD}
    begin = {"u": THRESHOLD // SPACING // 2, "v": THRESHOLD // 2}
    hidden = net.population("hidden", n_hidden, model=MODEL, **unit, **begin)
    out = net.population("out", n_out, model=MODEL, **unit, **begin)
    dw = None if rate_shift is None else f"2^-{rate_shift}*t*r1*u0"
    rule = Rule(dt=CONTRAST, dw=dw, x1=COUNT, y1=COUNT)
    forward = weights.out[:, :-1]
    for pre, post, values in (
        (source, hidden, weights.hidden[:, :-1]),
        (bias, hidden, weights.hidden[:, -1:]),
        (hidden, out, forward),
        (out, hidden, forward.T),
        (bias, out, weights.out[:, -1:]),
    ):
        net.connect(pre, post, weights=values, learning=rule)
    # Errors of either sign are rates, and silent while "off" spikes; nudging away turns the sign of their effect.
    each = np.eye(n_out, dtype=np.int64)
    for k, toward in enumerate((1, -1)):
        for sign, name in ((1, "low"), (-1, "high")):
            error = net.population(f"{name}{k}", n_out, model=MODEL, **unit)
            net.connect(target, error, weights=sign * ONE * each)
            net.connect(out, error, weights=-sign * ONE * each)
            net.connect(
                off, error, weights=np.tile(-2 * ONE * np.eye(2, dtype=np.int64)[k], (n_out, 1))
            )
            net.connect(error, out, weights=even(toward * sign * beta * ONE * each))
    for post, first in ((hidden, 0), (out, n_hidden)):
        one = (first + np.arange(post.size), np.arange(post.size), np.ones(post.size, np.int64))
        net.connect(dither, post, weights=one, weight_exp=-6, sign_mode="exc")
    return net


def regular(rates: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """Return spikes (PHASE, n) at regular distances."""
    total = phase + rates / SPACING * np.arange(PHASE + 1)[:, None]
    return np.diff(np.floor(total), axis=0) > 0


def present(
    emulator: Emulator, x: np.ndarray, y: np.ndarray, *, symmetric: bool, seed: int = 0
) -> Run:
    """Show samples, each in two phases, and let synapses learn at the end of each.

    Parameters
    ----------
    x, y : (n, n_in), (n, n_out) float
        Inputs and targets, as rates from 0 to 1.
    symmetric : bool
        Whether the first phase is nudged away from the target, instead of free.
    seed : int
        Of the spikes' phases and the chip.
    """
    n_steps = 2 * PHASE * len(x) + 1
    r0, r1 = np.zeros(n_steps, np.int64), np.zeros(n_steps, np.int64)
    r0[PHASE - 1 :: 2 * PHASE], r0[2 * PHASE - 1 :: 2 * PHASE] = -REWARD, REWARD
    r1[2 * PHASE :: 2 * PHASE] = MOVE
    off = ((1, 1 - symmetric), (0, 1))
    return emulator.run(
        n_steps, stimuli(x, y, off, seed), timing="off", seed=seed, reset_every=PHASE,
        weights_every=2 * PHASE, rewards={"r0": r0, "r1": r1},
    )  # fmt: skip


def stimuli(
    x: np.ndarray, y: np.ndarray, off: tuple[tuple[int, int], ...], seed: int
) -> dict[str, np.ndarray]:
    """Return the input spikes of samples in two phases each; `off` says for each phase which errors are silent."""
    rng = np.random.default_rng(seed)
    n, n_units = len(x), SIZES[1] + SIZES[2]
    spikes: dict[str, list[np.ndarray]] = {"in": [], "target": [], "off": []}
    for k in range(n):
        for silent in off:
            spikes["in"].append(regular(x[k], rng.random(x.shape[1])))
            spikes["target"].append(regular(y[k], rng.random(y.shape[1])))
            spikes["off"].append(regular(np.array(silent), np.zeros(2)))
    inputs = {name: np.concatenate(parts) for name, parts in spikes.items()}
    inputs["bias"] = np.tile(regular(np.ones(1), np.zeros(1)), (2 * n, 1))
    # A random charge at the beginning of each phase: counts are right on the average, not only to the nearest number.
    charge = rng.integers(-THRESHOLD // TAU // 2, THRESHOLD // TAU // 2, 2 * n * n_units)
    step, unit = np.divmod(np.arange(2 * n * n_units), n_units)
    inputs["dither"] = np.stack([step * PHASE, unit, charge], axis=1)
    return inputs


def measured(run: Run, name: str, skip: int = 120) -> np.ndarray:
    """Return the rates of a population in each phase of each sample, (n, 2, size), after it has settled."""
    size = {p["name"]: p["size"] for p in run.program.manifest["populations"]}[name]
    step, neuron = run.spikes[name].T
    phase, within = step // PHASE, step % PHASE
    n_phases = run.n_steps // PHASE
    counts = np.zeros((n_phases, size))
    chosen = (within >= skip) & (phase < n_phases)
    np.add.at(counts, (phase[chosen], neuron[chosen]), 1)
    return (counts * SPACING / (PHASE - skip)).reshape(-1, 2, size)


def contrast(
    weights: Weights, beta: float, *, symmetric: bool, repeats: int, seed: int = 0
) -> np.ndarray:
    """Return what the chip adds to its tags, flat like `gradient`: summed over samples, the mean of some repeats."""
    chip = load_chip("loihi2")
    emulator = Emulator(chip, compile_network(network(weights, beta, None), chip))
    x, y = np.tile(X, (repeats, 1)), np.tile(Y, (repeats, 1))
    run = present(emulator, x, y, symmetric=symmetric, seed=seed)
    # Snapshots are from before the tags are moved.
    tags = {name: run.recordings[name]["tags"].sum(axis=0) / repeats for name in PLASTIC}
    return flat(tags)


def flat(tables: dict[str, np.ndarray]) -> np.ndarray:
    """Return values of all synapses in the order of `gradient`; of both directions the mean."""
    both = (tables["hidden->out"] + tables["out->hidden"].T) / 2
    parts = (tables["in->hidden"], tables["bias->hidden"]), (both, tables["bias->out"])
    return np.concatenate([np.concatenate(pair, axis=1).ravel() for pair in parts])
