"""From opened values to the model: consistent labels, moments, genes given labels, gene pairs.

A gene that both moments and tables measure has its tables' rows, shrunk to what the moments predict
of them (``predicted``, ``shrinkage``), and is as dependent on other genes as the moments say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.ir.cliques import MAX_CLIQUE_CELLS
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
    label_cells,
    label_distribution,
)
from secgen_dsl.synthesis.pairs import fit_correlations, single_genes
from secgen_dsl.synthesis.predicted import PredictedBins, cut_finer, predicted_bins
from secgen_dsl.synthesis.reference import (
    LabelCodes,
    public_bins,
    public_cells,
    reference_of,
    shared_reference,
)
from secgen_dsl.synthesis.shrinkage import (
    describe_reference,
    estimate_rows,
    likelier_prediction,
    rows_of_labelled,
)


def fit_model(
    plan: Plan,
    measurements: Measurements,
    references: Mapping[str, ReferenceValues],
    numbers: ReferenceValues,
    labels: LabelCodes = MappingProxyType({}),
) -> TableModel:
    """Fit the model to the opened values.

    Args:
        plan: that was run.
        measurements: its opened values.
        references: of every public reference of the program, as ``read_references`` returns.
        numbers: of the number columns with a reference, as ``read_numbers`` returns.
        labels: of the labelled references, as ``read_label_codes`` returns.

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
    given = [contrasts.columns for contrasts in measured.genes]
    given += [sums.query.columns for sums in measured.moments]
    groups = [table.columns for table in measured.categories] + given
    components = tuple(
        _fit_component(program, set(names), measured.categories, given)
        for names in connected_columns(groups)
    )
    everyone = [table for table in measured.categories if not table.columns]
    factors = tuple(
        _fit_moments(
            sums,
            components,
            everyone,
            references.get(sums.query.source, {}),
            public_cells(program, sums.query.columns, labels.get(sums.query.source, {})),
        )
        for sums in measured.moments
    )
    moments = _FittedMoments(measured.moments, factors, references)
    contrasts = [
        part
        for table in [*measured.genes, *single_genes(measured)]
        for part in _with_and_without(table, moments)
    ]
    predicted = [_predict(program, one, moments, components, references) for one in contrasts]
    tables = tuple(
        _fit_genes(program, one, components, everyone, references, labels, own)
        for one, own in zip(contrasts, predicted, strict=True)
    )
    genes = _choose_sources(program, contrasts, predicted, moments, references)
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
    labels: LabelCodes,
    predicted: Sequence[PredictedBins],
) -> GeneTable:
    """A table's rows; finer ones of genes with moments, all or none of which it holds.

    Moments know more than labelled public people: they have learned from these, and of patients.
    """
    share = label_distribution(components, measured.columns)
    people = _people_of(measured.columns, components, everyone)
    by = program, measured.panel, measured.reference, measured.genes
    public = public_bins(*by, measured.edges, references)
    reference = describe_reference(public, measured.contrasts.shape[2])
    source = shared_reference(*by, references)
    cells = public_cells(program, measured.columns, labels.get(source or "", {}))
    prediction = None
    if predicted:
        prediction = np.stack([one.parts.sum(axis=2) for one in predicted])
    elif cells is not None:
        prediction = rows_of_labelled(public, cells, share.size, reference)
    counts = measured.contrasts, measured.variance, share * people, reference
    if prediction is not None and not predicted:
        prediction = likelier_prediction(*counts, prediction)
    rows = estimate_rows(*counts, prediction)
    if predicted:
        rows = cut_finer(rows, predicted)
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
    cells: NDArray[np.int64] | None,
) -> FactorModel:
    columns = [reference[gene] for gene in sums.genes if gene in reference]
    if len(columns) == len(sums.genes):
        values = np.stack(columns, axis=1)
    else:
        values, cells = np.zeros((0, 1)), None
    shares = label_distribution(components, sums.query.columns)
    people = _people_of(sums.query.columns, components, everyone)
    return fit_factors(sums, shares, people, describe_factors(sums, values, cells))


class _FittedMoments:
    """The moments' sums, the factor models fitted to them, and which of them a gene is drawn from.

    Attributes:
        sums: of every moments statement.
        factors: one for each of ``sums``.
        best: (symbol, unit) → index of the moments, and the gene's column there.  Of several those
            with the least noise of a gene's mean (at a tie the earlier).
        panels: (symbol, unit) → the panels of all its moments.
    """

    def __init__(
        self,
        sums: Sequence[MomentSums],
        factors: Sequence[FactorModel],
        references: Mapping[str, ReferenceValues],
    ) -> None:
        self.sums, self.factors, self._references = sums, factors, references
        places = _places([(one.panel, one.genes) for one in sums])
        self.best = {
            key: min(found, key=lambda place: sums[place[0]].means_variance)
            for key, found in places.items()
        }
        self.panels = {
            key: {sums[index].panel.name for index, _ in found} for key, found in places.items()
        }

    def curve(self, index: int, gene: int) -> BinCurve:
        """From a gene's quantiles among people of all labels to its values."""
        sums = self.sums[index]
        values = self._references.get(sums.query.source, {}).get(sums.genes[gene])
        return moment_curve(sums, self.factors[index], gene, _finite(values))


def _with_and_without(table: GeneContrasts, moments: _FittedMoments) -> list[GeneContrasts]:
    """The genes of a table that moments hold, and the others: these are fitted on their own."""
    held = np.array([(gene, table.panel.unit) in moments.best for gene in table.genes])
    return [
        replace(
            table,
            genes=tuple(gene for gene, one in zip(table.genes, chosen, strict=True) if one),
            edges=table.edges[chosen],
            contrasts=table.contrasts[chosen],
        )
        for chosen in (held, ~held)
        if chosen.any()
    ]


def _predict(
    program: Program,
    table: GeneContrasts,
    moments: _FittedMoments,
    components: Sequence[Component],
    references: Mapping[str, ReferenceValues],
) -> list[PredictedBins]:
    """What moments say of the genes of a table; nothing where they hold none of them."""
    found: list[PredictedBins] = []
    labels: dict[int, Floats] = {}
    for gene, edges in zip(table.genes, table.edges, strict=True):
        if (gene, table.panel.unit) not in moments.best:
            return []
        index, column = moments.best[gene, table.panel.unit]
        factors = moments.factors[index]
        if index not in labels:
            labels[index] = _labels_given(components, table.columns, factors)
        own = _table_curve(program, table, gene, edges, references)
        curve = moments.curve(index, column)
        found.append(predicted_bins(factors, column, curve, own, edges, labels[index]))
    return found


def _labels_given(
    components: Sequence[Component], columns: Sequence[str], factors: FactorModel
) -> Floats:
    """p(label cell of the moments | label cell of ``columns``), shape (cells, L).

    Columns whose joint table would be too large are taken to be independent of the moments'.
    """
    sizes = {name: size for one in components for name, size in one.tree.sizes.items()}
    names = [*columns, *(name for name in factors.columns if name not in columns)]
    own = {name: sizes[name] for name in names}
    cells = prod(sizes[name] for name in columns)
    independent = np.tile(factors.shares, (cells, 1))
    if prod(own.values()) > MAX_CLIQUE_CELLS:
        return independent
    try:
        joint = label_distribution(components, names)
    except SecgenError:
        return independent
    codes = np.array(list(np.ndindex(*own.values())), dtype=np.int64)
    table = np.zeros((cells, factors.shares.size))
    places = label_cells(columns, own, codes), label_cells(factors.columns, own, codes)
    np.add.at(table, places, joint)
    total = table.sum(axis=1, keepdims=True)
    return np.where(total > 0, table / np.where(total > 0, total, 1.0), independent)


def _table_curve(
    program: Program,
    table: GeneContrasts,
    gene: str,
    edges: Floats,
    references: Mapping[str, ReferenceValues],
) -> BinCurve:
    source = reference_of(program, table.panel, table.reference, gene, references)
    values = None if source is None else _finite(references[source][gene])
    return bin_curve(edges, float(table.panel.low), float(table.panel.high), values)


def _choose_sources(
    program: Program,
    measured: Sequence[GeneContrasts],
    predicted: Sequence[Sequence[PredictedBins]],
    moments: _FittedMoments,
    references: Mapping[str, ReferenceValues],
) -> tuple[SyntheticGene, ...]:
    """Which tables and factors every gene is drawn from, and its curve.

    A symbol in several panels of one unit is one gene.  Among tables of it, those over the edges of
    the most precise one are kept (least noise on the gene's pooled counts, L·s²; at a tie the
    earlier).  Tables over other edges are left out: no one distribution of bins fits both.
    """
    order = [panel.name for panel in program.panels]
    tables = _places([(table.panel, table.genes) for table in measured])
    chosen: dict[tuple[str, str], SyntheticGene] = {}
    for panel in program.panels:
        for symbol in panel.genes:
            key = (symbol, panel.unit)
            found, factors = tables.get(key, []), moments.best.get(key)
            if key in chosen or not (found or factors):
                continue
            sources: tuple[tuple[int, int], ...] = ()
            if found:
                table, row = min(
                    found,
                    key=lambda p: measured[p[0]].variance * measured[p[0]].contrasts.shape[1],
                )
                edges = measured[table].edges[row]
                sources = tuple(
                    p for p in found if np.array_equal(measured[p[0]].edges[p[1]], edges)
                )
                curve = (
                    predicted[table][row].curve
                    if predicted[table]
                    else _table_curve(program, measured[table], symbol, edges, references)
                )
            elif factors is not None:
                curve = moments.curve(*factors)
            names = {measured[index].panel.name for index, _ in found}
            chosen[key] = SyntheticGene(
                symbol=symbol,
                panel=min(names | moments.panels.get(key, set()), key=order.index),
                unit=panel.unit,
                sources=sources,
                curve=curve,
                factors=factors,
            )
    return tuple(chosen.values())


def _places(
    tables: Sequence[tuple[Panel, Sequence[str]]],
) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """(Symbol, unit) → the tables that hold the gene, and its row there."""
    places: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for index, (panel, genes) in enumerate(tables):
        for row, gene in enumerate(genes):
            places.setdefault((gene, panel.unit), []).append((index, row))
    return places


def _finite(values: Floats | None) -> Floats | None:
    return None if values is None else values[np.isfinite(values)]
