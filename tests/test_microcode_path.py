"""Neuron programs on the whole path: function, time, energy, files, checkpoints; graded spikes and joins."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator import Emulator, Network, Program, Run, compile_network, load_chip, resume_run
from emulator.chip import EVENTS
from emulator.errors import (
    CapacityError,
    EmulatorError,
    NetworkError,
    OverflowPolicyError,
    ProgramError,
    RunError,
)
from emulator.mapping import Mapping
from emulator.observe.render import print_report
from emulator.observe.report import MEANING, figures
from tests.mixed import in_microcode, mixed
from tests.oracle import counters as counters_oracle
from tests.oracle import pipeline as pipeline_oracle
from tests.oracle.dendrite import joined
from tests.oracle.neuron_lif import Compartment, Rules
from tests.strategies import cases

CHIPS = [
    load_chip("tiny", changes)
    for changes in (
        {},
        {"arithmetic.accumulator_bits": 13},
        {"arithmetic.u_overflow": "saturate", "arithmetic.u_bits": 14},
        {"arithmetic.u_bits": 10, "arithmetic.v_limits.maximum": 9000, "arithmetic.v_limits.minimum": -300},
        {"arithmetic.u_overflow": "saturate", "arithmetic.u_bits": 30},
    )
]  # fmt: skip
LOIHI2 = load_chip("loihi2")
NET, INPUTS, STEPS = mixed()


def same(run: Run, other: Run) -> None:
    """Compare what a run computed, whatever the mapping."""
    assert run.n_overflows == other.n_overflows
    for name in run.spikes:
        assert np.array_equal(run.spikes[name], other.spikes[name]), name
        assert np.array_equal(run.spikes.payloads(name), other.spikes.payloads(name)), name
    for name, variables in run.recordings.items():
        for variable, rows in variables.items():
            assert np.array_equal(rows, other.recordings[name][variable]), (name, variable)


@given(cases(), st.sampled_from(CHIPS), st.integers(1, 3))
def test_lif_in_microcode_is_the_native_one(case, chip, threads):
    run, coded = (
        Emulator(chip, compile_network(net, chip), threads=threads).run(
            case.steps, inputs=case.inputs
        )
        for net in (case.network, in_microcode(case.network))
    )
    same(run, coded)
    assert coded.counters.total("neuron_active") == coded.counters.total("neuron_idle") == 0
    updates = sum(case.sizes.values()) * case.steps
    spikes = coded.counters.total("neuron_spike")
    assert coded.counters.total("instruction") == 14 * updates + 3 * spikes


@pytest.fixture(scope="module")
def plain():
    return Emulator(LOIHI2, compile_network(NET, LOIHI2)).run(STEPS, INPUTS, seed=9)


def test_everything_happens(plain):
    counts = plain.spikes.counts()
    assert all(counts[name] > 10 for name in ("lif", "coded", "sigma", "coin", "soma", "gate")), (
        counts
    )
    assert plain.counters.total("dendrite_join") == 14 * STEPS
    assert len(np.unique(plain.spikes.payloads("sigma"))) > 20


def test_mapping_threads_timing_and_file_change_nothing(plain, tmp_path):
    segments = [
        ("coin", 2, 5, 0), ("lif", 0, 4, 0), ("sigma", 3, 6, 2), ("coded", 0, 9, 3), ("lif", 4, 9, 5),
        ("gate", 0, 3, 7), ("dendrite", 0, 3, 7), ("soma", 0, 3, 7), ("sigma", 0, 3, 8), ("coin", 0, 2, 9),
        ("gate", 3, 7, 11), ("dendrite", 3, 7, 11), ("soma", 3, 7, 11),
    ]  # fmt: skip
    compile_network(NET, LOIHI2, Mapping(segments)).save(tmp_path / "other.program")
    other = Program.load(tmp_path / "other.program")
    for program, threads, timing in (
        (plain.program, 3, "off"),
        (other, 1, "analytic"),
        (other, 4, "cycle"),
    ):
        same(
            plain,
            Emulator(LOIHI2, program, threads=threads).run(STEPS, INPUTS, seed=9, timing=timing),
        )


def test_another_seed_changes_the_coins(plain):
    other = Emulator(LOIHI2, plain.program).run(STEPS, INPUTS, seed=10)
    assert not np.array_equal(plain.spikes["coin"], other.spikes["coin"])


def test_a_run_in_parts_draws_other_bits_in_each(plain):
    emulator = Emulator(LOIHI2, plain.program)
    first = emulator.run(15, {k: _until(v, 15) for k, v in INPUTS.items()}, seed=9)
    second = emulator.run(STEPS - 15, {k: _after(v, 15) for k, v in INPUTS.items()}, seed=9)
    for name in ("coin", "sigma", "soma"):
        later = second.spikes[name] + [15, 0]
        assert np.array_equal(np.concatenate([first.spikes[name], later]), plain.spikes[name])
    emulator.reset()
    same(emulator.run(STEPS, INPUTS, seed=9), plain)


def _until(spikes, step):
    return spikes[:step] if spikes.dtype == bool else spikes[spikes[:, 0] < step]


def _after(spikes, step):
    if spikes.dtype == bool:
        return spikes[step:]
    return spikes[spikes[:, 0] >= step] - [step, 0, 0]


def test_folders_and_checkpoints_keep_words_and_payloads(plain, tmp_path):
    Emulator(LOIHI2, plain.program, threads=2).run(
        STEPS, INPUTS, seed=9, save_to=tmp_path / "whole", checkpoint_every=7
    )
    stored = Run.load(tmp_path / "whole")
    same(plain, stored)
    assert stored.counters == plain.counters

    def stop(step):
        if step >= 21:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Emulator(LOIHI2, plain.program).run(
            STEPS, INPUTS, seed=9, save_to=tmp_path / "cut", checkpoint_every=7, progress=stop
        )
    same(plain, resume_run(tmp_path / "cut", threads=2))


@pytest.mark.parametrize("header_bits", [32, 40])
def test_counts_and_cycles_equal_the_oracles(header_bits):
    small, inputs, steps = mixed(5)
    chip = load_chip("tiny", {
        "mesh.header_bits": header_bits, "mesh.flit_bits": 24, "mesh.input_queue_packets": 2, "core.neurons": 32,
        "core.synapse_memory_bits": "null", "core.axons_in": "null", "core.axons_out": "null",
        "core.accumulator_entries": "null", "synapses.index_bits": [5], "microcode.instructions": 100,
        "costs.instruction.time_ns": 3.0, "costs.dendrite_join.time_ns": 2.0,
    })  # fmt: skip
    program = compile_network(small, chip, neurons_per_core=12)
    run = Emulator(chip, program).run(steps, inputs, seed=1)
    bound = run.retimed(chip, "analytic").timing
    counted = counters_oracle.count_events(
        program, chip, run.records.spikes_per_source, run.records.active_per_segment, steps
    )
    assert Counter({(c, p, e): n for c, p, e, n in run.counters.rows()}) == counted
    for step in range(steps):
        spiking = run.spike_source[run.spike_step == step].tolist()
        cycles, *_ = pipeline_oracle.step_cycles(
            program, chip, spiking, run.active[step].tolist(), run.timing.barrier_cycles
        )
        assert run.timing.step_cycles[step] == cycles
        assert bound.step_cycles[step] <= cycles
    assert np.array_equal(run.timing.link_flits, bound.link_flits)
    for name, (first, second) in (("hop_ew", (0, 1)), ("hop_ns", (2, 3))):
        assert int(run.timing.link_flits[:, [first, second]].sum()) == run.counters.total(name)
    energy = run.energy()
    assert energy.total_pj == sum(row.energy_pj for row in energy.ledger()) + energy.static_pj


def test_the_report_counts_instructions_and_multiplications(plain, capsys):
    data = figures(plain)
    bench = data["neurobench"]
    graded = 0
    for name in ("graded", "sigma"):
        n_spikes = np.bincount(plain.spikes[name][:, 1], minlength=NET.populations[name].size)
        for projection in NET.projections:
            if projection.source.name == name:
                graded += int(n_spikes[projection.pre].sum())
    assert bench["SynapticOperations"]["Effective_MACs"] == graded > 0
    assert bench["SynapticOperations"]["Effective_ACs"] == data["events"]["synaptic_event"] - graded
    native = sum(NET.populations[name].size for name in ("lif", "dendrite")) * STEPS
    assert data["events"]["neuron_active"] + data["events"]["neuron_idle"] == native
    assert bench["MembraneUpdates"] == bench["NeuronUpdates"] - data["events"]["neuron_idle"]
    print_report(plain)
    shown = capsys.readouterr().out
    assert f"{data['events']['instruction']:,}" in shown
    assert "dendrite_join" in shown


def test_every_event_is_explained():
    assert set(EVENTS) <= set(MEANING)


# graded spikes


@given(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=8), st.data())
def test_weight_times_payload(payloads, data):
    exponent = data.draw(st.integers(-6, 2))
    weights = data.draw(  # -256 at the largest exponent could add up to 2^31, which is refused
        st.lists(st.integers(-127, 127).map(lambda w: 2 * w), min_size=1, max_size=5)
    )
    delay = data.draw(st.integers(0, 3))
    net, n = Network("graded"), len(weights)
    source = net.input("in", 1, payload_bits=16)
    cells = _with_model(net, "seen", n, ".state v s32 saturate\nRMW v\nRDC v, input\n")
    net.connect(source, cells, weights=np.array(weights)[:, None], weight_exp=exponent, delay=delay)
    net.probe(cells, "v")
    steps = len(payloads)
    inputs = {"in": np.array([[t, 0, p] for t, p in enumerate(payloads)])}
    run = Emulator(LOIHI2, compile_network(net, LOIHI2)).run(
        steps + delay + 1, inputs, timing="off"
    )
    v = run.recordings["seen"]["v"]
    for (t, payload), (k, weight) in product(enumerate(payloads), enumerate(weights)):
        assert v[t + 1 + delay, k] == weight * payload << (6 + exponent)


def _with_model(net, name, n, text):
    """Add a population whose model is given as text."""
    from emulator.microcode import assemble  # noqa: PLC0415
    from emulator.network import network as networks  # noqa: PLC0415

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "load", lambda *_: assemble(text, name))
        return net.population(name, n, model=name)


def test_sums_that_payloads_can_carry_over_32_bits_are_refused():
    net = Network("large")
    source = net.input("in", 3, payload_bits=20)
    cells = net.population("cells", 1, vth_mant=100)
    net.connect(source, cells, weights=[[100, 100, 100]])
    with pytest.raises(NetworkError, match="declare fewer bits of payload"):
        compile_network(net, LOIHI2)


@pytest.mark.parametrize(
    ("spikes", "message"),
    [
        ([[0, 0, 2**15]], "row 0 has payload 32768; allowed: -32768 to 32767"),
        ([[0, 0]], "must be integer triples (n_spikes, 3) of step, neuron and payload"),
        (np.zeros((3, 2), bool), "must be integer triples"),
        ([[0, 2, 1]], "allowed: steps 0 to 9, neurons 0 to 1"),
    ],
)
def test_wrong_payloads_are_refused(spikes, message):
    net = Network("in")
    source, cells = net.input("in", 2, payload_bits=16), net.population("cells", 1, vth_mant=1)
    net.connect(source, cells, weights=[[2, 2]], weight_exp=-6)
    with pytest.raises(NetworkError) as error:
        Emulator(LOIHI2, compile_network(net, LOIHI2)).run(10, {"in": spikes})
    assert message in str(error.value)


def test_payloads_given_to_an_input_without_are_refused():
    net = Network("in")
    source, cells = net.input("in", 2), net.population("cells", 1, vth_mant=1)
    net.connect(source, cells, weights=[[2, 2]])
    with pytest.raises(NetworkError, match=r"input\('in', 2, payload_bits=...\)"):
        Emulator(LOIHI2, compile_network(net, LOIHI2)).run(10, {"in": [[0, 0, 5]]})


# joins


@given(
    st.sampled_from(["add", "max", "pass", "block"]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 8),
    st.integers(0, 2**32),
    st.integers(1, 3),
)
def test_joined_compartments_equal_the_oracle(op, child_coded, parent_coded, n, seed, threads):
    rng = np.random.default_rng(seed)
    steps, chip = 12, CHIPS[0]
    names = {False: "lif", True: "microcode:lif"}
    net = Network("tree")
    source = net.input("in", 3)
    registers = {
        name: {
            "du": rng.integers(0, 4096, n), "dv": rng.integers(0, 4096, n), "vth_mant": rng.integers(0, 60, n),
            "refractory": rng.integers(1, 3, n),
        }
        for name in ("child", "parent")
    }  # fmt: skip
    # Those that take something may be declared first.
    parent = net.population("parent", n, model=names[parent_coded], **registers["parent"])
    child = net.population("child", n, model=names[child_coded], **registers["child"])
    value = str(rng.choice(["u", "v"]))
    net.join(child, parent, op, value)
    weights = {name: 2 * rng.integers(-40, 60, (n, 3)) for name in registers}
    for target in (child, parent):
        net.connect(source, target, weights=weights[target.name])
        net.probe(target, "u", "v", "spikes")
    spikes = rng.random((steps, 3)) < 0.5
    program = compile_network(net, chip, neurons_per_core=int(rng.integers(1, n + 1)))
    run = Emulator(chip, program, threads=threads).run(steps, {"in": spikes})
    for i in range(n):
        cells = {
            name: Compartment(
                u_retain=4095 - int(r["du"][i]), v_retain=4096 - int(r["dv"][i]), bias=0,
                threshold=int(r["vth_mant"][i]) << 6, refractory=int(r["refractory"][i]),
            )
            for name, r in registers.items()
        }  # fmt: skip
        for t in range(steps):
            arrived = {
                name: int((weights[name][i] * spikes[t - 1]).sum()) * 64 if t else 0
                for name in cells
            }
            spiked = cells["child"].step([arrived["child"]], Rules())
            passed = getattr(cells["child"], value)
            cells["parent"].step([joined(op, arrived["parent"], passed, spiked)], Rules())
            for name, cell in cells.items():
                assert run.recordings[name]["u"][t, i] == cell.u
                assert run.recordings[name]["v"][t, i] == cell.v


def test_wrong_joins_are_refused():
    net = Network("wrong")
    a, b = net.population("a", 3, vth_mant=1), net.population("b", 4, vth_mant=1)
    c, source = net.population("c", 3, model="if", threshold=5), net.input("in", 3)
    with pytest.raises(NetworkError) as error:
        net.join(a, b, "mul", "w")
    assert str(error.value).splitlines() == [
        "join 'a' to 'b': op is 'mul'; allowed: add, max, pass, block",
        "join 'a' to 'b': 'a' has 3 neurons and 'b' 4",
        "join 'a' to 'b': value is 'w'; 'a' has u, v",
    ]
    net.join(a, c)
    with pytest.raises(NetworkError, match="it would be joined to itself"):
        net.join(c, a, "add", "v")
    with pytest.raises(NetworkError, match="'in' is an input and has no compartment"):
        net.join(source, a)
    apart = Mapping([("a", 0, 3, 0), ("b", 0, 4, 1), ("c", 0, 3, 2)])
    with pytest.raises(CapacityError, match="neuron 0 is on core 0 in one and 2 in the other"):
        compile_network(net, LOIHI2, apart)
    behind = Mapping([("c", 0, 3, 0), ("a", 0, 3, 0), ("b", 0, 4, 1)])
    with pytest.raises(CapacityError, match="on their core, 'a' must stand first"):
        compile_network(net, LOIHI2, behind)


# what a chip and a program file allow


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"microcode.instructions": 0},
            "chip 'tiny' runs no microcode, which model 'sigma_delta' is",
        ),
        ({"microcode.instructions": 17}, "has 18 instructions; chip 'tiny' allows 17"),
        (
            {"microcode.state_bytes": 20},
            "has 24 bytes of state and parameters; chip 'tiny' allows 20",
        ),
        ({"microcode.payload_bits": 8}, "has 16 bits of payload; chip 'tiny' allows 8"),
        (
            {"mesh.multicast": "tree"},
            "header and payload take 48 bits; mesh.multicast 'tree' copies packets of one flit",
        ),
    ],
)
def test_what_a_chip_does_not_allow_is_refused(changes, message):
    net = Network("limits")
    net.population("cells", 2, model="sigma_delta")
    with pytest.raises(NetworkError) as error:
        compile_network(net, load_chip("tiny", changes))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"model": "izhikevic"},
            "model 'izhikevic' does not exist; there are: lif, microcode:lif, alif",
        ),
        ({"model": "no_such.nasm"}, "no_such.nasm: there is no such file"),
        ({"model": "if"}, "model 'if' needs threshold"),
        ({"model": "if", "treshold": 3}, "unknown parameter 'treshold'; did you mean 'threshold'?"),
        ({"model": "if", "threshold": -1}, "threshold is -1; allowed: 0 to 1073741823"),
        (
            {"model": "if", "threshold": 1.5},
            "threshold is a register and holds 1.5; whole numbers only",
        ),
        (
            {"model": "if", "threshold": [1, 2, 3]},
            "threshold has shape (3,); it must be a scalar or (2,)",
        ),
        ({"model": 3}, "model is 3; it must be a name or the path of a file *.nasm"),
    ],
)
def test_a_wrong_model_or_parameter_is_named(given, message):
    with pytest.raises(NetworkError) as error:
        Network().population("cells", 2, **given)
    assert message in str(error.value)


def test_a_user_adds_a_model_by_a_file(tmp_path):
    path = tmp_path / "counter.nasm"
    path.write_text(
        "; Counts its steps.\n.state n u8 wrap\n.param by u8 = 1\nRMW n\nADD n, n, by\n"
    )
    net = Network("own")
    cells = net.population("cells", 3, model=str(path), by=[1, 2, 100])
    net.probe(cells, "n")
    run = Emulator(LOIHI2, compile_network(net, LOIHI2)).run(3)
    assert run.recordings["cells"]["n"].tolist() == [[1, 2, 100], [2, 4, 200], [3, 6, 44]]
    assert run.n_overflows == 1
    with pytest.raises(
        OverflowPolicyError, match="a state word or the payload of a neuron of 'cells'"
    ):
        Emulator(LOIHI2, compile_network(net, LOIHI2)).run(3, strict=True)


def test_files_of_one_name_are_different_models(tmp_path):
    net, files = Network("two"), []
    for k, op in enumerate(("ADD n, n, 1", "ADD n, n, 2")):
        (tmp_path / str(k)).mkdir()
        files.append(tmp_path / str(k) / "m.nasm")
        files[-1].write_text(f".state n s32\nRMW n\n{op}\n")
        net.probe(net.population(f"p{k}", 1, model=str(files[-1])), "n")
    program = compile_network(net, LOIHI2)
    assert list(program.models) == ["m", "m#2"]
    run = Emulator(LOIHI2, program).run(2)
    assert [run.recordings[f"p{k}"]["n"][-1, 0] for k in range(2)] == [2, 4]


FORGED = {
    "an unknown operation": ("code", lambda c: c[0] | (63 << 58), "no operation has the code"),
    "a jump back": ("code", lambda c: (16 << 58) | 0, "jumps go forward only"),
    "a register that was not written": (
        "code",
        lambda c: (3 << 58) | (5 << 34),
        "read before every way",
    ),
    "a word that is none": (
        "code",
        lambda c: (1 << 58) | ((1 << 10 | 900) << 34),
        "this is number 900",
    ),
    "a value outside its word": ("words", lambda w: -(2**31), "is allowed"),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_program_is_refused_before_it_runs(what):
    table, forge, message = FORGED[what]
    program = compile_network(NET, LOIHI2)
    tensors = {name: array.copy() for name, array in program.tensors().items()}
    at = 0 if table == "code" else int(program.word_start[-2])
    tensors[table][at] = forge([int(x) for x in tensors["code"][:1]])
    if table == "words":
        tensors[table][:] = forge(None)
    with pytest.raises(ProgramError, match=message):
        Program(program.manifest, tensors)


@given(st.integers(0, 2**32))
def test_random_bytes_in_code_never_crash(seed):
    program = compile_network(NET, LOIHI2)
    rng = np.random.default_rng(seed)
    tensors = {name: array.copy() for name, array in program.tensors().items()}
    for _ in range(3):
        at = rng.integers(len(tensors["code"]))
        tensors["code"][at] ^= np.uint64(1) << np.uint64(rng.integers(64))
    try:
        forged = Program(program.manifest, tensors)
    except EmulatorError:
        return
    Emulator(LOIHI2, forged).run(3, timing="off")


def test_reading_and_writing_between_runs():
    net = Network("schedule")
    net.population("cells", 400, model="stochastic", bias=1000)
    emulator = Emulator(LOIHI2, compile_network(net, LOIHI2))
    rates = []
    for temperature in (100_000, 1_000, 10):
        emulator.write("cells", "temperature", temperature * 256)
        assert emulator.read("cells", "temperature").tolist() == [temperature * 256] * 400
        rates.append(len(emulator.run(10, timing="off").spikes["cells"]) / 4000)
    assert 0.45 < rates[0] < 0.56
    assert 0.7 < rates[1] < 0.76
    assert rates[2] == 1
    for variable, values, message in (
        ("temprature", 1, "'cells' has no variable 'temprature'; there are: temperature, cooling"),
        ("temperature", -1, "cells.temperature: -1 to -1; allowed: 0 to 2147483647"),
        ("temperature", [1, 2], r"cells.temperature: int64 of shape \(2,\)"),
    ):
        with pytest.raises(RunError, match=message):
            emulator.write("cells", variable, values)


def test_neurons_begin_anew_with_the_parameters_that_were_written():
    net = Network("kept")
    for name in ("first", "second"):
        net.population(name, 3, model="if", threshold=100, bias=[1, 2, 3])
    emulator = Emulator(LOIHI2, compile_network(net, LOIHI2))
    emulator.write("second", "bias", 7)
    emulator.run(10, timing="off", reset_every=10)
    emulator.run(4, timing="off", reset_every=4)
    assert emulator.read("first", "v").tolist() == [4, 8, 12]
    assert emulator.read("second", "v").tolist() == [28, 28, 28]
    emulator.reset()
    emulator.run(4, timing="off")
    assert emulator.read("second", "v").tolist() == [4, 8, 12]
