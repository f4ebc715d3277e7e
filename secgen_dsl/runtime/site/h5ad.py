"""h5ad files (AnnData): samples in ``obs``, genes in ``var``, values in ``X`` or a named layer.

The matrix is read in blocks, and only the asked-for genes of a block are kept.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem, sparse_dataset
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail, nearest
from secgen_dsl.runtime.site.source import Content, ExactSums, Orientation, Value, location, text_of

_VALUES_AT_ONCE = 4_000_000


@dataclass(frozen=True, eq=False)
class _Frame:
    """A data frame as AnnData stores it; the index is the first of its columns.

    Attributes:
        names: of the columns; that of the index may be empty.
        stored: each column: an element of the file, or cells that were read with all others.
    """

    names: tuple[str, ...]
    stored: tuple[Any, ...]

    def cells(self, position: int) -> list[Value]:
        """The cells of a column, None where they are missing."""
        return _cells(self.stored[position])


@dataclass(frozen=True, eq=False)
class AnnotatedMatrix:
    """An open h5ad file.  See ``Source``.

    Attributes:
        samples: the data frame ``obs``.
        matrix: HDF5's dense dataset, or AnnData's sparse one.
    """

    where: str
    genes: tuple[str, ...]
    samples: _Frame
    matrix: Any
    index: int | None = 0
    shared: bool = False
    orientation: Orientation = "samples_by_genes"
    format: str = "h5ad"

    @property
    def columns(self) -> tuple[str, ...]:
        """The index, then the columns of ``obs``."""
        return self.samples.names

    def read(
        self, columns: Sequence[int], genes: Sequence[int], summed: Sequence[int] | None = None
    ) -> Content:
        """See ``Source.read``."""
        rows = self.matrix.shape[0]
        expression = np.zeros((rows, len(genes)), dtype=np.float64)
        sums = ExactSums(rows)
        with _h5ad_faults(self.where):
            values = [self.samples.cells(position) for position in columns]
            if any(len(cells) != rows for cells in values):
                raise fail(
                    "SG420",
                    "a column of `obs` has another length than its index",
                    place=self.where,
                    next_step="write the file again with AnnData's `write_h5ad`",
                )
            if genes or summed:
                self._read_matrix(np.array(genes, dtype=np.int64), summed, expression, sums)
        return Content(
            columns=values,
            expression=expression,
            sums=None if summed is None else sums.totals(),
        )

    def across(self) -> list[str]:
        """The samples' names."""
        return [text_of(value) for value in self.samples.cells(0)]

    def _read_matrix(
        self,
        genes: NDArray[np.int64],
        summed: Sequence[int] | None,
        expression: NDArray[np.float64],
        sums: ExactSums,
    ) -> None:
        rows, width = self.matrix.shape
        added = np.zeros(width, dtype=np.bool_)
        added[list(summed or ())] = True
        if _format(self.matrix) == "csc":
            self._read_columns(genes, added, expression, sums)
            return
        at_once = max(_VALUES_AT_ONCE // max(width, 1), 1)
        if isinstance(self.matrix, h5py.Dataset) and self.matrix.chunks:
            # Whole chunks: each is unpacked once.
            height = self.matrix.chunks[0]
            at_once = max(at_once // height, 1) * height
        for start in range(0, rows, at_once):
            block = self.matrix[start : start + at_once]
            at = slice(start, start + block.shape[0])
            expression[at] = _dense(block[:, genes])
            if added.any():
                _add(block, added, at, sums)

    def _read_columns(
        self,
        genes: NDArray[np.int64],
        added: NDArray[np.bool_],
        expression: NDArray[np.float64],
        sums: ExactSums,
    ) -> None:
        """The same of a matrix that is stored by gene."""
        rows, width = self.matrix.shape
        at_once = max(_VALUES_AT_ONCE // max(rows, 1), 1)
        for start in range(0, width, at_once):
            stop = min(start + at_once, width)
            places = np.flatnonzero((genes >= start) & (genes < stop))
            if not (places.size or added[start:stop].any()):
                continue
            block = self.matrix[:, start:stop]
            expression[:, places] = _dense(block[:, genes[places] - start])
            if added[start:stop].any():
                _add(block, added[start:stop], slice(0, rows), sums)


@contextmanager
def open_h5ad(path: Path, place: str, layer: str) -> Iterator[AnnotatedMatrix]:
    """Open an h5ad file.

    Args:
        path: the file.
        place: the site, for diagnostics.
        layer: name of a layer; empty: ``X``.

    Raises:
        SecgenError: SG411 the file cannot be read; SG420 it is no h5ad file, has no such layer, or
            its matrix holds no plain numbers.
    """
    where = location(path, place)
    with _h5ad_faults(where):
        file = h5py.File(path, "r")
    with file:
        with _h5ad_faults(where), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # AnnData's remarks on files of its older releases
            if "obs" not in file or "var" not in file:
                raise fail(
                    "SG420",
                    "the file is HDF5, but no h5ad: it has no `obs` and `var`",
                    place=where,
                    next_step="write it with AnnData's `write_h5ad`",
                )
            samples, variables = _frame(file["obs"]), _frame(file["var"])
            genes = tuple(text_of(name) for name in variables.cells(0))
            matrix = _matrix(file, layer, where)
            shape = (len(samples.cells(0)), len(genes))
            if matrix.shape != shape:
                raise fail(
                    "SG420",
                    f"the matrix has shape {matrix.shape} where obs and var ask for {shape}",
                    place=where,
                    next_step="write the file again with AnnData's `write_h5ad`",
                )
        yield AnnotatedMatrix(where, genes, samples, matrix)


def _frame(stored: Any) -> _Frame:
    if isinstance(stored, h5py.Group) and stored.attrs.get("encoding-version") == "0.2.0":
        index = str(stored.attrs["_index"])
        order = [str(name) for name in stored.attrs["column-order"]]
        names = ("" if index == "_index" else index.strip(), *(name.strip() for name in order))
        return _Frame(names, tuple(stored[name] for name in (index, *order)))
    frame = read_elem(stored)  # of an older release of AnnData
    names = (str(frame.index.name or "").strip(), *(str(name).strip() for name in frame.columns))
    columns = [frame.iloc[:, position] for position in range(len(names) - 1)]
    return _Frame(names, (frame.index, *columns))


def _cells(stored: Any) -> list[Value]:
    """A column's cells, None where they are missing.

    Texts are decoded here: AnnData would stop at one that is not UTF-8.
    """
    kind = stored.attrs.get("encoding-type", "") if hasattr(stored, "id") else "pandas"
    if kind == "categorical":
        categories = _cells(stored["categories"])
        return [categories[code] if code >= 0 else None for code in stored["codes"][...]]
    if kind == "nullable-string-array":
        texts = _cells(stored["values"])
        missing = stored["mask"][...]
        return [None if gone else text for text, gone in zip(texts, missing, strict=True)]
    if kind == "string-array":
        return list(stored.asstr(errors="surrogateescape")[...])
    column = pd.Series(stored if kind == "pandas" else read_elem(stored))
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "f":
        return list(column.to_numpy())  # of its own type: float32 has fewer digits
    cells = column.astype(object).to_list()
    return [
        None if gone else _cell(cell) for cell, gone in zip(cells, pd.isna(column), strict=True)
    ]


def _cell(cell: Any) -> Value:
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "surrogateescape")
    return cell if isinstance(cell, str | int | float | bool | np.generic) else str(cell)


def _matrix(file: h5py.File, layer: str, where: str) -> Any:
    """X or the layer: a dense dataset or a sparse one."""
    layers = sorted(file["layers"]) if "layers" in file else []
    if layer and layer not in layers:
        raise fail(
            "SG420",
            f'the file has no layer "{layer}"',
            place=where,
            next_step="name a layer of the file, or take the line out: then X is read",
            local="; ".join(filter(None, (nearest(layer, layers), _listed(layers)))),
        )
    if not layer and "X" not in file:
        raise fail(
            "SG420",
            "the file has no X",
            place=where,
            next_step="name a layer with `layer` under [files]",
            local=_listed(layers),
        )
    stored = file["layers"][layer] if layer else file["X"]
    matrix = stored if isinstance(stored, h5py.Dataset) else sparse_dataset(stored)
    if len(matrix.shape) != 2 or matrix.dtype.kind not in "fiu":
        raise fail(
            "SG420",
            f"{layer or 'X'} is no matrix of numbers (it holds {matrix.dtype})",
            place=where,
            next_step="name a layer of plain numbers with `layer` under [files]",
        )
    return matrix


def _listed(layers: Sequence[str]) -> str:
    return f"its layers are: {', '.join(layers) or 'none'}"


@contextmanager
def _h5ad_faults(where: str) -> Iterator[None]:
    """Turn what h5py and AnnData raise for a broken file into SG411."""
    try:
        yield
    except (SecgenError, MemoryError):
        raise
    except OSError as error:
        reason = error.strerror or "it is broken, cut short or no HDF5 file"
        raise fail(
            "SG411",
            f"the file cannot be read: {reason}",
            place=where,
            next_step="check the path, that this account may read the file, and that the copy is"
            " whole",
        ) from error
    except Exception as error:  # AnnData wraps and adds notes to whatever its parts raise
        raise fail(
            "SG420",
            "the file is HDF5, but AnnData cannot read it",
            place=where,
            next_step="write it again with AnnData's `write_h5ad`",
        ) from error


def _format(matrix: Any) -> str:
    return str(getattr(matrix, "format", "dense"))


def _dense(block: Any) -> NDArray[np.float64]:
    """A block as float64, exactly for float32 and integers up to 2⁵³."""
    array = block if isinstance(block, np.ndarray) else block.toarray()
    return np.asarray(array, dtype=np.float64)


def _add(block: Any, added: NDArray[np.bool_], at: slice, sums: ExactSums) -> None:
    """Add the counts of the genes that are ``added`` to the rows ``at``."""
    if isinstance(block, np.ndarray):
        sums.add(np.asarray(block if added.all() else block[:, added], dtype=np.float64), at)
        return
    entries = block.tocoo()
    counted = added[entries.col]
    rows = entries.row[counted].astype(np.int64) + at.start
    sums.add_sparse(np.asarray(entries.data[counted], dtype=np.float64), rows)
