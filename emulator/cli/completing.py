"""Completion in shells: the options that install it, and the names that it knows."""

import os
from pathlib import Path
from typing import Annotated

import typer

from emulator.errors import RunError

SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")
COMPLETING = "_EMULATOR_COMPLETE"
"""Variable by which a shell asks for completions, as its script from typer sets it."""
FLAGS = ("--install-completion", "--show-completion")


def chip_names(incomplete: str) -> list[str]:
    """Return the shipped chips that begin so."""
    from emulator.chip import shipped_chips

    return [path.stem for path in shipped_chips() if path.stem.startswith(incomplete)]


def model_names(incomplete: str) -> list[str]:
    """Return the neuron models of the library that begin so."""
    from emulator.microcode import shipped_models

    return [name for name in shipped_models() if name.startswith(incomplete)]


def knows_shells() -> None:
    """Let typer answer shells, which it does by itself only where its own options are added."""
    from typer._completion_classes import completion_init

    completion_init()


def with_shell(arguments: list[str]) -> list[str]:
    """Add the shell that is in use where an option of completion names none."""
    return [*arguments, _current_shell()] if arguments[-1:] in ([f] for f in FLAGS) else arguments


def _current_shell() -> str:
    import shellingham  # of typer

    try:
        return str(shellingham.detect_shell()[0])
    except shellingham.ShellDetectionFailure:
        return Path(os.environ.get("SHELL", "")).name


def _checked(option: str, shell: str) -> str:
    if shell not in SHELLS:
        read = f"'{shell}'" if shell else "a shell that cannot be told"
        raise RunError(f"{option}: {read}; give one of: {', '.join(SHELLS)}")
    return shell


def _install(shell: str | None) -> None:
    if shell is None:
        return
    from typer._completion_shared import install

    name, path = install(_checked(FLAGS[0], shell), "emulator", COMPLETING)
    typer.echo(f"completion for {name} is in {path}; new shells have it")
    raise typer.Exit


def _show(shell: str | None) -> None:
    if shell is None:
        return
    from typer._completion_shared import get_completion_script

    script = get_completion_script(
        prog_name="emulator",
        complete_var=COMPLETING,
        shell=_checked(FLAGS[1], shell),
    )
    typer.echo(script)
    raise typer.Exit


InstallOption = Annotated[
    str | None,
    typer.Option(
        FLAGS[0], metavar="SHELL", callback=_install, is_eager=True,
        help="Let bash, zsh or fish complete commands, options, chips and models; by default the shell in use.",
    ),
]  # fmt: skip
ShowOption = Annotated[
    str | None,
    typer.Option(
        FLAGS[1], metavar="SHELL", callback=_show, is_eager=True,
        help="Print the shell script that does so.",
    ),
]  # fmt: skip
