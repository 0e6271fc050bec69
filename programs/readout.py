"""A management core reads spikes, finds the neuron that fired most, writes its threshold and answers the host.

    python programs/readout.py                # the program in Python
    python programs/readout.py --x86          # the same in C, for a Lakemont core

The latter needs gcc, and two packages: pip install unicorn pyelftools.

Both do the same thing in every step; what the x86 core needs for it is counted, instruction by instruction. The same
from the command line:

    emulator compile readout --chip loihi -o readout.program
    emulator build-management $(emulator programs --folder)/readout.c --program readout.program -o readout.elf
    emulator run readout --chip loihi --steps 1000 -o a_run --management core=0,phase=post,elf=readout.elf
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parent))
from program_tools import run_script

from emulator import Emulator, Network, Program, Run, compile_network, load_chip

STEPS = 1000
N_INPUTS, N_CELLS = 8, 10
C_FILE = Path(__file__).with_name("readout.c")


def network() -> Network:
    """Return ten cells that fire at different rates, and a channel to the host."""
    net, rng = Network("readout"), np.random.default_rng(3)
    source = net.input("in", N_INPUTS)
    cells = net.population("cells", N_CELLS, vth_mant=90, du=1000, dv=200)
    net.connect(source, cells, weights=2 * rng.integers(-50, 60, (N_CELLS, N_INPUTS)))
    net.channel("best", 0, "host", words=2)
    return net


def inputs(steps: int, seed: int) -> dict[str, np.ndarray]:
    """Return input spikes drawn by chance."""
    return {"in": np.random.default_rng(seed).random((steps, N_INPUTS)) < 0.3}


def readout(core) -> None:
    """Do what readout.c does."""
    counts = core.memory.setdefault("counts", np.zeros(N_CELLS, np.int64))
    counts += core.read("cells.spikes")
    best = int(counts.argmax())
    core.write("cells.threshold", 64 * (90 + counts[best] % 16), [best])
    core.send("best", [best, counts[best]])


def run_with(program: Program, run: object, steps: int = STEPS, timing: str = "cycle") -> Run:
    """Run the network with a program of core 0."""
    emulator = Emulator(load_chip("loihi"), program)
    emulator.manage(0, "post", run)
    return emulator.run(steps, inputs(steps, 0), timing=timing)


def built(program: Program, folder: Path) -> Path:
    """Return readout.c as an ELF file for a program."""
    from emulator.management.build import build_for  # noqa: PLC0415  # needs packages

    target = folder / "readout.elf"
    build_for(program, load_chip("loihi"), C_FILE, target)
    return target


def main(arguments: list[str] | None = None) -> int:
    """Run one form, or both, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--x86", action="store_true", help="run readout.c, and compare it with Python"
    )
    options = parser.parse_args(arguments)
    program = compile_network(network(), load_chip("loihi"))
    run = run_with(program, readout)
    neuron, count = run.messages["best"][-1, 1:]
    print(f"neuron {neuron} fired most, {count} times in {run.n_steps:,} steps")
    if not options.x86:
        return 0
    with tempfile.TemporaryDirectory() as folder:
        twin = run_with(program, built(program, Path(folder)))
    same = (
        np.array_equal(twin.messages["best"], run.messages["best"])
        and np.array_equal(twin.spikes["cells"], run.spikes["cells"])
    )  # fmt: skip
    cycles, _ = twin.management_cycles()
    n_instructions = twin.counters.total("management_instruction")
    print(
        f"C and Python, asked: the same in {STEPS:,} steps; measured: {'the same' if same else 'NOT the same'}"
    )
    print(f"x86: {n_instructions / STEPS:.1f} instructions a step")
    print(
        f"management: {100 * cycles.sum() / twin.timing.total_cycles:.0f} % of the time of the chip"
    )
    return 0 if same else 1


if __name__ == "__main__":
    run_script(main)
