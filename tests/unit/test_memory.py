"""What runs take of memory: estimates that were measured, and a run that ends before memory does."""

import json
import subprocess
import sys

import numpy as np
import pytest

from emulator import Emulator, Network, Rule, Trace, budget, compile_network, load_chip, memory
from emulator.errors import CapacityError, RunError
from emulator.observe import learned
from emulator.observe.checkpoint import Plan
from emulator.observe.records import Probes
from tests.conftest import ROOT

CHIP = load_chip("loihi2")
GB = 10**9
UNLIMITED = 9223372036854771712


def tree(root, files):
    """Make files under a root, as `proc` and `sys` have them."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


MACHINE = {"proc/meminfo": "MemTotal: 16000 kB\nMemFree: 1000 kB\nMemAvailable: 8000 kB"}
V2, V1 = "sys/fs/cgroup", "sys/fs/cgroup/memory"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8_192_000),
        ({"proc/self/cgroup": "0::/"}, 8_192_000),
        (
            {
                "proc/self/cgroup": "0::/a/b", f"{V2}/a/b/memory.max": "max", f"{V2}/a/b/memory.current": 5,
                f"{V2}/a/memory.max": 3_000_000, f"{V2}/a/memory.current": 1_000_000,
                f"{V2}/a/memory.stat": "anon 7\ninactive_file 500000\nfile 9",
            },
            2_500_000,
        ),
        (  # in a container, whose own group is the top
            {"proc/self/cgroup": "0::/docker/x", f"{V2}/memory.max": 900_000, f"{V2}/memory.current": 400_000},
            500_000,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/x\n3:memory:/job\n0::/",
                f"{V1}/job/memory.limit_in_bytes": 2_000_000, f"{V1}/job/memory.usage_in_bytes": 1_500_000,
                f"{V1}/job/memory.stat": "cache 5\ntotal_inactive_file 100000",
                f"{V1}/memory.limit_in_bytes": UNLIMITED, f"{V1}/memory.usage_in_bytes": 7,
            },
            600_000,
        ),
        (
            {"proc/self/cgroup": "3:memory:/", f"{V1}/memory.limit_in_bytes": 10, f"{V1}/memory.usage_in_bytes": 20},
            0,
        ),
        ({"proc/self/cgroup": "nonsense", f"{V2}/memory.max": "?"}, 8_192_000),
    ],
)  # fmt: skip
def test_what_is_available_is_the_least_of_what_machine_and_containers_leave(
    tmp_path, files, expected
):
    root = tree(tmp_path, MACHINE | files)
    assert memory.available_bytes(root) == expected
    assert memory.room(root) == int(0.85 * expected)


def test_where_nothing_says_what_is_free_half_of_all_is(tmp_path, monkeypatch):
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1000}
    monkeypatch.setattr(memory.os, "sysconf", sizes.__getitem__)
    assert memory.available_bytes(tmp_path) == 2_048_000
    monkeypatch.setattr(memory.os, "sysconf", {}.__getitem__)
    monkeypatch.delattr(memory.os, "sysconf")
    assert memory.available_bytes(tmp_path) is None
    assert memory.room(tmp_path) is None


def test_a_limit_of_the_process_counts(tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    tree(tmp_path, {"proc/meminfo": "MemAvailable: 9000000 kB", "proc/self/statm": "100 50 1"})
    limit = 100 * resource.getpagesize() + 12_345
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert memory.available_bytes(tmp_path) == 12_345


def make(n=10, probes=(), learns=False, **parameters):
    net = Network("m")
    source = net.input("in", 4)
    cells = net.population("cells", n, **{"vth_mant": 1000, "du": 4095, "dv": 4095} | parameters)
    rule = {"learning": Rule(dw="2^-2*x1*y0", x1=Trace(16, 10))} if learns else {}
    net.connect(source, cells, weights=np.full((n, 4), 2), name="p", **rule)
    for variable in probes:
        net.probe(cells, variable)
    return compile_network(net, CHIP)


def refused(monkeypatch, room, program, steps, **options):
    monkeypatch.setattr(budget, "room", lambda: room)
    with pytest.raises(RunError) as error:
        Emulator(CHIP, program).run(steps, **options)
    return str(error.value)


def test_a_run_that_does_not_fit_is_refused_before_it_begins(monkeypatch, tmp_path):
    bare = make()
    assert refused(monkeypatch, 100_000_000, bare, 10**8, timing="off") == (
        "steps is 100,000,000: what is recorded takes 4 bytes a step, 432.0 MB; 100.0 MB of memory may be taken now, "
        "which is enough for 16,999,878 steps: write the records to files (save_to), make several runs that continue "
        "each other, or probe fewer neurons or less often"
    )
    timed = refused(monkeypatch, 100_000_000, bare, 10**8, timing="analytic")
    assert "14 bytes a step, 1.4 GB; " in timed
    fed = refused(monkeypatch, 100_000_000, bare, 10**8, timing="off", inputs={"in": [[0, 0]]})
    assert "12 bytes a step, 1.2 GB; " in fed
    probed = refused(monkeypatch, 100_000_000, make(probes=["v", "spikes"]), 10**7, timing="off")
    assert "54 bytes a step, " in probed
    stored = refused(monkeypatch, 100_000_000, bare, 10**8, timing="cycle", save_to=tmp_path / "x")
    assert "10 bytes a step, 1.0 GB; " in stored
    assert "save_to" not in stored
    assert not (tmp_path / "x").exists()
    learned = refused(
        monkeypatch, 100_000_000, make(learns=True), 10**6, timing="off", weights_every=5
    )
    assert "bytes a step, 2" in learned


def test_a_program_that_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(budget, "SMALL", 0)
    program = make()
    message = refused(monkeypatch, 100, program, 1, timing="off")
    assert message.startswith("program 'm' takes 0.0 MB of memory when it is loaded; 0.0 MB may be")
    monkeypatch.setattr(budget, "room", lambda: None)  # nothing is known: nothing is refused
    assert Emulator(CHIP, program).run(1, timing="off").n_steps == 1


def short_of_memory(monkeypatch, after):
    """Let memory be short from the look after so many on."""
    looks = iter(range(10**6))
    monkeypatch.setattr(budget, "LOOK_EVERY", 100_000)
    monkeypatch.setattr(
        budget, "available_bytes", lambda: 50_000_000 if next(looks) >= after else 4 * GB
    )


@pytest.mark.parametrize("after", [0, 3])
def test_a_run_ends_before_memory_does(monkeypatch, after):
    program = make(vth_mant=0, bias_mant=100)  # every neuron fires in every step
    short_of_memory(monkeypatch, after)
    emulator = Emulator(CHIP, program)
    with pytest.raises(RunError) as error:
        emulator.run(10**7, timing="off")
    message = str(error.value)
    assert message.startswith("stopped after ")
    assert " of 10,000,000 steps: what was recorded takes " in message
    assert message.endswith(
        "50.0 MB are left; the chip stands there. Write the records to files (save_to), make several runs that continue "
        "each other, or probe fewer neurons or less often"
    )
    short_of_memory(monkeypatch, after)
    part = Emulator(CHIP, program).run(10**7, timing="analytic", keep_partial=True)
    assert part.status == "interrupted"
    assert 0 < part.n_steps < 10**7
    assert part.steps_asked == 10**7
    monkeypatch.undo()
    whole = Emulator(CHIP, program).run(part.n_steps, timing="analytic")
    np.testing.assert_array_equal(part.spikes["cells"], whole.spikes["cells"])
    np.testing.assert_array_equal(part.active, whole.active)
    assert part.timing == whole.timing
    assert part.counters == whole.counters


def test_a_run_into_files_goes_on(monkeypatch, tmp_path):
    short_of_memory(monkeypatch, 0)
    emulator = Emulator(CHIP, make(vth_mant=0, bias_mant=100))
    assert emulator.run(50_000, timing="off", save_to=tmp_path / "run").status == "complete"


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads what Linux says")
SCRIPT = """
import json, resource, sys
import numpy as np
from emulator import Emulator, Program, load_chip
from emulator.errors import CapacityError, RunError
from emulator.observe import learned
from emulator.observe.checkpoint import Plan
from emulator.observe.records import Probes
path, steps, options, limit = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]), int(sys.argv[4])
inputs = {"in": np.column_stack([np.arange(0, steps, 10), np.arange(0, steps, 10) % 4])} if options.pop("fed") else None
emulator = Emulator(load_chip("loihi2"), Program.load(path))
emulator.run(20, timing=options["timing"])
def peak():  # ru_maxrss begins with that of the process that started this one
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
before = peak()
if limit:
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + limit, size + limit))
try:
    run = emulator.run(steps, inputs, **options)
except RunError as error:
    print(json.dumps([0, 0, str(error)]))
else:
    print(json.dumps([peak() - before, len(run.spike_source), ""]))
"""


def in_a_process(program, path, steps, *, limit=0, fed=False, **options):
    """Run in a process of its own: the bytes that it took beside, its spikes, and its error."""
    program.save(path)
    command = [sys.executable, "-c", SCRIPT, str(path), str(steps), json.dumps(options | {"fed": fed}), str(limit)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    return json.loads(done.stdout)


MEASURED = {
    "bare": ({}, 20_000_000, {"timing": "off"}),
    "timed": ({}, 10_000_000, {"timing": "analytic"}),
    "timed by cycle": ({}, 5_000_000, {"timing": "cycle"}),
    "probed": ({"n": 100, "probes": ["v", "spikes"]}, 500_000, {"timing": "off"}),
    "several probes": ({"n": 40, "probes": ["v", "u"]}, 1_000_000, {"timing": "analytic"}),
    "fed": ({}, 10_000_000, {"timing": "off", "fed": True}),
    "spiking": ({"vth_mant": 0, "bias_mant": 100}, 3_000_000, {"timing": "off"}),
    "learning": ({"learns": True}, 1_000_000, {"timing": "off", "weights_every": 10}),
}


@linux
@pytest.mark.parametrize("name", MEASURED)
def test_estimates_are_what_processes_take(tmp_path, name):
    parameters, steps, options = MEASURED[name]
    program = make(**parameters)
    fed = options.get("fed", False)
    every = options.get("weights_every")
    plan = Plan(steps=steps, timing=options["timing"], seed=0, strict=False, weights_every=every)
    probes = Probes(program)
    took, n_spikes, _ = in_a_process(program, tmp_path / "m.program", steps, **options)
    states = steps // plan.weights_every * budget.learned_bytes(program) if plan.weights_every else 0  # fmt: skip
    each = budget.step_bytes(probes, plan, held=True, n_inputs=fed, rewarded=False)
    expected = steps * each + budget.chunk_bytes(program, probes, steps) + states
    expected += n_spikes * 8 * 17 // 16  # known now: step and source, and what they grew in vain
    expected += 4 * n_spikes * fed  # the schedule's own
    assert 0.75 * expected <= took <= 1.25 * expected, f"{took / 1e6:.0f}, {expected / 1e6:.0f} MB"


COMPILE = """
import json, sys
import numpy as np
from emulator import Network, compile_network, load_chip
from emulator.compiler.room import compile_bytes
def status(name):
    for line in open("/proc/self/status"):
        if line.startswith(name):
            return 1024 * int(line.split()[1])
n, fan_out, delayed = json.loads(sys.argv[1])
chip, net, rng = load_chip("loihi2_full"), Network("m"), np.random.default_rng(0)
source, cells = net.input("in", n), net.population("c", n, vth_mant=1000)
if fan_out:
    pre = np.repeat(np.arange(n, dtype=np.int32), fan_out)
    post = rng.integers(0, n, len(pre), dtype=np.int32)
    weights = (pre, post, 2 * rng.integers(-50, 51, len(pre), dtype=np.int32))
else:
    weights = 2 * rng.integers(1, 51, (n, n))
delay = rng.integers(0, 8, len(pre)) if delayed else 0
net.connect(source, cells, weights=weights, delay=delay)
del weights, delay
before = status("VmRSS")
compile_network(net, chip)
print(json.dumps([status("VmHWM") - before, compile_bytes(net, chip)]))
"""


@linux
@pytest.mark.parametrize("network", [(100_000, 40, True), (400_000, 8, False), (2_000, 0, False)])
def test_compiling_takes_what_is_estimated(network):
    command = [sys.executable, "-c", COMPILE, json.dumps(network)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    took, expected = json.loads(done.stdout)
    assert 0.65 * expected <= took <= 1.5 * expected, f"{took / 1e6:.0f}, {expected / 1e6:.0f} MB"


def test_a_network_that_there_is_no_memory_to_compile_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda _root=None: 20_000_000)
    net = Network("wide")
    source, cells = net.input("in", 1_000), net.population("cells", 1_000, vth_mant=100)
    net.connect(source, cells, weights=np.full((1_000, 1_000), 2))
    with pytest.raises(CapacityError) as error:
        compile_network(net, load_chip("loihi2_full"))
    assert str(error.value) == (
        "network 'wide': compiling its 1,000,000 synapses and 2,000 neurons takes 40.1 MB of memory; 17.0 MB may be "
        "taken now: compile it where there is more"
    )


def test_matrices_of_learned_weights_fit_what_is_free(monkeypatch):
    run = Emulator(CHIP, make(learns=True)).run(4, timing="off", weights_every=1)
    monkeypatch.setattr(learned, "SMALL", 100)
    monkeypatch.setattr(learned, "room", lambda: 200)
    assert run.weights("p").shape == (10, 4)  # 160 bytes
    with pytest.raises(RunError, match=r"'p': matrices \(post, pre\) of it take 0.0 GB; "):
        _ = run.recordings["p"]["weights"]
    monkeypatch.setattr(learned, "room", lambda: None)
    run = Emulator(CHIP, make(learns=True)).run(4, timing="off", weights_every=1)
    assert run.recordings["p"]["weights"].shape == (4, 10, 4)


@linux
def test_a_process_with_a_limit_ends_with_the_projects_error(tmp_path):
    program = make(vth_mant=0, bias_mant=100)
    limit = 700_000_000
    _, _, error = in_a_process(
        program, tmp_path / "m.program", 50_000_000, limit=limit, timing="off"
    )
    assert error.startswith("stopped after ")
    _, _, error = in_a_process(
        program, tmp_path / "m.program", 500_000_000, limit=limit, timing="off"
    )
    assert error.startswith("steps is 500,000,000: what is recorded takes ")
