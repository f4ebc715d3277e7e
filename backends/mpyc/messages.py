"""What a launcher and its parties say to each other: one JSON configuration, then JSON lines.

Neither side's lines hold anything about a site's people: phases and bytes follow from the plan,
and the only values are the opened ones.
"""

import json
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, fail
from secgen_dsl.ir.base import Node, read_node
from secgen_dsl.ir.plan import Measurements


class PartyConfig(Node):
    """What a party is given on its standard input, in one line.

    There is no field for noise, seeds or checks to leave out: an installed party always draws
    from the system's generator and always verifies.

    Attributes:
        index: of the party in ``plan.parties``.
        plan: the plan's canonical JSON.
        program: the generated program as the bundle has it.
        source_lines: marginal id → place of its statement in the spec.
        data_file: the site's own table or site.toml; None for a helper.
        state: the party's private folder.
        listener: file descriptor of its listening socket.
        ports: for each party the port of 127.0.0.1 on which it listens.
        session: 32 hex digits that name the run.
        secrets: for each party 64 hex digits that it and this one share and nobody else knows;
            empty for this party.
        timeout: seconds that any one wait may last.
    """

    format: Literal["secgen.party/1"]
    index: int
    plan: str
    program: str
    source_lines: dict[str, str]
    data_file: str | None
    state: str
    listener: int
    ports: tuple[int, ...]
    session: str
    secrets: tuple[str, ...]
    timeout: float


@dataclass(frozen=True)
class Progress:
    """Where a party is.

    Attributes:
        party: its name.
        phase: what it does now.
        bytes: sent to all peers so far.
        elapsed: seconds since its process began to work.
    """

    party: str
    phase: str
    bytes: int
    elapsed: float


@dataclass(frozen=True)
class PartyResult:
    """A party's last line when all went well.

    Attributes:
        measurements: the opened values, which all parties must agree on.
        bytes_sent: to all peers.
        debit: hash of the entry of its ledger that paid, 64 hex digits; empty for a helper.
    """

    measurements: Measurements
    bytes_sent: int
    debit: str


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
            next_step="parties are started by `secgen run`, not by hand",
        ) from error


def progress_line(progress: Progress) -> str:
    """A JSON line for ``progress``."""
    return json.dumps(
        {
            "phase": progress.phase,
            "party": progress.party,
            "bytes": progress.bytes,
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
            )
        return Progress(
            str(data["party"]), str(data["phase"]), int(data["bytes"]), float(data["elapsed"])
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
