"""Carries out a planned study on this machine and writes its results."""

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from secgen_dsl import __version__
from secgen_dsl.backends.bundle import (
    Bundle,
    cannot_write,
    pretty_json,
    require_writable,
    write_file,
)
from secgen_dsl.cli.bundling import bundle_of
from secgen_dsl.cli.description import describe_plan
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, fail, nearest
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.plan import Measurements
from secgen_dsl.ir.program import decimal_text
from secgen_dsl.synthesis.measured_table import write_measured_table

_STATE = "parties"
_RECEIPT = "receipt.json"


@dataclass(frozen=True)
class Finished:
    """A finished run: its receipt as JSON data, and the names of its files."""

    receipt: dict[str, object]
    files: tuple[str, ...]


@dataclass(frozen=True)
class _Protocol:
    measurements: Measurements
    bytes_sent: dict[str, int]
    rounds: int


def execute(
    planned: PlannedStudy,
    backend: Literal["mpyc", "plaintext"],
    data: Mapping[str, Path],
    out: Path,
    seed: int | None,
    timeout: float,
    say: Callable[[str], None],
) -> Finished:
    """Run all parties, synthesise, write.

    The results appear in ``out`` together, at the end.  Until then it holds nothing but the
    parties' private folders, and these only if a party has stored its noised input: a run that
    is started again goes on from there.

    Raises:
        SecgenError: SG701 ``out`` cannot be written; SG702 it holds something else; SG704 silos
            without data; whatever the backend and the synthesis report.
    """
    start = time.monotonic()
    out = out.absolute()
    _check_out(out)
    files = _data_files(planned, data)
    say(f"{_clock(start)}  plan verified: epsilon {planned.verified.epsilon:.6g}")
    bundle = bundle_of(planned)
    say(f"{_clock(start)}  certified by two accountants")
    created = not out.exists()
    if not created and backend == "mpyc":
        say(
            f"{_clock(start)}  going on from an earlier run: a party that stored its noised counts "
            "uses them, whatever its\n          data file now says, at no cost in privacy; "
            "for other data give a new --out (which spends again)"
        )
    try:
        if backend == "mpyc":
            with _one_run_at_a_time(out / _STATE):
                protocol = _run_mpyc(planned, bundle, files, out / _STATE, timeout, start, say)
        else:
            protocol = _run_plaintext(planned, files)
            say(f"{_clock(start)}  measured in one process, which saw every row")
        try:
            results = _results(planned, bundle, protocol, backend, seed, out)
        except OSError as error:
            raise cannot_write(out, error) from error
    except _InUseError:
        raise  # what lies there belongs to the other run
    except BaseException:
        if _forget_unused(out, created):
            say(
                f"{_clock(start)}  kept {out / _STATE}: start again with the same --out to go on "
                "without spending twice; a new --out spends again"
            )
        raise
    say(f"{_clock(start)}  synthetic data written")
    if backend == "mpyc":
        say(
            f"          {out / _STATE} holds each party's private folder, with its noised input "
            "and what its reader met\n          (reading.json): never pass it on; delete it when "
            "the run is accepted"
        )
    return results


class _InUseError(SecgenError):
    """Another run uses the folder."""


@contextlib.contextmanager
def _one_run_at_a_time(state: Path) -> Iterator[None]:
    """Hold the parties' folder: two runs in it would delete each other's stored inputs.

    Raises:
        SecgenError: SG702 another run holds it, SG701 it cannot be made.
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        held = os.open(state, os.O_RDONLY)
    except OSError as error:
        raise cannot_write(state, error) from error
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise _InUseError(
                Diagnostic(
                    "SG702",
                    "another run uses this results' folder",
                    place=str(state.parent),
                    next_step="wait until it has ended, or give another folder with --out",
                )
            ) from error
        yield
    finally:
        os.close(held)


def _clock(start: float) -> str:
    return f"{time.monotonic() - start:6.1f} s"


def _check_out(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(path.name != _STATE for path in out.iterdir())):
        raise fail(
            "SG702",
            "the results' folder is not empty" if out.is_dir() else "the results' folder is a file",
            place=str(out),
            next_step="give the name of a new folder with --out",
        )
    require_writable(out)


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


def _run_mpyc(
    planned: PlannedStudy,
    bundle: Bundle,
    files: Mapping[str, Path],
    state: Path,
    timeout: float,
    start: float,
    say: Callable[[str], None],
) -> _Protocol:
    from secgen_dsl.backends.mpyc.launcher import run_protocol
    from secgen_dsl.backends.mpyc.messages import Progress

    def on_progress(progress: Progress) -> None:
        say(
            f"{_clock(start)}  {progress.party:<16} {progress.phase:<28} "
            f"{progress.bytes:>12,} bytes sent"
        )

    result = run_protocol(
        planned.plan,
        bundle.program_text,
        planned.sources,
        files,
        state,
        on_progress=on_progress,
        timeout=timeout,
    )
    say(
        f"{_clock(start)}  opened; protocol {result.seconds:.1f} s, of which "
        f"{result.exchange_seconds:.1f} s between the parties"
    )
    return _Protocol(result.measurements, result.bytes_sent, result.rounds)


def _run_plaintext(planned: PlannedStudy, files: Mapping[str, Path]) -> _Protocol:
    from secgen_dsl.backends.plaintext.backend import read_tables, run_plaintext

    program = planned.plan.program
    keys = {name: secrets.token_bytes(32) for name in files}
    measurements = run_plaintext(planned.plan, read_tables(program, files, keys))
    return _Protocol(measurements, dict.fromkeys(planned.plan.parties, 0), 0)


def _results(
    planned: PlannedStudy,
    bundle: Bundle,
    protocol: _Protocol,
    backend: str,
    seed: int | None,
    out: Path,
) -> Finished:
    receipt: dict[str, object] = {
        "format": "secgen.receipt/1",
        "signed": False,
        "backend": backend,
        "plan_sha256": planned.verified.plan_sha256,
        "study_sha256": sha256_of(planned.study),
        "certificate_sha256": sha256_of(bundle.certificate),
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {"secgen": __version__, "mpyc": version("mpyc"), "opendp": version("opendp")},
        "epsilon": decimal_text(planned.plan.program.privacy.epsilon),
        "delta": decimal_text(planned.plan.program.privacy.delta),
        "rounds_of_messages": protocol.rounds,
        "bytes_sent": protocol.bytes_sent,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as name:
        folder = Path(name)
        write_file(folder / "plan.json", pretty_json(bundle.plan))
        write_file(folder / "certificate.json", pretty_json(bundle.certificate))
        write_file(folder / "measurements.json", pretty_json(protocol.measurements))
        write_file(folder / "party_program.py", bundle.program_text.encode())
        write_file(folder / "description.md", describe_plan(planned, bundle.certificate).encode())
        write_measured_table(folder / "measurements.csv", planned.plan, protocol.measurements)
        _samples(planned, protocol.measurements, seed, folder)
        # All of these follow from opened values and public choices: their hashes tell nothing else.
        receipt["files"] = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.iterdir())
        }
        text = json.dumps(receipt, indent=1, sort_keys=True) + "\n"
        write_file(folder / _RECEIPT, text.encode())
        out.mkdir(exist_ok=True)
        written = sorted(path.name for path in folder.iterdir() if path.name != _RECEIPT)
        for file in (*written, _RECEIPT):  # the receipt last: with it the run is complete
            (folder / file).rename(out / file)
    return Finished(receipt, (*written, _RECEIPT))


def _samples(
    planned: PlannedStudy, measurements: Measurements, seed: int | None, folder: Path
) -> None:
    release = planned.plan.program.samples
    if release is None:
        return
    import numpy as np

    from secgen_dsl.synthesis.files import write_samples
    from secgen_dsl.synthesis.synthesize import synthesize

    samples = synthesize(
        planned.plan,
        measurements,
        planned.public_files,
        release.rows,
        np.random.default_rng(seed),
    )
    write_samples(folder, planned.plan, samples, release.formats, planned.study.title)


def _forget_unused(out: Path, created: bool) -> bool:
    """After a failure keep only what a restart needs: folders in which a party stored its y.

    Returns:
        Whether anything was kept.
    """
    from secgen_dsl.runtime.store import holds_contribution

    state = out / _STATE
    for folder in state.iterdir() if state.is_dir() else ():
        if not holds_contribution(folder):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in (state, out) if created else (state,):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return state.is_dir()
