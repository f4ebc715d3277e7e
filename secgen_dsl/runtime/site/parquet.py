"""Parquet files: a column a gene and a row a sample, or the other way.

Columns are typed and stored apart, so no cell can change what another one says.  Nothing is
unpickled: a column of a type that pyarrow does not know is read as the type that stores it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.runtime.site.source import (
    Content,
    ExactSums,
    Orientation,
    Value,
    location,
    number_of,
    read_faults,
    text_of,
)

_FAULTS = (OSError, pa.ArrowException)
_VALUES_AT_ONCE = 4_000_000
_NO_NAME = "__index_level_0__"  # pandas calls an index without a name so


@dataclass(frozen=True, eq=False)
class _Columns:
    """The columns of an open file by position: names in Parquet may repeat."""

    file: pq.ParquetFile
    where: str
    names: tuple[str, ...]

    def read(self, positions: Sequence[int]) -> Iterator[tuple[int, pa.ChunkedArray]]:
        """Each of the columns, a few at a time, in the order of ``positions``."""
        seen: Counter[str] = Counter()
        earlier = []
        for name in self.names:
            earlier.append(seen[name])
            seen[name] += 1
        at_once = max(_VALUES_AT_ONCE // max(self.file.metadata.num_rows, 1), 1)
        for start in range(0, len(positions), at_once):
            some = positions[start : start + at_once]
            with read_faults(self.where, *_FAULTS):
                table = self.file.read(columns=list({self.names[each] for each in some}))
            # A name with a point may bring other columns with it: those of its prefix.
            found = defaultdict(list)
            for place, name in enumerate(table.column_names):
                found[name].append(place)
            for position in some:
                place = found[self.names[position]][earlier[position]]
                yield position, table.column(place)

    def values(self, position: int, column: pa.ChunkedArray) -> list[Value]:
        """A column's cells.  Raises SG420 for a type that is no text, number or date."""
        with read_faults(self.where, *_FAULTS):
            found = _values(column)
        if found is None:
            raise fail(
                "SG420",
                "a column that is read holds neither texts nor numbers nor dates",
                place=self.where,
                next_step="write every column with one plain value a row",
                local=f'the column "{self.names[position].strip()}" holds {column.type}',
            )
        return found

    def numbers(self, position: int, column: pa.ChunkedArray) -> NDArray[np.float64]:
        """A column's cells as float64; NaN for what is no number."""
        if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
            with read_faults(self.where, *_FAULTS):
                return np.asarray(column.to_numpy(), dtype=np.float64)
        values = self.values(position, column)
        return np.fromiter(map(number_of, values), dtype=np.float64, count=len(values))


@dataclass(frozen=True, eq=False)
class ParquetSamples:
    """A file with a row a sample.  See ``Source``."""

    stored: _Columns
    where: str
    columns: tuple[str, ...]
    index: int | None
    shared: bool = True
    orientation: Orientation = "samples_by_genes"
    format: str = "Parquet"

    @property
    def genes(self) -> tuple[str, ...]:
        """The same names."""
        return self.columns

    def read(
        self, columns: Sequence[int], genes: Sequence[int], summed: Sequence[int] | None = None
    ) -> Content:
        """See ``Source.read``."""
        rows = self.stored.file.metadata.num_rows
        values = {
            position: self.stored.values(position, column)
            for position, column in self.stored.read(columns)
        }
        expression = np.empty((rows, len(genes)), dtype=np.float64)
        places = {position: place for place, position in enumerate(genes)}
        added = set(summed or ())
        sums = ExactSums(rows)
        for position, column in self.stored.read(sorted(added | places.keys())):
            numbers = self.stored.numbers(position, column)
            if position in places:
                expression[:, places[position]] = numbers
            if position in added:
                sums.add(numbers[:, None])
        return Content(
            columns=[values[position] for position in columns],
            expression=expression,
            sums=None if summed is None else sums.totals(),
        )

    def across(self) -> list[str]:
        """Texts of the first column, or of pandas' index."""
        position = self.index or 0
        ((_, column),) = self.stored.read([position])
        return [text_of(value) for value in self.stored.values(position, column)]


@dataclass(frozen=True, eq=False)
class ParquetGenes:
    """A file with a row a gene and a column a sample.  See ``Source``."""

    stored: _Columns
    where: str
    samples: tuple[int, ...]
    genes: tuple[str, ...]
    columns: tuple[str, ...] = ("",)
    index: int | None = 0
    shared: bool = False
    orientation: Orientation = "genes_by_samples"
    format: str = "Parquet"

    def read(
        self, columns: Sequence[int], genes: Sequence[int], summed: Sequence[int] | None = None
    ) -> Content:
        """See ``Source.read``; the only column is that of the samples' names."""
        expression = np.empty((len(self.samples), len(genes)), dtype=np.float64)
        sums = ExactSums(len(self.samples))
        for row, (position, column) in enumerate(self.stored.read(self.samples)):
            numbers = self.stored.numbers(position, column)
            expression[row] = numbers[list(genes)]
            if summed is not None:
                sums.add(numbers[None, list(summed)], slice(row, row + 1))
        names = self.across()
        return Content(
            columns=[names for _ in columns],
            expression=expression,
            sums=None if summed is None else sums.totals(),
        )

    def across(self) -> list[str]:
        """The samples."""
        return [self.stored.names[position].strip() for position in self.samples]


@contextmanager
def open_parquet(
    path: Path, place: str, orientation: Orientation
) -> Iterator[ParquetSamples | ParquetGenes]:
    """Open a Parquet file.

    With genes as rows, pandas' index or else the first column names the genes.

    Raises:
        SecgenError: SG411, the file cannot be read or is no Parquet file; SG420, its columns are
            of types that are not read.
    """
    where = location(path, place)
    with read_faults(where, *_FAULTS):
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
    with file:
        stored = _Columns(file, where, tuple(schema.names))
        index = _index(schema)
        if orientation == "samples_by_genes":
            names = tuple("" if name == _NO_NAME else name.strip() for name in schema.names)
            yield ParquetSamples(stored, where, names, index)
            return
        if not schema.names:
            raise fail("SG411", "the file has no columns", place=where, next_step="write it again")
        position = index or 0
        ((_, column),) = stored.read([position])
        yield ParquetGenes(
            stored,
            where,
            tuple(each for each in range(len(schema.names)) if each != position),
            tuple(text_of(value) for value in stored.values(position, column)),
        )


def _index(schema: pa.Schema) -> int | None:
    """Position of the column that was pandas' index, if the file has one."""
    try:
        named = (schema.pandas_metadata or {}).get("index_columns", [])
    except (ValueError, AttributeError):  # metadata that pandas did not write
        return None
    if isinstance(named, list) and len(named) == 1 and named[0] in schema.names:
        return int(schema.names.index(named[0]))
    return None


def _values(column: pa.ChunkedArray) -> list[Value] | None:
    """A column's cells; None for a type that is no text, number or date."""
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.cast(column.type.storage_type)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_floating(kind):
        return list(column.to_numpy())
    if (
        pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_null(kind)
    ):
        cells: list[Value] = column.to_pylist()
        return cells
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp(kind.unit)).cast(pa.string())
    elif pa.types.is_date(kind) or pa.types.is_time(kind):
        column = column.cast(pa.string())
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        # Parquet does not check that texts are UTF-8; a text that is not one stops nobody.
        column = column.cast(pa.large_binary())
    elif not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        return None
    return [
        None if cell is None else cell.decode("utf-8", "surrogateescape")
        for cell in column.to_pylist()
    ]
