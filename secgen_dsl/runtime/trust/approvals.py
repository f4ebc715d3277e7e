"""Approvals: a party's officer has signed that this plan may run, for this study, on this day.

They lie in the folder ``approvals`` of a bundle, a file each.  A file is exactly the bytes that
`secgen approve` wrote: a changed one is refused, whatever was changed.
"""

import hashlib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

import rfc8785
from pydantic import AfterValidator, Field, ValidationError

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, printable
from secgen_dsl.ir.base import Node, pretty_json, read_node
from secgen_dsl.runtime.network.frames import SIGNATURE_BYTES
from secgen_dsl.runtime.regular import UnreadError, read_regular
from secgen_dsl.runtime.trust.consortium import PartyEntry
from secgen_dsl.runtime.trust.identity import PUBLIC_KEY, Signer, verified

FOLDER = "approvals"
"""The folder's name in a bundle; no part of the bundle itself."""

_LARGEST = 10_000  # bytes of an approval
_MOST_FILES = 10_000
_CLOCKS_DIFFER = timedelta(days=1)

_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _is_a_day(text: str) -> str:
    if date.fromisoformat(text).isoformat() != text:
        raise ValueError("a day is written YYYY-MM-DD")
    return text


class Approval(Node):
    """What an officer signed.

    Attributes:
        plan_sha256: 64 hex digits; of the plan's canonical JSON.
        study_sha256: likewise, of the study's prose.
        party: as in the plan.
        date: day in UTC, YYYY-MM-DD.
        officer: the public key that verifies the signature.
        signature: 128 hex digits; Ed25519 over the canonical JSON of all the above, made in the
            domain "approval".
    """

    format: Literal["secgen.approval/1"]
    plan_sha256: _Sha256
    study_sha256: _Sha256
    party: str = Field(min_length=1, max_length=64)
    date: Annotated[str, AfterValidator(_is_a_day)]
    officer: str = Field(pattern=f"^{PUBLIC_KEY.pattern}$")
    signature: str = Field(pattern=f"^[0-9a-f]{{{2 * SIGNATURE_BYTES}}}$")

    @property
    def signed(self) -> bytes:
        """The bytes that the signature is made over."""
        return rfc8785.dumps(self.model_dump(mode="json", exclude={"signature"}))


@dataclass(frozen=True)
class Review:
    """What the approvals of a bundle come to.

    Attributes:
        approved: party → its approval, in the plan's order; valid ones only.
        missing: parties without any.
        faults: what is not valid (SG524), in no order of parties.
        of_party: party → those of the faults that are its own.
    """

    approved: Mapping[str, Approval]
    missing: tuple[str, ...]
    faults: tuple[Diagnostic, ...]
    of_party: Mapping[str, tuple[Diagnostic, ...]]

    @property
    def complete(self) -> bool:
        """Whether every party has approved, and nothing else lies there."""
        return not self.missing and not self.faults


def sign_approval(
    signer: Signer, plan_sha256: str, study_sha256: str, party: str, day: date | None = None
) -> Approval:
    """Sign an approval.  The caller has verified the plan.

    Args:
        signer: the officer's key.
        day: None: today, in UTC.
    """
    unsigned = Approval(
        format="secgen.approval/1",
        plan_sha256=plan_sha256,
        study_sha256=study_sha256,
        party=party,
        date=(day or _today()).isoformat(),
        officer=signer.public,
        signature="0" * 2 * SIGNATURE_BYTES,
    )
    signature = signer.sign("approval", unsigned.signed)
    return unsigned.model_copy(update={"signature": signature.hex()})


def approval_path(bundle: Path, party: str) -> Path:
    """Where the approval of a party lies; readable, and within the bundle whatever the name."""
    readable = quote(party, safe="")[:60].replace(".", "%2E")
    # A hash of the (public) name keeps apart what shortening or a file system would join.
    return bundle / FOLDER / f"{readable}-{hashlib.sha256(party.encode()).hexdigest()[:8]}.json"


def read_approval(data: bytes, place: str) -> Approval:
    """An approval from the bytes of its file; its signature is still to be checked.

    Args:
        place: of the file, or the peer that sent it, for diagnostics.

    Raises:
        SecgenError: SG524, it is none.
    """
    try:
        approval = read_node(Approval, data)
        if pretty_json(approval) != data:
            raise ValueError("other bytes than those of an approval")
    except (ValueError, ValidationError, RecursionError) as error:
        raise SecgenError(
            _invalid(
                place,
                "this is no approval, or not byte for byte as it was written",
                "ask for the file again, as an attachment: programs may change text on its way",
            )
        ) from error
    return approval


def read_approvals(bundle: Path) -> tuple[dict[str, Approval], list[Diagnostic]]:
    """All files of a bundle's folder of approvals whose names end in ``.json``.

    Links are not followed: what was signed has to lie in the bundle itself.

    Returns:
        Path of the file → approval, signatures still to be checked; and SG524 for other files.
    """
    folder = bundle / FOLDER
    found: dict[str, Approval] = {}
    faults: list[Diagnostic] = []
    if folder.is_symlink():
        what = "the folder of approvals is a link"
        return {}, [_invalid(str(folder), what, "put a folder with the files themselves there")]
    try:
        paths = sorted(
            path
            for path in (folder.iterdir() if folder.is_dir() else ())
            if path.suffix.lower() == ".json" and not path.name.startswith(".")
        )
    except OSError as error:
        return {}, [_unread(str(folder), (error.strerror or "unknown reason").lower())]
    if len(paths) > _MOST_FILES:
        fault = f"there are {len(paths):,} files"
        return {}, [_invalid(str(folder), fault, "leave only the approvals of this bundle there")]
    for path in paths:
        place = printable(str(path))
        try:
            found[place] = read_approval(read_regular(path, _LARGEST), place)
        except UnreadError as error:
            faults.append(_unread(place, str(error)))
        except SecgenError as error:
            faults += error.diagnostics
    return found, faults


def check_approval(
    approval: Approval, plan_sha256: str, study_sha256: str, entry: PartyEntry, place: str
) -> None:
    """Hold an approval against the plan, the study and its party's entry in the consortium.

    Args:
        entry: of the party that the approval is said to be of.
        place: of the file, or the peer that sent it, for diagnostics.

    Raises:
        SecgenError: SG524, one diagnostic for each reason.
    """
    name = printable(entry.name)
    faults: list[tuple[str, str]] = []
    if approval.party != entry.name:
        faults.append(
            (
                f'it is of "{printable(approval.party)}", not of "{name}"',
                f'ask "{name}" for its own approval',
            )
        )
    for what, signed, ours in (
        ("plan", approval.plan_sha256, plan_sha256),
        ("study", approval.study_sha256, study_sha256),
    ):
        if signed != ours:
            faults.append(
                (
                    f'"{name}" approved another {what}, {signed}; this bundle\'s {what} is {ours}',
                    f'see that all sites have the same bundle, and ask "{name}" to approve it',
                )
            )
    if approval.officer != entry.officer:
        faults.append(
            (
                f'it is signed with the key {approval.officer}; the officer of "{name}" has '
                f"{entry.officer}",
                "sign with the officer.key of that party, or correct consortium.toml at all sites",
            )
        )
    elif not verified(
        approval.officer, "approval", approval.signed, bytes.fromhex(approval.signature)
    ):
        faults.append(
            (
                f'the signature is not that of "{name}" over what the file says: it was changed',
                f'ask "{name}" for the file again',
            )
        )
    if date.fromisoformat(approval.date) > _today() + _CLOCKS_DIFFER:
        faults.append(
            (
                f'the approval of "{name}" is of {approval.date}, which is in the future',
                "see that the clocks of both machines are right, and approve again",
            )
        )
    if faults:
        raise SecgenError([_invalid(place, what, remedy) for what, remedy in faults])


def missing(parties: Iterable[str], approvals: Iterable[Approval]) -> tuple[str, ...]:
    """The parties of a plan without an approval, in the plan's order."""
    present = {approval.party for approval in approvals}
    return tuple(party for party in parties if party not in present)


def review(
    bundle: Path, plan_sha256: str, study_sha256: str, entries: Sequence[PartyEntry]
) -> Review:
    """Check all approvals of a bundle.  A plan requires one of every party, helpers included.

    Args:
        entries: of all parties of the plan, in its order (``Consortium.of_plan``).
    """
    found, unreadable = read_approvals(bundle)
    by_name = {entry.name: entry for entry in entries}
    approved: dict[str, Approval] = {}
    of_party: dict[str, list[Diagnostic]] = {}
    strangers: list[Diagnostic] = []
    for place, approval in found.items():
        entry = by_name.get(approval.party)
        if entry is None:
            what = f'it is of "{printable(approval.party)}", which is no party of the plan'
            strangers.append(_invalid(place, what, "remove the file"))
            continue
        try:
            check_approval(approval, plan_sha256, study_sha256, entry, place)
        except SecgenError as error:
            of_party.setdefault(entry.name, []).extend(error.diagnostics)
            continue
        other = approved.setdefault(entry.name, approval)
        if other != approval:
            what = f'it is a second approval of "{entry.name}"; the other is of {other.date}'
            of_party.setdefault(entry.name, []).append(
                _invalid(place, what, "leave one of them there, the same one at all sites")
            )
    return Review(
        approved={
            entry.name: approved[entry.name]
            for entry in entries
            if entry.name in approved and entry.name not in of_party
        },
        missing=missing(by_name, found.values()),
        faults=(*unreadable, *strangers, *chain.from_iterable(of_party.values())),
        of_party={name: tuple(faults) for name, faults in of_party.items()},
    )


def require_approvals(
    bundle: Path, plan_sha256: str, study_sha256: str, entries: Sequence[PartyEntry]
) -> tuple[Approval, ...]:
    """The approvals of all parties of a plan, in its order.

    Args:
        entries: of all parties of the plan, in its order (``Consortium.of_plan``).

    Raises:
        SecgenError: SG523, for each party without one; SG524, for whatever is not valid.
    """
    found = review(bundle, plan_sha256, study_sha256, entries)
    if not found.complete:
        absent = [missing_approval(bundle, party) for party in found.missing]
        raise SecgenError([*absent, *found.faults])
    return tuple(found.approved.values())


def missing_approval(bundle: Path, party: str) -> Diagnostic:
    """SG523: what a site has still to do."""
    name = printable(party)
    return Diagnostic(
        "SG523",
        f'"{name}" has not approved this plan, or its approval has not arrived',
        place=f"{bundle / FOLDER}, {name}",
        next_step=f"there: secgen approve BUNDLE --party {shlex.quote(name)} --key officer.key; "
        f"then put the file that it writes into {bundle / FOLDER} at every site",
    )


def _unread(place: str, reason: str) -> Diagnostic:
    return _invalid(place, f"it cannot be read: {reason}", "make it readable, or remove it")


def _invalid(place: str, what: str, remedy: str) -> Diagnostic:
    return Diagnostic("SG524", f"an approval is not valid: {what}", place=place, next_step=remedy)


def _today() -> date:
    return datetime.now(UTC).date()
