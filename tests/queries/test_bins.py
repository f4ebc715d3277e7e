"""x ≥ edge is decided exactly, for any float64 x and any rational edge."""

import math
from bisect import bisect_right
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secgen_dsl.queries.bins import bin_codes, float_at_least

finite_floats = st.floats(allow_nan=False, allow_infinity=False)
rationals = st.one_of(
    st.fractions(),
    st.fractions(min_value=0, max_value=20, max_denominator=10_000),
    finite_floats.map(Fraction),
    # A hair above or below a float64: where rounding the edge would go wrong.
    st.tuples(finite_floats, st.sampled_from([-1, 1])).map(
        lambda pair: Fraction(pair[0]) + Fraction(pair[1], 10**400)
    ),
)


def at_least(x: float, number: Fraction) -> bool:
    return x > 0 if math.isinf(x) else Fraction(x) >= number


@given(number=rationals, other=st.floats(allow_nan=False))
def test_comparison_with_the_float_is_comparison_with_the_rational(
    number: Fraction, other: float
) -> None:
    threshold = float_at_least(number)
    near = (math.nextafter(threshold, side) for side in (-math.inf, math.inf))
    for x in (other, threshold, *near, 0.0, -0.0, 5e-324, -5e-324, np.inf, -np.inf):
        assert (x >= threshold) == at_least(x, number)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (Fraction(1, 10), 0.1),  # 0.1 is a little more than 1/10
        (Fraction(3, 10), math.nextafter(0.3, 1)),  # 0.3 is a little less than 3/10
        (Fraction(1, 10**400), 5e-324),
        (Fraction(-1, 10**400), 0.0),
        (Fraction(10) ** 400, math.inf),
        (-(Fraction(10) ** 400), -np.finfo(np.float64).max),
    ],
)
def test_known_thresholds(number: Fraction, expected: float) -> None:
    assert float_at_least(number) == expected


@st.composite
def binnings(draw: st.DrawFn) -> tuple[list[Fraction], Fraction, Fraction]:
    low = draw(st.fractions(min_value=-5, max_value=5, max_denominator=50))
    high = low + draw(st.fractions(min_value=Fraction(1, 9), max_value=9, max_denominator=9))
    inside = st.fractions(min_value=0, max_value=1, max_denominator=30)
    edges = draw(st.lists(inside.map(lambda part: low + part * (high - low)), max_size=6))
    repeated = draw(st.lists(st.sampled_from(edges), max_size=2)) if edges else []
    return sorted(edges + repeated), low, high


@given(
    binning=binnings(),
    free=st.lists(st.floats(allow_nan=False), max_size=8),
)
def test_bins_follow_their_definition(
    binning: tuple[list[Fraction], Fraction, Fraction], free: list[float]
) -> None:
    edges, low, high = binning
    ties = [float(number) for number in (*edges, low, high)]
    near = [math.nextafter(tie, side) for tie in ties for side in (-math.inf, math.inf)]
    values = [*free, *ties, *near, math.inf, -math.inf]
    codes = bin_codes(np.array(values), edges, low, high)
    for value, code in zip(values, codes.tolist(), strict=True):
        if math.isinf(value):
            clamped = high if value > 0 else low
        else:
            clamped = min(max(Fraction(value), low), high)
        # Bin b is [edge b-1, edge b), without an edge above for the last one.
        starts = [None, *edges]
        ends = [*edges, None]
        holding = [
            b
            for b, (start, end) in enumerate(zip(starts, ends, strict=True))
            if (start is None or clamped >= start) and (end is None or clamped < end)
        ]
        assert holding == [code]
        assert code == bisect_right(edges, clamped)


def test_an_edge_belongs_to_the_upper_bin_and_the_range_to_the_outer_ones() -> None:
    edges = [Fraction(5), Fraction(5), Fraction(15)]
    values = np.array([0, 4.999, 5, 14.999, 15, 20, -np.inf, np.inf, -3, 99])
    codes = bin_codes(values, edges, Fraction(0), Fraction(20))
    assert codes.tolist() == [0, 0, 2, 2, 3, 3, 0, 3, 0, 3]


def test_values_beyond_an_edge_that_lies_on_the_range_clamp_to_it() -> None:
    edges = [Fraction(0), Fraction(20)]
    codes = bin_codes(np.array([-7.0, 0.0, 19.9, 20.0, 21.0]), edges, Fraction(0), Fraction(20))
    assert codes.tolist() == [1, 1, 1, 2, 2]
