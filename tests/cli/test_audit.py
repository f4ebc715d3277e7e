"""`secgen audit` on the folders of a real run: what holds, and every changed byte."""

import hashlib
import json
import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secgen_dsl.backends.mpyc.evidence import sign_results
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.ir.base import canonical_json, read_node, sha256_of
from secgen_dsl.ir.plan import Measurements
from secgen_dsl.runtime.evidence.findings import Finding
from secgen_dsl.runtime.evidence.folder import PRIVATE_FILES, find_runs
from secgen_dsl.runtime.evidence.receipt import PartyReceipt
from secgen_dsl.runtime.evidence.runs import audit_runs
from secgen_dsl.runtime.evidence.site import Auditor, Remade, Site
from secgen_dsl.runtime.store import digest_of_opened
from secgen_dsl.runtime.trust.consortium import read_consortium
from secgen_dsl.runtime.trust.identity import read_signer
from tests.cli.commands import secgen
from tests.conftest import SPECS
from tests.field import FieldRun

HELPER = "university"


def copied(sites: dict[str, Path], folder: Path) -> dict[str, Path]:
    return {name: Path(shutil.copytree(path, folder / name)) for name, path in sites.items()}


def words_of(data: Any) -> set[str]:
    return {f"{one['site']}: {one['check']}" for one in data["findings"]}


def quick(
    folders: dict[str, Path],
    field_run: FieldRun,
    remake: Callable[[Site], Remade] = lambda site: Remade(),
) -> list[Finding]:
    """The audit without the second accountant, which takes most of its time."""
    from secgen_dsl.backends.mpyc.generate import generate_program
    from secgen_dsl.verifier import verify

    auditor = Auditor(
        consortium=read_consortium(field_run.field.consortium),
        ledgers=(),
        verify=lambda plan, certificate: verify(plan) and None,
        generate=generate_program,
        remake=remake,
    )
    return audit_runs([one for path in folders.values() for one in find_runs(path)], auditor)[1]


def failures(findings: list[Finding]) -> list[Finding]:
    return [one for one in findings if one.outcome == "fails"]


def test_all_sites_with_the_consortium_and_the_ledgers(field_run: FieldRun) -> None:
    field = field_run.field
    ledgers = [
        part
        for name in ("north", "south")
        for part in ("--ledger", field.state(name) / "store.sqlite")
    ]
    ended = secgen(
        "audit", *field_run.complete.values(), "--consortium", field.consortium, *ledgers, "--json"
    )
    assert ended.code == 0, ended.out
    outcomes = {one["outcome"] for one in ended.json["findings"]}
    assert outcomes == {"holds"}, [o for o in ended.json["findings"] if o["outcome"] != "holds"]
    groups = {one["group"] for one in ended.json["findings"]}
    assert groups == {
        "plan", "approvals", "execution", "opened values", "ledger", "results", "all sites",
    }  # fmt: skip
    assert ended.json["diagnostics"] == []


def test_one_site_says_what_it_could_not_check(field_run: FieldRun) -> None:
    ended = secgen("audit", field_run.complete["north"])
    assert ended.code == 0
    assert "FAILS" not in ended.out
    assert "give it with --ledger" in ended.out
    assert "the folders of south, university are not there" in " ".join(ended.out.split())
    assert ended.out.splitlines()[-1].endswith("0 fail, 3 could not be made")
    found = secgen("audit", field_run.complete["north"], "--json").json
    assert [one["code"] for one in found["diagnostics"]] == ["SG534"]


def test_a_run_on_one_machine_shows_less(two_hospitals: PlannedStudy, tmp_path: Path) -> None:
    assert secgen("run", SPECS / "two_hospitals.secgen", "-o", tmp_path / "out").code == 0
    ended = secgen("audit", tmp_path / "out", "--json")
    assert ended.code == 0
    lacking = {
        one["check"] for one in ended.json["findings"] if one["outcome"] == "could not be checked"
    }
    assert len(lacking) <= 4
    assert any("officer has approved" in one for one in lacking)
    assert any("receipt.json is signed" in one for one in lacking)
    (tmp_path / "out" / "synthetic.csv").write_text("other")
    ended = secgen("audit", tmp_path / "out")
    assert ended.code == 1
    assert "synthetic.csv: it was changed" in ended.out
    assert set(ended.codes()) == {"SG532"}
    one = next((tmp_path / "out" / "parties").glob("*/runs/*"))
    assert len(secgen("audit", one, "--json").json["sites"]) == 1


def test_one_process_leaves_no_evidence(tmp_path: Path) -> None:
    spec = SPECS / "two_hospitals.secgen"
    assert secgen("run", spec, "-o", tmp_path / "out", "--backend", "plaintext").code == 0
    ended = secgen("audit", tmp_path / "out")
    assert ended.code == 0
    assert "party-receipt.json is not there" in ended.out


def test_a_stopped_run_is_told_and_expects_no_values(field_run: FieldRun) -> None:
    ended = secgen("audit", *field_run.stopped.values(), "--json")
    assert ended.code == 0
    outcomes = {one["outcome"] for one in ended.json["sites"]}
    assert "SG505" in outcomes <= {"SG505", "SG526"}  # a site may hear of it before it sees it
    codes = {one["code"] for one in ended.json["diagnostics"]}
    assert codes == {"SG534", "SG535"}
    text = secgen("audit", field_run.stopped["north"]).out
    assert re.search("stopped: SG5(05|26); no opened values are expected", text)
    assert "an abort was " in text


def test_values_beside_a_stopped_receipt_are_noticed(field_run: FieldRun, tmp_path: Path) -> None:
    folders = copied(field_run.stopped, tmp_path)
    shutil.copyfile(
        field_run.complete["north"] / "measurements.json", folders["north"] / "measurements.json"
    )
    found = failures(quick({"north": folders["north"]}, field_run))
    assert [one.check for one in found] == ["a stopped run leaves no values"]


def test_every_changed_byte_is_found(field_run: FieldRun, tmp_path: Path) -> None:
    folder = copied({"north": field_run.complete["north"]}, tmp_path)["north"]
    assert failures(quick({"north": folder}, field_run)) == []
    draw = random.Random(7)  # noqa: S311 (which bytes are tried)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        # The first, the last, and some between; each by one bit.
        places = {0, len(data) - 1, *(draw.randrange(len(data)) for _ in range(2))}
        for place in sorted(places):
            bit = 1 << draw.randrange(8)
            path.write_bytes(data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :])
            found = failures(quick({"north": folder}, field_run))
            name = path.relative_to(folder).as_posix()
            assert found, (name, place, bit)
            named = " ".join(f"{one.file} {one.words}" for one in found)
            assert path.name in named, (name, place, bit, found)
        path.write_bytes(data)
    assert failures(quick({"north": folder}, field_run)) == []


def test_every_changed_bit_of_the_receipts_is_found(field_run: FieldRun, tmp_path: Path) -> None:
    """Also where nothing but the file itself could tell: no hash covers a receipt."""
    folder = copied({"north": field_run.complete["north"]}, tmp_path)["north"]
    evidence = tmp_path / "evidence"  # a party's private folder: no receipt.json beside it
    shutil.copytree(folder, evidence)
    shutil.rmtree(evidence / "approvals")
    for path in evidence.iterdir():
        if path.name not in PRIVATE_FILES:
            path.unlink()
    assert failures(quick({"north": evidence}, field_run)) == []
    for path in (folder / "receipt.json", evidence / "party-receipt.json"):
        data = path.read_bytes()
        for place in range(0, len(data), 61):
            changed = data[:place] + bytes([data[place] ^ 32]) + data[place + 1 :]
            path.write_bytes(changed)
            assert failures(quick({"north": path.parent}, field_run)), (path.name, place)
        path.write_bytes(data)


def rewrite(path: Path, change: Callable[[Any], None]) -> None:
    data = json.loads(path.read_bytes())
    change(data)
    path.write_text(json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def swap_frames(folder: Path) -> None:
    """Two chunks of the same size change places: the hash of the transcript is another."""
    path = folder / "transcript.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    shares = [number for number, line in enumerate(lines) if '"kind":"share"' in line]
    lines[shares[0]], lines[shares[-1]] = lines[shares[-1]], lines[shares[0]]
    path.write_text("".join(lines))


LIES: dict[str, tuple[Callable[[Path], None], str]] = {
    "frames in another order": (swap_frames, "the transcript is the one that the receipt names"),
    "a frame left out": (
        lambda folder: (
            (folder / "transcript.jsonl").write_text(
                "".join(
                    line
                    for line in (folder / "transcript.jsonl").read_text().splitlines(keepends=True)
                    if '"kind":"confirmation"' not in line
                )
            )
            and None
        ),
        "exactly the frames that the plan predicts were sent and received",
    ),
    "no approval of the helper": (
        lambda folder: next((folder / "approvals").glob(f"{HELPER}*")).unlink(),
        "every party's officer has approved this plan and study",
    ),
    "other measurements": (
        lambda folder: rewrite(
            folder / "measurements.json",
            lambda data: data["measurements"][0]["values"].__setitem__(0, 5),
        ),
        "the measurements are the opened values that the receipt names",
    ),
}


@pytest.mark.parametrize("lie", sorted(LIES))
def test_lies(field_run: FieldRun, tmp_path: Path, lie: str) -> None:
    change, check = LIES[lie]
    folders = copied(field_run.complete, tmp_path)
    change(folders["north"])
    found = failures(quick(folders, field_run))
    assert check in {one.check for one in found if one.site == "north"}


def signed_again(field_run: FieldRun, folder: Path, **changes: Any) -> None:
    """A site changes its own receipt and signs it, and the results, with its own key."""
    field = field_run.field
    signer = read_signer(field.keys[field.parties.index("north")])
    path = folder / "party-receipt.json"
    receipt = read_node(PartyReceipt, path.read_bytes()).model_copy(update=changes).signed(signer)
    path.write_bytes(canonical_json(receipt) + b"\n")
    sign_results(folder, signer)


def test_a_site_cannot_tell_of_other_values(field_run: FieldRun, tmp_path: Path) -> None:
    folder = copied(field_run.complete, tmp_path)["north"]
    path = folder / "measurements.json"
    rewrite(path, lambda data: data["measurements"][0]["values"].__setitem__(0, 5))
    measured = read_node(Measurements, path.read_bytes())
    opened = np.concatenate([np.array(one.values) for one in measured.measurements])
    digests = {
        "measurements_sha256": sha256_of(measured), "opened_sha256": digest_of_opened([opened]),
    }  # fmt: skip
    signed_again(field_run, folder, **digests)
    found = failures(quick({"north": folder}, field_run))
    check = "every other party has signed these opened values for this session"
    assert [one.check for one in found] == [check]


def test_a_site_cannot_tell_of_other_frames(field_run: FieldRun, tmp_path: Path) -> None:
    folders = copied(field_run.complete, tmp_path)
    path = folders["north"] / "transcript.jsonl"
    lines = path.read_text().splitlines()
    number = next(n for n, line in enumerate(lines) if '"kind":"share"' in line)
    frame = json.loads(lines[number]) | {"sha256": "7" * 64}
    lines[number] = json.dumps(frame, separators=(",", ":"))
    path.write_text("\n".join(lines) + "\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    signed_again(field_run, folders["north"], transcript_sha256=digest)
    assert failures(quick({"north": folders["north"]}, field_run)) == []  # alone it fits together
    found = failures(quick(folders, field_run))
    assert [one.check for one in found] == ["every frame arrived as it was sent, in the same order"]
    assert "north" in found[0].words


def test_another_consortium_is_not_the_one_that_ran(field_run: FieldRun, tmp_path: Path) -> None:
    text = field_run.field.consortium.read_text()
    officer = field_run.field.entries[0].officer
    other = tmp_path / "consortium.toml"
    other.write_text(text.replace(officer, "ed25519:" + "7" * 64))
    ended = secgen("audit", field_run.complete["south"], "--consortium", other)
    assert ended.code == 1
    (line,) = (one for one in ended.out.splitlines() if "FAILS" in one)
    assert "these certificates and officers are those that the auditor knows" in line
    said = " ".join(ended.out.split())
    assert f"north has the officer's key ed25519:{'7' * 64} in --consortium, and {officer}" in said
    assert "by telephone which is right" in " ".join(ended.err.split())


def test_sites_of_two_runs_do_not_agree(field_run: FieldRun) -> None:
    mixed = {"north": field_run.complete["north"], "south": field_run.stopped["south"]}
    found = failures(quick(mixed, field_run))
    assert {one.group for one in found} == {"all sites"}
    assert "another session" in found[0].words
    twice = quick({"a": mixed["north"], "b": field_run.stopped["north"]}, field_run)
    assert any("same party" in one.words for one in failures(twice))


def test_a_ledger_of_another_site(field_run: FieldRun) -> None:
    ledger = field_run.field.state("south") / "store.sqlite"
    ended = secgen("audit", field_run.complete["north"], "--ledger", ledger)
    assert ended.code == 1
    assert "it holds none" in ended.out


def test_a_private_folder_has_its_ledger_beside_it(field_run: FieldRun) -> None:
    ended = secgen("audit", field_run.field.state("north"), "--json")
    assert ended.code == 0
    assert [o["outcome"] for o in ended.json["findings"] if o["group"] == "ledger"] == ["holds"]
    assert any("1 lie beside" in one["words"] for one in ended.json["findings"])


def test_a_state_folder_of_several_parties(field_run: FieldRun) -> None:
    ended = secgen("audit", field_run.field.state("north").parent, "--json")
    assert ended.code == 0
    outcomes = [one["outcome"] for one in ended.json["sites"]]
    assert "SG505" in outcomes
    assert set(outcomes) <= {"SG505", "SG526"}
    assert len(outcomes) == 3


def test_a_plan_that_does_not_verify_predicts_nothing(field_run: FieldRun, tmp_path: Path) -> None:
    """Whatever it says of sizes: neither the program nor frames are made of it."""
    folder = copied(field_run.complete, tmp_path)["north"]

    def enlarge(data: Any) -> None:
        data["rounds"][0]["releases"][0]["opened"] = 2**52

    rewrite(folder / "plan.json", enlarge)
    found = quick({"north": folder}, field_run)
    check = "the plan verifies again, and a second accountant confirms its budget"
    assert check in {one.check for one in failures(found)}
    assert any(one.file == "plan.json" for one in found if one.outcome == "could not be checked")


def test_nothing_to_audit(tmp_path: Path) -> None:
    ended = secgen("audit", tmp_path)
    assert (ended.code, ended.codes()) == (1, ["SG531"])
    assert secgen("audit", tmp_path / "none").codes() == ["SG531"]


def test_a_folder_of_nonsense(field_run: FieldRun, tmp_path: Path) -> None:
    folder = copied({"north": field_run.complete["north"]}, tmp_path)["north"]
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_bytes(b"[" * 100_000)
    (folder / os.fsdecode(b"\xff")).touch()  # a name that is no text
    for output in ("full", "concise", "json", "sarif", "github"):
        assert secgen("audit", folder, "--format", output).code == 1


def test_hostile_files_are_no_traceback(field_run: FieldRun, tmp_path: Path) -> None:
    for number, text in enumerate(("null", "[" * 100_000, '{"files":3}', "\x00", '"\ud800"')):
        folder = copied({"north": field_run.complete["north"]}, tmp_path / str(number))["north"]
        for name in ("receipt.json", "party-receipt.json", "plan.json", "sources.json",
                     "transcript.jsonl", "consortium.json", "consortium.toml"):  # fmt: skip
            kept = (folder / name).read_bytes()
            (folder / name).write_bytes(text.encode(errors="surrogatepass"))
            assert failures(quick({"north": folder}, field_run)), (name, text[:9])
            (folder / name).write_bytes(kept)
