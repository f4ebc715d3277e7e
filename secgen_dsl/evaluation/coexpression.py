"""Co-expression: are pairs of genes correlated in synthetic rows as they are in real ones?"""

from dataclasses import dataclass

import numpy as np

from secgen_dsl.evaluation.accuracy import Floats
from secgen_dsl.evaluation.biology import correlation

STRONG = 0.5
"""|r| above which a pair of genes is an edge of the co-expression network."""


@dataclass(frozen=True)
class Coexpression:
    """Correlations of all pairs of genes, compared.

    Attributes:
        mean_difference: mean |Δr|, from 0 to 2; NaN with fewer than two genes.
        edges: pairs with |r| > ``STRONG`` in real rows.
        precision: share of the synthetic edges that are real ones; NaN without synthetic edges.
        recall: share of the real edges that are synthetic ones; NaN without real edges.
        sign_agreement: share of the real edges whose synthetic r has the same sign, however small;
            NaN without real edges.
    """

    mean_difference: float
    edges: int
    precision: float
    recall: float
    sign_agreement: float


def coexpression(real: Floats, synthetic: Floats) -> Coexpression:
    """Compare Pearson correlations over the rows of two tables.

    Args:
        real: shape (rows, genes), two rows or more; likewise ``synthetic``.  A gene that is
            constant has r = 0 with all others.
    """
    upper = np.triu_indices(real.shape[1], 1)
    one, other = correlation(real)[upper], correlation(synthetic)[upper]
    true, called = np.abs(one) > STRONG, np.abs(other) > STRONG

    def share(hits: int, whole: int) -> float:
        return hits / whole if whole else float("nan")

    both = int((true & called).sum())
    same = int((true & (one * other > 0)).sum())
    return Coexpression(
        mean_difference=float(np.abs(one - other).mean()) if one.size else float("nan"),
        edges=int(true.sum()),
        precision=share(both, int(called.sum())),
        recall=share(both, int(true.sum())),
        sign_agreement=share(same, int(true.sum())),
    )


def gene_order(real: Floats) -> list[int]:
    """An order of the genes that brings co-expressed ones together: leaves of average linkage.

    Distance is 1 − r over the real rows (Eisen et al., PNAS 95 (1998) 14863).

    Args:
        real: shape (rows, genes).
    """
    if real.shape[1] < 3:
        return list(range(real.shape[1]))
    from scipy.cluster.hierarchy import leaves_list, linkage

    upper = np.triu_indices(real.shape[1], 1)
    order: list[int] = leaves_list(linkage(1 - correlation(real)[upper], "average")).tolist()
    return order
