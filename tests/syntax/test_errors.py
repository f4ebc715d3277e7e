"""Each syntax error is said once, at its place, with a next step (`errors.cases`)."""

from pathlib import Path

import pytest

from secgen_dsl.diagnostics.diagnostic import SecgenError, Source
from secgen_dsl.syntax.later import LATER
from secgen_dsl.syntax.parser import MAXIMUM_BYTES, parse, read_source
from tests.conftest import SPECS
from tests.syntax.cases import Case, as_expected, assert_helpful, diagnose, read_cases

CASES = tuple(read_cases(Path(__file__).with_name("errors.cases")))
STUDY = (SPECS / "colorectal.secgen").read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name[:60])
def test_errors(case: Case) -> None:
    found = diagnose(case.spec)
    assert as_expected(found) == case.expected
    for diagnostic in found:
        assert_helpful(diagnostic)


def test_errors_far_apart_are_reported_together() -> None:
    spec = STUDY
    for old, new in (
        ("purpose ", "purpos "),
        ("terms open  source", "terms opne  source"),
        ("tolerate 1", "tolerate one"),
        ("key patient", "key"),
        ("0..20 { MLH1", "0-20 { MLH1"),
        ("epsilon 4", "epsilon = 4"),
        ("in 10 equal bins", "in 10 learned bins"),
        ("measurements to silos", "measurement to silos"),
    ):
        assert old in spec
        spec = spec.replace(old, new, 1)
    assert [(d.code, d.span and d.span.line) for d in diagnose(spec)] == [
        ("SG111", 4),
        ("SG111", 15),
        ("SG110", 20),
        ("SG110", 24),
        ("SG110", 37),
        ("SG110", 42),
        ("SG112", 50),
        ("SG111", 55),
    ]


def test_at_most_twenty_errors() -> None:
    spec = "secgen 1\ntrust {\n" + "tolerate one colluding party\n" * 50 + "}\n"
    with pytest.raises(SecgenError) as error:
        parse(Source("s", spec))
    assert len(error.value.diagnostics) == 20


LATER_LINES = {
    "quantile": "marginal subtype * cycle in 4 quantile bins",
    "learned": "marginal subtype * cycle in 4 learned bins using at most 15%",
    "moments": "moments cycle by subtype in 12 factors from elsewhere",
    "pairs": "marginal pairs of cycle in 3 bins from elsewhere",
    "each": "marginal each sex * subtype",
    "share": "marginal subtype share 40%",
    "error": "marginal subtype error 12 people",
    "selected": "marginal subtype selected by variance",
    "per": "at most 1 sample per sex",
    "keep": "keep earliest collected",
    "replace": "replace one person of exactly 1089",
    "expect": "expect subtype MSI ~ 15%",
    "mechanism": "mechanism laplace",
    "noise": "noise joint",
    "number": "age number 0..100",
    "mutation": "flags mutation { NPM1, TP53 }",
    "approval": 'west terms consent "GRU" approval "x"',
    "named": 'samples 10 to named "x"',
    "registered": "samples 10 to registered",
    "sets": 'sets hallmark from "panels/hallmark.gmt"',
    "aligned": 'public other from "data/x.csv" log2 aligned by elsewhere',
    "counts": "panel bulk expression counts as log2(cpm + 1) 0..16 { A }",
    "missing": "panel bulk expression log2 0..16 missing is 0 { A }",
}
AFTER = {
    "per": "person {\n",
    "keep": "person {\n",
    "replace": "privacy {\n",
    "expect": "privacy {\n",
    "mechanism": "privacy {\n",
    "noise": "privacy {\n",
    "number": "columns {\n",
    "mutation": "columns {\n",
    "approval": "# each silo: different patients, the same columns\n",
    "named": "release {\n",
    "registered": "release {\n",
    "sets": "secgen 1\n",
    "aligned": "secgen 1\n",
    "counts": "secgen 1\n",
    "missing": "secgen 1\n",
}


@pytest.mark.parametrize("word", LATER)
def test_words_of_later_releases_are_rejected_by_name(word: str) -> None:
    before = AFTER.get(word, "measure {\n")
    assert before in STUDY
    spec = STUDY.replace(before, f"{before}{LATER_LINES[word]}\n", 1)
    if word == "registered":  # a name like any other to the parser
        spec = spec.replace("  samples 600 to public as csv, h5ad\n", "")
    found = [d for d in diagnose(spec) if d.code == "SG112"]
    assert len(found) == 1
    assert len(diagnose(spec)) == 1
    line = spec.split("\n").index(LATER_LINES[word]) + 1
    assert found[0].span is not None
    assert found[0].span.line == line
    assert spec[found[0].span.start : found[0].span.end] == word
    assert_helpful(found[0])


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
