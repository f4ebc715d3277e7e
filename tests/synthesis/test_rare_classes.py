"""Sampling never invents a class: none beyond the spec's values, none beyond its estimate."""

from math import ceil

import numpy as np
import pytest

from secgen_dsl.synthesis.fitting import fit_model
from secgen_dsl.synthesis.model import label_distribution
from secgen_dsl.synthesis.sample import draw_samples

from .studies import People, column, marginal, measure, panel, plan_of, program

SUBTYPE = column("subtype", "common", "other", "rare", "nobody")
STAGE = column("stage", "I", "II", "III")
AGE = column("age", "young", "old")
ROWS = 5_000

GRAPHS = {
    "one table": [["subtype"]],
    "star": [["subtype", "stage"], ["subtype", "age"]],
    "loop": [["subtype", "stage"], ["stage", "age"], ["age", "subtype"]],
}


def people_with_a_rare_class() -> People:
    rng = np.random.default_rng(1)
    subtype = np.repeat([0, 1, 2], [700, 290, 10])
    return People(
        {
            "subtype": subtype,
            "stage": rng.integers(0, 3, 1000),
            "age": (rng.random(1000) < 0.3 + 0.2 * subtype).astype(np.int64),
        },
        {"A": rng.normal(6 + subtype, 2.0).clip(0, 20)},
    )


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_class_is_drawn_as_often_as_it_is_estimated(graph: str) -> None:
    """Noise of ±10 people and more: the rare class and the absent one are beyond telling apart."""
    genes = panel("p", ["A"])
    asked = [*map(marginal, GRAPHS[graph]), marginal(["subtype"], "p", [[5.0, 7.0]])]
    study = program([SUBTYPE, STAGE, AGE], asked, [genes])
    plan = plan_of(study, [100] * len(asked))
    people = people_with_a_rare_class()
    absent, drawn_absent = [], []
    for seed in range(8):
        model = fit_model(plan, measure(plan, people, np.random.default_rng(seed)), {}, {})
        share = label_distribution(model.components, ["subtype"])
        samples = draw_samples(model, ROWS, np.random.default_rng(seed))
        assert set(samples.labels("subtype")) <= set(SUBTYPE.values)
        place = [c.name for c in samples.columns].index("subtype")
        counts = np.bincount(samples.codes[:, place], minlength=4)
        # Each clique rounds the cells of a class up or down by less than one.
        spare = 0 if graph == "one table" else len(STAGE.values) * len(AGE.values)
        assert (counts <= np.ceil(ROWS * share) + spare).all()
        assert (counts[share == 0] == 0).all()
        absent.append(share[3])
        drawn_absent.append(int(counts[3]))
        # Noise of one standard error or so, never a class made large.
        assert counts[3] <= ceil(ROWS * 4 * 20 / 1000)
    if graph == "one table":
        # A noisy count below 0 is nobody: in about half of the runs, and then it is not drawn.
        assert sum(share == 0 for share in absent) >= 2
        assert drawn_absent.count(0) >= sum(share == 0 for share in absent)


def test_a_seed_gives_the_same_rows_from_a_loop() -> None:
    asked = list(map(marginal, GRAPHS["loop"]))
    plan = plan_of(program([SUBTYPE, STAGE, AGE], asked), [100, 25, 400])
    opened = measure(plan, people_with_a_rare_class(), np.random.default_rng(3))
    one, other = (
        draw_samples(fit_model(plan, opened, {}, {}), 300, np.random.default_rng(5))
        for _ in range(2)
    )
    assert (one.codes == other.codes).all()


def test_samples_of_a_loop_have_its_measured_tables() -> None:
    """With hardly any noise the three tables of a loop are those of the people."""
    asked = list(map(marginal, GRAPHS["loop"]))
    plan = plan_of(program([SUBTYPE, STAGE, AGE], asked), [1, 1, 1])
    people = people_with_a_rare_class()
    model = fit_model(plan, measure(plan, people, None), {}, {})
    samples = draw_samples(model, 1000, np.random.default_rng(0))
    names = [c.name for c in samples.columns]
    for first, second in GRAPHS["loop"]:
        real = np.zeros((4, 4), dtype=int)
        drawn = np.zeros((4, 4), dtype=int)
        np.add.at(real, (people.codes[first], people.codes[second]), 1)
        own = samples.codes[:, names.index(first)], samples.codes[:, names.index(second)]
        np.add.at(drawn, own, 1)
        np.testing.assert_allclose(drawn, real, atol=8)
    assert (samples.labels("subtype") != "nobody").all()
