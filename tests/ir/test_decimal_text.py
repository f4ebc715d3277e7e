"""Numbers as people read them, and as a spec reads them back."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secgen_dsl.ir.program import decimal_text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Fraction(4), "4"),
        (Fraction(1, 4), "0.25"),
        (Fraction(-5, 2), "-2.5"),
        (Fraction(1, 10**6), "1e-6"),
        (Fraction(3, 2 * 10**5), "15e-6"),
        (Fraction(1, 3), "1/3"),
        (Fraction(10**15 + 1, 2), "500000000000000.5"),
    ],
)
def test_short_and_exact(number: Fraction, text: str) -> None:
    assert decimal_text(number) == text


@given(st.fractions())
def test_the_text_is_the_number(number: Fraction) -> None:
    assert Fraction(decimal_text(number)) == number
