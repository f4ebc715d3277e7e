import numpy as np
import pytest

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.plan import Measurements
from secgen_dsl.synthesis.measured import read_measurements

from .studies import (
    People,
    column,
    gene_pairs,
    marginal,
    measure,
    panel,
    plan_of,
    program,
    raw_counts,
    reference,
)

SUBTYPE = column("subtype", "x", "y")
SEX = column("sex", "f", "m", "u")
GENES = panel("genes", ["A", "B"])
TABLE = marginal(["sex", "subtype"], "genes", [[5, 10], [6, 12]])
LABELS = marginal(["sex", "subtype"])
STUDY = program([SUBTYPE, SEX], [LABELS, TABLE], [GENES])


def some_people(number: int = 40) -> People:
    rng = np.random.default_rng(1)
    return People(
        {"subtype": rng.integers(0, 2, number), "sex": rng.integers(0, 3, number)},
        {gene: rng.uniform(0, 20, number) for gene in GENES.genes},
    )


def test_both_maps_give_the_same_contrasts_from_the_same_noised_cells() -> None:
    plain = plan_of(STUDY, [9, 9])
    centred = plan_of(STUDY, [9, 9], ["identity", "centred"])
    first = read_measurements(plain, measure(plain, some_people(), np.random.default_rng(2)))
    second = read_measurements(centred, measure(centred, some_people(), np.random.default_rng(2)))
    np.testing.assert_allclose(first.genes[0].contrasts, second.genes[0].contrasts, atol=1e-12)
    np.testing.assert_allclose(second.genes[0].contrasts.sum(axis=2), 0, atol=1e-12)


def test_contrasts_without_noise_are_the_counts_less_their_mean() -> None:
    plan = plan_of(STUDY, [9, 9])
    counts = raw_counts(STUDY, TABLE, some_people())
    read = read_measurements(plan, measure(plan, some_people(), None))
    np.testing.assert_allclose(
        read.genes[0].contrasts, counts - counts.mean(axis=2, keepdims=True), atol=1e-12
    )


def test_a_plain_gene_table_implies_label_totals_and_their_variance() -> None:
    plan = plan_of(STUDY, [9, 30])
    read = read_measurements(plan, measure(plan, some_people(), None))
    implied = read.categories[1]
    np.testing.assert_allclose(implied.counts, raw_counts(STUDY, LABELS, some_people()).ravel())
    # Two genes, three bins: the mean of two sums of three cells.
    assert implied.variance == pytest.approx(30 * 3 / 2)
    draws = [
        read_measurements(plan, measure(plan, some_people(4), np.random.default_rng(seed)))
        .categories[1]
        .counts
        for seed in range(300)
    ]
    assert np.var(draws, axis=0).mean() == pytest.approx(implied.variance, rel=0.15)


def test_a_centred_table_implies_no_totals() -> None:
    plan = plan_of(STUDY, [9, 9], ["identity", "centred"])
    assert len(read_measurements(plan, measure(plan, some_people(), None)).categories) == 1


def test_measurements_of_another_plan_are_refused() -> None:
    plan, other = plan_of(STUDY, [9, 9]), plan_of(STUDY, [9, 12])
    with pytest.raises(SecgenError) as raised:
        read_measurements(plan, measure(other, some_people(), None))
    assert raised.value.diagnostics[0].code == "SG607"


@pytest.mark.parametrize("keep", ["no table", "short table"])
def test_incomplete_measurements_are_refused(keep: str) -> None:
    plan = plan_of(STUDY, [9, 9])
    whole = measure(plan, some_people(), None)
    first, second = whole.measurements
    cut = second.model_copy(update={"values": second.values[:-1]})
    parts = (first,) if keep == "no table" else (first, cut)
    damaged = Measurements(
        format="secgen.measurements/2", plan_sha256=whole.plan_sha256, measurements=parts
    )
    with pytest.raises(SecgenError) as raised:
        read_measurements(plan, damaged)
    assert raised.value.diagnostics[0].code == "SG608"
    assert TABLE.id in raised.value.diagnostics[0].message


def test_pairs_are_read_with_the_number_of_people() -> None:
    query = gene_pairs("genes", ["A", "B"], [(0, 1)], [[5, 10], [6, 12]], reference="far")
    study = program([SUBTYPE], [query], [GENES], [reference("far")])
    plan = plan_of(study, [30])
    people = some_people()
    read = read_measurements(plan, measure(plan, people, None))
    (pairs,) = read.pairs
    np.testing.assert_allclose(pairs.counts[:, 0], raw_counts(study, query, people))
    assert (pairs.genes, pairs.pairs, pairs.reference) == (("A", "B"), ((0, 1),), "far")
    assert pairs.variance == pytest.approx(30)
    np.testing.assert_allclose(pairs.edges, [[5, 10], [6, 12]])
    # Nine cells of one table make the total.
    (everyone,) = read.categories
    assert everyone.columns == ()
    assert everyone.counts.tolist() == [40]
    assert everyone.variance == pytest.approx(30 * 9)


def test_the_genes_of_a_table_are_named() -> None:
    one = marginal(["sex"], "genes", [[6, 12]], gene="B")
    plan = plan_of(program([SEX], [one], [GENES]), [9])
    people = some_people()
    (contrasts,) = read_measurements(plan, measure(plan, people, None)).genes
    assert contrasts.genes == ("B",)
    assert contrasts.columns == ("sex",)
    assert contrasts.contrasts.shape == (1, 3, 3)
