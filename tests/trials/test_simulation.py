"""The simulation argument of docs/threat-model.md, counted out over a field of seven elements.

A coalition C of t parties sees its shares v of each honest dealing, then chooses what it deals to
each honest party (anything: it need not be a sharing of something, and may follow from v), and
sees the shares h that each honest party sends at the opening.  What it sends itself comes after.

Claim: for each strategy the law of (v, h) depends on the honest parties' values only through
their sum.  The coalition's dealings to honest party j add up to some D_j, so h_j is the share of
the honest sum at j, plus D_j.  A strategy is a choice of D for each v, in any combination, and the
law of (v, h) has one part for each v: so going through every pair of v and D goes through every
strategy.  The product's own dealer makes the shares; its draws are replaced by all that there are.

For |C| < t the claim follows: at least three parties are honest then, and two vectors with one sum
are joined by steps that change two entries and leave that of some third party k as it is; for each
step, C and k together are a coalition that is covered.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from secgen_dsl.runtime import shamir
from secgen_dsl.runtime.shamir import add_into, split

Q = 7
ELEMENTS = range(Q)

Shares = NDArray[np.uint64]
Draws = tuple[int, ...]
Sharing = tuple[int, ...]
"""What one dealer deals: a share for each party."""


@pytest.fixture(autouse=True)
def field_of_seven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shamir, "_P", np.uint64(Q))


def dealings(
    parties: int, threshold: int, monkeypatch: pytest.MonkeyPatch
) -> dict[tuple[int, Draws], Sharing]:
    """Value and draws → what the product's dealer deals."""
    cases = [
        (value, draws)
        for value in ELEMENTS
        for draws in itertools.product(ELEMENTS, repeat=threshold)
    ]
    columns = iter(
        [
            np.array([draws[order] for _, draws in cases], dtype=np.uint64)
            for order in range(threshold)
        ]
    )
    monkeypatch.setattr(shamir, "_uniform", lambda count: next(columns))
    shares = split(np.array([value for value, _ in cases], dtype=np.int64), threshold, parties)
    rows = zip(*(share.tolist() for share in shares), strict=True)
    return dict(zip(cases, rows, strict=True))


def coalitions(parties: int, threshold: int) -> list[tuple[int, ...]]:
    return list(itertools.combinations(range(parties), threshold))


def others(coalition: tuple[int, ...], parties: int) -> tuple[int, ...]:
    return tuple(party for party in range(parties) if party not in coalition)


def part(sharing: Sharing, of: Iterable[int]) -> Sharing:
    return tuple(sharing[party] for party in of)


def total(summands: Iterable[Sharing]) -> Sharing:
    return tuple(sum(column) % Q for column in zip(*summands, strict=True))


@pytest.mark.parametrize(("parties", "threshold"), [(3, 1), (5, 2)])
def test_a_coalitions_shares_are_uniform_and_fix_the_rest_with_the_value(
    parties: int, threshold: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dealt = dealings(parties, threshold, monkeypatch)
    for coalition in coalitions(parties, threshold):
        for value in ELEMENTS:
            seen = Counter(
                part(sharing, coalition) for (one, _), sharing in dealt.items() if one == value
            )
            assert len(seen) == Q**threshold
            assert set(seen.values()) == {1}


@pytest.mark.parametrize(
    ("parties", "threshold", "coalition"),
    [
        (parties, threshold, coalition)
        for parties, threshold in [(3, 1), (4, 1), (5, 2)]
        for coalition in coalitions(parties, threshold)
    ],
    ids=str,
)
def test_openings_follow_from_what_was_seen_and_the_honest_sum(
    parties: int,
    threshold: int,
    coalition: tuple[int, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All values, all draws: h before D, at each v, is the same for all values with one sum."""
    dealt = dealings(parties, threshold, monkeypatch)
    honest = others(coalition, parties)
    seen = list(itertools.product(ELEMENTS, repeat=threshold))
    # at[y][v]: the honest parties' shares of a dealing, given its value and the coalition's shares.
    at = np.zeros((Q, len(seen), len(honest)), dtype=np.uint8)
    for (value, _), sharing in dealt.items():
        at[value, seen.index(part(sharing, coalition))] = part(sharing, honest)
    packed = at @ (np.uint32(32) ** np.arange(len(honest), dtype=np.uint32))  # no sum carries over
    dealers = len(honest)
    found: dict[int, NDArray[np.uint8]] = {}
    for values in itertools.product(ELEMENTS, repeat=dealers):
        sums = packed[values[0]]
        for value in values[1:]:
            sums = np.add.outer(sums, packed[value])
        opened = np.stack([(sums >> (5 * j)) % 32 % Q for j in range(dealers)]).astype(np.uint8)
        wanted = found.setdefault(sum(values) % Q, opened)
        assert np.array_equal(opened, wanted), values
    # And the sum itself is told, as it must be: other sums, other openings, at every v.
    assert len(found) == Q
    for one, other in itertools.combinations(found.values(), 2):
        assert (one != other).any(axis=0).all()


def test_every_dealing_after_every_view(monkeypatch: pytest.MonkeyPatch) -> None:
    """m = 3, all of it: each v, each D, shares added as an honest party adds them."""
    dealt = dealings(3, 1, monkeypatch)
    by_value = {y: [dealt[y, draws] for draws in itertools.product(ELEMENTS)] for y in ELEMENTS}
    every = list(itertools.product(ELEMENTS, repeat=2))
    for coalition in coalitions(3, 1):
        honest = others(coalition, 3)
        views: dict[int, Counter[tuple[Sharing, Sharing, Sharing]]] = {}
        for values in every:
            cases = [
                (first, second, extra)
                for first, second in itertools.product(*(by_value[value] for value in values))
                for extra in every
            ]
            sums = np.array([part(first, honest) for first, _, _ in cases], dtype=np.uint64)
            add_into(sums, np.array([part(one, honest) for _, one, _ in cases], dtype=np.uint64))
            add_into(sums, np.array([extra for _, _, extra in cases], dtype=np.uint64))
            counted = Counter(
                (part(first, coalition) + part(second, coalition), extra, tuple(sent))
                for (first, second, extra), sent in zip(cases, sums.tolist(), strict=True)
            )
            assert counted == views.setdefault(sum(values) % Q, counted)
        assert len(views) == Q
        assert not set(views[0]) & set(views[1])


def test_strategies_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """m = 3: D = a + B·(sum of what was seen), each a and B; whole laws of (v, h) are compared."""
    dealt = dealings(3, 1, monkeypatch)
    coalition, honest = (2,), (0, 1)
    runs = defaultdict(list)
    for (first, r), (second, s) in itertools.product(dealt, repeat=2):
        pair = dealt[first, r], dealt[second, s]
        v = [part(one, coalition)[0] for one in pair]
        runs[first, second].append([*v, *total(part(one, honest) for one in pair)])
    tables = {values: np.array(rows) for values, rows in runs.items()}
    strategies = list(itertools.product(ELEMENTS, repeat=4))
    assert len(strategies) == 2401
    for a0, a1, b0, b1 in strategies:
        laws: dict[int, NDArray[np.int64]] = {}
        for values, rows in tables.items():
            u = rows[:, 0] + rows[:, 1]
            h0, h1 = (rows[:, 2] + a0 + b0 * u) % Q, (rows[:, 3] + a1 + b1 * u) % Q
            law = np.bincount(((rows[:, 0] * Q + rows[:, 1]) * Q + h0) * Q + h1, minlength=Q**4)
            assert np.array_equal(law, laws.setdefault(sum(values) % Q, law))


Deal = Callable[[dict[tuple[int, Draws], Sharing], tuple[int, int]], Iterable[list[Sharing]]]


def fresh(
    dealt: dict[tuple[int, Draws], Sharing], values: tuple[int, int]
) -> Iterable[list[Sharing]]:
    for draws in itertools.product(ELEMENTS, repeat=2):
        yield [dealt[value, (draw,)] for value, draw in zip(values, draws, strict=True)]


def restarted(
    dealt: dict[tuple[int, Draws], Sharing], values: tuple[int, int]
) -> Iterable[list[Sharing]]:
    """The same values in two sessions, by fresh polynomials."""
    yield from (
        [*first, *second] for first, second in itertools.product(fresh(dealt, values), repeat=2)
    )


def with_one_polynomial(
    dealt: dict[tuple[int, Draws], Sharing], values: tuple[int, int]
) -> Iterable[list[Sharing]]:
    for draw in ELEMENTS:
        yield [dealt[value, (draw,)] for value in values]


def of_degree_0(
    dealt: dict[tuple[int, Draws], Sharing], values: tuple[int, int]
) -> Iterable[list[Sharing]]:
    yield [dealt[value, (0,)] for value in values]


def sum_is_all(deal: Deal, dealt: dict[tuple[int, Draws], Sharing]) -> bool:
    """Whether the view of party 2 of 3 depends on the values of the others only by their sum."""
    laws: dict[int, Counter[tuple[Sharing, ...]]] = {}
    for values in itertools.product(ELEMENTS, repeat=2):
        law: Counter[tuple[Sharing, ...]] = Counter()
        for made in deal(dealt, (values[0], values[1])):
            sessions = [made[start : start + 2] for start in range(0, len(made), 2)]
            law[
                tuple(
                    part(total(session), (0, 1)) + tuple(one[2] for one in session)
                    for session in sessions
                )
            ] += 1
        if law != laws.setdefault(sum(values) % Q, law):
            return False
    return True


@pytest.mark.parametrize(
    ("deal", "holds"),
    [(fresh, True), (restarted, True), (with_one_polynomial, False), (of_degree_0, False)],
    ids=["fresh", "restarted", "one polynomial for all", "degree 0"],
)
def test_restarts_tell_nothing_and_careless_dealers_are_noticed(
    deal: Deal, holds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sum_is_all(deal, dealings(3, 1, monkeypatch)) is holds
