"""A peer with a valid certificate that behaves badly, in every phase.

The victim ends with a named error within its timeouts, runs nothing, and stores or debits nothing
before all parties are ready.
"""

import asyncio
import json
import pickle
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secgen_dsl.diagnostics.diagnostic import Diagnostic
from secgen_dsl.ir.plan import MERSENNE_61
from secgen_dsl.runtime.network.check import CHECK_BYTES, check_frame
from secgen_dsl.runtime.network.frames import (
    CHUNK_VALUES,
    HEADER,
    HELLO_BODY,
    HELLO_BYTES,
    PROTOCOL_VERSION,
    Header,
    Kind,
)
from secgen_dsl.runtime.network.gathering import MOST_OFTEN

from .meshes import (
    PHASES,
    PLACES,
    Attack,
    Ended,
    Wire,
    World,
    closed_port,
    failure,
    honest,
    listeners,
    victim,
    world_of,
)

LATER = PHASES[1:]
SHORT = {"connect_timeout": 1.5, "timeout": 0.7}
"""Of the tests in which a victim waits in vain."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world_of(tmp_path_factory.mktemp("world") / "keys")


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world_of(tmp_path_factory.mktemp("impatient") / "keys", **SHORT)


def at(phase: str, attack: Attack) -> Attack:
    """Behave well until a phase."""

    async def whole(wire: Wire) -> None:
        await wire.until(phase)
        await attack(wire)

    return whole


def sending(
    make: Callable[[Wire, bytes], bytes], phase: str, *, then_close: bool = False
) -> Attack:
    """Make something of the right frame of a phase, and send that."""

    async def attack(wire: Wire) -> None:
        await wire.send(make(wire, wire.right(phase)[0]))
        if then_close:
            wire.writer.close()

    return at(phase, attack)


def run(world: World, attack: Attack, phase: str, **changes: Any) -> Diagnostic:
    """What the victim says; it stored nothing if not all were ready."""
    ended = asyncio.run(victim(world, attack, **changes))
    assert ended.stored == (PHASES.index(phase) > 1)
    assert not ended.complete
    return ended.found


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_peer_that_behaves_well(world: World) -> None:
    """So that what the attacks change is all that is wrong with them."""

    async def well(wire: Wire) -> None:
        await wire.until("confirmation")
        await wire.send(wire.confirmation())

    ended = asyncio.run(victim(world, well))
    assert ended.complete


@pytest.mark.parametrize("phase", PHASES)
def test_pickles_are_bytes_like_any_others(world: World, phase: str, tmp_path: Path) -> None:
    path = tmp_path / "executed"
    bomb = pickle.dumps(Bomb(path))
    assert len(bomb) > HEADER.size

    def payload(_: Wire, right: bytes) -> bytes:
        return right[: HEADER.size] + bomb.ljust(len(right), b".")[: len(right) - HEADER.size]

    for make in (lambda *_: bomb, payload):
        if make is payload and phase == "ready":
            continue  # it has no payload
        found = run(world, sending(make, phase), phase)
        # A pickle's first bytes, where a hello has its version, are those of another version.
        assert found.code == ("SG502" if phase == "hello" and make is payload else "SG503")
        assert found.message.startswith("b ")
        assert found.place == f"party a, {PLACES[phase]}"
    assert not path.exists()
    pickle.loads(bomb)  # noqa: S301 (our own: shows that the bomb works)
    assert path.exists()


HEADERS: dict[str, tuple[Callable[[Header], Header], str]] = {
    "oversize": (lambda one: replace(one, length=2**63), "payload length"),
    "a byte short": (lambda one: replace(one, length=one.length - 1), "payload length"),
    "a byte long": (lambda one: replace(one, length=one.length + 1), "payload length"),
    "another round": (lambda one: replace(one, round=one.round + 1), "round"),
    "another sender": (lambda one: replace(one, sender=0), "sender"),
    "a later number": (lambda one: replace(one, sequence=one.sequence + 1), "sequence number"),
    "an earlier number": (lambda one: replace(one, sequence=one.sequence - 1), "sequence number"),
    "another session": (lambda one: replace(one, session=b"s" * 16), "session"),
    "a confirmation": (lambda one: replace(one, kind=Kind.CONFIRMATION), "kind"),
    "a share": (lambda one: replace(one, kind=Kind.SHARE), "kind"),
    "a hello": (lambda one: replace(one, kind=Kind.HELLO), "kind"),
    "a check": (lambda one: replace(one, kind=Kind.CHECK), "kind"),
}


def header_of(frame: bytes) -> Header:
    _, _, kind, number, sender, sequence, session, length = HEADER.unpack(frame[: HEADER.size])
    return Header(Kind(kind), number, sender, sequence, session, length)


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("phase", PHASES)
def test_a_header_that_the_plan_does_not_predict(world: World, phase: str, name: str) -> None:
    change, words = HEADERS[name]

    def make(wire: Wire, right: bytes) -> bytes:
        header = header_of(right)
        if header.length == 0 and name == "a byte short":
            return replace(header, length=1).pack()
        if header.sequence == 0 and name == "an earlier number":
            return replace(header, sequence=2**32 - 1).pack()
        changed = change(header)
        if changed == header:  # the right kind here
            changed = replace(header, kind=Kind.OPENING, sequence=7)
        return changed.pack() + right[HEADER.size :]

    if (phase, name) == ("ready", "another session"):
        pytest.skip("a party may be ready for another session: it is waited for")
    if (phase, name) == ("hello", "a check"):
        pytest.skip("a doctor may ask: test_a_doctor_that_asks_badly")
    found = run(world, sending(make, phase), phase)
    assert found.code == "SG503"
    assert found.message.startswith("b sent a frame that the plan does not predict")
    assert found.place == f"party a, {PLACES[phase]}"
    wrong_kind = {"a confirmation": "confirmation", "a share": "share", "a hello": "hello"}
    if not phase.startswith(wrong_kind.get(name, "none")):
        assert words in found.message


@pytest.mark.parametrize("phase", LATER)
@pytest.mark.parametrize("cut", [1, HEADER.size - 1, HEADER.size, -1])
def test_a_truncated_frame(impatient: World, phase: str, cut: int) -> None:
    if phase == "ready" and cut == HEADER.size:
        pytest.skip("the whole frame")
    found = run(impatient, sending(lambda _, right: right[:cut], phase, then_close=True), phase)
    assert found.code == "SG504"
    assert "b" in found.message.replace("(", " ").split()
    words = "broken off" if phase == "ready" else "closed its connection"
    assert words in found.message
    if phase != "ready":  # before all are ready it may come back: it is missed in the end
        assert found.place == f"party a, {PLACES[phase]}"


@pytest.mark.parametrize("cut", [0, 1, HEADER.size, -1])
def test_a_hello_cut_off_is_no_end_but_nobody_comes(impatient: World, cut: int) -> None:
    make = sending(lambda _, right: right[:cut], "hello", then_close=True)
    found = run(impatient, make, "hello")
    assert (found.code, found.place) == ("SG504", "party a, the hello")
    assert "b (the hello was cut off" in found.message


@pytest.mark.parametrize("phase", PHASES)
def test_silence(impatient: World, phase: str) -> None:
    found = run(impatient, sending(lambda *_: b"", phase), phase)
    assert (found.code, found.place) == ("SG504", f"party a, {PLACES[phase]}")
    if phase in {"hello", "ready"}:
        assert found.message.startswith("not ready within 1.5 s: b (")
    else:
        assert found.message == "b did not answer within 0.7 s"


@pytest.mark.parametrize("phase", PHASES)
def test_a_byte_at_a_time(impatient: World, phase: str) -> None:
    async def drip(wire: Wire) -> None:
        for byte in wire.right(phase)[0]:
            wire.writer.write(bytes([byte]))
            await asyncio.sleep(0.1)

    found = run(impatient, at(phase, drip), phase)
    assert (found.code, found.place) == ("SG504", f"party a, {PLACES[phase]}")


@pytest.mark.parametrize("kind", ["share 1", "opening 1"])
def test_numbers_that_are_not_of_the_field(world: World, kind: str) -> None:
    for number in (MERSENNE_61, 2**64 - 1):
        changed = number.to_bytes(8, "little")
        found = run(world, sending(lambda _, right, c=changed: right[:-8] + c, kind), kind)
        assert (found.code, found.place) == ("SG503", f"party a, {PLACES[kind]}")
        assert "not an element of the field" in found.message


@pytest.mark.parametrize("phase", LATER)
def test_a_frame_too_many(impatient: World, phase: str) -> None:
    async def twice(wire: Wire) -> None:
        (right,) = wire.right(phase)
        await wire.send(right)
        await wire.send(replace(header_of(right), sequence=wire.sequence).pack() + right[38:])

    ended = asyncio.run(victim(impatient, at(phase, twice)))
    if phase == "ready":  # said twice, it is as ready as before, and then silent
        assert ended.found.code in {"SG503", "SG504"}
    elif phase == "confirmation" and ended.failure is None:
        assert ended.complete  # it came after the end, to nobody
    else:
        assert ended.found.code == "SG503"
        assert ended.found.message.startswith("b sent a frame that the plan does not predict")


def test_a_long_vector_that_goes_wrong_in_a_later_frame(tmp_path: Path) -> None:
    world = world_of(tmp_path / "keys", values=(2 * CHUNK_VALUES + 5,))

    def attack(change: Callable[[bytes], bytes]) -> Attack:
        async def whole(wire: Wire) -> None:
            first, second, _ = wire.right("share 1")
            await wire.send(first)
            await wire.send(change(second))

        return at("share 1", whole)

    for change, words in (
        (lambda _: b"\x80\x04." * 40, "does not begin as a frame"),
        (lambda right: replace(header_of(right), length=2**63).pack(), "payload length"),
        (lambda right: replace(header_of(right), sequence=2).pack(), "sequence number"),
        (lambda right: replace(header_of(right), kind=Kind.OPENING).pack(), "kind"),
        (lambda right: right[:-8] + b"\xff" * 8, "not an element"),
    ):
        found = run(world, attack(change), "share 1")
        assert (found.code, found.place) == ("SG503", "party a, sharing in round 1")
        assert words in found.message
    short = replace(world, timeout=0.7)
    found = run(short, attack(lambda right: right[:9000]), "share 1")
    assert (found.code, found.place) == ("SG504", "party a, sharing in round 1")


# -- Hellos ---------------------------------------------------------------------------------


def greeting(**changes: Any) -> Attack:
    async def attack(wire: Wire) -> None:
        await wire.send(wire.hello(**changes))

    return attack


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"plan_sha256": "9" * 64}, "SG502", ("its plan is " + "9" * 64, "1" * 64)),
        ({"study_sha256": "9" * 64}, "SG502", ("its study is " + "9" * 64, "2" * 64)),
        ({"release": "0.0.9"}, "SG502", ("it runs secgen 0.0.9", "this party's 0.1.0")),
        (
            {"roster_sha256": "9" * 64},
            "SG527",
            ("the plan's parties is " + "9" * 64,),
        ),
        ({"sender": 0}, "SG502", ("for another connection",)),
        ({"receiver": 1}, "SG502", ("for another connection",)),
        ({"accepts": True}, "SG502", ("for another connection",)),
        ({"begun": 1}, "SG518", ("b says that it has dealt shares in 1 rounds",)),
        ({"begun": 3}, "SG502", ("it has dealt shares in 3 rounds",)),
        ({"opened": 1}, "SG502", ("it has dealt shares in 0 rounds",)),
        ({"opened_sha256": "9" * 64}, "SG513", ("0 rounds opened is " + "9" * 64, "0" * 64)),
        ({"release": "\x1b[2J"}, "SG503", ("no version of secgen",)),
    ],
)
def test_a_hello_that_differs(
    world: World, changes: dict[str, Any], code: str, words: tuple[str, ...]
) -> None:
    found = run(world, greeting(**changes), "hello")
    assert (found.code, found.place) == (code, "party a, the hello")
    assert found.message.startswith("b ")
    for word in words:
        assert word in found.message


@pytest.mark.parametrize("signer", [0, 1])
def test_a_hello_that_another_has_signed(tmp_path: Path, signer: int) -> None:
    """That of party c, who holds a key of the consortium, and of the victim itself."""
    world = world_of(tmp_path / "keys", parties=3)
    found = failure(world, greeting(signer=world.signer(2 * signer)))
    assert (found.code, found.place) == ("SG503", "party a, the hello")
    assert "its signature is not that of the party's machine" in found.message


@pytest.mark.parametrize("field", ["header", "body"])
def test_another_version_of_the_protocol_is_shown_at_both_ends(world: World, field: str) -> None:
    heard: list[bytes] = []

    async def attack(wire: Wire) -> None:
        right = wire.hello()
        if field == "header":
            await wire.send(right[:4] + b"\1" + right[5:])
        else:
            body = b"\1\0" + right[HEADER.size + 2 : HEADER.size + HELLO_BODY.size]
            signed = body + world.signer(1).sign("hello", body)
            await wire.send(right[: HEADER.size] + signed)
        heard.append(await wire.reader.readexactly(HEADER.size))

    found = run(world, attack, "hello")
    assert (found.code, found.place) == ("SG502", "party a, the hello")
    assert f"version is 1 where this release has {PROTOCOL_VERSION}" in found.message
    assert heard
    assert heard[0][4] == PROTOCOL_VERSION


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        ({"plan_sha256": "9" * 64}, "SG502", "plan"),
        ({"study_sha256": "9" * 64}, "SG502", "study"),
        ({"release": "0.0.9"}, "SG502", "secgen"),
        ({"roster_sha256": "9" * 64}, "SG527", "parties"),
        ({"opened": ("9" * 64,)}, "SG513", "rounds opened"),
    ],
)
def test_both_ends_show_both_values(
    world: World, change: dict[str, Any], code: str, word: str
) -> None:
    async def both() -> tuple[Ended, Ended]:
        made, ports = listeners(2)
        other = world.statement(**change)
        a, b = await asyncio.gather(
            honest(world, 0, ports, made[0]), honest(world, 1, ports, made[1], statement=other)
        )
        return a, b

    ours = getattr(world.statement(), next(iter(change)))
    values = {value if isinstance(value, str) else value[0] for value in (ours, *change.values())}
    for ended, peer in zip(asyncio.run(both()), "ba", strict=True):
        assert not ended.stored
        assert ended.found.code == code
        assert ended.found.message.startswith(f"{peer} is not in the same session")
        assert word in ended.found.message
        assert all(value in ended.found.message for value in values)


# -- Replays --------------------------------------------------------------------------------


def recorded(world: World) -> list[bytes]:
    """The frames that b sent in a session that went well."""
    frames: list[bytes] = []

    async def well(wire: Wire) -> None:
        await wire.until("confirmation")
        await wire.send(wire.confirmation())
        frames.extend(wire.sent)

    assert asyncio.run(victim(world, well)).complete
    assert len(frames) == len(PHASES)
    return frames


def test_a_whole_session_is_not_run_again(world: World) -> None:
    frames = recorded(world)

    async def again(wire: Wire) -> None:
        await wire.send(*frames)

    found = run(world, again, "ready")
    assert (found.code, found.place) == ("SG503", "party a, getting ready")


@pytest.mark.parametrize("phase", LATER[1:])
def test_a_frame_of_an_earlier_session(world: World, phase: str) -> None:
    frame = recorded(world)[PHASES.index(phase)]
    found = run(world, sending(lambda *_: frame, phase), phase)
    assert (found.code, found.place) == ("SG503", f"party a, {PLACES[phase]}")
    assert "its session is" in found.message


# -- Confirmations --------------------------------------------------------------------------


def test_other_opened_values_are_confirmed(world: World) -> None:
    found = run(
        world, sending(lambda wire, _: wire.confirmation("cd" * 32), "confirmation"), "confirmation"
    )
    assert (found.code, found.place) == ("SG509", "party a, confirming the opened values")
    assert found.message.startswith("b confirms other opened values")


@pytest.mark.parametrize("which", ["another key", "another session", "a changed digest"])
def test_a_confirmation_that_is_not_its_own(world: World, which: str) -> None:
    def make(wire: Wire, right: bytes) -> bytes:
        if which == "another key":
            return wire.confirmation(signer=world.signer(0))
        if which == "a changed digest":
            return right[:40] + bytes([right[40] ^ 1]) + right[41:]
        session, wire.session = wire.session, b"e" * 16
        earlier = wire.confirmation()
        return replace(header_of(earlier), session=session).pack() + earlier[HEADER.size :]

    found = run(world, sending(make, "confirmation"), "confirmation")
    assert (found.code, found.place) == ("SG503", "party a, confirming the opened values")
    assert "its signature is not that of its machine" in found.message


# -- Floods and random bytes ----------------------------------------------------------------


def test_ready_again_and_again(tmp_path: Path) -> None:
    world = world_of(tmp_path / "keys", parties=3, connect_timeout=30.0)

    async def flood(wire: Wire) -> None:
        await wire.greet()
        wire.join([*wire.nonces, bytes(32)])
        for _ in range(4 * MOST_OFTEN):
            await wire.send(*wire.right("ready"))

    found = run(world, flood, "ready")
    assert (found.code, found.place) == ("SG503", "party a, getting ready")
    assert "again and again" in found.message
    (path,) = world.folder.glob("0-*.jsonl")
    assert len(path.read_text().splitlines()) < 3 * MOST_OFTEN + 20


@pytest.mark.parametrize("length", [0, CHECK_BYTES - 1, 2**40])
def test_a_doctor_that_asks_badly(impatient: World, length: int) -> None:
    """It gets no answer, and the party waits on as if nobody had called."""

    async def ask(wire: Wire) -> None:
        right = check_frame(impatient.session(0, [1, 1]).check())
        await wire.send(replace(header_of(right), length=length).pack() + right[HEADER.size :])

    found = run(impatient, ask, "hello")
    assert (found.code, found.place) == ("SG504", "party a, the hello")


@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PHASES), st.binary(min_size=1, max_size=300), st.booleans())
def test_random_bytes_end_in_a_named_error(
    impatient: World, phase: str, junk: bytes, behind_the_header: bool
) -> None:
    def make(_: Wire, right: bytes) -> bytes:
        start = right[: HEADER.size] if behind_the_header else b""
        return start + junk

    if phase == "ready":
        behind_the_header = False  # there is nothing behind it
    found = run(impatient, sending(make, phase, then_close=True), phase)
    assert found.code in {"SG503", "SG504"}
    assert " b" in f" {found.message}".replace("(", " ")
    assert found.place.startswith("party a, ")


def test_what_a_party_writes_of_a_hostile_run_is_json_without_its_bytes(world: World) -> None:
    junk = b"\x80\x04JUNK\n\x1b[2J" * 9
    run(world, sending(lambda *_: junk, "share 1"), "share 1")
    for path in world.folder.glob("0-*.jsonl"):
        for line in path.read_text().splitlines():
            assert "JUNK" not in json.dumps(json.loads(line))


# -- The victim dials -----------------------------------------------------------------------


def dialled(world: World, attack: Attack) -> Ended:
    """How party b ends, who dials party a, who behaves as ``attack``."""

    async def whole() -> Ended:
        (listener,), (port,) = listeners(1)
        done: list[asyncio.Task[None]] = []

        async def accepted(index: int, reader: Any, writer: Any) -> None:
            wire = Wire(world, 0, 1, reader, writer, dials=False)
            task = asyncio.ensure_future(_run(attack, wire))
            done.append(task)
            await task

        server = world.endpoint(0, [port, port]).serve(listener, accepted)
        own = listeners(1)[0][0]
        try:
            return await honest(world, 1, [port, closed_port()], own)
        finally:
            for task in (*done, server):
                task.cancel()
            await asyncio.gather(*done, server, return_exceptions=True)

    return asyncio.run(whole())


async def _run(attack: Callable[[Wire], Awaitable[None]], wire: Wire) -> None:
    try:
        await wire.reader.readexactly(HEADER.size + HELLO_BYTES)
        await attack(wire)
        await asyncio.sleep(60)
    finally:
        wire.close()


@pytest.mark.parametrize(
    ("attack", "code", "words"),
    [
        (greeting(plan_sha256="9" * 64), "SG502", "its plan is"),
        (greeting(receiver=2), "SG502", "for another connection"),
        (greeting(accepts=False), "SG502", "for another connection"),
        (greeting(begun=2), "SG518", "a says that it has dealt shares in 2 rounds"),
        (sending(lambda *_: b"\x80\x04." * 200, "hello"), "SG503", "does not begin"),
        (sending(lambda _, right: right[:4] + b"\7" + right[5:], "hello"), "SG502", "version is 7"),
        (sending(lambda _, right: right[:-1], "hello"), "SG504", "its hello is not"),
    ],
    ids=["plan", "receiver", "role", "store", "pickle", "version", "cut off"],
)
def test_who_answers_badly(impatient: World, attack: Attack, code: str, words: str) -> None:
    ended = dialled(impatient, attack)
    assert not ended.stored
    assert (ended.found.code, ended.found.place) == (code, "party b, the hello")
    assert words in ended.found.message


def test_a_fault_that_is_no_diagnostic_does_not_show(world: World) -> None:
    """An exception of the victim's own is not swallowed: it is no SecgenError."""

    async def well(wire: Wire) -> None:
        await wire.until("opening 1")

    with pytest.raises(ZeroDivisionError):
        asyncio.run(victim(world, well, break_with=ZeroDivisionError()))
