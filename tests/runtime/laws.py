"""Exact laws of noise, and the test of a sample against one."""

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import gammaln

Law = tuple[NDArray[np.int64], NDArray[np.float64]]
"""x, ascending and without gaps, and P[x]; nearly all of the mass."""


def laplace_law(scale: Fraction) -> Law:
    """Discrete Laplace noise, mass ∝ e^(−|x|/b)."""
    ratio = math.exp(-1 / float(scale))
    x = np.arange(-_reach(scale), _reach(scale) + 1)
    return x, (1 - ratio) / (1 + ratio) * ratio ** np.abs(x)


def share_law(scale: Fraction, parts: int) -> Law:
    """The difference of two negative binomial numbers of shape 1/parts, by Fourier transform."""
    reach, shape, rate = _reach(scale), 1 / parts, 1 / float(scale)
    k = np.arange(reach + 1)
    log_mass = gammaln(k + shape) - gammaln(k + 1) - gammaln(shape)
    one = np.exp(log_mass + shape * math.log(-math.expm1(-rate)) - rate * k)
    size = 1 << (2 * reach + 2).bit_length()
    both = np.fft.irfft(np.abs(np.fft.rfft(one, size)) ** 2, size)
    x = np.arange(-reach, reach + 1)
    return x, np.maximum(both[x], 0.0)


def _reach(scale: Fraction) -> int:
    return max(20, math.ceil(45 * scale))


def chi_square(sample: NDArray[np.int64], x: NDArray[np.int64], mass: NDArray[np.float64]) -> float:
    """The p-value of a sample under a law; neighbours are pooled until 20 draws are expected."""
    clipped = np.clip(sample, x[0], x[-1]) - x[0]
    observed = np.bincount(clipped, minlength=len(x)).astype(np.float64)
    expected = mass * len(sample)
    # Classes that expect about 20 draws, then those merged that expect too few.
    _, classes = np.unique((np.cumsum(expected) - expected) // 20, return_inverse=True)
    seen, wanted = np.bincount(classes, observed), np.bincount(classes, expected)
    merged: list[list[float]] = []
    for o, e in zip(seen.tolist(), wanted.tolist(), strict=True):
        if merged and (merged[-1][1] < 10 or e < 10):
            merged[-1][0], merged[-1][1] = merged[-1][0] + o, merged[-1][1] + e
        else:
            merged.append([o, e])
    if len(merged) == 1:  # one value has all the mass
        return float(len(set(sample.tolist())) == 1)
    seen, wanted = np.array(merged).T
    wanted = wanted * seen.sum() / wanted.sum()
    statistic = float(((seen - wanted) ** 2 / wanted).sum())
    return float(stats.chi2.sf(statistic, len(wanted) - 1))
