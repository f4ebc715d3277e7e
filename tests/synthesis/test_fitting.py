"""From opened values to the model, and from the model back to the people's tables."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.synthesis.fitting import fit_model
from secgen_dsl.synthesis.model import LatentCorrelations
from secgen_dsl.synthesis.sample import draw_samples

from .studies import (
    People,
    column,
    gene_pairs,
    marginal,
    measure,
    number,
    panel,
    plan_of,
    program,
    reference,
)

SUBTYPE = column("subtype", "x", "y", "z")
SEX = column("sex", "f", "m")
INDEPENDENT = LatentCorrelations((), np.zeros((1, 0, 0)))


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
    model = fit_model(plan, measure(plan, people, np.random.default_rng(0)), {}, {})
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
    model = fit_model(plan, measurements, {}, {})
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
    model = fit_model(plan, measure(plan, some_people(50, ("A", "B")), None), {}, {})
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
    model = fit_model(plan, measure(plan, people, np.random.default_rng(0)), {}, {})
    samples = draw_samples(model, 300, np.random.default_rng(0))
    assert samples.codes.shape == (300, 0)
    np.testing.assert_allclose(
        np.bincount(np.digitize(samples.values[:, 0], [5, 9])),
        np.bincount(np.digitize(people.expression["A"], [5, 9])),
        atol=6,
    )


def test_values_come_from_the_bins_own_reference_or_one_of_the_panels_unit() -> None:
    references = [reference("first"), reference("second"), reference("other", "counts")]
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
    first, second = fit_model(plan, measured, values, {}).genes
    np.testing.assert_allclose(first.curve.decode(np.array([0.5, 1.5])), [6, 12])
    np.testing.assert_allclose(second.curve.decode(np.array([0.5, 1.5])), [7, 9])


def test_one_gene_of_a_panel_has_a_table_of_its_own() -> None:
    genes = panel("p", ["A", "B", "C"])
    study = program(
        [SUBTYPE, SEX],
        [
            marginal(["sex"], "p", [[5.0, 9.0]], gene="B"),
            marginal(["subtype"], "p", [[5.0, 9.0]] * 3),
        ],
        [genes],
    )
    plan = plan_of(study, [1, 1])
    people = some_people(600, genes.genes)
    model = fit_model(plan, measure(plan, people, np.random.default_rng(0)), {}, {})
    assert [gene.symbol for gene in model.genes] == ["A", "B", "C"]  # the panel's order
    assert [gene.sources for gene in model.genes] == [((1, 0),), ((0, 0), (1, 1)), ((1, 2),)]
    assert model.tables[0].probabilities.shape == (1, 2, 3)


def test_genes_that_the_reference_lacks_keep_all_their_bins() -> None:
    """`else equal`: no bin of such a gene is taken as empty."""
    genes = panel("p", ["A", "B"])
    study = program(
        [SUBTYPE],
        [
            marginal(["subtype"], "p", [[8.0, 9.0], [5.0, 10.0]], reference="far").model_copy(
                update={"binning": "reference-else-equal"}
            )
        ],
        [genes],
        [reference("far")],
    )
    plan = plan_of(study, [4])
    people = some_people(400, genes.genes)
    measured = measure(plan, people, np.random.default_rng(1))
    model = fit_model(plan, measured, {"far": {"A": np.array([8.2, 8.4, 8.8, 9.4])}}, {})
    samples = draw_samples(model, 400, np.random.default_rng(2))
    counts = np.bincount(np.digitize(samples.values[:, 1], [5, 10]), minlength=3)
    truth = np.bincount(np.digitize(people.expression["B"], [5, 10]), minlength=3)
    np.testing.assert_allclose(counts, truth, atol=25)
    assert model.genes[1].curve.decode(np.array([0.0, 3.0])).tolist() == [0.0, 20.0]


def test_many_flags_and_their_risk_group() -> None:
    """Study C: its joint of 33 columns could never be formed."""
    flags = [column(f"flag{i}", "yes", "no", "untested") for i in range(30)]
    blasts = number("blasts", "0", "100", ["20", "50"])
    study = program(
        [SUBTYPE, SEX, blasts, *flags],
        [
            *(marginal([flag.name, "subtype"]) for flag in flags),
            marginal(["subtype", "sex", "blasts"]),
            marginal(["subtype"], "p", [[5.0, 9.0]]),
        ],
        [panel("p", ["A"])],
    )
    plan = plan_of(study, [1] * 32)
    people = some_people(700, ("A",))
    rng = np.random.default_rng(6)
    subtype = people.codes["subtype"]
    for flag in flags:
        drawn = (rng.random(700) < 0.9 - 0.3 * rng.random() * subtype).astype(np.int64)
        people.codes[flag.name] = np.where(rng.random(700) < 0.05, 2, drawn)
    people.codes["blasts"] = np.minimum(subtype + rng.integers(0, 2, 700), 2)
    model = fit_model(plan, measure(plan, people, rng), {}, {})
    (component,) = model.components
    assert component.people == pytest.approx(700, abs=5)
    samples = draw_samples(model, 700, np.random.default_rng(0))
    for flag in ("flag0", "flag17", "blasts", "sex"):
        size = len(study.column(flag).values)
        drawn, truth = np.zeros((3, size)), np.zeros((3, size))
        position = [c.name for c in samples.columns].index(flag)
        np.add.at(drawn, (samples.codes[:, 0], samples.codes[:, position]), 1)
        np.add.at(truth, (subtype, people.codes[flag]), 1)
        np.testing.assert_allclose(drawn, truth, atol=8)


def test_numbers_are_those_of_their_reference() -> None:
    age = number("age", "18", "100", ["50", "70"], reference="clinic")
    study = program([age], [marginal(["age"])], [], [reference("clinic")])
    plan = plan_of(study, [1])
    people = People({"age": np.repeat([0, 1, 2], 100)}, {})
    clinic = {"age": np.array([40, 44, 44, np.nan, 55, 60, 69, 71, 80])}
    model = fit_model(plan, measure(plan, people, None), {"clinic": {}}, clinic)
    samples = draw_samples(model, 3_000, np.random.default_rng(0))
    young = samples.numbers["age"][samples.codes[:, 0] == 0]
    # The reference's are 40 to 44, and the bin's open end is 50.
    assert young.min() >= 38
    assert young.max() <= 49
    assert np.median(young) == 44
    assert samples.numbers["age"].max() <= 85


def dependent_people(number_of_people: int, correlation: float, seed: int) -> People:
    """A and B depend on the subtype, and on each other; C only on the subtype."""
    rng = np.random.default_rng(seed)
    subtype = rng.choice(3, number_of_people, p=[0.5, 0.3, 0.2])
    noise = rng.normal(size=(3, number_of_people))
    noise[1] = correlation * noise[0] + (1 - correlation**2) ** 0.5 * noise[1]
    values = (8 + 1.5 * subtype + 1.5 * noise).clip(0, 20)
    return People({"subtype": subtype}, dict(zip("ABC", values, strict=True)))


GENE_EDGES = [[7.0, 9.0, 11.0]] * 3
PAIR_EDGES = [[8.0, 10.0], [7.5, 10.5], [8.0, 10.0]]


@pytest.mark.parametrize("correlation", [0.7, -0.6])
@pytest.mark.parametrize("bins", ["the same", "fewer", "across"])
def test_pairs_keep_dependence_and_every_genes_own_table(correlation: float, bins: str) -> None:
    edges = {"the same": GENE_EDGES, "fewer": [[7.0, 11.0]] * 3, "across": PAIR_EDGES}[bins]
    study = program(
        [SUBTYPE],
        [
            marginal(["subtype"], "p", GENE_EDGES),
            gene_pairs("p", "ABC", [(0, 1), (1, 2)], edges),
        ],
        [panel("p", "ABC")],
        [reference("far")],
    )
    plan = plan_of(study, [4, 4])
    people = dependent_people(1500, correlation, 3)
    # A reference whose genes do not depend on each other shapes values within bins, no more.
    far = {"far": dependent_people(300, 0.0, 9).expression}
    model = fit_model(plan, measure(plan, people, np.random.default_rng(1)), far, {})
    assert model.latent.genes == (0, 1, 2)
    # Inside a bin of the gene's table labels are not told apart: what they explain there counts
    # as dependence.
    if bins != "across":
        assert model.latent.matrices[0, 0, 1] == pytest.approx(correlation, abs=0.06)
        assert model.latent.matrices[0, 1, 2] == pytest.approx(0, abs=0.08)
    samples = draw_samples(model, 3000, np.random.default_rng(2))
    # Four bins flatten what labels explain; without the pairs the first two would be further off.
    real = np.corrcoef(np.array([people.expression[gene] for gene in "ABC"]))
    np.testing.assert_allclose(np.corrcoef(samples.values.T), real, atol=0.12)
    alone = draw_samples(replace(model, latent=INDEPENDENT), 3000, np.random.default_rng(2))
    assert abs(np.corrcoef(alone.values.T)[0, 1] - real[0, 1]) > 0.25
    for position, gene in enumerate("ABC"):
        for label in range(3):
            own = samples.values[samples.codes[:, 0] == label, position]
            truth = people.expression[gene][people.codes["subtype"] == label]
            np.testing.assert_allclose(
                np.bincount(np.digitize(own, GENE_EDGES[0]), minlength=4) / own.size,
                np.bincount(np.digitize(truth, GENE_EDGES[0]), minlength=4) / truth.size,
                atol=0.04,
            )


def test_genes_that_only_pairs_hold_have_the_pairs_margins() -> None:
    study = program(
        [SUBTYPE],
        [marginal(["subtype"]), gene_pairs("p", "ABC", [(0, 1), (0, 2)], PAIR_EDGES)],
        [panel("p", "ABC")],
    )
    plan = plan_of(study, [4, 9])
    people = dependent_people(1000, 0.7, 5)
    model = fit_model(plan, measure(plan, people, np.random.default_rng(1)), {}, {})
    assert [gene.symbol for gene in model.genes] == ["A", "B", "C"]
    assert {table.columns for table in model.tables} == {()}
    samples = draw_samples(model, 1000, np.random.default_rng(2))
    for position, gene in enumerate("ABC"):
        np.testing.assert_allclose(
            np.bincount(np.digitize(samples.values[:, position], PAIR_EDGES[position])),
            np.bincount(np.digitize(people.expression[gene], PAIR_EDGES[position])),
            atol=25,
        )
    # Without labels the pair carries what they explain as well.
    values = np.array([people.expression[gene] for gene in "ABC"])
    np.testing.assert_allclose(np.corrcoef(samples.values.T), np.corrcoef(values), atol=0.12)


def test_only_pairs_measured_is_something_to_draw_from() -> None:
    study = program(
        [SUBTYPE], [gene_pairs("p", "AB", [(0, 1)], PAIR_EDGES[:2])], [panel("p", "AB")]
    )
    plan = plan_of(study, [4])
    people = dependent_people(500, 0.7, 5)
    model = fit_model(plan, measure(plan, people, np.random.default_rng(1)), {}, {})
    samples = draw_samples(model, 200, np.random.default_rng(2))
    assert samples.columns == ()
    assert np.corrcoef(samples.values.T)[0, 1] > 0.5


def test_genes_of_a_pair_may_have_labels_that_no_table_joins() -> None:
    study = program(
        [SUBTYPE, SEX],
        [
            marginal(["subtype"], "p", GENE_EDGES[:1], gene="A"),
            marginal(["sex"], "p", GENE_EDGES[:1], gene="B"),
            gene_pairs("p", "AB", [(0, 1)], PAIR_EDGES[:2]),
        ],
        [panel("p", "AB")],
    )
    plan = plan_of(study, [4, 4, 4])
    people = dependent_people(1000, 0.6, 5)
    people.codes["sex"] = np.arange(1000) % 2
    model = fit_model(plan, measure(plan, people, np.random.default_rng(1)), {}, {})
    assert len(model.components) == 2
    samples = draw_samples(model, 2000, np.random.default_rng(2))
    # Nothing was measured that joins B and the subtype: the pair carries all of it.
    real = np.corrcoef(people.expression["A"], people.expression["B"])[0, 1]
    assert np.corrcoef(samples.values.T)[0, 1] == pytest.approx(real, abs=0.08)


def test_a_plan_without_measurements_is_refused() -> None:
    plan = plan_of(program([SUBTYPE], []), [])
    with pytest.raises(SecgenError) as raised:
        fit_model(plan, measure(plan, some_people(5, ()), None), {}, {})
    assert raised.value.diagnostics[0].code == "SG610"


def test_golden_utility_of_pairs_on_real_people() -> None:
    """The colorectal demo, thirty pairs, noise of 30 people a cell."""
    data = Path(__file__).resolve().parents[2] / "specs" / "data"
    silos = [pd.read_csv(data / f"{name}.csv.gz") for name in ("europe", "northeast", "south")]
    people, public = pd.concat(silos), pd.read_csv(data / "colorectal_reference.csv.gz")
    held = [name for name in public.columns if name.isupper() and name in people.columns]
    strength = np.triu(np.abs(np.corrcoef(public[held].to_numpy().T)), 1)
    strongest = np.argsort(-strength, axis=None)[:30]
    chosen = [
        (int(i), int(j)) for i, j in zip(*np.unravel_index(strongest, strength.shape), strict=True)
    ]
    genes = [held[i] for i in sorted({i for pair in chosen for i in pair})]
    pairs = sorted((genes.index(held[i]), genes.index(held[j])) for i, j in chosen)
    labels = [
        value for value in ("CIN", "GS", "MSI", "unknown") if (people["subtype"] == value).any()
    ]
    thirds = np.quantile(public[genes], [1 / 3, 2 / 3], axis=0).T.round(4).tolist()
    quarters = np.quantile(public[genes], [0.25, 0.5, 0.75], axis=0).T.round(4).tolist()
    study = program(
        [column("subtype", *labels)],
        [
            marginal(["subtype"], "p", quarters, reference="far"),
            gene_pairs("p", genes, pairs, thirds, reference="far"),
        ],
        [panel("p", genes)],
        [reference("far")],
    )
    plan = plan_of(study, [900, 900])
    codes = (
        people["subtype"].map({label: i for i, label in enumerate(labels)}).fillna(len(labels) - 1)
    )
    real = {gene: people[gene].to_numpy(dtype=float) for gene in genes}
    cohort = People({"subtype": codes.to_numpy(dtype=np.int64)}, real)
    measured = measure(plan, cohort, np.random.default_rng(0))
    far = {"far": {gene: public[gene].to_numpy(dtype=float) for gene in genes}}
    truth = np.corrcoef(np.array(list(real.values())))
    first, second = np.array(pairs).T
    model = fit_model(plan, measured, far, {})
    errors = []
    for fitted in (model, replace(model, latent=INDEPENDENT)):
        drawn = np.corrcoef(draw_samples(fitted, 1000, np.random.default_rng(1)).values.T)
        errors.append(float(np.abs(truth - drawn)[first, second].mean()))
    assert errors[0] < 0.13, errors
    assert errors[0] < 0.3 * errors[1], errors
