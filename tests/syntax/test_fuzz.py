"""Whatever the text, the front end ends in a tree or in diagnostics, and in reasonable time."""

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.diagnostics.full import render
from secgen_dsl.syntax.parser import MAXIMUM_BYTES, read_source
from tests.conftest import SPECS
from tests.generated.studies import FULL
from tests.study import meaning_faults, syntax_faults
from tests.wording import assert_helpful

SPEC_FILES = sorted(SPECS.glob("*.secgen"))
STUDIES = [path.read_text(encoding="utf-8") for path in SPEC_FILES]
TOKENS = [re.findall(r'"[^"\n]*"|#[^\n]*|\w+|\s+|.', text) for text in STUDIES]


def read(text: str) -> None:
    """Diagnoses; what is found must be helpful, point into the text and be printable."""
    found = meaning_faults(text, SPECS)
    for diagnostic in found:
        assert_helpful(diagnostic)
        if diagnostic.span is not None:
            assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(text) + 1
    assert bool(render(found)) == bool(found)


@given(st.text(max_size=300))
@example("$END")
@example("None you.")
def test_any_text(text: str) -> None:
    read(text)


@given(st.binary(max_size=300))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.secgen"
    path.write_bytes(data)
    try:
        text = read_source(path).text
    except SecgenError as error:
        codes = [d.code for d in error.diagnostics]
    else:
        read(text)
        codes = ["SG104"]
    assert codes == ["SG104"]


@given(st.lists(st.sampled_from([*'{}",;*#\n ', "..", "\\", *TOKENS[0], *TOKENS[1]]), max_size=60))
def test_any_tokens(tokens: list[str]) -> None:
    read("".join(tokens))


@given(st.data())
def test_edited_tokens(data: st.DataObject) -> None:
    tokens = list(data.draw(st.sampled_from(TOKENS)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(tokens) - 1))
        match data.draw(st.sampled_from(["delete", "duplicate", "swap", "insert"])):
            case "delete":
                del tokens[at]
            case "duplicate":
                tokens.insert(at, tokens[at])
            case "swap":
                other = data.draw(st.integers(0, len(tokens) - 1))
                tokens[at], tokens[other] = tokens[other], tokens[at]
            case _:
                tokens.insert(at, data.draw(st.text(max_size=3)))
    read("".join(tokens))


@pytest.mark.parametrize("tokens", TOKENS, ids=[path.stem for path in SPEC_FILES])
def test_any_one_lost_token_gives_one_syntax_error_at_most(tokens: list[str]) -> None:
    """The promise of LANGUAGE rule 4: one typo does not make ten."""
    for at in range(0, len(tokens), 1 if FULL else 3):
        found = syntax_faults("".join(tokens[:at] + tokens[at + 1 :]))
        assert len(found) <= 1, render(found)


@pytest.mark.parametrize(
    "text",
    [
        "trust {\n" * 20_000,
        "}" * 900_000,
        "{" * 900_000,
        '"' * 900_000,
        " " * 900_000,
        "a " * 50_000,
        "a" * 900_000,
        "\\" * 900_000,
        "#\n" * 50_000,
        ";" * 900_000,
        "secgen 1\n" * 50_000,
        "columns { c category { " + "a, " * 30_000 + "}",
        "columns { c category { " + "a; " * 30_000,
        "measure { marginal a" + " *\n" * 50_000,
        "simulate {\n" + 'a b "c"\n' * 20_000 + "}",
        "privacy { epsilon " + "9" * 900_000 + " }",
        "privacy { epsilon 1e" + "9" * 900_000 + " }",
        'study "' + "\\\\" * 50_000 + '" { }',
        'study "' + "\\n" * 50_000 + '" { }',
    ],
    ids=lambda text: repr(text[:24]),
)
def test_large_odd_texts_end_soon(text: str) -> None:
    assert len(text) <= MAXIMUM_BYTES
    start = time.process_time()
    read(text)
    assert time.process_time() - start < 60  # what is not linear takes many minutes
