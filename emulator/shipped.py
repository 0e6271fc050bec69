"""Files that come with the emulator: inside the package where it was installed, beside it in a checkout."""

from pathlib import Path

from emulator.errors import EmulatorError

PACKAGE = Path(__file__).parent


def shipped_files(name: str, pattern: str, error: type[EmulatorError]) -> list[Path]:
    """Return the files of a shipped folder, sorted.

    Parameters
    ----------
    name : str
        The folder, such as "chipconfigs".
    pattern : str
        Which of its files, such as "*.yaml".
    error : type of EmulatorError
        What is raised.

    Raises
    ------
    EmulatorError
        When there is none; says where they were looked for.
    """
    folders = PACKAGE / name, PACKAGE.parent / name
    for folder in folders:
        if files := sorted(folder.glob(pattern)):
            return files
    places = " or ".join(map(str, folders))
    raise error(
        f"this installation is not whole: no {pattern} in {places}; install the emulator again, "
        "with pip install . in its checkout or from a wheel"
    )
