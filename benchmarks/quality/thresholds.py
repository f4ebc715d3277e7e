"""Differential expression called at other levels of the synthetic rows' q.

    .venv/bin/python -m benchmarks.quality.thresholds brca --out build/quality/thresholds.csv

``sweep`` calls a gene in real and in synthetic rows at one level, and so shows each method at one
point: its true and its false positive rate.  What real rows show at that level stays the truth
here; in synthetic rows a gene is called at several levels, which are the points of a curve.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.studies import FOLDS, STUDIES, Study
from benchmarks.quality.sweep import METHODS, Rows, Task
from secgen_dsl.evaluation.biology import LEVEL, Agreement, differential_expression

METHODS_SHOWN = ("recipe (not private)", "factors", "factors, labelled reference")
EPSILONS = ("1", "4")
SEEDS = (1, 2, 3)
LEVELS = (0.01, LEVEL, 0.1, 0.15, 0.2, 0.3)
FIELDS = ("study", "method", "epsilon", "fold", "seed", "level", "de_tpr", "de_fpr")


def rates_at(pairs: tuple[Agreement, ...], level: float) -> tuple[float, float]:
    """Mean true and false positive rates over the pairs of classes that have one."""

    def mean(rates: list[float]) -> float:
        return float(np.mean(rates)) if rates else float("nan")

    def called(pair: Agreement, among: NDArray[np.bool_]) -> list[float]:
        return [float((pair.synthetic.adjusted < level)[among].mean())] if among.any() else []

    tpr = [rate for pair in pairs for rate in called(pair, pair.real.called)]
    fpr = [rate for pair in pairs for rate in called(pair, ~pair.real.called)]
    return mean(tpr), mean(fpr)


def _lines(study: Study, task: Task, rows: Rows) -> Iterator[dict[str, object]]:
    real = study.values(task.train), task.train["label"].to_numpy(dtype=np.str_)
    pairs = differential_expression(*real, *rows, study.labels)
    for level in LEVELS:
        tpr, fpr = rates_at(pairs, level)
        yield {"level": level, "de_tpr": f"{tpr:.6g}", "de_fpr": f"{fpr:.6g}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", choices=list(STUDIES))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    study = STUDIES[options.study]()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        for method in METHODS_SHOWN:
            for epsilon in EPSILONS:
                for fold in range(FOLDS):
                    train, _ = study.split(fold)
                    for seed in SEEDS:
                        task = Task(study, train, epsilon, seed)
                        place = {
                            "study": options.study,
                            "method": method,
                            "epsilon": epsilon,
                            "fold": fold,
                            "seed": seed,
                        }
                        for found in _lines(study, task, METHODS[method](task)):
                            writer.writerow(place | found)
                        file.flush()


if __name__ == "__main__":
    main()
