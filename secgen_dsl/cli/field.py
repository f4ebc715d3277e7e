"""Carries out one party's part of an approved study, and writes its results and evidence."""

import hashlib
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from secgen_dsl.backends.bundle import Bundle, require_writable
from secgen_dsl.cli.bundling import bundle_of
from secgen_dsl.cli.execution import one_run_at_a_time, require_not_invented
from secgen_dsl.cli.progress import ProgressLines
from secgen_dsl.cli.results import (
    Evidence,
    Finished,
    Protocol,
    RowsUnmadeError,
    common_seed,
    rows_at_no_cost,
    write_results,
)
from secgen_dsl.cli.study import PlannedStudy, plan_of
from secgen_dsl.describe.guarantees import certified_by
from secgen_dsl.diagnostics.diagnostic import SecgenError, fail, nearest
from secgen_dsl.ir.base import canonical_json, sha256_of
from secgen_dsl.privacy.rounding import six_digits_up

if TYPE_CHECKING:
    from secgen_dsl.backends.mpyc.field import Machine
    from secgen_dsl.backends.mpyc.messages import PartyResult
    from secgen_dsl.runtime.trust.approvals import Approval
    from secgen_dsl.runtime.trust.consortium import Consortium

_UNWRITTEN = (
    "the values are opened and kept in --state: the same command with --finished writes the "
    "results from them, without the other parties"
)
_WITHOUT_ROWS = (
    "all but the synthetic rows is written; once the cause is gone, the same command with "
    "--finished and a new --out writes the whole of it, for an audit, too"
)


@dataclass(frozen=True)
class Field:
    """What a site starts its party with.

    Attributes:
        bundle: the approved bundle, with its approvals.
        name: of the party.
        consortium: file of the consortium.
        keys: folder of this machine's keys.
        site: its site.toml or table; None for a helper.
        state: its own folder, with the ledger.
        out: the results' folder.
        proxy: on the way to the relay; None: that of the environment.
    """

    bundle: Path
    name: str
    consortium: Path
    keys: Path
    site: Path | None
    state: Path
    out: Path
    proxy: str | None


def run_field(field: Field, say: Callable[[str], None], *, log_json: bool) -> Finished:
    """Check everything, run the party, synthesise, write.

    Raises:
        SecgenError: SG521 to SG525, SG529, SG614, SG702, SG703; whatever the party reports.
    """
    from secgen_dsl.backends.mpyc.field import run_own_party
    from secgen_dsl.runtime.network.dialling import proxy_from_environment
    from secgen_dsl.runtime.trust.consortium import read_address

    run = _checked(field, say, log_json=log_json, runs=True)
    relay = run.consortium.relay
    proxy = field.proxy
    if proxy is None and relay is not None:
        proxy = proxy_from_environment(read_address(relay.address))
    with one_run_at_a_time(field.state.absolute(), "--state"):
        run.lines.message("ledger", f"ledger {_ledger_words(field)}")
        with pointing_to_check_data(field):
            result = run_own_party(
                run.planned.plan,
                run.bundle.program_text,
                run.planned.sources,
                run.study_sha256,
                name=field.name,
                consortium=run.consortium,
                machine=run.machine,
                data_file=field.site,
                state=field.state.absolute(),
                approvals=[hashlib.sha256(canonical_json(x)).hexdigest() for x in run.approvals],
                proxy=proxy,
                on_progress=run.lines,
            )
    run.lines.message("opened", "opened; every party has confirmed the values")
    return _write(field, run, result)


def write_finished(field: Field, say: Callable[[str], None], *, log_json: bool) -> Finished:
    """Write the results of a run that was completed earlier, from what this site holds.

    Raises:
        SecgenError: SG530, there is none, or it does not check; as ``run_field``.
    """
    from secgen_dsl.backends.mpyc.finished import finished_run

    run = _checked(field, say, log_json=log_json, runs=False)
    entries = run.consortium.of_plan(run.planned.plan.parties)
    state = field.state.absolute()
    if state.is_dir():
        with one_run_at_a_time(state, "--state"):
            result = finished_run(run.planned.plan, run.study_sha256, field.name, entries, state)
    else:  # nothing is made there
        result = finished_run(run.planned.plan, run.study_sha256, field.name, entries, state)
    run.lines.message("finished", "the run was completed earlier; nobody else is asked")
    return _write(field, run, result)


@dataclass(frozen=True)
class _Checked:
    """What a site has checked before anything is run or written."""

    planned: PlannedStudy
    study_sha256: str
    bundle: Bundle
    consortium: "Consortium"
    machine: "Machine"
    approvals: "tuple[Approval, ...]"
    lines: ProgressLines


def _checked(field: Field, say: Callable[[str], None], *, log_json: bool, runs: bool) -> _Checked:
    from secgen_dsl.backends.mpyc.field import machine_of
    from secgen_dsl.runtime.trust.approvals import require_approvals
    from secgen_dsl.runtime.trust.consortium import read_consortium
    from secgen_dsl.runtime.trust.validity import certificate_faults

    _require_new(field.out.absolute())
    if not field.bundle.is_dir():
        raise fail(
            "SG703",
            "this is no bundle: sites approve and run a bundle, not a spec",
            place=str(field.bundle),
            next_step="give the folder that `secgen compile` wrote and all sites have approved",
        )
    planned = plan_of(field.bundle)
    plan, plan_sha256 = planned.plan, planned.verified.plan_sha256
    _check_party(field, planned)
    if runs:
        _check_site(field, planned)
    consortium = read_consortium(field.consortium)
    entries = consortium.of_plan(plan.parties)
    now = datetime.now(UTC)
    expired = [one for one in certificate_faults(entries, now) if one.severity == "error"]
    if expired:
        raise SecgenError(expired)
    machine = machine_of(field.keys, field.name, consortium)
    study_sha256 = sha256_of(planned.study)
    approvals = require_approvals(field.bundle, plan_sha256, study_sha256, entries)
    peers = tuple(name for name in plan.parties if name != field.name)
    lines = ProgressLines(say, peers, as_json=log_json)
    lines.message("verified", f"plan verified: epsilon {six_digits_up(planned.verified.epsilon)}")
    bundle = bundle_of(planned)
    lines.message("certified", certified_by(bundle.certificate))
    lines.message("approved", f"approved by {', '.join(one.party for one in approvals)}")
    return _Checked(planned, study_sha256, bundle, consortium, machine, approvals, lines)


def _write(field: Field, run: _Checked, result: "PartyResult") -> Finished:
    """Synthesise, and write the results and the evidence."""
    from secgen_dsl.backends.mpyc.cost import predicted_rounds
    from secgen_dsl.backends.mpyc.evidence import sign_results
    from secgen_dsl.runtime.trust.identity import read_signer

    protocol = Protocol(
        "mpyc",
        result.measurements,
        {field.name: result.bytes_sent},
        predicted_rounds(run.planned.plan),
        {field.name: result.debit} if result.debit else {},
    )

    evidence = Evidence(
        add=lambda folder: _add_evidence(field, Path(result.receipt).parent, folder),
        sign=lambda folder: sign_results(folder, read_signer(run.machine.key)),
    )
    seed = common_seed(result.measurements)
    out = field.out.absolute()
    try:
        finished = write_results(run.planned, run.bundle, protocol, seed, out, evidence=evidence)
    except RowsUnmadeError:
        run.lines.message("unwritten", _WITHOUT_ROWS)
        raise
    except SecgenError:
        run.lines.message("unwritten", _UNWRITTEN)
        raise
    run.lines.message(
        "written",
        f"results and evidence are in {field.out}; to check them: secgen audit {field.out}",
    )
    return finished


def _ledger_words(field: Field) -> str:
    """Which ledger this run goes into: a mistyped folder would begin another one."""
    from secgen_dsl.backends.mpyc.supervision import folder_of
    from secgen_dsl.runtime.database import read_ledger_file
    from secgen_dsl.runtime.ledger import Ledger, ledger_words

    store = folder_of(field.state, field.name) / "store.sqlite"
    ledger = read_ledger_file(store) if store.is_file() else Ledger(store, (), ())
    return ledger_words(ledger, field.state, is_silo=field.site is not None)


@contextmanager
def pointing_to_check_data(field: Field) -> Iterator[None]:
    """What is wrong with the site's files is shown in full by another command.

    A party's own message leaves out what the files hold: names in them may be patients'.

    Raises:
        SecgenError: as within; SG4xx, of the site's files, with that command as a next step, too.
    """
    try:
        yield
    except SecgenError as error:
        command = shlex.join(["secgen", "check-data", str(field.bundle), "--site", str(field.site)])
        shows = f"`{command}` shows what the files hold"
        raise SecgenError(
            [
                replace(one, next_step=f"{one.next_step}; {shows}")
                if one.code.startswith("SG4")
                else one
                for one in error.diagnostics
            ]
        ) from error


def _check_party(field: Field, planned: PlannedStudy) -> None:
    """SG529: the party is not the plan's."""
    parties = planned.plan.parties
    if field.name not in parties:
        raise fail(
            "SG529",
            f'the plan has no party "{field.name}"',
            place="--party",
            next_step=nearest(field.name, parties) or f"its parties are {', '.join(parties)}",
        )


def _check_site(field: Field, planned: PlannedStudy) -> None:
    """SG529: a helper was given data, or a silo none."""
    is_silo = any(silo.name == field.name for silo in planned.plan.program.silos)
    if is_silo and field.site is None:
        raise fail(
            "SG529",
            f'"{field.name}" is a silo of this study, and was given no data',
            place="--site",
            next_step="give --site the site.toml or the table of this site",
        )
    if field.site is not None and not is_silo:
        raise fail(
            "SG529",
            f'"{field.name}" is a helper of this study: it has no data',
            place="--site",
            next_step="start it without --site",
        )
    if field.site is not None:
        require_not_invented({field.name: field.site})


def _require_new(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise fail(
            "SG702",
            "the results' folder is not empty" if out.is_dir() else "the results' folder is a file",
            place=str(out),
            next_step="give the name of a new folder with --out; what was stored in --state is "
            "used again and spends nothing more" + rows_at_no_cost(out),
        )
    require_writable(out)


def _add_evidence(field: Field, run: Path, folder: Path) -> None:
    """Copy what an auditor needs beside the results: the run's own files, and what was approved."""
    from secgen_dsl.runtime.trust.approvals import FOLDER

    for file in run.iterdir():
        if not (folder / file.name).exists():
            shutil.copyfile(file, folder / file.name)
    shutil.copyfile(field.consortium, folder / "consortium.toml")
    shutil.copytree(field.bundle / FOLDER, folder / FOLDER)
