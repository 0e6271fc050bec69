"""The reference page of chip files: `python -m emulator.chip.reference > docs/chips.md`."""

import sys

from emulator.chip.keys import Key, root_key
from emulator.chip.load import shipped_chips

KINDS = {
    "list": "list",
    "choice": "choice",
    "boolean": "boolean",
    "integer": "whole number",
    "number": "number",
    "text": "text",
}

HEAD = """\
# Chip files

Every key that a file in `chipconfigs/` may have. This page is written from the schema, with
`python -m emulator.chip.reference > docs/chips.md`; change `emulator/chip/schema.py`, not the page.

A chip file is YAML. Numbers are plain decimals (`3.0`, not `3e0`: to YAML that is text), booleans
are `true` and `false`, and a limit of `null` is no limit. No key may be unknown, repeated, or
missing unless a default is given here. Every mistake of a file is reported at once, with line,
column, key, what was read and what is allowed; `emulator check FILE` does only that.

A file from before there were neuron programs, learning or management cores is read as what it was: where it has no
key of one of these and of what came later, it runs none, learns nothing, and the events that it does not know cost
nothing and take no time. `emulator check` lists them as not priced (`emulator/chip/upgrade.py`).

Each `source` says where the numbers beside it come from: a paper and its table, or `fitted`,
`scaled` or `assumed`, and how. The section `arithmetic`, and `learning` for programs that learn,
decide what a chip computes: a program runs on every chip that is equal in them. How much a chip
holds is compared with what the program needs: the sections `core`, `microcode` and `synapses`, the
widths of thresholds, biases, refractory registers and weight exponents, and the length of rules.
All others decide time and energy only.

What several keys must satisfy together is in `emulator/chip/rules.py`: the cores fit 16 bits, host
ports are tiles, a neuron with the largest delay fits the accumulators, the widest index tells all
neurons of a core apart, the barrier of more tiles takes no less time, and no list repeats itself.

"""


def reference_page() -> str:
    """Return the page as Markdown: a table for each section."""
    chips = ", ".join(f"`{path.stem}`" for path in shipped_chips())
    root = root_key()
    parts = [f"{HEAD}Shipped: {chips}.\n", _table("The file", root.meaning, _leaves(root))]
    parts += [
        _table(f"`{section.path}`", section.meaning, _rows(section))
        for section in root.children.values()
        if section.kind == "section"
    ]
    return "\n".join(parts)


def _leaves(section: Key) -> list[Key]:
    return [key for key in section.children.values() if key.kind != "section"]


def _rows(section: Key) -> list[Key]:
    """Return the keys of a section; of like subsections, only those of the first."""
    rows, seen = _leaves(section), set[tuple[str, ...]]()
    for child in section.children.values():
        if child.kind == "section":
            rows.append(child)
            if tuple(child.children) not in seen:
                rows += _rows(child)
                seen.add(tuple(child.children))
    return rows


def _table(title: str, meaning: str, keys: list[Key]) -> str:
    lines = [
        f"## {title}",
        "",
        meaning,
        "",
        "| key | type | allowed | meaning |",
        "|---|---|---|---|",
    ]
    return "\n".join([*lines, *map(_line, keys), ""])


def _line(key: Key) -> str:
    if key.kind == "section":
        what = "section"
        return f"| `{key.path}` | {what} | {key.allowed} | {key.meaning} |"
    default = "null" if key.default is None else str(key.default)
    allowed = key.allowed if key.required else f"{key.allowed}; default {default}"
    return f"| `{key.path}` | {KINDS[key.kind]} | {allowed} | {key.meaning} |"


if __name__ == "__main__":
    sys.stdout.write(reference_page())
