"""Label cells: from the texts of category columns to one index a person."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.labels import label_key, value_positions
from secgen_dsl.ir.program import CategoryColumn, NumberColumn
from secgen_dsl.queries.bins import bin_codes
from secgen_dsl.queries.table import SampleTable

NO_CELL = -1
"""Index of a person who adds nothing: a missing or unknown value in a column without ``else``."""


def column_codes(column: CategoryColumn, texts: NDArray[np.str_]) -> NDArray[np.int64]:
    """Each text's position in ``column.values``.

    Args:
        column: the column; its ``otherwise`` stands for missing and unknown values.
        texts: n texts.

    Returns:
        n positions in [0, len(column.values)), or ``NO_CELL``.
    """
    positions = value_positions(column)
    otherwise = NO_CELL if column.otherwise is None else positions[label_key(column.otherwise)]
    distinct, inverse = np.unique(texts, return_inverse=True)
    codes = np.array(
        [positions.get(label_key(str(text)), otherwise) for text in distinct], dtype=np.int64
    )
    return codes[inverse.reshape(-1)]


def number_codes(column: NumberColumn, values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Each number's bin once clamped to the range; ``NO_CELL`` for a missing one (NaN)."""
    codes = bin_codes(values, column.edges, column.low, column.high)
    return np.where(np.isnan(values), NO_CELL, codes)


def label_cells(
    columns: Sequence[CategoryColumn | NumberColumn], table: SampleTable
) -> NDArray[np.int64]:
    """Each sample's label cell, the index running fastest over the last column.

    Returns:
        ``table.rows`` indices in [0, product of the numbers of values), or ``NO_CELL`` where
        some column has no value for the sample.  Without columns everybody is in cell 0.
    """
    cells = np.zeros(table.rows, dtype=np.int64)
    counted = np.ones(table.rows, dtype=np.bool_)
    for column in columns:
        if isinstance(column, NumberColumn):
            codes = number_codes(column, table.numbers[column.name])
        else:
            codes = column_codes(column, table.categories[column.name])
        counted &= codes != NO_CELL
        cells = cells * len(column.values) + codes
    return np.where(counted, cells, NO_CELL)
