import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.synthesis.consistency import connected_columns, fit_joint, project_to_simplex
from secgen_dsl.synthesis.measured import CategoryCounts


def table(columns: str, counts: object, variance: float = 1.0) -> CategoryCounts:
    return CategoryCounts(tuple(columns), np.asarray(counts, dtype=float).ravel(), variance)


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
    joint, people = fit_joint(("a",), (4,), [table("a", counts, 25.0)])
    assert people == pytest.approx(74)
    np.testing.assert_allclose(
        joint * people, project_to_simplex(np.array(counts), people), atol=0.02
    )


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
    joint, people = fit_joint(
        ("a", "b"), (3, 4), [table("ab", fine, v), table("a", coarse, w)], 5_000
    )
    sums = fine.sum(axis=1)
    merged = (sums / (4 * v) + coarse / w) / (1 / (4 * v) + 1 / w)
    expected = fine + ((merged - sums) / 4)[:, None]
    assert people == pytest.approx(expected.sum())  # the weighted total is that of the solution
    np.testing.assert_allclose(joint * people, expected, atol=0.05)


def test_the_order_of_a_tables_columns_does_not_matter() -> None:
    counts = np.arange(6.0).reshape(2, 3) + 10
    one, _ = fit_joint(("a", "b"), (2, 3), [table("ab", counts)])
    other, _ = fit_joint(("a", "b"), (2, 3), [table("ba", counts.T)])
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_a_star_is_conditionally_independent() -> None:
    """Of all joints with the fitted tables the one of largest entropy: p(b|a)·p(c|a)·p(a)."""
    rng = np.random.default_rng(5)
    ab, ac = rng.integers(20, 90, (2, 3)).astype(float), rng.integers(20, 90, (2, 4)).astype(float)
    ac *= ab.sum() / ac.sum()
    joint, _ = fit_joint(("a", "b", "c"), (2, 3, 4), [table("ab", ab, 9.0), table("ac", ac, 4.0)])
    pab, pac, pa = joint.sum(axis=2), joint.sum(axis=1), joint.sum(axis=(1, 2))
    np.testing.assert_allclose(
        joint, pab[:, :, None] * pac[:, None, :] / pa[:, None, None], atol=1e-6
    )


def test_a_loop_fits_tables_that_agree() -> None:
    rng = np.random.default_rng(6)
    truth = rng.integers(5, 60, (2, 3, 2)).astype(float)
    tables = [
        table("ab", truth.sum(axis=2)),
        table("bc", truth.sum(axis=0)),
        table("ac", truth.sum(axis=1)),
    ]
    joint, people = fit_joint(("a", "b", "c"), (2, 3, 2), tables)
    for axis in (0, 1, 2):
        np.testing.assert_allclose(joint.sum(axis=axis) * people, truth.sum(axis=axis), atol=0.05)


def test_no_other_joint_is_nearer_when_tables_clash_and_counts_are_negative() -> None:
    rng = np.random.default_rng(7)
    tables = [
        table("ab", rng.normal(4, 12, (3, 3)), 100.0),
        table("bc", rng.normal(4, 12, (3, 3)), 144.0),
        table("ac", rng.normal(4, 12, (3, 3)), 64.0),
    ]
    joint, people = fit_joint(("a", "b", "c"), (3, 3, 3), tables)

    def misfit(counts: np.ndarray) -> float:
        views = [counts.sum(axis=2), counts.sum(axis=0), counts.sum(axis=1)]
        return sum(
            float(((view.ravel() - t.counts) ** 2).sum()) / t.variance / 2
            for view, t in zip(views, tables, strict=True)
        )

    best = misfit(joint * people)
    others = rng.dirichlet(np.full(27, 0.3), 300).reshape(-1, 3, 3, 3)
    for other in others:
        for share in (1e-3, 0.1, 1.0):
            assert best <= misfit(people * ((1 - share) * joint + share * other)) + 1e-2 * share


def test_noise_alone_leaves_at_least_one_person() -> None:
    joint, people = fit_joint(("a",), (3,), [table("a", [-5.0, -9.0, 2.0], 30.0)])
    assert people == 1
    assert joint.sum() == pytest.approx(1)
    assert joint[2] == pytest.approx(1, abs=0.01)


def test_a_joint_beyond_the_limit_names_columns_and_size() -> None:
    columns = tuple("abcde")
    tables = [table(a + b, np.ones(400)) for a, b in zip("abcd", "bcde", strict=True)]
    with pytest.raises(SecgenError) as raised:
        fit_joint(columns, (20,) * 5, tables)
    found = raised.value.diagnostics[0]
    assert found.code == "SG601"
    assert "3,200,000" in found.message
    assert "a (20) × b (20)" in found.message
    assert found.next_step


def test_a_fit_that_does_not_converge_is_an_error_not_an_answer() -> None:
    with pytest.raises(SecgenError) as raised:
        fit_joint(("a",), (3,), [table("a", [1.0, 90.0, 4.0])], iterations=1)
    assert raised.value.diagnostics[0].code == "SG609"
