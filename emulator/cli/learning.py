"""`emulator learn`: learning rules as micro-instructions, and programs that have learned."""

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from emulator.chip import Chip, load_chip
from emulator.cli import options
from emulator.cli.compiling import check_output, print_written, save_program
from emulator.cli.networks import chip_of
from emulator.errors import EmulatorError, LearningError, RunError
from emulator.learning import PRE_TRACES, TRACES, Rule, Trace, compiled, listing, trace_lines
from emulator.observe.quantities import energy_text, table_of, time_text
from emulator.observe.run import Run
from emulator.program import Program
from emulator.program.fit import rule_mistakes
from emulator.units import exact

DEFAULT_CHIP = "loihi2"
RULE = re.compile(r"\s*(d[wdt])\s*=(.*)", re.DOTALL)
PARTS = re.compile(r"[;\n]")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    learn = typer.Typer(
        name="learn",
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
) -> None:
    """List what a rule does for each synapse that it visits: micro-instructions, time, energy, and which rows."""
    console, changed = Console(), options.pairs("--set", changes)
    if not any(RULE.match(text) for text in rule):
        _show_program(rule, trace, epoch, chip, changed, console)
        return
    described = load_chip(chip or DEFAULT_CHIP, changed)
    made, absent = _rule(rule, options.pairs("--trace", trace), 1 if epoch is None else epoch)
    mistakes = rule_mistakes(made, described)
    if mistakes:
        raise LearningError("\n".join(mistakes))
    _print_rule(made, described, absent, console)


def save(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder that a run was saved in.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PROGRAM", help="File to write.")
    ],
) -> None:
    """Write a run's program with the weights and delays that it learned; nothing learns in it any more."""
    check_output(None, output)
    run = Run.load(folder)
    if not run.program.learns:
        raise RunError(f"{folder}: no synapse of program '{run.program.name}' learns")
    trained = run.trained()
    save_program(trained, output)
    if run.status == "interrupted":
        typer.echo(
            f"emulator: warning: the run was interrupted after {run.n_steps:,} steps", err=True
        )
    print_written(trained, output)


def _show_program(
    given: list[str],
    trace: list[str] | None,
    epoch: int | None,
    chip: str | None,
    changes: dict[str, str],
    console: Console,
) -> None:
    path = Path(given[0])
    if len(given) > 1 or not path.exists():
        raise LearningError(
            f"{given[0]}: neither a rule, which begins with 'dw =', 'dt =' or 'dd =', nor a compiled program"
        )
    if trace or epoch is not None:
        raise RunError(f"{path}: --trace and --epoch are for rules; a program has its own")
    program = Program.load(path)
    if not program.learns:
        typer.echo(f"{path}: no synapse of program '{program.name}' learns", err=True)
        return
    described = chip_of(program, chip, changes)
    for k, rule in program.rules.items():
        line = program.manifest["projections"][k]
        mistakes = rule_mistakes(rule, described)
        if mistakes:
            raise LearningError("\n".join(f"projection '{line['name']}': {m}" for m in mistakes))
        console.print(
            Text(
                f"{line['name']}: {line['n_synapses']:,} synapses, sign_mode {line['sign_mode']}",
                "bold",
            )
        )
        _print_rule(rule, described, [], console)


def _rule(given: list[str], traces: dict[str, str], epoch: int) -> tuple[Rule, list[str]]:
    """Return the rule that the arguments are, and the traces that it reads and were not given."""
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


def _print_rule(rule: Rule, chip: Chip, absent: list[str], console: Console) -> None:
    steps, engine = compiled(rule, chip.learning), chip.learning
    for key in ("dw", "dd", "dt"):
        if getattr(rule, key) is not None:
            console.print(Text(f"{key} = {getattr(rule, key)}", "bold"))
    table = table_of(
        "", ("", "right"), ("op", "left"), ("", "left"), ("effect", "left"), ("bits lost", "right"),
        ("visits rows where", "left"),
    )  # fmt: skip
    table.title = None
    for number, line in enumerate(listing(rule, steps, engine.uk_counts)):
        lost = str(line.lost_bits) if line.op == "MAC" else ""
        table.add_row(str(number), line.op, line.target, line.effect, lost, ", ".join(line.acts))
    console.print(table)
    console.print(_figures(rule, steps.n_instructions, chip, absent))


def _figures(rule: Rule, n: int, chip: Chip, absent: list[str]) -> Table:
    """Return what a visit takes, and what the rule stands on."""
    engine, cost = chip.learning, chip.costs.learning_instruction
    took = time_text(n * exact(cost.time_ns) / 10**9)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    rows = [
        ("chip", chip.label),
        (
            "visit",
            f"{n} micro-instructions for each synapse; the engine holds rules of {engine.instructions}",
        ),
        (
            "time",
            f"{took} a visit: {n} x {cost.time_ns:g} ns; a core's visits in a step end with a whole cycle",
        ),
        ("energy", f"{energy_text(n * cost.energy_pj)} a visit: {n} x {cost.energy_pj:g} pJ"),
        (
            "visited",
            f"at the end of every {_ordinal(rule.epoch)}: each synapse of a row for which any product acts",
        ),
        ("rounding", f"{engine.rounding} (learning.rounding)"),
    ]
    rows += [line for line in trace_lines(rule) if line[0] not in absent]
    rows += [
        (name, f"not given: --trace {name}=IMPULSE,TAU; the micro-instructions are the same")
        for name in absent
    ]
    for name, text in rows:
        table.add_row(name, Text(text))
    table.add_row("", "")
    return table


def _ordinal(epoch: int) -> str:
    return "step" if epoch == 1 else f"epoch of {epoch} steps"
