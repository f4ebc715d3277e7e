"""Public scales and factors from a reference: means, deviations, quantiles, principal components.

Everything ends in rationals or whole numbers, and every step gives the same result on every
machine: sums are exactly rounded (``math.fsum``), components are found in integer arithmetic.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import fsum, isqrt

import mpmath
import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.queries import Standard
from secgen_dsl.ir.vectors import LOADING_ONE
from secgen_dsl.privacy.rounding import exact

_STEP = 1024
_LEAST_SCALE = Fraction(1, 64)
_MOST_ROWS = 500
_ITERATIONS = 120
_UNIT = 2**20
_VALUE_UNIT = 2**8
_SPREAD = Fraction(2, 5)
"""a = .4: scores are divided by λ^a (SYNTHESIS)."""

_VARIANCE_OF_SETS = Fraction(3, 2)
"""Of a set's scores on the learned scale: genes of a set vary together, errors of means do not."""


def standard_of_range(low: Fraction, high: Fraction, genes: int) -> Standard:
    """The scale without a public table: the middle and a sixth of the panel's range, to 1/1024."""
    centre, scale = _to_step((low + high) / 2), max(_to_step((high - low) / 6), _LEAST_SCALE)
    return Standard(reference="", centres=(centre,) * genes, scales=(scale,) * genes)


def standard_of_reference(name: str, columns: Sequence[Sequence[float]]) -> Standard:
    """Mean and standard deviation of each gene in a public table, to 1/1024; at least 1/64.

    Args:
        name: of the reference.
        columns: for each gene its finite values, at least two.
    """
    centres, scales = [], []
    for values in columns:
        mean = fsum(values) / len(values)
        variance = fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
        centres.append(_rounded(mean))
        scales.append(max(_rounded(variance**0.5), _LEAST_SCALE))
    return Standard(reference=name, centres=tuple(centres), scales=tuple(scales))


def normal_quantiles(bins: int) -> tuple[Fraction, ...]:
    """The B − 1 inner quantiles of the standard normal law, to 1/1024."""
    with mpmath.workdps(30):
        return tuple(
            _rounded(mpmath.sqrt(2) * mpmath.erfinv(mpmath.mpf(2 * k) / bins - 1))
            for k in range(1, bins)
        )


def standardised_quantiles(
    values: Sequence[float], centre: Fraction, scale: Fraction, bins: int
) -> tuple[Fraction, ...]:
    """The B − 1 inner quantiles of a public gene on its own scale, to 1/1024; non-decreasing."""
    ordered = sorted(values)
    found = []
    for k in range(1, bins):
        position = Fraction(k * (len(ordered) - 1), bins)
        below = int(position)
        above = min(below + 1, len(ordered) - 1)
        part = position - below
        value = Fraction(ordered[below]) * (1 - part) + Fraction(ordered[above]) * part
        found.append(Fraction(round((value - centre) / scale * _STEP), _STEP))
    return tuple(found)


def principal_factors(
    columns: Sequence[NDArray[np.float64]], standard: Standard, count: int
) -> tuple[tuple[tuple[int, ...], ...], tuple[Fraction, ...], tuple[Fraction, ...]]:
    """The first principal components of standardised public values, by subspace iteration.

    In int64 fixed point throughout: machines agree to the last bit, as they would not after a
    LAPACK call.  Any loadings are sound (they are public); exact components are only the best.

    Args:
        columns: for each gene its values, one a row of the table; NaN counts as the mean.
        standard: of the genes.
        count: K ≤ min(rows, genes).

    Returns:
        K rows of G loadings in units of 2^−14, each of norm 1; divisors λ^.4; variances λ of the
        scores in the public table, at least 1/1024; strongest factor first.
    """
    values = np.stack([_scaled(c, standard, k) for k, c in enumerate(columns)], axis=1)
    step = -(-len(values) // _MOST_ROWS)
    values = values[::step]
    rows, genes = values.shape
    wide = genes > rows
    gram = values @ values.T if wide else values.T @ values
    shift = max(int(np.abs(gram).max()).bit_length() - 28, 0)
    gram >>= shift
    size = gram.shape[0]
    # Any start will do that is the same everywhere and has no symmetry.
    start = (np.arange(size * count, dtype=np.int64) * 2654435761 + 12345) % 65521 - 32760
    basis = _orthonormal(start.reshape(size, count))
    for _ in range(_ITERATIONS):
        basis = _orthonormal(gram @ basis)
    loadings = values.T @ basis if wide else basis
    units = _orthonormal(loadings)
    variances = []
    for k in range(count):
        scores = (values @ units[:, k]) // _UNIT
        total = sum(int(score) ** 2 for score in scores)
        variances.append(Fraction(total, rows * _VALUE_UNIT**2))
    order = sorted(range(count), key=lambda k: -variances[k])
    kept = [max(_to_step(variances[k]), Fraction(1, _STEP)) for k in order]
    signed = []
    for k in order:
        whole = [_rescaled(int(v)) for v in units[:, k]]
        strongest = max(whole, key=abs)
        signed.append(tuple(-v if strongest < 0 else v for v in whole))
    return tuple(signed), tuple(_power(v) for v in kept), tuple(kept)


def _scaled(column: NDArray[np.float64], standard: Standard, gene: int) -> NDArray[np.int64]:
    centre, scale = float(standard.centres[gene]), float(standard.scales[gene])
    filled = np.where(np.isnan(column), centre, column)
    return np.rint(np.clip((filled - centre) / scale, -6, 6) * _VALUE_UNIT).astype(np.int64)


def _orthonormal(columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Gram–Schmidt in units of 2^−20; a column that vanishes becomes a unit vector."""
    peak = int(np.abs(columns).max()).bit_length()
    work = columns << max(24 - peak, 0) >> max(peak - 24, 0)
    done: list[NDArray[np.int64]] = []
    for k in range(work.shape[1]):
        vector = work[:, k]
        for _ in range(2):  # twice is enough (Kahan and Parlett)
            for other in done:
                along = int((vector * other).sum()) >> 20
                vector = vector - (along * other >> 20)
        norm = isqrt(int((vector * vector).sum()))
        if norm < 16:
            vector = np.zeros(len(vector), dtype=np.int64)
            vector[k % len(vector)] = _UNIT
            norm = _UNIT
        done.append((vector << 20) // norm)
    return np.stack(done, axis=1)


def _rescaled(value: int) -> int:
    return (abs(value) * LOADING_ONE // _UNIT) * (1 if value >= 0 else -1)


def _rounded(value: object) -> Fraction:
    return Fraction(int(mpmath.nint(mpmath.mpf(value) * _STEP)), _STEP)


def _to_step(value: Fraction) -> Fraction:
    return Fraction(round(value * _STEP), _STEP)


def _power(variance: Fraction) -> Fraction:
    with mpmath.workdps(30):
        return max(_rounded(mpmath.power(exact(variance), exact(_SPREAD))), Fraction(1, _STEP))


def factors_of_sets(
    sets: Sequence[Sequence[int]], genes: int
) -> tuple[tuple[tuple[int, ...], ...], tuple[Fraction, ...], tuple[Fraction, ...]]:
    """A factor for each gene set: its genes against all others, orthogonal to earlier factors.

    Loadings are orthogonal to the constant vector too.  Without a public table values lie far from
    the middle of the range, most of them to the same side: a sum of genes would be large for
    everybody, and the noise with it; a contrast leaves only what differs between genes.

    Args:
        sets: positions of the genes of each set, at least two.
        genes: G.

    Returns:
        As ``principal_factors``; divisors are 1, variances ``_VARIANCE_OF_SETS``, for nothing
        public is known.
    """
    members = np.zeros((genes, len(sets) + 1), dtype=np.int64)
    members[:, 0] = _UNIT
    for number, positions in enumerate(sets, start=1):
        members[list(positions), number] = _UNIT
    contrasts = _orthonormal(members)[:, 1:]
    loadings = tuple(tuple(_rescaled(int(v)) for v in contrast) for contrast in contrasts.T)
    return (
        loadings,
        (Fraction(1),) * len(sets),
        (_VARIANCE_OF_SETS,) * len(sets),
    )
