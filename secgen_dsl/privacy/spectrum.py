"""Convolution of many laws on a cyclic grid by one product of their Fourier transforms.

The product of hundreds of transforms is next to nothing at nearly all frequencies.  A frequency
where it has fallen below e^−50 is dropped: no later factor can raise it again (the transform of a
law is at most its total mass, about 1), so the sum of what was dropped is known and is added to
the error.  Of later laws only the frequencies that are left are computed, each as a plain sum.
So the cost of a law is that of its own atoms, not that of the grid.
"""

import math

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.privacy.rounding import UNIT

_NEGLIGIBLE = -50.0
"""Of ln |product|: far below the rounding of the inverse transform, 10⁻¹⁵ of an average mass."""


class Spectrum:
    """The product of the discrete Fourier transforms of laws on the grid 0 … size − 1.

    Args:
        size: of the grid, N: a power of two.  Atoms beyond it wrap round.
    """

    def __init__(self, size: int) -> None:
        if size < 2 or size & (size - 1):
            raise ValueError("the size must be a power of two")
        self._size = size
        half = size // 2 + 1
        self._frequencies = np.arange(half, dtype=np.int64)  # those that are left; ascending
        self._log_size = np.zeros(half)  # ln |product| at each
        self._log_bound = np.zeros(half)  # an upper bound on what it is in exact arithmetic
        self._angle = np.zeros(half)
        self._dropped = 0
        self._growth = 0.0  # ln of what later factors may make of a dropped one
        self._lost = 0.0  # relative rounding of the product, from the logarithms and angles
        self._roots: NDArray[np.complex128] | None = None

    def multiply(self, cells: NDArray[np.int64], masses: NDArray[np.float64], copies: int) -> None:
        """Convolve with a law, ``copies`` times.  Laws that are wide and many come best first.

        Args:
            cells: its grid points, of any size and sign; may repeat; shape (k,).
            masses: the mass at each, ≥ 0, of total about 1; shape (k,).
            copies: ≥ 1.
        """
        transform, error = self._transform(cells, masses)
        # No smaller than a number whose logarithm exists: its error is added to the bound.
        magnitude = np.maximum(np.abs(transform), 1e-300)
        self._log_size += copies * np.log(magnitude)
        self._log_bound += copies * np.log(magnitude * (1 + 16 * UNIT) + 1.01 * error)
        self._angle += copies * np.angle(transform)
        total = float(masses.sum()) * (1 + 2 * UNIT * len(masses))
        self._growth += copies * max(0.0, math.log(total))

        left = self._log_bound > _NEGLIGIBLE
        if not left.all():
            self._dropped += int(left.size - left.sum())
            self._frequencies = self._frequencies[left]
            self._log_size = self._log_size[left]
            self._log_bound = self._log_bound[left]
            self._angle = self._angle[left]
        # Logarithm, angle and magnitude of one copy err by a few ulps; each sum by one.
        largest = float((np.abs(self._log_size) + np.abs(self._angle)).max(initial=0.0))
        self._lost += 4 * UNIT * (copies * (4 + math.pi) + 2 * largest)

    def inverse(self) -> tuple[NDArray[np.float64], float]:
        """The convolution's masses, and a bound on the absolute error of each.

        A factor |F|ⁿ errs by at most (|F| + e)ⁿ − |F|ⁿ, with e the error of one transform; the
        inverse transform averages these over the N frequencies, and adds its own rounding times
        the average of the magnitudes.

        Returns:
            Masses, shape (size,), which rounding may have made negative; and the bound.
        """
        sizes, bounds = np.exp(self._log_size), np.exp(self._log_bound)
        spectrum = np.zeros(self._size // 2 + 1, dtype=np.complex128)
        spectrum[self._frequencies] = sizes * np.exp(1j * self._angle)
        composed = np.fft.irfft(spectrum, n=self._size)
        # Each frequency but the first and the last stands for two.
        share = 2 / self._size
        average = share * float(np.maximum(sizes, bounds).sum())
        excess = share * float((bounds - sizes).clip(min=0.0).sum())
        dropped = share * self._dropped * math.exp(_NEGLIGIBLE + self._growth)
        rounding = _fft_error(self._size) + 2 * self._lost + 2.0**-42
        return composed, (excess + dropped + rounding * average) * (1 + 2.0**-20)

    def _transform(
        self, cells: NDArray[np.int64], masses: NDArray[np.float64]
    ) -> tuple[NDArray[np.complex128], float]:
        """A law's transform at the frequencies that are left, and a bound on its error there."""
        size = self._size
        if len(cells) * len(self._frequencies) > size:
            dense = np.bincount(cells & (size - 1), weights=masses, minlength=size)
            return np.fft.rfft(dense)[self._frequencies], _fft_error(size)
        if self._roots is None:
            self._roots = np.exp(np.arange(size) * (-2j * math.pi / size))
        turns = np.multiply.outer(self._frequencies, cells) & (size - 1)
        # A sum of k products errs by at most k·u of the sum of their magnitudes (Higham, as
        # below, section 3.1), a root by 30u: the angle by 3u of up to 2π, sine and cosine by u.
        # Not `@`: for vectors as short as these, threads take longer than the sums.
        return np.einsum("fc,c->f", self._roots[turns], masses), 2 * (len(cells) + 32) * UNIT


def _fft_error(size: int) -> float:
    """A bound on the error of one output of an FFT of a law: 8u·log₂N.

    Each output of an FFT of length N is a sum over its inputs, each multiplied by log₂N twiddle
    factors: with non-negative inputs of total 1 its error is at most that (the argument of
    Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., Theorem 24.2, applied to
    one output; the constant is ours).
    """
    return 8 * UNIT * math.log2(size)
