"""A public table's values in the unit that is wanted, if need be by way of a bridge.

A bridge is two public tables of the same samples in two units.  It tells how each gene's values
in one unit lie in the other, by their means and standard deviations over the bridge's samples:

    x′ = (x − mean₁)/sd₁ · sd₂ + mean₂

(our choice: the least that removes a platform's offset and scale.  SCAN-B medians lie 7.3 log2
below the BRCA table's; differences between the populations stay, since both files of a bridge
hold the same samples.)
"""

import math
from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.ir.program import Bridge, Reference
from secgen_dsl.public.files import PublicFile
from secgen_dsl.public.reference import reference_values

_LEAST_SAMPLES = 3


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
        genes: names of columns.
        skip_absent: leave out genes that a table lacks or cannot align, instead of failing.

    Returns:
        Gene → values, shape (samples of the reference,); NaN where a value is missing.

    Raises:
        SecgenError: SG213, SG214 as ``reference_values``; SG214 too where a gene does not vary in
            the bridge, or has fewer than three values there.
    """
    values = reference_values(files[reference.name], genes, skip_absent=skip_absent)
    if bridge is None:
        return values
    first, second = bridge.units
    if reference.unit != first:
        first, second = second, first
    sources = files[bridge_key(bridge.name, first)], files[bridge_key(bridge.name, second)]
    sides = [reference_values(file, values, skip_absent=skip_absent) for file in sources]
    aligned: dict[str, NDArray[np.float64]] = {}
    for gene, column in values.items():
        if any(gene not in side for side in sides):
            continue
        moments = []
        for file, side in zip(sources, sides, strict=True):
            found = _moments(side[gene])
            if found is None and not skip_absent:
                raise _cannot_align(file, gene)
            moments.append(found)
        source, target = moments
        if source is not None and target is not None:
            aligned[gene] = (column - source[0]) / source[1] * target[1] + target[0]
    return aligned


def _moments(column: NDArray[np.float64]) -> tuple[float, float] | None:
    """Mean and standard deviation; None of too few values, or equal ones.

    Sums are correctly rounded, hence the same everywhere.
    """
    held = [float(value) for value in column if math.isfinite(value)]
    if len(held) < _LEAST_SAMPLES or min(held) == max(held):
        return None
    mean = math.fsum(held) / len(held)
    return mean, math.sqrt(math.fsum((x - mean) ** 2 for x in held) / (len(held) - 1))


def _cannot_align(file: PublicFile, gene: str) -> SecgenError:
    return fail(
        "SG214",
        f'the public table "{file.name}" cannot align {gene}: it holds fewer than '
        f"{_LEAST_SAMPLES} values of it, or they are all equal",
        place=file.name,
        next_step=f"give a table with {_LEAST_SAMPLES} samples or more, or take the gene out",
    )
