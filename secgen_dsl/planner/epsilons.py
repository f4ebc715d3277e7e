"""Budgets of few digits, as people write them, and the search among them."""

from collections.abc import Callable, Sequence
from fractions import Fraction

from secgen_dsl.ir.program import Program

LEAST_EPSILON = Fraction(1, 1000)
GREATEST_EPSILON = Fraction(50)
"""What the language allows (SG301)."""


def rising(digits: int) -> list[Fraction]:
    """All numbers of so many significant digits that the language allows, rising."""
    whole = range(10 ** (digits - 1), 10**digits)
    found = []
    unit = LEAST_EPSILON / 10 ** (digits - 1)
    while unit <= GREATEST_EPSILON:
        found += [number * unit for number in whole if number * unit <= GREATEST_EPSILON]
        unit *= 10
    return found


def first(grid: Sequence[Fraction], holds: Callable[[Fraction], bool]) -> int:
    """The first place where something holds that holds from there on; the length if nowhere."""
    low, high = 0, len(grid)
    while low < high:
        middle = (low + high) // 2
        if holds(grid[middle]):
            high = middle
        else:
            low = middle + 1
    return low


def with_epsilon(program: Program, epsilon: Fraction) -> Program:
    """The program with another budget."""
    privacy = program.privacy.model_copy(update={"epsilon": epsilon})
    return program.model_copy(update={"privacy": privacy})
