import numpy as np
import pytest

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.program import CategoryColumn
from secgen_dsl.synthesis.conditioning import (
    balanced,
    only_where,
    warn_of_lost_values,
    with_proportions,
)
from secgen_dsl.synthesis.measured import Floats
from secgen_dsl.synthesis.model import Component, LatentCorrelations, TableModel
from secgen_dsl.synthesis.sample import draw_samples
from tests.synthesis.test_junction import CHAINS, joint_of, some_tables, tree_of


def model_with(sets: list[str], seed: int, empty: bool = False) -> TableModel:
    tree = tree_of(sets)
    tables = some_tables(tree, seed)
    if empty:  # nobody has the first value of a
        tables = [
            np.where((np.indices(t.shape)[c.index("a")] == 0) if "a" in c else False, 0.0, t)
            for c, t in zip(tree.cliques, tables, strict=True)
        ]
        tables[0] = tables[0] / tables[0].sum()
        tables = tree.calibrated(tables)
    columns = tuple(
        CategoryColumn(
            kind="category",
            name=name,
            values=tuple(f"{name}{i}" for i in range(size)),
            otherwise=None,
        )
        for name, size in tree.sizes.items()
    )
    return TableModel(
        columns=columns,
        curves={},
        components=(Component(tree, tuple(tables), 100.0),),
        tables=(),
        genes=(),
        latent=LatentCorrelations((), np.zeros((1, 0, 0))),
    )


def joint(model: TableModel) -> Floats:
    component = model.components[0]
    return joint_of(component.tree, list(component.tables))


@pytest.mark.parametrize("sets", CHAINS, ids=",".join)
def test_the_rest_keeps_its_distribution_given_the_column(sets: list[str]) -> None:
    model = model_with(sets, 4)
    before = joint(model)
    for axis, column in enumerate(model.columns):
        parts = {value: float(i + 1) for i, value in enumerate(column.values)}
        after = joint(with_proportions(model, column.name, parts))
        others = tuple(i for i in range(before.ndim) if i != axis)
        wanted = np.arange(1.0, len(column.values) + 1)
        np.testing.assert_allclose(after.sum(axis=others), wanted / wanted.sum())
        np.testing.assert_allclose(
            np.moveaxis(after, axis, -1) / after.sum(axis=others),
            np.moveaxis(before, axis, -1) / before.sum(axis=others),
        )


@pytest.mark.parametrize("sets", CHAINS, ids=",".join)
def test_rows_where_hold_that_value_alone(sets: list[str]) -> None:
    model = model_with(sets, 5)
    last = model.columns[-1]
    chosen = only_where(only_where(model, "a", "a1"), last.name, last.values[0])
    samples = draw_samples(chosen, 50, np.random.default_rng(1))
    assert set(samples.labels("a")) == {"a1"}
    assert set(samples.labels(last.name)) == {last.values[0]}


def test_balanced_rows_have_each_value_equally_often() -> None:
    samples = draw_samples(balanced(model_with(["ab", "bc"], 6), "b"), 60, np.random.default_rng(1))
    values, counts = np.unique(samples.labels("b"), return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == dict.fromkeys(
        ("b0", "b1", "b2"), 20
    )


@pytest.mark.parametrize("sets", CHAINS, ids=",".join)
def test_rows_hold_each_value_as_often_as_wished(sets: list[str]) -> None:
    """Wherever the column is in the tree, and however many cells its people are spread over."""
    model = model_with(sets, 9)
    for column in model.columns:
        parts = {value: float(2 * i + 1) for i, value in enumerate(column.values)}
        total = int(sum(parts.values()))
        wished = with_proportions(model, column.name, parts)
        for seed in range(10):
            drawn = draw_samples(wished, 7 * total, np.random.default_rng(seed))
            values, counts = np.unique(drawn.labels(column.name), return_counts=True)
            held = dict(zip(values.tolist(), counts.tolist(), strict=True))
            assert held == {value: 7 * part for value, part in parts.items()}


def test_nobody_is_invented() -> None:
    model = model_with(["ab", "bc"], 7, empty=True)
    with pytest.raises(SecgenError) as refused:
        only_where(model, "a", "a0")
    assert refused.value.diagnostics[0].code == "SG613"
    assert set(draw_samples(balanced(model, "a"), 20, np.random.default_rng(1)).labels("a")) == {
        "a1"
    }


def test_a_value_that_noise_left_to_nobody_is_told() -> None:
    model = model_with(["ab", "bc"], 7, empty=True)
    samples = draw_samples(balanced(model, "a"), 60, np.random.default_rng(1))
    (told,) = warn_of_lost_values(model, samples)
    assert (told.code, told.severity) == ("SG615", "warning")
    assert 'no synthetic row has a "a0"' in told.message
    assert "noise" in told.message
    assert warn_of_lost_values(model, samples, {"a"}) == ()
    few = draw_samples(model, 1, np.random.default_rng(1))
    assert "too few people" in warn_of_lost_values(model, few)[1].message


@pytest.mark.parametrize(
    ("column", "parts", "words"),
    [
        ("z", {"z0": 1.0}, '"z" is not among'),
        ("a", {"a7": 1.0}, '"a7" is not among'),
        ("a", {"a0": 0.0}, "no value"),
    ],
    ids=["column", "value", "no part"],
)
def test_what_the_model_cannot_give(column: str, parts: dict[str, float], words: str) -> None:
    with pytest.raises(SecgenError) as refused:
        with_proportions(model_with(["ab"], 8), column, parts)
    diagnostic = refused.value.diagnostics[0]
    assert diagnostic.code == "SG613"
    assert words in diagnostic.message
