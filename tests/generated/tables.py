"""Small invented tables of a program's silos, with everything odd that a site may hold."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from random import Random

import numpy as np

from secgen_dsl.ir.program import CategoryColumn, Panel, Program
from secgen_dsl.ir.queries import Moments
from secgen_dsl.queries.table import SampleTable

_UNLISTED = ("", "no such value", "0", "0.0", " yes", "YES", "nan", "\u200b", "Ω", "1e400", "ﬁ")

Sample = Mapping[tuple[str, str], str | float]
"""One row: (kind, name) → text or number; the kinds are those of ``SampleTable``'s fields."""


def random_sample(random: Random, program: Program) -> Sample:
    """One row of any content."""
    sample: dict[tuple[str, str], str | float] = {}
    for column in program.columns:
        if isinstance(column, CategoryColumn):
            text = random.choice(column.values)
            if random.random() < 0.2:
                text = random.choice((*_UNLISTED, f" {text} ", text.swapcase()))
            sample["categories", column.name] = text
        else:
            near = [column.low, column.high, *column.edges]
            sample["numbers", column.name] = _number(random, near)
    for panel in program.panels:
        for gene in panel.genes:
            sample["expression", gene] = _expression(random, program, panel, gene)
        if panel.counts is not None:
            sample["library_sizes", panel.name] = _library_size(random)
    return sample


def random_tables(random: Random, program: Program) -> dict[str, SampleTable]:
    """A table for each silo, some of them empty."""
    sizes = (0, 1, 2, 5, 12)
    return {
        silo.name: table_of(
            program, [random_sample(random, program) for _ in range(random.choice(sizes))]
        )
        for silo in program.silos
    }


def table_of(program: Program, samples: Sequence[Sample]) -> SampleTable:
    """The table of some rows."""

    def numbers(kind: str, names: Sequence[str]) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
        return {
            name: np.array([sample[kind, name] for sample in samples], dtype=np.float64)
            for name in names
        }

    categories = [c.name for c in program.columns if isinstance(c, CategoryColumn)]
    return SampleTable(
        rows=len(samples),
        categories={
            name: np.array([sample["categories", name] for sample in samples], dtype=np.str_)
            for name in categories
        },
        expression=numbers("expression", [g for panel in program.panels for g in panel.genes]),
        numbers=numbers("numbers", [c.name for c in program.columns if c.name not in categories]),
        library_sizes=numbers(
            "library_sizes", [p.name for p in program.panels if p.counts is not None]
        ),
    )


def edges_of(program: Program, panel: Panel, gene: str) -> list[Fraction]:
    """All edges of a gene, in any query that has them."""
    return [
        edge
        for query in program.queries
        if query.panel == panel.name and not isinstance(query, Moments)
        for name, edges in zip(program.genes(query), query.edges, strict=bool(query.edges))
        if name == gene
        for edge in edges
    ]


def _number(random: Random, near: Sequence[Fraction]) -> float:
    """Around and on edges, beyond the range, or no number at all."""
    kind = random.random()
    if kind < 0.2:
        return random.choice((math.nan, math.inf, -math.inf, 0.0, -0.0, 1e300, -1e300, 5e-324))
    value = float(random.choice(near))
    if kind < 0.4:
        return value
    if kind < 0.6:
        return math.nextafter(value, random.choice((-math.inf, math.inf)))
    low, high = float(min(near)), float(max(near))
    return random.uniform(low - 1, high + 1)


def _expression(random: Random, program: Program, panel: Panel, gene: str) -> float:
    edges = edges_of(program, panel, gene)
    if panel.counts is None:
        return _number(random, [panel.low, panel.high, *edges])
    if random.random() < 0.3:
        return random.choice((math.nan, -1.0, math.inf, 0.0, 0.5, 1e300))
    # Counts whose log2(cpm + 1) lies next to an edge for a library size of a million.
    edge = float(random.choice([panel.low, panel.high, *edges]))
    return max(0.0, 2.0**edge - 1 + random.choice((-1, -1e-6, 0, 1e-6, 1)))


def _library_size(random: Random) -> float:
    if random.random() < 0.3:
        return random.choice((math.nan, 0.0, -5.0, math.inf, 1.0, 1e-300, 1e300))
    return random.choice((1e6, 1e6, 2e6, 3.5e7, 123_457.0))
