"""A party whose secrets a test can look for: injected noise, and a note of all that it keeps.

Run as ``python -m tests.runtime.recording`` with the name of a behaviour of ``tests.mpyc.entries``.
What must never leave the party goes to ``secrets.json`` in its state folder: x, z and y of every
release, and the elements of every frame.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.backends.mpyc import party as party_module
from secgen_dsl.backends.mpyc.messages import PartyConfig, read_config
from secgen_dsl.backends.mpyc.process import (
    Lifeline,
    leave,
    private_output,
    run_party,
)
from secgen_dsl.runtime.network.channel import Channel
from secgen_dsl.runtime.network.frames import SALT_BYTES, Kind
from secgen_dsl.verifier import verify
from tests.mpyc.entries import BEHAVIOURS, InjectedNoise

SECRETS = "secrets.json"


def record(config: PartyConfig) -> None:
    """Note x, z, y, and every payload that is sent."""
    path = Path(config.state) / SECRETS
    secrets: dict[str, dict[str, Any]] = {"x": {}, "z": {}, "y": {}, "frames": {}}
    if path.exists():  # of an earlier run: a restart draws nothing
        secrets = json.loads(path.read_text())
    keeping, sending = party_module.Party.keep, Channel.send

    def keep(self: Any, number: int, marginal: str, contribution: NDArray[np.int64]) -> None:
        for name, array in (
            ("x", self._counts[marginal]), ("z", self._drawn[marginal]), ("y", contribution),
        ):  # fmt: skip
            secrets[name][marginal] = array.ravel().tolist()
        path.write_text(json.dumps(secrets))
        keeping(self, number, marginal, contribution)

    async def send(self: Channel, peer: Any, kind: Kind, number: int, payload: bytes) -> None:
        if kind in (Kind.SHARE, Kind.OPENING):
            digest = hashlib.sha256(payload).hexdigest()
            secrets["frames"][digest] = [payload[:SALT_BYTES].hex(), payload[SALT_BYTES:].hex()]
            path.write_text(json.dumps(secrets))
        await sending(self, peer, kind, number, payload)

    setattr(party_module.Party, "keep", keep)  # noqa: B010
    setattr(Channel, "send", send)  # noqa: B010


if __name__ == "__main__":
    channel = private_output()
    config = read_config(sys.stdin.buffer.readline())
    lifeline = Lifeline()
    BEHAVIOURS[sys.argv[1]](config)
    record(config)
    noise = InjectedNoise(config.index)
    leave(run_party(config, noise=noise, verify=verify, channel=channel, lifeline=lifeline))
