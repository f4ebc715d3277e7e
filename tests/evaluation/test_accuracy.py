from collections.abc import Iterator

import numpy as np
import pytest

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.evaluation.accuracy import (
    REAL,
    REFERENCE,
    SHUFFLED,
    SYNTHETIC,
    LabelledTable,
    Split,
    balanced_accuracy,
    lower_confidence_bound,
    render_yardstick,
    yardstick,
)

CLASSES = ("CIN", "GS", "MSI")


def table(rng: np.random.Generator, rows: int, apart: float) -> LabelledTable:
    """Rows of four labels; the three compared lie ``apart`` from each other along a gene each."""
    labels = rng.choice([*CLASSES, "unknown"], rows, p=[0.6, 0.15, 0.15, 0.1])
    values = rng.normal(size=(rows, 6))
    for position, name in enumerate(CLASSES):
        values[labels == name, position] += apart
    return LabelledTable(values, labels)


def splits(number: int = 4) -> Iterator[Split]:
    for seed in range(number):
        rng = np.random.default_rng(seed)
        yield Split(
            real_train=table(rng, 400, 4),
            reference=table(rng, 150, 0.4),
            synthetic=table(rng, 300, 2),
            test=table(rng, 200, 4),
        )


def test_four_lines_tell_good_rows_from_bad_ones() -> None:
    report = yardstick(splits(), CLASSES)
    assert [line.trained_on for line in report.lines] == [REAL, REFERENCE, SYNTHETIC, SHUFFLED]
    assert report.chance == pytest.approx(1 / 3)
    assert report.line(REAL).mean > 0.95
    assert report.line(SYNTHETIC).lower_bound > 0.8
    assert report.line(REFERENCE).mean < report.line(SYNTHETIC).mean
    assert report.line(SHUFFLED).lower_bound < report.chance
    assert len(report.line(SHUFFLED).by_split) == 4
    again = yardstick(splits(), CLASSES)
    assert again == report
    assert yardstick(splits(), CLASSES, seed=1).line(SHUFFLED) != report.line(SHUFFLED)


def test_the_report_as_text() -> None:
    report = yardstick(splits(2), CLASSES)
    text = render_yardstick(report)
    assert "CIN / GS / MSI, 2 splits" in text
    for line in report.lines:
        (row,) = [row for row in text.splitlines() if row.startswith(f"  {line.trained_on}  ")]
        assert row.endswith(f"{line.mean:5.3f}       {line.lower_bound:5.3f}")
    assert "not covered by the privacy budget" in text


def test_classes_weigh_the_same_whatever_their_size() -> None:
    rng = np.random.default_rng(0)
    train = table(rng, 600, 5)
    labels = np.array(["CIN"] * 90 + ["GS"] * 5 + ["MSI"] * 5)
    values = np.zeros((100, 6))
    values[:95, 0] = 6  # all CIN and all GS rows look like CIN
    values[95:, 2] = 6
    found = balanced_accuracy(train.values, train.labels, values, labels, CLASSES)
    assert found == pytest.approx(2 / 3)


def test_other_labels_are_left_out() -> None:
    rng = np.random.default_rng(1)
    train, test = table(rng, 300, 4), table(rng, 200, 4)
    kept = train.labels != "unknown"
    assert balanced_accuracy(
        train.values, train.labels, test.values, test.labels, CLASSES
    ) == balanced_accuracy(
        train.values[kept], train.labels[kept], test.values, test.labels, CLASSES
    )


def test_classes_that_training_lacks_score_nothing() -> None:
    rng = np.random.default_rng(2)
    train, test = table(rng, 300, 8), table(rng, 200, 8)
    two, one = train.labels != "MSI", train.labels == "GS"
    score = balanced_accuracy(
        train.values[two], train.labels[two], test.values, test.labels, CLASSES
    )
    assert 0.6 < score <= 2 / 3 + 1e-9
    assert balanced_accuracy(
        train.values[one], train.labels[one], test.values, test.labels, CLASSES
    ) == pytest.approx(1 / 3)


def test_missing_classes_are_named() -> None:
    rng = np.random.default_rng(3)
    train, test = table(rng, 100, 4), table(rng, 100, 4)
    unlabelled = np.full(100, "unknown")
    with pytest.raises(SecgenError) as raised:
        balanced_accuracy(train.values, unlabelled, test.values, test.labels, CLASSES)
    assert raised.value.diagnostics[0].code == "SG620"
    with pytest.raises(SecgenError) as raised:
        balanced_accuracy(train.values, train.labels, test.values, unlabelled, CLASSES)
    assert raised.value.diagnostics[0].code == "SG621"
    assert '"CIN"' in raised.value.diagnostics[0].message


def test_the_bound_is_nadeau_and_bengios() -> None:
    scores = [0.7, 0.8, 0.9, 0.8, 0.8]
    # t(.95, 4) = 2.1318; s² = .005
    expected = 0.8 - 2.1318 * (0.005 * (1 / 5 + 0.25)) ** 0.5
    assert lower_confidence_bound(scores, 0.25) == pytest.approx(expected, abs=1e-4)
    with pytest.raises(SecgenError) as raised:
        lower_confidence_bound([0.8], 0.25)
    assert raised.value.diagnostics[0].code == "SG622"
