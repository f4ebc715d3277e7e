"""Shamir modulo 2⁶¹ − 1 on uint64 arrays, against MPyC's and against whole numbers of any size."""

import inspect
import itertools
import math
from collections import Counter
from itertools import pairwise
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from secgen_dsl.backends.mpyc.sharing import secure_field, start_mpyc
from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.plan import MERSENNE_61
from secgen_dsl.runtime import shamir
from secgen_dsl.runtime.shamir import add_into, open_shares, split

P, HALF = MERSENNE_61, MERSENNE_61 // 2
SIZES = [(2, 1), (3, 1), (4, 1), (5, 2), (7, 3), (10, 4), (64, 31)]
EDGES = [0, 1, 2, HALF - 1, HALF, HALF + 1, P - 2, P - 1]
VALUES = [0, 1, -1, 7, HALF, -HALF, HALF - 1, 1 - HALF]

Elements = NDArray[np.uint64]


@pytest.fixture(scope="module")
def thresha() -> ModuleType:
    start_mpyc(0, 3, 1)
    from mpyc import thresha

    return thresha


def injected(monkeypatch: pytest.MonkeyPatch, differences: list[list[int]]) -> None:
    """The next draws are these instead of the system's."""
    rows = iter([np.array(row, dtype=np.uint64) for row in differences])
    monkeypatch.setattr(shamir, "_uniform", lambda count: next(rows))


def newton(value: int, differences: list[int], x: int) -> int:
    return sum(d * math.comb(x, k) for k, d in enumerate([value, *differences])) % P


def by_lagrange(points: dict[int, int], at: int) -> int:
    """What the polynomial through the points is elsewhere, by whole numbers and inverses."""
    total = 0
    for x, y in points.items():
        term = y
        for other in points:
            if other != x:
                term = term * (at - other) * pow(x - other, -1, P) % P
        total += term
    return total % P


# -- against MPyC ------------------------------------------------------------------------------


@pytest.mark.parametrize(("parties", "threshold"), SIZES)
def test_mpyc_recombines_what_is_split_here(
    thresha: ModuleType, parties: int, threshold: int
) -> None:
    values = np.array([*VALUES, 2**62, -(2**63), 2**63 - 1], dtype=np.int64)
    shares = split(values, threshold, parties)
    last = [
        (party + 1, shares[party].astype(object))
        for party in range(parties - threshold - 1, parties)
    ]
    found = thresha.np_recombine(secure_field().field, last, [0, *range(1, parties + 1)]).value
    assert found[0].tolist() == [value % P for value in values.tolist()]
    for row, share in zip(found[1:], shares, strict=True):
        assert row.tolist() == share.tolist()


@pytest.mark.parametrize(("parties", "threshold"), SIZES[1:])
def test_what_mpyc_splits_is_opened_here(thresha: ModuleType, parties: int, threshold: int) -> None:
    field = secure_field().field
    secret = field.array(np.array(VALUES, dtype=object) % P)
    rows = thresha.np_random_split(field, secret, threshold, parties)
    shares = [row.astype(np.uint64) for row in rows]
    assert open_shares(shares, threshold, "a test").tolist() == VALUES
    assert open_shares([*map(doubled, shares)], threshold, "a test").tolist() == [
        (2 * value + HALF) % P - HALF for value in VALUES
    ]


def doubled(share: Elements) -> Elements:
    total = share.copy()
    add_into(total, share)
    assert total.tolist() == [2 * one % P for one in share.tolist()]
    return total


# -- splitting ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("parties", "threshold"), [(3, 1), (5, 2)])
def test_shares_of_edge_values(
    parties: int, threshold: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them with each other: the sums that just reach p, and those that just do not."""
    cases = list(itertools.product(VALUES, *[EDGES] * threshold))
    columns = list(zip(*cases, strict=True))
    injected(monkeypatch, [list(column) for column in columns[1:]])
    shares = split(np.array(columns[0], dtype=np.int64), threshold, parties)
    for party, share in enumerate(shares):
        wanted = [newton(value, list(drawn), party + 1) for value, *drawn in cases]
        assert share.tolist() == wanted


@given(st.sampled_from(SIZES), st.integers(-(2**63), 2**63 - 1), st.data())
def test_a_share_is_the_polynomial_at_its_point(
    size: tuple[int, int], value: int, data: st.DataObject
) -> None:
    parties, threshold = size
    element = st.one_of(st.sampled_from(EDGES), st.integers(0, P - 1))
    drawn = data.draw(st.lists(element, min_size=threshold, max_size=threshold))
    with pytest.MonkeyPatch.context() as monkeypatch:
        injected(monkeypatch, [[one] for one in drawn])
        shares = split(np.array([value], dtype=np.int64), threshold, parties)
    assert [int(share[0]) for share in shares] == [
        newton(value, drawn, party + 1) for party in range(parties)
    ]


@pytest.mark.parametrize(("parties", "threshold"), [(3, 1), (4, 1), (5, 2)])
def test_any_t_shares_have_the_same_law_whatever_the_value(
    parties: int, threshold: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enumerated modulo 7: every t shares of every value take every combination just once."""
    monkeypatch.setattr(shamir, "_P", np.uint64(7))
    all_draws = list(itertools.product(range(7), repeat=threshold))
    for value in range(7):
        injected(monkeypatch, [list(column) for column in zip(*all_draws, strict=True)])
        shares = split(np.full(len(all_draws), value, dtype=np.int64), threshold, parties)
        for coalition in itertools.combinations(shares, threshold):
            seen = Counter(zip(*(share.tolist() for share in coalition), strict=True))
            assert seen == Counter(all_draws)


def test_drawn_elements_are_uniform_and_below_p(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = shamir._uniform(64_000)
    assert int(drawn.max()) < P
    # 64 equal parts of the field: chi-square of 63 degrees of freedom, 160 is beyond 1e-9; and
    # the same of the lowest bits.
    for part in (drawn >> np.uint64(55), drawn & np.uint64(63)):
        counts = np.bincount(part.astype(np.int64), minlength=64)
        assert float(((counts - 1000) ** 2 / 1000).sum()) < 160
    rows = iter([[8 * P + 7, 8 * (P - 1)], [8 * P], [9]])
    monkeypatch.setattr(shamir, "words", lambda count: np.array(next(rows), dtype=np.uint64))
    assert shamir._uniform(2).tolist() == [1, P - 1]  # p itself is drawn again, until it is not


def test_every_value_of_every_piece_gets_its_own_polynomial() -> None:
    values = np.full(2 * shamir._AT_ONCE + 5, 3, dtype=np.int64)
    first, again = split(values, 2, 5), split(values, 2, 5)
    for share, other in zip(first, again, strict=True):
        assert len(np.unique(share)) == len(share)
        assert not np.any(share == other)
    assert np.array_equal(open_shares(first, 2, "a test"), values)


def test_shapes_are_kept_and_pieces_joined() -> None:
    values = np.arange(-50_000, 50_000, dtype=np.int64).reshape(100, 1000)
    shares = split(values, 1, 3)
    totals = [share.copy() for share in shares]
    for total, share in zip(totals, shares, strict=True):
        add_into(total, share)
    assert {total.shape for total in totals} == {(100, 1000)}
    assert np.array_equal(open_shares(totals, 1, "a test"), 2 * values)
    nothing = split(np.zeros(0, dtype=np.int64), 1, 3)
    assert open_shares(nothing, 1, "a test").shape == (0,)


def test_inputs_are_left_alone() -> None:
    shares = split(np.array(VALUES, dtype=np.int64), 1, 3)
    for share in shares:
        share.flags.writeable = False  # as a frame that was received
    total = shares[0].copy()
    add_into(total, shares[1])
    open_shares(shares, 1, "a test")


# -- opening -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("parties", "threshold"), [(3, 1), (4, 1)])
def test_openings_of_edge_shares(parties: int, threshold: int) -> None:
    """Any t + 1 shares are those of some polynomial: all pairs of edge values."""
    cases = list(itertools.product(EDGES, repeat=threshold + 1))
    points = [dict(enumerate(case, start=1)) for case in cases]
    shares = [
        np.array([by_lagrange(one, party + 1) for one in points], dtype=np.uint64)
        for party in range(parties)
    ]
    wanted = [(by_lagrange(one, 0) + HALF) % P - HALF for one in points]
    assert open_shares(shares, threshold, "a test").tolist() == wanted


def degree(values: list[int]) -> int:
    """Degree of the polynomial through (1, v₁), (2, v₂), …; −1 for zero."""
    found = -1
    for order in range(len(values)):
        if values[0] % P:
            found = order
        values = [b - a for a, b in pairwise(values)]
    return found


@settings(max_examples=200)
@given(st.sampled_from(SIZES[1:]), st.data())
def test_any_change_that_is_no_sharing_of_its_own_is_noticed(
    size: tuple[int, int], data: st.DataObject
) -> None:
    parties, threshold = size
    shares = split(np.array([5, -7, 0], dtype=np.int64), threshold, parties)
    offset = st.one_of(st.just(0), st.sampled_from(EDGES), st.integers(0, P - 1))
    offsets = data.draw(st.lists(offset, min_size=parties, max_size=parties))
    for share, change in zip(shares, offsets, strict=True):
        share[1] = (int(share[1]) + change) % P
    if degree(offsets) <= threshold:
        moved = by_lagrange(dict(enumerate(offsets[: threshold + 1], start=1)), 0)
        opened = open_shares(shares, threshold, "a test").tolist()
        assert opened == [5, (moved - 7 + HALF) % P - HALF, 0]
    else:
        with pytest.raises(SecgenError, match="consistency check") as caught:
            open_shares(shares, threshold, "a test")
        assert caught.value.diagnostics[0].code == "SG505"


@pytest.mark.parametrize(("parties", "threshold"), [(3, 1), (4, 1), (5, 1), (5, 2)])
def test_every_set_of_m_less_t_less_1_wrong_shares_is_noticed(parties: int, threshold: int) -> None:
    place = shamir._AT_ONCE + 3  # of the second piece
    shares = split(np.arange(place + 2, dtype=np.int64), threshold, parties)
    for count in range(1, parties - threshold):
        for changed in itertools.combinations(range(parties), count):
            for change in (1, HALF, P - 1):
                wrong = [share.copy() for share in shares]
                for index in changed:
                    wrong[index][place] = (int(wrong[index][place]) + change) % P
                with pytest.raises(SecgenError, match="SG505"):
                    open_shares(wrong, threshold, "a test")


@pytest.mark.parametrize("party", [0, 1, 2])
@pytest.mark.parametrize("element", [P, P + 1, 2**62, 2**64 - 1])
def test_no_element_of_the_field(party: int, element: int) -> None:
    """p stands for 0 too: a share has one form, or two sites could hold other bytes as equal."""
    shares = split(np.zeros(2, dtype=np.int64), 1, 3)
    for share in shares:
        share[:] = 0
    shares[party][1] = element
    with pytest.raises(SecgenError, match="SG505"):
        open_shares(shares, 1, "a test")


@pytest.mark.parametrize(("count", "threshold"), [(2, 1), (1, 0), (0, 0), (3, -1), (3, 2)])
def test_too_few_shares_for_a_check(count: int, threshold: int) -> None:
    with pytest.raises(ValueError, match="cannot be checked"):
        open_shares([np.zeros(2, dtype=np.uint64)] * count, threshold, "a test")


def test_shares_of_several_lengths() -> None:
    with pytest.raises(ValueError, match="cannot be checked"):
        open_shares([np.zeros(n, dtype=np.uint64) for n in (2, 2, 1)], 1, "a test")
    with pytest.raises(ValueError, match="their own shape"):
        add_into(np.zeros(2, dtype=np.uint64), np.zeros(1, dtype=np.uint64))


@pytest.mark.parametrize(("parties", "threshold"), [(3, 0), (3, 3), (3, -1)])
def test_thresholds_out_of_range(parties: int, threshold: int) -> None:
    with pytest.raises(ValueError, match="threshold"):
        split(np.zeros(2, dtype=np.int64), threshold, parties)


def test_sums_of_many_dealers() -> None:
    values = np.array(VALUES, dtype=np.int64)
    dealings = [split(values, 2, 5) for _ in range(9)]
    totals = [share.copy() for share in dealings[0]]
    for dealing in dealings[1:]:
        for total, share in zip(totals, dealing, strict=True):
            add_into(total, share)
    assert open_shares(totals, 2, "a test").tolist() == [
        (9 * value + HALF) % P - HALF for value in VALUES
    ]


def test_the_prime_and_its_spare_bits() -> None:
    assert P == 2**61 - 1
    assert 2 * (P - 1) < 2**62  # a sum of two elements wraps around nowhere
    assert "float" not in inspect.getsource(shamir)
