"""Utility: does a classifier trained on synthetic rows know real patients (TSTR)?

Train on synthetic, test on real (Esteban, Hyland, Rätsch, arXiv:1706.02633), with two learners, as
one alone may miss what is there: a linear one and one of trees.  Formulas of the scores:
scikit-learn's user guide, "Metrics and scoring".
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from secgen_dsl.evaluation.accuracy import Floats, Labels

Learner = Literal["logistic", "boosting"]
LEARNERS: tuple[Learner, ...] = ("logistic", "boosting")

_GENES = 100
"""That boosting learns from: those whose means differ most between the training rows' classes."""

_PENALTY = 0.01
"""C of the linear learner.  With more genes than rows a weaker penalty learns the noise of either
table; on real BRCA rows .01 and 1 reach the same accuracy."""

_ROUNDS = 40
"""Of boosting: more change the scores of 1,089 × 978 by less than the folds do."""


@dataclass(frozen=True)
class Scores:
    """How well the classes of real rows were told.

    Attributes:
        classes: that were told apart; rows with others were left out.
        confusion: shape (classes, classes): rows of class i that were called class j.
        aupr_by_class: shape (classes,): average precision of each class against the rest; NaN for
            a class without test rows.
    """

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    aupr_by_class: Floats

    @property
    def accuracy(self) -> float:
        """Share of rows that were called by their class."""
        return float(np.trace(self.confusion) / max(self.confusion.sum(), 1))

    @property
    def recall(self) -> Floats:
        """Shape (classes,): share of a class's rows that were recognised; NaN if it has none."""
        return _share(np.diagonal(self.confusion), self.confusion.sum(axis=1))

    @property
    def f1(self) -> Floats:
        """Shape (classes,): 2·TP / (2·TP + FP + FN); NaN for a class without test rows."""
        right = 2 * np.diagonal(self.confusion)
        found = _share(right, self.confusion.sum(axis=0) + self.confusion.sum(axis=1))
        return np.where(self.confusion.sum(axis=1) > 0, found, np.nan)

    @property
    def macro_f1(self) -> float:
        """Mean of F1 over the classes that have test rows."""
        return mean(self.f1)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the recall over the classes that have test rows."""
        return mean(self.recall)

    @property
    def majority_rate(self) -> float:
        """Accuracy of calling every row by the most frequent class of these rows."""
        sizes = self.confusion.sum(axis=1)
        return float(sizes.max(initial=0) / max(sizes.sum(), 1))

    @property
    def aupr(self) -> float:
        """Mean of the average precision over the classes that have test rows."""
        return mean(self.aupr_by_class)


def train_and_test(
    train_values: Floats,
    train_labels: Labels,
    test_values: Floats,
    test_labels: Labels,
    classes: Sequence[str],
    learner: Learner = "logistic",
    seed: int = 0,
) -> Scores:
    """Train on one table, test on another.

    Logistic regression: one class against the rest, L2 penalty with C = .01, genes scaled to mean 0
    and variance 1 over the training rows.  Boosting: gradient boosting of trees on the 100 genes of
    greatest F statistic over the training rows.  A class without training rows is never called.

    Args:
        train_values: shape (rows, genes); finite.
        train_labels: shape (rows,).
        test_values: shape (test rows, genes); finite.
        test_labels: shape (test rows,).
        classes: one or more; rows with other labels are left out of both tables.
        learner: which.
        seed: of the boosting.
    """
    train, test = np.isin(train_labels, classes), np.isin(test_labels, classes)
    likely = _likely(
        train_values[train], train_labels[train], test_values[test], classes, learner, seed
    )
    return _scores(likely, test_labels[test], classes)


def cross_validate(
    values: Floats,
    labels: Labels,
    classes: Sequence[str],
    learner: Learner = "logistic",
    folds: int = 5,
    seed: int = 0,
) -> Scores:
    """Train and test on one table, each row tested by a classifier that did not see it.

    Args:
        values: shape (rows, genes); finite.
        labels: shape (rows,).
        classes: one or more, each with two rows or more.
        learner: which.
        folds: 2 or more; fewer are taken where a class has fewer rows.
        seed: of the folds, which are stratified by class, and of the boosting.
    """
    from sklearn.model_selection import StratifiedKFold

    kept = np.isin(labels, classes)
    values, labels = values[kept], labels[kept]
    _, sizes = np.unique(labels, return_counts=True)
    likely = np.zeros((len(labels), len(classes)))
    splits = StratifiedKFold(min(folds, int(sizes.min())), shuffle=True, random_state=seed)
    for train, test in splits.split(values, labels):
        likely[test] = _likely(values[train], labels[train], values[test], classes, learner, seed)
    return _scores(likely, labels, classes)


def classifier(learner: Learner, reduction: Any, seed: int = 0) -> Any:
    """An untrained scikit-learn classifier with ``predict_proba``.

    Args:
        learner: which.
        reduction: a transformer that makes fewer columns for boosting, which is slow on many.
        seed: of the boosting.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if learner == "logistic":
        linear = OneVsRestClassifier(LogisticRegression(C=_PENALTY, max_iter=2_000))
        return make_pipeline(StandardScaler(), linear)

    from sklearn.ensemble import HistGradientBoostingClassifier

    trees = HistGradientBoostingClassifier(
        max_iter=_ROUNDS, max_leaf_nodes=8, max_bins=64, early_stopping=False, random_state=seed
    )
    return make_pipeline(reduction, trees)


def _likely(
    train_values: Floats,
    train_labels: Labels,
    test_values: Floats,
    classes: Sequence[str],
    learner: Learner,
    seed: int,
) -> Floats:
    """Shape (test rows, classes): how likely each class is; 0 for one that was never seen."""
    likely = np.zeros((len(test_values), len(classes)))
    known = np.unique(train_labels)
    places = [list(classes).index(name) for name in known]
    if len(known) == 1:
        likely[:, places] = 1.0
    elif len(known) and len(test_values):
        from sklearn.feature_selection import SelectKBest, f_classif
        from threadpoolctl import threadpool_limits

        best = SelectKBest(f_classif, k=min(_GENES, train_values.shape[1]))
        with threadpool_limits(1), warnings.catch_warnings():  # tables are small: threads only wait
            warnings.simplefilter("ignore", UserWarning)  # constant genes
            warnings.simplefilter("ignore", RuntimeWarning)
            model = classifier(learner, best, seed).fit(train_values, train_labels)
            likely[:, places] = _of_each(model.predict_proba(test_values), len(known))
    return likely


def _of_each(likely: Floats, classes: int) -> Floats:
    """One column a class, also where one against one other is a single question."""
    return likely if likely.shape[1] == classes else np.column_stack([1 - likely, likely])


def _scores(likely: Floats, labels: Labels, classes: Sequence[str]) -> Scores:
    from sklearn.metrics import average_precision_score

    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    truth = np.array([list(classes).index(name) for name in labels], dtype=np.int64)
    np.add.at(confusion, (truth, np.argmax(likely, axis=1)), 1)
    aupr = [
        average_precision_score(truth == place, likely[:, place])
        if np.any(truth == place)
        else np.nan
        for place in range(len(classes))
    ]
    return Scores(tuple(classes), confusion, np.array(aupr, dtype=np.float64))


def mean(values: Floats) -> float:
    """Mean of those that are numbers; NaN if none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _share(parts: NDArray[np.int64], whole: NDArray[np.int64]) -> Floats:
    found: Floats = np.divide(parts, whole, out=np.full(len(parts), np.nan), where=whole > 0)
    return found
