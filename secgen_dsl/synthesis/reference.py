"""The public tables of a plan, checked against the hashes that it pins."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import fail
from secgen_dsl.ir.program import CategoryColumn, NumberColumn, Panel, Program, Reference
from secgen_dsl.public.aligned import aligned_values, bridge_key
from secgen_dsl.public.files import PublicFile
from secgen_dsl.public.labels import UNLABELLED, reference_labels
from secgen_dsl.public.reference import ReferenceValues, reference_values

LabelCodes = Mapping[str, Mapping[str, NDArray[np.int64]]]
"""Reference → label column → shape (people,): positions in the column's values, ``UNLABELLED``
where the label is unknown; people in the order of the reference's values."""


def read_references(
    program: Program, files: Mapping[str, PublicFile]
) -> dict[str, ReferenceValues]:
    """All references of a program, with those genes of its panels that they hold.

    Values are in the unit that a reference has once aligned.

    Args:
        program: names the references and bridges, and their hashes.
        files: name of a reference → its file; a bridge's by ``bridge_key``.

    Raises:
        SecgenError: SG606, a public table has no file; SG603, a file's bytes are not those that
            the plan names; SG213, SG214 as ``aligned_values``.
    """
    read: dict[str, ReferenceValues] = {}
    for reference in program.references:
        _check(program, reference, files)
        unit = program.reference_unit(reference)
        genes = {
            gene: None for panel in program.panels if panel.unit == unit for gene in panel.genes
        }
        bridge = program.bridge(reference.aligned_by) if reference.aligned_by else None
        read[reference.name] = aligned_values(reference, bridge, files, genes, skip_absent=True)
    return read


def read_numbers(program: Program, files: Mapping[str, PublicFile]) -> ReferenceValues:
    """For every number column with bins from a reference, its values there; arguments as above.

    A column of a reference is in the unit of the spec's: no bridge changes it.
    """
    read: dict[str, NDArray[np.float64]] = {}
    for column in program.columns:
        if isinstance(column, NumberColumn) and column.reference:
            _check(program, program.reference(column.reference), files)
            read |= reference_values(files[column.reference], [column.name])
    return read


def read_label_codes(program: Program, files: Mapping[str, PublicFile]) -> LabelCodes:
    """For every labelled reference, its people's labels; arguments as above.

    Raises:
        SecgenError: SG606, SG603 as ``read_references``; SG213, SG214, SG224 as
            ``reference_labels``.
    """
    read: dict[str, dict[str, NDArray[np.int64]]] = {}
    for reference in program.references:
        if reference.labelled_by:
            _check(program, reference, files)
            columns = [program.column(name) for name in reference.labelled_by]
            categories = [column for column in columns if isinstance(column, CategoryColumn)]
            found = reference_labels(files[reference.name], categories)
            read[reference.name] = {name: labels.codes for name, labels in found.items()}
    return read


def public_cells(
    program: Program, columns: Sequence[str], codes: Mapping[str, NDArray[np.int64]]
) -> NDArray[np.int64] | None:
    """In which label cell each person of a reference is.

    Args:
        columns: names of the label columns; may be none.
        codes: of the reference's label columns, as ``read_label_codes`` returns.

    Returns:
        Shape (people,), the index running fastest over the last column, ``UNLABELLED`` where some
        label is unknown; None if the reference is not labelled by all of the columns.
    """
    if not columns or not all(name in codes for name in columns):
        return None
    own = np.stack([codes[name] for name in columns])
    sizes = [len(program.column(name).values) for name in columns]
    known = (own != UNLABELLED).all(axis=0)
    cells = np.ravel_multi_index(tuple(np.where(known, own, 0)), sizes)
    return np.where(known, cells, UNLABELLED).astype(np.int64)


def reference_of(
    program: Program,
    panel: Panel,
    preferred: str,
    gene: str,
    references: Mapping[str, ReferenceValues],
) -> str | None:
    """The reference that a gene of a panel is decoded with, or None.

    It is ``preferred``, that of the gene's bins (may be empty); else the first of the panel's unit
    that has the gene.
    """
    names = [preferred] if preferred else []
    names += [r.name for r in program.references if program.reference_unit(r) == panel.unit]
    for name in names:
        if gene in references.get(name, {}):
            return name
    return None


def shared_reference(
    program: Program,
    panel: Panel,
    preferred: str,
    genes: Sequence[str],
    references: Mapping[str, ReferenceValues],
) -> str | None:
    """The one reference that most of the genes are decoded with, so that they covary, or None.

    Args:
        program: of the plan that was run.
        panel: of the genes.
        preferred: the reference of the bins; may be empty.
        genes: some of the panel's.
        references: as ``read_references`` returns.
    """
    sources = [reference_of(program, panel, preferred, gene, references) for gene in genes]
    found = [source for source in sources if source is not None]
    return max(dict.fromkeys(found), key=found.count) if found else None


def public_bins(
    program: Program,
    panel: Panel,
    preferred: str,
    genes: Sequence[str],
    edges: NDArray[np.float64],
    references: Mapping[str, ReferenceValues],
) -> NDArray[np.int64]:
    """Bins of genes in their ``shared_reference``; arguments as there, but for

    Args:
        edges: shape (genes, bins − 1).

    Returns:
        Shape (samples of the reference, genes); −1 where there is no value.
    """
    source = shared_reference(program, panel, preferred, genes, references)
    values = {} if source is None else references[source]
    samples = max((column.size for column in values.values()), default=0)
    bins = np.full((samples, len(genes)), -1, dtype=np.int64)
    for position, (gene, own) in enumerate(zip(genes, edges, strict=True)):
        if gene in values:
            held = np.isfinite(values[gene])
            bins[held, position] = np.searchsorted(own, values[gene][held], side="right")
    return bins


def _check(program: Program, reference: Reference, files: Mapping[str, PublicFile]) -> None:
    """Whether a reference, and the bridge that aligns it, are the plan's files."""
    pinned = {reference.name: reference.sha256}
    if reference.aligned_by:
        bridge = program.bridge(reference.aligned_by)
        for unit, sha256 in zip(bridge.units, bridge.sha256, strict=True):
            pinned[bridge_key(bridge.name, unit)] = sha256
    for name, sha256 in pinned.items():
        file = files.get(name)
        if file is None:
            raise fail(
                "SG606",
                f'no file is given for the public table "{name}"',
                place=f"public {name}",
                next_step="synthesis decodes bins with it: name its file",
            )
        if file.sha256 != sha256:
            raise fail(
                "SG603",
                f"the table's bytes changed since the plan was made: SHA-256 is "
                f"{file.sha256[:12]}…, the plan says {sha256[:12]}…",
                place=file.name,
                next_step="use the file that the plan was made with, or plan again and have the "
                "new plan approved",
            )
