"""What is measured: columns, public tables, panels."""

import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from secgen_dsl.diagnostics.diagnostic import SecgenError, Span, nearest
from secgen_dsl.ir.program import CategoryColumn, Panel, Reference
from secgen_dsl.public.files import gene_list, read_public_file
from secgen_dsl.semantics.reader import Reader
from secgen_dsl.syntax import tree

_MAXIMUM_GENES = 20_000
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def resolve_columns(reader: Reader) -> tuple[CategoryColumn, ...]:
    """The category columns."""
    block = reader.block(
        tree.ColumnsBlock, "columns", "columns { subtype category { A, B } else B }"
    )
    if block is None:
        return ()
    reader.distinct((line.name for line in block.columns), "column")
    columns = {}
    for line in block.columns:
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
            number = _number(value.text)
            if number is None:
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
                nearest(line.otherwise.text, values) or "add it to the list",
            )
        columns[line.name.text] = CategoryColumn(
            kind="category", name=line.name.text, values=values, otherwise=otherwise
        )
    return tuple(columns.values())


def resolve_references(reader: Reader) -> tuple[Reference, ...]:
    """The public tables, each pinned by its hash."""
    references: dict[str, Reference] = {}
    for line in reader.spec.all(tree.PublicLine):
        name = line.name.text
        if name in references:
            reader.found.error(
                "SG206",
                f'there are two public tables called "{name}"',
                line.name.span,
                "the second one",
                "give it another name",
            )
            continue
        try:
            file = read_public_file(reader.folder, line.file.text)
        except SecgenError as error:
            reader.found.from_file(error, line.file.span)
            continue
        reader.reference_files[name] = file
        references[name] = Reference(
            name=name,
            unit=line.unit.text,
            sha256=file.sha256,
            provenance=line.provenance.text if line.provenance else "",
        )
    return tuple(references.values())


def resolve_panels(reader: Reader) -> tuple[Panel, ...]:
    """The panels with their genes."""
    panels: dict[str, Panel] = {}
    for line in reader.spec.all(tree.PanelLine):
        if line.low.value >= line.high.value:
            reader.found.error(
                "SG210",
                "the range of a panel goes from a smaller to a greater value",
                Span(line.low.span.source, line.low.span.start, line.high.span.end),
                "not a range",
                "write, for example: 0..20",
            )
            continue
        listed = ""
        if line.genes is not None:
            genes = reader.distinct(line.genes, "gene")
            place = line.span
        else:
            assert line.file is not None  # noqa: S101 - the grammar has no third form
            place = line.file.span
            try:
                file = read_public_file(reader.folder, line.file.text)
                genes = gene_list(file)
            except SecgenError as error:
                reader.found.from_file(error, line.file.span)
                continue
            listed = file.sha256
            twice = sorted(gene for gene, times in Counter(genes).items() if times > 1)
            if twice:
                reader.found.error(
                    "SG207",
                    f'the gene "{twice[0]}" is listed twice in "{line.file.text}"',
                    place,
                    "a gene counts once",
                    "remove one of them from the file",
                )
        if not genes or len(genes) > _MAXIMUM_GENES:
            reader.found.error(
                "SG208",
                f'the panel "{line.name.text}" has '
                + ("no genes" if not genes else f"more than {_MAXIMUM_GENES:,} genes"),
                place,
                f"1 to {_MAXIMUM_GENES:,} are possible",
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
            unit=line.unit.text,
            low=line.low.value,
            high=line.high.value,
            genes=genes,
            list_sha256=listed,
        )
    return tuple(panels.values())


def check_name_spaces(
    reader: Reader, columns: Sequence[CategoryColumn], panels: Sequence[Panel]
) -> None:
    """A name must not be a column and a panel, nor a label the key of people."""
    names = {column.name for column in columns}
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


def _number(text: str) -> Decimal | None:
    """The number that a value is compared as, if it is one (``queries.labels.label_key``)."""
    try:
        return Decimal(text) if _NUMBER.fullmatch(text) else None
    except InvalidOperation:
        return None
