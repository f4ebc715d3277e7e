"""Programs, plans, tables and noise sources that the tests of the sites' part share."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.plan import MERSENNE_61, GaussianNoise, LinearMap, Opening, Plan, Release, Round
from secgen_dsl.ir.program import (
    Audience,
    CategoryColumn,
    Panel,
    Person,
    Privacy,
    Program,
    Silo,
    Terms,
)
from secgen_dsl.ir.queries import Importance, Marginal
from secgen_dsl.queries.table import SampleTable

PLAIN = Importance(weight=Fraction(1), share=None, error=None)
SUBTYPE = CategoryColumn(
    kind="category", name="subtype", values=("CIN", "GS", "MSI", "unknown"), otherwise="unknown"
)
SEX = CategoryColumn(kind="category", name="sex", values=("female", "male"), otherwise=None)
GRADE = CategoryColumn(kind="category", name="grade", values=("0", "1", "2.5"), otherwise=None)


def make_panel(
    genes: Sequence[str], low: Fraction = Fraction(0), high: Fraction = Fraction(20)
) -> Panel:
    return Panel(
        name="panel",
        unit="log2",
        counts=None,
        low=low,
        high=high,
        missing=None,
        genes=tuple(genes),
        list_sha256="",
    )


def make_marginal(
    columns: Sequence[str],
    panel: Panel | None = None,
    edges: Sequence[Sequence[Fraction]] = (),
    marginal_id: str = "",
) -> Marginal:
    """A marginal; ``edges`` holds one row for each gene of the panel."""
    names = (*columns, *([panel.name] if panel else []))
    return Marginal(
        kind="marginal",
        id=marginal_id or "*".join(names),
        statement="marginal " + " * ".join(names),
        columns=tuple(columns),
        panel=panel.name if panel else None,
        gene=None,
        bins=len(edges[0]) + 1 if panel else 1,
        binning="at" if panel else "none",
        reference="",
        edges=tuple(tuple(row) for row in edges),
        learned=None,
        importance=PLAIN,
    )


def make_program(
    columns: Sequence[CategoryColumn],
    panels: Sequence[Panel],
    marginals: Sequence[Marginal],
    *,
    silos: Sequence[str] = ("north", "south", "west"),
    helpers: Sequence[str] = (),
    key: str = "patient",
) -> Program:
    return Program(
        format="secgen.program/3",
        silos=tuple(
            Silo(name=name, terms=Terms(kind="open", reference="", approval="")) for name in silos
        ),
        helpers=tuple(helpers),
        tolerated=1,
        person=Person(key=key, samples=1, per=None, keep=None, silos=1, people_bound=1000),
        columns=tuple(columns),
        references=(),
        bridges=(),
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
        samples=None,
        measurements=Audience(kind="silos", name=""),
    )


def sensitivity_squared(tables: int, bins: int, linear_map: LinearMap) -> Fraction:
    """What a plan declares: T, or T·(1 − 1/B) once centred (PRIVACY 1.3)."""
    return Fraction(tables) * (1 if linear_map == "identity" else 1 - Fraction(1, bins))


def make_plan(program: Program, maps: Mapping[str, LinearMap], party_variance: Fraction) -> Plan:
    """One round that measures every marginal of the program."""
    releases = []
    for marginal in program.queries:
        tables, labels, bins = program.shape(marginal)
        linear_map = maps.get(marginal.id, "identity")
        releases.append(
            Release(
                query=marginal.id,
                map=linear_map,
                tables=tables,
                raw_cells=tables * labels * bins,
                halved=0,
                opened=tables * labels * (bins if linear_map == "identity" else bins - 1),
                noise=GaussianNoise(
                    kind="gaussian",
                    sensitivity_squared=sensitivity_squared(tables, bins, linear_map),
                    variance=party_variance * (len(program.parties) - program.tolerated),
                    party_variance=party_variance,
                ),
            )
        )
    return Plan(
        format="secgen.plan/3",
        program=program,
        added=(),
        parties=program.parties,
        threshold=program.tolerated,
        modulus=MERSENNE_61,
        rounds=(Round(number=1, delay=0, releases=tuple(releases)),),
        openings=tuple(
            Opening(round=1, query=release.query, values=release.opened, recipients="parties")
            for release in releases
        ),
    )


def make_table(
    labels: Mapping[str, Iterable[str]], expression: Mapping[str, Iterable[float]]
) -> SampleTable:
    categories = {name: np.array(list(texts), dtype=np.str_) for name, texts in labels.items()}
    values = {
        gene: np.array(list(numbers), dtype=np.float64) for gene, numbers in expression.items()
    }
    lengths = {len(column) for column in (*categories.values(), *values.values())}
    (people,) = lengths
    return SampleTable(rows=people, categories=categories, expression=values)


def rows_of(table: SampleTable, rows: Sequence[int] | NDArray[np.int64]) -> SampleTable:
    """The table of some of its people, in the given order."""
    chosen = np.asarray(rows, dtype=np.int64)
    return SampleTable(
        rows=len(chosen),
        categories={name: texts[chosen] for name, texts in table.categories.items()},
        expression={gene: values[chosen] for gene, values in table.expression.items()},
    )


@dataclass
class RecordingNoise:
    """Hands out distinct known integers and remembers every request and answer."""

    start: int = 1
    requests: list[tuple[str, int, Fraction]] = field(default_factory=list)
    answers: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    def draw(self, marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
        self.requests.append((marginal, cells, variance))
        # Squares: no two stretches of them differ by a constant, so a reused one is noticed.
        noise = np.arange(self.start, self.start + cells, dtype=np.int64) ** 2
        self.start += cells
        self.answers[marginal] = noise
        return noise


class NoNoise:
    """Zeros: shows the exact sums, in tests only."""

    def draw(self, marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
        return np.zeros(cells, dtype=np.int64)
