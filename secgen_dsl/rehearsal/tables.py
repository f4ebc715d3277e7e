"""Invented samples as a site's files: what a site's own table has to look like."""

import csv
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from secgen_dsl.ir.program import Program
from secgen_dsl.rehearsal import MARK_COLUMN
from secgen_dsl.rehearsal.invention import InventedSamples
from secgen_dsl.runtime.site.columns import SAMPLE_COLUMNS
from secgen_dsl.runtime.site.genes import GENE_PREFIX

_OTHER_GENES = "invented_sum_of_all_other_genes"


def write_tables(
    folder: Path, program: Program, invented: Mapping[str, InventedSamples]
) -> dict[str, Path]:
    """Write each silo's samples into a folder that exists.

    A silo has one table, ``NAME.csv``, with ``MARK_COLUMN``.  Where some library size is the sum of
    all genes in the file, the genes stand in a file of their own, ``NAME.expression.csv``.
    ``NAME.toml`` names the files where one table alone does not say everything.

    Args:
        folder: of the files.
        program: that the samples were invented from.
        invented: silo → its samples.

    Returns:
        Silo → what a party of it is given: the table, or the site description.

    Raises:
        OSError: a file cannot be written.
    """
    return {name: _write_site(folder, program, name, each) for name, each in invented.items()}


def _write_site(folder: Path, program: Program, name: str, invented: InventedSamples) -> Path:
    key = _sample_column(program)
    marks = ("yes",) * len(invented.samples)
    columns = {key: invented.samples, MARK_COLUMN: marks, **invented.columns}
    table = folder / f"{name}.csv"
    if not invented.other_genes:
        _write(table, columns | _with_prefixes(invented.genes, columns))
        # Without a description the sample's name is looked for in the first of these only.
        return table if key == SAMPLE_COLUMNS[0] else _describe(folder, name, key, table, None)
    expression = folder / f"{name}.expression.csv"
    samples = {key: invented.samples}
    genes = _with_prefixes(invented.genes, samples)
    _write(table, columns)
    _write(expression, samples | genes | {_OTHER_GENES: invented.other_genes})
    return _describe(folder, name, key, expression, table)


def _with_prefixes(
    genes: Mapping[str, Sequence[str]], columns: Mapping[str, Sequence[str]]
) -> dict[str, Sequence[str]]:
    return {GENE_PREFIX + g if g in columns else g: texts for g, texts in genes.items()}


def _describe(folder: Path, name: str, key: str, expression: Path, clinical: Path | None) -> Path:
    lines = [
        "# Invented: a rehearsal's stand-in for a site's own description of its files.",
        "[files]",
        f'expression = "{expression.name}"',
        *([f'clinical = "{clinical.name}"'] if clinical is not None else []),
        f'sample = "{key}"',
    ]
    site = folder / f"{name}.toml"
    site.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return site


def _sample_column(program: Program) -> str:
    """A name for the column of samples' names that no column of the program has."""
    person = program.person
    taken = {person.key, person.keep, *(column.name for column in program.columns)}
    taken |= {panel.counts.library_column for panel in program.panels if panel.counts is not None}
    names = chain(SAMPLE_COLUMNS, (f"sample_{number}" for number in range(2, 10**6)))
    return next(name for name in names if name not in taken)


def _write(path: Path, columns: Mapping[str, Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
