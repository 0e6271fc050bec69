"""Networks from Python files: `network(**parameters) -> Network`, and maybe `inputs` and `rewards`.

The file is the user's own program and runs with all rights; what goes wrong in it is reported with
its line, not with this project's traceback.
"""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from emulator.errors import EmulatorError, NetworkError
from emulator.network import Network


class PythonFile:
    """A loaded Python file that makes a network and its inputs.

    Parameters
    ----------
    path : str or Path
        The file; it is executed once.

    Raises
    ------
    NetworkError
        When the file cannot be read or executed, or has no function `network`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            source = self.path.read_bytes()
        except OSError as error:
            raise NetworkError(f"{path}: cannot be read: {error.strerror}") from None
        # A name of its own: numpy.py hides nothing. Registered, because dataclasses look it up.
        module = ModuleType(f"network_file_{self.path.stem}")
        module.__file__ = str(self.path.resolve())
        sys.modules[module.__name__] = module
        self._globals: dict[str, Any] = vars(module)
        with self._blame():
            exec(compile(source, str(self.path), "exec", dont_inherit=True), self._globals)
        if not callable(self._globals.get("network")):
            raise NetworkError(f"{path}: it has no function network(); it must return a Network")

    def network(self, parameters: Mapping[str, object] | None = None) -> Network:
        """Return what the file's `network(**parameters)` makes.

        Raises
        ------
        NetworkError
            With file and line, when it fails, has no such parameter, or returns something else.
        """
        parameters = parameters or {}
        function = self._globals["network"]
        self._check_parameters(function, parameters)
        with self._blame():
            network = function(**parameters)
        if not isinstance(network, Network):
            raise NetworkError(
                f"{self.path}: network() returned {type(network).__name__}; "
                "it must return a Network"
            )
        return network

    def inputs(self, steps: int, seed: int) -> Mapping[str, Any] | None:
        """Return what the file's `inputs(steps, seed)` makes, or None when it has no such function.

        Raises
        ------
        NetworkError
            With file and line, when it fails or returns something that is no mapping.
        """
        return self._made("inputs", "the name of an input population to its spikes", steps, seed)

    def rewards(self, steps: int, seed: int) -> Mapping[str, Any] | None:
        """Return what the file's `rewards(steps, seed)` makes, or None, as `inputs`."""
        return self._made("rewards", "'r0' or 'r1' to a whole number for each step", steps, seed)

    def _made(self, name: str, what: str, steps: int, seed: int) -> Mapping[str, Any] | None:
        function = self._globals.get(name)
        if not callable(function):
            return None
        with self._blame():
            made = function(steps, seed)
        if not isinstance(made, Mapping):
            raise NetworkError(
                f"{self.path}: {name}() returned {type(made).__name__}; it must return "
                f"a dictionary from {what}"
            )
        return made

    def _check_parameters(
        self, function: Callable[..., Any], parameters: Mapping[str, object]
    ) -> None:
        known = inspect.signature(function).parameters.values()
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known):
            return
        names = [parameter.name for parameter in known]
        unknown = [name for name in parameters if name not in names]
        if unknown:
            raise NetworkError(
                f"{self.path}: network() has no parameter '{unknown[0]}'; "
                f"it has: {', '.join(names) or 'none'}"
            )

    @contextmanager
    def _blame(self) -> Iterator[None]:
        """Turn what goes wrong in the file into an error with its line."""
        folder = str(self.path.resolve().parent)
        sys.path.insert(0, folder)  # the file may import its neighbours
        try:
            yield
        except SyntaxError as error:
            where = error.filename or self.path
            raise NetworkError(f"{where}:{error.lineno}: {error.msg}") from error
        except (Exception, SystemExit) as error:
            lines = [
                f.lineno for f in extract_tb(error.__traceback__) if f.filename == str(self.path)
            ]
            where = f"{self.path}:{lines[-1]}" if lines else f"{self.path}"
            what = "" if isinstance(error, EmulatorError) else f"{type(error).__name__}: "
            raise NetworkError(f"{where}: {what}{error}") from error
        finally:
            sys.path.remove(folder)
