"""consortium.toml: what it says, and each fault with its message."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.program import PARTY_NAME
from secgen_dsl.runtime.trust.consortium import (
    Address,
    Consortium,
    PartyEntry,
    Relay,
    Timeouts,
    alike,
    consortium_of,
    consortium_text,
    party_text,
    read_address,
    read_consortium,
    read_parties,
    roster_sha256,
)
from secgen_dsl.runtime.trust.identity import Certificate, new_certificate
from tests.runtime.parties import elliptic_certificate, site
from tests.wording import assert_helpful

PLACE = Path("consortium.toml")
NORTH_KEYS = site("north", "north.example.org:7443", "192.0.2.1:7443")
NORTH = NORTH_KEYS.entry
SOUTH = site("south", "[2001:db8::7]:443").entry
HELPER = site("helper").entry
TEXT = consortium_text([NORTH, SOUTH], Timeouts(), None, PLACE)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    text = consortium_text([NORTH, SOUTH, HELPER], Timeouts(connect=5), Relay(address="r:1"), path)
    path.write_text(text)
    read = read_consortium(path)
    assert [one.name for one in read.party] == ["north", "south", "helper"]
    assert read.timeouts == Timeouts(connect=5.0, message=120.0, preparation=30.0)
    assert read.relay == Relay(address="r:1")
    assert read_parties(path) == read
    assert NORTH.reached_at() == Address("north.example.org", 7443)
    assert NORTH.listens_on() == Address("192.0.2.1", 7443)
    assert SOUTH.listens_on() == SOUTH.reached_at() == Address("2001:db8::7", 443)
    assert HELPER.reached_at() is HELPER.listens_on() is None
    assert read.entry("south").identity.fingerprint == SOUTH.fingerprint


names = st.from_regex(PARTY_NAME, fullmatch=True)


@given(names, st.floats(0.001, 86_400), st.floats(0, 86_400))
def test_any_name_and_time_is_read_back(name: str, connect: float, preparation: float) -> None:
    entry = NORTH.model_copy(update={"name": name})
    timeouts = Timeouts(connect=connect, preparation=preparation)
    read = consortium_of(consortium_text([entry], timeouts, None, PLACE).encode(), PLACE)
    assert (read.party[0].name, read.timeouts) == (name, timeouts)


def test_a_party_alone(tmp_path: Path) -> None:
    path = tmp_path / "party.toml"
    path.write_text(party_text(HELPER))
    assert read_parties(path) == (HELPER.model_copy(update={"certificate": HELPER.identity.pem}),)
    with pytest.raises(SecgenError, match='"format" is missing'):
        read_consortium(path)


def test_the_roster_is_of_keys_names_and_order() -> None:
    roster = roster_sha256([NORTH, SOUTH])
    assert re.fullmatch("[0-9a-f]{64}", roster)
    assert roster != roster_sha256([SOUTH, NORTH])
    assert roster != roster_sha256([NORTH])
    for key in ("name", "fingerprint", "officer"):
        other = NORTH.model_copy(update={key: getattr(NORTH, key)[:-1] + "~"})
        assert roster_sha256([other, SOUTH]) != roster, key
    moved = NORTH.model_copy(update={"address": "elsewhere:1", "listen": ""})
    assert roster_sha256([moved, SOUTH]) == roster


def _set(key: str, value: str, number: int = 1) -> Callable[[str], str]:
    """Gives a key of the numbered party another value."""

    def edit(text: str) -> str:
        lines = [match.span() for match in re.finditer(rf"^{key} = .*$", text, re.MULTILINE)]
        start, end = lines[number - 1]
        return f"{text[:start]}{key} = {value}{text[end:]}"

    return edit


def _without(key: str) -> Callable[[str], str]:
    return lambda text: re.sub(rf"^{key} = .*\n", "", text, count=1, flags=re.MULTILINE)


def _replace(old: str, new: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return edit


TWIN = new_certificate(NORTH_KEYS.machine, "south", None, 30)


def _with_certificate(other: Certificate) -> Callable[[str], str]:
    """Gives the second party another certificate."""
    return lambda text: text.replace(SOUTH.identity.pem, other.pem).replace(
        SOUTH.fingerprint, other.fingerprint
    )


OTHER = f'"{site("x").entry.fingerprint}"'
FAULTS: dict[str, tuple[Callable[[str], str], str]] = {
    "nothing": (lambda _: "", "each party has a table [[party]]; there is none"),
    "no toml": (lambda _: "party", "it is not TOML"),
    "no end": (lambda _: "a = " + "[" * 9000, "it is not TOML"),
    "no parties": (lambda t: t.split("[[party]]")[0], "there is none"),
    "a party of one bracket": (
        lambda t: t.split("[[party]]")[0] + "[party]\nname = 'x'\n",
        "write [[party]], not [party]",
    ),
    "parties in a list": (
        lambda t: "party = [1]\n" + t.split("[[party]]")[0],
        "it is no table",
    ),
    "no format": (_without("format"), '"format" is missing'),
    "a later format": (_set("format", '"secgen.consortium/9"'), '"format" is not \'secgen.cons'),
    "no name": (_without("name"), '"name" is missing'),
    "an empty name": (_set("name", '""'), '"name" is no name of a party'),
    "a long name": (_set("name", f'"{"n" * 41}"'), '"name" is no name of a party'),
    "a name of other letters": (_set("name", '"n\\u043erth"'), '"name" is no name of a party'),
    "a name in two ways": (_set("name", '"zu\u0308rich"'), '"name" is no name of a party'),
    "a name with what is not seen": (_set("name", '"north\u200b"'), '"name" is no name of a'),
    "names of one look": (_set("name", '"S0uth"'), '"S0uth" and "south" look alike'),
    "a number as name": (_set("name", "7"), '"name" is no text in quotes'),
    "two of one name": (_set("name", '"south"'), '"south" and "south" have the same name'),
    "two at one address": (
        _set("address", '"[2001:db8::7]:443"'),
        '"north" and "south" have the same address',
    ),
    "one officer for two": (
        _set("officer", f'"{SOUTH.officer}"'),
        'the officer of "north" and the officer of "south" have the same key',
    ),
    "one machine for two": (
        _with_certificate(TWIN),
        'the machine of "north" and the machine of "south" have the same key',
    ),
    "an officer with another's machine": (
        _set("officer", f'"{SOUTH.identity.public}"'),
        'the officer of "north" and the machine of "south" have the same key',
    ),
    "an officer with the own machine": (
        _set("officer", f'"{NORTH.identity.public}"'),
        "whoever runs the machine could approve",
    ),
    "an officer of small order": (
        _set("officer", f'"ed25519:01{"00" * 31}"'),
        '"officer" is a key for which anybody can sign',
    ),
    "no port": (_set("address", '"north.example.org"'), '"address" is not HOST:PORT'),
    "a port too high": (_set("address", '"north:65536"'), '"address" is not HOST:PORT'),
    "a port of zero": (_set("listen", '"north:0"'), '"listen" is not HOST:PORT'),
    "an address of no shape": (_set("address", '"[::::]:1"'), '"address" is not HOST:PORT'),
    "a url": (_set("address", '"https://north:1"'), '"address" is not HOST:PORT'),
    "two that nobody can dial": (
        lambda t: _without("address")(_without("address")(t)),
        '"north" and "south" have no address, and there is no [relay]',
    ),
    "a fingerprint of capitals": (
        _set("fingerprint", f'"{NORTH.fingerprint.upper()}"'),
        '"fingerprint" is not "sha256:"',
    ),
    "a fingerprint of another": (_set("fingerprint", OTHER), '"fingerprint" is not that of'),
    "no officer": (_without("officer"), '"officer" is missing'),
    "an officer by name": (_set("officer", '"Dr. North"'), '"officer" is not "ed25519:"'),
    "half a certificate": (
        _replace("-----END CERTIFICATE-----", ""),
        '"certificate" is no certificate with a sound Ed25519 key',
    ),
    "a certificate of another kind": (
        lambda t: t.replace(NORTH.identity.pem, elliptic_certificate().pem),
        '"certificate" is no certificate with a sound Ed25519 key',
    ),
    "two certificates": (
        lambda t: t.replace(NORTH.identity.pem, NORTH.identity.pem + SOUTH.identity.pem),
        '"certificate" is no certificate with a sound Ed25519 key',
    ),
    "an unknown key": (_replace("[[party]]", "[[party]]\nport = 1"), 'it has no key "port"'),
    "an unknown table": (_replace("[timeouts]", "[times]"), 'it has no key "times"'),
    "an unknown time": (_set("message", "1\nwait = 2"), 'it has no key "timeouts.wait"'),
    "no time": (_set("connect", "0"), '"timeouts.connect" is no number of seconds up to'),
    "a time without end": (_set("connect", "inf"), '"timeouts.connect" is no number of seconds'),
    "a time that is none": (_set("message", "nan"), '"timeouts.message" is no number of seconds'),
    "a time before": (_set("preparation", "-1"), '"timeouts.preparation" is no number of seconds'),
    "a time in words": (_set("connect", '"60s"'), '"timeouts.connect" is no number of seconds'),
    "a relay nowhere": (
        _replace("[timeouts]", '[relay]\naddress = "here"\n[timeouts]'),
        '"address" is not HOST:PORT',
    ),
    "letters that steer": (_set("name", '"\\u001b[31mnorth" \nx = 1'), 'it has no key "x"'),
}


@pytest.mark.parametrize("what", FAULTS)
def test_faults(what: str, tmp_path: Path) -> None:
    edit, message = FAULTS[what]
    path = tmp_path / "consortium.toml"
    path.write_text(edit(TEXT), encoding="utf-8")
    with pytest.raises(SecgenError) as caught:
        read_consortium(path)
    found = caught.value.diagnostics
    assert {one.code for one in found} == {"SG521"}
    assert any(message in one.message for one in found), [one.message for one in found]
    for one in found:
        assert_helpful(one)
        assert one.place.startswith(str(path))
        assert one.place.isprintable()
        assert one.message.isprintable()


def test_what_two_parties_share_is_placed_at_both(tmp_path: Path) -> None:
    path = tmp_path / "consortium.toml"
    path.write_text(_with_certificate(TWIN)(TEXT))
    with pytest.raises(SecgenError) as caught:
        read_consortium(path)
    (found,) = caught.value.diagnostics
    assert found.place == f"{path}, party 1 (north) and party 2 (south)"


def test_all_faults_at_once_each_at_its_party(tmp_path: Path) -> None:
    path = tmp_path / "consortium.toml"
    path.write_text(_set("address", '"x"', 1)(_set("officer", '"y"', 2)(TEXT)))
    with pytest.raises(SecgenError) as caught:
        read_consortium(path)
    assert [(one.place.partition(", ")[2]) for one in caught.value.diagnostics] == [
        "party 1 (north)",
        "party 2 (south)",
    ]


@pytest.mark.parametrize("what", ["absent.toml", ".", "nul\0.toml"])
def test_no_file(what: str, tmp_path: Path) -> None:
    with pytest.raises(SecgenError, match=r"SG521 .* cannot be read"):
        read_consortium(tmp_path / what)


def test_too_much(tmp_path: Path) -> None:
    path = tmp_path / "consortium.toml"
    path.write_bytes(b"#" * 10_000_001)
    with pytest.raises(SecgenError, match="too large"):
        read_consortium(path)


@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
)
def test_bytes_of_any_kind(data: bytes) -> None:
    with pytest.raises(SecgenError, match="SG521"):
        consortium_of(data, PLACE)


@given(st.data())
def test_a_changed_letter_is_refused_or_changes_what_is_said(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TEXT) - 1))
    letter = data.draw(st.sampled_from('a0"=[]\n#\\ \t'))
    try:
        read = consortium_of((TEXT[:at] + letter + TEXT[at + 1 :]).encode(), PLACE)
    except SecgenError as error:
        assert {one.code for one in error.diagnostics} == {"SG521"}
        return
    for one in read.party:
        assert one.identity.fingerprint == one.fingerprint


def _consortium(*entries: PartyEntry) -> Consortium:
    return Consortium(
        format="secgen.consortium/1", party=entries, relay=Relay(address="relay.example.org:443")
    )


def test_the_parties_of_a_plan_come_in_its_order() -> None:
    found = _consortium(NORTH, SOUTH, HELPER).of_plan(("helper", "north"))
    assert found == (HELPER, NORTH)


def test_parties_that_the_consortium_lacks() -> None:
    consortium = _consortium(NORTH, SOUTH)
    with pytest.raises(SecgenError) as caught:
        consortium.of_plan(("nort", "south", "east"))
    assert [one.code for one in caught.value.diagnostics] == ["SG521", "SG521"]
    assert caught.value.diagnostics[0].next_step == 'did you mean "north"?'
    with pytest.raises(SecgenError, match="SG521 the consortium has no party"):
        consortium.entry("east")


@pytest.mark.parametrize(
    "text", ["", ":1", "a", "a:", "a:b", "a b:1", "[::1]", "::1:1", "a:1\n", "a:٣"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_address(text)


@pytest.mark.parametrize("text", ["a:1", "192.0.2.1:65535", "[::1]:443", "x-y.z_w:7443"])
def test_addresses(text: str) -> None:
    assert str(read_address(text)) == text


def test_names_of_one_look() -> None:
    def faults(one: str, other: str) -> list[str]:
        entries = (
            NORTH.model_copy(update={"name": one}),
            SOUTH.model_copy(update={"name": other}),
        )
        return [fault for fault, _ in alike(entries)]

    for one, other in (
        ("north-1", "north_1"), ("north-", "north"), ("A-B", "A--B"), ("Barnes", "Bames"),
        ("clinic", "dinic"), ("c1inic", "dinic"), ("vvest", "west"), ("site-5", "site-S"),
        ("site8", "siteB"), ("Z2", "22"), ("O1", "0l"),
    ):  # fmt: skip
        assert faults(one, other) == [f'"{one}" and "{other}" look alike']
    names = [f"site-{number}" for number in range(10)]
    assert all(faults(one, other) == [] for one in names for other in names if one < other)
