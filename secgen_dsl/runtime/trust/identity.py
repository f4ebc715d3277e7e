"""Keys, certificates and signatures of a site: Ed25519 throughout, from `cryptography`.

A site has two keys.  The *officer's* key signs approvals; it belongs to a person and need not be on
any server.  The *machine's* key is that of the TLS certificate; it identifies the machine that runs
the party, and signs what that machine attests (hellos, receipts).  Every signature is made over a
*domain*, so that one made for a purpose can never pass for one of another.
"""

import hashlib
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail

Domain = Literal["approval", "cohort", "hello", "confirmation", "receipt", "relay"]

PUBLIC_KEY = re.compile(r"ed25519:[0-9a-f]{64}")
FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")

_P = 2**255 - 19
_ORDER_EIGHT = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
_SMALL_ORDER = frozenset({0, 1, _P - 1, _ORDER_EIGHT, _P - _ORDER_EIGHT})
"""The y of the eight points whose order divides 8 (listed by Chalkias et al. 2020, "Taming the
many EdDSAs"); x and −x have the same y, so that eight points have five."""

_LARGEST = 100_000  # bytes of a key or certificate file


class Signer:
    """An Ed25519 private key (RFC 8032)."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @property
    def public(self) -> str:
        """The public key as text, ``ed25519:`` and 64 hex digits."""
        return _public_text(self._key.public_key())

    def sign(self, domain: Domain, data: bytes) -> bytes:
        """The 64 bytes of a signature over ``data`` for that purpose only."""
        return self._key.sign(_framed(domain, data))

    def pem(self) -> bytes:
        """The private key as PKCS 8, not encrypted."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def new_signer() -> Signer:
    """A fresh key from the system's generator."""
    return Signer(Ed25519PrivateKey.generate())


def read_signer(path: Path) -> Signer:
    """The private key of a file that `secgen keygen` wrote.

    Raises:
        SecgenError: SG522, it cannot be read, is no Ed25519 key, or others may read it.
    """
    data = _read(path, "the private key")
    if path.stat().st_mode & 0o077:
        raise fail(
            "SG522",
            "other accounts of this machine may read this private key",
            place=str(path),
            next_step=f"chmod 600 {path}; make a new key if somebody may have seen it",
        )
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable(path, "it is no private key in PEM without a password") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(path, "it is no Ed25519 key")
    return Signer(key)


def is_safe(public: str) -> bool:
    """Whether a text is an Ed25519 public key that one private key alone signs for.

    With a point of small order, signatures that anybody can make pass for messages that nobody
    chose; and a y of p or more is another writing of some other key (RFC 8032, 5.1.3).
    """
    if not PUBLIC_KEY.fullmatch(public):
        return False
    encoded = int.from_bytes(bytes.fromhex(public.partition(":")[2]), "little")
    y = encoded % 2**255  # the highest bit is the sign of x
    return y < _P and y not in _SMALL_ORDER


def verified(public: str, domain: Domain, data: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is that key's over ``data``, made for that purpose; see ``is_safe``."""
    if not is_safe(public):
        return False
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public.partition(":")[2]))
    try:
        key.verify(signature, _framed(domain, data))
    except InvalidSignature:
        return False
    return True


@dataclass(frozen=True)
class Certificate:
    """A machine's certificate.

    Attributes:
        pem: its text, as it stands in a file.
    """

    pem: str

    @property
    def _parsed(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.pem.encode())

    @property
    def fingerprint(self) -> str:
        """``sha256:`` and the 64 hex digits of the certificate's SHA-256."""
        return fingerprint_of(self._parsed.public_bytes(serialization.Encoding.DER))

    @property
    def public(self) -> str:
        """The machine's public key as text, ``ed25519:`` and 64 hex digits."""
        key = self._parsed.public_key()
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("the certificate's key is no Ed25519 key")
        return _public_text(key)

    @property
    def name(self) -> str:
        """The party that it names: the subject's common name."""
        names = self._parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(names[0].value) if names else ""

    @property
    def hosts(self) -> tuple[str, ...]:
        """DNS names and IP addresses that it names."""
        try:
            found = self._parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            return ()
        names = found.value.get_values_for_type(x509.DNSName)
        addresses = found.value.get_values_for_type(x509.IPAddress)
        return (*names, *map(str, addresses))

    @property
    def not_before(self) -> datetime:
        """First moment of its validity, in UTC."""
        return self._parsed.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        """Last moment of its validity, in UTC."""
        return self._parsed.not_valid_after_utc


def read_certificate(pem: str) -> Certificate:
    """A certificate from its text; what stands around it there is left out.

    Raises:
        ValueError: it is none, or its key is no Ed25519 key that ``is_safe``.
    """
    if pem.count("-----BEGIN") != 1:
        raise ValueError("one certificate belongs here, and nothing else")
    try:
        parsed = x509.load_pem_x509_certificate(pem.encode())
        certificate = Certificate(parsed.public_bytes(serialization.Encoding.PEM).decode())
        # Whatever is asked of it later is read once: a hostile one fails here.
        _ = certificate.name, certificate.hosts, certificate.not_after
        if not is_safe(certificate.public):
            raise ValueError("its key has a small order, or is written in an unusual way")
    except (
        UnsupportedAlgorithm,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise ValueError("it is no certificate that can be used") from error
    return certificate


def new_certificate(signer: Signer, name: str, host: str | None, days: int) -> Certificate:
    """A self-signed certificate of a machine, for both ends of TLS.

    Others trust it by its fingerprint, which a person compares, not by an authority.

    Args:
        signer: the machine's key.
        name: of the party; the certificate holds its first 64 characters.
        host: DNS name or IP address where others reach it; None for a party that nobody dials.
        days: of validity, ≥ 1.
    """
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    now, public = datetime.now(UTC), signer._key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        # Clocks of other sites may be behind this one.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=False,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        # Strict readers (Python 3.13's among them) want a certificate to name its signer's key.
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
    )
    if host is not None:
        alternative = x509.SubjectAlternativeName([_general_name(host)])
        builder = builder.add_extension(alternative, critical=False)
    made = builder.sign(signer._key, algorithm=None)
    return Certificate(made.public_bytes(serialization.Encoding.PEM).decode())


def fingerprint_of(der: bytes) -> str:
    """The fingerprint of a certificate's DER bytes."""
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


def write_private(path: Path, data: bytes) -> None:
    """Write a new file that only this account may read.

    Raises:
        FileExistsError: there is one; a key is never overwritten.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _framed(domain: Domain, data: bytes) -> bytes:
    return f"secgen {domain}, protocol 2".encode() + b"\0" + data


def _public_text(key: Ed25519PublicKey) -> str:
    return f"ed25519:{key.public_bytes_raw().hex()}"


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise _unusable(path, f"{what} cannot be read: {reason}") from error
    if len(data) > _LARGEST:
        raise _unusable(path, "it is too large for a key")
    return data


def _unusable(path: Path, what: str) -> SecgenError:
    return fail(
        "SG522",
        f"this key cannot be used: {what}",
        place=str(path),
        next_step="give the file that `secgen keygen` wrote at this site",
    )
