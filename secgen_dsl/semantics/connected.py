"""Marginals that connect too many columns: refused before any data is touched."""

from collections.abc import Mapping, Sequence
from math import prod

from secgen_dsl.diagnostics.diagnostic import Span
from secgen_dsl.ir.cliques import MAX_CLIQUE_CELLS, largest_clique
from secgen_dsl.ir.program import Column, NumberColumn
from secgen_dsl.ir.queries import Asked, Marginal, PairMarginal, Table
from secgen_dsl.semantics.reader import Reader

_MOST_NAMED = 3
_MOST_TRIED = 200


def check_cliques(
    reader: Reader,
    block: Span,
    columns: Sequence[Column],
    queries: Sequence[Asked],
    spans: Mapping[str, Span],
) -> None:
    """SG601 if the joint table of a clique would be too large, with what would be enough.

    Args:
        block: where the marginals stand.
        columns: of the spec.
        queries: of the spec.
        spans: id of a query → its statement.
    """
    sizes = {column.name: len(column.values) for column in columns}
    measured = [query for query in queries if isinstance(query, Marginal | PairMarginal)]
    names, cells = largest_clique(sizes, [query.columns for query in measured])
    if cells <= MAX_CLIQUE_CELLS:
        return
    found = [*_left_out(sizes, measured, names, spans), *_coarser(columns, measured, names)]
    enough = "any one of these is enough: " + "; or ".join(found)
    if len(found) == 1:
        enough = f"{found[0]}: that is enough"
    reader.found.error(
        "SG601",
        "the marginals connect "
        + " × ".join(f"{name} ({sizes[name]})" for name in names)
        + f": samples would need a joint table of {cells:,} cells",
        Span(block.source, block.start, block.start + len("measure")),
        f"at most {MAX_CLIQUE_CELLS:,}",
        enough if found else "leave out marginals, or merge rare values; no one change is enough",
    )


def _left_out(
    sizes: Mapping[str, int],
    measured: Sequence[Table],
    names: Sequence[str],
    spans: Mapping[str, Span],
) -> list[str]:
    """Statements without which no clique is too large, those of fewest cells first.

    A statement may ask for several marginals (`each`): all of them go.
    """
    statements: dict[tuple[str, int], list[Table]] = {}
    for query in measured:
        if len(set(query.columns) & set(names)) > 1:
            place = spans[query.id]
            statements.setdefault((place.source.name, place.start), []).append(query)
    found: list[tuple[int, str]] = []
    for own in list(statements.values())[:_MOST_TRIED]:
        left_out = {query.id for query in own}
        kept = [query.columns for query in measured if query.id not in left_out]
        left = largest_clique(sizes, kept)[1]
        if 1 < left <= MAX_CLIQUE_CELLS:
            lost = sum(prod(sizes[name] for name in query.columns) for query in own)
            words = f"leave out `{own[0].statement}` (the largest joint table then has {left:,})"
            found.append((lost, words))
    return [words for _, words in sorted(found)[:_MOST_NAMED]]


def _coarser(
    columns: Sequence[Column], measured: Sequence[Table], names: Sequence[str]
) -> list[str]:
    """Columns of the clique that would be small enough with fewer values, largest first."""
    sizes = {column.name: len(column.values) for column in columns}
    sets = [query.columns for query in measured]
    own = [column for column in columns if column.name in names]
    found = []
    for column in sorted(own, key=lambda column: -sizes[column.name]):
        now = sizes[column.name]
        # The graph is triangulated anew for each size: halving finds the greatest that is enough.
        low, high = 1, now
        while high - low > 1:
            middle = (low + high) // 2
            fits = largest_clique({**sizes, column.name: middle}, sets)[1] <= MAX_CLIQUE_CELLS
            low, high = (middle, high) if fits else (low, middle)
        if low < 2:
            continue
        what = "cut {} into at most {} bins, not {}"
        if not isinstance(column, NumberColumn):
            what = "merge rare values of {}, to at most {} in place of {}"
        found.append(what.format(column.name, low, now))
    return found[:_MOST_NAMED]
