"""Double-centred gene pairs: what they need of their genes' own tables, and how exact they are.

A B×B table, or block of one label cell, is put together from three parts (decisions 0014, 0020):

    cell ij = I_ij + r_i/B + c_j/B + N/B²

I, the interaction, is the release divided by B²: of variance s²·(1 − 1/B)².  r and c are what the
two genes' own tables, summed over their L labels, hold in a bin above the mean of the bins: of
variance L·s_g²·(1 − 1/B) each.  N is the number of people, from a histogram or plain tables.  The
three are independent, since the parts of one table's noise are orthogonal.

Where the pairs have M label cells themselves, r, c and N are of one of them: sums over L/M rows.
Over the M·B² cells of a table these parts then have the variance that they have over B² without
labels.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

from secgen_dsl.ir.main_effects import main_effects
from secgen_dsl.ir.plan import LinearMap, Plan
from secgen_dsl.ir.program import Program
from secgen_dsl.ir.queries import Marginal, PairMarginal
from secgen_dsl.privacy.sensitivity import contribution_of, table_sensitivity_squared


@dataclass(frozen=True)
class Needed:
    """What one double-centred query needs of another one.

    Attributes:
        query: the other: a gene marginal or a label histogram.
        burden: what it adds to the other's coefficient (``allocation.Measured``).
        ceiling: greatest σ² of the other for the accuracy target; None without a target.
    """

    query: Marginal
    burden: Fraction
    ceiling: Fraction | None


def tables_of_genes(program: Program, pairs: PairMarginal) -> dict[str, Marginal] | None:
    """Gene → the marginal to rely on, that of fewest label cells; None if a gene has none.

    All labels of the pairs are among the marginal's (``main_effects``).
    """
    found: dict[str, Marginal] = {}
    for gene, tables in main_effects(program, pairs).items():
        if not tables:
            return None
        found[gene] = min(tables, key=program.label_cells)
    return found


def needs(
    program: Program,
    pairs: PairMarginal,
    tables: Mapping[str, Marginal],
    histogram: Marginal | None,
    centred: Collection[str],
    target: Fraction | None,
) -> tuple[tuple[Needed, ...], Fraction | None]:
    """What double-centred pairs need of other queries, and the ceiling of their own noise.

    Of an accuracy target C the three parts get x₁ + x₂ + x₃ = C.  A part costs cₖ/xₖ of μ², so the
    sum is least at xₖ ∝ √cₖ.  (What the other queries need anyway is not taken off: the target is
    kept, at a cost that another choice may beat.)

    Args:
        tables: of the genes, as ``tables_of_genes`` returns.
        histogram: of the labels of the first gene's table, if that is centred: it tells N.
            None: the plain table does.
        centred: ids of the marginals that are centred.
        target: C, the greatest variance of a cell as certified, or None.
    """
    bins, number, weight = pairs.bins, len(pairs.pairs), pairs.importance.weight
    blocks = program.label_cells(pairs) // bins  # M
    left = 1 - Fraction(1, bins)
    first = tables[pairs.genes[0]]
    people, spread = histogram, Fraction(program.label_cells(first))
    if people is None:
        people, spread = first, spread * bins / program.tables(first)
    # What a unit of σ² adds to the variance of all cells of all pairs: of each table of genes...
    times: dict[str, int] = {}
    for pair in pairs.pairs:
        for place in pair:
            name = tables[pairs.genes[place]].id
            times[name] = times.get(name, 0) + 1
    own = {table.id: table for table in tables.values() if table.id in times}
    added = {name: times[name] * program.label_cells(own[name]) * left for name in own}
    # ... and of the people.
    all_people = number * spread / bins**2
    limits: dict[str, Fraction] = {}
    own_ceiling = people_ceiling = None
    if target is not None:
        costs = (
            number * left**2 * _sensitivity(program, pairs, "double-centred"),
            sum(
                _cost(program, table, centred) * 2 * program.label_cells(table) * left / bins**2
                for table in own.values()
            )
            / blocks,
            _cost(program, people, centred) * spread / bins**4 / blocks,
        )
        roots = [_root(Fraction(cost)) for cost in costs]
        parts = [target * root / sum(roots) for root in roots]
        own_ceiling = parts[0] / left**2
        limits = {
            name: parts[1] * bins**2 * blocks / (2 * program.label_cells(table) * left)
            for name, table in own.items()
        }
        people_ceiling = parts[2] * bins**4 * blocks / spread
    needed = [
        Needed(table, weight * added[name] / program.tables(table), limits.get(name))
        for name, table in own.items()
    ]
    needed.append(Needed(people, weight * all_people / program.tables(people), people_ceiling))
    return tuple(needed), own_ceiling


def double_centred_variance(plan: Plan, pairs: PairMarginal, variance: Fraction) -> Fraction:
    """Released variance of a cell put together from its parts; of the pair with the greatest.

    Args:
        variance: released, of a raw cell of the pairs.
    """
    program, bins = plan.program, pairs.bins
    left = 1 - Fraction(1, bins)
    blocks = program.label_cells(pairs) // bins
    released = {release.query: plan.released_variance(release) for release in plan.releases()}
    genes = {
        gene: min(program.label_cells(table) * released[table.id] for table in tables)
        for gene, tables in main_effects(program, pairs).items()
    }
    worst = max(genes[pairs.genes[i]] + genes[pairs.genes[j]] for i, j in pairs.pairs)
    others = worst * left / bins**2 + _people_variance(plan, pairs.columns) / bins**4
    return variance * left**2 + others / blocks


def _people_variance(plan: Plan, columns: Collection[str]) -> Fraction:
    """Of the most exact number of all people: a histogram's sum, or the mean of plain tables'.

    Args:
        columns: labels that the number is told by, too.
    """
    found = []
    for release in plan.releases():
        query = plan.query(release.query)
        if not isinstance(query, Marginal | PairMarginal) or not set(columns) <= set(query.columns):
            continue
        if release.map == "identity":
            tables, labels, bins = plan.program.shape(query)
            found.append(plan.released_variance(release) * labels * bins / tables)
    return min(found)


def _cost(program: Program, query: Marginal, centred: Collection[str]) -> Fraction:
    """T·Δ²."""
    linear_map: LinearMap = "centred" if query.id in centred else "identity"
    return program.tables(query) * _sensitivity(program, query, linear_map)


def _sensitivity(
    program: Program, query: Marginal | PairMarginal, linear_map: LinearMap
) -> Fraction:
    return table_sensitivity_squared(query.bins, linear_map, contribution_of(program, query))


def _root(number: Fraction) -> Fraction:
    """√number to six digits, > 0: the same on every machine."""
    return Fraction(max(isqrt(int(number * 2**80)), 1), 2**40)
