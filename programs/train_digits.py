"""Train the spiking digit classifier of digits.nir; about a minute on one core.

    python programs/train_digits.py programs/digits.nir

64 pixels -> 256 LIF neurons -> 10 LIF neurons, trained in spikes from the start: backpropagation
through time, with the slope of the threshold replaced by a surrogate (Zenke and Ganguli,
"SuperSpike", Neural Computation 30, 2018). Each pixel fires at most once, and a penalty on hidden
spikes keeps them few, because on a chip every spike is a packet. The settings were chosen on a
validation part of the training images; the test images are only looked at in the last lines.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from digits_data import N_STEPS, decide, encode, load_split
from numpy.typing import NDArray
from program_tools import need_folder, run_script

Reals = NDArray[np.float32]

DT_SECONDS = 1e-3
TAU_STEPS = 64  # a leak of 4096 / 64 = 64 per step in the chip's register, exactly
KEEP = np.float32(1 - 1 / TAU_STEPS)
SIZES = (64, 256, 10)

SEED = 0
EPOCHS = 1000
BATCH = 64
LEARNING_RATE = 5e-3
SHRINK = 1e-3  # of the weights, per step, times the learning rate
SURROGATE_SLOPE = np.float32(4)
LOGIT_PER_SPIKE = np.float32(1.5)
HIDDEN_PENALTY = np.float32(5e-3)  # per hidden spike and image, times the spikes of that neuron
SHIFTED = 0.2  # part of the images that are moved by a pixel, along each axis
GREY_NOISE = 2 / 16  # standard deviation on pixels that are not black


class Layer(NamedTuple):
    """What a layer did: arrays of (steps, images, neurons)."""

    before_reset: Reals
    spikes: Reals


def run_layer(drive: Reals) -> Layer:
    """Return the spikes of LIF neurons with threshold 1 and reset to 0, as NIR defines them."""
    v = np.zeros_like(drive[0])
    before_reset, spikes = np.empty_like(drive), np.empty_like(drive)
    for t in range(len(drive)):
        v = KEEP * v + drive[t]
        before_reset[t] = v
        spikes[t] = v > 1
        v = v * (1 - spikes[t])
    return Layer(before_reset, spikes)


def run(weights: list[Reals], pixels: Reals) -> list[Layer]:
    """Return what both layers do with pixel spikes (steps, images, 64)."""
    hidden = run_layer(pixels @ weights[0].T)
    return [hidden, run_layer(hidden.spikes @ weights[1].T)]


def drive_gradient(spike_gradient: Reals, layer: Layer) -> Reals:
    """Return the gradient of a layer's drive, given that of its spikes, back through time."""
    carried = np.zeros_like(spike_gradient[0])
    gradient = np.empty_like(spike_gradient)
    for t in range(len(gradient) - 1, -1, -1):
        distance = np.abs(layer.before_reset[t] - 1)
        slope = 1 / (1 + SURROGATE_SLOPE * distance) ** 2
        gradient[t] = carried * (1 - layer.spikes[t]) + spike_gradient[t] * slope
        carried = KEEP * gradient[t]
    return gradient


def gradients(weights: list[Reals], pixels: Reals, labels: NDArray[np.int64]) -> list[Reals]:
    """Return the gradient of the cross entropy of output spike counts, plus the hidden penalty."""
    hidden, output = run(weights, pixels)
    n_images = len(labels)
    logits = LOGIT_PER_SPIKE * output.spikes.sum(axis=0)
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    chances[np.arange(n_images), labels] -= 1
    count_gradient = LOGIT_PER_SPIKE * chances / n_images
    output_drive = drive_gradient(np.broadcast_to(count_gradient, output.spikes.shape), output)
    penalty = HIDDEN_PENALTY / n_images * hidden.spikes.sum(axis=0)
    hidden_drive = drive_gradient(output_drive @ weights[1] + penalty, hidden)
    return [
        np.tensordot(hidden_drive, pixels, axes=((0, 1), (0, 1))),
        np.tensordot(output_drive, hidden.spikes, axes=((0, 1), (0, 1))),
    ]


def vary(images: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Return the images, some moved by a pixel, with noise on what is not black."""
    n_images = len(images)
    framed = np.pad(images.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    chances = [SHIFTED / 2, 1 - SHIFTED, SHIFTED / 2]
    row, column = random.choice(3, (2, n_images, 1), p=chances) + np.arange(8)
    moved = framed[np.arange(n_images)[:, None, None], row[:, :, None], column[:, None, :]]
    noisy = np.clip(moved + random.normal(0, GREY_NOISE, moved.shape), 0, 1)
    return np.where(moved > 0, noisy, 0).reshape(-1, 64)


def pixel_spikes(images: NDArray[np.float64]) -> Reals:
    """Return spikes as (steps, images, 64), so that a step is one block of memory."""
    return np.ascontiguousarray(encode(images).transpose(1, 0, 2), np.float32)


def adam(
    weight: Reals, mean: Reals, square: Reals, gradient: Reals, rate: np.float32, update: int
) -> None:
    """Move a weight array and the two running means of its gradient, in place."""
    mean += np.float32(0.1) * (gradient - mean)
    square += np.float32(0.001) * (gradient * gradient - square)
    step = mean / np.float32(1 - 0.9**update)
    step /= np.sqrt(square / np.float32(1 - 0.999**update)) + np.float32(1e-8)
    weight -= rate * (step + np.float32(SHRINK) * weight)


def train(images: NDArray[np.float64], labels: NDArray[np.int64]) -> list[Reals]:
    """Return the weights of both layers, by Adam with a learning rate that falls as a cosine."""
    random = np.random.default_rng(SEED)
    shapes = [(SIZES[1], SIZES[0]), (SIZES[2], SIZES[1])]
    weights = [random.normal(0, 0.25, shape).astype(np.float32) for shape in shapes]
    means = [np.zeros_like(weight) for weight in weights]
    squares = [np.zeros_like(weight) for weight in weights]
    batches_per_epoch = len(images) // BATCH
    n_updates = EPOCHS * batches_per_epoch
    update = 0
    for epoch in range(EPOCHS):
        varied = vary(images, random)
        for batch in random.permutation(len(images))[: batches_per_epoch * BATCH].reshape(
            -1, BATCH
        ):
            update += 1
            rate = np.float32(LEARNING_RATE / 2 * (1 + np.cos(np.pi * update / n_updates)))
            batch_gradients = gradients(weights, pixel_spikes(varied[batch]), labels[batch])
            for state in zip(weights, means, squares, batch_gradients, strict=True):
                adam(*state, rate, update)
        if (epoch + 1) % 100 == 0:
            found = accuracy(run(weights, pixel_spikes(images))[1].spikes, labels)
            print(f"epoch {epoch + 1:4}: {found:.4f} of the training images")
    return weights


def accuracy(output_spikes: NDArray[np.generic], labels: NDArray[np.int64]) -> float:
    """Return the part of the images (steps, images, 10) that are read as their labels."""
    spikes = np.asarray(output_spikes, np.bool_).transpose(1, 0, 2)
    return float(np.mean(decide(spikes) == labels))


def run_integers(weights: list[Reals], pixels: Reals) -> list[NDArray[np.bool_]]:
    """Return the spikes of both layers with 8-bit weights and integer voltages, as on a chip."""
    spikes, result = pixels.astype(np.int64), []
    for weight in weights:
        scale = 254 / np.abs(weight).max()
        mantissas = 2 * np.rint(weight * scale / 2).astype(np.int64)
        threshold = int(np.rint(scale)) << 6
        drive = (spikes @ mantissas.T) << 6
        v = np.zeros_like(drive[0])
        fired = np.zeros(drive.shape, np.bool_)
        for t in range(len(drive)):
            v = np.sign(v) * (np.abs(v) * (4096 - 4096 // TAU_STEPS) >> 12) + drive[t]
            fired[t] = v > threshold
            v[fired[t]] = 0
        result.append(fired)
        spikes = fired.astype(np.int64)
    return result


def write(path: Path, weights: list[Reals], facts: dict[str, float | int | str]) -> None:
    """Write the network as a NIR file, with the facts as the graph's metadata."""
    nodes: dict[str, dict[str, object]] = {"pixels": {"type": "Input", "shape": [SIZES[0]]}}
    edges = []
    before = "pixels"
    for name, weight in zip(("hidden", "digit"), weights, strict=True):
        ones = np.ones(len(weight), np.float32)
        nodes[f"to_{name}"] = {"type": "Linear", "weight": weight}
        nodes[name] = {
            "type": "LIF",
            "tau": ones * TAU_STEPS * DT_SECONDS,
            "r": ones * TAU_STEPS,  # dt/tau * r = 1: the weights are what a spike adds to v
            "v_leak": 0 * ones,
            "v_threshold": ones,
            "v_reset": 0 * ones,
        }
        edges += [(before, f"to_{name}"), (f"to_{name}", name)]
        before = name
    nodes["output"] = {"type": "Output", "shape": [SIZES[-1]]}
    edges.append((before, "output"))
    with h5py.File(path, "w") as file:
        file["version"] = "1.0.8"
        graph = file.create_group("node")
        graph["type"] = "NIRGraph"
        graph.create_dataset("edges", data=np.array(edges, object), dtype=h5py.string_dtype())
        for name, fields in nodes.items():
            for field, value in fields.items():
                graph[f"nodes/{name}/{field}"] = value
        for name, fact in facts.items():
            graph[f"metadata/{name}"] = fact


def main() -> None:
    """Train, measure on the test images, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path, help="where to write the network, *.nir")
    path = parser.parse_args().file
    need_folder(path.parent)
    split = load_split()
    weights = train(split.train_images, split.train_labels)
    pixels = pixel_spikes(split.test_images)
    layers = [layer.spikes for layer in run(weights, pixels)]
    integer_layers = run_integers(weights, pixels)
    n_images = len(split.test_labels)
    facts: dict[str, float | int | str] = {
        "dt_seconds": DT_SECONDS,
        "n_steps": N_STEPS,
        "accuracy_float": accuracy(layers[1], split.test_labels),
        "accuracy_8_bit": accuracy(integer_layers[1], split.test_labels),
        "n_test_images": n_images,
        "description": "Handwritten digits of 8 x 8 pixels; made by programs/train_digits.py",
    }
    write(path, weights, facts)
    print(f"{path.name}: of {n_images} test images {facts['accuracy_float']:.4f} right in float,")
    print(
        f"{facts['accuracy_8_bit']:.4f} with 8-bit weights. Spikes for an image, float and 8 bits:"
    )
    for name, spikes, integer_spikes in zip(
        ("hidden", "digit"), layers, integer_layers, strict=True
    ):
        print(f"  {name:6} {spikes.sum() / n_images:6.2f} {integer_spikes.sum() / n_images:6.2f}")
    print(f"  pixels {pixels.sum() / n_images:6.2f}")


if __name__ == "__main__":
    run_script(main)
