"""What a launcher and its parties say to each other: one JSON configuration, then JSON lines.

Neither side's lines hold anything about a site's people: phases and bytes follow from the plan,
and the only values are the opened ones.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, fail
from secgen_dsl.ir.base import Node, read_node
from secgen_dsl.ir.plan import Measurements
from secgen_dsl.runtime.trust.consortium import PartyEntry


class PartyConfig(Node):
    """What a party is given on its standard input, in one line.

    There is no field for noise, seeds or checks to leave out: an installed party always draws
    from the system's generator and always verifies.

    Attributes:
        index: of the party in ``plan.parties``.
        plan: the plan's canonical JSON.
        study_sha256: hash of the prose that was approved with it.
        program: the generated program as the bundle has it.
        source_lines: marginal id → place of its statement in the spec.
        data_file: the site's own table or site.toml; None for a helper.
        state: the party's private folder.
        entries: all parties, in the plan's order.
        key: file of the machine's private key.
        certificate: file of its certificate.
        listener: file descriptor of a socket bound for it; None: it binds its own address.
        relay: ``host:port`` where parties meet that cannot be dialled; empty: nowhere.
        proxy: URL of the HTTP proxy on the way there; empty: none.
        approvals: SHA-256 of the approvals that were checked.
        connect_timeout: seconds until all parties must be ready.
        timeout: seconds that any one wait may last from then on.
        preparation: it connects at a multiple of so many seconds after its start; 0: at once.
    """

    format: Literal["secgen.party/2"]
    index: int
    plan: str
    study_sha256: str
    program: str
    source_lines: dict[str, str]
    data_file: str | None
    state: str
    entries: tuple[PartyEntry, ...]
    key: str
    certificate: str
    listener: int | None
    relay: str
    proxy: str
    approvals: tuple[str, ...]
    connect_timeout: float
    timeout: float
    preparation: float


@dataclass(frozen=True)
class Progress:
    """Where a party is.

    Attributes:
        party: its name.
        phase: what it does now.
        bytes: sent to all peers so far.
        expected: bytes that it will have sent in the end; follows from the plan.
        connected: names of the peers that are there.
        missing: peer that is not there → why, as far as it is known.
        elapsed: seconds since its process began to work.
    """

    party: str
    phase: str
    bytes: int
    expected: int
    connected: tuple[str, ...]
    missing: Mapping[str, str]
    elapsed: float


@dataclass(frozen=True)
class PartyResult:
    """A party's last line when all went well.

    Attributes:
        measurements: the opened values, which all parties must agree on.
        bytes_sent: to all peers.
        debit: hash of the entry of its ledger that paid, 64 hex digits; empty for a helper.
        receipt: the signed receipt, a file in its private folder.
        transcript: what it sent and received, the same.
    """

    measurements: Measurements
    bytes_sent: int
    debit: str
    receipt: str
    transcript: str


def read_config(text: str | bytes) -> PartyConfig:
    """Read a party's configuration.  Raises SecgenError SG515 if it is not one."""
    try:
        return read_node(PartyConfig, text)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, part["loc"])) or "text" for part in error.errors())
        raise fail(
            "SG515",
            f"the party's configuration cannot be read: {fields}",
            place="the party's configuration",
            next_step="parties are started by `secgen party` or `secgen run`, not by hand",
        ) from error


def progress_line(progress: Progress) -> str:
    """A JSON line for ``progress``."""
    return json.dumps(
        {
            "phase": progress.phase,
            "party": progress.party,
            "bytes": progress.bytes,
            "expected": progress.expected,
            "connected": progress.connected,
            "missing": dict(progress.missing),
            "elapsed": round(progress.elapsed, 3),
        }
    )


def result_line(result: PartyResult) -> str:
    """A JSON line for ``result``."""
    return json.dumps(
        {
            "measurements": result.measurements.model_dump(mode="json"),
            "bytes": result.bytes_sent,
            "debit": result.debit,
            "receipt": result.receipt,
            "transcript": result.transcript,
        }
    )


def failure_line(error: SecgenError) -> str:
    """A JSON line for the diagnostics of ``error``."""
    return json.dumps({"failed": [diagnostic.as_json() for diagnostic in error.diagnostics]})


def read_line(line: str | bytes) -> Progress | PartyResult | SecgenError:
    """What a party's line says.

    Raises:
        ValueError: it is none of the lines above.
    """
    try:
        data = json.loads(line)
    except RecursionError as error:
        raise ValueError("a party's line is nested without end") from error
    if not isinstance(data, dict):
        raise ValueError("a party's line is a JSON object")
    try:
        if data.get("failed") == []:
            raise ValueError("a failure has a diagnostic")
        if "failed" in data:
            return SecgenError([_diagnostic(item) for item in data["failed"]])
        if "measurements" in data:
            return PartyResult(
                read_node(Measurements, json.dumps(data["measurements"])),
                int(data["bytes"]),
                str(data["debit"]),
                str(data["receipt"]),
                str(data["transcript"]),
            )
        return Progress(
            party=str(data["party"]),
            phase=str(data["phase"]),
            bytes=int(data["bytes"]),
            expected=int(data["expected"]),
            connected=tuple(map(str, data["connected"])),
            missing={str(name): str(reason) for name, reason in dict(data["missing"]).items()},
            elapsed=float(data["elapsed"]),
        )
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError("a party's line has an unknown form") from error


def _diagnostic(item: dict[str, str]) -> Diagnostic:
    return Diagnostic(
        code=item["code"],
        message=item["message"],
        place=item["place"],
        label=item["label"],
        next_step=item["next"],
    )
