"""Mutual TLS 1.3: both ends show a certificate of the consortium, and each is known by its own.

There is no other transport: a run on one machine uses keys that its launcher made for it.
"""

import ssl
from collections.abc import Sequence
from pathlib import Path

from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.runtime.trust.consortium import PartyEntry
from secgen_dsl.runtime.trust.identity import fingerprint_of


def tls_context(
    entries: Sequence[PartyEntry], key: Path, certificate: Path, *, server: bool
) -> ssl.SSLContext:
    """The settings of one end.

    Trusted are the certificates of the parties themselves; no authority is.  Names of hosts are
    not compared: a party is known by its certificate, wherever it is.

    Raises:
        SecgenError: SG522, the key or certificate cannot be used.
    """
    purpose = ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT
    context = ssl.SSLContext(purpose)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    # A party's own certificate is trusted, whether it signed itself or an authority did.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if server:
        context.num_tickets = 0  # no session is resumed: every connection shows its certificate
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise fail(
            "SG522",
            "the machine's key and certificate cannot be used together"
            if isinstance(error, ssl.SSLError)
            else f"the machine's key or certificate cannot be read: {error.strerror}",
            place=f"{key}, {certificate}",
            next_step="give the machine.key and machine.crt that one `secgen keygen` wrote",
        ) from error
    context.load_verify_locations(cadata="\n".join(one.certificate for one in entries))
    return context


def party_at_other_end(stream: ssl.SSLObject, entries: Sequence[PartyEntry]) -> int | None:
    """Index of the party whose certificate the other end has shown; None: of no party."""
    der = stream.getpeercert(binary_form=True)
    if der is None:
        return None
    shown = fingerprint_of(der)
    for index, one in enumerate(entries):
        if one.fingerprint == shown:
            return index
    return None
