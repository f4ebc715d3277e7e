"""Each code has a page, and what the page shows is true: its blocks are run."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from secgen_dsl.diagnostics.codes import TITLES
from secgen_dsl.diagnostics.pages import HEADINGS, Part, page_of
from tests.cases import Case
from tests.cli.commands import Ended, secgen
from tests.conftest import ROOT
from tests.study import FOLDER, all_faults, complete
from tests.test_cases import site_table
from tests.wording import blames

PAGES = ROOT / "secgen_dsl" / "diagnostics" / "pages"

NOT_RUN = {
    # Plans that no spec yields (tests/verifier makes them by hand), an accountant that errs.
    *("SG320", "SG321"),
    # A sampler that breaks; tables given to a backend past the commands.
    *("SG401", "SG417"),
    # A remark of `check-data` on what is allowed (tests/cli/test_check_data.py).
    "SG425",
    # Several parties, one of which is changed, killed or late (tests/mpyc).
    *("SG501", "SG502", "SG503", "SG504", "SG505", "SG506", "SG507", "SG508", "SG509"),
    "SG530",
    *("SG510", "SG511", "SG512", "SG513", "SG514", "SG515", "SG516", "SG517", "SG518"),
    # A relay, a proxy or a peer that is not there or is another (tests/runtime/test_relay.py,
    # tests/network).
    *("SG525", "SG526", "SG527", "SG528"),
    # Evidence of several sites, and warnings of an audit (tests/cli/test_audit.py).
    *("SG533", "SG534", "SG535"),
    # What a doctor finds between sites (tests/cli/test_doctor.py).
    *("SG551", "SG552", "SG553", "SG554", "SG555", "SG556", "SG557"),
    # Synthesis and evaluation need a run (tests/synthesis, evaluation, cli/test_synthesize.py).
    *("SG603", "SG606", "SG607", "SG608", "SG609", "SG610", "SG611", "SG612", "SG613"),
    "SG614",
    "SG615",
    *("SG620", "SG621", "SG622"),
    # Real and synthetic rows that do not go together (tests/cli/test_evaluate.py).
    *("SG713", "SG714", "SG715", "SG716", "SG717", "SG718", "SG719", "SG720"),
    # Descriptions, with what a spec has and has not (tests/describe/test_documents.py).
    *("SG709", "SG710", "SG711", "SG712"),
    # Warnings of a ledger (tests/runtime/test_ledger.py).
    *("SG805", "SG806"),
    # Faults of secgen or the machine, and the keyboard (tests/cli).
    *("SG900", "SG901", "SG902"),
}


def codes_of(part: Part, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The codes that a block gives."""
    if part.kind == "secgen":
        return [found.code for found in all_faults(complete(part.text))]
    if part.kind == "table":
        case = Case("", {"file": part.name}, part.text, ())
        return [found.code for found in site_table(case)]
    assert part.kind == "console", f"a fence that no test knows: {part.kind}"
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    monkeypatch.chdir(folder)
    codes: list[str] = []
    said = ""
    for line in part.text.splitlines():
        if line.startswith("$ secgen "):
            command, _, answers = line.partition(" < ")
            stdin = (folder / answers).read_text() if answers else ""
            ended: Ended = secgen(*shlex.split(command)[2:], stdin=stdin)
            said = ended.out + ended.err
            codes += ended.codes()
            assert (ended.code == 0) == (not ended.codes()), said
        elif line.startswith("$ "):
            subprocess.run(["bash", "-c", line[2:]], check=True, cwd=folder)
        else:
            assert line in said
    return codes


@pytest.mark.parametrize("code", TITLES)
def test_each_code_has_a_page_of_four_parts(code: str) -> None:
    page = page_of(code)
    assert tuple(page.sections) == HEADINGS
    assert page.markdown.startswith(f"## {HEADINGS[0]}\n")
    assert 10 <= len(page.markdown.splitlines()) <= 45
    for heading in HEADINGS:
        assert page.parts(heading), heading
        for part in page.parts(heading):
            assert part.kind != "prose" or not blames(part.text), part.text
            assert part.kind != "prose" or "```" not in part.text, "a fence that is not closed"


@pytest.mark.parametrize("code", [code for code in TITLES if code not in NOT_RUN])
def test_examples(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = page_of(code)
    shown = [part for part in page.parts("Example") if part.kind != "prose"]
    assert shown, "the example needs a block that can be run, or its code stands in NOT_RUN"
    for number, part in enumerate(shown):
        assert set(codes_of(part, tmp_path / f"a{number}", monkeypatch)) == {code}
    instead = [part for part in page.parts("Use instead") if part.kind != "prose"]
    assert instead, "what is used instead needs a block, too"
    for number, part in enumerate(instead):
        assert codes_of(part, tmp_path / f"b{number}", monkeypatch) == []


@pytest.mark.parametrize("code", sorted(NOT_RUN))
def test_examples_that_are_not_run_are_marked_as_text(code: str) -> None:
    page = page_of(code)
    kinds = {part.kind for part in page.parts("Example")} - {"prose"}
    assert kinds == {"text"}
    warnings = {"SG425", "SG615", "SG712", "SG716", "SG719", "SG720"}
    warnings |= {"SG534", "SG535", "SG557", "SG805", "SG806"}
    severity = "warning" if code in warnings else "error"
    assert f"{severity}[{code}]: " in page.sections["Example"]


def test_pages_are_written_as_the_readme_says() -> None:
    assert {path.name for path in PAGES.iterdir()} == {"README.md", *(f"{c}.md" for c in TITLES)}
    readme = (PAGES / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"`## ([^`]+)`", readme) == list(HEADINGS)
