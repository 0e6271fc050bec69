"""`emulator programs`: what comes with the emulator to be run, and how the command line finds it by name."""

import ast
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from emulator.cli.printing import JsonOption, print_document
from emulator.errors import NetworkError
from emulator.observe.tabulated import TextTable
from emulator.shipped import shipped_files


@dataclass(frozen=True)
class Shipped:
    """A program that comes with the emulator: a network, a script that runs by itself, or both."""

    path: Path
    description: str
    is_network: bool
    is_script: bool


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="programs", epilog="Example: emulator programs")(programs)


def programs(
    folder: Annotated[
        bool, typer.Option("--folder", help="Print only the folder that they are in.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the programs that come with the emulator, and say how they are run."""
    found = shipped_programs()
    where = next(iter(found.values())).path.parent
    if folder:
        typer.echo(where)
    elif as_json:
        listed = [_described(name, one) for name, one in found.items()]
        print_document("programs", {"folder": str(where), "programs": listed})
    else:
        table = TextTable(None, [("name", "name"), ("network", "name"), ("script", "name")])
        table.add_column("what it is", "text")
        for name, one in found.items():
            marks = ("yes" if is_one else "" for is_one in (one.is_network, one.is_script))
            table.add_row(name, *marks, one.description)
        Console().print(table)
        typer.echo(f"network: emulator run NAME --chip CHIP\nscript:  python {where / 'NAME.py'}")


def shipped_programs() -> dict[str, Shipped]:
    """Return the programs that come with the emulator, by name; not the files that only they need."""
    files = shipped_files("programs", "*.py", NetworkError)
    found = {file.stem: _read(file) for file in files}
    return {name: one for name, one in found.items() if one.is_network or one.is_script}


def network_path(given: Path | None) -> Path | None:
    """Return the path of a shipped network that is given by its name; what else was given, as it is.

    Raises
    ------
    NetworkError
        For what is neither; says which networks there are.
    """
    if given is None or given.is_file() or given.suffix not in {"", ".py"}:
        return given
    known = shipped_programs()
    one, is_name = known.get(given.stem), str(given) == given.stem
    if is_name and one is not None and one.is_network:
        return one.path
    if given.exists() or (one is None and given.suffix):
        return given  # who reads it says what is wrong
    if one is not None and not one.is_network:
        raise NetworkError(f"{given}: this is a script, which runs by itself: python {one.path}")
    names = [name for name, other in known.items() if other.is_network]
    close = get_close_matches(given.stem, names, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    raise NetworkError(
        f"'{given}' is neither a file nor a shipped network ({', '.join(names)}){hint}"
    )


def _described(name: str, one: Shipped) -> dict[str, object]:
    return {
        "name": name,
        "path": str(one.path),
        "network": one.is_network,
        "script": one.is_script,
        "description": one.description,
    }


def _read(file: Path) -> Shipped:
    """Return what a file is, without running it."""
    tree = ast.parse(file.read_text("utf-8"))
    makers = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "network"]
    # What needs an argument is no network by itself.
    is_network = any(len(n.args.args) == len(n.args.defaults) for n in makers)
    is_script = any(isinstance(n, ast.If) and "__main__" in ast.unparse(n.test) for n in tree.body)
    summary = (ast.get_docstring(tree) or "").partition("\n")[0]
    return Shipped(file, summary, is_network, is_script)
