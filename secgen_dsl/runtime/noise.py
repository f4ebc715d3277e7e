"""Exact discrete Gaussian noise on integer vectors, from the system CSPRNG."""

from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class NoiseSource(Protocol):
    """Where a party's noise comes from.  Installed commands only ever use ``SystemNoise``."""

    def draw(self, marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
        """``cells`` fresh independent discrete Gaussian integers of at least that variance σ²."""
        ...
