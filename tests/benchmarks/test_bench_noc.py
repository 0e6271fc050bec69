"""How fast the mesh runs: the packets that arrive are asserted, the time is only printed (`make bench`).

What is counted is flit-routers, as BookSim2 does: the routers that each flit crosses. Its figures were
taken on another day and contain the drawing of its traffic, which is done before the clock starts here;
where its binary `booksim` is on the PATH it runs beside, on the same load.
"""

import csv
import re
import shutil
import subprocess

import numpy as np
import pytest

from emulator import load_chip
from emulator.noc import load_trace, make_trace, replay
from emulator.noc.traffic import packets

LOADS = [  # setting, k, virtual channels, offered flits for each tile and cycle, cycles: rows of speed.csv
    ("S", 8, 1, 0.01, 4024), ("S", 8, 1, 0.2, 4038), ("S", 8, 1, 0.33, 4044),
    ("D", 8, 1, 0.01, 4039), ("D", 8, 1, 0.07, 4074), ("D", 8, 1, 0.125, 4078),
    ("S", 8, 4, 0.01, 4024), ("S", 8, 4, 0.2, 4038), ("S", 8, 4, 0.38, 4044),
    ("S", 16, 1, 0.01, 1263), ("S", 16, 1, 0.1, 1288), ("S", 16, 1, 0.17, 1285),
    ("D", 16, 1, 0.01, 1303), ("D", 16, 1, 0.04, 1319), ("D", 16, 1, 0.07, 1357),
    ("S", 16, 4, 0.01, 1263), ("S", 16, 4, 0.1, 1288), ("S", 16, 4, 0.22, 1304),
]  # fmt: skip
TRACES = [  # and BookSim2's flit-routers per second: SPEC.md, section 3
    ("8x8_single", "S", 1, 8, 497e3),
    ("8x8_single", "D", 1, 8, 321e3),
    ("8x8_mixed", "S", 4, 8, 307e3),
]


def chip_of(setting, k, n_vcs, depth=8):
    size = {"mesh.width": k, "mesh.height": k}
    changes = size | {"mesh.virtual_channels": n_vcs, "mesh.buffer_flits": depth}
    return load_chip(f"noc_{setting.lower()}", changes)


@pytest.mark.parametrize(("name", "setting", "n_vcs", "depth", "theirs"), TRACES)
def test_traces(benchmark, reference, name, setting, n_vcs, depth, theirs):
    trace = load_trace(reference / "booksim" / f"trace_{name}.npz")
    result = benchmark(replay, trace, chip_of(setting, 8, n_vcs, depth))
    assert (result.arrive_cycle >= 0).all()
    report(f"trace {name}, {setting}, {n_vcs} VC", result, benchmark, theirs)


@pytest.mark.parametrize(("setting", "k", "n_vcs", "load", "n_cycles"), LOADS)
def test_uniform_traffic(benchmark, reference, setting, k, n_vcs, load, n_cycles):
    chip = chip_of(setting, k, n_vcs)
    cycle, source, target = packets("uniform", chip.mesh, load, n_cycles, 1)
    size = np.ones(len(cycle), np.int64)
    trace = make_trace({"cycle": cycle, "src": source, "dst": target, "size": size})
    result = benchmark(replay, trace, chip)
    assert (result.arrive_cycle >= 0).all()
    hops = abs(source % k - target % k) + abs(source // k - target // k) + 1
    assert result.flit_routers == hops.sum()
    theirs = recorded(reference, setting, k, n_vcs, load)
    report(f"{k}x{k} uniform {load:g}, {setting}, {n_vcs} VC", result, benchmark, theirs)
    beside(setting, k, n_vcs, load)


def recorded(reference, setting, k, n_vcs, load) -> float:
    """Return BookSim2's flit-routers per second of CPU, as it was measured."""
    with (reference / "booksim" / "speed.csv").open() as file:
        for row in csv.DictReader(file):
            shape = row["setting"], int(row["k"]), int(row["num_vcs"]), float(row["offered_flits"])
            if shape == (setting, k, n_vcs, load):
                return float(row["flit_hops_per_user_s"])
    raise LookupError(f"speed.csv has no row for {setting}, {k}, {n_vcs}, {load}")


def report(what, result, benchmark, theirs):
    if benchmark.stats is None:  # --benchmark-disable
        return
    ours = result.flit_routers / benchmark.stats.stats.median
    print(
        f"\n{what}: {ours / 1e6:.1f} M flit-routers/s, {ours / theirs:.0f} times BookSim2's recorded "
        f"{theirs / 1e6:.3f} M"
    )


def beside(setting, k, n_vcs, load):
    """Run BookSim2 on the same load, if it is here, and print its speed."""
    binary = shutil.which("booksim")
    if binary is None:
        return
    allocator = "separable_input_first" if setting == "S" else "islip"
    settings = {
        "topology": "mesh", "k": k, "n": 2, "routing_function": "dor", "num_vcs": n_vcs, "vc_buf_size": 8,
        "credit_delay": 0, "routing_delay": int(setting == "D"), "speculative": int(setting == "S"),
        "vc_alloc_delay": 1, "sw_alloc_delay": 1, "st_final_delay": 1, "vc_allocator": allocator,
        "sw_allocator": allocator, "input_speedup": 1, "output_speedup": 1, "internal_speedup": 1.0,
        "traffic": "uniform", "packet_size": 1, "injection_rate": load, "sim_type": "latency",
        "sample_period": 1000, "warmup_periods": 1, "seed": 1,
    }  # fmt: skip
    config = "".join(f"{key} = {value};\n" for key, value in settings.items())
    done = subprocess.run(
        [binary, "/dev/stdin"], input=config, capture_output=True, text=True, check=True
    )

    def last(pattern) -> float:
        return float(re.findall(pattern, done.stdout)[-1])

    rate = last(r"Accepted flit rate average\s*=\s*([\d.e+-]+)")
    flit_routers = (
        rate * k * k * last(r"Time taken is (\d+) cycles") * last(r"Hops average\s*=\s*([\d.]+)")
    )
    speed = flit_routers / last(r"Total run time\s*:?\s*([\d.e+-]+)")
    print(f"  booksim here and now: {speed / 1e6:.3f} M flit-routers/s")
