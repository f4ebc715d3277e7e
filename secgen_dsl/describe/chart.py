"""A line chart as SVG: two logarithmic axes, lines named where they end, readable without colour.

No library draws it: what is wanted is little, and the text has to be the same on every machine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from secgen_dsl.describe.figures.drawing import (
    FONT,
    SIZE,
    LogAxis,
    path,
    short_number,
    steps,
    text,
)

_WIDTH, _PLOT_HEIGHT = 900, 420
_LEFT, _TOP, _BOTTOM = 76, 64, 56
_BEFORE_NOTES = 18
_LETTER = 0.62 * SIZE  # width of a letter, on the wide side
LONGEST_NAME = 34
"""Longer names are cut short."""
_GAP = 17  # between the baselines of two names
_ROW = 20

# Dark to middling greys of different hue, each with dashes of its own: told apart in print too.
_STROKES = (
    ("#1b1b1b", ""),
    ("#0b5394", "9 4"),
    ("#a61c00", "2 3"),
    ("#38761d", "12 4 2 4"),
    ("#5b3a8e", "5 3"),
    ("#7f6000", "14 5"),
    ("#0c6b6b", "2 6"),
    ("#8e3a63", "8 3 2 3 2 3"),
)
MOST_LINES = len(_STROKES)


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        name: stands where the line ends.
        about: read out, and shown when the line is pointed at.
        points: (x, y), both > 0, x rising.
        band: (x, least, greatest) of what the line stands for; empty if it is one thing.
    """

    name: str
    about: str
    points: tuple[tuple[float, float], ...]
    band: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True)
class Chart:
    """What a chart shows.

    Attributes:
        title: the heading.
        about: what the picture says, for those who do not see it.
        x_name: of the axis, with its unit; likewise ``y_name``.
        mark: an x that is pointed out.
        mark_name: what it is.
        lines: at most ``MOST_LINES``.
        notes: lines of text below the picture.
    """

    title: str
    about: str
    x_name: str
    y_name: str
    mark: float
    mark_name: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()


def svg(chart: Chart) -> str:
    """The chart as an SVG document.

    Raises:
        ValueError: no point, or more lines than strokes.
    """
    if len(chart.lines) > MOST_LINES or not any(line.points for line in chart.lines):
        raise ValueError(f"a chart has points, and at most {MOST_LINES} lines")
    return "\n".join([*_Drawing(chart).elements(), "</svg>", ""])


class _Drawing:
    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        names = [shortened(line.name) for line in chart.lines]
        self._right = _WIDTH - 24 - _LETTER * max(map(len, names))
        points = [point for line in chart.lines for point in line.points]
        spread = [y for line in chart.lines for _, *ys in line.band for y in ys]
        self._x = LogAxis([x for x, _ in points] + [chart.mark], _LEFT, self._right)
        ys = [y for _, y in points] + spread
        self._y = LogAxis(ys, _TOP + _PLOT_HEIGHT, _TOP, whole=True)
        self._notes = _TOP + _PLOT_HEIGHT + _BOTTOM + _BEFORE_NOTES
        self._height = self._notes + _ROW * len(chart.notes) - _BEFORE_NOTES // 2

    def elements(self) -> Iterator[str]:
        chart = self._chart
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{self._height}" '
            f'viewBox="0 0 {_WIDTH} {self._height}" role="img" aria-labelledby="title about" '
            f'font-family="{FONT}" font-size="{SIZE}" fill="#1b1b1b">'
        )
        yield f'<title id="title">{escape(chart.title)}</title>'
        yield f'<desc id="about">{escape(chart.about)}</desc>'
        yield f'<rect width="{_WIDTH}" height="{self._height}" fill="#ffffff"/>'
        yield text(_LEFT, 26, chart.title, 'font-size="16" font-weight="bold"')
        yield from self._axes()
        yield from self._mark()
        for number, line in enumerate(chart.lines):
            yield from self._line(number, line)
        yield from self._names()
        for number, note in enumerate(chart.notes):
            yield text(_LEFT, self._notes + _ROW * number, note)

    def _axes(self) -> Iterator[str]:
        chart, bottom = self._chart, _TOP + _PLOT_HEIGHT
        for y in self._y.ticks():
            place = self._y.place(y)
            yield path([(_LEFT, place), (self._right, place)], 'stroke="#dddddd"')
            yield text(_LEFT - 8, place + 4, short_number(y), 'text-anchor="end"')
        for x in self._x.ticks():
            place = self._x.place(x)
            yield path([(place, bottom), (place, bottom + 5)], 'stroke="#1b1b1b"')
            yield text(place, bottom + 20, short_number(x), 'text-anchor="middle"')
        yield path([(_LEFT, bottom), (self._right, bottom)], 'stroke="#1b1b1b"')
        middle = (_LEFT + self._right) / 2
        yield text(middle, bottom + 40, chart.x_name, 'text-anchor="middle"')
        yield text(_LEFT - 60, _TOP - 14, chart.y_name)

    def _mark(self) -> Iterator[str]:
        place = self._x.place(self._chart.mark)
        ends = [(place, _TOP - 2), (place, _TOP + _PLOT_HEIGHT)]
        yield path(ends, 'stroke="#1b1b1b" stroke-width="1" stroke-dasharray="1 3"')
        right = place < (_LEFT + self._right) / 2
        anchor = "start" if right else "end"
        yield text(
            place + (5 if right else -5),
            _TOP + 10,
            self._chart.mark_name,
            f'text-anchor="{anchor}" font-weight="bold"',
        )

    def _line(self, number: int, line: Line) -> Iterator[str]:
        colour, dashes = _STROKES[number]
        yield f"<g><title>{escape(line.about)}</title>"
        if line.band:
            around = [self._at(x, high) for x, _, high in line.band]
            around += [self._at(x, low) for x, low, _ in reversed(line.band)]
            yield f'<path d="{steps(around)} Z" fill="{colour}" fill-opacity="0.12"/>'
        stroke = f'stroke="{colour}" stroke-width="2" stroke-linejoin="round"'
        if dashes:
            stroke += f' stroke-dasharray="{dashes}"'
        yield path([self._at(x, y) for x, y in line.points], stroke)
        for x, y in line.points:
            if x == self._chart.mark:
                across, down = self._at(x, y)
                yield f'<circle cx="{across:.1f}" cy="{down:.1f}" r="4" fill="{colour}"/>'
        yield "</g>"

    def _names(self) -> Iterator[str]:
        """Each where its line ends, moved apart, in the order of the lines' ends."""
        drawn = [line for line in self._chart.lines if line.points]
        order = sorted(drawn, key=lambda line: self._at(*line.points[-1])[1])
        wanted = [self._at(*line.points[-1])[1] + 4 for line in order]
        lowest = _TOP + _PLOT_HEIGHT
        for line, end, place in zip(order, wanted, apart(wanted, _TOP, lowest), strict=True):
            colour, _ = _STROKES[self._chart.lines.index(line)]
            across, _ = self._at(*line.points[-1])
            leader = [(across + 2, end - 4), (self._right + 12, place - 4)]
            yield path(leader, f'stroke="{colour}" stroke-width="0.8"')
            yield text(self._right + 15, place, shortened(line.name), f'fill="{colour}"')

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return self._x.place(x), self._y.place(y)


def apart(wanted: Sequence[float], least: float, greatest: float) -> list[float]:
    """Rising places at least ``_GAP`` apart, as near to the wanted ones as one pass each way goes.

    Args:
        wanted: rising.
    """
    places = list(wanted)
    for k in range(1, len(places)):
        places[k] = max(places[k], places[k - 1] + _GAP)
    for k in reversed(range(len(places))):
        ceiling = greatest if k == len(places) - 1 else places[k + 1] - _GAP
        places[k] = max(min(places[k], ceiling), least + k * _GAP)
    return places


def shortened(name: str) -> str:
    """A name that fits where lines end."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
