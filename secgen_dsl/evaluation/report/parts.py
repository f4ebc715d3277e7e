"""What the page is made of, and what its figures are drawn with beside ``describe``'s drawing."""

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.describe.figures.drawing import SMALL, STROKE, path, text
from secgen_dsl.evaluation.accuracy import Floats

LANGUAGE = "en"
SMALL_TEXT = f'font-size="{SMALL}"'

COLOURS = ("#3f7fbf", "#c8553d", "#3d9970", "#b07d2b", "#8a63b0", "#808080")
"""Middling: they stand out on white and on black.  Marks differ as well: see ``marks``."""


@dataclass(frozen=True)
class Grid:
    """A table.

    Attributes:
        rows: texts; the first of a row is its heading.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        about: what it shows, in words that need no picture.
        svg: without prologue.
        table: the same in numbers.
    """

    id: str
    title: str
    about: str
    svg: str
    table: Grid


Block: TypeAlias = str | Grid | Picture
"""A paragraph, a table or a figure."""


@dataclass(frozen=True)
class Part:
    """A section: paragraphs, tables and figures, in order."""

    id: str
    title: str
    blocks: tuple[Block, ...]


def number(value: float | None, digits: int = 3) -> str:
    """A number as the page shows it; – where nothing can be said."""
    return "–" if value is None or isnan(value) else f"{value:.{digits}f}"


def percent(value: float, digits: int = 1) -> str:
    """A share as a percentage."""
    return "–" if isnan(value) else f"{100 * value:.{digits}f}%"


@dataclass(frozen=True)
class Frame:
    """A panel of a figure: where values lie, in pixels.

    Attributes:
        left: of the panel; likewise ``top``, ``width``, ``height``.
        low: values at the lower left corner.
        high: values at the upper right corner.
    """

    left: float
    top: float
    width: float
    height: float
    low: tuple[float, float]
    high: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The pixels of a point."""
        across = (x - self.low[0]) / (self.high[0] - self.low[0] or 1.0)
        up = (y - self.low[1]) / (self.high[1] - self.low[1] or 1.0)
        return self.left + self.width * across, self.top + self.height * (1 - up)

    def axes(self, title: str, across: str = "", up: str = "", digits: int = 1) -> list[str]:
        """Two lines with the numbers at their ends, and words."""
        right, bottom = self.left + self.width, self.top + self.height
        found = [
            path([(self.left, self.top), (self.left, bottom), (right, bottom)], STROKE),
            text(self.left, self.top - 10, title),
        ]
        for value, x, anchor in (
            (self.low[0], self.left, "start"),
            (self.high[0], right, "end"),
        ):
            words = f"{value:.{digits}f}".replace("-", "−")
            found.append(text(x, bottom + 16, words, f'{SMALL_TEXT} text-anchor="{anchor}"'))
        if across:
            middle = self.left + self.width / 2
            found.append(text(middle, bottom + 16, across, f'{SMALL_TEXT} text-anchor="middle"'))
        for words, y, anchor in (
            (f"{self.low[1]:.{digits}f}", bottom, "start"),
            (up, self.top + self.height / 2, "middle"),
            (f"{self.high[1]:.{digits}f}", self.top, "end"),
        ):
            if up:
                x = self.left - 8
                turned = f'transform="rotate(-90 {x:.1f} {y:.1f})" text-anchor="{anchor}"'
                found.append(text(x, y, words.replace("-", "−"), f"{SMALL_TEXT} {turned}"))
        return found


def marks(kind: int, points: Sequence[tuple[float, float]], size: float = 3.0) -> str:
    """Points of one kind as one element: each of 36 kinds has its shape and colour."""
    colour = COLOURS[kind % len(COLOURS)]
    form = (kind + kind // len(COLOURS)) % len(COLOURS)
    shape = "".join(_mark(form, x, y, size) for x, y in points)
    line = form in (4, 5)
    ink = f'fill="none" stroke="{colour}" stroke-width="1.3"' if line else f'fill="{colour}"'
    return f'<path d="{shape or "M0 0"}" {ink} fill-opacity="0.75"/>'


def _mark(kind: int, x: float, y: float, r: float) -> str:
    match kind:
        case 0:  # circle
            return f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0z"
        case 1:  # triangle
            return f"M{x - r:.1f} {y + r:.1f}h{2 * r}l{-r} {-2 * r}z"
        case 2:  # square
            return f"M{x - r:.1f} {y - r:.1f}h{2 * r}v{2 * r}h{-2 * r}z"
        case 3:  # diamond
            return f"M{x:.1f} {y - 1.4 * r:.1f}l{r} {1.4 * r}l{-r} {1.4 * r}l{-r} {-1.4 * r}z"
        case 4:  # cross
            return f"M{x - r:.1f} {y - r:.1f}l{2 * r} {2 * r}m0 {-2 * r}l{-2 * r} {2 * r}"
        case _:  # plus
            return f"M{x - r:.1f} {y:.1f}h{2 * r}m{-r} {-r}v{2 * r}"


def bitmap(values: Floats) -> str:
    """Numbers from −1 to 1 as the data address of a PNG: blue, white, red.

    PNG (ISO/IEC 15948): indexed colours, one byte a pixel.
    """
    levels: NDArray[np.uint8] = np.round((np.clip(values, -1, 1) + 1) * 127).astype(np.uint8)
    rows = np.column_stack([np.zeros(len(levels), dtype=np.uint8), levels]).tobytes()
    steps = np.linspace(-1, 1, 255)[:, None]
    red, white, blue = (np.array(c) for c in ((200, 85, 61), (255, 255, 255), (63, 127, 191)))
    palette = np.where(steps > 0, white + steps * (red - white), white - steps * (blue - white))
    height, width = levels.shape
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", np.round(palette).astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return "data:image/png;base64," + base64.b64encode(data).decode()
