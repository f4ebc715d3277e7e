"""``receipt.json``: what a folder of results holds, file by file, signed by the party's machine.

The party's own receipt is signed before anything is made of the opened values, so it cannot cover
the samples.  ``receipt.json`` is written last, names every other file with its hash, and is signed
in turn.  Only a party has a key to sign with: results of a run on one machine are not signed.
"""

import json
from pathlib import Path
from typing import Any

import rfc8785

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.ir.base import read_node
from secgen_dsl.runtime.evidence.folder import (
    PARTIES,
    RECEIPT_FILE,
    RESULTS_RECEIPT_FILE,
    listed,
)
from secgen_dsl.runtime.evidence.receipt import PartyReceipt, is_signature
from secgen_dsl.runtime.regular import UnreadError, hash_regular, read_regular
from secgen_dsl.runtime.trust.identity import Signer


def read_results(folder: Path) -> dict[str, Any]:
    """What ``receipt.json`` says.

    Raises:
        SecgenError: SG531, it cannot be read or is none.
    """
    try:
        data = json.loads(read_regular(folder / RESULTS_RECEIPT_FILE))
        rfc8785.dumps(data)  # what has no canonical form (2**80, NaN, half a character) is no one's
    except UnreadError as error:
        raise _unusable(folder / RESULTS_RECEIPT_FILE, str(error)) from error
    except (ValueError, RecursionError) as error:
        raise _unusable(folder / RESULTS_RECEIPT_FILE) from error
    if not isinstance(data, dict) or data.get("format") != "secgen.receipt/1":
        raise _unusable(folder / RESULTS_RECEIPT_FILE)
    return data


def results_bytes(data: dict[str, Any]) -> bytes:
    """A ``receipt.json`` of that content, in its one form."""
    return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()


def signed_results(folder: Path, data: dict[str, Any], signer: Signer) -> bytes:
    """The bytes of a ``receipt.json``, signed by the machine of the folder's party.

    Raises:
        SecgenError: SG531, the party's receipt in the folder cannot be read.
    """
    path = folder / RECEIPT_FILE
    try:
        receipt = read_node(PartyReceipt, read_regular(path))
    except UnreadError as error:
        raise _unusable(path, str(error)) from error
    except ValueError as error:
        raise _unusable(path) from error
    signed = data | {"signed": True, "party": receipt.party, "certificate": receipt.certificate}
    signed["signature"] = signer.sign("receipt", _unsigned(signed)).hex()
    return results_bytes(signed)


def is_signed_by(data: dict[str, Any], public: str) -> bool:
    """Whether the signature of a ``receipt.json`` is that key's."""
    return is_signature(public, "receipt", _unsigned(data), str(data.get("signature", "")))


def hashes_of(folder: Path) -> dict[str, str]:
    """File → SHA-256, of all files of a folder of results but its ``receipt.json``.

    Parties' private folders, which a run on one machine leaves there, are left out.

    Raises:
        SecgenError: SG531, a file cannot be read, or is a link.
    """
    found: dict[str, str] = {}
    for name in listed(folder, lambda one: one in (PARTIES, RESULTS_RECEIPT_FILE)):
        try:
            found[name] = hash_regular(folder / name)
        except UnreadError as error:
            raise _unusable(folder / name, str(error)) from error
    return found


def _unsigned(data: dict[str, Any]) -> bytes:
    # Its format keeps it apart from a party's receipt, which is signed for the same purpose.
    return rfc8785.dumps({key: value for key, value in data.items() if key != "signature"})


def _unusable(path: Path, reason: str = "it is none that a run leaves") -> SecgenError:
    return fail(
        "SG531",
        f"the file cannot be used: {reason}",
        place=str(path),
        next_step="give the folder as the run left it",
    )
