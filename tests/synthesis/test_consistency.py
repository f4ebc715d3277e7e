import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.synthesis.consistency import (
    GAP,
    connected_columns,
    fit_tables,
    project_to_simplex,
)
from secgen_dsl.synthesis.measured import CategoryCounts, Floats

from .graphs import GRAPHS, LOOPS, noisy, scattered
from .joint import fit_joint, laid_out, misfit, table


def joint_counts(sizes: dict[str, int], tables: list[CategoryCounts]) -> tuple[Floats, float]:
    """The fitted joint as counts, and the number of people."""
    tree, fitted, people = fit_tables(sizes, [], tables)
    return tree.marginal(fitted, list(sizes)) * people, people


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-50, 50), min_size=1, max_size=6),
    st.floats(0.5, 100),
    st.integers(0, 2**32 - 1),
)
def test_the_projection_is_nearer_than_any_other_point(
    point: list[float], total: float, seed: int
) -> None:
    y = np.array(point)
    projected = project_to_simplex(y, total)
    assert projected.min() >= 0
    assert projected.sum() == pytest.approx(total)
    for other in np.random.default_rng(seed).dirichlet(np.ones(y.size), 20) * total:
        # The variational inequality of a projection onto a convex set.
        assert (y - projected) @ (other - projected) <= 1e-7 * (1 + np.abs(y).sum() * total)


def test_rows_are_projected_one_by_one() -> None:
    rng = np.random.default_rng(0)
    points, totals = rng.normal(0, 3, (4, 5, 3)), rng.uniform(1, 9, (4, 5))
    together = project_to_simplex(points, totals)
    for i in range(4):
        for j in range(5):
            np.testing.assert_allclose(
                together[i, j], project_to_simplex(points[i, j], totals[i, j])
            )


def test_connected_columns() -> None:
    groups = [("a",), ("c", "d"), (), ("b", "a"), ("e",), ("d", "f")]
    assert connected_columns(groups) == [("a", "b"), ("c", "d", "f"), ("e",)]


def test_one_table_gives_its_projection() -> None:
    counts = [30.0, -8.0, 50.0, 2.0]
    fitted, people = joint_counts({"a": 4}, [table("a", counts, 25.0)])
    assert people == pytest.approx(74)
    np.testing.assert_allclose(fitted, project_to_simplex(np.array(counts), people), atol=0.02)


def test_nested_tables_give_the_closed_form() -> None:
    """A total table and a finer one: precision-weighted least squares, known by hand.

    With y over (a, b), variance v, and c over a, variance w: each row of y moves by the same amount
    in all its B cells, towards the weighted mean of its sum and c.
    """
    rng = np.random.default_rng(3)
    truth = rng.integers(200, 400, (3, 4)).astype(float)
    v, w = 60.0, 20.0
    fine = truth + rng.normal(0, v**0.5, truth.shape)
    coarse = truth.sum(axis=1) + rng.normal(0, w**0.5, 3)
    fitted, people = joint_counts({"a": 3, "b": 4}, [table("ab", fine, v), table("a", coarse, w)])
    sums = fine.sum(axis=1)
    merged = (sums / (4 * v) + coarse / w) / (1 / (4 * v) + 1 / w)
    expected = fine + ((merged - sums) / 4)[:, None]
    assert people == pytest.approx(expected.sum())  # the weighted total is that of the solution
    np.testing.assert_allclose(fitted, expected, atol=0.05)


def test_the_order_of_a_tables_columns_does_not_matter() -> None:
    counts = np.arange(6.0).reshape(2, 3) + 10
    sizes = {"a": 2, "b": 3}
    one, _ = joint_counts(sizes, [table("ab", counts)])
    other, _ = joint_counts(sizes, [table("ba", counts.T)])
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_a_star_is_conditionally_independent() -> None:
    """Of all joints with the fitted tables the one of largest entropy: p(b|a)·p(c|a)·p(a)."""
    rng = np.random.default_rng(5)
    ab, ac = rng.integers(20, 90, (2, 3)).astype(float), rng.integers(20, 90, (2, 4)).astype(float)
    ac *= ab.sum() / ac.sum()
    joint, _ = joint_counts({"a": 2, "b": 3, "c": 4}, [table("ab", ab, 9.0), table("ac", ac, 4.0)])
    of_b, of_c, of_a = joint.sum(axis=2), joint.sum(axis=1), joint.sum(axis=(1, 2))
    np.testing.assert_allclose(
        joint, of_b[:, :, None] * of_c[:, None, :] / of_a[:, None, None], atol=1e-6
    )


def test_a_loop_fits_tables_that_agree() -> None:
    rng = np.random.default_rng(6)
    truth = rng.integers(5, 60, (2, 3, 2)).astype(float)
    tables = [
        table("ab", truth.sum(axis=2)),
        table("bc", truth.sum(axis=0)),
        table("ac", truth.sum(axis=1)),
    ]
    joint, _ = joint_counts({"a": 2, "b": 3, "c": 2}, tables)
    for axis in (0, 1, 2):
        np.testing.assert_allclose(joint.sum(axis=axis), truth.sum(axis=axis), atol=0.05)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_fit_over_cliques_is_that_over_the_joint(graph: str, seed: int) -> None:
    sizes, tables = noisy(GRAPHS[graph], seed)
    fitted, people = joint_counts(sizes, tables)
    expected = fit_joint(sizes, tables) * people
    assert fitted.min() >= 0
    # Where a clique has several tables, proportional fitting ends near their optimum.
    allowed = 2e-3 if graph in LOOPS else 2 * GAP * sum(t.counts.size for t in tables)
    assert abs(misfit(sizes, fitted, tables) - misfit(sizes, expected, tables)) <= allowed
    # The same tables, and of all joints with these the same one.
    np.testing.assert_allclose(fitted, expected, atol=0.05)


@pytest.mark.parametrize("graph", GRAPHS)
def test_brute_force_finds_nothing_nearer(graph: str) -> None:
    """Non-negative least squares over all cells of the joint, by another algorithm.

    The number of people is held by one more, very precise, total.
    """
    sizes, tables = noisy(GRAPHS[graph], 7)
    fitted, people = joint_counts(sizes, tables)
    rows, targets = [], []
    for counts in tables:
        target = laid_out(sizes, counts)
        for index in np.ndindex(target.shape):
            mask = np.ones(tuple(sizes.values()))
            for axis, position in enumerate(index):
                if target.shape[axis] > 1:
                    mask *= np.expand_dims(
                        np.arange(target.shape[axis]) == position,
                        [i for i in range(len(sizes)) if i != axis],
                    )
            rows.append(mask.ravel() / counts.variance**0.5)
            targets.append(target[index] / counts.variance**0.5)
    rows.append(np.full(fitted.size, 1e3))
    targets.append(people * 1e3)
    best, _ = nnls(np.array(rows), np.array(targets))
    found = misfit(sizes, fitted, tables)
    least = misfit(sizes, best.reshape(fitted.shape), tables)
    assert abs(found - least) <= 1e-3 * max(1.0, least)


def test_no_other_joint_is_nearer_when_tables_clash_and_counts_are_negative() -> None:
    rng = np.random.default_rng(7)
    tables = [
        table("ab", rng.normal(4, 12, (3, 3)), 100.0),
        table("bc", rng.normal(4, 12, (3, 3)), 144.0),
        table("ac", rng.normal(4, 12, (3, 3)), 64.0),
    ]
    sizes = {"a": 3, "b": 3, "c": 3}
    fitted, people = joint_counts(sizes, tables)
    best = misfit(sizes, fitted, tables)
    others = rng.dirichlet(np.full(27, 0.3), 300).reshape(-1, 3, 3, 3) * people
    for other in others:
        for share in (1e-3, 0.1, 1.0):
            mixed = (1 - share) * fitted + share * other
            assert best <= misfit(sizes, mixed, tables) + 1e-2 * share


def test_thirty_flags_each_with_a_risk_group() -> None:
    """A star whose joint has 8·10¹⁴ cells; without noise every table is met."""
    rng = np.random.default_rng(8)
    group = rng.choice(4, 800, p=[0.4, 0.3, 0.2, 0.1])
    sizes = {"eln": 4} | {f"flag{number}": 3 for number in range(30)}
    tables = []
    for name in list(sizes)[1:]:
        flag = (rng.random(800) < 0.05 + 0.2 * rng.random() * group).astype(int)
        flag[rng.random(800) < 0.05] = 2
        counts = np.zeros((3, 4))
        np.add.at(counts, (flag, group), 1)
        tables.append(CategoryCounts((name, "eln"), counts.ravel(), 1e-2))
    tree, fitted, people = fit_tables(sizes, [], tables)
    assert people == pytest.approx(800)
    assert len(tree.cliques) == 30
    for counts in tables:
        found = tree.marginal(fitted, counts.columns).ravel() * people
        np.testing.assert_allclose(found, counts.counts, atol=0.02)
    # Two flags are independent given the group.
    both = tree.marginal(fitted, ["flag3", "flag8", "eln"])
    group_share = both.sum(axis=(0, 1))
    expected = both.sum(axis=1)[:, None] * both.sum(axis=0)[None] / group_share
    np.testing.assert_allclose(both, expected, atol=1e-12)


def test_columns_of_a_set_lie_in_one_clique_though_no_table_holds_them() -> None:
    tables = [table("ab", np.full((3, 2), 10.0)), table("bc", np.full((2, 3), 10.0))]
    sizes = {"a": 3, "b": 2, "c": 3}
    apart, _, _ = fit_tables(sizes, [], tables)
    assert max(len(clique) for clique in apart.cliques) == 2
    joined, fitted, people = fit_tables(sizes, [("c", "a")], tables)
    assert joined.cliques[joined.clique_of(["a", "c"])] == ("a", "b", "c")
    np.testing.assert_allclose(joined.marginal(fitted, ["a", "c"]) * people, 60 / 9, atol=1e-3)


def test_cells_that_the_nearest_tables_leave_empty_have_nobody() -> None:
    """A value of a column that two cliques share, and that both say nobody has."""
    ab = np.array([[40.0, 22.0], [30.0, 25.0], [-9.0, -7.0]])
    ac = np.array([[35.0, 28.0], [25.0, 29.0], [-8.0, -11.0]])
    sizes = {"a": 3, "b": 2, "c": 2}
    fitted, _ = joint_counts(sizes, [table("ab", ab, 9.0), table("ac", ac, 25.0)])
    assert (fitted[2] == 0).all()
    assert fitted[:2].min() > 7
    # The same where the tables of a clique are a loop.
    bc = np.array([[30.0, 30.0], [25.0, 25.0]])
    fitted, _ = joint_counts(
        sizes | {"d": 2},
        [table("ab", ab, 9.0), table("ac", ac, 25.0), table("bc", bc), table("ad", ab)],
    )
    assert (fitted[2] == 0).all()


def test_noise_alone_leaves_at_least_one_person() -> None:
    fitted, people = joint_counts({"a": 3}, [table("a", [-5.0, -9.0, 2.0], 30.0)])
    assert people == 1
    assert fitted.sum() == pytest.approx(1)
    assert fitted[2] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("seed", [1, 3, 5])
def test_precisions_far_apart_are_no_obstacle(seed: int) -> None:
    """Variances from 1 to 2,000 in one graph; a few steps, whatever they are."""
    sizes, tables = scattered(8, 5, 12, 800, 2000.0, 3, seed)
    assert max(t.variance for t in tables) > 20 * min(t.variance for t in tables)
    tree, fitted, people = fit_tables(sizes, [], tables, steps=40)
    assert len(tree.cliques) > 2
    residuals = [
        float(
            ((tree.marginal(fitted, t.columns).ravel() * people - t.counts) ** 2).sum()
            / t.variance
            / t.counts.size
        )
        for t in tables
    ]
    # χ² a cell of the truth is 1; the nearest tables are nearer in sum.
    cells = np.array([t.counts.size for t in tables])
    assert (np.array(residuals) * cells).sum() < 1.1 * cells.sum()


def test_both_methods_of_the_fit_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    for graph in ("chain of triples", "loop of five", "tables within tables"):
        sizes, tables = noisy(GRAPHS[graph], 3)
        one, _ = joint_counts(sizes, tables)
        with monkeypatch.context() as context:
            context.setattr("secgen_dsl.synthesis.consistency.MOST_ROWS", 0)
            other, _ = joint_counts(sizes, tables)
        assert misfit(sizes, one, tables) == pytest.approx(misfit(sizes, other, tables), abs=2e-3)
        np.testing.assert_allclose(one, other, atol=0.05)


MBI = json.loads((Path(__file__).parents[1] / "fixtures" / "mbi.json").read_text())


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("seed", [1, 2])
def test_private_pgm_finds_the_same_joint(graph: str, seed: int) -> None:
    """What ``benchmarks/graphs.py --mbi`` recorded of mbi: every cell of the joint, in people."""
    sizes, tables = noisy(GRAPHS[graph], seed)
    recorded = MBI["joints"][f"{graph} {seed}"]
    ours, people = joint_counts(sizes, tables)
    assert people == pytest.approx(recorded["people"])
    theirs = np.array(recorded["cells"]).reshape(ours.shape)
    np.testing.assert_allclose(ours, theirs, atol=0.02)
    assert misfit(sizes, ours, tables) <= misfit(sizes, theirs, tables) + 3e-3


def test_a_fit_that_does_not_converge_is_an_error_not_an_answer() -> None:
    sizes, tables = noisy(GRAPHS["loop of five"], 1)
    with pytest.raises(SecgenError) as raised:
        fit_tables(sizes, [], tables, steps=1)
    assert raised.value.diagnostics[0].code == "SG609"
