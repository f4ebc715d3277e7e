"""The files that a run leaves behind, and where an auditor finds them.

``secgen party`` leaves everything of one site in one folder.  A run on one machine leaves its
results in a folder and each party's evidence below it, ``parties/NAME/runs/TIME``.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.runtime.regular import UnreadError, is_there, read_regular

TRANSCRIPT_FILE = "transcript.jsonl"
RECEIPT_FILE = "party-receipt.json"
ROSTER_FILE = "consortium.json"
CONSORTIUM_FILE = "consortium.toml"
PLAN_FILE = "plan.json"
STUDY_FILE = "study.json"
CERTIFICATE_FILE = "certificate.json"
SOURCES_FILE = "sources.json"
PROGRAM_FILE = "party_program.py"
MEASUREMENTS_FILE = "measurements.json"
MEASURED_TABLE_FILE = "measurements.csv"
DESCRIPTION_FILE = "description.md"
RESULTS_RECEIPT_FILE = "receipt.json"
STORE_FILE = "store.sqlite"
PARTIES = "parties"
_RUNS = "runs"

PRIVATE_FILES = frozenset(
    {
        TRANSCRIPT_FILE, RECEIPT_FILE, ROSTER_FILE, PLAN_FILE, SOURCES_FILE, PROGRAM_FILE,
        MEASUREMENTS_FILE,
    }
)  # fmt: skip
"""What a party leaves in its private folder; a folder of results holds more."""


@dataclass(frozen=True)
class RunFolder:
    """Where one party's files of one run are.

    Attributes:
        evidence: the folder with its transcript and receipt.
        results: the folder with the results; often the same.
        earlier: how many earlier runs of the party lie beside it.
    """

    evidence: Path
    results: Path
    earlier: int = 0

    def path(self, name: str) -> Path:
        """Where a file is, or would be."""
        own = self.evidence / name
        return own if is_there(own) else self.results / name

    def read(self, name: str) -> bytes | None:
        """A file's bytes; None if there is no such file, or it cannot be read."""
        try:
            return read_regular(self.path(name))
        except UnreadError:
            return None

    def fault(self, name: str) -> str:
        """Why a file cannot be read, in words that follow its name; empty if it can."""
        try:
            read_regular(self.path(name))
        except UnreadError as error:
            return str(error)
        return ""

    def store(self) -> Path | None:
        """The party's store, if the evidence still lies in its private folder."""
        found = self.evidence.parent.parent / STORE_FILE
        return found if self.evidence.parent.name == _RUNS and is_there(found) else None


def find_runs(path: Path) -> list[RunFolder]:
    """The runs in a folder that somebody wants audited: of one party, or of each one the newest.

    Raises:
        SecgenError: SG531, a run left nothing there, or it cannot be looked into.
    """
    try:
        found = _runs_in(path.resolve())
    except OSError as error:
        raise fail(
            "SG531",
            f"the folder cannot be read: {(error.strerror or 'unknown reason').lower()}",
            place=str(path),
            next_step="see that its folders can be opened",
        ) from error
    if found:
        return found
    raise fail(
        "SG531",
        "no run left anything in this folder that could be audited",
        place=str(path),
        next_step="give the --out folder of `secgen party` or `secgen run`, which holds "
        f"{RECEIPT_FILE} or {RESULTS_RECEIPT_FILE}",
    )


def _runs_in(place: Path) -> list[RunFolder]:
    if is_there(place / RECEIPT_FILE) or is_there(place / TRANSCRIPT_FILE):
        return [RunFolder(place, _results_of(place), _earlier(place))]
    shows_results = any(_is_result(one.name) for one in place.glob("*"))
    newest = _newest(place / _RUNS)
    if not newest:
        state = place / PARTIES if (place / PARTIES).is_dir() else place
        newest = [one for folder in _folders(state) for one in _newest(folder / _RUNS)]
    if newest:
        # Results beside the folders of parties are theirs, however somebody has laid them out.
        return [
            RunFolder(one, place if shows_results else _results_of(one), _earlier(one))
            for one in newest
        ]
    return [RunFolder(place, place)] if is_there(place / RESULTS_RECEIPT_FILE) else []


def _is_result(name: str) -> bool:
    results = (RESULTS_RECEIPT_FILE, DESCRIPTION_FILE, MEASURED_TABLE_FILE)
    return name in results or name.startswith("synthetic.")


def listed(folder: Path, leave_out: Callable[[str], bool]) -> Sequence[str]:
    """Names of all files of a folder and below, as ``a/b``, sorted; links to folders not followed.

    Args:
        leave_out: which names of the folder's own files and folders are not gone into.
    """
    names: list[str] = []
    for directory, folders, files in os.walk(folder):
        if Path(directory) == folder:
            folders[:] = [one for one in folders if not leave_out(one)]
        paths = [Path(directory) / one for one in files]
        paths += [Path(directory) / one for one in folders if (Path(directory) / one).is_symlink()]
        names += [path.relative_to(folder).as_posix() for path in paths]
    return sorted(name for name in names if not leave_out(name))


def _results_of(evidence: Path) -> Path:
    """The results that a party's private folder belongs to; the folder itself if they are there."""
    above = evidence.parents
    if (
        not is_there(evidence / RESULTS_RECEIPT_FILE)
        and len(above) > 3
        and (above[0].name, above[2].name) == (_RUNS, PARTIES)
        and is_there(above[3] / RESULTS_RECEIPT_FILE)
    ):
        return above[3]
    return evidence


def _newest(runs: Path) -> list[Path]:
    return _folders(runs)[-1:]


def _folders(path: Path) -> list[Path]:
    """The folders in a folder, sorted; links are not followed."""
    if path.is_symlink() or not path.is_dir():
        return []
    return sorted(one for one in path.iterdir() if one.is_dir() and not one.is_symlink())


def _earlier(evidence: Path) -> int:
    if evidence.parent.name != _RUNS:
        return 0
    return sum(one.name < evidence.name for one in _folders(evidence.parent))
