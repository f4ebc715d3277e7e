"""log2(cpm + 1) of counts: bins by exact integer comparison."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secgen_dsl.ir.program import Counts, Panel
from secgen_dsl.ir.queries import PairMarginal
from secgen_dsl.queries.contribution import raw_cells
from secgen_dsl.queries.counts import count_codes, counts_per_million
from secgen_dsl.queries.expression import expression_codes
from secgen_dsl.queries.labels import NO_CELL
from secgen_dsl.queries.table import SampleTable
from tests.site_programs import PLAIN, make_panel, make_program

BULK = make_panel(["A", "B"], Fraction(0), Fraction(16)).model_copy(
    update={"unit": "log2_cpm", "counts": Counts(library_column="total")}
)
EDGES = (Fraction(2), Fraction(5), Fraction(9))


def table(counts: list[float], sizes: list[float]) -> SampleTable:
    values = np.array(counts, dtype=np.float64)
    return SampleTable(
        rows=len(counts),
        categories={},
        expression={"A": values, "B": values},
        library_sizes={"panel": np.array(sizes, dtype=np.float64)},
    )


def oracle(count: float, size: float, edges: tuple[Fraction, ...], panel: Panel) -> int:
    """The same comparison over exact rationals, sample by sample."""
    found = 0
    for edge in edges:
        if edge <= panel.low:
            found += 1
        else:
            limit = counts_per_million(edge)
            found += Fraction(count) * 10**6 >= Fraction(size) * limit
    return found


SIZES = st.integers(1, 10**8).map(float) | st.floats(0.1, 1e12)
COUNTS = st.integers(0, 10**6).map(float) | st.floats(0, 1e9)


@given(st.lists(st.tuples(COUNTS, SIZES), min_size=1, max_size=30))
def test_bins_of_counts_equal_the_exact_ones(rows: list[tuple[float, float]]) -> None:
    counts, sizes = (np.array(column) for column in zip(*rows, strict=True))
    codes, missing = count_codes(counts, sizes, EDGES, BULK)
    assert not missing.any()
    assert codes.tolist() == [oracle(c, s, EDGES, BULK) for c, s in rows]


@given(st.integers(1, 10**7), st.sampled_from(EDGES))
def test_counts_on_an_edge_belong_to_the_bin_above_it(scale: int, edge: Fraction) -> None:
    # A library of 10⁶·n with τ·n counts lies on the edge exactly.
    limit = counts_per_million(edge)
    size, count = float(10**6 * limit.denominator * scale), limit.numerator * scale
    if count >= 2**53 or size >= 2**53:
        return
    at, _ = count_codes(np.array([float(count)]), np.array([size]), (edge,), BULK)
    below, _ = count_codes(np.array([float(count - 1)]), np.array([size]), (edge,), BULK)
    assert (int(at[0]), int(below[0])) == (1, 0)


@given(st.fractions(0, 60, max_denominator=10_000))
def test_thresholds_are_the_rounded_powers(edge: Fraction) -> None:
    assert float(counts_per_million(edge)) == pytest.approx(
        2 ** float(edge) - 1, abs=1e-5, rel=1e-9
    )


def test_missing_counts_and_sizes() -> None:
    nan, inf = math.nan, math.inf
    counts = [nan, inf, -1.0, 5.0, 5.0, 5.0, 5.0, 5.0]
    sizes = [1e6, 1e6, 1e6, nan, inf, 0.0, -1.0, 1e6]
    codes = expression_codes(BULK, "A", EDGES, table(counts, sizes))
    assert codes.tolist() == [NO_CELL] * 7 + [1]
    filled = BULK.model_copy(update={"missing": Fraction(6)})
    assert expression_codes(filled, "A", EDGES, table(counts, sizes)).tolist() == [2] * 7 + [1]


def test_missing_is_stands_for_values_in_the_unit_too() -> None:
    panel = make_panel(["A"]).model_copy(update={"missing": Fraction(0)})
    one = SampleTable(2, {}, {"A": np.array([math.nan, 6.0])})
    assert expression_codes(panel, "A", EDGES, one).tolist() == [0, 2]


PAIRS = PairMarginal(
    kind="pairs",
    id="pairs of panel",
    statement="",
    columns=(),
    panel="panel",
    sets="",
    set_names=(),
    keep=None,
    keep_by="",
    genes=("A", "B", "C"),
    pairs=((0, 1), (1, 2)),
    bins=3,
    binning="at",
    reference="",
    edges=((Fraction(5), Fraction(10)),) * 3,
    importance=PLAIN,
)

NUMBERS = st.floats(-5, 25) | st.sampled_from([math.nan, math.inf, -math.inf, 5.0, 10.0])


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), max_size=20))
def test_pairs_count_each_sample_once_in_each_table(rows: list[tuple[float, float, float]]) -> None:
    panel = make_panel(["A", "B", "C"])
    program = make_program([], [panel], [PAIRS])
    columns = np.array(rows, dtype=np.float64).reshape(len(rows), 3).T
    people = SampleTable(len(rows), {}, dict(zip("ABC", columns, strict=True)))
    expected = np.zeros((2, 3, 3), dtype=np.int64)

    def code(value: float) -> int | None:
        return None if math.isnan(value) else (value >= 5) + (value >= 10)

    for row in rows:
        for number, (i, j) in enumerate(PAIRS.pairs):
            first, second = code(row[i]), code(row[j])
            if first is not None and second is not None:
                expected[number, first, second] += 1
    assert (raw_cells(program, PAIRS, people) == expected).all()
