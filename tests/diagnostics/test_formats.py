"""The formats for programs: concise, github and sarif."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as SarifLog

from secgen_dsl.diagnostics import concise, github, sarif
from secgen_dsl.diagnostics.codes import TITLES
from secgen_dsl.diagnostics.diagnostic import Diagnostic, Source, Span

TEXT = 'a line\nmarginal süß\tX 100%, "two"\nlast'
SOURCE = Source("specs/a b,ü.secgen", TEXT)


def at(part: str, code: str = "SG205", severity: str = "error") -> Diagnostic:
    start = TEXT.index(part)
    span = Span(SOURCE, start, start + len(part))
    return Diagnostic(code, "100%: no,\x07 really", severity, span, "", "here", "mend: it")  # type: ignore[arg-type]


ELSEWHERE = Diagnostic("SG411", "no file", place="x.csv (north)", next_step="look")
NOWHERE = Diagnostic("SG514", "departs", "warning", next_step="report it")


def test_concise() -> None:
    assert concise.render([ELSEWHERE, NOWHERE, at("X"), at("marginal", severity="warning")]) == (
        "specs/a b,ü.secgen:2:1: warning[SG205]: 100%: no,\ufffd really — next: mend: it\n"
        "specs/a b,ü.secgen:2:14: error[SG205]: 100%: no,\ufffd really — next: mend: it\n"
        "x.csv (north): error[SG411]: no file — next: look\n"
        "warning[SG514]: departs — next: report it"
    )
    assert concise.render([]) == ""


def test_github_escapes_what_its_runner_undoes() -> None:
    (first, second, third) = github.render([NOWHERE, at("line\nmarginal"), ELSEWHERE]).split("\n")
    assert first == (
        "::error file=specs/a b%2Cü.secgen,line=1,col=3,endLine=2,endColumn=9,"
        "title=SG205 an unknown name::100%25: no,\x07 really%0Anext: mend: it"
    )
    assert second.startswith("::warning title=SG514 ")
    assert third == (
        "::error title=SG411 a data file cannot be read::x.csv (north): no file%0Anext: look"
    )
    assert github.render([]) == ""


def run_of(*diagnostics: Diagnostic) -> Any:
    """The only run of a document that the official schema accepts."""
    document = json.loads(sarif.render(diagnostics))
    SarifLog.model_validate(document)
    (run,) = document["runs"]
    return run


def test_sarif_regions_and_rules() -> None:
    run = run_of(ELSEWHERE, at("süß"), at("last", severity="warning"), NOWHERE)
    assert run["columnKind"] == "unicodeCodePoints"
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["SG205", "SG411", "SG514"]
    for rule in rules:
        assert rule["shortDescription"]["text"] == TITLES[rule["id"]]
        assert "## Use instead" in rule["help"]["markdown"]
    first, second, third, fourth = run["results"]
    assert [(r["ruleId"], r["ruleIndex"], r["level"]) for r in run["results"]] == [
        ("SG205", 0, "error"),
        ("SG205", 0, "warning"),
        ("SG411", 1, "error"),
        ("SG514", 2, "warning"),
    ]
    assert first["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "specs/a%20b%2C%C3%BC.secgen"},
                "region": {"startLine": 2, "startColumn": 10, "endLine": 2, "endColumn": 13},
            }
        }
    ]
    assert second["message"]["text"].endswith("\nnext: mend: it")
    assert third["locations"] == [{"logicalLocations": [{"fullyQualifiedName": "x.csv (north)"}]}]
    assert "locations" not in fourth


def test_sarif_without_results_is_a_document() -> None:
    assert run_of()["results"] == []


def test_sarif_names_files_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, uri in (
        ("s.secgen", "s.secgen"),
        (str(tmp_path / "x" / "s.secgen"), "x/s.secgen"),
        ("/elsewhere/s.secgen", "file:///elsewhere/s.secgen"),
    ):
        found = Diagnostic("SG110", "m", span=Span(Source(name, "x"), 0, 1), next_step="n")
        (location,) = run_of(found)["results"][0]["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"] == uri


def test_the_models_of_the_schema_refuse_what_it_does_not_have() -> None:
    document = json.loads(sarif.render([at("last")]))
    document["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["line"] = 1
    with pytest.raises(ValidationError):
        SarifLog.model_validate(document)
