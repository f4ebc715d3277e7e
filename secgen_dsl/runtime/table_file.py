"""A site's table as a file: text, delimiter, header and rows, or the shape fault that they have."""

import csv
import gzip
import io
import zlib
from collections.abc import Collection, Iterable, Iterator
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
        rows: each further line, padded with empty texts to the header's length, or None if it
            does not fit the header (too many fields, a stray quote); blank lines are left out.
            Iterating raises ``SecgenError``: SG411 for what cannot be read, SG416 if there are
            rows and none of them fits.
    """

    where: str
    header: tuple[str, ...]
    rows: Iterator[list[str] | None]


def location(path: Path, place: str) -> str:
    """``file (site)``, as the diagnostics of the reader name a place."""
    return f"{path} ({place})" if place else str(path)


@contextmanager
def open_table(path: Path, place: str, expected: Collection[str]) -> Iterator[TableFile]:
    """Open a CSV or TSV file, plain or gzip (told by its bytes, not its name), in UTF-8.

    A line is a row: a quoted text cannot go on in the next line.  Bytes of a row that are not
    UTF-8 are kept apart as they are (surrogate escapes); those of the header are a fault.

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
        with _read_faults(where):
            packed = plain.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            plain.seek(0)
            text = io.TextIOWrapper(
                gzip.GzipFile(fileobj=plain) if packed else plain,
                encoding="utf-8-sig",
                errors="surrogateescape",
                newline="\n",
            )
            line = _first_line(text)
        if any("\udc80" <= c <= "\udcff" for c in line):
            raise fail(
                "SG411",
                "the file is not text in UTF-8",
                place=where,
                next_step="save it as CSV in UTF-8 (spreadsheets and .h5ad files are exported"
                " first)",
            )
        if not line or "\0" in line:
            raise fail(
                "SG411",
                "the file is empty" if not line else "the file is not a table of text",
                place=where,
                next_step="give a CSV or TSV file whose first line names the columns",
            )
        if any(end in line for end in "\r\x85\u2028\u2029"):
            raise fail(
                "SG411",
                "the lines of the file do not end as lines of a text file do",
                place=where,
                next_step="save it with line ends of Unix or Windows (old Mac files are exported"
                " again)",
            )
        delimiter, header = _split_header(line, path, where, expected)
        yield TableFile(where, header, _rows(text, delimiter, len(header), where))


@contextmanager
def _read_faults(where: str) -> Iterator[None]:
    """Turn what goes wrong while bytes become lines into SG411."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise fail(
            "SG411",
            "the gzip file is broken or cut short",
            place=where,
            next_step="copy it again; `gzip -t FILE` shows whether a copy is whole",
        ) from error
    except OSError as error:
        raise _unreadable(where, error) from error


def _unreadable(where: str, error: OSError | ValueError) -> SecgenError:
    reason = error.strerror if isinstance(error, OSError) else None
    return fail(
        "SG411",
        f"the file cannot be read: {reason or error}",
        place=where,
        next_step="check the path, and that this account may read the file",
    )


def _first_line(lines: Iterable[str]) -> str:
    """The first line that is not blank; empty at the end of the file."""
    for line in lines:
        if line.strip():
            return line.rstrip("\r\n")
    return ""


def _split(line: str, delimiter: str) -> tuple[str, ...]:
    fields = _fields(line, delimiter) or line.split(delimiter)
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
    lines: Iterable[str], delimiter: str, width: int, where: str
) -> Iterator[list[str] | None]:
    """Each line that is not blank as a row; None for one that does not fit the header.

    Every line is read on its own, so that no line can change what another one says: a stray quote
    would otherwise swallow the rows, and so the people, that follow it.
    """
    # A long text is content, which never stops a site; csv's own limit is 128 KiB a field.
    csv.field_size_limit(_LONGEST_FIELD)
    fitting = misfits = 0
    with _read_faults(where):
        for line in lines:
            text = line.rstrip("\r\n")
            if not text.strip():
                continue
            row = _fields(text, delimiter)
            if row is None or len(row) > width:
                misfits += 1
                yield None
            else:
                fitting += 1
                yield row + [""] * (width - len(row))
    if misfits and not fitting:
        raise fail(
            "SG416",
            f"no row of the file fits its header of {width} columns",
            place=where,
            next_step="quote texts that hold the delimiter, and write one row a line; R writes a"
            " header that fits with `col.names = NA` or `row.names = FALSE`",
        )


def _fields(line: str, delimiter: str) -> list[str] | None:
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        return None
