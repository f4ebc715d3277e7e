"""Genes that moments and tables measure: between what moments predict and what tables count."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secgen_dsl.backends.plaintext.backend import read_tables, run_plaintext
from secgen_dsl.cli.study import plan_spec
from secgen_dsl.synthesis.decoding import BinCurve, bin_curve
from secgen_dsl.synthesis.fitting import fit_model
from secgen_dsl.synthesis.measured import Floats
from secgen_dsl.synthesis.model import FactorModel, TableModel
from secgen_dsl.synthesis.predicted import cut_finer, pooled, predicted_bins
from secgen_dsl.synthesis.reference import read_references
from secgen_dsl.synthesis.sample import _positions, draw_samples
from tests.site_programs import NoNoise

EDGES = np.array([7.0, 8.0, 9.0])
FACTORS = FactorModel(
    columns=("subtype",),
    shares=np.array([0.7, 0.27, 0.03]),
    means=np.array([[-0.4], [0.6], [2.5]]),
    deviations=np.array([0.8]),
    loadings=np.array([[0.6]]),
    unique=np.array([0.8]),
)
QUANTILES = (np.arange(200) + 0.5) / 200


def curve_of(values: Floats) -> BinCurve:
    return bin_curve(np.zeros(0), 0.0, 20.0, values)


def by_the_moments(cell: int, curve: BinCurve) -> Floats:
    """The values of a label cell of FACTORS, by quantiles."""
    found = pooled(FACTORS, 0)
    within = np.quantile(np.random.default_rng(0).normal(size=200_000), QUANTILES)
    return curve.decode(np.interp(found.means[cell] + within, found.knots, found.below))


@pytest.mark.parametrize("zeros", [0, 60])
def test_where_tables_say_what_moments_predict_values_are_those_of_the_moments(zeros: int) -> None:
    """Also of a rare label far out, and where a part of all people has exactly the value 6."""
    shape = np.sort(np.random.default_rng(1).gamma(4, 0.7, 300)) + 6
    shape[:zeros] = 6.0
    curve = curve_of(shape)
    own = bin_curve(EDGES, 0.0, 20.0, None)
    found = predicted_bins(FACTORS, 0, curve, own, EDGES, np.eye(3))
    rows = found.parts.sum(axis=2)
    np.testing.assert_allclose(rows.sum(axis=1), 1)
    fine = cut_finer(rows[None], [found])
    for cell in range(3):
        places = _positions(fine[:, cell], QUANTILES[:, None])[:, 0]
        expected = by_the_moments(cell, curve)
        away = np.abs(found.curve.decode(places) - expected)[4:-4]
        assert away.mean() < 0.05
        assert away.max() < 0.2
        counted = np.bincount(np.digitize(expected, EDGES), minlength=4) / QUANTILES.size
        np.testing.assert_allclose(rows[cell], counted, atol=0.012)
        if zeros:
            drawn = found.curve.decode(places)
            assert (drawn == 6).mean() == pytest.approx((expected == 6).mean(), abs=0.03)


def test_values_lie_in_the_tables_bins_whatever_the_moments_say() -> None:
    """Also where by the moments nobody falls into a bin: its values are then the table's own."""
    low = curve_of(np.linspace(6.2, 8.8, 50))
    known = np.array([6.5, 7.5, 8.5, 9.4, 9.5, 9.6])
    found = predicted_bins(
        FACTORS, 0, low, bin_curve(EDGES, 0.0, 20.0, known), EDGES, np.full((1, 3), 1 / 3)
    )
    fine = found.parts.shape[2]
    np.testing.assert_allclose(found.curve.decode(fine * np.arange(1.0, 4.0)), EDGES)
    assert (np.diff(found.curve.values) >= 0).all()
    counted = np.array([[[0.1, 0.2, 0.3, 0.4]]])
    places = _positions(cut_finer(counted, [found])[:, 0], QUANTILES[:, None])[:, 0]
    values = found.curve.decode(places)
    np.testing.assert_allclose(np.bincount(np.digitize(values, EDGES)) / 200, counted[0, 0])
    assert values.max() < 9.8
    # Of cells of other labels, the mean over the labels of the moments.
    alone = predicted_bins(FACTORS, 0, low, bin_curve(EDGES, 0.0, 20.0, known), EDGES, np.eye(3))
    np.testing.assert_allclose(found.parts[0], alone.parts.mean(axis=0), rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-5, 25), min_size=1, max_size=5),
    st.lists(st.floats(4, 11), min_size=1, max_size=30),
    st.tuples(*[st.floats(-30, 30)] * 3),
    st.booleans(),
)
def test_any_edges_give_rows_and_a_curve(
    edges: list[float], values: list[float], means: tuple[float, float, float], bare: bool
) -> None:
    """Beyond the range of all values, on one of them, or equal to each other."""
    sorted_edges = np.sort(np.clip(edges, 0, 20))
    known = np.sort(values)
    factors = replace(FACTORS, means=np.array(means)[:, None])
    own = bin_curve(sorted_edges, 0.0, 20.0, None if bare else known)
    found = predicted_bins(factors, 0, curve_of(known), own, sorted_edges, np.eye(3))
    assert (found.parts >= 0).all()
    np.testing.assert_allclose(found.parts.sum(axis=(1, 2)), 1)
    assert (np.diff(found.curve.positions) >= 0).all()
    assert (np.diff(found.curve.values) >= 0).all()
    assert found.curve.positions[0] == 0
    assert found.curve.positions[-1] == (len(edges) + 1) * found.parts.shape[2]
    assert 0 <= found.curve.values[0] <= found.curve.values[-1] <= 20


GENES = tuple(f"G{number}" for number in range(8))
SPEC = """secgen 1
study "S" {{ purpose "x"; contact "nobody@consortium.example" }}
silos hold patients {{ north terms open; west terms open; south terms open }}
trust {{ tolerate 1 colluding party }}
person {{ key patient; at most 1 sample; in at most 1 silo; at most 1000 people in all }}
columns {{ subtype category {{ x, y, z, nobody }}; sex category {{ f, m }} }}
public r from "reference.csv" log2
panel p expression log2 0..20 {{ G0, G1, G2, G3, G4, G5 }}
panel q expression log2 0..20 {{ G4, G5, G6, G7 }}
privacy {{ add or remove one person; epsilon {epsilon}; delta 1e-5 }}
measure {{
  moments p by subtype in 2 factors from r
  marginal subtype * q in 4 bins from r
  marginal sex * q.G5 in 4 bins from r
}}
release {{ samples 700 to public as csv }}
"""


def cohort(people: int, seed: int) -> pd.DataFrame:
    """Two factors, the first of which labels move; G5 and G7 are skewed, in patients alone."""
    rng = np.random.default_rng(seed)
    label = rng.choice(3, people, p=[0.5, 0.3, 0.2])
    sex = rng.integers(0, 2, people)
    scores = rng.normal(size=(people, 2)) + np.outer(label - 0.7, [1.2, 0.2])
    loadings = np.random.default_rng(0).normal(size=(2, len(GENES)))
    values = scores @ loadings + 0.5 * rng.normal(size=(people, len(GENES)))
    if seed:
        values[:, [5, 7]] = np.exp(0.5 * values[:, [5, 7]]) - 1 + sex[:, None]
    frame = pd.DataFrame((8 + values).clip(0, 20), columns=list(GENES))
    frame.insert(0, "patient", [f"P{number}" for number in range(people)])
    frame.insert(1, "subtype", np.array(["x", "y", "z"])[label])
    frame.insert(2, "sex", np.array(["f", "m"])[sex])
    return frame


def fitted(folder: Path, epsilon: str) -> tuple[pd.DataFrame, TableModel]:
    people = cohort(900, 1)
    files = {}
    for number, silo in enumerate(("north", "west", "south")):
        files[silo] = folder / f"{silo}.csv"
        people.iloc[number::3].to_csv(files[silo], index=False)
    cohort(200, 0).to_csv(folder / "reference.csv", index=False)
    spec = folder / "s.secgen"
    spec.write_text(SPEC.format(epsilon=epsilon))
    planned = plan_spec(spec)
    tables = read_tables(planned.plan.program, files, {name: bytes(32) for name in files})
    # The model takes the plan's noise to be in the values: what it does is then the same each time.
    opened = run_plaintext(planned.plan, tables, {name: NoNoise() for name in planned.plan.parties})
    references = read_references(planned.plan.program, planned.public_files)
    return people, fit_model(planned.plan, opened, references, {})


def test_genes_of_moments_of_tables_and_of_both(tmp_path: Path) -> None:
    people, model = fitted(tmp_path, "50")
    genes = {gene.symbol: gene for gene in model.genes}
    assert list(genes) == list(GENES)
    assert [len(gene.sources) for gene in genes.values()] == [0, 0, 0, 0, 1, 2, 1, 1]
    assert [gene.factors is not None for gene in genes.values()] == [True] * 6 + [False] * 2
    for table in model.tables:
        assert np.isfinite(table.probabilities).all()
        np.testing.assert_allclose(table.probabilities.sum(axis=2), 1)
    samples = draw_samples(model, 2000, np.random.default_rng(2))
    drawn = pd.DataFrame(samples.values, columns=list(GENES))
    np.testing.assert_allclose(
        drawn.groupby(samples.labels("subtype")).mean().loc[["x", "y", "z"]],
        people.groupby("subtype")[list(GENES)].mean(),
        atol=0.4,
    )
    # Little noise: the tables' rows are the people's, though the moments take G5 for normal.
    public = pd.read_csv(tmp_path / "reference.csv")
    for gene in ("G4", "G5", "G7"):
        edges = np.quantile(public[gene], [0.25, 0.5, 0.75])
        for column in ("subtype", "sex") if gene == "G5" else ("subtype",):
            for value, own in people.groupby(column)[gene]:
                mine = drawn.loc[samples.labels(column) == value, gene]
                parts = [np.bincount(np.digitize(of, edges), minlength=4) for of in (own, mine)]
                np.testing.assert_allclose(
                    parts[0] / own.size, parts[1] / mine.size, atol=0.07, err_msg=f"{gene} {value}"
                )
    # G5 of q is as dependent on G0 of p as the moments say.
    real = np.corrcoef(people["G0"], people["G5"])[0, 1]
    assert np.corrcoef(drawn["G0"], drawn["G5"])[0, 1] == pytest.approx(real, abs=0.12)
