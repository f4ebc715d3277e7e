"""What `secgen plan SPEC --curve FILE` writes: the predicted errors at other budgets."""

import json
from collections.abc import Callable
from pathlib import Path

from secgen_dsl.backends.bundle import write_file
from secgen_dsl.describe.chart import svg
from secgen_dsl.describe.curve import curve_chart, curve_json
from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from secgen_dsl.ir.program import Program
from secgen_dsl.planner.curve import Point, error_curve

_SCALE = 2.0
"""Pixels of a PNG for one of the SVG."""

_LETTERS = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20">{}</svg>'


def check_suffix(file: Path) -> str:
    """The format that a file's name asks for.

    Raises:
        SecgenError: SG708 another one than .svg, .png or .json.
    """
    suffix = file.suffix.lower().removeprefix(".")
    if suffix not in _WRITERS:
        raise _cannot_draw(
            file,
            f'a curve is written as SVG, PNG or JSON, not as "{file.suffix}"',
            "give the file a name that ends in .svg, .png or .json",
        )
    return suffix


def write_curve(program: Program, title: str, file: Path) -> tuple[Point, ...]:
    """Compute the curve of a program, and write it in the format that the file's name asks for.

    Raises:
        SecgenError: SG708 it cannot be drawn; SG701 the file cannot be written; why there is no
            plan for the greatest budget if there is none for any.
    """
    suffix = check_suffix(file)
    points = error_curve(program)
    refused = [point.refused for point in points if point.refused is not None]
    if len(refused) == len(points):
        raise SecgenError(refused[-1])
    write_file(file, _WRITERS[suffix](program, title, points, file))
    return points


def _json(program: Program, _title: str, points: tuple[Point, ...], _file: Path) -> bytes:
    data = curve_json(program, points)
    return (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode()


def _svg(program: Program, title: str, points: tuple[Point, ...], file: Path) -> bytes:
    try:
        chart = curve_chart(program, title, points)
    except ValueError as error:
        raise _cannot_draw(
            file, "no query of the spec counts people", "write it as JSON: it holds all sums"
        ) from error
    return svg(chart).encode()


def _png(program: Program, title: str, points: tuple[Point, ...], file: Path) -> bytes:
    picture = _svg(program, title, points, file).decode()
    try:
        from resvg_py import svg_to_bytes
    except ImportError as error:
        raise _cannot_draw(
            file,
            "PNG needs the library resvg-py, which is not installed",
            'install it: pip install "secgen[figures]"; or write .svg',
        ) from error
    blank, letter = (
        svg_to_bytes(svg_string=_LETTERS.format(inside))
        for inside in ("", '<text x="5" y="15">M</text>')
    )
    if bytes(blank) == bytes(letter):
        raise _cannot_draw(
            file,
            "this machine has no fonts, so a PNG would have no words",
            "write .svg; or install a font, for example DejaVu Sans",
        )
    return bytes(svg_to_bytes(svg_string=picture, zoom=_SCALE))


_WRITERS: dict[str, Callable[[Program, str, tuple[Point, ...], Path], bytes]] = {
    "svg": _svg,
    "png": _png,
    "json": _json,
}


def _cannot_draw(file: Path, message: str, next_step: str) -> SecgenError:
    return fail("SG708", message, place=str(file), next_step=next_step)
