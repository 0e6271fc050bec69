"""What learning promises on the whole path: no mapping, thread, cut or file changes it; all of it is counted."""

from math import ceil

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from emulator import (
    Emulator,
    Network,
    Program,
    Rule,
    Run,
    Trace,
    compile_network,
    load_chip,
    resume_run,
)
from emulator.errors import RunError
from emulator.mapping import Mapping
from emulator.units import exact
from tests.learning_cases import cases, loops
from tests.oracle import machine
from tests.oracle.neuron_lif import Rules
from tests.strategies import compartments
from tests.test_checkpoints import assert_same, stop_after

few = settings(max_examples=settings().max_examples // 3)
PROJECTIONS = ("in", "own")


def states_of(run, names=PROJECTIONS):
    """Return everything that was kept of what each projection learned, synapses in an order that no mapping changes."""
    found = []
    for _, state in run.learned.states:
        for name in names:
            synapses = run.learned.synapses_of(name)
            order = np.lexsort((synapses.post, synapses.pre))
            own = {
                w: synapses.values(state[name], w)[order].tolist()
                for w in ("weights", "delays", "tags")
            }
            own |= {k: v.tolist() for k, v in state[name].items() if k not in ("words", "tags")}
            found.append(own)
    return found


def function_of(run):
    """Return what a run computed."""
    u, v = (run.recordings["cells"][x].tolist() for x in "uv")
    visits = [run.visits(name).tolist() for name in PROJECTIONS]
    return run.spikes["cells"].tolist(), u, v, visits, states_of(run)


@st.composite
def scattered(draw, size: int, n_cores: int) -> Mapping:
    """Draw a mapping that cuts the neurons in two or three and puts the parts on any cores, in any order."""
    cuts = sorted({0, size, draw(st.integers(0, size)), draw(st.integers(0, size))})
    cores = draw(st.permutations(range(n_cores)))
    parts = zip(cuts[:-1], cuts[1:], cores, strict=False)
    return Mapping(segments=draw(st.permutations([("cells", a, b, core) for a, b, core in parts])))


@few
@given(loops(), st.data())
def test_mapping_threads_and_files_change_nothing(tmp_path_factory, loop, data):
    network, steps = loop.network(), len(loop.inputs)
    mapping = data.draw(scattered(loop.sizes[1], 8))
    programs = [
        compile_network(network, loop.chip),
        compile_network(network, loop.chip, neurons_per_core=2),
        compile_network(network, loop.chip, mapping),
    ]
    path = tmp_path_factory.mktemp("program") / "p.program"
    programs[2].save(path)
    found = [
        function_of(
            Emulator(loop.chip, program, threads=threads).run(
                steps, {"in": loop.inputs}, weights_every=1, seed=loop.seed, timing=timing
            )
        )
        for program, threads, timing in (
            (programs[0], 1, "off"),
            (programs[1], 2, "analytic"),
            (programs[2], 3, "cycle"),
            (Program.load(path), 1, "off"),
        )
    ]
    assert found[1:] == found[:1] * 3


@few
@given(loops(), st.data())
def test_run_a_plus_b_is_run_a_then_run_b(loop, data):
    steps = len(loop.inputs)
    cut = data.draw(st.integers(0, steps))
    program = compile_network(loop.network(), loop.chip, neurons_per_core=3)
    emulator = Emulator(loop.chip, program)
    options = {"weights_every": 1, "seed": loop.seed, "timing": "analytic"}
    whole = emulator.run(steps, {"in": loop.inputs}, **options)
    emulator.reset()
    first = emulator.run(cut, {"in": loop.inputs[:cut]}, **options)
    second = emulator.run(steps - cut, {"in": loop.inputs[cut:]}, **options)
    for name in PROJECTIONS:
        assert (emulator.weights(name) == whole.weights(name)).all()
        rows = [run.recordings[name] for run in (first, second)]
        for what, expected in whole.recordings[name].items():
            assert np.concatenate([part[what] for part in rows]).tolist() == expected.tolist()
    assert first.counters + second.counters == whole.counters
    assert first.energy().total_pj + second.energy().total_pj == whole.energy().total_pj


@few
@given(cases(), st.integers(1, 20))
def test_a_reset_forgets_spikes_and_rewards_and_keeps_what_was_learned(case, length):
    net = Network("clamped")
    ends = net.input("a", case.sizes[0]), net.input("b", case.sizes[1])
    net.connect(*ends, **case.connected(), name="learns")
    steps = len(case.pre)
    run = Emulator(case.chip, compile_network(net, case.chip)).run(
        steps,
        {"a": case.pre, "b": case.post},
        rewards=case.given(),
        seed=case.seed,
        reset_every=length,
        timing="off",
    )
    learner = case.learner()
    for step in range(steps):
        if step % length == 0:
            learner.rest()
        fired = [set(np.flatnonzero(spikes[step]).tolist()) for spikes in (case.pre, case.post)]
        learner.step(step, *fired, tuple(case.rewards[step].tolist()))
    expected = np.zeros(case.sizes[::-1], int)
    for synapse in learner.synapses:
        expected[synapse.post, synapse.pre] += synapse.w
    assert run.weights("learns").tolist() == expected.tolist()


@few
@given(loops(), st.sampled_from([None, 1, 3]))
def test_every_visit_is_counted_priced_and_timed(loop, neurons_per_core):
    program = compile_network(loop.network(), loop.chip, neurons_per_core=neurons_per_core)
    run = Emulator(loop.chip, program).run(
        len(loop.inputs), {"in": loop.inputs}, seed=loop.seed, timing="cycle"
    )
    learners = loop.expected()[-1]
    core_of = {}
    for population, first, stop, core, _ in program.segments.tolist():
        assert program.manifest["populations"][population]["name"] == "cells"
        core_of |= dict.fromkeys(range(first, stop), core)
    each = [
        2 * len(rule.products) + sum(map(len, rule.products.values())) for _, rule in loop.rules
    ]

    blocks = [program.blocks[b, :2].tolist() for b in program.learning_blocks]
    visits = run.records.active[:, len(program.segments) :]
    work = np.zeros((run.n_steps, program.n_cores), int)  # instructions
    for k, (core, projection) in enumerate(blocks):
        learner = learners[projection - 1]
        mine = [s.pre for s in learner.synapses if core_of[s.post] == core]
        expected = [sum(pre in visited for pre in mine) for visited in learner.visited]
        assert visits[:, k].tolist() == expected
        work[:, core] += np.array(expected, int) * each[projection - 1]
    assert sum(len(learner.synapses) > 0 for learner in learners) <= len(blocks)

    # Counted: on the core that did it, for the population that learns.
    counted = {
        core: n for core, _, event, n in run.counters.rows() if event == "learning_instruction"
    }
    assert counted == {core: int(n) for core, n in enumerate(work.sum(axis=0)) if n}
    cost = run.energy().cost_pj["learning_instruction"]
    assert run.energy().by("event").get("learning_instruction", 0) == int(work.sum()) * cost

    # Timed, rounded up once for each core and step: the slowest core extends the step; what comes before takes the time that it took.
    costs = loop.chip.costs
    cost_cycles = exact(costs.learning_instruction.time_ns) * exact(loop.chip.clock.mhz) / 1000
    idle = loop.chip.costs.model_copy(
        update={
            "learning_instruction": loop.chip.costs.learning_instruction.model_copy(
                update={"time_ns": 0.0}
            )
        }
    )
    others = loop.chip.model_copy(update={"costs": idle})
    for timing in ("analytic", "cycle"):
        timed, bare = run.retimed(loop.chip, timing).timing, run.retimed(others, timing).timing
        took = [[ceil(n * cost_cycles) for n in step] for step in work.tolist()]
        assert (timed.step_cycles - bare.step_cycles).tolist() == [max(step) for step in took]
        assert timed.core_learning_cycles[: program.n_cores].tolist() == [
            sum(core) for core in zip(*took, strict=True)
        ]
    analytic = run.retimed(loop.chip, "analytic").timing
    assert (analytic.step_cycles <= run.timing.step_cycles).all()


@few
@given(loops(), st.sampled_from([None, 2]))
def test_a_trained_program_gives_the_spikes_of_frozen_synapses(
    tmp_path_factory, loop, neurons_per_core
):
    program = compile_network(loop.network(), loop.chip, neurons_per_core=neurons_per_core)
    steps = len(loop.inputs)
    learning = Emulator(loop.chip, program).run(
        steps, {"in": loop.inputs}, seed=loop.seed, timing="off"
    )
    path = tmp_path_factory.mktemp("trained") / "t.program"
    learning.trained().save(path)
    trained = Program.load(path)
    assert not trained.learns
    run = Emulator(loop.chip, trained, threads=2).run(steps, {"in": loop.inputs}, timing="off")
    n_cells = loop.sizes[1]
    static = [(n_cells + i, j, 64 * w, d) for i, j, w, d in loop.static]
    for first, exponent, learner in zip(
        (n_cells, 0), loop.exponents, loop.expected()[-1], strict=True
    ):
        static += [
            (first + s.pre, s.post, s.w * 2 ** (6 + exponent), s.d) for s in learner.synapses
        ]
    inputs = [{n_cells + int(i) for i in np.flatnonzero(row)} for row in loop.inputs]
    spikes, states, _ = machine.run(compartments(loop.registers), static, inputs, Rules())
    assert run.spikes["cells"].tolist() == [[t, i] for t, i in sorted(spikes) if i < n_cells]
    assert run.recordings["cells"]["u"].tolist() == [[u for u, _ in row] for row in states]
    for name in PROJECTIONS:
        assert (run.weights(name) == learning.weights(name)).all()


@settings(max_examples=settings().max_examples // 8)
@given(loops(), st.sampled_from([None, 1, 4]))
def test_a_folder_holds_what_was_learned(tmp_path_factory, loop, every):
    assume(any(loop.synapses))
    program = compile_network(loop.network(), loop.chip, neurons_per_core=4)
    folder = tmp_path_factory.mktemp("run") / "run"
    options = {"seed": loop.seed, "weights_every": every, "timing": "off"}
    run = Emulator(loop.chip, program).run(len(loop.inputs), {"in": loop.inputs}, **options)
    run.save(folder)
    read = Run.load(folder)
    assert_same(read, run)
    assert states_of(read) == states_of(run)
    assert read.learned.steps == run.learned.steps
    assert read.trained().sha256 == run.trained().sha256
    streamed = Emulator(loop.chip, program).run(
        len(loop.inputs), {"in": loop.inputs}, save_to=folder, force=True, **options
    )
    assert states_of(streamed) == states_of(run)


def restless(epoch):
    """Return a network that is driven by what it learns: weights, tags, delays, traces and rewards all matter."""
    rng = np.random.default_rng(3)
    net = Network("restless")
    source = net.input("in", 8)
    cells = net.population(
        "cells", 30, du=900, dv=100, vth_mant=300, bias_mant=90, bias_exp=3, refractory=2
    )
    traces = {"x1": Trace(22.3, 5), "y1": Trace(14.7, 4), "y2": Trace(5.5, 30)}
    rule = Rule(
        dw="2^-3*x1*y0 - 2^-3*y1*x0 + 2^-6*t*r0*u0 + 2^-2*r1*u1", dt="2^-3*x1*y0 - 2^-4*t*u0", dd="2^-6*y1*x0 - 2^-6*x1*y0 + 2^-2*u1*sgn(w)",
        **traces, epoch=epoch,
    )  # fmt: skip
    net.connect(
        source, cells, weights=2 * rng.integers(-30, 60, (30, 8)), delay=2, learning=rule, name="in"
    )
    net.connect(cells, cells, weights=2 * rng.integers(-40, 50, (30, 30)), delay=rng.integers(0, 4, (30, 30)),
                learning=rule, name="own")  # fmt: skip
    net.probe(cells, "u", "v")
    return net


@pytest.mark.parametrize("threads", [1, 2])
def test_projections_with_epochs_of_their_own_do_not_disturb_each_other(threads):
    chip, rng = load_chip("loihi2", {"learning.rounding": "nearest"}), np.random.default_rng(8)
    steps, epochs = 50, {"b": 3, "c": 7, "d": 1}
    spikes = {name: rng.random((steps, 9)) < 0.3 for name in "abcd"}
    weights = 2 * rng.integers(-50, 50, (9, 9))

    def learned(targets):
        net = Network("several")
        ends = {name: net.input(name, 9) for name in ("a", *targets)}
        for name in targets:
            rule = Rule(
                dw="2^-3*x1*y0 - 2^-3*y1*x0 + u1*t*2^-4", dt="2^-4*x1*y0",
                x1=Trace(16, 9), y1=Trace(17, 7), epoch=epochs[name],
            )  # fmt: skip
            net.connect(ends["a"], ends[name], weights=weights, learning=rule, name=name)
        emulator = Emulator(chip, compile_network(net, chip), threads=threads)
        run = emulator.run(steps, {name: spikes[name] for name in ends}, weights_every=1)
        return {
            name: (run.recordings[name]["weights"].tolist(), run.visits(name).tolist())
            for name in targets
        }

    assert learned("bcd") == learned("b") | learned("c") | learned("d")


STEPS = 200
INPUTS = {"in": np.random.default_rng(2).random((STEPS, 8)) < 0.3}
REWARDS = {
    name: np.random.default_rng(k).integers(-128, 128, STEPS) for k, name in enumerate(("r0", "r1"))
}
OPTIONS = {"rewards": REWARDS, "seed": 11, "weights_every": 3}


@pytest.mark.parametrize("epoch", [7, 63])
def test_a_run_resumed_in_mid_epoch_equals_the_uninterrupted_one(tmp_path, epoch):
    chip = load_chip("loihi2")
    program = compile_network(restless(epoch), chip, neurons_per_core=9)
    whole = Emulator(chip, program).run(STEPS, INPUTS, **OPTIONS)
    with pytest.raises(RunError, match="interrupted") as error:
        Emulator(chip, program).run(
            STEPS,
            INPUTS,
            **OPTIONS,
            progress=stop_after(50),
            save_to=tmp_path / "run",
            checkpoint_every=10,
        )
    assert "of 200 steps" in str(error.value)
    resumed = resume_run(tmp_path / "run", threads=2)
    assert_same(resumed, whole)
    assert states_of(resumed) == states_of(whole)
    assert states_of(Run.load(tmp_path / "run")) == states_of(whole)
    last = states_of(whole)[-1]  # that it had something to forget
    assert len(set(last["weights"])) > 20
    assert len(set(last["tags"])) > 5
    assert 0 < max(last["y1"]) < 127
    assert len(set(last["delays"])) > 3


def test_every_step_of_an_epoch_is_a_place_to_stop(tmp_path):
    chip = load_chip("loihi2")
    program = compile_network(restless(5), chip)
    whole = Emulator(chip, program).run(
        40, {"in": INPUTS["in"][:40]}, rewards={k: r[:40] for k, r in REWARDS.items()}
    )
    for cut in range(18, 24):
        emulator = Emulator(chip, program)
        for part in (slice(0, cut), slice(cut, 40)):
            run = emulator.run(
                part.stop - part.start,
                {"in": INPUTS["in"][part]},
                rewards={k: r[part] for k, r in REWARDS.items()},
            )
        assert states_of(run)[-2:] == states_of(whole)[-2:]
        assert len(run.spikes["cells"]) == sum(whole.spikes["cells"][:, 0] >= cut)
