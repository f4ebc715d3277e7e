"""`secgen doctor`: real doctors and parties on loopback ports, each fault made for real."""

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from secgen_dsl.runtime.network.frames import NO_SESSION, Header, Kind
from secgen_dsl.runtime.network.links import Endpoint
from secgen_dsl.runtime.trust.approvals import approval_path
from secgen_dsl.runtime.trust.consortium import (
    PartyEntry,
    Relay,
    Timeouts,
    consortium_text,
)
from secgen_dsl.runtime.trust.identity import (
    Signer,
    new_certificate,
    new_signer,
    write_private,
)
from tests.cli.commands import secgen
from tests.cli.doctors import AHEAD
from tests.conftest import ROOT

NAMES = ("north", "east", "south")
"""The plan's order, which is not that of the alphabet."""

PATIENCE = 120  # seconds that a process may take on a busy machine
LOOPBACK = "127.0.0.1"

SPEC = """\
secgen 1
study "Three hospitals" {{ purpose "{purpose}" }}
silos hold patients {{ north terms open; east terms open; south terms open }}
trust {{ tolerate 1 colluding party }}
person {{ key patient; at most 1 sample; in at most 1 silo }}
columns {{ sex category {{ female, male }} }}
privacy {{ add or remove one person; epsilon {epsilon}; delta 1e-6 }}
measure {{ marginal sex }}
release {{ samples 20 to silos as csv }}
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        return int(sock.getsockname()[1])


@dataclass
class Sites:
    """Sites with their keys, in a folder each, and one consortium.toml for all."""

    folder: Path
    entries: dict[str, PartyEntry] = field(default_factory=dict)
    officers: dict[str, Signer] = field(default_factory=dict)
    relay: Relay | None = None

    def add(
        self,
        name: str,
        address: str | None = None,
        days: int = 90,
        host: str = LOOPBACK,
        **more: str,
    ) -> None:
        machine, officer = new_signer(), new_signer()
        # No days: it has expired when it is made.
        certificate = new_certificate(machine, more.pop("names", name), host, days)
        self.entries[name] = PartyEntry(
            name=name,
            address=f"{LOOPBACK}:{free_port()}" if address is None else address,
            fingerprint=certificate.fingerprint,
            certificate=certificate.pem,
            officer=officer.public,
            **more,
        )
        self.officers[name] = officer
        keys = self.folder / name
        keys.mkdir()
        write_private(keys / "machine.key", machine.pem())
        write_private(keys / "officer.key", officer.pem())
        (keys / "machine.crt").write_text(certificate.pem)

    def file(self, name: str = "consortium.toml", **others: PartyEntry) -> Path:
        """consortium.toml; with other entries for some sites."""
        path = self.folder / name
        entries = [others.get(one, entry) for one, entry in self.entries.items()]
        timeouts = Timeouts(connect=PATIENCE, message=60.0, preparation=0.0)
        path.write_text(consortium_text(entries, timeouts, self.relay, path))
        return path

    def doctor(
        self, name: str, *more: str | Path, matter: str = "", file: Path | None = None
    ) -> Any:
        """A doctor's process; it waits for 60 s unless told otherwise."""
        module = ["tests.cli.doctors", matter] if matter else ["secgen_dsl.cli.main"]
        words = ["doctor", "--consortium", file or self.folder / "consortium.toml"]
        words += ["--party", name, "--keys", self.folder / name, "--json"]
        if "--wait" not in more:
            words += ["--wait", "60"]
        return started(module, [*words, *more])


def started(module: Sequence[str], words: Sequence[str | Path]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", *module, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


@dataclass(frozen=True)
class Told:
    """What a doctor said."""

    code: int
    json: Any

    def all(self) -> list[tuple[str, str, str]]:
        """Code, severity, place of each finding."""
        return [(d["code"], d["severity"], d["place"]) for d in self.json["diagnostics"]]

    def errors(self) -> list[tuple[str, str]]:
        return [(code, place) for code, severity, place in self.all() if severity == "error"]

    def message(self, code: str) -> str:
        return " | ".join(
            f"{d['message']} → {d['next']}" for d in self.json["diagnostics"] if d["code"] == code
        )

    def word(self, site: str, check: str) -> str:
        (words,) = [one for one in self.json["sites"] if one["site"] == site]
        return str(words[check])


def said(*processes: "subprocess.Popen[str]") -> list[Told]:
    told = []
    for process in processes:
        out, err = process.communicate(timeout=PATIENCE)
        assert "Traceback" not in err, err
        told.append(Told(process.returncode, json.loads(out)))
    return told


def in_this_process(*words: str | Path) -> Told:
    ended = secgen("doctor", *words, "--json")
    return Told(ended.code, ended.json)


@pytest.fixture
def sites(tmp_path: Path) -> Sites:
    made = Sites(tmp_path)
    for name in NAMES:
        made.add(name)
    made.file()
    return made


def test_three_sites_find_each_other_within_seconds(sites: Sites) -> None:
    begun = time.monotonic()
    told = said(*(sites.doctor(name) for name in NAMES))
    assert time.monotonic() - begun < 55  # none waited for the time to be over
    for name, one in zip(NAMES, told, strict=True):
        assert (one.code, one.all()) == (0, [])
        for other in NAMES:
            if other != name:
                assert one.word(other, "reached") == one.word(other, "calls us") == "yes"
                assert one.word(other, "parties") == "same"
                assert abs(float(one.word(other, "clock").removesuffix(" s"))) <= 1


def test_why_a_site_was_not_reached(sites: Sites) -> None:
    sites.add("deaf")
    sites.add("nameless", "nowhere.invalid:7443", host="nowhere.invalid")
    deaf = sites.entries["deaf"].reached_at()
    assert deaf is not None
    sites.file()
    with socket.create_server((deaf.host, deaf.port), backlog=16):  # nobody ever accepts
        (told,) = said(sites.doctor("north", "--wait", "3"))
    assert told.code == 1
    assert told.word("east", "reached") == told.word("south", "reached") == "refused"
    assert told.word("deaf", "reached") == "no answer"
    assert told.word("nameless", "reached") == "no DNS"
    assert sorted(place for code, place in told.errors() if code == "SG551") == [
        *("site deaf", "site east", "site nameless", "site south")
    ]
    assert "firewall" in told.message("SG551")


def test_certificates_that_do_not_fit(tmp_path: Path) -> None:
    sites = Sites(tmp_path)
    sites.add("north")
    sites.add("east")
    sites.add("south", days=0)
    sites.file()
    # North was given another certificate of east's.
    other = Sites(tmp_path / "other")
    other.folder.mkdir()
    other.add("east", sites.entries["east"].address)
    swapped = sites.file("swapped.toml", east=other.entries["east"])
    north, east, south = said(
        sites.doctor("north", "--wait", "10", file=swapped),
        sites.doctor("east", "--wait", "10"),
        sites.doctor("south", "--wait", "10"),
    )
    for one in (north, east, south):
        assert ("SG554", "consortium.toml, south") in one.errors()
        assert one.code == 1
        assert one.word("south", "certificate") == "expired"
    assert north.word("east", "reached") == "other certificate"
    assert east.word("north", "reached") == "refuses ours"
    assert "party north, connecting" in [p for c, p in north.errors() if c == "SG525"]
    assert ("SG525", "site north") in east.errors()
    assert sites.entries["east"].fingerprint in east.message("SG525")
    # What follows from an expired certificate is not told a second time.
    assert [code for code, _ in south.errors()] == ["SG554"]
    assert east.word("south", "reached") == "expired"
    assert south.word("east", "reached") == "refuses ours"


def test_clocks_and_releases(sites: Sites) -> None:
    north, east, south = said(
        sites.doctor("north"),
        sites.doctor("east", matter="other release"),
        sites.doctor("south", matter="clock ahead"),
    )
    assert [one.code for one in (north, east, south)] == [1, 1, 1]
    assert sorted(north.errors()) == [("SG552", "site east"), ("SG553", "site south")]
    assert "secgen 0.0.9, this site" in north.message("SG552")
    assert f"{AHEAD} s ahead of" in north.message("SG553")
    assert {place for code, place in east.errors() if code == "SG552"} == {
        *("site north", "site south")
    }
    # All others agree: it is this site's clock.
    assert [place for code, place in south.errors() if code == "SG553"] == ["site south"]


def test_a_site_that_nobody_reaches_needs_the_relay(tmp_path: Path) -> None:
    sites = Sites(tmp_path)
    sites.add("north", listen=f"{LOOPBACK}:{free_port()}")  # its router passes nothing on
    sites.add("east")
    sites.add("south")
    sites.file()
    for one in said(*(sites.doctor(name, "--wait", "10") for name in NAMES)):
        assert one.errors() == [("SG555", "site north")]
        assert "[relay]" in one.message("SG555")


def test_sites_without_an_address_meet_at_the_relay(tmp_path: Path) -> None:
    port = free_port()
    sites = Sites(tmp_path, relay=Relay(address=f"{LOOPBACK}:{port}"))
    sites.add("north", "")
    sites.add("east")
    sites.add("south", "")
    file = sites.file()
    words = ["relay", "--consortium", file, "--listen", f"{LOOPBACK}:{port}"]
    relay = started(["secgen_dsl.cli.main"], words)
    try:
        assert relay.stdout is not None
        assert "listens on" in relay.stdout.readline()
        north, east, south = said(*(sites.doctor(name) for name in NAMES))
        (alone,) = said(sites.doctor("north", "--wait", "1"))
    finally:
        relay.terminate()
        relay.communicate(timeout=PATIENCE)
    for one in (north, east, south):
        assert (one.code, one.all()) == (0, [])
        assert any("admits" in note for note in one.json["notes"])
    assert north.word("south", "reached") == south.word("north", "calls us") == "at the relay"
    assert (north.word("east", "reached"), north.word("east", "calls us")) == ("yes", "we call")
    assert (east.word("north", "reached"), east.word("north", "calls us")) == ("it calls", "yes")
    assert "south was not reached: it has not come to the relay" in alone.message("SG551")


def test_a_relay_that_is_not_there(tmp_path: Path) -> None:
    sites = Sites(tmp_path, relay=Relay(address=f"{LOOPBACK}:{free_port()}"))
    sites.add("north", "")
    sites.add("south", "")
    words = ("--party", "north", "--keys", tmp_path / "north", "--wait", "2")
    told = in_this_process("--consortium", sites.file(), *words)
    assert [code for code, _ in told.errors()] == ["SG528"]  # the other site is not blamed
    assert told.word("south", "reached") == "not at the relay"


def test_the_port_and_the_keys_of_this_site(sites: Sites) -> None:
    file = sites.file()
    address = sites.entries["north"].reached_at()
    assert address is not None
    words = ("--party", "north", "--keys", sites.folder / "north", "--wait", "1")
    with socket.create_server((address.host, address.port)) as other:
        other.settimeout(PATIENCE)
        # Whoever holds the port hangs up: it is no party of this site.
        told = said(sites.doctor("north", "--wait", "1")) if hang_up(other) else []
    assert any(code == "SG556" and str(address) in place for code, place in told[0].errors())
    foreign = sites.entries["north"].model_copy(update={"listen": "192.0.2.1:7443"})
    told = [in_this_process("--consortium", sites.file("foreign.toml", north=foreign), *words)]
    assert "none of this machine's" in told[0].message("SG556")
    (sites.folder / "north" / "machine.key").chmod(0o640)
    told = [in_this_process("--consortium", file, *words)]
    assert [code for code, _ in told[0].errors()] == ["SG522"]
    (sites.folder / "north" / "machine.key").chmod(0o600)
    words = ("--party", "north", "--keys", sites.folder / "east", "--wait", "1")
    told = [in_this_process("--consortium", file, *words)]
    assert [code for code, _ in told[0].errors()] == ["SG525"]


def hang_up(server: socket.socket) -> bool:
    """Answer the next caller with an end of the connection."""
    import threading

    def once() -> None:
        with contextlib.suppress(OSError):
            server.accept()[0].close()

    threading.Thread(target=once, daemon=True).start()
    return True


def test_the_file_alone(tmp_path: Path) -> None:
    sites = Sites(tmp_path)
    sites.add("north", days=20)
    sites.add("east", names="west")
    sites.add("south", host="south.example.org")
    told = in_this_process("--consortium", sites.file())
    assert told.code == 0
    # The number that people compare by telephone.
    assert told.json["roster"] == secgen("consortium", sites.file(), "--json").json["roster"]
    assert told.all() == [
        ("SG554", "warning", f"consortium.toml, {name}") for name in sorted(NAMES)
    ]
    assert told.word("south", "certificate").startswith("until ")
    short = sites.file("short.toml")
    short.write_text(short.read_text().replace(f"connect = {PATIENCE}", "connect = 5"))
    told = in_this_process("--consortium", short)
    assert ("SG557", "warning", f"{short}, [timeouts]") in told.all()
    twice = sites.file("twice.toml")
    twice.write_text(twice.read_text() + twice.read_text()[twice.read_text().index("[[party]]") :])
    told = in_this_process("--consortium", twice)
    assert {code for code, _ in told.errors()} == {"SG521"}


# -- with a bundle ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    for name, epsilon in (("b", "0.5"), ("other", "0.6")):
        spec = folder / f"{name}.secgen"
        spec.write_text(SPEC.format(purpose="To be sure.", epsilon=epsilon))
        assert secgen("compile", spec, "-o", folder / name).code == 0
    return folder


def approve(sites: Sites, bundle: Path) -> None:
    for name in NAMES:
        key = sites.folder / name / "officer.key"
        assert secgen("approve", bundle, "--party", name, "--key", key, "--yes").code == 0


def test_plans_and_approvals_at_every_site(sites: Sites, bundles: Path) -> None:
    whole, part, other = (sites.folder / name for name in ("whole", "part", "other"))
    shutil.copytree(bundles / "b", whole)
    shutil.copytree(bundles / "other", other)
    approve(sites, whole)
    approve(sites, other)
    shutil.copytree(whole, part)
    approval_path(part, "south").unlink()
    north, east, south = said(
        sites.doctor("north", "--bundle", whole),
        sites.doctor("east", "--bundle", part),
        sites.doctor("south", "--bundle", other),
    )
    assert sorted(north.errors()) == [("SG523", "site east"), ("SG552", "site south")]
    assert sorted(code for code, _ in east.errors()) == ["SG523", "SG552"]
    assert sorted(south.errors()) == [("SG552", "site east"), ("SG552", "site north")]
    assert north.word("east", "approvals") == "2 of 3"
    assert (north.word("east", "plan"), north.word("south", "plan")) == ("same", "other")
    assert east.word("south", "approval") == "missing"
    hashes = {word for word in north.message("SG552").replace(",", "").split() if len(word) == 64}
    assert len(hashes) == 2


def test_the_state_and_the_policy_of_a_site(sites: Sites, bundles: Path) -> None:
    bundle, state = sites.folder / "b", sites.folder / "state"
    shutil.copytree(bundles / "b", bundle)
    approve(sites, bundle)
    site = sites.folder / "site.toml"
    site.write_text('[files]\nexpression = "nowhere.csv"\n[policy]\nmax_delta = 1e-9\n')
    words = ("--party", "north", "--keys", sites.folder / "north", "--wait", "1")
    words += ("--bundle", bundle, "--state", state, "--site", site)
    told = in_this_process("--consortium", sites.file(), *words)
    assert {code for code, _ in told.errors()} == {"SG804", "SG551"}
    assert not state.exists()
    assert any("0 entries" in note and "stop now" in note for note in told.json["notes"])
    site.write_text('[files]\nexpression = "nowhere.csv"\n')
    state.write_text("")
    told = in_this_process("--consortium", sites.file(), *words)
    assert {code for code, _ in told.errors()} == {"SG701", "SG551"}
    words = tuple(word if word != "north" else "west" for word in words)
    told = in_this_process("--consortium", sites.file(), *words)
    assert [code for code, _ in told.errors()][:2] == ["SG521", "SG529"]


def until_it_listens(entry: PartyEntry) -> None:
    address = entry.reached_at()
    assert address is not None
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((address.host, address.port)):
            return
        time.sleep(0.1)
    raise AssertionError(f"{entry.name} does not listen")


@pytest.fixture
def parties() -> Iterator[dict[str, "subprocess.Popen[str]"]]:
    running: dict[str, subprocess.Popen[str]] = {}
    yield running
    for process in running.values():
        process.kill()
        process.communicate(timeout=PATIENCE)


def test_parties_answer_and_their_run_completes(
    sites: Sites, bundles: Path, parties: dict[str, "subprocess.Popen[str]"]
) -> None:
    bundle, file = sites.folder / "b", sites.file()
    shutil.copytree(bundles / "b", bundle)
    approve(sites, bundle)

    def start(name: str) -> None:
        table = sites.folder / f"{name}.csv"
        table.write_text("patient,sex\n" + "".join(f"{name}{k},female\n" for k in range(30)))
        home = sites.folder / name
        words = ["party", bundle, "--party", name, "--consortium", file, "--keys", home]
        words += ["--site", table, "--state", home / "state", "-o", home / "out", "--json"]
        parties[name] = started(["secgen_dsl.cli.main"], words)

    for name in ("north", "east"):
        start(name)
        until_it_listens(sites.entries[name])
    # North's port is held by its own party; south has not started: a doctor and two parties, and
    # a doctor without the bundle, which numbers the sites in another order.
    south, north = said(
        sites.doctor("south", "--bundle", bundle), sites.doctor("north", "--wait", "10")
    )
    assert (south.code, south.all()) == (0, [])
    for name in ("north", "east"):
        assert (south.word(name, "reached"), south.word(name, "plan")) == ("yes", "same")
        assert south.word(name, "approvals") == "3 of 3"
    assert any("a party or doctor of this site does" in note for note in north.json["notes"])
    assert north.word("east", "reached") == "yes"
    assert all(process.poll() is None for process in parties.values())
    asyncio.run(_nonsense(sites))
    start("south")
    results = set()
    for name, process in parties.items():
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, out + err
        results.add((sites.folder / name / "out" / "synthetic.csv").read_bytes())
    assert len(results) == 1


async def _nonsense(sites: Sites) -> None:
    """A check of a strange length and sender, from a site of the consortium."""
    entries = tuple(sites.entries[name] for name in NAMES)
    keys = sites.folder / "south"
    endpoint = Endpoint(entries, 2, new_signer(), keys / "machine.key", keys / "machine.crt")
    reader, writer = await endpoint.dial(0)
    writer.write(Header(Kind.CHECK, 3, 9, 7, NO_SESSION, 2**60).pack() + bytes(100))
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(OSError):
            assert await reader.read() == b""
    writer.transport.abort()


@pytest.mark.parametrize("command", [("doctor",), ("party", "bundle", "-o", "out")], ids=" ".join)
def test_a_password_on_the_command_line_is_refused(command: tuple[str, ...]) -> None:
    """Other users of the machine can list command lines."""
    ended = secgen(
        *(*command, "--party", "north", "--consortium", "c.toml", "--keys", "keys"),
        *("--state", "state", "--proxy", "http://user:hidden@proxy.example.org:3128"),
    )
    assert ended.code == 2
    assert "HTTPS_PROXY" in ended.err
    assert "hidden" not in ended.err
