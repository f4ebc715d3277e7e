"""`secgen synthesize`: more synthetic rows from a finished run, of the labels that are wanted."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from secgen_dsl.cli.report import Format, command, format_option, show, succeed

if TYPE_CHECKING:
    from secgen_dsl.ir.program import SampleFormat

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("results", type=_PATH, metavar="RUN")
@click.option("-o", "--out", type=_PATH, required=True, metavar="DIR", help="Folder of the rows.")
@click.option(
    "--spec",
    type=_PATH,
    metavar="PATH",
    help="The spec or bundle that was run, with its public files; needed if it names references.",
)
@click.option(
    "--rows", type=click.IntRange(1, 10_000_000), help="How many.  Default: as the plan says."
)
@click.option(
    "--where",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="Only rows with this value; may be repeated for several columns.",
)
@click.option(
    "--balance",
    multiple=True,
    metavar="COLUMN",
    help="The same number of rows for every value of a column.  Default: as measured.",
)
@click.option(
    "--part",
    multiple=True,
    metavar="COLUMN=VALUE=PART",
    help="Proportions of a column's values, for example --part subtype=MSI=2 --part subtype=CIN=1; "
    "name two values or more: those that are not named get none.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Makes the rows reproducible.  Default: a new one, which is printed.",
)
@click.option(
    "--as",
    "formats",
    type=click.Choice(["csv", "h5ad"]),
    multiple=True,
    help="May be repeated.  Default: as the plan says.",
)
@format_option
@command
def synthesize(
    results: Path,
    out: Path,
    spec: Path | None,
    rows: int | None,
    where: tuple[str, ...],
    balance: tuple[str, ...],
    part: tuple[str, ...],
    seed: int | None,
    formats: tuple["SampleFormat", ...],
    output: Format,
) -> None:
    """Draw synthetic rows from the opened values of RUN, a results' folder.

    Nobody's data are read and no budget is spent: rows follow from values that are open already.
    """
    from secgen_dsl.cli.more_rows import Request, draw_more

    pairs, parts = _pairs(where, "--where", "COLUMN=VALUE"), _parts(part)
    named = Counter([*(column for column, _ in pairs), *balance, *parts])
    twice = [column for column, times in named.items() if times > 1]
    if twice:
        raise click.UsageError(
            f'"{twice[0]}" is named twice: a column has one of --where, --balance and --part'
        )
    wished = Request(
        rows=rows,
        where=pairs,
        balance=balance,
        parts=parts,
        seed=seed,
        formats=tuple(dict.fromkeys(formats)),
    )
    record, written, warnings = draw_more(results, spec, wished, out)
    if output != "full":
        succeed(output, warnings, {**record, "written": [str(path) for path in written]})
        return
    show(warnings)
    click.echo(f"rows     {record['rows']:,}, seed {record['seed']}")
    for column, counts in record["counts"].items():
        click.echo(f"{column}: " + ", ".join(f"{value} {n:,}" for value, n in counts.items()))
    for path in written:
        click.echo(f"written  {path}")


def _pairs(texts: tuple[str, ...], option: str, form: str) -> tuple[tuple[str, str], ...]:
    pairs = [tuple(part.strip() for part in text.split("=", 1)) for text in texts]
    for text, pair in zip(texts, pairs, strict=True):
        if len(pair) != 2 or not all(pair):
            raise click.UsageError(f"{option} {text}: write {option} {form}")
    return tuple((pair[0], pair[1]) for pair in pairs)


def _parts(texts: tuple[str, ...]) -> Mapping[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for column, rest in _pairs(texts, "--part", "COLUMN=VALUE=PART"):
        value, separator, number = rest.rpartition("=")
        if number.endswith("%"):
            raise click.UsageError(
                f"--part {column}={rest}: a part is no percentage, but relative to the other "
                f"parts.  Name all values that are wanted: for half and half, --part "
                f"{column}={value}=1 --part {column}=OTHER=1"
            )
        try:
            part = float(number)
        except ValueError:
            separator, part = "", 0.0
        if not separator or not 0 <= part < float("inf"):
            raise click.UsageError(
                f"--part {column}={rest}: write --part COLUMN=VALUE=PART, with a part from 0 on"
            )
        found.setdefault(column, {})[value.strip()] = part
    for column, parts in found.items():
        if len(parts) == 1:
            (value,) = parts
            raise click.UsageError(
                f'--part: of "{column}" a single value is named, and all rows would have it.  Name '
                f"all values that are wanted, each with its part (--part {column}={value}=1 --part "
                f"{column}=OTHER=1); for rows of this value alone: --where {column}={value}"
            )
    return found
