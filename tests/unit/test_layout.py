"""The rows that the run loop visits are those of the program, joined where a shard has several cores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator import Emulator, Network, compile_network, load_chip
from emulator.engine import layout
from emulator.program import Program

CHIP = load_chip("tiny", set={"mesh.width": 8, "core.axons_in": None, "core.axons_out": None})


def scattered(n: int, fan_out: int, n_projections: int, seed: int) -> Network:
    """Return projections that spread thinly over many small cores, so that shards pay."""
    rng = np.random.default_rng(seed)
    net = Network("scattered")
    cells = net.population(
        "cells", n, vth_mant=200, bias_mant=60, bias_exp=3, v_init=rng.integers(0, 12_000, n)
    )
    for k in range(n_projections):
        pre = np.repeat(np.arange(n), fan_out)
        post = rng.integers(0, n, len(pre))
        net.connect(cells, cells, weights=(pre, post, 2 * rng.integers(-20, 25, len(pre))), delay=k)
    return net


def words_of(rows, row_start, synapses, blocks, source):
    """Return the (target, weight, delay) of a source, sorted; targets as compartments."""
    found = []
    for row in rows[row_start[source] : row_start[source + 1]]:
        words = synapses[int(row["start"]) : int(row["start"]) + int(row["length"])]
        target = blocks["first_compartment"][row["block"]] + (words & 0xFFFF).astype(np.int64)
        scale = int(blocks["scale"][row["block"]])
        found += zip(target.tolist(), ((words.view(np.int32) >> 23) * scale).tolist(), (words >> 16 & 63).tolist(), strict=True)  # fmt: skip
    return sorted(found)


@given(st.integers(20, 60), st.integers(3, 9), st.integers(1, 3), st.integers(0, 99))
def test_joined_rows_hold_the_same_synapses(n, fan_out, n_projections, seed):
    net = scattered(n, fan_out, n_projections, seed)
    program = compile_network(net, CHIP, neurons_per_core=4)
    row_start, rows = layout.visited_rows(program)
    blocks = layout.visited_blocks(program)
    for source in range(program.n_sources):
        assert words_of(rows, row_start, program.synapses, blocks, source) == words_of(
            program.rows, program.row_start, program.synapses, blocks, source
        )
    if not np.array_equal(program.shard_start, program.core_start[:-1]):
        assert len(rows) < len(program.rows)


def test_shards_change_no_result():
    net = scattered(60, 8, 2, 1)
    spread = compile_network(net, CHIP, neurons_per_core=4)
    assert len(np.unique(spread.shard_start)) < np.count_nonzero(np.diff(spread.core_start))
    dense = compile_network(net, CHIP)
    runs = [
        Emulator(CHIP, program, threads=threads).run(50, timing="off").spikes["cells"].tolist()
        for program in (spread, dense)
        for threads in (1, 2)
    ]
    assert all(run == runs[0] for run in runs)
    assert len(runs[0]) > 50


def test_rows_too_long_to_join_stay(monkeypatch):
    monkeypatch.setattr(layout, "MAX_ROW", 5)
    program = compile_network(scattered(60, 8, 1, 2), CHIP, neurons_per_core=4)
    row_start, rows = layout.visited_rows(program)
    assert rows["length"].max() <= 5
    assert rows["length"].sum() == program.n_synapses
    assert row_start[-1] == len(rows)


@pytest.mark.parametrize("n", [0, 1, 5000, layout.LARGE])
def test_large_pages_are_zeros_and_copies_are_equal(n):
    zeros = layout.large_pages((2, n), np.int32)
    assert zeros.shape == (2, n)
    assert not zeros.any()
    zeros[:] = 3
    table = np.arange(n, dtype=np.uint32)
    copy = layout.in_large_pages(table)
    assert np.array_equal(copy, table)


def test_a_mapped_table_is_read_again_after_its_pages_were_given_back(tmp_path):
    n = layout.LARGE
    net = Network("wide")
    cells = net.population("cells", 4, vth_mant=1)
    pre = np.arange(n, dtype=np.int32) % 4
    chip = load_chip("loihi2_full")
    net.connect(cells, cells, weights=(pre, np.arange(n) // 4 % 4, np.full(n, 2)))
    made = compile_network(net, chip)
    made.save(tmp_path / "p")
    program = Program.load(tmp_path / "p")
    layout.forget(program.synapses)
    assert np.array_equal(program.synapses, made.synapses)
    assert np.array_equal(layout.in_large_pages(program.synapses), made.synapses)
