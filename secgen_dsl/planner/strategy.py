"""How each query is measured: plain tables, or row-centred tables beside a label histogram.

Gene pairs: plain tables, or double-centred ones beside tables of their genes.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from fractions import Fraction

from secgen_dsl.ir.plan import LinearMap
from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import Asked, Importance, Marginal, Moments, PairMarginal, Table
from secgen_dsl.ir.statement import canonical_statement
from secgen_dsl.planner.allocation import (
    VARIANCE_STEP,
    Measured,
    OutOfReachError,
    allocate,
    centred_floor,
    objective,
)
from secgen_dsl.planner.ceilings import (
    Rows,
    cell_target,
    histogram_ceiling,
    learning_part,
    plain_ceiling,
)
from secgen_dsl.planner.pairs import needs, tables_of_genes
from secgen_dsl.planner.search import Part, search
from secgen_dsl.privacy.sensitivity import contribution_of, table_sensitivity_squared
from secgen_dsl.privacy.slack import MINIMUM_PARTY_VARIANCE

_PLAIN = Importance(weight=Fraction(1), share=None, error=None)
_NOTHING = Fraction(0)


def choose(program: Program, mu: Fraction) -> tuple[Measured, ...]:
    """The measured queries of least weighted total variance, in the program's order, added last.

    Row-centred tables with a label histogram are ResidualPlanner's optimum for one label × gene
    workload (PRIVACY 2.2).  With several workloads that share label histograms, floors on the noise
    and accuracy targets, the best choice is searched for (``search``), from all centred.  Then gene
    pairs whose genes have tables of their own in the same bins are looked at (``_with_pairs``):
    double-centred pairs take less of the budget, but a cell then has the errors of those tables as
    well (``pairs``).  Under replace-one a centred table costs as much as a plain one
    (``sensitivity``), and of a double-centred one no single event is known to dominate: none is
    used.

    Args:
        mu: μ > 0 of the whole plan; floors and targets make the choice depend on it.

    Raises:
        OutOfReachError: no choice keeps the accuracy targets within the budget.
    """
    honest = len(program.parties) - program.tolerated
    by_id = {query.id: query for query in program.queries}
    stated = {
        query.id: query.importance.share
        for query in program.queries
        if query.importance.share is not None
    }

    def measure(copies: Mapping[str, int], centred: frozenset[str]) -> tuple[Measured, ...]:
        queries = tuple(by_id[name] for name in copies)
        part = program.model_copy(update={"queries": queries})
        return _measured(part, centred, {}, copies)

    if program.privacy.adjacency == "replace-one":
        return _measured(program, frozenset(), {}, {})
    most = frozenset(query.id for query in program.queries if _may_be_centred(query))
    genes = _tables_of_genes(program)
    centred = most
    if most:
        try:
            centred = search(_parts(program), measure, stated, mu, honest)
        except OutOfReachError:
            if not genes:
                raise
    if genes:
        centred = _with_pairs(program, centred, most, genes, mu, honest)
    return _measured(program, centred, genes, {})


def _with_pairs(
    program: Program,
    centred: frozenset[str],
    most: frozenset[str],
    genes: Mapping[str, Mapping[str, Marginal]],
    mu: Fraction,
    honest: int,
) -> frozenset[str]:
    """A choice with double-centred pairs, from which no step of these lowers the objective.

    A step double-centres a pair query or measures it plain, and leaves the other tables as they
    are, or makes those of its genes, or all, centred or plain.  It starts from the best choice with
    plain pairs; or, as that may not keep the targets, with all pairs double-centred.

    Raises:
        OutOfReachError: no choice was found that keeps the targets.
    """
    costs: dict[frozenset[str], Fraction | None] = {}

    def cost(choice: frozenset[str]) -> Fraction | None:
        if choice not in costs:
            costs[choice] = _cost(program, choice, genes, mu, honest)
        return costs[choice]

    best = cost(centred)
    if best is None:
        centred = max((most | frozenset(genes), centred), key=lambda one: cost(one) is not None)
        best = cost(centred)
    found = True
    while found:
        found = False
        for name, tables in genes.items():
            own = frozenset(table.id for table in tables.values()) & most
            steps = (centred | own, centred - own, centred | most, centred - most)
            for step in (centred ^ {name}, *steps):
                for choice in (step, step ^ {name}):
                    reached = cost(choice)
                    if reached is not None and (best is None or reached < best):
                        centred, best, found = choice, reached, True
    if best is None:  # says what is missing
        allocate(_measured(program, centred, genes, {}), mu, honest)
    return centred


def _cost(
    program: Program,
    centred: frozenset[str],
    genes: Mapping[str, Mapping[str, Marginal]],
    mu: Fraction,
    honest: int,
) -> Fraction | None:
    """The objective of a choice; None if it cannot keep its targets."""
    measured = _measured(program, centred, genes, {})
    try:
        return objective(measured, allocate(measured, mu, honest))
    except OutOfReachError:
        return None


def _tables_of_genes(program: Program) -> dict[str, dict[str, Marginal]]:
    """Id of each pair query that may be double-centred → gene → its own table."""
    found = {}
    for query in program.queries:
        if isinstance(query, PairMarginal):
            tables = tables_of_genes(program, query)
            if tables is not None:
                found[query.id] = tables
    return found


def _may_be_centred(query: Asked) -> bool:
    return isinstance(query, Marginal) and query.panel is not None


def _parts(program: Program) -> tuple[Part, ...]:
    """The queries by the labels whose histogram centred tables need; all others together."""
    served = {
        frozenset(query.columns)
        for query in program.queries
        if isinstance(query, Moments) or (isinstance(query, Marginal) and query.panel is not None)
    }
    parts: dict[object, dict[object, list[Asked]]] = {}
    for query in program.queries:
        labels = None if isinstance(query, PairMarginal) else frozenset(query.columns)
        part = parts.setdefault(labels if labels in served else None, {})
        part.setdefault(_alike(program, query), []).append(query)
    numbers: dict[
        object, int
    ] = {}  # a number is quicker to compare than the key that it stands for
    return tuple(
        Part(
            groups=tuple(tuple(query.id for query in group) for group in groups.values()),
            candidates=tuple(_may_be_centred(group[0]) for group in groups.values()),
            shape=tuple(
                (numbers.setdefault(key, len(numbers)), len(group)) for key, group in groups.items()
            ),
        )
        for groups in parts.values()
    )


def _alike(program: Program, query: Asked) -> object:
    """Equal for queries of the same labels that cost the same either way."""
    kind = query.kind
    if isinstance(query, Moments):
        shape: tuple[int, ...] = (len(program.genes(query)), program.label_cells(query))
    else:
        shape = program.shape(query)
    by_person = program.person.per in query.columns
    panel = isinstance(query, Marginal) and query.panel is not None
    own_pool = query.id if query.importance.share is not None else ""
    learning = _NOTHING if isinstance(query, Moments) else learning_part(query)
    return kind, panel, shape, by_person, query.importance, own_pool, learning


def _measured(
    program: Program,
    centred: Collection[str],
    genes: Mapping[str, Mapping[str, Marginal]],
    copies: Mapping[str, int],
) -> tuple[Measured, ...]:
    """All measured queries, those of the ids ``centred`` centred or double-centred.

    Args:
        copies: id → how many alike queries it stands for; 1 unless it is given.
    """
    queries: list[Table | Moments] = [*program.queries]
    asked = {query.id for query in queries}
    taken = set(asked)
    histograms: dict[frozenset[str], Marginal] = {
        frozenset(m.columns): m
        for m in program.queries
        if isinstance(m, Marginal) and m.panel is None
    }
    # What the rows' totals add to the variance of a centred table's cells, by label columns.
    burden: dict[frozenset[str], Fraction] = {}
    pools: dict[str, str] = {}
    ceilings: dict[str, Fraction] = {}
    # Id of a label histogram → the centred queries with targets that need it.
    limited: dict[str, list[tuple[str, Rows]]] = {}
    honest = len(program.parties) - program.tolerated
    for marginal in program.queries:
        if marginal.importance.share is not None:
            pools[marginal.id] = marginal.id
        if not isinstance(marginal, Moments) and marginal.id not in centred:
            if marginal.importance.error is not None:
                kept = 1 - learning_part(marginal)
                _lower(ceilings, marginal.id, plain_ceiling(program, marginal), kept)
            continue
        if isinstance(marginal, PairMarginal):
            continue
        labels = frozenset(marginal.columns)
        own_pool = pools.get(marginal.id, "")
        if labels not in histograms:
            histograms[labels] = _histogram(marginal, taken)
            queries.append(histograms[labels])
            taken.add(histograms[labels].id)
            pools[histograms[labels].id] = own_pool
        histogram = histograms[labels]
        if not own_pool and histogram.id not in asked:
            pools[histogram.id] = ""  # the common pool pays as soon as one of its queries needs it
        if isinstance(marginal, Moments):
            extra = _moments_burden(program, marginal)
        else:
            tables, label_cells, bins = program.shape(marginal)
            extra = marginal.importance.weight * tables * Fraction(label_cells, bins)
        burden[labels] = burden.get(labels, _NOTHING) + copies.get(marginal.id, 1) * extra
        if isinstance(marginal, Marginal) and marginal.importance.error is not None:
            rows = _rows(program, marginal, honest)
            limited.setdefault(histogram.id, []).append((marginal.id, rows))
    for histogram in histograms.values():
        if histogram.id in limited:
            counts = Counter[Rows]()
            for name, rows in limited[histogram.id]:
                counts[rows] += copies.get(name, 1)
            load = table_sensitivity_squared(1, "identity", contribution_of(program, histogram))
            floor = MINIMUM_PARTY_VARIANCE * honest
            total = histogram_ceiling(counts, load, floor, ceilings.get(histogram.id))
            _lower(ceilings, histogram.id, total)
            for name, rows in limited[histogram.id]:
                _lower(ceilings, name, rows.ceiling(total), rows.kept)
    # What double-centred pairs need of other tables, by id.
    for_pairs: dict[str, Fraction] = {}
    for pairs in program.queries:
        if not isinstance(pairs, PairMarginal) or pairs.id not in centred:
            continue
        first = genes[pairs.id][pairs.genes[0]]
        totals = histograms[frozenset(first.columns)] if first.id in centred else None
        target = None if pairs.importance.error is None else cell_target(program, pairs)
        needed, own = needs(program, pairs, genes[pairs.id], totals, centred, target)
        if own is not None:
            _lower(ceilings, pairs.id, own)
        for one in needed:
            for_pairs[one.query.id] = for_pairs.get(one.query.id, _NOTHING) + one.burden
            if one.ceiling is not None:
                _lower(ceilings, one.query.id, one.ceiling)
    measured = []
    for query in queries:
        linear_map = _map_of(query, centred)
        if isinstance(query, Moments):
            item = replace(_of_moments(program, query), pool=pools.get(query.id, ""))
            measured.append(replace(item, copies=copies.get(query.id, 1)))
            continue
        item = _one(program, query, linear_map, asked=query.id in asked)
        added = for_pairs.get(query.id, _NOTHING)
        if isinstance(query, Marginal) and query.panel is None:
            added += burden.get(frozenset(query.columns), _NOTHING)
        measured.append(
            replace(
                item,
                coefficient=item.coefficient + added if added else item.coefficient,
                pool=pools.get(query.id, ""),
                ceiling=ceilings.get(query.id),
                copies=copies.get(query.id, 1),
            )
        )
    return tuple(measured)


def _map_of(query: Table | Moments, centred: Collection[str]) -> LinearMap:
    if query.id not in centred:
        return "identity"
    return "double-centred" if isinstance(query, PairMarginal) else "centred"


def _of_moments(program: Program, query: Moments) -> Measured:
    """Moments compete for the common pool as one table a gene with one cell a label would."""
    return Measured(
        query=query,
        map="identity",
        tables=len(program.genes(query)),
        table_sensitivity_squared=Fraction(1),
        coefficient=query.importance.weight * program.label_cells(query),
        pool="",
        ceiling=None,
    )


def _moments_burden(program: Program, query: Moments) -> Fraction:
    """What moments add to their histogram's coefficient: it gets a sixth of what they get.

    Costs are as √(a·T²): the histogram's are 1/6 of the moments' with a = w·L·(G/6)².  Every sum of
    a label is divided by its people: a rare label's means are as wrong as its number (decision 18).
    """
    genes = len(program.genes(query))
    return query.importance.weight * program.label_cells(query) * Fraction(genes, 6) ** 2


def _one(program: Program, query: Table, linear_map: LinearMap, *, asked: bool) -> Measured:
    tables, label_cells, bins = program.shape(query)
    # A centred cell is (y + N)/B: variance s²·(B − 1)/B + σ_N²/B², hence (B − 1)·s² a row; a
    # double-centred block has (B − 1)²·s² (``pairs``).
    free_cells = {
        "identity": label_cells * bins,
        "centred": label_cells * (bins - 1),
        "double-centred": label_cells // bins * (bins - 1) ** 2,
    }[linear_map]
    learning = learning_part(query)
    return Measured(
        query=query,
        map=linear_map,
        tables=tables,
        table_sensitivity_squared=table_sensitivity_squared(
            bins, linear_map, contribution_of(program, query)
        ),
        coefficient=query.importance.weight * free_cells if asked else _NOTHING,
        pool="",
        ceiling=None,
        learning=learning,
    )


def _lower(
    ceilings: dict[str, Fraction], name: str, ceiling: Fraction, kept: Fraction = Fraction(1)
) -> None:
    """Keep a ceiling of σ²; of what learning bins leaves, σ²/kept, rounded up, must fit as well."""
    rounded = _rounded_down(kept * _rounded_down(ceiling / kept))
    ceilings[name] = min(ceilings.get(name, rounded), rounded)


def _rounded_down(variance: Fraction) -> Fraction:
    steps = variance * VARIANCE_STEP
    return Fraction(steps.numerator // steps.denominator, VARIANCE_STEP)


def _rows(program: Program, marginal: Marginal, honest: int) -> Rows:
    """What a centred query with an accuracy target asks for."""
    tables, _, bins = program.shape(marginal)
    row = table_sensitivity_squared(bins, "centred", contribution_of(program, marginal))
    return Rows(
        load=tables * row,
        bins=bins,
        target=cell_target(program, marginal),
        kept=1 - learning_part(marginal),
        floor=centred_floor(bins) * honest,
    )


def _histogram(marginal: Marginal | Moments, taken: Collection[str]) -> Marginal:
    """The label histogram that a centred marginal needs, with an id that is not taken."""
    identifier = "*".join(marginal.columns)
    while identifier in taken:  # by a column that is called as two others, "a*b"
        identifier += " (labels)"
    histogram = Marginal(
        kind="marginal",
        id=identifier,
        statement="",
        columns=marginal.columns,
        panel=None,
        gene=None,
        bins=1,
        binning="none",
        reference="",
        edges=(),
        learned=None,
        importance=_PLAIN,
    )
    return histogram.model_copy(update={"statement": canonical_statement(histogram)})
