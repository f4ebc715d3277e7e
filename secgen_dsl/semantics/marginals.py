"""The `measure` block: marginals with their columns, panel and bin edges."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from math import isfinite, prod
from typing import Literal

from secgen_dsl.diagnostics.diagnostic import SecgenError, nearest
from secgen_dsl.ir.program import CategoryColumn, Marginal, Panel, Reference, decimal_text
from secgen_dsl.ir.statement import statement_of
from secgen_dsl.semantics.bins import equal_edges, reference_edges
from secgen_dsl.semantics.reader import Reader
from secgen_dsl.syntax import tree

MAXIMUM_BINS = 64
MAXIMUM_CELLS = 5_000_000
"""More raw cells in one marginal are refused: noise would drown them, and memory would end."""

_Edges = tuple[tuple[Fraction, ...], ...]


def resolve_marginals(
    reader: Reader,
    block: tree.MeasureBlock,
    columns: Sequence[CategoryColumn],
    panels: Sequence[Panel],
    references: Sequence[Reference],
) -> tuple[tuple[Marginal, ...], dict[str, str]]:
    """The marginals in the order of the text, and the place of each statement by id."""
    resolver = _Marginals(reader, columns, panels, references)
    for line in block.marginals:
        resolver.add(line)
    return tuple(resolver.marginals), resolver.sources


class _Marginals:
    def __init__(
        self,
        reader: Reader,
        columns: Sequence[CategoryColumn],
        panels: Sequence[Panel],
        references: Sequence[Reference],
    ) -> None:
        self.columns = {column.name: column for column in columns}
        self.panels = {panel.name: panel for panel in panels}
        self.references = {reference.name: reference for reference in references}
        self.files = reader.reference_files
        self.found = reader.found
        # Also those with errors of their own, which are reported once.
        self.declared_panels = {line.name.text for line in reader.spec.all(tree.PanelLine)}
        self.declared_tables = {line.name.text for line in reader.spec.all(tree.PublicLine)}
        self.values: dict[str, dict[str, list[float]]] = {}
        self.marginals: list[Marginal] = []
        self.sources: dict[str, str] = {}
        self.seen: set[tuple[object, ...]] = set()

    def add(self, line: tree.MarginalLine) -> None:
        names: list[str] = []
        panel: Panel | None = None
        for factor in line.factors:
            if factor.text in self.columns:
                if factor.text in names:
                    self.found.error(
                        "SG207",
                        f'"{factor.text}" stands twice in one marginal',
                        factor.span,
                        "the second time",
                        "remove it",
                    )
                names.append(factor.text)
            elif factor.text in self.panels:
                if panel is not None:
                    self.found.error(
                        "SG211",
                        "a marginal has at most one panel",
                        factor.span,
                        "a second panel",
                        "write one marginal for each panel",
                    )
                panel = self.panels[factor.text]
            elif factor.text in self.declared_panels:
                return  # its own error was reported
            else:
                known = [*self.columns, *self.panels]
                self.found.error(
                    "SG205",
                    f'there is no column or panel called "{factor.text}"',
                    factor.span,
                    "not declared",
                    nearest(factor.text, known) or "declare it in `columns` or as a `panel`",
                )
                return
        if not self.sizes(line, names, panel):
            return
        binned = self.bins(line, panel)
        weight = line.weight.value if line.weight is not None else Fraction(1)
        if line.weight is not None and not Fraction(1, 10**6) <= weight <= 10**6:
            self.found.error(
                "SG216",
                "a weight lies between 0.000001 and 1,000,000",
                line.weight.span,
                "out of range",
                "write, for example: weight 2; without one it is 1",
            )
            return
        if binned is None:
            return
        self.append(line, names, panel, binned, weight)

    def sizes(self, line: tree.MarginalLine, names: list[str], panel: Panel | None) -> bool:
        if not names:
            self.found.error(
                "SG211",
                "a marginal needs at least one column",
                line.span,
                "only a panel",
                f"write, for example: marginal LABEL * {line.factors[0].text} in 4 equal bins",
            )
            return False
        cells = prod(len(self.columns[name].values) for name in names)
        cells *= len(panel.genes) if panel is not None else 1
        if cells > MAXIMUM_CELLS:
            self.found.error(
                "SG311",
                f"this marginal has {cells:,} cells or more",
                line.span,
                f"at most {MAXIMUM_CELLS:,}",
                "use fewer columns, or columns with fewer values",
            )
            return False
        return True

    def bins(
        self, line: tree.MarginalLine, panel: Panel | None
    ) -> tuple[int, Literal["none", "equal", "at", "reference"], str, _Edges] | None:
        binning = line.binning
        if panel is None:
            if binning is not None:
                self.found.error(
                    "SG211",
                    "categories have no bins",
                    binning.span,
                    "only a panel is cut into bins",
                    "remove `in …`",
                )
                return None
            return 1, "none", "", ()
        if binning is None:
            self.found.error(
                "SG211",
                f'the marginal does not say how "{panel.name}" is cut into bins',
                line.span,
                "no `in … bins`",
                "add: in 4 bins from REFERENCE, or: in 4 equal bins",
            )
            return None
        if isinstance(binning, tree.BinsAt):
            edges = tuple(number.value for number in binning.edges)
            inside = all(panel.low < edge < panel.high for edge in edges)
            rising = all(a < b for a, b in pairwise(edges))
            if not (inside and rising) or len(edges) >= MAXIMUM_BINS:
                self.found.error(
                    "SG211",
                    "the edges do not rise inside the panel's range",
                    binning.span,
                    f"the range is {decimal_text(panel.low)}..{decimal_text(panel.high)}",
                    "write, for example: in bins at 2, 4.5, 7",
                )
                return None
            return len(edges) + 1, "at", "", (edges,) * len(panel.genes)
        count = binning.count.value
        if count.denominator != 1 or not 2 <= count <= MAXIMUM_BINS:
            self.found.error(
                "SG211",
                f"the number of bins is a whole number from 2 to {MAXIMUM_BINS}",
                binning.count.span,
                "not allowed",
                "write 3 or 4: more bins drown in noise sooner",
            )
            return None
        number = int(count)
        if isinstance(binning, tree.EqualBins):
            equal = equal_edges(panel.low, panel.high, number)
            return number, "equal", "", (equal,) * len(panel.genes)
        quantiles = self.quantiles(binning, panel, number)
        return (
            None if quantiles is None else (number, "reference", binning.reference.text, quantiles)
        )

    def quantiles(self, binning: tree.BinsFrom, panel: Panel, number: int) -> _Edges | None:
        name = binning.reference
        if name.text not in self.references:
            if name.text not in self.declared_tables:
                self.found.error(
                    "SG205",
                    f'there is no public table called "{name.text}"',
                    name.span,
                    "not declared",
                    nearest(name.text, self.references)
                    or f'declare it: public {name.text} from "file.csv" {panel.unit}',
                )
            return None
        from secgen_dsl.public.reference import reference_values  # loads numpy

        reference = self.references[name.text]
        if reference.unit != panel.unit:
            self.found.error(
                "SG212",
                f'the public table "{name.text}" is in {reference.unit}, '
                f'the panel "{panel.name}" in {panel.unit}',
                name.span,
                "units differ",
                "give a reference in the panel's unit",
            )
            return None
        try:
            read = reference_values(self.files[name.text], panel.genes)
        except SecgenError as error:
            self.found.from_file(error, name.span)
            return None
        values = {
            gene: [v for v in column.tolist() if isfinite(v)] for gene, column in read.items()
        }
        edges = []
        for gene in panel.genes:
            if len(values[gene]) < number:
                self.found.error(
                    "SG214",
                    f'the public table "{name.text}" has only {len(values[gene])} values of {gene}',
                    name.span,
                    f"{number} bins need at least {number}",
                    "use fewer bins, or another reference",
                )
                return None
            edges.append(reference_edges(values[gene], panel.low, panel.high, number))
        return tuple(edges) if self.spread(binning, panel, edges) else None

    def spread(
        self, binning: tree.BinsFrom, panel: Panel, edges: list[tuple[Fraction, ...]]
    ) -> bool:
        """Whether the bins of most genes can hold people; one bin for everybody is an error."""
        useless = [
            gene
            for gene, own in zip(panel.genes, edges, strict=True)
            if own[0] == own[-1] and own[0] in (panel.low, panel.high)
        ]
        if 2 * len(useless) > len(edges):
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
            for gene, own in zip(panel.genes, edges, strict=True)
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

    def append(
        self,
        line: tree.MarginalLine,
        names: list[str],
        panel: Panel | None,
        binned: tuple[int, Literal["none", "equal", "at", "reference"], str, _Edges],
        weight: Fraction,
    ) -> None:
        bins, kind, reference, edges = binned
        same = (frozenset(names), panel.name if panel else None, bins, kind, reference, edges)
        if same in self.seen:
            self.found.error(
                "SG215",
                "this marginal is measured already",
                line.span,
                "the second time",
                "remove it, or raise the other one's weight",
            )
            return
        self.seen.add(same)
        base = "*".join([*names, panel.name] if panel else names)
        identifier = base
        taken = {marginal.id for marginal in self.marginals}
        number = 2
        while identifier in taken:
            identifier = f"{base} ({number})"
            number += 1
        statement = statement_of(
            tuple(names), panel.name if panel else None, bins, kind, reference, edges, weight
        )
        self.marginals.append(
            Marginal(
                kind="marginal",
                id=identifier,
                statement=statement,
                columns=tuple(names),
                panel=panel.name if panel else None,
                bins=bins,
                binning=kind,
                reference=reference,
                edges=edges,
                weight=weight,
            )
        )
        source = line.span.source.name.replace("\\", "/").rsplit("/", 1)[-1]
        self.sources[identifier] = f"{source}:{line.span.line}"
