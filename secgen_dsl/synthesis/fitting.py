"""From opened values to the model: consistent labels, then genes given labels, then gene pairs."""

from collections.abc import Mapping, Sequence

import numpy as np

from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.ir.plan import Measurements, Plan
from secgen_dsl.ir.program import NumberColumn, Program
from secgen_dsl.public.reference import ReferenceValues
from secgen_dsl.synthesis.consistency import connected_columns, estimate_people, fit_tables
from secgen_dsl.synthesis.decoding import bin_curve, number_curve
from secgen_dsl.synthesis.measured import CategoryCounts, Floats, GeneContrasts, read_measurements
from secgen_dsl.synthesis.model import (
    Component,
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
    groups = [table.columns for table in measured.categories] + labels
    components = tuple(
        _fit_component(program, set(names), measured.categories, labels)
        for names in connected_columns(groups)
    )
    contrasts = [*measured.genes, *single_genes(measured)]
    everyone = [table for table in measured.categories if not table.columns]
    tables = tuple(_fit_genes(program, c, components, everyone, references) for c in contrasts)
    genes = _choose_sources(program, contrasts, references)
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
    own = [c.people for c in components if set(measured.columns) & set(c.tree.sizes)]
    people = own[0] if own else estimate_people(everyone)
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


def _choose_sources(
    program: Program,
    measured: Sequence[GeneContrasts],
    references: Mapping[str, ReferenceValues],
) -> tuple[SyntheticGene, ...]:
    """Which tables every gene is drawn from, and its curve.

    A symbol in several panels of one unit is one gene.  Among tables of it, those over the edges of
    the most precise one are kept (least noise on the gene's pooled counts, L·s²; at a tie the
    earlier).  Tables over other edges are left out: no one distribution of bins fits both.
    """
    order = [panel.name for panel in program.panels]
    rows = [{gene: row for row, gene in enumerate(table.genes)} for table in measured]
    places: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for panel in program.panels:
        for gene in panel.genes:
            for index, table in enumerate(measured):
                if table.panel.name == panel.name and gene in rows[index]:
                    places.setdefault((gene, panel.unit), []).append((index, rows[index][gene]))
    genes: list[SyntheticGene] = []
    for (symbol, unit), found in places.items():
        best = min(found, key=lambda p: measured[p[0]].variance * measured[p[0]].contrasts.shape[1])
        table, edges = measured[best[0]], measured[best[0]].edges[best[1]]
        same = tuple(p for p in found if np.array_equal(measured[p[0]].edges[p[1]], edges))
        source = reference_of(program, table.panel, table.reference, symbol, references)
        values = None if source is None else _finite(references[source][symbol])
        names = {measured[index].panel.name for index, _ in found}
        genes.append(
            SyntheticGene(
                symbol=symbol,
                panel=min(names, key=order.index),
                unit=unit,
                sources=same,
                curve=bin_curve(edges, float(table.panel.low), float(table.panel.high), values),
            )
        )
    return tuple(genes)


def _finite(values: Floats | None) -> Floats | None:
    return None if values is None else values[np.isfinite(values)]
