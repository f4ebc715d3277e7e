"""What one edit of a spec changes, line by line; and that no part of a plan changes unsaid."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from secgen_dsl.cli.comparison import compare
from secgen_dsl.cli.study import PlannedStudy, plan_spec
from secgen_dsl.describe.difference import Difference
from secgen_dsl.ir.base import canonical_json
from tests.cli.commands import secgen
from tests.conftest import SPECS

HERE = Path(__file__).resolve().parent
STUDY = HERE / "study"
SPECS_OF = {"study.secgen": "differences.txt", "structure.secgen": "differences_structure.txt"}
"""Spec in the folder → its cases.  One has tables only, the other moments and learned bins."""

# One release of secgen has one format and one field.
FIXED = {"format", "program.format", "modulus"}


@dataclass(frozen=True)
class Case:
    """Attributes: above: the title and the edits, as they stand in the file."""

    above: str
    said: str

    @property
    def title(self) -> str:
        return self.above.split("\n")[0]

    def edit(self, text: str) -> str:
        lines = [line.replace("\\n", "\n") for line in self.above.split("\n")[1:]]
        for old, new in zip(lines[::2], lines[1::2], strict=True):
            assert (old[:2], new[:2]) == ("- ", "+ "), self.title
            assert old[2:] in text, (self.title, old)
            text = text.replace(old[2:], new[2:])
        return text


def read_cases(spec: str) -> list[Case]:
    blocks = (HERE / SPECS_OF[spec]).read_text(encoding="utf-8").split("\n=== ")[1:]
    parts = [block.partition("\n---\n") for block in blocks]
    return [Case(above, said.strip("\n")) for above, _, said in parts]


@dataclass(frozen=True)
class Edited:
    base: PlannedStudy
    cases: dict[str, PlannedStudy]


@pytest.fixture(scope="module")
def base() -> PlannedStudy:
    return plan_spec(STUDY / "study.secgen")


@pytest.fixture(scope="module")
def all_edited(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Edited]:
    """Every case of every spec, planned."""
    folder = tmp_path_factory.mktemp("edited")
    shutil.copytree(STUDY, folder, dirs_exist_ok=True)
    found = {}
    for name in SPECS_OF:
        text = (STUDY / name).read_text(encoding="utf-8")
        planned = {}
        for case in read_cases(name):
            spec = folder / "edited.secgen"
            spec.write_text(case.edit(text), "utf-8")
            planned[case.title] = plan_spec(spec)
        found[name] = Edited(plan_spec(STUDY / name), planned)
    return found


def said_of(found: Difference) -> str:
    lines = [f"{s.title} | {change.words()}" for s in found.sections for change in s.changes]
    return "\n".join(lines + [f"prose | {change.words()}" for change in found.prose])


@pytest.mark.parametrize("spec", SPECS_OF)
def test_recorded_cases(spec: str, all_edited: dict[str, Edited]) -> None:
    """Exactly the lines that must appear, and no others."""
    found, path = all_edited[spec], HERE / SPECS_OF[spec]
    forth = {title: compare(found.base, case) for title, case in found.cases.items()}
    back = {title: compare(case, found.base) for title, case in found.cases.items()}
    said = {title: said_of(one) for title, one in forth.items()}
    if os.environ.get("SECGEN_UPDATE_GOLDEN"):
        top = path.read_text(encoding="utf-8").partition("\n=== ")[0]
        blocks = [f"\n=== {case.above}\n---\n{said[case.title]}\n" for case in read_cases(spec)]
        path.write_text(top + "".join(blocks), encoding="utf-8")
    assert {case.title: case.said for case in read_cases(spec)} == said
    for title, planned in found.cases.items():
        same = planned.verified.plan_sha256 == found.base.verified.plan_sha256
        for each in (forth[title], back[title]):
            assert (each.same, bool(each.sections)) == (same, not same), title
        turn_around(title, forth[title], back[title])


def turn_around(title: str, forth: Difference, back: Difference) -> None:
    """From new to old every change is the same one backwards."""
    changes = [c for s in forth.sections for c in s.changes]
    turned = {c.what: c for s in back.sections for c in s.changes}
    assert {c.what for c in changes} == set(turned), title
    for change in changes:
        other = turned[change.what]
        assert (change.before, change.after) == (other.after, other.before), title
        if change.factor is not None:
            assert other.factor == pytest.approx(1 / change.factor)


def leaves(data: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(data, dict | list):
        pairs = data.items() if isinstance(data, dict) else enumerate(data)
        for key, value in pairs:
            yield from leaves(value, f"{path}.{key}".strip("."))
    else:
        yield path, data


def test_every_part_of_a_plan_is_in_some_case(all_edited: dict[str, Edited]) -> None:
    """Together with the recorded lines: nothing of a plan can change unsaid."""
    parts, touched = set(), set()
    for edited in all_edited.values():
        old = dict(leaves(json.loads(canonical_json(edited.base.plan))))
        parts |= set(old)
        for planned in edited.cases.values():
            new = dict(leaves(json.loads(canonical_json(planned.plan))))
            touched |= {path for path, _ in old.items() ^ new.items()}
    kinds = [
        {re.sub(r"\.[0-9]+(?=\.|$)", ".*", path) for path in each} for each in (parts, touched)
    ]
    assert kinds[0] - kinds[1] == FIXED


def test_a_plan_against_itself(base: PlannedStudy) -> None:
    found = compare(base, base)
    assert (found.same, found.sections, found.prose) == (True, (), ())


def test_command(base: PlannedStudy, tmp_path: Path) -> None:
    new, bundle = tmp_path / "new.secgen", tmp_path / "bundle"
    shutil.copytree(STUDY, tmp_path, dirs_exist_ok=True)
    text = (STUDY / "study.secgen").read_text(encoding="utf-8")
    new.write_text(text.replace("epsilon 1", "epsilon 2"), encoding="utf-8")
    assert secgen("compile", STUDY / "study.secgen", "-o", bundle).code == 0
    ended = secgen("plan", new, "--against", bundle)
    assert ended.code == 0
    assert "an approval of the old one does not cover the new one" in ended.out
    assert "epsilon: 1 → 2 (× 2)" in ended.out
    data = secgen("plan", new, "--against", bundle, "--json").json
    assert data["ok"] is True
    assert data["approval_of_old_covers_new"] is False
    assert data["old_plan_sha256"] == base.verified.plan_sha256
    assert data["sections"][0]["title"] == "promise"
    change = {"what": "epsilon", "old": "1", "new": "2", "factor": 2.0, "note": ""}
    assert data["sections"][0]["changes"][0] == change | {"words": "epsilon: 1 → 2 (× 2)"}
    same = secgen("plan", bundle, "--against", STUDY / "study.secgen")
    assert "an approval of the old one covers the new one" in same.out
    assert "→" not in same.out


def test_command_with_an_old_plan_that_is_none(tmp_path: Path) -> None:
    ended = secgen("plan", STUDY / "study.secgen", "--against", tmp_path / "absent.secgen")
    assert (ended.code, ended.codes()) == (1, ["SG101"])


def test_command_with_the_results_of_a_run(base: PlannedStudy, tmp_path: Path) -> None:
    out = tmp_path / "out"
    spec = SPECS / "two_hospitals.secgen"
    ran = secgen("run", spec, "--mock", "20", "--backend", "plaintext", "--out", out)
    assert ran.code == 0, ran.err
    for old in (out, out / "plan.json"):
        same = secgen("plan", spec, "--against", old)
        assert same.code == 0, same.err
        assert "an approval of the old one covers the new one" in same.out
        assert "prose is not compared" in same.out
        other = secgen("plan", STUDY / "study.secgen", "--against", old, "--json").json
        assert other["new_plan_sha256"] == base.verified.plan_sha256
        assert (other["same_plan"], other["prose"]) == (False, None)
    # Elsewhere a spec or a bundle is needed: a plan alone does not hold all that a run needs.
    for command in ("plan", "describe", "run"):
        more = ("--out", tmp_path / "again") if command == "run" else ()
        ended = secgen(command, out, *more)
        assert (ended.code, ended.codes()) == (1, ["SG703"]), command
        assert f"--against {out}" in ended.err


def test_command_with_results_that_lie(tmp_path: Path) -> None:
    spec = SPECS / "two_hospitals.secgen"
    plan = json.loads(canonical_json(plan_spec(spec).plan))
    receipt = {"plan_sha256": "0" * 64}
    (tmp_path / "receipt.json").write_text(json.dumps(receipt), encoding="utf-8")
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    ended = secgen("plan", spec, "--against", tmp_path)
    assert (ended.code, ended.codes()) == (1, ["SG703"])
    (tmp_path / "receipt.json").unlink()
    plan["rounds"][0]["releases"][0]["noise"]["variance"] = "1/16"
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    ended = secgen("plan", spec, "--against", tmp_path / "plan.json")
    assert (ended.code, set(ended.codes())) == (1, {"SG320"})
    (tmp_path / "plan.json").write_text("{}", encoding="utf-8")
    assert secgen("plan", spec, "--against", tmp_path / "plan.json").codes() == ["SG703"]
