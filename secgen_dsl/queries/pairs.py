"""The encoder of gene pairs: counts of samples by labels and the bins of two genes."""

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import PairMarginal
from secgen_dsl.queries.expression import expression_codes
from secgen_dsl.queries.labels import NO_CELL, label_cells
from secgen_dsl.queries.table import SampleTable


def pair_cells(query: PairMarginal, program: Program, table: SampleTable) -> NDArray[np.int64]:
    """Counts of samples of shape (pairs, labels·bins, bins), the first gene's bins along axis 1.

    Row-local and total: each sample adds 1 to at most one cell of each table; one with a missing
    value of either gene adds nothing to that pair's table, one without a label nothing at all.
    """
    panel = program.panel(query.panel)
    codes = [
        expression_codes(panel, gene, edges, table)
        for gene, edges in zip(query.genes, query.edges, strict=True)
    ]
    labels = label_cells([program.column(name) for name in query.columns], table)
    shape = program.shape(query)
    counts = np.empty((shape[0], shape[1] * shape[2]), dtype=np.int64)
    for (first, second), pair_counts in zip(query.pairs, counts, strict=True):
        present = (labels != NO_CELL) & (codes[first] != NO_CELL) & (codes[second] != NO_CELL)
        rows = labels[present] * query.bins + codes[first][present]
        cells = rows * query.bins + codes[second][present]
        pair_counts[:] = np.bincount(cells, minlength=counts.shape[1])
    return counts.reshape(shape)
