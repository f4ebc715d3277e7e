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
    GaussianNoise,
    LinearMap,
    Measurement,
    Measurements,
    Plan,
    Release,
    Round,
)
from secgen_dsl.ir.program import (
    Audience,
    Bridge,
    CategoryColumn,
    Column,
    NumberColumn,
    Panel,
    Person,
    Privacy,
    Program,
    Reference,
    SampleRelease,
    Silo,
    Terms,
)
from secgen_dsl.ir.queries import Importance, Marginal, PairMarginal, Query

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ORDINARY = Importance(weight=Fraction(1), share=None, error=None)


def column(name: str, *values: str) -> CategoryColumn:
    return CategoryColumn(kind="category", name=name, values=values, otherwise=None)


def number(
    name: str, low: str, high: str, edges: Sequence[str], reference: str = ""
) -> NumberColumn:
    return NumberColumn(
        kind="number",
        name=name,
        low=Fraction(low),
        high=Fraction(high),
        binning="reference" if reference else "at",
        reference=reference,
        edges=tuple(Fraction(edge) for edge in edges),
    )


def reference(
    name: str, unit: str = "log2", sha256: str = "0" * 64, aligned_by: str = ""
) -> Reference:
    return Reference(name=name, unit=unit, sha256=sha256, provenance="", aligned_by=aligned_by)


def panel(name: str, genes: Sequence[str], unit: str = "log2", high: int = 20) -> Panel:
    return Panel(
        name=name,
        unit=unit,
        counts=None,
        low=Fraction(0),
        high=Fraction(high),
        missing=None,
        genes=tuple(genes),
        list_sha256="",
    )


def marginal(
    columns: Sequence[str],
    panel: str | None = None,
    edges: Sequence[Sequence[float]] = (),
    reference: str = "",
    gene: str | None = None,
) -> Marginal:
    binning: Literal["none", "at", "reference"] = "none"
    if panel is not None:
        binning = "reference" if reference else "at"
    name = "*".join([*columns, *([f"{panel}.{gene}" if gene else panel] if panel else [])])
    return Marginal(
        kind="marginal",
        id=name,
        statement=f"marginal {name}",
        columns=tuple(columns),
        panel=panel,
        gene=gene,
        bins=len(edges[0]) + 1 if edges else 1,
        binning=binning,
        reference=reference,
        edges=tuple(tuple(Fraction(str(e)) for e in gene) for gene in edges),
        learned=None,
        importance=ORDINARY,
    )


def gene_pairs(
    panel: str,
    genes: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    edges: Sequence[Sequence[float]],
    reference: str = "",
    columns: Sequence[str] = (),
) -> PairMarginal:
    return PairMarginal(
        kind="pairs",
        id="*".join([*columns, f"pairs of {panel}"]),
        statement=f"marginal {' * '.join([*columns, f'pairs of {panel}'])}",
        columns=tuple(columns),
        panel=panel,
        sets="",
        set_names=(),
        keep=None,
        keep_by="",
        genes=tuple(genes),
        pairs=tuple(pairs),
        bins=len(edges[0]) + 1,
        binning="reference" if reference else "at",
        reference=reference,
        edges=tuple(tuple(Fraction(str(e)) for e in gene) for gene in edges),
        importance=ORDINARY,
    )


def program(
    columns: Sequence[Column],
    marginals: Sequence[Query],
    panels: Sequence[Panel] = (),
    references: Sequence[Reference] = (),
    bridges: Sequence[Bridge] = (),
) -> Program:
    terms = Terms(kind="open", reference="", approval="")
    return Program(
        format="secgen.program/3",
        silos=tuple(Silo(name=n, terms=terms) for n in "abc"),
        helpers=(),
        tolerated=1,
        person=Person(key="patient", samples=1, per=None, keep=None, silos=1, people_bound=1000),
        columns=tuple(columns),
        references=tuple(references),
        bridges=tuple(bridges),
        sets=(),
        panels=tuple(panels),
        privacy=Privacy(
            adjacency="add-or-remove",
            epsilon=Fraction(4),
            delta=Fraction(1, 1_000_000),
            mechanism="gaussian",
        ),
        expectations=(),
        queries=tuple(marginals),
        samples=SampleRelease(
            rows=100, audience=Audience(kind="public", name=""), formats=("csv", "h5ad")
        ),
        measurements=Audience(kind="silos", name=""),
    )


def plan_of(
    study: Program,
    variances: Sequence[int],
    maps: Sequence[LinearMap] | None = None,
    added: Sequence[Marginal] = (),
) -> Plan:
    """A plan that measures all marginals; ``variances`` are of a raw cell as released."""
    marginals = [*study.queries, *added]
    releases = []
    for item, variance, how in zip(
        marginals, variances, maps or ["identity"] * len(marginals), strict=True
    ):
        tables, labels, bins = study.shape(item)
        opened = {
            "identity": labels * bins,
            "centred": labels * (bins - 1),
            "double-centred": labels // bins * (bins - 1) ** 2,
        }
        releases.append(
            Release(
                query=item.id,
                map=how,
                tables=tables,
                raw_cells=tables * labels * bins,
                halved=0,
                opened=tables * opened[how],
                noise=GaussianNoise(
                    kind="gaussian",
                    sensitivity_squared=Fraction(tables),
                    variance=Fraction(2 * variance, 3),
                    party_variance=Fraction(variance, 3),
                ),
            )
        )
    return Plan(
        format="secgen.plan/3",
        program=study,
        added=tuple(added),
        parties=("a", "b", "c"),
        threshold=1,
        modulus=MERSENNE_61,
        rounds=(Round(number=1, delay=0, releases=tuple(releases)),),
        openings=(),
    )


@dataclass(frozen=True)
class People:
    """codes: column → indices of values (or bins); expression: gene → values."""

    codes: dict[str, Integers]
    expression: dict[str, Floats]

    @property
    def number(self) -> int:
        held = self.codes or self.expression
        return int(next(iter(held.values())).size)


def raw_counts(study: Program, item: Query, people: People) -> Integers:
    """Exact counts of shape (tables, labels, bins), by a plain loop over the people."""
    counts = np.zeros(study.shape(item), dtype=np.int64)
    genes = study.genes(item)

    def bin_of(gene: int, person: int) -> int:
        value = people.expression[genes[gene]][person]
        return sum(float(edge) <= value for edge in item.edges[gene])

    for table in range(counts.shape[0]):
        for person in range(people.number):
            cell = 0
            for name in item.columns:
                cell = cell * len(study.column(name).values) + int(people.codes[name][person])
            if isinstance(item, PairMarginal):
                first, second = item.pairs[table]
                row = cell * item.bins + bin_of(first, person)
                counts[table, row, bin_of(second, person)] += 1
                continue
            counts[table, cell, bin_of(table, person) if genes else 0] += 1
    return counts


def measure(plan: Plan, people: People, rng: np.random.Generator | None) -> Measurements:
    """Opened values; without a generator there is no noise."""
    opened = []
    for release in plan.releases():
        item = plan.query(release.query)
        cells = raw_counts(plan.program, item, people)
        if rng is not None:
            deviation = float(plan.released_variance(release)) ** 0.5
            cells = cells + np.rint(rng.normal(0, deviation, cells.shape)).astype(np.int64)
        if release.map == "centred":
            cells = (item.bins * cells - cells.sum(axis=2, keepdims=True))[:, :, :-1]
        elif release.map == "double-centred":
            cells = cells.reshape(-1, item.bins, item.bins)
            rows, columns = cells.sum(axis=2, keepdims=True), cells.sum(axis=1, keepdims=True)
            mapped = item.bins**2 * cells - item.bins * (rows + columns)
            cells = (mapped + cells.sum(axis=(1, 2), keepdims=True))[:, :-1, :-1]
        values = tuple(int(v) for v in cells.ravel())
        opened.append(Measurement(query=item.id, values=values))
    return Measurements(
        format="secgen.measurements/2", plan_sha256=sha256_of(plan), measurements=tuple(opened)
    )
