"""An agent that turns away from what approaches: a looming detector on an emulated Loihi 2, in a loop with a toy world.

`python programs/looming.py docs/looming.svg --events sample_nmnist.bin` runs it with the events of a recording as the
background; without `--events` these are made up. The agent moves ahead and sees, on 32 x 32 pixels, what becomes
darker: the background, and the edge of a dark disc as it grows. The detector follows Rind & Bramwell 1996 (J.
Neurophysiology 75(3)): an event excites, and inhibits itself and its neighbours one and two frames later, so that only
an edge passes that is faster than the inhibition, as that of an object about to collide. Three neighbours must have
events too, which noise has not. What becomes brighter is not seen, so that what goes away is not either.

Lengths and speeds are those of a toy: a frame is 2 ms of the recording, and 0.15 to 0.25 m for the agent.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parent))
from program_tools import need_to_draw, pyplot, run_script, save_picture

from emulator import Network, load_chip
from emulator.errors import NetworkError
from emulator.importers.events import read_events
from emulator.world import Episodes, Frames, Majority, World

SIDE = 32
"""Pixels; one at a distance of 1 m is 1 / 32 m wide."""
RADIUS, BODY = 0.5, 0.3
"""Of the obstacle and of the agent, m."""
FRAME_US = 2000
MOST_FRAMES = 100_000
"""Of a recording: 200 s."""
STEPS_PER_FRAME, DEPTH = 4, 2
DETECTS = 8
INHIBITION = -40
"""Weight of an earlier event on its own pixel and each of the eight around it; an event excites with 100 and 20."""
"""A half of the detector fires when more edges than this pass its inhibition in one frame."""
KINDS = ("approaches", "goes away", "crosses", "alone")
ASKED_AVOIDED, ASKED_FALSE = 0.95, 0.02


def recorded(path: Path) -> np.ndarray:
    """Return the pixels that became darker in each frame of a recording, (n, SIDE, SIDE) bool.

    Raises
    ------
    NetworkError
        When it cannot be read, nothing became darker, or it is longer than `MOST_FRAMES`.
    """
    events = read_events(path)
    for note in events.notes:
        print(f"{path}: {note}")
    dark = events.p == 0
    if not dark.any():
        raise NetworkError(
            f"{path}: of its {len(events.t):,} events none is of a pixel that became darker"
        )
    if (n := int(np.ptp(events.t)) // FRAME_US + 1) > MOST_FRAMES:
        raise NetworkError(
            f"{path}: it has {n:,} frames of {FRAME_US:,} us; at most {MOST_FRAMES:,} are used"
        )
    t = (events.t[dark] - events.t.min()) // FRAME_US
    x, y = ((v * SIDE // (v.max() + 1))[dark] for v in (events.x, events.y))
    frames = np.zeros((int(t.max()) + 1, SIDE, SIDE), bool)
    frames[t, y, x] = True
    return frames


def made_up(seed: int = 0, n: int = 128) -> np.ndarray:
    """Return frames of noise and a bar that moves to and fro: events as of a recording, without one."""
    frames = np.random.default_rng(seed).random((n, SIDE, SIDE)) < 0.01
    bar = np.rint(15.5 + 12 * np.sin(2 * np.pi * np.arange(n) / n)).astype(int)
    for k in np.flatnonzero(np.diff(bar)):
        frames[k + 1, 4:28, bar[k + 1]] = True
    return frames


class Ahead:
    """What the agent sees and where it goes: one obstacle, and events of a recording that has none.

    Parameters
    ----------
    frames : bool array (n, SIDE, SIDE)
        Events of the recording, played again and again from a random frame on.
    kind : str
        What the obstacle does, of `KINDS`.
    """

    def __init__(self, frames: np.ndarray, kind: str) -> None:
        self.frames, self.kind = frames, kind

    def reset(self, seed: int) -> tuple[np.ndarray, dict[str, Any]]:
        """Place the obstacle."""
        self.rng = rng = np.random.default_rng(seed)
        self.time, self.side = int(rng.integers(len(self.frames))), 0
        self.speed = rng.uniform(0.15, 0.25)  # m in a frame
        self.across, self.ahead = rng.uniform(-0.5, 0.5), rng.uniform(5, 7)
        if self.kind == "goes away":
            self.ahead = rng.uniform(1.0, 1.5)
        elif self.kind == "crosses":
            self.ahead, self.across = rng.uniform(2.5, 4), -2.2
        self.n_frames, self.covered = 0, self._disc()
        return self._look(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Move; action 1 turns left and 2 right by 60 degrees, once."""
        self.n_frames += 1
        self.side = self.side or (0, -1, 1)[action]
        if self.kind != "approaches":
            self.ahead += self.speed if self.kind == "goes away" else 0
            self.across += 0.08 if self.kind == "crosses" else 0
            over = self.n_frames == 60
            return self._look(), float(over), bool(self.side), over, {}
        if self.side:
            self.across -= self.side * self.speed * np.sin(np.pi / 3)
        self.ahead -= self.speed * (0.5 if self.side else 1)
        hit = np.hypot(self.across, self.ahead) < RADIUS + BODY
        return (
            self._look(),
            float(not hit and self.ahead < 0),
            bool(hit or self.ahead < 0),
            False,
            {},
        )

    def _disc(self) -> np.ndarray:
        """Return the pixels that the obstacle covers."""
        if self.kind == "alone" or self.ahead <= 0:
            return np.zeros((SIDE, SIDE), bool)
        y, x = np.mgrid[:SIDE, :SIDE] + 0.5 - SIDE / 2
        distance = np.hypot(x - SIDE * self.across / self.ahead, y)
        return np.asarray(distance < SIDE * RADIUS / self.ahead)

    def _look(self) -> np.ndarray:
        """Return what became darker since the last frame; one of ten such events is lost. In a turn nothing is seen."""
        self.time += 1
        if self.side:
            return np.zeros((SIDE, SIDE), bool)
        before, self.covered = self.covered, self._disc()
        edge = self.covered & ~before & (self.rng.random((SIDE, SIDE)) < 0.9)
        return np.asarray(edge | self.frames[self.time % len(self.frames)] & ~self.covered)


def neighbours() -> tuple[np.ndarray, np.ndarray]:
    """Return each pixel and those around it, itself included: sources and targets."""
    pixel = np.arange(SIDE**2).reshape(SIDE, SIDE)
    around = np.pad(pixel, 1, constant_values=-1)
    shifted = [around[dy : dy + SIDE, dx : dx + SIDE] for dy in range(3) for dx in range(3)]
    pre, post = np.tile(pixel.ravel(), 9), np.stack(shifted).ravel()
    return pre[post >= 0], post[post >= 0]


def detector(environment: Ahead, inhibition: int = INHIBITION) -> World:
    """Return the agent: pixels, edges that escape the inhibition, and a neuron for each half of what is seen."""
    code, net = Frames((SIDE, SIDE)), Network("looming")
    pixels = net.input("pixels", code.size, core=0)
    edges = net.population("edges", code.size, neurons_per_core=128, vth_mant=140, du=4095, dv=4095)
    pre, post = neighbours()
    net.connect(pixels, edges, weights=(pre, post, np.where(pre == post, 100, 20)))
    if inhibition:
        for frames in (1, 2):
            delay = np.full(len(pre), frames * STEPS_PER_FRAME)
            net.connect(pixels, edges, weights=(pre, post, 0 * pre + inhibition), delay=delay)
    # Nobody makes neuron 0, straight ahead, fire: silence is its vote. All are blind for two frames, until the
    # inhibition is there.
    turns = net.population(
        "turns", 3, vth_mant=20 * DETECTS, du=4095, dv=4095, refractory_init=2 * STEPS_PER_FRAME
    )
    same = np.arange(code.size)
    side = 1 + (same % SIDE < SIDE // 2)  # what is on the left makes it turn right
    net.connect(edges, turns, weights=(same, side, np.full(code.size, 20)))
    return World(
        environment,
        net,
        load_chip("loihi2"),
        sensors=(pixels, code),
        motors=(turns, Majority(3, silent=0)),
        steps_per_action=STEPS_PER_FRAME,
        depth=DEPTH,
    )


def trials(
    frames: np.ndarray, kind: str, n: int = 100, inhibition: int = INHIBITION, **options: Any
) -> Episodes:
    """Run trials with the seeds 0, 1, ..."""
    return detector(Ahead(frames, kind), inhibition).run(n, **options)


def turned(episodes: Episodes) -> float:
    """Return in which part of the trials the agent turned."""
    return float(np.mean([any(e.actions) for e in episodes.episodes]))


def avoided_blindly(frames: np.ndarray, n: int) -> float:
    """Return in which part of the trials nothing is hit when the agent never turns."""
    avoided = 0.0
    for seed in range(n):
        world, over = Ahead(frames, "approaches"), False
        world.reset(seed)
        while not over:
            _, reward, over, _, _ = world.step(0)
            avoided += reward
    return avoided / n


def edges_seen(episodes: Episodes, index: int) -> np.ndarray:
    """Return how many edges passed the inhibition in each frame of a trial, in the half with more of them."""
    one, spikes = episodes[index], episodes.spikes("edges")
    frame = (spikes[:, 0] - one.first_step) // STEPS_PER_FRAME
    mine = (frame >= 0) & (frame < one.n_actions)
    counts = np.zeros((2, one.n_actions), int)
    np.add.at(counts, (spikes[mine, 1] % SIDE // (SIDE // 2), frame[mine]), 1)
    return counts.max(axis=0)


def draw(path: Path, found: dict[str, Episodes], without: dict[str, float]) -> None:
    """Draw what is seen before a turn, the edges over time, and how often the agent turns."""
    plt = pyplot("looming")
    figure = plt.figure(figsize=(10, 6.5), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1.3])
    one = found["approaches"][0]
    turn = int(np.flatnonzero(one.actions)[0])
    for ax, before in zip(above.subplots(1, 5), (20, 10, 4, 2, 0), strict=True):
        y, x = np.nonzero(one.observations[turn - before])
        ax.plot(x, y, "s", color="black", markersize=1.6)
        ax.set(
            xlim=(-0.5, SIDE - 0.5), ylim=(SIDE - 0.5, -0.5), xticks=[], yticks=[], aspect="equal"
        )
        ax.set_title(f"{before} frames before the turn" if before else "it turns", fontsize=9)
    lines, bars = below.subplots(1, 2, width_ratios=[1.4, 1])
    for kind, episodes in found.items():
        lines.plot(edges_seen(episodes, 0), label=kind, linewidth=1)
    lines.axvspan(-0.5, 1.5, color="whitesmoke", label="blind")
    lines.axhline(DETECTS + 0.5, color="grey", linestyle=":", label="more makes the agent turn")
    lines.set(xlabel="frame", ylabel="edges in a half that pass the inhibition")
    lines.legend(fontsize=8)
    place = np.arange(len(KINDS))
    bars.bar(place - 0.2, [turned(e) for e in found.values()], 0.4, label="detector")
    bars.bar(place + 0.2, [*without.values()], 0.4, color="lightgrey", label="without inhibition")
    bars.set(xticks=place, ylabel="part of trials in which the agent turns")
    bars.set_xticklabels(KINDS, fontsize=8)
    bars.set_ylim(0, 1.25)
    bars.legend(loc="upper right", fontsize=8)
    save_picture(figure, path)


def main() -> None:
    """Run, print, check and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", nargs="?", type=Path, help="where to draw, *.svg")
    parser.add_argument(
        "--events", type=Path, help="a recording, *.bin (N-MNIST) or *.dat (Prophesee)"
    )
    parser.add_argument("--trials", type=int, default=100)
    arguments = parser.parse_args()
    need_to_draw(arguments.picture and arguments.picture.parent)
    frames = made_up() if arguments.events is None else recorded(arguments.events)
    n = arguments.trials
    found = {kind: trials(frames, kind, n, observations=True) for kind in KINDS}
    without = {k: turned(trials(frames, k, n, inhibition=0, timing="off")) for k in KINDS}
    print(found["approaches"].summary())
    avoided = found["approaches"].rewards.mean()
    blind = avoided_blindly(frames, n)
    print(f"never turning: {blind:.0%} avoided")
    print(f"asked >= {ASKED_AVOIDED:.0%} avoided, measured {avoided:.0%} of {n}")
    assert avoided >= ASKED_AVOIDED > blind
    for kind, episodes in found.items():
        asked = "" if kind == "approaches" else f"asked <= {ASKED_FALSE:.0%}, "
        print(
            f"{kind:<10} turns: {asked}measured {turned(episodes):.0%}; without inhibition {without[kind]:.0%}"
        )
        assert kind == "approaches" or turned(episodes) <= ASKED_FALSE
    if arguments.picture:
        draw(arguments.picture, found, without)


if __name__ == "__main__":
    run_script(main)
