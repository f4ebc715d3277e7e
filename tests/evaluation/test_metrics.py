"""The metrics against other ways to the same numbers, and where there is nothing to say."""

from math import erf, isnan, log, sqrt

import numpy as np
import pytest

from secgen_dsl.evaluation.accuracy import Floats, Labels
from secgen_dsl.evaluation.attacks import (
    Attack,
    attack_all,
    closest_distances,
    density_ratio,
    marginal_likelihood_ratio,
    mean_likelihood_ratio,
)
from secgen_dsl.evaluation.biology import (
    correlation,
    differential_expression,
    expressed,
    mean_rates,
    set_scores,
)
from secgen_dsl.evaluation.coexpression import coexpression, gene_order
from secgen_dsl.evaluation.fairness import by_class
from secgen_dsl.evaluation.fidelity import (
    discriminator_auc,
    in_real_sds,
    mmd_squared,
    quantile_edges,
    table_total_variation,
    wasserstein,
)
from secgen_dsl.evaluation.utility import LEARNERS, Learner, cross_validate, train_and_test

CLASSES = ("A", "B", "C")


def table(seed: int, rows: int, apart: float = 3.0, genes: int = 12) -> tuple[Floats, Labels]:
    """Rows of three classes, each ``apart`` along three genes of its own; genes go in pairs."""
    rng = np.random.default_rng(seed)
    labels = np.array(CLASSES)[np.arange(rows) % 3]
    values = rng.normal(size=(rows, genes))
    values[:, 1::2] = 0.8 * values[:, ::2] + 0.6 * values[:, 1::2]
    for place, name in enumerate(CLASSES):
        values[labels == name, place * 3 : place * 3 + 3] += apart
    return values, labels


# -- utility -------------------------------------------------------------------------------------


@pytest.mark.parametrize("learner", LEARNERS)
def test_rows_of_one_law_teach_and_shuffled_ones_do_not(learner: Learner) -> None:
    train, labels = table(0, 150)
    test, truth = table(1, 150)
    found = train_and_test(train, labels, test, truth, CLASSES, learner)
    assert found.accuracy > 0.9
    assert found.confusion.sum() == 150
    assert found.macro_f1 == pytest.approx(found.accuracy, abs=0.03)
    assert 0.9 < found.aupr <= 1
    shuffled = np.random.default_rng(0).permutation(labels)
    poor = train_and_test(train, shuffled, test, truth, CLASSES, learner)
    assert poor.accuracy < 0.6
    own = cross_validate(train, labels, CLASSES, learner)
    assert own.accuracy == pytest.approx(found.accuracy, abs=0.08)


def test_scores_are_scikit_learns() -> None:
    from sklearn.metrics import f1_score

    train, labels = table(0, 90, apart=1)
    test, truth = table(1, 90, apart=1)
    found = train_and_test(train, labels, test, truth, CLASSES)
    called = np.repeat(np.tile(CLASSES, 3), found.confusion.ravel())
    true = np.repeat(np.repeat(CLASSES, 3), found.confusion.ravel())
    assert found.accuracy == pytest.approx(np.mean(called == true))
    assert found.macro_f1 == pytest.approx(f1_score(true, called, average="macro"))
    assert found.balanced_accuracy == pytest.approx(found.recall.mean())


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_class_that_was_never_seen_is_never_called(learner: Learner) -> None:
    train, labels = table(0, 90)
    test, truth = table(1, 90)
    two = train_and_test(
        train[labels != "C"], labels[labels != "C"], test, truth, CLASSES, learner
    )  # fmt: skip
    assert two.confusion[:, 2].sum() == 0
    assert two.recall[2] == 0
    one = labels == "A"
    only = train_and_test(train[one], labels[one], test, truth, CLASSES, learner)
    assert only.accuracy == pytest.approx(1 / 3)
    missing = train_and_test(train, labels, test[:1], truth[:1], CLASSES, learner)
    assert isnan(missing.recall[1])
    assert not isnan(missing.macro_f1)


# -- fidelity ------------------------------------------------------------------------------------


def test_a_shift_is_its_wasserstein_distance() -> None:
    real, _ = table(0, 60)
    real[:, 3] = 2.0  # constant
    moved = real + np.arange(12)
    found = wasserstein(real, moved)
    assert found == pytest.approx(np.arange(12))
    scaled = in_real_sds(found, real)
    assert isnan(scaled[3])
    assert scaled[4] == pytest.approx(4 / real[:, 4].std())


def test_total_variation_of_tables_counted_by_hand() -> None:
    real = np.array([[0.0], [1.0], [2.0], [3.0]])
    synthetic = np.array([[0.0], [0.0], [3.0], [1.0]])
    labels = np.array(["A", "A", "B", "B"])
    edges = [np.array([1.0])]  # an edge belongs to the bin above it
    # real: A has one below, one above; B two above.  Synthetic: A two below; B two above.
    found = table_total_variation(real, labels, synthetic, labels, edges, ("A", "B"))
    assert found == pytest.approx([0.25])
    assert table_total_variation(real, labels, real, labels, edges, ("A", "B")) == [0.0]
    none = np.array(["C"] * 4)
    assert table_total_variation(real, labels, real, none, edges, ("A", "B")) == [1.0]
    assert [len(cuts) for cuts in quantile_edges(np.column_stack([real, real * 0]), 4)] == [3, 1]


def test_mmd_is_the_estimate_summed_by_hand() -> None:
    rng = np.random.default_rng(0)
    real, other = rng.normal(size=(40, 3)), rng.normal(0.5, 1, size=(30, 3))
    one, two = ((each - real.mean(axis=0)) / real.std(axis=0) for each in (real, other))

    def kernel(x: Floats, y: Floats) -> float:
        return float(np.exp(-((x - y) ** 2).sum() / 3))

    within = np.mean([kernel(x, y) for i, x in enumerate(one) for j, y in enumerate(one) if i != j])
    beyond = np.mean([kernel(x, y) for i, x in enumerate(two) for j, y in enumerate(two) if i != j])
    across = np.mean([kernel(x, y) for x in one for y in two])
    assert mmd_squared(real, other) == pytest.approx(within + beyond - 2 * across)
    assert abs(mmd_squared(*np.split(rng.normal(size=(400, 3)), 2))) < 0.01
    assert mmd_squared(np.ones((5, 2)), np.ones((5, 2))) == 0


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_discriminator_tells_what_differs_only(learner: Learner) -> None:
    real, _ = table(0, 240)
    same, _ = table(1, 240)
    assert discriminator_auc(real, same, learner) == pytest.approx(0.5, abs=0.12)
    assert discriminator_auc(real, same + 1, learner) > 0.8
    if learner == "boosting":  # the same genes, each drawn by itself: only trees can tell
        rng = np.random.default_rng(2)
        apart = np.column_stack([rng.permutation(column) for column in same.T])
        assert discriminator_auc(real, apart, "boosting") > 0.65
        assert discriminator_auc(real, apart, "logistic") < 0.6


# -- biology -------------------------------------------------------------------------------------


def normal_tail(z: float) -> float:
    return 0.5 * (1 - erf(z / sqrt(2)))


def test_rank_sum_and_adjustment_by_hand() -> None:
    # U = 16 of 16 for gene 0: z = (16 − 8 − .5)/√(4·4·9/12)
    values = np.array([[5, 1], [6, 2], [7, 3], [8, 4], [1, 1], [2, 2], [3, 3], [4, 4]], dtype=float)
    labels = np.array(["A"] * 4 + ["B"] * 4)
    found = expressed(values, labels, "A", "B")
    p = 2 * normal_tail(7.5 / sqrt(12))
    assert found.adjusted == pytest.approx([2 * p, 1.0])  # two tests: the least p counts twice
    assert found.difference == pytest.approx([4, 0])
    assert expressed(values * 0, labels, "A", "B").adjusted == pytest.approx([1, 1])
    assert not expressed(values, labels, "A", "C").called.any()


def test_true_and_false_positives_of_differential_expression() -> None:
    real, labels = table(0, 90)
    same, _ = table(1, 90)
    pairs = differential_expression(real, labels, same, labels, CLASSES)
    assert [(pair.first, pair.second) for pair in pairs] == [("A", "B"), ("A", "C"), ("B", "C")]
    tpr, fpr = mean_rates(pairs)
    assert tpr > 0.9
    assert fpr < 0.2
    assert pairs[0].same_direction == 1
    every = np.repeat([[0.0], [9.0], [18.0]], 30, axis=0) + same  # calls all genes
    names = np.repeat(CLASSES, 30)
    tpr, fpr = mean_rates(differential_expression(real, labels, every, names, CLASSES))
    assert (tpr, fpr) == (1, 1)
    none = differential_expression(real, labels, same[:0], labels[:0], CLASSES)
    assert mean_rates(none) == (0, 0)
    assert isnan(none[0].precision)


def test_more_synthetic_rows_find_no_more() -> None:
    real, labels = table(0, 60, apart=1)
    many, names = table(1, 3000, apart=1)
    few = differential_expression(real, labels, many[:60], names[:60], CLASSES)
    assert mean_rates(differential_expression(real, labels, many, names, CLASSES)) == mean_rates(
        few
    )


def test_coexpression_counted_by_hand() -> None:
    x = np.arange(8.0)
    y = np.array([1, -1, -1, 1, 1, -1, -1, 1.0])  # no correlation with x
    real = np.column_stack([x, 2 * x, -x, y])
    synthetic = np.column_stack([x, x, y, y])
    found = coexpression(real, synthetic)
    # real edges: 01, 02, 12; synthetic: 01, 23
    assert (found.edges, found.precision, found.recall) == (3, 1 / 2, pytest.approx(1 / 3))
    assert found.sign_agreement == pytest.approx(1 / 3)
    assert found.mean_difference == pytest.approx((1 + 1 + 1) / 6, abs=1e-9)
    flat = coexpression(real, np.ones_like(real))
    assert isnan(flat.precision)
    assert flat.recall == 0
    assert isnan(coexpression(real[:, :1], real[:, :1]).mean_difference)
    assert correlation(real) == pytest.approx(np.corrcoef(real.T), abs=1e-12)
    assert sorted(gene_order(real)) == [0, 1, 2, 3]


def test_scores_of_gene_sets() -> None:
    real, labels = table(0, 300)
    same, _ = table(1, 300)
    genes = [f"G{number}" for number in range(12)]
    sets = {"a": genes[:3], "b": genes[3:6], "one": genes[:1], "other": ["X", "Y"]}
    found = set_scores(real, labels, same, labels, genes, sets, CLASSES)
    assert (found.names, found.genes) == (("a", "b"), (3, 3))
    assert found.class_correlation > 0.95
    assert found.mean_difference < 0.15
    assert found.real_means[0, 0] > found.real_means[1, 0]
    shuffled = np.random.default_rng(3).permutation(labels)
    worse = set_scores(real, labels, same, shuffled, genes, sets, CLASSES)
    assert worse.class_correlation < found.class_correlation
    assert set_scores(real, labels, same, labels, genes, {}, CLASSES).names == ()


# -- attacks -------------------------------------------------------------------------------------


def test_the_roc_counted_by_hand() -> None:
    attack = Attack("x", np.array([3.0, 2.0, 2.0, 0.0]), np.array([2.0, 1.0]))
    x, y = attack.roc()
    assert x.tolist() == [0, 0, 0.5, 1, 1]
    assert y.tolist() == [0, 0.25, 0.75, 0.75, 1]
    assert attack.auc == pytest.approx((2 + 1.5 + 1.5 + 0) / 8)
    assert attack.flagged(0.3) == 0.25
    assert attack.flagged(0.5) == 0.75
    blind = Attack("x", np.ones(9), np.ones(9))
    assert (blind.auc, blind.p_value, blind.succeeds) == (0.5, 1.0, False)
    assert blind.flagged(0.1) == 0
    assert isnan(blind.flagged(0.01))  # of nine, none is 1%


def test_attacks_succeed_on_rows_that_are_the_members_and_not_on_others() -> None:
    rng = np.random.default_rng(0)
    every = rng.normal(size=(160, 60))
    labels = np.array(CLASSES)[np.arange(160) % 3]
    members, others, reference = every[:40], every[40:80], every[80:]
    parts = (members, labels[:40], others, labels[40:80])
    known = (reference, labels[80:])
    for attack in attack_all(*parts, members, labels[:40], *known):
        assert attack.auc > 0.75, attack.name
        assert attack.succeeds
    apart = rng.normal(size=(40, 60))
    for attack in attack_all(*parts, apart, labels[:40], *known):
        assert not attack.succeeds, attack.name


def test_an_attack_above_a_curve_is_told_from_chance() -> None:
    grid = np.linspace(0, 1, 101)
    rng = np.random.default_rng(0)
    strong = Attack("x", rng.normal(2, 1, 500), rng.normal(0, 1, 500))
    assert strong.exceeds(grid, grid)
    assert not strong.exceeds(grid, np.minimum(1, 3 * grid + 0.6))
    assert not Attack("x", strong.members[:5], strong.others[:5]).exceeds(grid, grid)
    assert not Attack("x", rng.normal(size=500), rng.normal(size=500)).exceeds(grid, grid)


def test_the_ratio_of_means_is_fishers_discriminant() -> None:
    rng = np.random.default_rng(0)
    mix = np.array([[1, 0.9], [0.9, 1]])
    reference = rng.multivariate_normal([0, 0], mix, 4000)
    synthetic = rng.multivariate_normal([0.2, -0.2], mix, 4000)
    people = np.array([[1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    names, one = np.full(4000, "A"), np.full(3, "A")
    found = mean_likelihood_ratio(people, one, synthetic, names, reference, names)
    apart = np.array([0.2, -0.2])
    weights = np.linalg.solve(mix, apart)
    expected = (people - apart / 2) @ weights / np.sqrt(apart @ weights)
    assert found == pytest.approx(expected, rel=0.15, abs=0.3)
    assert found[1] == pytest.approx(expected[1], abs=0.3)  # what both genes share says little


def test_the_likelihood_ratio_by_hand() -> None:
    synthetic, reference = np.array([[0.0]] * 8 + [[2.0]] * 2), np.array([[0.0]] * 5 + [[2.0]] * 5)
    names = np.array(["A"] * 10)
    found = marginal_likelihood_ratio(
        np.array([[0.0]]), names[:1], synthetic, names, reference, names, [np.array([1.0])]
    )
    ours = (8 + 10 * 8.5 / 11) / 20
    assert found == pytest.approx([log(ours) - log(0.5)])
    rare = marginal_likelihood_ratio(
        np.array([[0.0]]), np.array(["Z"]), synthetic, names, reference, names, [np.array([1.0])]
    )
    assert rare == pytest.approx([log(8.5 / 11) - log(0.5)])  # no such class: the pooled table


def test_densities_of_constant_genes_and_closest_rows() -> None:
    flat = np.ones((6, 3))
    assert density_ratio(flat, flat, flat).tolist() == [0] * 6
    assert closest_distances(np.array([[0.0] * 4]), np.array([[1.0] * 4, [3.0] * 4])) == [1.0]


# -- classes -------------------------------------------------------------------------------------


def test_every_metric_by_class() -> None:
    real, labels = table(0, 90)
    made, names = table(1, 60)
    made[names == "C"] += 2
    kept = names != "B"
    scores = {"logistic": train_and_test(made, names, real, labels, CLASSES)}
    pairs = differential_expression(real, labels, made, names, CLASSES)
    attacks = [Attack("x", np.arange(90.0), np.arange(60.0))]
    lines = by_class(
        real, labels, made[kept], names[kept], CLASSES, scores, scores, pairs, attacks, labels,
        names, {"A": 31.4},
    )  # fmt: skip
    assert [line.name for line in lines] == list(CLASSES)
    assert (lines[0].measured, lines[1].measured) == (31.4, None)
    assert lines[0].wasserstein < lines[2].wasserstein
    assert isnan(lines[1].wasserstein)
    assert lines[1].synthetic_rows == 0
    assert 0 <= lines[0].auc["x"] <= 1
    assert lines[0].recall["logistic"] == scores["logistic"].recall[0]
