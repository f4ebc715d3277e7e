"""Tables as their holder has them: CSV, TSV, Parquet or h5ad, a row a sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, fail, nearest
from secgen_dsl.evaluation.accuracy import Floats, LabelledTable, Labels

if TYPE_CHECKING:
    import pandas as pd

FEWEST_ROWS = 10
_MOST_CLASSES = 50
_LISTED = 5
_GREATEST = 1e100  # the squares of greater values overflow


@dataclass(frozen=True, eq=False)
class Frame:
    """A table that was read.

    Attributes:
        path: where from.
        data: its columns, with their names as text.
    """

    path: Path
    data: "pd.DataFrame"

    @cached_property
    def numeric(self) -> tuple[str, ...]:
        """Names of the columns of numbers, in the file's order."""
        return tuple(self.data.select_dtypes("number").columns)

    def values(self, columns: Sequence[str]) -> Floats:
        """Shape (rows, columns).

        Raises:
            SecgenError: SG714 without such columns; SG717 fewer than ten rows; SG718 values are
                missing, or are no numbers below 1e100.
        """
        import pandas as pd

        absent = [name for name in columns if name not in self.data]
        if absent:
            raise fail(
                "SG714",
                f"{len(absent):,} columns that are to be compared are not in the table: "
                + first_few(absent),
                place=str(self.path),
                next_step=nearest(absent[0], self.data.columns)
                or "give a table with the same genes, named alike",
            )
        found = self.data[list(columns)].apply(pd.to_numeric, errors="coerce")
        values: Floats = found.to_numpy(dtype=np.float64)
        return finite(values, columns, self.path)

    def labels(self, column: str) -> Labels:
        """Shape (rows,): a column as trimmed text; missing values are empty.

        Raises:
            SecgenError: SG715, no such column.
        """
        if column not in self.data:
            raise fail(
                "SG715",
                f'there is no column "{column}" to tell classes by',
                place=str(self.path),
                next_step=nearest(column, self.data.columns)
                or "give a column of all tables with --label",
            )
        texts = self.data[column].astype(object).where(self.data[column].notna(), "")
        return np.array([str(each).strip() for each in texts], dtype=np.str_)


def read_frame(path: Path) -> Frame:
    """Read a table.

    Raises:
        SecgenError: SG713, there is no such file, or it is no table of several columns.
    """
    import pandas as pd

    try:
        if path.suffix == ".h5ad":
            data = _h5ad(path)
        elif path.suffix == ".parquet":
            data = pd.read_parquet(path)
        else:
            with path.open("rb") as file:
                packed = file.read(2) == b"\x1f\x8b"
            data = pd.read_csv(
                path,
                sep="\t" if ".tsv" in path.suffixes or ".txt" in path.suffixes else ",",
                compression="gzip" if packed else None,
                low_memory=False,
            )
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = (getattr(error, "strerror", None) or "it is no such table").lower()
        raise fail(
            "SG713",
            f"the table cannot be read: {reason}",
            place=str(path),
            next_step="give a CSV (plain or gzip; .tsv: tab-separated), .parquet or .h5ad file "
            "with a row a sample",
        ) from error
    data.columns = [str(name).strip() for name in data.columns]
    if len(data.columns) < 2:
        raise fail(
            "SG713",
            "the table has a single column: it is not separated as its name says",
            place=str(path),
            next_step="separate .csv by commas, .tsv and .txt by tabs",
        )
    return Frame(path, data.loc[:, ~data.columns.duplicated()])


def _h5ad(path: Path) -> "pd.DataFrame":
    import anndata
    import pandas as pd

    table = anndata.read_h5ad(path)
    genes = table.to_df()
    columns = [name for name in table.obs if name not in genes]
    found: pd.DataFrame = pd.concat([table.obs[columns], genes], axis=1)
    return found


def common_genes(frames: Sequence[Frame], label: str) -> tuple[str, ...]:
    """Columns of numbers that all tables have, in the first one's order, but for the label.

    Raises:
        SecgenError: SG714, there are fewer than two.
    """
    shared = set.intersection(*(set(frame.numeric) for frame in frames)) - {label}
    genes = tuple(name for name in frames[0].numeric if name in shared)
    if len(genes) < 2:
        raise fail(
            "SG714",
            "the tables have fewer than two columns of numbers in common",
            place=", ".join(str(frame.path) for frame in frames),
            next_step="genes are columns, named alike in all tables, with a row a sample",
        )
    return genes


def left_out(frames: Sequence[Frame], genes: Sequence[str], label: str) -> tuple[str, ...]:
    """Columns of numbers of some tables that are not compared."""
    numeric = [name for frame in frames for name in frame.numeric]
    return tuple(dict.fromkeys(name for name in numeric if name not in (*genes, label)))


def require_rows(rows: int, path: Path) -> None:
    """Raises SecgenError: SG717, a table has fewer than ten rows."""
    if rows < FEWEST_ROWS:
        raise fail(
            "SG717",
            f"the table has {rows:,} rows, fewer than {FEWEST_ROWS}",
            place=str(path),
            next_step="give more rows: a few say nothing about a distribution",
        )


def common_label(frames: Sequence[Frame]) -> str:
    """The one column of words with 2 to 50 values, some of them shared, that all tables have.

    Raises:
        SecgenError: SG715, there is none, or several.
    """
    first, *others = frames
    found = []
    lone: list[Diagnostic] = []
    for name in first.data.columns:
        if name in first.numeric or any(name not in other.data for other in others):
            continue
        values = [set(frame.labels(name)) - {""} for frame in frames]
        if len(set.intersection(*values)) > 1 and max(map(len, values)) <= _MOST_CLASSES:
            found.append(name)
        elif max(map(len, values)) <= _MOST_CLASSES:
            lone += [
                single_class(name, frame.path)
                for frame, own in zip(frames, values, strict=True)
                if len(own) == 1 and all(own < each for each in values if each is not own)
            ]
    if len(found) == 1:
        return found[0]
    if not found and lone:
        raise SecgenError(lone[:1])
    names = ", ".join(f'"{name}"' for name in found)
    raise fail(
        "SG715",
        f"several columns could tell classes: {names}"
        if found
        else "no column of words is in all tables with two values in common",
        place=str(first.path),
        next_step="say which with --label COLUMN"
        if found
        else "spell labels alike in all tables, with two classes or more, or say which column of "
        "numbers tells classes, with --label COLUMN",
    )


def single_class(column: str, path: Path) -> Diagnostic:
    """SG715: the only label of a table is spelled as in the others, which have more."""
    return Diagnostic(
        "SG715",
        f'all rows of this table have the same "{column}": there are no classes to tell apart',
        place=str(path),
        next_step="give rows of two classes or more (`secgen synthesize` without --where, or with "
        f"--balance {column}), or another column with --label",
    )


def joined(tables: Sequence[LabelledTable]) -> LabelledTable:
    """Their rows, one table below the other."""
    return LabelledTable(
        np.concatenate([table.values for table in tables]),
        np.concatenate([table.labels for table in tables]),
    )


def finite(values: Floats, genes: Sequence[str], path: Path, *, as_in_file: bool = True) -> Floats:
    """The values, which are finite, in ten rows or more.  Raises SecgenError: SG717, SG718.

    Args:
        as_in_file: rows are those of the file, so that one can be named.
    """
    require_rows(len(values), path)
    fine: NDArray[np.bool_] = np.abs(values) < _GREATEST
    wrong = [genes[place] for place in np.flatnonzero(~fine.all(axis=0)).tolist()]
    if wrong:
        row = int(np.flatnonzero(~fine.all(axis=1))[0]) + 1
        columns = f"{len(wrong):,} columns" if len(wrong) > 1 else "a column"
        raise fail(
            "SG718",
            f"values are missing or are no numbers in {columns}: {first_few(wrong)}"
            + (f"; the first one in row {row:,} below the header" if as_in_file else ""),
            place=str(path),
            next_step="leave these rows or columns out, or fill them in as the study does",
        )
    return values


def first_few(names: Sequence[str]) -> str:
    """The first of some names, in words."""
    rest = ", …" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + rest
