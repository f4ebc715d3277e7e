"""The search for the queries that are best measured centred.

Measured centred, a query is cheaper, needs a label histogram, and wants that to be more exact the
more queries use it; floors, ceilings and pools make the whole a problem of choice.  Each trial of a
choice is an allocation.  What spares nearly all of them is weak duality: with the multiplier ν of
each pool at the optimal allocation of one choice,

    Σ min over σ² of (T·a·σ² + ν·T·Δ²/σ²) − ν·μ²

is a lower bound on what any other choice costs, and it is a sum over parts of the program that
share no table.  So a change of one part that does not lower its summand cannot help, neither alone
nor beside changes of others, and only where one does is the allocation made.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import TypeAlias

from secgen_dsl.planner.allocation import (
    CONTEXT,
    Kind,
    Kinds,
    Measured,
    OutOfReachError,
    Sorter,
    optimum,
    part_of,
    pools_of,
)

_TIE = Decimal("1e-40")
"""What differs by less, relatively, is equal but for rounding: choices are then left alone."""

Counts: TypeAlias = tuple[int, ...]
"""A choice for one part: how many of each of its groups are centred."""

_Price: TypeAlias = Callable[[Kind], Decimal]
_Choice: TypeAlias = tuple[object, Counts]
"""Shape and counts of a part."""


@dataclass(frozen=True)
class Part:
    """Queries whose choices bear on each other, and on no other query's.

    Attributes:
        groups: ids of alike queries, in the program's order.
        candidates: for each group, whether its queries may be centred.
        shape: equal for parts that differ in nothing but names.
    """

    groups: tuple[tuple[str, ...], ...]
    candidates: tuple[bool, ...]
    shape: object

    def centred(self, counts: Counts) -> Iterator[str]:
        """The ids of the centred queries: the last ones of each group."""
        for names, count in zip(self.groups, counts, strict=True):
            yield from names[len(names) - count :]

    def copies(self, counts: Counts) -> Mapping[str, int]:
        """One id for the plain and one for the centred queries of each group → how many."""
        found = {}
        for names, count in zip(self.groups, counts, strict=True):
            if count < len(names):
                found[names[0]] = len(names) - count
            if count:
                found[names[-1]] = count
        return found


Measure: TypeAlias = Callable[[Mapping[str, int], frozenset[str]], Sequence[Measured]]
"""Measures some queries, each standing for so many alike ones, those of a set centred."""


def search(
    parts: Sequence[Part],
    measure: Measure,
    shares: Mapping[str, Fraction],
    mu: Fraction,
    honest_parties: int,
) -> frozenset[str]:
    """The ids of the queries to be measured centred.

    Starts with all that may be; ends where no change of one part lowers the objective.  A change
    centres one of a group more or less, the whole group or none of it, or all or nothing at all.

    Args:
        shares: id of a query with ``share`` → its part of μ².

    Raises:
        OutOfReachError: no choice was found that keeps the accuracy targets within the budget.
    """
    with localcontext(CONTEXT):
        trial = _Trial(parts, measure, shares, mu**2, honest_parties)
        best = trial.feasible()
        while (better := trial.improved(best)) is not None:
            best = better
    return frozenset(
        name for part, counts in zip(parts, best, strict=True) for name in part.centred(counts)
    )


@dataclass(frozen=True)
class _Change:
    """Another choice for some alike parts, and what it adds to the lower bound, below 0."""

    gain: Decimal
    places: tuple[int, ...]
    counts: Counts


class _Trial:
    """What choices cost."""

    def __init__(
        self,
        parts: Sequence[Part],
        measure: Measure,
        shares: Mapping[str, Fraction],
        budget: Fraction,
        honest_parties: int,
    ) -> None:
        self._parts = parts
        self._measure = measure
        self._shares = shares
        self._budget = budget
        self._sorter = Sorter(honest_parties)
        self._known: dict[_Choice, Kinds] = {}

    def feasible(self) -> list[Counts]:
        """All centred, if that keeps the targets; else what takes least of the budget for them.

        Raises:
            OutOfReachError: neither does, nor all plain.
        """
        tried: list[OutOfReachError] = []
        for chosen in self._starts():
            try:
                self._evaluate(self._alike(chosen))
            except OutOfReachError as error:
                tried.append(error)
            else:
                return chosen
        raise min(tried, key=lambda error: (error.needed is None, error.needed or 0))

    def improved(self, chosen: Sequence[Counts]) -> list[Counts] | None:
        """A choice that costs less; None if no change of one part does."""
        alike = self._alike(chosen)
        cost, price = self._evaluate(alike)
        gains = [
            _Change(gain * len(places), tuple(places), other)
            for (_, counts), places in alike.items()
            for gain, other in self._gains(places[0], counts, price)
            if gain < -_TIE * cost
        ]
        gains.sort(key=lambda change: (change.gain, change.places[0], change.counts))
        # The best change of every part at once, else of those parts alone that promise most.
        together: dict[int, _Change] = {}
        for change in gains:
            together.setdefault(change.places[0], change)
        first = list(together.values())
        while first:
            found = self._if_less(chosen, first, cost)
            if found is not None:
                return found
            first = first[: len(first) // 2]
        for change in gains:
            of_one = replace(change, places=change.places[:1])
            for one in (change, of_one):
                found = self._if_less(chosen, [one], cost)
                if found is not None:
                    return found
        return None

    def _if_less(
        self, chosen: Sequence[Counts], changes: Sequence[_Change], cost: Decimal
    ) -> list[Counts] | None:
        """The changed choice, if it costs less."""
        changed = list(chosen)
        for change in changes:
            for place in change.places:
                changed[place] = change.counts
        try:
            reached, _ = self._evaluate(self._alike(changed))
        except OutOfReachError:
            return None
        return changed if reached < cost * (1 - _TIE) else None

    def _alike(self, chosen: Sequence[Counts]) -> dict[_Choice, list[int]]:
        """The places of the parts of one shape and choice."""
        found: dict[_Choice, list[int]] = defaultdict(list)
        for place, counts in enumerate(chosen):
            found[self._parts[place].shape, counts].append(place)
        return found

    def _evaluate(self, alike: Mapping[_Choice, Sequence[int]]) -> tuple[Decimal, _Price]:
        """The least objective of a choice, and the price of a query at its multipliers.

        Raises:
            OutOfReachError: it does not keep the accuracy targets within the budget.
        """
        kinds: Kinds = Counter()
        for (_, counts), places in alike.items():
            for kind, count in self._kinds(places[0], counts).items():
                kinds[kind] += count * len(places)
        optima = {
            pool: optimum(own, self._budget * part_of(pool, self._shares))
            for pool, own in pools_of(kinds).items()
        }

        def price(kind: Kind) -> Decimal:
            return kind.price_at(optima[kind.example.pool])

        return sum((one.objective for one in optima.values()), Decimal(0)), price

    def _gains(self, place: int, counts: Counts, price: _Price) -> Iterator[tuple[Decimal, Counts]]:
        """What changes of a part add to its summand of the lower bound, and the changes."""
        now = self._price(place, counts, price)
        for other in self._changes(place, counts):
            yield self._price(place, other, price) - now, other

    def _price(self, place: int, counts: Counts, price: _Price) -> Decimal:
        kinds = self._kinds(place, counts)
        return sum((count * price(kind) for kind, count in kinds.items()), Decimal(0))

    def _changes(self, place: int, counts: Counts) -> set[Counts]:
        part = self._parts[place]
        found = {self._most(part), tuple(0 for _ in counts)}
        for group, names in enumerate(part.groups):
            if part.candidates[group]:
                for count in {0, counts[group] - 1, counts[group] + 1, len(names)}:
                    if 0 <= count <= len(names):
                        found.add((*counts[:group], count, *counts[group + 1 :]))
        return found - {counts}

    def _kinds(self, place: int, counts: Counts) -> Kinds:
        part = self._parts[place]
        key = (part.shape, counts)
        if key not in self._known:
            kinds: Kinds = Counter()
            for item in self._measure(part.copies(counts), frozenset(part.centred(counts))):
                kinds[self._sorter.kind(item)] += item.copies
            self._known[key] = kinds
        return self._known[key]

    def _most(self, part: Part) -> Counts:
        return tuple(
            len(names) if may else 0
            for names, may in zip(part.groups, part.candidates, strict=True)
        )

    def _starts(self) -> Iterator[list[Counts]]:
        most = [self._most(part) for part in self._parts]
        yield most
        yield self._least_needed(most)
        yield [tuple(0 for _ in part.groups) for part in self._parts]

    def _least_needed(self, chosen: Sequence[Counts]) -> list[Counts]:
        """A choice whose accuracy targets take less of their pools."""

        def price(kind: Kind) -> Decimal:
            if kind.ceiling is None:
                return Decimal(0)
            if kind.ceiling < kind.floor:
                return Decimal("Infinity")
            part = part_of(kind.example.pool, self._shares)
            return kind.load / kind.ceiling * part.denominator / part.numerator

        found = list(chosen)
        for places in self._alike(chosen).values():
            counts = chosen[places[0]]
            options = [counts, *sorted(self._changes(places[0], counts))]
            best = min(options, key=lambda one: self._price(places[0], one, price))
            for place in places:
                found[place] = best
        return found
