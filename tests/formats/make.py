"""Sample files of one version, with what was seen when they were made, for `tests/test_formats.py`.

Each folder beside this file was made once, by the last commit that wrote its formats, and is never made again:

    folder               commit   program  run  checkpoint  sections of chip files that came later
    p1_r1                1cab9d8  1        1    -           microcode, learning; costs of management cores
    p2_r1_c1             09fa5a6  2        1    1           microcode, learning; costs of management cores
    p3_r2_c2             8b94eb7  3        2    2           learning; costs of management cores
    p3_r2_c2_engine      67ac44b  3        2    2           costs of management cores
    p4_r3_c3_unmanaged   a0a2b55  4        3    3           costs of management cores
    p4_r3_c3             8bffa04  4        3    3           -

A format that ends gets a folder before it does. From the root of the project, for the commit in `git log` after which
a version number or a section changed:

    git worktree add ../old COMMIT && (cd ../old && python setup.py build_ext --inplace)
    PYTHONPATH=../old python tests/formats/make.py tests/formats/NAME COMMIT [NETWORK...]

This script runs with the package of any version that is first on the path, so it uses what all of them have, and asks
for the rest. A folder holds `chip.yaml`, the chip "tiny" of the time, and a folder for each network, by default all
that the version can run:

    program.safetensors  the compiled network
    finished/            a run of 12 steps
    unfinished/          another, stopped after its first checkpoint, of a chip that had run for three steps before
    expected.json        the versions of the formats, and what both runs did, the second as if it had not been stopped
"""

import contextlib
import importlib
import inspect
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from emulator import Emulator, Network, compile_network, load_chip

STEPS, BEFORE, CHECKPOINT_EVERY = 12, 3, 5
SEED = 7


class Stopped(Exception):  # noqa: N818
    """Ends a run in the middle."""


PACKAGE = Path(inspect.getfile(Emulator)).parent


def has(part: str) -> bool:
    """Return whether this version has a part, by the path of its file or folder."""
    return (PACKAGE / part).exists()


def weights(n_post: int, n_pre: int, low: int, high: int) -> Any:
    """Return even mantissas that look drawn, about a third of them 0, which is no synapse."""
    post, pre = np.mgrid[:n_post, :n_pre]
    drawn = (post * 7919 + pre * 104_729 + post * pre * 31) % 97
    return 2 * np.where(drawn % 3 == 0, 0, low + drawn % (high - low))


def plain() -> tuple[Network, dict[str, Any]]:
    """Return native neurons that remember, rest and wait for delayed spikes, on five cores."""
    net = Network("plain")
    source = net.input("in", 4)
    cells = net.population(
        "cells", 10, du=900, dv=200, vth_mant=90, bias_mant=np.arange(10) % 3 * 20, bias_exp=3,
        refractory=2, v_init=np.arange(10) * 100, neurons_per_core=2,
    )  # fmt: skip
    net.connect(source, cells, weights=weights(10, 4, -10, 60), delay=1)
    delays = np.arange(100).reshape(10, 10) % 4
    net.connect(cells, cells, weights=weights(10, 10, -30, 25), delay=delays, name="loop")
    net.probe(cells, "u", "v")
    step, neuron = np.nonzero(np.arange(STEPS * 4).reshape(STEPS, 4) * 5 % 7 < 3)
    return net, {"in": np.column_stack([step, neuron])}


def programmed() -> tuple[Network, dict[str, Any]]:
    """Return neuron programs with graded input, whose dendrites are compartments of their own."""
    net = Network("programmed")
    source = net.input("in", 4, payload_bits=4)
    dendrites = net.population("dendrites", 6, du=1000, dv=400, vth_mant=8000, neurons_per_core=2)
    somata = net.population(
        "somata", 6, model="alif", v_retain=3800, a_retain=4000, a_step=900, threshold=9000,
        neurons_per_core=2,
    )  # fmt: skip
    net.join(dendrites, somata, "add", "v")
    net.connect(source, dendrites, weights=weights(6, 4, 1, 9), delay=2)
    net.connect(source, somata, weights=weights(6, 4, 1, 20))
    net.connect(somata, dendrites, weights=weights(6, 6, -20, 40), delay=1, name="loop")
    net.probe(dendrites, "u", "v")
    net.probe(somata, "v", "a", "spikes")
    step, neuron = np.nonzero(np.arange(STEPS * 4).reshape(STEPS, 4) * 5 % 11 < 5)
    return net, {"in": np.column_stack([step, neuron, (step + neuron) % 7 + 1])}


def learning() -> tuple[Network, dict[str, Any]]:
    """Return the plain network with weights and tags that learn from traces and a reward."""
    from emulator import Rule, Trace  # noqa: PLC0415  # earlier versions have none

    net, inputs = plain()
    net.name = "learning"
    source, cells = net.populations["in"], net.populations["cells"]
    rule = Rule(
        dw="2^-2*x1*y0 - 2^-3*y1*x0 + 2^-3*r0*x1*y0",
        dt="2^-3*x1*y0",
        x1=Trace(16, 10),
        y1=Trace(20, 5),
        epoch=2,
    )
    net.connect(source, cells, weights=weights(10, 4, 1, 30), delay=1, learning=rule, name="taught")
    return net, inputs


def managed() -> tuple[Network, dict[str, Any]]:
    """Return the plain network beside a management core that counts its spikes for the host."""
    net, inputs = plain()
    net.name = "managed"
    net.channel("counts", 0, "host", words=2)

    def count(core: Any) -> None:
        core.send("counts", [core.step, int(core.read("cells.spikes").sum())])

    net.manage(0, "post", count, every=3, instructions=40)
    return net, inputs


def networks() -> dict[str, Any]:
    """Return the networks that this version can run and keep, by name."""
    found: dict[str, Any] = {"plain": plain}
    if has("microcode"):
        found["programmed"] = programmed
    if has("observe/learned.py"):
        found["learning"] = learning
    if has("management"):
        found["managed"] = managed
    return found


def options(name: str) -> dict[str, Any]:
    """Return what a run of a network is given beside its steps and inputs."""
    if name != "learning":
        return {"seed": SEED}
    return {"seed": SEED, "rewards": {"r0": [(3 * step) % 5 for step in range(STEPS)]}}


def seen(run: Any) -> dict[str, Any]:
    """Return what a run did, in JSON's types and without anything that is rounded."""
    energy = run.energy()
    found: dict[str, Any] = {
        "spikes": {name: run.spikes[name].tolist() for name in run.spikes},
        "counters": run.counters.by("event"),
        "energy_pj": str(energy.total_pj),
        "static_pj": str(energy.static_pj),
        "step_cycles": run.timing.step_cycles.tolist(),
        "core_cycles": {
            name: getattr(run.timing, f"core_{name}_cycles").tolist()
            for name in ("neuron", "axon", "receive", "axon_waited", "receive_waited")
        },
        "recording_sums": {
            name: {
                variable: {
                    "of_steps": rows.sum(axis=1).tolist(),
                    "of_neurons": rows.sum(axis=0).tolist(),
                }
                for variable, rows in variables.items()
            }
            for name, variables in run.recordings.items()
        },
    }
    if getattr(run.program, "is_graded", False):
        found["payloads"] = {name: run.spikes.payloads(name).tolist() for name in run.spikes}
    if getattr(run.program, "learns", False):
        found["weights"] = run.weights("taught").tolist()
        found["tags"] = run.tags("taught").tolist()
    if getattr(run, "messages", {}):
        found["messages"] = {name: rows.tolist() for name, rows in run.messages.items()}
    return found


def versions() -> dict[str, int | None]:
    """Return the version of each format that this version writes."""
    manifest = importlib.import_module("emulator.program.manifest")
    folder = importlib.import_module("emulator.observe.folder")
    checkpoint = None
    if has("observe/checkpoint.py"):
        checkpoint = importlib.import_module("emulator.observe.checkpoint").KIND.version
    return {"program": manifest.VERSION, "run": folder.VERSION, "checkpoint": checkpoint}


def make(folder: Path, chip: Any, name: str, commit: str) -> None:
    """Write the samples of one network."""
    net, inputs = networks()[name]()
    program = compile_network(net, chip, seed=1)
    folder.mkdir()
    program.save(folder / "program.safetensors")
    given = options(name)
    run = Emulator(chip, program).run(STEPS, inputs, **given)
    run.save(folder / "finished")
    expected = {"commit": commit, "formats": versions(), "finished": seen(run)}
    keeps = "checkpoint_every" in inspect.signature(Emulator.run).parameters
    if keeps and name != "managed":  # management programs keep state that no file holds
        whole, stopped = Emulator(chip, program), Emulator(chip, program)
        for emulator in (whole, stopped):
            emulator.run(BEFORE, seed=SEED)
        expected["unfinished"] = seen(whole.run(STEPS, inputs, **given))

        def stop(_done: int) -> None:
            raise Stopped

        with contextlib.suppress(Stopped):
            stopped.run(
                STEPS, inputs, **given, progress=stop,
                save_to=folder / "unfinished", checkpoint_every=CHECKPOINT_EVERY,
            )  # fmt: skip
        assert (folder / "unfinished" / "parts").is_dir()
    text = json.dumps(expected, indent=None, separators=(",", ":"))
    (folder / "expected.json").write_text(text.replace('},"', '},\n"') + "\n", encoding="utf-8")


def main(folder: str, commit: str, *names: str) -> None:
    """Write the samples of this version into a new folder."""
    target = Path(folder)
    target.mkdir()
    shutil.copyfile(PACKAGE.parent / "chipconfigs" / "tiny.yaml", target / "chip.yaml")
    chip = load_chip(target / "chip.yaml")
    for name in names or networks():
        make(target / name, chip, name, commit)


if __name__ == "__main__":
    main(*sys.argv[1:])
