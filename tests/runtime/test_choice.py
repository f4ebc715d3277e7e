"""The rule by which samples count: a function of one person's rows and of the site's key."""

from collections import Counter
from typing import TypeAlias

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from secgen_dsl.queries.labels import NO_CELL
from secgen_dsl.runtime.site.choice import Rows, choose

Row: TypeAlias = tuple[str, int, str, str]
"""Sample, code of ``per``, date, other content."""


def rows_of(people: dict[str, list[Row]], order: list[tuple[str, int]], rule: str) -> Rows:
    """The rows in that order; with ``joined`` rules the expression is a file of its own."""
    picked = [(person, *people[person][place]) for person, place in order]
    samples = [row[1] for row in picked]
    joined = rule == "joined"
    # Every second sample has expression values; the values are those of the sample's name.
    names = sorted({name for name in samples if name and int(name[-1]) % 2})
    values = [float(sum(name.encode())) for name in names] if joined else [
        float(len(row[4])) for row in picked
    ]  # fmt: skip
    return Rows(
        persons=[row[0] for row in picked],
        samples=samples,
        per=np.array([row[2] for row in picked], dtype=np.int64) if rule == "per" else None,
        dates=[row[3] for row in picked] if rule == "dates" else None,
        contents=[[row[4]] for row in picked],
        expression=np.array(values, dtype=np.float64).reshape(-1, 1),
        sums=None,
        expression_samples=names if joined else None,
    )


def kept(rows: Rows, cap: int, key: bytes) -> dict[str, Counter[tuple[object, ...]]]:
    """Of each person, what counts: sample, content and expression."""
    choice = choose(rows, cap, key)
    found: dict[str, Counter[tuple[object, ...]]] = {}
    for row, place in zip(choice.rows, choice.expression_rows, strict=True):
        own = found.setdefault(rows.persons[row], Counter())
        assert rows.samples is not None
        value = float(rows.expression[place, 0])
        own[rows.samples[row], rows.contents[row][0], value] += 1
    return found


# Joined files hold each sample once (SG426), so a sample's name begins with its person's.
def one_person(name: str) -> st.SearchStrategy[list[Row]]:
    return st.lists(
        st.tuples(
            st.integers(0, 5).map(lambda number: f"{name}{number}"),
            st.sampled_from([NO_CELL, 0, 1]),
            st.sampled_from(["2020-01-01", "2019", "", "soon"]),
            st.sampled_from(["", "x", "yy"]),
        ),
        max_size=5,
    )


@settings(max_examples=300)
@given(
    st.fixed_dictionaries({name: one_person(name) for name in "abc"}),
    st.sampled_from(["plain", "per", "dates", "joined"]),
    st.integers(1, 3),
    st.binary(min_size=1, max_size=4),
    st.data(),
)
def test_adding_or_removing_a_person_never_changes_which_samples_of_another_are_kept(
    people: dict[str, list[Row]], rule: str, cap: int, key: bytes, data: st.DataObject
) -> None:
    if rule == "joined":
        people = {
            name: list({row[0]: row for row in rows}.values()) for name, rows in people.items()
        }
    order = [(name, place) for name, rows in people.items() for place in range(len(rows))]
    everyone = kept(rows_of(people, data.draw(st.permutations(order)), rule), cap, key)
    groups = 2 if rule == "per" else 1
    assert all(own.total() <= cap * groups for own in everyone.values())
    for gone in people:
        rest = data.draw(st.permutations([each for each in order if each[0] != gone]))
        others = {name: own for name, own in everyone.items() if name != gone}
        assert kept(rows_of(people, rest, rule), cap, key) == others
