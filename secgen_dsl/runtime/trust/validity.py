"""Whether a consortium's certificates and waits are what a run needs, on this day."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from secgen_dsl.diagnostics.diagnostic import Diagnostic, Severity, printable
from secgen_dsl.runtime.trust.consortium import PartyEntry, Timeouts

_SOON = timedelta(days=30)
_BY_HAND = 60.0  # seconds within which people can start several sites


def certificate_word(entry: PartyEntry, now: datetime) -> str:
    """The state of a party's certificate in a word or two.

    Args:
        now: in UTC.
    """
    certificate = entry.identity
    if now > certificate.not_after:
        return "expired"
    if now < certificate.not_before:
        return "not yet valid"
    return f"until {certificate.not_after.date().isoformat()}"


def is_valid(entry: PartyEntry, now: datetime) -> bool:
    """Whether a party's certificate is valid at that moment, in UTC."""
    return entry.identity.not_before <= now <= entry.identity.not_after


def certificate_faults(entries: Iterable[PartyEntry], now: datetime) -> Iterator[Diagnostic]:
    """SG554: certificates that have expired, soon will, are not valid yet, or name something else.

    Names are remarks: a party is known by its certificate as a whole.

    Args:
        now: in UTC.
    """
    for entry in entries:
        name, certificate = printable(entry.name), entry.identity
        until = certificate.not_after.date().isoformat()
        renew = (
            f"at {name}: secgen keygen for a new key and certificate; its new party.toml goes to "
            "all sites, which compare it by telephone"
        )
        if now > certificate.not_after:
            yield _fault(entry, "error", f"the certificate of {name} expired on {until}", renew)
        elif certificate.not_after - now < _SOON:
            days = (certificate.not_after - now).days
            what = f"the certificate of {name} expires in {days} days, on {until}"
            yield _fault(entry, "warning", what, renew)
        if now < certificate.not_before:
            begin = certificate.not_before.isoformat(timespec="minutes")
            yield _fault(
                entry,
                "error",
                f"the certificate of {name} is valid only from {begin}",
                f"see the clock of this machine, which says {now.isoformat(timespec='minutes')}, "
                f"and that of {name}'s, where the certificate was made",
            )
        if certificate.name != entry.name[:64]:
            yield _fault(
                entry,
                "warning",
                f'the certificate of {name} names "{printable(certificate.name)}"',
                f"compare the fingerprint with {name} by telephone: the entry may hold another "
                "party's certificate",
            )
        address = entry.reached_at()
        if address is not None and address.host not in certificate.hosts:
            hosts = printable(", ".join(certificate.hosts)) or "no host"
            yield _fault(
                entry,
                "warning",
                f"the certificate of {name} is for {hosts}; its address is {address.host}",
                f"ask {name} which address is right; a certificate that names none works, too",
            )


def timeout_faults(timeouts: Timeouts, place: str) -> Iterator[Diagnostic]:
    """SG557: waits that are too short for sites that start by hand.

    Args:
        place: the file, for diagnostics.
    """
    least = max(_BY_HAND, timeouts.preparation)
    if timeouts.connect < least:
        yield Diagnostic(
            "SG557",
            f"connect = {timeouts.connect:g}: all sites would have to start within so many seconds",
            "warning",
            place=f"{place}, [timeouts]",
            next_step=f"give connect at least {least:g}, which is what starts by hand and "
            "`preparation` take; 600 is usual",
        )


def _fault(entry: PartyEntry, severity: Severity, what: str, remedy: str) -> Diagnostic:
    return Diagnostic(
        "SG554",
        what,
        severity,
        place=f"consortium.toml, {printable(entry.name)}",
        next_step=remedy,
    )
