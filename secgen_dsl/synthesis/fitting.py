"""From opened values to the model: consistent labels, then genes given labels, then gene pairs."""

from collections.abc import Mapping, Sequence

import numpy as np

from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.ir.plan import Measurements, Plan
from secgen_dsl.ir.program import NumberColumn, Panel, Program
from secgen_dsl.public.reference import ReferenceValues
from secgen_dsl.synthesis.consistency import connected_columns, estimate_people, fit_tables
from secgen_dsl.synthesis.decoding import BinCurve, bin_curve, number_curve
from secgen_dsl.synthesis.factors import describe_factors, fit_factors, moment_curve
from secgen_dsl.synthesis.measured import (
    CategoryCounts,
    Floats,
    GeneContrasts,
    MomentSums,
    read_measurements,
)
from secgen_dsl.synthesis.model import (
    Component,
    FactorModel,
    GeneTable,
    SyntheticGene,
    TableModel,
    label_distribution,
)
from secgen_dsl.synthesis.pairs import fit_correlations, single_genes
from secgen_dsl.synthesis.reference import public_bins, reference_of
from secgen_dsl.synthesis.shrinkage import describe_reference, estimate_rows


def fit_model(
    plan: Plan,
    measurements: Measurements,
    references: Mapping[str, ReferenceValues],
    numbers: ReferenceValues,
) -> TableModel:
    """Fit the model to the opened values.

    Args:
        plan: that was run.
        measurements: its opened values.
        references: of every public reference of the program, as ``read_references`` returns.
        numbers: of the number columns with a reference, as ``read_numbers`` returns.

    Raises:
        SecgenError: SG601, SG607, SG608, SG609 as ``fit_tables`` and ``read_measurements``;
            SG610, nothing was measured.
    """
    program = plan.program
    measured = read_measurements(plan, measurements)
    if not (measured.categories or measured.genes):
        raise fail(
            "SG610",
            "the plan measures nothing that samples could be drawn from",
            place="measure { … }",
            next_step="add a marginal",
        )
    labels = [contrasts.columns for contrasts in measured.genes]
    labels += [sums.query.columns for sums in measured.moments]
    groups = [table.columns for table in measured.categories] + labels
    components = tuple(
        _fit_component(program, set(names), measured.categories, labels)
        for names in connected_columns(groups)
    )
    contrasts = [*measured.genes, *single_genes(measured)]
    everyone = [table for table in measured.categories if not table.columns]
    tables = tuple(_fit_genes(program, c, components, everyone, references) for c in contrasts)
    factors = tuple(
        _fit_moments(sums, components, everyone, references.get(sums.query.source, {}))
        for sums in measured.moments
    )
    genes = _choose_sources(program, contrasts, measured.moments, factors, references)
    held = {name for group in groups for name in group}
    columns = tuple(column for column in program.columns if column.name in held)
    return TableModel(
        columns=columns,
        curves={
            column.name: number_curve(column, _finite(numbers.get(column.name)))
            for column in columns
            if isinstance(column, NumberColumn)
        },
        components=components,
        tables=tables,
        genes=genes,
        latent=fit_correlations(program, measured.pairs, components, tables, genes, references),
        factors=factors,
    )


def _fit_component(
    program: Program,
    names: set[str],
    tables: Sequence[CategoryCounts],
    labels: Sequence[tuple[str, ...]],
) -> Component:
    sizes = {c.name: len(c.values) for c in program.columns if c.name in names}
    own = [table for table in tables if table.columns and set(table.columns) <= names]
    sets = [columns for columns in labels if set(columns) <= names]
    return Component(*fit_tables(sizes, sets, own))


def _fit_genes(
    program: Program,
    measured: GeneContrasts,
    components: Sequence[Component],
    everyone: Sequence[CategoryCounts],
    references: Mapping[str, ReferenceValues],
) -> GeneTable:
    share = label_distribution(components, measured.columns)
    people = _people_of(measured.columns, components, everyone)
    public = public_bins(
        program, measured.panel, measured.reference, measured.genes, measured.edges, references
    )
    rows = estimate_rows(
        measured.contrasts,
        measured.variance,
        share * people,
        describe_reference(public, measured.contrasts.shape[2]),
    )
    return GeneTable(measured.columns, rows, np.einsum("tlb,l->tb", rows, share))


def _people_of(
    columns: Sequence[str], components: Sequence[Component], everyone: Sequence[CategoryCounts]
) -> float:
    own = [c.people for c in components if set(columns) & set(c.tree.sizes)]
    return own[0] if own else estimate_people(everyone)


def _fit_moments(
    sums: MomentSums,
    components: Sequence[Component],
    everyone: Sequence[CategoryCounts],
    reference: ReferenceValues,
) -> FactorModel:
    columns = [reference[gene] for gene in sums.genes if gene in reference]
    values = np.stack(columns, axis=1) if len(columns) == len(sums.genes) else np.zeros((0, 1))
    shares = label_distribution(components, sums.query.columns)
    people = _people_of(sums.query.columns, components, everyone)
    return fit_factors(sums, shares, people, describe_factors(sums, values))


def _choose_sources(
    program: Program,
    measured: Sequence[GeneContrasts],
    moments: Sequence[MomentSums],
    factors: Sequence[FactorModel],
    references: Mapping[str, ReferenceValues],
) -> tuple[SyntheticGene, ...]:
    """Which tables and factors every gene is drawn from, and its curve.

    A symbol in several panels of one unit is one gene.  Among tables of it, those over the edges of
    the most precise one are kept (least noise on the gene's pooled counts, L·s²; at a tie the
    earlier).  Tables over other edges are left out: no one distribution of bins fits both.  Of
    several moments those with the least noise of a gene's mean are kept (at a tie the earlier).
    """
    order = [panel.name for panel in program.panels]
    tables = _places([(table.panel, table.genes) for table in measured])
    sums = _places([(one.panel, one.genes) for one in moments])
    genes: list[SyntheticGene] = []
    for panel in program.panels:
        for symbol in panel.genes:
            key = (symbol, panel.unit)
            found, factor = tables.pop(key, []), sums.pop(key, [])
            if not (found or factor):
                continue
            names = {measured[index].panel.name for index, _ in found}
            names |= {moments[index].panel.name for index, _ in factor}
            best = min(factor, key=lambda p: moments[p[0]].means_variance, default=None)
            if found:
                sources, curve = _table_sources(program, symbol, found, measured, references)
            elif best is not None:
                sums_of_best = moments[best[0]]
                values = references.get(sums_of_best.query.source, {}).get(symbol)
                sources = ()
                curve = moment_curve(sums_of_best, factors[best[0]], best[1], _finite(values))
            genes.append(
                SyntheticGene(
                    symbol=symbol,
                    panel=min(names, key=order.index),
                    unit=panel.unit,
                    sources=sources,
                    curve=curve,
                    factors=best,
                )
            )
    return tuple(genes)


def _places(
    tables: Sequence[tuple[Panel, Sequence[str]]],
) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """(Symbol, unit) → the tables that hold the gene, and its row there."""
    places: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for index, (panel, genes) in enumerate(tables):
        for row, gene in enumerate(genes):
            places.setdefault((gene, panel.unit), []).append((index, row))
    return places


def _table_sources(
    program: Program,
    symbol: str,
    found: Sequence[tuple[int, int]],
    measured: Sequence[GeneContrasts],
    references: Mapping[str, ReferenceValues],
) -> tuple[tuple[tuple[int, int], ...], BinCurve]:
    best = min(found, key=lambda p: measured[p[0]].variance * measured[p[0]].contrasts.shape[1])
    table, edges = measured[best[0]], measured[best[0]].edges[best[1]]
    same = tuple(p for p in found if np.array_equal(measured[p[0]].edges[p[1]], edges))
    source = reference_of(program, table.panel, table.reference, symbol, references)
    values = None if source is None else _finite(references[source][symbol])
    return same, bin_curve(edges, float(table.panel.low), float(table.panel.high), values)


def _finite(values: Floats | None) -> Floats | None:
    return None if values is None else values[np.isfinite(values)]
