"""`emulator learn`: learning rules as micro-instructions, and programs that have learned."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from emulator.cli import options
from emulator.cli.compiling import (
    check_output,
    print_written,
    program_figures,
    save_program,
    written,
)
from emulator.cli.groups import QuickGroup
from emulator.cli.kinds import reading
from emulator.cli.networks import load_program
from emulator.cli.printing import JsonOption, print_document, warn
from emulator.errors import EmulatorError, LearningError, RunError

if TYPE_CHECKING:
    from emulator.chip import Chip
    from emulator.learning import Rule, Trace

DEFAULT_CHIP = "loihi2"
RULE = re.compile(r"\s*(d[wdt])\s*=(.*)", re.DOTALL)
PARTS = re.compile(r"[;\n]")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    learn = typer.Typer(
        name="learn",
        cls=QuickGroup,
        help="Learning: rules as micro-instructions, and programs that have learned.",
        epilog="Example: emulator learn show 'dw = 2^-2*x1*y0 - 2^-2*y1*x0' --epoch 4",
    )
    learn.command(
        name="show",
        epilog="Example: emulator learn show 'dw = u0*r1*t' 'dt = x1*y0' --trace x1=16,10 --chip loihi",
    )(show)
    learn.command(name="save", epilog="Example: emulator learn save my_run -o trained.program")(
        save
    )
    app.add_typer(learn)


def show(
    rule: Annotated[
        list[str],
        typer.Argument(
            metavar="RULE...|PROGRAM",
            help="'dw = ...', and dt and dd likewise, in arguments of their own or behind ';'; "
            "or a compiled program.",
        ),
    ],
    trace: Annotated[
        list[str] | None,
        typer.Option(
            "--trace",
            metavar="NAME=VALUE",
            help="x1=IMPULSE,TAU (x2, y1, y2, y3 likewise); y1=WORD: a state word of the target's "
            "neuron program.",
        ),
    ] = None,
    epoch: Annotated[
        int | None, typer.Option("--epoch", metavar="N", help="Steps of an epoch; 1 unless given.")
    ] = None,
    chip: options.OptionalChipOption = None,
    changes: options.SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what a rule does for each synapse that it visits: micro-instructions, time, energy, and which rows."""
    if any(RULE.match(text) for text in rule):
        described = options.described(chip or DEFAULT_CHIP, changes)
        made, absent = _rule(rule, options.pairs("--trace", trace), 1 if epoch is None else epoch)
        shown = [_Shown(made, absent)]
    else:
        described, shown = _of_program(
            rule, chip, changes, has_options=bool(trace) or epoch is not None
        )
    _require_legal(shown, described)
    if as_json:
        rules = [_figures(one, described) for one in shown]
        print_document("learn-show", {"chip": described.label, "rules": rules})
        return
    console = Console()
    for one in shown:
        if one.projection is not None:
            line = one.projection
            text = f"{line['name']}: {line['n_synapses']:,} synapses, sign_mode {line['sign_mode']}"
            console.print(Text(text, "bold"))
        _print_rule(one, described, console)


def save(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder that a run was saved in.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PROGRAM", help="File to write.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Write a run's program with the weights and delays that it learned; nothing learns in it any more."""
    from emulator.observe.run import Run

    check_output(None, output)
    with reading(folder, "run", "unfinished", "folder"):
        run = Run.load(folder)
    if not run.program.learns:
        raise RunError(f"{folder}: no synapse of program '{run.program.name}' learns")
    if run.status != "complete":
        warn(f"the run is {run.status}: {run.n_steps:,} of {run.steps_asked:,} steps are done")
    trained = run.trained()
    save_program(trained, output)
    if as_json:
        figures = program_figures(trained, run.chip)
        steps = {"status": run.status, "steps": run.n_steps}
        print_document("learn-save", figures | {"run": steps} | written(trained, output))
    else:
        print_written(trained, output)


@dataclass(frozen=True)
class _Shown:
    """A rule that is shown, the traces of it that were not given, and the projection that has it."""

    rule: Rule
    absent: list[str] = field(default_factory=list)
    projection: dict[str, Any] | None = None


def _of_program(
    given: list[str], chip: str | None, changes: list[str] | None, *, has_options: bool
) -> tuple[Chip, list[_Shown]]:
    """Return the rules of a program, and the chip to show them on."""
    path = Path(given[0])
    if len(given) > 1 or not path.exists():
        raise LearningError(
            f"{given[0]}: neither a rule, which begins with 'dw =', 'dt =' or 'dd =', nor a compiled program"
        )
    program = load_program(path)
    if has_options:
        raise RunError(f"{path}: --trace and --epoch are for rules; a program has its own")
    if not program.learns:
        typer.echo(f"{path}: no synapse of program '{program.name}' learns", err=True)
    lines = program.manifest["projections"]
    shown = [_Shown(rule, [], lines[k]) for k, rule in program.rules.items()]
    return options.chip_of(program, chip, changes), shown


def _require_legal(shown: list[_Shown], chip: Chip) -> None:
    """Refuse a rule that the chip's learning engine cannot do."""
    from emulator.program.fit import rule_mistakes

    for one in shown:
        where = "" if one.projection is None else f"projection '{one.projection['name']}': "
        mistakes = rule_mistakes(one.rule, chip)
        if mistakes:
            raise LearningError("\n".join(f"{where}{mistake}" for mistake in mistakes))


def _rule(given: list[str], traces: dict[str, str], epoch: int) -> tuple[Rule, list[str]]:
    """Return the rule that the arguments are, and the traces that it reads and were not given."""
    from emulator.learning import TRACES, Rule, Trace

    texts: dict[str, str] = {}
    mistakes = []
    for part in (part for text in given for part in PARTS.split(text) if part.strip()):
        match = RULE.fullmatch(part)
        if not match:
            mistakes.append(f"'{part.strip()}': a rule begins with 'dw =', 'dt =' or 'dd ='")
        elif match[1] in texts:
            mistakes.append(f"{match[1]} is given twice")
        else:
            texts[match[1]] = match[2].strip()
    known: dict[str, Trace | str] = {}
    for name, text in traces.items():
        try:
            known[name] = _trace(name, text)
        except EmulatorError as error:
            mistakes += [f"--trace {name}: {line}" for line in str(error).splitlines()]
    absent = [
        name
        for name in TRACES
        if name not in traces and any(re.search(rf"\b{name}\b", text) for text in texts.values())
    ]
    # The micro-instructions are the same whatever the traces are.
    try:
        made = Rule(**texts, **known, **dict.fromkeys(absent, Trace(0, 0)), epoch=epoch)  # type: ignore[arg-type]
    except LearningError as error:
        mistakes.append(str(error))
    if mistakes:
        raise LearningError("\n".join(mistakes))
    return made, absent


def _trace(name: str, text: str) -> Trace | str:
    """Read IMPULSE,TAU; or the name of a state word."""
    from emulator.learning import PRE_TRACES, TRACES, Trace

    if name not in TRACES:
        raise LearningError(f"there is no such trace; there are: {', '.join(TRACES)}")
    if name not in PRE_TRACES and re.fullmatch(r"[A-Za-z_]\w*", text) and text != "inf":
        return text
    try:
        impulse, tau = map(float, text.split(","))
    except ValueError:
        word = "" if name in PRE_TRACES else ", or the name of a state word"
        raise LearningError(f"'{text}'; it must be IMPULSE,TAU like 16,10{word}") from None
    return Trace(impulse, tau)


def _figures(one: _Shown, chip: Chip) -> dict[str, Any]:
    """Return a rule's micro-instructions, and what a visit takes."""
    from emulator.learning import compiled, listing, trace_lines
    from emulator.units import exact

    rule, engine, cost = one.rule, chip.learning, chip.costs.learning_instruction
    steps = compiled(rule, engine)
    n = steps.n_instructions
    return {
        "projection": None if one.projection is None else one.projection["name"],
        "text": {k: getattr(rule, k) for k in ("dw", "dd", "dt") if getattr(rule, k) is not None},
        "epoch_steps": rule.epoch,
        "rounding": engine.rounding,
        "traces": dict(line for line in trace_lines(rule) if line[0] not in one.absent),
        "traces_not_given": one.absent,
        "instructions": [asdict(line) for line in listing(rule, steps, engine.uk_counts)],
        "visit": {
            "instructions": n,
            "instructions_max": engine.instructions,
            "time_ns": float(n * exact(cost.time_ns)),
            "energy_pj": float(n * exact(cost.energy_pj)),
        },
    }


def _print_rule(one: _Shown, chip: Chip, console: Console) -> None:
    from emulator.observe.quantities import table_of

    figures = _figures(one, chip)
    for key, text in figures["text"].items():
        console.print(Text(f"{key} = {text}", "bold"))
    table = table_of(
        "", ("", "right"), ("op", "left"), ("", "left"), ("effect", "left"), ("bits lost", "right"),
        ("visits rows where", "left"),
    )  # fmt: skip
    table.title = None
    for number, line in enumerate(figures["instructions"]):
        lost = str(line["lost_bits"]) if line["op"] == "MAC" else ""
        acts = ", ".join(line["acts"])
        table.add_row(str(number), line["op"], line["target"], line["effect"], lost, acts)
    console.print(table)
    console.print(_visit(figures, chip))


def _visit(figures: dict[str, Any], chip: Chip) -> Table:
    """Return what a visit takes, and what the rule stands on."""
    from emulator.observe.quantities import energy_text, time_text

    cost, visit = chip.costs.learning_instruction, figures["visit"]
    n, took = visit["instructions"], time_text(visit["time_ns"] / 10**9)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    rows = [
        ("chip", chip.label),
        (
            "visit",
            f"{n} micro-instructions for each synapse; the engine holds rules of {visit['instructions_max']}",
        ),
        (
            "time",
            f"{took} a visit: {n} x {cost.time_ns:g} ns; a core's visits in a step end with a whole cycle",
        ),
        ("energy", f"{energy_text(visit['energy_pj'])} a visit: {n} x {cost.energy_pj:g} pJ"),
        (
            "visited",
            f"at the end of every {_ordinal(figures['epoch_steps'])}: each synapse of a row for which any product acts",
        ),
        ("rounding", f"{figures['rounding']} (learning.rounding)"),
        *figures["traces"].items(),
    ]
    rows += [
        (name, f"not given: --trace {name}=IMPULSE,TAU; the micro-instructions are the same")
        for name in figures["traces_not_given"]
    ]
    for name, text in rows:
        table.add_row(name, Text(text))
    table.add_row("", "")
    return table


def _ordinal(epoch: int) -> str:
    return "step" if epoch == 1 else f"epoch of {epoch} steps"
