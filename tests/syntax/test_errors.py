"""Specs that cannot be read at all; what cannot stand in `tests/fixtures/syntax.txt`."""

from pathlib import Path

import pytest

from secgen_dsl.diagnostics.diagnostic import SecgenError, Source
from secgen_dsl.syntax.later import LATER
from secgen_dsl.syntax.parser import MAXIMUM_BYTES, parse, read_source
from tests.cases import FIXTURES, read_cases
from tests.study import complete, meaning_faults
from tests.wording import assert_helpful


def test_at_most_twenty_errors() -> None:
    spec = "secgen 1\ntrust {\n" + "tolerate one colluding party\n" * 50 + "}\n"
    with pytest.raises(SecgenError) as error:
        parse(Source("s", spec))
    assert len(error.value.diagnostics) == 20


@pytest.mark.parametrize("word", LATER)
def test_each_word_of_later_releases_has_a_case(word: str) -> None:
    """The cases of `tests/fixtures` hold a line that is rejected by each word's name."""
    cases = [*read_cases(FIXTURES / "syntax.txt"), *read_cases(FIXTURES / "resolve.txt")]
    for case in cases:
        for found in meaning_faults(complete(case.text)):
            span = found.span
            if found.code == "SG112" and span and span.source.text[span.start : span.end] == word:
                return
    raise AssertionError(f"no case for {word}")


@pytest.mark.parametrize("text", ["", "\n\n", "   ", "# only a comment", ";;", "\ufeff", "\t\r\n"])
def test_an_empty_spec(text: str) -> None:
    source = Source("s", text.removeprefix("\ufeff"))
    with pytest.raises(SecgenError) as error:
        parse(source)
    assert [d.code for d in error.value.diagnostics] == ["SG102"]
    assert_helpful(error.value.diagnostics[0])


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x89PNG\r\n\x1a\n", "SG104"),
        ("secgen 1\n".encode("utf-16"), "SG104"),
        (b"secgen 1 # \xff\n", "SG104"),
        (b"#" * (MAXIMUM_BYTES + 1), "SG103"),
        (b"#" * (10 * MAXIMUM_BYTES), "SG103"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, data: bytes, code: str) -> None:
    path = tmp_path / "x.secgen"
    path.write_bytes(data)
    with pytest.raises(SecgenError) as error:
        read_source(path)
    assert [d.code for d in error.value.diagnostics] == [code]
    assert str(path) in error.value.diagnostics[0].where()


def test_bytes_that_utf8_allows_but_no_text_has() -> None:
    with pytest.raises(SecgenError) as error:
        parse(Source("s", "secgen 1\0\n"))
    assert [d.code for d in error.value.diagnostics] == ["SG104"]


def test_the_largest_spec_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.secgen"
    path.write_bytes(b"secgen 1\n" + b"#" * (MAXIMUM_BYTES - 9))
    assert len(read_source(path).text) == MAXIMUM_BYTES


@pytest.mark.parametrize("name", ["missing.secgen", "folder"])
def test_files_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(SecgenError) as error:
        read_source(tmp_path / name)
    assert [d.code for d in error.value.diagnostics] == ["SG101"]
    assert_helpful(error.value.diagnostics[0])


def test_an_endless_file_ends_in_a_diagnostic() -> None:
    with pytest.raises(SecgenError) as error:
        read_source(Path("/dev/zero"))
    assert [d.code for d in error.value.diagnostics] == ["SG103"]
