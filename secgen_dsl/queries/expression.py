"""The bin of every sample's expression of a gene, in the unit of its panel or from counts."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.program import Panel
from secgen_dsl.queries.bins import bin_codes
from secgen_dsl.queries.counts import count_codes
from secgen_dsl.queries.labels import NO_CELL
from secgen_dsl.queries.table import SampleTable


def expression_codes(
    panel: Panel, gene: str, edges: Sequence[Fraction], table: SampleTable
) -> NDArray[np.int64]:
    """Each sample's bin of one gene, or ``NO_CELL`` for a missing value.

    A missing value is NaN, or for counts also a count below 0 or a library size that is not
    positive; the panel's ``missing is`` stands for it where the spec says so.

    Args:
        panel: of the gene; of its unit and range.
        gene: in the panel.
        edges: B − 1 inner edges.
        table: n samples.

    Returns:
        n integers in [0, B), or ``NO_CELL``.
    """
    values = table.expression[gene]
    if panel.counts is None:
        codes = bin_codes(values, edges, panel.low, panel.high)
        absent = np.isnan(values)
    else:
        codes, absent = count_codes(values, table.library_sizes[panel.name], edges, panel)
    stand_in = NO_CELL
    if panel.missing is not None:
        clamped = min(max(panel.missing, panel.low), panel.high)
        stand_in = sum(edge <= clamped for edge in edges)
    return np.where(absent, stand_in, codes)
