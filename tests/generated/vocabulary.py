"""Columns, panels, public tables and gene sets of a generated spec."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from hypothesis import strategies as st

from secgen_dsl.ir.program import LINEAR_UNITS, UNITS
from tests.generated.drafts import Draft, PanelDraft, TableDraft, table_bytes
from tests.generated.layout import Block, Statement
from tests.generated.words import NAMES, TEXTS, compared, quoted, unused

RANGES = (("0", "20"), ("0", "16"), ("-5", "5.5"), ("2.25", "2.75"), ("0", "1000"), ("-3", "0.1"))
ROWS = 14
"""Samples of every public table: ten values are left of a gene, the least that moments take."""


def declare_columns(draft: Draft) -> None:
    """``columns { … }``, and the public tables of the bins of number columns."""
    lines: list[Statement] = []
    for _ in range(draft.draw(st.integers(1, 4))):
        taken = {*draft.values, *draft.groups}
        name = unused(draft.draw, _like(draft), taken)
        match draft.pick(("category", "category", "category", "mutation", "number")):
            case "category":
                lines.append(_category(draft, name))
            case "mutation":
                genes = _distinct(draft, {*taken, name}, 1, 3)
                for gene in genes:
                    draft.values[gene] = ("yes", "no", "untested")
                    draft.categories.append(gene)
                draft.groups[name] = genes
                lines.append((draft.name(name), "mutation", *draft.names(genes)))
            case _:
                lines.append(_number(draft, name))
    draft.blocks.append(Block(("columns",), tuple(lines)))


def _like(draft: Draft) -> st.SearchStrategy[str]:
    """Names of any kind; now and then one that looks like an id made of other names."""
    known = list(draft.values)
    if not known or not draft.rarely():
        return NAMES
    ids = ["*".join(known[:2]), f"{known[0]} (labels)", f"{known[0]} (2)", f"pairs of {known[0]}"]
    return st.sampled_from([*ids, f"{'*'.join(known[:2])} (labels)"])


def _distinct(draft: Draft, taken: set[str], least: int, most: int) -> tuple[str, ...]:
    names: list[str] = []
    for _ in range(draft.draw(st.integers(least, most))):
        names.append(unused(draft.draw, NAMES, [*taken, *names]))
    return tuple(names)


def _category(draft: Draft, name: str) -> Statement:
    values: list[str] = []
    for _ in range(draft.draw(st.integers(2, 4))):
        values.append(unused(draft.draw, NAMES, values, compared))
    draft.values[name] = tuple(values)
    draft.categories.append(name)
    line = (draft.name(name), "category", *draft.names(values))
    return (*line, "else", draft.name(draft.pick(values))) if draft.flag() else line


def _number(draft: Draft, name: str) -> Statement:
    low, high = map(Decimal, draft.pick(RANGES))
    bins = draft.draw(st.integers(2, 4))
    tokens = given_bins(draft, low, high, bins)
    if draft.rarely():
        table = _table(draft, "log2", low, high, {name: _values(draft, low, high)})
        tokens = ("in", draft.number(bins), "bins", "from", draft.name(table.name))
    draft.values[name] = tuple(map(str, range(bins)))
    range_ = (draft.number(low), "..", draft.number(high))
    return (draft.name(name), "number", *range_, *tokens)


def given_bins(draft: Draft, low: Decimal, high: Decimal, bins: int) -> Statement:
    """Equal bins, or edges in the spec."""
    if draft.flag():
        return ("in", draft.number(bins), "equal", "bins")
    steps = sorted(draft.random.sample(range(1, 1000), bins - 1))
    edges: list[str] = []
    for step in steps:
        edges += [",", draft.number(low + (high - low) * step / 1000)]
    return ("in", "bins", "at", *edges[1:])


def declare_panels(draft: Draft) -> None:
    """``panel …`` lines, each gene of one unit throughout."""
    units: dict[str, tuple[str, bool]] = {}
    for _ in range(draft.draw(st.sampled_from((draft.moments, 1, 1, 1, 2, 2)))):
        taken = {*draft.values, *draft.groups, *(panel.name for panel in draft.panels)}
        name = unused(draft.draw, NAMES, taken)
        converted = not draft.moments and (draft.rarely() or draft.rarely())
        units_of = [unit for unit in UNITS if unit not in LINEAR_UNITS or not draft.moments]
        unit = "counts" if converted else draft.pick(units_of)
        known = [gene for gene, of in units.items() if of == (unit, converted)]
        genes = list(_distinct(draft, set(units), 1, 3))
        if draft.flag():  # many genes share a label histogram: their tables are centred
            genes += [f"GENE{len(units) + k}" for k in range(draft.draw(st.integers(2, 9)))]
        if known and draft.flag():
            genes.append(draft.pick(known))
        units |= dict.fromkeys(genes, (unit, converted))
        low, high = map(Decimal, draft.pick(RANGES[:4] if converted else RANGES))
        panel = PanelDraft(name, "log2_cpm" if converted else unit, unit, low, high, tuple(genes))
        draft.panels.append(panel)
        draft.blocks.append(Block(_panel_line(draft, panel, converted=converted)))


def _panel_line(draft: Draft, panel: PanelDraft, *, converted: bool) -> Statement:
    line: Statement = ("panel", draft.name(panel.name), "expression", panel.site_unit)
    clauses: list[Statement] = []
    if converted:
        line = (*line, "as", draft.random.choice(("log2(cpm + 1)", "log2 ( cpm+1 )")))
        library: Statement = ("all", "genes")
        if draft.flag():
            library = ("column", draft.name(draft.draw(NAMES)))
        elif draft.flag():
            library = (*library, "in", "the", "file")
        clauses.append(("library", "size", "from", *library))
    if draft.flag():
        clauses.append(("missing", "is", draft.number(draft.random.choice((0, -7, 3, 25)))))
    draft.random.shuffle(clauses)
    before = draft.random.randint(0, len(clauses))
    genes: Statement = draft.names(panel.genes)
    listed = all(not set(gene) & set(" ,#\"\t'") for gene in panel.genes)
    if listed and draft.rarely():
        text = draft.random.choice(("\n", ", ", "\t", " # a gene\n")).join(panel.genes)
        genes = ("from", draft.file("genes", ".txt", f"# a list\n{text}\n\n".encode()))
    words = [token for clause in clauses[:before] for token in clause]
    after = [token for clause in clauses[before:] for token in clause]
    range_ = (draft.number(panel.low), "..", draft.number(panel.high))
    return (*line, *range_, *words, *genes, *after)


def _values(draft: Draft, low: Decimal, high: Decimal) -> list[Decimal]:
    """Evenly spaced over most of a range, in any order: their quantiles lie inside it."""
    width = high - low
    values = [low + width * (1 + 8 * Decimal(k) / (ROWS - 1)) / 10 for k in range(ROWS)]
    draft.random.shuffle(values)
    return values


def _cells(draft: Draft, values: list[Decimal], *, whole: bool) -> list[str]:
    """The texts of a column of a public table; some are missing unless it has to be whole."""
    texts = [f"{round(value, 5):f}" for value in values]
    if whole:
        return texts
    if draft.random.random() < 0.1:
        return texts[:1] * ROWS  # it never varies
    if draft.random.random() < 0.3:
        for place in draft.random.sample(range(ROWS), draft.random.randint(1, 4)):
            texts[place] = draft.random.choice(("", "NA", "nan", " null "))
    return texts


def _labels(draft: Draft, values: Sequence[str]) -> list[str]:
    """The texts of a label column of a public table; most people have one of the values."""
    some = draft.random.choices((*values, "", "NA", "none of them"), k=ROWS - 1)
    return [draft.random.choice(values), *some]


def _public_name(draft: Draft) -> str:
    name = unused(draft.draw, NAMES, draft.public_names)
    draft.public_names.add(name)
    return name


def _provenance(draft: Draft) -> Statement:
    return (quoted(draft.draw(TEXTS)),) if draft.flag() else ()


def _table(
    draft: Draft, unit: str, low: Decimal, high: Decimal, columns: dict[str, list[Decimal]]
) -> TableDraft:
    """A public table in one unit."""
    name = _public_name(draft)
    cells = {column: _cells(draft, values, whole=False) for column, values in columns.items()}
    labels = [column for column in draft.categories if column not in columns]
    labels = draft.random.sample(labels, min(len(labels), 2)) if draft.rarely() else []
    cells |= {column: _labels(draft, draft.values[column]) for column in labels}
    file = draft.file("table", ".csv", table_bytes(draft.random, cells))
    clause = [token for column in labels for token in (",", draft.name(column))]
    clause = ["labelled", "by", *clause[1:]] if labels else []
    line = ("public", draft.name(name), "from", file, unit, *clause, *_provenance(draft))
    draft.blocks.append(Block(line))
    draft.tables.append(TableDraft(name, unit, low, high, frozenset(columns), frozenset(labels)))
    return draft.tables[-1]


def declare_references(draft: Draft) -> None:
    """Public tables of the panels' genes, some by way of a bridge from another unit."""
    for panel in draft.panels:
        if not draft.moments and draft.flag():
            continue
        genes = list(panel.genes)
        if len(genes) > 1 and not draft.moments and draft.rarely():
            genes.pop()  # the queries say `else equal`
        inside = {gene: _values(draft, panel.low, panel.high) for gene in genes}
        if draft.rarely():
            _aligned(draft, panel, inside)
        else:
            _table(draft, panel.unit, panel.low, panel.high, inside)


def _aligned(draft: Draft, panel: PanelDraft, inside: dict[str, list[Decimal]]) -> None:
    """A table in another unit, and a bridge between the two."""
    other = draft.pick([unit for unit in UNITS if unit != panel.unit])
    spread = {gene: _values(draft, Decimal(100), Decimal(900)) for gene in inside}
    bridge = _public_name(draft)
    sides = []
    for unit, columns in ((other, spread), (panel.unit, inside)):
        cells = {gene: _cells(draft, values, whole=True) for gene, values in columns.items()}
        data = table_bytes(draft.random, cells)
        sides.append((draft.file(f"bridge {unit}", ".csv", data), unit))
    draft.random.shuffle(sides)
    line = ("public", draft.name(bridge), "from", *sides[0], "and", *sides[1])
    draft.blocks.append(Block((*line, *_provenance(draft))))
    table = _table(draft, other, panel.low, panel.high, spread)
    declared = draft.blocks.pop()
    draft.blocks.append(Block((*declared.head, "aligned", "by", draft.name(bridge))))
    draft.tables[-1] = replace(table, unit=panel.unit)


def declare_sets(draft: Draft) -> None:
    """Files of gene sets for the pairs of genes."""
    for panel in draft.panels:
        if len(panel.genes) < 2 or not draft.flag():
            continue
        name = unused(draft.draw, NAMES, draft.sets)
        sets: dict[str, tuple[str, ...]] = {}
        for _ in range(draft.draw(st.integers(1, 3))):
            own = draft.random.sample(panel.genes, draft.random.randint(2, len(panel.genes)))
            foreign = ["FOREIGN1", "FOREIGN2"][: draft.random.randint(0, 2)]
            sets[unused(draft.draw, NAMES, sets)] = (*own, *foreign)
        lines = ["\t".join([set_name, "source", *genes]) for set_name, genes in sets.items()]
        file = draft.file("sets", ".gmt", ("\n".join(lines) + "\n\n").encode())
        line = ("sets", draft.name(name), "from", file, *_provenance(draft))
        draft.blocks.append(Block(line))
        draft.sets[name] = sets
