"""`secgen party` with a fault at a named step: what an installed party cannot be told to do.

Run as ``python -m tests.failures.entries party FAULT …`` with the arguments of `secgen party`; it
starts its party's process as ``python -m tests.failures.entries child FAULT``.  FAULT is JSON, or
``{}`` for an ordinary party.  Nothing else differs: noise, checks and files are the installed ones.
"""

import asyncio
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from secgen_dsl.runtime.network import frames
from secgen_dsl.runtime.network.frames import Kind

STEPS = (
    "before the hello",
    "before it is ready",
    "sharing",
    "before opening",
    "opening",
    "before confirming",
    "confirming",
    "after",
)

_OF_A_FRAME = {
    # step → kind of frame, and before which one of them: two peers take one each of a chunk.
    "before it is ready": (Kind.READY, 1),
    "sharing": (Kind.SHARE, 3),
    "opening": (Kind.OPENING, 3),
    "confirming": (Kind.CONFIRMATION, 2),
}


class Fault:
    """What goes wrong, once.

    Args:
        at: one of ``STEPS``; "everywhere" for slowness.
        do: kill, kill child, kill parent, stop child, pause, slow, wait, tamper.
        folder: where ``reached`` is written when the step is reached, and ``go`` is waited for.
        chunk: elements in a frame, the same at all parties, so that a small study travels in
            several; 0: the installed number.
    """

    def __init__(self, at: str = "", do: str = "", folder: str = "", chunk: int = 0) -> None:
        self.at, self.do, self.folder, self.chunk = at, do, Path(folder), chunk
        self._done = False

    async def strike(self, step: str) -> None:
        """The step is reached."""
        if self.do == "slow":
            time.sleep(0.7)
            return
        if step != self.at or self._done:
            return
        self._done = True
        (self.folder / "reached").write_text(f"{os.getppid()} {os.getpid()}")
        if self.do == "kill":
            os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.do == "kill child":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.do == "kill parent":
            os.kill(os.getppid(), signal.SIGKILL)
            await asyncio.sleep(60)
        elif self.do == "stop child":
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(60)
        elif self.do == "pause":
            os.kill(os.getppid(), signal.SIGSTOP)
            os.kill(os.getpid(), signal.SIGSTOP)
        elif self.do == "wait":
            while not (self.folder / "go").exists():
                await asyncio.sleep(0.02)


def install(fault: Fault) -> None:
    """Put the fault into the party of this process."""
    from secgen_dsl.backends.mpyc import party as party_module
    from secgen_dsl.backends.mpyc.party import Party
    from secgen_dsl.runtime.network.channel import Channel

    if fault.chunk:
        frames.CHUNK_VALUES = fault.chunk
    sent: dict[Kind, int] = {}
    one_at_a_time = asyncio.Lock()
    sending = Channel.send

    async def send(self: Channel, peer: Any, kind: Kind, number: int, payload: bytes) -> None:
        async with one_at_a_time:  # what waits for its turn waits for the fault, too
            sent[kind] = sent.get(kind, 0) + 1
            for step, (of_kind, count) in _OF_A_FRAME.items():
                if (kind, sent[kind]) == (of_kind, count):
                    await fault.strike(step)
        await sending(self, peer, kind, number, payload)

    setattr(Channel, "send", send)  # noqa: B010
    connecting, opening, closing = Party.connect, Party.open, Party.close

    async def connect(self: Party) -> None:
        await fault.strike("before the hello")
        await connecting(self)

    async def open_(self: Party, *arguments: Any) -> Any:
        await fault.strike("before opening")
        return await opening(self, *arguments)

    async def close(self: Party) -> None:
        await fault.strike("before confirming")
        await closing(self)
        await fault.strike("after")

    for name, changed in {"connect": connect, "open": open_, "close": close}.items():
        setattr(Party, name, changed)
    if fault.do == "tamper":
        honest = party_module.local_share

        async def flipped(*arguments: Any) -> Any:
            share = await honest(*arguments)
            share[0] ^= 1
            return share

        setattr(party_module, "local_share", flipped)  # noqa: B010


def child(fault: Fault) -> None:
    """The party's process."""
    from secgen_dsl.backends.mpyc.process import leave, main

    install(fault)
    leave(main())


def party(text: str, fault: Fault, arguments: list[str]) -> None:
    """The command."""
    from secgen_dsl.backends.bundle import read_bundle
    from secgen_dsl.backends.mpyc import field
    from secgen_dsl.cli import field as field_command
    from secgen_dsl.cli import results
    from secgen_dsl.cli.main import group

    command = (sys.executable, "-m", "tests.failures.entries", "child", text)
    running: Callable[..., Any] = partial(field.run_own_party, party_command=command)
    setattr(field, "run_own_party", running)  # noqa: B010
    # The accountants take seconds; they were asked when the bundle was made, and at its approval.
    setattr(field_command, "bundle_of", lambda _: read_bundle(Path(arguments[0])))  # noqa: B010
    honest = results._write_files

    def write(*given: Any) -> None:
        if fault.at == "before the results":  # the protocol has ended, nothing is written yet
            os.kill(os.getpid(), signal.SIGKILL)
        if fault.at == "results without room":
            resource.setrlimit(resource.RLIMIT_FSIZE, (8_192, 8_192))
        honest(*given)

    setattr(results, "_write_files", write)  # noqa: B010
    group(["party", *arguments], prog_name="secgen")


if __name__ == "__main__":
    which, given, *rest = sys.argv[1:]
    found = Fault(**json.loads(given))
    if which == "child":
        child(found)
    else:
        party(given, found, rest)
