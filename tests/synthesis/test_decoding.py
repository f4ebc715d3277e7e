import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secgen_dsl.synthesis.decoding import (
    NUMBER_DECIMALS,
    bin_curve,
    decode_numbers,
    is_whole,
    number_curve,
)

from .studies import number

EDGES = np.array([4.0, 8.0, 12.0])


def decode(curve_input: np.ndarray | None, positions: list[float]) -> np.ndarray:
    return bin_curve(EDGES, 0.0, 20.0, curve_input).decode(np.array(positions))


def test_without_a_reference_values_are_uniform_between_public_edges() -> None:
    np.testing.assert_allclose(decode(None, [0, 0.5, 1, 1.25, 3.75, 4]), [0, 2, 4, 5, 18, 20])


def test_inside_a_bin_the_curve_runs_through_the_references_order_statistics() -> None:
    reference = np.array([5.0, 5.2, 7.8, 9.0])
    found = decode(reference, [1, 1 + 1 / 6, 1.5, 1 + 5 / 6, 2])
    np.testing.assert_allclose(found, [4, 5.0, 5.2, 7.8, 8])
    np.testing.assert_allclose(decode(reference, [2.5]), [9.0])  # one value: the bin's median


def test_outer_bins_end_near_the_references_values_not_at_the_range() -> None:
    reference = np.array([3.0, 3.4, 13.0, 13.5, 15.0])
    low, high = decode(reference, [0, 4])
    assert low == pytest.approx(3.0 - 0.2)
    assert high == pytest.approx(15.0 + 0.75)
    # A bin with a single value is as wide on both sides of it.
    low, high = decode(np.array([3.0, 14.0]), [0, 4])
    assert (low, high) == pytest.approx((2.0, 16.0))


def test_outer_ends_stay_within_the_range() -> None:
    low, high = decode(np.array([0.1, 3.0, 13.0, 19.9]), [0, 4])
    assert (low, high) == (0.0, 20.0)


def test_a_bin_that_the_reference_lacks_is_uniform() -> None:
    np.testing.assert_allclose(decode(np.array([1.0, 5.0, 13.0, 14.0]), [2, 2.5, 3]), [8, 10, 12])


def test_a_value_on_an_edge_opens_the_next_bin() -> None:
    found = decode(np.array([4.0, 4.0, 4.0]), [1 + 1 / 6, 1.5])
    np.testing.assert_allclose(found, [4, 4])
    np.testing.assert_allclose(decode(np.array([4.0]), [0, 0.5]), [0, 2])


def test_equal_edges_from_a_gene_that_is_mostly_zero() -> None:
    curve = bin_curve(np.array([0.0, 0.0, 3.0]), 0.0, 20.0, np.array([0.0, 0.0, 0.0, 4.0, 5.0]))
    assert (np.diff(curve.decode(np.linspace(0, 4, 401))) >= 0).all()
    assert curve.decode(np.array([0.5]))[0] == 0.0


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(0, 20), min_size=1, max_size=5),
    st.lists(st.floats(-5, 30), max_size=12),
)
def test_curves_increase_and_every_value_lies_in_its_bin(
    edges: list[float], reference: list[float]
) -> None:
    inner = np.sort(edges)
    curve = bin_curve(inner, 0.0, 20.0, np.array(reference))
    positions = np.linspace(0, inner.size + 1, 40 * (inner.size + 1) + 1)
    values = curve.decode(positions)
    assert (np.diff(values) >= -1e-12).all()
    bounds = np.concatenate([[0.0], inner, [20.0]])
    bins = np.minimum(positions.astype(int), inner.size)
    assert (values >= bounds[bins] - 1e-12).all()
    assert (values <= bounds[bins + 1] + 1e-12).all()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(0, 20), min_size=1, max_size=5),
    st.lists(st.floats(0, 20), max_size=12),
    st.floats(0, 20),
)
def test_the_position_of_a_value_has_nothing_below_it_that_is_not_less(
    edges: list[float], reference: list[float], value: float
) -> None:
    inner = np.sort(edges)
    curve = bin_curve(inner, 0.0, 20.0, np.array(reference))
    place = float(curve.position(np.array([value]))[0])
    below = np.linspace(0, place, 50)[:-1] if place > 0 else np.array([])
    assert (curve.decode(below) < value + 1e-9).all()
    after = np.linspace(place, inner.size + 1, 50)[1:]
    assert (curve.decode(after) >= value - 1e-9).all() or value > curve.values[-1]
    # An edge of the curve's own is where its bin begins, whatever values lie on it.
    for edge in np.unique(inner):
        first = int(np.searchsorted(inner, edge, side="left")) + 1
        assert curve.position(np.array([edge]))[0] <= first
        assert curve.decode(np.array([first]))[0] == pytest.approx(edge)


def test_positions_of_edges_are_whole_bins() -> None:
    curve = bin_curve(EDGES, 0.0, 20.0, np.array([4.0, 4.0, 5.2, 8.0, 9.0, 13.0]))
    np.testing.assert_allclose(curve.position(EDGES), [1, 2, 3])
    np.testing.assert_allclose(curve.position(np.array([-1.0, 30.0])), [0, 4])


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "decimal"])
@pytest.mark.parametrize(
    "known", [None, [3.0, 18.0, 19.0, 20.0, 20.0, 49.0, 88.0]], ids=["", "ref"]
)
def test_numbers_lie_in_their_bins(whole: bool, known: list[float] | None) -> None:
    column = number("blasts", "0", "100" if whole else "100.5", ["20", "50"])
    assert is_whole(column) == whole
    curve = number_curve(column, None if known is None else np.array(known))
    bins = np.repeat([0, 1, 2], 1001)
    drawn = decode_numbers(column, curve, bins, np.tile(np.linspace(0, 1, 1001), 3))
    np.testing.assert_array_equal(np.digitize(drawn, [20, 50]), bins)
    assert drawn.min() >= 0
    assert drawn.max() <= float(column.high)
    scale = 1 if whole else 10**NUMBER_DECIMALS
    np.testing.assert_allclose(drawn * scale, np.rint(drawn * scale), atol=1e-6)
    if known and whole:
        # Half of the values of the middle bin, and half of the numbers, are 20.
        assert 0.4 < (drawn[bins == 1] == 20).mean() < 0.7


def test_edges_that_are_no_decimals_and_empty_bins() -> None:
    column = number("ratio", "0", "1", ["1/3", "2/3", "2/3"])
    curve = number_curve(column, None)
    drawn = decode_numbers(column, curve, np.array([0, 1, 2, 3]), np.array([1.0, 0.0, 0.5, 0.0]))
    np.testing.assert_allclose(drawn, [0.3333, 0.3334, 0.6667, 0.6667])
