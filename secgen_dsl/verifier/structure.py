"""What a plan's program must satisfy before any figure of it means anything.

Written against the IR alone: the planner and the semantics have their own code for the same rules.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from itertools import pairwise
from math import prod

from secgen_dsl.ir.plan import MERSENNE_61, Plan
from secgen_dsl.ir.program import (
    AUDIENCES,
    UNITS,
    Audience,
    CategoryColumn,
    NumberColumn,
    Panel,
    Program,
)
from secgen_dsl.ir.queries import (
    Asked,
    ErrorTarget,
    Importance,
    Marginal,
    Moments,
    PairMarginal,
    SecondMoment,
    Table,
    VectorSum,
)
from secgen_dsl.ir.statement import canonical_statement
from secgen_dsl.verifier.vectors import added_faults, learned_faults, moments_faults

MOST_RAW_CELLS = 10**8
"""In a plan: some 800 MB of counts at every party; ten thousand times the studies so far."""

_MOST_PARTIES = 1000
_GREATEST_EDGE = 10**9
_GREATEST_LOG_CPM = 64
_MOST_SAMPLES = 1000
_MOST_FITTED_PAIRS = 50_000
_MOST_CORRELATIONS = 10**6
_PLAIN = Importance(weight=Fraction(1), share=None, error=None)
_PARTY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def structure_faults(plan: Plan) -> Iterator[str]:
    """Every fault of the program and the parties, in words; nothing if there is none."""
    program = plan.program
    yield from _texts(program.model_dump(mode="python"), "program")
    yield from _parties(plan)
    yield from _promise(program)
    yield from _vocabulary(program)
    known = [*program.queries, *plan.added]
    yield from _repeats("query", (query.id for query in known))
    for query in known:
        if not isinstance(query, VectorSum | SecondMoment):
            yield from _query(program, query)
    for added in plan.added:
        if isinstance(added, PairMarginal) or (
            isinstance(added, Marginal) and (added.panel is not None or added.importance != _PLAIN)
        ):
            yield f'the added query "{added.id}" is not a label histogram'
    yield from _pairs_together(program)
    yield from added_faults(plan)
    stated = [q.importance.share for q in program.queries if q.importance.share is not None]
    if sum(stated) > 1 or (len(stated) < len(program.queries) and sum(stated) >= 1):
        yield "the shares leave nothing for the other queries"
    if program.queries and len(stated) == len(program.queries) and sum(stated) != 1:
        yield "every query has a share, but they are not the whole"


def _texts(value: object, place: str) -> Iterator[str]:
    """Texts reach terminals and documents: all of them can be printed, and none is blank alone."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _texts(part, f"{place}.{name}")
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _texts(part, place)
    elif isinstance(value, str) and (not value.isprintable() or value != value.strip()):
        yield f"a text of {place} cannot be printed as it is"


def _repeats(what: str, names: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield f'the {what} "{name}" comes twice'
        if not name or not name.isprintable():
            yield f"a {what} has no printable name"
        seen.add(name)


def _parties(plan: Plan) -> Iterator[str]:
    program = plan.program
    parties = tuple(silo.name for silo in program.silos) + program.helpers
    if plan.parties != parties:
        yield "the parties are not the silos followed by the helpers"
    yield from _repeats("party", plan.parties)
    for name in plan.parties:
        if not _PARTY_NAME.fullmatch(name):
            yield f'"{name}" is not a name for a party'
    if not program.silos:
        yield "there is no silo"
    m, t = len(plan.parties), plan.threshold
    if m > _MOST_PARTIES:
        yield f"there are more than {_MOST_PARTIES:,} parties"
    if t != program.tolerated:
        yield f"the threshold is {t}, the spec tolerates {program.tolerated} colluding parties"
    if t < 1 or 2 * t >= m:
        yield f"the threshold t does not satisfy 1 ≤ t < m/2, with m = {m}; it is {t}"
    if plan.modulus != MERSENNE_61:
        yield "the shares' field is not the one of 2⁶¹ − 1"


def _promise(program: Program) -> Iterator[str]:
    epsilon, delta = program.privacy.epsilon, program.privacy.delta
    if not Fraction(1, 1000) <= epsilon <= 50:
        yield "epsilon lies outside 0.001..50"
    if delta == 0:
        if program.privacy.mechanism != "laplace":
            yield "delta 0 cannot be kept with Gaussian noise"
    elif not Fraction(1, 10**12) <= delta <= Fraction(1, 1000):
        yield "delta lies outside 1e-12..0.001"
    person = program.person
    if not 1 <= person.samples <= _MOST_SAMPLES or not 1 <= person.silos <= _MOST_SAMPLES:
        yield f"the samples and silos of a person lie outside 1..{_MOST_SAMPLES:,}"
    categories = {c.name for c in program.columns if isinstance(c, CategoryColumn)}
    if person.per is not None and person.per not in categories:
        yield "the cap on samples holds per column, but the column is no category"
    names = {column.name for column in program.columns}
    if person.key in names or (person.keep is not None and person.keep in names):
        yield "the key that tells the people apart, or the date, is one of the labels"
    if person.keep is not None and (
        not person.keep or not person.keep.isprintable() or person.keep == person.key
    ):
        yield "the date that decides which samples are kept has no name of its own"
    if not person.key or not person.key.isprintable():
        yield "no column with a printable name tells the people apart"
    if person.people_bound is not None:
        if not 1 <= person.people_bound <= 2**32:
            yield "the bound on people lies outside 1..2³²"
        if delta * person.people_bound > 1:
            yield "delta is greater than one in the bound on people"
    if program.privacy.adjacency == "replace-one" and person.people_bound is None:
        yield "one person is replaced of an unknown number"
    releases = [program.measurements] + ([program.samples.audience] if program.samples else [])
    for audience in releases:
        yield from _audience(program, audience)
    for silo in program.silos:
        terms = silo.terms
        if (terms.kind == "open") != (terms.reference == "") or (
            terms.kind == "open" and terms.approval
        ):
            yield f'the terms of "{silo.name}" do not go with their reference'
    if program.samples is not None and not 1 <= program.samples.rows <= 1_000_000:
        yield "the number of samples lies outside 1..1,000,000"
    if program.samples is not None and not program.samples.formats:
        yield "the samples have no format"


def _audience(program: Program, audience: Audience) -> Iterator[str]:
    if (audience.kind == "named") != bool(audience.name) or not audience.name.isprintable():
        yield "an audience does not go with its name"
    for silo in program.silos:
        terms = silo.terms
        widest = "silos"
        if terms.kind == "open" or terms.approval:
            widest = "public"
        elif terms.kind == "consent":
            widest = "registered"
        order: tuple[str, ...] = AUDIENCES
        if order.index(audience.kind) > order.index(widest):
            yield f'the terms of "{silo.name}" do not allow a release to {audience.kind}'


def _vocabulary(program: Program) -> Iterator[str]:
    yield from _repeats("column", (column.name for column in program.columns))
    yield from _repeats("panel", (panel.name for panel in program.panels))
    names = [r.name for r in program.references] + [b.name for b in program.bridges]
    yield from _repeats("public table", names)
    yield from _repeats("file of gene sets", (sets.name for sets in program.sets))
    for column in program.columns:
        if isinstance(column, NumberColumn):
            yield from _number(program, column)
        else:
            yield from _category(column)
    for panel in program.panels:
        yield from _panel(panel)
    categories = {c.name for c in program.columns if not isinstance(c, NumberColumn)}
    for reference in program.references:
        if not _SHA256.fullmatch(reference.sha256):
            yield f'the public table "{reference.name}" has no SHA-256'
        if reference.unit not in UNITS:
            yield f'the public table "{reference.name}" has no unit that is known'
        bridges = [b for b in program.bridges if b.name == reference.aligned_by]
        if reference.aligned_by and (not bridges or reference.unit not in bridges[0].units):
            yield f'the public table "{reference.name}" is aligned by no table in its unit'
        yield from _repeats("label of a public table", reference.labelled_by)
        if not set(reference.labelled_by) <= categories:
            yield f'the public table "{reference.name}" is labelled by what is no category column'
    for bridge in program.bridges:
        if bridge.units[0] == bridge.units[1] or not set(bridge.units) <= set(UNITS):
            yield f'the public table "{bridge.name}" is not in two units'
        if not all(_SHA256.fullmatch(digest) for digest in bridge.sha256):
            yield f'the public table "{bridge.name}" has no SHA-256'
    for sets in program.sets:
        if not _SHA256.fullmatch(sets.sha256):
            yield f'the gene sets "{sets.name}" have no SHA-256'
    yield from _expectations(program)


def _expectations(program: Program) -> Iterator[str]:
    totals: dict[str, Fraction] = {}
    yield from _repeats("expectation", (f"{e.column} {e.value}" for e in program.expectations))
    for expectation in program.expectations:
        totals[expectation.column] = totals.get(expectation.column, Fraction(0)) + expectation.share
        if totals[expectation.column] > 1:
            yield f'more than everybody is expected of "{expectation.column}"'
        listed = [c for c in program.columns if c.name == expectation.column]
        if not listed or expectation.value not in listed[0].values:
            yield f'an expectation names "{expectation.value}", which is no value'
        if not 0 < expectation.share < 1:
            yield "an expectation lies outside 0..100%"


def _category(column: CategoryColumn) -> Iterator[str]:
    yield from _repeats(f'value of "{column.name}"', column.values)
    if len({_compared(value) for value in column.values}) < len(column.values):
        yield f'two values of "{column.name}" are the same to a reader of data, as 0 and 0.0'
    if len(column.values) < 2:
        yield f'the column "{column.name}" has fewer than two values'
    if column.otherwise is not None and column.otherwise not in column.values:
        yield f'"{column.otherwise}" is not a value of "{column.name}"'


def _number(program: Program, column: NumberColumn) -> Iterator[str]:
    name = column.name
    if not -_GREATEST_EDGE <= column.low < column.high <= _GREATEST_EDGE:
        yield f'the column "{name}" has an empty range, or one beyond ±10⁹'
        return
    edges = column.edges
    if not edges or _uncut(edges, column.low, column.high):
        yield f'the edges of "{name}" do not cut its range into bins'
        return
    step = (column.high - column.low) / (len(edges) + 1)
    equal = tuple(column.low + k * step for k in range(1, len(edges) + 1))
    if column.binning == "equal" and edges != equal:
        yield f'the bins of "{name}" are not equal'
    if (column.binning == "reference") != bool(column.reference):
        yield f'the bins of "{name}" do not go with a public table'
    elif column.reference and column.reference not in {r.name for r in program.references}:
        yield f'the bins of "{name}" come from a table that is not declared'


def _uncut(edges: tuple[Fraction, ...], low: Fraction, high: Fraction) -> bool:
    falling = any(a > b for a, b in pairwise(edges))
    return falling or any(not low <= edge <= high for edge in edges)


def _panel(panel: Panel) -> Iterator[str]:
    yield from _repeats(f'gene of "{panel.name}"', panel.genes)
    if not -_GREATEST_EDGE <= panel.low < panel.high <= _GREATEST_EDGE:
        yield f'the panel "{panel.name}" has an empty range, or one beyond ±10⁹'
    if not panel.genes:
        yield f'the panel "{panel.name}" has no genes'
    if panel.list_sha256 and not _SHA256.fullmatch(panel.list_sha256):
        yield f'the list of the panel "{panel.name}" has no SHA-256'
    if panel.unit not in UNITS or (panel.counts is not None and panel.unit != "log2_cpm"):
        yield f'the panel "{panel.name}" has no unit that is known'
    if panel.counts is not None and panel.high > _GREATEST_LOG_CPM:
        yield f'the panel "{panel.name}" reaches beyond any count'
    column = panel.counts.library_column if panel.counts is not None else None
    if column is not None and (not column or not column.isprintable()):
        yield f'the library sizes of "{panel.name}" have no printable name'
    if panel.missing is not None and abs(panel.missing) > _GREATEST_EDGE:
        yield f'a missing value of "{panel.name}" stands beyond ±10⁹'


def _compared(value: str) -> str | Decimal:
    """What the encoders compare a label by (LANGUAGE rule 6), written a second time."""
    text = value.strip()
    if re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        with suppress(InvalidOperation):
            return Decimal(text)
    return text


def _query(program: Program, query: Asked) -> Iterator[str]:
    name = query.id
    yield from _importance(program, name, query.importance)
    if isinstance(query, Moments):
        yield from moments_faults(program, query)
        return
    if any(abs(edge) > _GREATEST_EDGE for edges in query.edges for edge in edges):
        yield f'"{name}" has an edge beyond ±10⁹'
        return
    if isinstance(query, PairMarginal):
        yield from _pairs(program, query)
        return
    columns = {column.name for column in program.columns}
    if not query.columns or len(set(query.columns)) != len(query.columns):
        yield f'"{name}" does not have distinct columns'
    if not set(query.columns) <= columns:
        yield f'"{name}" uses a column that is not declared'
        return
    if query.statement != canonical_statement(query):
        yield f'the statement of "{name}" does not say what is measured'
    if query.panel is None:
        if (
            query.gene, query.bins, query.binning, query.reference, query.edges, query.learned,
        ) != (None, 1, "none", "", (), None):  # fmt: skip
            yield f'"{name}" has bins but no panel'
        return
    panel = next((p for p in program.panels if p.name == query.panel), None)
    if panel is None:
        yield f'"{name}" uses a panel that is not declared'
        return
    if query.gene is not None and query.gene not in panel.genes:
        yield f'"{name}" uses a gene that is not in its panel'
        return
    if query.binning == "learned":
        yield from learned_faults(program, query, panel)
        return
    if query.learned is not None:
        yield f'"{name}" learns bins that it has'
    yield from _edges(program, query, panel)


def _importance(program: Program, name: str, importance: Importance) -> Iterator[str]:
    if not Fraction(1, 10**6) <= importance.weight <= 10**6:
        yield f'"{name}" has a weight outside 0.000001..1,000,000'
    if importance.share is not None and not 0 < importance.share <= 1:
        yield f'"{name}" has a share outside 0..100%'
    target: ErrorTarget | None = importance.error
    if target is not None:
        if not 0 < target.value <= _GREATEST_EDGE:
            yield f'"{name}" asks for no accuracy that can be reached'
        if target.unit == "percent" and program.person.people_bound is None:
            yield f'"{name}" asks for a percentage of an unknown number of people'


def _pairs(program: Program, query: PairMarginal) -> Iterator[str]:
    name = query.id
    panel = next((p for p in program.panels if p.name == query.panel), None)
    if panel is None:
        yield f'"{name}" uses a panel that is not declared'
        return
    known = {column.name for column in program.columns}
    if len(set(query.columns)) != len(query.columns) or not set(query.columns) <= known:
        yield f'"{name}" does not have distinct columns that are declared'
        return
    places = {gene: place for place, gene in enumerate(panel.genes)}
    order = [places.get(gene, -1) for gene in query.genes]
    if not order or order[0] < 0 or any(a >= b for a, b in pairwise(order)):
        yield f'the genes of "{name}" are not distinct genes of its panel, in its order'
    size = len(query.genes)
    if any(not 0 <= i < j < size for i, j in query.pairs):
        yield f'"{name}" has a pair that is not of two of its genes'
    if not query.pairs or any(a >= b for a, b in pairwise(query.pairs)):
        yield f'"{name}" does not list distinct pairs in order'
    if (query.keep is None) != (query.keep_by == ""):
        yield f'"{name}" does not say which pairs are kept'
    if query.keep is not None and len(query.pairs) > query.keep:
        yield f'"{name}" keeps more pairs than it says'
    if query.keep_by and query.keep_by not in {r.name for r in program.references}:
        yield f'the pairs of "{name}" come from a table that is not declared'
    if query.sets and query.sets not in {s.name for s in program.sets}:
        yield f'the pairs of "{name}" come from sets that are not declared'
    if query.set_names and not query.sets:
        yield f'"{name}" names sets of no file'
    if query.statement != canonical_statement(query):
        yield f'the statement of "{name}" does not say what is measured'
    yield from _edges(program, query, panel)


def _pairs_together(program: Program) -> Iterator[str]:
    """Synthetic rows have one matrix of correlations for each cell of one set of labels."""
    pairs = [query for query in program.queries if isinstance(query, PairMarginal)]
    sets = {frozenset(query.columns) for query in pairs if query.columns}
    if len(sets) > 1:
        yield "pairs are counted by more than one set of labels"
    sizes = {column.name: len(column.values) for column in program.columns}
    for names in sets:
        cells = prod(sizes.get(name, 1) for name in names)
        genes = {(query.panel, gene) for query in pairs for gene in query.genes}
        number = sum(len(query.pairs) for query in pairs)
        if cells > 1 and (
            number * cells > _MOST_FITTED_PAIRS or len(genes) ** 2 * cells > _MOST_CORRELATIONS
        ):
            yield f"pairs have too many correlations to fit in {cells:,} label cells"


def _edges(program: Program, query: Table, panel: Panel) -> Iterator[str]:
    name = query.id
    if query.bins < 2 or query.binning in ("none", "learned"):
        yield f'"{name}" has a panel but no bins'
        return
    if len(query.edges) != len(program.genes(query)):
        yield f'"{name}" does not have edges for each gene'
    for edges in query.edges:
        if len(edges) != query.bins - 1 or _uncut(edges, panel.low, panel.high):
            yield f'the edges of "{name}" do not cut its range into {query.bins} bins'
            break
    yield from _provenance(program, query, panel)


def _provenance(program: Program, query: Table, panel: Panel) -> Iterator[str]:
    """Edges come from the spec or from a pinned public table, never from silos' data."""
    name = query.id
    if query.binning in ("reference", "reference-else-equal"):
        reference = next((r for r in program.references if r.name == query.reference), None)
        if reference is None:
            yield f'the bins of "{name}" come from a table that is not declared'
        elif reference.aligned_by and not any(
            bridge.name == reference.aligned_by for bridge in program.bridges
        ):
            yield f'the bins of "{name}" come from a table that nothing aligns'
        elif program.reference_unit(reference) != panel.unit:
            yield f'the bins of "{name}" come from a table in another unit'
        return
    if query.reference:
        yield f'"{name}" names a public table that it does not use'
    if len(set(query.edges)) > 1:
        yield f'the edges of "{name}" differ from gene to gene without a public table'
    step = (panel.high - panel.low) / query.bins
    equal = tuple(panel.low + k * step for k in range(1, query.bins))
    if query.binning == "equal" and any(edges != equal for edges in query.edges):
        yield f'the bins of "{name}" are not equal'
