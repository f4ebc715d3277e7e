"""`secgen audit` on folders that somebody prepared: with a key of its own, or with none."""

import hashlib
import json
import os
import re
import shutil
import sqlite3
import stat
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from secgen_dsl.backends.mpyc.evidence import sign_results
from secgen_dsl.cli.bundling import bundle_of
from secgen_dsl.cli.remaking import Remaker
from secgen_dsl.cli.results import Protocol, common_seed, write_results
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import canonical_json, read_node, sha256_of
from secgen_dsl.ir.plan import Measurement, Measurements, Plan
from secgen_dsl.runtime.database import read_ledger_file
from secgen_dsl.runtime.evidence import contents
from secgen_dsl.runtime.evidence.contents import FIELD_FILES
from secgen_dsl.runtime.evidence.folder import PRIVATE_FILES, RunFolder
from secgen_dsl.runtime.evidence.site import Remade, Site
from secgen_dsl.runtime.regular import MOST_BYTES, UnreadError, hash_regular, read_regular
from secgen_dsl.runtime.trust.identity import read_signer
from tests.cli.commands import secgen
from tests.cli.test_audit import copied, failures, quick, signed_again
from tests.field import FieldRun

SAME = "the sites' results are the same: samples, tables, description, certificate"
WHOLE = "the folder holds every file that a run between sites leaves"
LISTED = "every file of the folder is one that receipt.json names"


def north(field_run: FieldRun, tmp_path: Path) -> Path:
    return copied({"north": field_run.complete["north"]}, tmp_path)["north"]


def private(field_run: FieldRun, tmp_path: Path) -> Path:
    """A party's private folder of a complete run, moved elsewhere."""
    folder = tmp_path / "private"
    folder.mkdir()
    for name in PRIVATE_FILES:
        shutil.copyfile(field_run.complete["north"] / name, folder / name)
    return folder


def sign_again(field_run: FieldRun, folder: Path) -> None:
    field = field_run.field
    sign_results(folder, read_signer(field.keys[field.parties.index("north")]))


def test_a_site_signs_other_results(field_run: FieldRun, tmp_path: Path) -> None:
    folders = copied(field_run.complete, tmp_path)
    rows = (folders["north"] / "synthetic.csv").read_text().splitlines()
    (folders["north"] / "synthetic.csv").write_text("\n".join([rows[0], *rows[2:], rows[1]]) + "\n")
    (folders["north"] / "description.md").write_text("epsilon 0.01\n")
    sign_again(field_run, folders["north"])
    # Alone, without what it is made from, it fits together; the other sites have others.
    assert failures(quick({"north": folders["north"]}, field_run)) == []
    (found,) = failures(quick(folders, field_run))
    assert (found.check, found.group) == (SAME, "all sites")
    assert "synthetic.csv is another at north than at south, university" in found.words
    assert "description.md is another at north" in found.words
    # Made again from plan and opened values, it is noticed in one site's folder.
    found_alone = failures(quick({"north": folders["north"]}, field_run, Remaker(None)))
    assert {one.check for one in found_alone} == {
        f"{name} follows from the plan and the opened values"
        for name in ("description.md", "synthetic.csv")
    }


def test_a_site_signs_other_facts(field_run: FieldRun, tmp_path: Path) -> None:
    folders = copied(field_run.complete, tmp_path)
    path = folders["north"] / "receipt.json"
    path.write_text(path.read_text().replace('"rounds_of_messages": 5', '"rounds_of_messages": 4'))
    sign_again(field_run, folders["north"])
    (found,) = failures(quick(folders, field_run))
    assert found.check == SAME
    assert '"rounds_of_messages" of receipt.json is another at north' in found.words


def test_other_packages_are_no_proof(field_run: FieldRun, tmp_path: Path) -> None:
    """Another numpy may draw other rows: that is said, and fails nothing."""
    folders = copied(field_run.complete, tmp_path)
    folder = folders["north"]
    for name in ("synthetic.csv", "measurements.csv", "description.md"):
        (folder / name).write_text("other\n")
    signed_again(field_run, folder, versions={"secgen": version("secgen"), "numpy": "1.0"})
    found = {one.check: one for one in quick({"north": folder}, field_run, Remaker(None))}
    rows = found["synthetic.csv follows from the plan and the opened values"]
    assert rows.outcome == "could not be checked"
    assert rows.words.startswith("other bytes: the run had numpy 1.0 (here ")
    # No rows are drawn for these.
    for name in ("measurements.csv", "description.md"):
        assert found[f"{name} follows from the plan and the opened values"].outcome == "fails"
    remarks = {one.check: one.words for one in quick(folders, field_run)}
    words = remarks["the versions of packages, as each site names its own"]
    assert "numpy: 1.0 at north; " in words


def test_another_release_is_not_what_the_hellos_say(field_run: FieldRun, tmp_path: Path) -> None:
    folder = north(field_run, tmp_path)
    signed_again(field_run, folder, versions={"secgen": "9.9"})
    words = " ".join(one.words for one in failures(quick({"north": folder}, field_run)))
    assert f"the hello from south is of secgen {version('secgen')}" in words


def said_to_be_stopped(field_run: FieldRun, folder: Path) -> None:
    """A complete run, with its values: the site says that it was stopped, and signs that."""
    (folder / "measurements.json").unlink()
    path = folder / "transcript.jsonl"
    path.write_text(path.read_text().replace('"outcome":"complete"', '"outcome":"SG504"'))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    signed_again(
        field_run, folder, outcome="SG504", opened_sha256="", measurements_sha256="",
        transcript_sha256=digest,
    )  # fmt: skip


def test_results_of_a_run_said_to_be_stopped(field_run: FieldRun, tmp_path: Path) -> None:
    folders = copied(field_run.complete, tmp_path)
    folder = folders["north"]
    (folder / "synthetic.csv").write_text("other rows\n")
    said_to_be_stopped(field_run, folder)
    stopped = "a stopped run leaves nothing but its evidence"
    assert [one.check for one in failures(quick({"north": folder}, field_run))] == [stopped]
    assert {one.check for one in failures(quick(folders, field_run))} == {stopped, SAME}
    # Without results it may be true: the others' confirmations tell what is not shown.
    for name in ("receipt.json", "synthetic.csv", "measurements.csv", "description.md"):
        (folder / name).unlink()
    found = quick(folders, field_run)
    assert failures(found) == []
    (told,) = [one for one in found if one.check.startswith("north has made no other results")]
    assert told.outcome == "could not be checked"
    assert "south, university completed the session with its confirmation" in told.words


@pytest.mark.parametrize("below", ["parties/north-0/runs/20260101", "runs/20260101", ""])
def test_results_laid_out_as_on_one_machine(
    field_run: FieldRun, tmp_path: Path, below: str
) -> None:
    """Where files lie does not make a run between sites another one; nor does no evidence."""
    folders = copied(field_run.complete, tmp_path)
    folder = folders["north"]
    (folder / "synthetic.csv").write_text("other rows\n")
    sign_again(field_run, folder)
    for name in ("party-receipt.json", "transcript.jsonl"):
        if below:
            (folder / below).mkdir(parents=True, exist_ok=True)
            (folder / name).rename(folder / below / name)
        else:
            (folder / name).unlink()
    checks = {one.check for one in failures(quick(folders, field_run))}
    assert {WHOLE, SAME, LISTED if below else WHOLE} <= checks


def as_json(name: str, change: Callable[[Any], object]) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        data = json.loads((folder / name).read_bytes())
        change(data)
        (folder / name).write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")

    return changed


def no_moment(folder: Path) -> None:
    path = folder / "transcript.jsonl"
    path.write_text(re.sub('"time":"[^"]*"', '"time":"2026-99-99T99:99:99.999Z"', path.read_text()))


def nested(folder: Path) -> None:
    text = (folder / "receipt.json").read_text().rstrip().removesuffix("}")
    (folder / "receipt.json").write_text(text + ',"a":' + "[" * 900 + "]" * 900 + "}")


UNREADABLE: dict[str, Callable[[Path], None]] = {
    "half a character among the places": as_json(
        "sources.json", lambda data: data.__setitem__(next(iter(data)), "\ud800")
    ),
    "no place": as_json("sources.json", dict.clear),
    "a number without a canonical form": as_json(
        "receipt.json", lambda data: data.__setitem__("seed", 2**80)
    ),
    "no number": as_json("receipt.json", lambda data: data.__setitem__("seed", float("nan"))),
    "half a character in a name": as_json(
        "receipt.json", lambda data: data["files"].__setitem__("\ud800", "0" * 64)
    ),
    "no moment": no_moment,
    "deep": nested,
}


@pytest.mark.parametrize("kind", sorted(UNREADABLE))
def test_one_folder_ends_no_audit_of_others(field_run: FieldRun, tmp_path: Path, kind: str) -> None:
    folders = copied(field_run.complete, tmp_path)
    UNREADABLE[kind](folders["north"])
    found = quick(folders, field_run)
    assert "north" in {one.site for one in failures(found)}
    assert {one.site for one in failures(found)} <= {"north", ""}
    for name in ("south", "university"):  # to the last check of each
        assert any((one.check, one.site, one.outcome) == (LISTED, name, "holds") for one in found)


def test_what_breaks_off_an_audit_is_a_finding(field_run: FieldRun, tmp_path: Path) -> None:
    def remake(site: Site) -> Remade:
        if site.name == "north":
            raise KeyError(site.name)
        return Remade()

    found = quick(copied(field_run.complete, tmp_path), field_run, remake)
    (broken,) = failures(found)
    assert (broken.check, broken.site) == ("the audit comes to its end", "north")
    assert "KeyError" in broken.words
    assert any((one.check, one.outcome) == (SAME, "holds") for one in found)


def test_a_folder_of_more_than_is_read(
    field_run: FieldRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = north(field_run, tmp_path)
    (folder / "synthetic.csv").write_bytes(b"")
    os.truncate(folder / "synthetic.csv", 2 * MOST_BYTES)  # all of it a hole
    words = {one.words for one in failures(quick({"north": folder}, field_run))}
    assert "synthetic.csv: it has holes: 128 MB, of which 0 MB are on the disk" in words
    monkeypatch.setattr(contents, "MOST_FOLDER_BYTES", 20_000)
    words = {one.words for one in failures(quick({"north": folder}, field_run))}
    assert any("with it the folder has more than" in one for one in words)


@pytest.mark.parametrize("name", sorted({*FIELD_FILES, "synthetic.csv"}))
def test_a_file_that_is_gone(field_run: FieldRun, tmp_path: Path, name: str) -> None:
    folder = north(field_run, tmp_path)
    path = folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    found = {one.check: one.words for one in failures(quick({"north": folder}, field_run))}
    assert f"{name} is not there" in found[WHOLE]


def test_files_that_do_not_belong_there(field_run: FieldRun, tmp_path: Path) -> None:
    for name in ("parties/north/synthetic.csv", "parties/README", "approvals/x.txt", "notes.txt"):
        folder = north(field_run, tmp_path / name.replace("/", "-"))
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("more")
        (found,) = failures(quick({"north": folder}, field_run))
        assert (found.check, found.file) == (LISTED, name)
    folder = north(field_run, tmp_path)
    os.mkfifo(folder / "pipe")
    assert [one.check for one in failures(quick({"north": folder}, field_run))] == [LISTED]


def test_no_approvals_and_a_signature(field_run: FieldRun, tmp_path: Path) -> None:
    """A site that says of a run between sites that nobody had to approve it."""
    folder = north(field_run, tmp_path)
    shutil.rmtree(folder / "approvals")
    signed_again(field_run, folder, approvals=())
    found = failures(quick({"north": folder}, field_run))
    assert "every party's officer has approved this plan and study" in {one.check for one in found}


def test_another_layout_of_the_same_plan(field_run: FieldRun, tmp_path: Path) -> None:
    folder = private(field_run, tmp_path)
    assert failures(quick({"north": folder}, field_run)) == []
    plan = read_node(Plan, (folder / "plan.json").read_bytes())
    (folder / "plan.json").write_bytes(canonical_json(plan) + b"\n")
    (found,) = failures(quick({"north": folder}, field_run))
    assert found.check == "plan.json is byte for byte as secgen writes it"


def linked(path: Path) -> None:
    moved = path.with_name(f"moved-{path.name}")
    path.rename(moved)
    path.symlink_to(moved)


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def swollen(path: Path) -> None:
    os.truncate(path, MOST_BYTES + 1)  # sparse


KINDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "link": (linked, "it is a link"),
    "pipe": (piped, "it is no regular file"),
    "large": (swollen, "it is larger than 64 MB, the most that is read"),
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_no_file_to_read(field_run: FieldRun, tmp_path: Path, kind: str) -> None:
    change, words = KINDS[kind]
    for name in ("consortium.toml", "plan.json", "transcript.jsonl", "receipt.json"):
        folder = north(field_run, tmp_path / name)
        change(folder / name)
        found = failures(quick({"north": folder}, field_run))
        assert any(words in one.words for one in found), name


def test_approvals_that_are_a_link(field_run: FieldRun, tmp_path: Path) -> None:
    folder = north(field_run, tmp_path)
    shutil.move(folder / "approvals", tmp_path / "elsewhere")
    (folder / "approvals").symlink_to(tmp_path / "elsewhere")
    found = failures(quick({"north": folder}, field_run))
    assert any("the folder of approvals is a link" in one.words for one in found)


def test_reading_with_a_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_regular(tmp_path / "file", 5) == b"12345"
    assert hash_regular(tmp_path / "file", 5).startswith("5994471abb")
    for read in (read_regular, hash_regular):
        with pytest.raises(UnreadError, match="larger than"):
            read(tmp_path / "file", 4)
        for name in ("absent", "."):
            with pytest.raises(UnreadError):
                read(tmp_path / name)


def audited_state(field_run: FieldRun, tmp_path: Path) -> Path:
    """A copy of a site's state folder."""
    return Path(shutil.copytree(field_run.field.state("north"), tmp_path / "north-0"))


def test_a_linked_store_is_neither_opened_nor_changed(field_run: FieldRun, tmp_path: Path) -> None:
    folder = audited_state(field_run, tmp_path)
    for number, data in enumerate((b"public", (folder / "store.sqlite").read_bytes())):
        victim = tmp_path / f"victim{number}"
        victim.write_bytes(data)
        victim.chmod(0o664)
        (folder / "store.sqlite").unlink()
        (folder / "store.sqlite").symlink_to(victim)
        ended = secgen("audit", folder)
        assert ended.code == 1
        assert "it is a link" in ended.out
        assert stat.S_IMODE(victim.stat().st_mode) == 0o664
        assert victim.read_bytes() == data


def test_an_audit_changes_nothing(field_run: FieldRun, tmp_path: Path) -> None:
    folder = audited_state(field_run, tmp_path)
    (folder / "store.sqlite").chmod(0o640)

    def state() -> dict[str, tuple[int, int]]:
        return {
            str(path): (path.stat().st_mode, path.stat().st_mtime_ns) for path in folder.rglob("*")
        }

    before = state()
    ended = secgen("audit", folder, "--json")
    assert [one["outcome"] for one in ended.json["findings"] if one["group"] == "ledger"] == [
        "holds"
    ]
    assert state() == before


def test_a_store_that_is_being_written(field_run: FieldRun, tmp_path: Path) -> None:
    """SQLite would undo what was cut off, or write files beside it."""
    path = audited_state(field_run, tmp_path) / "store.sqlite"
    journal = path.with_name("store.sqlite-journal")
    journal.write_bytes(b"x")
    with pytest.raises(SecgenError, match="it is being written") as caught:
        read_ledger_file(path, read_only=True)
    assert caught.value.diagnostics[0].code == "SG512"
    journal.unlink()
    assert read_ledger_file(path, read_only=True).entries
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    with pytest.raises(SecgenError, match="it is being written"):
        read_ledger_file(path, read_only=True)
    assert [one.name for one in path.parent.glob("store*")] == ["store.sqlite"]


def test_what_is_private_stays_private(field_run: FieldRun) -> None:
    """A site's state is its own; results can be read by others, as the umask says."""
    umask = os.umask(0)
    os.umask(umask)
    for name in field_run.field.parties:
        state = field_run.field.state(name)
        for path in (state, *state.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode & 0o077 == 0, (path, oct(mode))
        for path in field_run.complete[name].rglob("*"):
            readable = (0o755 if path.is_dir() else 0o644) & ~umask
            assert stat.S_IMODE(path.stat().st_mode) & readable == readable, path


def test_rows_that_need_a_public_file(
    colorectal: PlannedStudy, two_hospitals: PlannedStudy, tmp_path: Path
) -> None:
    """They are made again if the approved bundle is given, and are said to be unknown if not."""
    bundle, folder = bundle_of(colorectal), tmp_path / "results"
    measured = Measurements(
        format="secgen.measurements/2",
        plan_sha256=sha256_of(colorectal.plan),
        measurements=tuple(
            Measurement(query=one.query, values=tuple(range(one.opened)))
            for one in colorectal.plan.releases()
        ),
    )
    protocol = Protocol("mpyc", measured, {}, 5, {})
    write_results(colorectal, bundle, protocol, common_seed(measured), folder)
    (folder / "sources.json").write_bytes(
        json.dumps(bundle.sources, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    )
    (folder / "transcript.jsonl").write_bytes(b"")  # as at a site
    site = Site(RunFolder(folder, folder))
    without = Remaker(None)(site)
    assert set(without.lacking) == {"synthetic.csv", "synthetic.h5ad"}
    assert "--bundle" in without.lacking["synthetic.csv"]
    of_another = Remaker(two_hospitals)(site)
    assert of_another.lacking["synthetic.csv"] == "--bundle is of another plan"
    made = Remaker(colorectal)(site)
    assert made.lacking == {}
    assert "anndata" in made.uncertain["synthetic.h5ad"]
    assert made.sha256 == {
        name: hash_regular(folder / name)
        for name in ("description.md", "measurements.csv", "synthetic.csv", "synthetic.h5ad")
    }
