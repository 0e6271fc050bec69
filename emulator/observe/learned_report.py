"""What a run learned, as figures of its report and as a table: visits, energy, weights before and after."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.text import Text

from emulator.chip import Chip
from emulator.learning import trace_lines
from emulator.observe.quantities import energy_text, share_text, table_of
from emulator.observe.run import Run
from emulator.observe.tabulated import Paragraph, cut
from emulator.timing.traffic import instructions_per_visit
from emulator.units import exact


def learning_figures(run: Run) -> list[dict[str, Any]]:
    """Return the figures of each projection that learns; keys are stable, numbers are JSON's."""
    program = run.program
    if not program.learns:
        return []
    visits = run.records.active_per_segment[len(program.segments) :]
    projection_of = program.blocks[program.learning_blocks, 1]
    each = instructions_per_visit(program, run.chip)
    cost_pj = exact(run.chip.costs.learning_instruction.energy_pj)
    lines = []
    for k, rule in program.rules.items():
        projection, mine = program.manifest["projections"][k], projection_of == k
        n_visits = int(visits[mine].sum())
        n_instructions = int((visits * each)[mine].sum())
        before, after = _words(run, k)
        mode = projection["sign_mode"]
        described = rule.described()
        lines.append(
            {
                "projection": projection["name"],
                "source": projection["source"],
                "target": projection["target"],
                **{key: described[key] for key in ("dw", "dd", "dt", "epoch")},
                "traces": dict(trace_lines(rule)),
                "sign_mode": mode,
                "synapses": projection["n_synapses"],
                "cores": len(np.unique(program.blocks[program.learning_blocks[mine], 0])),
                "visits": n_visits,
                "visits_per_step": n_visits / max(1, run.n_steps),
                "instructions_per_visit": int(each[mine].max(initial=0)),
                "instructions": n_instructions,
                "energy_pj": float(n_instructions * cost_pj),
                "weight_limits": list(run.chip.learning.weight_limits(mode)),
                "weights_before": _weights(before, run.chip, mode),
                "weights_after": _weights(after, run.chip, mode),
            }
        )
    return lines


def _words(run: Run, k: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the synapses of a projection as the program has them, and as they are at the end; in no useful order."""
    program, name = run.program, run.program.manifest["projections"][k]["name"]
    rows = program.rows[program.blocks[program.rows["block"], 1] == k]
    first = int(rows["start"].min(initial=0xFFFFFFFF)) if len(rows) else 0
    before: NDArray[np.uint32] = program.synapses[first : first + int(rows["length"].sum())]
    states = run.learned.states
    return before, states[-1][1][name]["words"] if states else before


def _weights(words: NDArray[np.uint32], chip: Chip, mode: str) -> dict[str, Any] | None:
    """Return what is to be said of weights, as mantissas; None where there are none."""
    if not len(words):
        return None
    weights = words.view(np.int32) >> 23
    low, high = chip.learning.weight_limits(mode)
    return {
        "mean": float(weights.mean()),
        "min": int(weights.min()),
        "max": int(weights.max()),
        "share_at_minimum": float((weights <= low).mean()),
        "share_at_maximum": float((weights >= high).mean()),
    }


def learning_tables(lines: list[dict[str, Any]], most: int) -> RenderableType:
    """Return the tables of what was learned, of so many projections at most."""
    done = table_of(
        "Learning",
        ("projection", "name"), ("synapses", "right"), ("cores", "right"), ("visits", "right"),
        ("per step", "right"), ("instructions", "right"), ("energy", "right"),
    )  # fmt: skip
    weights = table_of(
        "Weights that learned", ("projection", "name"), ("", "name"), ("mean", "right"),
        ("min", "right"), ("max", "right"), ("at minimum", "right"), ("at maximum", "right"),
    )  # fmt: skip
    shown, left_out = cut(lines, most, lambda line: line["visits"], "of most visits")
    for line in shown:
        done.add_row(
            line["projection"],
            f"{line['synapses']:,}",
            f"{line['cores']:,}",
            f"{line['visits']:,}",
            f"{line['visits_per_step']:,.1f}",
            f"{line['instructions']:,}",
            energy_text(line["energy_pj"]),
        )
        for when in ("before", "after"):
            values = line[f"weights_{when}"]
            if values is not None:
                low, high = line["weight_limits"]
                weights.add_row(
                    line["projection"] if when == "before" else f"  {low:,} to {high:,}",
                    when,
                    f"{values['mean']:,.2f}",
                    f"{values['min']:,}",
                    f"{values['max']:,}",
                    share_text(values["share_at_minimum"]),
                    share_text(values["share_at_maximum"]),
                )
    note = Paragraph(
        f"{left_out}visits: synapses that a rule went through; instructions: micro-instructions; weights: mantissas, "
        "and below a name the limits to which they are clipped"
    )
    return Group(done, *_rules(shown), Text(), weights, note, Text())


def _rules(lines: list[dict[str, Any]]) -> list[Paragraph]:
    found = []
    for line in lines:
        epoch = f"epoch {line['epoch']}, {line['instructions_per_visit']} instructions a visit"
        found.append(Paragraph(f"{line['projection']}: {epoch}"))
        told = {key: line[key] for key in ("dw", "dd", "dt") if line[key] is not None}
        found += [Paragraph(f"{key} = {rule}", indent=4) for key, rule in told.items()]
        found += [Paragraph(f"{name}: {what}", indent=4) for name, what in line["traces"].items()]
    return found
