"""Why bins are never cut at the patients' own quantiles (PRIVACY 3.3)."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

BINS = 4


def table(values: list[float], labels: list[int]) -> np.ndarray:
    """Counts by label and bin, cut at the exact quartiles of these very people."""
    edges = np.quantile(values, [k / BINS for k in range(1, BINS)])
    codes = np.searchsorted(edges, values, side="right")
    counts = np.zeros((3, BINS), dtype=np.int64)
    np.add.at(counts, (np.array(labels), codes), 1)
    return counts


def test_one_patient_more_changes_seven_cells_of_a_gene() -> None:
    values, labels = [float(n) for n in range(1, 10)], [1, 0, 0, 0, 1, 1, 2, 2, 2]
    without = table(values[1:], labels[1:])
    changed = table(values, labels) - without
    # The first patient's own cell, and for each edge the cell that somebody leaves and enters.
    assert np.abs(changed).sum() == 7
    assert (changed**2).sum() == 7  # the noise is made for 1


@given(
    values=st.lists(st.integers(-1000, 1000), min_size=5, max_size=40, unique=True),
    person=st.integers(0, 39),
    data=st.data(),
)
def test_never_by_more_where_no_two_values_are_equal(
    values: list[int], person: int, data: st.DataObject
) -> None:
    labels = data.draw(st.lists(st.integers(0, 2), min_size=len(values), max_size=len(values)))
    kept = [n for n in range(len(values)) if n != person % len(values)]
    other = table([float(values[n]) for n in kept], [labels[n] for n in kept])
    assert ((table([float(v) for v in values], labels) - other) ** 2).sum() <= 7


def test_equal_values_make_it_worse() -> None:
    values = [0.0] * 3 + [1.0] * 6 + [2.0] * 3
    labels = [0] * 12
    changes = []
    for person in range(12):
        rest = [n for n in range(12) if n != person]
        other = table([values[n] for n in rest], [0] * 11)
        changes.append(int(((table(values, labels) - other) ** 2).sum()))
    assert max(changes) > 7
