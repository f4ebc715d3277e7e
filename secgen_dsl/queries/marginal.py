"""The encoder of marginals: counts of samples by label cell, and for a panel by each gene's bin."""

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import Marginal
from secgen_dsl.queries.expression import expression_codes
from secgen_dsl.queries.labels import NO_CELL, label_cells
from secgen_dsl.queries.table import SampleTable


def marginal_cells(query: Marginal, program: Program, table: SampleTable) -> NDArray[np.int64]:
    """Counts of samples of shape (tables, label cells, bins) = ``program.shape(query)``.

    Row-local and total: each sample adds 1 to at most one cell of each table, whatever else is in
    the file.  A missing or unknown label without ``else`` adds nothing to any table, NaN adds
    nothing to that gene's table (LANGUAGE, Missing and odd values).
    """
    shape = program.shape(query)
    _, label_count, bins = shape
    labels = label_cells([program.column(name) for name in query.columns], table)
    counted = labels != NO_CELL
    if query.panel is None:
        return np.bincount(labels[counted], minlength=label_count).astype(np.int64).reshape(shape)
    panel = program.panel(query.panel)
    first_cells = labels * bins
    counts = np.empty((shape[0], label_count * bins), dtype=np.int64)
    # One pass a gene keeps memory at a few vectors of n; the samples are never looped over.
    for gene, edges, gene_counts in zip(program.genes(query), query.edges, counts, strict=True):
        codes = expression_codes(panel, gene, edges, table)
        present = counted & (codes != NO_CELL)
        cells = first_cells[present] + codes[present]
        gene_counts[:] = np.bincount(cells, minlength=label_count * bins)
    return counts.reshape(shape)
