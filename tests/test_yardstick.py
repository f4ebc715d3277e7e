"""The first honest yardstick: classifiers trained on synthetic rows know withheld real patients."""

from secgen_dsl.evaluation.accuracy import REAL, SHUFFLED, SYNTHETIC
from tools.yardstick import measure


def test_synthetic_rows_carry_the_labels_and_shuffled_ones_do_not() -> None:
    report = measure(10)
    assert report.line(SYNTHETIC).lower_bound > report.chance
    assert report.line(SHUFFLED).lower_bound < report.chance
    assert report.line(REAL).mean > report.line(SYNTHETIC).mean
