"""consortium.toml: the parties, where they are, how they are known, how long to wait.

All sites hold the same file.  What identifies the parties of a plan (names, certificates,
officers' keys) has a digest, the *roster*, that the hellos compare; addresses and timeouts may
differ between sites.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, fail, nearest, printable
from secgen_dsl.ir.program import PARTY_NAME, look_of
from secgen_dsl.runtime.trust.identity import (
    FINGERPRINT,
    PUBLIC_KEY,
    Certificate,
    is_safe,
    read_certificate,
)

_LARGEST = 10_000_000  # bytes
_ADDRESS = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]{1,253})):(?P<port>[0-9]{1,5})"
)

_Seconds = Annotated[float, Field(gt=0, le=86_400)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


@dataclass(frozen=True)
class Address:
    """A host and a port.

    Attributes:
        host: a DNS name or an IP address, without brackets.
        port: 1 to 65535.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_address(text: str) -> Address:
    """``host:port`` or ``[IPv6]:port``.

    Raises:
        ValueError: it is neither.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or not 0 < int(found["port"]) < 65_536:
        raise ValueError(f"{text!r} is not HOST:PORT")
    if found["six"] is not None:
        IPv6Address(found["six"])
    return Address(found["six"] or found["host"], int(found["port"]))


class PartyEntry(_Table):
    """One party.

    Attributes:
        name: as in the spec, of the same characters.
        address: ``host:port`` where others reach it; empty: nobody can, it is met at the relay.
        listen: ``host:port`` that it listens on, where that differs from ``address``.
        fingerprint: of its certificate; what people compare.
        certificate: in PEM.
        officer: public key that its approvals are signed with; another one than the machine's.
    """

    name: str
    address: str = ""
    listen: str = ""
    fingerprint: str
    certificate: str
    officer: str

    @model_validator(mode="after")
    def _holds(self) -> "PartyEntry":
        if not PARTY_NAME.fullmatch(self.name):
            raise _fault(
                '"name" is no name of a party: letters A to Z, digits, - and _ only, at most 40; '
                "as in the spec"
            )
        for name in ("address", "listen"):
            text = getattr(self, name)
            if text and not _is_address(text):
                raise _fault(f'"{name}" is not HOST:PORT, for example north.example.org:7443')
        if not FINGERPRINT.fullmatch(self.fingerprint):
            raise _fault('"fingerprint" is not "sha256:" and 64 hex digits in small letters')
        if not PUBLIC_KEY.fullmatch(self.officer):
            raise _fault('"officer" is not "ed25519:" and 64 hex digits in small letters')
        if not is_safe(self.officer):
            raise _fault(
                '"officer" is a key for which anybody can sign; `secgen keygen` makes none'
            )
        try:
            certificate = read_certificate(self.certificate)
        except ValueError as error:
            raise _fault(
                '"certificate" is no certificate with a sound Ed25519 key, in PEM'
            ) from error
        if certificate.fingerprint != self.fingerprint:
            raise _fault(
                f'"fingerprint" is not that of "certificate", which is {certificate.fingerprint}'
            )
        if certificate.public == self.officer:
            raise _fault(
                '"officer" is the key of "certificate", the machine\'s: whoever runs the machine '
                "could approve"
            )
        return self

    @property
    def identity(self) -> Certificate:
        """Its certificate, read."""
        return Certificate(self.certificate)

    def reached_at(self) -> Address | None:
        """Where others dial it; None: nowhere."""
        return read_address(self.address) if self.address else None

    def listens_on(self) -> Address | None:
        """Where it listens; None: nowhere."""
        text = self.listen or self.address
        return read_address(text) if text else None


class Timeouts(_Table):
    """How long to wait, in seconds.

    Attributes:
        connect: until all parties have connected; sites start by hand.
        message: that any one wait may last once all are connected.
        preparation: a party connects this long after it began (or twice, three times as long …),
            so that nobody sees how long its own rows took.
    """

    connect: _Seconds = 600.0
    message: _Seconds = 120.0
    preparation: float = Field(default=30.0, ge=0, le=86_400)


class Relay(_Table):
    """Where parties meet that cannot be dialled.

    Attributes:
        address: ``host:port`` of a `secgen relay`.
    """

    address: str

    @model_validator(mode="after")
    def _holds(self) -> "Relay":
        if not _is_address(self.address):
            raise _fault('"address" is not HOST:PORT, for example relay.example.org:443')
        return self


class _Parties(_Table):
    """What a party.toml says, or several of them one after the other."""

    party: tuple[PartyEntry, ...] = Field(min_length=1)


class Consortium(_Parties):
    """What a consortium.toml says."""

    format: Literal["secgen.consortium/1"]
    timeouts: Timeouts = Timeouts()
    relay: Relay | None = None

    @model_validator(mode="after")
    def _differ(self) -> "Consortium":
        for fault, parties in alike(self.party):
            raise _fault(fault, *parties)
        hidden = [one.name for one in self.party if not one.address]
        if len(hidden) > 1 and self.relay is None:
            raise _fault(
                f'"{hidden[0]}" and "{hidden[1]}" have no address, and there is no [relay] where '
                "they could meet (secgen consortium --relay HOST:PORT adds one)"
            )
        return self

    def entry(self, name: str) -> PartyEntry:
        """The entry of a party.

        Raises:
            SecgenError: SG521, there is none.
        """
        for one in self.party:
            if one.name == name:
                return one
        names = [one.name for one in self.party]
        raise fail(
            "SG521",
            f'the consortium has no party "{printable(name)}"',
            place="consortium.toml",
            next_step=nearest(name, names) or f"its parties are {', '.join(names)}",
        )

    def of_plan(self, parties: Sequence[str]) -> tuple[PartyEntry, ...]:
        """The entries of a plan's parties, in the plan's order.

        Raises:
            SecgenError: SG521, one diagnostic for each that is missing.
        """
        names = [one.name for one in self.party]
        missing = [
            Diagnostic(
                "SG521",
                f'the plan has a party "{printable(name)}" and the consortium has none of that '
                "name",
                place="consortium.toml",
                next_step=nearest(name, names)
                or "add its [[party]], which `secgen keygen` wrote at that site",
            )
            for name in parties
            if name not in names
        ]
        if missing:
            raise SecgenError(missing)
        return tuple(self.entry(name) for name in parties)


def alike(entries: Sequence[PartyEntry]) -> Iterator[tuple[str, tuple[int, int]]]:
    """What two parties have in common though it tells one from another.

    Returns:
        For each case what it is, in words, and the two numbers in ``entries``.
    """
    names: dict[str, int] = {}
    addresses: dict[str, int] = {}
    keys: dict[str, tuple[int, str]] = {}
    for number, one in enumerate(entries):
        other = names.setdefault(look_of(one.name), number)
        if other != number:
            how = "have the same name" if entries[other].name == one.name else "look alike"
            yield f'"{entries[other].name}" and "{one.name}" {how}', (other, number)
        other = addresses.setdefault(one.address, number)
        if one.address and other != number:
            yield f'"{entries[other].name}" and "{one.name}" have the same address', (other, number)
        for key, whose in ((one.identity.public, "machine"), (one.officer, "officer")):
            other, its = keys.setdefault(key, (number, whose))
            if other != number:
                yield (
                    f'the {its} of "{entries[other].name}" and the {whose} of "{one.name}" have '
                    "the same key",
                    (other, number),
                )


def roster_sha256(entries: Sequence[PartyEntry]) -> str:
    """SHA-256 (64 hex digits) of what identifies parties: name, certificate, officer, in order."""
    digest = hashlib.sha256(b"secgen roster 1")
    for one in entries:
        for text in (one.name, one.fingerprint, one.officer):
            data = text.encode()
            digest.update(len(data).to_bytes(4, "little") + data)
    return digest.hexdigest()


def read_consortium(path: Path) -> Consortium:
    """Read a consortium.toml.

    Raises:
        SecgenError: SG521, it cannot be read or contradicts itself; all faults at once.
    """
    return consortium_of(_bytes_of(path), path)


def consortium_of(data: bytes, path: Path) -> Consortium:
    """The same for its bytes.

    Args:
        path: of the file, for diagnostics.

    Raises:
        SecgenError: SG521.
    """
    return _valid(Consortium, _content_of(data, path), path)


def read_parties(path: Path, relay: str = "") -> Consortium | tuple[PartyEntry, ...]:
    """Read a party.toml, or a consortium.toml.

    Args:
        relay: HOST:PORT, put into a consortium.toml before it is judged; empty: as it says.

    Raises:
        SecgenError: SG521, it is neither.
    """
    content = _content_of(_bytes_of(path), path)
    if "format" in content:
        met = {"relay": {"address": relay}} if relay else {}
        return _valid(Consortium, content | met, path)
    return _valid(_Parties, content, path).party


def party_text(entry: PartyEntry) -> str:
    """The [[party]] table of a party, in TOML."""
    lines = ["[[party]]", f"name = {_quoted(entry.name)}"]
    if entry.address:
        lines.append(f"address = {_quoted(entry.address)}")
    if entry.listen:
        lines.append(f"listen = {_quoted(entry.listen)}")
    lines += [
        f"fingerprint = {_quoted(entry.fingerprint)}",
        f"officer = {_quoted(entry.officer)}",
        'certificate = """',
        f'{read_certificate(entry.certificate).pem}"""',
    ]
    return "\n".join(lines) + "\n"


def consortium_text(
    entries: Sequence[PartyEntry], timeouts: Timeouts, relay: Relay | None, path: Path
) -> str:
    """The text of a consortium.toml; it has been read back.

    Args:
        path: where it is to be written, for diagnostics.

    Raises:
        SecgenError: SG521, the parties contradict each other.
    """
    parts = [
        'format = "secgen.consortium/1"\n',
        "# Seconds: until all have connected; of any one wait; from a start to connecting.\n"
        "[timeouts]\n"
        + "".join(f"{name} = {value}\n" for name, value in timeouts.model_dump().items()),
    ]
    if relay is not None:
        parts.append(f"[relay]\naddress = {_quoted(relay.address)}\n")
    text = "\n".join([*parts, *map(party_text, entries)])
    made = consortium_of(text.encode(), path)
    if (made.timeouts, made.relay) != (timeouts, relay) or roster_sha256(
        made.party
    ) != roster_sha256(entries):
        raise RuntimeError("a consortium.toml does not say what it was made of")
    return text


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise _refused(path, f"it cannot be read: {reason}") from None
    if len(data) > _LARGEST:
        raise _refused(path, "it is too large for a consortium.toml")
    return data


def _content_of(data: bytes, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # also TOML's and Unicode's
        reason = "" if isinstance(error, RecursionError) else printable(str(error))
        raise _refused(path, f"it is not TOML: {reason or 'it is nested without end'}") from None


_TableT = TypeVar("_TableT", bound=_Table)


def _valid(model: type[_TableT], content: dict[str, Any], path: Path) -> _TableT:
    tables = content.get("party")
    if not isinstance(tables, list) or not tables:
        reason = "write [[party]], not [party]" if isinstance(tables, dict) else "there is none"
        raise _refused(path, f"each party has a table [[party]]; {reason}")
    try:
        return model.model_validate({**content, "party": tuple(tables)})
    except ValidationError as error:
        raise SecgenError(
            # A list of faulty parties is also one that is too short.
            [
                _diagnostic(path, content, dict(one))
                for one in error.errors()
                if one["loc"] != ("party",)
            ]
        ) from error


def _diagnostic(path: Path, content: dict[str, Any], fault: dict[str, Any]) -> Diagnostic:
    where = [str(part) for part in fault["loc"]]
    parties: tuple[int, ...] = fault.get("ctx", {}).get("parties", ())
    if len(where) > 1 and where[0] == "party" and where[1].isdigit():
        parties = (int(where[1]),)
        where = where[2:]
    named = " and ".join(_numbered(content, number) for number in parties)
    key = ".".join(where)
    kinds = {
        "missing": f'"{key}" is missing',
        "literal_error": f'"{key}" is not {fault.get("ctx", {}).get("expected", "known")}',
        "model_type": f'"{key}" is no table' if key else "it is no table",
        "extra_forbidden": f'it has no key "{printable(key)}"',
        "string_type": f'"{key}" is no text in quotes',
        "float_type": f'"{key}" is no number of seconds',
        **dict.fromkeys(
            ("greater_than", "greater_than_equal", "less_than_equal"),
            f'"{key}" is no number of seconds up to 86,400, a day',
        ),
        "consortium": str(fault["msg"]),
    }
    message = kinds.get(fault["type"], f'"{printable(key) or "it"}": {fault["msg"]}')
    return Diagnostic(
        "SG521",
        f"the consortium's file is faulty: {message}",
        place=f"{path}, {named}" if named else str(path),
        next_step="all sites hold the same file, made of the [[party]] tables that `secgen "
        "keygen` wrote; docs/deploy.md shows one",
    )


def _numbered(content: dict[str, Any], number: int) -> str:
    """Which [[party]] of a file it is, counted from 1, and its name."""
    entry = content["party"][number]
    name = entry.get("name") if isinstance(entry, dict) else None
    return f"party {number + 1}" + (f" ({printable(name)})" if isinstance(name, str) else "")


def _refused(path: Path, reason: str) -> SecgenError:
    return fail(
        "SG521",
        f"the consortium's file is faulty: {reason}",
        place=str(path),
        next_step="give the consortium.toml that all sites share; docs/deploy.md shows one",
    )


def _quoted(text: str) -> str:
    """A string of TOML; JSON's are, but for the character DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _is_address(text: str) -> bool:
    try:
        read_address(text)
    except ValueError:
        return False
    return True


def _fault(message: str, *parties: int) -> PydanticCustomError:
    """
    Args:
        parties: numbers of those that it is about, where it is about several.
    """
    return PydanticCustomError("consortium", "{text}", {"text": message, "parties": parties})
