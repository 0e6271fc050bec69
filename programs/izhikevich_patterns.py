"""Izhikevich's twenty firing patterns, each one neuron on an emulated Loihi 2, as a picture and as spike counts.

`python programs/izhikevich_patterns.py docs/izhikevich.svg` counts their spikes and draws them. Source: Izhikevich
2004, "Which model to use for cortical spiking neurons?", IEEE TNN 15(5), figure 1; parameters are those of the author's
script for it.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parent))
from program_tools import need_to_draw, pyplot, run_script, save_picture

from emulator import Emulator, Network, Run, compile_network, load_chip

ONE = 1 << 20  # words of the model "izhikevich" have 20 fraction bits,
FINE = 1 << 30  # these factors 30
LETTERS = "ABCDEFGHIJKLMNOPQRST"


def pulse(start_ms: float, length_ms: float, height: float) -> Callable[[float], float]:
    """Return a current that is there for some time."""
    return lambda t: height if start_ms < t < start_ms + length_ms else 0.0


def step(start_ms: float, height: float) -> Callable[[float], float]:
    """Return a current that begins and stays."""
    return lambda t: height if t > start_ms else 0.0


def both(*parts: Callable[[float], float]) -> Callable[[float], float]:
    """Return the sum of currents."""
    return lambda t: sum(part(t) for part in parts)


def accommodating(t: float) -> float:
    """Return a slow ramp, which causes no spike, and a fast one of less height, which does."""
    return t / 25 if t < 200 else (t - 300) / 12.5 * 4 if 300 <= t < 312.5 else 0.0


@dataclass(frozen=True)
class Pattern:
    """One pattern: parameters of the model, the current, and how many spikes there are.

    Attributes
    ----------
    name : str
    a, b, c, d : float
        As in the paper.
    v : float
        Where it begins, mV; u begins at b * v.
    dt, length : float
        Step and duration, ms.
    current : callable
        Of the time in ms.
    n_spikes : int
        In that time, counted with floating-point numbers and the same step.
    u : float or None
        Where u begins, if not at b * v.
    """

    name: str
    a: float
    b: float
    c: float
    d: float
    v: float
    dt: float
    length: float
    current: Callable[[float], float]
    n_spikes: int
    u: float | None = None
    k1: float = 5.0
    k0: float = 140.0
    u_offset: float = 0.0
    u_leak: float = 1.0

    @property
    def u_begin(self) -> float:
        """Where u begins."""
        return self.b * self.v if self.u is None else self.u

    @property
    def times(self) -> np.ndarray:
        """Time of each step, ms; the first is one before 0, as what is sent in a step arrives in the next."""
        return np.arange(-1, round(self.length / self.dt) + 1) * self.dt

    def currents(self) -> np.ndarray:
        """Return the current of each step; that before 0 is the one at 0."""
        return np.array([self.current(t) for t in np.maximum(self.times, 0).tolist()])

    def words(self) -> dict[str, int]:
        """Return the words of the model in fixed point."""
        real = {
            "b": self.b, "c": self.c, "d": self.d, "k1": self.k1, "k0": self.k0, "u_offset": self.u_offset,
            "u_leak": self.u_leak, "v": self.v, "u": self.u_begin,
        }  # fmt: skip
        words = {name: round(value * ONE) for name, value in real.items()}
        return words | {"a": round(self.a * FINE), "dt": round(self.dt * FINE)}


PATTERNS = [
    Pattern("tonic spiking", 0.02, 0.2, -65, 6, -70, 0.25, 100, step(10, 14), 5),
    Pattern("phasic spiking", 0.02, 0.25, -65, 6, -64, 0.25, 200, step(20, 0.5), 1),
    Pattern("tonic bursting", 0.02, 0.2, -50, 2, -70, 0.25, 220, step(22, 15), 28),
    Pattern("phasic bursting", 0.02, 0.25, -55, 0.05, -64, 0.2, 200, step(20, 0.6), 5),
    Pattern("mixed mode", 0.02, 0.2, -55, 4, -70, 0.25, 160, step(16, 10), 6),
    Pattern("frequency adaptation", 0.01, 0.2, -65, 8, -70, 0.25, 85, step(8.5, 30), 6),
    Pattern(
        "class 1", 0.02, -0.1, -55, 6, -60, 0.25, 300, lambda t: 0.075 * (t - 30) if t > 30 else 0, 10, k1=4.1, k0=108
    ),
    Pattern(
        "class 2", 0.2, 0.26, -65, 0, -64, 0.25, 300, lambda t: -0.5 + (0.015 * (t - 30) if t > 30 else 0), 14
    ),
    Pattern("spike latency", 0.02, 0.2, -65, 6, -70, 0.2, 100, pulse(10, 3, 7.04), 1),
    Pattern("subthreshold oscillation", 0.05, 0.26, -60, 0, -62, 0.25, 200, pulse(20, 5, 2), 1),
    Pattern(
        "resonator", 0.1, 0.26, -60, -1, -62, 0.25, 400,
        both(*(pulse(start, 4, 0.65) for start in (40, 60, 280, 320))), 1,
    ),
    Pattern(
        "integrator", 0.02, -0.1, -55, 6, -60, 0.25, 100,
        both(*(pulse(start, 2, 9) for start in (100 / 11, 100 / 11 + 5, 70, 80))), 1, k1=4.1, k0=108,
    ),
    Pattern("rebound spike", 0.03, 0.25, -60, 4, -64, 0.2, 200, pulse(20, 5, -15), 1),
    Pattern("rebound burst", 0.03, 0.25, -52, 0, -64, 0.2, 200, pulse(20, 5, -15), 7),
    Pattern(
        "threshold variability", 0.03, 0.25, -60, 4, -64, 0.25, 100,
        both(pulse(10, 5, 1), pulse(80, 5, 1), pulse(70, 5, -6)), 1,
    ),
    Pattern(
        "bistability", 0.1, 0.26, -60, 0, -61, 0.25, 300,
        both(lambda t: 0.24, pulse(37.5, 5, 1), pulse(216, 5, 1)), 5,
    ),
    Pattern("depolarizing after-potential", 1, 0.2, -60, -21, -70, 0.1, 50, pulse(9, 2, 20), 1),
    Pattern("accommodation", 0.02, 1, -55, 4, -65, 0.5, 400, accommodating, 1, u=-16, u_offset=65, u_leak=0),
    Pattern(
        "inhibition-induced spiking", -0.02, -1, -60, 8, -63.8, 0.5, 350,
        lambda t: 80 if t < 50 or t > 250 else 75, 3,
    ),
    Pattern(
        "inhibition-induced bursting", -0.026, -1, -45, -2, -63.8, 0.5, 350,
        lambda t: 80 if t < 50 or t > 250 else 75, 12,
    ),
]  # fmt: skip


def run_pattern(pattern: Pattern) -> Run:
    """Run one pattern on the chip: what the current begins with is the bias, its changes are graded spikes."""
    chip = load_chip("loihi2")
    net = Network("pattern")
    source = net.input("current", 1, payload_bits=28)
    currents = np.round(pattern.currents() * ONE).astype(np.int64)
    words = pattern.words() | {"bias": int(currents[0])}
    cell = net.population("cell", 1, model="izhikevich", **words)
    net.connect(source, cell, weights=([0], [0], [1]), weight_exp=-6, sign_mode="exc")
    net.probe(cell, "v", "spikes")
    change = currents[1:] - currents[0]
    (steps,) = np.nonzero(change)
    spikes = np.stack([steps, 0 * steps, change[steps]], axis=1)
    emulator = Emulator(chip, compile_network(net, chip))
    return emulator.run(len(currents), inputs={"current": spikes}, timing="off")


def draw(path: Path, runs: list[Run]) -> None:
    """Draw voltage and current of all patterns."""
    plt = pyplot("izhikevich")
    figure, axes = plt.subplots(5, 4, figsize=(12, 10), layout="constrained")
    for letter, pattern, run, ax in zip(LETTERS, PATTERNS, runs, axes.flat, strict=True):
        cell = run.recordings["cell"]
        v, fired = cell["v"][:, 0] / ONE, cell["spikes"][:, 0]
        ax.plot(pattern.times, np.where(fired, 30, v), color="tab:blue", linewidth=0.8)
        currents = pattern.currents()
        span = max(np.ptp(currents), 1e-9)
        ax.plot(
            pattern.times,
            -105 + 12 * (currents - currents.min()) / span,
            color="grey",
            linewidth=0.8,
        )
        ax.set_title(f"{letter}  {pattern.name}: {int(fired.sum())} spikes", fontsize=8)
        ax.set_ylim(-108, 34)
        ax.tick_params(labelsize=6)
    figure.supxlabel("ms")
    figure.supylabel("v (mV, blue), current (grey)")
    save_picture(figure, path)


def main() -> None:
    """Run all patterns, count their spikes, and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("picture", nargs="?", type=Path, help="where to draw, *.svg")
    options = parser.parse_args()
    need_to_draw(options.picture and options.picture.parent)
    runs = [run_pattern(pattern) for pattern in PATTERNS]
    for letter, pattern, run in zip(LETTERS, PATTERNS, runs, strict=True):
        n_spikes = len(run.spikes["cell"])
        print(f"{letter}  {pattern.name}: {n_spikes} spikes, {pattern.n_spikes} in floating point")
    if options.picture:
        draw(options.picture, runs)


if __name__ == "__main__":
    run_script(main)
