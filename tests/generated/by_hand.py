"""Counts of samples by their definition: one sample and one cell at a time, in exact arithmetic.

Nothing of ``queries`` is used.  LANGUAGE is the source: a bin is [a, b), the last closed; numbers
clamp to the range; a value that is missing or unknown adds nothing unless the spec says otherwise.
"""

import math
from bisect import bisect_right
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import product

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.plan import LinearMap
from secgen_dsl.ir.program import CategoryColumn, Marginal, PairMarginal, Panel, Program, Query
from secgen_dsl.queries.table import SampleTable
from tests.generated.words import compared


def counts_by_hand(program: Program, query: Query, table: SampleTable) -> list[int]:
    """The raw cells of a query, in C order of (tables, label cells, bins)."""
    counts: dict[tuple[int, ...], int] = {}
    for row in range(table.rows):
        for cell in _cells(program, query, table, row):
            counts[cell] = counts.get(cell, 0) + 1
    cells = _all_cells(program, query)
    assert set(counts) <= set(cells)
    return [counts.get(cell, 0) for cell in cells]


def mapped_by_hand(linear_map: LinearMap, cells: list[int], bins: int) -> list[int]:
    """A(x): every row v of B cells as it is, or as B·v − Σv without its last entry.

    Double-centred: that twice, first to the rows and then to the columns of what is left.
    """
    if linear_map == "identity":
        return cells
    rows = [cells[start : start + bins] for start in range(0, len(cells), bins)]
    centred = [[bins * value - sum(row) for value in row[:-1]] for row in rows]
    if linear_map == "double-centred":
        tables = [centred[start : start + bins] for start in range(0, len(centred), bins)]
        sums = [[sum(column) for column in zip(*table, strict=True)] for table in tables]
        centred = [
            [bins * value - total for value, total in zip(row, totals, strict=True)]
            for table, totals in zip(tables, sums, strict=True)
            for row in table[:-1]
        ]
    return [value for row in centred for value in row]


def _sizes(program: Program, query: Marginal) -> list[int]:
    return [len(program.column(name).values) for name in query.columns]


def _all_cells(program: Program, query: Query) -> list[tuple[int, ...]]:
    if isinstance(query, PairMarginal):
        return list(product(range(len(query.pairs)), range(query.bins), range(query.bins)))
    genes = 1 if query.panel is None else len(query.edges)
    return list(product(range(genes), *map(range, _sizes(program, query)), range(query.bins)))


def _cells(program: Program, query: Query, table: SampleTable, row: int) -> list[tuple[int, ...]]:
    """The cells that one sample adds 1 to."""
    if isinstance(query, PairMarginal):
        panel = program.panel(query.panel)
        bins = [
            _gene_bin(panel, gene, edges, table, row)
            for gene, edges in zip(query.genes, query.edges, strict=True)
        ]
        own = ((number, bins[i], bins[j]) for number, (i, j) in enumerate(query.pairs))
        return [cell for cell in own if None not in cell]  # type: ignore[misc]
    labels = [_label(program, name, table, row) for name in query.columns]
    if None in labels:
        return []
    if query.panel is None:
        return [(0, *labels, 0)]  # type: ignore[arg-type]
    panel = program.panel(query.panel)
    genes = panel.genes if query.gene is None else (query.gene,)
    found = []
    for number, (gene, edges) in enumerate(zip(genes, query.edges, strict=True)):
        place = _gene_bin(panel, gene, edges, table, row)
        if place is not None:
            found.append((number, *labels, place))
    return found  # type: ignore[return-value]


def _label(program: Program, name: str, table: SampleTable, row: int) -> int | None:
    column = program.column(name)
    if not isinstance(column, CategoryColumn):
        value = float(table.numbers[name][row])
        return None if math.isnan(value) else _bin(value, column.low, column.high, column.edges)
    text = str(table.categories[name][row]).strip()
    for place, value in enumerate(column.values):
        if compared(value) == compared(text):
            return place
    return None if column.otherwise is None else column.values.index(column.otherwise)


def _bin(value: float, low: Fraction, high: Fraction, edges: tuple[Fraction, ...]) -> int:
    """How many edges the clamped value reaches."""
    exact = low if value == -math.inf else high if value == math.inf else Fraction(value)
    return bisect_right(edges, min(max(exact, low), high))


def _gene_bin(
    panel: Panel, gene: str, edges: tuple[Fraction, ...], table: SampleTable, row: int
) -> int | None:
    value = float(table.expression[gene][row])
    place = None
    if panel.counts is None:
        if not math.isnan(value):
            place = _bin(value, panel.low, panel.high, edges)
    else:
        size = float(table.library_sizes[panel.name][row])
        usable = math.isfinite(value) and math.isfinite(size) and value >= 0 and size > 0
        if usable:
            cpm = Fraction(value) * 10**6 / Fraction(size)
            place = sum(edge <= panel.low or cpm >= _threshold(edge) for edge in edges)
    if place is None and panel.missing is not None:
        place = bisect_right(edges, min(max(panel.missing, panel.low), panel.high))
    return place


def _threshold(edge: Fraction) -> Fraction:
    """2^e − 1 in counts per million, to the nearest millionth and at least 0."""
    with localcontext() as context:
        context.prec = 80
        power = Decimal(2) ** (Decimal(edge.numerator) / Decimal(edge.denominator))
        return max(Fraction(0), Fraction(round((power - 1) * 10**6), 10**6))


def norm_squared(linear_map: LinearMap, change: NDArray[np.int64]) -> Fraction:
    """‖P·d‖², the change of raw cells in the metric of the noise that goes in before the map.

    Args:
        change: shape (tables, label cells, bins).
    """
    total = Fraction(0)
    bins = change.shape[-1]
    if linear_map == "double-centred":  # less the norms of the means of rows and columns
        for table in change.tolist():
            sums = [*map(sum, table), *map(sum, zip(*table, strict=True))]
            total -= Fraction(sum(value**2 for value in sums), bins)
            total += Fraction(sum(map(sum, table)) ** 2, bins**2)
    for row in change.reshape(-1, bins).tolist():
        total += sum(value**2 for value in row)
        if linear_map == "centred":
            total -= Fraction(sum(row) ** 2, bins)
    return total
