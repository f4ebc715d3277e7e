"""What is measured: columns, public tables, panels."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from secgen_dsl.diagnostics.diagnostic import SecgenError, Span, nearest
from secgen_dsl.ir.labels import label_key
from secgen_dsl.ir.program import (
    COUNT_TRANSFORM,
    UNITS,
    CategoryColumn,
    Counts,
    NumberColumn,
    Panel,
)
from secgen_dsl.public.files import gene_list
from secgen_dsl.semantics.binning import Binner
from secgen_dsl.semantics.reader import Reader
from secgen_dsl.syntax import tree
from secgen_dsl.syntax.later import mixes_people

MAXIMUM_GENES = 20_000
_GREATEST = 10**9
"""Of numbers in ranges: beyond it a unit was mistaken."""

MUTATION_VALUES = ("yes", "no", "untested")
"""Of each column of a mutation line."""

_OF_ALL_SAMPLES = ("vst", "rlog")
"""Units whose transform takes size factors and dispersions from all samples of a matrix."""

_CATCH_ALLS = frozenset(
    {
        *(
            "unknown",
            "other",
            "others",
            "none",
            "missing",
            "untested",
            "unspecified",
            "unclassified",
        ),
        *("na", "n/a", "not stated", "not known", "not available", "not reported", "undetermined"),
    }
)
"""Values that usually stand for missing and rare ones."""


@dataclass(frozen=True)
class Columns:
    """The columns of a spec.

    Attributes:
        groups: name of a mutation line → its columns.
    """

    columns: tuple[CategoryColumn | NumberColumn, ...]
    groups: dict[str, tuple[str, ...]]


def resolve_columns(reader: Reader, binner: Binner) -> Columns:
    """Category, mutation and number columns."""
    block = reader.block(
        tree.ColumnsBlock, "columns", "columns { subtype category { A, B } else B }"
    )
    if block is None:
        return Columns((), {})
    names = [*_column_names(block)]
    reader.distinct(names, "column")
    columns: dict[str, CategoryColumn | NumberColumn] = {}
    groups: dict[str, tuple[str, ...]] = {}
    for line in block.columns:
        if isinstance(line, tree.MutationLine):
            genes = tuple(dict.fromkeys(gene.text for gene in line.genes))
            if not genes:
                reader.found.error(
                    "SG208",
                    f'the group "{line.name.text}" lists no gene',
                    line.span,
                    "an empty list",
                    "list the genes: { NPM1, TP53 }",
                )
            if line.name.text in groups or line.name.text in {name.text for name in names}:
                reader.found.error(
                    "SG206",
                    f'there is a column or group called "{line.name.text}" already',
                    line.name.span,
                    "the name of this group",
                    "give it another name",
                )
            groups[line.name.text] = genes
            for gene in genes:
                columns[gene] = CategoryColumn(
                    kind="category", name=gene, values=MUTATION_VALUES, otherwise="untested"
                )
            reader.defaults.append(
                f"{line.name.text}: yes, no or untested; untested stands for anything else"
            )
        elif isinstance(line, tree.NumberLine):
            number = _number_column(reader, line, binner)
            if number is not None:
                columns[line.name.text] = number
        else:
            columns[line.name.text] = _category(reader, line)
    return Columns(tuple(columns.values()), groups)


def _column_names(block: tree.ColumnsBlock) -> Iterator[tree.Name]:
    for line in block.columns:
        if isinstance(line, tree.MutationLine):
            yield from line.genes
        else:
            yield line.name


def _number_column(reader: Reader, line: tree.NumberLine, binner: Binner) -> NumberColumn | None:
    low, high = line.low.value, line.high.value
    if not _range(reader, line.low, line.high, "the range of a number column"):
        return None
    bins = binner.number(line.binning, line.name.text, low, high)
    if bins is None:
        return None
    kind = bins.binning
    return NumberColumn(
        kind="number",
        name=line.name.text,
        low=low,
        high=high,
        binning=kind if kind in ("equal", "at") else "reference",
        reference=bins.reference,
        edges=bins.edges[0],
    )


def _range(reader: Reader, low: tree.Number, high: tree.Number, what: str) -> bool:
    whole = Span(low.span.source, low.span.start, high.span.end)
    if not low.value < high.value:
        reader.found.error(
            "SG210",
            f"{what} goes from a smaller to a greater value",
            whole,
            "not a range",
            "write, for example: 0..20",
        )
        return False
    if low.value < -_GREATEST or high.value > _GREATEST:
        reader.found.error(
            "SG216",
            f"{what} lies between -1,000,000,000 and 1,000,000,000",
            whole,
            "out of range",
            "write, for example: 0..20",
        )
        return False
    return True


def _category(reader: Reader, line: tree.CategoryLine) -> CategoryColumn:
    values = reader.distinct(line.values, "value")
    if len(values) < 2:
        reader.found.error(
            "SG208",
            f'the column "{line.name.text}" needs at least two values',
            line.span,
            "one value at most",
            "list the public values: { a, b }",
        )
    by_number: dict[Decimal, str] = {}
    for value in line.values:
        number = label_key(value.text)
        if not isinstance(number, Decimal):
            continue
        first = by_number.setdefault(number, value.text)
        if first != value.text:
            reader.found.error(
                "SG207",
                f'the values "{first}" and "{value.text}" are the same number',
                value.span,
                "the second one",
                "keep one of them",
            )
    otherwise = line.otherwise.text if line.otherwise else None
    if line.otherwise is not None and otherwise not in values:
        reader.found.error(
            "SG205",
            f'"{otherwise}" is not a value of "{line.name.text}"',
            line.otherwise.span,
            "not in the list",
            _otherwise_step(values, line.otherwise.text),
        )
    return CategoryColumn(kind="category", name=line.name.text, values=values, otherwise=otherwise)


def _otherwise_step(values: Sequence[str], wanted: str) -> str:
    """A misspelt value; for a word like "other" never one of the values proper."""
    near = "" if wanted.lower() in _CATCH_ALLS else nearest(wanted, values)
    return near or _catch_all(values, wanted)


def _catch_all(values: Sequence[str], wanted: str) -> str:
    """A listed value that stands for others, else how to list the wanted one."""
    listed = next((value for value in values if value.lower() in _CATCH_ALLS), None)
    add = f"add {wanted} to the list" if wanted.isprintable() else "add it to the list"
    return add if listed is None else f"write: else {listed}; or {add}"


def resolve_panels(reader: Reader) -> tuple[Panel, ...]:
    """The panels with their genes."""
    panels: dict[str, Panel] = {}
    for line in reader.spec.all(tree.PanelLine):
        reader.printable(line.name, "a panel needs a name that can be printed")
        reader.no_formula(line.name.text, "panel", line.name.span)
        unit, counts = _unit(reader, line)
        library, missing = _panel_clauses(reader, line)
        if not _range(reader, line.low, line.high, "the range of a panel"):
            continue
        listed = ""
        if line.genes is not None:
            genes = reader.distinct(line.genes, "gene")
            place = line.span
        elif line.file is not None:
            place = line.file.span
            try:
                file = reader.file(line.file.text)
                genes = gene_list(file)
            except SecgenError as error:
                reader.found.from_file(error, line.file.span)
                continue
            listed = file.sha256
            odd = next((gene for gene in genes if not gene.isprintable()), "")
            if odd:
                reader.found.error(
                    "SG207",
                    f'a gene in "{line.file.text}" has a name that cannot be printed',
                    place,
                    "control characters",
                    "save the list as plain text",
                )
            for gene in genes:
                reader.no_formula(gene, "gene", place)
            twice = sorted(gene for gene, times in Counter(genes).items() if times > 1)
            if twice:
                reader.found.error(
                    "SG207",
                    f'the gene "{twice[0]}" is listed twice in "{line.file.text}"',
                    place,
                    "a gene counts once",
                    "remove one of them from the file",
                )
        else:  # pragma: no cover - the grammar has no third form
            raise AssertionError("a panel without genes")
        if not genes or len(genes) > MAXIMUM_GENES:
            reader.found.error(
                "SG208",
                f'the panel "{line.name.text}" has '
                + ("no genes" if not genes else f"more than {MAXIMUM_GENES:,} genes"),
                place,
                f"1 to {MAXIMUM_GENES:,} are possible",
                "list the genes: { MLH1, MSH2 }",
            )
            continue
        if line.name.text in panels:
            reader.found.error(
                "SG206",
                f'there are two panels called "{line.name.text}"',
                line.name.span,
                "the second one",
                "give it another name",
            )
            continue
        panels[line.name.text] = Panel(
            name=line.name.text,
            unit=unit,
            counts=Counts(library_column=library) if counts else None,
            low=line.low.value,
            high=line.high.value,
            missing=missing,
            genes=genes,
            list_sha256=listed,
        )
    return tuple(panels.values())


def _unit(reader: Reader, line: tree.PanelLine) -> tuple[str, bool]:
    """The unit of the bins, and whether it is computed from counts."""
    mixing = None if line.unit.text in UNITS else mixes_people(line.unit.text)
    if mixing is not None:
        reader.found.error(
            "SG219",
            f'"{mixing[0]}" would look at several people before they are counted',
            line.unit.span,
            "one of them changes it for all",
            mixing[1],
        )
    else:
        check_unit(reader, line.unit)
    conversion = line.transform
    sizes = [clause for clause in line.clauses if isinstance(clause, tree.LibrarySize)]
    if conversion is None:
        if line.unit.text in _OF_ALL_SAMPLES:
            reader.found.warn(
                "SG223",
                f"{line.unit.text} values of a patient depend on the others who are transformed "
                "along: epsilon does not count that",
                line.unit.span,
                "not row by row",
                "use a unit of each sample's own numbers: counts as log2(cpm + 1), log2_tpm; or "
                "let sites transform with factors and dispersions fixed from public samples",
            )
        for clause in sizes:
            reader.found.error(
                "SG220",
                "a library size belongs to counts that are converted",
                clause.span,
                f"the unit is {line.unit.text}",
                f"leave it out, or write: counts as {COUNT_TRANSFORM}",
            )
        return line.unit.text, False
    if not conversion.counts:
        mixing = mixes_people(conversion.text)
        reader.found.error(
            "SG219",
            f'"{conversion.text}" is not a conversion '
            + ("that a site can do row by row" if mixing else "of the language"),
            conversion.span,
            "would need other people's rows" if mixing else "unknown",
            f"write: counts as {COUNT_TRANSFORM}; size factors, quantile normalisation, z-scores, "
            "batch correction and filters by variance mix people, so that one of them changes all",
        )
    elif line.unit.text != "counts":
        reader.found.error(
            "SG219",
            f"{COUNT_TRANSFORM} is a conversion of counts",
            line.unit.span,
            "not counts",
            f"write: counts as {COUNT_TRANSFORM}, or leave the conversion out",
        )
    elif not sizes:
        reader.found.error(
            "SG203",
            f'the panel "{line.name.text}" does not say where library sizes come from',
            conversion.span,
            "no `library size`",
            "add behind the range: library size from column NAME, "
            "or: library size from all genes in the file",
        )
    elif line.high.value > 64:
        reader.found.error(
            "SG210",
            "no count reaches that far in log2(cpm + 1)",
            line.high.span,
            "beyond 64",
            "write, for example: 0..16",
        )
    return "log2_cpm", True


def check_unit(reader: Reader, unit: tree.Name) -> None:
    """A unit is one of the words that the language knows."""
    if unit.text not in UNITS:
        reader.found.error(
            "SG218",
            f'there is no unit "{unit.text}"',
            unit.span,
            "unknown",
            nearest(unit.text, UNITS) or f"the units are {', '.join(UNITS)}",
        )


def _panel_clauses(reader: Reader, line: tree.PanelLine) -> tuple[str | None, Fraction | None]:
    """Column of library sizes (None: all genes), and the value of a missing one."""
    known = reader.once(
        line.clauses,
        lambda c: "library size" if isinstance(c, tree.LibrarySize) else "missing is",
    )
    size, missing = known.get("library size"), known.get("missing is")
    library = None
    if isinstance(size, tree.LibrarySize) and size.column is not None:
        library = size.column.text
        reader.printable(size.column, "the column of library sizes needs a name")
    if not isinstance(missing, tree.MissingIs):
        return library, None
    if abs(missing.value.value) > _GREATEST:
        reader.found.error(
            "SG216",
            "the value of a missing one lies between -1,000,000,000 and 1,000,000,000",
            missing.value.span,
            "out of range",
            "write a value of the panel's range: missing is 0",
        )
    return library, missing.value.value


def check_name_spaces(reader: Reader, columns: Columns, panels: Sequence[Panel]) -> None:
    """A name must not be a column and a panel, nor a label the key of people."""
    names = {column.name for column in columns.columns} | set(columns.groups)
    for block in reader.spec.all(tree.PersonBlock):
        for key in block.lines:
            if isinstance(key, tree.PersonKey) and key.name.text in names:
                reader.found.error(
                    "SG206",
                    f'"{key.name.text}" is a label, so it cannot tell people apart',
                    key.name.span,
                    "also in `columns`",
                    "name the column that identifies a patient: key patient",
                )
    for line in reader.spec.all(tree.PanelLine):
        if line.name.text in names and any(p.name == line.name.text for p in panels):
            reader.found.error(
                "SG206",
                f'"{line.name.text}" is a column and a panel',
                line.name.span,
                "also a column",
                "give the panel another name",
            )


def check_units_agree(reader: Reader, panels: Sequence[Panel]) -> None:
    """A site has one value of a gene in a sample: two panels of it are in one unit."""
    seen: dict[str, tuple[str, bool]] = {}
    owners: dict[str, str] = {}
    lines = {line.name.text: line for line in reader.spec.all(tree.PanelLine)}
    for panel in panels:
        unit = panel.unit, panel.counts is not None
        shared = next((g for g in panel.genes if seen.get(g, unit) != unit), None)
        if shared is not None:
            reader.found.error(
                "SG212",
                f'the gene {shared} is in the panels "{owners[shared]}" and "{panel.name}", which '
                "are in different units",
                lines[panel.name].unit.span,
                "another unit there",
                "a site has one value of a gene: write both panels in its unit "
                "(docs/how-to/two-platforms.md says what to do with two platforms)",
            )
        for gene in panel.genes:
            seen.setdefault(gene, unit)
            owners.setdefault(gene, panel.name)
