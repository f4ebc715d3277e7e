"""`marginal a * pairs of PANEL within SETS … keep …`: gene pairs, from public files only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations
from math import prod

from secgen_dsl.diagnostics.diagnostic import SecgenError, nearest
from secgen_dsl.ir.program import GeneSets, Panel
from secgen_dsl.ir.queries import Importance, PairMarginal
from secgen_dsl.public.sets import gene_sets
from secgen_dsl.semantics.binning import Binner
from secgen_dsl.semantics.reader import Reader
from secgen_dsl.syntax import tree

MAXIMUM_CANDIDATES = 2_000_000
"""More pairs are not compared: `within` names the sets that matter."""

MAXIMUM_CORRELATIONS = 1_000_000
"""Of the genes of pairs with each other, in all label cells: matrices of 8 MB."""

MAXIMUM_FITTED_PAIRS = 50_000
"""Pairs times label cells, of all statements: about a minute of fitting."""

_PLAIN = Importance(weight=Fraction(1), share=None, error=None)


@dataclass(frozen=True)
class GeneSetFiles:
    """The declared files of gene sets.

    Attributes:
        declared: by name; their order in the text means nothing.
        sets: name of a file → its sets; a file with an error of its own has none.
        names: all declared names.
    """

    declared: tuple[GeneSets, ...]
    sets: Mapping[str, Mapping[str, tuple[str, ...]]] = field(repr=False)
    names: frozenset[str]


def resolve_sets(reader: Reader) -> GeneSetFiles:
    """The files of gene sets, each pinned by its hash."""
    declared: dict[str, GeneSets] = {}
    sets: dict[str, Mapping[str, tuple[str, ...]]] = {}
    names: set[str] = set()
    for line in reader.spec.all(tree.SetsLine):
        name = line.name.text
        if name in names:
            reader.found.error(
                "SG206",
                f'there are two files of gene sets called "{name}"',
                line.name.span,
                "the second one",
                "give it another name",
            )
            continue
        names.add(name)
        reader.printable(line.name, "a file of gene sets needs a name that can be printed")
        try:
            file = reader.file(line.file.text)
            sets[name] = gene_sets(file)
        except SecgenError as error:
            reader.found.from_file(error, line.file.span)
            continue
        provenance = line.provenance.text if line.provenance else ""
        declared[name] = GeneSets(name=name, sha256=file.sha256, provenance=provenance)
    ordered = tuple(declared[name] for name in sorted(declared))
    return GeneSetFiles(ordered, sets, frozenset(names))


def resolve_pairs(
    reader: Reader,
    line: tree.PairsLine,
    panel: Panel,
    labels: Mapping[str, int],
    files: GeneSetFiles,
    binner: Binner,
    most_cells: int,
) -> PairMarginal | None:
    """The pairs of a statement; None after an error.  Its importance is filled in by the caller.

    Args:
        labels: columns of the statement → numbers of their values.
        most_cells: of all tables of the statement.
    """
    if line.binning is None:
        reader.found.error(
            "SG211",
            f'the statement does not say how the genes of "{panel.name}" are cut into bins',
            line.span,
            "no `in … bins`",
            "add: in 3 bins from REFERENCE, or: in 3 equal bins",
        )
        return None
    if isinstance(line.binning, tree.LearnedBins):
        reader.not_planned(
            "bins are learned for marginals of a panel, not for pairs of its genes",
            line.binning.span,
            "write `in 3 bins from REFERENCE` or `in 3 equal bins`",
        )
        return None
    candidates = _candidates(reader, line, panel, files)
    if candidates is None:
        return None
    keep = None
    if line.keep is not None:
        keep = reader.whole(line.keep.number, 1, 1_000_000, "the number of pairs to keep")
        kept = _most_correlated(line.keep, panel, candidates, keep, binner)
        if kept is None:
            return None
        candidates = kept
    used = sorted({position for pair in candidates for position in pair})
    genes = tuple(panel.genes[position] for position in used)
    bins = binner.panel(line.binning, panel, genes)
    if bins is None:
        return None
    label_cells = prod(labels.values())
    cells = len(candidates) * label_cells * bins.bins**2
    if cells > most_cells:
        reader.found.error(
            "SG311",
            f"these {len(candidates):,} pairs have {cells:,} cells",
            line.span,
            f"at most {most_cells:,}",
            "keep fewer pairs: keep 40 by correlation in REFERENCE"
            + ("; or use labels with fewer values" if labels else ""),
        )
        return None
    places = {position: place for place, position in enumerate(used)}
    return PairMarginal(
        kind="pairs",
        id="*".join([*labels, f"pairs of {panel.name}"]),
        statement="",
        columns=tuple(labels),
        panel=panel.name,
        sets=line.within.sets.text if line.within is not None else "",
        set_names=tuple(name.text for name in line.within.names or ()) if line.within else (),
        keep=keep,
        keep_by=line.keep.reference.text if line.keep is not None else "",
        genes=genes,
        pairs=tuple((places[i], places[j]) for i, j in candidates),
        bins=bins.bins,
        binning=bins.binning,
        reference=bins.reference,
        edges=bins.edges,
        importance=_PLAIN,
    )


def fit_faults(
    reader: Reader, line: tree.PairsLine, pairs: Sequence[PairMarginal], label_cells: int
) -> bool:
    """Whether synthetic rows would have too many correlations to fit; reports it.

    Each label cell has a matrix of the genes of all pairs, also of those counted without labels.

    Args:
        pairs: of all statements so far, this one included.
        label_cells: of those counted by labels; 1 if none is.
    """
    if label_cells == 1:
        return False
    number = sum(len(query.pairs) for query in pairs)
    genes = len({(query.panel, gene) for query in pairs for gene in query.genes})
    if number * label_cells > MAXIMUM_FITTED_PAIRS:
        what = f"{number:,} pairs have correlations"
        most = f"at most {MAXIMUM_FITTED_PAIRS:,} in all: about a minute of fitting"
    elif genes**2 * label_cells > MAXIMUM_CORRELATIONS:
        what = f"{genes:,} genes have correlations with each other"
        most = f"at most {MAXIMUM_CORRELATIONS:,} in all"
    else:
        return False
    reader.found.error(
        "SG311",
        f"{what} in each of {label_cells:,} combinations of labels",
        line.span,
        most,
        "keep fewer pairs: keep 40 by correlation in REFERENCE; or use labels with fewer values, "
        "or none",
    )
    return True


def _candidates(
    reader: Reader, line: tree.PairsLine, panel: Panel, files: GeneSetFiles
) -> list[tuple[int, int]] | None:
    """Positions (i, j), i < j, in the panel, in rising order."""
    groups: Sequence[Sequence[int]] = [range(len(panel.genes))]
    if line.within is not None:
        chosen = _chosen_sets(reader, line.within, files)
        if chosen is None:
            return None
        places = {gene: place for place, gene in enumerate(panel.genes)}
        groups = [
            sorted(places[gene] for gene in genes if gene in places) for genes in chosen.values()
        ]
    if sum(len(group) * (len(group) - 1) // 2 for group in groups) > MAXIMUM_CANDIDATES:
        reader.found.error(
            "SG311",
            f"more than {MAXIMUM_CANDIDATES:,} pairs of genes",
            line.span,
            "too many to compare",
            "name gene sets, from public knowledge: within hallmark { HALLMARK_P53_PATHWAY }",
        )
        return None
    pairs = sorted({pair for group in groups for pair in combinations(group, 2)})
    if not pairs:
        where = line.within.span if line.within is not None else line.panel.span
        reader.found.error(
            "SG208",
            f'no two genes of "{panel.name}" '
            + ("are in one of these sets" if line.within is not None else "are there to pair"),
            where,
            "no pairs",
            "name other sets, or a larger panel",
        )
        return None
    return pairs


def _chosen_sets(
    reader: Reader, within: tree.Within, files: GeneSetFiles
) -> dict[str, tuple[str, ...]] | None:
    name = within.sets
    if name.text not in files.names:
        reader.found.error(
            "SG205",
            f'there are no gene sets called "{name.text}"',
            name.span,
            "not declared",
            nearest(name.text, files.names) or f'declare them: sets {name.text} from "sets.gmt"',
        )
        return None
    if name.text not in files.sets:
        return None  # its own error was reported
    sets = files.sets[name.text]
    if within.names is None:
        return dict(sets)
    reader.distinct(within.names, "gene set")
    unknown = [one for one in within.names if one.text not in sets]
    for one in unknown:
        reader.found.error(
            "SG205",
            f'"{name.text}" has no gene set called "{one.text}"',
            one.span,
            "not in the file",
            nearest(one.text, sets) or f"the first sets are {', '.join(list(sets)[:3])}",
        )
    if not within.names:
        reader.found.error(
            "SG208",
            "the list of gene sets is empty",
            within.span,
            "no set",
            "name at least one, or leave the braces out for all sets",
        )
    if unknown or not within.names:
        return None
    return {one.text: sets[one.text] for one in within.names}


def _most_correlated(
    keep: tree.KeepPairs,
    panel: Panel,
    candidates: list[tuple[int, int]],
    number: int,
    binner: Binner,
) -> list[tuple[int, int]] | None:
    reference = binner.reference(keep.reference)
    if reference is None or not binner.unit_fits(reference, keep.reference, panel):
        return None
    used = sorted({position for pair in candidates for position in pair})
    genes = [panel.genes[position] for position in used]
    read = binner.columns_of(reference, genes, keep.reference)
    if read is None:
        return None
    from secgen_dsl.public.correlation import most_correlated  # loads numpy

    places = {position: place for place, position in enumerate(used)}
    pairs = [(places[i], places[j]) for i, j in candidates]
    return [(used[i], used[j]) for i, j in most_correlated(read, genes, pairs, number)]
