"""Networks from Python files: what they may do, what is said when they do not, and what they leave behind."""

import sys

import pytest

from emulator import Network
from emulator.errors import NetworkError
from emulator.importers.python_file import PythonFile
from tests.unit.test_cli import NETWORK

MINIMAL = "from emulator import Network\ndef network():\n    return Network('n')\n"


@pytest.fixture(autouse=True)
def _clean():
    """Fail what leaves a trace in the interpreter: its import path, or modules of its folder."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    assert sys.path == path
    assert {
        m for m in sys.modules.keys() - modules if m.startswith(("network_file", "beside"))
    } == set()


@pytest.fixture
def write(tmp_path):
    def written(text, name="net.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return written


def refusal(call, *arguments):
    with pytest.raises(NetworkError) as error:
        call(*arguments)
    return str(error.value)


def test_a_network_file_is_a_module_of_its_own(tmp_path):
    (tmp_path / "beside_sizes.py").write_text("SIZE = 8\n")
    settings = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "from beside_sizes import SIZE\n@dataclass\nclass Settings:\n    size: int = SIZE\n"
        "if __name__ == '__main__':\n    raise SystemExit\n"
    )
    (tmp_path / "numpy.py").write_text(settings + NETWORK.replace("size=8", "size=Settings().size"))
    file = PythonFile(tmp_path / "numpy.py")
    assert file.network().name == "demo"
    assert file.inputs(3, 0)["in"].shape == (3, 8)


BESIDE = """
from emulator import Network
import beside
from beside_package.part import PART
count = 0
def network():
    import beside_late, beside as again
    assert again is beside
    global count
    count += 1
    return Network(f"{beside.NAME}-{PART}-{beside_late.NAME}-{count}")
"""


def test_neighbours_of_two_files_are_two(write):
    files = []
    for folder in ("a", "b"):
        write(f"NAME = '{folder}'\n", f"{folder}/beside.py")
        write(f"NAME = 'late_{folder}'\n", f"{folder}/beside_late.py")
        write("", f"{folder}/beside_package/__init__.py")
        write(f"PART = 'part_{folder}'\n", f"{folder}/beside_package/part.py")
        files.append(PythonFile(write(BESIDE, f"{folder}/net.py")))
    names = [file.network().name for file in (*files, *files)]
    assert names == [
        "a-part_a-late_a-1",
        "b-part_b-late_b-1",
        "a-part_a-late_a-2",
        "b-part_b-late_b-2",
    ]


def test_the_same_file_twice_is_two_files(write):
    write("NAME = 'x'\n", "beside.py")
    path = write(
        "from beside import NAME\nn = 0\n"
        + MINIMAL.replace("    return", "    global n; n += 1; return").replace(
            "'n'", "f'{NAME}{n}'"
        )
    )
    first, second = PythonFile(path), PythonFile(path)
    assert [first.network().name, first.network().name, second.network().name] == ["x1", "x2", "x1"]


def test_what_a_file_adds_to_the_import_path_is_there_for_its_functions(write, tmp_path):
    write("NAME = 'lib'\n", "lib/beside_lib.py")
    path = write(
        "import sys\nfrom pathlib import Path\nsys.path.append(str(Path(__file__).parent / 'lib'))\n"
        + MINIMAL.replace("    return", "    from beside_lib import NAME\n    return").replace("'n'", "NAME")
    )  # fmt: skip
    assert PythonFile(path).network().name == "lib"
    sys.modules.pop("beside_lib")  # of another folder: as any library, it stays


def test_packages_that_were_there_stay(write):
    path = write("import emulator.encode.rate, xml.dom.minidom\n" + MINIMAL)
    PythonFile(path)
    assert sys.modules["emulator.encode.rate"] is not None
    assert "xml.dom.minidom" in sys.modules


@pytest.mark.parametrize(
    "name", ["my net (1).py", "caf\u00e9.py", "[1].py", "-v.py", "a.b.py", "network.py", "\U0001f600.py", "%s{0}.py"]
)  # fmt: skip
def test_the_name_of_a_file_may_be_anything(write, name):
    assert PythonFile(write(MINIMAL, name)).network().name == "n"
    assert refusal(PythonFile, write("1/0", name)).endswith(
        f"{name}:1: ZeroDivisionError: division by zero"
    )


FAILURES = {
    "1/0": ":1: ZeroDivisionError: division by zero",
    "\n\nassert 1 > 2": ":3: AssertionError: in 'assert 1 > 2'",
    "def f(:": ":1: invalid syntax",
    "x = (": ":1: '(' was never closed",
    "if 1:\nx": ":2: expected an indented block after 'if' statement on line 1",
    "import no_such_module": ":1: ModuleNotFoundError: No module named 'no_such_module'",
    "from .beside import x": (
        ":1: ImportError: attempted relative import with no known parent package; "
        "a network file is no part of a package: write 'import NAME' for a file beside it"
    ),
    "import sys\nsys.exit(3)": ":2: SystemExit: 3: a network file must not end the program",
    "raise SystemExit": ":1: SystemExit: None: a network file must not end the program",
    "eval('1+')": ":1: invalid syntax (in <string>:1)",
    "x = 1\nraise KeyError('a')": ":2: KeyError: 'a'",
    "raise ValueError('two\\nlines')": ":1: ValueError: two lines",
    "raise ValueError": ":1: ValueError: in 'raise ValueError'",
    "class E(BaseException): pass\nraise E('own')": ":2: E: own",
    "class E(Exception):\n    def __str__(self): 1/0\nraise E": ":3: E: in 'raise E'",
    "def f(): f()\nf()": ":1: RecursionError: maximum recursion depth exceeded",
    "raise ValueError('x' * 600)": f":1: ValueError: {'x' * 500}...",
    "from emulator import Network\nNetwork('a b')": (
        ":2: network 'a b': a name is made of letters, digits, '_', '-' and '.', 200 at most"
    ),
    "from emulator import Network\nNetwork().population('a', 0.5, vth_mant=1)": (
        ":2: population 'a': size is 0.5; it must be a whole number from 1"
    ),
    "x = 1": ": it has no function network(); it must return a Network",
    "network = 3": ": it has no function network(); it must return a Network",
    "network = print\ninputs = {'in': 1}": (
        ": inputs is a dict; it must be a function inputs(steps, seed) that returns a dictionary from "
        "the name of an input population to its spikes"
    ),
    "network = print\nrewards = {}": (
        ": rewards is a dict; it must be a function rewards(steps, seed) that returns a dictionary from "
        "'r0' or 'r1' to a whole number for each step"
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", FAILURES)
def test_what_fails_has_its_line(write, text):
    path = write(text)
    assert refusal(PythonFile, path) == f"{path}{FAILURES[text]}"


def test_a_mistake_beside_the_file_is_said_of_both(write, tmp_path):
    write("x = (\n", "beside.py")
    path = write("\nimport beside\n" + MINIMAL)
    assert (
        refusal(PythonFile, path) == f"{path}:2: '(' was never closed (in {tmp_path}/beside.py:1)"
    )
    write("1/0\n", "beside.py")
    assert refusal(PythonFile, path) == f"{path}:2: ZeroDivisionError: division by zero"


@pytest.mark.parametrize("content", [b"x = '\xff'", b"# coding: no-such\n", b"x = 1\0"])
def test_what_is_no_text_of_python_is_refused(tmp_path, content):
    path = tmp_path / "net.py"
    path.write_bytes(content)
    assert refusal(PythonFile, path).startswith(f"{path}:")


def test_texts_of_other_editors_are_read(tmp_path):
    path = tmp_path / "net.py"
    for content in (
        b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode(),
        "# -*- coding: latin-1 -*-\n# \u00e9\n".encode("latin-1") + MINIMAL.encode(),
    ):
        path.write_bytes(content)
        assert PythonFile(path).network().name == "n"


MADE = {
    "": ": network() returned nothing: is 'return' missing?; it must return a Network",
    "return 3": ": network() returned int; it must return a Network",
    "return Network": ": network() returned type; it must return a Network",
    "return [Network()]": ": network() returned list; it must return a Network",
    "yield Network()": ": network() returned generator; it must return a Network",
    "raise SystemExit(1)": ":3: SystemExit: 1: a network file must not end the program",
    "return Network(dt_ms=0)": (
        ":3: network 'network': dt_ms is 0; it must be a positive number of milliseconds"
    ),
}  # fmt: skip


@pytest.mark.parametrize("body", MADE)
def test_what_network_returns(write, body):
    path = write(f"from emulator import Network\ndef network():\n    {body or 'Network()'}\n")
    assert refusal(PythonFile(path).network) == f"{path}{MADE[body]}"


def test_every_mistake_of_one_call_has_the_file_and_the_line(write):
    path = write(
        "from emulator import Network\ndef network():\n"
        "    Network().population('a', 1, vth_mant=1, du=5000, dv=-1)\n"
    )
    assert refusal(PythonFile(path).network).splitlines() == [
        f"{path}:3: population 'a': du is 5000; allowed: 0 to 4095",
        f"{path}:3: population 'a': dv is -1; allowed: 0 to 4095",
    ]


SIGNATURES = {
    "size": ({}, [": network() needs parameter 'size': give --param size=VALUE"]),
    "size=1": ({"sise": 2}, [": network() has no parameter 'sise'; it has: size"]),
    "": ({"a": 1, "b": 2}, [f": network() has no parameter '{x}'; it has: none" for x in "ab"]),
    "*all": ({"all": 1}, [": network() has no parameter 'all'; it has: none"]),
    "a, /": ({"a": 1}, [": network() has no parameter 'a'; it has: none"]),
    "a, *, b": (
        {"c": 1},
        [": network() has no parameter 'c'; it has: a, b"]
        + [f": network() needs parameter '{x}': give --param {x}=VALUE" for x in "ab"],
    ),
}


@pytest.mark.parametrize("signature", SIGNATURES)
def test_parameters_that_do_not_fit(write, signature):
    path = write(MINIMAL.replace("network()", f"network({signature})"))
    given, expected = SIGNATURES[signature]
    assert refusal(PythonFile(path).network, given).splitlines() == [f"{path}{x}" for x in expected]


@pytest.mark.parametrize("signature", ["size=1", "*, size", "**all", "size, **all"])
def test_parameters_that_fit(write, signature):
    path = write(MINIMAL.replace("network()", f"network({signature})"))
    assert PythonFile(path).network({"size": 3}).name == "n"


FUNCTIONS = {
    "def inputs(): return {}": ": it has inputs(); it must take two arguments: inputs(steps, seed)",
    "def inputs(steps): return {}": ": it has inputs(steps); it must take two arguments: inputs(steps, seed)",
    "def inputs(steps, seed): return [1]": ": inputs() returned list; it must return a dictionary from {what}",
    "def inputs(steps, seed): pass": (
        ": inputs() returned nothing: is 'return' missing?; it must return a dictionary from {what}"
    ),
    "def inputs(steps, seed): return {1: 2}": (
        ": inputs() returned dict with keys that are no names; it must return a dictionary from {what}"
    ),
    "def inputs(steps, seed): yield {}": ": inputs() returned generator; it must return a dictionary from {what}",
    "def inputs(steps, seed): return {}[seed]": ":4: KeyError: 7",
}  # fmt: skip


@pytest.mark.parametrize("text", FUNCTIONS)
@pytest.mark.parametrize("name", ["inputs", "rewards"])
def test_what_inputs_and_rewards_return(write, name, text):
    what = {
        "inputs": "the name of an input population to its spikes",
        "rewards": "'r0' or 'r1' to a whole number for each step",
    }[name]
    path = write(MINIMAL + text.replace("inputs", name))
    expected = FUNCTIONS[text].replace("inputs", name).replace("{what}", what)
    assert refusal(getattr(PythonFile(path), name), 5, 7) == f"{path}{expected}"


@pytest.mark.parametrize("text", ["", "inputs = 16\nrewards = 'none'\n", "inputs = None\n"])
def test_a_file_may_have_no_inputs(write, text):
    file = PythonFile(write(MINIMAL + text))
    assert (file.inputs(1, 0), file.rewards(1, 0)) == (None, None)


def test_ctrl_c_goes_through(write):
    path = write("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        PythonFile(path)


def test_a_subclass_of_network_is_one(write):
    path = write(
        "from emulator import Network\nclass Mine(Network): pass\ndef network(): return Mine('own')\n"
    )
    assert isinstance(PythonFile(path).network(), Network)
