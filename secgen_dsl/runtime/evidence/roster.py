"""The parties of a run as an auditor needs them: names, certificates, officers' keys.

Every run leaves this beside its transcript, so that its signatures can be checked by whoever has
the folder.  Whether these are the right keys only somebody can tell who knows them from elsewhere.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import model_validator

from secgen_dsl.ir.base import Node
from secgen_dsl.runtime.trust.consortium import PartyEntry, alike
from secgen_dsl.runtime.trust.identity import read_certificate


class Roster(Node):
    """What identifies the parties of a run, in the plan's order; no addresses."""

    format: Literal["secgen.roster/1"]
    party: tuple[PartyEntry, ...]

    @model_validator(mode="after")
    def _differ(self) -> "Roster":
        for fault, _ in alike(self.party):
            raise ValueError(fault)
        return self


def roster_of(entries: Sequence[PartyEntry]) -> Roster:
    """The public parts of entries: all that ``roster_sha256`` covers, and nothing else."""
    return Roster(
        format="secgen.roster/1",
        party=tuple(
            PartyEntry(
                name=one.name,
                fingerprint=one.fingerprint,
                certificate=read_certificate(one.certificate).pem,
                officer=one.officer,
            )
            for one in entries
        ),
    )
