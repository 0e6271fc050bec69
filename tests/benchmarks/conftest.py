"""The table that `make bench` ends with: our figure beside that of the bare loop from the same run."""

import os
import platform
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from tests.benchmarks.bare import compiled

COLUMNS = ("workload", "ours", "bare loop", "ratio", "bytes a synapse")
FILE = "BENCH_TABLE"  # environment variable: a file whose table is renewed
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
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
    Console(width=120).print(table)
    if FILE in os.environ:
        write_table(Path(os.environ[FILE]))


def write_table(path: Path) -> None:
    """Put the lines into the file's table: Markdown between two comments, with the machine it comes from."""
    head, rule = f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"
    shown = [
        ["" if v is None else f"{v:.2f}" if isinstance(v, float) else v for v in line.values()]
        for line in _lines
    ]
    where = f"{_processor()}, {os.cpu_count()} cores, Linux, Python {platform.python_version()}."
    table = "\n".join([where, "", head, rule, *(f"| {' | '.join(cells)} |" for cells in shown)])
    before, begin, rest = path.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    path.write_text(f"{before}{begin}\n{table}\n{end}{after}")


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
