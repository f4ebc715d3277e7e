"""Each command: what it prints and writes, and how it ends."""

import fcntl
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from secgen_dsl import __version__
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.privacy.guarantees import guarantees
from tests.cli.commands import secgen
from tests.conftest import SPECS

STUDY_A = SPECS / "colorectal.secgen"
STUDY_D = SPECS / "two_hospitals.secgen"
DATA = (
    "--data", f"north={SPECS / 'data/europe.csv.gz'}",
    "--data", f"south={SPECS / 'data/south.csv.gz'}",
)  # fmt: skip
RESULTS = {
    "certificate.json", "description.md", "measurements.json", "measurements.csv",
    "party_program.py", "plan.json", "receipt.json", "study.json", "synthetic.csv",
}  # fmt: skip
PLAN_FIELDS = {
    "ok", "diagnostics", "plan_sha256", "program_sha256", "study_sha256", "budget", "parties",
    "tolerated_colluding", "rounds_of_messages", "bytes_sent_by_each_party", "column_model",
    "pair_model",
    "defaults", "labelled", "queries",
    "guarantees",
}  # fmt: skip
QUERY_FIELDS = {
    "id", "statement", "source", "added_by_the_planner", "measured_as", "tables", "cells",
    "expected",
    "opened_values", "sensitivity_squared", "variance", "party_variance", "share_of_budget",
    "standard_error_people", "standard_error_of_a_sum", "standard_error_of_a_mean",
    "relative_error", "rounds",
    "bytes_sent_by_each_party",
}  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "study d"
    ended = secgen("compile", STUDY_D, "-o", folder)
    assert ended.code == 0
    return folder


def test_version_and_help() -> None:
    assert secgen("--version").out == f"secgen, version {__version__}\n"
    ended = secgen("--help")
    assert ended.code == 0
    for name in ("check", "plan", "compile", "run", "describe"):
        assert f"  {name} " in ended.out
        assert secgen(name, "-h").code == 0


def test_check(colorectal: PlannedStudy) -> None:
    ended = secgen("check", STUDY_A)
    assert ended.code == 0
    assert colorectal.verified.plan_sha256 in ended.out
    assert "is sound" in ended.out
    for marginal in colorectal.plan.program.queries:
        assert marginal.id in ended.out


def test_check_prints_what_it_filled_in() -> None:
    assert "measurements to silos" in secgen("check", STUDY_D).out


def test_check_certify_names_both_accountants() -> None:
    ended = secgen("check", STUDY_D, "--certify", "--json")
    accountants = [a["accountant"] for a in ended.json["certificate"]["accountings"]]
    assert len(accountants) >= 2
    assert any("dp-accounting" in name for name in accountants)


@pytest.mark.parametrize("name", ["check", "plan"])
def test_json_of_check_and_plan(name: str, colorectal: PlannedStudy) -> None:
    ended = secgen(name, STUDY_A, "--json")
    assert ended.code == 0
    data = ended.json
    assert set(data) == PLAN_FIELDS
    assert data["ok"] is True
    assert data["plan_sha256"] == colorectal.verified.plan_sha256
    assert data["budget"]["certified_epsilon"] <= 4
    assert data["parties"] == ["europe", "northeast", "south"]
    assert {frozenset(query) for query in data["queries"]} == {frozenset(QUERY_FIELDS)}
    assert sum(query["share_of_budget"] for query in data["queries"]) == pytest.approx(1)
    lines = STUDY_A.read_text(encoding="utf-8").split("\n")
    for query in data["queries"]:
        assert "marginal" in lines[int(query["source"].split(":")[1]) - 1]


def test_json_of_errors(tmp_path: Path) -> None:
    path = tmp_path / "x.secgen"
    path.write_text(STUDY_A.read_text(encoding="utf-8").replace("epsilon 4", "epsilon 0"))
    for folder in ("panels", "data"):
        (tmp_path / folder).symlink_to(SPECS / folder)
    ended = secgen("check", path, "--json")
    assert ended.code == 1
    assert ended.json["ok"] is False
    (diagnostic,) = ended.json["diagnostics"]
    assert set(diagnostic) == {"code", "severity", "message", "place", "label", "next", "span"}
    assert diagnostic["code"] == "SG301"
    assert diagnostic["span"] == {"line": 42, "column": 11, "end_line": 42, "end_column": 12}
    assert diagnostic["place"] == f"{path}:42:11"


def test_plan_shows_noise_and_bytes() -> None:
    ended = secgen("plan", STUDY_D)
    assert ended.code == 0
    for word in ("σ certified", "σ released", "share of budget", "centred tables", "added: labels"):
        assert word in ended.out


def test_plan_shows_what_the_noise_is_worth_in_other_cases(two_hospitals: PlannedStudy) -> None:
    shown = secgen("plan", STUDY_D).out
    found = secgen("plan", STUDY_D, "--json").json["guarantees"]
    assert found == [one.model_dump(mode="json") for one in guarantees(two_hospitals.plan)]
    rows = [line for line in shown.split("\n") if re.match("(one person|[0-9] people), ", line)]
    assert len(rows) == len(found) == 7
    for row, one in zip(rows, found, strict=True):
        *_, first, second, third = row.split()
        for text, point in zip((first, second, third), one["epsilons"], strict=True):
            exact = float(point["certified"])
            assert exact <= float(text) < 1.011 * exact
    assert "certified bound" in shown
    # Only `plan` shows them: `check` stays short.
    assert "outsiders" not in secgen("check", STUDY_D).out


def test_describe(tmp_path: Path) -> None:
    ended = secgen("describe", STUDY_D)
    assert ended.code == 0
    assert "Two hospitals and a university" in ended.out
    out = tmp_path / "a folder" / "d.md"
    assert secgen("describe", STUDY_D, "-o", out).code == 0
    assert out.read_text(encoding="utf-8") == ended.out.removesuffix("\n")


def test_bundle_holds_what_its_manifest_lists(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    files = {str(p.relative_to(bundle)) for p in bundle.rglob("*") if p.is_file()}
    assert files == {*manifest["files"], "manifest.json"}
    assert (bundle / "spec.secgen").read_bytes() == STUDY_D.read_bytes()
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]


def test_a_bundle_is_the_same_every_time(bundle: Path, tmp_path: Path) -> None:
    assert secgen("compile", STUDY_D, "-o", tmp_path / "again").code == 0
    for path in bundle.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_a_bundle_carries_its_public_tables(tmp_path: Path) -> None:
    assert secgen("compile", STUDY_A, "-o", tmp_path / "b").code == 0
    names = json.loads((tmp_path / "b/public.json").read_text())
    assert set(names) == {"data/colorectal_reference.csv.gz", "panels/cell_cycle.txt"}
    for name, stored in names.items():
        assert (tmp_path / "b" / stored).read_bytes() == (SPECS / name).read_bytes()
    assert (
        secgen("plan", tmp_path / "b", "--json").json["plan_sha256"]
        == (secgen("plan", STUDY_A, "--json").json["plan_sha256"])
    )


def test_compile_replaces_an_older_bundle_only(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "b"
    shutil.copytree(bundle, copy)
    (copy / "plan.json").write_text("old")
    assert secgen("compile", STUDY_D, "-o", copy).code == 0
    assert (copy / "plan.json").read_bytes() == (bundle / "plan.json").read_bytes()
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    ended = secgen("compile", STUDY_D, "-o", other)
    assert (ended.code, ended.codes()) == (1, ["SG702"])
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("name", ["plan", "describe"])
def test_commands_read_bundles(name: str, bundle: Path) -> None:
    ended = secgen(name, bundle)
    assert ended.code == 0
    assert ended.out == secgen(name, STUDY_D).out.replace(
        "filled in    measurements to silos\n", ""
    )


@pytest.mark.parametrize(
    "file",
    ["plan.json", "study.json", "certificate.json", "sources.json", "party_program.py",
     "spec.secgen", "public.json", "manifest.json"],
)  # fmt: skip
@pytest.mark.parametrize("how", ["change", "delete"])
def test_a_changed_bundle_is_refused(bundle: Path, tmp_path: Path, file: str, how: str) -> None:
    copy = tmp_path / "b"
    shutil.copytree(bundle, copy)
    path = copy / file
    if how == "delete":
        path.unlink()
    else:
        data = path.read_bytes()
        path.write_bytes(data[:-2])
        assert path.read_bytes() != data
    ended = secgen("run", copy, *DATA, "--backend", "plaintext", "--out", tmp_path / "out")
    assert (ended.code, ended.codes()) == (1, ["SG703"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("party_program.py", b"THRESHOLD = 1", b"THRESHOLD = 0"),
        ("certificate.json", b'"mu": "', b'"mu": "0'),
        ("public/", b"TCGA", b"TCGB"),
    ],
)
def test_a_bundle_that_was_changed_with_its_manifest_is_refused(
    tmp_path: Path, file: str, old: bytes, new: bytes
) -> None:
    """Whoever can change a file can change its hash beside it: what follows is made again."""
    copy = tmp_path / "b"
    assert secgen("compile", STUDY_A, "-o", copy).code == 0
    manifest = json.loads((copy / "manifest.json").read_text())
    name = next(name for name in manifest["files"] if name.startswith(file))
    data = (copy / name).read_bytes()
    packed = data[:2] == b"\x1f\x8b"
    plain = gzip.decompress(data) if packed else data
    assert old in plain
    changed = plain.replace(old, new, 1)
    (copy / name).write_bytes(changed)
    manifest["files"][name] = hashlib.sha256(changed).hexdigest()
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert secgen("plan", copy).codes() == ["SG703"]


def test_a_manifest_of_great_depth_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("[" * 100_000)
    assert secgen("plan", tmp_path).codes() == ["SG703"]


def test_a_manifest_cannot_reach_outside_its_folder(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "b"
    shutil.copytree(bundle, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["../secret"] = "0" * 64
    (tmp_path / "secret").write_text("x")
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert secgen("plan", copy).codes() == ["SG703"]


def test_run_of_a_bundle(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "results of d"
    ended = secgen("run", bundle, *DATA, "--backend", "plaintext", "--out", out, "--json")
    assert ended.code == 0
    assert {path.name for path in out.iterdir()} == RESULTS | {"parties"}
    assert {Path(name).name for name in ended.json["written"]} == RESULTS
    receipt = json.loads((out / "receipt.json").read_text())
    assert {key: ended.json[key] for key in receipt} == receipt
    assert receipt["plan_sha256"] == secgen("plan", bundle, "--json").json["plan_sha256"]
    assert (out / "plan.json").read_bytes() == (bundle / "plan.json").read_bytes()
    assert len((out / "synthetic.csv").read_text().splitlines()) == 301
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    again = secgen("run", bundle, *DATA, "--backend", "plaintext", "--out", out)
    assert (again.code, again.codes()) == (1, ["SG702"])
    assert {path.name for path in out.iterdir()} == RESULTS | {"parties"}


def test_run_by_several_processes(tmp_path: Path) -> None:
    ended = secgen("run", STUDY_D, "--out", tmp_path / "out")
    assert ended.code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} >= RESULTS
    receipt = json.loads((tmp_path / "out/receipt.json").read_text())
    assert set(receipt["bytes_sent"]) == {"north", "south", "university"}
    assert min(receipt["bytes_sent"].values()) > 0


def test_the_installed_command_from_another_folder(tmp_path: Path) -> None:
    relative = os.path.relpath(STUDY_D, tmp_path)
    command = [Path(sys.executable).with_name("secgen"), "run", relative, "--backend", "plaintext"]
    ended = subprocess.run(
        [*command, "--out", "here/out put"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert {path.name for path in (tmp_path / "here/out put").iterdir()} == RESULTS | {"parties"}


@pytest.mark.parametrize(
    "args",
    [
        ("chek",),
        ("check",),
        ("check", STUDY_D, "more"),
        ("check", STUDY_D, "--jsn"),
        ("run", STUDY_D),
        ("run", STUDY_D, "--out", "o", "--backend", "spark"),
        ("run", STUDY_D, "--out", "o", "--data", "north"),
        ("run", STUDY_D, "--out", "o", "--data", "north=a", "--data", "north=b"),
        ("run", STUDY_D, "--out", "o", "--timeout", "0"),
        ("run", STUDY_D, "--out", "o", "--seed", "x"),
        ("compile", STUDY_D),
    ],
    ids=lambda args: " ".join(str(a).rsplit("/", 1)[-1] for a in args),
)
def test_wrong_usage_exits_2(args: tuple[str | Path, ...]) -> None:
    ended = secgen(*args)
    assert ended.code == 2
    assert "Usage: secgen" in ended.err
    assert ended.out == ""
    assert not Path("o").exists()


def test_an_unknown_command_suggests_the_nearest() -> None:
    assert 'Did you mean "check"?' in secgen("chek").err
    assert "The commands are init, check, plan" in secgen("xyzzy").err


@pytest.mark.parametrize("command", ["run", "compile", "describe"])
def test_places_that_cannot_be_written(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for out in (Path("/proc/nowhere/x"), tmp_path / "file" / "x"):
        ended = secgen(command, STUDY_D, "-o", out)
        assert (ended.code, ended.codes()) == (1, ["SG701"])
        assert str(out) in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("command", ["run", "compile"])
def test_a_file_in_the_place_of_the_folder(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    ended = secgen(command, STUDY_D, "-o", tmp_path / "file")
    assert (ended.code, ended.codes()) == (1, ["SG702"])
    assert (tmp_path / "file").read_text() == "x"


def test_compile_into_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path / "b")
    assert secgen("compile", STUDY_D, "-o", ".").code == 0
    assert (tmp_path / "b" / "manifest.json").is_file()


def test_a_negative_seed_is_wrong_usage(tmp_path: Path) -> None:
    ended = secgen("run", STUDY_D, "--seed", "-1", "--out", tmp_path / "out")
    assert ended.code == 2
    assert not (tmp_path / "out").exists()


def test_two_silos_cannot_have_the_same_file(tmp_path: Path) -> None:
    file = SPECS / "data" / "south.csv.gz"
    ended = secgen(
        "run", STUDY_D, "--data", f"north={file}", "--backend", "plaintext", "--out", tmp_path / "o"
    )
    assert (ended.code, ended.codes()) == (1, ["SG704"])
    assert "two silos" in ended.err


def test_the_receipt_names_the_bytes_of_every_result(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert secgen("run", STUDY_D, "--backend", "plaintext", "--out", out).code == 0
    receipt = json.loads((out / "receipt.json").read_text())
    assert (receipt["epsilon"], receipt["delta"]) == ("1", "1e-5")
    assert set(receipt["files"]) == RESULTS - {"receipt.json"}
    for name, digest in receipt["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest


def test_going_on_from_an_earlier_run_is_announced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert secgen("run", STUDY_D, "--out", out).code == 0
    first = (out / "measurements.json").read_bytes()
    finished = secgen("run", STUDY_D, "--out", out)
    assert finished.codes() == ["SG702"]
    assert f"with --state {out / 'parties'}" in " ".join(finished.err.split())
    for path in out.iterdir():
        if path.name != "parties":
            path.unlink()
    # Other data: the stored counts are used all the same, and the user is told.
    header = tmp_path / "empty.csv"
    header.write_text("patient,subtype,sex,MLH1,MSH2,MSH6,PMS2,EPCAM\n")
    ended = secgen("run", STUDY_D, "--data", f"north={header}", "--out", out)
    assert ended.code == 0
    assert "going on from an earlier run: every silo" in ended.err
    assert "no debit" in ended.err
    assert (out / "measurements.json").read_bytes() == first


def test_output_that_nobody_reads_is_no_fault() -> None:
    command = f"{sys.executable} -m secgen_dsl.cli.main plan {STUDY_A} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "SG900" not in done.stderr


def test_two_runs_cannot_share_a_folder(tmp_path: Path) -> None:
    state = tmp_path / "out" / "parties"
    state.mkdir(parents=True)
    (state / "of-another-run").mkdir()
    held = os.open(state, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        ended = secgen("run", STUDY_D, "--out", tmp_path / "out")
    finally:
        os.close(held)
    assert (ended.code, ended.codes()) == (1, ["SG702"])
    assert "another run" in ended.err
    assert (state / "of-another-run").is_dir()
