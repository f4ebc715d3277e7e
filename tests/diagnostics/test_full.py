"""How diagnostics look, and the places that they name."""

from hypothesis import given
from hypothesis import strategies as st

from secgen_dsl.diagnostics.diagnostic import (
    Diagnostic,
    SecgenError,
    Source,
    Span,
    fail,
    in_order,
    nearest,
)
from secgen_dsl.diagnostics.full import render

TEXT = "first\r\n\tkey\tvalue\nlast"
SOURCE = Source("a.secgen", TEXT)


def at(part: str, **more: str) -> Diagnostic:
    start = TEXT.index(part)
    return Diagnostic("SG110", "a fault", span=Span(SOURCE, start, start + len(part)), **more)


def test_a_diagnostic_in_a_spec() -> None:
    assert render([at("value", label="here", next_step="mend it")]) == (
        "error[SG110]: a fault\n"
        " --> a.secgen:2:6\n"
        "  |\n"
        "2 |  key value\n"
        "  |      ^^^^^ here\n"
        "  next: mend it"
    )


def test_a_span_over_lines_is_marked_to_the_end_of_its_first() -> None:
    assert "3" not in render([at("key\tvalue\nla")])
    assert "  |  ^^^^^^^^^\n" in render([at("key\tvalue\nla")]) + "\n"


def test_a_diagnostic_elsewhere() -> None:
    (found,) = fail("SG411", "no file", place="x.csv", next_step="look").diagnostics
    assert render([found]) == "error[SG411]: no file\n  --> x.csv\n  next: look"
    assert "span" not in found.as_json()


def test_diagnostics_come_in_the_order_of_the_text() -> None:
    placed, first, last = Diagnostic("SG411", "b", place="x"), at("first"), at("last")
    assert in_order([placed, last, first]) == [first, last, placed]
    assert str(SecgenError([last, first])) == "SG110 a fault; SG110 a fault"


def test_control_characters_never_reach_the_terminal() -> None:
    source = Source("s", "evil \x1b[31m text")
    shown = render([Diagnostic("SG110", "\x1b[2J", span=Span(source, 0, 4), label="\x07")])
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_a_long_line_is_cut_around_the_place() -> None:
    source = Source("s", "a" * 5000 + "HERE" + "b" * 5000)
    lines = render([Diagnostic("SG110", "m", span=Span(source, 5000, 5004))]).splitlines()
    assert max(map(len, lines)) < 200
    column = lines[4].index("^")
    assert lines[3][column : column + 4] == "HERE"
    assert lines[4].count("^") == 4


@given(st.text("ab\n\r\t", max_size=40), st.integers(0, 50))
def test_positions_count_lines_and_columns(text: str, offset: int) -> None:
    source = Source("s", text)
    line, column = source.position(offset)
    before = text[:offset]
    assert line == before.count("\n") + 1
    assert column == len(before.rsplit("\n", 1)[-1]) + 1
    assert source.line(line) == text.split("\n")[line - 1].rstrip("\r")
    assert source.line(text.count("\n") + 2) == ""


def test_nearest() -> None:
    assert nearest("epslon", ["delta", "epsilon"]) == 'did you mean "epsilon"?'
    assert nearest("mlh1", ["MSH2", "MLH1"]) == 'did you mean "MLH1"?'
    assert nearest("zzz", ["delta", "epsilon"]) == ""
    assert nearest("a", []) == ""
