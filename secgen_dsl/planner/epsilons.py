"""Budgets of few digits, as people write them, and the search among them."""

from collections.abc import Callable, Sequence
from fractions import Fraction

from secgen_dsl.ir.program import Program

LEAST_EPSILON = Fraction(1, 1000)
GREATEST_EPSILON = Fraction(50)
"""What the language allows (SG301)."""

_QUARTERS = tuple(Fraction(step, 10) for step in (10, 12, 15, 20, 25, 30, 40, 50, 60, 80))


def rising(digits: int, greatest: Fraction = GREATEST_EPSILON) -> list[Fraction]:
    """All numbers of so many significant digits from 1/1000 to the greatest, rising."""
    whole = range(10 ** (digits - 1), 10**digits)
    found = []
    unit = LEAST_EPSILON / 10 ** (digits - 1)
    while unit <= greatest:
        found += [number * unit for number in whole if number * unit <= greatest]
        unit *= 10
    return found


def in_quarters(low: Fraction, high: Fraction) -> list[Fraction]:
    """Round numbers from one to another that the language allows, in steps of about a quarter."""
    found = []
    unit = LEAST_EPSILON
    while unit <= GREATEST_EPSILON:
        found += [step * unit for step in _QUARTERS]
        unit *= 10
    return [number for number in found if low <= number <= min(high, GREATEST_EPSILON)]


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
