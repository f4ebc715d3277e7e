"""Classes that noise drowns: values that the spec expects a share of, beside the error of a cell.

A table may be exact on average and still say nothing of a rare class: noise is the same in all of
its cells.  Remedies are tried, not estimated: each figure comes from a plan with that one change.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from fractions import Fraction

from secgen_dsl.diagnostics.diagnostic import Diagnostic, Span
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import CategoryColumn, Expectation, Program, decimal_text
from secgen_dsl.ir.queries import Marginal, PairMarginal
from secgen_dsl.planner.epsilons import first, rising, with_epsilon
from secgen_dsl.planner.plan import drafted
from secgen_dsl.planner.predict import ExpectedCell, Prediction, predict

GREATEST_CLASS_ERROR = 0.5
"""One standard error of a cell over the people expected in it: beyond it a class is warned of."""

_MOST_TRIED = 500  # queries of a spec: with more, each figure would take too many seconds
_ANSWERS = {"yes", "no", "untested"}


def drowned_classes(
    plan: Plan,
    predictions: Sequence[Prediction],
    spans: Mapping[str, Span],
    warned: Collection[str],
) -> Iterator[Diagnostic]:
    """SG319: each class at the table that is worst for it.

    Args:
        predictions: of the plan.
        spans: id of each query that the spec asks for → its statement.
        warned: ids of queries whose whole table was warned of.

    A statement that asks for an accuracy has said what is enough.
    """
    worst: dict[tuple[str, str], tuple[Prediction, ExpectedCell]] = {}
    tables: dict[tuple[str, str], int] = {}
    for prediction in predictions:
        query = prediction.query
        if not isinstance(query, Marginal | PairMarginal) or query.id in warned:
            continue
        if not prediction.asked or query.importance.error is not None:
            continue
        for cell in prediction.expected:
            key = cell.column, cell.value
            if cell.relative_error <= GREATEST_CLASS_ERROR:
                continue
            tables[key] = tables.get(key, 0) + 1
            if key not in worst or cell.relative_error > worst[key][1].relative_error:
                worst[key] = prediction, cell
    for key, (prediction, cell) in worst.items():
        more = tables[key] - 1
        yield Diagnostic(
            "SG319",
            f'noise drowns {cell.label} in "{prediction.query.id}"'
            + (f" and {more:,} more" if more else "")
            + f": ±{_short(prediction.standard_error)} people in a cell where "
            f"{_short(cell.people)} are expected",
            "warning",
            span=spans[prediction.query.id],
            label=f"{cell.relative_error:,.0%} of them",
            next_step=_remedies(plan.program, prediction.query.id, cell),
        )


def _remedies(program: Program, query: str, cell: ExpectedCell) -> str:
    if len(program.queries) > _MOST_TRIED:
        return f"merge {cell.value} with another value of {cell.column}, or measure less"
    found = [
        words for words in (_merged(program, query, cell), _epsilon(program, query, cell)) if words
    ]
    if not found:
        return (
            f"samples will say little of {cell.label}: merge it with another value, or leave "
            "columns out of this marginal"
        )
    return "; or ".join(found)


def _merged(program: Program, query: str, cell: ExpectedCell) -> str:
    """The class with which it is large enough, of the fewest people; nothing if there is none.

    Which classes belong together is for those who know the disease to say: this one is an example.
    """
    column = program.column(cell.column)
    if not isinstance(column, CategoryColumn) or set(column.values) >= _ANSWERS:
        return ""
    if len(column.values) < 3:
        return ""
    others = [e for e in program.expectations if e.column == cell.column and e.value != cell.value]
    for other in sorted(others, key=lambda expectation: expectation.share):
        name = _joint_name(column, cell.value, other.value)
        changed = _with_merged(program, column, (cell.value, other.value), name)
        error = _error(changed, query, column.name, name)
        if error is None or error > GREATEST_CLASS_ERROR:
            continue
        values = ", ".join(map(_written, _merged_values(column, (cell.value, other.value), name)))
        line = f"{_written(column.name)} category {{ {values} }}"
        if column.otherwise is not None:
            kept = column.otherwise not in (cell.value, other.value)
            line += f" else {_written(column.otherwise if kept else name)}"
        return (
            f"merge it with a class that it may stand beside, for example {other.value} (a cell's "
            f"error is then {error:.0%}): write {line}, and map both values to it in each site.toml"
        )
    return ""


def _epsilon(program: Program, query: str, cell: ExpectedCell) -> str:
    def enough(epsilon: Fraction) -> bool:
        error = _error(with_epsilon(program, epsilon), query, cell.column, cell.value)
        return error is not None and error <= GREATEST_CLASS_ERROR

    grid = [epsilon for epsilon in rising(2) if epsilon > program.privacy.epsilon]
    place = first(grid, enough)
    return f"epsilon {decimal_text(grid[place])} is enough" if place < len(grid) else ""


def _error(program: Program, query: str, column: str, value: str) -> float | None:
    """Error of a cell of the class over its people; None if there is no such plan."""
    plan = drafted(program)
    if plan is None:
        return None
    for prediction in predict(plan):
        if prediction.query.id == query:
            for cell in prediction.expected:
                if (cell.column, cell.value) == (column, value):
                    return cell.relative_error
    return None


def _with_merged(
    program: Program, column: CategoryColumn, pair: tuple[str, str], name: str
) -> Program:
    """The program with two values of a column as one, of their expected people together."""
    otherwise = name if column.otherwise in pair else column.otherwise
    merged = column.model_copy(
        update={"values": _merged_values(column, pair, name), "otherwise": otherwise}
    )
    both = [e for e in program.expectations if e.column == column.name and e.value in pair]
    rest = [e for e in program.expectations if e not in both]
    together = Expectation(
        column=column.name,
        value=name,
        share=sum((e.share for e in both[1:]), both[0].share),
        provenance="",
    )
    columns = tuple(merged if one.name == column.name else one for one in program.columns)
    return program.model_copy(update={"columns": columns, "expectations": (*rest, together)})


def _merged_values(column: CategoryColumn, pair: tuple[str, str], name: str) -> tuple[str, ...]:
    places = [place for place, value in enumerate(column.values) if value in pair]
    values = [name if place == places[0] else value for place, value in enumerate(column.values)]
    return tuple(value for place, value in enumerate(values) if place != places[1])


def _joint_name(column: CategoryColumn, one: str, other: str) -> str:
    ordered = sorted((one, other), key=column.values.index)
    return "_or_".join(ordered)


def _written(name: str) -> str:
    """A name as a spec writes it."""
    bare = re.fullmatch(r"[A-Za-z0-9_](?:(?!\.\.)[A-Za-z0-9_.+/-])*", name)
    return name if bare else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _short(number: float) -> str:
    return f"{number:.3g}" if number < 1000 else f"{number:,.0f}"
