"""The joint tables of a study's columns, and the time of their fit, from public sizes."""

from collections.abc import Sequence

from secgen_dsl.planner.fit_time import ColumnModel, column_model, pair_model

from ..synthesis.studies import column, gene_pairs, marginal, panel, program


def model_of(sizes: dict[str, int], *sets: Sequence[str]) -> ColumnModel:
    columns = [column(name, *(f"v{i}" for i in range(size))) for name, size in sizes.items()]
    found = column_model(program(columns, [marginal(tuple(own)) for own in sets]))
    assert found is not None
    return found


def test_the_largest_table_and_whether_marginals_close_a_loop() -> None:
    sizes = {"a": 4, "b": 3, "c": 2, "d": 5}
    tree = model_of(sizes, "ab", "bc", "cd")
    assert (tree.tables, tree.largest, tree.cells) == (3, ("a", "b"), 12)
    assert not tree.triangulated
    assert tree.seconds < 0.1
    loop = model_of(sizes, "ab", "bc", "cd", "da")
    assert (loop.tables, loop.cells) == (2, 40)
    assert loop.triangulated
    # A triple that is measured is no loop.
    assert not model_of(sizes, "abc", "ab", "bc", "ac").triangulated
    assert column_model(program([], [])) is None


def test_larger_tables_take_longer() -> None:
    """Measured 1.0 s and 16 s on one core (``benchmarks/graphs.py``)."""
    seconds = [model_of(dict.fromkeys("abc", n), "ab", "bc", "ac").seconds for n in (10, 30, 100)]
    assert 0.5 < seconds[1] < 2
    assert 10 < seconds[2] < 60
    assert seconds[0] < 0.1
    leaf = model_of(dict.fromkeys("abcd", 30), "ab", "bc", "ac", "cd").seconds
    assert leaf > seconds[1]  # several cliques must agree


def test_pairs_by_labels_take_longer_for_every_label_cell() -> None:
    """Measured 8 s of 10 genes' 45 pairs in 200 label cells, on one core."""
    genes = "ABCDEFGHIJ"
    every = [(i, j) for j in range(10) for i in range(j)]
    edges = [[7.0, 9.0]] * 10
    label = column("label", *(f"v{i}" for i in range(200)))
    for columns, cells in ((["label"], 200), ([], 1)):
        pairs = gene_pairs("p", genes, sorted(every), edges, columns=columns)
        found = pair_model(program([label], [pairs], [panel("p", genes)]))
        assert found is not None
        assert (found.pairs, found.label_cells) == (45, cells)
        assert 4 < found.seconds * 200 / cells < 16
    assert pair_model(program([label], [])) is None
