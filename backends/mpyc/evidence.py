"""What a party writes about its run: the head of its transcript, and its signed receipt."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from secgen_dsl.backends.bundle import write_file
from secgen_dsl.backends.mpyc.messages import PartyConfig
from secgen_dsl.backends.mpyc.party import Party
from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import canonical_json, sha256_of
from secgen_dsl.ir.plan import Plan
from secgen_dsl.runtime.evidence.receipt import PartyReceipt
from secgen_dsl.runtime.evidence.transcript import Transcript
from secgen_dsl.runtime.network.links import Endpoint
from secgen_dsl.runtime.trust.consortium import roster_sha256

COMPLETE = "complete"
TRANSCRIPT_FILE = "transcript.jsonl"
RECEIPT_FILE = "party-receipt.json"


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


class Evidence:
    """Writes the receipt of a run.

    Args:
        config: of the party.
        plan: the verified plan.
        program: text of the program that it runs.
        endpoint: holds the key that signs.
        folder: of the run.
        transcript: of the run.
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
