"""The measured window of STDP is the rule's, within what rounding allows and no more."""

from dataclasses import replace

import numpy as np
import pytest

from emulator import Trace
from programs import stdp_window
from programs.stdp_window import DISTANCES, RULE, bound, check, curve, exact, measure


def test_both_exponentials_are_the_rules(capsys):
    check(n_pairs=100)
    assert capsys.readouterr().out.count("measured") == 8


@pytest.mark.parametrize("rounding", ["nearest", "down"])
def test_without_chance_every_pair_is_what_the_arithmetic_says(rounding):
    changes = measure(3, rounding)
    assert (changes == exact(rounding)[:, None]).all()
    assert (np.abs(exact(rounding) - curve(DISTANCES)) <= bound(3, rounding)).all()
    # Down, a trace dies before 50 steps; to the nearest, it stays for ever where a step takes less than one half.
    assert (changes[-1] == 0).all() == (rounding == "down")


@pytest.mark.parametrize(("impulse", "tau"), [(60, 21), (61, 20), (63, 20)])
def test_another_rule_is_told_from_it(impulse, tau):
    other = replace(RULE, x1=Trace(impulse, tau))
    mean = measure(300).mean(axis=1)
    assert (np.abs(mean - curve(DISTANCES)) <= bound(300, "stochastic")).all()
    assert (np.abs(mean - curve(DISTANCES, other)) > bound(300, "stochastic")).any()


def test_a_window_that_is_wrong_is_refused(monkeypatch):
    monkeypatch.setattr(stdp_window, "curve", lambda d: curve(d, replace(RULE, x1=Trace(60, 24))))
    with pytest.raises(AssertionError, match="stochastic: "):
        check(n_pairs=50)
