"""Rehearses a planned study on invented rows, through the real protocol."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from secgen_dsl.backends.bundle import cannot_write, require_writable
from secgen_dsl.cli.bundling import bundle_of
from secgen_dsl.cli.execution import clock, run_mpyc, run_plaintext
from secgen_dsl.cli.results import Finished, write_results
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.describe.guarantees import certified_by
from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.rehearsal import MARK

if TYPE_CHECKING:
    from secgen_dsl.runtime.network.distance import Distance


def rehearse(
    planned: PlannedStudy,
    backend: Literal["mpyc", "plaintext"],
    rows: int,
    out: Path,
    seed: int | None,
    timeout: float,
    distance: "Distance | None",
    say: Callable[[str], None],
) -> Finished:
    """Invent rows, run all parties on them, synthesise, write.

    No file of a site is read, and nothing is kept outside ``out``: the parties' private folders go
    when the rehearsal ends, however it ends.

    Args:
        rows: of every silo, ≥ 1.
        seed: of the invented rows and of the samples; never of the noise.  None: from the system.

    Raises:
        SecgenError: SG701 ``out`` cannot be written; SG702 it holds something; whatever the
            backend and the synthesis report.
    """
    import numpy as np

    from secgen_dsl.rehearsal.invention import invent
    from secgen_dsl.rehearsal.tables import write_tables
    from secgen_dsl.synthesis.reference import read_references

    start = time.monotonic()
    out = out.absolute()
    _require_empty(out)
    program = planned.plan.program
    say(f"{clock(start)}  REHEARSAL: every row is invented from the spec alone")
    bundle = bundle_of(planned)
    say(f"{clock(start)}  {certified_by(bundle.certificate)}")
    references = read_references(program, planned.public_files)
    # A stream of its own: the samples are drawn from the seed itself.
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
    with ExitStack() as stack:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            folder = TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.")
            work = Path(stack.enter_context(folder))
            (work / MARK).mkdir()
            files = write_tables(work / MARK, program, invent(program, references, rows, rng))
        except OSError as error:
            raise cannot_write(out, error) from error
        say(f"{clock(start)}  {rows:,} rows invented for each of {len(files)} silos")
        if backend == "mpyc":
            protocol = run_mpyc(
                planned, bundle, files, work / "parties", timeout, distance, start, say
            )
        else:
            protocol = run_plaintext(planned, files, work / "parties", start, say)
        finished = write_results(planned, bundle, protocol, seed, out, work / MARK)
    say(f"{clock(start)}  invented results written: they say nothing about anybody")
    return finished


def _require_empty(out: Path) -> None:
    """A rehearsal never goes on from another run, nor adds to one."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise fail(
            "SG702",
            "the results' folder is not empty" if out.is_dir() else "the results' folder is a file",
            place=str(out),
            next_step="give the name of a new folder with --out",
        )
    require_writable(out)
