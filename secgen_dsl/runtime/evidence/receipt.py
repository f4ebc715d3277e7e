"""A party's signed receipt: what it executed and what was opened, whether it ended well or not.

It holds public facts only: hashes of the plan and of opened values, sizes, versions and the day;
never how long anything took.
"""

import re
from typing import Literal

from pydantic import Field, model_validator

from secgen_dsl.ir.base import Node, canonical_json
from secgen_dsl.runtime.trust.identity import FINGERPRINT, Domain, Signer, verified

_SIGNATURE = re.compile("[0-9a-f]{128}")

_HASH = r"^[0-9a-f]{64}$"
_HASH_OR_NONE = r"^([0-9a-f]{64})?$"

COMPLETE = "complete"
"""The outcome of a run in which all went well."""


class PartyReceipt(Node):
    """What a party attests at the end of a run.

    Attributes:
        party: its name.
        parties: all names, in the plan's order.
        plan_sha256: 64 hex digits.
        study_sha256: 64 hex digits.
        roster_sha256: of the parties as it knows them.
        program_sha256: of the program that it generated from the plan and ran.
        certificate: fingerprint of its machine.
        session: 32 hex digits that name the session; zeros if there was none.
        date: day in UTC.
        versions: package → version.
        outcome: ``complete``, or the code of the diagnostic that ended it.
        opened_sha256: of the values that all rounds opened; empty unless complete.
        measurements_sha256: of the same values as the measurements' canonical JSON.
        confirmations: party → its signature over the session, plan and opened values.
        ledger_entry: hash of the entry of its ledger that paid; empty at a helper, or if none was
            made.
        approvals: SHA-256 of the approvals that it checked.
        bytes_sent: to all peers, headers included.
        transcript_sha256: of the file of what it sent and received.
        signature: by its machine's key over all of the above, 128 hex digits.
    """

    format: Literal["secgen.party-receipt/1"] = "secgen.party-receipt/1"
    party: str
    parties: tuple[str, ...]
    plan_sha256: str = Field(pattern=_HASH)
    study_sha256: str = Field(pattern=_HASH)
    roster_sha256: str = Field(pattern=_HASH)
    program_sha256: str = Field(pattern=_HASH)
    certificate: str = Field(pattern=f"^{FINGERPRINT.pattern}$")
    session: str = Field(pattern=r"^[0-9a-f]{32}$")
    date: str = Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
    versions: dict[str, str]
    outcome: str = Field(pattern=rf"^({COMPLETE}|SG[0-9]{{3}})$")
    opened_sha256: str = Field(pattern=_HASH_OR_NONE)
    measurements_sha256: str = Field(pattern=_HASH_OR_NONE)
    confirmations: dict[str, str]
    ledger_entry: str = Field(pattern=_HASH_OR_NONE)
    approvals: tuple[str, ...]
    bytes_sent: int
    transcript_sha256: str = Field(pattern=_HASH)
    signature: str = Field(default="", pattern=r"^([0-9a-f]{128})?$")

    @model_validator(mode="after")
    def _fits(self) -> "PartyReceipt":
        complete = self.outcome == COMPLETE
        if (self.party not in self.parties) or not set(self.confirmations) <= set(self.parties):
            raise ValueError("a party of another run")
        if bool(self.opened_sha256) != complete or bool(self.measurements_sha256) != complete:
            raise ValueError("opened values of a run that was stopped, or none of another")
        return self

    def signed(self, signer: Signer) -> "PartyReceipt":
        """The same, signed by the machine's key."""
        signature = signer.sign("receipt", self._unsigned()).hex()
        return self.model_copy(update={"signature": signature})

    def is_signed_by(self, public: str) -> bool:
        """Whether its signature is that key's."""
        return is_signature(public, "receipt", self._unsigned(), self.signature)

    def _unsigned(self) -> bytes:
        return canonical_json(self.model_copy(update={"signature": ""}))


def is_signature(public: str, domain: Domain, data: bytes, text: str) -> bool:
    """Whether ``text`` is that key's signature, written in its one way: 128 small hex digits."""
    return _SIGNATURE.fullmatch(text) is not None and verified(
        public, domain, data, bytes.fromhex(text)
    )
