"""A plan that does not verify is not described, in any form, whoever has set its hashes right."""

import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from tests.cli.commands import secgen
from tests.cli.test_lying_bundles import change
from tests.conftest import SPECS
from tests.verifier.leaves import CLAIMED, changed, leaves, pattern

FORMS = ("d.html", "d.md", "d.pdf", "registry.json", "folder")
WHY = {"SG320", "SG321", "SG703"}


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("honest") / "b"
    assert secgen("compile", SPECS / "two_hospitals.secgen", "-o", folder).code == 0
    return folder


def put(folder: Path, plan: Any) -> None:
    """Another plan, with certificate and manifest that name it: only its claims are wrong."""
    (folder / "plan.json").write_text(json.dumps(plan))
    try:
        digest = hashlib.sha256(rfc8785.dumps(plan)).hexdigest()
    except ValueError:  # a number beyond those of JSON
        digest = "0" * 64
    change(folder, "certificate.json", lambda data: data.update(plan_sha256=digest))
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    manifest["plan_sha256"] = digest
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_no_claim_can_be_changed_and_described(honest: Path, tmp_path: Path) -> None:
    """One leaf of each kind that the plan claims, in turn in each form."""
    folder, out = tmp_path / "b", tmp_path / "out"
    shutil.copytree(honest, folder)
    data = json.loads((folder / "plan.json").read_text())
    tried: set[str] = set()
    refused: Counter[str] = Counter()
    for path, value in leaves(data):
        kind = pattern(path)
        if kind in tried or kind not in CLAIMED:
            continue
        other = CLAIMED[kind](value)
        if other == value:
            continue
        tried.add(kind)
        put(folder, changed(data, path, other))
        out.mkdir()
        ended = secgen("describe", folder, "-o", out / FORMS[len(tried) % len(FORMS)])
        assert ended.code == 1, kind
        assert set(ended.codes()) <= WHY, (kind, ended.err)
        refused.update(set(ended.codes()))
        assert "next:" in ended.err
        assert list(out.iterdir()) == [], kind
        out.rmdir()
    assert len(tried) > 60
    assert refused["SG320"] > 30, refused
    put(folder, data)
    assert secgen("describe", folder).code == 0


def weakened(data: Any) -> Any:
    """Half of the noise of one query."""
    data = json.loads(json.dumps(data))
    data["rounds"][0]["releases"][0]["noise"]["variance"] = "1/16"
    return data


@pytest.mark.parametrize("form", ["printed", *FORMS])
def test_a_weakened_plan_is_not_described(form: str, honest: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(honest, tmp_path / "b"))
    put(folder, weakened(json.loads((folder / "plan.json").read_text())))
    out = tmp_path / form
    asked = () if form == "printed" else ("-o", out)
    ended = secgen("describe", folder, *asked)
    assert (ended.code, set(ended.codes()) <= WHY, ended.out) == (1, True, "")
    assert not out.exists()
    if form in {"printed", "folder"}:
        return
    out.write_text("an earlier document")  # stays as it is
    assert secgen("describe", folder, *asked).code == 1
    assert out.read_text() == "an earlier document"
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(["b", form])


def test_a_plan_by_hand_is_none_to_describe(honest: Path, tmp_path: Path) -> None:
    """Only a spec or a bundle: a plan alone lacks the study, and says what it is compared with."""
    plan = tmp_path / "plan.json"
    shutil.copyfile(honest / "plan.json", plan)
    ended = secgen("describe", plan, "-o", tmp_path / "d.md")
    assert (ended.code, ended.codes()) == (1, ["SG110"])
    plan.write_text(json.dumps(weakened(json.loads(plan.read_text()))))
    ended = secgen("describe", honest, "--against", plan, "-o", tmp_path / "d.md")
    assert (ended.code, set(ended.codes())) == (1, {"SG320"})
    data = json.loads((honest / "plan.json").read_text())
    data["program"]["person"]["people_bound"] = 2**60  # has no canonical form, hence no hash
    plan.write_text(json.dumps(data))
    assert secgen("describe", honest, "--against", plan).codes() == ["SG703"]
    assert not (tmp_path / "d.md").exists()


def test_a_document_whose_plan_was_altered_does_not_hold(honest: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(honest, tmp_path / "b"))
    document = tmp_path / "d.html"
    assert secgen("describe", folder, "-o", document).code == 0
    before = document.read_bytes()
    data = json.loads((folder / "plan.json").read_text())
    put(folder, weakened(data))
    ended = secgen("describe", folder, "--check", document)
    assert (ended.code, set(ended.codes()) <= WHY) == (1, True)
    # Another valid plan, of a spec that was edited.
    spec = tmp_path / "edited.secgen"
    text = (SPECS / "two_hospitals.secgen").read_text("utf-8")
    spec.write_text(text.replace("epsilon 1", "epsilon 2"), "utf-8")
    ended = secgen("describe", spec, "--check", document)
    assert (ended.code, ended.codes()) == (1, ["SG710"])
    assert document.read_bytes() == before
