"""The public files that a spec names: gene lists and reference tables, pinned by SHA-256."""

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail, nearest

MAXIMUM_BYTES = 2_000_000_000
"""A larger public file is refused."""


@dataclass(frozen=True)
class PublicFile:
    """A public file's bytes and their hash.

    Attributes:
        name: as the spec writes it.
    """

    name: str
    path: Path
    data: bytes
    sha256: str


def read_public_file(folder: Path, name: str) -> PublicFile:
    """Read a file that a spec names, relative to the spec's folder.

    Raises:
        SecgenError: SG213 if it cannot be read.
    """
    path = folder / name
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise _too_large(name)
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "not a path").lower()
        raise fail(
            "SG213",
            f'the file "{name}" cannot be read: {reason}',
            place=name,
            next_step="check the path: it is relative to the spec's folder",
        ) from error
    return PublicFile(name, path, data, hashlib.sha256(data).hexdigest())


def _text(file: PublicFile) -> str:
    try:
        data = _plain(file)
        return data.decode("utf-8").removeprefix("\ufeff")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise fail(
            "SG213",
            f'the file "{file.name}" is not UTF-8 text (plain or gzip)',
            place=file.name,
            next_step="save it as UTF-8 text",
        ) from error


def _plain(file: PublicFile) -> bytes:
    if file.data[:2] != b"\x1f\x8b":
        return file.data
    with gzip.GzipFile(fileobj=io.BytesIO(file.data)) as unpacked:
        data = unpacked.read(MAXIMUM_BYTES + 1)
    if len(data) > MAXIMUM_BYTES:
        raise _too_large(file.name)
    return data


def _too_large(name: str) -> SecgenError:
    return fail(
        "SG213",
        f'the file "{name}" is larger than {MAXIMUM_BYTES // 10**9} GB',
        place=name,
        next_step="give a table with the panel's genes only",
    )


def gene_list(file: PublicFile) -> tuple[str, ...]:
    """The genes of a list file: one a line, or separated by commas; ``#`` starts a comment.

    Raises:
        SecgenError: SG213 if the file is not text.
    """
    genes: list[str] = []
    for line in _text(file).splitlines():
        words = line.partition("#")[0].replace(",", " ").replace("\t", " ").split()
        genes.extend(word.strip('"') for word in words)
    return tuple(genes)


def reference_values(file: PublicFile, genes: Sequence[str]) -> dict[str, list[float]]:
    """The finite values of each gene in a public table: CSV or TSV, one row a sample.

    Missing cells are left out; the numbers are the nearest doubles to the decimals in the file.

    Raises:
        SecgenError: SG213 not a table or text where a number belongs, SG214 genes absent.
    """
    text = _text(file)
    header_line = text.split("\n", 1)[0]
    delimiter = "\t" if header_line.count("\t") > header_line.count(",") else ","
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        header = [name.strip() for name in next(rows, [])]
        index = {name: position for position, name in enumerate(header)}
        absent = [gene for gene in genes if gene not in index]
        if absent:
            shown = ", ".join(absent[:5]) + (
                f" and {len(absent) - 5} more" if len(absent) > 5 else ""
            )
            hint = nearest(absent[0], header)
            raise fail(
                "SG214",
                f'the public table "{file.name}" has no values for {shown}',
                place=file.name,
                next_step=hint or "take these genes out of the panel, or use `in N equal bins`",
            )
        positions = [index[gene] for gene in genes]
        columns: list[list[float]] = [[] for _ in genes]
        for row in rows:
            if not row:
                continue
            for column, position in zip(columns, positions, strict=True):
                cell = row[position].strip() if position < len(row) else ""
                if cell.lower() in ("", "na", "nan", "null", "none", "n/a"):
                    continue
                value = float(cell)
                if value - value == 0.0:  # neither infinite nor NaN
                    column.append(value)
    except (csv.Error, ValueError) as error:
        where = f"{file.name}, row {rows.line_num}"
        raise fail(
            "SG213",
            f'the public table "{file.name}" holds text where a number belongs',
            place=where,
            next_step="a public table is CSV or TSV: a header, then one row a sample",
        ) from error
    return dict(zip(genes, columns, strict=True))
