"""One row a counted sample: what a site's table reader hands to the encoders."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.ir.program import CategoryColumn, Program


@dataclass(frozen=True)
class SampleTable:
    """A silo's samples, one row each; the reader holds the cap on samples of one person.

    Attributes:
        rows: number of samples n ≥ 0.
        categories: category column → n texts, trimmed; an empty text is a missing value.
        expression: gene → n float64 values in the site's unit (of a panel of counts: counts); NaN
            is a missing value.
        numbers: number column → n float64 values; NaN is a missing value.
        library_sizes: panel of counts → n float64 library sizes; NaN is a missing value.
    """

    rows: int
    categories: Mapping[str, NDArray[np.str_]]
    expression: Mapping[str, NDArray[np.float64]]
    numbers: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    library_sizes: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


def empty_table(program: Program) -> SampleTable:
    """The table of a party without people: an empty silo or a helper."""
    nothing = np.array([], dtype=np.float64)
    categories = [c for c in program.columns if isinstance(c, CategoryColumn)]
    return SampleTable(
        rows=0,
        categories={column.name: np.array([], dtype=np.str_) for column in categories},
        expression={gene: nothing for panel in program.panels for gene in panel.genes},
        numbers={c.name: nothing for c in program.columns if not isinstance(c, CategoryColumn)},
        library_sizes={p.name: nothing for p in program.panels if p.counts is not None},
    )
