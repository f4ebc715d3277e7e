"""From bins back to expression values, by public facts alone.

A gene's values lie on one increasing, piecewise linear curve: at ``b + u`` (bin b, 0 ≤ u < 1) it
is the u-quantile of the values inside bin b.

* With a public reference it runs through the reference's values in the bin: the i-th of k at
  ``u = (i − ½)/k`` (Hazen's plotting position).  At inner edges the curve meets the edge.  At the
  two outer ends it goes on by half the last gap between values: the panel's range (0..20 in log2,
  say) is far wider than any gene, and a line to its end would invent extreme values.
* Without one, or where the reference has no value in the bin, values are uniform in the bin.

Midpoints would shrink the variance, and extremes of the data would reveal patients: neither is
used.  The reference's skew inside a bin is kept.
"""

from dataclasses import dataclass

import numpy as np

from secgen_dsl.synthesis.measured import Floats


@dataclass(frozen=True)
class BinCurve:
    """The curve of one gene.

    Attributes:
        positions: shape (knots,), increasing from 0 to B; bin b is [b, b + 1].
        values: shape (knots,), non-decreasing, in the panel's unit.
    """

    positions: Floats
    values: Floats

    def decode(self, position: Floats) -> Floats:
        """Values at the positions (bin + place in it), each in [0, B]; of any shape."""
        return np.interp(position, self.positions, self.values)


def bin_curve(edges: Floats, low: float, high: float, reference: Floats | None) -> BinCurve:
    """The curve of a gene.

    Args:
        edges: shape (B − 1,), non-decreasing, within [low, high].
        low: least value of the panel's range.
        high: greatest value, > low.
        reference: the gene's values in a public reference in the panel's unit, or None.
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


def _half_gap(outward: Floats, to_edge: float) -> float:
    """How far the curve goes beyond the outermost value, ``outward[0]``.

    Half the distance to the next value; a single value lies in the middle between the end and the
    bin's edge.
    """
    return abs(float(outward[1] - outward[0])) / 2 if outward.size > 1 else to_edge
