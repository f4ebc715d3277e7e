import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.synthesis.junction import JunctionTree, conditional, junction_tree
from secgen_dsl.synthesis.measured import Floats

SIZES = {"a": 2, "b": 3, "c": 2, "d": 4, "e": 3, "f": 2}
CHAINS = [["ab", "bc", "cd"], ["abc", "bcd", "de", "cf"], ["ab", "ac", "ad", "ae", "af"], ["abc"]]


def tree_of(sets: list[str]) -> JunctionTree:
    return junction_tree({n: k for n, k in SIZES.items() if any(n in s for s in sets)}, sets)


def joint_of(tree: JunctionTree, tables: list[Floats]) -> Floats:
    """∏ cliques / ∏ separators, cell by cell."""
    joint = np.ones(tuple(tree.sizes.values()))
    for clique, own in zip(tree.cliques, tables, strict=True):
        joint = joint * own.reshape([n if c in clique else 1 for c, n in tree.sizes.items()])
    for separator in tree.separators:
        shared = separator.of_parent(tables[separator.parent])
        joint = joint / shared.reshape(
            [n if c in separator.columns else 1 for c, n in tree.sizes.items()]
        )
    return joint


def some_tables(tree: JunctionTree, seed: int) -> list[Floats]:
    rng = np.random.default_rng(seed)
    drawn = [rng.dirichlet(np.ones(int(np.prod(s)))).reshape(s) for s in tree.shapes]
    return tree.calibrated(drawn)


@pytest.mark.parametrize("sets", CHAINS, ids=",".join)
def test_calibrated_tables_agree_and_keep_what_the_parent_says(sets: list[str]) -> None:
    tree = tree_of(sets)
    tables = some_tables(tree, 1)
    for separator in tree.separators:
        np.testing.assert_allclose(
            separator.of_child(tables[separator.child]),
            separator.of_parent(tables[separator.parent]),
        )
        assert separator.columns  # connected columns: neighbours share something
    for own in tables:
        assert own.sum() == pytest.approx(1)


@pytest.mark.parametrize("sets", CHAINS, ids=",".join)
def test_tables_of_any_columns_are_those_of_the_joint(sets: list[str]) -> None:
    tree = tree_of(sets)
    tables = some_tables(tree, 2)
    joint = joint_of(tree, tables)
    assert joint.sum() == pytest.approx(1)
    names = list(tree.sizes)
    rng = np.random.default_rng(3)
    for _ in range(25):
        columns = rng.permutation(names)[: rng.integers(1, len(names) + 1)].tolist()
        summed = tuple(i for i, name in enumerate(names) if name not in columns)
        kept = [name for name in names if name in columns]
        expected = joint.sum(axis=summed).transpose([kept.index(name) for name in columns])
        np.testing.assert_allclose(tree.marginal(tables, columns), expected, atol=1e-12)


def test_cells_without_people_stay_without() -> None:
    tree = tree_of(["ab", "bc"])
    tables = [
        np.array([[0.5, 0.0, 0.1], [0.2, 0.0, 0.2]]),
        np.array([[0.4, 0.3], [0, 0], [0.1, 0.2]]),
    ]
    tables = tree.calibrated(tables)
    np.testing.assert_allclose(tree.marginal(tables, ["a", "b"])[:, 1], 0)
    assert tree.marginal(tables, ["a", "c"]).sum() == pytest.approx(1)
    assert np.isfinite(conditional(tables[1], tree.separators[0])).all()
    # People in the parent where the child has none are spread evenly.
    spread = tree.calibrated([np.full((2, 3), 1 / 6), np.array([[0.5, 0.5], [0, 0], [0, 0]])])
    np.testing.assert_allclose(spread[1], np.full((3, 2), 1 / 6))


@given(st.lists(st.sampled_from(["ab", "bc", "cd", "de", "ef", "fa", "bd", "ce"]), min_size=1))
def test_every_column_is_connected_within_the_tree(sets: list[str]) -> None:
    """The running intersection: what a clique shares with all before lies in its parent."""
    sizes = {n: k for n, k in SIZES.items() if any(n in s for s in sets)}
    from secgen_dsl.synthesis.consistency import connected_columns

    for names in connected_columns([tuple(s) for s in sets]):
        own = {name: n for name, n in sizes.items() if name in names}
        tree = junction_tree(own, [s for s in sets if set(s) <= set(names)])
        for separator in tree.separators:
            before = {n for clique in tree.cliques[: separator.child] for n in clique}
            assert set(tree.cliques[separator.child]) & before == set(separator.columns)
            assert set(separator.columns) <= set(tree.cliques[separator.parent])


def test_a_clique_beyond_the_limit_is_named_with_its_size() -> None:
    sizes = {"a": 200, "b": 100, "c": 100, "d": 2}
    with pytest.raises(SecgenError) as raised:
        junction_tree(sizes, ["ab", "bc", "ca", "ad"])
    found = raised.value.diagnostics[0]
    assert found.code == "SG601"
    assert "2,000,000" in found.message
    assert "a (200) × b (100) × c (100)" in found.message
    assert "d (2)" not in found.message
    assert found.next_step


def test_a_table_of_columns_far_apart_may_be_too_large_and_says_so() -> None:
    sizes = {"a": 1000, "b": 2, "c": 1000}
    tree = junction_tree(sizes, ["ab", "bc"])
    tables = tree.calibrated([np.full(s, 1 / np.prod(s)) for s in tree.shapes])
    with pytest.raises(SecgenError) as raised:
        tree.marginal(tables, ["a", "b", "c"])
    assert raised.value.diagnostics[0].code == "SG601"
    assert tree.marginal(tables, ["c", "b"]).shape == (1000, 2)
