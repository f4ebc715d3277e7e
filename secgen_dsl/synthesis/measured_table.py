"""The opened values as a table for people: a line a cell, with its meaning and its noise."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise, product
from pathlib import Path
from types import MappingProxyType

from secgen_dsl.ir.learned import with_learned_edges
from secgen_dsl.ir.plan import LinearMap, Measurements, Plan, Release
from secgen_dsl.ir.program import Panel, Program, decimal_text
from secgen_dsl.ir.queries import Marginal, SecondMoment, Table, Vector, VectorSum, as_table
from secgen_dsl.ir.vectors import COUNT_PART, QUANTUM, coordinate_names

_MEANING: Mapping[LinearMap, tuple[str, int]] = MappingProxyType(
    {"identity": ("count", 0), "centred": ("above mean", 1), "double-centred": ("interaction", 2)}
)
"""What a value is, and how many means the map takes out of it."""

HEADER = ("marginal", "labels", "gene", "from", "to", "value", "kind", "noise_sd")


def write_measured_table(
    path: Path, plan: Plan, measurements: Measurements, *, mark: str = ""
) -> None:
    """Write every measured cell: ``marginal, labels, gene, from, to, value, kind, noise_sd``.

    ``kind`` is ``count`` for a noised number of people.  For row-centred tables it is
    ``above mean``: how many people more than the row's mean the bin holds, (B·v − Σv)/B, with the
    last bin of each row derived from the others.  Adding the row's total from the label histogram,
    divided by B, gives the count.  For double-centred pairs it is ``interaction``: how many people
    more than the two bins' own counts explain, (B²·v − B·row − B·column + Σv)/B², with the last row
    and column derived.  ``noise_sd`` is the standard deviation of the value's noise.

    Of vectors the kind is ``sum of clipped``: the sum over people of a gene's values on its public
    scale (in standard deviations), of factor scores, or of their products; each person's vector is
    shrunk to its clip first.  No table is cut, so ``from`` and ``to`` are empty.

    A number column's label is its bin.  A pair of genes is ``first × second``; the first gene's
    bin stands among the labels, the second's under ``from`` and ``to``.

    A mark stands in a first column, ``data``, of every line.

    Raises:
        OSError: the file cannot be written.
    """
    first = (mark,) if mark else ()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((*(("data",) if mark else ()), *HEADER))
        opened = {one.query: one.values for one in measurements.measurements}
        learned = with_learned_edges(plan, opened)
        for release in plan.releases():
            lines = _lines(plan, learned, release, measurements.values(release.query))
            writer.writerows((*first, *line) for line in lines)


def _lines(
    plan: Plan, learned: Program, release: Release, opened: tuple[int, ...]
) -> Iterator[tuple[str, ...]]:
    query = plan.query(release.query)
    if isinstance(query, VectorSum | SecondMoment):
        yield from _vector_lines(plan, query, release, opened)
        return
    if query not in plan.added:
        query = as_table(learned.query(query.id))
    bins = query.bins
    kind, means = _MEANING[release.map]
    # With each mean a factor B comes in, and 1 − 1/B of the variance is left.
    scale = bins**means
    noise = (float(plan.released_variance(release)) * (1 - 1 / bins) ** means) ** 0.5
    values = iter(_all_cells(release, opened, bins))
    for gene, labels, bounds in _tables(plan.program, query):
        for label, (low, high) in product(labels, bounds):
            value = next(values)
            shown = str(value) if not means else f"{value / scale:.4f}"
            yield (query.id, label, gene, low, high, shown, kind, f"{noise:.4f}")


def _all_cells(release: Release, opened: tuple[int, ...], bins: int) -> Iterator[int]:
    """The opened values with those that their map left out, in C order."""
    if release.map == "identity":
        yield from opened
        return
    width = bins - 1
    rows = [opened[start : start + width] for start in range(0, len(opened), width)]
    for number, row in enumerate(rows, start=1):
        yield from (*row, -sum(row))
        if release.map == "double-centred" and number % width == 0:
            last = [-sum(column) for column in zip(*rows[number - width : number], strict=True)]
            yield from (*last, -sum(last))


def _vector_lines(
    plan: Plan, query: Vector, release: Release, opened: tuple[int, ...]
) -> Iterator[tuple[str, ...]]:
    """One line a coordinate, in units of the public or learned scale (a second moment: squared).

    The last of the sums of means is the number of people that they are of.
    """
    unit = QUANTUM**2 if isinstance(query, SecondMoment) else QUANTUM
    counts = isinstance(query, VectorSum) and query.content in ("centres", "means")
    names = coordinate_names(plan.program, query)
    labels = [""] if isinstance(query, SecondMoment) else _labels(plan.program, query)
    values = iter(opened)
    for label in labels:
        for position, name in enumerate(names):
            halved = position >= len(names) - release.halved
            noise = float(plan.released_variance(release) / (2 if halved else 1)) ** 0.5
            kind, own = "sum of clipped", unit
            if counts and position == len(names) - 1:
                kind, own = "count", query.clip // COUNT_PART
            shown = f"{next(values) / own:.6f}"
            yield (query.id, label, name, "", "", shown, kind, f"{noise / own:.6f}")


def _tables(
    program: Program, query: Table
) -> Iterator[tuple[str, list[str], list[tuple[str, str]]]]:
    """For each table of a query: its gene or genes, its label cells, the bounds of its bins.

    Label cells are in order, ``sex=female; subtype=CIN``, the last column fastest; those of a pair
    end in a bin of its first gene.
    """
    if query.panel is None:
        yield "", _labels(program, query), [("", "")]
        return
    panel = program.panel(query.panel)
    bounds = [_bounds(panel, edges) for edges in query.edges]
    if isinstance(query, Marginal):
        for gene, own in zip(program.genes(query), bounds, strict=True):
            yield gene, _labels(program, query), own
        return
    cells = _labels(program, query)
    for first, second in query.pairs:
        gene, last = query.genes[first], len(bounds[first]) - 1
        labels = [
            f"{cell}{'; ' if cell else ''}{gene}=[{low}, {high}{']' if number == last else ')'}"
            for cell in cells
            for number, (low, high) in enumerate(bounds[first])
        ]
        yield f"{gene} × {query.genes[second]}", labels, bounds[second]


def _labels(program: Program, query: Table | VectorSum) -> list[str]:
    values = [[f"{c}={v}" for v in program.column(c).values] for c in query.columns]
    return ["; ".join(cell) for cell in product(*values)]


def _bounds(panel: Panel, edges: Sequence[Fraction]) -> list[tuple[str, str]]:
    """Lower and upper bound of each bin, as text."""
    return list(pairwise(decimal_text(edge) for edge in (panel.low, *edges, panel.high)))
