"""Programs and tables for the tests of sites, in every format that a site may have."""

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import isnan
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import sparse

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError
from secgen_dsl.ir.program import CategoryColumn, Counts, NumberColumn, Panel, Person, Program
from secgen_dsl.queries.table import SampleTable
from secgen_dsl.runtime.site.read import read_site
from secgen_dsl.runtime.site.report import ReadReport
from tests.site_programs import SEX, SUBTYPE, make_marginal, make_panel, make_program

KEY = b"a site's secret"
GENES = ("MLH1", "MSH2", "MSH6", "PMS2")
AGE = NumberColumn(
    kind="number",
    name="age",
    low=Fraction(0),
    high=Fraction(100),
    binning="at",
    reference="",
    edges=(Fraction(50),),
)


def program(
    *,
    samples: int = 1,
    per: str | None = None,
    keep: str | None = None,
    columns: Sequence[CategoryColumn | NumberColumn] = (SUBTYPE, SEX, AGE),
    panels: Sequence[Panel] | None = None,
) -> Program:
    if panels is None:
        panels = [make_panel(GENES)]
    one = make_program(
        [column for column in columns if isinstance(column, CategoryColumn)],
        panels,
        [make_marginal(["subtype"])],
    )
    person = Person(key="patient", samples=samples, per=per, keep=keep, silos=1, people_bound=1000)
    return one.model_copy(update={"columns": tuple(columns), "person": person})


def counted(panel: Panel, library_column: str | None, unit: str = "log2_cpm") -> Panel:
    return panel.model_copy(update={"unit": unit, "counts": Counts(library_column=library_column)})


@dataclass(frozen=True)
class Cohort:
    """Samples as a site may hold them: columns of texts, and a matrix of genes.

    Attributes:
        columns: name → texts; the first column names the samples.
        expression: gene → numbers.
    """

    columns: Mapping[str, Sequence[str]]
    expression: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def samples(self) -> Sequence[str]:
        return next(iter(self.columns.values()))

    def table(self) -> pd.DataFrame:
        return pd.DataFrame({**self.columns, **self.expression})

    def genes(self, dtype: str = "float64") -> pd.DataFrame:
        return pd.DataFrame(self.expression, index=list(self.samples), dtype=dtype)


def cohort(people: int = 12, seed: int = 0) -> Cohort:
    draw = np.random.default_rng(seed)
    return Cohort(
        {
            "sample": [f"s{number}" for number in range(people)],
            "patient": [f"p{number}" for number in range(people)],
            "subtype": draw.choice([*SUBTYPE.values, "", "other"], people).tolist(),
            "sex": draw.choice(["female", "male", "NA"], people).tolist(),
            "age": [f"{draw.integers(20, 90)}.5" for _ in range(people)],
            "collected": [f"20{draw.integers(10, 24)}-0{draw.integers(1, 9)}-11"] * people,
        },
        # Exact in float32.
        {gene: (draw.integers(-40, 800, people) / 32).tolist() for gene in GENES},
    )


def write_csv(path: Path, frame: pd.DataFrame, *, index: str | None = None) -> Path:
    """As .csv, .tsv or with .gz; ``index`` names the index, an empty text leaves it unnamed."""
    separator = "\t" if ".tsv" in path.name else ","
    text = frame.to_csv(
        sep=separator, index=index is not None, index_label=index or None, lineterminator="\n"
    )
    data = text.encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def write_parquet(path: Path, columns: Mapping[str, Any]) -> Path:
    pq.write_table(pa.table(dict(columns)), path)
    return path


def write_h5ad(
    path: Path, one: Cohort, kind: str = "dense", *, layer: str = "", **options: Any
) -> Path:
    values = one.genes("float32")
    matrix: Any = values.to_numpy()
    if kind != "dense":
        matrix = (sparse.csr_matrix if kind == "csr" else sparse.csc_matrix)(matrix)
    observations = pd.DataFrame(dict(one.columns), index=list(one.samples)).drop(
        columns=next(iter(one.columns))
    )
    stored = anndata.AnnData(
        matrix if not layer else matrix * 0,
        obs=observations,
        var=pd.DataFrame(index=list(values.columns)),
        layers={layer: matrix} if layer else None,
    )
    stored.write_h5ad(path, **options)
    return path


def toml(folder: Path, text: str) -> Path:
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    return path


def read(
    path: Path, one: Program | None = None, key: bytes = KEY
) -> tuple[SampleTable, ReadReport]:
    return read_site(one or program(), path, key, "north")


def faults(path: Path, one: Program | None = None) -> tuple[Diagnostic, ...]:
    """What stops the site: each with a place and a next step."""
    with pytest.raises(SecgenError) as raised:
        read(path, one)
    for fault in raised.value.diagnostics:
        assert fault.where().startswith(str(path.parent))
        assert fault.next_step
        assert fault.severity == "error"
    return raised.value.diagnostics


def fault(path: Path, one: Program | None = None) -> Diagnostic:
    (only,) = faults(path, one)
    return only


def samples_of(table: SampleTable) -> list[tuple[object, ...]]:
    """The rows as tuples, in an order of their own; NaN as None."""
    columns = [
        column.tolist()
        for group in (table.categories, table.numbers, table.expression, table.library_sizes)
        for _, column in sorted(group.items())
    ]
    rows = [
        tuple(None if isinstance(value, float) and isnan(value) else value for value in row)
        for row in zip(*columns, strict=True)
    ]
    return sorted(rows, key=repr)
