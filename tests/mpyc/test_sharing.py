"""Shamir and MPyC: splitting, adding, opening, and that MPyC's own network is unreachable."""

import asyncio
import secrets
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from secgen_dsl.backends.mpyc.sharing import (
    local_share,
    secure_array,
    start_mpyc,
)
from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.plan import MERSENNE_61
from secgen_dsl.runtime.shamir import add_into, open_shares, split

HALF = MERSENNE_61 // 2
PARTIES = st.sampled_from([(3, 1), (4, 1), (5, 1), (5, 2), (7, 3)])


@pytest.fixture(scope="module", autouse=True)
def mpc() -> object:
    return start_mpyc(0, 3, 1)


def degree(values: list[int]) -> int:
    """Degree of the polynomial through (1, v₁), (2, v₂), … by finite differences; −1 for zero."""
    found = -1
    for order in range(len(values)):
        if values[0] % MERSENNE_61:
            found = order
        values = [b - a for a, b in pairwise(values)]
    return found


@settings(max_examples=60, deadline=None)
@given(PARTIES, st.lists(st.integers(-HALF, HALF), min_size=1, max_size=6))
def test_what_is_shared_is_what_is_opened(size: tuple[int, int], values: list[int]) -> None:
    parties, threshold = size
    vector = np.array(values, dtype=np.int64)
    shares = split(vector, threshold, parties)
    assert open_shares(shares, threshold, "a test").tolist() == values
    assert degree([int(share[0]) for share in shares]) <= threshold


@settings(max_examples=150, deadline=None)
@given(PARTIES, st.data())
def test_any_change_that_is_no_sharing_of_its_own_aborts(
    size: tuple[int, int], data: st.DataObject
) -> None:
    parties, threshold = size
    shares = split(np.array([5, -7, 0], dtype=np.int64), threshold, parties)
    offset = st.one_of(st.just(0), st.sampled_from([1, 2]), st.integers(0, MERSENNE_61 - 1))
    offsets = data.draw(st.lists(offset, min_size=parties, max_size=parties))
    for share, change in zip(shares, offsets, strict=True):
        share[1] = np.uint64((int(share[1]) + change) % MERSENNE_61)
    if degree(offsets) <= threshold:
        moved = open_shares(shares, threshold, "a test")
        assert moved[0] == 5
        assert moved[2] == 0
        # No t parties can do this: a polynomial of degree t ≥ 1 vanishes at no more than t points.
        assert sum(map(bool, offsets)) in (0, *range(parties - threshold, parties + 1))
    else:
        with pytest.raises(SecgenError, match="consistency check") as caught:
            open_shares(shares, threshold, "a test")
        assert caught.value.diagnostics[0].code == "SG505"


@pytest.mark.parametrize(("parties", "threshold"), [(3, 1), (5, 2)])
def test_every_set_of_at_most_t_wrong_shares_aborts(parties: int, threshold: int) -> None:
    for mask in range(1, 2**parties):
        changed = [index for index in range(parties) if mask >> index & 1]
        if len(changed) > threshold:
            continue
        shares = split(np.arange(4, dtype=np.int64), threshold, parties)
        for index in changed:
            shares[index][3] = np.uint64((int(shares[index][3]) + 1) % MERSENNE_61)
        with pytest.raises(SecgenError, match="SG505"):
            open_shares(shares, threshold, "a test")


def test_a_share_is_fresh_and_uniform_whatever_the_secret() -> None:
    secret = np.full(20_000, 3, dtype=np.int64)
    first, again = split(secret, 2, 5), split(secret, 2, 5)
    for row, other in zip(first, again, strict=True):
        assert not np.any(row == other)
        # 16 equal parts of the field: chi-square with 15 degrees of freedom, 60 is beyond 1e-6.
        counts = np.bincount((row >> np.uint64(57)).astype(np.int64), minlength=16)
        assert float(((counts - 1250) ** 2 / 1250).sum()) < 60


def test_secure_arrays_add_to_the_sum(mpc: object) -> None:
    vectors = [np.array([1, -2, HALF], dtype=np.int64), np.array([10, 20, 1], dtype=np.int64)]
    dealings = [split(vector, 1, 3) for vector in vectors]

    async def sums() -> list[NDArray[np.uint64]]:
        totals = []
        for party in range(3):
            total = secure_array(dealings[0][party]) + secure_array(dealings[1][party])
            totals.append(await local_share(mpc, total))
        return totals

    loop: asyncio.AbstractEventLoop = mpc._loop  # type: ignore[attr-defined]
    opened = open_shares(loop.run_until_complete(sums()), 1, "a test")
    assert opened.tolist() == [11, 18, -HALF]  # the last one wrapped around, silently


def test_the_native_lane_sends_what_secure_arrays_would(mpc: object) -> None:
    """Bit by bit: no peer sees whether a sum was MPyC's or ``add_into``'s."""
    vectors = np.random.default_rng(5).integers(-HALF, HALF, (4, 300))
    dealings = [split(vector, 1, 3) for vector in vectors]

    async def sum_at(party: int) -> NDArray[np.uint64]:
        rows = [secure_array(dealing[party]) for dealing in dealings]
        return await local_share(mpc, sum(rows[1:], rows[0]))

    loop: asyncio.AbstractEventLoop = mpc._loop  # type: ignore[attr-defined]
    for party in range(3):
        total = dealings[0][party].copy()
        for dealing in dealings[1:]:
            add_into(total, dealing[party])
        theirs = loop.run_until_complete(sum_at(party))
        assert total.tobytes() == theirs.tobytes()


@pytest.mark.parametrize(
    "name", ["start", "shutdown", "transfer", "input", "output", "_reshare", "_send_message"]
)
def test_mpyc_cannot_open_or_send(mpc: object, name: str) -> None:
    with pytest.raises(SecgenError, match="SG507"):
        getattr(mpc, name)(secure_array(np.array([secrets.randbelow(9)], dtype=np.uint64)))
