"""From bins back to values, by public facts alone.

The values of a gene, or of a number column, lie on one increasing, piecewise linear curve: at
``b + u`` (bin b, 0 ≤ u < 1) it is the u-quantile of the values inside bin b.

* With a public reference it runs through the reference's values in the bin: the i-th of k at
  ``u = (i − ½)/k`` (Hazen's plotting position).  At inner edges the curve meets the edge.  At the
  two outer ends it goes on by half the last gap between values: the panel's range (0..20 in log2,
  say) is far wider than any gene, and a line to its end would invent extreme values.
* Without one, or where the reference has no value in the bin, values are uniform in the bin.

Midpoints would shrink the variance, and extremes of the data would reveal patients: neither is
used.  The reference's skew inside a bin is kept.
"""

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.program import NumberColumn
from secgen_dsl.synthesis.measured import Floats

NUMBER_DECIMALS = 4
"""Of numbers that are not whole."""


@dataclass(frozen=True)
class BinCurve:
    """The curve of one gene or number column.

    Attributes:
        positions: shape (knots,), increasing from 0 to B; bin b is [b, b + 1].
        values: shape (knots,), non-decreasing, in the gene's or column's unit.
    """

    positions: Floats
    values: Floats

    def decode(self, position: Floats) -> Floats:
        """Values at the positions (bin + place in it), each in [0, B]; of any shape."""
        return np.interp(position, self.positions, self.values)

    def position(self, value: Floats) -> Floats:
        """The least position of each value: what lies below it is less than the value.

        The inverse of ``decode``; 0 and B beyond the ends.  Of any shape.
        """
        knot = np.searchsorted(self.values, value, side="left").clip(1, self.values.size - 1)
        low, high = self.values[knot - 1], self.values[knot]
        share = np.divide(value - low, high - low, out=np.zeros_like(value), where=high > low)
        start, end = self.positions[knot - 1], self.positions[knot]
        place: Floats = start + share.clip(0.0, 1.0) * (end - start)
        return place


def bin_curve(edges: Floats, low: float, high: float, reference: Floats | None) -> BinCurve:
    """The curve of a gene or number column.

    Args:
        edges: shape (B − 1,), non-decreasing, within [low, high].
        low: least value of the range.
        high: greatest value, > low.
        reference: finite values in a public reference in the same unit, or None.
    """
    bins = edges.size + 1
    bounds = np.concatenate([[low], edges, [high]])
    inside: list[Floats] = [np.array([])] * bins
    if reference is not None:
        clamped = np.sort(np.clip(reference, low, high))
        # A value on an edge belongs to the bin that the edge opens: bins are [a, b).
        starts = np.concatenate([[0], np.searchsorted(clamped, edges, side="left")])
        ends = np.concatenate([starts[1:], [clamped.size]])
        inside = [clamped[a:b] for a, b in zip(starts, ends, strict=True)]
    if inside[0].size:
        bounds[0] = max(low, inside[0][0] - _half_gap(inside[0], bounds[1] - inside[0][-1]))
    if inside[-1].size:
        last = inside[-1][::-1]
        bounds[-1] = min(high, last[0] + _half_gap(last, last[-1] - bounds[-2]))
    positions: list[Floats] = []
    values: list[Floats] = []
    for number, found in enumerate(inside):
        positions += [
            np.array([float(number)]),
            number + (np.arange(found.size) + 0.5) / found.size,
        ]
        values += [bounds[number : number + 1], found]
    return BinCurve(
        np.concatenate([*positions, [float(bins)]]), np.concatenate([*values, bounds[-1:]])
    )


def is_whole(column: NumberColumn) -> bool:
    """Whether a number column holds whole numbers: its range and its edges are whole."""
    return all(number.denominator == 1 for number in (column.low, *column.edges, column.high))


def number_curve(column: NumberColumn, reference: Floats | None) -> BinCurve:
    """The curve of a number column; ``reference`` as for ``bin_curve``, of its own values.

    A whole number v stands for [v, v + 1), in whose middle the reference's values lie.
    """
    whole = is_whole(column)
    edges = np.array([float(edge) for edge in column.edges])
    values = reference if reference is None or not whole else reference + 0.5
    return bin_curve(edges, float(column.low), float(column.high + whole), values)


def decode_numbers(
    column: NumberColumn, curve: BinCurve, bins: NDArray[np.int64], places: Floats
) -> Floats:
    """Numbers of a column, each inside its bin, cut off at the point or after four decimals.

    Args:
        column: whose bins they are.
        curve: from ``number_curve``.
        bins: shape (n,).
        places: shape (n,), in [0, 1]: where in the bin.
    """
    scale = 1 if is_whole(column) else 10**NUMBER_DECIMALS
    bounds = [bound * scale for bound in (column.low, *column.edges, column.high)]
    least = np.array([ceil(bound) for bound in bounds[:-1]])
    most = np.array([*(ceil(bound) - 1 for bound in bounds[1:-1]), floor(bounds[-1])])
    cut = np.floor(curve.decode(bins + places) * scale)
    # An empty bin, [a, a), has no number of its own: it gets a.
    inside: Floats = np.maximum(np.minimum(cut, most[bins]), least[bins]) / scale
    return inside


def _half_gap(outward: Floats, to_edge: float) -> float:
    """How far the curve goes beyond the outermost value, ``outward[0]``.

    Half the distance to the next value; a single value lies in the middle between the end and the
    bin's edge.
    """
    return abs(float(outward[1] - outward[0])) / 2 if outward.size > 1 else to_edge
