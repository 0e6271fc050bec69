"""The progress bar of long commands, on standard error and only where somebody sees it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from emulator.engine import ctrl_c


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar; what is yielded takes the number of parts done.

    Parameters
    ----------
    what : str
        What goes on, as "running".
    total : int
        Number of parts.
    """
    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)


@contextmanager
def saving() -> Iterator[None]:
    """Show that results are being saved; the first Ctrl-C in it says so, the second gives up."""
    console = Console(stderr=True)
    with ctrl_c() as interrupted:
        if console.is_terminal:
            with console.status("saving; Ctrl-C twice gives up what was run"):
                yield
        else:
            yield
    if interrupted.is_set() and not console.is_terminal:
        console.print("saved in spite of Ctrl-C")
