"""Noise: one draw a release, of the plan's size, before the map; T2: data changes none of it."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from secgen_dsl.ir.plan import Plan, Release, Round
from secgen_dsl.queries.contribution import noised_contribution, raw_cells
from secgen_dsl.queries.maps import apply_map
from secgen_dsl.queries.table import SampleTable, empty_table
from secgen_dsl.runtime.noise import NoiseSource, SystemNoise
from tests.site_programs import (
    SEX,
    SUBTYPE,
    RecordingNoise,
    make_marginal,
    make_panel,
    make_plan,
    make_program,
    make_table,
)

Contribution = dict[str, NDArray[np.int64]]
Contribute = Callable[[Plan, Round, SampleTable, NoiseSource], Contribution]

GENES = tuple(f"G{number}" for number in range(60))
PANEL = make_panel(GENES)
EDGES = [(Fraction(5), Fraction(10), Fraction(15))] * len(GENES)
PLAIN = make_marginal(["subtype"], PANEL, EDGES, "plain")
TWIN = make_marginal(["subtype"], PANEL, EDGES, "twin")
CENTRED = make_marginal(["subtype"], PANEL, EDGES, "centred")
LABELS = make_marginal(["sex", "subtype"])
PROGRAM = make_program([SUBTYPE, SEX], [PANEL], [PLAIN, TWIN, CENTRED, LABELS])
VARIANCE = Fraction(401, 4)
PLAN = make_plan(PROGRAM, {"centred": "centred"}, VARIANCE)
ROUND = PLAN.rounds[0]
NOBODY = empty_table(make_program([SUBTYPE, SEX], [PANEL], []))


def some_people(people: int = 30, seed: int = 3) -> SampleTable:
    generator = np.random.default_rng(seed)
    return make_table(
        {
            "subtype": generator.choice([*SUBTYPE.values, "", "odd"], people),
            "sex": generator.choice([*SEX.values, ""], people),
        },
        {gene: generator.normal(10, 6, people) for gene in GENES},
    )


def test_each_release_is_the_map_of_its_cells_and_its_own_noise() -> None:
    table = some_people()
    noise = RecordingNoise()
    contribution = noised_contribution(PLAN, ROUND, table, noise)
    assert list(contribution) == ["plain", "twin", "centred", "sex*subtype"]
    assert noise.requests == [
        ("plain", 960, VARIANCE),
        ("twin", 960, VARIANCE),
        ("centred", 960, VARIANCE),
        ("sex*subtype", 8, VARIANCE),
    ]
    x = raw_cells(PROGRAM, PLAIN, table)
    assert x.any()
    z = noise.answers
    np.testing.assert_array_equal(contribution["plain"], x.ravel() + z["plain"])
    np.testing.assert_array_equal(contribution["twin"], x.ravel() + z["twin"])
    noised = x + z["centred"].reshape(60, 4, 4)
    expected = 4 * noised - noised.sum(axis=2, keepdims=True)
    np.testing.assert_array_equal(contribution["centred"], expected[:, :, :3].ravel())
    np.testing.assert_array_equal(
        contribution["sex*subtype"],
        raw_cells(PROGRAM, LABELS, table).ravel() + noise.answers["sex*subtype"],
    )


def test_data_changes_neither_draws_nor_sizes() -> None:
    """T2 (PRIVACY 7.1): for any data the same requests, lengths and types, in the same order."""
    nan = make_table({"subtype": ["?"], "sex": [""]}, {gene: [float("nan")] for gene in GENES})
    infinite = make_table(
        {"subtype": ["CIN"] * 2, "sex": ["male"] * 2}, {gene: [np.inf, -np.inf] for gene in GENES}
    )
    seen = []
    for table in (NOBODY, nan, infinite, some_people(), some_people(400, seed=8)):
        noise = RecordingNoise()
        contribution = noised_contribution(PLAN, ROUND, table, noise)
        shapes = [(name, y.shape, y.dtype.str) for name, y in contribution.items()]
        seen.append((noise.requests, shapes))
    assert all(each == seen[0] for each in seen)
    assert [shape for _, shape, _ in seen[0][1]] == [(960,), (960,), (720,), (8,)]


def check_noise(contribute: Contribute) -> None:
    """Statistics of y under real noise; every bound is 5 standard errors (p < 6·10⁻⁷)."""
    table = some_people()
    source = SystemNoise()
    first = contribute(PLAN, ROUND, table, source)
    second = contribute(PLAN, ROUND, table, source)
    exact = raw_cells(PROGRAM, PLAIN, table)
    sigma_squared = float(VARIANCE)

    def error(contribution: Contribution, name: str) -> NDArray[np.float64]:
        if name == "centred":
            kept = (contribution[name] - apply_map("centred", exact)).reshape(-1, 3)
            return np.column_stack([kept, -kept.sum(axis=1)]).astype(np.float64)
        return (contribution[name] - exact.ravel()).astype(np.float64)

    bound = 5 * np.sqrt(2 / 960)
    for contribution in (first, second):
        for name in ("plain", "twin"):
            ratio = np.mean(error(contribution, name) ** 2) / sigma_squared
            assert abs(ratio - 1) < bound, f"variance of {name}"
        # Noise before centring makes rows B·P·z: E|B·P·z|² = B²(B − 1)σ², where |P·z|²/σ² is
        # χ² with B − 1 degrees; two entries have covariance −Bσ².
        rows = error(contribution, "centred")
        ratio = np.mean((rows**2).sum(axis=1)) / (16 * 3 * sigma_squared)
        assert abs(ratio - 1) < 5 * np.sqrt(2 / (3 * len(rows))), "noise of the centred rows"
        covariance = np.mean(rows[:, 0] * rows[:, 1]) / (-4 * sigma_squared)
        # Var(y₀y₁) = (B(B−1))² + B² = 160 in units of σ⁴, for the mean of 240 rows.
        assert abs(covariance - 1) < 5 * np.sqrt(160 / len(rows)) / 4, "covariance of centred"
    independent = 5 / np.sqrt(960)
    for one, other in (
        (error(first, "plain"), error(first, "twin")),
        (error(first, "plain"), error(second, "plain")),
        (error(first, "twin"), error(second, "twin")),
    ):
        assert one.std() > 0
        assert other.std() > 0
        assert abs(np.corrcoef(one, other)[0, 1]) < independent, "noise is used twice"
    for centred in (first, second):
        plain = error(first, "plain").reshape(-1, 4)
        rows = 4 * plain - plain.sum(axis=1, keepdims=True)
        correlation = np.corrcoef(rows.ravel(), error(centred, "centred").ravel())[0, 1]
        assert abs(correlation) < 5 / np.sqrt(720), "noise is used twice"


def test_noise_is_whole_fresh_and_before_the_map() -> None:
    check_noise(noised_contribution)


def _mutant(
    noised: Callable[[Release, NDArray[np.int64], NoiseSource], NDArray[np.int64]],
) -> Contribute:
    def contribute(
        plan: Plan, one_round: Round, table: SampleTable, noise: NoiseSource
    ) -> Contribution:
        return {
            release.query: noised(
                release, raw_cells(plan.program, plan.query(release.query), table), noise
            )
            for release in one_round.releases
        }

    return contribute


def _missing(release: Release, x: NDArray[np.int64], noise: NoiseSource) -> NDArray[np.int64]:
    return apply_map(release.map, x)


def _halved(release: Release, x: NDArray[np.int64], noise: NoiseSource) -> NDArray[np.int64]:
    z = noise.draw(release.query, release.raw_cells, release.noise.party_variance / 2)
    return apply_map(release.map, x + z.reshape(x.shape))


def _missing_in_one_map(
    release: Release, x: NDArray[np.int64], noise: NoiseSource
) -> NDArray[np.int64]:
    if release.map == "centred":
        return apply_map(release.map, x)
    return _correct(release, x, noise)


def _after_centring(
    release: Release, x: NDArray[np.int64], noise: NoiseSource
) -> NDArray[np.int64]:
    return apply_map(release.map, x) + noise.draw(
        release.query, release.opened, release.noise.party_variance
    )


def _after_centring_with_the_right_variance(
    release: Release, x: NDArray[np.int64], noise: NoiseSource
) -> NDArray[np.int64]:
    if release.map == "identity":
        return _correct(release, x, noise)
    variance = 12 * release.noise.party_variance
    return apply_map(release.map, x) + noise.draw(release.query, release.opened, variance)


def _correct(release: Release, x: NDArray[np.int64], noise: NoiseSource) -> NDArray[np.int64]:
    z = noise.draw(release.query, release.raw_cells, release.noise.party_variance)
    return apply_map(release.map, x + z.reshape(x.shape))


def _reused_between_releases(
    plan: Plan, one_round: Round, table: SampleTable, noise: NoiseSource
) -> Contribution:
    drawn = noise.draw("once", 960, VARIANCE)

    class Reused:
        def draw(self, marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
            return drawn[:cells]

    return noised_contribution(plan, one_round, table, Reused())


def _reused_between_runs() -> Contribute:
    kept: Contribution = {}

    def contribute(
        plan: Plan, one_round: Round, table: SampleTable, noise: NoiseSource
    ) -> Contribution:
        if not kept:
            kept.update(noised_contribution(plan, one_round, table, noise))
        return kept

    return contribute


@pytest.mark.parametrize(
    "mutant",
    [
        _mutant(_missing),
        _mutant(_missing_in_one_map),
        _mutant(_halved),
        _mutant(_after_centring),
        _mutant(_after_centring_with_the_right_variance),
        _reused_between_releases,
        _reused_between_runs(),
    ],
    ids=[
        "missing",
        "missing in centred tables",
        "halved",
        "after centring",
        "after centring, scaled",
        "reused between releases",
        "reused between runs",
    ],
)
def test_the_check_notices_wrong_noise(mutant: Contribute) -> None:
    with pytest.raises(AssertionError):
        check_noise(mutant)


def test_the_check_accepts_a_correct_rewrite() -> None:
    check_noise(_mutant(_correct))


class _Wrong:
    def __init__(self, values: NDArray[np.generic]) -> None:
        self.values = values

    def draw(self, marginal: str, cells: int, variance: Fraction) -> NDArray[np.int64]:
        return self.values  # type: ignore[return-value]


@pytest.mark.parametrize(
    "values", [np.zeros(1, dtype=np.int64), np.zeros(960), np.zeros((60, 16), dtype=np.int64)]
)
def test_a_source_that_breaks_its_promise_is_refused(values: NDArray[np.generic]) -> None:
    with pytest.raises(ValueError, match="noise of 'plain'"):
        noised_contribution(PLAN, ROUND, NOBODY, _Wrong(values))


def test_a_marginal_cannot_be_measured_twice_in_a_round() -> None:
    twice = Round(number=1, delay=0, releases=(ROUND.releases[0], ROUND.releases[0]))
    with pytest.raises(ValueError, match="twice"):
        noised_contribution(PLAN, twice, NOBODY, SystemNoise())


@pytest.mark.parametrize("wrong", [{"raw_cells": 959}, {"opened": 959}, {"map": "centred"}])
def test_lengths_that_do_not_fit_are_refused(wrong: dict[str, object]) -> None:
    release = ROUND.releases[0].model_copy(update=wrong)
    with pytest.raises(ValueError, match="'plain'"):
        noised_contribution(
            PLAN, Round(number=1, delay=0, releases=(release,)), NOBODY, SystemNoise()
        )
