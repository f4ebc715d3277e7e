"""What changes between two plans in what is measured: columns, panels, queries, public files."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from secgen_dsl.describe.changes import Change, figure, items, members, named_order, order, value
from secgen_dsl.describe.measured import (
    added_for,
    content_of_sum,
    error_words,
    measured_as,
    sensitivity_words,
    short,
)
from secgen_dsl.ir.plan import Plan, Round
from secgen_dsl.ir.program import (
    Bridge,
    CategoryColumn,
    GeneSets,
    NumberColumn,
    Panel,
    Program,
    Reference,
    decimal_text,
)
from secgen_dsl.ir.queries import LearnedBins, Marginal, Moments, PairMarginal, Standard, Table
from secgen_dsl.ir.statement import percent_text
from secgen_dsl.planner.predict import Prediction, predict

_DIGEST = 12
"""Hex digits of a hash that are shown."""


def columns_changes(old: Plan, new: Plan) -> Iterator[Change]:
    """Columns that came, went, or have other values, bins or rules."""
    yield from items(
        "column",
        {column.name: column for column in old.program.columns},
        {column.name: column for column in new.program.columns},
        _column,
        _changed_column,
    )
    yield from named_order("columns", old.program.columns, new.program.columns)


def _column(column: CategoryColumn | NumberColumn) -> str:
    words = f"{column.kind} {{ {', '.join(column.values)} }}"
    return words if isinstance(column, NumberColumn) else f"{words}, others {_otherwise(column)}"


def _changed_column(
    what: str, old: CategoryColumn | NumberColumn, new: CategoryColumn | NumberColumn
) -> Iterator[Change]:
    if isinstance(old, CategoryColumn) and isinstance(new, CategoryColumn):
        yield from members(f"{what}: values", old.values, new.values)
        yield from value(f"{what}: missing and unknown values", _otherwise(old), _otherwise(new))
    elif isinstance(old, NumberColumn) and isinstance(new, NumberColumn):
        yield from value(f"{what}: bins", _column(old), _column(new))
        yield from value(f"{what}: edges", _edges_from(old), _edges_from(new))
    else:
        yield from value(what, _column(old), _column(new))


def _otherwise(column: CategoryColumn) -> str:
    return "counted nowhere" if column.otherwise is None else f'counted as "{column.otherwise}"'


def _edges_from(column: NumberColumn) -> str:
    words = {"equal": "equal parts of the range", "at": "written in the spec"}
    return words.get(column.binning, f"from {column.reference}")


def panels_changes(old: Plan, new: Plan) -> Iterator[Change]:
    """Panels that came, went, or have other genes, units or rules."""
    yield from items(
        "panel",
        {panel.name: panel for panel in old.program.panels},
        {panel.name: panel for panel in new.program.panels},
        lambda panel: f"{len(panel.genes):,} genes, {_values(panel)}",
        _panel,
    )
    yield from named_order("panels", old.program.panels, new.program.panels)


def _panel(what: str, old: Panel, new: Panel) -> Iterator[Change]:
    yield from value(f"{what}: values", _values(old), _values(new))
    yield from value(f"{what}: missing values", _missing(old), _missing(new))
    yield from members(f"{what}: genes", old.genes, new.genes)


def _values(panel: Panel) -> str:
    span = f"{panel.unit} {decimal_text(panel.low)}..{decimal_text(panel.high)}"
    if panel.counts is None:
        return span
    column = panel.counts.library_column
    source = "all genes in the file" if column is None else f"column {column}"
    return f"{span} from counts, library size from {source}"


def _missing(panel: Panel) -> str:
    return (
        "counted nowhere" if panel.missing is None else f"counted as {decimal_text(panel.missing)}"
    )


def queries_changes(old: Plan, new: Plan) -> Iterator[Change]:
    """Queries that came, went, ask for something else, or get another noise."""
    yield from items(
        "query",
        {each.query.id: each for each in predict(old)},
        {each.query.id: each for each in predict(new)},
        _query,
        partial(_changed_query, old.program, new.program),
    )
    yield from items(
        "query",
        {each.id: each for each in old.program.queries if isinstance(each, Moments)},
        {each.id: each for each in new.program.queries if isinstance(each, Moments)},
        lambda query: query.statement,
        _moments,
    )
    asked = [[query.id for query in plan.program.queries] for plan in (old, new)]
    yield from order("queries", *asked)
    yield from items(
        "round",
        {str(each.number): each for each in old.rounds},
        {str(each.number): each for each in new.rounds},
        lambda each: f"{len(each.releases)} queries, {_delay(each)}",
        lambda what, one, other: value(f"{what}: shares leave", _delay(one), _delay(other)),
    )


def _delay(one_round: Round) -> str:
    if one_round.number == 1:
        return "at once"
    return f"{one_round.delay} s after the round before was opened"


def _moments(what: str, old: Moments, new: Moments) -> Iterator[Change]:
    yield from value(f"{what}: statement", old.statement, new.statement)
    yield from _standard(what, old.standard, new.standard)
    if len(old.loadings) != len(new.loadings):
        return  # the statements say so
    factors = [
        zip(each.loadings, each.divisors, each.variances, strict=True) for each in (old, new)
    ]
    moved = sum(one != other for one, other in zip(*factors, strict=True))
    if moved:
        note = f"other ones, {moved} of {len(new.loadings)}"
        yield Change(f"{what}: factors", None, None, note=note)


def _learned(what: str, old: LearnedBins, new: LearnedBins) -> Iterator[Change]:
    yield from value(
        f"{what}: for learning bins, at most", percent_text(old.part), percent_text(new.part)
    )
    yield from _standard(what, old.standard, new.standard)
    if old.quantiles != new.quantiles and len(old.quantiles[0]) == len(new.quantiles[0]):
        yield Change(f"{what}: quantiles of the learned bins", None, None, note="others")


def _standard(what: str, old: Standard, new: Standard) -> Iterator[Change]:
    """Another public scale, where the number of genes is the same; else the panel says so."""
    if len(old.centres) != len(new.centres):
        return
    pairs = [zip(old.centres, old.scales, strict=True), zip(new.centres, new.scales, strict=True)]
    moved = sum(one != other for one, other in zip(*pairs, strict=True))
    if moved:
        note = f"other ones for {moved} of {len(new.centres)} genes"
        yield Change(f"{what}: public scale of genes", None, None, note=note)


def _query(prediction: Prediction) -> str:
    return f"{_statement(prediction)}; {_accuracy_words(prediction)}"


def _statement(prediction: Prediction) -> str:
    added = "" if prediction.asked else f" (added by the planner: {added_for(prediction)})"
    return prediction.query.statement + added


def _changed_query(
    before: Program, after: Program, what: str, old: Prediction, new: Prediction
) -> Iterator[Change]:
    yield from value(f"{what}: statement", _statement(old), _statement(new))
    if isinstance(old.query, Marginal | PairMarginal) and isinstance(
        new.query, Marginal | PairMarginal
    ):
        yield from _edges(what, before, after, old.query, new.query)
    one, other = (getattr(each.query, "learned", None) for each in (old, new))
    if one is not None and other is not None:
        yield from _learned(what, one, other)
    if isinstance(old.query, PairMarginal) and isinstance(new.query, PairMarginal):
        yield from members(f"{what}: pairs", _pair_names(old.query), _pair_names(new.query))
    yield from value(f"{what}: measured as", measured_as(old), measured_as(new))
    yield from figure(
        f"{what}: values opened", old.release.opened, new.release.opened, lambda x: f"{x:,.0f}"
    )
    kinds = {old.release.noise.kind, new.release.noise.kind}
    if kinds == {"laplace"}:
        yield from value(f"{what}: sensitivity", sensitivity_words(old), sensitivity_words(new))
    elif kinds == {"gaussian"}:
        yield from figure(
            f"{what}: squared sensitivity",
            old.sensitivity**2,
            new.sensitivity**2,
            lambda number: f"{number:.6g}",
        )
    yield from _accuracy(f"{what}: accuracy", old, new)


def _accuracy(what: str, old: Prediction, new: Prediction) -> Iterator[Change]:
    """Noise, share and error in one line: they move together, for all queries at once."""
    for change in value(what, _accuracy_words(old), _accuracy_words(new)):
        yield replace(change, factor=new.standard_error / old.standard_error)


def _accuracy_words(prediction: Prediction) -> str:
    cell = "" if content_of_sum(prediction.query) else " a cell"
    noise = short(prediction.certified_sigma)
    return (
        f"{error_words(prediction)}{cell}, certified noise {noise}, "
        f"{100 * prediction.budget_share:.1f}% of the budget"
    )


def _edges(what: str, before: Program, after: Program, old: Table, new: Table) -> Iterator[Change]:
    """Genes whose bins have other edges though the statement asks for the same bins."""
    if (old.bins, old.binning, old.reference) != (new.bins, new.binning, new.reference):
        return  # the statements say so
    if old.binning == "learned":
        return  # there are none yet
    known = dict(zip(before.genes(old), old.edges, strict=True))
    moved = [
        gene
        for gene, edges in zip(after.genes(new), new.edges, strict=True)
        if gene in known and known[gene] != edges
    ]
    if moved and old.binning != "at":
        shared = sum(gene in known for gene in after.genes(new))
        yield Change(
            f"{what}: edges of bins", None, None, note=f"others for {len(moved)} of {shared} genes"
        )


def _pair_names(query: PairMarginal) -> list[str]:
    return [f"{query.genes[i]} with {query.genes[j]}" for i, j in query.pairs]


def public_files_changes(old: Plan, new: Plan) -> Iterator[Change]:
    """Public tables, gene sets and gene lists with other bytes, units or provenance."""
    before, after = old.program, new.program
    yield from items(
        "public table",
        _tables(before),
        _tables(after),
        lambda table: f"{_table(table)}, {_hashes(table)}",
        _changed_table,
    )
    yield from named_order("public tables", before.references, after.references)
    yield from named_order("public tables in two units", before.bridges, after.bridges)
    yield from items(
        "gene sets",
        {sets.name: sets for sets in before.sets},
        {sets.name: sets for sets in after.sets},
        lambda sets: _digest(sets.sha256),
        _changed_sets,
    )
    yield from named_order("gene sets", before.sets, after.sets)
    lists = [
        {panel.name: panel.list_sha256 for panel in program.panels if panel.list_sha256}
        for program in (before, after)
    ]
    yield from items(
        "gene list of panel",
        lists[0],
        lists[1],
        _digest,
        lambda what, one, other: value(what, _digest(one), _digest(other)),
    )


def _tables(program: Program) -> dict[str, Reference | Bridge]:
    tables: tuple[Reference | Bridge, ...] = (*program.references, *program.bridges)
    return {table.name: table for table in tables}


def _changed_table(what: str, old: Reference | Bridge, new: Reference | Bridge) -> Iterator[Change]:
    yield from value(what, _table(old), _table(new))
    yield from value(f"{what}: file", _hashes(old), _hashes(new))
    yield from value(f"{what}: vouched for", old.provenance, new.provenance)


def _changed_sets(what: str, old: GeneSets, new: GeneSets) -> Iterator[Change]:
    yield from value(what, _digest(old.sha256), _digest(new.sha256))
    yield from value(f"{what}: vouched for", old.provenance, new.provenance)


def _table(table: Reference | Bridge) -> str:
    if isinstance(table, Bridge):
        return f"{table.units[0]} and {table.units[1]}"
    return table.unit + (f" aligned by {table.aligned_by}" if table.aligned_by else "")


def _hashes(table: Reference | Bridge) -> str:
    hashes = (table.sha256,) if isinstance(table, Reference) else table.sha256
    return " and ".join(_digest(each) for each in hashes)


def _digest(sha256: str) -> str:
    return f"SHA-256 {sha256[:_DIGEST]}…"
