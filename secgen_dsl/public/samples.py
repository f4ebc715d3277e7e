"""The names of a public table's samples."""

from collections.abc import Collection

from secgen_dsl.public.files import PublicFile
from secgen_dsl.public.reference import records


def sample_names(file: PublicFile, genes: Collection[str]) -> tuple[tuple[str, ...] | None, int]:
    """The names of a public table's samples, and how many it has.

    Names stand in the first column: not that of a gene, no cell empty, none twice, no measured
    numbers and no numbering of the rows.  Without such a column there are none.

    Raises:
        SecgenError: SG213, the file is no table.
    """
    rows = records(file)
    _, header = next(rows)
    cells = tuple(row[0].strip() for _, row in rows)
    named = bool(header) and header[0] not in genes and all(cells)
    numbering = any(list(cells) == [str(first + k) for k in range(len(cells))] for first in (0, 1))
    if not named or numbering or len(set(cells)) < len(cells) or _measured(cells):
        return None, len(cells)
    return cells, len(cells)


def _measured(cells: Collection[str]) -> bool:
    """Whether a column's cells are numbers, not all of them written as whole ones."""
    try:
        return bool([float(cell) for cell in cells]) and not all(map(str.isdigit, cells))
    except ValueError:
        return False
