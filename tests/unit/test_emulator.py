"""The Python interface: inputs and their mistakes, strict runs, interruption, what a chip may change."""

import os
import signal
import threading

import numpy as np
import pytest

from emulator import Emulator, EmulatorError, Network, compile_network, load_chip
from emulator.errors import NetworkError, OverflowPolicyError, RunError

TINY = load_chip("tiny")


def make(chip=TINY, **parameters) -> Emulator:
    net = Network("net")
    source, other = net.input("in", 4), net.input("other", 2)
    cells = net.population("cells", 6, **{"vth_mant": 40} | parameters)
    net.connect(source, cells, weights=np.full((6, 4), 100))
    net.connect(other, cells, weights=np.full((6, 2), 20))
    net.probe(cells, "v", neurons=[5, 2])
    net.probe(cells, "v", neurons=[2, 0])
    net.probe(cells, "spikes", neurons=[3])
    return Emulator(chip, compile_network(net, chip))


BAD_INPUTS = {
    "unknown": ({"inn": [[True]]}, "inputs: 'inn' does not exist; inputs are: in, other"),
    "not an input": ({"cells": [[0, 0]]}, "inputs: 'cells' is not an input; inputs are: in, other"),
    "floats": ({"in": np.zeros((3, 4))}, "inputs: 'in' is float64 of shape (3, 4); it must be bool (steps, 4) or integer pairs (n_spikes, 2) of step and neuron; for a raster write values != 0"),
    "too wide": ({"in": np.zeros((3, 5), bool)}, "inputs: 'in' has shape (3, 5); the run has 10 steps and the population 4 neurons"),
    "too long": ({"in": np.zeros((11, 4), bool)}, "inputs: 'in' has shape (11, 4); the run has 10 steps and the population 4 neurons"),
    "three dimensions": ({"in": np.zeros((1, 1, 1), bool)}, "inputs: 'in' is bool of shape (1, 1, 1); it must be bool (steps, 4) or integer pairs (n_spikes, 2) of step and neuron"),
    "late": ({"in": [[0, 0], [10, 1]]}, "inputs: 'in' row 1 is step 10, neuron 1; allowed: steps 0 to 9, neurons 0 to 3"),
    "negative": ({"in": [[-1, 0]]}, "inputs: 'in' row 0 is step -1, neuron 0; allowed: steps 0 to 9, neurons 0 to 3"),
    "no such neuron": ({"in": [[3, 4]]}, "inputs: 'in' row 0 is step 3, neuron 4; allowed: steps 0 to 9, neurons 0 to 3"),
    "twice": ({"in": [[3, 1], [2, 0], [3, 1]]}, "inputs: 'in' has neuron 1 twice in step 3; a neuron spikes once a step"),
    "two mistakes": ({"x": [], "in": [[3, 4]]}, "inputs: 'x' does not exist; inputs are: in, other\ninputs: 'in' row 0 is step 3, neuron 4; allowed: steps 0 to 9, neurons 0 to 3"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_inputs_that_do_not_fit_are_refused(name):
    inputs, message = BAD_INPUTS[name]
    with pytest.raises(NetworkError) as error:
        make().run(10, inputs)
    assert str(error.value) == message


def test_pairs_and_matrices_are_the_same_input():
    spikes = np.random.default_rng(1).random((10, 4)) < 0.3
    pairs = np.argwhere(spikes)[::-1]
    runs = [make().run(10, {"in": given}) for given in (spikes, pairs)]
    assert runs[0].spikes["cells"].tolist() == runs[1].spikes["cells"].tolist()
    assert runs[0].spikes["in"].tolist() == np.argwhere(spikes).tolist()


def test_inputs_may_be_shorter_than_the_run_or_empty():
    assert make().run(5, {"in": np.ones((2, 4), bool)}).spikes["in"].shape == (8, 2)
    assert make().run(5, {"in": [], "other": np.zeros((0, 2), int)}).spikes["cells"].shape == (0, 2)


def test_no_steps_is_an_empty_run():
    run = make().run(0)
    assert run.n_steps == 0
    assert run.recordings["cells"]["v"].shape == (0, 3)
    assert run.timing.total_cycles == 0


WHOLE = "it must be a whole number from"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": -1}, f"steps is -1; {WHOLE} 0 to 4,294,967,295"),
        ({"steps": 10**11}, f"steps is 100,000,000,000; {WHOLE} 0 to 4,294,967,295"),
        ({"steps": "5"}, f"steps is '5'; {WHOLE} 0 to 4,294,967,295"),
        ({"steps": 50.0}, f"steps is 50.0; {WHOLE} 0 to 4,294,967,295"),
        ({"steps": True}, f"steps is True; {WHOLE} 0 to 4,294,967,295"),
        ({"steps": 1, "timing": "exact"}, "timing is 'exact'; allowed: off, analytic, cycle"),
        ({"steps": 1, "reset_every": 0}, f"reset_every is 0; {WHOLE} 1 to 4,294,967,295"),
        ({"steps": 1, "reset_every": 1.5}, f"reset_every is 1.5; {WHOLE} 1 to 4,294,967,295"),
        ({"steps": 1, "seed": "a"}, f"seed is 'a'; {WHOLE} 0 to 9,223,372,036,854,775,807"),
    ],
)
def test_impossible_runs_are_refused(arguments, message):
    with pytest.raises(RunError) as error:
        make().run(**arguments)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            [1, 2],
            "inputs is [1, 2]; it must be a mapping from the name of an input population to its spikes",
        ),
        (
            np.zeros((9, 9), bool),
            "inputs is a ndarray; it must be a mapping from the name of an input population to its spikes",
        ),
        (
            {"in": [[1, 2], [3]]},
            "inputs: 'in' has rows of different lengths; they must form an array",
        ),
    ],
)
def test_inputs_of_another_kind_are_named(inputs, message):
    with pytest.raises(NetworkError) as error:
        make().run(3, inputs)
    assert str(error.value) == message


def test_a_run_whose_records_do_not_fit_the_memory_is_refused():
    with pytest.raises(RunError) as error:
        make().run(2**32 - 1)
    assert str(error.value).startswith("steps is 4,294,967,295: what is recorded takes ")
    assert "write the records to files (save_to), make" in str(error.value)
    assert str(error.value).endswith(
        "several runs that continue each other, or probe fewer neurons or less often"
    )


def test_what_is_no_chip_or_program_is_named():
    program = make().program
    for arguments, message in (
        (("tiny", program), "chip is 'tiny'; it must be a Chip, as load_chip returns it"),
        (
            (TINY, "p"),
            "program is 'p'; it must be a Program, as compile_network or Program.load returns it",
        ),
        ((program, TINY), f"chip is {program!r}; it must be a Chip, as load_chip returns it"),
    ):
        with pytest.raises(EmulatorError) as error:
            Emulator(*arguments)
        assert str(error.value) == message
    with pytest.raises(
        EmulatorError, match="chip is 'tiny'; it must be a Chip, as load_chip returns it"
    ):
        compile_network(Network(), "tiny")
    with pytest.raises(EmulatorError, match="it must be a Network, with populations"):
        compile_network(TINY, Network())


@pytest.mark.parametrize("threads", [0, 65, "2", 1.0])
def test_threads_must_be_a_number_of_them(threads):
    with pytest.raises(
        RunError, match=f"threads is {threads!r}; it must be a whole number from 1 to 64"
    ):
        Emulator(TINY, make().program, threads=threads)


def test_more_neurons_than_the_chip_has_are_refused_at_once():
    net = Network("huge")
    net.population("a", 2**31 - 1, vth_mant=1)
    with pytest.raises(EmulatorError) as error:
        compile_network(net, TINY)
    assert str(error.value) == (
        "neurons: network 'huge' has 2,147,483,647; chip 'tiny' holds 128, 16 on each of 8 cores"
    )
    net = Network("wide")
    net.input("in", 2**31 - 1)
    with pytest.raises(EmulatorError) as error:
        compile_network(net, TINY)
    assert (
        str(error.value)
        == "inputs: network 'wide' has 2,147,483,647; at most 67,108,864 are allowed"
    )


def test_probes_record_the_neurons_asked_for_in_their_order():
    run = make(bias_mant=[100, 200, 300, 400, 500, 600], vth_mant=4000).run(1)
    assert run.recordings["cells"]["v"].tolist() == [[600, 300, 100]]
    assert run.recordings["cells"]["spikes"].tolist() == [[False]]


def test_a_strict_run_names_where_a_sum_wrapped():
    emulator = make(du=0)
    spikes = np.ones((400, 4), bool)
    wide = load_chip("tiny", set={"arithmetic.u_bits": 16})
    emulator = make(wide, du=0)
    run = emulator.run(400, {"in": spikes})
    assert run.n_overflows > 0
    emulator.reset()
    with pytest.raises(OverflowPolicyError) as error:
        emulator.run(400, {"in": spikes}, strict=True)
    assert str(error.value) == (
        "strict run: step 2: the current u, or the input added to it, of a neuron of 'cells'[0:6] on core 0 left its 16 "
        "bits; smaller weights or weight_exp avoid it, and without strict the chip wraps around and counts it"
    )


def test_timing_off_has_no_duration_and_no_static_part():
    run = make().run(5, timing="off")
    assert run.timing is None
    assert run.energy().static_pj is None


def _interrupt(_done: int) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_ends_the_run_between_chunks():
    emulator = make(bias_mant=100)
    before = signal.getsignal(signal.SIGINT)
    run = emulator.run(10**7, progress=_interrupt, keep_partial=True)
    assert run.status == "interrupted"
    assert 0 < run.n_steps < 10**7
    assert signal.getsignal(signal.SIGINT) is before
    whole = make(bias_mant=100).run(run.n_steps)
    assert run.spikes["cells"].tolist() == whole.spikes["cells"].tolist()


def test_ctrl_c_raises_unless_the_part_is_wanted():
    with pytest.raises(KeyboardInterrupt):
        make().run(10**7, progress=_interrupt)


def test_an_emulator_runs_outside_the_main_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(make().run(3).n_steps))
    thread.start()
    thread.join()
    assert found == [3]


def test_a_wide_chip_keeps_what_a_narrow_accumulator_wraps():
    spikes = {"in": np.ones((1, 4), bool)}
    narrow = load_chip("tiny", set={"arithmetic.accumulator_bits": 14})
    runs = [make(chip, vth_mant=4000).run(2, spikes) for chip in (TINY, narrow)]
    total = 4 * 100 * 64
    assert runs[0].recordings["cells"]["v"][1].tolist() == [total] * 3
    assert runs[1].recordings["cells"]["v"][1].tolist() == [(total + 2**13) % 2**14 - 2**13] * 3
