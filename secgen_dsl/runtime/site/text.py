"""CSV and TSV files, plain or gzip: samples as rows, or genes as rows.

Neither way can one person's cells change what another one's say (docs/decisions/0006 and 0007).
With samples as rows a line is a row, read on its own.  With genes as rows a line holds a cell of
everybody: fields are split at every delimiter, quoted or not, and the whole file must be a grid.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.runtime.site.source import Content, ExactSums, Orientation, location, parse_numbers

_GZIP_MAGIC = b"\x1f\x8b"
_LONGEST_FIELD = 2**31 - 1
_LINES_AT_ONCE = 64
_DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars", " ": "spaces"}
_BY_SUFFIX = {".csv": ",", ".tsv": "\t", ".tab": "\t"}


@dataclass(frozen=True, eq=False)
class SampleRows:
    """A table with a row a sample; its header names columns and genes.  See ``Source``."""

    path: Path
    where: str
    delimiter: str
    columns: tuple[str, ...]
    shared: bool = True
    orientation: Orientation = "samples_by_genes"
    format: str = "text"

    @property
    def genes(self) -> tuple[str, ...]:
        """The same names."""
        return self.columns

    @property
    def index(self) -> int | None:
        """The first column, if it has no name."""
        return 0 if self.columns[0] == "" else None

    def read(
        self, columns: Sequence[int], genes: Sequence[int], summed: Sequence[int] | None = None
    ) -> Content:
        """See ``Source.read``.  A row that does not fit the header is left out and counted.

        Raises:
            SecgenError: SG411; SG416 if there are rows and none fits the header.
        """
        texts: list[list[str]] = []
        expression = []
        sums: list[float] = []
        misfits = 0
        for cells in self._rows():
            if cells is None:
                misfits += 1
                continue
            texts.append([cells[position] for position in columns])
            expression.append(parse_numbers([cells[position].strip() for position in genes]))
            if summed is not None:
                row = ExactSums(1)
                row.add(parse_numbers([cells[position].strip() for position in summed])[None, :])
                sums.append(float(row.totals()[0]))
        if misfits and not texts:
            raise fail(
                "SG416",
                f"no row of the file fits its header of {len(self.columns)} columns",
                place=self.where,
                next_step="quote texts that hold the delimiter, and write one row a line; R writes"
                " a header that fits with `col.names = NA` or `row.names = FALSE`",
            )
        return Content(
            columns=[[row[position] for row in texts] for position in range(len(columns))],
            expression=np.array(expression, dtype=np.float64).reshape(len(texts), len(genes)),
            sums=None if summed is None else np.array(sums, dtype=np.float64),
            misfits=misfits,
        )

    def across(self) -> list[str]:
        """Texts of the first column, of the rows that fit the header."""
        return [cells[0].strip() for cells in self._rows() if cells is not None]

    def _rows(self) -> Iterator[list[str] | None]:
        """Each line that is not blank, padded to the header's length; None if it does not fit.

        Every line is read on its own, so that no line can change what another one says: a stray
        quote would otherwise swallow the rows, and so the people, that follow it.
        """
        # A long text is content, which never stops a site; csv's own limit is 128 KiB a field.
        csv.field_size_limit(_LONGEST_FIELD)
        width = len(self.columns)
        with _open_lines(self.path, self.where) as lines:
            _first_line(lines)
            for line in lines:
                text = line.rstrip("\r\n")
                if not text.strip():
                    continue
                row = _fields(text, self.delimiter)
                if row is None or len(row) > width:
                    yield None
                else:
                    yield row + [""] * (width - len(row))


@dataclass(frozen=True, eq=False)
class GeneRows:
    """A table with a row a gene; its header names the samples.  See ``Source``.

    Attributes:
        samples: the names in the header.
        genes: the first field of each line.
    """

    path: Path
    where: str
    delimiter: str
    samples: tuple[str, ...]
    genes: tuple[str, ...]
    columns: tuple[str, ...] = ("",)
    shared: bool = False
    index: int | None = 0
    orientation: Orientation = "genes_by_samples"
    format: str = "text"

    def read(
        self, columns: Sequence[int], genes: Sequence[int], summed: Sequence[int] | None = None
    ) -> Content:
        """See ``Source.read``; the only column is that of the samples' names."""
        needed = set(genes)
        added = set(summed or ())
        values = {}
        sums = ExactSums(len(self.samples))
        block: list[NDArray[np.float64]] = []
        for position, line in enumerate(_grid_lines(self.path, self.where)):
            if position in needed or position in added:
                cells = line.split(self.delimiter)[1:]
                if '"' in line:
                    cells = [_unquoted(cell) for cell in cells]
                numbers = parse_numbers(cells)
                if position in needed:
                    values[position] = numbers
                if position in added:
                    block.append(numbers)
                if len(block) == _LINES_AT_ONCE:
                    sums.add(np.array(block).T)
                    block = []
        if block:
            sums.add(np.array(block).T)
        expression = np.empty((len(self.samples), len(genes)), dtype=np.float64)
        for place, position in enumerate(genes):
            expression[:, place] = values[position]
        return Content(
            columns=[self.samples for _ in columns],
            expression=expression,
            sums=None if summed is None else sums.totals(),
        )

    def across(self) -> tuple[str, ...]:
        """The samples."""
        return self.samples


def open_sample_rows(path: Path, place: str, expected: Collection[str]) -> SampleRows:
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
    where, line = _open(path, place)
    if any("\udc80" <= c <= "\udcff" for c in line):
        raise fail(
            "SG411",
            "the file is not text in UTF-8",
            place=where,
            next_step="save it as CSV in UTF-8 (spreadsheets are exported first)",
        )
    if any(end in line for end in "\r\x85\u2028\u2029"):
        raise _line_ends(where)
    delimiter, header = _split_header(path, where, line, expected)
    return SampleRows(path, where, delimiter, header)


def open_gene_rows(path: Path, place: str) -> GeneRows:
    """Open a CSV or TSV file whose lines are genes, and check that all of it is a grid.

    The first field of a line is the gene, the further ones are its values; the header names the
    samples.  Commas are expected in
    ``.csv``, tabs in ``.tsv`` and ``.tab``; under another name the more frequent of the two in the
    header.  Every delimiter separates, quotes around a field are taken off.

    Raises:
        SecgenError: SG411 the file cannot be read or is not a table; SG412 another delimiter;
            SG416 a line has more or fewer fields than the others.
    """
    where, line = _open(path, place)
    delimiter = _by_name(path) or max(",\t", key=line.count)
    best = max(_DELIMITERS, key=line.count)
    if delimiter not in line and best in line and best != " ":
        raise _other_delimiter(where, delimiter, best)
    header = [_unquoted(name) for name in line.split(delimiter)]
    genes = []
    for number, text in enumerate(_grid_lines(path, where), start=2):
        fields = text.count(delimiter) + 1
        if fields != len(header):
            raise fail(
                "SG416",
                f"row {number} has {fields} fields where the header has {len(header)}",
                place=f"{where}, row {number}",
                next_step="with genes as rows each row holds a gene and one number a sample, and no"
                " field holds the delimiter, not even in quotes; R writes a header that fits with"
                " `col.names = NA`",
            )
        genes.append(_unquoted(text.partition(delimiter)[0]))
    if not genes and "\r" in line:
        raise _line_ends(where)
    return GeneRows(path, where, delimiter, tuple(header[1:]), tuple(genes))


def _open(path: Path, place: str) -> tuple[str, str]:
    """The file's place for diagnostics, and its first line that is not blank."""
    where = location(path, place)
    with _open_lines(path, where) as lines:
        line = _first_line(lines)
    if not line or "\0" in line:
        raise fail(
            "SG411",
            "the file is empty" if not line else "the file is not a table of text in UTF-8",
            place=where,
            next_step="give a CSV or TSV file in UTF-8 whose first line names the columns"
            " (spreadsheets are exported first)",
        )
    return where, line


@contextmanager
def _open_lines(path: Path, where: str) -> Iterator[io.TextIOWrapper]:
    """The file's lines, unpacked if it is gzip; what goes wrong on the way is SG411."""
    try:
        plain = path.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _unreadable(where, error) from error
    try:
        with plain:
            packed = plain.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            plain.seek(0)
            yield io.TextIOWrapper(
                gzip.GzipFile(fileobj=plain) if packed else plain,
                encoding="utf-8-sig",
                errors="surrogateescape",
                newline="\n",
            )
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise fail(
            "SG411",
            "the gzip file is broken or cut short",
            place=where,
            next_step="copy it again; `gzip -t FILE` shows whether a copy is whole",
        ) from error
    except OSError as error:
        raise _unreadable(where, error) from error


def _grid_lines(path: Path, where: str) -> Iterator[str]:
    """The lines behind the header that are not blank, without their ends."""
    with _open_lines(path, where) as lines:
        _first_line(lines)
        for line in lines:
            text = line.rstrip("\r\n")
            if text.strip():
                yield text


def _unreadable(where: str, error: OSError | ValueError) -> SecgenError:
    reason = error.strerror if isinstance(error, OSError) else None
    return fail(
        "SG411",
        f"the file cannot be read: {reason or error}",
        place=where,
        next_step="check the path, and that this account may read the file",
    )


def _line_ends(where: str) -> SecgenError:
    return fail(
        "SG411",
        "the lines of the file do not end as lines of a text file do",
        place=where,
        next_step="save it with line ends of Unix or Windows (old Mac files are exported again)",
    )


def _by_name(path: Path) -> str | None:
    """The delimiter that the file's name stands for."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    return _BY_SUFFIX.get(suffixes[-1]) if suffixes else None


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
    path: Path, where: str, line: str, expected: Collection[str]
) -> tuple[str, tuple[str, ...]]:
    """The delimiter and the header's names.  Raises SG412 for a delimiter that is not read."""
    headers = {delimiter: _split(line, delimiter) for delimiter in _DELIMITERS}
    found = {delimiter: len(set(header) & set(expected)) for delimiter, header in headers.items()}
    delimiter = _by_name(path) or max(",\t", key=lambda each: (found[each], len(headers[each])))
    best = max(_DELIMITERS, key=lambda each: found[each])
    if found[best] == found[delimiter] and len(headers[delimiter]) == 1:
        best = max(",\t;|", key=lambda each: len(headers[each]))
    if found[best] > found[delimiter] or len(headers[delimiter]) == 1 < len(headers[best]):
        raise _other_delimiter(where, delimiter, best)
    return delimiter, headers[delimiter]


def _other_delimiter(where: str, asked: str, found: str) -> SecgenError:
    step = "save it as .csv with commas (and points in numbers), or as .tsv with tabs"
    for suffix, delimiter in _BY_SUFFIX.items():
        if found == delimiter:
            step = f"name the file {suffix} (or {suffix}.gz), or save it with the other delimiter"
            break
    return fail(
        "SG412",
        f"the columns are separated by {_DELIMITERS[found]}, where {_DELIMITERS[asked]}"
        " were expected",
        place=where,
        next_step=step,
    )


def _fields(line: str, delimiter: str) -> list[str] | None:
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        return None


def _unquoted(text: str) -> str:
    """A field trimmed and without the quotes around it."""
    text = text.strip()
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] == '"' else text
