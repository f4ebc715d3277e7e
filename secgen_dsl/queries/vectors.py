"""The encoders of clipped vectors: whole numbers from a row alone, of bounded L2 norm.

Every step is exact: values become multiples of 2^−20 (an exact scaling of a float64), all else is
integer arithmetic with truncation towards zero, and the norm is compared with the clip in integers
(PRIVACY 1.4, Clipping).

Nothing can exceed 63 bits in a plan that verifies: scales are p/q with q | 1024 and p/q ≤ 10⁹ (two
numbers of 53 and 10 bits are multiplied), loadings have a norm of at most 2, so that a score of
10⁸ genes has at most 41 bits, and vectors are kept below a norm² of 2^62.
"""

from collections.abc import Sequence
from math import ceil, floor, isqrt

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.program import Panel, Program
from secgen_dsl.ir.queries import Marginal, Moments, SecondMoment, Standard, VectorSum
from secgen_dsl.ir.vectors import COUNT_PART, GREATEST_DEVIATION, LOADING_ONE, QUANTUM
from secgen_dsl.queries.labels import NO_CELL, label_cells
from secgen_dsl.queries.table import SampleTable

_FINE = 2**20
"""Values are rounded to multiples of 2^−20 of the panel's unit."""

_SHRINK_BITS = 30
_LIMIT = GREATEST_DEVIATION * QUANTUM

_GREATEST_SCORE = 2**28 - 1
"""Scores are clamped to it before their norm is taken: the squares of 64 stay below 2^62.

Far beyond any clip in use; without it a plan with tiny divisors could make a norm overflow, and a
row would go by unclipped.
"""


def vector_cells(query: VectorSum, program: Program, table: SampleTable) -> NDArray[np.int64]:
    """Sums of all samples' clipped vectors, by label cell.

    A sample without a label cell, or without a value of a gene, adds zero there.

    Returns:
        Whole numbers, shape (1, label cells, coordinates).
    """
    vectors = clipped_vectors(program, query, table)
    cells = label_cells([program.column(name) for name in query.columns], table)
    sums = np.zeros((program.label_cells(query), query.coordinates), dtype=np.int64)
    counted = cells != NO_CELL
    np.add.at(sums, cells[counted], vectors[counted])
    return sums[np.newaxis]


def second_moment_cells(
    query: SecondMoment, program: Program, table: SampleTable
) -> NDArray[np.int64]:
    """Sums of f_i·f_j over all samples: K squares, then the products of i < j, row by row.

    Returns:
        Whole numbers, shape (1, 1, K(K + 1)/2).
    """
    moments = program.query(query.serves)
    if not isinstance(moments, Moments):
        raise ValueError(f"{query.id} serves no moments")
    scores = clip(_scores(program, moments, table), query.clip)
    products = scores.T @ scores
    above = np.triu_indices(query.coordinates, k=1)
    return np.concatenate([np.diagonal(products), products[above]])[np.newaxis, np.newaxis]


def clipped_vectors(program: Program, query: VectorSum, table: SampleTable) -> NDArray[np.int64]:
    """Each sample's vector, of an L2 norm of at most ``query.clip``.

    Args:
        program: with the scales that earlier rounds say (``ir/learned``).

    Returns:
        Whole numbers, shape (samples, coordinates).
    """
    served = program.query(query.serves)
    if query.content == "scores" and isinstance(served, Moments):
        return clip(_scores(program, served, table), query.clip)
    if isinstance(served, Marginal) and served.learned is not None:
        standard = served.learned.standard
    elif isinstance(served, Moments):
        standard = served.standard
    else:
        raise ValueError(f"{query.id} serves nothing that is summed")
    if served.panel is None:
        raise ValueError(f"{served.id} has no panel")
    values = _standardised(program.panel(served.panel), program.genes(served), standard, table)
    if query.content == "squares":
        return clip(values * values // QUANTUM, query.clip)
    weight = query.clip // COUNT_PART
    # The rest of the clip's square is left to the genes, so that the whole stays within it.
    clipped = clip(values, isqrt(query.clip**2 - weight**2))
    count = np.full((table.rows, 1), weight, dtype=np.int64)
    return np.concatenate([clipped, count], axis=1)


def clip(vectors: NDArray[np.int64], bound: int) -> NDArray[np.int64]:
    """Each row shrunk until its L2 norm is at most ``bound``; by a rule on the row alone.

    A row v of norm² N > C² becomes ``trunc(v·f/2^30)`` with f = ⌊2^30·√(C²/N)⌋; truncation towards
    zero never lengthens it.  No step depends on which rows are shortened (PRIVACY 7.3, S09).

    Args:
        vectors: shape (samples, coordinates); each norm² below 2^62.
        bound: C ≥ 1.

    Raises:
        ValueError: a row stayed longer than C, which cannot be.
    """
    norms = np.maximum((vectors * vectors).sum(axis=1), 1).astype(object)
    # In unbounded integers; rows within the clip take the same steps, with f = 2^30.
    factors = np.frompyfunc(isqrt, 1, 1)((bound * bound << (2 * _SHRINK_BITS)) // norms)
    kept: NDArray[np.int64] = np.minimum(factors, 1 << _SHRINK_BITS).astype(np.int64)[:, np.newaxis]
    clipped: NDArray[np.int64] = np.sign(vectors) * (np.abs(vectors) * kept >> _SHRINK_BITS)
    if ((clipped * clipped).sum(axis=1) > bound * bound).any():
        raise ValueError("a vector is longer than its clip")
    return clipped


def _standardised(
    panel: Panel, genes: Sequence[str], standard: Standard, table: SampleTable
) -> NDArray[np.int64]:
    """trunc(2^10·(x − centre)/scale) of every sample and gene, clamped to ±6·2^10; 0 if missing."""
    low, high = ceil(panel.low * _FINE), floor(panel.high * _FINE)
    columns = []
    for gene, centre, scale in zip(genes, standard.centres, standard.scales, strict=True):
        values = table.expression[gene]
        absent = np.isnan(values)
        # Multiplying by 2^20 and rounding to a whole number are exact once the value is clamped.
        with np.errstate(over="ignore", invalid="ignore"):
            fine = np.rint(np.clip(np.where(absent, 0, values), -(2.0**40), 2.0**40) * _FINE)
        whole = np.clip(fine, low, high).astype(np.int64)
        if panel.missing is not None:
            clamped = min(max(panel.missing, panel.low), panel.high)
            whole = np.where(absent, round(clamped * _FINE), whole)
        away = whole - round(centre * _FINE)
        # 2^10·(away/2^20)·q/p, cut off where the clamp decides.
        wide, reach = scale.numerator * (_FINE // QUANTUM), ceil(GREATEST_DEVIATION * scale * _FINE)
        size = np.minimum(np.abs(away), reach) * scale.denominator // wide
        size = np.minimum(size, _LIMIT)
        kept = np.zeros_like(size) if panel.missing is None else size
        columns.append(np.sign(away) * np.where(absent, kept, size))
    if not columns:
        return np.zeros((table.rows, 0), dtype=np.int64)
    return np.stack(columns, axis=1)


def _scores(program: Program, moments: Moments, table: SampleTable) -> NDArray[np.int64]:
    """trunc(Σ loading·value/(2^14·divisor)) of every sample and factor; shape (samples, K)."""
    values = _standardised(
        program.panel(moments.panel), program.genes(moments), moments.standard, table
    )
    loadings = np.array(moments.loadings, dtype=np.int64)
    scores = values @ loadings.T
    divided = []
    for score, divisor in zip(scores.T, moments.divisors, strict=True):
        size = np.abs(score) * divisor.denominator // (LOADING_ONE * divisor.numerator)
        divided.append(np.sign(score) * np.minimum(size, _GREATEST_SCORE))
    return np.stack(divided, axis=1)
