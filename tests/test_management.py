"""Management cores: phases, guards, state, spikes, channels, and what they cost."""

import re
import sys
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator import Emulator, Mapping, Network, Rule, Run, Trace, compile_network, load_chip
from emulator.account import KINDS
from emulator.errors import EmulatorError, ManagementError, NetworkError, RunError

TINY = load_chip("tiny")
PHASES = ("pre", "post", "pre_learning", "post_learning", "host")


def relay(n=4, *, payload_bits=0, core=None, **options):
    """Return a network in which each input neuron makes one cell fire in the next step."""
    net = Network("relay")
    source = net.input("in", n, payload_bits=payload_bits, core=core)
    cells = net.population("cells", n, vth_mant=100, du=4095, dv=0, **options)
    net.connect(source, cells, weights=120 * np.eye(n, dtype=int))
    return net


def learner(epoch=2):
    """Return a network with clamped ends whose synapses change at the end of each epoch."""
    net = Network("learner")
    a, b = net.input("a", 3), net.input("b", 2)
    rule = Rule(dw="x1*y0", x1=Trace(16, 10), y1=Trace(16, 10), epoch=epoch)
    net.connect(a, b, weights=np.zeros((2, 3), int), learning=rule)
    return net


@contextmanager
def suppress_deadlock():
    """Let nothing but a deadlock pass."""
    try:
        yield
    except ManagementError as error:
        if "deadlock" not in str(error):
            raise


def run(net, steps, chip=TINY, threads=1, **options):
    return Emulator(chip, compile_network(net, chip), threads=threads).run(steps, **options)


# phases and guards


def test_phases_follow_each_other_and_learning_has_two_of_its_own():
    net, seen = learner(epoch=2), []
    for phase in reversed(PHASES):
        net.manage(0, phase, lambda core: seen.append((core.step, core.phase)))
    run(net, 4)
    plain, learning = ["pre", "post", "host"], list(PHASES)
    assert seen == [(s, p) for s in range(4) for p in (learning if s % 2 else plain)]


@pytest.mark.parametrize(
    ("phase", "options", "steps"),
    [
        ("pre", {"every": 3}, [0, 3, 6, 9]),
        ("post", {"every": 3}, [2, 5, 8]),
        ("host", {"every": 3, "first": 1}, [1, 4, 7]),
        ("post", {"every": 100}, []),
        ("pre", {"when": lambda core: core.step in (2, 7)}, [2, 7]),
        ("pre", {"when": lambda core: core.step % 2, "every": 3}, [3, 9]),
    ],
)
def test_a_guard_says_in_which_steps_a_program_runs(phase, options, steps):
    net, seen = relay(), []
    net.manage(0, phase, lambda core: seen.append(core.step), **options)
    run(net, 10)
    assert seen == steps


def test_a_mailbox_wakes_a_program():
    net, seen = relay(), []
    net.channel("mail", "host", 1, depth=2)
    net.manage("host", "host", lambda core: core.send("mail", core.step), every=4, first=2)
    net.manage(1, "pre", lambda core: seen.append((core.step, *core.receive("mail"))), when="mail")
    run(net, 12)
    assert seen == [(3, 2), (7, 6), (11, 10)]


def test_steps_count_on_over_runs_and_from_0_after_a_reset():
    net, seen = relay(), []
    net.manage(0, "pre", lambda core: seen.append(core.step), every=2)
    emulator = Emulator(TINY, compile_network(net, TINY))
    emulator.run(3)
    emulator.run(3)
    emulator.reset()
    emulator.run(1)
    assert seen == [0, 2, 4, 0]


# state


def test_every_variable_is_read_and_written_where_the_neurons_are():
    net, seen = relay(), {}
    names = ("spikes", "u", "v", "refractory", "bias", "threshold")

    def look(core):
        seen[core.step] = {name: core.read(f"cells.{name}").tolist() for name in names}
        core.write("cells.threshold", 640, [1])
        core.write("cells.v", [5, -5], [0, 3])

    net.manage(0, "post", look)
    run(net, 2, inputs={"in": [[0, 0], [0, 2]]})
    assert seen[0] == {
        "spikes": [0] * 4, "u": [0] * 4, "v": [0] * 4, "refractory": [0] * 4, "bias": [0] * 4, "threshold": [6400] * 4,
    }  # fmt: skip
    assert seen[1]["spikes"] == [1, 0, 1, 0]
    assert seen[1]["u"] == [7680, 0, 7680, 0]
    assert seen[1]["v"] == [0, 0, 0, -5]
    assert seen[1]["threshold"] == [6400, 640, 6400, 6400]


def test_a_threshold_that_is_written_decides_from_the_next_step_on():
    net = relay()
    net.manage(0, "post", lambda core: core.write("cells.threshold", 7680, [1]), every=3)
    spikes = [[s, n] for s in range(6) for n in (0, 1)]
    found = run(net, 7, inputs={"in": spikes}).spikes["cells"].tolist()
    assert found == [
        [1, 0],
        [1, 1],
        [2, 0],
        [2, 1],
        [3, 0],
        [4, 0],
        [4, 1],
        [5, 0],
        [6, 0],
        [6, 1],
    ]  # v reaches it in two steps


def test_words_of_microcode_are_variables():
    net, seen = relay(model="microcode:lif"), []
    net.manage(0, "post", lambda core: seen.append(core.read("cells.v").tolist()))
    net.manage(1, "pre", lambda core: core.write("cells.v", 64, [2]))
    run(net, 1)
    assert seen == [[0, 0, 64, 0]]


def test_weights_tags_delays_and_traces():
    net, seen = learner(epoch=1), []

    def look(core):
        seen.append({x: core.read(f"a->b.{x}").tolist() for x in ("weights", "delays", "x1", "y1")})
        core.write("a->b.weights", [7], [5])
        core.write("a->b.x1", 100, [1])

    net.manage(0, "post_learning", look)
    result = run(net, 2, inputs={"a": [[0, 0]], "b": [[0, 1]]})
    # in the order of (pre, post); pre 0 and post 1 fire together
    assert seen[0]["weights"] == [0, 16, 0, 0, 0, 0]
    assert seen[0]["x1"] == [16, 0, 0]
    assert seen[1]["weights"] == [0, 16, 0, 0, 0, 7]
    assert seen[1]["x1"][1] in (90, 91)
    assert result.weights("a->b").tolist() == [[0, 0, 0], [16, 0, 7]]


def test_weights_of_synapses_that_do_not_learn_can_only_be_read():
    net, seen = relay(), []
    net.manage(0, "pre", lambda core: seen.append(core.read("in->cells.weights").tolist()))
    net.manage(0, "post", lambda core: core.write("in->cells.weights", 0, [1]), first=1)
    with pytest.raises(ManagementError, match=r"in->cells\.weights can only be read"):
        run(net, 3)
    assert seen == [[120] * 4] * 2


def test_a_guard_sees_the_spikes_of_its_step_and_pays_for_what_it_does():
    net, seen = relay(), []
    net.manage(
        1,
        "post",
        lambda core: seen.append(core.step),
        when=lambda core: core.read("cells.spikes").any(),
    )
    net.manage(0, "post", lambda core: None, every=5)
    result = run(net, 10, inputs={"in": [[0, 0], [1, 1], [4, 0]]})
    assert seen == [1, 2, 5]
    lines = result.records.managed.lines
    words = lines[lines[:, 3] == KINDS.index("read")]
    assert words[:, 0].tolist() == list(range(10))
    assert (words[:, 2] == 1).all()
    assert words[:, 5].sum() == 40


def test_a_guard_cannot_wait():
    net = relay()
    net.channel("c", 0, 1)
    net.manage(1, "post", print, when=lambda core: core.receive("c"))
    with pytest.raises(ManagementError, match="only a program can wait for channel 'c', no guard"):
        run(net, 1)


@pytest.mark.parametrize(
    "act", [lambda emulator: emulator.run(1), lambda emulator: emulator.reset()]
)
def test_a_program_cannot_run_or_reset_its_own_chip(act):
    net, emulator = relay(), []
    net.manage(0, "post", lambda core: act(emulator[0]))
    emulator.append(Emulator(TINY, compile_network(net, TINY)))
    with pytest.raises(ManagementError, match="this chip is running"):
        emulator[0].run(2)


def test_inputs_of_a_management_core_take_no_others():
    with pytest.raises(
        NetworkError, match="inputs: 'in': its spikes are sent by management core 0"
    ):
        run(relay(core=0), 3, inputs={"in": [[0, 0]]})


def test_programs_are_plain_functions():
    def generator(core):
        yield core

    with pytest.raises(NetworkError, match="run is a generator or async function"):
        relay().manage(0, "post", generator)


def test_rewards_reach_the_rule():
    net = Network("rewarded")
    a, b = net.input("a", 1), net.input("b", 1)
    net.connect(a, b, weights=[[0]], learning=Rule(dw="r0*u0", epoch=2))
    net.manage(0, "pre", lambda core: core.reward(3))
    net.manage("host", "pre_learning", lambda core: core.reward(r0=-1))
    assert run(net, 4).weights("a->b").tolist() == [[10]]


def test_a_reset_between_samples_is_a_fresh_run():
    rng = np.random.default_rng(1)
    samples = [np.argwhere(rng.random((7, 6)) < 0.4) for _ in range(3)]
    net = Network("samples")
    source = net.input("in", 6)
    cells = net.population("cells", 20, vth_mant=60, du=500, dv=100, refractory=3)
    more = net.population("more", 5, model="izhikevich")
    net.connect(
        source, cells, weights=2 * rng.integers(-60, 60, (20, 6)), delay=rng.integers(0, 5, (20, 6))
    )
    net.connect(cells, more, weights=2 * rng.integers(0, 60, (5, 20)))
    fresh = [run(net, 7, inputs={"in": sample}) for sample in samples]
    net.manage(0, "pre", lambda core: core.reset(), every=7)
    spikes = np.concatenate([sample + np.array([7 * k, 0]) for k, sample in enumerate(samples)])
    together = run(net, 21, inputs={"in": spikes})
    assert sum(len(one.spikes["cells"]) for one in fresh) > 20
    for name in ("cells", "more"):
        expected = [one.spikes[name] + [7 * k, 0] for k, one in enumerate(fresh)]
        assert together.spikes[name].tolist() == np.concatenate(expected).tolist()


def test_one_population_can_be_reset():
    net = relay()
    other = net.population("other", 4, vth_mant=200, du=4095, dv=0)
    net.connect(net.populations["cells"], other, weights=120 * np.eye(4, dtype=int))
    net.manage(0, "pre", lambda core: core.reset("other"), first=3, every=100)
    spikes = {"in": [[s, 0] for s in (0, 1, 2, 3)]}
    assert run(net, 8, inputs=spikes).spikes["other"].tolist() == [
        [5, 0]
    ]  # input of step 2 was forgotten


# spikes


@pytest.mark.parametrize("payload_bits", [0, 8])
def test_spikes_that_are_sent_are_spikes_that_are_given(payload_bits):
    given_net, sent_net = relay(payload_bits=payload_bits), relay(payload_bits=payload_bits, core=1)
    spikes = np.array([[0, 1], [2, 0], [2, 3], [5, 2]])
    values = np.array([3, -4, 5, 127])

    def send(core):
        for (step, neuron), value in zip(spikes.tolist(), values.tolist(), strict=True):
            core.send_spikes("in", neuron, value if payload_bits else 1, at=step)

    sent_net.manage(1, "pre", send, every=1000)
    columns = [spikes, values[:, None]] if payload_bits else [spikes]
    for net in (given_net, sent_net):
        net.probe(net.populations["cells"], "v")
    expected = run(given_net, 9, inputs={"in": np.concatenate(columns, axis=1)})
    for threads in (1, 2):
        found = run(sent_net, 9, threads=threads)
        for name in ("in", "cells"):
            assert found.spikes[name].tolist() == expected.spikes[name].tolist()
        assert (found.recordings["cells"]["v"] == expected.recordings["cells"]["v"]).all()


def test_a_spike_comes_in_this_step_from_pre_and_in_the_next_from_other_phases():
    net = relay(core=0)
    net.manage(0, "pre", lambda core: core.send_spikes("in", 0), first=2, every=100)
    net.manage(0, "post", lambda core: core.send_spikes("in", [1, 2]), first=2, every=100)
    net.manage(
        0, "host", lambda core: core.send_spikes("in", 3, at=core.step + 3), first=2, every=100
    )
    result = run(net, 8)
    assert result.spikes["in"].tolist() == [[2, 0], [3, 1], [3, 2], [5, 3]]
    assert result.counters.total("host") == 4


def test_a_host_program_sends_beside_what_a_run_is_given():
    net = relay()
    net.manage("host", "pre", lambda core: core.send_spikes("in", 1))
    assert run(net, 2, inputs={"in": [[0, 3], [1, 0]]}).spikes["in"].tolist() == [
        [0, 1],
        [0, 3],
        [1, 0],
        [1, 1],
    ]


def test_spikes_enter_at_the_tile_of_the_core_that_sends_them():
    chip = load_chip("tiny", {"management.tiles": "[3]"})
    there, here = relay(core=0), relay()
    there.manage(0, "pre", lambda core: core.send_spikes("in", range(4)))
    far = run(there, 1, chip).counters
    near = run(here, 1, chip, inputs={"in": [[0, k] for k in range(4)]}).counters
    assert near.total("hop_ew") + near.total("hop_ns") == 0
    assert far.total("hop_ew") == far.total("hop_ns") == 4 * far.total("packet") // 4


# channels


def plan_of(draw, n_ops):
    """Draw programs that cannot block each other for ever: a run of sends and receives with finite buffers."""
    ends = (0, 1, 2, "host")
    channels = draw(
        st.lists(
            st.tuples(
                st.sampled_from(ends), st.sampled_from(ends), st.integers(1, 3), st.integers(1, 3)
            ).filter(lambda c: c[0] != c[1]),
            min_size=1,
            max_size=5,
        )
    )
    waiting, number = [0] * len(channels), 0
    programs = {end: [] for end in ends}
    for _ in range(n_ops):
        able = [(k, True) for k, c in enumerate(channels) if waiting[k] < c[2]]
        able += [(k, False) for k in range(len(channels)) if waiting[k]]
        k, sends = draw(st.sampled_from(able))
        waiting[k] += 1 if sends else -1
        programs[channels[k][0 if sends else 1]].append((k, number if sends else None))
        number += sends
    return channels, programs


@given(st.data())
def test_no_message_is_lost_doubled_or_reordered(data):
    channels, programs = plan_of(data.draw, data.draw(st.integers(0, 40)))
    net, sent, got = relay(), {}, {}
    for k, (source, target, depth, words) in enumerate(channels):
        net.channel(f"c{k}", source, target, depth=depth, words=words)
        sent[k], got[k] = [], []

    def player(operations):
        def play(core):
            for k, number in operations:
                if number is None:
                    got[k].append(core.receive(f"c{k}").tolist())
                else:
                    sent[k].append([number] * channels[k][3])
                    core.send(f"c{k}", sent[k][-1])

        return play

    order = data.draw(st.permutations(list(programs)))
    for end in order:
        net.manage(end, "post", player(programs[end]), every=1000, first=1)
    result = run(net, 3)
    for k in sent:
        assert got[k] == sent[k][: len(got[k])]
        left = sent[k][len(got[k]) :]
        assert len(left) <= channels[k][2]
        assert len(got[k]) == sum(
            1 for p in programs.values() for c, n in p if c == k and n is None
        )
    lines = result.records.managed.lines
    n_sent = lines[lines[:, 3] == KINDS.index("send"), 5].sum()
    assert n_sent == sum(map(len, sent.values()))


@given(st.data())
def test_any_programs_end_or_are_reported_as_a_deadlock(data):
    n_channels = data.draw(st.integers(1, 3))
    net, sent, got = relay(), {}, {}
    ends = data.draw(st.lists(st.permutations([0, 1, 2]), min_size=n_channels, max_size=n_channels))
    for k, (source, target, _) in enumerate(ends):
        net.channel(f"c{k}", source, target, depth=data.draw(st.integers(1, 2)))
        sent[k], got[k] = [], []
    emulator_programs = {}
    for core in range(3):
        able = [(k, 0) for k, e in enumerate(ends) if e[0] == core] + [
            (k, 1) for k, e in enumerate(ends) if e[1] == core
        ]
        operations = data.draw(st.lists(st.sampled_from(able), max_size=6)) if able else []
        emulator_programs[core] = operations

    def player(operations):
        def play(core):
            for k, receives in operations:
                if receives:
                    got[k].append(int(core.receive(f"c{k}")[0]))
                else:
                    core.send(f"c{k}", len(sent[k]))
                    sent[k].append(len(sent[k]))

        return play

    for core, operations in emulator_programs.items():
        net.manage(core, "host", player(operations))
    with suppress_deadlock():
        run(net, 1)
    for k in sent:
        assert got[k] == sent[k][: len(got[k])]


def test_a_deadlock_says_who_waits_for_whom():
    net = relay()
    net.channel("ask", 0, 1)
    net.channel("reply", 1, 0)

    def asks(core):
        core.receive("reply")

    def answers(core):
        core.send("reply", 1) if core.step else core.receive("ask")

    net.manage(0, "post", asks)
    net.manage(1, "post", answers)
    with pytest.raises(ManagementError) as caught:
        run(net, 2)
    assert str(caught.value) == (
        "step 0, phase 'post': deadlock: core 0 ('asks') waits for a message in channel 'reply' from core 1; "
        "core 1 ('answers') waits for a message in channel 'ask' from core 0"
    )


def test_a_full_channel_makes_its_sender_wait():
    net = relay()
    net.channel("pipe", 0, 1, depth=2)
    net.manage(0, "post", lambda core: [core.send("pipe", k) for k in range(3)])
    with pytest.raises(ManagementError, match=re.escape(
        "core 0 ('<lambda>') waits for room in channel 'pipe', which holds 2 of 2 messages, for core 1 to receive"
    )):  # fmt: skip
        run(net, 1)


def test_a_channel_that_there_is_not_is_named():
    net = relay()
    net.channel("out", 0, "host")
    net.channel("back", "host", 0)
    with pytest.raises(KeyError, match="no channel 'back' to the host; there are: out"):
        _ = run(net, 1).messages["back"]


def test_the_host_gets_messages_where_it_has_no_program():
    net = relay()
    net.channel("out", 2, "host", words=2, dtype="uint32")
    net.manage(
        2,
        "post",
        lambda core: [core.send("out", [core.step, 2**32 - 1]) for _ in range(3)],
        every=2,
    )
    result = run(net, 4)
    assert result.messages["out"].tolist() == [[s, s, 2**32 - 1] for s in (1, 1, 1, 3, 3, 3)]


# what it costs


def everything(core):
    core.read("cells.v")
    core.write("cells.threshold", [6400, 6400], [0, 3])
    core.send("out", core.step)
    core.spend(40)


@pytest.fixture(params=["analytic", "cycle"])
def costed(request):
    chip = load_chip("tiny", {"management.tiles": "[3]"})
    net = relay()
    net.channel("out", 0, "host")
    net.manage(0, "post", everything, every=2, instructions=60)
    return run(net, 4, chip, timing=request.param)


def test_events_of_management_are_what_it_did(costed):
    events = costed.counters.by("event")
    assert events["management_call"] == 2
    assert events["management_instruction"] == 200
    assert events["management_word"] == 2 * (4 + 2)
    assert events["host_message"] == 2
    assert "message" not in events
    chip, mesh = costed.chip, costed.chip.mesh
    flits = {bits: -(-(mesh.header_bits + bits) // mesh.flit_bits) for bits in (32, 64)}
    # cells are on core 0 of tile 0; the management core is at the other corner, the host at tile 0
    per_call = 4 * 2 * flits[32] + 2 * flits[64] + flits[32]
    assert events["packet"] == 2 * (4 * 2 + 2 + 1)
    assert events["hop_ew"] == events["hop_ns"] == 2 * per_call
    assert {c for c, _, e, _ in costed.counters.rows() if e.startswith("management")} == {
        mesh.n_cores
    }
    cost = sum(n * getattr(chip.costs, event).energy_pj for event, n in events.items())
    assert float(costed.energy().dynamic_pj) == pytest.approx(cost, rel=1e-12)


def test_the_phases_take_their_time(costed):
    cycles, by_core = costed.management_cycles()
    cost, mesh = costed.chip.service_cycles, costed.chip.mesh
    flits = {bits: -(-(mesh.header_bits + bits) // mesh.flit_bits) for bits in (32, 64)}
    work = (
        cost("management_call") + 100 * cost("management_instruction") + 6 * cost("management_word")
    )
    work += 4 * 2 * flits[32] + 2 * flits[64] + flits[32] + cost("host_message")
    if costed.timing.mode == "cycle":
        stages = mesh.routing_delay_cycles + (1 if mesh.speculative else 2) + 2
        links = mesh.link_latency_cycles.east_west - 1 + mesh.link_latency_cycles.north_south - 1
        way = 2 + 3 * stages + links
        work += (4 * 2 + 1 + 1) * way
    assert cycles.tolist() == [0, work, 0, work]
    assert by_core[1, 0] == 2 * work
    steps = costed.timing.step_cycles
    assert steps[1] - steps[0] == work
    assert costed.timing.bottleneck_steps()["management"] == 2


def test_analytic_time_is_a_lower_bound(costed):
    analytic, cycle = (costed.retimed(costed.chip, timing=mode) for mode in ("analytic", "cycle"))
    assert (analytic.timing.step_cycles <= cycle.timing.step_cycles).all()
    assert costed.timing == {"analytic": analytic, "cycle": cycle}[costed.timing.mode].timing


def test_parts_of_a_run_add_up(costed):
    first, second = costed.energy(start=0, stop=2), costed.energy(start=2, stop=4)
    assert first.total_pj + second.total_pj == costed.energy().total_pj


def test_a_run_folder_keeps_it(costed, tmp_path):
    costed.save(tmp_path / "run")
    loaded = Run.load(tmp_path / "run")
    assert loaded.records.managed.lines.tolist() == costed.records.managed.lines.tolist()
    assert loaded.messages["out"].tolist() == costed.messages["out"].tolist() == [[1, 1], [3, 3]]
    assert loaded.counters == costed.counters
    assert loaded.timing == costed.timing


def test_a_run_that_streams_to_its_folder_keeps_it(tmp_path):
    net = relay()
    net.channel("out", 0, "host")
    net.manage(0, "post", everything)
    streamed = run(net, 5, save_to=tmp_path / "run")
    held = run(net, 5)
    assert Run.load(tmp_path / "run").counters == streamed.counters == held.counters


def test_two_cores_of_a_phase_work_side_by_side():
    def cycles(*cores):
        net = relay()
        for core in cores:
            net.manage(core, "post", lambda c: c.spend(1000 * (1 + c.number)))
        return run(net, 1).management_cycles()[0][0]

    assert cycles(0, 1) == cycles(1) > cycles(0)


def test_neither_threads_nor_mapping_change_anything():
    rng = np.random.default_rng(3)
    net = Network("mapped")
    source = net.input("in", 10)
    cells = net.population("cells", 24, vth_mant=90, du=1000, dv=200)
    net.connect(source, cells, weights=2 * rng.integers(-50, 60, (24, 10)))
    net.channel("best", 1, "host", words=2)

    def argmax(core):
        counts = core.memory.setdefault("counts", np.zeros(24, int))
        counts += core.read("cells.spikes")
        best = int(counts.argmax())
        core.write("cells.threshold", 6400 + 64 * int(counts[best]), [best])
        core.send("best", [best, counts[best]])

    net.manage(1, "post", argmax)
    spikes = {"in": np.argwhere(rng.random((60, 10)) < 0.3)}
    chip = load_chip("loihi2")
    spread = Mapping([("cells", 0, 7, 5), ("cells", 7, 24, 2)])
    results = []
    for mapping, threads in ((None, 1), (None, 2), (spread, 1), (spread, 2)):
        program = compile_network(net, chip, mapping=mapping)
        results.append(Emulator(chip, program, threads=threads).run(60, inputs=spikes))
    assert len(results[0].spikes["cells"]) > 100
    for result in results[1:]:
        assert result.spikes["cells"].tolist() == results[0].spikes["cells"].tolist()
        assert result.messages["best"].tolist() == results[0].messages["best"].tolist()


# mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((99, "post", print), "core is 99; allowed: 0 to 15, and 'host'"),
        (
            (0, "never", print),
            "phase is 'never'; allowed: pre, post, pre_learning, post_learning, host",
        ),
        ((0, "post", 5), "run is 5; it must be a function of a core, or the path of an ELF file"),
    ],
)
def test_wrong_programs_are_refused(arguments, message):
    with pytest.raises(NetworkError, match=re.escape(message)):
        relay().manage(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every is 0; allowed: 1 to 4,294,967,295"),
        ({"first": -1}, "first is -1; allowed: 0 to 4,294,967,295"),
        ({"when": 3}, "when is 3; it must be the name of a channel, or a function of a core"),
        ({"instructions": -1}, "instructions is -1; allowed: 0 to 1,099,511,627,776"),
    ],
)
def test_wrong_guards_are_refused(options, message):
    with pytest.raises(NetworkError, match=re.escape(message)):
        relay().manage(0, "post", print, **options)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("c", 0, 0), {}, "source and target are the same"),
        (("c", 0, 1), {"depth": 0}, "depth is 0; allowed: 1 to 65,536"),
        (("c", 0, 1), {"words": 513}, "words is 513; allowed: 1 to 512"),
        (("c", 0, 1), {"dtype": "float"}, "dtype is 'float'; allowed: int32, uint32"),
        (("a b", 0, 1), {}, "a name is made of letters"),
        (("c", "chip", 1), {}, "source is 'chip'; allowed: 0 to 15, and 'host'"),
    ],
)
def test_wrong_channels_are_refused(arguments, options, message):
    with pytest.raises(NetworkError, match=re.escape(message)):
        relay().channel(*arguments, **options)


def test_cores_that_a_chip_does_not_have_are_named_all_at_once():
    net = relay(core=7)
    net.channel("c", 8, 9)
    net.manage(5, "pre", print, when="d")
    with pytest.raises(NetworkError) as caught:
        compile_network(net, TINY)
    assert str(caught.value).splitlines() == [
        "management program 'print': core 5: chip 'tiny' has management cores 0 to 2",
        "channel 'c': core 8: chip 'tiny' has management cores 0 to 2",
        "channel 'c': core 9: chip 'tiny' has management cores 0 to 2",
        "input 'in': core 7: chip 'tiny' has management cores 0 to 2",
        "management program 'print': it waits for channel 'd'; there are: c",
    ]
    with pytest.raises(NetworkError, match="chip 'noc_s' has no management cores"):
        compile_network(net, load_chip("noc_s"))


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (
            lambda c: c.read("cells.w"),
            "there is no 'cells.w'; there are: cells.spikes, cells.u, cells.v, ",
        ),
        (lambda c: c.read("cells.v", [4]), "cells.v: [4] cannot be read; it has words 0 to 3"),
        (
            lambda c: c.write("cells.v", 2**23),
            "cells.v: 8388608 to 8388608 was written; allowed: -8388607 to 8388607",
        ),
        (
            lambda c: c.write("cells.v", 0.5),
            "cells.v: float64 of shape () was written; it must be whole numbers",
        ),
        (lambda c: c.write("cells.spikes", 1), "cells.spikes can only be read"),
        (lambda c: c.send_spikes("in", 4), "neurons of 'in' are 4 to 4; it has 0 to 3"),
        (lambda c: c.send_spikes("cells", 0), "there is no input 'cells'; there are: in"),
        (
            lambda c: c.send_spikes("in", 0, at=0),
            "spikes of 'in' at step 0: allowed from here: 2 to 1048578",
        ),
        (lambda c: c.send_spikes("in", 0, 7), "payload of 'in' is 7 to 7; allowed: 1 to 1"),
        (lambda c: c.send_spikes("in", [1, 1]), "neuron 1 of 'in' was sent twice for step 2"),
        (lambda c: c.reward(1), "there is nothing to reward: no synapse of this program learns"),
        (lambda c: c.receive("x"), "there is no channel 'x'; there are: out, back"),
        (
            lambda c: c.receive("out"),
            "core 0 cannot receive from channel 'out', which goes from core 0 to the host",
        ),
        (
            lambda c: c.send("back", 1),
            "core 0 cannot send to channel 'back', which goes from the host to core 0",
        ),
        (
            lambda c: c.send("out", [1, 2]),
            "channel 'out': int64 of shape (2,) was sent; a message is 1 int32",
        ),
        (
            lambda c: c.send("out", 2**31),
            "channel 'out': 2147483648 to 2147483648 was sent; int32 is",
        ),
        (lambda c: c.reset("nobody"), "there is no population 'nobody'; there are: cells"),
        (lambda c: c.spend(-1), "spend(-1): it must be a number of instructions"),
        (lambda c: 1 // 0, "ZeroDivisionError: "),
        (lambda c: sys.exit(3), "SystemExit: 3"),
    ],
)
def test_what_a_program_does_wrong_is_said_with_core_phase_and_step(act, message):
    net = relay(core=0)
    net.channel("out", 0, "host")
    net.channel("back", "host", 0)

    def wrong(core):
        act(core)

    net.manage(0, "post", wrong, first=1)
    with pytest.raises(ManagementError) as caught:
        run(net, 4)
    assert str(caught.value).startswith("step 1, phase 'post', core 0: program 'wrong': ")
    assert message in str(caught.value)
    assert f"{__file__}:" in str(caught.value)


def test_a_guard_that_fails_is_named():
    net = relay()
    net.manage(0, "post", print, when=lambda core: core.nothing)
    with pytest.raises(
        ManagementError, match=r"step 0, phase 'post', core 0: guard 'print': .*AttributeError"
    ):
        run(net, 1)


def test_only_the_sender_of_an_input_sends_its_spikes():
    net = relay(core=1)
    net.manage("host", "pre", lambda core: core.send_spikes("in", 0))
    with pytest.raises(
        ManagementError, match="the host cannot send spikes of 'in', which core 1 sends"
    ):
        run(net, 1)


def test_a_spike_that_is_given_and_sent_is_a_mistake():
    net = relay()
    net.manage("host", "pre", lambda core: core.send_spikes("in", 0))
    with pytest.raises(
        ManagementError, match="step 0: a neuron of 'in' fires because the run's inputs say so"
    ):
        run(net, 1, inputs={"in": [[0, 0]]})


def test_a_program_from_a_file_asks_for_its_functions(tmp_path):
    net, seen = relay(), []
    net.manage(0, "post", lambda core: seen.append(core.step), every=2)
    program = compile_network(net, TINY)
    program.save(tmp_path / "p.program")
    loaded = type(program).load(tmp_path / "p.program")
    with pytest.raises(RunError) as caught:
        Emulator(TINY, loaded).run(1)
    assert str(caught.value) == (
        "program 'relay' was made with management functions, which no file holds: '<lambda>' of core 0 in phase "
        "'post'; add them with Emulator.manage(...)"
    )
    emulator = Emulator(TINY, loaded)
    emulator.manage(0, "post", lambda core: seen.append(core.step), every=3)
    emulator.run(6)
    assert seen == [2, 5]
    with pytest.raises(RunError, match="before the chip is run"):
        emulator.manage(0, "post", print)


def test_checkpoints_are_refused(tmp_path):
    net = relay()
    net.manage(0, "post", print)
    with pytest.raises(
        RunError, match="checkpoint_every: management programs keep state of their own"
    ):
        run(net, 4, save_to=tmp_path / "r", checkpoint_every=2)


def test_a_run_is_not_retimed_on_a_chip_without_its_cores():
    net = relay()
    net.manage(2, "post", lambda core: core.spend(1))
    chip = load_chip("tiny", {"management.cores": "2"})
    with pytest.raises(EmulatorError, match="the run has 3 management cores; chip 'tiny' has 2"):
        run(net, 2).retimed(chip, timing="analytic")


def test_what_a_failed_run_did_belongs_to_no_other():
    net = relay()

    def once(core):
        core.spend(7)
        if core.memory.setdefault("calls", 0) == 1:
            core.memory["calls"] += 1
            raise ValueError
        core.memory["calls"] += 1

    net.manage(0, "post", once)
    emulator = Emulator(TINY, compile_network(net, TINY))
    with pytest.raises(ManagementError, match="ValueError"):
        emulator.run(5)
    after = emulator.run(3)
    assert after.counters.total("management_instruction") == 21
    assert after.records.managed.lines[:, 0].min() == 0


def test_a_trained_program_keeps_its_functions():
    net, seen = learner(epoch=1), []
    net.manage(0, "host", lambda core: seen.append(core.step))
    trained = run(net, 3).trained()
    Emulator(TINY, trained).run(2)
    assert seen == [0, 1, 2, 0, 1]
