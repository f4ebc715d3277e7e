"""Where a site's table holds what a program needs, or the faults of its header."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, nearest
from secgen_dsl.ir.program import Program

SAMPLE_COLUMNS = ("sample", "sample_id")
"""Columns that name a sample, should the file have one; the first found is used."""

GENE_PREFIX = "expr:"
"""Marks a gene's column where a column of the spec has the gene's name (LANGUAGE rule 7)."""

_LISTED = 5  # absent genes that a message names


@dataclass(frozen=True)
class NeededNames:
    """The names that a table's header must hold.

    Attributes:
        person: the person key.
        labels: the program's category columns, in its order.
        genes: the distinct genes of its panels.
        gene_columns: the header's name of each gene: its symbol, or ``expr:`` and the symbol where
            a column has that name.
    """

    person: str
    labels: tuple[str, ...]
    genes: tuple[str, ...]
    gene_columns: tuple[str, ...]

    def all(self) -> frozenset[str]:
        """Every name."""
        return frozenset((self.person, *self.labels, *self.gene_columns))


def needed_names(program: Program) -> NeededNames:
    """What a site's table must hold for ``program``."""
    labels = tuple(column.name for column in program.columns)
    genes = tuple(dict.fromkeys(gene for panel in program.panels for gene in panel.genes))
    taken = {program.person.key, *labels}
    return NeededNames(
        person=program.person.key,
        labels=labels,
        genes=genes,
        gene_columns=tuple(GENE_PREFIX + gene if gene in taken else gene for gene in genes),
    )


@dataclass(frozen=True)
class Positions:
    """Positions in a row: of the person key, a sample's name (if any), labels and genes."""

    person: int
    sample: int | None
    labels: tuple[int, ...]
    genes: tuple[int, ...]


def find_positions(names: NeededNames, header: Sequence[str], where: str) -> Positions:
    """Find ``names`` in a header of trimmed names.

    Raises:
        SecgenError: SG413, SG414, SG415: every fault of the header at once.
    """
    faults = [
        *_repeated(header, names.all() | set(SAMPLE_COLUMNS), where),
        *_absent_columns(names, header, where),
        *_absent_genes(names, header, where),
    ]
    if faults:
        raise SecgenError(faults)
    positions = {name: position for position, name in enumerate(header)}
    return Positions(
        person=positions[names.person],
        sample=next((positions[name] for name in SAMPLE_COLUMNS if name in positions), None),
        labels=tuple(positions[name] for name in names.labels),
        genes=tuple(positions[name] for name in names.gene_columns),
    )


def _repeated(header: Sequence[str], needed: Iterable[str], where: str) -> list[Diagnostic]:
    counts = Counter(header)
    return [
        Diagnostic(
            code="SG415",
            message=f'the header names "{name}" {counts[name]} times',
            place=where,
            next_step="keep the column that is meant; remove or rename the other",
        )
        for name in sorted(needed)
        if counts[name] > 1
    ]


def _absent_columns(names: NeededNames, header: Sequence[str], where: str) -> list[Diagnostic]:
    unused = [name for name in header if name and name not in names.all()]
    faults = []
    for name in dict.fromkeys((names.person, *names.labels)):
        if name in header:
            continue
        guess = nearest(name, unused)
        begins = ", ".join(header[:6]) + (", …" if len(header) > 6 else "")
        faults.append(
            Diagnostic(
                code="SG413",
                message=f'the file has no column "{name}"',
                place=where,
                next_step=f"{guess + ' ' if guess else ''}name the column in the file as the spec"
                f" names it; the header begins with: {begins}",
            )
        )
    return faults


def _absent_genes(names: NeededNames, header: Sequence[str], where: str) -> list[Diagnostic]:
    present = set(header)
    absent = [name for name in names.gene_columns if name not in present]
    if not absent:
        return []
    listed = ", ".join(absent[:_LISTED])
    if len(absent) > _LISTED:
        listed += f", and {len(absent) - _LISTED} more"
    if len(absent) == len(names.gene_columns):
        step = "the table holds one row a sample and one column a gene, named by symbol: is it"
        step += " turned the other way, or are the genes named by Ensembl or Entrez ids?"
    else:
        guess = nearest(absent[0], (name for name in header if name not in names.all()))
        step = f"{guess + ' ' if guess else ''}rename the columns to the symbols of the spec"
        step += ", or take the genes out of the panel at every site"
    return [
        Diagnostic(
            code="SG414",
            message=f"{len(absent)} of {len(names.genes)} genes are not in the file: {listed}",
            place=where,
            next_step=step,
        )
    ]
