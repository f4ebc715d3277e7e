"""What changes between two plans in what is measured: columns, panels, queries, public files."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial

from secgen_dsl.describe.changes import Change, Comparison
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
from secgen_dsl.planner.predict import Prediction, predict

_DIGEST = 12
"""Hex digits of a hash that are shown."""


def columns_changes(c: Comparison, old: Plan, new: Plan) -> Iterator[Change]:
    """Columns that came, went, or have other values, bins or rules."""
    yield from c.items(
        "column",
        {column.name: column for column in old.program.columns},
        {column.name: column for column in new.program.columns},
        partial(_column, c),
        partial(_changed_column, c),
    )
    yield from c.named_order("columns", old.program.columns, new.program.columns)


def _column(c: Comparison, column: CategoryColumn | NumberColumn) -> str:
    words = f"{column.kind} {{ {', '.join(column.values)} }}"
    if isinstance(column, NumberColumn):
        return words
    return c.words("others", column=words, counted=_otherwise(c, column))


def _changed_column(
    c: Comparison, what: str, old: CategoryColumn | NumberColumn, new: CategoryColumn | NumberColumn
) -> Iterator[Change]:
    if isinstance(old, CategoryColumn) and isinstance(new, CategoryColumn):
        yield from c.members(c.part(what, "values"), old.values, new.values)
        yield from c.value(c.part(what, "otherwise"), _otherwise(c, old), _otherwise(c, new))
    elif isinstance(old, NumberColumn) and isinstance(new, NumberColumn):
        yield from c.value(c.part(what, "bins"), _column(c, old), _column(c, new))
        yield from c.value(c.part(what, "edges"), _edges_from(c, old), _edges_from(c, new))
    else:
        yield from c.value(what, _column(c, old), _column(c, new))


def _otherwise(c: Comparison, column: CategoryColumn) -> str:
    if column.otherwise is None:
        return c.words("nowhere")
    return c.words("counted_as", value=f'"{column.otherwise}"')


def _edges_from(c: Comparison, column: NumberColumn) -> str:
    if column.binning in ("equal", "at"):
        return c.words(f"edges_{column.binning}")
    return c.words("edges_from", table=column.reference)


def panels_changes(c: Comparison, old: Plan, new: Plan) -> Iterator[Change]:
    """Panels that came, went, or have other genes, units or rules."""
    yield from c.items(
        "panel",
        {panel.name: panel for panel in old.program.panels},
        {panel.name: panel for panel in new.program.panels},
        lambda panel: c.words(
            "panel_new", genes=c.say.integer(len(panel.genes)), values=_values(c, panel)
        ),
        partial(_panel, c),
    )
    yield from c.named_order("panels", old.program.panels, new.program.panels)


def _panel(c: Comparison, what: str, old: Panel, new: Panel) -> Iterator[Change]:
    yield from c.value(c.part(what, "values"), _values(c, old), _values(c, new))
    yield from c.value(c.part(what, "missing"), _missing(c, old), _missing(c, new))
    yield from c.members(c.part(what, "genes"), old.genes, new.genes)


def _values(c: Comparison, panel: Panel) -> str:
    low, high = (c.say.local(decimal_text(each)) for each in (panel.low, panel.high))
    span = f"{panel.unit} {low}..{high}"
    if panel.counts is None:
        return span
    column = panel.counts.library_column
    source = c.words("all_genes") if column is None else c.words("column", name=column)
    return c.words("from_counts", span=span, source=source)


def _missing(c: Comparison, panel: Panel) -> str:
    if panel.missing is None:
        return c.words("nowhere")
    return c.words("counted_as", value=c.say.local(decimal_text(panel.missing)))


def queries_changes(c: Comparison, old: Plan, new: Plan) -> Iterator[Change]:
    """Queries that came, went, ask for something else, or get another noise."""
    yield from c.items(
        "query",
        {each.query.id: each for each in predict(old)},
        {each.query.id: each for each in predict(new)},
        partial(_query, c),
        partial(_changed_query, c, old.program, new.program),
    )
    yield from c.items(
        "query",
        {each.id: each for each in old.program.queries if isinstance(each, Moments)},
        {each.id: each for each in new.program.queries if isinstance(each, Moments)},
        lambda query: query.statement,
        partial(_moments, c),
    )
    asked = [[query.id for query in plan.program.queries] for plan in (old, new)]
    yield from c.order("queries", *asked)
    yield from c.items(
        "round",
        {str(each.number): each for each in old.rounds},
        {str(each.number): each for each in new.rounds},
        lambda each: c.words("round_new", number=str(len(each.releases)), delay=_delay(c, each)),
        lambda what, one, other: c.value(
            c.part(what, "shares_leave"), _delay(c, one), _delay(c, other)
        ),
    )


def _delay(c: Comparison, one_round: Round) -> str:
    if one_round.number == 1:
        return c.words("at_once")
    return c.words("later", seconds=str(one_round.delay))


def _moments(c: Comparison, what: str, old: Moments, new: Moments) -> Iterator[Change]:
    yield from c.value(c.part(what, "statement"), old.statement, new.statement)
    yield from _standard(c, what, old.standard, new.standard)
    if len(old.loadings) != len(new.loadings):
        return  # the statements say so
    factors = [
        zip(each.loadings, each.divisors, each.variances, strict=True) for each in (old, new)
    ]
    moved = sum(one != other for one, other in zip(*factors, strict=True))
    if moved:
        note = c.words("others_of", moved=str(moved), number=str(len(new.loadings)))
        yield Change(c.part(what, "factors"), None, None, note=note)


def _learned(c: Comparison, what: str, old: LearnedBins, new: LearnedBins) -> Iterator[Change]:
    yield from c.value(c.part(what, "for_learning"), _percent(c, old.part), _percent(c, new.part))
    yield from _standard(c, what, old.standard, new.standard)
    if old.quantiles != new.quantiles and len(old.quantiles[0]) == len(new.quantiles[0]):
        yield Change(c.part(what, "quantiles"), None, None, note=c.words("others_note"))


def _standard(c: Comparison, what: str, old: Standard, new: Standard) -> Iterator[Change]:
    """Another public scale, where the number of genes is the same; else the panel says so."""
    if len(old.centres) != len(new.centres):
        return
    pairs = [zip(old.centres, old.scales, strict=True), zip(new.centres, new.scales, strict=True)]
    moved = sum(one != other for one, other in zip(*pairs, strict=True))
    if moved:
        note = c.words("others_of_genes", moved=str(moved), number=str(len(new.centres)))
        yield Change(c.part(what, "scale"), None, None, note=note)


def _query(c: Comparison, prediction: Prediction) -> str:
    return f"{_statement(c, prediction)}; {_accuracy_words(c, prediction)}"


def _statement(c: Comparison, prediction: Prediction) -> str:
    statement = prediction.query.statement
    if prediction.asked:
        return statement
    return c.words("added_by_planner", statement=statement, reason=added_for(prediction, c.say))


def _changed_query(
    c: Comparison, before: Program, after: Program, what: str, old: Prediction, new: Prediction
) -> Iterator[Change]:
    yield from c.value(c.part(what, "statement"), _statement(c, old), _statement(c, new))
    if isinstance(old.query, Marginal | PairMarginal) and isinstance(
        new.query, Marginal | PairMarginal
    ):
        yield from _edges(c, what, before, after, old.query, new.query)
    one, other = (getattr(each.query, "learned", None) for each in (old, new))
    if one is not None and other is not None:
        yield from _learned(c, what, one, other)
    if isinstance(old.query, PairMarginal) and isinstance(new.query, PairMarginal):
        yield from c.members(
            c.part(what, "pairs"), _pair_names(c, old.query), _pair_names(c, new.query)
        )
    yield from c.value(
        c.part(what, "measured_as"), measured_as(old, c.say), measured_as(new, c.say)
    )
    yield from c.figure(
        c.part(what, "opened"),
        old.release.opened,
        new.release.opened,
        lambda x: c.say.integer(int(x)),
    )
    kinds = {old.release.noise.kind, new.release.noise.kind}
    if kinds == {"laplace"}:
        yield from c.value(
            c.part(what, "sensitivity"),
            *(c.say.local(sensitivity_words(each)) for each in (old, new)),
        )
    elif kinds == {"gaussian"}:
        yield from c.figure(
            c.part(what, "squared_sensitivity"),
            old.sensitivity**2,
            new.sensitivity**2,
            lambda number: c.say.local(f"{number:.6g}"),
        )
    yield from _accuracy(c, c.part(what, "accuracy"), old, new)


def _accuracy(c: Comparison, what: str, old: Prediction, new: Prediction) -> Iterator[Change]:
    """Noise, share and error in one line: they move together, for all queries at once."""
    for change in c.value(what, _accuracy_words(c, old), _accuracy_words(c, new)):
        yield replace(change, factor=new.standard_error / old.standard_error)


def _accuracy_words(c: Comparison, prediction: Prediction) -> str:
    return c.words(
        "accuracy_of_sum" if content_of_sum(prediction.query) else "accuracy_of_cell",
        error=error_words(prediction, c.say),
        deviation=c.say.local(short(prediction.certified_sigma)),
        share=c.say.percent(prediction.budget_share),
    )


def _percent(c: Comparison, share: Fraction) -> str:
    return c.say.percent_sign(c.say.local(decimal_text(100 * share)))


def _edges(
    c: Comparison, what: str, before: Program, after: Program, old: Table, new: Table
) -> Iterator[Change]:
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
        note = c.words("others_for_genes", moved=str(len(moved)), number=str(shared))
        yield Change(c.part(what, "edges_of_bins"), None, None, note=note)


def _pair_names(c: Comparison, query: PairMarginal) -> list[str]:
    return [c.words("pair", one=query.genes[i], other=query.genes[j]) for i, j in query.pairs]


def public_files_changes(c: Comparison, old: Plan, new: Plan) -> Iterator[Change]:
    """Public tables, gene sets and gene lists with other bytes, units or provenance."""
    before, after = old.program, new.program
    yield from c.items(
        "public_table",
        _tables(before),
        _tables(after),
        lambda table: f"{_table(c, table)}, {_hashes(c, table, table)[0]}",
        partial(_changed_table, c),
    )
    yield from c.named_order("public_tables", before.references, after.references)
    yield from c.named_order("bridges", before.bridges, after.bridges)
    yield from c.items(
        "gene_sets",
        {sets.name: sets for sets in before.sets},
        {sets.name: sets for sets in after.sets},
        lambda sets: _digest(sets.sha256),
        partial(_changed_sets, c),
    )
    yield from c.named_order("gene_sets_all", before.sets, after.sets)
    lists = [
        {panel.name: panel.list_sha256 for panel in program.panels if panel.list_sha256}
        for program in (before, after)
    ]
    yield from c.items(
        "gene_list",
        lists[0],
        lists[1],
        _digest,
        lambda what, one, other: c.value(what, *_digests(one, other)),
    )


def _tables(program: Program) -> dict[str, Reference | Bridge]:
    tables: tuple[Reference | Bridge, ...] = (*program.references, *program.bridges)
    return {table.name: table for table in tables}


def _changed_table(
    c: Comparison, what: str, old: Reference | Bridge, new: Reference | Bridge
) -> Iterator[Change]:
    yield from c.value(what, _table(c, old), _table(c, new))
    yield from c.value(c.part(what, "file"), *_hashes(c, old, new))
    yield from c.value(c.part(what, "vouched"), old.provenance, new.provenance)


def _changed_sets(c: Comparison, what: str, old: GeneSets, new: GeneSets) -> Iterator[Change]:
    yield from c.value(what, *_digests(old.sha256, new.sha256))
    yield from c.value(c.part(what, "vouched"), old.provenance, new.provenance)


def _table(c: Comparison, table: Reference | Bridge) -> str:
    if isinstance(table, Bridge):
        return c.words("both", one=table.units[0], other=table.units[1])
    words = table.unit
    if table.aligned_by:
        words = c.words("aligned", unit=words, by=table.aligned_by)
    if table.labelled_by:
        words = c.words("labelled", table=words, by=", ".join(table.labelled_by))
    return words


def _hashes(c: Comparison, old: Reference | Bridge, new: Reference | Bridge) -> list[str]:
    """The hashes of both, shortened where that tells them apart."""
    olds, news = (
        (table.sha256,) if isinstance(table, Reference) else table.sha256 for table in (old, new)
    )
    if len(olds) != len(news):
        digests: list[tuple[str, ...]] = [tuple(map(_digest, olds)), tuple(map(_digest, news))]
    else:
        pairs = [_digests(one, other) for one, other in zip(olds, news, strict=True)]
        digests = [tuple(pair[side] for pair in pairs) for side in (0, 1)]
    return [
        one[0] if len(one) == 1 else c.words("both", one=one[0], other=one[1]) for one in digests
    ]


def _digests(old: str, new: str) -> tuple[str, str]:
    """Two hashes shortened, unless they differ only where they would be cut off."""
    if old != new and old[:_DIGEST] == new[:_DIGEST]:
        return f"SHA-256 {old}", f"SHA-256 {new}"
    return _digest(old), _digest(new)


def _digest(sha256: str) -> str:
    return f"SHA-256 {sha256[:_DIGEST]}…"
