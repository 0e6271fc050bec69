from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator import Emulator, Network, compile_network, load_chip
from emulator.chip import EVENTS
from emulator.observe.counters import Counters
from emulator.observe.energy import energy
from tests.synthetic import make_chip, make_program, make_run

COSTS = st.floats(0, 1e9, allow_nan=False) | st.sampled_from([0.0, 0.1, 23.6, 1e-9])
lines = st.lists(
    st.tuples(
        st.integers(-1, 3),
        st.integers(-1, 2),
        st.sampled_from(EVENTS),
        st.integers(0, 3) | st.integers(0, 2**50),
    ),
    max_size=12,
)
durations = st.none() | st.fractions(0, 10)


@st.composite
def chips(draw):
    costs = {
        e: {"energy_pj": draw(COSTS), "time_ns": 0.0, "source": "assumed: a test"} for e in EVENTS
    }
    return make_chip(costs=costs, static_power={"mw": draw(COSTS)})


@given(lines, chips(), durations)
def test_every_cut_adds_up_to_the_total_exactly(rows, chip, duration):
    result = energy(Counters.from_rows(rows), chip, duration)
    for cut in ("event", "core", "population"):
        assert sum(result.by(cut).values()) == result.total_pj
    assert sum(row.energy_pj for row in result.ledger()) == result.dynamic_pj
    assert result.total_pj - result.dynamic_pj == (result.static_pj or 0)


@given(lines, lines, chips(), st.fractions(0, 10), st.fractions(0, 10))
def test_energy_is_additive_over_events_and_time(first, second, chip, early, late):
    a, b = Counters.from_rows(first), Counters.from_rows(second)
    parts = energy(a, chip, early).total_pj + energy(b, chip, late).total_pj
    assert energy(a + b, chip, early + late).total_pj == parts


@given(lines, chips())
def test_energy_is_counts_times_the_decimal_costs(rows, chip):
    result = energy(Counters.from_rows(rows), chip, None)
    prices = {e: Fraction(repr(getattr(chip.costs, e).energy_pj)) for e in EVENTS}
    assert result.total_pj == sum(count * prices[event] for *_, event, count in rows)


def test_a_ledger_by_hand():
    cost = {"energy_pj": 23.6, "time_ns": 0.0, "source": "assumed: a test"}
    chip = make_chip(costs={"synaptic_event": cost}, static_power={"mw": 74.0})
    counters = Counters.from_rows([(3, 1, "synaptic_event", 1000)])

    result = energy(counters, chip, Fraction(1, 1_000_000))

    assert result.by("event") == {"synaptic_event": 23_600, "static": 74_000}  # 74 mW for 1 us
    assert result.by("core") == {-1: 74_000, 3: 23_600}
    assert result.by("population") == {-1: 74_000, 1: 23_600}
    assert result.total_pj == 97_600
    assert repr(result) == "<Energy: 97,600 pJ, static part included>"


def test_without_a_duration_there_is_no_static_part():
    result = energy(Counters.from_rows([]), make_chip(), None)
    assert result.static_pj is None
    assert "static" not in result.by("event")
    assert repr(result) == "<Energy: 0 pJ, no static part: not timed>"


def test_an_unknown_cut_is_refused():
    result = energy(Counters.from_rows([]), make_chip(), None)
    with pytest.raises(KeyError, match="no cut by 'tile'; there are: event, core, population"):
        result.by("tile")


def test_a_run_is_repriced_without_running_it_again():
    rng = np.random.default_rng(3)
    chip, other = make_chip(), make_chip(np.random.default_rng(9), static_power={"mw": 1.0})
    run = make_run(rng, make_program(rng, chip), chip)

    assert run.energy(other) == energy(run.counters, other, run.timing.seconds)
    assert run.energy() == energy(run.counters, chip, run.timing.seconds)
    assert run.energy(other).total_pj != run.energy().total_pj


@pytest.mark.parametrize("timing", ["cycle", "off"])
def test_energy_of_parts_of_a_run_adds_up_exactly(timing):
    chip, net = load_chip("tiny"), Network("net")
    source, cells = net.input("in", 4), net.population("cells", 6, vth_mant=40)
    net.connect(source, cells, weights=np.full((6, 4), 100))
    spikes = np.random.default_rng(1).random((20, 4)) < 0.3
    run = Emulator(chip, compile_network(net, chip)).run(20, {"in": spikes}, timing=timing)

    parts = [run.energy(start=a, stop=b) for a, b in pairwise([0, 1, 7, 20])]
    assert sum(part.total_pj for part in parts) == run.energy().total_pj
    for cut in ("event", "core", "population", "name"):
        for key, pj in run.energy().by(cut).items():
            assert sum(part.by(cut).get(key, 0) for part in parts) == pj
    assert set(run.energy().by("name")) == {"in", "cells", "(chip)"}
    assert run.energy().by("name")["(chip)"] == run.energy().by("population")[-1]


def test_a_recording_that_does_not_exist_says_what_there_is():
    chip, net = load_chip("tiny"), Network("net")
    net.probe(net.population("cells", 2, vth_mant=40), "u", "v")
    run = Emulator(chip, compile_network(net, chip)).run(1)
    with pytest.raises(KeyError, match="no recording of 'foo'; there are: cells"):
        run.recordings["foo"]
    with pytest.raises(KeyError, match="no recording of 'spikes'; there are: u, v"):
        run.recordings["cells"]["spikes"]
