"""Keys, certificates and entries of invented parties; certificates that keygen would not make."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from secgen_dsl.runtime.trust.consortium import PartyEntry
from secgen_dsl.runtime.trust.identity import (
    Certificate,
    Signer,
    new_certificate,
    new_signer,
)


@dataclass(frozen=True)
class Site:
    """A party with its keys."""

    officer: Signer
    machine: Signer
    entry: PartyEntry


def site(name: str, address: str = "", listen: str = "") -> Site:
    officer, machine = new_signer(), new_signer()
    certificate = new_certificate(machine, "CN", None, 10)
    entry = PartyEntry(
        name=name,
        address=address,
        listen=listen,
        fingerprint=certificate.fingerprint,
        certificate=certificate.pem,
        officer=officer.public,
    )
    return Site(officer, machine, entry)


def certificate_of_days(signer: Signer, first: int, last: int) -> Certificate:
    """A certificate that holds from some day to another, counted from today."""
    key, now = signer._key, datetime.now(UTC)
    return _made(key.public_key(), key, None, now + timedelta(first), now + timedelta(last))


def certificate_of(public: ed25519.Ed25519PublicKey) -> Certificate:
    """Of any public key, signed with some other one."""
    now = datetime.now(UTC)
    signer = new_signer()._key
    return _made(public, signer, None, now, now + timedelta(10))


def elliptic_certificate() -> Certificate:
    """A sound certificate with a key of another kind."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    return _made(key.public_key(), key, hashes.SHA256(), now, now + timedelta(10))


def _made(public, private, algorithm, first, last) -> Certificate:  # type: ignore[no-untyped-def]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "party")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(last)
        .sign(private, algorithm)
    )
    return Certificate(made.public_bytes(serialization.Encoding.PEM).decode())
