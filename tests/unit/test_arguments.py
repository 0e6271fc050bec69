"""Arguments of a wrong kind, where no other test of the part holds them: what was read and what is wanted."""

import pytest

from emulator import Network, load_chip
from emulator.errors import ChipError, NetworkError


@pytest.mark.parametrize("chip", [None, 3, ["loihi"]])
def test_a_chip_is_a_path_or_a_name(chip):
    with pytest.raises(ChipError, match="it must be a path or the name of a shipped chip"):
        load_chip(chip)


def test_what_is_set_in_a_chip_is_a_mapping():
    with pytest.raises(ChipError, match=r"set is \[1\]; it must be a mapping such as"):
        load_chip("tiny", set=[1])


def test_the_name_of_a_projection_is_a_string():
    net = Network()
    source, cells = net.input("a", 1), net.population("b", 1, vth_mant=1)
    with pytest.raises(NetworkError, match="projection 3: a name is a string"):
        net.connect(source, cells, weights=[[2]], name=3)
