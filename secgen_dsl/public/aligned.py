"""A public table's values in the unit that is wanted, if need be by way of a bridge.

A bridge is two public tables of the same samples in two units, known by their names where both
tables have them.  It tells how each gene's values in one unit lie in the other, by their means and
standard deviations over the samples that have both:

    x′ = (x − mean₁)/sd₁ · sd₂ + mean₂

(our choice: the least that removes a platform's offset and scale.  SCAN-B medians lie 7.3 log2
below the BRCA table's; differences between the populations stay, since both files of a bridge
hold the same samples.)
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.ir.program import Bridge, Reference
from secgen_dsl.public.files import PublicFile
from secgen_dsl.public.reference import reference_values
from secgen_dsl.public.samples import sample_names

_LEAST_SAMPLES = 3


@dataclass(frozen=True)
class Matched:
    """Which rows of a bridge's two files are of the same samples.

    Attributes:
        first: positions of rows in the first file, shape (samples of both,).
        second: their positions in the second one.
        remark: what of it cannot be known or is left out, in words; may be empty.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    remark: str


def bridge_key(name: str, unit: str) -> str:
    """Under which a bridge's file of one unit is kept among the public files."""
    return f"{name} ({unit})"


def aligned_values(
    reference: Reference,
    bridge: Bridge | None,
    files: Mapping[str, PublicFile],
    genes: Collection[str],
    *,
    skip_absent: bool = False,
) -> dict[str, NDArray[np.float64]]:
    """The values of ``genes`` in a reference, in its unit or, with a bridge, in the other one.

    Args:
        reference: a public table; its file is ``files[reference.name]``.
        bridge: the one that the reference is aligned by, or None.
        files: public files by name; a bridge's by ``bridge_key``.
        genes: names of columns.  One that the reference is labelled by is no gene of it.
        skip_absent: leave out genes that a table lacks or cannot align, instead of failing.

    Returns:
        Gene → values, shape (samples of the reference,); NaN where a value is missing.

    Raises:
        SecgenError: SG213, SG214 as ``reference_values``; SG214 too where a gene does not vary in
            the bridge, or has fewer than three values there; SG225 as ``matched_samples``.
    """
    labels = [gene for gene in genes if gene in reference.labelled_by]
    if labels and not skip_absent:
        raise _is_label(files[reference.name], labels[0])
    genes = [gene for gene in genes if gene not in reference.labelled_by]
    values = reference_values(files[reference.name], genes, skip_absent=skip_absent)
    if bridge is None:
        return values
    first, second = bridge.units
    if reference.unit != first:
        first, second = second, first
    sources = files[bridge_key(bridge.name, first)], files[bridge_key(bridge.name, second)]
    matched = matched_samples(*sources, genes)
    sides = [reference_values(file, values, skip_absent=skip_absent) for file in sources]
    aligned: dict[str, NDArray[np.float64]] = {}
    for gene, column in values.items():
        if any(gene not in side for side in sides):
            continue
        pair = [
            side[gene][rows]
            for side, rows in zip(sides, (matched.first, matched.second), strict=True)
        ]
        held = np.isfinite(pair[0]) & np.isfinite(pair[1])
        moments = []
        for file, own in zip(sources, pair, strict=True):
            found = _moments(own[held])
            if found is None and not skip_absent:
                raise _cannot_align(file, gene)
            moments.append(found)
        source, target = moments
        if source is not None and target is not None:
            aligned[gene] = (column - source[0]) / source[1] * target[1] + target[0]
    return aligned


def matched_samples(first: PublicFile, second: PublicFile, genes: Collection[str]) -> Matched:
    """Match the rows of a bridge's two files: by the samples' names, else by their order.

    Args:
        genes: columns of these names are values, not names of samples.

    Raises:
        SecgenError: SG225, the files cannot be of the same samples: fewer than three names are in
            both, or there are no names and the numbers of rows differ; SG213, no table.
    """
    (names, rows), (others, other_rows) = (sample_names(file, genes) for file in (first, second))
    if names is not None and others is not None:
        at = {name: position for position, name in enumerate(others)}
        shared = [position for position, name in enumerate(names) if name in at]
        if len(shared) >= _LEAST_SAMPLES:
            left = max(rows, other_rows) > len(shared)
            return Matched(
                np.array(shared, dtype=np.int64),
                np.array([at[names[position]] for position in shared], dtype=np.int64),
                f"only {len(shared):,} samples are in both, of {rows:,} and {other_rows:,}"
                if left
                else "",
            )
        if not all(map(str.isdigit, (*names, *others))):  # whole numbers may be counts of a gene
            raise _other_samples(
                first, second, f"share {len(shared)} of {rows:,} and {other_rows:,} samples"
            )
    if rows != other_rows:
        raise _other_samples(first, second, f"have {rows:,} and {other_rows:,} rows")
    nameless = second if others is None else first
    order = np.arange(rows, dtype=np.int64)
    return Matched(order, order, f'"{nameless.name}" has no names of samples in its first column')


def _moments(column: NDArray[np.float64]) -> tuple[float, float] | None:
    """Mean and standard deviation; None of too few values, or equal ones.

    Sums are correctly rounded, hence the same everywhere.
    """
    held = column.tolist()
    if len(held) < _LEAST_SAMPLES or min(held) == max(held):
        return None
    mean = math.fsum(held) / len(held)
    return mean, math.sqrt(math.fsum((x - mean) ** 2 for x in held) / (len(held) - 1))


def _cannot_align(file: PublicFile, gene: str) -> SecgenError:
    return fail(
        "SG214",
        f'the public table "{file.name}" cannot align {gene}: fewer than {_LEAST_SAMPLES} samples '
        "have a value of it in both units, or they are all equal",
        place=file.name,
        next_step=f"give a table with {_LEAST_SAMPLES} samples or more, or take the gene out",
    )


def _other_samples(first: PublicFile, second: PublicFile, what: str) -> SecgenError:
    return fail(
        "SG225",
        f'"{first.name}" and "{second.name}" {what}: a bridge is the same samples in two units',
        place=f"{first.name}, {second.name}",
        next_step="give the same public samples in both units, by the same names in the first "
        "column; other people would take the difference between populations for one of units",
    )


def _is_label(file: PublicFile, name: str) -> SecgenError:
    return fail(
        "SG214",
        f'the public table "{file.name}" has no values of the gene {name}: by `labelled by` its '
        f'column "{name}" holds labels',
        place=file.name,
        next_step="leave the label out of `labelled by`, or the gene out of the panel: one column "
        "cannot be both",
    )
