"""`secgen init`: a few questions, then a commented spec and a site.toml that pass `check`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from secgen_dsl.cli.report import command, show
from secgen_dsl.diagnostics.diagnostic import SecgenError, fail

if TYPE_CHECKING:
    from secgen_dsl.cli.interview import Interview
    from secgen_dsl.cli.starting import Answers
    from secgen_dsl.cli.study import PlannedStudy


@click.command()
@click.argument("spec", type=click.Path(path_type=Path), default="study.secgen")
@click.option(
    "--from",
    "table",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A table or site.toml whose names are offered.  It is read on this machine only.",
)
@click.option("--yes", is_flag=True, help="Take the shown default of every question that has one.")
@command
def init(spec: Path, table: Path | None, yes: bool) -> None:
    """Ask a few questions and write SPEC, and a site.toml beside it.

    Nothing that a table holds is written unless it is confirmed to be public; least and greatest
    values and numbers of people never are.  Files that exist are left as they are.
    """
    described = table is not None and table.suffix.lower() == ".toml"
    site = None if described else spec.with_name("site.toml")
    _require_absent(spec, site)

    from secgen_dsl.backends.bundle import require_writable, write_file
    from secgen_dsl.cli.interview import Interview
    from secgen_dsl.cli.starting import site_text

    require_writable(spec.parent)
    found = None
    if table is not None:
        from secgen_dsl.cli.survey import survey

        found = survey(table)
    try:
        answers, text, planned = _agreed(Interview(yes, found, spec.parent), spec)
    except click.Abort as error:
        raise fail(
            "SG707",
            "not all questions were answered; nothing was written",
            place="secgen init",
            next_step="start again; answers can also be piped, one a line",
        ) from error
    _require_absent(spec, site)  # somebody may have written one meanwhile
    write_file(spec, text.encode())
    click.echo(f"\nwritten  {spec}")
    if site is not None:
        held = "our_table.csv" if table is None else os.path.relpath(table, site.parent)
        write_file(site, site_text(answers, held.replace(os.sep, "/")).encode())
        click.echo(f"written  {site}  (stays at the site)")
    show(planned.warnings)
    click.echo(f"next     secgen plan {spec}")


def _agreed(interview: "Interview", spec: Path) -> "tuple[Answers, str, PlannedStudy]":
    """The answers, their spec's text and its plan; one answer is changed until there is a plan.

    Raises:
        click.Abort: a question has no answer.
        SecgenError: there is no plan, and no answer was changed.
    """
    from secgen_dsl.cli.starting import spec_text
    from secgen_dsl.cli.study import plan_source
    from secgen_dsl.syntax.parser import source_of

    while True:
        answers = interview.answers()
        text = spec_text(answers)
        try:
            planned = plan_source(source_of(str(spec), text.encode()), spec.parent)
        except SecgenError as error:
            show(error.diagnostics)
            try:
                interview.change_one()
            except click.Abort:
                raise fail(
                    "SG707",
                    "these answers make no sound spec; nothing was written",
                    place="secgen init",
                    next_step="start again and change the answer that the error names",
                ) from error
            continue
        return answers, text, planned


def _require_absent(*paths: Path | None) -> None:
    for path in paths:
        if path is not None and os.path.lexists(path):
            raise fail(
                "SG706",
                "the file exists already; nothing is overwritten",
                place=str(path),
                next_step="give another name or folder (secgen init NAME.secgen), or move it away",
            )
