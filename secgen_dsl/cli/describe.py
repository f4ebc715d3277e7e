"""`secgen describe`: the protocol description for an ethics board, in several forms."""

from pathlib import Path

import click

from secgen_dsl.cli.report import Format, command, format_option, show, succeed
from secgen_dsl.diagnostics.diagnostic import printable_lines

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("spec", type=_PATH)
@click.option(
    "-o",
    "--out",
    type=_PATH,
    metavar="PATH",
    help="A file (.html, .md, .pdf, or registry .json), or a folder for all of them; else Markdown "
    "is printed.",
)
@click.option("--language", type=click.Choice(["en", "de"]), default="en", show_default=True)
@click.option("--against", type=_PATH, metavar="OLD", help="What was approved.")
@click.option("--consortium", type=_PATH, metavar="FILE", help="Show its approvals.")
@click.option("--ledger", type=_PATH, metavar="STORE", help="Add what one site's ledger says.")
@click.option("--site", type=_PATH, metavar="FILE", help="A site.toml whose policy is stated.")
@click.option("--run", "results", type=_PATH, metavar="RESULTS", help="Add what was executed.")
@click.option("--date", metavar="DAY", help="Of the document, YYYY-MM-DD; else today.")
@click.option("--check", type=_PATH, metavar="DOC", help="Say whether DOC still holds.")
@format_option
@command
def describe(
    spec: Path,
    out: Path | None,
    language: str,
    against: Path | None,
    consortium: Path | None,
    ledger: Path | None,
    site: Path | None,
    results: Path | None,
    date: str | None,
    check: Path | None,
    output: Format,
) -> None:
    """Write the protocol description of SPEC (or a bundle).

    A plan that does not verify is not described.  With --check, a document that was written before
    is made again from the same plan and the same options, and every figure compared.
    """
    from secgen_dsl.cli.describing import Additions, subject_with
    from secgen_dsl.cli.documents import check_document, failed_checks, write_documents
    from secgen_dsl.cli.study import plan_of

    planned = plan_of(spec)
    additions = Additions(against, consortium, ledger, site, results)
    if check is not None:
        if out is not None:
            raise click.UsageError("--check and --out exclude each other.")
        check_document(check, planned, spec, additions)
        if output != "full":
            succeed(output, planned.warnings, {"checked": str(check), "holds": True})
            return
        click.echo(f"{check} holds: made again from the plan, it is the same.")
        return
    subject = subject_with(planned, spec, additions, date)
    text, written, warnings = write_documents(subject, language, out)
    warnings = (*planned.warnings, *warnings, *failed_checks(subject, results))
    if output != "full":
        data: dict[str, object] = {"plan_sha256": planned.verified.plan_sha256}
        data |= {"description": text} if out is None else {"written": written}
        succeed(output, warnings, data)
        return
    show(warnings)
    if out is None:
        click.echo(printable_lines(text))
    for path in written:
        click.echo(f"written  {path}")
