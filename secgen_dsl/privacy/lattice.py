"""A cross-check of ``pld``: the composed privacy curve on its own lattice, with no grid of losses.

The loss of T copies of N_Z(0, V) against N_Z(d, V) is ``d·(T·d − 2S)/(2V)``, S the sum of T
independent N_Z(0, V) (PRIVACY 1.1).  S is an integer, and its law is one power of one Fourier
transform; so a group of equal events has its exact curve, to rounding.  Unlike groups have
lattices that do not fit each other: all but the longest are enumerated, atom by atom.

**A cross-check, not a certificate.**  Floats are not rounded in a direction.  Truncated mass is
left out (below 10⁻²⁰), and the FFT's rounding is about 10⁻¹⁶ of the largest mass, so δ is off by
some 10⁻¹⁴ either way: hence no δ below 10⁻⁹.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.privacy.events import ShiftedGaussian

SMALLEST_DELTA = 1e-9
"""Below, the rounding of the FFT would show in more than the fifth digit of δ."""

_EXPONENT = 47.0
"""Mass beyond the enumerated law is at most 2·e^−47 < 10⁻²⁰."""

_MOST_ATOMS = 2**22
_LARGEST_LAW = 2**24


@dataclass(frozen=True)
class _Group:
    """The loss of one group of equal events, under P.

    Attributes:
        losses: ascending, in equal steps; shape (N,).
        masses: shape (N,).
        step: between two losses, d/V.
    """

    losses: NDArray[np.float64]
    masses: NDArray[np.float64]
    step: float


class LatticeCurve:
    """δ(ε) of a composition.

    Args:
        events: what is composed; at least one.

    Raises:
        ValueError: no event, noise so large that the lattice has over 2²⁴ points, or so many
            unlike groups that the shorter ones have over 2²² atoms together.
    """

    def __init__(self, events: Sequence[ShiftedGaussian]) -> None:
        if not events:
            raise ValueError("the lattice accountant needs an event")
        counts: Counter[tuple[Fraction, int]] = Counter()
        for event in events:
            counts[event.variance, event.shift] += event.count
        groups = sorted(
            (_group(variance, shift, count) for (variance, shift), count in counts.items()),
            key=lambda group: len(group.losses),
        )
        *shorter, longest = groups
        if math.prod(len(group.losses) for group in shorter) > _MOST_ATOMS:
            raise ValueError("too many groups of unlike noise to be enumerated")
        losses, masses = np.zeros(1), np.ones(1)
        for group in shorter:
            losses = np.add.outer(losses, group.losses).ravel()
            masses = np.outer(masses, group.masses).ravel()
        self._losses, self._masses, self._longest = losses, masses, longest
        # Mass above each loss, and the same weighted by e^(its loss − the summand's).
        backwards = longest.masses[::-1]
        self._above = np.append(np.cumsum(backwards)[::-1], 0.0)
        self._weighted = np.append(_decayed_sums(backwards, math.exp(-longest.step))[::-1], 0.0)

    def delta(self, epsilon: float) -> float:
        """δ(ε) = E[(1 − e^(ε−L))₊], for ε ≥ 0; off by some 10⁻¹⁴."""
        if epsilon < 0:
            raise ValueError("ε must not be negative")
        rest = epsilon - self._losses
        first = self._longest.losses[0]
        # The first loss that is greater than what the other groups leave of ε.
        start = np.floor((rest - first) / self._longest.step).astype(np.int64) + 1
        start = np.clip(start, 0, len(self._longest.losses))
        known = np.append(self._longest.losses, 0.0)[start]
        exponent = np.where(start < len(self._longest.losses), rest - known, 0.0)
        deltas = self._above[start] - np.exp(np.minimum(exponent, 0.0)) * self._weighted[start]
        return float(self._masses @ deltas)

    def epsilon(self, delta: float) -> float:
        """The ε ≥ 0 with δ(ε) = ``delta``, to 10⁻¹⁰.

        Raises:
            ValueError: δ is not between 10⁻⁹ and 1.
        """
        if not SMALLEST_DELTA <= delta < 1:
            raise ValueError("the lattice accountant needs 10^−9 ≤ δ < 1")
        if self.delta(0.0) <= delta:
            return 0.0
        low, high = 0.0, float(self._losses.max() + self._longest.losses[-1])
        while high - low > 1e-10 * max(1.0, high):
            middle = (low + high) / 2
            low, high = (middle, high) if self.delta(middle) > delta else (low, middle)
        return high


def _group(variance: Fraction, shift: int, count: int) -> _Group:
    """The law of S by one FFT, and with it the loss's."""
    scale = float(variance)
    # S is sub-Gaussian of variance T·V (CKS 2020), one summand of variance V.
    reach = math.ceil(math.sqrt(2 * count * scale * _EXPONENT)) + 1
    own = math.ceil(math.sqrt(2 * scale * (_EXPONENT + math.log(count)))) + 1
    size = 1 << (2 * reach + 1).bit_length()
    if size > _LARGEST_LAW:
        raise ValueError(f"the lattice of {count} draws of variance {scale:.3g} is too long")
    x = np.arange(-own, own + 1, dtype=np.float64)
    one = np.exp(x * x / (-2 * scale))
    wrapped = np.bincount(np.arange(-own, own + 1) % size, weights=one / one.sum(), minlength=size)
    # An even law: its transform is real, and so is the power.
    law = np.fft.irfft(np.fft.rfft(wrapped).real ** count, n=size)
    sums = np.arange(reach, -reach - 1, -1)  # falling, so that losses rise
    return _Group(
        losses=np.asarray(shift * (count * shift - 2.0 * sums) / (2 * scale), dtype=np.float64),
        masses=np.maximum(law[sums % size], 0.0),
        step=shift / scale,
    )


def _decayed_sums(values: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """w with w_k = v_k + factor·w_{k−1}."""
    from scipy.signal import lfilter

    return np.asarray(lfilter([1.0], [1.0, -factor], values), dtype=np.float64)
