"""What a plan that keeps its promise still makes poor use of, and by how much each remedy helps.

Remedies are tried, not estimated: each figure comes from a plan with that one change.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from math import floor

from secgen_dsl.diagnostics.diagnostic import Diagnostic, Span
from secgen_dsl.ir.plan import GaussianNoise, Plan, Release
from secgen_dsl.ir.program import Program, decimal_text
from secgen_dsl.ir.queries import Marginal, PairMarginal, SecondMoment, Table, VectorSum, as_table
from secgen_dsl.planner.classes import drowned_classes
from secgen_dsl.planner.epsilons import first, rising, with_epsilon
from secgen_dsl.planner.plan import drafted
from secgen_dsl.planner.predict import Prediction, predict
from secgen_dsl.planner.redundant import redundant
from secgen_dsl.privacy.slack import MINIMUM_PARTY_VARIANCE, WARNING_PARTY_VARIANCE

GREATEST_ERROR = 0.5
"""One standard error of a cell over an average cell (bound on people ÷ label cells): beyond it a
table is warned of (PRIVACY 7, S14)."""

_WEIGHTS = (2, 5, 10, 20, 50, 100, 200, 500, 1000)
_FEWER_BINS = (4, 3, 2)
_MOST_NAMES = 3
_MOST_STEPS = 20
_MOST_TRIED = 500  # queries of a spec: with more, each figure would take too many seconds
_MOST_MERGED = 10


def plan_warnings(
    plan: Plan, certified: float, spans: Mapping[str, Span], epsilon: Span
) -> tuple[Diagnostic, ...]:
    """The warnings of a verified plan.

    Args:
        certified: the ε that the accountant found.
        spans: id of each query that the spec asks for → its statement.
        epsilon: where the budget is stated.
    """
    predictions = predict(plan)
    return (
        *_little_noise(plan, certified, epsilon),
        *_drowned(plan, predictions, spans),
        *drowned_classes(plan, predictions, spans, _too_noisy(predictions)),
        *redundant(plan, predictions, spans),
    )


def _little_noise(plan: Plan, certified: float, place: Span) -> Iterator[Diagnostic]:
    """SG309: σᵢ² below 9 (PROTOCOL, Sizing); one warning for all tables."""
    small = [
        (release.query, release.noise.party_variance)
        for release in plan.releases()
        if isinstance(release.noise, GaussianNoise)
        and release.noise.party_variance < WARNING_PARTY_VARIANCE
    ]
    if not small:
        return
    listed = ", ".join(
        f'"{name}" (variance {float(variance):.3g})' for name, variance in small[:_MOST_NAMES]
    )
    more = len(small) - _MOST_NAMES
    listed += f" and {more:,} more" if more > 0 else ""
    budget = plan.program.privacy.epsilon
    label = f"{float(certified):.3g} is spent"
    same = _same_noise(plan, certified)
    if same is not None:
        label += ", the rest cannot be"
        step = (
            f"write epsilon {decimal_text(same)}: it gives this very noise, because a party's "
            f"variance is never below {MINIMUM_PARTY_VARIANCE}"
        )
    else:
        less = _greatest(budget, lambda e: _all_ample(plan.program, e))
        step = "measure more with this budget, or write a smaller epsilon"
        if less is not None:
            step = (
                f"epsilon {decimal_text(less)} or less gives each party's noise a variance of "
                f"{WARNING_PARTY_VARIANCE} or more; or measure more with this budget"
            )
    yield Diagnostic(
        "SG309",
        f"the noise of each party is small on {listed}",
        "warning",
        span=place,
        label=label,
        next_step=step,
    )


def _same_noise(plan: Plan, certified: float) -> Fraction | None:
    """The least ε of three digits whose plan has the same noise; None if the budget decides it."""
    if not all(_at_floor(plan, release) for release in plan.releases()):
        return None
    for epsilon in _three_digits_up(Fraction(certified)):
        if epsilon >= plan.program.privacy.epsilon:
            return None
        other = drafted(with_epsilon(plan.program, epsilon))
        if other is not None and other.rounds == plan.rounds:
            return epsilon
    return None


def _at_floor(plan: Plan, release: Release) -> bool:
    """Whether a party's noise is the least that it may add (PROTOCOL, Sizing)."""
    least = MINIMUM_PARTY_VARIANCE
    query = plan.query(release.query)
    if release.map != "identity" and isinstance(query, Marginal | PairMarginal):
        least = max(least, Fraction(9 * query.bins, 2))
    return isinstance(release.noise, GaussianNoise) and release.noise.party_variance == least


def _all_ample(program: Program, epsilon: Fraction) -> bool:
    plan = drafted(with_epsilon(program, epsilon))
    return plan is not None and all(
        isinstance(release.noise, GaussianNoise)
        and release.noise.party_variance >= WARNING_PARTY_VARIANCE
        for release in plan.releases()
    )


def _too_noisy(predictions: Sequence[Prediction]) -> set[str]:
    """Ids of queries with too great an error on average."""
    return {p.query.id for p in predictions if (p.relative_error or 0) > GREATEST_ERROR}


def _drowned(
    plan: Plan, predictions: Sequence[Prediction], spans: Mapping[str, Span]
) -> Iterator[Diagnostic]:
    """SG314: a statement's table of greatest error, if it is beyond ``GREATEST_ERROR``.

    A statement that asks for an accuracy has said what is enough.
    """
    worst: dict[tuple[str, int], Prediction] = {}
    for prediction in predictions:
        query, error = prediction.query, prediction.relative_error
        if error is None or isinstance(query, VectorSum | SecondMoment):
            continue
        if prediction.asked and error > GREATEST_ERROR and query.importance.error is None:
            span = spans[query.id]
            place = span.source.name, span.start
            if place not in worst or error > (worst[place].relative_error or 0):
                worst[place] = prediction
    remedies = _Remedies(plan.program, spans)
    for prediction in worst.values():
        query = prediction.query
        average = prediction.standard_error / (prediction.relative_error or 1)
        yield Diagnostic(
            "SG314",
            f'the noise on a cell of "{query.id}" is {_percent(prediction)} of an average cell: '
            f"±{_short(prediction.standard_error)} people of {_short(average)}",
            "warning",
            span=spans[query.id],
            label=f"more than {GREATEST_ERROR:.0%}",
            next_step=remedies.of(prediction),
        )


class _Remedies:
    """What would bring the error of a query down to ``GREATEST_ERROR``."""

    def __init__(self, program: Program, spans: Mapping[str, Span]) -> None:
        self._program = program
        self._spans = spans
        self._by_epsilon: dict[Fraction, dict[str, Prediction]] = {}

    def of(self, prediction: Prediction) -> str:
        """The remedies in words, each with its figure."""
        query = as_table(prediction.query)
        if len(self._program.queries) > _MOST_TRIED:
            return (
                "fewer label cells or bins, a greater weight or epsilon would help; how much: "
                f'secgen plan SPEC --target "error {GREATEST_ERROR:.0%}"'
            )
        enough = [
            *self._label_cells(prediction),
            *self._bins(query, enough=True),
            *self._weight(query),
            *self._epsilon(query),
        ]
        partly = [] if enough else self._bins(query, enough=False)
        if len(enough) == 1:
            return f"{enough[0]} would be enough"
        if not enough:
            return "; ".join(["leave the table out: no one change is enough", *partly])
        return "any one of these is enough: " + "; or ".join(enough)

    def _label_cells(self, prediction: Prediction) -> Iterator[str]:
        people = self._program.person.people_bound or 0
        now = self._program.label_cells(prediction.query)
        most = floor(GREATEST_ERROR * people / prediction.standard_error)
        few = most < 2 or _MOST_MERGED * most < now  # no merging of values keeps a table's sense
        if isinstance(prediction.query, Marginal) and not few:
            yield f"about {most:,} label cells in place of {now:,} (fewer columns, merged values)"

    def _bins(self, query: Table, *, enough: bool) -> list[str]:
        """Fewer bins: those that suffice, else the best that they do."""
        if isinstance(query, Marginal) and query.panel is None:
            return []
        now = self._error(self._program, query.id)
        best: tuple[float, int] | None = None
        for bins in _FEWER_BINS:
            error = self._error(self._changed(query, {"bins": bins}), query.id)
            if bins >= query.bins or error is None or now is None or error > 0.95 * now:
                continue
            if enough and error <= GREATEST_ERROR:
                return [f"{bins} bins"]
            best = min(best or (error, bins), (error, bins))
        return [f"{best[1]} bins give {best[0]:.0%}"] if best and not enough else []

    def _weight(self, query: Table) -> Iterator[str]:
        if query.importance.share is not None:
            return
        for factor in _WEIGHTS:
            weight = query.importance.weight * factor
            importance = query.importance.model_copy(update={"weight": weight})
            error = self._error(self._changed(query, {"importance": importance}), query.id)
            if error is not None and error <= GREATEST_ERROR:
                yield f"weight {decimal_text(weight)} (the others get less)"
                return

    def _epsilon(self, query: Table) -> Iterator[str]:
        def enough(epsilon: Fraction) -> bool:
            if epsilon not in self._by_epsilon:
                plan = drafted(with_epsilon(self._program, epsilon))
                found = {p.query.id: p for p in predict(plan)} if plan is not None else {}
                self._by_epsilon[epsilon] = found
            prediction = self._by_epsilon[epsilon].get(query.id)
            error = prediction.relative_error if prediction is not None else None
            return error is not None and error <= GREATEST_ERROR

        grid = [e for e in rising(2) if e > self._program.privacy.epsilon]
        place = first(grid, enough)
        if place < len(grid):
            yield f"epsilon {decimal_text(grid[place])}"

    def _changed(self, query: Table, update: dict[str, object]) -> Program:
        """The program with a query's whole statement changed.

        Its edges stay: noise is planned without looking at them.
        """
        place = self._spans[query.id]
        queries = tuple(
            other.model_copy(update=update) if self._spans[other.id] == place else other
            for other in self._program.queries
        )
        return self._program.model_copy(update={"queries": queries})

    def _error(self, program: Program, name: str) -> float | None:
        plan = drafted(program)
        if plan is None:
            return None
        return next(p.relative_error for p in predict(plan) if p.query.id == name)


def _percent(prediction: Prediction) -> str:
    return f"{prediction.relative_error or 0:,.0%}"


def _short(number: float) -> str:
    return f"{number:.3g}" if number < 1000 else f"{number:,.0f}"


def _three_digits_up(number: Fraction) -> Iterator[Fraction]:
    """The numbers of three digits from ``number`` on."""
    unit = Fraction(1, 10**6)
    while number >= 1000 * unit:
        unit *= 10
    steps = -(-number // unit)
    for further in range(_MOST_STEPS):
        yield (steps + further) * unit


def _greatest(below: Fraction, holds: Callable[[Fraction], bool]) -> Fraction | None:
    """The greatest two-digit ε below a number at which something holds that holds up to it."""
    grid = [epsilon for epsilon in rising(2) if epsilon < below]
    place = first(grid, lambda epsilon: not holds(epsilon))
    return grid[place - 1] if place else None
