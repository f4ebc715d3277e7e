"""A consortium of one machine: fresh keys for every party, which live as long as the run.

So a run on one machine goes the way of a run between hospitals, TLS included.  Whoever starts it
sees all the keys, as they see all the data.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from secgen_dsl.runtime.trust.consortium import PartyEntry
from secgen_dsl.runtime.trust.identity import (
    Certificate,
    new_certificate,
    new_signer,
    write_private,
)

_HOST = "127.0.0.1"


@dataclass(frozen=True)
class LocalConsortium:
    """The parties of a run on this machine.

    Attributes:
        parties: names.
        officers: public keys that nothing was signed with.
        made: certificates.
        keys: files of the machines' keys.
        certificates: files of the certificates.
    """

    parties: tuple[str, ...]
    officers: tuple[str, ...]
    made: tuple[Certificate, ...]
    keys: tuple[Path, ...]
    certificates: tuple[Path, ...]

    def entries(self, ports: Sequence[int]) -> tuple[PartyEntry, ...]:
        """The parties as one of them reaches them.

        Args:
            ports: of 127.0.0.1, one for each party.
        """
        return tuple(
            PartyEntry(
                name=name,
                address=f"{_HOST}:{port}",
                fingerprint=certificate.fingerprint,
                certificate=certificate.pem,
                officer=officer,
            )
            for name, officer, certificate, port in zip(
                self.parties, self.officers, self.made, ports, strict=True
            )
        )


def local_consortium(parties: Sequence[str], folder: Path) -> LocalConsortium:
    """Make keys and certificates of one day in a folder that only this account can read."""
    made, keys, certificates = [], [], []
    for index in range(len(parties)):
        signer = new_signer()
        certificate = new_certificate(signer, f"party {index}", _HOST, days=1)
        keys.append(folder / f"{index}.key")
        certificates.append(folder / f"{index}.crt")
        write_private(keys[-1], signer.pem())
        write_private(certificates[-1], certificate.pem.encode())
        made.append(certificate)
    return LocalConsortium(
        parties=tuple(parties),
        officers=tuple(new_signer().public for _ in parties),
        made=tuple(made),
        keys=tuple(keys),
        certificates=tuple(certificates),
    )
