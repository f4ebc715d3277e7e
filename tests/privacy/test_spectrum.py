"""The convolution against exact integers: its stated error is never exceeded, and stays small."""

import numpy as np
import pytest
from numpy.typing import NDArray

from secgen_dsl.privacy.spectrum import Spectrum

_BITS = 24
Law = tuple[NDArray[np.int64], NDArray[np.int64], int]


def laws(seed: int, count: int, width: int, atoms: int, most_copies: int) -> list[Law]:
    """Cells within ±width, whole weights that sum to 2^24, and copies; the seed is fixed."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        cells = random.integers(-width, width + 1, atoms)  # some repeat
        weights = random.integers(1, 2**_BITS // (2 * atoms), atoms)
        weights[0] += 2**_BITS - weights.sum()
        made.append((cells, weights, int(random.integers(1, most_copies + 1))))
    return made


def exact(composed: list[Law], size: int) -> tuple[list[int], int]:
    """The cyclic convolution as whole numbers over 2^bits: one product of very long integers."""
    bits = _BITS * sum(copies for _, _, copies in composed)
    slot = bits + 8
    product, low = 1, 0
    for cells, weights, copies in composed:
        least = int(cells.min())
        packed = sum(
            int(w) << (slot * (int(c) - least)) for c, w in zip(cells, weights, strict=True)
        )
        product, low = product * packed**copies, low + least * copies
    masses = [0] * size
    place = low
    digits = product.to_bytes((product.bit_length() + slot) // 8 + 1, "little")
    assert slot % 8 == 0
    step = slot // 8
    for start in range(0, len(digits), step):
        masses[place % size] += int.from_bytes(digits[start : start + step], "little")
        place += 1
    return masses, bits


@pytest.mark.parametrize(
    ("size", "count", "width", "atoms", "most_copies", "tilt"),
    [
        (1024, 1, 200, 30, 1, 0),  # one law: the FFT alone
        (1024, 60, 20, 12, 1, 0),  # most frequencies are dropped, later laws are plain sums
        (4096, 30, 40, 25, 4, 0),
        (64, 12, 90, 40, 3, 0),  # it wraps round many times: uniform
        (2048, 40, 1, 2, 6, 0),  # coins: hardly a frequency is dropped
        (512, 8, 0, 3, 5, 0),  # one point each: no frequency may be dropped
        (512, 9, 64, 2, 1, 64),  # multiples of 64 alone: as large at every eighth frequency
    ],
)
def test_within_the_stated_error_of_exact_integers(
    size: int, count: int, width: int, atoms: int, most_copies: int, tilt: int
) -> None:
    composed = laws(size + count, count, width, atoms, most_copies)
    if tilt:
        composed = [(cells // tilt * tilt, weights, n) for cells, weights, n in composed]
    spectrum = Spectrum(size)
    for cells, weights, copies in composed:
        spectrum.multiply(cells, weights / 2.0**_BITS, copies)
    found, error = spectrum.inverse()
    masses, bits = exact(composed, size)
    assert sum(masses) == 2**bits
    # Both to 2^−200 exactly.
    difference = max(
        abs(int(value * 2.0**100) * 2**100 - (mass << 200 >> bits))
        for value, mass in zip(found.tolist(), masses, strict=True)
    )
    assert difference <= (error + 2.0**-90) * 2.0**200
    assert error < 1e-10


def test_what_a_law_may_add_to_dropped_frequencies_is_counted() -> None:
    """Masses of total above 1 (rounding makes such): the bound still holds."""
    spectrum, flat = Spectrum(64), np.full(64, 1 / 64)
    spectrum.multiply(np.arange(64), flat, 2)
    before = spectrum.inverse()[1]
    spectrum.multiply(np.zeros(1, dtype=np.int64), np.array([2.0]), 60)
    found, error = spectrum.inverse()
    assert error >= before * 2.0**60
    assert np.abs(found - 2.0**60 / 64).max() <= error


@pytest.mark.parametrize("size", [0, 1, 3, 1000])
def test_a_grid_is_a_power_of_two(size: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        Spectrum(size)
