"""Learning to generate a pattern by e-prop, on an emulated Loihi 2: eligibility traces times a broadcast signal.

`python programs/e_prop.py docs` trains, checks and draws; `--quick` takes seconds. The rule and the task are those of
Bellec et al. 2020, "A solution to the learning dilemma for recurrent networks of spiking neurons", Nature
Communications 11:3625 (Methods; random e-prop): a recurrent network that gets the same input spikes in every trial learns
to make its readout follow a sum of sinusoids of 1, 2, 3 and 5 Hz for a second.

Everything that learns is on the chip. The tag of a synapse is its eligibility, as the readout's time constant filters
it: presynaptic trace x1 times the pseudo-derivative that the neuron's program supplies as y1. The readout compares itself
with the target, which comes as the payload of an input spike, and broadcasts its error as a graded spike through fixed
random weights. What arrives is the learning signal; its positive and negative parts are y2 and y3. From outside come inputs and target.

What departs from the paper. One output and 100 neurons; no refractory period; tau 20 ms for membranes, 32 ms for the
readout. Weights change within a trial, by plain gradient descent, in every 32nd step (readout: 16th) instead of by Adam
after it: a product of tag and signal loses its lowest five bits in the engine, so few large steps lose less than many
small ones. Traces and factors have 7 bits, tags and weights 9 with random rounding. The learning signal is two steps
late, as spikes take time. Tags are not reset between trials, the neurons are: a tag decays within 32 steps.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

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
SPREAD = {"in": 60, "cells": 40, "out": 10}  # of the weights at first, by where they come from or go
GAINS = 512, 4096, 4
"""How fast recurrent neurons and readout learn, and how firmly neurons hold their rate."""
IMPULSE = 32

FILTERED = Trace(IMPULSE, -1 / np.log(KEEP))
ELIGIBILITY = Rule(
    # A spike of this step has not arrived yet, so what it adds to x1 is taken back.
    dt="2*2^-7*x1*y1*u0 - 2^-4*y1*x0 - 2^-5*t*u0",
    dw="2^-7*t*y3*u5 - 2^-7*t*y2*u5",
    x1=FILTERED,
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
TAG = IMPULSE * 127 / 8 * 2**-6
"""What an eligibility of 1 is as a tag: x1 and y1 at their largest, less the three bits that a product loses."""


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


def make_network(
    rng: np.random.Generator, *, recurrent_learns: bool, gains: tuple[int, int, int]
) -> Network:
    """Return the untrained network."""

    def draw(spread: float, *shape: int, most: int = 254) -> np.ndarray:
        return np.clip(2 * np.rint(rng.normal(0, spread / 2, shape)), -most, most).astype(int)

    net = Network("e_prop")
    source, target = net.input("in", N_INPUTS), net.input("target", 1, payload_bits=12)
    cells = net.population(
        "cells", N_CELLS, model=str(HERE / "e_prop_neuron.nasm"), keep=round(4096 * KEEP), threshold=THRESHOLD,
        gain=gains[0], hold=gains[2],
    )  # fmt: skip
    out = net.population(
        "out", 1, model=str(HERE / "e_prop_readout.nasm"), keep=round(4096 * KEEP_READOUT), gain=gains[1]
    )
    rule = ELIGIBILITY if recurrent_learns else NOTHING
    others = np.nonzero(~np.eye(N_CELLS, dtype=bool))
    values = draw(SPREAD["cells"], len(others[0]))
    first = draw(SPREAD["in"], N_CELLS, N_INPUTS)
    net.connect(source, cells, weights=first, weight_exp=-6, learning=rule)
    net.connect(cells, cells, weights=(*others, values), weight_exp=-6, learning=rule)
    last = draw(SPREAD["out"], 1, N_CELLS)
    net.connect(cells, out, weights=last, weight_exp=-6, learning=READOUT)
    net.connect(target, out, weights=[[8]], weight_exp=7)  # payload * 2**16
    net.connect(out, cells, weights=draw(12, N_CELLS, 1, most=30), weight_exp=7)
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
    gains : tuple of int
        How fast recurrent neurons and readout learn, and how firmly neurons hold their rate.
    """

    def __init__(
        self, seed: int = 1, *, recurrent_learns: bool = True, gains: tuple[int, int, int] = GAINS
    ) -> None:
        self.task, self.seed = make_task(seed), seed
        net = make_network(self.task.rng, recurrent_learns=recurrent_learns, gains=gains)
        self.chip = load_chip("loihi2")
        self.emulator = Emulator(self.chip, compile_network(net, self.chip))

    def trial(self, emulator: Emulator | None = None, **options: Any) -> Run:
        """Run one trial on the learner's chip, or on another; neurons begin at rest."""
        options = {"timing": "off", "seed": self.seed, "reset_every": N_STEPS} | options
        return (emulator or self.emulator).run(N_STEPS, self.task.inputs, **options)

    def train(self, n_trials: int) -> tuple[np.ndarray, Run]:
        """Learn for some trials; return the loss of each, and a trial of the trained program, which learns no more."""
        losses = np.empty(n_trials)
        for k in range(n_trials):
            run = self.trial()
            losses[k] = self.task.loss(run)
        return losses, self.trial(Emulator(self.chip, run.trained()))


def raster(run: Run, population: str) -> np.ndarray:
    """Return the spikes of a population as a bool array (steps, neurons)."""
    size = N_INPUTS if population == "in" else N_CELLS
    fired = np.zeros((N_STEPS, size), bool)
    fired[tuple(run.spikes[population].T)] = True
    return fired


def reference(run: Run, source: str, every: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what e-prop computes in floating-point numbers for a trial that the chip ran.

    Parameters
    ----------
    run : Run
        Its spikes and membranes are taken, nothing of its learning.
    source : str
        The presynaptic population.
    every : int
        Steps from one eligibility to the next.

    Returns
    -------
    eligibilities : (n, post, pre) ndarray
        Filtered by the readout's time constant, after every so many steps.
    update : (post, pre) ndarray
        The sum over all steps of minus learning signal times eligibility.
    """
    arrives, fired = raster(run, source).astype(float), raster(run, "cells")
    v = run.recordings["cells"]["v"] + THRESHOLD * fired  # before the reset
    psi = np.maximum(0, 1 - np.abs(v - THRESHOLD) / THRESHOLD)
    (feedback,) = (p for p in run.program.manifest["projections"] if p["name"] == "out->cells")
    signal = run.recordings["out"]["error"] @ run.learned.matrix(feedback["name"], "weights").T
    trace = np.zeros(arrives.shape[1])
    filtered = np.zeros((N_CELLS, arrives.shape[1]))
    kept, update = [], np.zeros_like(filtered)
    for t in range(N_STEPS):
        filtered = KEEP_READOUT * filtered + psi[t][:, None] * trace * KEEP
        trace = KEEP * trace + arrives[t]
        update -= signal[t][:, None] * filtered
        if (t + 1) % every == 0:
            kept.append(filtered)
    return np.array(kept), update


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return the correlation of two arrays."""
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Return the cosine of the angle between two arrays."""
    return float(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b)))
