"""The figure of the trade-off curve: what the best test of anybody's presence can reach."""

from collections.abc import Generator, Iterator, Sequence
from math import ceil, exp

from secgen_dsl.describe.catalogue import Catalogue
from secgen_dsl.describe.document import Figure, Table, plain
from secgen_dsl.describe.figures.drawing import (
    FILL_2,
    SMALL,
    STROKE,
    STROKE_1,
    STROKE_SOFT,
    WIDTH,
    Tracer,
    cell,
    path,
    picture,
    steps,
    text,
    wrapped,
)
from secgen_dsl.describe.odds import allowed, flagged
from secgen_dsl.describe.subject import Subject
from secgen_dsl.ir.program import Privacy, decimal_text
from secgen_dsl.privacy.bound import compose

FALSE_ALARMS = (0.001, 0.01, 0.1)
"""Shares of others that a test wrongly flags: those of the table."""

_NAME = "figure-trade-off"
_LEFT, _TOP, _SIDE = 62.0, 26.0, 380.0
_WORDS = _LEFT + _SIDE + 28  # the words beside the picture begin here
_SMALL = f'font-size="{SMALL}"'
_GRID = (
    *(number / 10000 for number in (0, 5, 10, 20, 35, 50, 75, 100, 150, 200, 300, 400)),
    *(number / 100 for number in range(5, 101)),
)


def trade_off(subject: Subject, say: Catalogue, trace: Tracer) -> Figure:
    """The certified trade-off curve; guessing and the bare promise beside it.

    Nobody's test lies above the curve: it follows from the whole certified privacy curve
    (``odds.flagged``), against up to t colluding parties.
    """
    privacy = subject.plan.program.privacy
    every = flagged(compose(subject.plan), (*FALSE_ALARMS, *_GRID))
    points, curve = every[: len(FALSE_ALARMS)], every[len(FALSE_ALARMS) :]
    words = [
        say.words(
            "figures.trade_off.point", false_alarms=_rare(share, say), flagged=_most(most, say)
        )
        for share, most in zip(FALSE_ALARMS, points, strict=True)
    ]
    title = say("figures.trade_off.title")
    epsilon = say.decimal(decimal_text(privacy.epsilon))
    about = say("figures.trade_off.about", points=" ".join(words), epsilon=epsilon)
    elements = [
        *_axes(say),
        *_lines(curve, privacy),
        *_marks(points),
        *_legend(points, privacy, say),
    ]
    height = _TOP + _SIDE + 48
    return Figure(
        id=_NAME,
        title=title,
        description=about,
        svg=picture(_NAME, height, plain(title), plain(about), say.language, elements),
        table=_table(points, privacy, say, trace),
    )


def _at(across: float, up: float) -> tuple[float, float]:
    return _LEFT + _SIDE * across, _TOP + _SIDE * (1 - up)


def _axes(say: Catalogue) -> Iterator[str]:
    for tick in range(0, 101, 20):
        share, words = tick / 100, say.percent(tick / 100, 0)
        (x, bottom), (left, y) = _at(share, 0), _at(0, share)
        yield path([(left, y), (left + _SIDE, y)], f'{STROKE_SOFT} stroke-width="0.6"')
        yield path([(x, bottom), (x, bottom + 5)], STROKE)
        yield text(left - 8, y + 4, words, f'{_SMALL} text-anchor="end"')
        yield text(x, bottom + 19, words, f'{_SMALL} text-anchor="middle"')
    yield path([_at(0, 1), _at(0, 0), _at(1, 0)], STROKE)
    middle, bottom = _at(0.5, 0)
    yield text(middle, bottom + 38, say.words("figures.trade_off.across"), 'text-anchor="middle"')
    yield text(_LEFT - 60, _TOP - 12, say.words("figures.trade_off.up"))


_LINES = {
    "curve": f'{STROKE_1} stroke-width="2.5" stroke-linejoin="round"',
    "promise": f'{STROKE} stroke-width="1.5" stroke-dasharray="7 4"',
    "guessing": f'{STROKE} stroke-width="1.2" stroke-dasharray="1.5 4"',
}


def _lines(curve: Sequence[float], privacy: Privacy) -> Iterator[str]:
    epsilon, delta = float(privacy.epsilon), float(privacy.delta)
    kink = (1 - delta) / (1 + exp(min(epsilon, 700.0)))
    yield path([_at(0, 0), _at(1, 1)], _LINES["guessing"])
    bare = [_at(share, allowed(epsilon, delta, share)) for share in (0.0, kink, 1.0)]
    yield path(bare, _LINES["promise"])
    yield path([_at(x, y) for x, y in zip(_GRID, curve, strict=True)], _LINES["curve"])


def _marks(points: Sequence[float]) -> Iterator[str]:
    for number, (share, most) in enumerate(zip(FALSE_ALARMS, points, strict=True)):
        yield _mark(number, *_at(share, most))


def _mark(number: int, x: float, y: float) -> str:
    """A sign for each of the points: a triangle, a square, a circle."""
    if number == 0:
        corners = [(x - 6, y + 5), (x, y - 6), (x + 6, y + 5)]
        return f'<path d="{steps(corners)} Z" {FILL_2}/>'
    if number == 1:
        return f'<path d="M{x - 5:.1f} {y - 5:.1f} h10 v10 h-10 Z" {FILL_2}/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5" {FILL_2}/>'


def _legend(points: Sequence[float], privacy: Privacy, say: Catalogue) -> Iterator[str]:
    y = _TOP + 10
    promise = say.words(
        f"figures.trade_off.promise{'' if privacy.delta else '_pure'}",
        epsilon=say.decimal(decimal_text(privacy.epsilon)),
        **({"delta": say.decimal(decimal_text(privacy.delta))} if privacy.delta else {}),
    )
    for line, words in (
        ("promise", promise),
        ("curve", say.words("figures.trade_off.curve")),
        ("guessing", say.words("figures.trade_off.guessing")),
    ):
        yield path([(_WORDS, y - 4), (_WORDS + 32, y - 4)], _LINES[line])
        y = yield from _paragraph(words, y)
    y += 14
    for number, (share, most) in enumerate(zip(FALSE_ALARMS, points, strict=True)):
        yield _mark(number, _WORDS + 16, y - 4)
        words = say.words(
            "figures.trade_off.point", false_alarms=_rare(share, say), flagged=_most(most, say)
        )
        y = yield from _paragraph(words, y)


def _paragraph(words: str, y: float) -> Generator[str, None, float]:
    """Lines of a legend; returns where the next begins."""
    for line in wrapped(words, WIDTH - _WORDS - 44, SMALL):
        yield text(_WORDS + 42, y, line, _SMALL)
        y += 16
    return y + 8


def _rare(share: float, say: Catalogue) -> str:
    return say.percent(share, 1 if share < 0.01 else 0)


def _most(share: float, say: Catalogue) -> str:
    """Rounded up: in steps of .01% where it is small."""
    digits = 2 if share < 0.1 else 1
    scale = 10 ** (2 + digits)
    return say.percent(min(ceil(scale * share), scale) / scale, digits)


def _table(points: Sequence[float], privacy: Privacy, say: Catalogue, trace: Tracer) -> Table:
    ours = trace("plan: rounds[].releases[].noise", say("figures.trade_off.formula"))
    bare = trace("plan: program.privacy", say("figures.trade_off.formula_promise"))
    epsilon, delta = float(privacy.epsilon), float(privacy.delta)
    rows = tuple(
        (
            cell(_rare(share, say)),
            cell(_most(most, say), ours),
            cell(say.integer(min(ceil(1000 * most), 1000)), ours),
            cell(_most(allowed(epsilon, delta, share), say), bare),
        )
        for share, most in zip(FALSE_ALARMS, points, strict=True)
    )
    columns = ("false", "flagged", "thousand", "promise")
    return Table(
        id=f"{_NAME}-table",
        caption=say("figures.trade_off.caption"),
        columns=tuple(say(f"figures.trade_off.column_{column}") for column in columns),
        rows=rows,
        numeric=(1, 2, 3),
    )
