"""From a site's table to one row a person: shape faults stop the site, content faults never do."""

import hmac
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.program import CategoryColumn, Program
from secgen_dsl.public.reference import MISSING_WORDS
from secgen_dsl.queries.labels import label_key, value_positions
from secgen_dsl.queries.table import SampleTable
from secgen_dsl.runtime.header import Positions, find_positions, needed_names
from secgen_dsl.runtime.table_file import open_table

_LONGEST_LABEL = 200  # of an unknown text that is kept: one long cell widens the whole array


@dataclass(frozen=True)
class ReadReport:
    """What the reader met.  For the site's own eyes: nothing of it may leave the site.

    Attributes:
        rows: rows of the file, blank lines not counted.
        rows_that_do_not_fit: rows with too many fields or a stray quote; they add nothing.
        people: distinct persons, one row each.
        rows_without_person: rows whose person key is missing; they add nothing.
        further_samples: rows left out because another one of the same person is kept.
        missing_labels: column → people without a value.
        unknown_labels: column → text that the spec does not list → people.
        missing_values: gene → people without a number; genes that everybody has are left out.
        clamped_values: panel → values outside its range.
    """

    rows: int
    rows_that_do_not_fit: int
    people: int
    rows_without_person: int
    further_samples: int
    missing_labels: Mapping[str, int]
    unknown_labels: Mapping[str, Mapping[str, int]]
    missing_values: Mapping[str, int]
    clamped_values: Mapping[str, int]


def read_people(program: Program, path: Path, site_key: bytes, place: str) -> SampleTable:
    """``read_people_with_report`` without the report."""
    return read_people_with_report(program, path, site_key, place)[0]


def read_people_with_report(
    program: Program, path: Path, site_key: bytes, place: str
) -> tuple[SampleTable, ReadReport]:
    """Read a CSV or TSV file, plain or gzip: one row a sample, columns and genes by name.

    Only the person key, the program's columns and its panels' genes are kept, a row at a time.
    Numbers are read as Python's ``float`` reads them (correctly rounded); what is no number is
    NaN.  Of the samples of one person the one with the smallest HMAC-SHA256(site key, sample) is
    kept, where the sample is its name (column ``sample`` or ``sample_id``) or else the row's
    needed texts: a choice that depends on the person's own rows only, in whatever order
    (PRIVACY 1.3, case a).  A row without a person key adds nothing, because the cap of one sample
    could not be held for it; nor does a row that does not fit the header.

    Args:
        program: names the columns and genes.
        path: the file.
        site_key: the site's secret, any bytes.
        place: the site's name, for diagnostics.

    Returns:
        The people, in the order of their first rows, and the report.

    Raises:
        SecgenError: a shape fault.  SG411 unreadable, not UTF-8 or not a table; SG412 another
            delimiter; SG413 a column is absent; SG414 genes are absent; SG415 a needed column is
            there twice; SG416 there are rows and none fits the header.
    """
    names = needed_names(program)
    kept: dict[str, _Sample] = {}
    rows = misfits = rows_without_person = 0
    with open_table(path, place, names.all()) as table:
        positions = find_positions(names, table.header, table.where)
        for cells in table.rows:
            rows += 1
            if cells is None:
                misfits += 1
                continue
            person = cells[positions.person].strip()
            if person.lower() in MISSING_WORDS:
                rows_without_person += 1
                continue
            sample = _sample(cells, positions, site_key)
            if person not in kept or sample.rank < kept[person].rank:
                kept[person] = sample
    samples = tuple(kept.values())
    labels = {
        column.name: _Labels.read(column, [sample.labels[position] for sample in samples])
        for position, column in enumerate(program.columns)
    }
    people = SampleTable(
        rows=len(samples),
        categories={name: column_labels.texts for name, column_labels in labels.items()},
        expression=_by_gene(samples, names.genes),
    )
    report = ReadReport(
        rows=rows,
        rows_that_do_not_fit=misfits,
        people=len(samples),
        rows_without_person=rows_without_person,
        further_samples=rows - misfits - rows_without_person - len(samples),
        missing_labels={name: column_labels.missing for name, column_labels in labels.items()},
        unknown_labels={name: column_labels.unknown for name, column_labels in labels.items()},
        missing_values=_missing_values(people),
        clamped_values=_clamped_values(program, people),
    )
    return people, report


def parse_numbers(texts: Sequence[str]) -> NDArray[np.float64]:
    """Each text as a float64, correctly rounded; NaN for what is not a number in ASCII.

    Python's ``float`` also reads ``1_000`` and the digits of other scripts: no numbers here.
    """
    joined = "".join(texts)
    if joined.isascii() and "_" not in joined:
        try:
            return np.fromiter(map(float, texts), dtype=np.float64, count=len(texts))
        except ValueError:
            pass
    return np.array([_parse_number(text) for text in texts], dtype=np.float64)


def _parse_number(text: str) -> float:
    try:
        return float(text) if text.isascii() and "_" not in text else float("nan")
    except ValueError:
        return float("nan")


@dataclass(frozen=True, eq=False)
class _Sample:
    """One row: its rank among its person's rows, its trimmed labels, its expression values."""

    rank: tuple[bytes, bytes]
    labels: tuple[str, ...]
    expression: NDArray[np.float64]


def _sample(cells: Sequence[str], positions: Positions, site_key: bytes) -> _Sample:
    labels = tuple(cells[position].strip() for position in positions.labels)
    numbers = [cells[position].strip() for position in positions.genes]
    content = _digest(site_key, ["content", *labels, *numbers])
    name = b""
    if positions.sample is not None:
        name = _digest(site_key, ["name", cells[positions.sample].strip()])
    # Two rows of one name are told apart by their content, never by their order.
    return _Sample((name, content), labels, parse_numbers(numbers))


def _digest(site_key: bytes, texts: list[str]) -> bytes:
    return hmac.digest(site_key, json.dumps(texts).encode(), "sha256")


def _by_gene(samples: Sequence[_Sample], genes: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    matrix = np.empty((len(genes), len(samples)), dtype=np.float64)
    for position, sample in enumerate(samples):
        matrix[:, position] = sample.expression
    return dict(zip(genes, matrix, strict=True))


@dataclass(frozen=True, eq=False)
class _Labels:
    """A column's texts as the encoders get them, and what was odd about them."""

    texts: NDArray[np.str_]
    missing: int
    unknown: Mapping[str, int]

    @classmethod
    def read(cls, column: CategoryColumn, texts: Sequence[str]) -> "_Labels":
        positions = value_positions(column)
        spelling: dict[str, str] = {}
        missing = 0
        unknown: dict[str, int] = {}
        for text, count in Counter(texts).items():
            position = positions.get(label_key(text))
            if position is not None:
                spelling[text] = column.values[position]
            elif text.lower() in MISSING_WORDS:
                spelling[text] = ""
                missing += count
            else:
                # numpy drops trailing NULs, which might turn an unknown text into a listed one.
                usable = len(text) <= _LONGEST_LABEL and "\0" not in text
                spelling[text] = text if usable else ""
                unknown[text] = count
        return cls(np.array([spelling[text] for text in texts], dtype=np.str_), missing, unknown)


def _missing_values(people: SampleTable) -> dict[str, int]:
    counts = {gene: int(np.isnan(values).sum()) for gene, values in people.expression.items()}
    return {gene: count for gene, count in counts.items() if count}


def _clamped_values(program: Program, people: SampleTable) -> dict[str, int]:
    counts = {}
    for panel in program.panels:
        low, high = float(panel.low), float(panel.high)
        columns = [people.expression[gene] for gene in panel.genes]
        counts[panel.name] = sum(
            int(np.count_nonzero((column < low) | (column > high))) for column in columns
        )
    return counts
