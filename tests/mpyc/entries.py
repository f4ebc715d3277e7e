"""Entry scripts of test parties: what an installed party cannot be told to do.

Run as ``python -m tests.mpyc.entries NAME``.  Noise is injected here and nowhere else: the
installed ``main`` knows no such argument.
"""

import asyncio
import contextlib
import hashlib
import json
import math
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.backends.mpyc import party as party_module
from secgen_dsl.backends.mpyc import sharing
from secgen_dsl.backends.mpyc.messages import PartyConfig, read_config
from secgen_dsl.backends.mpyc.process import (
    Lifeline,
    leave,
    private_output,
    run_party,
)
from secgen_dsl.runtime.network.channel import Channel
from secgen_dsl.runtime.network.frames import Kind
from secgen_dsl.runtime.noise import SystemNoise
from secgen_dsl.verifier import verify

STEERED_BY = 200_000
"""What ``steer`` adds to each value of the first round: tens of people's vectors."""


class InjectedNoise:
    """Integers that a test can compute again: different for each party and marginal."""

    def __init__(self, index: int) -> None:
        self._index = index

    def draw(self, marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
        text = f"{self._index} {marginal} {variance}".encode()
        seed = int.from_bytes(hashlib.sha256(text).digest()[:8], "little")
        spread = 4 * math.isqrt(int(variance)) + 1  # as far as fits a plan's field
        return np.random.default_rng(seed).integers(-spread, spread + 1, cells, dtype=np.int64)

    def draw_polya(
        self, marginal: str, cells: int, scale: Fraction, parts: int
    ) -> NDArray[np.int64]:
        return self.draw(f"{marginal} in {parts} parts", cells, scale)


def tamper(config: PartyConfig) -> None:
    """The party of index 1 changes one of its shares of the sum."""
    honest = sharing.local_share

    async def flipped(mpc: Any, secure: Any) -> NDArray[np.uint64]:
        share = await honest(mpc, secure)
        if config.index == 1:
            share[0] ^= np.uint64(1)
        return share

    setattr(party_module, "local_share", flipped)  # noqa: B010


def _rows(store: Path, table: str) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        count = database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
    return int(count)


def _all_have(config: PartyConfig, rows: int, table: str, besides: int = 0) -> bool:
    """Whether the stores of all parties but so many have that many rows."""
    stores = list(Path(config.state).parent.glob("*/store.sqlite"))
    return sum(_rows(store, table) < rows for store in stores) <= besides


async def _until_all_have(config: PartyConfig, rows: int, table: str, besides: int = 0) -> None:
    while not _all_have(config, rows, table, besides):
        await asyncio.sleep(0.01)


def die(config: PartyConfig) -> None:
    """The party of index 1 is killed in the middle of the run, all contributions stored."""
    honest = party_module.Party.share

    async def killed(self: Any, number: int) -> list[Any]:
        if config.index == 1:
            await _until_all_have(config, 1, "contribution")
            os.kill(os.getpid(), signal.SIGKILL)
        return await honest(self, number)

    setattr(party_module.Party, "share", killed)  # noqa: B010


def die_later(config: PartyConfig) -> None:
    """The party of index 1 is killed after the first round, all second contributions stored."""
    honest = party_module.Party.share

    async def killed(self: Any, number: int) -> list[Any]:
        if config.index == 1 and number == 2:
            await _until_all_have(config, 2, "contribution")
            os.kill(os.getpid(), signal.SIGKILL)
        return await honest(self, number)

    setattr(party_module.Party, "share", killed)  # noqa: B010


def die_unstored(config: PartyConfig) -> None:
    """The party of index 1 is killed before it stores for the second round; the others have."""
    honest = party_module.Party.store

    def killed(self: Any, number: int) -> None:
        if config.index == 1 and number == 2:
            while not _all_have(config, 2, "contribution", besides=1):
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        honest(self, number)

    setattr(party_module.Party, "store", killed)  # noqa: B010


def withhold(config: PartyConfig, in_round: int = 1) -> None:
    """The party of index 1 lets the others send their shares of the sum, and aborts."""
    honest = party_module.Party.open

    async def withheld(self: Any, number: int, *arguments: Any) -> dict[str, NDArray[np.int64]]:
        if config.index == 1 and number == in_round:
            await _until_all_have(config, number, "opening", besides=1)
            await asyncio.sleep(0.5)  # by now it has what it needs to know the sum
            os.kill(os.getpid(), signal.SIGKILL)
        return await honest(self, number, *arguments)

    setattr(party_module.Party, "open", withheld)  # noqa: B010


def steer(config: PartyConfig) -> None:
    """The party of index 1 shares something else than its contribution to the first round."""
    honest = party_module.Party.share

    async def steered(self: Any, number: int) -> list[Any]:
        if config.index == 1 and number == 1:
            self._stored[1] = self._stored[1] + STEERED_BY
        return await honest(self, number)

    setattr(party_module.Party, "share", steered)  # noqa: B010


def hang(config: PartyConfig) -> None:
    """The party of index 1 stops answering in the middle of the run."""
    honest = party_module.Party.open

    async def hanging(self: Any, *arguments: Any) -> dict[str, NDArray[np.int64]]:
        if config.index == 1:
            time.sleep(600)
        return await honest(self, *arguments)

    setattr(party_module.Party, "open", hanging)  # noqa: B010


def stall(config: PartyConfig) -> None:
    """All parties but that of index 0 hang before they connect."""

    async def stalling(self: Any) -> None:
        time.sleep(600)

    if config.index != 0:
        setattr(party_module.Party, "connect", stalling)  # noqa: B010


def break_down(config: PartyConfig) -> None:
    """The party of index 0 meets a fault of secgen itself, with data in its message."""

    def broken(*_: object) -> NDArray[np.int64]:
        raise RuntimeError("patient p17 has BRCA1")

    if config.index == 0:
        setattr(party_module, "raw_cells", broken)  # noqa: B010


def nothing(config: PartyConfig) -> None:
    """An ordinary party with injected noise."""


def record(config: PartyConfig) -> None:
    """Every frame and draw of noise of this party is noted in its state folder, but no value."""
    sending, receiving = Channel.send, Channel.receive

    def note(way: str, peer: int, kind: Kind, number: int, length: int) -> None:
        with (Path(config.state) / "frames.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps([peer, way, kind.name, number, length]) + "\n")

    async def send(self: Channel, peer: Any, kind: Kind, number: int, payload: bytes) -> None:
        note("sent", peer.index, kind, number, len(payload))
        await sending(self, peer, kind, number, payload)

    async def receive(self: Channel, peer: Any, kind: Kind, number: int, length: int) -> bytes:
        payload = await receiving(self, peer, kind, number, length)
        note("received", peer.index, kind, number, len(payload))
        return payload

    drawing = party_module.Party.noise

    def draw(self: Any, marginal: str, variance: Fraction) -> NDArray[np.int64]:
        drawn = drawing(self, marginal, variance)
        with (Path(config.state) / "draws.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps([marginal, drawn.shape, str(variance)]) + "\n")
        return drawn

    setattr(Channel, "send", send)  # noqa: B010
    setattr(Channel, "receive", receive)  # noqa: B010
    setattr(party_module.Party, "noise", draw)  # noqa: B010


BEHAVIOURS: dict[str, Callable[[PartyConfig], None]] = {
    "injected": nothing,
    "system": nothing,
    "record": record,
    "tamper": tamper,
    "die": die,
    "die later": die_later,
    "die unstored": die_unstored,
    "withhold": withhold,
    "withhold later": partial(withhold, in_round=2),
    "steer": steer,
    "hang": hang,
    "stall": stall,
    "break": break_down,
}


SYSTEM = {"system", "die later", "die unstored", "withhold", "withhold later", "steer"}
"""What draws as an installed party does, so that only what is stored comes back in a restart."""


if __name__ == "__main__":
    name = sys.argv[1]
    channel = private_output()
    config = read_config(sys.stdin.buffer.readline())
    lifeline = Lifeline()
    BEHAVIOURS[name](config)
    noise = SystemNoise() if name in SYSTEM else InjectedNoise(config.index)
    leave(run_party(config, noise=noise, verify=verify, channel=channel, lifeline=lifeline))
