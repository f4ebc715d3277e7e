"""The fitted model: a joint distribution of connected columns, and bins of genes given labels.

Labels and genes form stars: genes are independent given the labels that they were measured with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.ir.plan import Measurements, Plan
from secgen_dsl.ir.program import CategoryColumn, Marginal, Panel, Program
from secgen_dsl.public.reference import ReferenceValues
from secgen_dsl.synthesis.consistency import connected_columns, estimate_people, fit_joint
from secgen_dsl.synthesis.decoding import BinCurve, bin_curve
from secgen_dsl.synthesis.measured import CategoryCounts, Floats, GeneContrasts, read_measurements
from secgen_dsl.synthesis.shrinkage import (
    ReferenceBins,
    describe_reference,
    estimate_rows,
    no_reference,
)


@dataclass(frozen=True)
class Component:
    """Columns that tables connect.

    Attributes:
        columns: in the order of the joint's axes.
        joint: probabilities, one axis a column, in the order of its public values.
        people: the estimated number of people in these tables; ≥ 1, not an integer.
    """

    columns: tuple[CategoryColumn, ...]
    joint: Floats
    people: float


@dataclass(frozen=True)
class GeneTable:
    """One measured gene marginal.

    Attributes:
        columns: names of its columns; all in one component, or none at all.
        probabilities: p(bin | label cell), shape (genes, L, B).
        pooled: p(bin), shape (genes, B): over the fitted labels.
    """

    columns: tuple[str, ...]
    probabilities: Floats
    pooled: Floats


@dataclass(frozen=True)
class SyntheticGene:
    """A gene of the synthetic rows.

    Attributes:
        symbol: the gene's name.
        panel: the (first) panel that it is in.
        unit: of its values.
        sources: (index of a table of the model, row in it); several were measured over the same
            edges, and are combined.
        curve: from bins to values.
    """

    symbol: str
    panel: str
    unit: str
    sources: tuple[tuple[int, int], ...]
    curve: BinCurve


@dataclass(frozen=True)
class TableModel:
    """Everything that samples are drawn from; what nobody measured is not in it.

    Attributes:
        columns: measured columns, in the program's order.
        components: every column is in exactly one.
        tables: the gene marginals.
        genes: in order of panels and of genes in them.
    """

    columns: tuple[CategoryColumn, ...]
    components: tuple[Component, ...]
    tables: tuple[GeneTable, ...]
    genes: tuple[SyntheticGene, ...]


def fit_model(
    plan: Plan, measurements: Measurements, references: Mapping[str, ReferenceValues]
) -> TableModel:
    """Fit the model to the opened values.

    Args:
        plan: that was run.
        measurements: its opened values.
        references: of every public reference of the program, as ``read_references`` returns.

    Raises:
        SecgenError: SG601, SG607, SG608, SG609 as ``fit_joint`` and ``read_measurements``;
            SG610, nothing was measured.
    """
    program = plan.program
    measured = read_measurements(plan, measurements)
    if not measured.categories:
        raise fail(
            "SG610",
            "the plan measures nothing that samples could be drawn from",
            place="measure { … }",
            next_step="add a marginal",
        )
    groups = [t.columns for t in measured.categories] + [t.marginal.columns for t in measured.genes]
    components = tuple(
        _fit_component(program, names, measured.categories) for names in connected_columns(groups)
    )
    everyone = [table for table in measured.categories if not table.columns]
    tables = tuple(
        _fit_genes(program, contrasts, components, everyone, references)
        for contrasts in measured.genes
    )
    held = {name for group in groups for name in group}
    return TableModel(
        columns=tuple(column for column in program.columns if column.name in held),
        components=components,
        tables=tables,
        genes=_choose_sources(program, measured.genes, references),
    )


def label_distribution(
    components: Sequence[Component], columns: tuple[str, ...]
) -> tuple[Floats, float] | None:
    """p(label cell) of ``columns``, shape (L,), last column fastest, and the number of people.

    None if no component holds the columns (there are none).
    """
    for component in components:
        names = [column.name for column in component.columns]
        if columns and set(columns) <= set(names):
            others = tuple(i for i, name in enumerate(names) if name not in columns)
            held = [name for name in names if name in columns]
            marginal = component.joint.sum(axis=others)
            return marginal.transpose([held.index(n) for n in columns]).ravel(), component.people
    return None


def _fit_component(
    program: Program, names: tuple[str, ...], tables: Sequence[CategoryCounts]
) -> Component:
    columns = tuple(program.column(name) for name in names)
    own = [table for table in tables if table.columns and set(table.columns) <= set(names)]
    joint, people = fit_joint(names, tuple(len(c.values) for c in columns), own)
    return Component(columns, joint, people)


def _fit_genes(
    program: Program,
    measured: GeneContrasts,
    components: Sequence[Component],
    everyone: Sequence[CategoryCounts],
    references: Mapping[str, ReferenceValues],
) -> GeneTable:
    marginal = measured.marginal
    labels = label_distribution(components, marginal.columns)
    if labels is None:
        labels = np.ones(1), estimate_people(everyone)
    share, people = labels
    rows = estimate_rows(
        measured.contrasts,
        measured.variance,
        share * people,
        _reference_bins(program, marginal, references),
    )
    return GeneTable(marginal.columns, rows, np.einsum("tlb,l->tb", rows, share))


def _edges(marginal: Marginal) -> Floats:
    """Shape (genes, B − 1)."""
    return np.array([[float(edge) for edge in gene] for gene in marginal.edges])


def _panel(program: Program, marginal: Marginal) -> Panel:
    if marginal.panel is None:
        raise ValueError(f"{marginal.id} has no panel")
    return program.panel(marginal.panel)


def _reference_of(
    program: Program,
    marginal: Marginal,
    gene: str,
    references: Mapping[str, ReferenceValues],
) -> str | None:
    """The reference that a gene is decoded with: that of its bins, else the first that has it."""
    unit = _panel(program, marginal).unit
    names = [marginal.reference] if marginal.reference else []
    names += [reference.name for reference in program.references if reference.unit == unit]
    for name in names:
        if name in references and gene in references[name]:
            return name
    return None


def _reference_bins(
    program: Program, marginal: Marginal, references: Mapping[str, ReferenceValues]
) -> ReferenceBins:
    """The bins of the one reference that holds most of the panel, so that genes can covary."""
    panel = _panel(program, marginal)
    sources = [_reference_of(program, marginal, gene, references) for gene in panel.genes]
    found = [source for source in sources if source is not None]
    if not found:
        return no_reference(len(panel.genes), marginal.bins)
    values = references[max(dict.fromkeys(found), key=found.count)]
    samples = max(gene_values.size for gene_values in values.values())
    bins: NDArray[np.int64] = np.full((samples, len(panel.genes)), -1, dtype=np.int64)
    for position, (gene, edges) in enumerate(zip(panel.genes, _edges(marginal), strict=True)):
        if gene in values:
            held = np.isfinite(values[gene])
            bins[held, position] = np.searchsorted(edges, values[gene][held], side="right")
    return describe_reference(bins, marginal.bins)


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
    places: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for panel in program.panels:
        for index, table in enumerate(measured):
            if table.marginal.panel == panel.name:
                for row, gene in enumerate(panel.genes):
                    places.setdefault((gene, panel.unit), []).append((index, row))
    genes: list[SyntheticGene] = []
    for (symbol, unit), found in places.items():
        best = min(found, key=lambda p: measured[p[0]].variance * measured[p[0]].contrasts.shape[1])
        edges = _edges_of(measured, best)
        same = tuple(place for place in found if np.array_equal(_edges_of(measured, place), edges))
        marginal = measured[best[0]].marginal
        panel = _panel(program, marginal)
        source = _reference_of(program, marginal, symbol, references)
        values = None if source is None else references[source][symbol]
        if values is not None:
            values = values[np.isfinite(values)]
        names = {_panel(program, measured[index].marginal).name for index, _ in found}
        genes.append(
            SyntheticGene(
                symbol=symbol,
                panel=min(names, key=order.index),
                unit=unit,
                sources=same,
                curve=bin_curve(edges, float(panel.low), float(panel.high), values),
            )
        )
    return tuple(genes)


def _edges_of(measured: Sequence[GeneContrasts], place: tuple[int, int]) -> Floats:
    table, row = place
    return np.array([float(edge) for edge in measured[table].marginal.edges[row]])
