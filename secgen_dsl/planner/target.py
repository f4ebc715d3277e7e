"""The inverse question: which ε gives the accuracy that is asked for?

Two answers.  *As written*: weights, shares and targets stay, only ε changes.  *Divided*: the
queries get the accuracy as their target (``error 5%``) and nothing else, so that the least μ² that
keeps all targets is spent; where all queries ask for the same relative error this is minimax
(PRIVACY 2.1; ``allocation`` keeps targets as ceilings).  What has no target stays as it is written,
and at least as exact as the spec's own ε makes it.

Both are found among numbers of three digits, each tried with its whole plan.

And the other way round, *minimax*: the least error that all queries can have in common at the
spec's own ε.  By the same targets: an error is reached if its ceilings fit into the budget.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail, nearest
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import Program, decimal_text
from secgen_dsl.ir.queries import (
    Asked,
    ErrorTarget,
    Importance,
    Moments,
    Query,
    SecondMoment,
    Table,
    VectorSum,
)
from secgen_dsl.ir.statement import canonical_statement, error_text
from secgen_dsl.planner.epsilons import GREATEST_EPSILON, first, in_quarters, rising, with_epsilon
from secgen_dsl.planner.plan import plan_program
from secgen_dsl.planner.predict import Prediction, predict

_DIGITS = 3
_GREATEST_ERROR = Fraction(10**7)
_ROUNDING = 1e-9
"""Errors are predicted in floats; a target that is missed by less is kept."""


@dataclass(frozen=True)
class Target:
    """An accuracy that is asked for: one standard error of a cell as released.

    Attributes:
        query: id of the query that it is asked of; empty: of all that count people.
    """

    query: str
    error: ErrorTarget


@dataclass(frozen=True)
class Enough:
    """A budget that is enough.

    Attributes:
        epsilon: the least of three digits.
        plan: with that budget.
        predictions: of its releases.
    """

    epsilon: Fraction
    plan: Plan
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True)
class Answer:
    """What reaches a target.

    Attributes:
        asked: ids of the queries that it is asked of, in the program's order.
        now: what the spec's own ε gives; None if there is no plan for it.
        as_written: None if no ε reaches the target with the spec as it is.
        divided: None if no smaller ε than as written does, or if it is asked of one query that
            reaches it already.
    """

    asked: tuple[str, ...]
    now: Enough | None
    as_written: Enough | None
    divided: Enough | None

    @property
    def lines(self) -> tuple[str, ...]:
        """The statements of the divided plan that the target changed."""
        if self.divided is None:
            return ()
        queries = self.divided.plan.program.queries
        return tuple(query.statement for query in queries if query.id in self.asked)


@dataclass(frozen=True)
class Common:
    """The least error that all queries that count people reach with the spec's own ε.

    Attributes:
        asked: their ids, in the program's order.
        error: the least of three digits.
        now: what the spec gives as it is written; None if there is no plan for it.
        found: with that error as the target of all.
    """

    asked: tuple[str, ...]
    error: ErrorTarget
    now: Enough | None
    found: Enough

    @property
    def lines(self) -> tuple[str, ...]:
        """The statements that ask for it."""
        queries = self.found.plan.program.queries
        return tuple(query.statement for query in queries if query.id in self.asked)


def least_common(program: Program, unit: Literal["percent", "people"]) -> Common:
    """The least error, in percent or in people, of every query that counts people.

    A query that the spec asks a stricter error of keeps that.  Others, moments for example, stay at
    least as exact as they are.

    Raises:
        SecgenError: SG220 no query counts people, or a percentage without a bound on people; SG313
            what is left for moments is never enough; what planning the spec reports, if there is
            no plan.
    """
    every = Target("", ErrorTarget(unit=unit, value=Fraction(1)))
    tables = _tables(program, every)
    _check_percentage(program, every)
    now = _tried(program)
    asked = tuple(table.id for table in tables)
    others = {} if now is None else _errors_of_others(now.predictions, dict.fromkeys(asked, 0.0))
    found: dict[Fraction, Enough] = {}

    def does(value: Fraction) -> bool:
        error = ErrorTarget(unit=unit, value=value)
        limits = {table.id: _people(program, table, error) for table in tables}
        tried = _tried(_with_targets(program, tables, error))
        if tried is None or not reaches(tried.predictions, limits | others):
            return False
        found[value] = tried
        return True

    grid = rising(_DIGITS, _GREATEST_ERROR)
    place = first(grid, does)
    if place == len(grid):
        plan_program(program)  # tells why, if there is no plan at all
        raise fail(
            "SG313",
            "no error that all queries have in common leaves the moments as exact as they are",
            place="measure",
            next_step="give the moments a share of the budget, for example: share 50%",
        )
    least = grid[place]
    return Common(asked, ErrorTarget(unit=unit, value=least), now, found[least])


def answer(program: Program, target: Target) -> Answer:
    """The least ε that reaches a target, as written and divided.

    Raises:
        SecgenError: SG205 no query of that name; SG220 it does not count people, or a percentage
            without a bound on people; SG313 no ε that the language allows reaches the target; what
            planning with the greatest ε reports.
    """
    tables = _tables(program, target)
    _check_percentage(program, target)
    asked = tuple(table.id for table in tables)
    limits = {table.id: _people(program, table, target.error) for table in tables}
    now = _tried(program)
    as_written = _least(program, rising(_DIGITS), lambda found: reaches(found, limits))
    divided = None
    if not (target.query and now is not None and reaches(now.predictions, limits)):
        others = {} if now is None else _errors_of_others(now.predictions, limits)
        most = as_written.epsilon if as_written is not None else GREATEST_EPSILON
        divided = _least(
            _with_targets(program, tables, target.error),
            [epsilon for epsilon in rising(_DIGITS) if epsilon <= most],
            lambda found: reaches(found, limits) and reaches(found, others),
        )
    if as_written is None and divided is None:
        raise _unreachable(program, target, limits)
    return Answer(asked, now, as_written, divided)


def reaches(predictions: Sequence[Prediction], limits: dict[str, float]) -> bool:
    """Whether no query's error is above its limit, in the unit of the query's values."""
    return all(
        prediction.standard_error <= limits[prediction.query.id] * (1 + _ROUNDING)
        for prediction in predictions
        if prediction.query.id in limits
    )


def _least(
    program: Program, grid: Sequence[Fraction], holds: Callable[[Sequence[Prediction]], bool]
) -> Enough | None:
    """The least budget of a grid that does it, as far as bisection and steps of a quarter tell.

    With more budget the plan may measure tables in another way, and an error may rise: below what
    bisection finds, budgets down to a quarter of it are tried as well.
    """
    found: dict[Fraction, Enough] = {}

    def does(epsilon: Fraction) -> bool:
        tried = _tried(with_epsilon(program, epsilon))
        if tried is None or not holds(tried.predictions):
            return False
        found[epsilon] = tried
        return True

    place = first(grid, does)
    bound = grid[place] if place < len(grid) else grid[-1]
    below = Fraction(0)
    for epsilon in in_quarters(bound / 4, bound):
        if epsilon < bound and does(epsilon):
            between = [number for number in grid if below < number <= epsilon]
            return found[between[first(between, does)]]
        below = epsilon
    return found[grid[place]] if place < len(grid) else None


def _tried(program: Program) -> Enough | None:
    """The plan with the program's budget; None if there is none."""
    try:
        plan = plan_program(program)
    except (SecgenError, ValueError):
        return None
    return Enough(program.privacy.epsilon, plan, predict(plan))


def _tables(program: Program, target: Target) -> list[Table]:
    """The queries that a target is asked of."""
    tables = [query for query in program.queries if not isinstance(query, Moments)]
    if not target.query:
        if not tables:
            raise fail(
                "SG220",
                "no query of the spec counts people, so there is no error of a cell to ask for",
                place="--target",
                next_step="ask for it of a spec that measures marginals",
            )
        return tables
    name = _spaceless(target.query)
    for query in program.queries:
        if _spaceless(query.id) == name:
            if isinstance(query, Moments):
                raise fail(
                    "SG220",
                    f'"{query.id}" asks for moments, and they have no error of a cell',
                    place="--target",
                    next_step="name a marginal; the share of moments sets how exact they are",
                )
            return [query]
    names = {_spaceless(query.id): query.id for query in program.queries}
    close = nearest(name, names)
    raise fail(
        "SG205",
        f'no query of the spec is called "{target.query}"',
        place="--target",
        next_step=close or f"the queries are {', '.join(list(names.values())[:5])}",
    )


def _spaceless(name: str) -> str:
    return "*".join(part.strip() for part in name.split("*"))


def _check_percentage(program: Program, target: Target) -> None:
    if target.error.unit == "percent" and program.person.people_bound is None:
        raise fail(
            "SG220",
            "a percentage needs a public number of people that it is of, and `person` states none",
            place="--target",
            next_step="add to `person`: at most 1000 people in all; or ask for: error 12 people",
        )


def _people(program: Program, table: Table, error: ErrorTarget) -> float:
    """The target in people: a percentage is of the bound on people ÷ label cells."""
    if error.unit == "people":
        return float(error.value)
    people = program.person.people_bound or 0
    return float(error.value / 100 * Fraction(people, program.label_cells(table)))


def _errors_of_others(
    predictions: Sequence[Prediction], limits: dict[str, float]
) -> dict[str, float]:
    """What the other queries, and the sums that serve them, have now."""
    return {
        prediction.query.id: prediction.standard_error
        for prediction in predictions
        if prediction.query.id not in limits
        and (prediction.asked or _served(prediction.query, limits))
    }


def _served(query: Query, limits: dict[str, float]) -> bool:
    """Whether it is a sum that serves a query without limit."""
    return isinstance(query, VectorSum | SecondMoment) and query.serves not in limits


def _with_targets(program: Program, tables: Sequence[Table], error: ErrorTarget) -> Program:
    """The program with the target in place of weights, shares and other targets.

    A query's own target stays where it is the stricter one.
    """
    asked = {table.id for table in tables}

    def changed(query: Asked) -> Asked:
        if query.id not in asked or isinstance(query, Moments):
            return query
        own = query.importance.error
        strict = error
        if own is not None and _people(program, query, own) <= _people(program, query, error):
            strict = own
        importance = Importance(weight=Fraction(1), share=None, error=strict)
        other: Table = query.model_copy(update={"importance": importance})
        return other.model_copy(update={"statement": canonical_statement(other)})

    queries = tuple(changed(query) for query in program.queries)
    return program.model_copy(update={"queries": queries})


def _unreachable(program: Program, target: Target, limits: dict[str, float]) -> SecgenError:
    """SG313: what the greatest ε gives."""
    predictions = predict(plan_program(with_epsilon(program, GREATEST_EPSILON)))
    worst = max(
        (prediction for prediction in predictions if prediction.query.id in limits),
        key=lambda prediction: prediction.standard_error / limits[prediction.query.id],
    )
    reached = f"±{worst.standard_error:.3g} people"
    if worst.relative_error is not None:
        reached += f" ({100 * worst.relative_error:.3g}%)"
    return fail(
        "SG313",
        f'no epsilon reaches error {error_text(target.error)} of a cell of "{worst.query.id}": '
        f"with epsilon {decimal_text(GREATEST_EPSILON)}, the greatest, it has {reached}",
        place=worst.query.statement,
        next_step="ask for a greater error: each party adds the noise of a few people at least, "
        "whatever epsilon is",
    )
