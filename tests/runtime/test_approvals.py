"""Approvals: what is signed, what is refused, who is missing."""

import json
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import pretty_json
from secgen_dsl.runtime.trust.approvals import (
    Approval,
    approval_path,
    check_approval,
    missing,
    read_approval,
    require_approvals,
    review,
    sign_approval,
)
from tests.runtime.parties import Site, site
from tests.wording import assert_helpful

PLAN, STUDY, OTHER = "a" * 64, "b" * 64, "c" * 64
SITES = {name: site(name) for name in ("north", "south", "helper")}
ENTRIES = tuple(one.entry for one in SITES.values())
TODAY = datetime.now(UTC).date()


def sign(party: str, signer: Site | None = None, **changes: object) -> Approval:
    arguments = {"plan_sha256": PLAN, "study_sha256": STUDY, "party": party, **changes}
    return sign_approval((signer or SITES[party]).officer, **arguments)  # type: ignore[arg-type]


def put(bundle: Path, approval: Approval, name: str = "") -> Path:
    path = approval_path(bundle, approval.party)
    path = path.with_name(name or path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pretty_json(approval))
    return path


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    for name in SITES:
        put(tmp_path, sign(name))
    return tmp_path


def faults(bundle: Path) -> list[str]:
    """Messages of `require_approvals`, each of them a sound SG524."""
    with pytest.raises(SecgenError) as caught:
        require_approvals(bundle, PLAN, STUDY, ENTRIES)
    assert {one.code for one in caught.value.diagnostics} == {"SG524"}
    for one in caught.value.diagnostics:
        assert_helpful(one)
    return [one.message for one in caught.value.diagnostics]


def test_all_have_approved(bundle: Path) -> None:
    found = require_approvals(bundle, PLAN, STUDY, ENTRIES)
    assert [one.party for one in found] == list(SITES)
    assert {one.date for one in found} == {TODAY.isoformat()}
    assert review(bundle, PLAN, STUDY, ENTRIES).complete
    # Names of files are nothing, and what is no .json is not looked at.
    (bundle / "approvals" / "letter.txt").write_text("as agreed")
    approval_path(bundle, "north").rename(bundle / "approvals" / "From north (1).JSON")
    put(bundle, sign("south"), "copy.json")
    assert require_approvals(bundle, PLAN, STUDY, ENTRIES) == found


@pytest.mark.parametrize("folder", [True, False])
def test_each_that_is_missing_is_named(folder: bool, tmp_path: Path) -> None:
    if folder:
        put(tmp_path, sign("south"))
    with pytest.raises(SecgenError) as caught:
        require_approvals(tmp_path, PLAN, STUDY, ENTRIES)
    absent = ["north", "helper"] if folder else list(SITES)
    for one, name in zip(caught.value.diagnostics, absent, strict=True):
        assert one.code == "SG523"
        assert f"--party {name} --key officer.key" in one.next_step
        assert_helpful(one)
    assert missing(SITES, [sign("south")] if folder else []) == tuple(absent)


def test_another_plan_or_study_shows_both_hashes(bundle: Path) -> None:
    put(bundle, sign("north", plan_sha256=OTHER))
    put(bundle, sign("south", study_sha256=OTHER))
    (plan, study) = faults(bundle)
    assert '"north" approved another plan' in plan
    assert OTHER in plan
    assert PLAN in plan
    assert '"south" approved another study' in study
    assert OTHER in study
    assert STUDY in study


def test_the_key_of_another(bundle: Path) -> None:
    put(bundle, sign("north", SITES["south"]))
    (said,) = faults(bundle)
    assert SITES["south"].entry.officer in said
    assert SITES["north"].entry.officer in said


def test_the_machines_key_signs_no_approval(bundle: Path) -> None:
    machine = SITES["north"]
    put(bundle, sign("north", Site(machine.machine, machine.machine, machine.entry)))
    assert "it is signed with the key" in faults(bundle)[0]


def test_a_signature_for_another_purpose(bundle: Path) -> None:
    approval, officer = sign("north"), SITES["north"].officer
    for domain in ("cohort", "hello", "receipt"):
        signature = officer.sign(domain, approval.signed).hex()  # type: ignore[arg-type]
        put(bundle, approval.model_copy(update={"signature": signature}))
        assert "the signature is not that of" in faults(bundle)[0]


def test_a_day_to_come(bundle: Path) -> None:
    put(bundle, sign("north", day=TODAY + timedelta(days=3)))
    assert "in the future" in faults(bundle)[0]
    put(bundle, sign("north", day=TODAY + timedelta(days=1)))  # a clock may be ahead
    put(bundle, sign("south", day=TODAY - timedelta(days=900)))
    assert require_approvals(bundle, PLAN, STUDY, ENTRIES)


def test_two_approvals_of_one_party(bundle: Path) -> None:
    put(bundle, sign("north", day=TODAY - timedelta(days=1)), "earlier.json")
    assert (
        f'a second approval of "north"; the other is of {TODAY - timedelta(days=1)}'
        in (faults(bundle)[0])
    )
    assert "north" not in review(bundle, PLAN, STUDY, ENTRIES).approved


def test_an_approval_of_a_stranger(bundle: Path) -> None:
    put(bundle, sign("east", site("east")))
    assert '"east", which is no party of the plan' in faults(bundle)[0]


def test_one_that_is_not_valid_makes_the_party_neither_approved_nor_missing(bundle: Path) -> None:
    put(bundle, sign("north", plan_sha256=OTHER))
    found = review(bundle, PLAN, STUDY, ENTRIES)
    assert (list(found.approved), found.missing) == (["south", "helper"], ())
    assert list(found.of_party) == ["north"]


def test_every_bit_of_a_file_counts() -> None:
    data = pretty_json(sign("north"))
    entry = SITES["north"].entry
    check_approval(read_approval(data, "file"), PLAN, STUDY, entry, "file")
    for at in range(len(data)):
        changes = [data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :] for bit in range(8)]
        changes += [data[:at] + data[at + 1 :], data[:at] + b" " + data[at:], data[:at]]
        for changed in changes:
            with pytest.raises(SecgenError) as caught:
                check_approval(read_approval(changed, "file"), PLAN, STUDY, entry, "file")
            assert {one.code for one in caught.value.diagnostics} == {"SG524"}


@given(st.data())
def test_every_byte_of_a_file_counts_in_a_bundle(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder)
        for name in SITES:
            path = put(bundle, sign(name))
        text = bytearray(path.read_bytes())
        text[data.draw(st.integers(0, len(text) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(text)
        assert not review(bundle, PLAN, STUDY, ENTRIES).complete


NO_APPROVALS = {
    "nothing": b"",
    "no json": b"north approves",
    "a list": b"[]",
    "no end": b"[" * 9_000,
    "on one line": json.dumps(json.loads(pretty_json(sign("north"))), sort_keys=True).encode(),
    "ends of lines of mail": pretty_json(sign("north")).replace(b"\n", b"\r\n"),
    "more": pretty_json(sign("north"))[:-3] + b',\n "more": 1\n}\n',
    "a day that is none": pretty_json(sign("north")).replace(
        TODAY.isoformat().encode(), b"2026-02-30"
    ),
    "a day of another form": pretty_json(sign("north")).replace(
        TODAY.isoformat().encode(), TODAY.strftime("%Y%m%d").encode()
    ),
    "a hash of capitals": pretty_json(sign("north")).replace(PLAN.encode(), b"A" * 64),
}


@pytest.mark.parametrize("what", NO_APPROVALS)
def test_files_that_are_no_approval(what: str, bundle: Path) -> None:
    (bundle / "approvals" / "x.json").write_bytes(NO_APPROVALS[what])
    (said,) = faults(bundle)
    assert "this is no approval, or not byte for byte as it was written" in said


def test_what_is_no_file(bundle: Path) -> None:
    (bundle / "approvals" / "folder.json").mkdir()
    os.mkfifo(bundle / "approvals" / "pipe.json")
    (bundle / "approvals" / "link.json").symlink_to(approval_path(bundle, "north"))
    (bundle / "approvals" / "large.json").write_bytes(pretty_json(sign("north")) + b" " * 20_000)
    said = " ".join(faults(bundle))
    assert said.count("it is no regular file") == 2
    assert "it is a link" in said
    assert "it is larger than 10 kB" in said


def test_a_folder_of_approvals_that_is_a_link(bundle: Path, tmp_path: Path) -> None:
    (bundle / "approvals").rename(tmp_path / "elsewhere")
    (bundle / "approvals").symlink_to(tmp_path / "elsewhere")
    (said,) = review(bundle, PLAN, STUDY, ENTRIES).faults
    assert "the folder of approvals is a link" in said.message
    assert_helpful(said)
    with pytest.raises(SecgenError):
        require_approvals(bundle, PLAN, STUDY, ENTRIES)


@given(st.text(min_size=1, max_size=64), st.text(min_size=1, max_size=64))
def test_names_of_files(one: str, other: str) -> None:
    try:
        (one + other).encode()
    except UnicodeEncodeError:
        return
    paths = [approval_path(Path("b"), name) for name in (one, other)]
    for path in paths:
        assert path.parent == Path("b/approvals")
        assert not path.name.startswith(".")
        assert path.name.isascii()
        assert len(path.name) < 120
    # Also where large and small letters are the same to a file system.
    assert (str(paths[0]).lower() == str(paths[1]).lower()) == (one == other)
