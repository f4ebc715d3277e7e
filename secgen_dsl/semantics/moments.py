"""`moments PANEL by LABELS in [K] factors from SOURCE`, and the public scale of learned bins."""

from collections.abc import Sequence
from fractions import Fraction
from math import isfinite
from typing import TYPE_CHECKING

from secgen_dsl.ir.program import LINEAR_UNITS, Panel
from secgen_dsl.ir.queries import Importance, LearnedBins, Moments, Standard
from secgen_dsl.semantics.factor_count import MOST_CHOSEN, Means, choose_count
from secgen_dsl.semantics.reader import Reader
from secgen_dsl.syntax import tree

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from secgen_dsl.semantics.binning import Binner
    from secgen_dsl.semantics.pairs import GeneSetFiles

MAXIMUM_FACTORS = 64
_LEAST_VALUES = 10


def resolve_moments(
    reader: Reader,
    line: tree.MomentsLine,
    panel: Panel,
    sets: "GeneSetFiles",
    binner: "Binner",
    importance: Importance,
    means: Means | None,
) -> Moments | None:
    """The moments of a panel; None after an error.

    Args:
        means: by which the number of factors is chosen where the line gives none; None if the
            spec has errors elsewhere, or Laplace noise, which refuses moments of any number.
    """
    count = None
    if line.count is not None:
        count = reader.whole(
            line.count,
            1,
            MAXIMUM_FACTORS,
            "the number of factors",
            f"leave the number out, and it is chosen: in factors from {line.reference.text}",
        )
    if not _summable(reader, panel, line.panel):
        return None
    for clause in line.importance:
        if clause.kind.startswith("error"):
            reader.found.error(
                "SG220",
                "moments have no cells of people, of which an error could be stated",
                clause.span,
                "an error beside moments",
                "give them a share: share 40%",
            )
            return None
    if line.reference.text in sets.names:
        return _from_sets(reader, line, panel, sets, count, importance)
    reference = binner.reference(line.reference)
    if reference is None or not binner.unit_fits(reference, line.reference, panel):
        return None
    columns = binner.columns_of(reference, panel.genes, line.reference)
    if columns is None:
        return None
    ordered = [columns[gene] for gene in panel.genes]
    most = min(len(ordered[0]), len(ordered))
    place = line.reference.span if line.count is None else line.count.span
    if (count or 1) >= most:
        reader.found.error(
            "SG214",
            f"{count or 1} factors cannot be found in {len(ordered[0])} public samples of "
            f"{len(ordered)} genes",
            place,
            f"fewer than {most}",
            f"write: in {max(min(12, most - 1), 1)} factors from {line.reference.text}",
        )
        return None
    standard = _standard(reader, reference.name, panel.genes, ordered, line.reference)
    if standard is None:
        return None
    from secgen_dsl.public.factors import principal_factors  # loads numpy

    if count is None:
        tried = min(MOST_CHOSEN, most - 1)
        _, divisors, variances = principal_factors(ordered, standard, 1 if means is None else tried)
        count = 1 if means is None else choose_count(variances, divisors, means)
        reader.defaults.append(f"moments of {panel.name}: {count} factors")
    loadings, divisors, variances = principal_factors(ordered, standard, count)
    return _moments(line, panel, standard, loadings, divisors, variances, importance)


def _from_sets(
    reader: Reader,
    line: tree.MomentsLine,
    panel: Panel,
    sets: "GeneSetFiles",
    count: int | None,
    importance: Importance,
) -> Moments | None:
    from secgen_dsl.public.factors import factors_of_sets, standard_of_range

    members = [
        [position for position, gene in enumerate(panel.genes) if gene in genes]
        for genes in sets.sets.get(line.reference.text, {}).values()
    ]
    useful = [positions for positions in members if len(positions) >= 2]
    if count is None and 0 < len(useful) <= MAXIMUM_FACTORS:
        count = len(useful)
        reader.defaults.append(f"moments of {panel.name}: {count} factors")
    if count != len(useful):
        reader.found.error(
            "SG220",
            f'"{line.reference.text}" has {len(useful)} sets with two genes or more of the panel, '
            f"so that many factors, not {count or 'any'}",
            line.reference.span if line.count is None else line.count.span,
            "another number",
            f"write: in {len(useful)} factors, or name a file with the sets that are meant"
            if 0 < len(useful) <= MAXIMUM_FACTORS
            else "name a file with the sets that are meant",
        )
        return None
    loadings, divisors, variances = factors_of_sets(useful, len(panel.genes))
    standard = standard_of_range(panel.low, panel.high, len(panel.genes))
    return _moments(line, panel, standard, loadings, divisors, variances, importance)


def _moments(
    line: tree.MomentsLine,
    panel: Panel,
    standard: Standard,
    loadings: tuple[tuple[int, ...], ...],
    divisors: tuple[Fraction, ...],
    variances: tuple[Fraction, ...],
    importance: Importance,
) -> Moments:
    columns = tuple(factor.text for factor in line.labels)
    return Moments(
        kind="moments",
        id=f"moments {panel.name} by {'*'.join(columns)}",
        statement="",
        columns=columns,
        panel=panel.name,
        source=line.reference.text,
        standard=standard,
        loadings=loadings,
        divisors=divisors,
        variances=variances,
        importance=importance,
    )


def resolve_learned(
    reader: Reader,
    line: tree.LearnedBins,
    panel: Panel,
    genes: Sequence[str],
    binner: "Binner",
    bins: int,
) -> LearnedBins | None:
    """How the bins of some genes of a panel are learned; None after an error."""
    part = _part(reader)
    if not _summable(reader, panel, line):
        return None
    from secgen_dsl.public.factors import (
        normal_quantiles,
        standard_of_range,
        standardised_quantiles,
    )

    if line.reference is None:
        standard = standard_of_range(panel.low, panel.high, len(genes))
        return LearnedBins(
            standard=standard, quantiles=(normal_quantiles(bins),) * len(genes), part=part
        )
    reference = binner.reference(line.reference)
    if reference is None or not binner.unit_fits(reference, line.reference, panel):
        return None
    columns = binner.columns_of(reference, genes, line.reference)
    if columns is None:
        return None
    ordered = [columns[gene] for gene in genes]
    found = _standard(reader, reference.name, genes, ordered, line.reference)
    if found is None:
        return None
    quantiles = tuple(
        standardised_quantiles([v for v in values.tolist() if isfinite(v)], centre, scale, bins)
        for values, centre, scale in zip(ordered, found.centres, found.scales, strict=True)
    )
    return LearnedBins(standard=found, quantiles=quantiles, part=part)


def check_limit(reader: Reader) -> None:
    """An error if the limit for learned bins is stated, and no bins are learned."""
    wanted = any(
        isinstance(getattr(line, "binning", None), tree.LearnedBins)
        for block in reader.spec.all(tree.MeasureBlock)
        for line in block.queries
    )
    if wanted:
        return
    for block in reader.spec.all(tree.PrivacyBlock):
        for line in block.lines:
            if isinstance(line, tree.LearnedLimit):
                reader.found.error(
                    "SG220",
                    "no bins are learned that could use a part of the budget",
                    line.span,
                    "it would change nothing",
                    "remove it, or write for a panel: in 4 learned bins",
                )


def _part(reader: Reader) -> Fraction:
    """What `learned bins using at most …` says, or 15%."""
    for block in reader.spec.all(tree.PrivacyBlock):
        for line in block.lines:
            if isinstance(line, tree.LearnedLimit) and 0 < line.percent.value < 100:
                return line.percent.value / 100
    default = "learned bins using at most 15%"
    if default not in reader.defaults:
        reader.defaults.append(default)
    return Fraction(15, 100)


def _summable(reader: Reader, panel: Panel, place: tree.Name | tree.LearnedBins) -> bool:
    """Whether a site holds values of which means and spreads tell something; else an error."""
    if panel.counts is not None:
        reader.not_planned(
            f'"{panel.name}" is converted from counts: a site compares counts with edges exactly, '
            "and does not compute the logarithms that would be summed",
            place.span,
            "have the sites convert, and write the panel in log2_cpm; or measure tables: "
            "in 4 bins from REFERENCE",
        )
        return False
    if panel.unit in LINEAR_UNITS:
        reader.found.error(
            "SG220",
            f'"{panel.name}" is in {panel.unit}, not in logarithms: a few great values would '
            "decide means and spreads, and the rest would drown in noise",
            place.span,
            f"sums of {panel.unit}",
            f"give the panel and the public table in {LINEAR_UNITS[panel.unit]}, or measure "
            "tables: in 4 bins from REFERENCE",
        )
        return False
    return True


def _standard(
    reader: Reader,
    name: str,
    genes: Sequence[str],
    columns: Sequence["NDArray[np.float64]"],
    place: tree.Name,
) -> Standard | None:
    from secgen_dsl.public.factors import standard_of_reference

    finite = [[value for value in column.tolist() if isfinite(value)] for column in columns]
    for gene, values in zip(genes, finite, strict=True):
        if len(values) < _LEAST_VALUES:
            reader.found.error(
                "SG214",
                f'the public table "{name}" has only {len(values)} values of {gene}',
                place.span,
                f"a mean and a spread need at least {_LEAST_VALUES}",
                "use another reference, or leave the gene out",
            )
            return None
    return standard_of_reference(name, finite)
