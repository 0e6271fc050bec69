"""`emulator retime`: like beside like, nothing invented, the same numbers as text and as JSON."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from emulator import load_chip
from emulator.cli import main
from emulator.observe.quantities import energy_text, power_text, time_text
from emulator.observe.retimed_report import QUANTITIES, print_retimed, retime_figures
from emulator.observe.run import Run
from tests.synthetic import make_chip, make_program, make_run

NETWORK = '''
import numpy as np
from emulator import Network


def network():
    """Return inputs onto neurons on several cores, which are also joined among themselves."""
    net = Network("ring")
    source, cells = net.input("in", 20), net.population("cells", 40, vth_mant=60)
    rng = np.random.default_rng(0)
    net.connect(source, cells, weights=2 * rng.integers(0, 40, (40, 20)))
    net.connect(cells, cells, weights=(np.arange(40), (np.arange(40) + 17) % 40, np.full(40, 4)))
    return net


def inputs(steps, seed):
    return {"in": np.random.default_rng(seed).random((steps, 20)) < 0.3}
'''


def sides(before="cycle", after="cycle"):
    """Return one run timed in two ways on two chips."""
    rng = np.random.default_rng(3)
    chip = make_chip(rng)
    program = make_program(rng, chip)
    return [
        make_run(np.random.default_rng(5), program, chip, timing=mode) for mode in (before, after)
    ]


def rendered(data, width=80, **options):
    stream = io.StringIO()
    print_retimed(data, Console(file=stream, width=width), **options)
    return stream.getvalue()


def row(text, name):
    """Return the cells of a row of the table."""
    line = next(line for line in text.splitlines() if line.startswith(f"  {name}  "))
    return [cell for cell in line.removeprefix(f"  {name}").split("  ") if cell.strip()]


def test_two_timed_runs_are_compared_in_everything():
    before, after = sides()
    data = json.loads(json.dumps(retime_figures(before, after)))
    for run, side in ((before, data["before"]), (after, data["after"])):
        energy = run.energy()
        assert side["cycles"] == run.timing.total_cycles
        assert side["seconds"] == float(run.timing.seconds)
        assert side["dynamic_pj"] == float(energy.dynamic_pj)
        assert side["static_pj"] == float(energy.static_pj)
        assert side["total_pj"] == float(energy.total_pj)
        assert side["power_watts"] == pytest.approx(
            float(energy.total_pj / 10**12 / run.timing.seconds)
        )
        packets = run.timing.latency_packets
        mean = float(np.arange(len(packets)) @ packets) / packets.sum()
        assert side["latency_mean_seconds"] == pytest.approx(mean / (1e6 * run.timing.clock_mhz))
        assert side["bottleneck_steps"] == run.timing.bottleneck_steps()
        assert side["hottest_link"]["flits"] == run.timing.link_flits.max()
    for name in QUANTITIES:
        assert data["ratios"][name] == pytest.approx(data["after"][name] / data["before"][name])


def test_the_text_has_the_numbers_of_the_json_in_scaled_units():
    data = retime_figures(*sides())
    text = rendered(data, 100)
    shown = {
        "cycles": "{:,}".format, "seconds": time_text, "dynamic_pj": energy_text, "static_pj": energy_text,
        "total_pj": energy_text, "power_watts": power_text, "latency_mean_seconds": time_text,
    }  # fmt: skip
    names = {
        "cycles": "cycles", "seconds": "time", "dynamic_pj": "dynamic energy", "static_pj": "static energy",
        "total_pj": "energy", "power_watts": "power", "latency_mean_seconds": "latency, mean",
    }  # fmt: skip
    for key, show in shown.items():
        cells = [cell.strip() for cell in row(text, names[key])]
        expected = [show(data[side][key]) for side in ("before", "after")]
        assert cells == [*expected, f"{data['ratios'][key]:.3f}"]
    for name in ("bottleneck", "hottest link", "latency, 99 % within", "time per step"):
        assert len(row(text, name)) >= 2


def test_of_a_run_without_time_only_dynamic_energies_are_compared():
    before, after = sides("off")
    data = retime_figures(before, after)
    empty = set(QUANTITIES) - {"dynamic_pj"}
    assert {name for name in QUANTITIES if data["before"][name] is None} == empty
    assert {name for name in QUANTITIES if data["ratios"][name] is None} == empty
    assert data["after"]["static_pj"] == float(after.energy().static_pj)
    assert data["before"]["dynamic_pj"] == float(before.energy().dynamic_pj)
    text = rendered(data)
    for name in ("static energy", "energy", "power", "bottleneck", "hottest link"):
        assert row(text, name)[0].strip() == "-"
    told = " ".join(text.split())
    assert (
        "before was not timed: it has no duration, so no static energy, no energy in all and no power: compare the "
        "dynamic energies"
    ) in told


def test_times_of_two_models_have_no_ratio():
    data = retime_figures(*sides("analytic", "cycle"))
    assert {name for name, ratio in data["ratios"].items() if ratio is not None} == {"dynamic_pj"}
    assert "analytic and cycle: they have no ratio" in " ".join(rendered(data).split())
    neither = retime_figures(*sides("off", "off"))
    assert "neither was timed" in rendered(neither)
    assert neither["ratios"]["dynamic_pj"] == 1


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_any_width_will_do(width):
    for modes in (("off", "cycle"), ("cycle", "cycle"), ("cycle", "off")):
        text = rendered(retime_figures(*sides(*modes)), width, verbose=True)
        assert max(map(len, text.splitlines())) <= width
        assert {"dynamic", "bottleneck", "hottest"} <= set(text.split())


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "net.py").write_text(NETWORK)
    for folder, timing in (("timed", "analytic"), ("bare", "off")):
        line = f"run net.py --chip tiny --steps 12 --timing {timing} -o {folder}"
        assert main(line.split()) == 0
    capsys.readouterr()
    return tmp_path


def test_the_command_prints_one_document_and_nothing_else(here, capsys):
    assert (
        main(
            [
                "retime",
                "bare",
                "--chip",
                "tiny",
                "--set",
                "core.neurons=99",
                "--set",
                "synapses.index_bits=[0,2,4,7]",
                "--json",
            ]
        )
        == 0
    )
    document = json.loads(capsys.readouterr().out)
    run, chip = (
        Run.load(here / "bare"),
        load_chip("tiny", {"core.neurons": 99, "synapses.index_bits": [0, 2, 4, 7]}),
    )
    assert document == json.loads(json.dumps(retime_figures(run, run.retimed(chip))))
    assert (document["format"], document["version"]) == ("emulator-retime", 1)
    assert document["before"]["timing"] == "off"
    assert document["after"]["timing"] == "cycle"


def test_by_default_the_model_is_that_of_the_run(here, capsys):
    assert (
        main(
            ["retime", "timed", "--chip", "tiny", "--set", "clock.mhz=50", "-o", "slower", "--json"]
        )
        == 0
    )
    document = json.loads(capsys.readouterr().out)
    assert document["before"]["timing"] == document["after"]["timing"] == "analytic"
    assert document["after"]["seconds"] == float(Run.load(here / "slower").timing.seconds)
    assert main(["retime", "timed", "--chip", "tiny", "--timing", "cycle", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["after"]["timing"] == "cycle"


def test_what_it_rests_on_comes_last_in_five_lines(here, capsys):
    assert main(["retime", "timed", "--chip", "loihi"]) == 0
    text = capsys.readouterr().out
    lines = text.partition("What this rests on")[2].splitlines()[1:]
    assert len(lines) == 4
    assert lines[-1].endswith("with --verbose")
    assert main(["retime", "timed", "--chip", "loihi", "--verbose"]) == 0
    verbose = " ".join(capsys.readouterr().out.split())
    assert "with --verbose" not in verbose
    assert load_chip("loihi").clock.source in verbose


def test_an_unknown_model_is_refused(here, capsys):
    assert main(["retime", "timed", "--chip", "tiny", "--timing", "quick"]) == 2
    assert capsys.readouterr().err == "emulator: --timing quick: allowed: off, analytic, cycle\n"
