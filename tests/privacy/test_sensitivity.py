from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from secgen_dsl.ir.plan import LinearMap
from secgen_dsl.privacy.sensitivity import marginal_sensitivity_squared


def tables_of(
    people: list[tuple[int, list[int]]], labels: int, genes: int, bins: int
) -> NDArray[np.int64]:
    """Counts, shape (genes, labels, bins)."""
    counts = np.zeros((genes, labels, bins), dtype=np.int64)
    for label, person_bins in people:
        for gene, one_bin in enumerate(person_bins):
            counts[gene, label, one_bin] += 1
    return counts


def centred(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """A(v) = B·v − Σv for each row, all B entries."""
    bins = counts.shape[-1]
    return np.asarray(bins * counts - counts.sum(axis=-1, keepdims=True), dtype=np.int64)


@st.composite
def neighbours(
    draw: st.DrawFn,
) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[int, int, int]]:
    labels, genes = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    bins = draw(st.integers(2, 5))
    person = st.tuples(
        st.integers(0, labels - 1),
        st.lists(st.integers(0, bins - 1), min_size=genes, max_size=genes),
    )
    people = draw(st.lists(person, min_size=1, max_size=12))
    gone = draw(st.integers(0, len(people) - 1))
    rest = people[:gone] + people[gone + 1 :]
    return (
        tables_of(people, labels, genes, bins),
        tables_of(rest, labels, genes, bins),
        (genes, labels, bins),
    )


@given(neighbours())
def test_identity_changes_by_exactly_the_declared_norm(
    pair: tuple[NDArray[np.int64], NDArray[np.int64], tuple[int, int, int]],
) -> None:
    one, other, (genes, _, bins) = pair
    change = one - other
    assert int((change**2).sum()) == marginal_sensitivity_squared(genes, bins, "identity")


@given(neighbours())
def test_centred_changes_by_exactly_the_declared_norm_of_the_projection(
    pair: tuple[NDArray[np.int64], NDArray[np.int64], tuple[int, int, int]],
) -> None:
    one, other, (genes, _, bins) = pair
    # A = B·P, and the noise passes through A too: in units of a raw cell's noise, divide by B.
    change = centred(one) - centred(other)
    projected = Fraction(int((change**2).sum()), bins**2)
    declared = marginal_sensitivity_squared(genes, bins, "centred")
    assert projected == declared
    # Noise added after A would face all of A's norm: not what is declared.
    assert int((change**2).sum()) == bins**2 * declared != declared


@pytest.mark.parametrize(
    ("tables", "bins", "linear_map", "expected"),
    [
        (1, 1, "identity", Fraction(1)),
        (978, 4, "identity", Fraction(978)),
        (978, 4, "centred", Fraction(978 * 3, 4)),
        (1, 2, "centred", Fraction(1, 2)),
    ],
)
def test_values(tables: int, bins: int, linear_map: LinearMap, expected: Fraction) -> None:
    assert marginal_sensitivity_squared(tables, bins, linear_map) == expected


@pytest.mark.parametrize(
    ("tables", "bins", "linear_map"), [(0, 4, "identity"), (1, 0, "identity"), (1, 1, "centred")]
)
def test_numbers_out_of_range(tables: int, bins: int, linear_map: LinearMap) -> None:
    with pytest.raises(ValueError, match=r"positive|two bins"):
        marginal_sensitivity_squared(tables, bins, linear_map)
