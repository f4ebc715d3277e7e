import math
from fractions import Fraction

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secgen_dsl.privacy.rounding import (
    float_not_above,
    float_not_below,
    multiple_not_below,
    sqrt_not_above,
    sqrt_not_below,
)

positive = st.fractions(min_value=Fraction(1, 10**9), max_value=10**12, max_denominator=10**9)


@given(positive)
def test_roots_bracket_the_exact_root_with_neighbouring_floats(value: Fraction) -> None:
    above, below = sqrt_not_below(value), sqrt_not_above(value)
    assert Fraction(below) ** 2 <= value <= Fraction(above) ** 2
    assert below == above or math.nextafter(below, math.inf) == above
    # The smallest such float, not just one of them.
    assert Fraction(math.nextafter(above, 0.0)) ** 2 < value


@given(positive)
def test_floats_bracket_the_rational(value: Fraction) -> None:
    above, below = float_not_below(value), float_not_above(value)
    assert Fraction(below) <= value <= Fraction(above)
    assert below == above or math.nextafter(below, math.inf) == above


def test_exact_squares_have_exact_roots() -> None:
    assert sqrt_not_below(Fraction(9, 4)) == sqrt_not_above(Fraction(9, 4)) == 1.5


@pytest.mark.parametrize("value", [Fraction(1, 10**340), Fraction(10**500), Fraction(0)])
def test_roots_where_the_value_itself_is_no_float(value: Fraction) -> None:
    assert Fraction(sqrt_not_above(value)) ** 2 <= value <= Fraction(sqrt_not_below(value)) ** 2


def test_a_negative_number_has_no_root() -> None:
    with pytest.raises(ValueError, match="no square root"):
        sqrt_not_below(Fraction(-1))


def test_multiples_are_rounded_up_and_never_explode() -> None:
    with mpmath.workdps(50):
        assert multiple_not_below(mpmath.mpf(5) / 8, 3) == Fraction(5, 8)
        assert multiple_not_below(mpmath.mpf(5) / 8 + mpmath.mpf(10) ** -30, 3) == Fraction(6, 8)
        assert multiple_not_below(mpmath.exp(-(10**9)), 128) == Fraction(1, 2**128)
        assert multiple_not_below(mpmath.mpf(0), 128) == 0
