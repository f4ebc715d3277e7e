"""S11: what is called a repetition is one, and costs what the warning says."""

import itertools
import re
import time
from dataclasses import replace

import numpy as np
import pytest

from secgen_dsl.diagnostics.diagnostic import Diagnostic, Source, Span
from secgen_dsl.ir.program import CategoryColumn
from secgen_dsl.ir.queries import Marginal
from secgen_dsl.planner.plan import draft
from secgen_dsl.planner.predict import predict
from secgen_dsl.planner.redundant import WORTH_ITS_SHARE, redundant
from secgen_dsl.queries.contribution import raw_cells
from secgen_dsl.queries.table import SampleTable
from tests.rules.surfaces import plan_of
from tests.study import all_faults, complete

COLUMNS = """columns {
  a category { x, y, z } else z
  b category { x, y } else y
  c category { x, y, w, v } else v
  d category { x, y }
}
person { key patient; at most 1 sample; in at most 1 silo }
"""
GENES = "measure { marginal a * repair in 4 equal bins; marginal a * b * repair in 4 equal bins }"
NESTED = "measure { marginal a; marginal a * b; marginal a * b * c }"


def warnings(text: str) -> list[Diagnostic]:
    return [found for found in all_faults(complete(text)) if found.code == "SG315"]


def people(text: str, rows: int) -> SampleTable:
    """Values and labels of any kind, missing and unknown ones among them."""
    program = plan_of(text).program
    draw = np.random.default_rng(rows)
    genes = {gene for panel in program.panels for gene in panel.genes}
    return SampleTable(
        rows,
        {c.name: draw.choice(["x", "y", "", "odd"], rows) for c in program.columns},
        {gene: draw.choice([np.nan, 1.0, 7.0, 30.0], rows) for gene in sorted(genes)},
    )


@pytest.mark.parametrize("measure", [NESTED, GENES])
def test_the_sums_are_the_marginal_whatever_the_data(measure: str) -> None:
    text = COLUMNS + measure
    program = plan_of(text).program
    table = people(text, 200)
    by_id = {query.id: query for query in program.queries}
    found = warnings(text)
    assert found
    for warning in found:
        name, other = re.findall(r'"([^"]+)"', warning.message)
        few, many = by_id[name], by_id[other]
        assert isinstance(few, Marginal)
        assert isinstance(many, Marginal)
        sizes = [len(program.column(column).values) for column in many.columns]
        cells = raw_cells(program, many, table).reshape(-1, *sizes, many.bins)
        further = [k + 1 for k, column in enumerate(many.columns) if column not in few.columns]
        sums = cells.sum(axis=tuple(further))
        np.testing.assert_array_equal(sums.reshape(-1), raw_cells(program, few, table).reshape(-1))


def test_a_column_without_else_would_lack_people() -> None:
    text = COLUMNS + "measure { marginal a; marginal a * d }"
    assert warnings(text) == []
    program = plan_of(text).program
    one, two = (raw_cells(program, query, people(text, 200)) for query in program.queries)
    assert (two.reshape(3, 2).sum(axis=1) < one.reshape(-1)).any()


def test_what_it_says_is_what_leaving_it_out_gives() -> None:
    text = COLUMNS + "measure { marginal a; marginal a * b }"
    (warning,) = warnings(text)
    plan = plan_of(text)
    one, two = predict(plan)
    assert warning.label == f"{one.budget_share:.1%} of the budget"
    assert f"±{2**0.5 * two.standard_error:.3g} people (as planned now)" in warning.next_step
    assert f"measured by itself ±{one.standard_error:.3g}" in warning.next_step
    without = draft(plan.program.model_copy(update={"queries": plan.program.queries[1:]}))
    (alone,) = predict(without)
    kept = alone.standard_error / two.standard_error
    assert kept == pytest.approx((1 - one.budget_share) ** 0.5, rel=0.01)
    # The way that is offered to keep it is silent.
    target = re.findall(r"error [0-9.]+ people", warning.next_step)[-1]
    assert warnings(text.replace("marginal a;", f"marginal a {target};")) == []


def test_sums_of_too_many_cells_are_no_substitute() -> None:
    text = COLUMNS + "measure { marginal b; marginal a * b * c weight 0.1 }"
    assert warnings(text) == []
    one, two = predict(plan_of(text))
    assert 12**0.5 * two.standard_error > WORTH_ITS_SHARE * one.standard_error


def test_ten_thousand_marginals_take_no_time() -> None:
    """The search alone: each marginal has the figures of one that was planned."""
    plan = plan_of(COLUMNS + "measure { marginal a }")
    (figures,) = predict(plan)
    total = {"kind": "category", "values": ("x", "y"), "otherwise": "y"}
    columns = tuple(CategoryColumn(name=f"c{k}", **total) for k in range(142))
    names = [(column.name,) for column in columns[:10]]
    names += itertools.islice(itertools.combinations([c.name for c in columns], 2), 9_990)
    first = plan.program.queries[0]
    queries = tuple(
        first.model_copy(update={"id": "*".join(some), "columns": some}) for some in names
    )
    program = plan.program.model_copy(update={"columns": columns, "queries": queries})
    predictions = [replace(figures, query=query, budget_share=1e-4) for query in queries]
    text = Source("x", " " * len(queries))
    spans = {query.id: Span(text, k, k + 1) for k, query in enumerate(queries)}
    start = time.process_time()
    found = list(redundant(plan.model_copy(update={"program": program}), predictions, spans))
    assert time.process_time() - start < 2
    assert len(found) == 10
