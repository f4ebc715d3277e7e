"""The curve ε → predicted error, as a picture and as data."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from secgen_dsl.describe.chart import LONGEST_NAME, MOST_LINES, Chart, Line
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.program import Program, decimal_text
from secgen_dsl.ir.queries import Query, SecondMoment, VectorSum
from secgen_dsl.planner.curve import Point

_SAME = 1.02
"""Queries whose errors differ by a smaller factor at every budget are drawn as one line."""

_LONGEST_NOTE = 104
_Curve = tuple[tuple[float, float], ...]


def curve_chart(program: Program, title: str, points: Sequence[Point]) -> Chart:
    """The picture: a line for each query that counts people, or for a group of like ones.

    Args:
        title: of the study.
        points: ``planner.curve.error_curve``.

    Raises:
        ValueError: there is nothing to draw: no query counts people, or no budget has a plan.
    """
    people, own = program.person.people_bound, program.privacy.epsilon
    curves = _curves(program, points)
    if not curves:
        raise ValueError("there is nothing to draw")
    unit = " people" if people is None else "%"
    of = "people" if people is None else f"% of {people:,} people ÷ label cells"
    groups = _groups(curves, float(own))
    titles = _titles(groups)
    lines = tuple(
        _line(name, names, curves, unit) for name, names in zip(titles, groups, strict=True)
    )
    return Chart(
        title=f"{title}: the error of a cell for each epsilon",
        about=f"Predicted standard error of a cell, in {of}, against epsilon. Both axes are "
        f"logarithmic. The study has epsilon {decimal_text(own)}. "
        + " ".join(line.about + "." for line in lines),
        x_name=f"epsilon (delta {decimal_text(program.privacy.delta)})",
        y_name=f"one standard error of a cell, in {of}",
        mark=float(own),
        mark_name=f"epsilon {decimal_text(own)}: the study",
        lines=lines,
        notes=tuple(_notes(titles, groups, curves, float(own), unit)),
    )


def curve_json(program: Program, points: Sequence[Point]) -> dict[str, object]:
    """The curve as JSON data: every measured query, also those that no cell counts people of."""
    queries: dict[str, dict[str, object]] = {}
    values: dict[str, list[dict[str, object]]] = {}
    for point in points:
        for prediction in point.predictions:
            query = prediction.query
            queries[query.id] = {
                "id": query.id,
                "statement": query.statement,
                "added_by_the_planner": not prediction.asked,
                "unit": unit_words(query),
                "label_cells": program.label_cells(query),
                "points": values.setdefault(query.id, []),
            }
            values[query.id].append(
                {
                    "epsilon": decimal_text(point.epsilon),
                    "measured_as": prediction.release.map,
                    "variance": str(prediction.release.noise.variance),
                    "standard_error": prediction.standard_error,
                    "relative_error": prediction.relative_error,
                }
            )
    return {
        "format": "secgen.curve/1",
        "program_sha256": sha256_of(program),
        "adjacency": program.privacy.adjacency,
        "epsilon": decimal_text(program.privacy.epsilon),
        "delta": decimal_text(program.privacy.delta),
        "people_at_most": program.person.people_bound,
        "error": "one standard error of a cell as released; relative: over people ÷ label cells",
        "variance": "of one raw cell's noise, as certified",
        "epsilons": [decimal_text(point.epsilon) for point in points],
        "without_a_plan": [
            {"epsilon": decimal_text(point.epsilon), **point.refused.as_json()}
            for point in points
            if point.refused is not None
        ],
        "queries": list(queries.values()),
    }


def unit_words(query: Query) -> str:
    """What the errors of a query are in."""
    if isinstance(query, SecondMoment):
        return "people × squared public deviations"
    return "people × public deviations" if isinstance(query, VectorSum) else "people"


def _curves(program: Program, points: Sequence[Point]) -> dict[str, _Curve]:
    """Id of each query that counts people → (ε, error), in percent where people are bounded."""
    asked = {query.id for query in program.queries}
    found: dict[str, list[tuple[float, float]]] = {}
    for point in points:
        for prediction in point.predictions:
            if prediction.query.id in asked:
                relative = prediction.relative_error
                error = prediction.standard_error if relative is None else 100 * relative
                found.setdefault(prediction.query.id, []).append((float(point.epsilon), error))
    return {name: tuple(curve) for name, curve in found.items()}


def _groups(curves: Mapping[str, _Curve], own: float) -> list[tuple[str, ...]]:
    """Queries by like errors, the greatest first: those that are the same, then the nearest.

    Like ones are neighbours where all are put in order; the order is cut at the widest gaps.
    """
    order = sorted(curves, key=lambda name: (-_at(curves[name], own), name))
    gaps = [_apart(curves[one], curves[other]) for one, other in pairwise(order)]
    widest = sorted(range(len(gaps)), key=lambda place: (-gaps[place], place))[: MOST_LINES - 1]
    cuts = sorted(place + 1 for place in widest if gaps[place] > math.log(_SAME))
    return [
        tuple(order[start:end]) for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True)
    ]


def _apart(one: _Curve, other: _Curve) -> float:
    """The logarithm of the greatest factor between two curves."""
    errors = dict(other)
    return max((abs(math.log(y / errors[x])) for x, y in one if x in errors), default=math.inf)


def _at(curve: _Curve, epsilon: float) -> float:
    """The error at a budget, or at the nearest one that has a plan."""
    return min(curve, key=lambda point: abs(math.log(point[0] / epsilon)))[1]


def _titles(groups: Sequence[Sequence[str]]) -> list[str]:
    """The names of a group where they fit, else a letter and how many there are."""
    letters = iter("ABCDEFGH")
    return [
        ", ".join(names)
        if len(names) == 1 or sum(len(name) + 2 for name in names) <= LONGEST_NAME + 2
        else f"{next(letters)}: {len(names):,} queries"
        for names in groups
    ]


def _line(name: str, names: Sequence[str], curves: Mapping[str, _Curve], unit: str) -> Line:
    middle = curves[names[len(names) // 2]]
    first, last = middle[0], middle[-1]
    errors: dict[float, list[float]] = {}
    for each in names:
        for x, y in curves[each]:
            errors.setdefault(x, []).append(y)
    band = tuple((x, min(ys), max(ys)) for x, ys in sorted(errors.items()))
    return Line(
        name=name,
        about=f"{name}: {_short(first[1])}{unit} at epsilon {first[0]:g}, "
        f"{_short(last[1])}{unit} at epsilon {last[0]:g}",
        points=middle,
        band=band if any(high > _SAME * low for _, low, high in band) else (),
    )


def _notes(
    titles: Sequence[str],
    groups: Sequence[Sequence[str]],
    curves: Mapping[str, _Curve],
    own: float,
    unit: str,
) -> Iterator[str]:
    """What groups hold, and why a line may rise."""
    for title, names in zip(titles, groups, strict=True):
        if len(names) > 1 and title != ", ".join(names):
            errors = [_at(curves[name], own) for name in names]
            least, greatest = _short(min(errors)), _short(max(errors))
            range_words = least if least == greatest else f"{least} to {greatest}"
            head = f"{title}, {range_words}{unit} at epsilon {own:g}: "
            yield head + _listed(names, _LONGEST_NOTE - len(head))
    if any(y < later for curve in curves.values() for (_, y), (_, later) in pairwise(curve)):
        yield (
            "Where a line rises, the plan measures tables in another way: others gain more by it."
        )


def _listed(names: Sequence[str], room: int) -> str:
    """As many names as fit, and how many more there are."""
    for count in range(len(names), 1, -1):
        more = f" and {len(names) - count:,} more" if count < len(names) else ""
        text = ", ".join(names[:count]) + more
        if len(text) <= room:
            return text
    return f"{names[0]} and {len(names) - 1:,} more"


def _short(number: float) -> str:
    return f"{number:.3g}" if number < 1000 else f"{number:,.0f}"
