"""What programs/stdp_digits.py found: costs by counting, what was asked and measured, and a picture."""

import operator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from program_tools import pyplot, save_picture

from emulator import Run


def report(what: str, run: Run, epoch: int) -> None:
    """Print what an image of `epoch` steps cost in a timed run, by counting."""
    n, events, energy, spikes = run.n_steps // epoch, run.counters.total, run.energy(), run.spikes
    assert run.timing is not None
    nanojoules = {event: float(pj) / n / 1000 for event, pj in energy.by("event").items() if pj}
    each = {
        "spikes of pixels": len(spikes["pixels"]),
        "spikes of neurons": len(spikes["cells"]),
        "synaptic events": events("synaptic_event"),
        "plastic visits": int(run.visits("features").sum()),
    }
    print(f"{what}, per image of {epoch} steps, mean of the last {n}:")
    print(
        f"  {float(run.timing.seconds) / n * 1e6:.1f} us on the chip, "
        + ", ".join(f"{count / n:,.1f} {name}" for name, count in each.items())
    )
    print(
        f"  {float(energy.total_pj) / n / 1000:,.1f} nJ: "
        + ", ".join(
            f"{event} {part:,.1f}"
            for event, part in sorted(nanojoules.items(), key=lambda x: -x[1])
        )
    )


AGREES = {">=": operator.ge, "<=": operator.le, "==": operator.eq}


def check(*lines: tuple[str, str, float, float]) -> None:
    """Print what was asked and what was measured, and stop where they do not agree."""
    for what, sign, asked, measured in lines:
        print(f"{what}: asked {sign} {asked:g}, measured {measured:g}")
    for what, sign, asked, measured in lines:
        assert AGREES[sign](measured, asked), what


def draw(
    path: Path,
    weights: NDArray[np.int32],
    digit_of: NDArray[np.int64],
    curve: list[tuple[int, float]],
    truth: NDArray[np.int64],
    taken: NDArray[np.int64],
) -> None:
    """Draw the weights of neurons, the accuracy over images seen, and which digits were taken for which."""
    plt = pyplot("stdp_digits")
    figure, axes = plt.subplot_mosaic(
        [["fields", "curve"], ["fields", "taken"]],
        figsize=(11, 6.6),
        width_ratios=(1.6, 1),
        layout="constrained",
    )
    side = round(weights.shape[1] ** 0.5)
    fields = np.zeros((10, 10, side + 2, side + 2), np.int32)
    for digit in range(10):
        for place, neuron in enumerate(np.flatnonzero(digit_of == digit)[:10]):
            fields[digit, place, 1:-1, 1:-1] = weights[neuron].reshape(side, side)
    size = 10 * (side + 2)
    axes["fields"].imshow(
        fields.swapaxes(1, 2).reshape(size, size), cmap="gray_r", interpolation="none"
    )
    axes["fields"].set(xticks=[], yticks=(np.arange(10) + 0.5) * (side + 2), yticklabels=range(10))
    axes["fields"].set_title(
        f"weights of some of {len(weights)} neurons, by the digit they stand for", fontsize=9
    )
    seen, right = zip(*curve, strict=True)
    axes["curve"].semilogx(seen, 100 * np.array(right), "o-", color="tab:blue", markersize=4)
    axes["curve"].set_xticks(seen, [f"{n:,}" for n in seen], rotation=60, fontsize=7)
    axes["curve"].minorticks_off()
    axes["curve"].set(xlabel="images seen", ylabel="test images right (%)")
    axes["curve"].grid(alpha=0.3)
    table = np.zeros((10, 10), int)
    heard = taken >= 0
    np.add.at(table, (truth[heard], taken[heard]), 1)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    axes["taken"].imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(table):
        colour = "white" if share[row, column] > 0.5 else "black"
        axes["taken"].text(
            column, row, table[row, column], ha="center", va="center", fontsize=5.5, color=colour
        )
    axes["taken"].set(xticks=range(10), yticks=range(10), xlabel="taken for", ylabel="digit")
    axes["taken"].set_title(
        f"{np.mean(taken == truth):.1%} of {len(truth):,} test images right", fontsize=9
    )
    save_picture(figure, path)
