"""Distal reward: one of a thousand synapses is rewarded up to a second after its success, and grows to its maximum.

`python programs/reward_stdp.py docs/reward_stdp.svg` runs all conditions, prints what was measured, and draws.

Inputs and cells spike at random, 4 times a second. Whenever one chosen input is followed by one chosen cell within
10 steps (of 1 ms), a reward comes 0.5 to 1 s later, when all have spiked again. Spike pairs change only the tag of a
synapse, which fades within a second; a reward moves each weight by its tag. Tags of other synapses have either sign at
that time, and come to nothing. Source: Izhikevich 2007, "Solving the distal reward problem through linkage of STDP and
dopamine signaling", Cerebral Cortex 17, figure 1.

The reward comes from the host as r0, or, as on Loihi 2, as a spike to the cells, whose program supplies it as y2.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parent))
from program_tools import need_to_draw, pyplot, run_script, save_picture

from emulator import Emulator, Network, Rule, Trace, compile_network, load_chip

N_INPUTS, N_CELLS = 20, 50
PRE, POST = 7, 3
"""The synapse that is rewarded."""
CHUNK = 500
"""Steps of a run. A reward is at least as late, so that it can be computed between runs."""
RATE = 0.004
"""Spikes of an input in a step, and of what drives each cell."""
WITHIN = 10
"""Steps from the input's spike to the cell's, at most."""
REWARD = 64
INITIAL = 50
MODEL = str(Path(__file__).with_name("reward_lif.nasm"))
TAG = "x1*y0 - y1*x0 - 2^-7*t*u3"
"""Pair STDP; every 8 steps the tag loses 1/128: it halves in 0.7 s."""
X1, Y1 = Trace(impulse=88, tau=20), Trace(impulse=127, tau=20)
"""More depression than potentiation, so that tags of what is not rewarded sink."""
WEIGHT = {"host": "6*2^-5*t*r0*u0", "cells": "3*2^-5*t*y2*u0"}
"""Both add 3/16 of the tag at a reward of 64: the chip drops 6 bits of the product with r0, 5 of that with y2."""


@dataclass(frozen=True)
class Result:
    """What one condition led to.

    Attributes
    ----------
    weights : (n_chunks, post, pre) int32
        After each chunk.
    reward_steps : list of int
        When rewards came.
    success : (n_chunks, 2) int64
        Spikes of the chosen input, and how many of them its cell followed within `WITHIN` steps.
    """

    weights: np.ndarray
    reward_steps: list[int]
    success: np.ndarray

    @property
    def chosen(self) -> np.ndarray:
        """Weight of the rewarded synapse after each chunk."""
        return self.weights[:, POST, PRE]

    @property
    def others(self) -> np.ndarray:
        """Weights of all others, (n_chunks, n)."""
        flat = self.weights.reshape(len(self.weights), -1)
        return np.delete(flat, POST * N_INPUTS + PRE, axis=1)

    @property
    def z_score(self) -> float:
        """How many standard deviations of the others' final weights the chosen one lies above their mean."""
        others = self.others[-1]
        return float((self.chosen[-1] - others.mean()) / others.std())

    def success_rate(self, chunks: slice) -> float:
        """Return the part of the input's spikes that the cell followed."""
        spikes, followed = self.success[chunks].sum(axis=0)
        return float(followed / spikes)


def network(supplied_by: str) -> Network:
    """Return the network; the reward comes from the "host" or through the "cells"."""
    net = Network("reward")
    source = net.input("in", N_INPUTS)
    noise = net.input("noise", N_CELLS)
    reward = net.input("reward", 1, payload_bits=8)
    cells = net.population("cells", N_CELLS, model=MODEL, threshold=8 * 370)
    weights = np.full((N_CELLS, N_INPUTS), INITIAL)
    weights[POST, PRE] = 0
    rule = Rule(
        dt=TAG,
        dw=WEIGHT[supplied_by],
        x1=X1,
        y1=Y1,
        y2="reward" if supplied_by == "cells" else None,
    )
    net.connect(source, cells, weights=weights, weight_exp=-3, sign_mode="exc", learning=rule)
    net.connect(noise, cells, weights=np.eye(N_CELLS, dtype=np.int64) * 250, weight_exp=-1)
    net.connect(reward, cells, weights=np.full((N_CELLS, 1), 128), weight_exp=7)
    return net


def successes(pre: np.ndarray, post: np.ndarray) -> np.ndarray:
    """Return the steps of `post` of which a step of `pre` lies at most `WITHIN` before; each of `pre` counts once."""
    after = np.searchsorted(post, pre, side="right")
    known = after < len(post)
    first = post[after[known]]
    return np.unique(first[first - pre[known] <= WITHIN])


def learn(n_chunks: int, kind: str = "reward", supplied_by: str = "host", seed: int = 1) -> Result:
    """Run one condition.

    Parameters
    ----------
    n_chunks : int
        Runs of `CHUNK` steps, each of which continues the one before.
    kind : {"reward", "none", "shuffled"}
        "shuffled": for each success there is a reward, but at a time that has nothing to do with it.
    supplied_by : {"host", "cells"}
        How a reward reaches the rule.
    seed : int
        Of the spikes, the delays of rewards and the chip.
    """
    emulator = Emulator(chip := load_chip("loihi2"), compile_network(network(supplied_by), chip))
    spikes_of, delay_of = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    due: list[int] = []
    given: list[int] = []
    weights, success = [], []
    # A spike to the cells acts one step after it was sent, the host's r0 at once.
    ahead = supplied_by == "cells"
    for first in range(0, n_chunks * CHUNK, CHUNK):
        at = np.array(sorted({step for step in due if step - ahead < first + CHUNK}), np.int64)
        due = [step for step in due if step - ahead >= first + CHUNK]
        given += at.tolist()
        at -= first + ahead
        inputs = {
            "in": spikes_of.random((CHUNK, N_INPUTS)) < RATE,
            "noise": spikes_of.random((CHUNK, N_CELLS)) < RATE,
        }
        rewards = None
        if supplied_by == "host":
            rewards = {"r0": np.bincount(at, minlength=CHUNK) * REWARD}
        else:
            inputs["reward"] = np.stack([at, 0 * at, 0 * at + REWARD], axis=1)
        run = emulator.run(CHUNK, inputs, timing="off", seed=seed, rewards=rewards)
        weights.append(run.weights("in->cells"))
        pre = np.flatnonzero(inputs["in"][:, PRE])
        cell = run.spikes["cells"]
        found = first + successes(pre, cell[cell[:, 1] == POST, 0])
        success.append((len(pre), len(found)))
        if kind == "reward":
            due += (found + 1 + delay_of.integers(CHUNK, 2 * CHUNK, len(found))).tolist()
        elif kind == "shuffled":
            due += (first + 1 + CHUNK + delay_of.integers(0, 40 * CHUNK, len(found))).tolist()
    return Result(np.array(weights), given, np.array(success))


def one_reward(reward_after: int = 700, n_steps: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Return tag and weight of a synapse in each step: a spike pair in step 200, a reward later, a reversed pair."""
    emulator = Emulator(chip := load_chip("loihi2"), compile_network(network("host"), chip))
    r0 = np.zeros(n_steps, np.int64)
    r0[[200 + reward_after, 1900]] = REWARD
    inputs = {"in": [[200, PRE], [1210, PRE]], "noise": [[204, POST], [1200, POST]]}
    run = emulator.run(n_steps, inputs, timing="off", weights_every=1, rewards={"r0": r0})
    kept = run.recordings["in->cells"]
    return kept["tags"][:, POST, PRE], kept["weights"][:, POST, PRE]


def draw(path: Path, results: dict[str, Result]) -> None:
    """Draw how one reward acts, and the weights of the conditions."""
    plt = pyplot("reward")
    figure, (first, *others) = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    tag, weight = one_reward()
    first.plot(tag, color="tab:blue", label="tag")
    first.plot(weight, color="tab:red", label="weight")
    for step in (900, 1900):
        first.axvline(
            step, color="tab:green", linestyle=":", label="reward" if step == 900 else None
        )
    first.annotate("input, then cell", (204, tag[204]), (240, 62), fontsize=8)
    first.annotate("cell, then input", (1210, tag[1210]), (560, -56), fontsize=8)
    first.set(xlabel="step (1 ms)", title="one synapse")
    first.legend(fontsize=8, loc="upper right")
    for ax, kind in zip(others, ("reward", "shuffled"), strict=True):
        result = results[kind]
        seconds = np.arange(1, len(result.weights) + 1) * CHUNK / 1000
        low, middle, high = np.percentile(result.others[::20], (0, 50, 99), axis=1)
        ax.fill_between(
            seconds[::20],
            low,
            high,
            color="lightgrey",
            label="999 others, up to the 99th percentile",
        )
        ax.plot(seconds[::20], middle, color="grey", label="their median")
        ax.plot(seconds, result.chosen, color="tab:red", label="the chosen one")
        n = len(result.reward_steps)
        what = "when it succeeded" if kind == "reward" else "at other times"
        ax.set(
            xlabel="s",
            ylabel="weight",
            ylim=(-5, 262),
            title=f"{n} rewards {what}: z = {result.z_score:.1f}",
        )
    others[1].legend(fontsize=8, loc="upper right")
    save_picture(figure, path)


def check(results: dict[str, Result]) -> list[tuple[str, bool, str]]:
    """Return what is asked, whether it holds, and what was measured."""
    told, shuffled, none = results["reward"], results["shuffled"], results["none"]
    part = max(1, len(told.weights) // 5)
    before, after = told.success_rate(slice(part)), told.success_rate(slice(-part, None))
    tail = told.chosen[-part:].mean()
    return [
        (
            "rewarded: the chosen weight ends at the maximum, 250 or more",
            told.chosen[-1] >= 250,
            f"{told.chosen[-1]}",
        ),
        ("and lies there in the last fifth, 240 or more", tail >= 240, f"mean {tail:.0f}"),
        (
            "it is 5 standard deviations above the others",
            told.z_score > 5,
            f"z = {told.z_score:.1f}",
        ),
        (
            "the others sink from 50",
            told.others[-1].mean() < 25,
            f"mean {told.others[-1].mean():.1f}",
        ),
        (
            "the cell follows its input more often",
            after > 1.5 * before,
            f"{before:.3f}, then {after:.3f}",
        ),
        (
            "shuffled: the chosen one is like the others, |z| < 2",
            abs(shuffled.z_score) < 2,
            f"z = {shuffled.z_score:.1f}",
        ),
        (
            "no reward: no weight changes",
            bool((none.weights == none.weights[0]).all()),
            f"{np.ptp(none.weights, axis=0).max()}",
        ),
        (
            "a reward through the cells: the same weights to the bit",
            np.array_equal(told.weights, results["cells"].weights),
            f"{np.count_nonzero(told.weights != results['cells'].weights)} differ",
        ),
    ]


def main() -> None:
    """Run all conditions; exit with 1 where something that was asked does not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("picture", nargs="?", type=Path, help="where to draw, *.svg")
    parser.add_argument("--seconds", type=int, default=750, help="emulated, at 1 ms a step")
    options = parser.parse_args()
    need_to_draw(options.picture and options.picture.parent)
    n_chunks = options.seconds * 1000 // CHUNK
    results = {kind: learn(n_chunks, kind) for kind in ("reward", "shuffled", "none")}
    results["cells"] = learn(n_chunks, supplied_by="cells")
    found = check(results)
    for asked, holds, measured in found:
        print(f"{'holds' if holds else 'FAILS'}  {asked}: {measured}")
    if options.picture:
        draw(options.picture, results)
    if not all(holds for _, holds, _ in found):
        sys.exit(1)


if __name__ == "__main__":
    run_script(main)
