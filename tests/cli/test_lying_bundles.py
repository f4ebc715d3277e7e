"""Bundles whose parts, hashes included, were changed by somebody who knows how they are made."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import secgen
from tests.conftest import SPECS

ESCAPE = "\x1b]0;title\x07\n::error::x\n\N{RIGHT-TO-LEFT OVERRIDE}"


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("honest") / "b"
    assert secgen("compile", SPECS / "two_hospitals.secgen", "-o", folder).code == 0
    return folder


@pytest.fixture
def bundle(honest: Path, tmp_path: Path) -> Path:
    shutil.copytree(honest, tmp_path / "b")
    return tmp_path / "b"


def change(folder: Path, name: str, edit: Callable[[Any], None]) -> None:
    data = json.loads((folder / name).read_text())
    edit(data)
    (folder / name).write_text(json.dumps(data))


def set_hashes(folder: Path) -> None:
    """Make the manifest agree with the files, as a careful liar would."""
    from secgen_dsl.ir.base import read_node, sha256_of
    from secgen_dsl.ir.plan import Plan
    from secgen_dsl.ir.program import Study

    manifest = json.loads((folder / "manifest.json").read_text())
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    manifest["plan_sha256"] = sha256_of(read_node(Plan, (folder / "plan.json").read_bytes()))
    manifest["study_sha256"] = sha256_of(read_node(Study, (folder / "study.json").read_bytes()))
    (folder / "manifest.json").write_text(json.dumps(manifest))


def refused(folder: Path, honest: Path) -> list[str]:
    """The message of each command that reads a bundle; every one must end with SG703."""
    said = []
    for args in (
        ("describe", folder),
        ("plan", folder),
        ("plan", folder, "--against", honest),
        ("plan", honest, "--against", folder),
    ):
        ended = secgen(*args, "--json")
        assert (ended.code, ended.codes()) == (1, ["SG703"]), (args, ended)
        (diagnostic,) = ended.json["diagnostics"]
        assert diagnostic["next"]
        said.append(diagnostic["message"])
    return said


def _spec(old: str, new: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "spec.secgen"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    return edit


def _json(name: str, edit: Callable[[Any], None]) -> Callable[[Path], None]:
    return lambda folder: change(folder, name, edit)


def _second(data: Any) -> Any:
    (found,) = (a for a in data["accountings"] if "dp-accounting" in a["accountant"])
    return found


def _lattice(data: Any) -> Any:
    (found,) = (a for a in data["accountings"] if a["role"] == "checks")
    return found


FAKE = {
    "accountant": "A national institute", "version": "9", "covers": "plan", "epsilon": "1",
    "role": "certifies",
}  # fmt: skip
CERTIFICATE = "the certificate does not hold the plan's figures"
PLAN = "the plan is not the one of its spec and public files"
STUDY = "the study is not the one of its spec"
LIES: dict[str, tuple[Callable[[Path], None], str]] = {
    "another epsilon in the spec": (_spec("epsilon ", "epsilon 0.0"), PLAN),
    "no spec in the spec": (_spec("secgen 1", "secgem 1"), "the spec of the bundle has an error"),
    "a file that is not there": (
        _spec("measure {", 'public x from "/etc/passwd" log2\nmeasure {'),
        "the spec of the bundle has an error",
    ),
    "another title in the spec": (_spec('study "', 'study "Not '), STUDY),
    "another title": (_json("study.json", lambda d: d.update(title="Other")), STUDY),
    "a title that steers": (_json("study.json", lambda d: d.update(title=ESCAPE)), STUDY),
    "too few titles": (_json("study.json", lambda d: d["silo_titles"].pop()), STUDY),
    "too many sources": (_json("study.json", lambda d: d["silo_sources"].append("x")), STUDY),
    "other places": (
        _json("sources.json", lambda d: d.update({next(iter(d)): f"x:1{ESCAPE}"})),
        "the places of the queries are not those of its spec",
    ),
    "our number": (
        _json("certificate.json", lambda d: d["accountings"][0].update(epsilon="0.01")),
        CERTIFICATE,
    ),
    "the second number too small": (
        _json("certificate.json", lambda d: _second(d).update(epsilon="0.01")),
        CERTIFICATE,
    ),
    "the second number too large": (
        _json("certificate.json", lambda d: _second(d).update(epsilon="99")),
        CERTIFICATE,
    ),
    "the second number no number": (
        _json("certificate.json", lambda d: _second(d).update(epsilon="1e999999999")),
        CERTIFICATE,
    ),
    "no second accountant": (
        _json("certificate.json", lambda d: d["accountings"].remove(_second(d))),
        CERTIFICATE,
    ),
    "another name of the second": (
        _json("certificate.json", lambda d: _second(d).update(accountant="An institute")),
        CERTIFICATE,
    ),
    "a third accountant": (
        _json("certificate.json", lambda d: d["accountings"].append(FAKE)),
        CERTIFICATE,
    ),
    "the second's role": (
        _json("certificate.json", lambda d: _second(d).update(role="certifies")),
        CERTIFICATE,
    ),
    "the second twice": (
        _json("certificate.json", lambda d: d["accountings"].append(_second(d))),
        CERTIFICATE,
    ),
    "the lattice": (
        _json("certificate.json", lambda d: _lattice(d).update(epsilon="0.9")),
        CERTIFICATE,
    ),
    "what the lattice covers": (
        _json("certificate.json", lambda d: _lattice(d).update(covers="largest group")),
        CERTIFICATE,
    ),
    "a group's guarantee": (
        _json(
            "certificate.json",
            lambda d: d["guarantees"][2]["epsilons"][0].update(certified="1.1"),
        ),
        CERTIFICATE,
    ),
    "the floor": (
        _json("certificate.json", lambda d: d["guarantees"].pop()),
        CERTIFICATE,
    ),
    "a version that steers the terminal": (
        _json("certificate.json", lambda d: _second(d).update(version=ESCAPE)),
        CERTIFICATE,
    ),
    "another release": (
        _json("certificate.json", lambda d: d.update(secgen_version="99.9")),
        CERTIFICATE,
    ),
    "another budget": (_json("certificate.json", lambda d: d.update(epsilon="1/100")), CERTIFICATE),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_part_that_lies_is_refused(bundle: Path, honest: Path, lie: str) -> None:
    tell, message = LIES[lie]
    tell(bundle)
    set_hashes(bundle)
    assert all(said.startswith(message) for said in refused(bundle, honest))


def test_the_honest_bundle_with_its_hashes_set_again_is_read(bundle: Path) -> None:
    """The helper of these tests breaks nothing itself."""
    set_hashes(bundle)
    assert secgen("plan", bundle).code == 0


@pytest.mark.parametrize("name", ["plan_sha256", "study_sha256"])
def test_the_manifest_names_the_plan_and_the_study(bundle: Path, honest: Path, name: str) -> None:
    change(bundle, "manifest.json", lambda data: data.update({name: "0" * 64}))
    assert set(refused(bundle, honest)) == {"the manifest belongs to another plan or study"}


@pytest.mark.parametrize("name", ["manifest.json", "plan.json", "spec.secgen"])
@pytest.mark.parametrize("kind", ["pipe", "link", "device", "large"])
def test_only_regular_files_are_read(bundle: Path, tmp_path: Path, name: str, kind: str) -> None:
    path = bundle / name
    match kind:
        case "pipe":
            path.unlink()
            os.mkfifo(path)
        case "link":
            shutil.move(path, tmp_path / "elsewhere")
            path.symlink_to(tmp_path / "elsewhere")
        case "device":
            path.unlink()
            path.symlink_to("/dev/zero")
        case "large":
            os.truncate(path, 64_000_001)
    assert secgen("plan", bundle).codes() == ["SG703"]


def test_a_gene_list_travels_with_the_bundle(tmp_path: Path) -> None:
    spec = SPECS / "colorectal.secgen"
    assert secgen("compile", spec, "-o", tmp_path / "b").code == 0
    moved = tmp_path / "elsewhere"
    (tmp_path / "b").rename(moved)
    assert secgen("plan", moved).code == 0
    stored = json.loads((moved / "public.json").read_text())["panels/cell_cycle.txt"]
    (moved / stored).write_text((moved / stored).read_text().replace("A", "B", 1))
    set_hashes(moved)
    assert secgen("plan", moved).codes() == ["SG703"]


def test_texts_of_a_spec_do_not_steer_the_terminal(tmp_path: Path) -> None:
    text = (SPECS / "two_hospitals.secgen").read_text(encoding="utf-8")
    spec = tmp_path / "x.secgen"
    spec.write_text(text.replace('study "', 'study "\x1b[2J'), encoding="utf-8")
    for folder in ("panels", "data"):
        (tmp_path / folder).symlink_to(SPECS / folder)
    assert secgen("check", spec).codes() == ["SG207"]
