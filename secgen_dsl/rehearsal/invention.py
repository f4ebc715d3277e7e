"""Invented samples: values that a spec allows, drawn from the program and public tables alone.

They look like a site's table, odd content included, and mean nothing: columns and genes are
independent of each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import log

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.program import CategoryColumn, NumberColumn, Panel, Program
from secgen_dsl.public.reference import ReferenceValues
from secgen_dsl.rehearsal import MARK
from secgen_dsl.synthesis.decoding import NUMBER_DECIMALS, is_whole

ODD = 0.02
"""Share of cells, persons and rows with something odd, of each kind (genes: a tenth of it)."""

_SEVERAL_SILOS = 0.1  # of the persons that may be in another silo too
_JITTER = 0.1  # of a gene's standard deviation in its public table
_LIBRARIES = (5e6, 3e7)  # counts a sample
_FIRST_DAY = date(2015, 1, 1)
_DAYS = 3650


@dataclass(frozen=True, eq=False)
class InventedSamples:
    """One silo's invented samples as texts, n of each.

    Attributes:
        samples: their names, distinct.
        columns: name in the spec → texts: the person key, then dates, labels, numbers and library
            sizes, as far as the program asks for them.
        genes: gene → texts.
        other_genes: the counts of all genes that no panel names, together; empty unless some
            library size is the sum of all genes in the file.
    """

    samples: tuple[str, ...]
    columns: Mapping[str, Sequence[str]]
    genes: Mapping[str, Sequence[str]]
    other_genes: Sequence[str]


def invent(
    program: Program, references: Mapping[str, ReferenceValues], rows: int, rng: np.random.Generator
) -> dict[str, InventedSamples]:
    """Invent every silo's samples.

    * Persons have up to as many samples as count, now and then one more; they are in several silos
      where the program allows it.
    * Labels are uniform, or by the shares that the program expects; numbers are uniform.
    * A gene has the values of a public table in its panel's unit that holds it (a bootstrap with
      a jitter, clamped to the range), else values uniform over the range.
    * A small share is missing, unknown, out of range, without a person or of unknown date.

    Args:
        program: says all that is needed.
        references: its public tables, as ``synthesis.reference.read_references`` returns.
        rows: of every silo, ≥ 1.
        rng: any; nothing here is secret.

    Returns:
        Silo → its samples.
    """
    silos_of: dict[str, int] = {}
    invented = {}
    for silo in program.silos:
        keys, per = _persons(program, rows, silos_of, rng)
        invented[silo.name] = _samples(program, references, silo.name, keys, per, rng)
    return invented


def _persons(
    program: Program, rows: int, silos_of: dict[str, int], rng: np.random.Generator
) -> tuple[list[str], list[str]]:
    """Person keys of a silo's rows, and the rows' values of the column ``per`` (or nothing).

    Args:
        silos_of: person → number of silos so far; it is brought up to date.
    """
    person = program.person
    values = program.column(person.per).values if person.per is not None else ("",)
    cap = person.samples * len(values)
    others = [key for key, silos in silos_of.items() if silos < person.silos]
    rng.shuffle(others)
    keys: list[str] = []
    per: list[str] = []
    while len(keys) < rows:
        if others and rng.random() < _SEVERAL_SILOS:
            key = others.pop()
        else:
            key = f"{MARK}-p{len(silos_of) + 1:05d}"
        silos_of[key] = silos_of.get(key, 0) + 1
        samples = min(int(rng.integers(1, cap + 1)) + int(rng.random() < ODD), rows - len(keys))
        order = rng.permutation(len(values))
        keys += [key] * samples
        per += [values[order[k % len(values)]] for k in range(samples)]
    return keys, per if person.per is not None else []


def _samples(
    program: Program,
    references: Mapping[str, ReferenceValues],
    silo: str,
    keys: list[str],
    per: list[str],
    rng: np.random.Generator,
) -> InventedSamples:
    rows = len(keys)
    person = program.person
    order = rng.permutation(rows)  # one person's rows need not be neighbours
    columns: dict[str, Sequence[str]] = {
        person.key: _oddly([keys[row] for row in order], [""], rng)
    }
    if person.keep is not None:
        days = rng.integers(0, _DAYS, rows).tolist()
        dates = [(_FIRST_DAY + timedelta(days=day)).isoformat() for day in days]
        columns[person.keep] = _oddly(dates, ["", "unknown"], rng)
    for column in program.columns:
        if column.name == person.per:
            columns[column.name] = _oddly([per[row] for row in order], [""], rng)
        elif isinstance(column, CategoryColumn):
            columns[column.name] = _labels(program, column, rows, rng)
        else:
            columns[column.name] = _numbers(column, rows, rng)
    libraries = np.rint(np.exp(rng.uniform(log(_LIBRARIES[0]), log(_LIBRARIES[1]), rows)))
    for panel in program.panels:
        if panel.counts is not None and panel.counts.library_column is not None:
            texts = [f"{size:.0f}" for size in libraries.tolist()]
            columns.setdefault(panel.counts.library_column, _oddly(texts, ["NA"], rng))
    genes: dict[str, Sequence[str]] = {}
    counted = np.zeros(rows)
    for panel in program.panels:
        for gene in panel.genes:
            if gene not in genes:
                values = _expression(program, panel, gene, references, rows, rng)
                if panel.counts is not None:
                    values = np.rint(np.maximum(np.exp2(values) - 1, 0) * libraries / 1e6)
                    counted += values
                genes[gene] = _expression_texts(panel, values, rng)
    summed = any(p.counts is not None and p.counts.library_column is None for p in program.panels)
    rest = np.maximum(libraries - counted, 0.0).tolist() if summed else []
    width = max(4, len(str(rows)))
    return InventedSamples(
        samples=tuple(f"{MARK}-{silo}-{number:0{width}d}" for number in range(1, rows + 1)),
        columns=columns,
        genes=genes,
        other_genes=[f"{counts:.0f}" for counts in rest],
    )


def _oddly(texts: list[str], odd: Sequence[str], rng: np.random.Generator) -> list[str]:
    """The texts, a small share of them replaced by one of ``odd``."""
    for row in np.flatnonzero(rng.random(len(texts)) < ODD):
        texts[row] = odd[int(rng.integers(len(odd)))]
    return texts


def _labels(
    program: Program, column: CategoryColumn, rows: int, rng: np.random.Generator
) -> list[str]:
    expected = {e.value: float(e.share) for e in program.expectations if e.column == column.name}
    rest = [value for value in column.values if value not in expected]
    left = max(0.0, 1.0 - sum(expected.values()))
    shares = np.array([expected.get(v, left / max(len(rest), 1)) for v in column.values])
    drawn = rng.choice(len(column.values), rows, p=shares / shares.sum())
    unknown = "not in the spec"
    while unknown in column.values:
        unknown += "?"
    return _oddly([column.values[position] for position in drawn], ["", unknown], rng)


def _numbers(column: NumberColumn, rows: int, rng: np.random.Generator) -> list[str]:
    low, high = float(column.low), float(column.high)
    if is_whole(column):
        texts = [str(number) for number in rng.integers(int(low), int(high) + 1, rows)]
    else:
        texts = [f"{number:.{NUMBER_DECIMALS}f}" for number in rng.uniform(low, high, rows)]
    beyond = high + (high - low)
    return _oddly(texts, ["", "NA", f"{beyond:.0f}", "not measured"], rng)


def _expression(
    program: Program,
    panel: Panel,
    gene: str,
    references: Mapping[str, ReferenceValues],
    rows: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Values in the panel's unit, within its range."""
    low, high = float(panel.low), float(panel.high)
    for reference in program.references:
        if program.reference_unit(reference) != panel.unit:
            continue
        known = references[reference.name].get(gene, np.array([]))
        known = known[np.isfinite(known)]
        if known.size:
            jitter = rng.normal(0.0, _JITTER * float(known.std()), rows)
            return np.clip(rng.choice(known, rows) + jitter, low, high)
    return rng.uniform(low, high, rows)


def _expression_texts(
    panel: Panel, values: NDArray[np.float64], rng: np.random.Generator
) -> list[str]:
    decimals = 0 if panel.unit == "counts" or panel.counts is not None else 4
    texts = [f"{value:.{decimals}f}" for value in values.tolist()]
    for row in np.flatnonzero(rng.random(len(texts)) < ODD / 10):
        texts[row] = "NA"
    return texts
