"""A site's files: site.toml, a clinical table and an expression table of some persons' samples."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from secgen_dsl.ir.program import Program
from tests.generated.tables import Sample, random_sample

_DATES = ("2019-03-01", "2020-01", "2019-03-01T10:00:00+01:00", "2018", "43", "", "soon", "NA")


@dataclass(frozen=True)
class Row:
    """A sample of a person; its name is that of no other row, because samples join two files."""

    person: str
    name: str
    date: str
    sample: Sample


def rows_of(
    random: Random, program: Program, people: int, most: int, prefix: str = "p"
) -> list[Row]:
    """Rows of some people, each with up to ``most`` of any content; now and then of nobody."""
    rows = []
    for number in range(people):
        person = "" if random.random() < 0.05 else f"{prefix}{number}"
        for sample in range(random.randint(1, most)):
            name = f"{prefix}{number}.{sample}"
            date = random.choice(_DATES)
            rows.append(Row(person, name, date, random_sample(random, program)))
    return rows


def write_site(random: Random, program: Program, rows: Sequence[Row], folder: Path) -> Path:
    """Write a site's files into a folder; returns its site.toml."""
    folder.mkdir()
    rows = random.sample(rows, len(rows))
    names = _columns(program)
    site = {
        "files": {
            "clinical": "clinical.csv",
            "expression": "expression.tsv",
            "sample": "which sample",
        },
        "columns": {name: f"column {number}" for number, name in enumerate(names)},
    }
    lines = []
    for table, keys in site.items():
        lines.append(f"[{table}]")
        lines += [f"{json.dumps(k, ensure_ascii=False)} = {json.dumps(v)}" for k, v in keys.items()]
    (folder / "site.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    clinical = [["which sample", *site["columns"].values()]]
    clinical += [[row.name, *(_cell(program, row, name) for name in names)] for row in rows]
    _write(folder / "clinical.csv", clinical, ",")
    genes = list(dict.fromkeys(gene for panel in program.panels for gene in panel.genes))
    expression = [["which sample", *genes, "a gene of no panel"]]
    for row in random.sample(rows, len(rows)):
        values = [row.sample["expression", gene] for gene in genes]
        expression.append([row.name, *map(str, values), ("0", "7", "NA")[len(row.name) % 3]])
    _write(folder / "expression.tsv", expression, "\t")
    return folder / "site.toml"


def libraries_are_columns_of_their_own(program: Program) -> bool:
    """Whether no library size is read from a column that is something else as well."""
    person = program.person
    others = {person.key, person.keep, *(column.name for column in program.columns)}
    counts = [panel.counts for panel in program.panels if panel.counts is not None]
    return not any(one.library_column in others for one in counts if one.library_column)


def _columns(program: Program) -> list[str]:
    person = program.person
    libraries = [panel.counts.library_column for panel in program.panels if panel.counts]
    columns = [column.name for column in program.columns]
    names = [person.key, person.keep, *columns, *libraries]
    return [name for name in dict.fromkeys(names) if name is not None]


def _cell(program: Program, row: Row, name: str) -> str:
    if name == program.person.key:
        return row.person
    if name == program.person.keep:
        return row.date
    for kind in ("categories", "numbers"):
        if (kind, name) in row.sample:
            return str(row.sample[kind, name])
    panel = next(p for p in program.panels if p.counts and p.counts.library_column == name)
    return str(row.sample["library_sizes", panel.name])


def _write(path: Path, rows: Sequence[Sequence[str]], delimiter: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
