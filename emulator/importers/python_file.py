"""Networks from Python files: `network(**parameters) -> Network`, and maybe `inputs` and `rewards`.

The file is the user's own program and runs with all rights; what goes wrong in it is reported with
its line, not with this project's traceback. What it imports from its own folder stays its own.
"""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from traceback import FrameSummary, extract_tb
from types import ModuleType
from typing import Any

from emulator.errors import EmulatorError, NetworkError
from emulator.files import MAX_TEXT_BYTES, read_bytes, shown_name
from emulator.network import Network

MADE = {
    "inputs": "the name of an input population to its spikes",
    "rewards": "'r0' or 'r1' to a whole number for each step",
}
"""Functions of (steps, seed) that a file may have: what they return is a dictionary from ..."""
MOST_SHOWN = 500
"""Characters of another program's message."""


class PythonFile:
    """A loaded Python file that makes a network and its inputs.

    Parameters
    ----------
    path : str or Path
        The file; it is executed once. It can import what lies in its folder.

    Raises
    ------
    NetworkError
        When the file cannot be read or executed, has no function `network`, or has another thing than a function
        under the name of one.
    """

    def __init__(self, path: str | Path) -> None:
        source = read_bytes(path, NetworkError, MAX_TEXT_BYTES)
        self.path = Path(path)
        # A name of its own: numpy.py hides nothing.
        module = ModuleType(f"network_file_{self.path.stem}")
        module.__file__ = str(self.path.resolve())
        module.__package__ = ""  # of none: relative imports have nothing to be relative to
        self._globals: dict[str, Any] = vars(module)
        self._surroundings = _Surroundings(self.path.resolve().parent, module)
        with self._blame():
            exec(compile(source, str(self.path), "exec", dont_inherit=True), self._globals)
        if not callable(self._globals.get("network")):
            raise NetworkError(f"{path}: it has no function network(); it must return a Network")
        for name, what in MADE.items():
            if isinstance(self._globals.get(name), Mapping):
                raise NetworkError(
                    f"{path}: {name} is a {type(self._globals[name]).__name__}; it must be a function "
                    f"{name}(steps, seed) that returns a dictionary from {what}"
                )

    def network(self, parameters: Mapping[str, object] | None = None) -> Network:
        """Return what the file's `network(**parameters)` makes.

        Raises
        ------
        NetworkError
            With file and line, when it fails, has no such parameter or needs another, or returns something else.
        """
        parameters = parameters or {}
        function = self._globals["network"]
        self._check_parameters(function, parameters)
        with self._blame():
            network = function(**parameters)
        if not isinstance(network, Network):
            raise NetworkError(
                f"{self.path}: network() returned {_kind(network)}; it must return a Network"
            )
        return network

    def inputs(self, steps: int, seed: int) -> Mapping[str, Any] | None:
        """Return what the file's `inputs(steps, seed)` makes, or None when it has no such function.

        Raises
        ------
        NetworkError
            With file and line, when it fails or returns something that is no mapping.
        """
        return self._made("inputs", steps, seed)

    def rewards(self, steps: int, seed: int) -> Mapping[str, Any] | None:
        """Return what the file's `rewards(steps, seed)` makes, or None, as `inputs`."""
        return self._made("rewards", steps, seed)

    def _made(self, name: str, steps: int, seed: int) -> Mapping[str, Any] | None:
        function = self._globals.get(name)
        if not callable(function):
            return None
        if (signature := _signature(function)) is not None:
            try:
                signature.bind(steps, seed)
            except TypeError:
                raise NetworkError(
                    f"{self.path}: it has {name}{signature}; it must take two arguments: "
                    f"{name}(steps, seed)"
                ) from None
        with self._blame():
            made = function(steps, seed)
        if isinstance(made, Mapping) and all(isinstance(key, str) for key in made):
            return made
        keys = " with keys that are no names" if isinstance(made, Mapping) else ""
        raise NetworkError(
            f"{self.path}: {name}() returned {_kind(made)}{keys}; it must return "
            f"a dictionary from {MADE[name]}"
        )

    def _check_parameters(
        self, function: Callable[..., Any], parameters: Mapping[str, object]
    ) -> None:
        signature = _signature(function)
        if signature is None:
            return
        known = {
            parameter.name: parameter
            for parameter in signature.parameters.values()
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        }
        takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
        unknown = [] if takes_any else [name for name in parameters if name not in known]
        missing = [
            name
            for name, parameter in known.items()
            if parameter.default is parameter.empty and name not in parameters
        ]
        mistakes = [
            f"network() has no parameter '{shown_name(name)}'; it has: {', '.join(known) or 'none'}"
            for name in unknown
        ]
        mistakes += [
            f"network() needs parameter '{name}': give --param {name}=VALUE" for name in missing
        ]
        if mistakes:
            raise NetworkError("\n".join(f"{self.path}: {mistake}" for mistake in mistakes))

    @contextmanager
    def _blame(self) -> Iterator[None]:
        """Turn what goes wrong in the file into an error with its line."""
        with self._surroundings.entered():
            try:
                yield
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                raise NetworkError(self._accusation(error)) from error

    def _accusation(self, error: BaseException) -> str:
        """Return what happened, and in which line of the file."""
        mine = [f for f in extract_tb(error.__traceback__) if f.filename == str(self.path)]
        line = mine[-1].lineno if mine else None
        if isinstance(error, SyntaxError) and not mine:  # of the file itself
            line = error.lineno
        where = f"{self.path}:{line}" if line else f"{self.path}"
        if isinstance(error, EmulatorError):
            return "\n".join(f"{where}: {text}" for text in str(error).splitlines())
        return f"{where}: {_what_happened(error, mine)}"


class _Surroundings:
    """What a file sees while it runs: its folder on the import path, its own module, and those beside it.

    All of it is taken away behind it, so that the next file's neighbour of the same name is another module.
    """

    def __init__(self, folder: Path, module: ModuleType) -> None:
        self._folder = folder
        self._path = [str(folder)]
        self._modules = {module.__name__: module}  # dataclasses look theirs up

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Put it in place; what the file adds to it is there again the next time."""
        path, modules = list(sys.path), dict(sys.modules)
        sys.path[:] = [*self._path, *path]
        sys.modules.update(self._modules)
        try:
            yield
        finally:
            added = [entry for entry in sys.path if entry not in path]
            self._path = list(dict.fromkeys([str(self._folder), *added]))
            sys.path[:] = path
            own = {
                name: module for name, module in sys.modules.items() if self._is_own(name, modules)
            }
            self._modules |= own
            for name in self._modules:
                sys.modules.pop(name, None)
            sys.modules.update({name: modules[name] for name in self._modules if name in modules})

    def _is_own(self, name: str, before: Mapping[str, ModuleType]) -> bool:
        """Whether a module came while the file ran, from its folder; not a part of a package that was there."""
        top = name.partition(".")[0]
        if name in before or top in before:
            return False
        module = sys.modules.get(top)
        found = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
        return any(
            self._folder in (place.parent, place.name == "__init__.py" and place.parent.parent)
            for place in map(Path, filter(None, found))
        )


def _what_happened(error: BaseException, mine: list[FrameSummary]) -> str:
    """Return the kind and the words of another program's error."""
    if isinstance(error, SystemExit):
        return f"SystemExit: {error.code!s:.80}: a network file must not end the program"
    try:
        words = " ".join(str(error).split())
    except Exception:  # whose text cannot be made: its kind must do
        words = ""
    if isinstance(error, SyntaxError):
        there = f" (in {error.filename}:{error.lineno})" if mine and error.filename else ""
        return f"{error.msg}{there}"
    if not words and mine and mine[-1].line:
        words = f"in '{mine[-1].line}'"
    if isinstance(error, ImportError) and "relative import" in words:
        words += (
            "; a network file is no part of a package: write 'import NAME' for a file beside it"
        )
    cut = words if len(words) <= MOST_SHOWN else f"{words[:MOST_SHOWN]}..."
    return f"{type(error).__name__}: {cut}" if cut else type(error).__name__


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # some that are not written in Python have none
        return None


def _kind(made: object) -> str:
    return "nothing: is 'return' missing?" if made is None else type(made).__name__
