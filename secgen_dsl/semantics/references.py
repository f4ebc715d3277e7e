"""Public tables: references in one unit, bridges in two, each file pinned by its hash."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from secgen_dsl.diagnostics.diagnostic import SecgenError, nearest, printable
from secgen_dsl.ir.program import Bridge, CategoryColumn, NumberColumn, Reference
from secgen_dsl.public.files import PublicFile
from secgen_dsl.semantics.reader import Reader
from secgen_dsl.semantics.vocabulary import Columns, check_unit
from secgen_dsl.syntax import tree

if TYPE_CHECKING:
    from secgen_dsl.public.labels import PublicLabels

_MOST_SHOWN = 5


def resolve_references(reader: Reader) -> tuple[tuple[Reference, ...], tuple[Bridge, ...]]:
    """The references and the bridges, by name: their order in the text means nothing."""
    lines: dict[str, tree.PublicLine] = {}
    for line in reader.spec.all(tree.PublicLine):
        if line.name.text in lines:
            reader.found.error(
                "SG206",
                f'there are two public tables called "{line.name.text}"',
                line.name.span,
                "the second one",
                "give it another name",
            )
        reader.printable(line.name, "a public table needs a name that can be printed")
        lines.setdefault(line.name.text, line)
    bridges = [_bridge(reader, line) for line in lines.values() if line.second is not None]
    known = [bridge for bridge in bridges if bridge is not None]
    references = [_reference(reader, line, known) for line in lines.values() if not line.second]
    return (
        tuple(sorted((r for r in references if r is not None), key=lambda r: r.name)),
        tuple(sorted(known, key=lambda bridge: bridge.name)),
    )


def _read(reader: Reader, key: str, name: tree.Text) -> PublicFile | None:
    try:
        file = reader.file(name.text)
    except SecgenError as error:
        reader.found.from_file(error, name.span)
        return None
    reader.reference_files[key] = file
    return file


def _bridge(reader: Reader, line: tree.PublicLine) -> Bridge | None:
    second = line.second
    if second is None:  # pragma: no cover - the caller chose lines with two files
        raise AssertionError("a bridge has two files")
    check_unit(reader, line.unit)
    check_unit(reader, second.unit)
    if line.aligned is not None:
        reader.found.error(
            "SG212",
            "a bridge is in two units already",
            line.aligned.span,
            "aligned again",
            "leave `aligned by` out",
        )
    if line.labels:
        reader.found.error(
            "SG220",
            "a bridge tells of units, and nothing of labels",
            line.labels[0].span,
            "labels of a bridge",
            "leave `labelled by` out: a reference that it aligns has labels in its own file",
        )
    if line.unit.text == second.unit.text:
        reader.found.error(
            "SG212",
            "a bridge holds the same samples in two different units",
            second.unit.span,
            f"both are {line.unit.text}",
            "name the unit of the second file",
        )
        return None
    from secgen_dsl.public.aligned import bridge_key

    name = line.name.text
    files = [
        _read(reader, bridge_key(name, unit.text), file)
        for file, unit in ((line.file, line.unit), (second.file, second.unit))
    ]
    if files[0] is None or files[1] is None:
        return None
    return Bridge(
        name=name,
        units=(line.unit.text, second.unit.text),
        sha256=(files[0].sha256, files[1].sha256),
        provenance=line.provenance.text if line.provenance else "",
    )


def _reference(
    reader: Reader, line: tree.PublicLine, bridges: Sequence[Bridge]
) -> Reference | None:
    check_unit(reader, line.unit)
    aligned = ""
    if line.aligned is not None:
        units = {bridge.name: bridge.units for bridge in bridges}
        aligned = line.aligned.text
        if aligned not in units:
            reader.found.error(
                "SG205",
                f'there is no public table in two units called "{aligned}"',
                line.aligned.span,
                "not a bridge",
                nearest(aligned, units)
                or f'declare it: public {aligned} from "a.csv" {line.unit.text} and "b.csv" log2',
            )
            return None
        if line.unit.text not in units[aligned]:
            reader.found.error(
                "SG212",
                f'"{aligned}" is in {units[aligned][0]} and {units[aligned][1]}, '
                f'"{line.name.text}" in {line.unit.text}',
                line.aligned.span,
                "units differ",
                f"give a bridge with one file in {line.unit.text}",
            )
            return None
    file = _read(reader, line.name.text, line.file)
    if file is None:
        return None
    return Reference(
        name=line.name.text,
        unit=line.unit.text,
        sha256=file.sha256,
        provenance=line.provenance.text if line.provenance else "",
        aligned_by=aligned,
        labelled_by=reader.distinct(line.labels, "column"),
    )


def check_labels(
    reader: Reader, references: Sequence[Reference], columns: Columns, faulty: Collection[str]
) -> tuple[str, ...]:
    """Whether the references have the labels that their lines declare.

    Args:
        faulty: references whose files are known to be faulty.

    Returns:
        In words how many people of each reference with labels have which.
    """
    known = {column.name: column for column in columns.columns}
    lines = {line.name.text: line for line in reader.spec.all(tree.PublicLine)}
    told: list[str] = []
    for reference in references:
        names = {name.text: name for name in lines[reference.name].labels}
        words, people = [], 0
        for name in names.values():
            column = _category(reader, name, known, columns.groups)
            if column is None or reference.name in faulty:
                continue
            if column.otherwise not in (None, *column.values):
                continue  # reported where the column is declared
            from secgen_dsl.public.labels import reference_labels  # loads numpy

            try:
                found = reference_labels(reader.reference_files[reference.name], [column])
            except SecgenError as error:
                reader.found.from_file(error, name.span)
                continue
            people = found[name.text].codes.size
            _remark_on_nobody(reader, reference.name, name, found[name.text])
            words.append(f"{name.text}: {found[name.text].words}")
        if words:
            told.append(f"{reference.name}: {people:,} people, labelled by {'; by '.join(words)}")
    return tuple(told)


def _remark_on_nobody(reader: Reader, table: str, name: tree.Name, labels: "PublicLabels") -> None:
    """Warn of listed labels that no public person has: the table may spell them otherwise."""
    nobody = [
        f'"{printable(value)}"'
        for value, people in zip(labels.column.values, labels.people, strict=True)
        if not people and value != labels.column.otherwise
    ]
    if not nobody:
        return
    from secgen_dsl.public.reference import MISSING_WORDS  # loads numpy

    others = any(text.lower() not in MISSING_WORDS for text in labels.unlisted)
    reader.found.warn(
        "SG224",
        f'nobody in the public table "{table}" is labelled {", ".join(nobody[:_MOST_SHOWN])}'
        + (f" and {len(nobody) - _MOST_SHOWN} more" if len(nobody) > _MOST_SHOWN else "")
        + (f"; its people without a label: {labels.unlisted_words}" if others else ""),
        name.span,
        "these labels get no public people",
        "if one of these words is meant, list it, or write the spec's word into a copy of the table"
        if others
        else "give a table that has such people; without them, such patients are modelled from "
        "the others",
    )


def _category(
    reader: Reader,
    name: tree.Name,
    columns: Mapping[str, CategoryColumn | NumberColumn],
    groups: Mapping[str, Sequence[str]],
) -> CategoryColumn | None:
    """The category column of that name; None after an error."""
    column = columns.get(name.text)
    if isinstance(column, CategoryColumn):
        return column
    blocks = list(reader.spec.all(tree.ColumnsBlock))
    numbers = {
        line.name.text
        for block in blocks
        for line in block.columns
        if isinstance(line, tree.NumberLine)
    }
    if name.text in numbers:
        reader.found.error(
            "SG220",
            f'"{name.text}" is a number: public people are labelled by categories',
            name.span,
            "not a category",
            "leave it out",
        )
    elif name.text in groups:
        reader.found.error(
            "SG205",
            f'"{name.text}" is a group of columns',
            name.span,
            "not one column",
            f"name those that the public table has: {', '.join(groups[name.text][:3])}",
        )
    elif blocks:
        reader.found.error(
            "SG205",
            f'there is no column called "{name.text}"',
            name.span,
            "not declared",
            nearest(name.text, columns)
            or f"declare it: columns {{ {name.text} category {{ A, B }} }}",
        )
    return None
