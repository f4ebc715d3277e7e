"""Parties that come in any order, come again, cannot reach each other, are slow, or stop."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.runtime.network.frames import (
    CHUNK_VALUES,
    HEADER,
    Abort,
    Kind,
    elements_payload_bytes,
    read_abort,
)
from secgen_dsl.runtime.network.hello import read_hello
from secgen_dsl.runtime.network.mesh import Mesh
from secgen_dsl.runtime.network.tls import tls_context

from .meshes import (
    PHASES,
    PLACES,
    Ended,
    Wire,
    World,
    closed_port,
    honest,
    honest_run,
    listeners,
    row,
    victim,
    world_of,
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world_of(tmp_path_factory.mktemp("flow") / "keys", parties=3)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world_of(tmp_path_factory.mktemp("pair") / "keys")


def test_everybody_receives_what_was_sent(world: World) -> None:
    ended = asyncio.run(honest_run(world))
    for index, one in enumerate(ended):
        assert one.complete
        assert one.sums == [
            sum(
                int(row(number, peer, to, values).sum())
                for peer in range(3)
                if peer != index
                for to in (index, 0)
            )
            for number, values in enumerate(world.values, start=1)
        ]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_parties_start_in_any_order(world: World, order: tuple[int, ...]) -> None:
    async def run() -> list[Ended]:
        made, ports = listeners(3)

        async def late(index: int) -> Ended:
            await asyncio.sleep(0.3 * order.index(index))
            return await honest(world, index, ports, made[index])

        return list(await asyncio.gather(*(late(index) for index in range(3))))

    assert all(one.complete for one in asyncio.run(run()))


def test_nobody_takes_a_first_share_for_a_fault(world: World) -> None:
    """A party may begin while another still waits for the last word of a third."""
    for _ in range(25):
        ended = asyncio.run(honest_run(world))
        assert [one.failure for one in ended] == [None] * 3


@pytest.mark.parametrize("ready", [False, True])
def test_a_party_that_breaks_off_before_all_are_ready_comes_back(world: World, ready: bool) -> None:
    async def run() -> list[Ended]:
        made, ports = listeners(3)
        first = asyncio.ensure_future(honest(world, 0, ports, made[0]))
        for _ in range(3):  # b is started and killed, again and again
            wire = await Wire.dial(world, ports[0], me=1)
            await wire.greet()
            if ready:
                wire.join([*wire.nonces, bytes(32)])
                await wire.send(*wire.right("ready"))
            wire.close()
        second = asyncio.ensure_future(honest(world, 1, ports, made[1]))
        await asyncio.sleep(0.2)
        return list(await asyncio.gather(first, second, honest(world, 2, ports, made[2])))

    assert all(one.complete for one in asyncio.run(run()))


def test_two_that_cannot_reach_each_other(world: World) -> None:
    """Nobody stores or debits, and everybody says who is missing, and why."""

    async def run() -> list[Ended]:
        made, ports = listeners(3)
        blind = [ports[0], closed_port(), ports[2]]
        short = {"connect_timeout": 3.0}
        return list(
            await asyncio.gather(
                honest(world, 0, ports, made[0], **short),
                honest(world, 1, ports, made[1], **short),
                honest(world, 2, blind, made[2], **short),
            )
        )

    a, b, c = asyncio.run(run())
    assert not any(one.stored for one in (a, b, c))
    for one in (a, b, c):
        assert one.found.code in {"SG504", "SG526"}
    firsts = [one for one in (a, b, c) if one.found.code == "SG504"]
    assert firsts
    if a in firsts:
        assert "connected here, but not with every other party" in a.found.message
        assert a.found.place == "party a, getting ready"
    if b in firsts:
        assert "c (it has not called)" in b.found.message
    if c in firsts:
        assert f"b (127.0.0.1:" in c.found.message  # noqa: F541
        assert "refused" in c.found.message
    for one in (a, b, c):
        if one not in firsts:
            assert "it had no answer from " in one.found.message


# -- Backpressure ---------------------------------------------------------------------------


def test_a_slow_reader_does_not_fill_the_senders_memory(tmp_path: Path) -> None:
    """Both ways at once: what waits is a frame and what the sockets hold, however much is sent."""
    values = 40 * CHUNK_VALUES
    world = world_of(tmp_path / "keys", values=(values,), timeout=20.0)
    most = 0
    meshes: list[Mesh] = []

    def waiting() -> int:
        (peer,) = meshes[0]._channel.peers.values()
        return int(peer.writer.transport.get_write_buffer_size())  # type: ignore[attr-defined]

    async def slow(wire: Wire) -> None:
        nonlocal most
        await wire.until("share 1")
        for _ in range(20):
            await asyncio.sleep(0.05)
            most = max(most, waiting())
        assert meshes[0].bytes_sent < 30 * elements_payload_bytes(CHUNK_VALUES)
        for _ in range(40):
            _, payload = await wire.receive()
            assert len(payload) == elements_payload_bytes(CHUNK_VALUES)
            await asyncio.sleep(0.02)
            most = max(most, waiting())
        await wire.send(b"enough")
        wire.writer.close()

    ended = asyncio.run(victim(world, slow, on_mesh=meshes.append))
    assert ended.found.code in {"SG503", "SG504"}
    assert meshes[0].bytes_sent > 40 * elements_payload_bytes(CHUNK_VALUES)
    assert 0 < most < 2 * elements_payload_bytes(CHUNK_VALUES)


def test_who_does_not_read_at_all_is_named(tmp_path: Path) -> None:
    world = world_of(tmp_path / "keys", values=(40 * CHUNK_VALUES,), timeout=1.5)
    ended = asyncio.run(victim(world, lambda wire: wire.until("share 1")))
    assert (ended.found.code, ended.found.place) == ("SG504", "party a, sharing in round 1")
    assert ended.found.message.startswith("b did not answer")


# -- Aborts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", PHASES[1:])
@pytest.mark.parametrize(
    ("code", "blamed", "words"),
    [
        ("SG526", None, "because of something at its own site, which its operator sees (SG526)"),
        ("SG503", 0, "because this party (a) sent what the plan does not predict (SG503)"),
        ("SG505", None, "because the shares did not agree (SG505)"),
    ],
)
def test_a_peer_says_why_it_stops(
    pair: World, phase: str, code: str, blamed: int | None, words: str
) -> None:
    """It is 20 s until the timeout, and the victim ends at once."""
    abort = Abort(code, Kind.OPENING, 2, blamed)

    async def stop(wire: Wire) -> None:
        await wire.until(phase)
        await wire.send(wire.frame(Kind.ABORT, 0, abort.pack()))

    ended = asyncio.run(victim(pair, stop))
    assert ended.found.code == "SG526"
    assert ended.found.message == f"b stopped the run while opening round 2, {words}"
    assert ended.seconds < 15
    assert ended.stored == (PHASES.index(phase) > 1)


GOOD = Abort("SG503", Kind.SHARE, 1, 0).pack()


@pytest.mark.parametrize("phase", ["ready", "share 1", "confirmation"])
@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"\x80\x04junk" + 6 * b"\xff", "a reason that this release does not know"),
        (b"SG777" + GOOD[5:], "a reason that this release does not know"),
        (b"SG411" + GOOD[5:], "a reason that this release does not know"),
        (GOOD[:5] + b"\x63" + GOOD[6:], "it blames something"),
        (Abort("SG503", Kind.SHARE, 1, 9).pack(), "it blames something"),
        (Abort("SG503", Kind.SHARE, 3, 0).pack(), "a round that the plan does not have"),
        (GOOD + b"x", "its payload length"),
    ],
)
def test_an_abort_with_junk_inside_is_refused(
    pair: World, phase: str, payload: bytes, words: str
) -> None:
    async def stop(wire: Wire) -> None:
        await wire.until(phase)
        await wire.send(wire.frame(Kind.ABORT, 0, payload))

    found = asyncio.run(victim(pair, stop)).found
    assert found.code == "SG503"
    assert found.message.startswith("b sent a frame")
    assert words in found.message
    assert found.place in {"party a, stopping", f"party a, {PLACES[phase]}"}


@pytest.mark.parametrize("phase", ["ready", "share 1", "confirmation"])
@pytest.mark.parametrize("then_close", [False, True])
def test_an_abort_that_is_cut_off_is_one_all_the_same(
    pair: World, phase: str, then_close: bool
) -> None:
    async def stop(wire: Wire) -> None:
        await wire.until(phase)
        await wire.send(wire.frame(Kind.ABORT, 0, GOOD)[: HEADER.size + 4])
        if then_close:
            wire.writer.close()

    found = asyncio.run(victim(pair, stop)).found
    assert found.code == "SG526"
    assert "of something at its own site" in found.message


@pytest.mark.parametrize("phase", ["share 1", "opening 1", "confirmation"])
@pytest.mark.parametrize("how", ["says so", "is gone"])
def test_a_peer_stops_after_it_has_sent_everything_of_a_step(
    world: World, phase: str, how: str
) -> None:
    """Another peer is still to be waited for: nobody waits its 20 s."""

    async def run() -> Ended:
        (listener,), (port,) = listeners(1)
        ports = [port, closed_port(), closed_port()]
        running = asyncio.ensure_future(honest(world, 0, ports, listener))
        wires = [await Wire.dial(world, port, me=me) for me in (1, 2)]
        nonces = []
        for wire in wires:
            await wire.send(wire.hello())
            _, payload = await wire.receive()
            public = world.local.entries([1] * 3)[0].identity.public
            nonces = [read_hello(payload, public).nonce]
        nonces += [wire.statement.nonce for wire in wires]
        for wire in wires:
            wire.join(nonces)
        for name in PHASES[1 : PHASES.index(phase) + 1]:
            for wire in wires:
                if (wire.me, name) == (2, phase):
                    continue  # it is silent from now on
                await wire.send(*wire.right(name))
                if name != phase:
                    await wire.receive()
        await asyncio.sleep(0.2)
        if how == "says so":
            await wires[0].send(wires[0].frame(Kind.ABORT, 0, GOOD))
        elif phase == "confirmation":
            wires[1].close()  # b may go, its word is given; c may not
        else:
            wires[0].close()
        ended = await running
        for wire in wires:
            wire.close()
        return ended

    ended = asyncio.run(run())
    assert ended.seconds < 15
    if how == "says so":
        assert ended.found.code == "SG526"
        assert ended.found.message.startswith("b stopped the run while sharing in round 1")
    else:
        who = "c" if phase == "confirmation" else "b"
        assert (ended.found.code, ended.found.place) == ("SG504", f"party a, {PLACES[phase]}")
        assert ended.found.message.startswith(f"{who} closed its connection")


def heard_abort(pair: World, error: BaseException) -> Abort:
    """What party b is told when party a fails by itself."""
    heard: list[Abort] = []

    async def listen(wire: Wire) -> None:
        await wire.until("opening 1")
        kind, payload = await wire.receive()
        assert kind == Kind.ABORT
        heard.append(read_abort(payload, 2))

    async def run() -> None:
        try:
            await victim(pair, listen, break_with=error)
        except RuntimeError:
            await asyncio.sleep(0.1)

    asyncio.run(run())
    assert len(heard) == 1
    return heard[0]


def local(code: str) -> SecgenError:
    return fail(code, "patient p17 has BRCA1", place="north.csv, row 17", next_step="look")


@pytest.mark.parametrize("code", ["SG411", "SG420", "SG511", "SG512", "SG514", "SG803", "SG804"])
def test_what_happens_at_a_site_is_told_to_nobody(pair: World, code: str) -> None:
    assert heard_abort(pair, local(code)) == Abort("SG526", Kind.SHARE, 1, None)


def test_a_fault_of_secgen_is_told_to_nobody(pair: World) -> None:
    error = RuntimeError("patient p17 has BRCA1")
    assert heard_abort(pair, error) == Abort("SG526", Kind.SHARE, 1, None)


@pytest.mark.parametrize("code", ["SG505", "SG506", "SG513"])
def test_what_follows_from_public_values_is_told(pair: World, code: str) -> None:
    assert heard_abort(pair, local(code)) == Abort(code, Kind.SHARE, 1, None)


async def lying(
    world: World,
    lies: Callable[[list[Wire], list[Any]], Awaitable[None]],
    *,
    one_nonce: bool = False,
) -> list[Ended]:
    """Parties a and b are honest; c has greeted both, and does as ``lies`` from then on."""
    made, ports = listeners(3)
    running = [asyncio.ensure_future(honest(world, index, ports, made[index])) for index in (0, 1)]
    nonces: list[Any] = []
    wires = [await Wire.dial(world, ports[victim], me=2, victim=victim) for victim in (0, 1)]
    for wire in wires:
        if one_nonce:
            wire.statement = wires[0].statement
        await wire.send(wire.hello())
        _, payload = await wire.receive()
        public = world.local.entries([1] * 3)[wire.victim].identity.public
        nonces.append(read_hello(payload, public).nonce)
    await lies(wires, nonces)
    ended = await asyncio.gather(*running)
    for wire in wires:
        wire.close()
    return list(ended)


def test_what_is_passed_on_is_no_knowledge_of_ones_own(world: World) -> None:
    """c tells a lie about b to a, and a tells b only that c has told it."""

    async def lies(wires: list[Wire], _: list[Any]) -> None:
        lie = Abort("SG503", Kind.SHARE, 1, 1)
        await wires[0].send(wires[0].frame(Kind.ABORT, 0, lie.pack()))

    a, b = asyncio.run(lying(world, lies))
    assert a.found.message == (
        "c stopped the run while sharing in round 1, because b sent what the plan does not predict "
        "(SG503)"
    )
    assert b.found.message == (
        'a stopped the run while sharing in round 1, because c told it "this party (b) sent what '
        'the plan does not predict" (SG503)'
    )


def test_one_party_with_two_hellos(tmp_path: Path) -> None:
    """c says another nonce to b than to a: both name it, and nobody takes the other for at fault
    alone.
    """
    world = world_of(tmp_path / "keys", parties=3, connect_timeout=3.0)

    async def lies(wires: list[Wire], nonces: list[Any]) -> None:
        for wire in wires:  # each has a statement, and so a nonce, of its own
            wire.join([*nonces, wire.statement.nonce])
            await wire.send(*wire.right("ready"))

    ended = asyncio.run(lying(world, lies))
    assert not any(one.stored for one in ended)
    firsts = [one for one in ended if one.found.code == "SG502"]
    assert firsts
    for one in firsts:
        witness = "b" if one is ended[0] else "a"
        assert f"c has said another hello to {witness} than to this party" in one.found.message
        assert one.found.place.endswith("getting ready")
    for one in ended:
        assert one in firsts or "a party was not in the same session" in one.found.message


@pytest.mark.parametrize("whose", [0, 1])
def test_ready_with_other_nonces_than_the_hellos(pair: World, whose: int) -> None:
    async def lie(wire: Wire) -> None:
        await wire.greet()
        nonces = list(wire.nonces)
        nonces[whose] = bytes(32)
        wire.join(nonces)
        await wire.send(*wire.right("ready"))

    found = asyncio.run(victim(pair, lie)).found
    assert (found.code, found.place) == ("SG503", "party a, getting ready")
    assert "its nonces are not those of the hellos on this connection" in found.message


def test_ready_for_a_session_that_does_not_follow(pair: World) -> None:
    async def lie(wire: Wire) -> None:
        await wire.greet()
        wire.session = b"r" * 16
        await wire.send(*wire.right("ready"))

    found = asyncio.run(victim(pair, lie)).found
    assert (found.code, found.place) == ("SG503", "party a, getting ready")
    assert "its session does not follow from the nonces" in found.message


def test_survivors_name_who_stopped_and_whom_it_blames(world: World) -> None:
    """c sends junk to a, and nothing wrong to b: b hears of it from a."""

    async def junk(wires: list[Wire], nonces: list[Any]) -> None:
        for wire in wires:
            wire.join([*nonces, wires[0].statement.nonce])
            await wire.send(*wire.right("ready"))
        for wire in wires:
            assert [(await wire.receive())[0] for _ in range(2)] == [Kind.READY, Kind.SHARE]
        await wires[0].send(b"\x80\x04." * 100)
        await wires[1].send(*wires[1].right("share 1"))

    start = time.monotonic()
    a, b = asyncio.run(lying(world, junk, one_nonce=True))
    assert time.monotonic() - start < 15
    assert a.found.code == "SG503"
    assert a.found.message.startswith("c sent a frame")
    assert b.found.code == "SG526"
    assert b.found.message == (
        "a stopped the run while sharing in round 1, because c sent what the plan does not "
        "predict (SG503)"
    )


def test_a_mismatch_at_the_hello_is_told_to_all(world: World) -> None:
    """a has another plan; b and c hear of it from a itself, also who comes a little later."""

    async def run() -> list[Ended]:
        made, ports = listeners(3)
        statement = world.statement(plan_sha256="9" * 64)
        running = [
            asyncio.ensure_future(honest(world, 0, ports, made[0], statement=statement)),
            asyncio.ensure_future(honest(world, 1, ports, made[1])),
        ]
        await asyncio.sleep(1)
        running.append(asyncio.ensure_future(honest(world, 2, ports, made[2])))
        return list(await asyncio.gather(*running))

    ended = asyncio.run(run())
    assert not any(one.stored for one in ended)
    for one in ended:
        assert one.seconds < 15  # it is 20 s until the timeout
        assert one.found.code in {"SG502", "SG526"}
    assert "9" * 64 in ended[0].found.message


def test_whom_a_lost_store_stops_hears_why(world: World) -> None:
    """a has dealt in an earlier run and b's store knows nothing of it: b stops, and all hear it."""

    async def run() -> list[Ended]:
        made, ports = listeners(3)
        dealt = world.statement(begun=1)
        return list(
            await asyncio.gather(
                honest(world, 0, ports, made[0], statement=dealt, stored=1),
                honest(world, 1, ports, made[1]),
                honest(world, 2, ports, made[2], stored=1),
            )
        )

    a, b, c = asyncio.run(run())
    assert b.found.code == "SG518"
    for one in (a, c):
        assert one.found.code == "SG526"
        assert "its store does not hold what it contributed to an earlier run" in one.found.message
        assert one.seconds < 15


def test_what_was_spent_follows_from_what_this_party_did(pair: World) -> None:
    """b says in the midst of the opening that it stops at the hello: a has spent all the same."""

    async def stop(wire: Wire) -> None:
        await wire.until("opening 1")
        await wire.send(wire.frame(Kind.ABORT, 0, Abort("SG504", Kind.HELLO, 0, None).pack()))

    found = asyncio.run(victim(pair, stop)).found
    assert found.place == "party a, opening round 1"
    assert "what was stored is used again" in found.next_step


@pytest.mark.parametrize("teller", [0, 1])
def test_nobody_passes_on_its_own_word_or_this_partys(pair: World, teller: int) -> None:
    async def stop(wire: Wire) -> None:
        await wire.until("share 1")
        abort = Abort("SG505", Kind.SHARE, 1, None, teller)
        await wire.send(wire.frame(Kind.ABORT, 0, abort.pack()))

    message = asyncio.run(victim(pair, stop)).found.message
    assert message.endswith("because the shares did not agree (SG505)")


def test_a_ready_that_stops_in_its_midst_holds_nobody_up(tmp_path: Path) -> None:
    """b sends the header of a READY and no more: a still hears c, and names b in the end."""
    world = world_of(tmp_path / "keys", parties=3, connect_timeout=3.0)

    async def lies(wires: list[Wire], nonces: list[Any]) -> None:
        for wire in wires:
            wire.join([*nonces, wires[0].statement.nonce])
            await wire.send(wire.right("ready")[0][: HEADER.size + 5])

    ended = asyncio.run(lying(world, lies, one_nonce=True))
    firsts = [one for one in ended if one.found.code == "SG504"]
    assert firsts
    for one in firsts:
        assert "c (it has stopped in the middle of a message)" in one.found.message


def test_a_new_certificate_is_noticed_by_those_who_refuse_it(tmp_path: Path) -> None:
    """b shows a certificate that a's consortium.toml does not have."""
    world = world_of(tmp_path / "keys", parties=2, connect_timeout=4.0)
    other = world_of(tmp_path / "others", parties=2).local
    entries = world.local.entries([1, 1])
    new = tls_context(entries, other.keys[1], other.certificates[1], server=False)

    async def run() -> Ended:
        (listener,), (port,) = listeners(1)
        running = asyncio.ensure_future(honest(world, 0, [port, closed_port()], listener))
        await asyncio.sleep(0.2)
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=new, server_hostname=""
            )
            await reader.read()
            writer.close()
        return await running

    found = asyncio.run(run()).found
    assert found.code == "SG504"
    assert (
        "b (it has not called; somebody at 127.0.0.1 has, and showed another certificate than "
        "consortium.toml has)"
    ) in found.message
