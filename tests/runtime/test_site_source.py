"""Library sizes are exact; cells become texts and numbers without loss; content never stops."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from secgen_dsl.runtime.site.source import (
    LARGEST_COUNT,
    ExactSums,
    moment_of,
    number_of,
    text_of,
)
from tests.runtime.studies import counted, program, read, write_parquet
from tests.site_programs import SEX, SUBTYPE, make_panel

ANY = st.floats() | st.floats(0, 1) | st.integers(0, 2**45).map(float)


def exact_sum(counts: list[float]) -> float:
    total = sum(Fraction(c) for c in counts if 0 <= c <= LARGEST_COUNT)
    return float(total) if total else float("nan")


@given(st.lists(st.lists(ANY, min_size=3, max_size=3), min_size=1, max_size=6), st.data())
def test_sums_are_exact_in_any_order_and_split(
    rows: list[list[float]], data: st.DataObject
) -> None:
    matrix = np.array(rows, dtype=np.float64)
    expected = [exact_sum(row) for row in rows]
    order = data.draw(st.permutations(range(3)))
    cut = data.draw(st.integers(0, 3))
    dense = ExactSums(len(rows))
    for part in (matrix[:, order[:cut]], matrix[:, order[cut:]]):
        for row in range(len(rows)):
            dense.add(part[row : row + 1], slice(row, row + 1))
    np.testing.assert_array_equal(dense.totals(), expected)
    sparse = ExactSums(len(rows))
    places = np.repeat(np.arange(len(rows)), 3)
    sparse.add_sparse(matrix.ravel(), places)
    np.testing.assert_array_equal(sparse.totals(), expected)


def test_a_sum_that_floats_get_wrong() -> None:
    counts = np.array([[2.0**40, 2.0**-40, 0.1, 5e-324, -1, np.inf, np.nan, 2.0**41]])
    sums = ExactSums(1)
    sums.add(counts)
    assert sums.totals().tolist() == [exact_sum(counts[0].tolist())]
    many = ExactSums(1)
    many.add(np.full((1, 100_000), 0.1))
    assert many.totals()[0] == float(100_000 * Fraction(0.1)) != np.full(100_000, 0.1).cumsum()[-1]


@pytest.mark.parametrize(
    ("value", "text", "number"),
    [
        (" a ", "a", None), ("1_0", "1_0", None), (None, "", None), (float("nan"), "", None),
        (3.0, "3", 3.0), (-0.0, "0", 0.0), (0.1, "0.1", 0.1),
        (2.0**53, "9007199254740992.0", 2.0**53),
        (np.float32(0.1), "0.1", float(np.float32(0.1))), (np.float16(2), "2", 2.0),
        (2**62 + 1, "4611686018427387905", 2.0**62), (True, "True", 1.0),
        (Decimal("1.50"), "1.50", 1.5), (float("inf"), "inf", float("inf")),
        (np.int8(-3), "-3", -3.0), (np.datetime64("2020-01-01"), "2020-01-01", None),
    ],
)  # fmt: skip
def test_cells(value: Any, text: str, number: float | None) -> None:
    assert text_of(value) == text
    found = number_of(value)
    assert np.isnan(found) if number is None else found == number


@given(st.text(max_size=40) | st.datetimes().map(str) | st.floats().map(repr))
def test_every_text_is_a_moment(text: str) -> None:
    kind, value = moment_of(text)
    assert kind in (0, 1, 2)
    assert value == value  # noqa: PLR0124 (NaN would not sort)


# Content of typed files never stops a site

ROWS = 3
ONE = program(
    samples=2, per="subtype", keep="day", columns=[SUBTYPE, SEX],
    panels=[counted(make_panel(["A1", "B1"]), "depth")],
)  # fmt: skip
NAMES = ["patient", "sample", "subtype", "sex", "day", "depth", "A1", "B1"]
ODD_TEXTS = st.sampled_from(["", "NA", "CIN", "male", "1", "x" * 300, "é"]) | st.text(max_size=5)
LONGS = st.integers(-(2**63), 2**63 - 1)


def three(cells: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(cells, min_size=ROWS, max_size=ROWS)


def arrow(kind: pa.DataType, cells: st.SearchStrategy[Any]) -> st.SearchStrategy[pa.Array]:
    return three(st.none() | cells).map(lambda column: pa.array(column, kind))


ARROW_COLUMNS = st.one_of(
    arrow(pa.string(), ODD_TEXTS),
    arrow(pa.float64(), st.floats()),
    arrow(pa.float32(), st.floats(width=32)),
    arrow(pa.int64(), LONGS),
    arrow(pa.bool_(), st.booleans()),
    arrow(pa.decimal128(9, 2), st.decimals(-99, 99, places=2)),
    arrow(pa.timestamp("ms"), LONGS),
    arrow(pa.timestamp("ns", "Europe/Oslo"), LONGS),
    arrow(pa.date32(), st.integers(-(2**31), 2**31 - 1)),
    arrow(pa.binary(), st.binary(max_size=4)),
    arrow(pa.null(), st.none()),
)


@given(st.fixed_dictionaries(dict.fromkeys(NAMES, ARROW_COLUMNS)))
def test_parquet_content_never_stops(
    tmp_path_factory: pytest.TempPathFactory, columns: Mapping[str, pa.Array]
) -> None:
    path = write_parquet(tmp_path_factory.mktemp("any") / "t.parquet", columns)
    table, report = read(path, ONE)
    assert table.rows == report.samples <= ROWS


SERIES = st.one_of(
    three(ODD_TEXTS.filter(lambda text: "\0" not in text)),
    arrays.arrays(np.float32, ROWS),
    arrays.arrays(np.int64, ROWS),
    arrays.arrays(np.bool_, ROWS),
    three(st.none() | st.integers(0, 9)).map(lambda cells: pd.array(cells, dtype="Int64")),
    three(st.none() | st.sampled_from(["CIN", "odd", "1.0"])).map(pd.Categorical),
)


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
@given(
    st.fixed_dictionaries(dict.fromkeys(NAMES[:-2], SERIES)),
    arrays.arrays(np.float32, (ROWS, 2)),
    three(st.sampled_from(["s1", "s2", ""])),
)
def test_h5ad_content_never_stops(
    tmp_path_factory: pytest.TempPathFactory,
    columns: Mapping[str, Any],
    values: Any,
    names: list[str],
) -> None:
    path = tmp_path_factory.mktemp("any") / "t.h5ad"
    observations = pd.DataFrame(dict(columns))
    observations.index = pd.Index(names)
    genes = pd.DataFrame(index=["A1", "B1"])
    anndata.AnnData(values, obs=observations, var=genes).write_h5ad(path)
    table, report = read(path, ONE)
    assert table.rows == report.samples <= ROWS


LINES = st.lists(st.text(st.characters(exclude_characters="\n"), max_size=30), max_size=6)


@given(LINES)
def test_lines_of_a_text_file_never_stop(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    path = tmp_path_factory.mktemp("any") / "t.csv"
    text = "\n".join([",".join(NAMES), "p" + "," * 7, *lines])
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    table, report = read(Path(path), ONE)
    assert table.rows == report.samples
