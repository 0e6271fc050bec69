"""Features of handwritten digits that neurons find without labels, by plasticity on an emulated Loihi 2.

    python programs/stdp_digits.py                          # 8 x 8 pixels, of scikit-learn
    python programs/stdp_digits.py --mnist mnist.npz --picture docs/stdp_digits.svg

After Diehl & Cook 2015, "Unsupervised learning of digit recognition using spike-timing-dependent plasticity",
Frontiers in Computational Neuroscience 9:99. Pixels fire at the rate of their grey level; each neuron inhibits all
others; a spike raises the neuron's own threshold for long (programs/feature_neuron.nasm). An image takes one epoch of the rule

    dw = 2^-1*x1*y0 - 2^-5*w*y0

which moves the weights of a neuron that fired towards the traces that its pixels had left by then: they find the mean
of the images that the neuron wins, and need no bounds. Labels are read after that, and only those of training images:
a neuron stands for the digit for which it fires most. Then thresholds and weights are frozen, and test images shown.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).parent))
from digits_data import load_split  # after its folder is on the path

from emulator import Emulator, Network, Program, Rule, Run, Trace, compile_network, load_chip
from emulator.cli.progress import progress_bar

CHIP = load_chip("loihi2")
NEURON = str(Path(__file__).with_name("feature_neuron.nasm"))
FRACTION = 256  # thresholds have 8 fraction bits
BATCH = 250  # images in one run
STREAMS = {"weights": 0, "order": 1, "learning": 2, "naming": 3, "test": 4}
"""Of random numbers, each its own."""

Grey = NDArray[np.float32]
Counts = NDArray[np.int32]
"""Spikes of each neuron in each image, (n_images, n_cells)."""


class Images(NamedTuple):
    """Grey levels (n, n_pixels), none negative, and the digits that they show."""

    train: Grey
    test: Grey
    train_labels: NDArray[np.int64]
    test_labels: NDArray[np.int64]


@dataclass(frozen=True)
class Settings:
    """How images are shown, and how neurons learn.

    Attributes
    ----------
    n_cells : int
        Neurons.
    passes : int
        How often all training images are shown.
    gain : float
        Spikes in a step of a pixel, for a grey level of 1 in an image whose grey levels have a Euclidean norm of 1.
    rule : str
        What is added to the weights.
    x1 : Trace
        What spikes of pixels leave.
    shown, silent : int
        Steps in which an image is shown, and of silence behind it: together an epoch of the rule.
    first_weight : int
        Weights begin at random below this.
    threshold : float
        Where thresholds begin, in units of weights.
    up : tuple of float
        What a spike adds to the threshold, with the first and with the last image; geometric in between.
    spikes : float
        Spikes per image, of all neurons, at which thresholds are in balance.
    sensitivity : float
        Part of its threshold at which a neuron fires after learning, so that more than one have a say.
    n_named : int
        Training images whose labels say what neurons stand for.
    accuracy : float
        What is asked of the test images.
    seed : int
        Of first weights, order and phases.
    """

    n_cells: int
    passes: int
    gain: float
    rule: str
    x1: Trace
    shown: int
    silent: int
    first_weight: int
    threshold: float
    up: tuple[float, float]
    spikes: float
    sensitivity: float
    n_named: int
    accuracy: float
    seed: int = 1

    @property
    def epoch(self) -> int:
        """Steps of one image."""
        return self.shown + self.silent


MNIST = Settings(
    n_cells=400, passes=1, gain=1.0, rule="2^-1*x1*y0 - 2^-5*w*y0", x1=Trace(12, 10), shown=48, silent=8,
    first_weight=120, threshold=30_000, up=(3000, 300), spikes=1.5, sensitivity=0.45, n_named=20_000, accuracy=0.85,
)  # fmt: skip
DIGITS = replace(
    MNIST,
    n_cells=100,
    passes=5,
    gain=1.5,
    rule="2^-2*x1*y0 - 2^-5*w*y0",
    threshold=9000,
    up=(900, 90),
    sensitivity=0.6,
    accuracy=0.8,
)


def pixel_spikes(
    images: Grey, settings: Settings, random: np.random.Generator
) -> NDArray[np.bool_]:
    """Return spikes (n * epoch, n_pixels), evenly spaced from a random phase on; each image as bright as any other."""
    norm = np.linalg.norm(images, axis=1, keepdims=True)
    rates = np.minimum(settings.gain * images / np.maximum(norm, 1e-9), 1)[:, None]
    phase = random.random(rates.shape, dtype=np.float32)
    passed = np.floor(rates * np.arange(settings.shown + 1, dtype=np.float32)[:, None] + phase)
    fired = np.zeros((len(images), settings.epoch, images.shape[1]), bool)
    fired[:, : settings.shown] = np.diff(passed, axis=1) > 0
    return fired.reshape(-1, images.shape[1])


def new_program(n_pixels: int, settings: Settings) -> Program:
    """Return pixels, neurons with random weights that learn, and inhibition of each neuron by every other."""
    n, net = settings.n_cells, Network("stdp_digits")
    pixels = net.input("pixels", n_pixels)
    cells = net.population("cells", n, model=NEURON, threshold=round(settings.threshold * FRACTION))
    random = np.random.default_rng((settings.seed, STREAMS["weights"]))
    rule = Rule(dw=settings.rule, x1=settings.x1, epoch=settings.epoch)
    net.connect(
        pixels, cells, weights=random.integers(0, settings.first_weight, (n, n_pixels)), weight_exp=-6,
        sign_mode="exc", learning=rule, name="features",
    )  # fmt: skip
    pre, post = np.nonzero(~np.eye(n, dtype=bool))
    net.connect(
        cells,
        cells,
        weights=(pre, post, np.full(len(pre), -255)),
        weight_exp=1,
        sign_mode="inh",
        name="inhibition",
    )
    return compile_network(net, CHIP)


def show(
    emulator: Emulator,
    images: Grey,
    settings: Settings,
    stream: int,
    prepare: Callable[[int], None] = lambda done: None,
) -> Iterator[tuple[Counts, Run]]:
    """Show images in batches; yield the spikes of each image and the run, of which the last is timed.

    `prepare` is called before each batch with the number of images shown.
    """
    random = np.random.default_rng((settings.seed, stream))
    for first in range(0, len(images), BATCH):
        part = images[first : first + BATCH]
        prepare(first)
        run = emulator.run(
            len(part) * settings.epoch,
            {"pixels": pixel_spikes(part, settings, random)},
            timing="cycle" if first + BATCH >= len(images) else "off",
            seed=settings.seed,
        )
        counts = np.zeros((len(part), settings.n_cells), np.int32)
        step, neuron = run.spikes["cells"].T
        np.add.at(counts, (step // settings.epoch, neuron), 1)
        yield counts, run


class Trained(NamedTuple):
    """What learning left: a program that learns no more, the thresholds, the last run and its spikes."""

    program: Program
    thresholds: NDArray[np.int32]
    run: Run
    counts: Counts


def learn(
    images: Grey,
    settings: Settings,
    watch: Callable[[int, Trained], None] = lambda seen, trained: None,
    *,
    plastic: bool = True,
) -> Trained:
    """Show training images while weights and thresholds change; no label is known here.

    Parameters
    ----------
    images : ndarray
        Grey levels (n, n_pixels).
    settings : Settings
        How they are shown, and what is learned.
    watch : callable
        Given the number of images seen and what was learned so far, after each batch.
    plastic : bool
        Whether weights learn; thresholds do in any case.
    """
    program = new_program(images.shape[1], settings)
    if not plastic:
        program = Emulator(CHIP, program).run(0).trained()
    emulator = Emulator(CHIP, program)
    random = np.random.default_rng((settings.seed, STREAMS["order"]))
    order = np.concatenate([random.permutation(len(images)) for _ in range(settings.passes)])
    seen, (first, last) = 0, settings.up

    def set_step(done: int) -> None:
        up = FRACTION * first * (last / first) ** (done / len(order))
        emulator.write("cells", "up", round(up))
        # In balance a neuron fires `spikes / n_cells` times in `shown` steps.
        down = up * settings.spikes / settings.n_cells / settings.shown
        emulator.write("cells", "down", max(1, round(down)))

    for counts, run in show(emulator, images[order], settings, STREAMS["learning"], set_step):
        seen += len(counts)
        trained = Trained(run.trained(), emulator.read("cells", "threshold"), run, counts)
        watch(seen, trained)
    return trained


def respond(trained: Trained, images: Grey, settings: Settings, stream: int) -> tuple[Counts, Run]:
    """Show images with weights and thresholds frozen; return the spikes of each image and the last run."""
    emulator = Emulator(CHIP, trained.program)
    frozen = np.maximum(FRACTION, trained.thresholds * settings.sensitivity)
    emulator.write("cells", "threshold", frozen.astype(np.int64))
    emulator.write("cells", "up", 0)
    emulator.write("cells", "down", 0)
    shown = list(show(emulator, images, settings, stream))
    assert np.array_equal(emulator.read("cells", "threshold"), frozen.astype(np.int64))
    return np.concatenate([counts for counts, _ in shown]), shown[-1][1]


def named(counts: Counts, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the digit (n_cells,) for whose images each neuron fires most, on average."""
    rates = np.zeros((10, counts.shape[1]))
    np.add.at(rates, labels, counts)
    return np.argmax(rates / np.maximum(np.bincount(labels, minlength=10), 1)[:, None], axis=0)


def decide(counts: Counts, digit_of: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the digit (n_images,) for which most spikes are; -1 where there is none."""
    votes = np.stack([counts[:, digit_of == digit].sum(axis=1) for digit in range(10)], axis=1)
    return np.where(votes.any(axis=1), np.argmax(votes, axis=1), -1)


class Tested(NamedTuple):
    """What test images were taken for: digits, spikes of each neuron, the last run, and the digits of neurons."""

    digits: NDArray[np.int64]
    counts: Counts
    run: Run
    digit_of: NDArray[np.int64]


def classify(
    trained: Trained, data: Images, settings: Settings, n_test: int | None = None
) -> Tested:
    """Let the labels of training images name the neurons, and the neurons the test images."""
    n = settings.n_named
    heard, _ = respond(trained, data.train[:n], settings, STREAMS["naming"])
    digit_of = named(heard, data.train_labels[:n])
    counts, run = respond(trained, data.test[:n_test], settings, STREAMS["test"])
    return Tested(decide(counts, digit_of), counts, run, digit_of)


def load_mnist(path: Path) -> Images:
    """Return the images of a file with train_images (n, 28, 28), train_labels, test_images and test_labels."""
    with np.load(path) as file:
        train, test = (
            file[name].reshape(len(file[name]), -1).astype(np.float32)
            for name in ("train_images", "test_images")
        )
        labels = (file[name].astype(np.int64) for name in ("train_labels", "test_labels"))
        return Images(train, test, *labels)


def load_small() -> Images:
    """Return the digits of scikit-learn: 1,347 to train with, 450 to test with."""
    split = load_split()
    train, test = (x.astype(np.float32) for x in (split.train_images, split.test_images))
    return Images(train, test, split.train_labels, split.test_labels)


def report(what: str, run: Run, counts: Counts, settings: Settings) -> None:
    """Print what an image of a run cost, by counting."""
    n, events, energy = run.n_steps // settings.epoch, run.counters.total, run.energy()
    nanojoules = {event: float(pj) / n / 1000 for event, pj in energy.by("event").items() if pj}
    parts = sorted(nanojoules.items(), key=lambda part: -part[1])[:4]
    assert run.timing is not None  # the last run of `show` is timed
    print(
        f"{what}: {float(run.timing.seconds) / n * 1e6:.1f} us an image ({settings.epoch} steps) on the chip, "
        f"{run.spikes.counts()['pixels'] / n:.1f} spikes of pixels and {counts[-n:].sum() / n:.2f} of neurons, "
        f"{events('synaptic_event') / n:,.0f} synaptic events, {run.visits('features').sum() / n:,.0f} plastic visits,\n"
        f"  {float(energy.total_pj) / n / 1000:,.1f} nJ an image: "
        + ", ".join(f"{event} {part:,.1f}" for event, part in parts)
    )


def check(lines: list[tuple[str, str, float, float]]) -> None:
    """Print what was asked and what was measured, and stop where they do not agree."""
    for what, sign, asked, measured in lines:
        print(f"{what}: asked {sign} {asked:g}, measured {measured:g}")
    for what, sign, asked, measured in lines:
        assert measured >= asked if sign == ">=" else measured <= asked, what


def draw(
    path: Path,
    trained: Trained,
    tested: Tested,
    truth: NDArray[np.int64],
    curve: list[tuple[int, float]],
) -> None:
    """Draw the weights of neurons, the accuracy over images seen, and which digits were taken for which."""
    import matplotlib as mpl  # noqa: PLC0415  # an extra, and slow to import

    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "stdp_digits"
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplot_mosaic(
        [["fields", "curve"], ["fields", "taken"]],
        figsize=(11, 6.6),
        width_ratios=(1.6, 1),
        layout="constrained",
    )
    weights = Emulator(CHIP, trained.program).weights("features")
    order = np.argsort(tested.digit_of, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(len(order), 225)).round().astype(int)]
    side, across = round(weights.shape[1] ** 0.5), int(len(chosen) ** 0.5)
    fields = weights[chosen[: across**2]].reshape(across, across, side, side)
    framed = np.pad(fields, [(0, 0), (0, 0), (1, 0), (1, 0)], constant_values=100).swapaxes(1, 2)
    axes["fields"].imshow(framed.reshape(across * (side + 1), -1), cmap="gray_r")
    axes["fields"].set_axis_off()
    axes["fields"].set_title(
        f"weights of {across**2} of {len(weights)} neurons, by the digit they stand for"
    )
    seen, right = zip(*curve, strict=True)
    axes["curve"].semilogx(seen, 100 * np.array(right), "o-", color="tab:blue", markersize=4)
    axes["curve"].set(xlabel="images seen", ylabel="test images right (%)")
    axes["curve"].grid(alpha=0.3)
    table = np.zeros((10, 10), int)
    heard = tested.digits >= 0
    np.add.at(table, (truth[heard], tested.digits[heard]), 1)
    share = table / table.sum(axis=1, keepdims=True)
    axes["taken"].imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(table):
        colour = "white" if share[row, column] > 0.5 else "black"
        axes["taken"].text(
            column, row, table[row, column], ha="center", va="center", fontsize=5.5, color=colour
        )
    axes["taken"].set(xticks=range(10), yticks=range(10), xlabel="taken for", ylabel="digit")
    axes["taken"].set_title(
        f"{np.mean(tested.digits == truth):.1%} of {len(truth):,} test images right", fontsize=9
    )
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    """Learn, name the neurons, classify test images, and hold the result to what is asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--digits", action="store_true", help="8 x 8 pixels, of scikit-learn (the default)"
    )
    which.add_argument("--mnist", type=Path, metavar="FILE.npz", help="28 x 28 pixels")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE.svg", help="draw weights, accuracy, confusion matrix"
    )
    given = parser.parse_args()
    if given.mnist and not given.mnist.is_file():
        parser.error(f"there is no file {given.mnist}")
    data, settings = (load_mnist(given.mnist), MNIST) if given.mnist else (load_small(), DIGITS)

    curve: list[tuple[int, float]] = []
    n_shown, started = len(data.train) * settings.passes, perf_counter()
    marks = [n_shown, *(BATCH << k for k in range(n_shown.bit_length()))] if given.picture else []
    few = replace(settings, n_named=min(settings.n_named, 5000))
    with progress_bar("learning", n_shown) as progress:

        def watch(seen: int, trained: Trained) -> None:
            progress(seen)
            if seen in marks:
                right = classify(trained, data, few, 2000).digits == data.test_labels[:2000]
                curve.append((seen, float(np.mean(right))))

        trained = learn(data.train, settings, watch)
    tested = classify(trained, data, settings)
    untrained = learn(data.train[:5000], few, plastic=False)
    random = classify(untrained, data, few)

    print(
        f"{settings.n_cells} neurons, {n_shown:,} images shown, {perf_counter() - started:.0f} s of emulation"
    )
    report("learning", trained.run, trained.counts, settings)
    report("inference", tested.run, tested.counts, settings)
    if given.picture:
        draw(given.picture, trained, tested, data.test_labels, curve)
    right, by_chance = (
        float(np.mean(found.digits == data.test_labels)) for found in (tested, random)
    )
    visits = int(trained.run.visits("features").sum())
    counted = trained.run.counters.total("learning_instruction")
    check(
        [
            (
                f"part of {len(data.test):,} test images that are right",
                ">=",
                settings.accuracy,
                right,
            ),
            ("the same with weights that do not learn", "<=", right - 0.1, by_chance),
            (
                "part of test images for which no neuron fires",
                "<=",
                0.01,
                float(np.mean(tested.digits < 0)),
            ),
            ("learning instructions for each plastic visit", "<=", 4, counted / visits),
            ("plastic visits after learning", "<=", 0, float(tested.run.visits("features").sum())),
        ]
    )


if __name__ == "__main__":
    main()
