"""The `measure` block: every query with its columns, genes, bins and importance."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod

from secgen_dsl.diagnostics.diagnostic import Span, nearest
from secgen_dsl.ir.program import CategoryColumn, NumberColumn, Panel, Person, Privacy
from secgen_dsl.ir.queries import Asked, Importance, Marginal, Moments, PairMarginal
from secgen_dsl.ir.statement import canonical_statement
from secgen_dsl.semantics.binning import Binner
from secgen_dsl.semantics.factor_count import Means
from secgen_dsl.semantics.importance import check_shares, resolve_importance
from secgen_dsl.semantics.moments import resolve_moments
from secgen_dsl.semantics.pairs import GeneSetFiles, fit_faults, resolve_pairs
from secgen_dsl.semantics.reader import Reader
from secgen_dsl.syntax import tree

MAXIMUM_CELLS = 5_000_000
"""More raw cells in one query are refused: noise would drown them, and memory would end."""

MAXIMUM_PLAN_CELLS = 100_000_000
"""Of all queries together, bins counted: what every party has to hold."""

MAXIMUM_QUERIES = 10_000
_MOST_FACTORS = 100


@dataclass(frozen=True)
class Vocabulary:
    """What the `measure` block may name.

    Attributes:
        groups: name of a mutation line → its columns.
        parties: m, silos and helpers.
        tolerated: t; 0 after an error.
    """

    columns: Sequence[CategoryColumn | NumberColumn]
    groups: dict[str, tuple[str, ...]]
    panels: Sequence[Panel]
    sets: GeneSetFiles
    person: Person | None
    privacy: Privacy | None
    parties: int
    tolerated: int


def resolve_queries(
    reader: Reader, block: tree.MeasureBlock, vocabulary: Vocabulary, binner: Binner
) -> tuple[tuple[Asked, ...], dict[str, Span]]:
    """The queries in the order of the text, and the place of each one's statement by id."""
    resolver = _Queries(reader, vocabulary, binner)
    for line in block.queries:
        resolver.add(line)
    check_shares(reader, resolver.stated)
    return tuple(resolver.queries), resolver.spans


@dataclass(frozen=True)
class _Factors:
    columns: tuple[str, ...]
    panel: Panel | None
    gene: str | None


class _Queries:
    def __init__(self, reader: Reader, vocabulary: Vocabulary, binner: Binner) -> None:
        self.reader = reader
        self.found = reader.found
        self.vocabulary = vocabulary
        self.binner = binner
        self.columns = {column.name: column for column in vocabulary.columns}
        self.panels = {panel.name: panel for panel in vocabulary.panels}
        # Also those with errors of their own, which are reported once.
        self.panel_names = {line.name.text for line in reader.spec.all(tree.PanelLine)}
        self.number_names = {
            line.name.text
            for block in reader.spec.all(tree.ColumnsBlock)
            for line in block.columns
            if isinstance(line, tree.NumberLine)
        }
        self.queries: list[Asked] = []
        self.taken: set[str] = set()
        self.spans: dict[str, Span] = {}
        self.seen: set[tuple[object, ...]] = set()
        self.stated: list[tuple[tree.ImportanceClause | None, Fraction | None]] = []
        self.cells = 0

    def add(self, line: tree.MarginalLine | tree.PairsLine | tree.MomentsLine) -> None:
        importance = resolve_importance(self.reader, line.importance, self.vocabulary.person)
        clause = next((c for c in line.importance if c.kind == "share"), None)
        if isinstance(line, tree.MarginalLine):
            self.marginal(line, importance, clause)
            return
        self.stated.append((clause if importance.share is not None else None, importance.share))
        if isinstance(line, tree.MomentsLine):
            self.moments(line, importance)
            return
        panel = self.panel_of(line.panel)
        columns = self.labels_of(line.labels)
        if panel is None or columns is None or not self.one_set_of_labels(line, columns):
            return
        pairs = resolve_pairs(
            self.reader,
            line,
            panel,
            {name: len(self.columns[name].values) for name in columns},
            self.vocabulary.sets,
            self.binner,
            MAXIMUM_CELLS,
        )
        if pairs is not None:
            together = [*(q for q in self.queries if isinstance(q, PairMarginal)), pairs]
            labels = next((query.columns for query in together if query.columns), ())
            label_cells = prod(len(self.columns[name].values) for name in labels)
            if fit_faults(self.reader, line, together, label_cells):
                return
            same = (
                "pairs", frozenset(columns), panel.name, pairs.pairs, pairs.genes, pairs.edges,
            )  # fmt: skip
            self.append(line, pairs.model_copy(update={"importance": importance}), same)

    def labels_of(self, factors: Sequence[tree.Factor]) -> tuple[str, ...] | None:
        """The columns that tables of pairs or moments are by; None after an error."""
        unknown = [f for f in factors if f.text not in self.columns or f.each]
        for factor in unknown:
            if factor.each:
                self.found.error(
                    "SG211",
                    "`each` stands for several marginals of columns or of one panel",
                    factor.span,
                    "not for these",
                    "name the columns: one statement for each of them",
                )
            elif factor.text in self.panel_names:
                self.found.error(
                    "SG205",
                    f'"{factor.text}" is a panel, where labels are meant',
                    factor.span,
                    "not a column",
                    "name a column; two genes together are `marginal COLUMN * pairs of PANEL`",
                )
            elif factor.text not in self.number_names:
                self.unknown(factor)
        repeated = len({factor.text for factor in factors}) < len(factors)
        if repeated:
            self.found.error(
                "SG207",
                "a label stands twice in one statement",
                factors[-1].span,
                "among these",
                "remove it",
            )
        return None if unknown or repeated else tuple(factor.text for factor in factors)

    def one_set_of_labels(self, line: tree.PairsLine, columns: Sequence[str]) -> bool:
        """Whether all pairs by labels are by the same ones, as the correlations of samples are."""
        known = {frozenset(q.columns) for q in self.queries if isinstance(q, PairMarginal)}
        known.discard(frozenset())
        if not columns or not known or frozenset(columns) in known:
            return True
        (others,) = known
        names = " * ".join(name for name in self.columns if name in others)
        self.reader.not_planned(
            f"pairs are counted by {names} already: samples have correlations by one set of labels",
            line.labels[0].span,
            f"write {names} here, too, or leave the labels out",
        )
        return False

    def panel_of(self, name: tree.Name) -> Panel | None:
        if name.text not in self.panels and name.text not in self.panel_names:
            self.found.error(
                "SG205",
                f'there is no panel called "{name.text}"',
                name.span,
                "not declared",
                nearest(name.text, self.panels) or f"declare it: panel {name.text} expression …",
            )
        return self.panels.get(name.text)

    def moments(self, line: tree.MomentsLine, importance: Importance) -> None:
        panel = self.panel_of(line.panel)
        if panel is None or self.labels_of(line.labels) is None:
            return
        found = resolve_moments(
            self.reader,
            line,
            panel,
            self.vocabulary.sets,
            self.binner,
            importance,
            self.means(line, importance),
        )
        if found is not None:
            self.append(line, found, ("moments", panel.name, found.source, found.columns))

    def means(self, line: tree.MomentsLine, importance: Importance) -> Means | None:
        """What moments have to spend; lines without a share are taken to get equal parts."""
        vocabulary = self.vocabulary
        person, privacy = vocabulary.person, vocabulary.privacy
        if person is None or privacy is None or privacy.mechanism != "gaussian":
            return None
        labels = prod(len(self.columns[factor.text].values) for factor in line.labels)
        if labels == 0:  # a column without values was reported where it stands
            return None
        lines = [q for block in self.reader.spec.all(tree.MeasureBlock) for q in block.queries]
        return Means(
            privacy=privacy,
            part=importance.share or Fraction(1, len(lines)),
            people=person.people_bound,
            labels=labels,
            samples=person.samples * person.silos,
            parties=vocabulary.parties,
            tolerated=vocabulary.tolerated,
        )

    def marginal(
        self,
        line: tree.MarginalLine,
        importance: Importance,
        clause: tree.ImportanceClause | None,
    ) -> None:
        expanded = list(self.expand(line))
        if importance.share is not None and len(expanded) > 1:
            # The statement's share is divided equally among the marginals that it stands for.
            importance = importance.model_copy(update={"share": importance.share / len(expanded)})
        for factors in expanded:
            stated = clause if importance.share is not None else None
            self.stated.append((stated, importance.share))
            query = self.one_marginal(line, factors, importance)
            if query is not None:
                same = (
                    frozenset(query.columns), query.panel, query.gene, query.bins, query.binning,
                    query.reference, query.edges,
                )  # fmt: skip
                self.append(line, query, same)

    def expand(self, line: tree.MarginalLine) -> Iterator[tuple[tree.Factor, ...]]:
        """The marginal for each column of the group behind `each`."""
        if len(line.factors) > _MOST_FACTORS:
            self.found.error(
                "SG208",
                f"a marginal has at most {_MOST_FACTORS} factors",
                line.span,
                f"{len(line.factors)} factors",
                "its cells are too many to count people in",
            )
            return
        behind = [position for position, factor in enumerate(line.factors) if factor.each]
        if not behind:
            yield line.factors
            return
        if len(behind) > 1:
            self.found.error(
                "SG211",
                "a marginal has one `each` at most",
                line.factors[behind[1]].span,
                "the second one",
                "write one statement for each group",
            )
            return
        factor = line.factors[behind[0]]
        groups = self.vocabulary.groups
        if factor.text not in groups:
            known = f"the groups are {', '.join(groups)}" if groups else "there is none"
            self.found.error(
                "SG205",
                f'"{factor.text}" is no group of columns',
                factor.span,
                "behind `each`",
                nearest(factor.text, groups)
                or f"a group is declared as: flags mutation {{ TP53, NPM1 }}; {known}",
            )
            return
        for name in groups[factor.text]:
            column = tree.Factor(tree.Name(name, factor.span), each=False)
            yield (*line.factors[: behind[0]], column, *line.factors[behind[0] + 1 :])

    def one_marginal(
        self, line: tree.MarginalLine, names: Sequence[tree.Factor], importance: Importance
    ) -> Marginal | None:
        factors = self.factors(line, names)
        if factors is None or not self.sizes(line, factors):
            return None
        if factors.panel is None:
            if line.binning is not None:
                self.found.error(
                    "SG211",
                    "columns have no bins here",
                    line.binning.span,
                    "only a panel is cut into bins by a marginal",
                    "remove `in …`; the bins of a number column stand in `columns`",
                )
                return None
            return _marginal(factors, importance)
        if line.binning is None:
            self.found.error(
                "SG211",
                f'the marginal does not say how "{factors.panel.name}" is cut into bins',
                line.span,
                "no `in … bins`",
                "add: in 4 bins from REFERENCE, or: in 4 equal bins",
            )
            return None
        genes = factors.panel.genes if factors.gene is None else (factors.gene,)
        bins = self.binner.panel(line.binning, factors.panel, genes)
        if bins is None:
            return None
        return _marginal(factors, importance).model_copy(
            update={
                "bins": bins.bins,
                "binning": bins.binning,
                "reference": bins.reference,
                "edges": bins.edges,
                "learned": bins.learned,
            }
        )

    def factors(self, line: tree.MarginalLine, names: Sequence[tree.Factor]) -> _Factors | None:
        columns: list[str] = []
        found = _Factors((), None, None)
        for factor in names:
            panel, gene = self.panel_or_gene(factor.text)
            if factor.text in self.columns:
                if factor.text in columns:
                    self.found.error(
                        "SG207",
                        f'"{factor.text}" stands twice in one marginal',
                        factor.span,
                        "the second time",
                        "remove it",
                    )
                columns.append(factor.text)
            elif panel is not None:
                if found.panel is not None:
                    self.found.error(
                        "SG211",
                        "a marginal has at most one panel or gene",
                        factor.span,
                        "the second one",
                        "write one marginal for each; two genes together are "
                        "`marginal pairs of PANEL`",
                    )
                    return None
                found = replace(found, panel=panel, gene=gene)
            else:
                if factor.text not in self.panel_names | self.number_names:
                    self.unknown(factor)
                return None
        return replace(found, columns=tuple(columns))

    def panel_or_gene(self, text: str) -> tuple[Panel | None, str | None]:
        """A panel, or by ``panel.gene`` a gene of one."""
        if text in self.panels:
            return self.panels[text], None
        for name, panel in self.panels.items():
            gene = text.removeprefix(name + ".")
            if gene != text and gene in panel.genes:
                return panel, gene
        return None, None

    def unknown(self, factor: tree.Factor) -> None:
        text = factor.text
        if text in self.vocabulary.groups:
            self.found.error(
                "SG205",
                f'"{text}" is a group of columns',
                factor.span,
                "not one column",
                f"write: each {text}; or name one of them: {self.vocabulary.groups[text][0]}",
            )
            return
        hint = nearest(text, [*self.columns, *self.panels])
        panel = next((p for p in self.panels.values() if text in p.genes), None)
        if not hint and panel is not None:
            hint = f"{text} is a gene of the panel: write {panel.name}.{text}"
        self.found.error(
            "SG205",
            f'there is no column or panel called "{text}"',
            factor.span,
            "not declared",
            hint or "declare it in `columns` or as a `panel`",
        )

    def sizes(self, line: tree.MarginalLine, factors: _Factors) -> bool:
        if not factors.columns:
            self.found.error(
                "SG211",
                "a marginal needs at least one column",
                line.span,
                "only a panel",
                f"write, for example: marginal LABEL * {line.factors[0].text} in 4 equal bins",
            )
            return False
        cells = prod(len(self.columns[name].values) for name in factors.columns)
        if factors.panel is not None and factors.gene is None:
            cells *= len(factors.panel.genes)
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

    def raw_cells(self, query: Asked) -> int:
        """Number of cells to which noise is added."""
        labels = prod(len(self.columns[name].values) for name in query.columns)
        if isinstance(query, PairMarginal):
            return labels * len(query.pairs) * query.bins**2
        if isinstance(query, Moments):
            factors = len(query.loadings)
            genes = len(self.panels[query.panel].genes)
            return labels * (factors + 1) + genes + 1 + factors * (factors + 1) // 2
        genes = max(len(query.edges), 1)
        if query.learned is not None:
            genes = len(query.learned.quantiles)
        return labels * query.bins * genes + (2 * genes + 1 if query.learned else 0)

    def append(
        self,
        line: tree.MarginalLine | tree.PairsLine | tree.MomentsLine,
        query: Asked,
        same: tuple[object, ...],
    ) -> None:
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
        before, self.cells = self.cells, self.cells + self.raw_cells(query)
        if before <= MAXIMUM_PLAN_CELLS < self.cells:
            self.found.error(
                "SG311",
                f"up to here, {self.cells:,} cells are measured",
                line.span,
                f"at most {MAXIMUM_PLAN_CELLS:,} in all",
                "use fewer bins, smaller panels, or columns with fewer values",
            )
        if len(self.queries) >= MAXIMUM_QUERIES:
            if len(self.queries) == MAXIMUM_QUERIES:
                self.found.error(
                    "SG208",
                    f"a spec measures at most {MAXIMUM_QUERIES:,} marginals",
                    line.span,
                    "one more than that",
                    "measure fewer: each one takes its part of the budget",
                )
            return
        identifier = query.id
        number = 2
        while identifier in self.taken:
            identifier = f"{query.id} ({number})"
            number += 1
        self.taken.add(identifier)
        named = query.model_copy(update={"id": identifier})
        self.queries.append(named.model_copy(update={"statement": canonical_statement(named)}))
        self.spans[identifier] = line.span


def _marginal(factors: _Factors, importance: Importance) -> Marginal:
    """A marginal without bins, to be completed; its id is what it counts over."""
    names = list(factors.columns)
    if factors.panel is not None:
        panel = factors.panel.name
        names.append(panel if factors.gene is None else f"{panel}.{factors.gene}")
    return Marginal(
        kind="marginal",
        id="*".join(names),
        statement="",
        columns=factors.columns,
        panel=factors.panel.name if factors.panel is not None else None,
        gene=factors.gene,
        bins=1,
        binning="none",
        reference="",
        edges=(),
        learned=None,
        importance=importance,
    )
