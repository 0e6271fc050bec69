"""The table that `make bench` ends with: our figure beside that of the bare loop from the same run."""

import shutil

import pytest
from rich.console import Console
from rich.table import Table

from tests.benchmarks.bare import compiled

COLUMNS = ("workload", "ours", "bare loop", "ratio", "bytes a synapse")
_lines: list[dict] = []


@pytest.fixture(scope="session")
def bare(tmp_path_factory):
    """Return the bare loops."""
    if shutil.which("cc") is None:
        pytest.skip("bare loops need a C compiler, cc")
    return compiled(tmp_path_factory.mktemp("bare"))


@pytest.fixture
def line(benchmark):
    """Return what puts a line into the table, and into the benchmark's JSON."""

    def add(workload, ours, bare_loop=None, ratio=None, bytes_a_synapse=None):
        values = dict(
            zip(COLUMNS, (workload, ours, bare_loop, ratio, bytes_a_synapse), strict=True)
        )
        benchmark.extra_info.update(
            {name: value for name, value in values.items() if value is not None}
        )
        _lines.append(values)

    return add


def pytest_terminal_summary():
    """Print the table."""
    if not _lines:
        return
    table = Table(title="measured in this run")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "workload" else "right")
    for values in _lines:
        cells = [values["workload"], values["ours"], values["bare loop"]]
        numbers = [values["ratio"], values["bytes a synapse"]]
        table.add_row(
            *(c or "" for c in cells), *("" if n is None else f"{n:.2f}" for n in numbers)
        )
    Console(width=110).print(table)
