"""What all figures are drawn with: text and paths as SVG, and how a page may colour them.

Text and thin lines have the colour of the words around (``currentColor``).  Everything else has a
middling colour that stands out on white and on black, as an attribute, so that a picture is right
by itself and in a PDF; a page may give the classes other colours (``render/style.css``).  Nothing
is told by colour alone.

No library draws: what is wanted is little, and the text has to be the same on every machine.
"""

import math
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import TypeAlias

from secgen_dsl.describe.document import Plain, Text, Value

Tracer: TypeAlias = Callable[[str, Text], int]
"""The number of the trace of figures: the path where they are from, how they follow from it."""

WIDTH = 720
"""Of every figure, in its own units; at the width of a page a unit is about a quarter of a mm."""

SIZE = 13
SMALL = 12
FONT = "DejaVu Sans, Liberation Sans, Arial, Helvetica, sans-serif"

FILL_1 = 'class="figure-fill-1" fill="#3f7fbf"'
FILL_2 = 'class="figure-fill-2" fill="#c8553d"'
STROKE_1 = 'class="figure-stroke-1" stroke="#3f7fbf"'
STROKE_2 = 'class="figure-stroke-2" stroke="#c8553d"'
STROKE_SOFT = 'class="figure-stroke-soft" stroke="#a8a8a8"'
STROKE = 'stroke="currentColor"'

_HATCH = (
    '<pattern id="{name}-hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><path d="M1.5 0 V6" {stroke} stroke-width="2"/></pattern>'
)


def picture(
    name: str,
    height: float,
    title: str,
    about: str,
    language: str,
    elements: Iterable[str],
) -> str:
    """An SVG document.

    Args:
        name: its id; all other ids begin with it.
        title: what it is, for those who do not see it; likewise ``about``.
        elements: in the order in which they are drawn; they may be filled by ``hatched(name)``.
    """
    body = "\n".join(elements)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{name}" class="secgen-figure" '
        f'width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-labelledby="{name}-title {name}-about" xml:lang="{language}" direction="ltr" '
        f'font-family="{FONT}" font-size="{SIZE}" fill="currentColor">',
        f'<title id="{name}-title">{escape(clean(title))}</title>',
        f'<desc id="{name}-about">{escape(clean(about))}</desc>',
    ]
    if hatched(name) in body:
        lines.append(f"<defs>{_HATCH.format(name=name, stroke=STROKE_1)}</defs>")
    return "\n".join([*lines, body, "</svg>", ""])


def hatched(name: str) -> str:
    """A fill of slanted lines, for elements of the figure of that name."""
    return f'fill="url(#{name}-hatch)"'


def text(x: float, y: float, words: str, attributes: str = "") -> str:
    """A line of text."""
    space = " " if attributes else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{space}{attributes}>{escape(words)}</text>'


def path(points: Sequence[tuple[float, float]], attributes: str) -> str:
    """A line through points."""
    return f'<path d="{steps(points)}" fill="none" {attributes}/>'


def steps(points: Sequence[tuple[float, float]]) -> str:
    """Points as the data of a path."""
    return "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def box(x: float, y: float, width: float, height: float, attributes: str) -> str:
    """A rectangle."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" '
        f"{attributes}/>"
    )


def arrow_head(x: float, y: float, towards: int, attributes: str) -> str:
    """A triangle whose point is at (x, y); ``towards``: 1 to the right, −1 to the left."""
    corners = [(x - 7 * towards, y - 4), (x, y), (x - 7 * towards, y + 4)]
    return f'<path d="{steps(corners)} Z" {attributes}/>'


# -- axes ----------------------------------------------------------------------------------------


class LogAxis:
    """A logarithmic axis from ``start`` to ``end`` pixels.

    ``whole``: its ends are ticks.
    """

    def __init__(
        self, values: Sequence[float], start: float, end: float, *, whole: bool = False
    ) -> None:
        self._start, self._end = start, end
        self._low, self._high = min(values), max(values)
        if self._high < 2 * self._low:
            middle = math.sqrt(self._low * self._high)
            self._low, self._high = middle / 2, middle * 2
        if whole:
            ticks = _ticks(self._low / 10, self._high * 10, most=math.inf)
            self._low = max(tick for tick in ticks if tick <= self._low)
            self._high = min(tick for tick in ticks if tick >= self._high)

    def place(self, value: float) -> float:
        """Where a value lies, in pixels."""
        part = math.log(value / self._low) / math.log(self._high / self._low)
        return self._start + part * (self._end - self._start)

    def ticks(self, most: float = 10**5) -> list[float]:
        """1, 2, 5, 10, …; 1, 10, 100, … where the ends' ratio is above ``most``."""
        return _ticks(self._low, self._high, most)


def _ticks(low: float, high: float, most: float = 10**5) -> list[float]:
    """1, 2, 5, 10, … between two numbers; 1, 10, 100, … where their ratio is above ``most``."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < most else (1,)
    found = [float(f"{step}e{power}") for power in powers for step in steps]
    return [tick for tick in found if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]


def short_number(value: float) -> str:
    """A tick's number."""
    return f"{value:,.0f}" if value >= 1 else f"{value:.12f}".rstrip("0")


# -- words ---------------------------------------------------------------------------------------


def clean(words: str) -> str:
    """Words that an XML document may hold and that steer no writing direction beyond themselves.

    Joiners stay: Persian and Indian scripts need them.
    """
    return "".join(_REPLACED if _steers(letter) else letter for letter in words)


_REPLACED = "\N{REPLACEMENT CHARACTER}"


def _steers(letter: str) -> bool:
    kind = unicodedata.category(letter)
    direction = unicodedata.bidirectional(letter)
    embedding = direction in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    return embedding or kind in {"Cc", "Cs", "Zl", "Zp"} or ord(letter) & 0xFFFE == 0xFFFE


def named(name: str, room: float = float("inf"), size: float = SIZE) -> str:
    """A name of the spec as it can stand in a figure: cut to ``room``, apart from what is around.

    A name that is written from right to left does not change the order of words beside it.
    """
    name = cut(clean(name), room, size)
    if any(unicodedata.bidirectional(letter) in {"R", "AL", "AN"} for letter in name):
        return f"\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}"
    return name


def cut(words: str, room: float, size: float = SIZE) -> str:
    """Words that fit, the last ones replaced by ``…``; marks stay with their letters."""
    if length(words, size) <= room:
        return words
    rest = length("…", size)
    end = 0
    for place, letter in enumerate(words):
        rest += length(letter, size)
        if rest > room:
            break
        end = place + 1
    while 0 < end < len(words) and (_joins(words[end]) or _joins(words[end - 1], ends=True)):
        end -= 1
    return words[:end].rstrip() + "…"


def _joins(letter: str, *, ends: bool = False) -> bool:
    """Whether it belongs to the letter before it; ``ends``: or to the one after it."""
    joiner = letter == "\N{ZERO WIDTH JOINER}"
    return joiner if ends else joiner or unicodedata.category(letter) in {"Mn", "Mc", "Me"}


def length(words: str, size: float = SIZE) -> float:
    """About how wide words are, on the wide side, in whatever font there is."""
    return size * sum(map(_width, words))


def _width(letter: str) -> float:
    if unicodedata.category(letter) in {"Mn", "Me", "Cf"}:
        return 0.0
    if unicodedata.east_asian_width(letter) in {"W", "F"}:
        return 1.0
    if letter in "mwMW%@—…":
        return 1.0
    if letter in " iljtfrI.,:;|!'()[]·/":
        return 0.4
    return 0.72 if letter.isupper() else 0.62


def wrapped(words: str, room: float, size: float = SIZE) -> list[str]:
    """Words in lines that fit; a longer word is cut."""
    lines: list[str] = []
    for word in words.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and length(longer, size) <= room:
            lines[-1] = longer
        else:
            lines.append(cut(word, room, size))
    return lines


def cell(words: str, trace: int | None = None) -> Text:
    """A cell of a table: a figure with its trace, or words."""
    return (Plain(text=words),) if trace is None else (Value(text=words, trace=trace),)
