"""Tables for any width: nothing is wider, no word or number is broken, names are whole or shortened in the middle."""

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from emulator.observe.tabulated import TextTable, shortened, wrapped

words = st.text("abcdefgh_", min_size=1, max_size=14)
names = st.text("abcdefghijklm_0123", min_size=1, max_size=60) | st.text(
    "ab", min_size=190, max_size=200
)
numbers = st.integers(0, 10**9).map(lambda n: f"{n:,}") | st.sampled_from(["12.3 nJ", "-", "0.0 %"])
widths = st.sampled_from([40, 60, 80, 100, 140]) | st.integers(30, 200)


@st.composite
def tables(draw):
    headers = st.lists(words, min_size=1, max_size=2).map(" ".join)
    columns = [(draw(headers), "name")]
    columns += [(draw(headers), "right") for _ in range(draw(st.integers(0, 8)))]
    columns += [(draw(headers), "text")] * draw(st.integers(0, 1))
    columns += [("", "bar")] * draw(st.integers(0, 1))
    table = TextTable(draw(st.sampled_from([None, "What happened"])), columns)
    kinds = {
        "name": names, "right": numbers, "text": st.lists(words, max_size=9).map(" ".join),
        "bar": st.integers(0, 30).map(lambda n: "#" * n),
    }  # fmt: skip
    for _ in range(draw(st.integers(0, 6))):
        table.add_row(*(draw(kinds[kind]) for _, kind in columns))
    for _ in range(draw(st.integers(0, 1))):
        table.add_total("total", *["9" for _, kind in columns if kind == "right"])
    return table


@given(tables(), widths, st.booleans())
def test_every_table_fits_and_keeps_what_it_says(table, width, unicode):
    lines = [line.plain for line in table.lines(width, unicode=unicode)]
    assert all(len(line) <= width and line == line.rstrip() for line in lines)
    assert unicode or "".join(lines).isascii()
    told = " ".join(lines).replace(",", " ").split()
    for row in table.rows:
        for cell, (_, kind) in zip(row, table.columns, strict=True):
            if kind == "name":
                assert shortened(cell, width - 2, unicode=unicode) in told
            elif kind != "bar":
                assert all(word in told for word in cell.replace(",", " ").split())


@given(names, st.integers(5, 220), st.booleans())
def test_names_are_shortened_in_the_middle_only_where_they_must(name, width, unicode):
    short = shortened(name, width, unicode=unicode)
    if len(name) <= width:
        assert short == name
        return
    head, tail = short.split("…" if unicode else "...")
    assert len(short) in (width, width - 1)
    assert name.startswith(head)
    assert name.endswith(tail)
    assert abs(len(head) - len(tail)) <= 1


def test_from_wide_to_narrow():
    table = TextTable(
        "Populations", [("name", "name"), ("synaptic events", "right"), ("energy", "right")]
    )
    table.add_row("cells_of_the_retina", "1,234,567", "12.3 nJ")
    table.add_row("a", "5", "1 pJ")
    assert [line.plain for line in table.lines(80)] == [
        "Populations",
        "",
        "  name                  synaptic events    energy",
        " ─────────────────────────────────────────────────",
        "  cells_of_the_retina         1,234,567   12.3 nJ",
        "  a                                   5      1 pJ",
        "",
    ]
    assert [line.plain for line in table.lines(42)] == [
        "Populations",
        "",
        "                        synaptic",
        "  name                    events   energy",
        " ─────────────────────────────────────────",
        "  cells_of_the_retina  1,234,567  12.3 nJ",
        "  a                            5     1 pJ",
        "",
    ]  # fmt: skip


def test_long_names_stand_alone_and_numbers_are_never_cut():
    table = TextTable(None, [("name", "name"), ("events", "right"), ("energy", "right")])
    table.add_row("x" * 60, "1,234,567", "12.3 nJ")
    table.add_row("short", "8", "-")
    assert [line.plain for line in table.lines(44)][3:] == [
        "  " + "x" * 21 + "…" + "x" * 20,
        "          1,234,567   12.3 nJ",
        "  short           8         -",
        "",
    ]
    assert [line.plain for line in table.lines(26)][1:] == [
        "  " + "x" * 12 + "…" + "x" * 11,
        "    events 1,234,567,",
        "    energy 12.3 nJ",
        "  short",
        "    events 8, energy -",
        "",
    ]


def test_words_are_wrapped_and_only_too_long_ones_shortened():
    assert wrapped("one two three", 8) == ["one two", "three"]
    assert wrapped("a_very_long_word and", 10) == ["a_ver…word", "and"]
    assert wrapped("", 8) == [""]


def test_a_console_prints_it_at_its_width_and_encoding():
    for encoding, mark in (("utf-8", "…"), ("ascii", "...")):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
        table = TextTable("T", [("name", "name"), ("n", "right")])
        table.add_row("x" * 90, "1")
        Console(file=stream, width=60).print(table)
        text = stream.buffer.getvalue().decode()
        assert mark in text
        assert max(map(len, text.splitlines())) <= 60
