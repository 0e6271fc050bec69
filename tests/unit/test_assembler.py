"""The assembler: every mistake with file, line, column and token; what is legal survives a round trip."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.errors import MicrocodeError
from emulator.microcode import (
    INSTRUCTIONS,
    assemble,
    assemble_file,
    decoded,
    disassemble,
    listing,
    load_model,
    mistakes_of_steps,
    mistakes_of_words,
    model_text,
    shipped_models,
)
from tests.microcode_programs import programs, texts

LINE = re.compile(r"m\.nasm:\d+:\d+: .+|m\.nasm: and \d+ more mistakes")


def mistakes(text: str) -> list[str]:
    with pytest.raises(MicrocodeError) as error:
        assemble(text, "m", "m.nasm")
    return [line.removeprefix("m.nasm:") for line in str(error.value).splitlines()]


STATE = ".state v s24 wrap\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: there is no instruction"),
        ("FOO r1, 2", "1:1: 'FOO': no instruction; there are RMW, RDC"),
        ("ADDD r1, 2, 3", "1:1: 'ADDD': no instruction; did you mean ADD?"),
        ("ADD r1, 2", "1:1: 'ADD': 2 operands; it takes 3: destination, value, value"),
        ("ADD r1, 2, 3, 4", "1:1: 'ADD': 4 operands; it takes 3"),
        ("MOV r1 2", "1:8: '2': operands are separated by one comma each"),
        ("MOV r1, 2,", "1:10: ',': an operand is missing"),
        ("MOV r16, 2", "1:5: 'r16': there are r0 to r15"),
        ("MOV r1, 2147483648", "1:9: '2147483648': does not fit 32 bits"),
        ("MOV r1, -99999999999999", "1:9: '-99999999999999': does not fit 32 bits"),
        ("MOV 3, 4", "1:5: '3': only a register or a state word can be written"),
        ("MOV r1, x", "1:9: 'x': neither a register nor a declared word"),
        (STATE + "RMW vv", "2:5: 'vv': neither a register nor a declared word; did you mean 'v'?"),
        (".param p u8\nMOV p, 4", "2:5: 'p': only a register or a state word can be written"),
        ("RMW r1", "1:5: 'r1': only a state word is allowed"),
        (STATE + "MOV r1, v", "2:9: 'v': 'v' is not open on every way here; RMW opens it"),
        (STATE + "MOV v, 1", "2:5: 'v': 'v' is not open on every way here; RMW opens it"),
        (
            STATE + "LT 1, 2\nSKP_C 1\nRMW v\nMOV v, 1",
            "5:5: 'v': 'v' is not open on every way here",
        ),
        ("ADD r1, r2, 1", "1:9: 'r2': r2 is read before every way here has written it"),
        ("LT 1, 2\nSKP_C 1\nMOV r1, 1\nMOV r2, r1", "4:9: 'r1': r1 is read before every way"),
        ("SEL r1, 1, 2", "1:1: 'SEL': the flag is used before LT, GE or EQ has set it"),
        ("SKP_C 1\nMOV r1, 1", "1:1: 'SKP_C': the flag is used before"),
        ("LT 1, 2\nSKP_C 2\nMOV r1, 1", "2:7: '2': 2 is outside 1 to 1"),
        ("LT 1, 2\nSKP_C 1", "2:7: '1': nothing follows that could be skipped"),
        ("LT 1, 2\nJMP_C there", "2:7: 'there': there is no such label"),
        (
            "LT 1, 2\nJMP_C ther\nthere:",
            "2:7: 'ther': there is no such label; did you mean 'there'?",
        ),
        ("a: LT 1, 2\nJMP_C a", "2:7: 'a': the label lies before the jump; jumps go forward only"),
        ("a: : MOV r1, 1", "1:4: ':': a line is a label, a directive or an instruction"),
        ("a:\na: MOV r1, 1", "2:1: 'a': there is a label of this name already"),
        ("SHL r1, 1, 32", "1:12: '32': 32 is outside -31 to 31"),
        ("MUL_SHR r1, 1, 1, -1", "1:19: '-1': -1 is outside 0 to 62"),
        ("SPIKE 3", "1:7: '3': a payload needs '.payload TYPE'"),
        (".payload s8\nSPIKE", "2:1: 'SPIKE': '.payload' is declared: give a value"),
        (
            "SPIKE\nSPIKE",
            "2:1: 'SPIKE': a way here has spiked already; a neuron spikes once a step",
        ),
        ("LT 1, 2\nSKP_C 1\nSPIKE\nSPIKE", "4:1: 'SPIKE': a way here has spiked already"),
        ("RDC r1, output", "1:9: 'output': neither a register nor a declared word"),
        (".state v 3..5\nRDC r1, v", "2:9: 'v': 'v' cannot be cleared: its range has no 0"),
        (
            ".state v\nMOV r1, 1",
            "1:8: 'v': a type must follow: s24, u8, LOW..HIGH, chip.u or chip.v",
        ),
        (".state v x8\nMOV r1, 1", "1:10: 'x8': no type; allowed: s1 to s32, u1 to u31"),
        (".state v u32\nMOV r1, 1", "1:10: 'u32': words have s1 to s32, or u1 to u31"),
        (".state v 5..3\nMOV r1, 1", "1:10: '5': a range rises: LOW..HIGH"),
        (".state v s8 warp\nMOV r1, 1", "1:13: 'warp': expected wrap, saturate, clip or = NUMBER"),
        (
            ".state v 0..5 wrap\nMOV r1, 1",
            "1:15: 'wrap': only whole bits can wrap (s24, u8), not 0..5",
        ),
        (".state v chip.u clip\nMOV r1, 1", "1:17: 'clip': the chip decides what chip.u does"),
        (".state v s8 = 200\nMOV r1, 1", "1:15: '200': not within -128..127"),
        (".param p s8 clip\nMOV r1, 1", "1:13: 'clip': expected = NUMBER"),
        (
            ".state r3 s8\nMOV r1, 1",
            "1:8: 'r3': this name has a meaning of its own; choose another",
        ),
        (".state probe s8\nMOV r1, 1", "1:8: 'probe': this name has a meaning of its own"),
        (STATE + STATE + "RMW v", "2:8: 'v': declared twice"),
        (".const A 4\nMOV r1, A", "1:8: 'A': a constant is written .const NAME = NUMBER"),
        (".stat v s8\nMOV r1, 1", "1:1: '.stat': did you mean .state?"),
        (".payload chip.u\nMOV r1, 1", "1:10: 'chip.u': a payload's bits are part of its packet"),
        (".payload s8\n.payload s8\nSPIKE 1", "2:1: '.payload': given twice"),
        ("MOV r1, 1 ; right\n  $", "2:3: '$': no part of a program"),
        ("MOV r1, 5x", "1:9: '5': no part of a program"),
    ],
)
def test_a_mistake_says_where_and_what(text, message):
    assert any(line.startswith(message) for line in mistakes(text)), mistakes(text)


def test_every_mistake_comes_at_once():
    text = ".state v q8\nFOO\nMOV r77, 1\n\nADD r1, r2\n  ~\n"
    assert [line.split(": ")[0] for line in mistakes(text)] == ["1:10", "2:1", "3:5", "5:1", "6:3"]


def test_many_mistakes_are_cut_short():
    found = mistakes("FOO\n" * 1000)
    assert len(found) == 51
    assert found[-1].endswith("and 950 more mistakes")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\xff\xfe", "byte 0xff in line 1 is not UTF-8 text"),
        (b"; " + b"x" * 2**22, "it holds more than 4,194,304 bytes"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, content, message):
    path = tmp_path / "m.nasm"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MicrocodeError, match=message):
        assemble_file(path)


def test_a_folder_is_no_program(tmp_path):
    with pytest.raises(MicrocodeError, match="cannot be read"):
        assemble_file(tmp_path)


@settings(max_examples=1000)
@given(texts() | st.text(max_size=200))
def test_any_text_is_a_program_or_a_list_of_mistakes(text):
    try:
        model = assemble(text, "m", "m.nasm")
    except MicrocodeError as error:
        for line in str(error).splitlines():
            assert LINE.fullmatch(line), line
    else:
        assert not mistakes_of_steps(model)
        assert not mistakes_of_words(model)


@settings(max_examples=300)
@given(programs())
def test_what_is_disassembled_is_the_same_program(text):
    model = assemble(text, "m", "m.nasm")
    again = assemble(disassemble(model), "m", "again.nasm")
    assert (again.states, again.parameters, again.payload) == (
        model.states,
        model.parameters,
        model.payload,
    )
    assert again.steps == model.steps
    assert again.numbers == model.numbers
    assert decoded(model.described(), model.code()) == model


@given(programs(), st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
def test_random_code_is_refused_or_legal(text, words):
    described = assemble(text, "m").described()
    try:
        model = decoded(described, np.array(words, np.uint64))
    except MicrocodeError:
        return
    for _, _, message in mistakes_of_steps(model):
        assert message


@pytest.mark.parametrize("name", shipped_models())
def test_library_models_say_what_they_are(name):
    model = load_model(name)
    assert "Source: " in model.text
    assert "Fixed point: " in model.text or name == "lif"
    assert assemble(disassemble(model), name) == model
    shortest, longest = model.shortest_and_longest()
    assert f"longest way: {len(longest)} instructions" in listing(model)
    assert len(shortest) <= len(longest) <= len(model.steps)
    assert model_text(name).startswith("; ")


def test_ways_by_hand():
    text = "LT 1, 2\nJMP_C far\nLT 1, 2\nSKP_C 2\nMOV r1, 1\nMOV r1, 1\nfar: MOV r2, 1\n"
    model = assemble(text, "m")
    assert model.shortest_and_longest() == ([0, 1, 6], [0, 1, 2, 3, 4, 5, 6])
    assert "shortest way: 3 instructions, 12 cycles: 0-1, 6" in listing(model, 4)


def test_every_instruction_is_encoded_with_a_code_of_its_own():
    assert len({instruction.op for instruction in INSTRUCTIONS.values()}) == len(INSTRUCTIONS) == 18
