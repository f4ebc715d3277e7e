"""T1: what one person changes is bounded exactly; the cells are what their definition says."""

import math
import time
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from secgen_dsl.ir.base import Node
from secgen_dsl.ir.labels import label_key
from secgen_dsl.ir.plan import LinearMap
from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import Marginal
from secgen_dsl.queries.contribution import encode, raw_cells
from secgen_dsl.queries.maps import apply_map
from secgen_dsl.queries.table import SampleTable, empty_table
from tests.site_programs import (
    GRADE,
    SEX,
    SUBTYPE,
    make_marginal,
    make_panel,
    make_program,
    make_table,
    rows_of,
    sensitivity_squared,
)

COLUMNS = (SUBTYPE, SEX, GRADE)
GENES = ("A", "B", "C")
PANEL = make_panel(GENES)
# Ties on purpose: edges on the range, a repeated edge, edges that no float64 equals.
EDGES = (
    (Fraction(5), Fraction(10), Fraction(15)),
    (Fraction(1, 10), Fraction(1, 10), Fraction(20)),
    (Fraction(0), Fraction(3, 10), Fraction(61, 3)),
)
MARGINALS = (
    make_marginal(["subtype"]),
    make_marginal(["sex", "grade", "subtype"]),
    make_marginal([], PANEL, EDGES),
    make_marginal(["subtype"], PANEL, EDGES),
    make_marginal(["grade", "sex"], PANEL, EDGES),
)
PROGRAM = make_program(COLUMNS, [PANEL], MARGINALS)

odd_numbers = st.sampled_from(
    [math.nan, math.inf, -math.inf, -0.0, 0.0, 0.1, 0.3, 5.0, 10.0, 15.0, 20.0, 20.5, -1.0, 5e-324]
    + [math.nextafter(edge, side) for edge in (0.1, 0.3, 5.0, 20.0) for side in (-99.0, 99.0)]
)
texts = {
    "subtype": st.sampled_from([*SUBTYPE.values, "", "HM-SNV", " MSI ", "cin", "\x00", "💉"]),
    "sex": st.sampled_from([*SEX.values, "", "Male", "other"]),
    "grade": st.sampled_from(["0", "0.000", "-0", "1", "2.5", "25e-1", "", "NaN", "9" * 50]),
}
people = st.fixed_dictionaries(
    {
        **{name: strategy | st.text(max_size=5) for name, strategy in texts.items()},
        **{gene: odd_numbers | st.floats() for gene in GENES},
    }
)


def table_of(rows: list[dict[str, str | float]]) -> SampleTable:
    if not rows:
        return empty_table(make_program(COLUMNS, [PANEL], []))
    return make_table(
        {column.name: [str(row[column.name]) for row in rows] for column in COLUMNS},
        {gene: [float(row[gene]) for row in rows] for gene in GENES},
    )


def cells_by_definition(
    program: Program, marginal: Marginal, table: SampleTable
) -> NDArray[np.int64]:
    """The cells as LANGUAGE tells them, a person and a gene at a time, in rationals."""
    columns = [program.column(name) for name in marginal.columns]
    combinations = list(product(*(column.values for column in columns)))
    cells = np.zeros(program.shape(marginal), dtype=np.int64)
    for person in range(table.rows):
        chosen: list[str] = []
        for column in columns:
            text = str(table.categories[column.name][person])
            same = [value for value in column.values if label_key(value) == label_key(text)]
            chosen += same or ([] if column.otherwise is None else [column.otherwise])
        if len(chosen) < len(columns):
            continue
        label = combinations.index(tuple(chosen))
        if marginal.panel is None:
            cells[0, label, 0] += 1
            continue
        panel = program.panel(marginal.panel)
        for gene, edges in enumerate(marginal.edges):
            value = float(table.expression[panel.genes[gene]][person])
            if math.isnan(value):
                continue
            if math.isinf(value):
                clamped = panel.high if value > 0 else panel.low
            else:
                clamped = min(max(Fraction(value), panel.low), panel.high)
            cells[gene, label, sum(clamped >= edge for edge in edges)] += 1
    return cells


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(people, max_size=6))
def test_cells_follow_their_definition(rows: list[dict[str, str | float]]) -> None:
    table = table_of(rows)
    for marginal in MARGINALS:
        cells = raw_cells(PROGRAM, marginal, table)
        assert cells.shape == PROGRAM.shape(marginal)
        assert cells.dtype == np.int64
        np.testing.assert_array_equal(cells, cells_by_definition(PROGRAM, marginal, table))


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(people, max_size=6), added=people, position=st.integers(0, 6))
def test_one_person_changes_no_more_than_is_declared(
    rows: list[dict[str, str | float]], added: dict[str, str | float], position: int
) -> None:
    before = table_of(rows)
    after = table_of([*rows[:position], added, *rows[position:]])
    for marginal in MARGINALS:
        difference = raw_cells(PROGRAM, marginal, after) - raw_cells(PROGRAM, marginal, before)
        assert difference.min() >= 0
        # Each table changes by a unit vector or not at all.
        assert difference.sum(axis=(1, 2)).max() <= 1
        tables, _, bins = difference.shape
        maps: list[LinearMap] = ["identity", "centred"] if marginal.panel else ["identity"]
        for linear_map in maps:
            # After `centred` all B coordinates count: noise in the raw cells is what is paid for.
            mapped = apply_map(linear_map, difference)
            assert squared_cost(linear_map, mapped, bins) <= sensitivity_squared(
                tables, bins, linear_map
            )


def squared_cost(linear_map: LinearMap, mapped: NDArray[np.int64], bins: int) -> Fraction:
    """|diff|², or |P·diff|² with P = I − 11ᵀ/B from the kept coordinates of B·P·diff."""
    if linear_map == "identity":
        return Fraction(int((mapped**2).sum()))
    kept = mapped.reshape(-1, bins - 1)
    full = np.concatenate([kept, -kept.sum(axis=1, keepdims=True)], axis=1)
    return Fraction(int((full**2).sum()), bins**2)


def test_the_declared_sensitivity_is_reached() -> None:
    person = table_of([{"subtype": "MSI", "sex": "male", "grade": "1", "A": 7, "B": 7, "C": 7}])
    cells = raw_cells(PROGRAM, MARGINALS[3], person)
    assert int((cells**2).sum()) == 3
    assert squared_cost("centred", apply_map("centred", cells), 4) == Fraction(9, 4)


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(people, min_size=2, max_size=8), data=st.data())
def test_neither_order_nor_the_split_among_sites_matters(
    rows: list[dict[str, str | float]], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(rows))))
    cut = data.draw(st.integers(0, len(rows)))
    table = table_of(rows)
    for marginal in MARGINALS:
        cells = raw_cells(PROGRAM, marginal, table)
        np.testing.assert_array_equal(
            raw_cells(PROGRAM, marginal, rows_of(table, list(order))), cells
        )
        parts = [
            raw_cells(PROGRAM, marginal, rows_of(table, part))
            for part in (order[:cut], order[cut:])
        ]
        np.testing.assert_array_equal(parts[0] + parts[1], cells)


def test_an_empty_table_adds_nothing() -> None:
    for marginal in MARGINALS:
        cells = raw_cells(PROGRAM, marginal, table_of([]))
        assert cells.shape == PROGRAM.shape(marginal)
        assert not cells.any()


def test_two_categories_without_a_panel() -> None:
    table = make_table(
        {"subtype": ["CIN", "x", "GS"], "sex": ["male", "male", ""], "grade": ["1", "1", "1"]},
        {gene: [1, 2, 3] for gene in GENES},
    )
    cells = raw_cells(PROGRAM, make_marginal(["sex", "subtype"]), table)
    assert cells.tolist() == [[[0], [0], [0], [0], [1], [0], [0], [1]]]


def test_the_maps() -> None:
    cells = np.array([[[1, 0, 0], [2, 5, 1]]])
    assert apply_map("identity", cells).tolist() == [1, 0, 0, 2, 5, 1]
    assert apply_map("centred", cells).tolist() == [2, -1, -2, 7]
    # 9·v − 3·(row + column) + all, for two tables; the last row and column are left out.
    pairs = np.array([[[1, 0, 0], [2, 5, 1], [0, 0, 3]], [[0, 0, 0], [0, 0, 0], [0, 0, 1]]])
    assert apply_map("double-centred", pairs).tolist() == [9, -6, -3, 18, 1, 1, 1, 1]


@given(st.integers(2, 5), st.integers(0, 2**32))
def test_double_centring_is_centring_twice_and_forgets_rows_and_columns(
    bins: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    cells = generator.integers(-(10**6), 10**6, (3, bins, bins))
    found = apply_map("double-centred", cells).reshape(3, bins - 1, bins - 1)
    once = apply_map("centred", cells).reshape(3, bins, bins - 1)
    twice = apply_map("centred", once.transpose(0, 2, 1)).reshape(3, bins - 1, bins - 1)
    np.testing.assert_array_equal(found, twice.transpose(0, 2, 1))
    moved = cells + generator.integers(-99, 99, (3, bins, 1))
    moved = moved + generator.integers(-99, 99, (3, 1, bins))
    np.testing.assert_array_equal(apply_map("double-centred", moved), found.ravel())


def test_an_unregistered_query_is_refused() -> None:
    class Moments(Node):
        pass

    with pytest.raises(TypeError, match="Moments"):
        encode(Moments(), PROGRAM, table_of([]))


def test_a_new_query_kind_needs_no_change_here() -> None:
    class People(Node):
        pass

    def people_cells(query: People, program: Program, table: SampleTable) -> NDArray[np.int64]:
        return np.full((1, 1, 1), table.rows, dtype=np.int64)

    encode.register(People, people_cells)
    table = table_of([{"subtype": "", "sex": "", "grade": "", "A": 0, "B": 0, "C": 0}])
    assert encode(People(), PROGRAM, table).tolist() == [[[1]]]


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((1, 4, 1)), np.zeros((1, 4, 1), dtype=np.int32), np.zeros(4, dtype=np.int64)],
    ids=["floats", "32 bits", "another shape"],
)
def test_an_encoder_that_gives_no_integers_is_refused(wrong: NDArray[Any]) -> None:
    class Odd(Marginal):
        """A query whose encoder breaks its promise."""

    encode.register(Odd, lambda query, program, table: wrong)
    query = Odd(**dict(make_marginal(["subtype"])))
    program = make_program([SUBTYPE], [], [make_marginal(["subtype"])])
    with pytest.raises(TypeError, match="integers of the query's shape"):
        raw_cells(program, query, make_table({"subtype": []}, {}))


def test_a_thousand_genes_and_people_take_well_under_a_second() -> None:
    generator = np.random.default_rng(1)
    genes = [f"G{number}" for number in range(978)]
    panel = make_panel(genes)
    edges = [sorted(Fraction(int(x), 997) for x in generator.integers(1, 19_000, 3)) for _ in genes]
    marginal = make_marginal(["subtype"], panel, edges)
    program = make_program([SUBTYPE], [panel], [marginal])
    table = make_table(
        {"subtype": generator.choice(list(SUBTYPE.values), 1089)},
        {gene: generator.normal(9, 4, 1089) for gene in genes},
    )
    start = time.process_time()
    cells = raw_cells(program, marginal, table)
    assert time.process_time() - start < 1
    assert cells.sum() == 978 * 1089
