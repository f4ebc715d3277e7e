"""Descriptions with approvals, a site's ledger, and what a run between sites left."""

import json
import shutil
from pathlib import Path

import pytest

from secgen_dsl.backends.bundle import write_bundle
from secgen_dsl.cli.bundling import bundle_of
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.runtime.trust.approvals import FOLDER, approval_path
from tests.cli.commands import secgen
from tests.conftest import SPECS
from tests.field import FieldRun

PARTIES = ("north", "south", "university")


def rows_of(text: str, caption: str) -> list[list[str]]:
    """The cells of the Markdown table that follows a caption."""
    lines = text[text.index(caption) :].split("\n\n")[1].split("\n")
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def annex(text: str) -> str:
    return text[text.index("## Annex D. After the run") :].partition("\n## ")[0]


@pytest.fixture(scope="module")
def approved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that two of three officers have approved, and consortium.toml, by the commands."""
    folder = tmp_path_factory.mktemp("approved")
    bundle = folder / "b"
    assert secgen("compile", SPECS / "two_hospitals.secgen", "-o", bundle).code == 0
    for name in PARTIES:
        assert secgen("keygen", "--party", name, "-o", folder / name).code == 0
    files = [folder / name / "party.toml" for name in PARTIES]
    relay = ("--relay", "relay.example.org:443")
    assert secgen("consortium", *files, "-o", folder / "c.toml", *relay).code == 0
    for name in PARTIES[:2]:
        key = folder / name / "officer.key"
        assert secgen("approve", bundle, "--party", name, "--key", key, "--yes").code == 0
    return folder


def test_approvals_are_verified(approved: Path, tmp_path: Path) -> None:
    shutil.copytree(approved, tmp_path, dirs_exist_ok=True)
    bundle, consortium = tmp_path / "b", ("--consortium", tmp_path / "c.toml")
    text = secgen("describe", bundle, *consortium).out
    assert [row[3] for row in rows_of(text, ".** Approvals signed by")] == [
        "valid: covers this plan and study", "valid: covers this plan and study", "not signed",
    ]  # fmt: skip
    assert "2 of 3" in text[:2000]
    # One is changed; one is of the same officer, for another plan.
    north, south = (approval_path(bundle, name) for name in PARTIES[:2])
    north.write_bytes(north.read_bytes().replace(b'"date": "2', b'"date": "1'))
    other = SPECS / "two_hospitals.secgen"
    edited = tmp_path / "other.secgen"
    edited.write_text(other.read_text("utf-8").replace("epsilon 1", "epsilon 2"), "utf-8")
    assert secgen("compile", edited, "-o", tmp_path / "b2").code == 0
    key = tmp_path / "south" / "officer.key"
    ended = secgen("approve", tmp_path / "b2", "--party", "south", "--key", key, "--yes")
    assert ended.code == 0, ended.err
    shutil.copyfile(approval_path(tmp_path / "b2", "south"), south)
    text = secgen("describe", bundle, *consortium, "--language", "en").out
    assert [row[2:] for row in rows_of(text, ".** Approvals signed by")] == [
        ["", "no approval: not what this key has signed"],
        ["", "not valid: signed for another plan or study"],
        ["", "not signed"],
    ]
    assert "valid: covers" not in text
    spec = secgen("describe", other, *consortium)
    assert spec.codes() == ["SG709"]


@pytest.fixture(scope="module")
def bundle(
    field_run: FieldRun, two_hospitals: PlannedStudy, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "b"
    write_bundle(folder, bundle_of(two_hospitals))
    shutil.copytree(field_run.field.folder / "approvals", folder / FOLDER)
    return folder


def test_a_run_between_sites_with_its_ledger(
    field_run: FieldRun, bundle: Path, tmp_path: Path
) -> None:
    field, results = field_run.field, field_run.complete["north"]
    options = (
        *("--consortium", field.consortium, "--run", results),
        *("--ledger", field.state("north") / "store.sqlite"),
    )
    ended = secgen("describe", bundle, *options, "-o", tmp_path / "d.md")
    assert ended.code == 0, ended.err
    text = (tmp_path / "d.md").read_text("utf-8")
    receipt = json.loads((results / "party-receipt.json").read_bytes())
    told = annex(text)
    rows = {row[0]: row[1:] for row in rows_of(told, "What each party attests")}
    assert list(rows) == list(PARTIES)
    own = [f"`{receipt[name]}`" for name in (
        "outcome", "transcript_sha256", "ledger_entry")]  # fmt: skip
    assert rows["north"][:3] == own
    assert rows["north"][3] == rows["north"][4] == f"{receipt['bytes_sent']:,}"
    assert rows["south"][:4] == ["not in this folder"] * 4
    assert "**Deviations from a smooth run: none**, by the records of messages of north." in told
    assert "keys of the given list of parties" in told
    assert "Checks that fail" not in told
    assert "rehearsal" not in told
    assert "ran on one machine" not in told
    for name in ("measurements.json", "synthetic.csv"):
        assert name in told
    assert rows_of(text, ".** Entries in the ledger of")[0][1].strip("`") in receipt["plan_sha256"]
    assert "One of them is of this plan" in text
    assert secgen("describe", bundle, *options, "--check", tmp_path / "d.md").code == 0
    again = secgen("describe", bundle, *options[:4], "--check", tmp_path / "d.md")
    assert again.codes() == ["SG709"]


def test_results_that_were_changed_or_forged_are_said_to_be(
    field_run: FieldRun, bundle: Path, approved: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    shutil.copytree(field_run.complete["north"], results)
    (results / "synthetic.csv").write_text("other")
    told = annex(secgen("describe", bundle, "--run", results).out)
    assert "Checks that fail" in told
    assert "synthetic.csv" in told.partition("Checks that fail")[2]
    assert "run: none" not in told
    assert "whose keys these are is not checked" in told
    # Signed by machines of which the reader's list knows nothing.
    foreign = ("--consortium", approved / "c.toml", "--run", field_run.complete["north"])
    told = annex(secgen("describe", bundle, *foreign).out)
    assert "Checks that fail" in told
    assert "certificates and officers" in told


def test_a_run_that_did_not_go_smoothly(field_run: FieldRun, bundle: Path, tmp_path: Path) -> None:
    """The stopped run has no results to describe; its record beside results is told."""
    ended = secgen("describe", bundle, "--run", field_run.stopped["north"])
    assert ended.codes() == ["SG531"]
    results = tmp_path / "results"
    shutil.copytree(field_run.complete["north"], results)
    for name in ("party-receipt.json", "transcript.jsonl"):
        shutil.copyfile(field_run.stopped["north"] / name, results / name)
    told = annex(secgen("describe", bundle, "--run", results, "--language", "en").out)
    assert "Deviations from a smooth run" in told
    assert "an abort was" in told
    assert "Checks that fail" in told


def test_one_process_leaves_no_record(tmp_path: Path) -> None:
    spec, out = SPECS / "two_hospitals.secgen", tmp_path / "out"
    ran = secgen("run", spec, "--mock", "20", "--backend", "plaintext", "--out", out)
    assert ran.code == 0, ran.err
    told = annex(secgen("describe", spec, "--run", out).out)
    assert "This was a rehearsal" in told
    assert "One process ran the plaintext reference" in told
    assert "Deviations from a smooth run: not known" in told
    other = secgen("describe", SPECS / "pure.secgen", "--run", out)
    assert (other.code, other.codes()) == (1, ["SG709"])
