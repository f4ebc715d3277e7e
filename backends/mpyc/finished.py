"""A run that this site completed earlier, from what its state folder holds; no network is used."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from secgen_dsl.backends.mpyc.messages import PartyResult
from secgen_dsl.backends.mpyc.opened import measurements_of, stored_openings
from secgen_dsl.backends.mpyc.supervision import folder_of
from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.ir.base import read_node, sha256_of
from secgen_dsl.ir.plan import Measurements, Plan
from secgen_dsl.runtime.evidence.folder import RECEIPT_FILE, TRANSCRIPT_FILE
from secgen_dsl.runtime.evidence.receipt import COMPLETE, PartyReceipt
from secgen_dsl.runtime.store import ContributionStore, digest_of_opened
from secgen_dsl.runtime.trust.consortium import PartyEntry, roster_sha256
from secgen_dsl.runtime.trust.identity import verified


def finished_run(
    plan: Plan, study_sha256: str, name: str, entries: Sequence[PartyEntry], state: Path
) -> PartyResult:
    """The latest run of the plan that this site completed.

    Its receipt has to be signed by this site's machine, and every other party's machine has to
    have signed the opened values; these come from the site's store, and have to be the ones of the
    receipt.

    Args:
        plan: verified.
        study_sha256: hash of the study's prose.
        name: of the party.
        entries: all parties, in the plan's order.
        state: folder of this site's private folders.

    Raises:
        SecgenError: SG530 there is no such run, or it does not check; SG512, SG802, SG803 the
            store cannot be used.
    """
    folder = folder_of(state, name)
    complete = {
        path: receipt
        for path, receipt in _receipts(folder)
        if receipt.outcome == COMPLETE and receipt.plan_sha256 == sha256_of(plan)
    }
    if not complete:
        raise _none(
            folder,
            "this site has not completed a run of this plan",
            "start it without --finished, at the same time as the other parties: a restart uses "
            "what is stored and costs no budget",
        )
    path = max(complete)
    receipt = complete[path]
    opened_sha256, measurements = _opened(plan, name, folder)
    own = entries[plan.parties.index(name)]
    wrong = {
        "it is not signed by this machine's key": not receipt.is_signed_by(own.identity.public),
        "it is of another party": (receipt.party, receipt.parties) != (name, plan.parties),
        "it is of another text of the study": receipt.study_sha256 != study_sha256,
        "its parties had other keys": receipt.roster_sha256 != roster_sha256(entries),
        "its opened values are not those of the store": (
            (receipt.opened_sha256, receipt.measurements_sha256)
            != (opened_sha256, sha256_of(measurements))
        ),
        "some party has not confirmed its values": not _confirmed(receipt, own.name, entries),
    }
    for fault, found in wrong.items():
        if found:
            raise _none(
                path / RECEIPT_FILE,
                f"the receipt of the completed run cannot be used: {fault}",
                "give the bundle, the consortium.toml and the state folder of that run; or start "
                "all parties again, without --finished",
            )
    return PartyResult(
        measurements=measurements,
        bytes_sent=receipt.bytes_sent,
        debit=receipt.ledger_entry,
        receipt=str(path / RECEIPT_FILE),
        transcript=str(path / TRANSCRIPT_FILE),
    )


def _receipts(folder: Path) -> Iterator[tuple[Path, PartyReceipt]]:
    """The runs' folders, whose names begin with date and time, and the receipts in them."""
    for path in sorted((folder / "runs").glob("*")):
        try:
            yield path, read_node(PartyReceipt, (path / RECEIPT_FILE).read_bytes())
        except (OSError, ValidationError):
            continue  # of a run that was killed, or another release's


def _opened(plan: Plan, name: str, folder: Path) -> tuple[str, Measurements]:
    """Digest of the opened values in the store, and the values."""
    path = folder / "store.sqlite"
    if not path.is_file():
        raise _none(path, "the store of the completed run is not there", _FROM_BACKUP)
    with ContributionStore(path) as store:
        opened = stored_openings(store, plan, plan.parties.index(name))
    if len(opened) != len(plan.rounds):
        raise _none(path, "the store does not hold the values of every round", _FROM_BACKUP)
    return digest_of_opened(opened), measurements_of(plan, opened)


_FROM_BACKUP = "bring the state folder of that run back, or start all parties again"


def _confirmed(receipt: PartyReceipt, own: str, entries: Sequence[PartyEntry]) -> bool:
    """Whether every other party signed the session, the plan and the opened values."""
    try:
        text = b"".join(
            map(bytes.fromhex, (receipt.session, receipt.plan_sha256, receipt.opened_sha256))
        )
        return all(
            verified(
                entry.identity.public,
                "confirmation",
                text,
                bytes.fromhex(receipt.confirmations[entry.name]),
            )
            for entry in entries
            if entry.name != own
        )
    except (KeyError, ValueError):
        return False


def _none(place: Path, what: str, next_step: str) -> SecgenError:
    return fail("SG530", what, place=str(place), next_step=next_step)
