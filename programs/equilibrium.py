"""Equilibrium propagation on the chip: two phases of a recurrent network, whose difference follows the gradient.

`python programs/equilibrium.py docs/equilibrium.svg` measures the update's direction, learns XOR, and draws both.

A network with symmetric weights settles with its input (free phase), and again with its outputs drawn toward the target
by a force beta * (target - output) (nudged phase). Each synapse learns from what it sees of both, the products of rates
in the nudged phase minus those in the free one; for small beta that is the gradient of the squared error. Source:
Scellier & Bengio 2017, "Equilibrium propagation", Frontiers in Computational Neuroscience 11:24, sections 2 and 3. Two
nudged phases, toward the target and away from it, have less bias: Laborieux et al. 2021, Frontiers in Neuroscience 15.

On the chip: rates are counts of spikes, by traces that do not decay; each phase begins with a reset. A reward r0 of
-127 or 127 at the end of a phase adds the product of two counts to the tag, and r1 moves the tag to the weight.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emulator import Emulator, Network, Rule, Run, Trace, compile_network, load_chip

ONE = 64
"""Mantissa of a weight of 1."""
TAU = 8
"""Steps in which a current follows its input."""
SPACING = 3
"""A rate of 1 is a spike every so many steps."""
PHASE = SPACING * 127
"""Steps of a phase: counts have 7 bits."""
REWARD, MOVE = 127, 64
THRESHOLD = 64 * ONE * TAU
MODEL = str(Path(__file__).with_name("rate_unit.nasm"))
CONTRAST = "7*2^-5*x1*y1*r0*u0 - t*r1*u0"
COUNT = Trace(impulse=1, tau=np.inf)
PRODUCT = (7 * REWARD / 2**11) * 2**-5 * 127**2
"""What a product of rates of 1 adds to a tag."""
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


def equilibrium(
    real: list[np.ndarray], x: np.ndarray, y: np.ndarray | None = None, beta: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rates (n, n_hidden), (n, n_out) at which the network settles, in floating point."""
    hidden, out = real
    h, o = np.full((len(x), len(hidden)), 0.5), np.full((len(x), len(out)), 0.5)
    drive = with_one(x) @ hidden.T
    for _ in range(3000):
        force = 0.0 if y is None else beta * (y - o)
        change_h = np.clip(drive + o @ out[:, :-1], 0, 1) - h
        change_o = np.clip(with_one(h) @ out.T + force, 0, 1) - o
        h, o = h + 0.3 * change_h, o + 0.3 * change_o
        if max(np.abs(change_h).max(), np.abs(change_o).max()) < 1e-11:
            break
    return h, o


def with_one(rates: np.ndarray) -> np.ndarray:
    """Return rates with that of the bias behind them."""
    return np.concatenate([rates, np.ones((len(rates), 1))], axis=1)


def gradient(weights: Weights, x: np.ndarray, y: np.ndarray, by: float = 1e-4) -> np.ndarray:
    """Return the gradient of half the squared error by all weights, flat, by differences of settled networks."""
    slopes = []
    for k, part in enumerate(weights.real):
        for place in np.ndindex(*part.shape):
            losses = []
            for step in (by, -by):
                changed = weights.real
                changed[k][place] += step
                losses.append(((y - equilibrium(changed, x)[1]) ** 2).sum() / 2)
            slopes.append((losses[0] - losses[1]) / (2 * by))
    return np.array(slopes)


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


def angle(a: np.ndarray, b: np.ndarray) -> float:
    """Return the angle between two vectors, in degrees."""
    return float(np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))))


@dataclass(frozen=True)
class Training:
    """How XOR was learned.

    Attributes
    ----------
    loss : (n_epochs,) float
        Half the squared error, the mean of the four samples, while it learned.
    outputs : (n, 2) float
        What the trained program, which learns no more, answers to each sample of `X`, again and again.
    correlation : float
        Of the weights from hidden to output with those back.
    """

    loss: np.ndarray
    outputs: np.ndarray
    correlation: float

    @property
    def accuracy(self) -> float:
        """Part of the trained program's answers that are right."""
        wanted = np.resize(Y, self.outputs.shape)
        return float((self.outputs.argmax(axis=1) == wanted.argmax(axis=1)).mean())

    @property
    def final_loss(self) -> float:
        """Half the squared error of the trained program."""
        wanted = np.resize(Y, self.outputs.shape)
        return float(((wanted - self.outputs) ** 2).sum(axis=1).mean() / 2)


def train(n_epochs: int, beta: float = 0.125, rate_shift: int = 3, seed: int = 1) -> Training:
    """Learn XOR on the chip, then ask the trained program with both nudges off."""
    chip = load_chip("loihi2")
    emulator = Emulator(
        chip, compile_network(network(Weights.random(seed), beta, rate_shift), chip)
    )
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(len(X)) for _ in range(n_epochs)])
    run = present(emulator, X[order], Y[order], symmetric=True, seed=seed)
    # Half way between both nudges, the output is the free one but for terms of beta squared.
    error = Y[order] - measured(run, "out").mean(axis=1)
    forward, back = run.weights("hidden->out"), run.weights("out->hidden").T
    n_asked = 10
    asked = stimuli(np.tile(X, (n_asked, 1)), np.tile(Y, (n_asked, 1)), ((1, 1), (1, 1)), seed + 1)
    trained = Emulator(chip, run.trained()).run(
        2 * PHASE * len(X) * n_asked, asked, timing="off", reset_every=PHASE
    )
    return Training(
        loss=(error**2).sum(axis=1).reshape(n_epochs, -1).mean(axis=1) / 2,
        outputs=measured(trained, "out").mean(axis=1),
        correlation=float(np.corrcoef(forward.ravel(), back.ravel())[0, 1]),
    )


def draw(path: Path, angles: dict[str, np.ndarray], training: Training) -> None:
    """Draw angles, rates against those of the settled network, and the loss."""
    import matplotlib as mpl  # noqa: PLC0415  # an extra, and slow to import

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "equilibrium"
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    for k, (design, found) in enumerate(angles.items()):
        left.bar(np.arange(len(found)) + 0.4 * k - 0.2, found, 0.36, label=design)
    left.axhline(20, color="black", linestyle=":")
    left.set(
        xlabel="random weights", ylabel="degrees", title="angle to the true gradient", ylim=(0, 40)
    )
    left.legend(fontsize=8)
    for phase, (name, chip, model) in enumerate(rates(Weights.random(1), beta=0.25)):
        middle.scatter(model, chip, 9, marker="ox"[phase], label=name)
    middle.plot([0, 1], [0, 1], color="lightgrey", zorder=0)
    middle.set(
        xlabel="rate, settled network", ylabel="rate on the chip", title="rates of all units"
    )
    middle.legend(fontsize=8)
    right.semilogy(training.loss, color="tab:blue")
    right.set(
        xlabel="epoch",
        ylabel="half the squared error",
        title=f"XOR: {100 * training.accuracy:.0f} % at the end",
    )
    figure.savefig(path, metadata={"Date": None})


def rates(weights: Weights, beta: float) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return of the free and the nudged phase: rates on the chip, and in the settled network, of hidden and output."""
    chip = load_chip("loihi2")
    emulator = Emulator(chip, compile_network(network(weights, beta, None), chip))
    run = present(emulator, X, Y, symmetric=False)
    on_chip = np.concatenate([measured(run, "hidden"), measured(run, "out")], axis=2)
    found = []
    for phase, (name, force) in enumerate((("free", 0.0), ("nudged", beta))):
        model = np.concatenate(equilibrium(weights.real, X, Y, force), axis=1)
        found.append((name, on_chip[:, phase], model))
    return found


DESIGNS = {"away, toward: beta 1/8": (0.125, True), "free, toward: beta 1/4": (0.25, False)}


def measured_angles(n_settings: int, repeats: int) -> dict[str, np.ndarray]:
    """Return by design the angle between the chip's update and the way down the gradient, for some random weights."""
    found: dict[str, np.ndarray] = {}
    for design, (beta, symmetric) in DESIGNS.items():
        each = []
        for seed in range(n_settings):
            weights = Weights.random(seed)
            update = contrast(weights, beta, symmetric=symmetric, repeats=repeats)
            each.append(angle(update, -gradient(weights, X, Y)))
        found[design] = np.array(each)
    return found


def main() -> None:
    """Measure directions, learn XOR; exit with 1 where something that was asked does not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("picture", nargs="?", type=Path, help="where to draw, *.svg")
    parser.add_argument("--settings", type=int, default=6, help="random weights to measure")
    parser.add_argument(
        "--repeats", type=int, default=64, help="of each sample, over which updates are averaged"
    )
    parser.add_argument("--epochs", type=int, default=150)
    options = parser.parse_args()
    angles = measured_angles(options.settings, options.repeats)
    two_sided, one_sided = angles.values()
    training = train(options.epochs)
    largest = max(
        float(np.abs(chip - model).max()) for _, chip, model in rates(Weights.random(1), 0.25)
    )
    found = [
        (
            "free and nudged rates are those of the settled network, within 0.03",
            largest < 0.03,
            f"{largest:.3f}",
        ),
        (
            "away and toward: each within 20 degrees of the gradient",
            two_sided.max() < 20,
            shown(two_sided),
        ),
        ("free and toward: 20 degrees on the average", one_sided.mean() < 20, shown(one_sided)),
        (
            "XOR: every answer of the trained program is right",
            training.accuracy == 1,
            f"{training.accuracy:.3f}",
        ),
        (
            "its loss is below 0.02, from 0.1 of constant answers",
            training.final_loss < 0.02,
            f"{training.final_loss:.4f}",
        ),
        (
            "weights there and back stay alike, correlation 0.7",
            training.correlation > 0.7,
            f"{training.correlation:.2f}",
        ),
    ]
    for asked, holds, what in found:
        print(f"{'holds' if holds else 'FAILS'}  {asked}: {what}")
    if options.picture:
        draw(options.picture, angles, training)
    if not all(holds for _, holds, _ in found):
        sys.exit(1)


def shown(angles: np.ndarray) -> str:
    """Return angles as text."""
    return ", ".join(f"{one:.1f}" for one in angles)


if __name__ == "__main__":
    main()
