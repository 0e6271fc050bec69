"""What a result rests on: at most five lines, or all with --verbose."""

from hypothesis import given
from hypothesis import strategies as st

from emulator.observe.render import notes_lines

notes = st.lists(st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=60), max_size=12)  # fmt: skip


def test_few_notes_are_shown_as_they_are():
    assert notes_lines(["a", "b"], verbose=False) == ["a", "b"]
    assert notes_lines(list("abcde"), verbose=False) == list("abcde")


def test_of_many_notes_the_first_are_shown():
    expected = [*"abcd", "3 more with --verbose"]
    assert notes_lines(list("abcdefg"), verbose=False) == expected


def test_long_notes_are_cut():
    lines = notes_lines(["the clock is assumed", "short"], verbose=False, width=12)
    assert lines == ["the clock i…", "short", "these in full with --verbose"]
    lines = notes_lines(["the clock is assumed"] * 6, verbose=False, width=12)
    assert lines == ["the clock i…"] * 4 + ["2 more and these in full with --verbose"]


@given(notes, st.none() | st.integers(20, 60))
def test_lines_are_few_and_fit_and_verbose_has_all(notes, width):
    assert notes_lines(notes, verbose=True, width=width) == notes
    lines = notes_lines(notes, verbose=False, width=width)
    assert len(lines) <= 5
    assert width is None or all(len(line) <= width for line in lines[:4])
    assert lines == notes or lines[-1].endswith("with --verbose")
