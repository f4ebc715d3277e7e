"""Whether the other kind of noise would be more exact: told beside a plan, and left to its authors.

With Laplace noise ε adds up over tables, with Gaussian noise ε²; so Laplace wins where few tables
are measured, or where Gaussian noise is at its floor.  It is not chosen unasked, for two reasons.
If more than t parties collude, a single Gaussian draw still protects its site, and a Pólya share
hardly does (PROTOCOL).  And Laplace noise uses ε up: a Gaussian plan of the same (ε, δ) keeps far
more uncertain in all but rare cases (``describe.odds``).
"""

from dataclasses import dataclass

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import Mechanism
from secgen_dsl.ir.queries import Marginal, PairMarginal
from secgen_dsl.planner.plan import draft
from secgen_dsl.planner.predict import Prediction, predict


@dataclass(frozen=True)
class OtherMechanism:
    """Noise that would be more exact within the same budget.

    Attributes:
        mechanism: the other one.
        plan: with it.
        errors: id of each query that the spec asks for → standard error of a cell as planned, and
            with the other noise; in people.
    """

    mechanism: Mechanism
    plan: Plan
    errors: dict[str, tuple[float, float]]


def more_exact(plan: Plan) -> OtherMechanism | None:
    """The other mechanism, if it makes the weighted total variance of a plan less.

    None too where the other noise cannot keep the promise (delta 0), cannot be put on what is
    measured, or cannot reach an accuracy that is asked for.
    """
    privacy = plan.program.privacy
    other: Mechanism = "laplace" if privacy.mechanism == "gaussian" else "gaussian"
    if privacy.delta == 0 or not all(
        isinstance(query, PairMarginal) or (isinstance(query, Marginal) and query.learned is None)
        for query in plan.program.queries
    ):
        return None
    changed = privacy.model_copy(update={"mechanism": other})
    try:
        drafted = draft(plan.program.model_copy(update={"privacy": changed}))
    except (SecgenError, ValueError):
        return None
    ours, theirs = (
        {each.query.id: each for each in predict(one) if each.asked} for one in (plan, drafted)
    )
    if sum(map(_objective, theirs.values())) >= sum(map(_objective, ours.values())):
        return None
    return OtherMechanism(
        other,
        drafted,
        {name: (ours[name].standard_error, theirs[name].standard_error) for name in ours},
    )


def _objective(prediction: Prediction) -> float:
    """Weight times the total variance of a query's cells, as released."""
    query = prediction.query
    weight = float(query.importance.weight) if isinstance(query, Marginal | PairMarginal) else 0.0
    return weight * prediction.cells * prediction.standard_error**2
