import numpy as np
import pytest

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.program import Reference
from secgen_dsl.synthesis.decoding import bin_curve
from secgen_dsl.synthesis.model import (
    Component,
    GeneTable,
    SyntheticGene,
    TableModel,
    fit_model,
    label_distribution,
)
from secgen_dsl.synthesis.sample import draw_samples

from .studies import Floats, People, column, marginal, measure, panel, plan_of, program

SUBTYPE = column("subtype", "x", "y", "z")
SEX = column("sex", "f", "m")
EDGES = np.array([5.0, 10.0])


def gene(symbol: str, *sources: tuple[int, int]) -> SyntheticGene:
    return SyntheticGene(symbol, "p", "log2", sources, bin_curve(EDGES, 0.0, 20.0, None))


def table(columns: tuple[str, ...], probabilities: Floats, labels: Floats) -> GeneTable:
    return GeneTable(columns, probabilities, np.einsum("tlb,l->tb", probabilities, labels))


def bins_of(values: Floats) -> np.ndarray:
    return np.digitize(values, EDGES)


def one_gene_model() -> TableModel:
    labels = np.array([0.62, 0.38, 0.0])
    rows = np.array([[[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]]])
    return TableModel(
        (SUBTYPE,),
        (Component((SUBTYPE,), labels, 100.0),),
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
    model = TableModel(
        (SEX,),
        (Component((SEX,), np.array([0.5, 0.5]), 10.0),),
        (table(("sex",), np.tile(rows, (1, 2, 1)), np.array([0.5, 0.5])),),
        tuple(gene(f"g{i}", (0, i)) for i in range(6)),
    )
    samples = draw_samples(model, 4000, np.random.default_rng(5))
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
    model = TableModel(
        (SUBTYPE, SEX),
        (Component((SUBTYPE, SEX), labels, 50.0),),
        (
            table(("subtype",), first[None], labels.sum(axis=1)),
            table(("sex",), second[None], labels.sum(axis=0)),
        ),
        (gene("A", (0, 0), (1, 0)),),
    )
    samples = draw_samples(model, 20_000, np.random.default_rng(3))
    found = np.zeros((3, 2, 3))
    np.add.at(found, (*samples.codes.T, bins_of(samples.values[:, 0])), 1 / 20_000)
    np.testing.assert_allclose(found, joint, atol=0.003)


def test_a_gene_measured_with_two_columns_follows_the_cell_of_both() -> None:
    labels = np.full((3, 2), 1 / 6)
    # Cell (sex, subtype), subtype fastest: every cell has a bin pattern of its own.
    rows = np.array(
        [np.roll([0.6, 0.3, 0.1], k) if k < 3 else [0, k / 6, 1 - k / 6] for k in range(6)]
    )
    model = TableModel(
        (SUBTYPE, SEX),
        (Component((SUBTYPE, SEX), labels, 50.0),),
        (table(("sex", "subtype"), rows[None], np.full(6, 1 / 6)),),
        (gene("A", (0, 0)),),
    )
    samples = draw_samples(model, 6000, np.random.default_rng(3))
    bins = bins_of(samples.values[:, 0])
    for sex in range(2):
        for subtype in range(3):
            own = bins[(samples.codes == [subtype, sex]).all(axis=1)]
            found = np.bincount(own, minlength=3) / own.size
            np.testing.assert_allclose(found, rows[sex * 3 + subtype], atol=0.003)


def test_rows_below_one_are_refused() -> None:
    with pytest.raises(SecgenError) as raised:
        draw_samples(one_gene_model(), 0, np.random.default_rng(0))
    assert raised.value.diagnostics[0].code == "SG611"


def some_people(number: int, genes: tuple[str, ...], seed: int = 4) -> People:
    rng = np.random.default_rng(seed)
    subtype = rng.choice(3, number, p=[0.5, 0.3, 0.2])
    sex = (rng.random(number) < 0.3 + 0.2 * subtype).astype(np.int64)
    return People(
        {"subtype": subtype, "sex": sex},
        {g: rng.normal(6 + 2 * subtype, 2.0).clip(0, 20) for g in genes},
    )


@pytest.mark.parametrize("how", ["identity", "centred"])
def test_with_hardly_any_noise_the_samples_have_the_peoples_tables(how: str) -> None:
    genes = panel("p", ["A", "B", "C"])
    study = program(
        [SUBTYPE, SEX],
        [
            marginal(["sex", "subtype"]),
            marginal(["subtype"], "p", [[5, 7, 9], [4, 8, 12], [6, 8, 10]]),
            marginal(["subtype"]),
        ],
        [genes],
    )
    plan = plan_of(
        study, [1, 1, 1], ["identity", "centred" if how == "centred" else "identity", "identity"]
    )
    people = some_people(2000, genes.genes)
    model = fit_model(plan, measure(plan, people, np.random.default_rng(0)), {})
    samples = draw_samples(model, 2000, np.random.default_rng(1))
    assert [c.name for c in samples.columns] == ["subtype", "sex"]
    truth = np.zeros((3, 2))
    np.add.at(truth, (people.codes["subtype"], people.codes["sex"]), 1)
    drawn = np.zeros((3, 2))
    np.add.at(drawn, tuple(samples.codes.T), 1)
    np.testing.assert_allclose(drawn, truth, atol=6)
    for position, edges in enumerate([[5, 7, 9], [4, 8, 12], [6, 8, 10]]):
        for label in range(3):
            real = people.expression[genes.genes[position]][people.codes["subtype"] == label]
            own = samples.values[samples.codes[:, 0] == label, position]
            np.testing.assert_allclose(
                np.bincount(np.digitize(own, edges), minlength=4),
                np.bincount(np.digitize(real, edges), minlength=4),
                atol=12,
            )


def test_sources_same_edges_are_combined_and_other_edges_dropped() -> None:
    genes = panel("p", ["A", "B"])
    edges, other = [[5.0, 9.0], [6.0, 8.0]], [[5.0, 9.0], [6.0, 9.0]]
    study = program(
        [SUBTYPE, SEX],
        [marginal(["subtype"], "p", edges), marginal(["sex"], "p", other)],
        [genes],
    )
    # Pooled noise is L·s²: 3·10 against 2·12, so the second table is the more precise.
    plan = plan_of(study, [10, 12])
    measurements = measure(plan, some_people(50, genes.genes), np.random.default_rng(0))
    model = fit_model(plan, measurements, {})
    assert model.genes[0].sources == ((0, 0), (1, 0))
    assert model.genes[1].sources == ((1, 1),)
    assert model.genes[1].curve.decode(np.array([2.0]))[0] == 9.0
    assert len(model.components) == 2  # nothing joins the two columns


def test_a_gene_in_two_panels_of_one_unit_is_one_gene_and_of_two_units_two() -> None:
    study = program(
        [SUBTYPE],
        [
            marginal(["subtype"], "p", [[5.0]]),
            marginal(["subtype"], "q", [[5.0], [5.0]]),
            marginal(["subtype"], "r", [[5.0]]),
        ],
        [panel("p", ["A"]), panel("q", ["A", "B"]), panel("r", ["A"], unit="counts")],
    )
    plan = plan_of(study, [1, 1, 1])
    model = fit_model(plan, measure(plan, some_people(50, ("A", "B")), None), {})
    assert [(g.symbol, g.panel, g.unit) for g in model.genes] == [
        ("A", "p", "log2"),
        ("B", "q", "log2"),
        ("A", "r", "counts"),
    ]
    assert model.genes[0].sources == ((0, 0), (1, 0))


def test_a_panel_without_labels() -> None:
    study = program([SUBTYPE], [marginal([], "p", [[5.0, 9.0]])], [panel("p", ["A"])])
    plan = plan_of(study, [1])
    people = some_people(300, ("A",))
    model = fit_model(plan, measure(plan, people, np.random.default_rng(0)), {})
    samples = draw_samples(model, 300, np.random.default_rng(0))
    assert samples.codes.shape == (300, 0)
    np.testing.assert_allclose(
        np.bincount(np.digitize(samples.values[:, 0], [5, 9])),
        np.bincount(np.digitize(people.expression["A"], [5, 9])),
        atol=6,
    )


def test_values_come_from_the_bins_own_reference_or_one_of_the_panels_unit() -> None:
    references = [
        Reference(name=name, unit=unit, sha256="0" * 64, provenance="")
        for name, unit in [("first", "log2"), ("second", "log2"), ("other", "counts")]
    ]
    study = program(
        [SUBTYPE],
        [
            marginal(["subtype"], "p", [[8.0]], reference="second"),
            marginal(["subtype"], "q", [[8.0]]),
        ],
        [panel("p", ["A"]), panel("q", ["B"])],
        references,
    )
    plan = plan_of(study, [1, 1])
    measured = measure(plan, some_people(60, ("A", "B")), None)
    values = {
        "first": {"A": np.array([1.0, 9.0]), "B": np.array([7.0, np.nan, 9.0])},
        "second": {"A": np.array([6.0, 6.0, np.nan, 12.0, 12.0])},
        "other": {"A": np.array([3.0]), "B": np.array([3.0])},
    }
    first, second = fit_model(plan, measured, values).genes
    np.testing.assert_allclose(first.curve.decode(np.array([0.5, 1.5])), [6, 12])
    np.testing.assert_allclose(second.curve.decode(np.array([0.5, 1.5])), [7, 9])


def test_the_label_distribution_of_any_order_of_columns() -> None:
    joint = np.arange(6.0).reshape(3, 2) / 15
    components = (Component((SUBTYPE, SEX), joint, 9.0),)
    found = label_distribution(components, ("sex", "subtype"))
    assert found is not None
    np.testing.assert_allclose(found[0], joint.T.ravel())
    assert label_distribution(components, ()) is None


def test_a_plan_without_measurements_is_refused() -> None:
    plan = plan_of(program([SUBTYPE], []), [])
    with pytest.raises(SecgenError) as raised:
        fit_model(plan, measure(plan, some_people(5, ()), None), {})
    assert raised.value.diagnostics[0].code == "SG610"
