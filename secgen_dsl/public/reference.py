"""Public reference tables: comma- or tab-separated, plain or gzip, one row a sample.

Columns that are not asked for are not looked at.  The compiler and the
synthesis read a table by this one function: what the compiler accepts, the synthesis can use.
"""

import csv
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, fail
from secgen_dsl.public.files import PublicFile, text_of

ReferenceValues = Mapping[str, NDArray[np.float64]]
"""Gene → its values in a reference, in the reference's unit, one a sample in the file's order; NaN
where the value is missing."""

MISSING_WORDS = frozenset({"", "na", "nan", "n/a", "null", "none"})
"""Texts that stand for a missing value, in lower case, in public tables and in a site's own (there
unless the spec lists them as a label)."""

_SHAPE = "a public table is CSV or TSV (plain or gzip): a header, then one row a sample"


def reference_values(
    file: PublicFile, genes: Collection[str], *, skip_absent: bool = False
) -> dict[str, NDArray[np.float64]]:
    """The values of ``genes`` in a public table.

    Numbers are the nearest doubles to the decimals in the file, on every machine.

    Args:
        file: the table.
        genes: names of columns.
        skip_absent: leave out genes that are not in the table, instead of failing.

    Returns:
        Gene → values, shape (samples of the table,); NaN where a value is missing.

    Raises:
        SecgenError: SG213, the file is no such table or a value is no finite number; SG214, genes
            are not in it.
    """
    rows = records(file)
    _, header = next(rows)
    held = positions(file, header, genes, skip_absent=skip_absent)
    columns: list[list[float]] = [[] for _ in held]
    places = list(held.values())
    for line, row in rows:
        for column, place in zip(columns, places, strict=True):
            cell = row[place]
            try:
                value = float(cell)
            except ValueError:
                value = _missing(file, line, header[place], cell)
            if not isfinite(value):
                value = _missing(file, line, header[place], cell)
            column.append(value)
    return {
        gene: np.array(column, dtype=np.float64) for gene, column in zip(held, columns, strict=True)
    }


def records(file: PublicFile) -> Iterator[tuple[int, list[str]]]:
    """The header of a public table, trimmed, then the row of each sample; each with its line.

    Raises:
        SecgenError: SG213, the file is no such table, or a row is not as long as the header.
    """
    text = text_of(file)
    first_line = text.split("\n", 1)[0]
    delimiter = "\t" if first_line.count("\t") > first_line.count(",") else ","
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
        yield 1, header
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                raise fault(
                    file,
                    rows.line_num,
                    f"has {len(row)} fields where the header has {len(header)}",
                    "mend the row; fields that hold the separator need quotes",
                )
            yield rows.line_num, row
    except csv.Error as error:
        raise fault(file, rows.line_num, f"cannot be read: {error}", _SHAPE) from error


def positions(
    file: PublicFile, header: Sequence[str], names: Collection[str], *, skip_absent: bool
) -> dict[str, int]:
    """Name of a column → its place in the header of a public table.

    Raises:
        SecgenError: SG213, two columns have the name, or the table is not separated by commas or
            tabs; SG214, genes are not in it.
    """
    index: dict[str, int] = {}
    repeated: set[str] = set()
    for position, name in enumerate(header):
        if name in index:
            repeated.add(name)
        index[name] = position
    for gene in names:
        if gene in repeated:
            raise fault(file, 1, f'has two columns named "{gene}"', "keep one of them")
    absent = [gene for gene in names if gene not in index]
    if absent and len(header) == 1 and any(sign in header[0] for sign in ";|"):
        raise fault(file, 1, "is not separated by commas or tabs", "save it as CSV or TSV")
    if absent and not skip_absent:
        more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        lacking = Diagnostic(
            "SG214",
            f'the public table "{file.name}" has no values for {", ".join(absent[:5])}{more}',
            place=file.name,
            next_step=_other_case(absent[0], header)
            or "take them out of the panel, rename the table's columns in a copy if they are there "
            "by other names, or give another table",
            names=tuple(absent),
        )
        raise SecgenError(lacking)
    return {gene: index[gene] for gene in names if gene in index}


def _other_case(gene: str, header: Sequence[str]) -> str:
    """The same name in other letters; a gene of a similar name is another gene (MSH2, MSX2)."""
    same = [name for name in header if name.casefold() == gene.casefold()]
    return f'the table has "{same[0]}": write it in the same letters' if same else ""


def _missing(file: PublicFile, row: int, gene: str, cell: str) -> float:
    """NaN if the cell says that the value is missing; else an error."""
    if cell.strip().lower() in MISSING_WORDS:
        return float("nan")
    raise fault(
        file,
        row,
        f'holds "{cell.strip()[:40]}", which is not a number, in column "{gene}"',
        "write the value as a decimal number, or leave it empty if it is missing",
    )


def fault(file: PublicFile, row: int, what: str, next_step: str) -> SecgenError:
    """SG213: what is wrong with a row of a public table."""
    return fail(
        "SG213",
        f'the public table "{file.name}" {what}',
        place=f"{file.name}, row {row}",
        next_step=next_step,
    )
