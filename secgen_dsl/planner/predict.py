"""What a plan will cost and how exact its answers will be, before any data is seen."""

from dataclasses import dataclass

from secgen_dsl.ir.plan import Plan, Release
from secgen_dsl.ir.program import Marginal


@dataclass(frozen=True)
class Prediction:
    """One measured marginal.

    Attributes:
        asked: False for a label histogram that the planner added.
        sensitivity: L2 sensitivity of the whole release, in counts.
        certified_sigma: σ of one raw cell against t colluding parties.
        released_sigma: σ of one raw cell in the opened sum.
        budget_share: fraction of μ² that it spends, 0..1.
        standard_error: of one cell of the marginal as released, in people.
        relative_error: ``standard_error`` over (bound on people ÷ label cells); None without a
            stated bound.
    """

    marginal: Marginal
    release: Release
    asked: bool
    cells: int
    sensitivity: float
    certified_sigma: float
    released_sigma: float
    budget_share: float
    standard_error: float
    relative_error: float | None


def predict(plan: Plan) -> tuple[Prediction, ...]:
    """Predictions for all releases, in their order.

    The error of a centred cell (y + N)/B, with y of variance s²·B(B − 1) and N the row's total
    from the label histogram: √(s²·(B − 1)/B + σ_N²/B²) (PRIVACY 2.2).
    """
    total = sum((r.sensitivity_squared / r.variance for r in plan.releases()), start=0)
    people = plan.program.person.people_bound
    predictions = []
    for release in plan.releases():
        marginal = plan.marginal(release.marginal)
        label_cells = plan.program.label_cells(marginal)
        variance = plan.released_variance(release)
        cell_variance = float(variance)
        if release.map == "centred":
            bins = marginal.bins
            cell_variance = (
                float(variance) * (bins - 1) / bins + _histogram_variance(plan, marginal) / bins**2
            )
        error = float(cell_variance) ** 0.5
        predictions.append(
            Prediction(
                marginal=marginal,
                release=release,
                asked=any(m.id == marginal.id for m in plan.program.marginals),
                cells=release.raw_cells,
                sensitivity=float(release.sensitivity_squared) ** 0.5,
                certified_sigma=float(release.variance) ** 0.5,
                released_sigma=float(variance) ** 0.5,
                budget_share=float(release.sensitivity_squared / release.variance / total),
                standard_error=error,
                relative_error=None if people is None else error * label_cells / people,
            )
        )
    return tuple(predictions)


def _histogram_variance(plan: Plan, marginal: Marginal) -> float:
    """Released variance of the most exact histogram over the marginal's columns."""
    return min(
        float(plan.released_variance(release))
        for release in plan.releases()
        if plan.marginal(release.marginal).panel is None
        and set(plan.marginal(release.marginal).columns) == set(marginal.columns)
    )
