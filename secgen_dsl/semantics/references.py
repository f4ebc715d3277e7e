"""Public tables: references in one unit, bridges in two, each file pinned by its hash."""

from collections.abc import Sequence

from secgen_dsl.diagnostics.diagnostic import SecgenError, nearest
from secgen_dsl.ir.program import Bridge, Reference
from secgen_dsl.public.files import PublicFile
from secgen_dsl.semantics.reader import Reader
from secgen_dsl.semantics.vocabulary import check_unit
from secgen_dsl.syntax import tree


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
    )
