"""One row a person: what a site's table reader hands to the encoders."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PersonTable:
    """A silo's people, one row each.

    Attributes:
        people: number of rows n ≥ 0.
        categories: column name → n texts, trimmed; an empty text is a missing value.
        expression: gene → n float64 values in the panel's unit; NaN is a missing value.
    """

    people: int
    categories: Mapping[str, NDArray[np.str_]]
    expression: Mapping[str, NDArray[np.float64]]


def empty_table(columns: tuple[str, ...], genes: tuple[str, ...]) -> PersonTable:
    """The table of a party without people: an empty silo or a helper."""
    return PersonTable(
        people=0,
        categories={name: np.array([], dtype=np.str_) for name in columns},
        expression={gene: np.array([], dtype=np.float64) for gene in genes},
    )
