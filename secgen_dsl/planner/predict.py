"""What a plan will cost and how exact its answers will be, before any data is seen."""

from dataclasses import dataclass
from math import prod, sqrt

from secgen_dsl.ir.plan import LaplaceNoise, Plan, Release
from secgen_dsl.ir.program import Expectation, Program
from secgen_dsl.ir.queries import Marginal, PairMarginal, Query, SecondMoment, Table, VectorSum
from secgen_dsl.ir.vectors import QUANTUM
from secgen_dsl.planner.pairs import double_centred_variance
from secgen_dsl.privacy.rounding import total
from secgen_dsl.privacy.sensitivity import Contribution, contribution_of


@dataclass(frozen=True)
class Prediction:
    """One measured query.

    Attributes:
        asked: False for a label histogram that the planner added.
        contribution: of one person to one table.
        sensitivity: L2 sensitivity of the whole release, in counts; L1 for Laplace noise.
        certified_sigma: σ of one raw cell against t colluding parties.
        released_sigma: σ of one raw cell in the opened sum.
        budget_share: fraction of μ² that it spends, 0..1; of ε for Laplace noise.
        standard_error: of one cell of the query as released, in people; of one entry of a vector
            sum in people × public deviations (of a second moment: deviations squared).
        relative_error: ``standard_error`` over (bound on people ÷ label cells); None without a
            stated bound, and of vectors.
        mean_error: ``standard_error`` of a vector as that of a mean over so many people; None
            without a stated bound, and of tables.
        expected: for the values that the spec expects a share of, the expected people and the
            error relative to them.
    """

    query: Query
    release: Release
    asked: bool
    contribution: Contribution
    cells: int
    sensitivity: float
    certified_sigma: float
    released_sigma: float
    budget_share: float
    standard_error: float
    relative_error: float | None
    mean_error: float | None
    expected: tuple["ExpectedCell", ...]


def unit_of(query: Query) -> int:
    """What opened values of a query are multiples of: one person, or one public deviation."""
    if isinstance(query, SecondMoment):
        return QUANTUM**2
    return QUANTUM if isinstance(query, VectorSum) else 1


@dataclass(frozen=True)
class ExpectedCell:
    """A label cell whose size the spec's expectations give.

    Attributes:
        column: of the expectation.
        value: of that column.
        people: expected, of the bound on people.
        relative_error: of one cell of the query, over ``people``.
    """

    column: str
    value: str
    people: float
    relative_error: float

    @property
    def label(self) -> str:
        """For example ``subtype MSI``."""
        return f"{self.column} {self.value}"


def predict(plan: Plan) -> tuple[Prediction, ...]:
    """Predictions for all releases, in their order.

    The error of a centred cell (y + N)/B, with y of variance s²·B(B − 1) and N the row's total
    from the label histogram: √(s²·(B − 1)/B + σ_N²/B²) (PRIVACY 2.2).  Of a double-centred pair,
    the error of a cell put together from its interaction and its genes' own tables (``pairs``).
    """
    spent = total([release.noise.cost for release in plan.releases()])
    people = plan.program.person.people_bound
    asked = {query.id for query in plan.program.queries}
    histograms = _histogram_variances(plan)
    predictions = []
    for release in plan.releases():
        query = plan.query(release.query)
        label_cells = plan.program.label_cells(query)
        cell_people = None if people is None else people / label_cells
        vector = isinstance(query, VectorSum | SecondMoment)
        variance = plan.released_variance(release)
        cell_variance = float(variance)
        if release.map == "centred" and isinstance(query, Marginal):
            bins = query.bins
            cell_variance *= (bins - 1) / bins
            cell_variance += histograms[frozenset(query.columns)] / bins**2
        elif release.map == "double-centred" and isinstance(query, PairMarginal):
            cell_variance = float(double_centred_variance(plan, query, variance))
        error = float(cell_variance) ** 0.5 / unit_of(query)
        predictions.append(
            Prediction(
                query=query,
                release=release,
                asked=query.id in asked,
                contribution=contribution_of(plan.program, query),
                cells=release.raw_cells,
                sensitivity=_sensitivity(release) / unit_of(query),
                certified_sigma=float(release.noise.variance) ** 0.5 / unit_of(query),
                released_sigma=float(variance) ** 0.5 / unit_of(query),
                budget_share=float(release.noise.cost / spent),
                standard_error=error,
                relative_error=None if vector or cell_people is None else error / cell_people,
                mean_error=error / cell_people if vector and cell_people is not None else None,
                expected=tuple(_expected(plan.program, query, error)),
            )
        )
    return tuple(predictions)


def _sensitivity(release: Release) -> float:
    noise = release.noise
    if isinstance(noise, LaplaceNoise):
        return float(noise.sensitivity)
    return sqrt(noise.sensitivity_squared)


def _expected(program: Program, query: Query, error: float) -> list[ExpectedCell]:
    """A cell for each expected value of the query's columns, other columns taken as uniform."""
    people = program.person.people_bound
    if people is None or not isinstance(query, Marginal | PairMarginal):
        return []
    cells = []
    for expectation in program.expectations:
        if expectation.column in query.columns:
            size = _people(program, query, expectation, people)
            cells.append(ExpectedCell(expectation.column, expectation.value, size, error / size))
    return cells


def expected_people(program: Program, query: VectorSum) -> list[tuple[Expectation, float]]:
    """The people of each expected value of a vector sum's labels; none without a bound.

    Other labels are taken as uniform, and the bound on people as their number.
    """
    people = program.person.people_bound
    expected = [one for one in program.expectations if one.column in query.columns]
    return [] if people is None else [(e, _people(program, query, e, people)) for e in expected]


def _people(
    program: Program, query: Table | VectorSum, expectation: Expectation, people: int
) -> float:
    others = [name for name in query.columns if name != expectation.column]
    return float(people * expectation.share) / prod(
        len(program.column(name).values) for name in others
    )


def _histogram_variances(plan: Plan) -> dict[frozenset[str], float]:
    """Columns → released variance of the most exact histogram over them."""
    found: dict[frozenset[str], float] = {}
    for release in plan.releases():
        query = plan.query(release.query)
        if isinstance(query, Marginal) and query.panel is None:
            columns = frozenset(query.columns)
            variance = float(plan.released_variance(release))
            found[columns] = min(variance, found.get(columns, variance))
    return found
