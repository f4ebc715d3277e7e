"""What is allowed in a site's files, but hardly meant: for `check-data` only, never in a run."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from secgen_dsl.diagnostics.diagnostic import Diagnostic
from secgen_dsl.ir.program import Panel, Program, decimal_text
from secgen_dsl.ir.queries import Moments, Table
from secgen_dsl.queries.expression import expression_codes
from secgen_dsl.queries.labels import NO_CELL
from secgen_dsl.queries.table import SampleTable
from secgen_dsl.runtime.site.report import NumberReport, ReadReport

_MOST = 0.5  # a share from which on something is worth a remark
_MOST_OUTSIDE = 0.1  # of a panel's values; of real cohorts in their units it is below 0.02
_MOST_IN_ONE_END = 0.8  # of the values in all genes; of real cohorts it is below 0.6
_FEWEST_GENES = 3  # of a few genes all may be high or low at a site
_FEWEST_MEDIANS = 10  # genes, for the same reason
_QUANTILES = ("reference", "reference-else-equal")


def remarks(
    program: Program, table: SampleTable, report: ReadReport, where: str
) -> list[Diagnostic]:
    """Warnings SG425 about content that is allowed, but hardly what the site means.

    Args:
        program: that the site was read for.
        table: the samples that count.
        report: of the same reading.
        where: the site's file, for the diagnostics.
    """
    found = [*_rows(report), *_labels(report)]
    for panel in program.panels:
        values = report.panels[panel.name]
        unit = _outside(panel, values) or _in_one_end(program, panel, values, table)
        if unit:
            found.append(unit)
        if values.missing > _MOST * (values.values + values.missing):
            found.append(
                (
                    f'most values of the panel "{panel.name}" are missing',
                    "see whether the file writes numbers with points, and missing ones as NA",
                )
            )
    return [
        Diagnostic("SG425", message, severity="warning", place=where, next_step=step)
        for message, step in found
    ]


def _rows(report: ReadReport) -> Iterator[tuple[str, str]]:
    if not report.samples:
        yield "no sample counts", "see below why rows were left out"
    lost = report.rows_without_expression
    if lost > _MOST * max(report.samples + lost, 1):
        yield (
            f"{lost} rows of the clinical table find no row of the expression file",
            "compare how the two files write the samples, and see `sample` under [files]",
        )


def _labels(report: ReadReport) -> Iterator[tuple[str, str]]:
    for name, label in report.labels.items():
        unknown = sum(label.unknown.values())
        if unknown > _MOST * report.samples:
            yield (
                f'most values of "{name}" are unknown: {unknown} of {report.samples}',
                f"map the file's values to those of the spec under [values.{name}]",
            )


def _outside(panel: Panel, values: NumberReport) -> tuple[str, str] | None:
    """Many values beyond the range: the first sign of another unit."""
    outside = values.below + values.above
    if outside <= _MOST_OUTSIDE * values.values:
        return None
    many = "most" if outside > _MOST * values.values else "many"
    return (
        f'{many} values of the panel "{panel.name}" lie outside'
        f" {decimal_text(panel.low)}..{decimal_text(panel.high)}: {outside:,} of"
        f" {values.values:,}; {_span(values)}; this looks like another unit",
        _unit_step(panel),
    )


def _in_one_end(
    program: Program, panel: Panel, values: NumberReport, table: SampleTable
) -> tuple[str, str] | None:
    """Nearly all values in the first or the last bin of a query, within the range though they be.

    Bins of equal width may well hold most genes' medians in one end (SCAN-B's in log2(FPKM + 0.1)
    do, for three bins of -4..18), quantiles of a public table do not; two bins have nothing but
    ends.
    """
    for query in program.queries:
        if isinstance(query, Moments) or query.binning == "learned":
            continue  # no bins that are known before the run
        if query.panel != panel.name or len(program.genes(query)) < _FEWEST_GENES:
            continue
        quantiles = query.binning in _QUANTILES
        if query.bins == 2 and not quantiles:
            continue
        ends = _ends(program, query, panel, table)
        name = "first" if ends.first >= ends.last else "last"
        share = max(ends.first, ends.last)
        if share > _MOST_IN_ONE_END:
            return (
                f'{share:.0%} of the values of the panel "{panel.name}" fall in the {name} of the'
                f" {query.bins} bins of `{query.statement}`; {_span(values)}; this looks like"
                " another unit",
                f"{_unit_step(panel)}; if it is, these bins tell little",
            )
        medians = max(ends.medians_first, ends.medians_last)
        if quantiles and query.bins > 2 and ends.genes >= _FEWEST_MEDIANS and medians > _MOST:
            name = "first" if ends.medians_first >= ends.medians_last else "last"
            return (
                f"the medians of {medians:.0%} of the genes of the panel"
                f' "{panel.name}" fall in the {name} of the {query.bins} bins of'
                f" `{query.statement}`; {_span(values)}; this looks like another unit",
                _unit_step(panel),
            )
    return None


@dataclass(frozen=True)
class _Ends:
    """Shares of the values, and of the genes' medians, in the first and in the last bin."""

    first: float
    last: float
    medians_first: float
    medians_last: float
    genes: int


def _ends(program: Program, query: Table, panel: Panel, table: SampleTable) -> _Ends:
    counts = []
    panel = panel.model_copy(update={"missing": None})  # what stands in for values is none
    for gene, edges in zip(program.genes(query), query.edges, strict=True):
        codes = expression_codes(panel, gene, edges, table)
        counts.append(np.bincount(codes[codes != NO_CELL], minlength=query.bins))
    held = np.array([each for each in counts if each.sum()], dtype=np.float64)
    if not held.size:
        return _Ends(0.0, 0.0, 0.0, 0.0, 0)
    # More than half of a gene's values in a bin: its median is there.
    in_ends = held / held.sum(axis=1, keepdims=True) > _MOST
    return _Ends(
        first=float(held[:, 0].sum() / held.sum()),
        last=float(held[:, -1].sum() / held.sum()),
        medians_first=float(in_ends[:, 0].mean()),
        medians_last=float(in_ends[:, -1].mean()),
        genes=len(held),
    )


def _span(values: NumberReport) -> str:
    if values.least is None:
        return "none is finite"
    return f"they are from {values.least:.6g} to {values.greatest:.6g}"


def _unit_step(panel: Panel) -> str:
    return f"see whether the file's unit is the panel's: {panel.source_unit}"
