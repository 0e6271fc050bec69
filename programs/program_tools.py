"""What the programs share: how they end, packages that not everybody has, and pictures."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from emulator import EmulatorError


def run_script(main: Callable[[], int | None]) -> None:
    """Run a program and end the process; what a user can mend is one line and exit status 2."""
    name = Path(sys.argv[0]).stem
    try:
        sys.exit(main())
    except EmulatorError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        sys.exit(130)


def need(package: str, what_for: str) -> None:
    """Raise an error that says what to install, before anything has run for minutes, where a package is missing.

    Raises
    ------
    EmulatorError
    """
    try:
        import_module(package)
    except ImportError as error:
        raise EmulatorError(
            f"{what_for} needs {package} ({error}): pip install {package}"
        ) from None


def need_folder(folder: Path) -> None:
    """Raise an error where there is no folder to write into, before anything has run for minutes.

    Raises
    ------
    EmulatorError
    """
    if not folder.is_dir():
        raise EmulatorError(f"there is no folder {folder}")


def need_to_draw(folder: Path | None) -> None:
    """Raise an error where pictures are wanted in a folder, and cannot be drawn there.

    Raises
    ------
    EmulatorError
    """
    if folder is not None:
        need("matplotlib", "a picture")
        need_folder(folder)


def pyplot(salt: str) -> Any:
    """Return matplotlib's pyplot without a screen; with the same salt, the same picture is the same file."""
    import matplotlib as mpl  # noqa: PLC0415  # not everybody has it, and slow to import

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = salt
    return import_module("matplotlib.pyplot")


def save_picture(figure: Any, path: Path) -> None:
    """Write a picture, without the date on which it was made, and forget it."""
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    import_module("matplotlib.pyplot").close(figure)
