"""Files of earlier versions are opened for ever: samples of each, made when it was today's, and what was seen then.

`tests/formats/make.py` says where the samples come from.
"""

import hashlib
import json
import re
import shutil
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from emulator import Emulator, Program, Run, load_chip, resume_run
from emulator.chip import chip_from_json, to_json, unpriced
from emulator.chip.upgrade import ADDITIONS, COST, LEARNING, MICROCODE
from emulator.cli import main
from emulator.errors import ChipError, ProgramError, RunError
from emulator.observe import checkpoint as checkpoint_module
from emulator.observe import folder as folder_module
from emulator.observe import upgrade_unfinished
from emulator.observe.checkpoint import read_plan
from emulator.observe.report import figures
from emulator.program import container
from emulator.program.manifest import VERSION
from tests.formats import make

FORMATS = Path(make.__file__).parent
VERSIONS = sorted(path.parent for path in FORMATS.glob("*/chip.yaml"))
SAMPLES = sorted(path.parent for path in FORMATS.glob("*/*/expected.json"))
UNFINISHED = [path for path in SAMPLES if (path / "unfinished").is_dir()]
OLD = [path for path in UNFINISHED if path.parent.name != "p4_r3_c3"]
FUNCTION = ("spikes", "payloads", "recording_sums", "weights", "tags", "messages")
"""What a program computes, of what was seen."""


def name_of(sample: Path) -> str:
    return str(sample.relative_to(FORMATS))


def expected(sample: Path) -> dict:
    return json.loads((sample / "expected.json").read_text())


def seen(run: Run) -> dict:
    """Return what a run did as it reads when it is written down."""
    return json.loads(json.dumps(make.seen(run)))


def only(figures: dict, keys: tuple[str, ...]) -> dict:
    return {key: figures[key] for key in keys if key in figures}


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def opened(sample: Path) -> tuple[Program, dict]:
    return Program.load(sample / "program.safetensors"), expected(sample)


@pytest.fixture
def unfinished(request, tmp_path) -> Path:
    """Return a copy of the unfinished run of a sample."""
    return Path(shutil.copytree(request.param / "unfinished", tmp_path / "run"))


each_unfinished = pytest.mark.parametrize(
    ("unfinished", "sample"), [(s, s) for s in UNFINISHED], ids=name_of, indirect=["unfinished"]
)


# The samples


def test_each_version_of_each_format_has_a_sample():
    formats = [expected(sample)["formats"] for sample in SAMPLES]
    today = {
        "program": VERSION,
        "run": folder_module.VERSION,
        "checkpoint": checkpoint_module.KIND.version,
    }
    for what, version in today.items():
        there = {made[what] for made in formats} - {None}
        assert set(range(1, version)) <= there, what
        assert max(there) <= version


def test_samples_are_where_the_script_says_and_of_the_formats_it_says():
    listed = re.findall(
        r"^    (\w+) +([0-9a-f]{7})  (\d) +(\d) +(\d|-) ", make.__doc__ or "", re.MULTILINE
    )
    assert sorted(folder for folder, *_ in listed) == [path.name for path in VERSIONS]
    for folder, commit, *numbers in listed:
        formats = dict(zip(("program", "run", "checkpoint"), numbers, strict=True))
        samples = [sample for sample in SAMPLES if sample.parent.name == folder]
        assert samples
        for sample in samples:
            made = expected(sample)
            assert made["commit"] == commit
            assert {k: str(v or "-") for k, v in made["formats"].items()} == formats


@pytest.mark.parametrize("sample", SAMPLES, ids=name_of)
def test_samples_are_of_the_versions_they_say(sample):
    formats = expected(sample)["formats"]
    manifest = json.loads((sample / "finished" / "manifest.json").read_text())
    assert manifest["version"] == formats["run"]
    for program in (sample / "program.safetensors", sample / "finished" / "program.safetensors"):
        assert container.read(program, container.PROGRAM).version == formats["program"]
    if sample in UNFINISHED:
        path = sample / "unfinished" / "checkpoint.safetensors"
        assert container.read(path, checkpoint_module.KIND).version == formats["checkpoint"]


# Chip files


@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.name)
def test_a_chip_file_says_what_it_said(version):
    """All that the file says is in the chip, and what is not in the file is nothing or costs nothing."""
    said = yaml.safe_load((version / "chip.yaml").read_text())
    chip = load_chip(version / "chip.yaml").model_dump(mode="json")
    for name, section in said.items():
        if name not in ("costs", "management"):
            assert (
                chip[name] == section
                if not isinstance(section, dict)
                else section.items() <= chip[name].items()
            )
    assert said["costs"].items() <= chip["costs"].items()
    missing = {event: COST for event in chip["costs"] if event not in said["costs"]}
    assert missing.items() <= chip["costs"].items()
    for name, nothing in {"microcode": MICROCODE, "learning": LEARNING}.items():
        if name not in said:
            assert nothing.items() <= chip[name].items()


UNPRICED = {
    "p1_r1": 8,
    "p2_r1_c1": 8,
    "p3_r2_c2": 6,
    "p3_r2_c2_engine": 5,
    "p4_r3_c3": 0,
    "p4_r3_c3_unmanaged": 5,
}
LATER_EVENTS = [event for addition in ADDITIONS for event in addition.costs]


@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.name)
def test_check_lists_what_is_not_priced(version, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    chip, n_unpriced = load_chip(version / "chip.yaml"), UNPRICED[version.name]
    assert unpriced(chip) == LATER_EVENTS[len(LATER_EVENTS) - n_unpriced :]
    assert main(["check", str(version / "chip.yaml")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    line = (
        f"not priced {', '.join(unpriced(chip))}: the file is older than these events, which cost nothing and take "
        "no time"
    )
    assert (line in printed) == bool(n_unpriced)


def test_what_a_user_sets_is_priced():
    changes = {"costs.instruction.energy_pj": 3.5, "microcode.instructions": 8}
    chip = load_chip(FORMATS / "p2_r1_c1" / "chip.yaml", set=changes)
    assert (chip.costs.instruction.energy_pj, chip.microcode.instructions) == (3.5, 8)
    assert "instruction" not in unpriced(chip)
    assert "dendrite_join" in unpriced(chip)
    assert chip.costs.instruction.source == (
        "changed: energy_pj = 3.5; the file's source: not priced: the file is older than this event"
    )


TODAY = yaml.safe_load((FORMATS / "p4_r3_c3" / "chip.yaml").read_text())
LATER_KEYS = [
    [("section", name) for name in addition.sections] + [("cost", name) for name in addition.costs]
    for addition in ADDITIONS
]
OLDER = [{key for keys in LATER_KEYS[k:] for key in keys} for k in range(len(LATER_KEYS) + 1)]
"""What files of each age lack."""


@given(
    st.sampled_from(OLDER)
    | st.sets(st.sampled_from([key for keys in LATER_KEYS for key in keys]))
    | st.builds(set.union, st.sampled_from(OLDER), st.just({("cost", "packet")}))
)
def test_a_file_is_older_or_has_a_mistake(missing):
    """A file that lacks exactly what came after some day is of that day; any other has forgotten something."""
    data = json.loads(json.dumps(TODAY))
    for kind, name in missing:
        del (data if kind == "section" else data["costs"])[name]
    if missing in OLDER:
        chip = chip_from_json(json.dumps(data))
        assert set(unpriced(chip)) == {name for kind, name in missing if kind == "cost"}
        assert chip_from_json(to_json(chip)) == chip
    else:
        with pytest.raises(ChipError, match="missing"):
            chip_from_json(json.dumps(data))


@pytest.mark.parametrize("costs", [None, [], "free", 3, {}])
def test_costs_that_are_none_are_a_mistake(costs):
    with pytest.raises(ChipError, match="costs"):
        chip_from_json(json.dumps({**TODAY, "costs": costs}))


# Programs

ASSUMED = {
    1: "read from program format 1: each core is a shard; no neuron runs a program, has a payload or is joined to "
    "another; no synapse learns; no management core does anything",
    2: "read from program format 2: no neuron runs a program, has a payload or is joined to another; no synapse learns; "
    "no management core does anything",
    3: "read from program format 3: no synapse learns; no management core does anything",
    4: "read from program format 4: no management core does anything",
}


@pytest.mark.parametrize("sample", SAMPLES, ids=name_of)
def test_an_old_program_says_what_was_assumed(sample):
    program, made = opened(sample)
    assert program.manifest["version"] == VERSION
    is_today = sample.parent.name == "p4_r3_c3"
    assert program.manifest["assumptions"] == (
        [] if is_today else [ASSUMED[made["formats"]["program"]]]
    )


@pytest.mark.parametrize("sample", SAMPLES, ids=name_of)
def test_an_old_program_computes_what_it_computed(sample):
    program, made = opened(sample)
    net, inputs = make.networks()[sample.name]()
    emulator = Emulator(load_chip(sample.parent / "chip.yaml"), program)
    for one in net.managed:
        emulator.manage(
            one.core,
            one.phase,
            one.run,
            every=one.every,
            first=one.first,
            instructions=one.instructions,
        )
    run = emulator.run(make.STEPS, inputs, **make.options(sample.name))
    assert only(seen(run), FUNCTION) == only(made["finished"], FUNCTION)
    assert run.energy().dynamic_pj > 0


@pytest.mark.parametrize(
    "version", [v for v in VERSIONS if (v / "plain").is_dir()], ids=lambda path: path.name
)
def test_an_old_program_runs_on_a_chip_of_today(version):
    """What neuron programs may use, and learning rules, is nothing to a program that has neither."""
    program, made = opened(version / "plain")
    run = Emulator(load_chip(FORMATS / "p4_r3_c3" / "chip.yaml"), program).run(
        make.STEPS, make.plain()[1], **make.options("plain")
    )
    assert seen(run) == made["finished"]


@pytest.mark.parametrize("sample", SAMPLES, ids=name_of)
def test_an_old_program_is_saved_as_one_of_today(sample, tmp_path):
    program, _ = opened(sample)
    program.save(tmp_path / "new")
    again = Program.load(tmp_path / "new")
    assert again.manifest == program.manifest
    assert (again.sha256, again.former_sha256) == (program.sha256, None)
    old = container.identity(sample / "program.safetensors", container.PROGRAM)
    assert program.is_known_as(old)
    assert program.is_known_as(program.sha256)
    assert not program.is_known_as("0" * 64)
    assert (program.former_sha256 is None) == (old == program.sha256)
    for name, table in program.tensors().items():
        np.testing.assert_array_equal(again.tensors()[name], table)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.name)
def test_a_new_run_of_an_old_program_is_a_folder_of_today(version, tmp_path):
    program, made = opened(version / "plain")
    chip, inputs = load_chip(version / "chip.yaml"), make.plain()[1]
    Emulator(chip, program).run(
        make.STEPS, inputs, save_to=tmp_path / "run", **make.options("plain")
    )
    kept = container.read(tmp_path / "run" / "program.safetensors", container.PROGRAM)
    assert (kept.version, kept.sha256) == (VERSION, program.sha256)
    assert only(seen(Run.load(tmp_path / "run")), FUNCTION) == only(made["finished"], FUNCTION)


# Run folders


@pytest.mark.parametrize("sample", SAMPLES, ids=name_of)
def test_an_old_run_is_what_it_was(sample):
    before = digests(sample)
    run = Run.load(sample / "finished")
    assert seen(run) == expected(sample)["finished"]
    assert run.chip == load_chip(sample.parent / "chip.yaml")
    assert (run.status, run.seed, run.n_steps) == ("complete", make.SEED, make.STEPS)
    assert digests(sample) == before, "reading changes nothing"


@pytest.mark.parametrize("sample", SAMPLES, ids=name_of)
def test_an_old_run_is_reported_and_saved_as_one_of_today(sample, tmp_path):
    run = Run.load(sample / "finished")
    report, made = figures(run), expected(sample)
    assert report["energy"]["exact_pj"]["total"] == made["finished"]["energy_pj"]
    counted = {event: n for event, n in report["events"].items() if n}
    assert counted == made["finished"]["counters"]
    run.save(tmp_path / "again")
    manifest = json.loads((tmp_path / "again" / "manifest.json").read_text())
    assert manifest["version"] == folder_module.VERSION
    assert seen(Run.load(tmp_path / "again")) == made["finished"]


def test_a_report_says_what_an_old_chip_does_not_price():
    chip = figures(Run.load(FORMATS / "p3_r2_c2" / "programmed" / "finished"))["assumptions"][
        "chip"
    ]
    keys = [line["keys"] for line in chip if line["source"] == COST["source"]]
    assert keys == [[f"costs.{event}" for event in LATER_EVENTS[2:]]]


# Unfinished runs


@each_unfinished
def test_an_old_unfinished_run_goes_on_to_the_end_it_would_have_had(unfinished, sample):
    made, before = expected(sample)["unfinished"], digests(sample)
    plan, done = read_plan(unfinished)
    assert (plan.steps, plan.seed, done) == (make.STEPS, make.SEED, make.CHECKPOINT_EVERY)
    for run in (resume_run(unfinished), Run.load(unfinished)):
        assert only(seen(run), FUNCTION) == only(made, FUNCTION)
        assert seen(run)["step_cycles"][:done] == made["step_cycles"][:done]
        assert run.chip == load_chip(sample.parent / "chip.yaml")
    assert digests(sample) == before


@each_unfinished
def test_what_is_finished_today_is_a_folder_of_today(unfinished, sample):
    resume_run(unfinished)
    manifest = json.loads((unfinished / "manifest.json").read_text())
    program = container.read(unfinished / "program.safetensors", container.PROGRAM)
    assert (manifest["version"], program.version) == (folder_module.VERSION, VERSION)
    assert manifest["program"]["sha256"] == program.sha256
    today = next(path for path in VERSIONS if path.name == "p4_r3_c3") / sample.name / "finished"
    assert {p.name for p in unfinished.iterdir()} == {p.name for p in today.iterdir()}


@pytest.mark.parametrize("n_done", range(5))
@pytest.mark.parametrize("unfinished", OLD, ids=name_of, indirect=True)
def test_a_crash_while_files_are_renewed_leaves_a_run_that_goes_on(
    unfinished, request, monkeypatch, n_done
):
    """After any number of its files were replaced."""
    sample = request.node.callspec.params["unfinished"]
    left = n_done

    def crashing(function):
        def called(*arguments, **options):
            nonlocal left
            if not left:
                raise KeyboardInterrupt
            left -= 1
            return function(*arguments, **options)

        return called

    with monkeypatch.context() as patch, ExitStack() as stack:
        for name in ("add_column", "write_checkpoint", "atomic_file"):
            patch.setattr(upgrade_unfinished, name, crashing(getattr(upgrade_unfinished, name)))
        patch.setattr(Program, "save", crashing(Program.save))
        stack.enter_context(pytest.raises(KeyboardInterrupt))
        resume_run(unfinished)
        assert not left, "everything was renewed"
    made = expected(sample)["unfinished"]
    assert only(seen(resume_run(unfinished)), FUNCTION) == only(made, FUNCTION)
    assert only(seen(Run.load(unfinished)), FUNCTION) == only(made, FUNCTION)


# What is refused


def _as_version(path: Path, version: str) -> None:
    """Give a safetensors file another version in its metadata."""
    raw = path.read_bytes()
    n = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + n])
    header["__metadata__"]["version"] = version
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + n :])


@pytest.mark.parametrize("version", ["0", "5", "04", "1.0", "-1", " 3", ""])
def test_a_program_of_an_unknown_version_is_refused(tmp_path, version):
    path = Path(shutil.copy(FORMATS / "p4_r3_c3/plain/program.safetensors", tmp_path / "program"))
    _as_version(path, version)
    with pytest.raises(ProgramError) as error:
        Program.load(path)
    assert str(error.value) == (
        f"{path}: program format '{version}'; this version reads 1 to 4: compile the network again"
    )


def test_a_program_that_gives_two_versions_is_refused(tmp_path):
    path = Path(shutil.copy(FORMATS / "p2_r1_c1/plain/program.safetensors", tmp_path / "program"))
    _as_version(path, "3")
    with pytest.raises(ProgramError, match="manifest: version: Input should be 4"):
        Program.load(path)


@pytest.mark.parametrize("version", ["0", "4"])
def test_a_checkpoint_of_an_unknown_version_is_refused(tmp_path, version):
    run = Path(shutil.copytree(FORMATS / "p4_r3_c3/plain/unfinished", tmp_path / "run"))
    _as_version(run / "checkpoint.safetensors", version)
    with pytest.raises(RunError) as error:
        resume_run(run)
    assert str(error.value) == (
        f"{run / 'checkpoint.safetensors'}: checkpoint format '{version}'; this version reads 1 to 3: "
        "start the run again"
    )


@pytest.mark.parametrize("version", [0, 4, True, 1.0, "1", None, [1]])
def test_a_run_of_an_unknown_version_is_refused(tmp_path, version):
    run = Path(shutil.copytree(FORMATS / "p1_r1/plain/finished", tmp_path / "run"))
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | {"version": version}))
    with pytest.raises(RunError) as error:
        Run.load(run)
    assert str(error.value) == (
        f"{run / 'manifest.json'}: run format {version!r}; this version of the emulator reads 1 to 3"
    )


def test_a_column_that_all_formats_have_is_missed(tmp_path):
    run = Path(shutil.copytree(FORMATS / "p1_r1/plain/finished", tmp_path / "run"))
    shutil.copyfile(run / "timing.parquet", run / "active.parquet")
    manifest = json.loads((run / "manifest.json").read_text())
    content = (run / "active.parquet").read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    manifest["files"]["active.parquet"] = {"n_bytes": len(content), "sha256": sha256}
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError) as error:
        Run.load(run)
    assert str(error.value) == f"{run / 'active.parquet'}: it has no column 'active'"


JUNK = st.sampled_from([None, True, 0, -1, 2**40, 1.5, "", "x", [], [[]], [None], {}, {"x": 1}])


def places(value: object, path: tuple = ()) -> list[tuple]:
    """Return the path of everything in a manifest."""
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


def forged(data: st.DataObject, found: container.Contents) -> tuple[dict, dict]:
    """Return manifest and tables with something in each that does not belong there."""
    manifest, tables = json.loads(json.dumps(found.manifest)), dict(found.tensors)
    *path, last = data.draw(st.sampled_from(places(manifest)[1:]))
    holder = manifest
    for key in path:
        holder = holder[key]
    if data.draw(st.booleans()):
        holder[last] = data.draw(JUNK)
    else:
        del holder[last]
    if data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(tables)))
        table = data.draw(
            st.sampled_from(
                [None, np.zeros((), np.int32), np.zeros(0, np.int64), np.zeros((2, 2), np.uint8)]
            )
        )
        tables.pop(name)
        if table is not None:
            tables[name] = table
    return manifest, tables


@given(st.sampled_from(SAMPLES), st.data())
def test_a_forged_program_of_any_version_is_refused_in_words(tmp_path_factory, sample, data):
    path = tmp_path_factory.mktemp("forged") / "program"
    found = container.read(sample / "program.safetensors", container.PROGRAM)
    kind = container.Kind("emulator-program", found.version, "program", "", ProgramError)
    container.write(path, kind, *forged(data, found))
    try:
        program = Program.load(path)
    except ProgramError:
        return
    assert program.manifest["version"] == VERSION


@given(st.sampled_from(UNFINISHED), st.data())
def test_a_forged_checkpoint_of_any_version_is_refused_in_words(tmp_path_factory, sample, data):
    run = tmp_path_factory.mktemp("forged") / "run"
    shutil.copytree(sample / "unfinished", run)
    path = run / "checkpoint.safetensors"
    found = container.read(path, checkpoint_module.KIND)
    kind = container.Kind("emulator-checkpoint", found.version, "checkpoint", "", RunError)
    container.write(path, kind, *forged(data, found))
    program = Program.load(run / "program.safetensors")
    try:
        plan, standing, _ = checkpoint_module.read_checkpoint(run, program)
    except RunError:
        return
    assert standing.state["step"].shape == (1,)
    assert plan.steps >= 0
