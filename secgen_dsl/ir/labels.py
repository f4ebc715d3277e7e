"""What two label texts are compared by: at the sites, in specs and in public tables alike."""

import re
from decimal import Decimal, InvalidOperation

from secgen_dsl.ir.program import CategoryColumn

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def label_key(text: str) -> str | Decimal:
    """What two label texts are compared by: trimmed text, numeric texts as exact numbers.

    LANGUAGE rule 6: ``0`` = ``0.0000`` = ``-0``.  A number whose exponent ``Decimal`` cannot hold
    is compared as text.
    """
    trimmed = text.strip()
    if _NUMBER.fullmatch(trimmed):
        try:
            return Decimal(trimmed)
        except InvalidOperation:
            return trimmed
    return trimmed


def value_positions(column: CategoryColumn) -> dict[str | Decimal, int]:
    """The column's listed values, by ``label_key``, with their positions in the list."""
    positions: dict[str | Decimal, int] = {}
    for position, value in enumerate(column.values):
        positions.setdefault(label_key(value), position)
    return positions
