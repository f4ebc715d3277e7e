from itertools import combinations
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secgen_dsl.ir.cliques import cliques, largest_clique

SIZES = dict.fromkeys("abcdefgh", 3)

Sets = st.lists(
    st.lists(st.sampled_from("abcdefgh"), min_size=0, max_size=4, unique=True).map(tuple),
    max_size=9,
)


def edges(groups: list[tuple[str, ...]]) -> set[frozenset[str]]:
    return {frozenset(pair) for group in groups for pair in combinations(group, 2)}


def test_a_chordal_graph_stays_as_it_is() -> None:
    flags = [(f"flag{number}", "eln") for number in range(30)]
    sizes = {"eln": 4} | {f"flag{number}": 3 for number in range(30)}
    found = cliques(sizes, [*flags, ("eln",)])
    assert set(found) == {("eln", flag) for flag, _ in flags}
    assert largest_clique(sizes, flags)[1] == 12
    # A chain of triples; a triangle of pairs is one clique.
    assert cliques(SIZES, ["abc", "bcd", "cde"]) == (
        ("a", "b", "c"),
        ("b", "c", "d"),
        ("c", "d", "e"),
    )
    assert cliques(SIZES, ["ab", "bc", "ca", "d"]) == (("a", "b", "c"), ("d",))


def test_a_loop_is_cut_where_the_table_is_smallest() -> None:
    sizes = {"a": 9, "b": 2, "c": 9, "d": 2}
    found = cliques(sizes, ["ab", "bc", "cd", "da"])
    assert found == (("a", "b", "d"), ("b", "c", "d"))  # joins b and d, not a and c


def test_the_largest_clique_and_its_cells() -> None:
    sizes = {"a": 2, "b": 10, "c": 20, "d": 3}
    assert largest_clique(sizes, ["ab", "cb", "ad"]) == (("b", "c"), 200)
    assert largest_clique(sizes, []) == ((), 1)
    assert largest_clique(sizes, [()]) == ((), 1)
    with pytest.raises(KeyError):
        largest_clique(sizes, ["ax"])


@given(Sets)
def test_cliques_of_any_sets(sets: list[tuple[str, ...]]) -> None:
    found = cliques(SIZES, sets)
    for group in sets:
        assert not group or any(set(group) <= set(clique) for clique in found)
    assert {name for clique in found for name in clique} == {name for s in sets for name in s}
    for one, other in combinations(found, 2):
        assert not set(one) <= set(other)
        assert not set(other) <= set(one)
    # Triangulated: its own cliques are found again, and no edge is added.
    assert set(cliques(SIZES, found)) == set(found)
    assert edges(sets) <= edges(list(found))
    assert largest_clique(SIZES, sets)[1] == max((prod([3] * len(c)) for c in found), default=1)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=7))
def test_no_edge_is_added_to_a_tree(parents: list[int]) -> None:
    names = "abcdefgh"
    tree = [(names[i + 1], names[p % (i + 1)]) for i, p in enumerate(parents)]
    assert edges(list(cliques(SIZES, tree))) == edges(tree)


def test_a_hub_of_a_thousand_leaves_is_quick() -> None:
    import time

    sizes = {"hub": 5} | {f"leaf{number}": 2 for number in range(1000)}
    start = time.process_time()
    found = cliques(sizes, [("hub", name) for name in sizes if name != "hub"])
    assert len(found) == 1000
    assert time.process_time() - start < 5
