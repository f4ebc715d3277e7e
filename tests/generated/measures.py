"""The ``measure`` block of a generated spec."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from math import prod

from hypothesis import strategies as st

from secgen_dsl.ir.program import LINEAR_UNITS
from tests.generated.drafts import Draft, PanelDraft
from tests.generated.layout import Block, Statement
from tests.generated.vocabulary import ROWS, given_bins

MOST_CELLS = 1500
"""Raw cells of a whole spec: a run of it takes milliseconds."""


@dataclass(frozen=True)
class _Query:
    """A statement without its importance.

    Attributes:
        same: what it measures; a second such statement is an error.
        queries: how many marginals it stands for.
        cells: raw cells of all of them.
        learned: its bins are learned.
    """

    words: Statement
    same: tuple[object, ...]
    queries: int
    cells: int
    learned: bool = False

    @property
    def of_people(self) -> bool:
        """Whether it has cells of people, whose error may be asked for."""
        return self.words[0] == "marginal"


def declare_measure(draft: Draft) -> None:
    """``measure { … }``: marginals and pairs, each with what it gets of the budget."""
    queries: list[_Query] = []
    seen: set[object] = set()
    cells = 0
    for number in range(draft.draw(st.integers(1, 5))):
        moments = draft.moments and number == 0
        for query in _moments(draft) if moments else _candidates(draft):
            new = set(_each_same(query))
            if not new & seen and cells + query.cells <= MOST_CELLS:
                queries.append(query)
                seen |= new
                cells += query.cells
    if not queries:
        column = next(iter(draft.values))
        factor = draft.name(column, only_name=False)
        queries.append(_Query(("marginal", factor), ("plain", column), 1, 1))
    importance = _importance(draft, queries)
    lines = [(*query.words, *own) for query, own in zip(queries, importance, strict=True)]
    draft.blocks.append(Block(("measure",), tuple(lines)))
    if any(query.learned for query in queries) and draft.flag():
        _limit_learning(draft)


def _limit_learning(draft: Draft) -> None:
    """``learned bins using at most …`` among the lines of ``privacy``."""
    place = next(k for k, block in enumerate(draft.blocks) if block.head == ("privacy",))
    percent = draft.number(Decimal(draft.pick(("1", "15", "50.5", "99"))))
    line = ("learned", "bins", "using", "at", "most", percent, "%")
    draft.blocks[place] = Block(("privacy",), (*(draft.blocks[place].lines or ()), line))


def _each_same(query: _Query) -> Iterator[object]:
    """What the marginals of a statement measure: a key for each of them."""
    columns, *rest = query.same
    if isinstance(columns, list):
        for own in columns:
            yield (own, *rest)
    else:
        yield query.same


def _candidates(draft: Draft) -> Iterator[_Query]:
    kinds = {"marginal": _marginal, "pairs": _pairs, "moments": _moments}
    kind = (
        draft.pick(("marginal",) * 3 + ("pairs", "pairs", "moments", "moments"))
        if draft.panels
        else "marginal"
    )
    yield from kinds[kind](draft)


def _marginal(draft: Draft) -> Iterator[_Query]:
    names = list(draft.values)
    columns = draft.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    factors = [draft.name(column, only_name=False) for column in columns]
    expanded = [frozenset(columns)]
    if draft.groups and draft.flag():
        group = draft.pick(list(draft.groups))
        own = draft.groups[group]
        columns = [column for column in columns if column not in own]
        factors = [draft.name(column, only_name=False) for column in columns]
        factors.append(f"each {draft.name(group)}")
        expanded = [frozenset({*columns, gene}) for gene in own]
    cells = prod(len(draft.values[column]) for column in expanded[0])
    panel: PanelDraft | None = None
    gene = None
    bins: Statement = ()
    tables, count, kind = 1, 1, ""
    if draft.panels and not draft.rarely():
        panel = draft.draw(st.sampled_from(draft.panels))
        genes = panel.genes
        if draft.rarely():
            gene = draft.pick(panel.genes)
            genes = (gene,)
            if not _resolves(draft, panel, gene):
                return
        name = panel.name if gene is None else f"{panel.name}.{gene}"
        factors.append(draft.name(name, only_name=False))
        count, kind, bins = _bins(draft, panel, genes)
        learnable = panel.unit == panel.site_unit and panel.unit not in LINEAR_UNITS
        if learnable and draft.flag():
            kind, bins = _learned(draft, panel, genes, count)
        tables = len(genes)
    draft.random.shuffle(factors)
    words = ["marginal"]
    for factor in factors:
        words += [*factor.split(" ", 1), "*"] if factor.startswith("each ") else [factor, "*"]
    yield _Query(
        (*words[:-1], *bins),
        (expanded, panel and panel.name, gene, count, kind),
        len(expanded),
        len(expanded) * (cells * tables * count + (2 * tables + 1) * ("learned" in bins)),
        "learned" in bins,
    )


def _learned(
    draft: Draft, panel: PanelDraft, genes: tuple[str, ...], count: int
) -> tuple[str, Statement]:
    """Learned bins on the scale of the range, or of a public table."""
    words: Statement = ("in", draft.number(count), "learned", "bins")
    tables = [
        table for table in draft.tables if table.unit == panel.unit and set(genes) <= table.columns
    ]
    if not tables or draft.flag():
        return "learned", words
    table = draft.draw(st.sampled_from(tables))
    return f"learned from {table.name}", (*words, "from", draft.name(table.name))


def _moments(draft: Draft) -> Iterator[_Query]:
    """Moments with factors from a public table, or from gene sets."""
    sources = {
        (panel, name): factors
        for panel in draft.panels
        # Sums are of logarithms, not of counts that become such.
        if panel.unit == panel.site_unit and panel.unit not in LINEAR_UNITS
        for name, factors in _sources(draft, panel).items()
    }
    if not sources:
        return
    panel, source = draft.draw(st.sampled_from(list(sources)))
    factors = draft.random.choice(sources[panel, source])
    names = list(draft.values)
    columns = draft.draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))
    labels: list[str] = []
    for column in columns:
        labels += [draft.name(column, only_name=False), "*"]
    words = ("moments", draft.name(panel.name), "by", *labels[:-1], "in", str(factors))
    cells = prod(len(draft.values[column]) for column in columns) * (factors + 1)
    yield _Query(
        (*words, "factors", "from", draft.name(source)),
        ("moments", panel.name, source, frozenset(columns)),
        1,
        cells + len(panel.genes) + 1 + factors * (factors + 1) // 2,
    )


def _resolves(draft: Draft, panel: PanelDraft, gene: str) -> bool:
    """Whether ``panel.gene`` names that gene and nothing else."""
    text = f"{panel.name}.{gene}"
    readings = [
        other.name
        for other in draft.panels
        if text.startswith(other.name + ".") and text[len(other.name) + 1 :] in other.genes
    ]
    panels = {other.name for other in draft.panels}
    return readings == [panel.name] and text not in {*draft.values, *draft.groups, *panels}


def _bins(draft: Draft, panel: PanelDraft, genes: tuple[str, ...]) -> tuple[int, str, Statement]:
    """The number of bins of each gene, where they come from, and their words."""
    count = draft.draw(st.integers(2, 4))
    tables = [table for table in draft.tables if table.fits(panel)]
    full = [table for table in tables if set(genes) <= table.columns]
    most = [table for table in tables if 2 * len(set(genes) & table.columns) >= len(genes)]
    for known, otherwise in ((full, ()), (most, ("else", "equal"))):
        if known and draft.flag():
            table = draft.draw(st.sampled_from(known))
            words = ("in", draft.number(count), "bins", "from", draft.name(table.name), *otherwise)
            return count, f"from {table.name}", words
    words = given_bins(draft, panel.low, panel.high, count)
    return count, "equal" if "equal" in words else "at", words


def _pairs(draft: Draft) -> Iterator[_Query]:
    panels = [panel for panel in draft.panels if len(panel.genes) > 1]
    if not panels:
        return
    panel = draft.draw(st.sampled_from(panels))
    labels: tuple[str, ...] = ()
    if draft.flag():
        names = list(draft.values)
        chosen = draft.random.sample(names, draft.random.randint(1, min(len(names), 2)))
        labels = draft.pair_labels = draft.pair_labels or tuple(chosen)
    factors: list[str] = []
    for column in labels:
        factors += [draft.name(column, only_name=False), "*"]
    words: Statement = ("marginal", *factors, "pairs", "of", draft.name(panel.name))
    within = [
        (name, sets)
        for name, sets in draft.sets.items()
        if all(len(set(genes) & set(panel.genes)) > 1 for genes in sets.values())
    ]
    if within and draft.flag():
        name, sets = draft.draw(st.sampled_from(within))
        words = (*words, "within", draft.name(name))
        if draft.flag():
            chosen = draft.random.sample(list(sets), draft.random.randint(1, len(sets)))
            words = (*words, *draft.names(chosen))
    # Whichever genes the pairs leave: the bins of all of them are there.
    count, _, bins = _bins(draft, panel, panel.genes)
    words = (*words, *bins)
    tables = [
        table for table in draft.tables if table.fits(panel) and set(panel.genes) <= table.columns
    ]
    if tables and draft.flag():
        table = draft.draw(st.sampled_from(tables))
        keep = str(draft.random.randint(1, 4))
        words = (*words, "keep", keep, "by", "correlation", "in", draft.name(table.name))
    number = len(panel.genes) * (len(panel.genes) - 1) // 2
    # At most one statement of pairs a panel: two may come to the same pairs.
    cells = prod(len(draft.values[column]) for column in labels) * number * count**2
    yield _Query(words, ("pairs", panel.name), 1, cells)


def _sources(draft: Draft, panel: PanelDraft) -> dict[str, range]:
    """Public tables and gene sets that factors of a panel may come from, and how many factors."""
    sources: dict[str, range] = {}
    most = min(len(panel.genes), ROWS) - 1
    for table in draft.tables:
        if table.unit == panel.unit and set(panel.genes) <= table.columns and most:
            sources[table.name] = range(1, min(most, 4) + 1)
    for name, sets in draft.sets.items():
        sources.pop(name, None)  # such a name means the sets
        useful = sum(len(set(genes) & set(panel.genes)) > 1 for genes in sets.values())
        if useful:
            sources[name] = range(useful, useful + 1)
    return sources


def _importance(draft: Draft, queries: list[_Query]) -> list[Statement]:
    """Weights, shares that leave something or are the whole, accuracies that are easily kept."""
    kind = draft.pick(("weights", "weights", "some shares", "all shares"))
    percents = [0] * len(queries)
    if kind == "all shares":
        cuts = sorted(draft.random.sample(range(1, 100), len(queries) - 1))
        percents = [b - a for a, b in zip([0, *cuts], [*cuts, 100], strict=True)]
    elif kind == "some shares" and len(queries) > 1:
        shared = draft.random.sample(range(len(queries)), draft.random.randint(1, len(queries) - 1))
        for position in shared:
            percents[position] = draft.random.randint(1, 90 // len(shared))
    statements = []
    for percent, query in zip(percents, queries, strict=True):
        clauses: list[Statement] = []
        if percent:
            clauses.append(("share", draft.number(percent), "%"))
        elif draft.flag():
            weight = draft.pick(("2", "10", "0.5", "0.01", "1", "1000000", "0.000001"))
            clauses.append(("weight", draft.number(Decimal(weight))))
        if query.of_people and draft.rarely():
            clauses.append(_error(draft))
        draft.random.shuffle(clauses)
        statements.append(tuple(word for clause in clauses for word in clause))
    return statements


def _error(draft: Draft) -> Statement:
    wide = draft.random.random() < 0.9
    if draft.people is not None and draft.flag():
        percent = 1_000_000_000 if wide else 40
        return ("error", draft.number(percent), "%")
    return ("error", draft.number(1_000_000 if wide else 40), "people")
