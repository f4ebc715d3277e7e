"""Marginals whose counts follow from others that are measured, too (PRIVACY 7.3, S11)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import prod, sqrt

from secgen_dsl.diagnostics.diagnostic import Diagnostic, Span
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import CategoryColumn, Program
from secgen_dsl.ir.queries import Marginal, Moments
from secgen_dsl.planner.predict import Prediction

WORTH_ITS_SHARE = 2.0
"""A marginal is not warned of if the sums of others would be so many times less exact."""


@dataclass(frozen=True)
class _Implied:
    """A marginal, and the other one whose sums are its most exact substitute.

    Attributes:
        cells: of the other, that one cell of it is the sum of.
        error: of such a sum, in people.
    """

    query: Marginal
    by: Marginal
    cells: int
    error: float

    def source(self) -> str:
        """What stands for a cell of it, with a verb."""
        if self.cells == 1:
            return f'the same cell of "{self.by.id}" has'
        return f'a sum of {self.cells:,} cells of "{self.by.id}" has'


def redundant(
    plan: Plan, predictions: Iterable[Prediction], spans: Mapping[str, Span]
) -> Iterator[Diagnostic]:
    """SG315: the statements all of whose marginals are sums of others that the spec asks for.

    Label histograms of gene tables are exempt: the tables need them (PRIVACY 2.2).  A statement
    that asks for an accuracy has said that it is needed.
    """
    known = {prediction.query.id: prediction for prediction in predictions}
    found = {implied.query.id: implied for implied in _implied(plan.program, known)}
    statements: dict[tuple[str, int], list[str]] = {}
    for query in plan.program.queries:
        span = spans[query.id]
        statements.setdefault((span.source.name, span.start), []).append(query.id)
    for names in statements.values():
        if not found.keys() >= set(names):
            continue
        first = found[names[0]]
        share = sum(known[name].budget_share for name in names)
        own = known[first.query.id].standard_error
        twice = f'is measured twice: the sums of "{first.by.id}" hold it'
        if len(names) > 1:
            twice = f"and {len(names) - 1:,} more are measured twice: other sums hold them"
        yield Diagnostic(
            "SG315",
            f'"{first.query.id}" {twice}',
            "warning",
            span=spans[first.query.id],
            label=f"{share:.1%} of the budget",
            next_step=f"leave it out, and the others get its {share:.1%} of the budget; "
            f"{first.source()} ±{_short(first.error)} people (as planned now), measured by itself "
            f"±{_short(own)}; or say how exact it has to be, for example: error "
            f"{_short(own).replace(',', '')} people",
        )


def _implied(program: Program, known: Mapping[str, Prediction]) -> Iterator[_Implied]:
    asked = [q for q in program.queries if isinstance(q, Marginal) and q.learned is None]
    labels = {
        frozenset(q.columns)
        for q in program.queries
        if isinstance(q, Moments) or (isinstance(q, Marginal) and q.panel is not None)
    }
    wanted = {frozenset(query.columns) for query in asked}
    over: dict[frozenset[str], list[Marginal]] = {}
    for query in asked:
        for columns in _subsets(query.columns, wanted):
            over.setdefault(columns, []).append(query)
    for query in asked:
        columns = frozenset(query.columns)
        if query.importance.error is not None or (query.panel is None and columns in labels):
            continue
        best: _Implied | None = None
        for other in over[columns]:
            if not _holds(program, other, query):
                continue
            cells = _extra_cells(program, other, query)
            error = sqrt(cells) * known[other.id].standard_error
            if best is None or error < best.error:
                best = _Implied(query, other, cells, error)
        if best is not None and best.error <= WORTH_ITS_SHARE * known[query.id].standard_error:
            yield best


def _subsets(columns: tuple[str, ...], wanted: set[frozenset[str]]) -> Iterator[frozenset[str]]:
    """The sets of ``wanted`` that are among ``columns``."""
    if 2 ** len(columns) > len(wanted):
        yield from (one for one in wanted if one <= set(columns))
        return
    for size in range(1, len(columns) + 1):
        for some in combinations(columns, size):
            if frozenset(some) in wanted:
                yield frozenset(some)


def _holds(program: Program, other: Marginal, query: Marginal) -> bool:
    """Whether each cell of ``query`` is a sum of cells of ``other``, for whatever data.

    Both count the same people in the same bins: every further column has a value for everybody
    (`else`), since a row without one is in no cell.
    """
    if other is query or other.panel != query.panel:
        return False
    further = set(other.columns) - set(query.columns)
    if not further and (query.panel is None or not _fewer_genes(query, other)):
        return False  # the same marginal is an error of its own (SG215)
    for name in further:
        column = program.column(name)
        if not isinstance(column, CategoryColumn) or column.otherwise is None:
            return False
    if query.panel is None:
        return True
    edges = dict(zip(program.genes(other), other.edges, strict=True))
    own = zip(program.genes(query), query.edges, strict=True)
    return all(edges.get(gene) == edge for gene, edge in own)


def _fewer_genes(query: Marginal, other: Marginal) -> bool:
    return query.gene is not None and other.gene is None


def _extra_cells(program: Program, other: Marginal, query: Marginal) -> int:
    further = set(other.columns) - set(query.columns)
    return prod(len(program.column(name).values) for name in further)


def _short(number: float) -> str:
    return f"{number:.3g}" if number < 1000 else f"{number:,.0f}"
