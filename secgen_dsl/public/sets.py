"""Gene sets from a public file in GMT, the format of MSigDB: name, source, genes, tab-separated."""

from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.public.files import MAXIMUM_LIST_BYTES, PublicFile, text_of


def gene_sets(file: PublicFile) -> dict[str, tuple[str, ...]]:
    """The sets of a GMT file by name, in its order; a gene counts once in a set.

    Raises:
        SecgenError: SG213, the file is not text in GMT, too large, or names a set twice.
    """
    sets: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(text_of(file, MAXIMUM_LIST_BYTES).splitlines(), start=1):
        fields = [field.strip() for field in line.split("\t")]
        if not any(fields):
            continue
        if len(fields) < 3 or not fields[0]:
            raise fail(
                "SG213",
                f'the file "{file.name}" is not in GMT: a line has fewer than three fields',
                place=f"{file.name}, line {number}",
                next_step="a line holds a set's name, its source and its genes, separated by tabs",
            )
        if fields[0] in sets:
            raise fail(
                "SG213",
                f'the file "{file.name}" has two sets called "{fields[0]}"',
                place=f"{file.name}, line {number}",
                next_step="keep one of them",
            )
        sets[fields[0]] = tuple(dict.fromkeys(gene for gene in fields[2:] if gene))
    return sets
