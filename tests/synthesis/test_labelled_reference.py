"""Labelled public people sharpen the means of labels, and are not believed where they mislead."""

import numpy as np
import pytest

from secgen_dsl.synthesis.factors import describe_factors, fit_factors
from secgen_dsl.synthesis.measured import Floats
from secgen_dsl.synthesis.shrinkage import (
    describe_reference,
    estimate_rows,
    likelier_prediction,
    rows_of_labelled,
)

from .test_factors import SHARES, people, sums_of
from .test_shrinkage import BINS, PEOPLE, contrasts
from .test_shrinkage import study as tables_of

ROWS = 400
PUBLIC = 100


def error_of_means(
    cells: np.ndarray | None, deviation: float, seed: int = 0, *, beyond: bool = False
) -> float:
    """Mean squared error of the labels' means, after noise of so many people a sum.

    Args:
        beyond: labels differ in genes of which the factors hold little, and of these alone.
    """
    labels, values = people(ROWS, seed)
    own, reference = public_people(seed)
    if beyond:
        rng = np.random.default_rng(seed + 70)
        for codes, table in ((labels, values), (own, reference)):
            table[:, 9:] = 8 + rng.normal(scale=0.6, size=(len(codes), 3)) + np.eye(3)[codes]
    sums = sums_of(labels, values, reference, noise=deviation**2)
    drawn = np.random.default_rng(seed + 50).normal(scale=deviation, size=sums.scores.shape)
    sums.scores[:] = sums.scores + drawn
    fitted = fit_factors(sums, SHARES, ROWS, describe_factors(sums, reference, cells))
    standard = sums.query.standard
    centres = np.array([float(one) for one in standard.centres])
    scales = np.array([float(one) for one in standard.scales])
    true: Floats = np.stack([values[labels == label].mean(axis=0) for label in range(3)])
    errors: Floats = (fitted.means - (true - centres) / scales) ** 2
    return float((errors[:, 9:] if beyond else errors).mean())


def public_people(seed: int) -> tuple[np.ndarray, Floats]:
    return people(PUBLIC, seed + 100, shift=0.3)


def means_over_seeds(kind: str, deviation: float, *, beyond: bool = False) -> float:
    errors = []
    for seed in range(8):
        labels, _ = public_people(seed)
        cells = {
            "none": None,
            "right": labels,
            "half": np.where(np.arange(PUBLIC) % 2 == 0, labels, -1),
            "turned": (labels + 1) % 3,
            "one": np.where(labels == 0, 0, -1),
        }[kind]
        errors.append(error_of_means(cells, deviation, seed, beyond=beyond))
    return float(np.mean(errors))


def test_labels_of_public_people_help_where_noise_is_great() -> None:
    none, half, right = (means_over_seeds(kind, 60.0) for kind in ("none", "half", "right"))
    assert right < 0.6 * none
    assert right < half < none


def test_wrong_labels_are_found_out_and_do_little_harm() -> None:
    for deviation in (3.0, 20.0, 60.0):
        none, turned = (means_over_seeds(kind, deviation) for kind in ("none", "turned"))
        assert turned < 1.25 * none


def test_without_noise_labels_of_the_reference_change_nothing() -> None:
    none, turned = (means_over_seeds(kind, 1e-6) for kind in ("none", "turned"))
    assert turned == pytest.approx(none, rel=1e-3)


def test_labels_of_public_people_tell_what_no_factor_sees() -> None:
    for deviation in (1e-6, 20.0):
        none, half, right, turned = (
            means_over_seeds(kind, deviation, beyond=True)
            for kind in ("none", "half", "right", "turned")
        )
        assert right < 0.6 * none
        assert right < half < none
        assert turned < 1.1 * none


def test_a_single_label_says_nothing_of_how_labels_differ() -> None:
    assert means_over_seeds("one", 20.0) == pytest.approx(means_over_seeds("none", 20.0), rel=0.1)


def rows_beside(labelled: bool, turned: int = 0, noise: float = 60.0) -> float:
    """Mean absolute error of tables' rows, with labels of the reference's people or without."""
    counts, frequencies, reference, _ = tables_of(4)
    sizes = [-(-int(number) // 3) for number in PEOPLE]
    cells = (np.repeat(np.arange(PEOPLE.size), sizes) + turned) % PEOPLE.size
    drawn = np.random.default_rng(5).normal(0, noise, counts.shape)
    given = contrasts(counts + drawn), noise**2, PEOPLE, describe_reference(reference, BINS)
    public = rows_of_labelled(reference, cells, PEOPLE.size, given[3]) if labelled else None
    if public is not None:
        np.testing.assert_allclose(public.sum(axis=2), 1)
        public = likelier_prediction(*given, public)
    return float(np.abs(estimate_rows(*given, public) - frequencies).mean())


def test_tables_are_better_beside_labelled_public_people() -> None:
    assert rows_beside(labelled=True) < 0.7 * rows_beside(labelled=False)


def test_tables_leave_labels_that_their_counts_speak_against() -> None:
    for noise in (3.0, 20.0):
        without = rows_beside(labelled=False, noise=noise)
        assert rows_beside(labelled=True, turned=1, noise=noise) == pytest.approx(without)


def test_too_few_labelled_people_say_nothing_of_tables() -> None:
    _, _, reference, _ = tables_of(4)
    described = describe_reference(reference, BINS)
    for cells in (np.full(len(reference), -1), np.zeros(len(reference), dtype=int)):
        assert rows_of_labelled(reference, cells, 4, described) is None
