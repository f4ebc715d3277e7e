"""The first yardstick: does a classifier trained on synthetic rows know real patients?

Real data are needed here, so this runs at whoever holds them; its figures are computed on private
data and are not covered by the privacy budget.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.diagnostics.diagnostic import fail

Floats = NDArray[np.float64]
Labels = NDArray[np.str_]

REAL = "real"
REFERENCE = "reference only"
SYNTHETIC = "synthetic"
SHUFFLED = "synthetic, labels shuffled"

_SHUFFLES = 10
"""Shuffles a split, averaged: one alone scatters as much as the splits do."""


@dataclass(frozen=True)
class LabelledTable:
    """People or synthetic rows.

    Attributes:
        values: shape (rows, genes); finite.  All tables of a split have the same genes.
        labels: shape (rows,).
    """

    values: Floats
    labels: Labels


@dataclass(frozen=True)
class Split:
    """One division of the real rows, and what was made from its training part.

    Attributes:
        real_train: the silos' rows that the synthetic ones were made from.
        reference: the public reference's rows.
        synthetic: the synthetic rows.
        test: real rows that nothing was made from.
    """

    real_train: LabelledTable
    reference: LabelledTable
    synthetic: LabelledTable
    test: LabelledTable


@dataclass(frozen=True)
class YardstickLine:
    """Balanced accuracy of one way to train.

    Attributes:
        trained_on: what the classifier was trained on.
        by_split: balanced accuracy in every split, from 0 to 1.
        mean: of ``by_split``.
        lower_bound: one-sided 95% lower bound on the mean; see ``lower_confidence_bound``.
    """

    trained_on: str
    by_split: tuple[float, ...]
    mean: float
    lower_bound: float


@dataclass(frozen=True)
class YardstickReport:
    """The four lines, in the order real, reference, synthetic, shuffled.

    Attributes:
        classes: the labels that were told apart.
        lines: see ``YardstickLine``.
    """

    classes: tuple[str, ...]
    lines: tuple[YardstickLine, ...]

    @property
    def chance(self) -> float:
        """Balanced accuracy of guessing: 1 / number of classes."""
        return 1 / len(self.classes)

    def line(self, trained_on: str) -> YardstickLine:
        """The line of that name.  Raises KeyError if there is none."""
        for line in self.lines:
            if line.trained_on == trained_on:
                return line
        raise KeyError(trained_on)


def balanced_accuracy(
    train_values: Floats,
    train_labels: Labels,
    test_values: Floats,
    test_labels: Labels,
    classes: Sequence[str],
) -> float:
    """Mean over the classes of the share of their test rows that is recognised.

    The classifier is a logistic regression (multinomial, L2 penalty with C = 1) on genes scaled to
    mean 0 and variance 1 over the training rows, with classes weighted equally.  Rows with other
    labels are left out.  A class without training rows is never predicted and scores 0.

    Args:
        train_values: shape (rows, genes).
        train_labels: shape (rows,).
        test_values: shape (test rows, genes).
        test_labels: shape (test rows,).
        classes: two or more labels.

    Returns:
        From 0 to 1; guessing gives 1 / number of classes.

    Raises:
        SecgenError: SG620, no training row has one of the labels; SG621, a class has no test row.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kept = np.isin(train_labels, classes)
    known = np.unique(train_labels[kept])
    if known.size == 0:
        raise fail(
            "SG620",
            f"no row to train on is labelled {', '.join(classes)}",
            place="evaluation",
            next_step="compare labels that the training table holds",
        )
    for name in classes:
        if not np.any(test_labels == name):
            raise fail(
                "SG621",
                f'no withheld row is labelled "{name}"',
                place="evaluation",
                next_step="withhold more rows, or leave the label out of the comparison",
            )
    if known.size == 1:
        return 1 / len(classes)  # the one known class is always predicted
    classifier = make_pipeline(
        StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2_000)
    )
    classifier.fit(train_values[kept], train_labels[kept])
    predicted = classifier.predict(test_values)
    recalls = [float(np.mean(predicted[test_labels == name] == name)) for name in classes]
    return float(np.mean(recalls))


def lower_confidence_bound(scores: Sequence[float], test_share: float) -> float:
    """One-sided 95% lower bound on the mean score over random splits of the same rows.

    The corrected resampled t-interval of Nadeau and Bengio (Machine Learning 52 (2003) 239):
    ``mean − t(.95, k−1)·√((1/k + test/train)·s²)`` over k splits.  Splits share most rows, so the
    plain interval with 1/k alone would be too narrow.  It speaks of this cohort and method, not of
    other cohorts.

    Args:
        scores: one a split; two or more.
        test_share: number of test rows over training rows, > 0.

    Raises:
        SecgenError: SG622, fewer than two splits.
    """
    if len(scores) < 2:
        raise fail(
            "SG622",
            f"a bound needs two splits or more, not {len(scores)}",
            place="evaluation",
            next_step="ask for ten splits",
        )
    from scipy.stats import t

    splits = len(scores)
    width = float(t.ppf(0.95, splits - 1)) * sqrt(1 / splits + test_share)
    return float(np.mean(scores)) - width * float(np.std(scores, ddof=1))


def yardstick(splits: Iterable[Split], classes: Sequence[str], seed: int = 0) -> YardstickReport:
    """Balanced accuracy on withheld real rows, for four ways to train.

    Args:
        splits: two or more; made one by one, so that an iterator holds one in memory.
        classes: two or more labels to be told apart; rows with others are left out.
        seed: of the shuffles of the synthetic labels.

    Raises:
        SecgenError: SG620, SG621, SG622.
    """
    scores: dict[str, list[float]] = {REAL: [], REFERENCE: [], SYNTHETIC: [], SHUFFLED: []}
    shares: list[float] = []
    for number, split in enumerate(splits):
        rng = np.random.default_rng((seed, number))

        def score(table: LabelledTable, split: Split = split) -> float:
            return balanced_accuracy(
                table.values, table.labels, split.test.values, split.test.labels, classes
            )

        scores[REAL].append(score(split.real_train))
        scores[REFERENCE].append(score(split.reference))
        scores[SYNTHETIC].append(score(split.synthetic))
        shuffled = [score(_shuffled(split.synthetic, classes, rng)) for _ in range(_SHUFFLES)]
        scores[SHUFFLED].append(float(np.mean(shuffled)))
        shares.append(
            float(np.isin(split.test.labels, classes).sum())
            / float(np.isin(split.real_train.labels, classes).sum())
        )
    test_share = float(np.mean(shares)) if shares else 0.0
    lines = tuple(
        YardstickLine(
            trained_on=name,
            by_split=tuple(found),
            mean=float(np.mean(found)) if found else 0.0,
            lower_bound=lower_confidence_bound(found, test_share),
        )
        for name, found in scores.items()
    )
    return YardstickReport(tuple(classes), lines)


def _shuffled(
    table: LabelledTable, classes: Sequence[str], rng: np.random.Generator
) -> LabelledTable:
    """The rows of ``classes`` with their labels shuffled, and the classes renamed at random.

    Shuffling alone is no level line: rare classes' rows lie at the edges of the cloud, where a
    classifier of nonsense guesses rare classes more often.  With the names of the classes drawn
    anew, every row is as likely to be called one class as another, and the expected balanced
    accuracy is exactly that of guessing.
    """
    used = np.isin(table.labels, classes)
    names = dict(zip(classes, rng.permutation(np.array(classes)), strict=True))
    labels = np.array([names[label] for label in table.labels[used]])
    return LabelledTable(table.values[used], rng.permutation(labels))


def render_yardstick(report: YardstickReport) -> str:
    """The report as plain text for a terminal, without a final newline."""
    splits = len(report.lines[0].by_split)
    width = max(len(line.trained_on) for line in report.lines)
    rows = [
        f"Balanced accuracy on withheld real rows: {' / '.join(report.classes)}, {splits} splits",
        f"  {'trained on':<{width}}   mean   lower 95%",
    ]
    rows += [
        f"  {line.trained_on:<{width}}  {line.mean:5.3f}       {line.lower_bound:5.3f}"
        for line in report.lines
    ]
    rows += [
        f"  {'(guessing)':<{width}}  {report.chance:5.3f}",
        "The bound is one-sided: a t-interval over the splits, widened because they share rows",
        "(Nadeau, Bengio 2003).  Computed on real rows: not covered by the privacy budget.",
    ]
    return "\n".join(rows)
