"""Classify real handwritten digits on an emulated chip, and show what it cost.

    python programs/digits.py [CHIP]         # or: make run
    emulator run digits --chip loihi --steps 140 --reset-every 14 -o ten_images

450 test images of digits_data.py, which the network has not seen in training, are shown one after
the other; the state is reset in between. programs/train_digits.py made the network.

It says itself how it spreads over the chip, because a step lasts as long as its fullest core: with 16 neurons a core
it takes 17 cores on 5 tiles of `loihi`, and an image 10,880 cycles; with 256 a core, 2 cores and 86,054. From the
command line, `--param neurons_per_core=8` spreads it further.
"""

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

sys.path.append(str(Path(__file__).parent))
from digits_data import N_STEPS, decide, encode, load_split  # after its folder is on the path
from program_tools import run_script

from emulator import Emulator, Network, Program, Run, compile_network, load_chip
from emulator.importers.nir import load_nir
from emulator.observe.render import core_map
from emulator.observe.report import MEANING, figures

NIR = Path(__file__).with_name("digits.nir")
DT_SECONDS = 1e-3
DEPTH = 2  # layers: what the pixels of step t cause reaches the output in step t + DEPTH
IMAGE_STEPS = N_STEPS + DEPTH


def network(neurons_per_core: int = 16) -> Network:
    """Return the trained network: 64 pixels, 256 hidden neurons, 10 digits; so many of a layer on a core."""
    return load_nir(NIR, DT_SECONDS, neurons_per_core=neurons_per_core)


def inputs(steps: int, seed: int) -> dict[str, NDArray[np.bool_]]:
    """Return as many test images as begin within so many steps; the seed chooses their order."""
    images = load_split().test_images
    order = np.random.default_rng(seed).permutation(len(images))
    chosen = images[order[: -(-steps // IMAGE_STEPS)]]
    return {"pixels": shown(chosen)[:steps]}


def shown(images: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the pixel spikes (steps, 64) of images that follow each other."""
    spikes = np.zeros((len(images), IMAGE_STEPS, 64), bool)
    spikes[:, :N_STEPS] = encode(images)
    return spikes.reshape(-1, 64)


def classify(
    emulator: Emulator, images: NDArray[np.float64], console: Console
) -> tuple[Run, NDArray[np.int64]]:
    """Run the images with a progress bar; return the run and the digit chosen for each."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("images", total=len(images))
        run = emulator.run(
            len(images) * IMAGE_STEPS,
            {"pixels": shown(images)},
            reset_every=IMAGE_STEPS,
            progress=lambda done: progress.update(task, completed=done // IMAGE_STEPS),
        )
    raster = np.zeros((run.n_steps, 10), bool)
    raster[tuple(run.spikes["digit"].T)] = True
    return run, decide(raster.reshape(len(images), IMAGE_STEPS, 10))


def results(run: Run, n_images: int, correct: int, accuracy_float: float) -> Table:
    """Return the figures that matter, per image."""
    count, spikes, timing = run.counters.total, run.spikes.counts(), run.timing
    table = Table(
        title=f"{n_images} test images on chip '{run.chip.name}'", title_justify="left", box=None
    )
    table.add_column("", style="bold")
    table.add_column("", justify="right")
    table.add_column("", style="dim")
    hops = count("hop_ew") + count("hop_ns")
    table.add_row(
        "accuracy", f"{100 * correct / n_images:.1f} %", f"{correct} of {n_images}; 8-bit weights"
    )
    table.add_row(
        "float network", f"{100 * accuracy_float:.1f} %", "the same network before quantisation"
    )
    table.add_section()
    for name in ("pixels", "hidden", "digit"):
        table.add_row(f"spikes, {name}", f"{spikes[name] / n_images:.1f}", "per image")
    table.add_row("synaptic events", f"{count('synaptic_event') / n_images:,.0f}", "per image")
    table.add_row(
        "packets",
        f"{count('packet') / n_images:.1f}",
        "per image; one for each spike and core it reaches",
    )
    table.add_row("hops", f"{hops / n_images:.1f}", "per image; links between routers")
    if timing is not None:
        table.add_row(
            "cycles", f"{timing.total_cycles / n_images:,.0f}", f"per image of {IMAGE_STEPS} steps"
        )
        table.add_row(
            "time", f"{float(timing.seconds) / n_images * 1e6:.2f} us", "per image, on the chip"
        )
    return table


def energies(run: Run, n_images: int) -> Table:
    """Return the energy per image by event kind."""
    energy = run.energy()
    table = Table(title="Energy per image", title_justify="left", box=None)
    table.add_column("event", style="bold")
    table.add_column("nJ", justify="right")
    table.add_column("share", justify="right")
    table.add_column("one of them is", style="dim")
    for event, pj in sorted(energy.by("event").items(), key=lambda item: -item[1]):
        if pj:
            share = 100 * float(pj / energy.total_pj)
            table.add_row(
                event, f"{float(pj) / n_images / 1000:.3f}", f"{share:.1f} %", MEANING[event]
            )
    table.add_section()
    table.add_row("total", f"{float(energy.total_pj) / n_images / 1000:.3f}", "100.0 %", "")
    return table


def main(
    chip_name: Annotated[str, typer.Argument(metavar="CHIP", help="Chip file or name.")] = "loihi",
) -> None:
    """Classify handwritten digits on an emulated chip, and show what it cost."""
    console = Console()
    chip, net, split = load_chip(chip_name), network(), load_split()
    program: Program = compile_network(net, chip)
    tiles = {core // chip.mesh.cores_per_tile for core in program.segments[:, 3].tolist()}
    console.print(
        f"[bold]{program.n_compartments} neurons[/], {program.n_synapses:,} synapses on {program.n_cores} cores "
        f"of {len(tiles)} tiles of [bold]{chip.name}[/]",
        highlight=False,
    )
    run, digits = classify(Emulator(chip, program), split.test_images, console)
    n_images = len(split.test_labels)
    correct = int(np.sum(digits == split.test_labels))
    console.print(results(run, n_images, correct, float(net.metadata["accuracy_float"])))
    console.print(energies(run, n_images))
    console.print()
    unicode = console.encoding.lower().startswith("utf")
    console.print(core_map(figures(run), chip, "energy", console.width, unicode=unicode))


if __name__ == "__main__":
    run_script(lambda: typer.run(main))
