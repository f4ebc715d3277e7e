"""The twenty-gene study of the trials: a real spec, planned and verified by the real compiler."""

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.cli.study import PlannedStudy, plan_source
from secgen_dsl.diagnostics.diagnostic import Source
from secgen_dsl.ir.plan import Plan, Release
from secgen_dsl.ir.queries import Query
from secgen_dsl.queries.table import SampleTable
from tests.conftest import ROOT

GENES = tuple(f"GENE{number}" for number in range(20))
LABELS = ("female", "male")

TWENTY_GENES = f"""secgen 1
study "Twenty genes" {{ purpose "Trials of the noise"; contact "nobody@consortium.example" }}
silos hold patients {{ north terms open; south terms open; west terms open }}
trust {{ tolerate 1 colluding party }}
person {{ key patient; at most 1 sample; in at most 1 silo; at most 1000 people in all }}
columns {{ sex category {{ female, male }} }}
panel few  expression log2 0..20 {{ {", ".join(GENES)} }}
privacy {{ add or remove one person; epsilon 3; delta 1e-5 }}
measure {{ marginal sex * few in 3 equal bins }}
release {{ measurements to silos }}
"""

PROMISED_MU = 0.7191
"""μ of ε = 3 at δ = 10⁻⁵, from the table of PRIVACY 1.2 and not from any code under trial."""


@cache
def twenty_genes() -> PlannedStudy:
    """One centred release of twenty gene tables, one plain histogram of their labels; m = 3, t = 1.

    Neither stands at the floor of its noise, so that the whole budget is spent.
    """
    return plan_source(Source("spec.secgen", TWENTY_GENES), Path())


REPAIR = ("MLH1", "MSH2", "MSH6", "EPCAM")

OTHER_KINDS = {
    "moments": ("moments repair by sex in 3 factors from elsewhere", "epsilon 3; delta 1e-5"),
    "learned bins": (
        "marginal sex * repair in 3 learned bins from elsewhere",
        "epsilon 3; delta 1e-5",
    ),
    "laplace": (
        "marginal sex; marginal sex * repair.MLH1 in 3 equal bins",
        "epsilon 1; delta 0; mechanism laplace",
    ),
}
"""Name → statements, and budget."""


@cache
def study_of(kind: str) -> PlannedStudy:
    """A study of four genes: clipped vectors, two rounds, or Laplace noise; m = 3, t = 1."""
    measure, budget = OTHER_KINDS[kind]
    text = f"""secgen 1
study "Trial" {{ purpose "Trials of the noise"; contact "nobody@consortium.example" }}
silos hold patients {{ north terms open; south terms open; west terms open }}
trust {{ tolerate 1 colluding party }}
person {{ key patient; at most 1 sample; in at most 1 silo; at most 1000 people in all }}
columns {{ sex category {{ female, male }} }}
public elsewhere from "specs/data/colorectal_reference.csv.gz" log2 "TCGA, other regions"
panel repair expression log2 0..20 {{ {", ".join(REPAIR)} }}
privacy {{ add or remove one person; {budget} }}
measure {{ {measure} }}
release {{ measurements to silos }}
"""
    return plan_source(Source("spec.secgen", text), ROOT)


def query_of(plan: Plan, release: Release) -> Query:
    """What a release measures."""
    return plan.query(release.query)


def some_people(count: int, seed: int, genes: Sequence[str] = GENES) -> SampleTable:
    """Invented people of one of these studies, some of them with a missing value."""
    draw = np.random.default_rng(seed)
    values = draw.uniform(0, 20, (len(genes), count))
    values[draw.random(values.shape) < 0.02] = np.nan
    return SampleTable(
        rows=count,
        categories={"sex": draw.choice(LABELS, count).astype(np.str_)},
        expression=dict(zip(genes, values, strict=True)),
    )


def with_people(
    table: SampleTable, labels: Sequence[str], values: Sequence[float] | NDArray[np.float64]
) -> SampleTable:
    """The table and, behind its people, one more for each label, with a value for every gene."""
    return SampleTable(
        rows=table.rows + len(labels),
        categories={
            name: np.concatenate([texts, np.array(labels, dtype=np.str_)])
            for name, texts in table.categories.items()
        },
        expression={
            gene: np.concatenate([old, np.full(len(labels), value, dtype=np.float64)])
            for (gene, old), value in zip(table.expression.items(), values, strict=True)
        },
    )


def party_variances(plan: Plan) -> dict[str, Fraction]:
    """Release → σᵢ², what every party draws for one raw cell."""
    return {query_of(plan, release).id: release.noise.party_variance for release in plan.releases()}
