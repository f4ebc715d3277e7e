"""Two figures of the parties: who holds what, and what crosses each wall."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from secgen_dsl.describe.catalogue import Catalogue, given
from secgen_dsl.describe.document import Figure, Table, Text, plain
from secgen_dsl.describe.figures.drawing import (
    FILL_1,
    SMALL,
    STROKE,
    STROKE_1,
    STROKE_SOFT,
    WIDTH,
    Tracer,
    arrow_head,
    box,
    cell,
    hatched,
    length,
    named,
    path,
    picture,
    text,
    wrapped,
)
from secgen_dsl.describe.subject import Message, Subject

_BOLD = 'font-weight="bold"'
_MIDDLE = 'text-anchor="middle"'
_SMALL = f'font-size="{SMALL}"'

# -- who holds what ------------------------------------------------------------------------------

_HOLDS = "figure-who-holds"
_COLUMNS, _GAP = 3, 15
_CARD = (WIDTH - 2 - (_COLUMNS - 1) * _GAP) / _COLUMNS
_MOST_CARDS = 12
_LINE = 15
_INSET = 14
_ICON = 20  # room for the sign before a line


def who_holds(subject: Subject, say: Catalogue, trace: Tracer) -> Figure:
    """A box for each party: patients' rows behind a wall, shares and totals after the run."""
    plan = subject.plan
    silos, helpers = len(plan.program.silos), len(plan.program.helpers)
    values = say.integer(sum(release.opened for release in plan.releases()))
    key = "figures.who_holds.helpers"
    others = say.count(key, helpers) if helpers else say(f"{key}.none")
    about = say(
        "figures.who_holds.about",
        silos=say.count("figures.who_holds.silos", silos, helpers=others),
        tolerated=say.count("figures.who_holds.tolerated", plan.threshold),
        values=values,
    )
    title = say("figures.who_holds.title")
    elements: list[str] = []
    bottom = _cards(subject, say, elements)
    lines = wrapped(say.words("figures.who_holds.all", values=values), WIDTH - 60)
    height = bottom + 26 + _LINE * len(lines)
    elements.append(box(1, bottom, WIDTH - 2, height - bottom - 2, f'fill="none" {STROKE_1}'))
    elements.append(box(_INSET, bottom + 12, 11, 11, FILL_1))
    elements += [
        text(_INSET + _ICON, bottom + 22 + _LINE * number, line)
        for number, line in enumerate(lines)
    ]
    return Figure(
        id=_HOLDS,
        title=title,
        description=about,
        svg=picture(_HOLDS, height, plain(title), plain(about), say.language, elements),
        table=_holdings(subject, say, trace),
    )


def _cards(subject: Subject, say: Catalogue, elements: list[str]) -> float:
    """Draws the boxes; returns where the next thing begins."""
    parties, silos = subject.plan.parties, len(subject.plan.program.silos)
    titles = (*subject.study.silo_titles, *subject.study.helper_titles)
    shown = len(parties) if len(parties) <= _MOST_CARDS else _MOST_CARDS - 1
    cards = [
        _Card(parties[place], titles[place], say, silo=place < silos) for place in range(shown)
    ]
    top = 1.0
    for start in range(0, shown, _COLUMNS):
        row = cards[start : start + _COLUMNS]
        height = max(card.height for card in row)
        for number, card in enumerate(row):
            elements += card.elements(1 + number * (_CARD + _GAP), top, height)
        top += height + _GAP
    if shown < len(parties):
        more = say.words("figures.more", number=say.integer(len(parties) - shown))
        elements.append(text(WIDTH - _INSET, top + 4, more, f'{_BOLD} text-anchor="end"'))
        top += 20
    return top


class _Card:
    """The box of one party."""

    def __init__(self, name: str, title: str, say: Catalogue, *, silo: bool) -> None:
        room = _CARD - 2 * _INSET
        self._silo = silo
        self._name = named(name, room - 10)
        self._title = named(title, room, SMALL)
        behind = say.words(f"figures.who_holds.{'stay' if silo else 'none'}")
        self._behind = wrapped(behind, room - 16, SMALL)
        own = say.words(f"figures.who_holds.{'own' if silo else 'noise'}")
        self._after = [
            (sign, wrapped(words, room - _ICON, SMALL))
            for sign, words in (
                ("own", own),
                ("shares", say.words("figures.who_holds.shares")),
                ("totals", say.words("figures.who_holds.totals")),
            )
        ]
        lines = sum(len(lines) for _, lines in self._after)
        self.height = 58 + _LINE * len(self._behind) + 20 + _LINE * lines + 12

    def elements(self, x: float, y: float, height: float) -> Iterator[str]:
        wall = "" if self._silo else ' stroke-dasharray="6 4"'
        yield box(x, y, _CARD, height, f'fill="none" {STROKE} stroke-width="1"{wall}')
        yield text(x + _INSET, y + 22, self._name, _BOLD)
        yield text(x + _INSET, y + 38, self._title, _SMALL)
        y += 48
        inner, room = _LINE * len(self._behind) + 12, _CARD - 2 * _INSET
        if self._silo:  # the wall: thick, and drawn twice
            yield box(x + _INSET, y, room, inner, f'fill="none" {STROKE} stroke-width="3"')
            yield box(x + _INSET + 4, y + 4, room - 8, inner - 8, f'fill="none" {STROKE}')
        for line in self._behind:
            yield text(x + _INSET + 10, y + 17.5, line, _SMALL)
            y += _LINE
        y += 12 + 22
        for sign, lines in self._after:
            yield self._sign(sign, x + _INSET, y - 10)
            for line in lines:
                yield text(x + _INSET + _ICON, y, line, _SMALL)
                y += _LINE

    def _sign(self, sign: str, x: float, y: float) -> str:
        fill = {"own": 'fill="none"', "shares": hatched(_HOLDS), "totals": FILL_1}[sign]
        edge = "" if sign == "totals" else f" {STROKE_1}"
        return box(x, y, 11, 11, fill + edge)


def _holdings(subject: Subject, say: Catalogue, trace: Tracer) -> Table:
    plan = subject.plan
    others = len(plan.parties) - 1
    opened = sum(release.opened for release in plan.releases())
    values = trace("plan: rounds[].releases[].opened", say("figures.who_holds.formula_values"))
    shares = trace(
        "plan: rounds[].releases[].opened, parties",
        say("figures.who_holds.formula_shares", others=say.integer(others)),
    )
    number = cell(say.integer(opened), values)
    rows = []
    for place, name in enumerate(plan.parties):
        silo = place < len(plan.program.silos)
        rows.append(
            (
                (given(name),),
                say(f"figures.who_holds.{'rows_own' if silo else 'rows_none'}"),
                number if silo else say("figures.who_holds.own_noise", number=number),
                cell(say.integer(others * opened), shares),
                number,
            )
        )
    columns = ("party", "rows", "own_column", "shares_column", "totals_column")
    return Table(
        id=f"{_HOLDS}-table",
        caption=say("figures.who_holds.caption"),
        columns=tuple(say(f"figures.who_holds.{column}") for column in columns),
        rows=tuple(rows),
        numeric=(2, 3, 4),
    )


# -- what crosses each wall ----------------------------------------------------------------------

_CROSSING = "figure-crossing"
_FIRST, _LAST = 262.0, 590.0  # middles of the outer columns
_MOST_COLUMNS = 5
_HALF = 9  # of a column's width
_STEP = 30
_HEAD = 64

_LINES = {
    "share": f'{STROKE_1} stroke-width="2.5" stroke-dasharray="7 4"',
    "opening": f'{STROKE_1} stroke-width="2.5"',
}
_HEADS = {"share": FILL_1, "opening": FILL_1}


def crossing(subject: Subject, say: Catalogue, trace: Tracer) -> Figure:
    """A sequence diagram of all messages, in order, with their sizes in bytes."""
    messages = subject.messages
    title = say("figures.crossing.title")
    about = say(
        "figures.crossing.about",
        steps=say.integer(max((message.step for message in messages), default=0)),
    )
    columns = _columns(subject.plan.parties)
    below = [
        line
        for key in ("note", "inside")
        for line in wrapped(say.words(f"figures.crossing.{key}"), WIDTH - 4, SMALL)
    ]
    bottom = _HEAD + 24 + _STEP * len(messages)
    elements = list(_lifelines(subject, columns, bottom))
    for number, message in enumerate(messages):
        elements += _row(message, _HEAD + 26 + _STEP * number, columns, say)
    elements += [
        text(2, bottom + 24 + 16 * number, line, _SMALL) for number, line in enumerate(below)
    ]
    height = bottom + 24 + 16 * len(below)
    return Figure(
        id=_CROSSING,
        title=title,
        description=about,
        svg=picture(_CROSSING, height, plain(title), plain(about), say.language, elements),
        table=_messages(subject, say, trace),
    )


def _columns(parties: Sequence[str]) -> list[tuple[float, int | None]]:
    """The middle of each column and its party; None: those that are left out."""
    places: list[int | None] = list(range(len(parties)))
    if len(parties) > _MOST_COLUMNS:
        places = [0, 1, 2, None, len(parties) - 1]
    gap = (_LAST - _FIRST) / (len(places) - 1)
    return [(_FIRST + gap * number, place) for number, place in enumerate(places)]


def _lifelines(
    subject: Subject, columns: Sequence[tuple[float, int | None]], bottom: float
) -> Iterator[str]:
    silos = len(subject.plan.program.silos)
    room = columns[1][0] - columns[0][0] - 6
    names = [subject.plan.parties[place] for _, place in columns if place is not None]
    # Neighbours at different heights have room for longer names.
    staggered = any(length(name) > room for name in names)
    for number, (x, place) in enumerate(columns):
        if place is None:
            yield text(x, _HEAD - 8, "…", f'{_MIDDLE} {_BOLD} font-size="18"')
            yield path([(x, _HEAD), (x, bottom)], f'{STROKE} stroke-dasharray="1 5"')
            continue
        name = named(subject.plan.parties[place], 2 * room if staggered else room)
        high = staggered and number % 2 == 1
        yield text(x, _HEAD - (26 if high else 8), name, f"{_MIDDLE} {_BOLD}")
        if place < silos:
            edge = f'{STROKE} stroke-width="3"'
            yield box(x - _HALF, _HEAD, 2 * _HALF, bottom - _HEAD, f'fill="none" {edge}')
        else:
            edge = f'{STROKE} stroke-width="1.5" stroke-dasharray="6 4"'
            yield box(x - _HALF, _HEAD, 2 * _HALF, bottom - _HEAD, f'fill="none" {edge}')


def _row(
    message: Message, y: float, columns: Sequence[tuple[float, int | None]], say: Catalogue
) -> Iterator[str]:
    line = _LINES.get(message.kind, f'{STROKE} stroke-width="1.2"')
    head = _HEADS.get(message.kind, 'fill="currentColor"')
    yield text(2, y + 4, _step(message, say), _BOLD if message.kind in _LINES else "")
    for (left, _), (right, _) in pairwise(columns):
        start, end = left + _HALF + 3, right - _HALF - 3
        yield path([(start + 6, y), (end - 6, y)], line)
        yield arrow_head(end, y, 1, head)
        yield arrow_head(start, y, -1, head)
    size = say.words("figures.crossing.size", size=say.integer(message.size))
    yield text(WIDTH - 2, y + 4, size, 'text-anchor="end"')
    yield path([(2, y + 15), (_FIRST - _HALF - 8, y + 15)], f'{STROKE_SOFT} stroke-width="0.6"')


def _step(message: Message, say: Catalogue) -> str:
    return say.words(
        f"figures.crossing.{'step_round' if message.round else 'step'}",
        step=say.integer(message.step),
        kind=say(f"figures.crossing.kinds.{message.kind}"),
        round=say.integer(message.round),
    )


def _messages(subject: Subject, say: Catalogue, trace: Tracer) -> Table:
    others = len(subject.plan.parties) - 1
    field = "plan: rounds[].releases[].opened, parties"
    one = trace(field, say("figures.crossing.formula"))
    every = trace(field, say("figures.crossing.formula_all", others=say.integer(others)))

    def sizes(size: int) -> tuple[Text, Text]:
        return cell(say.integer(size), one), cell(say.integer(others * size), every)

    rows = [
        (
            say(
                "figures.crossing.step_round" if message.round else "figures.crossing.step",
                step=say.integer(message.step),
                kind=say(f"figures.crossing.kinds.{message.kind}"),
                round=say.integer(message.round),
            ),
            say(f"figures.crossing.carries.{message.kind}"),
            *sizes(message.size),
        )
        for message in subject.messages
    ]
    together = sum(message.size for message in subject.messages)
    rows.append((say("figures.crossing.total"), (), *sizes(together)))
    columns = ("column_message", "column_carries", "column_one", "column_all")
    return Table(
        id=f"{_CROSSING}-table",
        caption=say("figures.crossing.caption"),
        columns=tuple(say(f"figures.crossing.{column}") for column in columns),
        rows=tuple(rows),
        numeric=(2, 3),
    )
