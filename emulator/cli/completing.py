"""Completion in shells: the options that install it, and the names that it knows."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from emulator.errors import EmulatorError, RunError
from emulator.shipped import shipped_files

SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")
COMPLETING = "_EMULATOR_COMPLETE"
"""Variable by which a shell asks for completions, as its script from typer sets it."""
INSTALL, SHOW = "--install-completion", "--show-completion"


def chip_names(incomplete: str) -> list[str]:
    """Return the shipped chips that begin so."""
    return _names("chipconfigs", "*.yaml", incomplete)


def model_names(incomplete: str) -> list[str]:
    """Return the neuron models of the library that begin so."""
    return _names("microcode/library", "*.nasm", incomplete)


def network_names(incomplete: str) -> list[str]:
    """Return the shipped networks that begin so."""
    from emulator.cli.programs import shipped_programs

    found = shipped_programs().items()
    return [name for name, one in found if one.is_network and name.startswith(incomplete)]


def _names(folder: str, pattern: str, incomplete: str) -> list[str]:
    """Return shipped files by name, without what reads them, which is slow to import."""
    with suppress(EmulatorError):  # there are none
        files = shipped_files(folder, pattern, EmulatorError)
        return [file.stem for file in files if file.stem.startswith(incomplete)]
    return []


def knows_shells() -> None:
    """Let typer answer shells, which it does by itself only where its own options are added."""
    from typer._completion_classes import completion_init

    completion_init()


def complete(arguments: list[str]) -> None:
    """Do what one of the options is for: `--show-completion` or `--install-completion`, perhaps with a shell.

    typer would read a shell's name with pydantic, and import that for every command.

    Raises
    ------
    RunError
        When there is no such shell.
    """
    from typer._completion_shared import get_completion_script, install

    option, _, shell = arguments[0].partition("=")
    shell = shell or (arguments[1] if len(arguments) > 1 else _current_shell())
    if shell not in SHELLS:
        read = f"'{shell}'" if shell else "a shell that cannot be told"
        raise RunError(f"{option}: {read}; give one of: {', '.join(SHELLS)}")
    if option == SHOW:
        script = get_completion_script(prog_name="emulator", complete_var=COMPLETING, shell=shell)
        typer.echo(script)
    else:
        name, path = install(shell, "emulator", COMPLETING)
        typer.echo(f"completion for {name} is in {path}; new shells have it")


def asks_for_completion(arguments: list[str]) -> bool:
    """Return whether a command line is one of the two options."""
    return arguments[0].partition("=")[0] in (INSTALL, SHOW)


def _current_shell() -> str:
    import shellingham  # of typer

    try:
        return str(shellingham.detect_shell()[0])
    except shellingham.ShellDetectionFailure:
        return Path(os.environ.get("SHELL", "")).name


InstallOption = Annotated[
    bool,
    typer.Option(
        INSTALL, help="[SHELL] Let bash, zsh or fish complete commands, options, chips and models."
    ),
]
ShowOption = Annotated[bool, typer.Option(SHOW, help="[SHELL] Print the script that does so.")]
"""Both for the help: `complete` does what they say."""
