"""Which gene pairs of a public table are correlated most: the same answer on every machine.

Values are rounded to integers small enough that every sum of products is an integer below 2⁵³:
float64 arithmetic is then exact in whatever order a library adds.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

_EXACT = 2**52


def most_correlated(
    values: Mapping[str, NDArray[np.float64]],
    genes: Sequence[str],
    pairs: Iterable[tuple[int, int]],
    keep: int,
) -> list[tuple[int, int]]:
    """The ``keep`` pairs of greatest |Pearson correlation|, in rising order of positions.

    Args:
        values: gene → its values, one a sample; a missing one (NaN) counts as the gene's mean.
        genes: in the order of the positions.
        pairs: candidates (i, j), i < j.
        keep: ≥ 1; at a tie the earlier pair is kept.
    """
    whole = _whole_numbers(np.array([values[gene] for gene in genes], dtype=np.float64))
    samples = whole.shape[1]
    products = whole @ whole.T
    totals = [int(total) for total in whole.sum(axis=1)]
    spreads = [samples * int(products[i, i]) - totals[i] ** 2 for i in range(len(genes))]
    scored = []
    for i, j in pairs:
        shared = samples * int(products[i, j]) - totals[i] * totals[j]
        flat = spreads[i] == 0 or spreads[j] == 0
        score = 0.0 if flat else abs(shared) / math.sqrt(spreads[i] * spreads[j])
        scored.append((-score, i, j))
    return sorted((i, j) for _, i, j in sorted(scored)[:keep])


def _whole_numbers(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows as integers around 0, so small that a sum of products is exact."""
    held = np.isfinite(columns)
    rows = []
    for column, present in zip(columns, held, strict=True):
        mean = math.fsum(column[present]) / max(int(present.sum()), 1)
        rows.append(np.where(present, column - mean, 0.0))
    centred = np.array(rows)
    greatest = float(np.abs(centred).max(initial=0.0)) or 1.0
    room = math.isqrt(_EXACT // max(centred.shape[1], 1))
    return np.rint(centred * (room / 2 / greatest))
