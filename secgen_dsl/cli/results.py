"""Writes what a run found: measurements, synthetic rows, description, receipt."""

import hashlib
import json
import shlex
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from secgen_dsl import __version__
from secgen_dsl.backends.bundle import Bundle, cannot_write, write_file
from secgen_dsl.cli.description import results_description
from secgen_dsl.cli.report import diagnostics_of
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError
from secgen_dsl.ir.base import canonical_json, pretty_json, sha256_of
from secgen_dsl.ir.plan import Measurements, Plan
from secgen_dsl.ir.program import decimal_text
from secgen_dsl.public.files import PublicFile
from secgen_dsl.rehearsal import MARK
from secgen_dsl.synthesis.measured_table import write_measured_table

RECEIPT = "receipt.json"

_BANNER = (
    "> **INVENTED.** This describes a rehearsal: its rows were invented from the spec alone. "
    "No patient's data were read, and its results say nothing about anybody.\n\n"
)

_NOTE = """\
# Invented

The results in this folder are those of a rehearsal. Every row behind them was invented from the
spec alone: no patient's data were read, and they say nothing about anybody.

- `invented/` holds the tables that the silos were given: what a site's own table has to look like.
  A site checks its own with `secgen check-data SPEC --site FILE`.
- Whatever was made from them has `invented` in its name, in its first lines, or in both.
- `plan.json`, `certificate.json` and `party_program.py` are those of the study itself: a run on
  patients' data has the same.
"""


@dataclass(frozen=True)
class Protocol:
    """What the parties did.

    Attributes:
        bytes_sent: party → bytes; 0 for all where one process ran them.
        rounds: of messages.
        debits: silo → hash of the entry that its ledger made for the run.
    """

    backend: str
    measurements: Measurements
    bytes_sent: dict[str, int]
    rounds: int
    debits: dict[str, str]


@dataclass(frozen=True)
class Evidence:
    """What a site adds to its results.

    Attributes:
        add: writes more files into the folder that it is given; the receipt lists them.
        sign: signs the receipt in that folder.
    """

    add: Callable[[Path], None]
    sign: Callable[[Path], None]


@dataclass(frozen=True)
class Finished:
    """A finished run: its receipt as JSON data, the names of its files and folders, warnings."""

    receipt: dict[str, object]
    files: tuple[str, ...]
    warnings: tuple[Diagnostic, ...] = ()


class RowsUnmadeError(SecgenError):
    """SG614: the results are written and complete, but for the synthetic rows."""


def write_results(
    planned: PlannedStudy,
    bundle: Bundle,
    protocol: Protocol,
    seed: int | None,
    out: Path,
    invented: Path | None = None,
    evidence: Evidence | None = None,
) -> Finished:
    """Synthesise and write everything into ``out``, the receipt last.

    Args:
        seed: of the samples; None: from the system.
        out: the results' folder; made if it does not exist.
        invented: the folder of the rows that a rehearsal was run on: it becomes ``out/invented``,
            and all that was made from them is marked.  None: the rows are patients'.
        evidence: of a party of a run between sites; None: all ran here.

    Raises:
        RowsUnmadeError: SG614, the synthesis failed: all else is written, for what was opened is
            paid for.
        SecgenError: SG701 ``out`` cannot be written; in a rehearsal, which costs nothing and leaves
            nothing then, whatever the synthesis reports.
    """
    fault = ""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as name:
            folder = Path(name)
            if invented is not None:
                invented.rename(folder / MARK)
            _write_files(planned, bundle, protocol, folder)
            if invented is None:
                fault, warnings = _fault_of_rows(planned, protocol, seed, folder)
            else:
                warnings = _write_own_rows(planned, protocol, seed, folder)
            if evidence is not None:
                evidence.add(folder)
            receipt = _receipt(planned, bundle, protocol, folder)
            text = json.dumps(receipt, indent=1, sort_keys=True) + "\n"
            write_file(folder / RECEIPT, text.encode())
            if evidence is not None:
                evidence.sign(folder)
                receipt = json.loads((folder / RECEIPT).read_bytes())
            out.mkdir(exist_ok=True)
            written = sorted(path.name for path in folder.iterdir() if path.name != RECEIPT)
            for file in (*written, RECEIPT):  # the receipt last: with it the run is complete
                (folder / file).rename(out / file)
    except OSError as error:
        raise cannot_write(out, error) from error
    if fault:
        raise _rows_unmade(planned, seed, out, fault)
    return Finished(receipt, (*written, RECEIPT), warnings)


def _fault_of_rows(
    planned: PlannedStudy, protocol: Protocol, seed: int | None, folder: Path
) -> tuple[str, tuple[Diagnostic, ...]]:
    """Write the synthetic rows, or say what failed; and the rows' warnings.

    The error itself is let go here: its frames hold the memory that may have run out.
    """
    try:
        return "", _write_own_rows(planned, protocol, seed, folder)
    except Exception as error:
        fault = "; ".join(
            f"{one.message} ({one.code})"
            if one.where() in ("", "secgen", str(folder))
            else f"{one.message} ({one.code}, {one.where()})"
            for one in diagnostics_of(error)
        )
    return fault, ()


def _write_own_rows(
    planned: PlannedStudy, protocol: Protocol, seed: int | None, folder: Path
) -> tuple[Diagnostic, ...]:
    return write_rows(
        planned.plan,
        protocol.measurements,
        planned.study.title,
        planned.public_files,
        seed,
        folder,
        MARK if (folder / MARK).exists() else "",
    )


def rows_at_no_cost(out: Path) -> str:
    """What whoever only wants rows may do instead of a run; empty if ``out`` holds none's results.

    They may be those of a run whose synthesis failed.
    """
    if not (out / RECEIPT).is_file():
        return ""
    command = f"secgen synthesize {shlex.quote(str(out))} --spec SPEC -o DIR"
    return (
        f"; for rows alone no run is needed: one was completed here, and `{command}` makes rows "
        "of what it opened, at no cost"
    )


def _rows_unmade(planned: PlannedStudy, seed: int | None, out: Path, fault: str) -> RowsUnmadeError:
    spec = " --spec SPEC" if planned.plan.program.references else ""
    same = "" if seed is None else f" --seed {seed}"
    command = f"secgen synthesize {shlex.quote(str(out))}{spec}{same} -o DIR"
    return RowsUnmadeError(
        Diagnostic(
            "SG614",
            f"the synthetic rows could not be made: {fault}",
            place=str(out),
            next_step="the opened values are safe there and no budget is lost: once the cause is "
            f"gone, `{command}` makes rows of them at no cost (--rows N: fewer, if memory is "
            "short)",
        )
    )


def _write_files(planned: PlannedStudy, bundle: Bundle, protocol: Protocol, folder: Path) -> None:
    rehearsed = (folder / MARK).exists()
    mark = MARK if rehearsed else ""
    prefix = f"{MARK}-" if rehearsed else ""
    description = results_description(
        planned.plan, planned.study, bundle.certificate, planned.sources
    )
    write_file(folder / "plan.json", pretty_json(bundle.plan))
    write_file(folder / "study.json", pretty_json(planned.study))
    write_file(folder / "certificate.json", pretty_json(bundle.certificate))
    write_file(folder / "party_program.py", bundle.program_text.encode())
    write_file(folder / "description.md", ((_BANNER if rehearsed else "") + description).encode())
    write_file(
        folder / f"{prefix}measurements.json", _measurements_json(protocol.measurements, mark)
    )
    write_measured_table(
        folder / f"{prefix}measurements.csv", planned.plan, protocol.measurements, mark=mark
    )
    if rehearsed:
        write_file(folder / "INVENTED.md", _NOTE.encode())


def _measurements_json(measurements: Measurements, mark: str) -> bytes:
    """The measurements; with a mark they can no longer be read as those of a run."""
    text = pretty_json(measurements)
    if not mark:
        return text
    data = {"data": mark, **json.loads(text)}
    return (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode()


def common_seed(measurements: Measurements) -> int:
    """The seed at every site, so that all draw the same synthetic rows; no noise depends on it."""
    return int.from_bytes(hashlib.sha256(canonical_json(measurements)).digest()[:8], "big")


def write_rows(
    plan: Plan,
    measurements: Measurements,
    title: str,
    public_files: Mapping[str, PublicFile],
    seed: int | None,
    folder: Path,
    mark: str = "",
) -> tuple[Diagnostic, ...]:
    """Synthesise and write the synthetic rows, if the plan releases any.

    Args:
        title: of the study.
        public_files: reference name → its file.
        seed: of the samples; None: from the system.
        mark: of invented rows.

    Returns:
        SG615 of values that no row has.

    Raises:
        SecgenError: SG612 ``folder`` cannot be written; whatever the synthesis reports.
    """
    release = plan.program.samples
    if release is None:
        return ()
    import numpy as np

    from secgen_dsl.synthesis.conditioning import warn_of_lost_values
    from secgen_dsl.synthesis.files import write_samples
    from secgen_dsl.synthesis.sample import draw_samples
    from secgen_dsl.synthesis.synthesize import model_of

    model = model_of(plan, measurements, public_files)
    samples = draw_samples(model, release.rows, np.random.default_rng(seed))
    write_samples(
        folder,
        plan,
        samples,
        release.formats,
        title,
        kind=mark or "synthetic",
    )
    # Invented people say nothing of who will be lost.
    return () if mark else warn_of_lost_values(model, samples)


def _receipt(
    planned: PlannedStudy, bundle: Bundle, protocol: Protocol, folder: Path
) -> dict[str, object]:
    return {
        "format": "secgen.receipt/1",
        "signed": False,
        "data": MARK if (folder / MARK).exists() else "given",
        "backend": protocol.backend,
        "plan_sha256": planned.verified.plan_sha256,
        "study_sha256": sha256_of(planned.study),
        "certificate_sha256": sha256_of(bundle.certificate),
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {"secgen": __version__, "mpyc": version("mpyc"), "opendp": version("opendp")},
        "epsilon": decimal_text(planned.plan.program.privacy.epsilon),
        "delta": decimal_text(planned.plan.program.privacy.delta),
        # Names an entry to whoever holds the ledger, and tells nobody else anything.
        "ledger_entries": {} if (folder / MARK).exists() else protocol.debits,
        "rounds_of_messages": protocol.rounds,
        "bytes_sent": protocol.bytes_sent,
        # All of these follow from opened values and public choices (or were invented): their
        # hashes tell nothing else.
        "files": {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
    }
