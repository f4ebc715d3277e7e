"""Small studies with known people, and their opened values under seeded noise.

The planner is no part of these tests: noise is given, and drawn by numpy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.plan import (
    MERSENNE_61,
    LinearMap,
    Measurement,
    Measurements,
    Plan,
    Release,
    Round,
)
from secgen_dsl.ir.program import (
    CategoryColumn,
    Marginal,
    Panel,
    Person,
    Privacy,
    Program,
    Reference,
    SampleRelease,
    Silo,
    Terms,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def column(name: str, *values: str) -> CategoryColumn:
    return CategoryColumn(kind="category", name=name, values=values, otherwise=None)


def panel(name: str, genes: Sequence[str], unit: str = "log2", high: int = 20) -> Panel:
    return Panel(
        name=name,
        unit=unit,
        low=Fraction(0),
        high=Fraction(high),
        genes=tuple(genes),
        list_sha256="",
    )


def marginal(
    columns: Sequence[str],
    panel: str | None = None,
    edges: Sequence[Sequence[float]] = (),
    reference: str = "",
) -> Marginal:
    binning: Literal["none", "at", "reference"] = "none"
    if panel is not None:
        binning = "reference" if reference else "at"
    name = "*".join([*columns, *([panel] if panel else [])])
    return Marginal(
        kind="marginal",
        id=name,
        statement=f"marginal {name}",
        columns=tuple(columns),
        panel=panel,
        bins=len(edges[0]) + 1 if edges else 1,
        binning=binning,
        reference=reference,
        edges=tuple(tuple(Fraction(str(e)) for e in gene) for gene in edges),
        weight=Fraction(1),
    )


def program(
    columns: Sequence[CategoryColumn],
    marginals: Sequence[Marginal],
    panels: Sequence[Panel] = (),
    references: Sequence[Reference] = (),
) -> Program:
    return Program(
        format="secgen.program/1",
        silos=tuple(Silo(name=n, terms=Terms(kind="open", reference="")) for n in "abc"),
        helpers=(),
        tolerated=1,
        person=Person(key="patient", samples=1, silos=1, people_bound=1000),
        columns=tuple(columns),
        references=tuple(references),
        panels=tuple(panels),
        privacy=Privacy(
            adjacency="add-or-remove", epsilon=Fraction(4), delta=Fraction(1, 1_000_000)
        ),
        marginals=tuple(marginals),
        samples=SampleRelease(rows=100, audience="public", formats=("csv", "h5ad")),
        measurements="silos",
    )


def plan_of(
    study: Program,
    variances: Sequence[int],
    maps: Sequence[LinearMap] | None = None,
    added: Sequence[Marginal] = (),
) -> Plan:
    """A plan that measures all marginals; ``variances`` are of a raw cell as released."""
    marginals = [*study.marginals, *added]
    releases = []
    for item, variance, how in zip(
        marginals, variances, maps or ["identity"] * len(marginals), strict=True
    ):
        tables, labels, bins = study.shape(item)
        kept = bins - 1 if how == "centred" else bins
        releases.append(
            Release(
                marginal=item.id,
                map=how,
                tables=tables,
                raw_cells=tables * labels * bins,
                opened=tables * labels * kept,
                sensitivity_squared=Fraction(tables),
                variance=Fraction(2 * variance, 3),
                party_variance=Fraction(variance, 3),
            )
        )
    return Plan(
        format="secgen.plan/1",
        program=study,
        added=tuple(added),
        parties=("a", "b", "c"),
        threshold=1,
        modulus=MERSENNE_61,
        rounds=(Round(number=1, releases=tuple(releases)),),
        openings=(),
    )


@dataclass(frozen=True)
class People:
    """codes: column → indices of values; expression: gene → values."""

    codes: dict[str, Integers]
    expression: dict[str, Floats]

    @property
    def number(self) -> int:
        return int(next(iter(self.codes.values())).size)


def raw_counts(study: Program, item: Marginal, people: People) -> Integers:
    """Exact counts of shape (tables, labels, bins), by a plain loop over the people."""
    counts = np.zeros(study.shape(item), dtype=np.int64)
    for table in range(counts.shape[0]):
        for person in range(people.number):
            cell = 0
            for name in item.columns:
                cell = cell * len(study.column(name).values) + int(people.codes[name][person])
            number = 0
            if item.panel is not None:
                gene = study.panel(item.panel).genes[table]
                value = people.expression[gene][person]
                number = sum(float(edge) <= value for edge in item.edges[table])
            counts[table, cell, number] += 1
    return counts


def measure(plan: Plan, people: People, rng: np.random.Generator | None) -> Measurements:
    """Opened values; without a generator there is no noise."""
    opened = []
    for release in plan.releases():
        item = plan.marginal(release.marginal)
        cells = raw_counts(plan.program, item, people)
        if rng is not None:
            deviation = float(plan.released_variance(release)) ** 0.5
            cells = cells + np.rint(rng.normal(0, deviation, cells.shape)).astype(np.int64)
        if release.map == "centred":
            cells = (item.bins * cells - cells.sum(axis=2, keepdims=True))[:, :, :-1]
        values = tuple(int(v) for v in cells.ravel())
        opened.append(Measurement(marginal=item.id, values=values))
    return Measurements(
        format="secgen.measurements/1", plan_sha256=sha256_of(plan), measurements=tuple(opened)
    )
