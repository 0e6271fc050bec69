"""A program runs on every chip of the same arithmetic that has enough; what it has more of changes nothing."""

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from emulator import Emulator, Mapping, Network, Program, Rule, Trace, compile_network, load_chip
from emulator.errors import EmulatorError, ProgramError
from emulator.program import check_fit
from emulator.program.storage import stored_bits
from tests.strategies import cases

CHIP = load_chip("tiny")
ROOM = {
    "core.neurons": st.integers(1, 16),
    "core.synapse_memory_bits": st.none() | st.integers(1, 2000),
    "core.axons_in": st.none() | st.integers(1, 14),
    "core.axons_out": st.none() | st.integers(1, 20),
    "core.accumulator_entries": st.none() | st.integers(10, 64),
    "synapses.max_delay_steps": st.integers(2, 8),
    "synapses.block_synapses": st.integers(1, 20),
    "synapses.index_bits": st.sampled_from([[4], [1, 3, 4], [0, 2, 4, 6], [5]]),
    "synapses.weight_bits": st.sampled_from([[8], [4, 8]]),
    "synapses.formats": st.sampled_from([["sparse"], ["sparse", "dense"]]),
    "synapses.word_bits": st.integers(8, 80),
    "arithmetic.threshold_bits": st.integers(1, 16),
    "arithmetic.refractory_steps_max": st.integers(1, 9),
    "arithmetic.weight_exponent_min": st.integers(-8, 0),
    "arithmetic.weight_exponent_max": st.integers(0, 7),
    "mesh.width": st.integers(1, 3),
}


def placed(program: Program) -> Mapping:
    """Return where the neurons of a program are."""
    names = [p["name"] for p in program.manifest["populations"]]
    return Mapping(
        segments=[(names[p], a, b, core) for p, a, b, core, _ in program.segments.tolist()]
    )


@given(cases(), st.fixed_dictionaries({}, optional=ROOM), st.sampled_from([None, 2]))
def test_a_program_fits_where_its_network_would(case, changes, neurons_per_core):
    program = compile_network(case.network, CHIP, neurons_per_core=neurons_per_core)
    small = {
        "management.cores": 0,
        "host.ports": [0],
        "management.tiles": [0],
    }
    changes |= {"core.accumulator_entries": changes.get("core.accumulator_entries")}
    chip = load_chip("tiny", set=small | changes)
    try:
        compile_network(case.network, chip, placed(program))
        fits = True
    except EmulatorError as error:
        event(str(error)[:12])
        fits = False
    if not fits:
        with pytest.raises(ProgramError):
            check_fit(program, chip)
        return
    event("fits")
    there = Emulator(chip, program).run(case.steps, case.inputs)
    here = Emulator(CHIP, program).run(case.steps, case.inputs)
    for name in case.sizes:
        assert np.array_equal(there.spikes[name], here.spikes[name])
        assert np.array_equal(there.recordings[name]["v"], here.recordings[name]["v"])
    again = Emulator(chip, compile_network(case.network, chip, placed(program)))
    own = again.run(case.steps, case.inputs)
    assert there.counters.by("event") == own.counters.by("event")
    assert here.retimed(chip).energy().total_pj == own.energy().total_pj
    assert here.retimed(chip).timing.step_cycles.tolist() == own.timing.step_cycles.tolist()


def chain(n=33, **connected) -> Program:
    net = Network("chain")
    cells = net.population("cells", n, vth_mant=40, bias_mant=np.arange(n), refractory=3)
    net.connect(
        net.input("in", 2), cells, weights=np.full((n, 2), 64), delay=3, name="all", **connected
    )
    return compile_network(net, CHIP)


def refused(program, **changes) -> str:
    small = {"host.ports": [0], "management.tiles": [0]}
    chip = load_chip("tiny", set=small | {key.replace("__", "."): v for key, v in changes.items()})
    with pytest.raises(ProgramError) as error:
        Emulator(chip, program)
    return str(error.value)


NEEDS_MORE = "program 'chain' was compiled for chip 'tiny' and needs more than 'tiny' has: "


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"core__neurons": 15}, "core.neurons is 15, core 0 needs 16"),
        ({"core__axons_in": 1}, "core.axons_in is 1, core 0 needs 2"),
        ({"core__accumulator_entries": 60, "synapses__max_delay_steps": 6},
         "core.accumulator_entries is 60, core 0 needs 80"),
        ({"core__synapse_memory_bits": 100}, "core.synapse_memory_bits is 100, core 0 needs 384"),
        ({"synapses__max_delay_steps": 2}, "synapses.max_delay_steps is 2, the largest delay 3"),
        ({"synapses__formats": ["sparse"], "synapses__index_bits": [4, 5], "core__neurons": 17}, None),
        ({"arithmetic__threshold_bits": 5}, "arithmetic.threshold_bits is 5, a threshold 40 x 64"),
        ({"arithmetic__bias_mantissa_bits": 5, "arithmetic__bias_exponent_max": 0},
         "a bias is 16, which arithmetic.bias_mantissa_bits 5 and arithmetic.bias_exponent_max 0 do not hold"),
        ({"arithmetic__refractory_steps_max": 2}, "arithmetic.refractory_steps_max is 2, a refractory register 3"),
        ({"core__neurons": 15, "core__axons_in": 1, "arithmetic__threshold_bits": 5, "arithmetic__refractory_steps_max": 2},
         ("core.neurons is 15, core 0 needs 16; core.axons_in is 1, core 0 needs 2; "
         "arithmetic.threshold_bits is 5, a threshold 40 x 64; and 1 more")),
    ],
)  # fmt: skip
def test_what_a_chip_lacks_is_named(changes, message):
    if message is None:
        chip = load_chip("tiny", set={key.replace("__", "."): v for key, v in changes.items()})
        assert Emulator(chip, chain()).run(1).n_steps == 1
    else:
        assert refused(chain(), **changes) == NEEDS_MORE + message


def test_graded_spikes_and_neuron_programs_are_held_to_the_chip():
    net = Network("chain")
    source = net.input("in", 1, payload_bits=7)
    cells = net.population("cells", 1, model="graded_relu")
    net.connect(source, cells, weights=[[2]])
    program = compile_network(net, CHIP)
    message = refused(program, microcode__payload_bits=5, microcode__instructions=2)
    model = program.models["graded_relu"]
    assert message == NEEDS_MORE + (
        f"microcode.payload_bits is 5, bits of the widest payload {max(program.payload_bits)}; "
        f"microcode.instructions is 2, instructions of model 'graded_relu' {len(model.steps)}; "
        f"microcode.payload_bits is 5, bits of payload of model 'graded_relu' {model.payload_bits}"
    )


def test_payloads_are_held_to_trees():
    net = Network("chain")
    source = net.input("in", 1, payload_bits=7)
    net.connect(source, net.population("cells", 1, vth_mant=1), weights=[[2]])
    assert refused(compile_network(net, CHIP), mesh__multicast="tree") == NEEDS_MORE + (
        "mesh.flit_bits is 32, header and payload of population 'in' 39 (mesh.multicast 'tree' copies packets of one "
        "flit)"
    )


def test_other_arithmetic_is_refused_whatever_the_capacities():
    assert refused(chain(), arithmetic__u_bits=23, core__neurons=17, synapses__index_bits=[5]) == (
        "program 'chain' was compiled for chip 'tiny'; 'tiny' differs in what it computes: arithmetic.u_bits is 23, "
        "the program's 24; compile the network for 'tiny'"
    )
    message = refused(chain(), arithmetic__v_limits__maximum=1000)
    assert "arithmetic.v_limits.maximum is 1000, the program's 8388607" in message


def test_what_an_old_program_does_not_say_is_the_default():
    program = chain()
    function = {
        name: {key: value for key, value in section.items() if key != "u_overflow"}
        for name, section in program.manifest["chip"]["function"].items()
    }
    chip = program.manifest["chip"] | {"function": function, "fingerprint": "0" * 64}
    old = Program(program.manifest | {"chip": chip}, program.tensors())
    assert Emulator(CHIP, old).run(1).n_steps == 1
    assert "arithmetic.u_overflow is saturate, the program's wrap" in refused(
        old, arithmetic__u_overflow="saturate"
    )


def test_synapses_take_the_next_widths_of_another_chip():
    program = chain(weight_bits=4, sign_mode="exc")
    bits = set(program.blocks[:, 3].tolist())
    assert bits == {4 + 2}  # weight and delay: dense
    sparse = load_chip("tiny", set={"synapses.formats": ["sparse"], "synapses.weight_bits": [8]})
    assert stored_bits(program, sparse).tolist() == [8 + 2 + 4, 8 + 2 + 4, 8 + 2 + 2]
    assert stored_bits(program, CHIP).tolist() == program.blocks[:, 3].tolist()
    message = refused(program, synapses__weight_bits=[1])
    assert message == NEEDS_MORE + (
        "synapses has no format or width that holds projection 'all' on core 0"
    )


def test_what_was_trained_keeps_its_wide_weights():
    net = Network("trained")
    a, b = net.input("a", 3), net.input("b", 4)
    rule = Rule(dw="2^-2*x1*y0", dt="x0*y1", x1=Trace(16, 10), y1=Trace(16, 10))
    net.connect(a, b, weights=([0, 0, 1], [0, 3, 2], [10, 20, 30]), learning=rule, name="s")
    trained = Emulator(CHIP, compile_network(net, CHIP)).run(4).trained()
    (bits,) = trained.blocks[:, 3].tolist()
    assert bits == 9 + 9 + 2  # weight, tag, index
    for name, index in (("loihi", 6), ("loihi2", 6)):
        chip = load_chip(name)
        assert stored_bits(trained, chip).tolist() == [9 + 9 + index]
        assert Emulator(chip, trained).run(2).n_steps == 2


@pytest.mark.parametrize("name", ["loihi", "loihi2", "loihi2_full"])
def test_a_learning_program_runs_on_a_larger_chip(name):
    net = Network("learns")
    a, b = net.input("a", 2), net.input("b", 1)
    rule = Rule(dw="2^-2*x1*y0", dt="x0*y1", x1=Trace(16, 10), y1=Trace(16, 10))
    net.connect(a, b, weights=[[10, 20]], learning=rule, name="s")
    program = compile_network(net, CHIP)
    spikes = {"a": [[0, 0], [1, 1]], "b": [[2, 0]]}
    runs = [Emulator(chip, program).run(4, spikes) for chip in (CHIP, load_chip(name))]
    assert runs[0].weights("s").tolist() == runs[1].weights("s").tolist() != [[10, 20]]
    assert runs[0].tags("s").tolist() == runs[1].tags("s").tolist()
