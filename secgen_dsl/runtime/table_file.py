"""A site's table as a file: text, delimiter, header and rows, or the shape fault that they have."""

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail

_GZIP_MAGIC = b"\x1f\x8b"
_LONGEST_FIELD = 2**31 - 1
_DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars", " ": "spaces"}
_BY_SUFFIX = {".csv": ",", ".tsv": "\t", ".tab": "\t"}


@dataclass(frozen=True)
class TableFile:
    """An open table.

    Attributes:
        where: file and site, as the diagnostics name them.
        header: the trimmed names of the fields.
        rows: each further row, padded with empty texts to the header's length; blank lines are
            left out.  Iterating raises ``SecgenError``: SG411 for what cannot be read, SG416 for a
            row with more fields than the header.
    """

    where: str
    header: tuple[str, ...]
    rows: Iterator[list[str]]


def location(path: Path, place: str, line: int | None = None) -> str:
    """``file, line n (site)``, as the diagnostics of the reader name a place."""
    at_line = "" if line is None else f", line {line}"
    return f"{path}{at_line} ({place})" if place else f"{path}{at_line}"


@contextmanager
def open_table(path: Path, place: str, expected: Collection[str]) -> Iterator[TableFile]:
    """Open a CSV or TSV file, plain or gzip (told by its bytes, not its name), in UTF-8.

    Commas are expected in ``.csv``, tabs in ``.tsv`` and ``.tab``; under another name the one of
    the two that fits ``expected`` better.

    Args:
        path: the file.
        place: the site, for diagnostics.
        expected: names that the header should hold; only used to tell the delimiter.

    Raises:
        SecgenError: SG411 the file cannot be read or is not a table; SG412 another delimiter.
    """
    where = location(path, place)
    try:
        plain = path.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _unreadable(where, error) from error
    with plain:
        with _read_faults(lambda: where):
            packed = plain.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            plain.seek(0)
            text = io.TextIOWrapper(
                gzip.GzipFile(fileobj=plain) if packed else plain,
                encoding="utf-8-sig",
                newline="",
            )
            line, skipped = _first_line(text)
        if not line or "\0" in line:
            raise fail(
                "SG411",
                "the file is empty" if not line else "the file is not a table of text",
                place=where,
                next_step="give a CSV or TSV file whose first line names the columns",
            )
        delimiter, header = _split_header(line, path, where, expected)
        width = len(header)
        rows = _rows(text, delimiter, width, lambda line: location(path, place, skipped + line))
        yield TableFile(where, header, rows)


@contextmanager
def _read_faults(where: Callable[[], str]) -> Iterator[None]:
    """Turn what goes wrong while bytes become rows into SG411."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise fail(
            "SG411",
            "the file is not text in UTF-8",
            place=where(),
            next_step="save it as CSV in UTF-8 (spreadsheets and .h5ad files are exported first)",
        ) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise fail(
            "SG411",
            "the gzip file is broken or cut short",
            place=where(),
            next_step="copy it again; `gzip -t FILE` shows whether a copy is whole",
        ) from error
    except csv.Error as error:
        raise fail(
            "SG411",
            f"the file is not a table: {error}",
            place=where(),
            next_step='look for a quote (") in the row that begins there; it must enclose a field',
        ) from error
    except OSError as error:
        raise _unreadable(where(), error) from error


def _unreadable(where: str, error: OSError | ValueError) -> SecgenError:
    reason = error.strerror if isinstance(error, OSError) else None
    return fail(
        "SG411",
        f"the file cannot be read: {reason or error}",
        place=where,
        next_step="check the path, and that this account may read the file",
    )


def _first_line(text: io.TextIOWrapper) -> tuple[str, int]:
    """The first line that is not blank (empty at the end of the file), and its number."""
    number = 0
    for line in text:
        number += 1
        if line.strip():
            return line.rstrip("\r\n"), number
    return "", number


def _split(line: str, delimiter: str) -> tuple[str, ...]:
    try:
        fields = next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        fields = line.split(delimiter)
    return tuple(field.strip() for field in fields)


def _split_header(
    line: str, path: Path, where: str, expected: Collection[str]
) -> tuple[str, tuple[str, ...]]:
    """The delimiter and the header's names.  Raises SG412 for a delimiter that is not read."""
    headers = {delimiter: _split(line, delimiter) for delimiter in _DELIMITERS}
    found = {delimiter: len(set(header) & set(expected)) for delimiter, header in headers.items()}
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    by_name = _BY_SUFFIX.get(suffixes[-1]) if suffixes else None
    delimiter = by_name or max(",\t", key=lambda each: (found[each], len(headers[each])))
    best = max(_DELIMITERS, key=lambda each: found[each])
    if found[best] > found[delimiter]:
        raise fail(
            "SG412",
            f"the columns are separated by {_DELIMITERS[best]}, where {_DELIMITERS[delimiter]}"
            " were expected",
            place=where,
            next_step=_delimiter_step(best),
        )
    return delimiter, headers[delimiter]


def _delimiter_step(found: str) -> str:
    for suffix, delimiter in _BY_SUFFIX.items():
        if found == delimiter:
            return f"name the file {suffix} (or {suffix}.gz), or save it with the other delimiter"
    return "save it as .csv with commas (and points in numbers), or as .tsv with tabs"


def _rows(
    text: io.TextIOWrapper, delimiter: str, width: int, at_line: Callable[[int], str]
) -> Iterator[list[str]]:
    # A long text is content, which never stops a site; csv's own limit is 128 KiB a field.
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    read = 0  # lines up to the end of the last row: a fault lies where the next row begins
    with _read_faults(lambda: at_line(read + 1)):
        for row in reader:
            if len(row) > width:
                raise _ragged(at_line(read + 1), len(row), width)
            if row:
                yield row + [""] * (width - len(row))
            read = reader.line_num


def _ragged(where: str, fields: int, width: int) -> SecgenError:
    return fail(
        "SG416",
        f"this row has {fields} fields, the header {width}",
        place=where,
        next_step="quote texts that hold the delimiter; R writes a header that fits with"
        " `col.names = NA` or `row.names = FALSE`",
    )
