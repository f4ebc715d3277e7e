"""`secgen audit`: was what ran what was approved?"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import click

from secgen_dsl.cli.report import (
    Format,
    as_json,
    command,
    format_option,
    print_json,
    succeed,
)
from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, printable

if TYPE_CHECKING:
    from secgen_dsl.ir.certificate import Certificate
    from secgen_dsl.ir.plan import Plan
    from secgen_dsl.runtime.evidence.findings import Finding
    from secgen_dsl.runtime.evidence.site import Site

_AT_BOTH_SITES = (
    "compare the folders at both sites, byte for byte with `sha256sum`; until it is known why they "
    "differ, use no results"
)
_FROM_THE_SITE = (
    "ask the site for the folder again, as the run left it; if it is the same, use no results "
    "until it is known why"
)
_WHICH_FILE = (
    "the file given with --consortium may itself be the one that is old or was changed: run "
    "`secgen consortium` with it and with the folder's, and ask the parties that differ by "
    "telephone which is right; until then use no results"
)
_LABELS = {"holds": "holds", "fails": "FAILS", "could not be checked": "not checked"}


@click.command()
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--consortium",
    "consortium_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The consortium.toml that the sites agreed on.  Default: the one that each RUN holds.",
)
@click.option(
    "--ledger",
    "ledger_files",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="A site's store.sqlite, if it is not beside its RUN.",
)
@click.option(
    "--bundle",
    "bundle_folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The approved bundle, with the public files that the synthetic rows were made with.",
)
@format_option
@command
def audit(
    runs: tuple[Path, ...],
    consortium_file: Path | None,
    ledger_files: tuple[Path, ...],
    bundle_folder: Path | None,
    output: Format,
) -> None:
    """Check what RUNs left behind: was what ran what was approved?

    RUN is the --out folder of `secgen party` at a site, or of `secgen run`.  With the folders of
    several sites, what one sent is compared with what the others received.  Exits with 0 only if
    nothing fails; what could not be checked is listed and does not fail.
    """
    from secgen_dsl.backends.mpyc.generate import generate_program
    from secgen_dsl.cli.remaking import Remaker
    from secgen_dsl.cli.study import plan_of
    from secgen_dsl.runtime.database import read_ledger_file
    from secgen_dsl.runtime.evidence.folder import find_runs
    from secgen_dsl.runtime.evidence.runs import audit_runs
    from secgen_dsl.runtime.evidence.site import Auditor
    from secgen_dsl.runtime.trust.consortium import read_consortium

    folders = {one.evidence: one for path in runs for one in find_runs(path)}
    auditor = Auditor(
        consortium=None if consortium_file is None else read_consortium(consortium_file),
        ledgers=[read_ledger_file(path, read_only=True) for path in ledger_files],
        verify=_verify,
        generate=generate_program,
        remake=Remaker(None if bundle_folder is None else plan_of(bundle_folder)),
    )
    sites, findings = audit_runs(list(folders.values()), auditor)
    _tell(findings, sites, output)


def _verify(plan: "Plan", certificate: "Certificate | None") -> None:
    """Raises SecgenError: SG320, SG321, or SG703 for a certificate of something else."""
    from secgen_dsl.diagnostics.diagnostic import fail
    from secgen_dsl.verifier import verify
    from secgen_dsl.verifier.certify import certify, is_certificate_of

    verified = verify(plan)
    certify(plan, verified, independent=True)
    if certificate is not None and not is_certificate_of(certificate, plan, verified):
        raise fail(
            "SG703",
            "the certificate does not hold the plan's figures",
            place="certificate.json",
            next_step="ask for the folder again",
        )


def _tell(findings: "Sequence[Finding]", sites: "Sequence[Site]", output: Format) -> None:
    errors = list(_errors(findings))
    found = [*errors, *_warnings(findings, sites)]
    if output == "full":
        click.echo("\n".join(_lines(findings, sites)))
        if errors:
            raise SecgenError(errors)
        return
    if output != "json":
        if errors:
            raise SecgenError(found)
        succeed(output, found, {})
        return
    print_json(
        {
            "ok": not errors,
            "diagnostics": as_json(found),
            "sites": [_site_json(site) for site in sites],
            "findings": [
                {
                    "group": one.group,
                    "check": one.check,
                    "outcome": one.outcome,
                    "site": one.site,
                    "words": printable(one.words),
                    "file": printable(one.file),
                }
                for one in findings
            ],
        }
    )
    if errors:
        sys.exit(1)


def _site_json(site: "Site") -> dict[str, str]:
    receipt = site.receipt
    data = {"site": site.name, "folder": str(site.folder.evidence)}
    if receipt is not None:
        data |= {
            "outcome": receipt.outcome,
            "plan_sha256": receipt.plan_sha256,
            "session": receipt.session,
        }
    return data


def _errors(findings: "Sequence[Finding]") -> Iterator[Diagnostic]:
    for one in findings:
        if one.outcome != "fails":
            continue
        between = one.group == "all sites"
        step = _AT_BOTH_SITES if between else _FROM_THE_SITE
        if one.file == "--consortium":
            step = _WHICH_FILE
        yield Diagnostic(
            "SG533" if between else "SG532",
            f"this does not hold: {one.check}: {printable(one.words)}",
            place=printable(", ".join(part for part in (one.site, one.file) if part)),
            next_step=step,
        )


def _warnings(findings: "Sequence[Finding]", sites: "Sequence[Site]") -> Iterator[Diagnostic]:
    lacking = [one for one in findings if one.outcome == "could not be checked"]
    if lacking:
        yield Diagnostic(
            "SG534",
            f"{len(lacking)} checks could not be made",
            "warning",
            place=printable(", ".join(dict.fromkeys(one.site for one in lacking if one.site))),
            next_step="give the files that they need: "
            + printable(", ".join(dict.fromkeys(one.file for one in lacking if one.file))),
        )
    for site in sites:
        if site.receipt is not None and not site.complete:
            yield Diagnostic(
                "SG535",
                f"the run at {printable(site.name)} was stopped by {site.receipt.outcome}",
                "warning",
                place=str(site.folder.evidence),
                next_step=f"secgen explain {site.receipt.outcome}; a restart leaves a folder of "
                "its own",
            )


def _lines(findings: "Sequence[Finding]", sites: "Sequence[Site]") -> Iterator[str]:
    """The table for people: group by group, each check once with the sites that it is about."""
    from secgen_dsl.runtime.evidence.findings import GROUPS

    for site in sites:
        receipt = site.receipt
        if receipt is None:
            yield f"{printable(site.name)}: no receipt of a party"
            continue
        ended = "complete" if site.complete else f"stopped: {receipt.outcome}"
        yield f"{printable(site.name)}: {ended}, {receipt.date}, plan {receipt.plan_sha256[:12]}"
    for group in GROUPS:
        rows: dict[tuple[str, str, str], list[str]] = {}
        for one in findings:
            if one.group == group:
                rows.setdefault((one.outcome, one.check, one.words), []).append(one.site)
        if rows:
            yield f"\n{group}"
        for (outcome, check, words), names in rows.items():
            about = sorted({printable(name) for name in names if name})
            where = "" if len(about) in (0, len(sites)) else f" [{', '.join(about)}]"
            yield from _indented(f"  {_LABELS[outcome]:<13}{check}{where}")
            if words:
                yield from _indented(f"{'':<15}{printable(words)}")
    yield ""
    yield _last_line(findings)


def _indented(text: str) -> list[str]:
    return wrap(text, 98, subsequent_indent=" " * 15, drop_whitespace=True) or [text]


def _last_line(findings: "Sequence[Finding]") -> str:
    counts = dict.fromkeys(_LABELS, 0)
    for one in findings:
        counts[one.outcome] += 1
    return (
        f"{counts['holds']} checks hold, {counts['fails']} fail, "
        f"{counts['could not be checked']} could not be made"
    )
