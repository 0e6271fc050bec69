"""Learning to generate a pattern by e-prop, on an emulated Loihi 2: eligibility traces times a broadcast signal.

`python programs/e_prop.py docs` trains, checks and draws in a minute or two; `--quick` takes seconds. Rule and task are
those of Bellec et al. 2020, "A solution to the learning dilemma for recurrent networks of spiking neurons", Nature
Communications 11:3625 (random e-prop): a recurrent network gets the same input spikes in every trial and learns to make
its readout follow a sum of sinusoids of 1, 2, 3 and 5 Hz for a second. The loss is the mean squared error over a trial.

Everything that learns is on the chip. The tag of a synapse is its eligibility, filtered as the readout filters spikes:
presynaptic trace x1 times the pseudo-derivative, which the neuron's program supplies as y1. The readout compares itself
with the target, which comes as the payload of an input spike, and broadcasts its error as a graded spike through fixed
random weights. What arrives is the learning signal; its positive and negative parts are y2 and y3. From outside come
inputs and target, and the gains of signal and error, which are halved after each third of the trials.

What departs from the paper. One output, 100 neurons without refractory period; tau 21 ms for membranes, 32 ms for the
readout. Weights change within a trial, by plain gradient descent, in every 32nd step (readout: 16th), and not by Adam
after it: a product of tag and signal loses its lowest five bits in the engine, so few large steps lose less than many
small ones. Traces and factors have 7 bits; tags and weights have 9, rounded at random. The learning signal is two steps
late, as spikes take time; a part of it pulls each neuron's own running rate towards 15 Hz. Tags are not reset between
trials, as neurons are: they decay with the readout's 32 steps.

How far the loss falls depends on task and weights: 35, 38, 23 and 10.5 times with seeds 1 to 4.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parent))
from program_tools import need_to_draw, pyplot, run_script, save_picture

from emulator import Emulator, Network, Rule, Run, Trace, compile_network, load_chip

HERE = Path(__file__).parent
N_STEPS = 1000  # of a trial, 1 ms each
N_INPUTS, N_CELLS = 50, 100
INPUT_RATE = 0.05  # spikes a step
FREQUENCIES_HZ = (1, 2, 3, 5)
AMPLITUDE = 400  # standard deviation of the target, in units of a weight
THRESHOLD = 508
KEEP = 1 - 3 / 64  # of membranes, a step
KEEP_READOUT = 1 - 2 / 64
SPREAD_IN, SPREAD_CELLS, SPREAD_OUT, SPREAD_BACK = 60, 40, 10, 12  # of weights at first
GAINS = 512, 4096, 4
"""At first: how fast recurrent neurons and readout learn, and how firmly neurons hold their rate."""
IMPULSE = 32

ELIGIBILITY = Rule(
    # A spike of this step has not arrived yet, so what it adds to x1 is taken back.
    dt="2*2^-7*x1*y1*u0 - 2^-4*y1*x0 - 2^-5*t*u0",
    dw="2^-7*t*y3*u5 - 2^-7*t*y2*u5",
    x1=Trace(IMPULSE, -1 / np.log(KEEP)),
    y1="psi",
    y2="plus",
    y3="minus",
)
READOUT = Rule(
    dw="2^-7*x1*y3*u4 - 2^-7*x1*y2*u4",
    x1=Trace(2 * IMPULSE, -1 / np.log(KEEP_READOUT)),
    y2="plus",
    y3="minus",
)
NOTHING = Rule(dw="0*u0")


@dataclass(frozen=True, eq=False)
class Task:
    """What comes from outside, the same in every trial."""

    inputs: dict[str, np.ndarray]
    target: np.ndarray  # (N_STEPS,)
    rng: np.random.Generator

    def loss(self, run: Run) -> float:
        """Return the mean squared error of the readout over a trial, in units of the target's variance."""
        return float(np.mean((output(run) - self.target[:-1]) ** 2) / AMPLITUDE**2)


def output(run: Run) -> np.ndarray:
    """Return what the readout was when it was compared with the target of each step but the last."""
    y: np.ndarray = run.recordings["out"]["y"][1:, 0]
    return y


def make_task(seed: int) -> Task:
    """Return input spikes and a target."""
    rng, t = np.random.default_rng(seed), np.arange(N_STEPS)
    sines = [
        rng.uniform(0.5, 2) * np.sin(2 * np.pi * f * t / 1000 + rng.uniform(0, 2 * np.pi))
        for f in FREQUENCIES_HZ
    ]
    target = np.sum(sines, axis=0)
    target = np.rint(target * AMPLITUDE / target.std()).astype(int)
    graded = np.stack([t, 0 * t, target], axis=1)
    return Task({"in": rng.random((N_STEPS, N_INPUTS)) < INPUT_RATE, "target": graded}, target, rng)


def make_network(rng: np.random.Generator, *, recurrent_learns: bool) -> Network:
    """Return the untrained network, with all gains 0."""

    def draw(spread: float, *shape: int, most: int = 254) -> np.ndarray:
        return np.clip(2 * np.rint(rng.normal(0, spread / 2, shape)), -most, most).astype(int)

    net = Network("e_prop")
    source, target = net.input("in", N_INPUTS), net.input("target", 1, payload_bits=12)
    cells = net.population(
        "cells", N_CELLS, model=str(HERE / "e_prop_neuron.nasm"), keep=round(4096 * KEEP), threshold=THRESHOLD
    )  # fmt: skip
    out = net.population(
        "out", 1, model=str(HERE / "e_prop_readout.nasm"), keep=round(4096 * KEEP_READOUT)
    )
    rule = ELIGIBILITY if recurrent_learns else NOTHING
    others = np.nonzero(~np.eye(N_CELLS, dtype=bool))
    values = draw(SPREAD_CELLS, len(others[0]))
    first = draw(SPREAD_IN, N_CELLS, N_INPUTS)
    net.connect(source, cells, weights=first, weight_exp=-6, learning=rule)
    net.connect(cells, cells, weights=(*others, values), weight_exp=-6, learning=rule)
    last = draw(SPREAD_OUT, 1, N_CELLS)
    net.connect(cells, out, weights=last, weight_exp=-6, learning=READOUT)
    net.connect(target, out, weights=[[8]], weight_exp=7)  # payload * 2**16
    net.connect(out, cells, weights=draw(SPREAD_BACK, N_CELLS, 1, most=30), weight_exp=7)
    net.probe(out, "y", "error")
    net.probe(cells, "v")
    return net


class Learner:
    """A chip with the network, and what it has learned.

    Parameters
    ----------
    seed : int
        Of the task, the weights, and rounding.
    recurrent_learns : bool
        Whether only the readout learns otherwise.
    """

    def __init__(self, seed: int = 1, *, recurrent_learns: bool = True) -> None:
        self.task, self.seed = make_task(seed), seed
        net = make_network(self.task.rng, recurrent_learns=recurrent_learns)
        self.chip = load_chip("loihi2")
        self.emulator = Emulator(self.chip, compile_network(net, self.chip))

    def learn_at(self, part: float) -> None:
        """Set all gains to a part of their first values."""
        names = (("cells", "gain"), ("out", "gain"), ("cells", "hold"))
        for (population, word), gain in zip(names, GAINS, strict=True):
            self.emulator.write(population, word, round(part * gain))

    def trial(self, emulator: Emulator | None = None, **options: Any) -> Run:
        """Run one trial on the learner's chip, or on another; neurons begin at rest."""
        options = {"timing": "off", "seed": self.seed, "reset_every": N_STEPS} | options
        return (emulator or self.emulator).run(N_STEPS, self.task.inputs, **options)

    def train(self, n_trials: int) -> tuple[np.ndarray, Run, Run]:
        """Learn; return the loss of each trial, the last trial, and one of the trained program, without learning."""
        losses = np.empty(n_trials)
        for k in range(n_trials):
            self.learn_at(2.0 ** -(3 * k // n_trials))
            last = self.trial(timing="cycle" if k == n_trials - 1 else "off")
            losses[k] = self.task.loss(last)
        return losses, last, self.trial(Emulator(self.chip, last.trained()))


def raster(run: Run, population: str) -> np.ndarray:
    """Return the spikes of a population as a bool array (steps, neurons)."""
    size = N_INPUTS if population == "in" else N_CELLS
    fired = np.zeros((N_STEPS, size), bool)
    fired[tuple(run.spikes[population].T)] = True
    return fired


def reference(run: Run, source: str, every: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what e-prop computes in floating-point numbers from spikes and membranes of a trial on the chip.

    Returns
    -------
    eligibilities : (n, post, pre) ndarray
        Of synapses from a population, filtered by the readout's time constant, after every so many steps.
    update : (post, pre) ndarray
        The sum over all steps of minus learning signal times eligibility.
    """
    arrives, fired = raster(run, source).astype(float), raster(run, "cells")
    v = run.recordings["cells"]["v"] + THRESHOLD * fired  # before the reset
    psi = np.maximum(0, 1 - np.abs(v - THRESHOLD) / THRESHOLD)
    signal = run.recordings["out"]["error"] @ run.learned.matrix("out->cells", "weights").T
    trace = np.zeros(arrives.shape[1])
    exists = 1 - np.eye(N_CELLS) if source == "cells" else np.ones((N_CELLS, N_INPUTS))
    filtered, kept, update = 0 * exists, [], 0 * exists
    for t in range(N_STEPS):
        filtered = KEEP_READOUT * filtered + psi[t][:, None] * trace * exists
        trace = KEEP * trace + arrives[t]
        update -= signal[t][:, None] * filtered
        if (t + 1) % every == 0:
            kept.append(filtered)
    return np.array(kept), update


def check_rule(seed: int, every: int = 20) -> dict[str, tuple[float, float]]:
    """Hold one trial's tags and weights against floating-point e-prop.

    Returns
    -------
    dict of str to tuple of float
        By presynaptic population: the correlation of tags and eligibilities, and the cosine between what the weights
        changed by and the update of e-prop.
    """
    learner, found = Learner(seed), {}
    learner.emulator.write("cells", "gain", GAINS[0])
    sources = ("in", "cells")
    before = {s: learner.emulator.weights(f"{s}->cells") for s in sources}
    run = learner.trial(weights_every=every)
    for source in sources:
        eligibilities, update = reference(run, source, every)
        tags = run.recordings[f"{source}->cells"]["tags"]
        change = run.learned.matrix(f"{source}->cells", "weights") - before[source]
        r = float(np.corrcoef(tags.ravel(), eligibilities.ravel())[0, 1])
        cosine = np.sum(change * update) / np.linalg.norm(change) / np.linalg.norm(update)
        found[source] = r, float(cosine)
    return found


def draw(path: Path, task: Task, before: Run, after: Run, curves: dict[str, np.ndarray]) -> None:
    """Draw target and outputs, spikes, and the loss."""
    plt = pyplot("e-prop")
    figure, axes = plt.subplots(2, 2, figsize=(10, 6), layout="constrained")
    for ax, run, title in zip(axes[0], (before, after), ("untrained", "trained"), strict=True):
        ax.plot(task.target[:-1], color="black", linewidth=1, label="target")
        ax.plot(output(run), color="tab:blue", linewidth=1, label="readout")
        ax.set_title(f"{title}: loss {task.loss(run):.3f}", fontsize=10)
        ax.set_xlabel("step")
    axes[0, 0].set_ylabel("y (units of a weight)")
    axes[0, 0].sharey(axes[0, 1])
    axes[0, 1].legend(fontsize=8)
    for name, losses in curves.items():
        axes[1, 0].semilogy(np.arange(1, len(losses) + 1), losses, linewidth=1, label=name)
    axes[1, 0].set(xlabel="trial", ylabel="loss (variances of the target)")
    axes[1, 0].legend(fontsize=8)
    axes[1, 1].plot(*run.spikes["cells"].T, "|", color="black", markersize=2)
    axes[1, 1].set_title(f"spikes of {N_CELLS} neurons, trained", fontsize=10)
    axes[1, 1].set(xlabel="step", ylabel="neuron")
    save_picture(figure, path)


def report_costs(learning: Run, trained: Run) -> None:
    """Print what a trial takes, with learning and without."""
    assert learning.timing is not None
    energy = learning.energy()
    events = {name: float(pj) * 1e-6 for name, pj in energy.by("event").items()}
    n_visits = sum(int(learning.visits(f"{s}->cells").sum()) for s in ("in", "cells"))
    print(
        f"a trial that learns: {float(energy.dynamic_pj) * 1e-6:.0f} uJ, of these {events['learning_instruction']:.0f} "
        f"learning, {events['instruction']:.1f} neurons, {events['synaptic_event']:.1f} synapses"
    )
    print(f"one of the trained program: {float(trained.energy().dynamic_pj) * 1e-6:.1f} uJ")
    print(
        f"tags visited in a trial: {n_visits:,}; chip time {float(learning.timing.seconds):.3f} s"
    )


def main(arguments: list[str] | None = None) -> int:
    """Train, check and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where to draw e_prop.svg")
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1, help="of task, weights and rounding")
    parser.add_argument("--quick", action="store_true", help="25 trials")
    options = parser.parse_args(arguments)
    need_to_draw(options.folder)
    n_trials, asked = (25, 4) if options.quick else (options.trials, 10)
    for source, (r, cosine) in check_rule(options.seed).items():
        print(f"{source}->cells: tags with eligibilities, correlation >= 0.94: {r:.3f}")
        print(f"{source}->cells: changes with e-prop's update, cosine >= 0.7: {cosine:.3f}")
        assert r >= 0.94
        assert cosine >= 0.7
    learner = Learner(options.seed)
    before = learner.trial()
    losses, last, after = learner.train(n_trials)
    losses_alone, _, alone = Learner(options.seed, recurrent_learns=False).train(n_trials)
    untrained, trained, readout = (learner.task.loss(run) for run in (before, after, alone))
    print(f"loss, in variances of the target: untrained {untrained:.3f}, trained {trained:.3f}")
    print(f"it falls >= {asked} times: {untrained / trained:.1f} times")
    print(f"below a readout that is always zero, >= {asked} times: {1 / trained:.1f} times")
    print(f"below a network whose readout alone learns, > 1 times: {readout / trained:.1f} times")
    assert min(untrained, 1) >= asked * trained
    assert readout > trained
    report_costs(last, after)
    if options.folder:
        curves = {"e-prop": losses, "only the readout learns": losses_alone}
        draw(options.folder / "e_prop.svg", learner.task, before, after, curves)
    return 0


if __name__ == "__main__":
    run_script(main)
