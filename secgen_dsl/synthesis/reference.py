"""Public reference tables: read, and checked against the hash that the plan pins.

A reference is a comma- or tab-separated table, plain or gzip, one row a sample, with a header.
Columns that are not asked for (sample names, labels) are not looked at.
"""

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Collection, Mapping
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail, nearest
from secgen_dsl.ir.program import Program

ReferenceValues = Mapping[str, NDArray[np.float64]]
"""Gene → its values in a reference, in the reference's unit, one a sample in the file's order; NaN
where the value is missing."""

_MISSING = frozenset({"", "na", "nan", "n/a", "null", "none"})


def read_reference(
    path: Path,
    genes: Collection[str],
    *,
    sha256: str | None = None,
    skip_absent: bool = False,
) -> dict[str, NDArray[np.float64]]:
    """The values of ``genes`` in the table at ``path``.

    Args:
        path: comma- or tab-separated text in UTF-8, plain or gzip (known by its first bytes).
        genes: names of columns.
        sha256: of the file's bytes, 64 lower-case hex digits; None: not compared.
        skip_absent: leave out genes that are not in the table, instead of failing.

    Returns:
        Gene → values, shape (samples of the table,); NaN where a value is missing.

    Raises:
        SecgenError: SG602, the file cannot be read as such a table; SG603, its bytes are not those
            that the plan names; SG604, a gene is not in it; SG605, a value is not a number.
    """
    raw = _read_bytes(path)
    if sha256 is not None and hashlib.sha256(raw).hexdigest() != sha256:
        raise fail(
            "SG603",
            f"the reference's bytes changed since the plan was made: SHA-256 is "
            f"{hashlib.sha256(raw).hexdigest()[:12]}…, the plan says {sha256[:12]}…",
            place=str(path),
            next_step="use the file that the plan was made with, or plan again and have the "
            "new plan approved",
        )
    header, rows = _split_table(path, _text(path, raw))
    positions = _positions(path, header, genes, skip_absent)
    values: dict[str, list[float]] = {gene: [] for gene in positions}
    for number, row in rows:
        if not row:
            continue
        if len(row) != len(header):
            raise fail(
                "SG602",
                f"the row has {len(row)} fields where the header has {len(header)}",
                place=f"{path}:{number}",
                next_step="mend the row; fields that hold the separator need quotes",
            )
        for gene, position in positions.items():
            values[gene].append(_number(path, number, gene, row[position]))
    return {gene: np.array(found, dtype=np.float64) for gene, found in values.items()}


def read_references(program: Program, paths: Mapping[str, Path]) -> dict[str, ReferenceValues]:
    """All references of a program, with those genes of its panels that they hold.

    Args:
        program: names the references, and their hashes.
        paths: name of a reference → its file.

    Raises:
        SecgenError: SG606, a reference has no path; SG602, SG603, SG605 as ``read_reference``.
    """
    read: dict[str, ReferenceValues] = {}
    for reference in program.references:
        if reference.name not in paths:
            raise fail(
                "SG606",
                f'no file is given for the public reference "{reference.name}"',
                place=f"public {reference.name}",
                next_step="synthesis decodes bins with it: name its file",
            )
        genes = {
            gene for panel in program.panels if panel.unit == reference.unit for gene in panel.genes
        }
        read[reference.name] = read_reference(
            paths[reference.name], genes, sha256=reference.sha256, skip_absent=True
        )
    return read


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error.strerror or "it cannot be opened") from error


def _unreadable(path: Path, reason: str) -> SecgenError:
    return fail(
        "SG602",
        f"the reference cannot be read: {reason}",
        place=str(path),
        next_step="a reference is a comma- or tab-separated table (plain or gzip) with a header, "
        "one row a sample",
    )


def _text(path: Path, raw: bytes) -> str:
    try:
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        return raw.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, "its gzip data are damaged") from error
    except UnicodeDecodeError as error:
        raise _unreadable(path, "it is not UTF-8 text") from error


def _split_table(path: Path, text: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    first_line = text.split("\n", 1)[0]
    delimiter = "\t" if first_line.count("\t") > first_line.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise _unreadable(path, f"line {reader.line_num}: {error}") from error
    if len(header) < 2:
        raise _unreadable(path, "its first line is no header of two or more columns")
    return header, rows


def _positions(
    path: Path, header: list[str], genes: Collection[str], skip_absent: bool
) -> dict[str, int]:
    positions: dict[str, int] = {}
    for gene in genes:
        found = [i for i, name in enumerate(header) if name == gene]
        if len(found) > 1:
            raise fail(
                "SG602",
                f'the reference has {len(found)} columns named "{gene}"',
                place=f"{path}:1",
                next_step="keep one column a gene",
            )
        if found:
            positions[gene] = found[0]
        elif not skip_absent:
            suggestion = nearest(gene, header)
            raise fail(
                "SG604",
                f'the reference has no gene "{gene}"',
                place=f"{path}:1",
                next_step=suggestion
                or "take the gene out of the panel, or use a reference that measures it",
            )
    return positions


def _number(path: Path, line: int, gene: str, text: str) -> float:
    """The finite number, or NaN if the value is missing."""
    word = text.strip()
    if word.lower() in _MISSING:
        return float("nan")
    try:
        number = float(word)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise fail(
            "SG605",
            f'"{word}" is not a number, in column "{gene}"',
            place=f"{path}:{line}",
            next_step="write the value as a decimal number, or leave it empty if it is missing",
        )
    return number
