"""Two figures of the queries: how they share the budget, and how exact they will be."""

from collections.abc import Iterator
from dataclasses import dataclass

from secgen_dsl.describe.catalogue import Catalogue, given
from secgen_dsl.describe.document import Figure, Table, Text, plain
from secgen_dsl.describe.figures.drawing import (
    FILL_1,
    FILL_2,
    SIZE,
    SMALL,
    STROKE,
    STROKE_1,
    STROKE_SOFT,
    WIDTH,
    LogAxis,
    Tracer,
    box,
    cell,
    hatched,
    length,
    named,
    path,
    picture,
    short_number,
    steps,
    text,
)
from secgen_dsl.describe.measured import content_of_sum
from secgen_dsl.describe.subject import Subject
from secgen_dsl.planner.predict import Prediction, predict

_MOST_ROWS = 20
"""Of a figure; more are put together in the last one."""

_MOST_LINES = 200
"""Of a table."""

_ROW = 37
_SMALL = f'font-size="{SMALL}"'

# -- the budget ----------------------------------------------------------------------------------

_BUDGET = "figure-budget"
_LONGEST = WIDTH - 110  # of a bar: what remains is for its figure


def budget(subject: Subject, say: Catalogue, trace: Tracer) -> Figure:
    """Bars: what each query spends of μ², or of ε where noise is Laplace; the greatest first."""
    kind = subject.plan.program.privacy.mechanism
    spent = sorted(predict(subject.plan), key=lambda each: -each.budget_share)
    shares = [each.budget_share for each in spent]
    title = say("figures.budget.title")
    about = say.count(
        "figures.budget.about",
        len(spent),
        of=say(f"figures.budget.of_{kind}"),
        first=given(spent[0].query.statement),
        share=_share(shares[0], say),
    )
    shown = spent if len(spent) <= _MOST_ROWS else spent[: _MOST_ROWS - 1]
    elements = [text(1, 14, say.words(f"figures.budget.axis_{kind}"), _SMALL)]
    top, scale = 26.0, _LONGEST / max(*shares, sum(shares[len(shown) :]))
    for number, each in enumerate(shown):
        name = named(each.query.statement, WIDTH - 2)
        fill = FILL_1 if each.asked else hatched(_BUDGET)
        elements += _bar(top + number * _ROW, name, each.budget_share, scale, fill, say)
    rest = len(spent) - len(shown)
    if rest:
        name = plain(say.count("figures.rest", rest))
        share = sum(shares[len(shown) :])
        elements += _bar(top + len(shown) * _ROW, name, share, scale, hatched(_BUDGET), say)
    height = top + _ROW * (len(shown) + bool(rest)) + 4
    if rest or not all(each.asked for each in shown):
        height += 18
        elements.append(text(1, height - 8, say.words("figures.budget.hatched"), _SMALL))
    return Figure(
        id=_BUDGET,
        title=title,
        description=about,
        svg=picture(_BUDGET, height, plain(title), plain(about), say.language, elements),
        table=_budget_table(spent, kind, say, trace),
    )


def _bar(
    y: float, name: str, share: float, scale: float, fill: str, say: Catalogue
) -> Iterator[str]:
    width = max(share * scale, 1)
    yield text(1, y + 10, name)
    yield box(1, y + 16, width, 13, f'{fill} stroke="none"')
    yield box(1, y + 16, width, 13, f'fill="none" {STROKE_1}')
    yield text(width + 9, y + 27, plain(_share(share, say)))


def _share(share: float, say: Catalogue) -> Text:
    """A percentage; what is not nothing is not shown as nothing."""
    if 0 < share < 0.0005:
        return say("figures.under", share=say.percent(0.001))
    return cell(say.percent(share, 1 if share < 10 else 0))


def _budget_table(spent: list[Prediction], kind: str, say: Catalogue, trace: Tracer) -> Table:
    number = trace(
        "plan: rounds[].releases[].noise",
        say(f"figures.budget.formula_{kind}"),
    )

    def share_cell(share: float) -> Text:
        return cell(plain(_share(share, say)), number)

    shown = spent if len(spent) <= _MOST_LINES else spent[: _MOST_LINES - 1]
    rows: list[tuple[Text, ...]] = []
    for each in shown:
        name: Text = (given(each.query.statement),)
        if not each.asked:
            name = say("figures.budget.added", query=name)
        rows.append((name, share_cell(each.budget_share)))
    if len(shown) < len(spent):
        share = sum(each.budget_share for each in spent[len(shown) :])
        rows.append((say.count("figures.rest", len(spent) - len(shown)), share_cell(share)))
    return Table(
        id=f"{_BUDGET}-table",
        caption=say("figures.budget.caption"),
        columns=(say("figures.budget.column_query"), say("figures.budget.column_share")),
        rows=tuple(rows),
        numeric=(1,),
    )


# -- errors --------------------------------------------------------------------------------------

_ERRORS = "figure-errors"
_START = 18  # of the axis
_SMALLEST = 0.01  # tick with all its digits
BAD = 0.5
"""A standard error of more than half of the people in a cell."""


@dataclass(frozen=True)
class _Answer:
    """A cell of a query, and how exact it will be.

    Attributes:
        statement: of the query.
        label: for example ``subtype MSI``; empty: people spread evenly, or without a bound any.
        people: in the cell; None without a stated bound.
        error: one standard error, in people.
        relative: of the people; None without a stated bound.
    """

    statement: str
    label: str
    people: float | None
    error: float
    relative: float | None

    @property
    def large(self) -> bool:
        return self.relative is not None and self.relative > BAD

    @property
    def shown(self) -> float:
        """In percent, or in people where no bound is stated."""
        return self.error if self.relative is None else 100 * self.relative


def errors(subject: Subject, say: Catalogue, trace: Tracer) -> Figure:
    """Dots: the predicted error of a cell of each query, and of values that are expected."""
    predictions = predict(subject.plan)
    answers = sorted(_answers(subject, predictions), key=lambda each: -each.shown)
    title = say("figures.errors.title")
    unit = "people" if subject.plan.program.person.people_bound is None else "percent"
    about = say("figures.errors.about_empty")
    if answers:
        about = say(
            "figures.errors.about",
            unit=say(f"figures.errors.unit_{unit}"),
            large=_how_many_large(answers, say),
            first=given(answers[0].statement),
            error=_error(answers[0], say),
        )
        height, elements = _dots(answers, unit, say)
    else:
        height, elements = 30, [text(1, 20, say.words("figures.errors.empty"))]
    sums = [each for each in predictions if content_of_sum(each.query)]
    return Figure(
        id=_ERRORS,
        title=title,
        description=about,
        svg=picture(_ERRORS, height, plain(title), plain(about), say.language, elements),
        table=_errors_table(answers, sums, say, trace),
    )


def _answers(subject: Subject, predictions: tuple[Prediction, ...]) -> Iterator[_Answer]:
    program = subject.plan.program
    bound = program.person.people_bound
    for each in predictions:
        if content_of_sum(each.query):
            continue
        statement, error = each.query.statement, each.standard_error
        people = None if bound is None else bound / program.label_cells(each.query)
        yield _Answer(statement, "", people, error, each.relative_error)
        for one in each.expected:
            yield _Answer(statement, one.label, one.people, error, one.relative_error)


def _how_many_large(answers: list[_Answer], say: Catalogue) -> Text:
    large = sum(each.large for each in answers)
    if answers[0].relative is None:
        return ()
    return say.count("figures.errors.large", large) if large else say("figures.errors.large.none")


def _error(answer: _Answer, say: Catalogue) -> str:
    if answer.relative is not None:
        return plain(_share(answer.relative, say))
    return say.words("figures.errors.people", number=say.short(answer.error))


def _dots(answers: list[_Answer], unit: str, say: Catalogue) -> tuple[float, list[str]]:
    """The height of the picture, and what is in it."""
    shown = answers if len(answers) <= _MOST_ROWS else answers[: _MOST_ROWS - 1]
    values = [each.shown for each in answers] + ([100 * BAD] if unit == "percent" else [])
    over = say.words("figures.errors.over")
    right = WIDTH - 30 - length(f"{_error(answers[0], say)}, {over}", SIZE)
    axis = LogAxis(values, _START, right, whole=True)
    top = 24.0
    bottom = top + _ROW * len(answers[:_MOST_ROWS]) + 6
    elements = [text(1, 14, say.words(f"figures.errors.axis_{unit}"), _SMALL)]
    for tick in axis.ticks(most=1500):
        place = axis.place(tick)
        elements.append(path([(place, bottom), (place, bottom + 5)], STROKE))
        words = say.decimal(short_number(tick) if tick >= _SMALLEST else f"{tick:.0e}")
        if unit == "percent":
            words = say.percent_sign(words)
        elements.append(text(place, bottom + 19, words, f'{_SMALL} text-anchor="middle"'))
    elements.append(path([(_START, bottom), (right, bottom)], STROKE))
    for number, each in enumerate(shown):
        elements += _dot(each, top + _ROW * number, axis, say)
    if len(shown) < len(answers):
        rest = answers[len(shown) :]
        error = _error(rest[0], say)
        further = say.count("figures.errors.rest", len(rest), error=error)
        y = top + _ROW * len(shown)
        ends = [(axis.place(rest[-1].shown), y + 25), (axis.place(rest[0].shown), y + 25)]
        elements.append(text(1, y + 12, plain(further)))
        elements.append(path(ends, f'{STROKE_1} stroke-width="5" stroke-linecap="round"'))
    if unit == "people":
        return bottom + 28, elements
    legend = say.words("figures.errors.legend")
    if answers[0].large:
        elements.append(_triangle(_START, bottom + 38))
    elements.append(text(_START + 14, bottom + 42, legend, _SMALL))
    return bottom + 52, elements


def _dot(answer: _Answer, y: float, axis: LogAxis, say: Catalogue) -> Iterator[str]:
    middle, place = y + 25, axis.place(answer.shown)
    words = _cell_words(answer, say)
    room = WIDTH - 4 - length(words, SMALL) - 16
    yield text(1, y + 12, named(answer.statement, room))
    yield text(WIDTH - 2, y + 12, words, f'{_SMALL} text-anchor="end"')
    yield path([(_START, middle), (place, middle)], f'{STROKE_SOFT} stroke-width="1.5"')
    error, weight = _error(answer, say), ""
    if answer.large:
        yield _triangle(place, middle)
        error = f"{error}, {say.words('figures.errors.over')}"
        weight = ' font-weight="bold"'
    else:
        yield f'<circle cx="{place:.1f}" cy="{middle:.1f}" r="5" {FILL_1}/>'
    if answer.relative is not None:
        limit, end = axis.place(100 * BAD), place + 20 + length(error, SMALL)
        if not place - 8 < limit < end:  # it would cross the figure
            yield path([(limit, middle - 6), (limit, middle + 6)], f'{STROKE} stroke-width="1.5"')
    yield text(place + 12, middle + 4, error, f"{_SMALL}{weight}")


def _triangle(x: float, y: float) -> str:
    corners = [(x - 7, y + 6), (x, y - 7), (x + 7, y + 6)]
    return f'<path d="{steps(corners)} Z" {FILL_2}/>'


def _cell_words(answer: _Answer, say: Catalogue) -> str:
    if answer.people is None:
        return say.words("figures.errors.whole")
    label = named(answer.label, 200, SMALL) if answer.label else say.words("figures.errors.even")
    people = say.short(answer.people)
    return say.words("figures.errors.expected", label=label, people=people)


def _errors_table(
    answers: list[_Answer], sums: list[Prediction], say: Catalogue, trace: Tracer
) -> Table:
    releases = "plan: rounds[].releases[].noise, parties"
    error = trace(releases, say("figures.errors.formula_error"))
    known = bool(answers) and answers[0].people is not None
    relative = people = 0
    if known:
        bound = "plan: program.person.people_bound, program.expectations"
        people = trace(bound, say("figures.errors.formula_people"))
        relative = trace(f"{releases}; {bound}", say("figures.errors.formula_relative"))
    room = _MOST_LINES - len(sums)
    shown = answers if len(answers) <= room else answers[: max(room - 1, 0)]
    rows: list[tuple[Text, ...]] = []
    for each in shown:
        row = (
            (given(each.statement),),
            (given(each.label),) if each.label else say(f"figures.errors.{_kind(each)}"),
        )
        error_cell = cell(say.words("figures.errors.people", number=say.short(each.error)), error)
        if each.people is None or each.relative is None:
            unknown = say("figures.errors.unknown")
            rows.append((*row, unknown, error_cell, unknown))
            continue
        share = cell(_error(each, say), relative)
        if each.large:
            share = say("figures.errors.relative_large", error=share)
        rows.append((*row, cell(say.short(each.people), people), error_cell, share))
    if len(shown) < len(answers):
        words = say.count("figures.errors.further", len(answers) - len(shown))
        rows.append((words, (), (), (), ()))
    for one in sums[: _MOST_LINES - len(rows)]:
        unit = say(f"figures.errors.units.{content_of_sum(one.query).replace(' ', '_')}")
        value = cell(say.short(one.standard_error), error)
        rows.append(
            (
                (given(one.query.statement),),
                say("figures.errors.sum"),
                (),
                say("figures.errors.in_unit", number=value, unit=unit),
                (),
            )
        )
    columns = ("query", "cell", "people", "error", "relative")
    return Table(
        id=f"{_ERRORS}-table",
        caption=say("figures.errors.caption"),
        columns=tuple(say(f"figures.errors.column_{column}") for column in columns),
        rows=tuple(rows),
        numeric=(2, 3, 4),
    )


def _kind(answer: _Answer) -> str:
    return "whole" if answer.people is None else "even"
