"""The fixed integer-linear maps A of y = A(x + z) (PROTOCOL, step 3)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.plan import LinearMap


def _identity(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    return cells.reshape(-1)


def _centred(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    bins = cells.shape[-1]
    rows: NDArray[np.int64] = bins * cells - cells.sum(axis=-1, keepdims=True)
    return rows[..., :-1].reshape(-1)


def _double_centred(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    bins = cells.shape[-1]
    blocks = cells.reshape(-1, bins, bins)
    rows, columns = blocks.sum(axis=2, keepdims=True), blocks.sum(axis=1, keepdims=True)
    total = blocks.sum(axis=(1, 2), keepdims=True)
    tables: NDArray[np.int64] = bins**2 * blocks - bins * (rows + columns) + total
    return tables[:, :-1, :-1].reshape(-1)


LINEAR_MAPS: Mapping[LinearMap, Callable[[NDArray[np.int64]], NDArray[np.int64]]] = (
    MappingProxyType(
        {"identity": _identity, "centred": _centred, "double-centred": _double_centred}
    )
)
"""Each map takes cells of shape (tables, label cells, bins) to a vector; of gene pairs, the label
cells are combinations of labels and the first gene's bins."""


def apply_map(linear_map: LinearMap, cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """A applied to raw cells.

    Args:
        linear_map: ``identity`` flattens; ``centred`` turns the row v of B cells of each table and
            label into B·v − Σv and keeps its first B − 1 entries (the last is minus their sum);
            ``double-centred`` turns the B×B block v of each gene pair and label into
            B²·v − B·(row sums) − B·(column sums) + Σv, without its last row and column.
        cells: integers of shape (tables, label cells, bins), each below 2⁶³/(2·bins) in size, or
            2⁶³/(4·bins²) for ``double-centred``.

    Returns:
        The vector in C order: tables·label cells·bins integers, or for ``centred``
        tables·label cells·(bins − 1), for ``double-centred`` (bins − 1)² a block.
    """
    return LINEAR_MAPS[linear_map](cells)
