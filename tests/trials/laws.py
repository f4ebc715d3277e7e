"""Tests of noise against its exact law, for samples of some ten thousand integers and more.

A single comparison calls right noise wrong with probability about 10⁻¹⁰; where many are made at
once the limit is wider.  So each test that is made of these stays below 10⁻⁹ a run.
"""

import numpy as np
from numpy.typing import NDArray

ALARM = 6.5
"""Standard deviations: a normal variable lies beyond them once in 10¹⁰."""

ALARM_OF_MANY = 8.0
"""The same for many comparisons at once: each lies beyond it once in 10¹⁵."""

_LEAST_EXPECTED = 50
_CHI_SQUARE_ALARM = 1e-12

Law = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Consecutive integers x and their probabilities."""


def discrete_gaussian(variance: float) -> Law:
    """N_Z(0, variance), all but e^−50 of its mass."""
    reach = int(10 * variance**0.5) + 3
    x = np.arange(-reach, reach + 1)
    mass = np.exp(-(x**2) / (2 * variance))
    return x, mass / mass.sum()


def discrete_laplace(scale: float) -> Law:
    """Mass ∝ e^(−|x|/b), all but e^−45 of it."""
    reach = _laplace_reach(scale)
    x, ratio = np.arange(-reach, reach + 1), np.exp(-1 / scale)
    return x, (1 - ratio) / (1 + ratio) * ratio ** np.abs(x)


def polya_share(scale: float, parts: int) -> Law:
    """The difference of two negative binomial numbers of shape 1/parts, by Fourier transform."""
    from scipy.special import gammaln

    reach, shape = _laplace_reach(scale), 1 / parts
    k = np.arange(reach + 1)
    ways = gammaln(k + shape) - gammaln(k + 1) - gammaln(shape)
    one = np.exp(ways + shape * np.log(-np.expm1(-1 / scale)) - k / scale)
    size = 1 << (2 * reach + 2).bit_length()
    both = np.fft.irfft(np.abs(np.fft.rfft(one, size)) ** 2, size)
    x = np.arange(-reach, reach + 1)
    return x, np.maximum(both[x], 0.0)


def _laplace_reach(scale: float) -> int:
    return max(20, int(np.ceil(45 * scale)))


def centred_statistic(variance: float, bins: int) -> Law:
    """(B − 1)·z₁ − z₂ − … − z_B for independent N_Z(0, variance), by direct convolution."""
    x, one = discrete_gaussian(variance)
    law = np.zeros((bins - 1) * (len(x) - 1) + 1)
    law[:: bins - 1] = one
    for _ in range(bins - 1):
        law = np.convolve(law, one)
    reach = (len(law) - 1) // 2
    return np.arange(-reach, reach + 1), law


def law_faults(values: NDArray[np.int64], law: Law) -> set[str]:
    """What is wrong with independent draws that should follow ``law``.

    - ``support``: a value beyond the enumerated law, which holds all but e^−50 of the mass.
    - ``law``: Pearson's chi-square over classes that expect at least 50 draws, nominally once in
      10¹²; 10⁻¹⁰ leaves a factor of 100 for the classes' Poisson tails.  It notices what keeps the
      variance: rounding, a missing class, a lattice.
    - ``variance``: mean of z² beyond 6.5 of its standard deviations (10⁻¹⁰).  A σ that is r too
      small moves it by ((1 + r)² − 1)·√(n/2) of them: 2.4 % of σ is 5 of them at n = 21,000, and
      12 at 126,000, where it is overlooked with probability Φ(6.5 − 12) < 10⁻⁷.
    - ``mean``: beyond 6.5 of its standard deviations (10⁻¹⁰).
    """
    from scipy import stats

    x, mass = law
    if int(values.max()) > int(x[-1]) or int(values.min()) < int(x[0]):
        return {"support"}
    faults = set()
    observed = np.bincount(values - x[0], minlength=len(x)).astype(np.float64)
    classes = _classes(mass * len(values))
    seen, expected = (np.add.reduceat(each, classes) for each in (observed, mass * len(values)))
    statistic = float(((seen - expected) ** 2 / expected).sum())
    if stats.chi2.sf(statistic, len(classes) - 1) < _CHI_SQUARE_ALARM:
        faults.add("law")
    variance = float(mass @ x.astype(np.float64) ** 2)
    spread = float(mass @ x.astype(np.float64) ** 4) - variance**2
    squares = float((values.astype(np.float64) ** 2).mean())
    if abs(squares - variance) > ALARM * (spread / len(values)) ** 0.5:
        faults.add("variance")
    if abs(float(values.mean())) > ALARM * (variance / len(values)) ** 0.5:
        faults.add("mean")
    return faults


def _classes(expected: NDArray[np.float64]) -> NDArray[np.int64]:
    """Where each class of neighbouring values begins, so that all expect enough draws."""
    starts, so_far = [0], 0.0
    for position, count in enumerate(expected):
        if so_far >= _LEAST_EXPECTED:
            starts.append(position)
            so_far = 0.0
        so_far += count
    return np.array(starts if so_far >= _LEAST_EXPECTED else starts[:-1], dtype=np.int64)


def correlation_sd(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """The correlation of two samples of one length, in its standard deviations when independent.

    Beyond ``ALARM`` it is a fault.  At 10,500 cells noise that is shared in part p of the cells
    has p·√10,500 ≈ 102·p: a tenth is noticed; fewer shared cells are for ``equal_cells``.
    """
    return float(np.corrcoef(first, second)[0, 1]) * len(first) ** 0.5


def dependence_faults(values: NDArray[np.int64]) -> set[str]:
    """Along one vector: a correlation between cells at any distance up to half the length.

    Beyond 8 standard deviations at one of them: 10⁻¹⁵ each, so below 10⁻¹⁰ for 60,000 distances.
    Noise that is repeated with any period is noticed.
    """
    length = len(values)
    centred = values - values.mean()
    size = 1 << (2 * length - 1).bit_length()
    power = np.abs(np.fft.rfft(centred, n=size)) ** 2
    products = np.fft.irfft(power, n=size)[: length // 2 + 1]
    lags = np.arange(1, len(products))
    distances = products[1:] / (products[0] / length) / np.sqrt(length - lags)
    return {"dependence"} if float(np.abs(distances).max()) > ALARM_OF_MANY else set()


def equal_cells(first: NDArray[np.int64], second: NDArray[np.int64]) -> int:
    """In how many places two vectors agree.

    For independent noise of σ = 10⁶ a place agrees with probability 1/(2√π·σ) < 3·10⁻⁷, so that of
    10,000 places five agree with probability below 10⁻¹⁵; five shared draws are noticed.
    """
    return int((first == second).sum())
