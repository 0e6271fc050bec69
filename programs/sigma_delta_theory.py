"""What theory says of spiking encoders, measured on the chip: noise shaping, and chattering at a threshold.

`python programs/sigma_delta_theory.py docs` measures both and draws docs/noise_shaping.svg and docs/chattering.svg. The
model "if" is a first-order sigma-delta modulator: its quantisation noise rises by 20 dB per decade of frequency. A
threshold under a noisy input is crossed again and again, which sliding-mode control calls chattering; hysteresis, here
a larger threshold for changes, ends it.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parent))
from program_tools import need_to_draw, pyplot, run_script, save_picture

from emulator import Emulator, Network, compile_network, load_chip

QUANTUM = 1 << 16
CHATTERING = ((0, 400), (300, 400), (300, 1500))
"""Noise and threshold of three encoders: quiet, chattering, and quiet again by hysteresis."""


def encode(currents: np.ndarray, threshold: int = QUANTUM) -> np.ndarray:
    """Return the spikes (n_steps, n) of integrate-and-fire neurons with a current for each step."""
    chip, net = load_chip("loihi2"), Network("encoder")
    n_steps, n = currents.shape
    source = net.input("in", n, payload_bits=31)
    cells = net.population("cells", n, model="if", threshold=threshold)
    one = (np.arange(n), np.arange(n), np.ones(n, np.int64))
    net.connect(source, cells, weights=one, weight_exp=-6, sign_mode="exc")
    net.probe(cells, "spikes")
    step, neuron = np.nonzero(currents)
    inputs = {"in": np.stack([step, neuron, currents[step, neuron]], axis=1)}
    run = Emulator(chip, compile_network(net, chip)).run(n_steps + 1, inputs, timing="off")
    fired: np.ndarray = run.recordings["cells"]["spikes"][1:]
    return fired


def noise_spectrum(
    n_steps: int = 1 << 15, n: int = 32, seed: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies (per step) and the mean power of the encoder's error at each, over inputs around one half."""
    rng = np.random.default_rng(seed)
    # A slow signal and a dither that makes the quantisation error independent of it.
    t = np.arange(n_steps)[:, None]
    signal = 0.5 + 0.2 * np.sin(2 * np.pi * t / n_steps * 3 + rng.uniform(0, 6, n))
    currents = np.round((signal + rng.uniform(-0.05, 0.05, (n_steps, n))) * QUANTUM).astype(
        np.int64
    )
    error = encode(currents) - currents / QUANTUM
    window = np.hanning(n_steps)[:, None]
    power = (np.abs(np.fft.rfft(error * window, axis=0)) ** 2).mean(axis=1) / (window**2).sum()
    return np.fft.rfftfreq(n_steps), power


def slope_db_per_decade(frequency: np.ndarray, power: np.ndarray, low: float, high: float) -> float:
    """Return the slope of a spectrum between two frequencies."""
    chosen = (frequency >= low) & (frequency <= high)
    # Equal weight for each part of a decade.
    edges = np.geomspace(low, high, 20)
    which = np.digitize(frequency[chosen], edges)
    points = [
        (
            np.log10(frequency[chosen][which == k].mean()),
            10 * np.log10(power[chosen][which == k].mean()),
        )
        for k in np.unique(which)
    ]
    return float(np.polyfit(*zip(*points, strict=True), 1)[0])


def follow(
    noise: float, hysteresis: int, n_steps: int = 400, seed: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Return a noisy input and what a sigma-delta unit with some hysteresis makes of it, as sent values."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_steps)
    signal = 3000 * np.sin(2 * np.pi * t / 200) + rng.normal(0, noise, n_steps)
    currents = np.round(signal).astype(np.int64)
    chip, net = load_chip("loihi2"), Network("chattering")
    source = net.input("in", 1, payload_bits=20)
    unit = net.population("unit", 1, model="sigma_delta", keep=0, threshold=hysteresis)
    net.connect(source, unit, weights=([0], [0], [1]), weight_exp=-6, sign_mode="exc")
    net.probe(unit, "sent", "spikes")
    inputs = {"in": np.stack([t, 0 * t, currents], axis=1)}
    run = Emulator(chip, compile_network(net, chip)).run(n_steps + 1, inputs, timing="off")
    return currents, run.recordings["unit"]["sent"][1:, 0]


def draw(folder: Path) -> None:
    """Draw both pictures."""
    plt = pyplot("sigma-delta")
    frequency, power = noise_spectrum()
    figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    edges = np.geomspace(frequency[8], 0.5, 120)
    which = np.digitize(frequency, edges)
    binned = [
        (frequency[which == k].mean(), power[which == k].mean()) for k in np.unique(which)[1:]
    ]
    x, y = np.array(binned).T
    ax.semilogx(x, 10 * np.log10(y), color="tab:blue", label="error of the spikes")
    theory = (2 * np.sin(np.pi * x)) ** 2 / 12
    ax.semilogx(
        x, 10 * np.log10(theory), ":", color="black", label="first-order sigma-delta, 1/12 quantum"
    )
    slope = slope_db_per_decade(frequency, power, 1e-3, 3e-2)
    ax.set(
        xlabel="frequency (per step)",
        ylabel="power (dB of a quantum)",
        title=f"{slope:.1f} dB per decade",
    )
    ax.legend(fontsize=8)
    save_picture(figure, folder / "noise_shaping.svg")

    figure, axes = plt.subplots(3, 1, figsize=(7, 6), sharex=True, layout="constrained")
    for ax, (noise, hysteresis) in zip(axes, CHATTERING, strict=True):
        signal, sent = follow(noise, hysteresis)
        n_changes = np.count_nonzero(np.diff(sent))
        ax.plot(signal, color="lightgrey", linewidth=1)
        ax.step(np.arange(len(sent)), sent, where="post", color="tab:blue", linewidth=0.9)
        ax.set_title(f"noise {noise}, threshold {hysteresis}: {n_changes} spikes", fontsize=9)
    axes[-1].set_xlabel("step")
    save_picture(figure, folder / "chattering.svg")


def main() -> None:
    """Measure both, and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where to draw both pictures")
    options = parser.parse_args()
    need_to_draw(options.folder)
    slope = slope_db_per_decade(*noise_spectrum(), 1e-3, 3e-2)
    print(f"noise of an encoder: {slope:.1f} dB per decade; theory: 20")
    for noise, hysteresis in CHATTERING:
        n_changes = np.count_nonzero(np.diff(follow(noise, hysteresis)[1]))
        print(f"noise {noise}, threshold {hysteresis}: {n_changes} spikes")
    if options.folder:
        draw(options.folder)


if __name__ == "__main__":
    run_script(main)
