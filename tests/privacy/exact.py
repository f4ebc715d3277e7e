"""Exact (to float rounding) curves by plain enumeration: the oracle of the accountant's tests."""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.privacy.events import ShiftedGaussian


def gaussian(variance: float, reach: int) -> NDArray[np.float64]:
    """N_Z(0, variance) on −reach … reach; shape (2·reach + 1,)."""
    x = np.arange(-reach, reach + 1)
    mass = np.exp(-(x**2) / (2 * variance))
    return np.asarray(mass / mass.sum(), dtype=np.float64)


def delta_of_copies(event: ShiftedGaussian, epsilon: float) -> float:
    """δ(ε) of ``count`` copies: the loss is (count·d² − 2dS)/(2V), S a sum of N_Z(0, V)."""
    variance = float(event.variance)
    reach = int(np.ceil(9 * np.sqrt(variance))) + 3
    one = gaussian(variance, reach)
    law = np.ones(1)
    for _ in range(event.count):
        law = np.convolve(law, one)  # direct sums, no FFT
    total = np.arange(len(law)) - event.count * reach
    loss = (event.count * event.shift**2 - 2 * event.shift * total) / (2 * variance)
    return float(law @ -np.expm1(np.minimum(0.0, epsilon - loss)))


def delta_of_single_events(events: Sequence[ShiftedGaussian], epsilon: float) -> float:
    """δ(ε) of a few events of count 1, by the outer product of their laws."""
    law, loss = np.ones(1), np.zeros(1)
    for event in events:
        assert event.count == 1
        variance = float(event.variance)
        reach = int(np.ceil(9 * np.sqrt(variance))) + 3
        x = np.arange(-reach, reach + 1)
        own = event.shift * (event.shift / 2 - x) / variance
        law = np.outer(law, gaussian(variance, reach)).ravel()
        loss = np.add.outer(loss, own).ravel()
    return float(law @ -np.expm1(np.minimum(0.0, epsilon - loss)))


def epsilon_by_bisection(delta_at: object, target: float, highest: float) -> float:
    """The ε with delta_at(ε) = target, between 0 and ``highest``."""
    assert callable(delta_at)
    low, high = 0.0, highest
    for _ in range(70):
        middle = (low + high) / 2
        if delta_at(middle) > target:
            low = middle
        else:
            high = middle
    return high


def hockey_stick(p: NDArray[np.float64], q: NDArray[np.float64], epsilon: float) -> float:
    """Σ (P − e^ε·Q)₊."""
    return float(np.maximum(0.0, p - np.exp(epsilon) * q).sum())


def mu_of(events: Sequence[ShiftedGaussian]) -> float:
    """μ of a plan."""
    return math.sqrt(sum((event.mu_squared for event in events), Fraction(0)))
