"""Which names a site's files hold, and on request the values of one column: for `secgen init`."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.labels import label_key
from secgen_dsl.public.reference import MISSING_WORDS
from secgen_dsl.runtime.site.columns import SAMPLE_COLUMNS
from secgen_dsl.runtime.site.description import Site
from secgen_dsl.runtime.site.files import open_file
from secgen_dsl.runtime.site.genes import rows_are_genes, turned
from secgen_dsl.runtime.site.source import Source, text_of

_MOST_TRIED = 5_000
"""Columns of one table that are searched for numbers: of more, none is left out."""


@dataclass(frozen=True)
class Survey:
    """The names in a site's files.

    Attributes:
        columns: name in a spec → name in the file: as site.toml maps it, else the file's own.
        genes: names of what may be genes: in a table that holds both, all its columns.
        shared: whether the table holds both.
        mapped_values: column → values of the spec that site.toml maps to: stated by a person.
    """

    site: Site
    columns: dict[str, str]
    genes: tuple[str, ...]
    shared: bool
    mapped_values: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def other_genes(self, taken: set[str]) -> tuple[str, ...]:
        """The genes, without columns in use, names of samples and columns without any number.

        Raises:
            SecgenError: SG411, SG416: the file cannot be read.
        """
        if not self.shared:
            return tuple(gene for gene in self.genes if gene not in SAMPLE_COLUMNS)
        used = {self.columns[column] for column in taken if column in self.columns}
        used |= {*SAMPLE_COLUMNS, self.site.description.files.sample}
        names = [gene for gene in self.genes if gene not in used]
        if len(names) > _MOST_TRIED:
            return tuple(names)
        with _columns_file(self.site) as source:
            held = source.read([], [list(source.genes).index(name) for name in names]).expression
        numbers = np.isfinite(held)
        return tuple(name for place, name in enumerate(names) if numbers[:, place].any())

    def values(self, column: str) -> Counter[str]:
        """The distinct values of a column, without missing ones, and how many rows have each.

        Raises:
            SecgenError: SG411, SG416: the file cannot be read.
        """
        with _columns_file(self.site) as source:
            position = list(source.columns).index(self.columns[column])
            (cells,) = source.read([position], []).columns
        spelling: dict[object, str] = {}
        counts: Counter[str] = Counter()
        for cell in cells:
            text = text_of(cell)
            if text.lower() not in MISSING_WORDS:
                counts[spelling.setdefault(label_key(text), text)] += 1
        return counts


def survey(path: Path) -> Survey:
    """The names of a site's files; of the values only the first column, whether it names genes.

    Args:
        path: a site.toml, or a table.

    Raises:
        SecgenError: SG411, SG412, SG416, SG418, SG420: a file cannot be read as it is described;
            SG421, its rows are genes: what is taken for its columns are samples.
    """
    site = Site(path, "")
    description = site.description
    with _columns_file(site) as source:
        columns = [each for each in dict.fromkeys(source.columns) if each]
        genes, shared = tuple(dict.fromkeys(source.genes)), source.shared
        if shared and rows_are_genes(source):
            raise SecgenError(turned(source))
    if description.files.clinical and description.files.expression:
        shared = False
        with open_file(site, description.files.expression, frozenset(), values=True) as source:
            genes = tuple(dict.fromkeys(source.genes))
    given = {theirs: own for own, theirs in description.columns.items()}
    return Survey(
        site=site,
        columns={given.get(each, each): each for each in columns},
        genes=tuple(gene for gene in genes if gene),
        shared=shared,
        mapped_values={
            column: tuple(dict.fromkeys(mapped.values()))
            for column, mapped in description.values.items()
        },
    )


@contextmanager
def _columns_file(site: Site) -> Iterator[Source]:
    """The file that holds the columns."""
    files = site.description.files
    name = files.clinical or files.expression
    with open_file(site, name, frozenset(), values=not files.clinical) as source:
        yield source
