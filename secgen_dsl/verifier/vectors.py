"""What moments and learned bins must be for their sums of vectors to be what is certified.

Written against the IR alone, as ``structure`` is.
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

from secgen_dsl.ir.plan import GaussianNoise, Plan, Round
from secgen_dsl.ir.program import Panel, Program
from secgen_dsl.ir.queries import Marginal, Moments, SecondMoment, Standard, VectorSum
from secgen_dsl.ir.statement import canonical_statement

_MOST_FACTORS = 64
_ONE_LOADING = 2**14
_DENOMINATOR = 1024
_GREATEST = 10**9
_LEAST_SCALE = Fraction(1, 64)

_VALUES_A_SECOND = 2_000_000
_DRAWS_A_SECOND = 20_000
_PEOPLE_IF_UNKNOWN = 10_000
_LONGEST_WORK = 3600
_LONGEST_DELAY = 4000


def moments_faults(program: Program, query: Moments) -> Iterator[str]:
    """Faults of a `moments` statement."""
    name = query.id
    known = {column.name for column in program.columns}
    if not query.columns or len(set(query.columns)) != len(query.columns):
        yield f'"{name}" does not have distinct labels'
    if not set(query.columns) <= known:
        yield f'"{name}" uses a column that is not declared'
        return
    panel = next((p for p in program.panels if p.name == query.panel), None)
    if panel is None:
        yield f'"{name}" uses a panel that is not declared'
        return
    if panel.counts is not None:
        yield f'"{name}" sums counts'
    scales = {reference.name for reference in program.references} & {query.source}
    scales |= {"" for sets in program.sets if sets.name == query.source}
    if not scales:
        yield f'the factors of "{name}" come from a table that is not declared'
    elif query.standard.reference not in scales:
        yield f'the scale of "{name}" is not that of its public table'
    yield from _standard(program, name, query.standard, panel, len(panel.genes))
    factors = len(query.loadings)
    if not 1 <= factors <= _MOST_FACTORS or not factors == len(query.divisors) == len(
        query.variances
    ):
        yield f'"{name}" does not have 1 to {_MOST_FACTORS} factors, each with its scale'
        return
    for row in query.loadings:
        if len(row) != len(panel.genes) or sum(v * v for v in row) > (2 * _ONE_LOADING) ** 2:
            yield f'the loadings of "{name}" are not of norm 1 over its genes'
            break
    sizes = (*query.divisors, *query.variances)
    if not all(0 < v <= _GREATEST and _DENOMINATOR % v.denominator == 0 for v in sizes):
        yield f'a factor of "{name}" has no scale'
    if query.importance.error is not None:
        yield f'"{name}" asks for an accuracy, but has no cells of people'
    if query.statement != canonical_statement(query):
        yield f'the statement of "{name}" does not say what is measured'


def learned_faults(program: Program, query: Marginal, panel: Panel) -> Iterator[str]:
    """Faults of a query whose bins are learned."""
    name, learned = query.id, query.learned
    if learned is None or query.edges or query.bins < 2:
        yield f'the bins of "{name}" are not learned as they should be'
        return
    if panel.counts is not None:
        yield f'"{name}" sums counts'
    genes = len(program.genes(query))
    yield from _standard(program, name, learned.standard, panel, genes)
    if query.reference != learned.standard.reference:
        yield f'the scale of "{name}" is not that of its public table'
    if not 0 < learned.part < 1:
        yield f'learning the bins of "{name}" takes no part of its budget'
    if len(learned.quantiles) != genes:
        yield f'"{name}" does not have quantiles for each gene'
    for own in learned.quantiles:
        rising = all(a <= b for a, b in pairwise(own))
        small = all(abs(q) <= _GREATEST and _DENOMINATOR % q.denominator == 0 for q in own)
        if len(own) != query.bins - 1 or not rising or not small:
            yield f'the quantiles of "{name}" do not cut {query.bins} bins'
            break


def added_faults(plan: Plan) -> Iterator[str]:
    """Faults of the vectors that the planner added, and of their rounds."""
    program = plan.program
    served: dict[tuple[str, str], VectorSum | SecondMoment] = {}
    for query in plan.added:
        if not isinstance(query, VectorSum | SecondMoment):
            continue
        content: str = query.content if isinstance(query, VectorSum) else "second moment"
        if (query.serves, content) in served:
            yield f'"{query.serves}" is summed twice'
        served[query.serves, content] = query
        if not 1 <= query.clip <= 2**31:
            yield f'"{query.id}" has no clip that can be summed'
        if query.statement != canonical_statement(query):
            yield f'the statement of "{query.id}" does not say what is measured'
    wanted: dict[tuple[str, str], tuple[tuple[str, ...], int]] = {}
    panels = {panel.name for panel in program.panels}
    for asked in program.queries:
        if asked.panel not in panels:
            continue  # a table without genes, or reported
        genes = len(program.genes(asked))
        if isinstance(asked, Moments):
            factors = len(asked.loadings)
            wanted[asked.id, "means"] = ((), genes + 1)
            wanted[asked.id, "scores"] = (asked.columns, factors)
            wanted[asked.id, "second moment"] = ((), factors)
            if asked.learns_scale:
                wanted[asked.id, "centres"] = ((), genes + 1)
            if not _has_histogram(plan, asked):
                yield f'"{asked.id}" has no histogram of its labels'
        elif isinstance(asked, Marginal) and asked.learned is not None:
            wanted[asked.id, "means"] = ((), genes + 1)
            wanted[asked.id, "squares"] = ((), genes)
    shapes = {
        key: (() if isinstance(q, SecondMoment) else q.columns, q.coordinates)
        for key, q in served.items()
    }
    if shapes != wanted:
        yield "the sums of vectors are not those that moments and learned bins need"
        return
    for (name, content), query in served.items():
        other = served.get((name, "second moment" if content == "scores" else content))
        if other is not None and other.clip != query.clip:
            yield f'the scores of "{name}" are clipped in two ways'
    yield from _rounds(plan, served)


def _rounds(plan: Plan, served: dict[tuple[str, str], VectorSum | SecondMoment]) -> Iterator[str]:
    """What is learned comes before what needs it; bins take no more of the budget than their part.

    Scales of moments have no part: what is learned counts as what it serves does.
    """
    round_of = {x.query: r.number for r in plan.rounds for x in r.releases}
    costs = {
        x.query: x.noise.cost
        for x in plan.releases()
        if isinstance(x.noise, GaussianNoise) and x.noise.variance > 0
    }
    for one_round in plan.rounds:
        least = 0 if one_round.number == 1 else _least_delay(plan, one_round)
        most = 0 if one_round.number == 1 else _LONGEST_DELAY
        if not least <= one_round.delay <= most:
            yield f"round {one_round.number} does not wait as it should"
    for query in plan.program.queries:
        if isinstance(query, Moments) and query.learns_scale:
            own = {content: one.id for (name, content), one in served.items() if name == query.id}
            if not set(own.values()) <= round_of.keys():
                continue  # reported
            first = round_of[own.pop("centres")]
            if any(round_of[later] <= first for later in own.values()):
                yield f'"{query.id}" is summed before its scale is learned'
            continue
        if not isinstance(query, Marginal) or query.learned is None:
            continue
        keys = [(query.id, content) for content in ("means", "squares")]
        sums = [served[key].id for key in keys if key in served]
        if len(sums) < len(keys) or not {query.id, *sums} <= costs.keys():
            continue  # reported
        if any(round_of[one] >= round_of[query.id] for one in sums):
            yield f'"{query.id}" is measured before its bins are learned'
        learning = sum((costs[one] for one in sums), Fraction(0))
        if learning > query.learned.part * (learning + costs[query.id]):
            yield f'learning the bins of "{query.id}" takes more than its part of the budget'


def _least_delay(plan: Plan, later: Round) -> int:
    """Seconds that work on the rows may take at a slow site: shares must not leave before."""
    program = plan.program
    person = program.person
    rows = (person.people_bound or _PEOPLE_IF_UNKNOWN) * person.samples
    if person.per is not None:
        column = next((c for c in program.columns if c.name == person.per), None)
        rows *= 1 if column is None else len(column.values)
    genes = {
        one.id: len(program.genes(program.query(one.serves)))
        for one in plan.added
        if isinstance(one, VectorSum | SecondMoment)
    }
    values = rows * sum(genes.get(x.query, x.tables) for x in later.releases)
    draws = sum(release.raw_cells for release in later.releases)
    seconds = 1 + values // _VALUES_A_SECOND + draws // _DRAWS_A_SECOND
    return min(seconds, _LONGEST_WORK)


def _has_histogram(plan: Plan, asked: Moments) -> bool:
    return any(
        isinstance(query, Marginal)
        and query.panel is None
        and set(query.columns) == set(asked.columns)
        for query in (*plan.program.queries, *plan.added)
    )


def _standard(
    program: Program, name: str, standard: Standard, panel: Panel, genes: int
) -> Iterator[str]:
    if not len(standard.centres) == len(standard.scales) == genes:
        yield f'"{name}" does not have a public scale for each gene'
    if standard.reference:
        reference = next((r for r in program.references if r.name == standard.reference), None)
        if reference is None:
            yield f'the public scale of "{name}" comes from a table that is not declared'
        elif reference.aligned_by and not any(
            bridge.name == reference.aligned_by for bridge in program.bridges
        ):
            yield f'the public scale of "{name}" comes from a table that nothing aligns'
        elif program.reference_unit(reference) != panel.unit:
            yield f'the public scale of "{name}" comes from a table in another unit'
    else:
        middle, sixth = (panel.low + panel.high) / 2, (panel.high - panel.low) / 6
        if set(standard.centres) - {_stepped(middle)} or set(standard.scales) - {
            max(_stepped(sixth), _LEAST_SCALE)
        }:
            yield f'the scale of "{name}" is neither public nor that of its range'
            return
    numbers = (*standard.centres, *standard.scales)
    fine = all(abs(v) <= _GREATEST and _DENOMINATOR % v.denominator == 0 for v in numbers)
    if not fine or not all(scale >= _LEAST_SCALE for scale in standard.scales):
        yield f'the public scale of "{name}" cannot be computed with'


def _stepped(number: Fraction) -> Fraction:
    return Fraction(round(number * _DENOMINATOR), _DENOMINATOR)
