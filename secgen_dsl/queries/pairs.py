"""The encoder of gene pairs: counts of samples by the bins of two genes."""

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import PairMarginal
from secgen_dsl.queries.expression import expression_codes
from secgen_dsl.queries.labels import NO_CELL
from secgen_dsl.queries.table import SampleTable


def pair_cells(query: PairMarginal, program: Program, table: SampleTable) -> NDArray[np.int64]:
    """Counts of samples of shape (pairs, bins, bins), the first gene's bins along axis 1.

    Row-local and total: each sample adds 1 to at most one cell of each table; one with a missing
    value of either gene adds nothing to that pair's table.
    """
    panel = program.panel(query.panel)
    codes = [
        expression_codes(panel, gene, edges, table)
        for gene, edges in zip(query.genes, query.edges, strict=True)
    ]
    counts = np.empty((len(query.pairs), query.bins**2), dtype=np.int64)
    for (first, second), pair_counts in zip(query.pairs, counts, strict=True):
        present = (codes[first] != NO_CELL) & (codes[second] != NO_CELL)
        cells = codes[first][present] * query.bins + codes[second][present]
        pair_counts[:] = np.bincount(cells, minlength=query.bins**2)
    return counts.reshape(program.shape(query))
