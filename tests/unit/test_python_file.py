from emulator.importers.python_file import PythonFile
from tests.unit.test_cli import NETWORK


def test_a_network_file_is_a_module_of_its_own(tmp_path):
    (tmp_path / "sizes.py").write_text("SIZE = 8\n")
    settings = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "from sizes import SIZE\n@dataclass\nclass Settings:\n    size: int = SIZE\n"
        "if __name__ == '__main__':\n    raise SystemExit\n"
    )
    (tmp_path / "numpy.py").write_text(settings + NETWORK.replace("size=8", "size=Settings().size"))
    file = PythonFile(tmp_path / "numpy.py")
    assert file.network().name == "demo"
    assert file.inputs(3, 0)["in"].shape == (3, 8)
