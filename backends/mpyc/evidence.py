"""What a party writes about its run, into one folder that an auditor can read by itself.

The transcript and the signed receipt; and what these are about: the plan, the program, the parties,
the opened values.  No file holds anything that the other parties do not know.
"""

import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from secgen_dsl.backends.bundle import PROGRAM_FILE, write_file
from secgen_dsl.backends.mpyc.messages import PartyConfig
from secgen_dsl.backends.mpyc.party import Party
from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import canonical_json, pretty_json, sha256_of
from secgen_dsl.ir.plan import Plan
from secgen_dsl.runtime.evidence.folder import (
    MEASUREMENTS_FILE,
    PLAN_FILE,
    RECEIPT_FILE,
    RESULTS_RECEIPT_FILE,
    ROSTER_FILE,
    SOURCES_FILE,
)
from secgen_dsl.runtime.evidence.receipt import COMPLETE, PartyReceipt
from secgen_dsl.runtime.evidence.results import hashes_of, read_results, signed_results
from secgen_dsl.runtime.evidence.roster import roster_of
from secgen_dsl.runtime.evidence.transcript import Transcript
from secgen_dsl.runtime.network.links import Endpoint
from secgen_dsl.runtime.trust.consortium import roster_sha256
from secgen_dsl.runtime.trust.identity import Signer


def new_run_folder(state: Path) -> Path:
    """A new folder for what a run leaves behind, ``runs/DATE-TIME-RANDOM`` in the state folder."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    folder = state / "runs" / f"{stamp}-{secrets.token_hex(4)}"
    folder.mkdir(parents=True, mode=0o700)
    return folder


def transcript_head(config: PartyConfig, plan: Plan) -> dict[str, object]:
    """What the first line of a transcript says."""
    return {
        "plan_sha256": sha256_of(plan),
        "study_sha256": config.study_sha256,
        "roster_sha256": roster_sha256(config.entries),
        "party": plan.parties[config.index],
        "parties": list(plan.parties),
        "secgen": version("secgen"),
    }


def sign_results(folder: Path, signer: Signer) -> None:
    """Sign ``receipt.json`` of a party's results by the machine's key; the last step of all.

    Every other file of the folder is named in it with its hash, so that a changed byte anywhere is
    noticed.  The folder holds this party's ``party-receipt.json``.

    Args:
        folder: of the results, complete, with a ``receipt.json`` that is not yet signed.
        signer: the machine's key, which also signed the party's receipt.

    Raises:
        SecgenError: SG531, a file of the folder cannot be read or is none of a run's; SG701.
    """
    data = read_results(folder) | {"files": hashes_of(folder)}
    write_file(folder / RESULTS_RECEIPT_FILE, signed_results(folder, data, signer))


class Evidence:
    """Writes what a run leaves behind.

    Args:
        config: of the party.
        plan: the verified plan.
        program: text of the program that it runs.
        endpoint: holds the key that signs.
        folder: of the run.
        transcript: of the run.

    Raises:
        SecgenError: SG701, the folder cannot be written.
    """

    def __init__(
        self,
        config: PartyConfig,
        plan: Plan,
        program: str,
        endpoint: Endpoint,
        folder: Path,
        transcript: Transcript,
    ) -> None:
        self._config = config
        self._plan = plan
        self._program = program
        self._endpoint = endpoint
        self._folder = folder
        self._transcript = transcript
        # At once: whoever stops, and for whatever reason, leaves them.
        sources = json.dumps(config.source_lines, indent=1, sort_keys=True, ensure_ascii=False)
        write_file(folder / PLAN_FILE, pretty_json(plan))
        write_file(folder / SOURCES_FILE, sources.encode() + b"\n")
        write_file(folder / PROGRAM_FILE, program.encode())
        write_file(folder / ROSTER_FILE, pretty_json(roster_of(config.entries)))

    def write(self, party: Party, outcome: str) -> Path:
        """End the transcript and write the receipt beside it.

        Args:
            outcome: ``COMPLETE``, or the code of the diagnostic that ended the run.

        Raises:
            SecgenError: SG701, SG512; of a complete run only: another one has its own reason.
        """
        path = self._folder / RECEIPT_FILE
        try:
            self._transcript.event("end", outcome=outcome)
            if outcome == COMPLETE:
                write_file(self._folder / MEASUREMENTS_FILE, pretty_json(party.measurements()))
            receipt = self._receipt(party, outcome).signed(self._endpoint.signer)
            write_file(path, canonical_json(receipt) + b"\n")
        except SecgenError:
            if outcome == COMPLETE:
                raise
        return path

    def _receipt(self, party: Party, outcome: str) -> PartyReceipt:
        complete = outcome == COMPLETE
        index = self._config.index
        return PartyReceipt(
            party=self._plan.parties[index],
            parties=self._plan.parties,
            plan_sha256=sha256_of(self._plan),
            study_sha256=self._config.study_sha256,
            roster_sha256=roster_sha256(self._config.entries),
            program_sha256=sha256(self._program.encode()).hexdigest(),
            certificate=self._config.entries[index].fingerprint,
            session=party.session.hex(),
            date=datetime.now(UTC).date().isoformat(),
            versions=_versions(),
            outcome=outcome,
            opened_sha256=party.opened_sha256 if complete else "",
            measurements_sha256=sha256_of(party.measurements()) if complete else "",
            confirmations=party.confirmations,
            ledger_entry=party.debit_sha256,
            approvals=self._config.approvals,
            bytes_sent=party.bytes_sent,
            transcript_sha256=self._transcript.sha256,
        )


def _versions() -> dict[str, str]:
    packages = ("secgen", "mpyc", "numpy", "opendp", "cryptography")
    found: Mapping[str, str] = {name: version(name) for name in packages}
    return dict(found)
