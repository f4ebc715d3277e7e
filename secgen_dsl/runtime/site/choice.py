"""Which samples count: joined rows, at most k of a person, chosen from that person's rows alone.

Nothing here depends on another person's rows, nor on the order of rows in a file (PRIVACY 1.3,
case c): adding or removing a person adds or removes that person's samples and nothing else.  Of
joined files a person's rows are the clinical ones and the expression rows of their samples; no
sample may stand twice in either file (SG426), so that no row is two people's.
"""

import hmac
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.public.reference import MISSING_WORDS
from secgen_dsl.queries.labels import NO_CELL
from secgen_dsl.runtime.site.source import moment_of


@dataclass(frozen=True, eq=False)
class Rows:
    """A table's rows before the choice, n of each.

    Attributes:
        persons: the person keys.
        samples: the samples' names; None if the table does not name them.
        per: codes of the column whose every value has a cap of its own, ``NO_CELL`` where a row
            has none of its values; None if the cap is on all samples of a person.
        dates: texts by which the earliest samples are kept, or None.
        contents: whatever else of a row counts, as texts.
        expression: float64 of shape (rows of the expression file, genes).
        sums: library sizes of the same rows, or None.
        expression_samples: names of the expression file's rows if it is a file of its own; None:
            its rows are the table's rows.  Then no name stands twice in it, nor in ``samples``.
    """

    persons: Sequence[str]
    samples: Sequence[str] | None
    per: NDArray[np.int64] | None
    dates: Sequence[str] | None
    contents: Sequence[Sequence[str]]
    expression: NDArray[np.float64]
    sums: NDArray[np.float64] | None
    expression_samples: Sequence[str] | None


@dataclass(frozen=True, eq=False)
class Choice:
    """The samples that count, and why other rows do not.

    Attributes:
        rows: positions of their rows, in rising order.
        expression_rows: position of each one's row of expression values.
        people: persons with a sample that counts.
        without_person: rows without a person key.
        without_value: rows without a value of the column ``per``.
        without_expression: rows whose sample the expression file lacks.
        unused_expression: rows of the expression file whose sample no row has.
        repeated: rows left out because another one of the same person has the same sample.
        further: rows left out because the cap was reached.
        shared: samples' names that rows of several persons have.
    """

    rows: NDArray[np.int64]
    expression_rows: NDArray[np.int64]
    people: int
    without_person: int
    without_value: int
    without_expression: int
    unused_expression: int
    repeated: int
    further: int
    shared: int


def choose(rows: Rows, cap: int, site_key: bytes) -> Choice:
    """At most ``cap`` samples of a person, or of a person and a value of ``per``.

    The earliest dates come first (``moment_of``); among equals, and without dates, the smallest
    HMAC-SHA256(site key, name of the sample), then the smallest of the row's own content.  Rows of
    one person and one sample of one table count once.
    """
    ranks = _Ranks(rows, site_key)
    expression_of = None
    if rows.expression_samples is not None:
        expression_of = {name: place for place, name in enumerate(rows.expression_samples)}
    groups: dict[tuple[str, int], list[int]] = defaultdict(list)
    counts: Counter[str] = Counter()
    places = np.arange(len(rows.persons))
    for row, person in enumerate(rows.persons):
        if person.lower() in MISSING_WORDS:
            counts["without_person"] += 1
            continue
        if rows.per is not None and rows.per[row] == NO_CELL:
            counts["without_value"] += 1
            continue
        if expression_of is not None:
            sample = _sample(rows, row)
            place = expression_of.get(sample) if sample else None
            if place is None:
                counts["without_expression"] += 1
                continue
            places[row] = place
        groups[person, 0 if rows.per is None else int(rows.per[row])].append(row)
    kept = []
    for group in groups.values():
        seen: set[str] = set()
        some: list[int] = []
        for row in ranks.in_order(group, places):
            sample = _sample(rows, row)
            if sample and sample in seen:
                counts["repeated"] += 1
            elif len(some) == cap:
                counts["further"] += 1
            else:
                some.append(row)
            seen.add(sample)
        kept += some
    chosen = np.array(sorted(kept), dtype=np.int64)
    return Choice(
        rows=chosen,
        expression_rows=places[chosen],
        people=len({person for person, _ in groups}),
        without_person=counts["without_person"],
        without_value=counts["without_value"],
        without_expression=counts["without_expression"],
        unused_expression=_unused(rows),
        repeated=counts["repeated"],
        further=counts["further"],
        shared=_shared(rows),
    )


class _Ranks:
    """By what rows are told apart, worked out only where there are several."""

    def __init__(self, rows: Rows, site_key: bytes) -> None:
        self._rows = rows
        self._key = site_key

    def in_order(self, group: Sequence[int], places: NDArray[np.int64]) -> Sequence[int]:
        """Rows of one person, those that are kept first."""
        if len(group) == 1:
            return group
        return sorted(group, key=lambda row: self._rank(row, int(places[row])))

    def _rank(self, row: int, place: int) -> tuple[tuple[int, float], bytes, bytes, bytes]:
        dates = self._rows.dates
        moment = moment_of(dates[row]) if dates is not None else (0, 0)
        sample = _sample(self._rows, row)
        name = self._digest("name", [sample]) if sample else b""
        # Two rows of one name are told apart by their content, never by their order.
        content = self._digest("content", self._rows.contents[row])
        return moment, name, content, self._expression(place)

    def _expression(self, place: int) -> bytes:
        values = self._rows.expression[place].tobytes()
        if self._rows.sums is not None:
            values += self._rows.sums[place].tobytes()
        return hmac.digest(self._key, b"expression" + values, "sha256")

    def _digest(self, kind: str, texts: Sequence[str]) -> bytes:
        return hmac.digest(self._key, json.dumps([kind, *texts]).encode(), "sha256")


def _sample(rows: Rows, row: int) -> str:
    """The name of a row's sample; empty if it has none."""
    if rows.samples is None:
        return ""
    name = rows.samples[row]
    return "" if name.lower() in MISSING_WORDS else name


def repeated_names(samples: Sequence[str]) -> list[str]:
    """Names that several rows have; missing ones join nothing and do not count."""
    counts = Counter(name for name in samples if name.lower() not in MISSING_WORDS)
    return [name for name, count in counts.items() if count > 1]


def _unused(rows: Rows) -> int:
    if rows.expression_samples is None:
        return 0
    named = set(rows.samples or ())
    return sum(name not in named for name in rows.expression_samples)


def _shared(rows: Rows) -> int:
    owners: dict[str, set[str]] = defaultdict(set)
    for row, person in enumerate(rows.persons):
        sample = _sample(rows, row)
        if sample:
            owners[sample].add(person)
    return sum(len(persons) > 1 for persons in owners.values())
