"""How time and memory grow from a thousand neurons to a million: measures, and draws docs/growth.svg.

    python tests/benchmarks/growth.py [FILE.svg]        # two minutes; needs matplotlib

Networks of programs/full_chip.py, 120 synapses a neuron, 1 % of the neurons firing in a step, one thread, timing off.
"""

import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "programs")]

from full_chip import network  # noqa: E402  # its folder is on the path now
from program_tools import need_to_draw, pyplot, run_script, save_picture  # noqa: E402

from emulator import Emulator, Program, compile_network, load_chip  # noqa: E402
from emulator.engine import Probed, spike_schedule  # noqa: E402

CHIP = load_chip("loihi2_full")
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1 << 20)
STEPS_OF_A_THOUSAND = 40_000
NO_PROBE = Probed(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64))


def measure(n_neurons: int, folder: Path) -> tuple[float, int, int]:
    """Return the median microseconds of a step, bytes while running and bytes of the program file."""
    path = folder / "growth.program"
    compile_network(network(neurons=n_neurons), CHIP).save(path)
    engine = Emulator(CHIP, Program.load(path))._engine
    n_steps = max(20, STEPS_OF_A_THOUSAND * 1000 // n_neurons)
    schedule, times = spike_schedule(engine.program, None, n_steps), []
    for _ in range(5):
        began = perf_counter()
        engine.run(n_steps, schedule, NO_PROBE, lambda chunk: None)
        times.append(perf_counter() - began)
    held = sum(array.nbytes for array in engine.tables.values())
    return 1e6 * median(times) / n_steps, held, path.stat().st_size


def draw(rows: list[tuple[float, int, int]], target: Path) -> None:
    """Draw both on logarithmic axes, with lines of slope one to compare with."""
    plt = pyplot("growth")
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    micros, held, stored = (np.array(column, float) for column in zip(*rows, strict=True))
    sizes = np.array(SIZES, float)
    left.loglog(sizes, micros, "o-", color="tab:blue", label="a step, 1 % active")
    left.loglog(sizes, micros[-1] * sizes / sizes[-1], ":", color="grey", label="in proportion")
    left.set(xlabel="neurons (120 synapses each)", ylabel="microseconds a step, one thread")
    right.loglog(sizes, held, "o-", color="tab:orange", label="while running")
    right.loglog(sizes, stored, "s--", color="tab:green", label="program file")
    right.loglog(sizes, held[-1] * sizes / sizes[-1], ":", color="grey", label="in proportion")
    right.set(xlabel="neurons (120 synapses each)", ylabel="bytes")
    for axes in (left, right):
        axes.grid(visible=True, which="major", alpha=0.3)
        axes.legend(frameon=False)
    save_picture(figure, target)


def main() -> None:
    """Measure, print and draw."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "growth.svg"
    need_to_draw(target.parent)
    table = Table("neurons", "us a step", "MB while running", "MB in the file", "bytes a synapse")
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(size, Path(folder)) for size in SIZES]
    for size, (micros, held, stored) in zip(SIZES, rows, strict=True):
        table.add_row(f"{size:,}", f"{micros:.3g}", f"{held / 1e6:.3g}", f"{stored / 1e6:.3g}", f"{held / 120 / size:.2f}")  # fmt: skip
    Console().print(table)
    draw(rows, target)


if __name__ == "__main__":
    run_script(main)
