"""`secgen approve` and `secgen approvals`; bundles and the approvals that lie in them."""

import json
import os
import pty
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from secgen_dsl.backends.bundle import read_bundle, write_bundle
from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.runtime.trust.approvals import approval_path, require_approvals
from secgen_dsl.runtime.trust.consortium import read_consortium
from tests.cli.commands import Ended, secgen
from tests.cli.test_lying_bundles import change, set_hashes
from tests.conftest import SPECS

PROGRAM = (sys.executable, "-m", "secgen_dsl.cli.main")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Study D with a folder of keys for each party and their consortium.toml."""
    folder = tmp_path_factory.mktemp("prepared")
    parties = read_parties_of(SPECS / "two_hospitals.secgen", folder / "b")
    assert len(parties) == 3
    for name in parties:
        assert secgen("keygen", "--party", name, "-o", folder / name).code == 0
    files = [folder / name / "party.toml" for name in parties]
    relay = ("--relay", "relay.example.org:443")
    assert secgen("consortium", *files, "-o", folder / "c.toml", *relay).code == 0
    return folder


def read_parties_of(spec: Path, bundle: Path) -> tuple[str, ...]:
    assert secgen("compile", spec, "-o", bundle).code == 0
    return read_bundle(bundle).plan.parties


@pytest.fixture
def site(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names() -> tuple[str, ...]:
    return read_bundle(Path("b")).plan.parties


def approve(party: str, *more: str | Path, key: str = "") -> Ended:
    options = ("--key", f"{key or party}/officer.key", *more)
    return secgen("approve", "b", "--party", party, *options)


def nothing_signed() -> bool:
    return not Path("b/approvals").exists()


def test_all_parties_approve(site: Path) -> None:
    silo, _, helper = names()
    plan = read_bundle(Path("b")).plan
    for name in names():
        ended = approve(name, "--yes", "--consortium", "c.toml")
        assert ended.code == 0
        assert sha256_of(plan) in ended.out
        assert ("a helper: it has no data" in ended.out) == (name == helper)
        assert f"party        {name}, " in ended.out
        assert approval_path(Path("b"), name).is_file()
        listed = secgen("approvals", "b", "--consortium", "c.toml", "--json")
        assert (listed.code == 0) == (name == helper)
    assert {len(one["approval"]) for one in listed.json["parties"]} == {len("YYYY-MM-DD")}
    ended = secgen("approvals", "b", "--consortium", "c.toml")
    assert (ended.code, ended.err) == (0, "")
    assert "all parties of the plan have approved it" in ended.out
    study = sha256_of(read_bundle(Path("b")).study)
    entries = read_consortium(Path("c.toml")).of_plan(plan.parties)
    found = require_approvals(Path("b"), sha256_of(plan), study, entries)
    assert [one.party for one in found] == list(names())
    # Approving twice is harmless; other commands read the bundle as before.
    path = approval_path(Path("b"), silo)
    before = path.read_bytes()
    assert f"approved already, on {found[0].date}" in approve(silo, "--yes").out
    assert path.read_bytes() == before
    assert secgen("plan", "b").code == 0


def test_who_is_missing_and_what_is_not_valid(site: Path) -> None:
    one, two, three = names()
    for name in (one, two):
        approve(name, "--yes")
    path = approval_path(Path("b"), two)
    path.write_bytes(path.read_bytes().replace(b'"date": "2', b'"date": "1'))
    ended = secgen("approvals", "b", "--consortium", "c.toml")
    assert sorted(ended.codes()) == ["SG523", "SG524"]
    assert "missing" in ended.out
    assert "not valid" in ended.out
    ended = secgen("approvals", "b", "--consortium", "c.toml", "--json")
    assert (ended.code, ended.json["ok"]) == (1, False)
    states = {party["name"]: party["approval"] for party in ended.json["parties"]}
    assert (states[two], states[three]) == ("not valid", "missing")
    assert [one["code"] for one in ended.json["diagnostics"]] == ["SG523", "SG524"]


def test_a_consortium_without_a_party_of_the_plan(site: Path) -> None:
    relay = ("--relay", "relay.example.org:443")
    secgen("consortium", f"{names()[0]}/party.toml", "-o", "small.toml", *relay)
    ended = secgen("approvals", "b", "--consortium", "small.toml")
    assert ended.codes() == ["SG521", "SG521"]


def test_nobody_to_ask(site: Path) -> None:
    ended = approve(names()[0])
    assert ended.codes() == ["SG541"]
    assert "released" in ended.out  # what would have been signed
    assert approve(names()[0], "--json").code == 2
    assert nothing_signed()


@pytest.mark.parametrize("answer", ["y", ""], ids=["yes", "the default"])
def test_a_terminal_is_asked(answer: str, site: Path) -> None:
    name = names()[0]
    outer, inner = pty.openpty()
    try:
        process = subprocess.Popen(
            [*PROGRAM, "approve", "b", "--party", name, "--key", f"{name}/officer.key"],
            stdin=inner,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.write(outer, f"{answer}\n".encode())
        out, err = process.communicate(timeout=120)
    finally:
        os.close(outer)
        os.close(inner)
    assert f"Sign this for {name}? [y/N]" in out + err
    assert (process.returncode == 0) == (answer == "y")
    assert ("SG541" in err) == (answer != "y")
    assert nothing_signed() == (answer != "y")


def test_the_key_of_another(site: Path) -> None:
    one, two, _ = names()
    ended = approve(one, "--yes", "--consortium", "c.toml", key=two)
    assert ended.codes() == ["SG524"]
    entries = read_consortium(Path("c.toml"))
    assert entries.entry(one).officer in ended.err
    assert entries.entry(two).officer in ended.err
    shutil.copy(f"{one}/machine.key", f"{one}/officer.key")
    assert approve(one, "--yes", "--consortium", "c.toml").codes() == ["SG524"]
    Path(one, "officer.key").chmod(0o640)
    assert approve(one, "--yes").codes() == ["SG522"]
    Path(one, "officer.key").unlink()
    assert approve(one, "--yes").codes() == ["SG522"]
    assert nothing_signed()


def test_a_party_that_the_plan_lacks(site: Path) -> None:
    name = names()[0]
    ended = approve(name[:-1], "--yes", key=name)
    assert ended.codes() == ["SG541"]
    assert f'did you mean "{name}"?' in ended.err
    assert nothing_signed()


def test_what_is_no_bundle(site: Path) -> None:
    shutil.rmtree("b")
    shutil.copy(SPECS / "two_hospitals.secgen", "b")
    assert secgen("approve", "b", "--party", "x", "--key", f"{site}/c.toml").codes() == ["SG522"]
    key = next(site.glob("*/officer.key"))
    assert secgen("approve", "b", "--party", "x", "--key", key, "--yes").codes() == ["SG703"]
    assert secgen("approvals", "b", "--consortium", "c.toml").codes() == ["SG703"]


def _less_noise(plan: dict[str, object]) -> None:
    release = plan["rounds"][0]["releases"][0]  # type: ignore[index]
    release["noise"]["party_variance"] = "100"
    release["noise"]["variance"] = "200"


def _other_program(folder: Path) -> None:
    path = folder / "party_program.py"
    path.write_text(path.read_text() + "\nimport os\n")


LIES = {
    "less noise": (lambda b: change(b, "plan.json", _less_noise), "SG320"),
    "a program of its own": (_other_program, "SG703"),
    "another title": (lambda b: change(b, "study.json", lambda d: d.update(title="X")), "SG703"),
}


@pytest.mark.parametrize("what", LIES)
def test_a_bundle_that_lies_is_never_signed(what: str, site: Path) -> None:
    lie, code = LIES[what]
    name = names()[0]
    lie(Path("b"))
    assert approve(name, "--yes").codes() == ["SG703"]  # the manifest alone tells
    set_hashes(Path("b"))
    if what == "less noise":  # the certificate, too, says whose plan it is
        digest = json.loads(Path("b/manifest.json").read_text())["plan_sha256"]
        change(Path("b"), "certificate.json", lambda d: d.update(plan_sha256=digest))
        set_hashes(Path("b"))
    assert set(approve(name, "--yes").codes()) == {code}
    assert nothing_signed()


def test_another_file(site: Path) -> None:
    one, two, three = names()
    for name in (one, two, three):
        assert approve(name, "--yes", "-o", f"mail/{name}.json").code == 0
    assert nothing_signed()
    shutil.copytree("mail", "b/approvals")  # under whatever names they came
    assert secgen("approvals", "b", "--consortium", "c.toml").code == 0
    # Never over a file that is something else, nor where nothing can be.
    for path in ("mail/two.json", "c.toml", f"{one}/officer.key"):
        before = Path(path).read_bytes() if Path(path).exists() else b""
        ended = approve(one, "--yes", "-o", path)
        assert (ended.code == 0) == (not before)
        assert ended.codes() == (["SG706"] if before else [])
        assert not before or Path(path).read_bytes() == before
    assert approve(two, "--yes", "-o", f"mail/{one}.json").codes() == ["SG706"]
    assert approve(one, "--yes", "-o", "c.toml/x.json").codes() == ["SG701"]


def test_the_sites_policy(site: Path) -> None:
    silo, _, helper = names()
    text = '[files]\nexpression = "x.csv"\n'
    limits = "[policy]\nmax_epsilon = {}\ndelta = 1e-5\n"
    Path("free.toml").write_text(text)
    Path("strict.toml").write_text(text + limits.format(0.01))
    Path("wide.toml").write_text(text + limits.format(40))
    assert approve(silo, "--yes", "--site", "strict.toml").codes() == ["SG804"]
    assert approve(helper, "--yes", "--site", "wide.toml").codes() == ["SG541"]
    assert nothing_signed()
    free = approve(silo, "--yes", "--site", "free.toml", "-o", "a.json")
    assert "free.toml states no limit" in free.out
    assert (
        "wide.toml allows it as a first study" in approve(silo, "--yes", "--site", "wide.toml").out
    )


def test_compiling_again_keeps_the_approvals(site: Path) -> None:
    name = names()[0]
    spec = SPECS / "two_hospitals.secgen"
    approve(name, "--yes")
    Path("b/approvals/letter.txt").write_text("as agreed")
    before = approval_path(Path("b"), name).read_bytes()
    assert secgen("compile", spec, "-o", "b").code == 0
    assert approval_path(Path("b"), name).read_bytes() == before
    assert Path("b/approvals/letter.txt").read_text() == "as agreed"
    left = {path.name for path in site.iterdir()}
    assert left == {"b", "c.toml", *names()}


@pytest.mark.parametrize("what", ["plan", "study"])
def test_an_approved_bundle_is_not_replaced_by_another(what: str, site: Path) -> None:
    approve(names()[0], "--yes")
    bundle = read_bundle(Path("b"))
    other = {
        "plan": replace(bundle, plan=bundle.plan.model_copy(update={"threshold": 2})),
        "study": replace(bundle, study=bundle.study.model_copy(update={"title": "Another"})),
    }[what]
    before = {path: path.read_bytes() for path in Path("b").rglob("*") if path.is_file()}
    with pytest.raises(SecgenError, match=r"SG702 .* approvals of another plan or study"):
        write_bundle(Path("b"), other)
    assert {p: p.read_bytes() for p in Path("b").rglob("*") if p.is_file()} == before
    shutil.rmtree("b/approvals")
    write_bundle(Path("b"), other)


def test_a_replacement_that_was_cut_off_loses_no_approval(site: Path) -> None:
    """The moment between two renames: the old bundle has gone, the new one is not there yet."""
    name = names()[0]
    bundle = read_bundle(Path("b"))
    approve(name, "--yes")
    before = approval_path(Path("b"), name).read_bytes()
    Path("b").rename(".b.replaced")
    write_bundle(Path("b"), bundle)
    assert approval_path(Path("b"), name).read_bytes() == before
    assert not Path(".b.replaced").exists()
    # A moment later: both are there.
    shutil.copytree("b", ".b.replaced")
    write_bundle(Path("b"), bundle)
    assert approval_path(Path("b"), name).read_bytes() == before
    assert not Path(".b.replaced").exists()
    with pytest.raises(SecgenError, match="SG702"):
        write_bundle(Path("/"), bundle)
