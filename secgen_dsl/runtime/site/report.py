"""What the reader met in a site's files: for that site's own eyes, nothing of it may leave."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.labels import label_key, value_positions
from secgen_dsl.ir.program import CategoryColumn, Panel
from secgen_dsl.public.reference import MISSING_WORDS
from secgen_dsl.queries.table import SampleTable

_LONGEST_LABEL = 200  # of an unknown text that is kept: one long cell widens the whole array
_LONGEST_SHOWN = 60


@dataclass(frozen=True)
class FileReport:
    """One file and how it was read.

    Attributes:
        name: as site.toml writes it.
        format: ``text``, ``Parquet`` or ``h5ad``.
        orientation: ``samples_by_genes`` or ``genes_by_samples``.
        layer: of an h5ad file; empty: ``X``, or another format.
        sample: the column that names the samples; empty if none is used.
        rows: samples, those that do not fit the header not counted.
        rows_that_do_not_fit: rows with too many fields or a stray quote; they add nothing.
    """

    name: str
    format: str
    orientation: str
    layer: str
    sample: str
    rows: int
    rows_that_do_not_fit: int


@dataclass(frozen=True)
class GeneReport:
    """How the panels' genes were found.

    Attributes:
        system: what site.toml says of the file's names; empty: nothing.
        directly: genes found by their own names.
        through_map: genes found through the map.
        map_sha256: of the map's bytes; empty without one.
        several: gene → names of its entries, where the file holds several.
    """

    system: str
    directly: int
    through_map: int
    map_sha256: str
    several: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class LabelReport:
    """A category column, over the samples that count.

    Attributes:
        counts: value of the spec → samples, before ``else``.
        mapped: text in the file → samples whose text site.toml maps.
        unknown: text that neither the spec nor site.toml knows → samples.
        missing: samples without a text.
    """

    counts: Mapping[str, int]
    mapped: Mapping[str, int]
    unknown: Mapping[str, int]
    missing: int


@dataclass(frozen=True)
class NumberReport:
    """A column or panel of numbers, over the samples that count.

    Attributes:
        least: of the finite numbers; None if there is none.
        greatest: likewise.
        values: numbers that are there.
        missing: those that are not.
        below: numbers under the public range, which count as its least one.
        above: numbers over it.
    """

    least: float | None
    greatest: float | None
    values: int
    missing: int
    below: int
    above: int


@dataclass(frozen=True)
class ReadReport:
    """What the reader met.

    Attributes:
        cohort: what site.toml calls it; empty: all the site's data are one cohort.
        files: ``table``, or ``clinical`` and ``expression`` → how the file was read.
        columns: name in the spec → name in the file.
        unit: of the expression values as site.toml states it; empty: not stated.
        panel_units: panel → the unit that the file's values are taken to be in.
        genes: how they were found.
        people: persons with a sample that counts.
        samples: samples that count.
        rows_without_person: rows whose person key is missing; they add nothing.
        rows_without_value: rows without a value of the column that the cap of samples is on.
        rows_without_expression: rows whose sample the expression file lacks.
        expression_without_row: samples of the expression file that the clinical table lacks.
        repeated_samples: rows left out because the same sample of the same person is kept.
        further_samples: rows left out because the cap of samples was reached.
        shared_samples: names of samples that rows of several persons have.
        unreadable_dates: rows whose date is missing or cannot be read; they are kept last.
        labels: category column → what it holds.
        numbers: number column → what it holds.
        panels: panel → its values, of counts once transformed.
        library_sizes: panel of counts → the library sizes.
        missing_values: gene → samples without a number; genes that all samples have are left out.
    """

    cohort: str
    files: Mapping[str, FileReport]
    columns: Mapping[str, str]
    unit: str
    panel_units: Mapping[str, str]
    genes: GeneReport
    people: int
    samples: int
    rows_without_person: int
    rows_without_value: int
    rows_without_expression: int
    expression_without_row: int
    repeated_samples: int
    further_samples: int
    shared_samples: int
    unreadable_dates: int
    labels: Mapping[str, LabelReport]
    numbers: Mapping[str, NumberReport]
    panels: Mapping[str, NumberReport]
    library_sizes: Mapping[str, NumberReport]
    missing_values: Mapping[str, int]


def spell(
    column: CategoryColumn, texts: Sequence[str], mapped: Mapping[str | Decimal, str]
) -> tuple[NDArray[np.str_], LabelReport]:
    """A column's texts as the encoders get them, and what was odd about them.

    Args:
        column: the column.
        texts: trimmed texts of the file.
        mapped: value in the file, by ``label_key`` → value of the spec.

    Returns:
        For each text the spec's spelling of its value, an empty text where it is missing, or the
        text itself where it is unknown.
    """
    positions = value_positions(column)
    spelling: dict[str, str] = {}
    counts: Counter[str] = Counter()
    met: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    missing = 0
    for text, count in Counter(texts).items():
        key = label_key(text)
        if key in mapped:
            spelling[text] = mapped[key]
            met[_shown(text)] += count
        elif key in positions:
            spelling[text] = column.values[positions[key]]
        elif text.lower() in MISSING_WORDS:
            spelling[text] = ""
            missing += count
            continue
        else:
            # numpy drops trailing NULs, which might turn an unknown text into a listed one.
            usable = len(text) <= _LONGEST_LABEL and "\0" not in text
            spelling[text] = text if usable else ""
            unknown[_shown(text)] += count
            continue
        counts[spelling[text]] += count
    spelled = np.array([spelling[text] for text in texts], dtype=np.str_)
    in_order = {value: counts[value] for value in column.values}
    return spelled, LabelReport(in_order, dict(met), dict(unknown.most_common()), missing)


def number_report(values: NDArray[np.float64], low: float, high: float) -> NumberReport:
    """What numbers hold, against a range."""
    present = values[~np.isnan(values)]
    finite = present[np.isfinite(present)]
    return NumberReport(
        least=float(finite.min()) if finite.size else None,
        greatest=float(finite.max()) if finite.size else None,
        values=int(present.size),
        missing=int(values.size - present.size),
        below=int(np.count_nonzero(present < low)),
        above=int(np.count_nonzero(present > high)),
    )


def panel_report(panel: Panel, table: SampleTable) -> NumberReport:
    """What a panel's values are, in its unit; rounded, as only a report may."""
    values = np.array([table.expression[gene] for gene in panel.genes], dtype=np.float64)
    if panel.counts is not None:
        with np.errstate(all="ignore"):
            values = np.log2(1e6 * values / table.library_sizes[panel.name] + 1)
    return number_report(values, float(panel.low), float(panel.high))


def missing_values(table: SampleTable) -> dict[str, int]:
    """Gene → samples without a number."""
    counts = {gene: int(np.isnan(values).sum()) for gene, values in table.expression.items()}
    return {gene: count for gene, count in counts.items() if count}


def _shown(text: str) -> str:
    """A text of the file as a report can hold it."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return whole if len(whole) <= _LONGEST_SHOWN else whole[: _LONGEST_SHOWN - 1] + "…"
