"""The `in … bins` of a panel or a number column: exact inner edges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING

from secgen_dsl.diagnostics.diagnostic import SecgenError, nearest
from secgen_dsl.ir.program import Bridge, Panel, Reference, decimal_text
from secgen_dsl.ir.queries import Binning, LearnedBins
from secgen_dsl.semantics.bins import equal_edges, reference_edges
from secgen_dsl.semantics.moments import resolve_learned
from secgen_dsl.semantics.reader import Reader
from secgen_dsl.syntax import tree

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAXIMUM_BINS = 64


@dataclass(frozen=True)
class Bins:
    """Resolved bins: see ``ir.queries.Marginal`` for the fields."""

    bins: int
    binning: Binning
    reference: str
    edges: tuple[tuple[Fraction, ...], ...]
    learned: LearnedBins | None = None


class Binner:
    """Resolves binnings of one spec; the values of a public table are read once.

    Attributes:
        references: by name.
        faulty: references whose files were found to be faulty.
    """

    def __init__(
        self, reader: Reader, references: Sequence[Reference], bridges: Sequence[Bridge]
    ) -> None:
        self.references = {reference.name: reference for reference in references}
        self._bridges: Mapping[str, Bridge] = {bridge.name: bridge for bridge in bridges}
        self._reader = reader
        self.found = reader.found
        self._values: dict[str, dict[str, NDArray[np.float64]]] = {}
        self.faulty: set[str] = set()
        self._mistaken: set[str] = set()  # reported where bins are cut
        # Also those with errors of their own, which are reported once.
        self._declared = {line.name.text for line in reader.spec.all(tree.PublicLine)}

    def panel(self, binning: tree.Binning, panel: Panel, genes: Sequence[str]) -> Bins | None:
        """The bins of some genes of a panel; None after an error."""
        found = self._given(binning, panel.low, panel.high, "the panel's range")
        if found is not None:
            kind, edges = found
            return Bins(len(edges) + 1, kind, "", (edges,) * len(genes))
        if isinstance(binning, tree.BinsFrom):
            return self._quantiles(binning, panel, genes)
        if isinstance(binning, tree.LearnedBins):
            count = self._count(binning.count)
            if count is None:
                return None
            learned = resolve_learned(self._reader, binning, panel, genes, self, count)
            name = "" if binning.reference is None else binning.reference.text
            return None if learned is None else Bins(count, "learned", name, (), learned)
        return None

    def number(
        self, binning: tree.Binning, name: str, low: Fraction, high: Fraction
    ) -> Bins | None:
        """The bins of a number column; None after an error."""
        found = self._given(binning, low, high, "the column's range")
        if found is not None:
            kind, edges = found
            return Bins(len(edges) + 1, kind, "", (edges,))
        if isinstance(binning, tree.LearnedBins):
            self._reader.not_planned(
                "bins are learned for the genes of a panel, not for a number column",
                binning.span,
                "write `in bins at 20, 50` or `in 4 equal bins`",
            )
            return None
        if not isinstance(binning, tree.BinsFrom):
            return None
        reference = self.reference(binning.reference)
        count = self._count(binning.count)
        if reference is None or count is None:
            return None
        if binning.else_equal:
            self.found.error(
                "SG211",
                "`else equal` is for the genes of a panel",
                binning.span,
                "a column is there, or it is not",
                "leave it out",
            )
            return None
        values = self._finite(reference, [name], binning)
        if values is None or not self._enough(binning, name, values[name], count):
            return None
        edges = reference_edges(values[name], low, high, count)
        if edges[0] == edges[-1] and edges[0] in (low, high):
            self.found.error(
                "SG212",
                f'the values of "{name}" in the public table "{reference.name}" lie outside '
                f"{decimal_text(low)}..{decimal_text(high)}",
                binning.reference.span,
                "everybody would be in one bin",
                "widen the column's range, or give another reference",
            )
            return None
        return Bins(count, "reference", reference.name, (edges,))

    def reference(self, name: tree.Name) -> Reference | None:
        """The public table of that name; None after an error."""
        if name.text in self.references:
            return self.references[name.text]
        if name.text in self._bridges:
            self.found.error(
                "SG205",
                f'"{name.text}" is a bridge between two units, not a reference',
                name.span,
                "has two files",
                "name a public table of one file",
            )
        elif name.text not in self._declared:
            self.found.error(
                "SG205",
                f'there is no public table called "{name.text}"',
                name.span,
                "not declared",
                nearest(name.text, self.references)
                or f'declare it: public {name.text} from "file.csv" log2',
            )
        return None

    def unit_of(self, reference: Reference) -> str:
        """The unit of a reference's values once aligned."""
        if not reference.aligned_by:
            return reference.unit
        first, second = self._bridges[reference.aligned_by].units
        return second if reference.unit == first else first

    def unit_fits(self, reference: Reference, name: tree.Name, panel: Panel) -> bool:
        """Whether a reference is in the panel's unit; else an error."""
        unit = self.unit_of(reference)
        if unit == panel.unit:
            return True
        self.found.error(
            "SG212",
            f'the public table "{reference.name}" is in {unit}, '
            f'the panel "{panel.name}" in {panel.unit}',
            name.span,
            "units differ",
            "give a reference in the panel's unit, or align it: aligned by BRIDGE, with "
            f'public BRIDGE from "a.csv" {reference.unit} and "b.csv" {panel.unit} '
            "(docs/how-to/two-platforms.md runs an example)",
        )
        return False

    def columns_of(
        self, reference: Reference, genes: Sequence[str], place: tree.Name, *, skip: bool = False
    ) -> dict[str, "NDArray[np.float64]"] | None:
        """Values of genes in a reference, one a sample; None after an error.

        Args:
            place: the name in the spec, for diagnostics.
            skip: leave out genes that the table lacks.
        """
        from secgen_dsl.public.aligned import aligned_values  # loads numpy

        known = self._values.get(reference.name, {})
        wanted = [gene for gene in genes if gene not in known]
        if not wanted and reference.name in self._values:
            return {gene: known[gene] for gene in genes}
        bridge = self._bridges.get(reference.aligned_by)
        files = self._reader.reference_files
        try:
            known = known | aligned_values(reference, bridge, files, wanted, skip_absent=skip)
        except SecgenError as error:
            self._report(error, reference, place)
            self.faulty.add(reference.name)
            return None
        self._values[reference.name] = known
        return {gene: known[gene] for gene in genes if gene in known}

    def _report(self, error: SecgenError, reference: Reference, place: tree.Name) -> None:
        """Point at the bridge that cannot be one, once; at ``place`` for other faults."""
        if error.diagnostics[0].code != "SG225":
            self.found.from_file(error, place.span)
        elif reference.name not in self.faulty:
            self.found.from_file(error, self._bridged(reference).span)

    def _bridged(self, reference: Reference) -> tree.Name:
        """The name of the bridge where a reference is declared."""
        lines = self._reader.spec.all(tree.PublicLine)
        name = next(line.aligned for line in lines if line.name.text == reference.name)
        if name is None:
            raise AssertionError(f"{reference.name} is not aligned")
        return name

    def _remark_on_bridge(self, reference: Reference, genes: Sequence[str]) -> None:
        """Warn where a bridge's rows are not known to be of the same samples."""
        from secgen_dsl.public.aligned import bridge_key, matched_samples

        bridge = self._bridges[reference.aligned_by]
        files = [self._reader.reference_files[bridge_key(bridge.name, u)] for u in bridge.units]
        remark = matched_samples(files[0], files[1], genes).remark
        if remark:
            self.found.warn(
                "SG225",
                f'the two files of the bridge "{bridge.name}" may be of other samples: {remark}',
                self._bridged(reference).span,
                "other people would shift values",
                "give the same samples in both files, by the same names in the first column",
            )

    def read_all(self, panels: Sequence[Panel]) -> None:
        """Read all that the synthesis will need: of each reference the panels' genes in its unit.

        A fault in what no bins need would otherwise be found once the budget is spent.
        """
        for line in self._reader.spec.all(tree.PublicLine):
            reference = self.references.get(line.name.text)
            if reference is None or reference.name in self.faulty:
                continue
            unit = self.unit_of(reference)
            genes = {gene: None for panel in panels if panel.unit == unit for gene in panel.genes}
            read = self.columns_of(reference, list(genes), line.name, skip=True)
            if read is None:
                continue
            if reference.aligned_by:
                self._remark_on_bridge(reference, list(genes))
            if reference.name not in self._mistaken:
                own = [panel for panel in panels if panel.unit == unit]
                ranges = _ranges_of_genes(own)
                for panel in own:
                    self._check_scale(reference, panel, ranges, read, line.name)

    def _check_scale(
        self,
        reference: Reference,
        panel: Panel,
        ranges: Mapping[str, tuple[float, float]],
        columns: Mapping[str, "NDArray[np.float64]"],
        place: tree.Name,
    ) -> None:
        """SG226: values far outside the range are hardly in the unit that the spec says.

        All that takes means and spreads from such a table would be clamped to the range's ends.

        Args:
            ranges: as ``_ranges_of_genes`` returns.
        """
        import numpy as np

        held, outside = [np.empty(0)], 0
        for gene in panel.genes:
            if gene in columns:
                low, high = ranges[gene]
                own = columns[gene][np.isfinite(columns[gene])]
                outside += int(((own < low) | (own > high)).sum())
                held.append(own)
        values = np.concatenate(held)
        if outside * 10 <= values.size:
            return
        most = outside * 2 > values.size
        say = self.found.error if most else self.found.warn
        say(
            "SG226",
            f"{outside:,} of {values.size:,} values ({outside / values.size:.0%}) of the public "
            f'table "{reference.name}" lie outside the range of the panel "{panel.name}"',
            place.span,
            f"from {values.min():,.1f} to {values.max():,.1f}; the panel is {panel.unit} "
            f"{decimal_text(panel.low)}..{decimal_text(panel.high)}",
            "check that the table is in the unit that the spec says (values without log2 lie far "
            "above the range); else widen the panel's range, or align the table: aligned by BRIDGE",
        )

    def _given(
        self, binning: tree.Binning, low: Fraction, high: Fraction, what: str
    ) -> tuple[Binning, tuple[Fraction, ...]] | None:
        """Edges that the spec itself gives; None for others, or after an error."""
        if isinstance(binning, tree.LearnedBins):
            return None
        if isinstance(binning, tree.EqualBins):
            count = self._count(binning.count)
            return None if count is None else ("equal", equal_edges(low, high, count))
        if isinstance(binning, tree.BinsFrom):
            return None
        edges = tuple(number.value for number in binning.edges)
        inside = all(low < edge < high for edge in edges)
        rising = all(a < b for a, b in pairwise(edges))
        if not (inside and rising) or len(edges) >= MAXIMUM_BINS:
            self.found.error(
                "SG211",
                f"the edges do not rise inside {what}",
                binning.span,
                f"the range is {decimal_text(low)}..{decimal_text(high)}",
                f"write, for example: in bins at {_quarters(low, high)}",
            )
            return None
        return "at", edges

    def _count(self, number: tree.Number) -> int | None:
        if number.value.denominator != 1 or not 2 <= number.value <= MAXIMUM_BINS:
            self.found.error(
                "SG211",
                f"the number of bins is a whole number from 2 to {MAXIMUM_BINS}",
                number.span,
                "not allowed",
                "write 3 or 4: more bins drown in noise sooner",
            )
            return None
        return int(number.value)

    def _finite(
        self, reference: Reference, names: Sequence[str], binning: tree.BinsFrom
    ) -> dict[str, list[float]] | None:
        columns = self.columns_of(reference, names, binning.reference, skip=binning.else_equal)
        if columns is None:
            return None
        return {
            name: [v for v in column.tolist() if isfinite(v)] for name, column in columns.items()
        }

    def _quantiles(self, binning: tree.BinsFrom, panel: Panel, genes: Sequence[str]) -> Bins | None:
        reference = self.reference(binning.reference)
        count = self._count(binning.count)
        if reference is None or count is None:
            return None
        if not self.unit_fits(reference, binning.reference, panel):
            return None
        values = self._finite(reference, genes, binning)
        if values is None:
            return None
        equal = equal_edges(panel.low, panel.high, count)
        edges = []
        for gene in genes:
            if gene not in values:
                edges.append(equal)
                continue
            if not self._enough(binning, gene, values[gene], count):
                return None
            edges.append(reference_edges(values[gene], panel.low, panel.high, count))
        if not self._spread(binning, panel, genes, edges):
            return None
        kind: Binning = "reference-else-equal" if binning.else_equal else "reference"
        return Bins(count, kind, reference.name, tuple(edges))

    def _enough(
        self, binning: tree.BinsFrom, name: str, values: Sequence[float], count: int
    ) -> bool:
        if len(values) >= count:
            return True
        self.found.error(
            "SG214",
            f'the public table "{binning.reference.text}" has only {len(values)} values of {name}',
            binning.reference.span,
            f"{count} bins need at least {count}",
            "use fewer bins, or another reference",
        )
        return False

    def _spread(
        self,
        binning: tree.BinsFrom,
        panel: Panel,
        genes: Sequence[str],
        edges: Sequence[tuple[Fraction, ...]],
    ) -> bool:
        """Whether the bins of most genes can hold people; one bin for everybody is an error."""
        useless = {
            gene
            for gene, own in zip(genes, edges, strict=True)
            if own[0] == own[-1] and own[0] in (panel.low, panel.high)
        }
        if 2 * len(useless) > len(edges):
            self._mistaken.add(binning.reference.text)
            self.found.error(
                "SG212",
                f'the public table "{binning.reference.text}" does not look like {panel.unit} '
                f"{decimal_text(panel.low)}..{decimal_text(panel.high)}: most of its values lie "
                "outside",
                binning.reference.span,
                f"{len(useless)} of {len(edges)} genes would have everybody in one bin",
                "give the reference in the panel's unit, or widen the panel's range",
            )
            return False
        flat = [
            gene
            for gene, own in zip(genes, edges, strict=True)
            if len(set(own)) < len(own) or gene in useless
        ]
        if flat:
            self.found.warn(
                "SG310",
                f"some bins of {', '.join(flat[:5])}"
                + (f" and {len(flat) - 5} more genes" if len(flat) > 5 else "")
                + " can hold nobody: the public table has many equal values of them",
                binning.reference.span,
                f"{len(flat)} of {len(edges)} genes",
                "use fewer bins for these genes, or leave them out",
            )
        return True


def _quarters(low: Fraction, high: Fraction) -> str:
    """Three edges inside a range, as a spec writes them."""
    return ", ".join(decimal_text(low + (high - low) * k / 4) for k in (1, 2, 3))


def _ranges_of_genes(panels: Sequence[Panel]) -> dict[str, tuple[float, float]]:
    """Gene → from the lowest end to the highest of those panels that have it; all in one unit."""
    ranges: dict[str, tuple[float, float]] = {}
    for panel in panels:
        own = (float(panel.low), float(panel.high))
        for gene in panel.genes:
            low, high = ranges.get(gene, own)
            ranges[gene] = (min(low, own[0]), max(high, own[1]))
    return ranges
