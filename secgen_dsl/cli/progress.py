"""What is shown while parties work: phase, peers, bytes, and how long it may still take.

Nothing in a line depends on a site's people: phases, bytes and peers follow from the plan and from
who is there, and no time is told before the party has connected at a time that everybody knows.
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from secgen_dsl.backends.mpyc.messages import Progress

CONNECTING = "connecting"


class ProgressLines:
    """Turns a party's progress into lines.

    Args:
        say: prints a line.
        peers: names of the other parties.
        as_json: a JSON object a line, for machines.
    """

    def __init__(self, say: Callable[[str], None], peers: tuple[str, ...], *, as_json: bool):
        self._say = say
        self._peers = peers
        self._as_json = as_json
        self._start = time.monotonic()
        self._exchange: tuple[float, int] | None = None

    def message(self, event: str, text: str) -> None:
        """Something that is said once."""
        if self._as_json:
            self._say(json.dumps({"time": _now(), "event": event, "message": text}))
        else:
            self._say(f"{self._clock()}  {text}")

    def __call__(self, progress: "Progress") -> None:
        """A party's progress."""
        waiting = [name for name in self._peers if name not in progress.connected]
        left = self._seconds_left(progress)
        if self._as_json:
            fields = {
                "time": _now(),
                "event": "progress",
                "party": progress.party,
                "phase": progress.phase,
                "connected": list(progress.connected),
                "waiting_for": {name: progress.missing.get(name, "") for name in waiting},
                "bytes": progress.bytes,
                "expected": progress.expected,
                "seconds_left": left,
            }
            self._say(json.dumps(fields))
            return
        line = f"{self._clock()}  {progress.phase}"
        if progress.phase == CONNECTING:
            line += f": {len(progress.connected)} of {len(self._peers)} parties are there"
            if waiting:
                reasons = [f"{name} ({progress.missing.get(name, 'not yet')})" for name in waiting]
                line += f"; waiting for {', '.join(reasons)}"
        elif progress.connected:
            line += f": {progress.bytes:,} of {progress.expected:,} bytes sent"
            line += f", about {left:.0f} s left" if left is not None and left >= 1 else ""
        self._say(line)

    def _seconds_left(self, progress: "Progress") -> float | None:
        """By the pace since the first share; None: nothing is known yet."""
        if not progress.connected or progress.phase == CONNECTING:
            return None
        now = time.monotonic()
        if self._exchange is None:
            self._exchange = (now, progress.bytes)
        began, before = self._exchange
        sent = progress.bytes - before
        if sent <= 0 or now <= began:
            return None
        return round((progress.expected - progress.bytes) * (now - began) / sent, 1)

    def _clock(self) -> str:
        return f"{time.monotonic() - self._start:6.1f} s"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
