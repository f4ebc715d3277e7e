"""Counts and clipped sums by their definition: one sample and one cell at a time, exactly.

Nothing of ``queries`` is used.  LANGUAGE is the source: a bin is [a, b), the last closed; numbers
clamp to the range; a value that is missing or unknown adds nothing unless the spec says otherwise.
"""

import math
from bisect import bisect_right
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.plan import LinearMap
from secgen_dsl.ir.program import CategoryColumn, Panel, Program
from secgen_dsl.ir.queries import Marginal, Moments, PairMarginal, Query, SecondMoment, VectorSum
from secgen_dsl.queries.table import SampleTable
from tests.generated.words import compared


def counts_by_hand(program: Program, query: Query, table: SampleTable) -> list[int]:
    """The raw cells of a query, in C order of its shape."""
    if isinstance(query, VectorSum | SecondMoment):
        return vector_by_hand(program, query, table)
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


def _sizes(program: Program, query: Marginal | PairMarginal) -> list[int]:
    return [len(program.column(name).values) for name in query.columns]


def _all_cells(program: Program, query: Query) -> list[tuple[int, ...]]:
    if isinstance(query, PairMarginal):
        bins = [range(query.bins)] * 2
        return list(product(range(len(query.pairs)), *map(range, _sizes(program, query)), *bins))
    genes = 1 if query.panel is None else len(query.edges)
    return list(product(range(genes), *map(range, _sizes(program, query)), range(query.bins)))


def _cells(program: Program, query: Query, table: SampleTable, row: int) -> list[tuple[int, ...]]:
    """The cells that one sample adds 1 to."""
    labels = [_label(program, name, table, row) for name in query.columns]
    if None in labels:
        return []
    if isinstance(query, PairMarginal):
        panel = program.panel(query.panel)
        bins = [
            _gene_bin(panel, gene, edges, table, row)
            for gene, edges in zip(query.genes, query.edges, strict=True)
        ]
        own = ((number, *labels, bins[i], bins[j]) for number, (i, j) in enumerate(query.pairs))
        return [cell for cell in own if None not in cell]  # type: ignore[misc]
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


def vector_by_hand(
    program: Program, query: VectorSum | SecondMoment, table: SampleTable
) -> list[int]:
    """Sums of clipped vectors by label cell; of a second moment K squares, then the products."""
    rows = [clipped_by_hand(program, query, table, row) for row in range(table.rows)]
    if isinstance(query, SecondMoment):
        pairs = [(k, k) for k in range(query.coordinates)]
        pairs += list(combinations(range(query.coordinates), 2))
        return [sum(row[i] * row[j] for row in rows) for i, j in pairs]
    sizes = [len(program.column(name).values) for name in query.columns]
    sums = {cell: [0] * query.coordinates for cell in product(*map(range, sizes))}
    for row, vector in enumerate(rows):
        labels = tuple(_label(program, name, table, row) for name in query.columns)
        if None not in labels:
            sums[labels] = [a + b for a, b in zip(sums[labels], vector, strict=True)]  # type: ignore[index]
    return [value for cell in sums.values() for value in cell]


def clipped_by_hand(
    program: Program, query: VectorSum | SecondMoment, table: SampleTable, row: int
) -> list[int]:
    """The clipped vector of one sample."""
    served = program.query(query.serves)
    assert isinstance(served, Marginal | Moments)
    assert served.panel is not None
    standard = served.standard if isinstance(served, Moments) else served.learned.standard  # type: ignore[union-attr]
    panel = program.panel(served.panel)
    values = [
        _standardised(panel, float(table.expression[gene][row]), centre, scale)
        for gene, centre, scale in zip(
            program.genes(served), standard.centres, standard.scales, strict=True
        )
    ]
    content = query.content if isinstance(query, VectorSum) else "scores"
    if content == "scores":
        assert isinstance(served, Moments)
        scores = [
            _whole(sum(a * b for a, b in zip(loadings, values, strict=True)) / (2**14 * divisor))
            for loadings, divisor in zip(served.loadings, served.divisors, strict=True)
        ]
        return shrunk([_between(score, 2**28 - 1) for score in scores], query.clip**2)
    if content == "squares":
        return shrunk([value**2 // 1024 for value in values], query.clip**2)
    counted = query.clip // 4
    return [*shrunk(values, query.clip**2 - counted**2, root=True), counted]


def shrunk(vector: list[int], most: int, *, root: bool = False) -> list[int]:
    """A vector whose norm² exceeds C² is multiplied by ⌊2^30·C/‖v‖⌋/2^30, towards zero.

    Args:
        most: C², or with ``root`` a number whose root is rounded down to give C.
    """
    bound = math.isqrt(most) ** 2 if root else most
    norm = sum(value**2 for value in vector)
    if norm <= bound:
        return vector
    factor = Fraction(math.isqrt(bound * 2**60 // norm), 2**30)
    return [_whole(value * factor) for value in vector]


def _standardised(panel: Panel, value: float, centre: Fraction, scale: Fraction) -> int:
    """(value − centre)/scale in units of 2^−10, within ±6; the value is a multiple of 2^−20."""
    low, high = math.ceil(panel.low * 2**20), math.floor(panel.high * 2**20)
    if not math.isnan(value):
        exact = Fraction(max(min(value, 2.0**40), -(2.0**40)))
        fine = min(max(round(exact * 2**20), low), high)
    elif panel.missing is None:
        return 0
    else:
        fine = round(min(max(panel.missing, panel.low), panel.high) * 2**20)
    away = (Fraction(fine, 2**20) - centre) / scale
    return _between(_whole(away * 1024), 6 * 1024)


def _whole(number: Fraction) -> int:
    """Towards zero."""
    return math.trunc(number)


def _between(number: int, most: int) -> int:
    return max(-most, min(number, most))


def norm_squared(linear_map: LinearMap, change: NDArray[np.int64], halved: int = 0) -> Fraction:
    """‖P·d‖², the change of raw cells in the metric of the noise that goes in before the map.

    Args:
        change: shape (tables, label cells, bins).
        halved: the last so many cells have noise of half the variance: they count twice.
    """
    if halved:
        cells = [int(value) for value in change.reshape(-1)]
        return Fraction(
            sum(value**2 for value in cells) + sum(value**2 for value in cells[-halved:])
        )
    total = Fraction(0)
    bins = change.shape[-1]
    if linear_map == "double-centred":  # less the norms of the means of rows and columns
        for table in change.reshape(-1, bins, bins).tolist():
            sums = [*map(sum, table), *map(sum, zip(*table, strict=True))]
            total -= Fraction(sum(value**2 for value in sums), bins)
            total += Fraction(sum(map(sum, table)) ** 2, bins**2)
    for row in change.reshape(-1, bins).tolist():
        total += sum(value**2 for value in row)
        if linear_map == "centred":
            total -= Fraction(sum(row) ** 2, bins)
    return total
