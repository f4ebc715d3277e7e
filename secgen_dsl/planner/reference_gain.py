"""What a public table would gain for moments without one, in predicted error of a gene's mean."""

from math import sqrt

from secgen_dsl.ir.learned import WITHIN
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.queries import Moments, VectorSum
from secgen_dsl.ir.vectors import QUANTUM
from secgen_dsl.planner.expansion import MOMENTS_SPLIT, SPLIT_WITHOUT_REFERENCE

_SPREAD = 0.4
"""Of genes' means around their own mean, in sixths of the range (tumours in 25 log2 units: .42)."""

_APART = 0.25
"""Of a gene's mean from that of a public table of the same disease, in standard deviations.

TCGA's patients of other regions, as in decision 0018."""


def gene_mean_errors(plan: Plan, query: Moments) -> tuple[float, float] | None:
    """The error of a gene's mean over all people as planned, and with a public table.

    Both in standard deviations of a gene between people, which is taken to be √``WITHIN`` sixths
    of the range.  As planned: a first mean is shrunk to the genes' mean, the second is taken from
    it on the learned scale and weighed against it.  With a table: one sum on the table's scale,
    from that part of the same budget which it would then have, weighed against the table's mean.

    Args:
        query: moments whose scale is learned.

    Returns:
        None without a stated bound on people.
    """
    people = plan.program.person.people_bound
    if people is None:
        return None
    deviation = sqrt(WITHIN)
    error = {}
    for release in plan.releases():
        one = plan.query(release.query)
        if isinstance(one, VectorSum) and one.serves == query.id:
            error[one.content] = sqrt(plan.released_variance(release)) / QUANTUM / people
    first = _SPREAD * error["centres"] / sqrt(_SPREAD**2 + error["centres"] ** 2)
    second = error["means"] * min(sqrt(deviation**2 + first**2), 1.0)
    measured = error["means"] * sqrt(SPLIT_WITHOUT_REFERENCE[1] / MOMENTS_SPLIT[0])
    return _joined(first, second) / deviation, _joined(_APART, measured)


def _joined(one: float, other: float) -> float:
    """The error of two independent estimates, each weighed by its precision."""
    return one * other / sqrt(one**2 + other**2)
