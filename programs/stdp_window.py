"""The window of pair-based STDP, measured: the change of a weight over the distance of two clamped spikes.

`python programs/stdp_window.py docs` measures and draws it. The rule is that of Song, Miller & Abbott 2000,
"Competitive Hebbian learning through spike-timing-dependent synaptic plasticity", Nature Neuroscience 3(9): two
exponentials of 20 steps, of which depression is 1.05 times the larger. Every pair of spikes has neurons and a synapse
of its own, both ends of which are inputs, so nothing but the rule moves a weight.

What can be asked of the chip follows from its arithmetic. Traces are whole numbers, weights too. Rounded at random,
both are right on average: the mean of n pairs is within four standard deviations of the curve. Rounded down or to the
nearest, a trace is wrong by a little in each step, always to the same side: down it dies early, and to the nearest it
stops at 1 / (2 (1 - decay)), from where a step would take less than one half.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parent))
from program_tools import need_to_draw, pyplot, run_script, save_picture

from emulator import Emulator, Network, Rule, Trace, compile_network, load_chip

RULE = Rule(dw="2^-2*x1*y0 - 2^-2*y1*x0", x1=Trace(60, 20), y1=Trace(63, 20))
SCALE = 2**-2
DISTANCES = np.arange(-50, 51)
CHANCE_ERROR = 2**-17  # chances of rounding are multiples of 2^-16


@dataclass(frozen=True)
class Side:
    """One side of the window: what a weight changes by at distance 0, the time constant, and the side's distances."""

    name: str
    amplitude: float
    tau: float
    distances: np.ndarray

    @property
    def keep(self) -> float:
        """What is left of a trace after a step."""
        return float(np.exp(-1 / self.tau))


def sides(rule: Rule = RULE) -> tuple[Side, Side]:
    """Return what the rule says: potentiation where the target fires later, depression where the source does."""
    assert isinstance(rule.x1, Trace)
    assert isinstance(rule.y1, Trace)
    later, earlier = DISTANCES[DISTANCES > 0], DISTANCES[DISTANCES < 0]
    return (
        Side("A+", SCALE * rule.x1.impulse, rule.x1.tau, later),
        Side("A-", -SCALE * rule.y1.impulse, rule.y1.tau, earlier),
    )


def curve(distances: np.ndarray, rule: Rule = RULE) -> np.ndarray:
    """Return the change that the rule says at each distance; at 0 both traces have just jumped."""
    plus, minus = sides(rule)
    up = np.where(distances >= 0, plus.amplitude * np.exp(-np.abs(distances) / plus.tau), 0)
    down = np.where(distances <= 0, minus.amplitude * np.exp(-np.abs(distances) / minus.tau), 0)
    return up + down


def measure(
    n_pairs: int, rounding: str = "stochastic", epoch: int = 1, seed: int = 1
) -> np.ndarray:
    """Return the change of the weight of each pair, (distances, n_pairs)."""
    chip, net = load_chip("loihi2", {"learning.rounding": rounding}), Network("stdp_window")
    n = len(DISTANCES) * n_pairs
    source, target = net.input("pre", n), net.input("post", n)
    pair = np.arange(n)
    net.connect(
        source, target, weights=(pair, pair, np.zeros(n, int)), learning=replace(RULE, epoch=epoch)
    )
    distance = np.repeat(DISTANCES, n_pairs)
    # Each pair has its own moment, so that spikes fall on every place of an epoch.
    moment = DISTANCES[-1] + pair % max(1, epoch)
    inputs = {
        "pre": np.stack([moment, pair], axis=1),
        "post": np.stack([moment + distance, pair], axis=1),
    }
    n_steps = -(-(int(inputs["post"][:, 0].max()) + 1) // epoch) * epoch
    run = Emulator(chip, compile_network(net, chip)).run(n_steps, inputs, timing="off", seed=seed)
    table = run.learned.table("pre->post")
    change = np.empty(n)
    change[table["pre"]] = table["weight"]
    return change.reshape(len(DISTANCES), n_pairs)


def bound(n_pairs: int, rounding: str) -> np.ndarray:
    """Return how far the mean change may be from the curve at each distance.

    A trace is rounded once in each step and decays on with what it was rounded to, so errors of a step add up as a
    geometric series; the constant of the rule scales them; the weight is rounded once more. A product of one trace
    loses no bits in the accumulator, which holds 2^-7. At random the errors of a rounding have variance 1/4 at most.
    """
    n_steps = np.abs(DISTANCES)
    keep = np.array([s.keep for s in sides()])[(DISTANCES < 0).astype(int)]
    series = (1 - keep**n_steps) / (1 - keep)
    if rounding != "stochastic":
        worst = 0.5 if rounding == "nearest" else 1.0
        return SCALE * worst * series + worst
    squares = (1 - keep ** (2 * n_steps)) / (1 - keep**2)
    sigma = np.sqrt((SCALE**2 * squares / 4 + 0.25) / n_pairs)
    return 4 * sigma + SCALE * CHANCE_ERROR * series


def exact(rounding: str) -> np.ndarray:
    """Return the change of a weight at each distance where nothing is random: traces step by step, then the weight."""
    above = 0.5 if rounding == "nearest" else 1.0
    changes = []
    for distance in DISTANCES.tolist():
        change = 0.0
        for side, sign in zip(sides(), (1, -1), strict=True):
            if distance * sign < 0:
                continue
            trace = round(abs(side.amplitude) / SCALE)
            for _ in range(abs(distance)):
                trace = int(np.floor(trace * side.keep)) + ((trace * side.keep) % 1 > above)
            change += sign * SCALE * trace
        changes.append(np.floor(change) + (change % 1 > above))
    return np.array(changes)


def fitted(side: Side, mean: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return amplitude and time constant that fit one side best, and the standard deviation of each."""
    chosen = np.isin(DISTANCES, side.distances)
    x, y, weight = np.abs(DISTANCES[chosen]), mean[chosen], 1 / sigma[chosen]
    values = np.array([side.amplitude, side.tau])
    for _ in range(20):  # Gauss and Newton
        power = np.exp(-x / values[1])
        slope = np.stack([power, values[0] * power * x / values[1] ** 2], axis=1) * weight[:, None]
        values = values + np.linalg.lstsq(slope, (y - values[0] * power) * weight, rcond=None)[0]
    return values, np.sqrt(np.diag(np.linalg.inv(slope.T @ slope)))


def check(n_pairs: int, seed: int = 1) -> dict[str, np.ndarray]:
    """Measure with each rounding, hold it against the curve, print what was asked and measured; return the means."""
    expected, means = curve(DISTANCES), {}
    cases = {rounding: (rounding, 1) for rounding in ("stochastic", "nearest", "down")}
    for name, (rounding, epoch) in (cases | {"epoch of 8": ("stochastic", 8)}).items():
        n = n_pairs if rounding == "stochastic" else 1
        mean = measure(n, rounding, epoch, seed).mean(axis=1)
        error, allowed = np.abs(mean - expected), bound(n, rounding)
        print(f"{name}: largest error {error.max():.3f}, bound there {allowed[error.argmax()]:.3f}")
        assert (error <= allowed).all(), f"{name}: {DISTANCES[error > allowed]} steps"
        if rounding != "stochastic":
            assert (mean == exact(rounding)).all(), f"{name}: not what its arithmetic says"
        means[name] = mean
    for name in ("stochastic", "epoch of 8"):
        for side in sides():
            asked = (side.amplitude, side.tau)
            found, deviation = fitted(side, means[name], bound(n_pairs, "stochastic") / 4)
            for what, a, f, d in zip((side.name, "tau"), asked, found, deviation, strict=True):
                print(f"{name}: {what} asked {a:.2f}, measured {f:.2f} +- {d:.2f}")
                assert abs(a - f) <= 4 * d, (name, what)
    plus, minus = sides()
    assert -minus.amplitude * minus.tau > plus.amplitude * plus.tau, "depression must prevail"
    return means


def draw(means: dict[str, np.ndarray], n_pairs: int, path: Path) -> None:
    """Draw the measured points over the curve."""
    plt = pyplot("stdp-window")
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
    titles = (f"rounded at random: mean of {n_pairs} pairs", "one pair, the same every time")
    shown = (("stochastic", "epoch of 8"), ("nearest", "down"))
    for ax, title, names in zip(axes, titles, shown, strict=True):
        for side in sides():
            x = np.linspace(0, side.distances[np.abs(side.distances).argmax()], 200)
            y = side.amplitude * np.exp(-np.abs(x) / side.tau)
            ax.plot(x, y, color="black", linewidth=0.8)
        for name, marker, colour in zip(names, "ox", ("tab:blue", "tab:orange"), strict=True):
            label = name.replace("stochastic", "epoch of 1")
            ax.plot(
                DISTANCES,
                means[name],
                marker,
                color=colour,
                markersize=3.5,
                mfc="none",
                label=label,
            )
        ax.axhline(0, color="lightgrey", linewidth=0.8, zorder=0)
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("spike of the target after that of the source (steps)")
        ax.legend(fontsize=8)
    axes[0].set_ylabel("change of the weight")
    save_picture(figure, path)


def main(arguments: list[str] | None = None) -> int:
    """Measure, check and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where to draw stdp_window.svg")
    parser.add_argument("--pairs", type=int, default=1000, help="of spikes at each distance")
    options = parser.parse_args(arguments)
    need_to_draw(options.folder)
    means = check(options.pairs)
    if options.folder:
        draw(means, options.pairs, options.folder / "stdp_window.svg")
    return 0


if __name__ == "__main__":
    run_script(main)
