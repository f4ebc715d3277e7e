"""Declared sensitivities against brute force over neighbouring sets of samples."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from secgen_dsl.ir.plan import LinearMap
from secgen_dsl.privacy.sensitivity import Contribution, table_sensitivity_squared

Sample = tuple[int, tuple[int, ...]]
"""A label and a bin of each gene."""


def tables_of(samples: list[Sample], labels: int, genes: int, bins: int) -> NDArray[np.int64]:
    """Counts, shape (genes, labels, bins)."""
    counts = np.zeros((genes, labels, bins), dtype=np.int64)
    for label, own_bins in samples:
        for gene, one_bin in enumerate(own_bins):
            counts[gene, label, one_bin] += 1
    return counts


def change_squared(
    old: list[Sample], new: list[Sample], shape: tuple[int, int, int], linear_map: LinearMap
) -> Fraction:
    """‖A(x − x′)‖² in the metric of the noise that passed through A (A = B·P: divide by B²)."""
    genes, labels, bins = shape
    change = tables_of(old, labels, genes, bins) - tables_of(new, labels, genes, bins)
    if linear_map == "identity":
        return Fraction(int((change**2).sum()))
    centred = bins * change - change.sum(axis=-1, keepdims=True)
    return Fraction(int((centred**2).sum()), bins**2)


@st.composite
def persons(draw: st.DrawFn) -> tuple[list[Sample], list[Sample], tuple[int, int, int], int, bool]:
    """The samples of a person (and of the one who replaces them), at most c for each label group.

    The last two: c, and whether the cap holds for each label (`per`) or for all together.
    """
    labels, genes, bins = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(2, 4))
    cap, per_label = draw(st.integers(1, 3)), draw(st.booleans())
    cells = st.tuples(*[st.integers(0, bins - 1)] * genes)

    def one() -> list[Sample]:
        if per_label:
            return [
                (label, own)
                for label in range(labels)
                for own in draw(st.lists(cells, max_size=cap))
            ]
        sample = st.tuples(st.integers(0, labels - 1), cells)
        return draw(st.lists(sample, max_size=cap))

    return one(), one(), (genes, labels, bins), cap, per_label


@given(persons(), st.sampled_from(["identity", "centred"]), st.booleans())
def test_no_person_changes_a_query_by_more_than_declared(
    person: tuple[list[Sample], list[Sample], tuple[int, int, int], int, bool],
    linear_map: LinearMap,
    replace: bool,
) -> None:
    old, new, shape, cap, per_label = person
    genes, labels, bins = shape
    contribution = Contribution(labels if per_label else 1, cap, replace)
    declared = genes * table_sensitivity_squared(bins, linear_map, contribution)
    assert change_squared(old, new if replace else [], shape, linear_map) <= declared


@pytest.mark.parametrize("linear_map", ["identity", "centred"])
@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize(("groups", "cap"), [(1, 1), (1, 3), (2, 1), (3, 2)])
def test_the_declared_sensitivity_is_reached(
    linear_map: LinearMap, replace: bool, groups: int, cap: int
) -> None:
    bins, genes = 3, 2
    old: list[Sample] = [(label, (0, 0)) for label in range(groups) for _ in range(cap)]
    new: list[Sample] = [(label, (1, 1)) for label in range(groups) for _ in range(cap)]
    declared = genes * table_sensitivity_squared(
        bins, linear_map, Contribution(groups, cap, replace)
    )
    shape = (genes, groups, bins)
    assert change_squared(old, new if replace else [], shape, linear_map) == declared


@st.composite
def pair_persons(
    draw: st.DrawFn,
) -> tuple[list[tuple[int, int]], list[tuple[int, int]], int, int]:
    """Cells of a person's samples in a table of two genes, and of another's; bins; the cap c.

    Half of the time the samples are all alike, the worst case of adding or removing.
    """
    bins, cap = draw(st.integers(2, 5)), draw(st.integers(1, 4))
    cell = st.tuples(st.integers(0, bins - 1), st.integers(0, bins - 1))
    old, new = (
        [draw(cell)] * cap if draw(st.booleans()) else draw(st.lists(cell, max_size=cap))
        for _ in range(2)
    )
    return old, new, bins, cap


def pair_change(old: list[tuple[int, int]], new: list[tuple[int, int]], bins: int) -> Fraction:
    """‖A(x − x′)‖²/B⁴ of one table, A = B²·(P⊗P), from all of its entries."""
    change = np.zeros((bins, bins), dtype=np.int64)
    for sign, cells in ((1, old), (-1, new)):
        for cell in cells:
            change[cell] += sign
    rows, columns = change.sum(axis=1, keepdims=True), change.sum(axis=0, keepdims=True)
    mapped = bins**2 * change - bins * rows - bins * columns + change.sum()
    return Fraction(int((mapped**2).sum()), bins**4)


@given(pair_persons(), st.booleans())
def test_no_person_changes_a_double_centred_table_by_more_than_declared(
    person: tuple[list[tuple[int, int]], list[tuple[int, int]], int, int], replace: bool
) -> None:
    old, new, bins, cap = person
    contribution = Contribution(1, cap, replace)
    declared = table_sensitivity_squared(bins, "double-centred", contribution)
    assert pair_change(old, new if replace else [], bins) <= declared
    if not replace and len(old) == cap and len(set(old)) == 1:
        assert pair_change(old, [], bins) == declared


@pytest.mark.parametrize("bins", [2, 3, 4])
@pytest.mark.parametrize("cap", [1, 2])
def test_no_two_persons_differ_by_more_in_a_double_centred_table(bins: int, cap: int) -> None:
    """All pairs of persons with at most c samples: the declared value is reached, in one row."""
    cells = list(itertools.product(range(bins), repeat=2))
    persons = [
        list(own)
        for number in range(cap + 1)
        for own in itertools.combinations_with_replacement(cells, number)
    ]
    if len(persons) > 60:
        persons = [own for own in persons if len(set(own)) <= 1]
    worst = max(pair_change(old, new, bins) for old in persons for new in persons)
    declared = table_sensitivity_squared(bins, "double-centred", Contribution(1, cap, True))
    assert worst == declared
    assert pair_change([(0, 0)] * cap, [(0, 1)] * cap, bins) == declared


def test_noise_after_the_map_would_face_all_of_its_norm() -> None:
    counts = tables_of([(0, (1,))], 1, 1, 4)
    centred = 4 * counts - counts.sum(axis=-1, keepdims=True)
    declared = table_sensitivity_squared(4, "centred", Contribution(1, 1, False))
    assert int((centred**2).sum()) == 16 * declared != declared


@pytest.mark.parametrize(
    ("bins", "linear_map", "contribution", "expected"),
    [
        (1, "identity", Contribution(1, 1, False), Fraction(1)),
        (4, "centred", Contribution(1, 1, False), Fraction(3, 4)),
        (2, "centred", Contribution(1, 1, False), Fraction(1, 2)),
        (4, "identity", Contribution(4, 1, False), Fraction(4)),  # study E: √4, not 4
        (4, "identity", Contribution(1, 4, False), Fraction(16)),
        (4, "identity", Contribution(1, 1, True), Fraction(2)),
        (4, "centred", Contribution(1, 2, True), Fraction(8)),
        (2, "double-centred", Contribution(1, 1, False), Fraction(1, 4)),
        (4, "double-centred", Contribution(1, 1, False), Fraction(9, 16)),
        (4, "double-centred", Contribution(1, 3, False), Fraction(81, 16)),
        (4, "double-centred", Contribution(1, 1, True), Fraction(3, 2)),
    ],
)
def test_values(
    bins: int, linear_map: LinearMap, contribution: Contribution, expected: Fraction
) -> None:
    assert table_sensitivity_squared(bins, linear_map, contribution) == expected


@st.composite
def labelled_pair_persons(
    draw: st.DrawFn,
) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]], int, int, int]:
    """Label, bin, bin of a person's samples and of another's; labels, bins and the cap c.

    The cap holds for each label (`per`), or for all together where all samples are in one list.
    """
    labels, bins, cap = (draw(st.integers(1, 3)) for _ in range(3))
    bins += 1
    cell = st.tuples(st.integers(0, bins - 1), st.integers(0, bins - 1))

    def one() -> list[tuple[int, int, int]]:
        lists = [
            [draw(cell)] * cap if draw(st.booleans()) else draw(st.lists(cell, max_size=cap))
            for _ in range(labels)
        ]
        return [(label, *each) for label, own in enumerate(lists) for each in own]

    return one(), one(), labels, bins, cap


def by_label(
    old: list[tuple[int, int, int]], new: list[tuple[int, int, int]], labels: int, bins: int
) -> Fraction:
    """‖A(x − x′)‖²/B⁴ of one table by labels: each block is mapped by itself."""
    return sum(
        (
            pair_change(
                [cell[1:] for cell in old if cell[0] == label],
                [cell[1:] for cell in new if cell[0] == label],
                bins,
            )
            for label in range(labels)
        ),
        start=Fraction(0),
    )


@given(labelled_pair_persons(), st.booleans())
def test_no_person_changes_double_centred_blocks_by_more_than_declared(
    person: tuple[list[tuple[int, int, int]], list[tuple[int, int, int]], int, int, int],
    replace: bool,
) -> None:
    """Capped per label: V groups.  Capped in all: one group of so many samples, in any blocks."""
    old, new, labels, bins, cap = person
    change = by_label(old, new if replace else [], labels, bins)
    capped = Contribution(labels, cap, replace)
    assert change <= table_sensitivity_squared(bins, "double-centred", capped)
    most = max(len(old), len(new) if replace else 0, 1)
    in_all = Contribution(1, most, replace)
    assert change <= table_sensitivity_squared(bins, "double-centred", in_all)


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize(("groups", "cap"), [(1, 2), (3, 1), (2, 3)])
@pytest.mark.parametrize("bins", [2, 3, 4])
def test_the_sensitivity_of_double_centred_blocks_is_reached(
    bins: int, groups: int, cap: int, replace: bool
) -> None:
    old = [(label, 0, 0) for label in range(groups)] * cap
    new = [(label, 0, 1) for label in range(groups)] * cap
    declared = table_sensitivity_squared(bins, "double-centred", Contribution(groups, cap, replace))
    assert by_label(old, new if replace else [], groups, bins) == declared


@pytest.mark.parametrize("bins", [2, 3])
def test_another_label_is_no_worse_than_another_bin(bins: int) -> None:
    """All ways to replace one sample by another, in two blocks."""
    cells = list(itertools.product(range(2), range(bins), range(bins)))
    found = {
        same: max(
            by_label([a], [b], 2, bins) for a in cells for b in cells if (a[0] == b[0]) == same
        )
        for same in (True, False)
    }
    left = 1 - Fraction(1, bins)
    assert found == {True: 2 * left, False: 2 * left**2}


@pytest.mark.parametrize(
    ("bins", "linear_map"), [(0, "identity"), (1, "centred"), (1, "double-centred")]
)
def test_bins_out_of_range(bins: int, linear_map: LinearMap) -> None:
    with pytest.raises(ValueError, match=r"positive|two bins"):
        table_sensitivity_squared(bins, linear_map, Contribution(1, 1, False))


@pytest.mark.parametrize(("groups", "samples"), [(0, 1), (1, 0)])
def test_contributions_out_of_range(groups: int, samples: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Contribution(groups, samples, False)
