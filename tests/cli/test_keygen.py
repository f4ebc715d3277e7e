"""`secgen keygen` and `secgen consortium`."""

import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from secgen_dsl.runtime.trust.consortium import Relay, read_consortium, read_parties, roster_sha256
from secgen_dsl.runtime.trust.identity import read_certificate, read_signer
from tests.cli.commands import secgen

FILES = {"officer.key": 0o600, "machine.key": 0o600, "machine.crt": 0o644, "party.toml": 0o644}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def keys(name: str, *more: str, out: str = "") -> Path:
    out = out or name
    assert secgen("keygen", "--party", name, "-o", out, *more).code == 0
    return Path(out)


def test_what_a_site_gets(folder: Path) -> None:
    ended = secgen(
        *("keygen", "--party", "north", "--address", "north.example.org:7443"),
        *("--listen", "[::]:7443", "--days", "90", "-o", "new/keys", "--json"),
    )
    assert ended.code == 0
    made = folder / "new" / "keys"
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in made.iterdir()} == FILES
    assert [path.name for path in made.parent.iterdir()] == ["keys"]
    officer, machine = read_signer(made / "officer.key"), read_signer(made / "machine.key")
    certificate = read_certificate((made / "machine.crt").read_text())
    assert officer.public != machine.public == certificate.public
    assert (certificate.name, certificate.hosts) == ("north", ("north.example.org",))
    assert (certificate.not_after - certificate.not_before).days == 90
    (entry,) = read_parties(made / "party.toml")
    assert tomllib.loads((made / "party.toml").read_text()) == {
        "party": [
            {
                "name": "north",
                "address": "north.example.org:7443",
                "listen": "[::]:7443",
                "fingerprint": certificate.fingerprint,
                "officer": officer.public,
                "certificate": certificate.pem,
            }
        ]
    }
    assert ended.json["fingerprint"] == certificate.fingerprint
    assert ended.json["compare"] == roster_sha256([entry])


def test_a_new_machine_keeps_its_officer(folder: Path) -> None:
    (old,) = read_parties(keys("north") / "party.toml")
    made = keys("north", "--officer", old.officer, out="new")
    assert {path.name for path in made.iterdir()} == set(FILES) - {"officer.key"}
    (entry,) = read_parties(made / "party.toml")
    assert (entry.officer, entry.fingerprint == old.fingerprint) == (old.officer, False)
    assert secgen("keygen", "--party", "north", "--officer", "Dr. North", "-o", "x").code == 2


def test_what_is_said(folder: Path) -> None:
    ended = secgen("keygen", "--party", "north", "--address", "[2001:db8::7]:443", "-o", "keys")
    for name in FILES:
        assert name in ended.out
    assert ended.out.count("secret: ") == 2
    for secret in ("officer.key", "machine.key"):
        assert Path("keys", secret).read_text().splitlines()[1] not in ended.out
    (entry,) = read_parties(Path("keys/party.toml"))
    assert roster_sha256([entry]) in ended.out
    assert entry.identity.hosts == ("2001:db8::7",)


def test_no_two_keys_are_the_same(folder: Path) -> None:
    entries = [read_parties(keys("north", out=f"k{k}") / "party.toml")[0] for k in range(3)]
    assert len({e.officer for e in entries} | {e.fingerprint for e in entries}) == 6


@pytest.mark.parametrize("what", ["folder", "empty", "file", "link"])
def test_nothing_is_overwritten(what: str, folder: Path) -> None:
    old = keys("north", out="folder") / "officer.key"
    before = old.read_bytes()
    Path("empty").mkdir()
    Path("file").write_text("mine")
    Path("link").symlink_to("nowhere")
    names = sorted(path.name for path in folder.iterdir())
    ended = secgen("keygen", "--party", "north", "-o", what)
    assert ended.codes() == ["SG706"]
    assert old.read_bytes() == before
    assert Path("file").read_text() == "mine"
    assert sorted(path.name for path in folder.iterdir()) == names


def test_where_nothing_can_be_written(folder: Path) -> None:
    Path("file").write_text("mine")
    assert secgen("keygen", "--party", "north", "-o", "file/keys").codes() == ["SG701"]
    assert [path.name for path in folder.iterdir()] == ["file"]


def test_a_full_disk_leaves_nothing(folder: Path) -> None:
    """No file may grow here: every write fails once the file has been made."""
    command = f"ulimit -f 0; exec {sys.executable} -m secgen_dsl.cli.main"
    done = subprocess.run(
        ["bash", "-c", f"{command} keygen --party north -o keys"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "error[SG701]: cannot write: file too large" in done.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        ("--party", "../north"),
        ("--party", "no rth"),
        ("--party", ""),
        ("--party", "n" * 41),
        ("--party", "n", "--address", "north"),
        ("--party", "n", "--address", "north:0"),
        ("--party", "n", "--listen", "[::1:7443"),
        ("--party", "n", "--days", "0"),
        ("--party", "n", "--days", "3651"),
        (),
    ],
    ids=" ".join,
)
def test_wrong_usage(options: tuple[str, ...], folder: Path) -> None:
    assert secgen("keygen", *options, "-o", "keys").code == 2
    assert list(folder.iterdir()) == []


def test_a_consortium_of_three(folder: Path) -> None:
    for name in ("south", "north"):
        keys(name, "--address", f"{name}.example.org:7443")
    keys("helper")
    keys("other")
    files = [f"{name}/party.toml" for name in ("south", "north", "helper", "other")]
    assert secgen("consortium", *files, "-o", "c.toml").codes() == ["SG521"]
    assert not Path("c.toml").exists()
    relay = ("--relay", "relay.example.org:443")
    ended = secgen("consortium", *files, "-o", "c.toml", *relay)
    assert ended.code == 0
    read = read_consortium(Path("c.toml"))
    assert [one.name for one in read.party] == ["south", "north", "helper", "other"]
    assert read.relay == Relay(address="relay.example.org:443")
    assert "met at the relay" in ended.out
    for one in read.party:
        assert roster_sha256([one]) in ended.out
    # Whatever the order, and from the made file, the sites see one roster.
    shown = secgen("consortium", "c.toml", "--json").json
    assert f"roster   {shown['roster']}\n" in ended.out
    assert secgen("consortium", *reversed(files), "--json").json["roster"] == shown["roster"]
    assert shown["written"] is None
    # The file as it is made again from itself, with its times.
    text = Path("c.toml").read_text()
    Path("c.toml").write_text(text.replace("message = 120.0", "message = 7"))
    assert secgen("consortium", "c.toml", "-o", "again.toml").code == 0
    assert Path("again.toml").read_text() == text.replace("message = 120.0", "message = 7.0")


def test_a_site_sees_whether_its_own_keys_arrived(folder: Path) -> None:
    for name in ("north", "south"):
        keys(name, "--address", f"{name}.example.org:7443")
    secgen("consortium", "north/party.toml", "south/party.toml", "-o", "c.toml")
    ended = secgen("consortium", "c.toml", "north/party.toml")
    assert ended.code == 0
    assert "checked  every certificate has its fingerprint; no two parties share a key" in ended.out
    assert "         the files agree on the keys of north\n" in ended.out
    assert "agree" not in secgen("consortium", "c.toml").out
    other = keys("north", "--address", "north.example.org:7443", out="forged") / "party.toml"
    ended = secgen("consortium", "c.toml", other)
    assert ended.codes() == ["SG521", "SG521"]
    assert 'the certificate of "north"' in ended.err
    assert 'the officer\'s key of "north"' in ended.err
    # A forged officer's key alone, beside the right certificate.
    (mine,), (theirs,) = read_parties(Path("north/party.toml")), read_parties(other)
    text = Path("north/party.toml").read_text().replace(mine.officer, theirs.officer)
    Path("changed.toml").write_text(text)
    ended = secgen("consortium", "north/party.toml", "changed.toml", "-o", "d.toml")
    assert ended.codes() == ["SG521"]
    assert not Path("d.toml").exists()


def test_files_of_two_parties_with_one_key(folder: Path) -> None:
    (north,) = read_parties(keys("north") / "party.toml")
    keys("south", "--officer", north.officer)
    ended = secgen("consortium", "north/party.toml", "south/party.toml")
    assert ended.codes() == ["SG521"]
    assert "north/party.toml, south/party.toml" in ended.err
    assert secgen("keygen", "--party", "x", "--officer", f"ed25519:{'0' * 64}", "-o", "x").code == 2


def test_a_relay_is_put_in_before_the_file_is_judged(folder: Path) -> None:
    """What the message proposes for a file whose parties have no address works."""
    keys("north")
    keys("south")
    parties = [Path(name, "party.toml").read_text() for name in ("north", "south")]
    Path("c.toml").write_text("\n".join(['format = "secgen.consortium/1"', *parties]))
    ended = secgen("consortium", "c.toml")
    assert ended.codes() == ["SG521"]
    assert "--relay HOST:PORT" in ended.err
    assert secgen("consortium", "c.toml", "--relay", "relay.org:443", "-o", "z.toml").code == 0
    assert read_consortium(Path("z.toml")).relay == Relay(address="relay.org:443")


def test_a_consortium_is_not_overwritten(folder: Path) -> None:
    keys("north", "--address", "north.example.org:7443")
    Path("c.toml").write_text("mine")
    ended = secgen("consortium", "north/party.toml", "-o", "c.toml")
    assert ended.codes() == ["SG706"]
    assert Path("c.toml").read_text() == "mine"
    assert secgen("consortium", "north/party.toml", "--relay", "x").code == 2
    assert secgen("consortium").code == 2
    assert secgen("consortium", "c.toml").codes() == ["SG521"]
