"""The opened values as a table for people: a line a cell, with its meaning and its noise."""

import csv
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from secgen_dsl.ir.plan import Measurements, Plan, Release
from secgen_dsl.ir.program import Marginal, decimal_text

HEADER = ("marginal", "labels", "gene", "from", "to", "value", "kind", "noise_sd")


def write_measured_table(path: Path, plan: Plan, measurements: Measurements) -> None:
    """Write every measured cell: ``marginal, labels, gene, from, to, value, kind, noise_sd``.

    ``kind`` is ``count`` for a noised number of people.  For row-centred tables it is
    ``above mean``: how many people more than the row's mean the bin holds, (B·v − Σv)/B, with the
    last bin of each row derived from the others.  Adding the row's total from the label histogram,
    divided by B, gives the count.  ``noise_sd`` is the standard deviation of the value's noise.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for release in plan.releases():
            writer.writerows(_lines(plan, release, measurements.values(release.marginal)))


def _lines(plan: Plan, release: Release, opened: tuple[int, ...]) -> Iterator[tuple[str, ...]]:
    marginal = plan.marginal(release.marginal)
    bins = marginal.bins
    variance = float(plan.released_variance(release))
    centred = release.map == "centred"
    noise = (variance * (1 - 1 / bins) if centred else variance) ** 0.5
    kind = "above mean" if centred else "count"
    width = bins - 1 if centred else bins
    labels = _labels(plan, marginal)
    for row, start in enumerate(range(0, len(opened), width)):
        values = list(opened[start : start + width])
        if centred:
            values.append(-sum(values))
        gene, edges = _gene(plan, marginal, row // len(labels))
        for position, value in enumerate(values):
            shown = f"{value / bins:.4f}" if centred else str(value)
            low, high = (edges[position], edges[position + 1]) if edges else ("", "")
            label = labels[row % len(labels)]
            yield (marginal.id, label, gene, low, high, shown, kind, f"{noise:.4f}")


def _labels(plan: Plan, marginal: Marginal) -> list[str]:
    """The label cells in order: ``sex=female; subtype=CIN``, the last column fastest."""
    values = [[f"{c}={v}" for v in plan.program.column(c).values] for c in marginal.columns]
    return ["; ".join(cell) for cell in product(*values)]


def _gene(plan: Plan, marginal: Marginal, number: int) -> tuple[str, list[str]]:
    """A gene and the outer and inner edges of its bins; nothing for a marginal without a panel."""
    if marginal.panel is None:
        return "", []
    panel = plan.program.panel(marginal.panel)
    edges = (panel.low, *marginal.edges[number], panel.high)
    return panel.genes[number], [decimal_text(edge) for edge in edges]
