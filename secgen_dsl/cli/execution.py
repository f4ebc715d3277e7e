"""Carries out a planned study on this machine and writes its results."""

import contextlib
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Literal

from secgen_dsl.backends.bundle import Bundle, cannot_write, require_writable
from secgen_dsl.cli.bundling import bundle_of
from secgen_dsl.cli.earlier_runs import (
    announcement,
    debits_made,
    read_earlier,
    require_own_plan,
)
from secgen_dsl.cli.results import (
    Finished,
    Protocol,
    RowsUnmadeError,
    rows_at_no_cost,
    write_results,
)
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.describe.guarantees import certified_by
from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, fail, nearest
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.privacy.rounding import six_digits_up

if TYPE_CHECKING:
    from secgen_dsl.runtime.network.distance import Distance

_STATE = "parties"


def execute(
    planned: PlannedStudy,
    backend: Literal["mpyc", "plaintext"],
    data: Mapping[str, Path],
    out: Path,
    state: Path | None,
    seed: int | None,
    timeout: float,
    distance: "Distance | None",
    say: Callable[[str], None],
) -> Finished:
    """Run all parties, synthesise, write.

    The results appear in ``out`` together, at the end.  Until then it holds nothing but the
    parties' private folders, and these only if a party has stored its noised input or entered a
    debit: a run that is started again goes on from there.

    Args:
        state: folder of the parties' private folders, with their ledgers, which later runs go on
            with; None: they belong to these results alone (``out/parties``).

    Raises:
        SecgenError: SG701 ``out`` cannot be written; SG702 it holds something else, or the run of
            another plan; SG704 silos without data; SG428 data that a rehearsal invented; SG614
            all but the synthetic rows is written; whatever the backend reports.
    """
    start = time.monotonic()
    out = out.absolute()
    own_state = state is None
    state = out / _STATE if state is None else state.absolute()
    _check_out(planned, out, state)
    files = _data_files(planned, data)
    require_not_invented(files)
    say(f"{clock(start)}  plan verified: epsilon {six_digits_up(planned.verified.epsilon)}")
    bundle = bundle_of(planned)
    say(f"{clock(start)}  {certified_by(bundle.certificate)}")
    created = not out.exists()
    try:
        with one_run_at_a_time(state, "-o or --out" if own_state else "--state"):
            if own_state:
                require_own_plan(planned.plan, state)
            earlier = read_earlier(planned.plan, state)
            known = announcement(earlier, backend, "--out" if own_state else "--state")
            if known:
                say(_wrapped(start, known))
            try:
                if backend == "mpyc":
                    protocol = run_mpyc(
                        planned, bundle, files, state, timeout, distance, start, say
                    )
                else:
                    protocol = run_plaintext(planned, files, state, start, say)
            except BaseException:
                with contextlib.suppress(SecgenError):  # the failure itself is what matters
                    after = read_earlier(planned.plan, state)
                    if after.entries != earlier.entries:
                        say(_wrapped(start, debits_made(planned.plan, earlier, after)))
                raise
            after = read_earlier(planned.plan, state)
            say(_wrapped(start, debits_made(planned.plan, earlier, after)))
        results = write_results(planned, bundle, protocol, seed, out)
    except _InUseError:
        raise  # what lies there belongs to the other run
    except RowsUnmadeError:
        say(f"{clock(start)}  all but the synthetic rows written")
        say(_private_folders(state, backend))
        raise
    except BaseException:
        if own_state and _forget_unused(out, created):
            again = (
                "start again with the same --out to go on without spending twice; a new --out "
                "spends again"
                if backend == "mpyc"
                else "to start again spends again, with the same --out as with a new one"
            )
            say(f"{clock(start)}  kept {state}: {again}")
        raise
    samples = planned.plan.program.samples is not None
    say(f"{clock(start)}  {'synthetic data' if samples else 'measurements'} written")
    say(_private_folders(state, backend))
    return results


def _private_folders(state: Path, backend: str) -> str:
    holds = "its ledger"
    if backend == "mpyc":
        holds += ", its noised input\n          and what its reader met (reading.json)"
    return f"          {state} holds each party's private folder, with {holds}: never pass it on"


def _wrapped(start: float, text: str) -> str:
    """A message of several lines: the time once, and its further lines below its first."""
    indent = " " * 10
    return f"{clock(start)}  " + "\n".join(wrap(text, 98, subsequent_indent=indent))


class _InUseError(SecgenError):
    """Another run uses the folder."""


@contextlib.contextmanager
def one_run_at_a_time(state: Path, options: str) -> Iterator[None]:
    """Hold the parties' folder: two runs in it would delete each other's stored inputs.

    Args:
        options: by which the user chose the folder.

    Raises:
        SecgenError: SG702 another run holds it, SG701 it cannot be made.
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        held = os.open(state, os.O_RDONLY)
    except OSError as error:
        raise cannot_write(state, error, options) from error
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise _InUseError(
                Diagnostic(
                    "SG702",
                    "another run uses this folder of the parties",
                    place=str(state),
                    next_step="wait until it has ended"
                    + (
                        "; never give another folder: its ledger would not know what was spent"
                        if options == "--state"
                        else ", or give another folder"
                    ),
                )
            ) from error
        yield
    finally:
        os.close(held)


def clock(start: float) -> str:
    """Seconds since ``start``, as progress is shown with."""
    return f"{time.monotonic() - start:6.1f} s"


def _check_out(planned: PlannedStudy, out: Path, state: Path) -> None:
    if out.exists() and (not out.is_dir() or any(path.name != _STATE for path in out.iterdir())):
        raise fail(
            "SG702",
            "the results' folder is not empty" if out.is_dir() else "the results' folder is a file",
            place=str(out),
            next_step="give the name of a new folder with --out"
            + _price_of_a_new_folder(planned, state)
            + rows_at_no_cost(out),
        )
    require_writable(out)


def _price_of_a_new_folder(planned: PlannedStudy, state: Path) -> str:
    """Empty where the parties' folder knows no run of this plan: then a new one is all."""
    try:
        earlier = read_earlier(planned.plan, state) if state.is_dir() else None
    except SecgenError:  # a ledger in it is broken: nothing is known of what it holds
        return ""
    if earlier is None or not earlier.debited:
        return ""
    text = (
        "; this plan was debited here already, and a new folder alone draws anew and spends again"
    )
    if earlier.goes_on():
        text += (
            f"; with --state {state} as well it goes on from the stored counts and spends nothing"
        )
    return text


def _data_files(planned: PlannedStudy, data: Mapping[str, Path]) -> dict[str, Path]:
    silos = [silo.name for silo in planned.plan.program.silos]
    faults = [
        Diagnostic(
            "SG704",
            f'there is no silo "{name}"',
            place=f"--data {name}=…",
            next_step=nearest(name, silos) or f"the silos are {', '.join(silos)}",
        )
        for name in data
        if name not in silos
    ]
    files = {**planned.simulate, **data}
    faults += [
        Diagnostic(
            "SG704",
            f'no data file for the silo "{name}"',
            place=name,
            next_step=f"give --data {name}=FILE (a spec may name files in `simulate`; a bundle "
            "does not)",
        )
        for name in silos
        if name not in files
    ]
    seen: dict[Path, str] = {}
    for name in silos:
        path = files[name].resolve() if name in files else None
        if path is not None and path in seen:
            faults.append(
                Diagnostic(
                    "SG704",
                    f'the silos "{seen[path]}" and "{name}" have the same file: its people would '
                    "be in two silos",
                    place=str(files[name]),
                    next_step="give each silo its own people's table",
                )
            )
        elif path is not None:
            seen[path] = name
    if faults:
        raise SecgenError(faults)
    return {name: files[name] for name in silos}


def require_not_invented(files: Mapping[str, Path]) -> None:
    """SG428, silo → its file: rows of a rehearsal would come out as if they were patients'."""
    from secgen_dsl.rehearsal import MARK_COLUMN
    from secgen_dsl.runtime.site.files import has_column

    faults = [
        Diagnostic(
            "SG428",
            f'the table of the silo "{name}" was invented by a rehearsal: it has the column'
            f" {MARK_COLUMN}",
            place=f"{path} ({name})",
            next_step="give the silo's own table; to rehearse: secgen run SPEC --mock N",
        )
        for name, path in files.items()
        if has_column(path, MARK_COLUMN, name)
    ]
    if faults:
        raise SecgenError(faults)


def run_mpyc(
    planned: PlannedStudy,
    bundle: Bundle,
    files: Mapping[str, Path],
    state: Path,
    timeout: float,
    distance: "Distance | None",
    start: float,
    say: Callable[[str], None],
) -> Protocol:
    """Run all parties as processes of their own.

    Args:
        files: silo → its table, or its description.
        state: folder of the parties' private folders.
        distance: as if the sites were so far from each other; None: as they are.
        start: of the run, as ``time.monotonic`` counts.

    Raises:
        SecgenError: whatever the launcher reports.
    """
    from secgen_dsl.backends.mpyc.launcher import run_protocol
    from secgen_dsl.backends.mpyc.messages import Progress

    phases: dict[str, str] = {}

    def on_progress(progress: Progress) -> None:
        if phases.get(progress.party) == progress.phase:
            return
        phases[progress.party] = progress.phase
        say(
            f"{clock(start)}  {progress.party:<16} {progress.phase:<28} "
            f"{progress.bytes:>12,} bytes sent"
        )

    result = run_protocol(
        planned.plan,
        bundle.program_text,
        planned.sources,
        sha256_of(planned.study),
        files,
        state,
        on_progress=on_progress,
        timeout=timeout,
        distance=distance,
    )
    say(
        f"{clock(start)}  opened; protocol {result.seconds:.1f} s, of which "
        f"{result.exchange_seconds:.1f} s between the parties"
    )
    return Protocol("mpyc", result.measurements, result.bytes_sent, result.rounds, result.debits)


def run_plaintext(
    planned: PlannedStudy,
    files: Mapping[str, Path],
    state: Path,
    start: float,
    say: Callable[[str], None],
) -> Protocol:
    """Run all parties in this process.  It stores no noised input: each run is a debit.

    Args:
        files: silo → its table, or its description.
        state: folder of the parties' private folders, which hold their ledgers.
        start: of the run, as ``time.monotonic`` counts.

    Raises:
        SecgenError: whatever the backend reports.
    """
    from secgen_dsl.backends.plaintext import backend

    program = planned.plan.program
    keys = {name: secrets.token_bytes(32) for name in files}
    with ExitStack() as stack:
        ledgers = _ledgers(planned, files, state, stack)
        tables = backend.read_tables(program, files, keys)
        debits = {name: enter() for name, enter in ledgers.items()}
        measurements = backend.run_plaintext(planned.plan, tables)
    say(f"{clock(start)}  measured in one process, which saw every row")
    nothing = dict.fromkeys(planned.plan.parties, 0)
    return Protocol("plaintext", measurements, nothing, 0, debits)


def _ledgers(
    planned: PlannedStudy, files: Mapping[str, Path], state: Path, stack: ExitStack
) -> dict[str, Callable[[], str]]:
    """Open every silo's ledger and see that its policy allows the plan, before data are read.

    Returns:
        Silo → what enters the debit and returns the entry's hash.

    Raises:
        SecgenError: SG804, of all silos at once; SG512, SG802, SG803.
    """
    from secgen_dsl.backends.mpyc.supervision import private_folder
    from secgen_dsl.runtime.site.debit import debit_of
    from secgen_dsl.runtime.store import ContributionStore

    plan = planned.plan
    enter: dict[str, Callable[[], str]] = {}
    refused: list[Diagnostic] = []
    for name, path in files.items():
        folder = private_folder(state, name)
        store = stack.enter_context(ContributionStore(folder / "store.sqlite"))
        debit = debit_of(plan, path, name)
        try:
            debit.check(store.ledger())
        except SecgenError as error:
            refused.extend(error.diagnostics)
        enter[name] = partial(store.debit, planned.verified.plan_sha256, plan.parties, debit)
    if refused:
        raise SecgenError(refused)
    return enter


def _forget_unused(out: Path, created: bool) -> bool:
    """After a failure keep only folders in which a party stored its y or entered a debit.

    Returns:
        Whether anything was kept.
    """
    from secgen_dsl.runtime.store import is_needed

    state = out / _STATE
    for folder in state.iterdir() if state.is_dir() else ():
        if not is_needed(folder):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in (state, out) if created else (state,):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return state.is_dir()
