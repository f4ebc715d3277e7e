"""What does not go together any more is refused, with the reason and both values."""

import re
from pathlib import Path

import pytest

from secgen_dsl.backends.bundle import pretty_json
from secgen_dsl.cli.study import plan_of
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.runtime.trust.approvals import approval_path, sign_approval
from secgen_dsl.runtime.trust.consortium import (
    PartyEntry,
    Timeouts,
    consortium_text,
    read_consortium,
    read_parties,
)
from secgen_dsl.runtime.trust.identity import new_certificate, new_signer, read_signer
from tests.conftest import SPECS
from tests.failures.conftest import PARTIES, Begin, by_command
from tests.failures.sites import Sites, Study
from tests.failures.test_stopped import complete

OTHERS = ("north", "university")


def rewritten(study: Study, **changes: PartyEntry) -> Path:
    """Another consortium.toml, in which some members have other keys."""
    known = read_consortium(study.consortium)
    entries = [changes.get(entry.name, entry) for entry in known.party]
    path = study.folder / "other.toml"
    timeouts = Timeouts(connect=15.0, message=study.message, preparation=0.0)
    path.write_text(consortium_text(entries, timeouts, None, path), encoding="utf-8")
    return path


def with_another_certificate(entry: PartyEntry) -> PartyEntry:
    certificate = new_certificate(new_signer(), entry.name, None, 30)
    return entry.model_copy(
        update={"fingerprint": certificate.fingerprint, "certificate": certificate.pem}
    )


def test_a_member_with_another_certificate_at_one_site(study: Study, begin: Begin) -> None:
    study.write_consortium(15.0)
    entry = read_consortium(study.consortium).entry("university")
    other = rewritten(study, university=with_another_certificate(entry))
    options = {"south": ["--consortium", str(other)]}
    # Of the two others: each shows both rosters.
    ended = begin(study, without=["university"], options=options).end()
    shown = {}
    for name, peer in {"north": "south", "south": "north"}.items():
        assert ended[name].codes == ["SG527"], ended[name].said
        found = re.search(
            rf"{peer} is not in the same session: its digest of the plan's parties is (\w+), this "
            r"party's (\w+)",
            ended[name].said,
        )
        assert found is not None, ended[name].said
        shown[name] = found.groups()
    assert shown["north"] == shown["south"][::-1]
    assert shown["north"][0] != shown["north"][1]
    # Of all three: nobody gets anywhere, and somebody names the certificate or the roster.
    study.write_consortium(15.0)
    entry = read_consortium(study.consortium).entry("university")
    rewritten(study, university=with_another_certificate(entry))
    ended = begin(study, options=options).end()
    codes = [code for one in ended.values() for code in one.codes]
    assert [one.code for one in ended.values()] == [1, 1, 1]
    assert {"SG525", "SG527"} & set(codes), codes
    assert set(codes) <= {"SG525", "SG527", "SG526", "SG504"}, codes
    assert all(study.stored(name) == [] for name in PARTIES)


@pytest.fixture(scope="session")
def other_plan(sites: Sites, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PartyEntry]:
    """A bundle with another helper, approved by all of its parties; and that helper."""
    folder = tmp_path_factory.mktemp("other")
    text = (SPECS / "two_hospitals.secgen").read_text(encoding="utf-8")
    spec = folder / "other.secgen"
    spec.write_text(
        re.sub(r"simulate \{.*?\n\}\n", "", text, flags=re.DOTALL).replace(
            "university", "institute"
        )
    )
    bundle = folder / "bundle"
    by_command("compile", spec, "-o", bundle)
    keys = folder / "institute"
    by_command("keygen", "--party", "institute", "--address", "127.0.0.1:1", "-o", keys)
    planned = plan_of(bundle)
    for name in planned.plan.parties:
        home = keys if name == "institute" else sites.keys(name)
        signer = read_signer(home / "officer.key")
        approval = sign_approval(signer, sha256_of(planned.plan), sha256_of(planned.study), name)
        path = approval_path(bundle, name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pretty_json(approval))
    (entry,) = read_parties(keys / "party.toml")  # type: ignore[misc]
    return bundle, entry


def test_a_plan_with_other_parties(
    study: Study, begin: Begin, other_plan: tuple[Path, PartyEntry]
) -> None:
    bundle, institute = other_plan
    bundles = {"south": bundle}
    # The consortium has no such party.
    ended = begin(study, without=OTHERS, bundles=bundles).end()["south"]
    assert ended.codes == ["SG521"], ended.said
    assert 'the plan has a party "institute"' in ended.said
    # It has it, and each hospital has another plan.
    study.write_consortium(15.0)
    entries = [*read_consortium(study.consortium).party, institute]
    timeouts = Timeouts(connect=15.0, message=5.0, preparation=0.0)
    study.consortium.write_text(consortium_text(entries, timeouts, None, study.consortium))
    plans = [sha256_of(plan_of(one).plan) for one in (study.sites.bundle, bundle)]
    for one in begin(study, without=["university"], bundles=bundles).end().values():
        assert one.codes == ["SG502"], one.said
        assert all(plan in one.said for plan in plans), one.said
    assert all(study.stored(name) == [] for name in PARTIES)


def test_a_party_of_another_name(study: Study, begin: Begin) -> None:
    ended = begin(study, without=OTHERS, options={"south": ["--party", "west"]}).end()["south"]
    assert ended.codes == ["SG529"], ended.said
    assert 'the plan has no party "west"' in ended.said
    ended = begin(study, without=OTHERS, options={"south": ["--party", "north"]}).end()["south"]
    assert ended.codes == ["SG525"], ended.said  # it has not that machine's keys


def test_a_site_that_lost_its_state(study: Study, begin: Begin, tmp_path: Path) -> None:
    begin(study, {"north": {"at": "opening", "do": "kill"}}).end()
    study.copy_state("south", tmp_path / "backup")
    study.lose_state("south")
    study.write_consortium(15.0)
    ended = begin(study).end()
    assert ended["south"].codes == ["SG518"], ended["south"].said
    assert study.debits("south") == 0  # it does not contribute a second time
    for name in OTHERS:
        assert set(ended[name].codes) <= {"SG526", "SG504"}, ended[name].said
        assert "south" in ended[name].said.partition("error[")[2]
    study.put_back("south", tmp_path / "backup")
    complete(study, begin)


def test_a_store_of_another_run_of_the_same_plan(
    sites: Sites, study: Study, begin: Begin, tmp_path: Path
) -> None:
    elsewhere = Study(sites, tmp_path / "elsewhere")
    complete(elsewhere, begin)
    complete(study, begin)
    study.copy_state("north", tmp_path / "backup")
    elsewhere.copy_state("north", tmp_path / "other")
    study.put_back("north", tmp_path / "other")
    study.write_consortium(15.0)
    ended = begin(study).end()
    codes = [code for one in ended.values() for code in one.codes]
    assert [one.code for one in ended.values()] == [1, 1, 1]
    assert "SG513" in codes
    assert set(codes) <= {"SG513", "SG526", "SG504"}, codes
    study.put_back("north", tmp_path / "backup")
    complete(study, begin)
