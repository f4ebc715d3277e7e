import numpy as np
import pytest
from scipy.stats import kstest

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.program import Column
from secgen_dsl.synthesis.decoding import bin_curve, number_curve
from secgen_dsl.synthesis.junction import junction_tree
from secgen_dsl.synthesis.model import (
    Component,
    GeneTable,
    LatentCorrelations,
    SyntheticGene,
    TableModel,
    bin_probabilities,
    label_distribution,
)
from secgen_dsl.synthesis.sample import draw_samples

from .studies import Floats, column, number

SUBTYPE = column("subtype", "x", "y", "z")
SEX = column("sex", "f", "m")
EDGES = np.array([5.0, 10.0])


def gene(symbol: str, *sources: tuple[int, int]) -> SyntheticGene:
    return SyntheticGene(symbol, "p", "log2", sources, bin_curve(EDGES, 0.0, 20.0, None))


def table(columns: tuple[str, ...], probabilities: Floats, labels: Floats) -> GeneTable:
    return GeneTable(columns, probabilities, np.einsum("tlb,l->tb", probabilities, labels))


def component(columns: tuple[Column, ...], joint: Floats) -> Component:
    """One clique."""
    sizes = {c.name: len(c.values) for c in columns}
    return Component(junction_tree(sizes, [list(sizes)]), (joint,), 100.0)


def model(
    columns: tuple[Column, ...],
    components: tuple[Component, ...],
    tables: tuple[GeneTable, ...] = (),
    genes: tuple[SyntheticGene, ...] = (),
    correlations: Floats | None = None,
) -> TableModel:
    """``correlations`` are of the first genes."""
    matrix = np.zeros((0, 0)) if correlations is None else correlations
    curves = {c.name: number_curve(c, None) for c in columns if c.kind == "number"}
    latent = LatentCorrelations(tuple(range(matrix.shape[0])), matrix[None])
    return TableModel(columns, curves, components, tables, genes, latent)


def bins_of(values: Floats) -> np.ndarray:
    return np.digitize(values, EDGES)


def one_gene_model() -> TableModel:
    labels = np.array([0.62, 0.38, 0.0])
    rows = np.array([[[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]]])
    return model(
        (SUBTYPE,),
        (component((SUBTYPE,), labels),),
        (table(("subtype",), rows, labels),),
        (gene("A", (0, 0)),),
    )


def test_every_cell_gets_its_share_rounded_up_or_down() -> None:
    for rows, seed in [(1, 0), (7, 1), (100, 2), (1003, 3)]:
        samples = draw_samples(one_gene_model(), rows, np.random.default_rng(seed))
        counts = np.bincount(samples.codes[:, 0], minlength=3)
        assert counts.sum() == rows
        assert (np.abs(counts - rows * np.array([0.62, 0.38, 0])) < 1).all()
        assert counts[2] == 0  # a value without people is never drawn


def test_labels_are_unbiased_over_draws() -> None:
    counts = np.mean(
        [
            np.bincount(
                draw_samples(one_gene_model(), 3, np.random.default_rng(s)).codes[:, 0], minlength=3
            )
            for s in range(500)
        ],
        axis=0,
    )
    np.testing.assert_allclose(counts, [1.86, 1.14, 0], atol=0.08)


def test_bins_of_a_gene_follow_their_row() -> None:
    samples = draw_samples(one_gene_model(), 1000, np.random.default_rng(0))
    bins = bins_of(samples.values[:, 0])
    of_x = np.bincount(bins[samples.labels("subtype") == "x"], minlength=3)
    assert (np.abs(of_x - 620 * np.array([0.2, 0.3, 0.5])) <= 2).all()
    assert (bins[samples.labels("subtype") == "y"] == 0).all()
    # Inside a bin values fill it evenly: 310 rows in [10, 20).
    upper = samples.values[(samples.labels("subtype") == "x") & (bins == 2), 0]
    np.testing.assert_allclose(np.quantile(upper, [0.1, 0.5, 0.9]), [11, 15, 19], atol=0.1)


def test_genes_are_independent_given_labels() -> None:
    rows = np.tile(np.array([0.3, 0.4, 0.3]), (6, 1, 1))
    fitted = model(
        (SEX,),
        (component((SEX,), np.array([0.5, 0.5])),),
        (table(("sex",), np.tile(rows, (1, 2, 1)), np.array([0.5, 0.5])),),
        tuple(gene(f"g{i}", (0, i)) for i in range(6)),
    )
    samples = draw_samples(fitted, 4000, np.random.default_rng(5))
    correlation = np.corrcoef(samples.values.T) - np.eye(6)
    assert np.abs(correlation).max() < 4.5 / 4000**0.5


def test_the_same_seed_gives_the_same_rows_and_another_does_not() -> None:
    draws = [draw_samples(one_gene_model(), 50, np.random.default_rng(s)) for s in (1, 1, 2)]
    np.testing.assert_array_equal(draws[0].values, draws[1].values)
    np.testing.assert_array_equal(draws[0].codes, draws[1].codes)
    assert not np.array_equal(draws[0].values, draws[2].values)


def test_a_gene_of_two_marginals_follows_both() -> None:
    """p(b|l₁,l₂) ∝ p(b|l₁)·p(b|l₂)/p(b), exact where the labels are independent given the bin."""
    given_bin_1 = np.array([[0.7, 0.5, 0.2], [0.2, 0.3, 0.2], [0.1, 0.2, 0.6]])  # p(subtype|bin)
    given_bin_2 = np.array([[0.9, 0.5, 0.4], [0.1, 0.5, 0.6]])  # p(sex|bin)
    bins = np.array([0.3, 0.3, 0.4])
    joint = np.einsum("b,ib,jb->ijb", bins, given_bin_1, given_bin_2)
    labels = joint.sum(axis=2)
    first = joint.sum(axis=1) / labels.sum(axis=1)[:, None]
    second = joint.sum(axis=0) / labels.sum(axis=0)[:, None]
    fitted = model(
        (SUBTYPE, SEX),
        (component((SUBTYPE, SEX), labels),),
        (
            table(("subtype",), first[None], labels.sum(axis=1)),
            table(("sex",), second[None], labels.sum(axis=0)),
        ),
        (gene("A", (0, 0), (1, 0)),),
    )
    samples = draw_samples(fitted, 20_000, np.random.default_rng(3))
    found = np.zeros((3, 2, 3))
    np.add.at(found, (*samples.codes.T, bins_of(samples.values[:, 0])), 1 / 20_000)
    np.testing.assert_allclose(found, joint, atol=0.003)


def test_a_gene_measured_with_two_columns_follows_the_cell_of_both() -> None:
    labels = np.full((3, 2), 1 / 6)
    # Cell (sex, subtype), subtype fastest: every cell has a bin pattern of its own.
    rows = np.array(
        [np.roll([0.6, 0.3, 0.1], k) if k < 3 else [0, k / 6, 1 - k / 6] for k in range(6)]
    )
    fitted = model(
        (SUBTYPE, SEX),
        (component((SUBTYPE, SEX), labels),),
        (table(("sex", "subtype"), rows[None], np.full(6, 1 / 6)),),
        (gene("A", (0, 0)),),
    )
    samples = draw_samples(fitted, 6000, np.random.default_rng(3))
    bins = bins_of(samples.values[:, 0])
    for sex in range(2):
        for subtype in range(3):
            own = bins[(samples.codes == [subtype, sex]).all(axis=1)]
            found = np.bincount(own, minlength=3) / own.size
            np.testing.assert_allclose(found, rows[sex * 3 + subtype], atol=0.003)


def chain() -> Component:
    """Subtype, sex and stage: two cliques that share the sex."""
    sizes = {"subtype": 3, "sex": 2, "stage": 3}
    tree = junction_tree(sizes, [("subtype", "sex"), ("sex", "stage")])
    first = np.array([[0.3, 0.2], [0.2, 0.1], [0.15, 0.05]])
    second = np.array([[0.5, 0.13, 0.02], [0.1, 0.15, 0.1]])
    return Component(tree, tuple(tree.calibrated([first, second])), 100.0)


STAGE = column("stage", "I", "II", "III")


def test_cliques_are_drawn_along_the_tree() -> None:
    own = chain()
    assert own.tree.cliques == (("subtype", "sex"), ("sex", "stage"))
    samples = draw_samples(model((SUBTYPE, SEX, STAGE), (own,)), 9_000, np.random.default_rng(1))
    found = np.zeros((3, 2, 3))
    np.add.at(found, tuple(samples.codes.T), 1)
    first = own.tree.marginal(own.tables, ["subtype", "sex"]) * 9_000
    assert (np.abs(found.sum(axis=2) - first) < 1).all()
    # Given the sex, its rows get their share of stages, rounded up or down.
    given = own.tables[1] / own.tables[1].sum(axis=1, keepdims=True)
    rows = found.sum(axis=(0, 2))
    assert (np.abs(found.sum(axis=0) - given * rows[:, None]) < 1).all()
    # And stage and subtype are independent given the sex, as in the model.
    joint = own.tree.marginal(own.tables, ["subtype", "sex", "stage"]) * 9_000
    assert (np.abs(found - joint) < 5 * np.sqrt(joint + 1)).all()


def test_few_of_a_label_are_not_lost() -> None:
    """Three of six hundred rows, wherever the label stands in the tree."""
    own = chain()
    rare = own.tables[1].copy()
    rare[:, 2] = [0.004, 0.001]
    rare[:, 0] += own.tables[1][:, 2] - rare[:, 2]
    fitted = model((SUBTYPE, SEX, STAGE), (Component(own.tree, (own.tables[0], rare), 1.0),))
    counts = [
        int((draw_samples(fitted, 600, np.random.default_rng(s)).codes[:, 2] == 2).sum())
        for s in range(200)
    ]
    assert min(counts) >= 2
    assert max(counts) <= 4
    assert np.mean(counts) == pytest.approx(3, abs=0.15)


def test_latent_correlations_leave_every_genes_own_distribution() -> None:
    rows = np.array([[[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]]] * 3)
    matrix = np.array([[1, 0.8, -0.5], [0.8, 1, -0.4], [-0.5, -0.4, 1]])
    genes = (*(gene(f"g{i}", (0, i)) for i in range(3)), gene("alone", (0, 2)))
    labels = np.array([0.6, 0.4])
    fitted = model(
        (SEX,), (component((SEX,), labels),), (table(("sex",), rows, labels),), genes, matrix
    )
    samples = draw_samples(fitted, 5_000, np.random.default_rng(2))
    for sex in range(2):
        own = samples.values[samples.codes[:, 0] == sex]
        for position in range(4):
            counts = np.bincount(bins_of(own[:, position]), minlength=3)
            assert (np.abs(counts - own.shape[0] * rows[0, sex]) <= 2).all()
        ranks = own.argsort(axis=0).argsort(axis=0) / own.shape[0]
        found = np.corrcoef(ranks.T)
        # Spearman's ρ of a normal pair (Kruskal, JASA 53 (1958) 814).
        expected = 6 / np.pi * np.arcsin(matrix / 2)
        np.testing.assert_allclose(found[:3, :3], expected, atol=0.05)
        assert np.abs(found[3, :3]).max() < 4.5 / own.shape[0] ** 0.5


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_few_rows_keep_their_distribution_and_their_correlation(rows: int) -> None:
    """Even one row in a label cell: its two genes are correlated over many draws."""
    even = np.full((2, 1, 3), 1 / 3)
    fitted = model(
        (),
        (),
        (table((), even, np.ones(1)),),
        (gene("A", (0, 0)), gene("B", (0, 1))),
        np.array([[1, 0.9], [0.9, 1]]),
    )
    rng = np.random.default_rng(rows)
    drawn = [draw_samples(fitted, rows, rng).values for _ in range(1500)]
    values = np.concatenate(drawn)
    quantiles = np.interp(values, [0, 5, 10, 20], [0, 1 / 3, 2 / 3, 1])
    expected = 6 / np.pi * np.arcsin(0.45)
    # Within a draw ranks are forced apart; over draws of one row nothing is.
    assert np.corrcoef(quantiles.T)[0, 1] == pytest.approx(expected, abs=0.06)
    if rows == 1:
        assert kstest(quantiles[:, 0], "uniform").pvalue > 1e-4
    for draw in drawn[:50]:
        own = np.interp(draw[:, 0], [0, 5, 10, 20], [0, 1 / 3, 2 / 3, 1])
        assert sorted((own * rows).clip(0, rows - 0.5).astype(int)) == list(range(rows))


def test_numbers_fill_their_bins() -> None:
    blasts = number("blasts", "0", "100", ["20", "50"])
    ratio = number("ratio", "0", "1", ["0.25"])
    shares = np.array([0.5, 0.3, 0.2])[:, None] * np.array([0.5, 0.5])
    fitted = model((blasts, ratio), (component((blasts, ratio), shares),))
    samples = draw_samples(fitted, 4_000, np.random.default_rng(4))
    drawn = samples.numbers["blasts"]
    assert (drawn == np.floor(drawn)).all()
    np.testing.assert_array_equal(np.digitize(drawn, [20, 50]), samples.codes[:, 0])
    # 2,000 rows over the twenty whole numbers 0..19, 800 over 50..100.
    assert (np.abs(np.bincount(drawn[drawn < 20].astype(int)) - 100) <= 2).all()
    assert np.bincount(drawn.astype(int), minlength=101)[100] == pytest.approx(800 / 51, abs=1)
    fractions = samples.numbers["ratio"]
    np.testing.assert_array_equal(np.digitize(fractions, [0.25]), samples.codes[:, 1])
    np.testing.assert_allclose(fractions * 10**4, np.rint(fractions * 10**4), atol=1e-6)
    assert set(samples.labels("ratio")) == {"[0, 0.25)", "[0.25, 1]"}
    with pytest.raises(KeyError):
        samples.labels("age")


def test_the_label_distribution_of_any_columns_in_any_order() -> None:
    joint = np.arange(6.0).reshape(3, 2) / 15
    own = chain()
    found = label_distribution([component((SUBTYPE, SEX), joint)], ("sex", "subtype"))
    np.testing.assert_allclose(found, joint.T.ravel())
    np.testing.assert_allclose(label_distribution([own], ()), [1.0])
    far = label_distribution([own], ("stage", "subtype"))
    np.testing.assert_allclose(far, own.tree.marginal(own.tables, ["stage", "subtype"]).ravel())
    # Columns that no table connects are independent.
    other = component((column("site", "a", "b"),), np.array([0.9, 0.1]))
    both = label_distribution([own, other], ("site", "sex"))
    np.testing.assert_allclose(both, np.outer([0.9, 0.1], own.tables[0].sum(axis=0)).ravel())


def test_tables_that_exclude_each_others_bins() -> None:
    first = table(("sex",), np.array([[[1.0, 0.0], [0.5, 0.5]]]), np.array([0.5, 0.5]))
    second = table(("site",), np.array([[[0.0, 1.0]]]), np.ones(1))
    found = bin_probabilities(
        [first, second], [gene("A", (0, 0), (1, 0))], np.array([[0, 0], [1, 0]])
    )
    np.testing.assert_allclose(found[0], [[1, 0], [0, 1]])


def test_rows_below_one_are_refused() -> None:
    with pytest.raises(SecgenError) as raised:
        draw_samples(one_gene_model(), 0, np.random.default_rng(0))
    assert raised.value.diagnostics[0].code == "SG611"


def test_two_tables_of_a_gene_are_proper_where_a_label_has_nobody() -> None:
    """p(bin) is 0 of a bin that only such a label's noise reaches; found by a plan that crashed."""
    tables = [
        GeneTable(("s",), np.array([[[0, 1.0], [0.5, 0.5]]]), np.array([[0, 1.0]])),
        GeneTable(("x",), np.array([[[0, 1.0], [0.2, 0.8]]]), np.array([[0, 1.0]])),
    ]
    curve = bin_curve(np.array([5.0]), 0, 10, None)
    gene = SyntheticGene("g", "p", "log2", ((0, 0), (1, 0)), curve)
    found = bin_probabilities(tables, [gene], np.array([[1, 1], [0, 0], [1, 0], [0, 1]]))
    np.testing.assert_allclose(found.sum(axis=2), 1)
    np.testing.assert_allclose(found[0, :, 0], [0.5, 0, 0, 0])
