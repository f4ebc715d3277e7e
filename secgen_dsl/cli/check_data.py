"""`secgen check-data`: how a site's files map to a spec, for that site's own eyes."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from secgen_dsl.cli.report import as_json as diagnostics_json
from secgen_dsl.cli.report import command, print_json, show
from secgen_dsl.diagnostics.diagnostic import SecgenError, for_the_site

if TYPE_CHECKING:
    from secgen_dsl.ir.program import Program
    from secgen_dsl.runtime.site.report import FileReport, NumberReport, ReadReport

_PRIVATE = (
    "PRIVATE: what follows tells of patients. It is for this site only: never pass it on,"
    " nor paste it into a message."
)
_LISTED = 8


@click.command("check-data")
@click.argument("spec", type=click.Path(path_type=Path))
@click.option(
    "--site",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="A site.toml, or one table that names everything as the spec does.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@command
def check_data(spec: Path, site: Path, as_json: bool) -> None:
    """Show how a site's files map to SPEC (a spec or a bundle).  Writes and sends nothing.

    Exits with 1 if the files cannot be used.  Missing, unknown and odd values are only shown: the
    spec says how they count.
    """
    program = _program(spec)

    from secgen_dsl.runtime.site.read import read_site
    from secgen_dsl.runtime.site.remarks import remarks

    # Any key will do: which of a person's samples count is drawn anew, not how many.
    try:
        table, report = read_site(program, site, secrets.token_bytes(32), "")
    except SecgenError as error:
        raise for_the_site(error) from error
    warnings = remarks(program, table, report, str(site))
    if as_json:
        print_json(
            {
                "private": _PRIVATE,
                "ok": True,
                "diagnostics": diagnostics_json(warnings),
                "report": asdict(report),
            }
        )
        return
    click.echo("\n".join([_PRIVATE, "", *_lines(program, report)]))
    if warnings:
        click.echo("")
    show(warnings)
    click.echo(f"{site} can be used with {spec}.")


def _program(spec: Path) -> "Program":
    """The program of a spec, or of a bundle's folder.  Raises SecgenError."""
    if spec.is_dir():
        from secgen_dsl.cli.study import plan_of

        return plan_of(spec).plan.program
    from secgen_dsl.semantics.resolve import resolve
    from secgen_dsl.syntax.parser import parse, read_source

    source = read_source(spec)
    return resolve(parse(source), source, spec.parent).program


def _lines(program: "Program", report: "ReadReport") -> Iterator[str]:
    yield f"cohort        {report.cohort or 'all data of this site'}"
    for role, file in report.files.items():
        yield f"{role:<13} {_file(file)}"
    yield ""
    yield "Columns (spec ← file)"
    for name, file_name in report.columns.items():
        yield f"  {name} ← {file_name}"
    if program.panels:
        yield ""
        yield from _unit_lines(report)
        yield ""
        yield from _gene_lines(report)
    yield ""
    yield from _sample_lines(program, report)
    for name, label in report.labels.items():
        yield ""
        yield f"Column {name}"
        yield f"  values      {_counts(label.counts, every=True)}"
        if label.mapped:
            yield f"  mapped      {_counts(label.mapped)}"
        if label.unknown:
            yield f"  unknown     {_counts(label.unknown)}"
        if label.missing:
            yield f"  missing     {label.missing:,}"
        if label.unknown or label.missing:
            yield f"  these       {_odd_labels(program, name)}"
    for title, group in (
        ("Column", report.numbers),
        ("Panel", report.panels),
        ("Library sizes of", report.library_sizes),
    ):
        for name, numbers in group.items():
            yield ""
            yield f"{title} {name}"
            yield from _number_lines(numbers)
    if report.missing_values:
        yield ""
        yield "Genes with missing values"
        most = sorted(report.missing_values.items(), key=lambda item: -item[1])
        yield f"  {_counts(dict(most))}"


def _file(file: "FileReport") -> str:
    parts = [file.name, file.format]
    if file.layer:
        parts.append(f"layer {file.layer}")
    if file.orientation == "genes_by_samples":
        parts.append("genes as rows")
    parts.append(f"{file.rows:,} samples")
    if file.sample:
        parts.append(f"named by {file.sample}")
    if file.rows_that_do_not_fit:
        parts.append(f"{file.rows_that_do_not_fit:,} rows do not fit the header and add nothing")
    return ", ".join(parts)


def _unit_lines(report: "ReadReport") -> Iterator[str]:
    yield "Unit of expression"
    if report.unit:
        yield f"  stated      {report.unit}"
        return
    panels: dict[str, list[str]] = {}
    for panel, unit in report.panel_units.items():
        panels.setdefault(unit, []).append(panel)
    yield "  not stated  the file's values are taken to be in"
    for unit, names in panels.items():
        yield f"              {unit}, as the spec says of {', '.join(names)}"
    if len(panels) == 1:
        yield f'  if so       write `unit = "{unit}"` under [files] of a site.toml'


def _gene_lines(report: "ReadReport") -> Iterator[str]:
    genes = report.genes
    yield "Genes"
    yield f"  the file's names are {genes.system or 'taken to be those of the spec'}"
    yield f"  found       {genes.directly:,} by their own names, {genes.through_map:,} by the map"
    if genes.map_sha256:
        yield f"  map         SHA-256 {genes.map_sha256}"
    for gene, names in list(genes.several.items())[:_LISTED]:
        yield f"  several     {gene}: {', '.join(names)}"
    if len(genes.several) > _LISTED:
        yield f"              and {len(genes.several) - _LISTED} more"


def _sample_lines(program: "Program", report: "ReadReport") -> Iterator[str]:
    yield "Samples"
    yield f"  count       {report.samples:,} samples of {report.people:,} people"
    cap = f"{program.person.samples} of a person"
    if program.person.per is not None:
        cap += f" and {program.person.per}"
    for number, what in (
        (report.rows_without_person, f"rows without {report.columns[program.person.key]}"),
        (report.rows_without_value, f"rows without a value of {program.person.per}"),
        (report.rows_without_expression, "rows whose sample is not in the expression file"),
        (report.repeated_samples, "rows whose sample is there before, of the same person"),
        (report.further_samples, f"rows beyond {cap}"),
    ):
        if number:
            yield f"  left out    {number:,} {what}"
    if report.expression_without_row:
        yield f"  not used    {report.expression_without_row:,} samples of the expression file"
    if report.shared_samples:
        yield f"  odd         {report.shared_samples:,} names of samples that several people have"
    if report.unreadable_dates:
        yield (
            f"  odd         {report.unreadable_dates:,} dates that are missing or not as in"
            " 2026-01-31: they come last"
        )


def _odd_labels(program: "Program", name: str) -> str:
    from secgen_dsl.ir.program import CategoryColumn

    column = program.column(name)
    if isinstance(column, CategoryColumn) and column.otherwise is not None:
        return f'count as "{column.otherwise}"'
    return "add nothing to the tables of this column"


def _number_lines(numbers: "NumberReport") -> Iterator[str]:
    if numbers.least is not None:
        yield f"  range       {numbers.least:.6g} to {numbers.greatest:.6g}"
    yield f"  values      {numbers.values:,}, missing {numbers.missing:,}"
    if numbers.below or numbers.above:
        share = (numbers.below + numbers.above) / numbers.values
        yield (
            f"  outside     {numbers.below:,} below and {numbers.above:,} above the range of the"
            f" spec ({share:.1%})"
        )


def _counts(counts: Mapping[str, int], *, every: bool = False) -> str:
    shown = list(counts.items())
    more = 0 if every else max(len(shown) - _LISTED, 0)
    parts = [f"{_printable(name)} {number:,}" for name, number in shown[: len(shown) - more]]
    return ", ".join(parts) + (f", and {more} more" if more else "")


def _printable(text: str) -> str:
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return shown or '""'
