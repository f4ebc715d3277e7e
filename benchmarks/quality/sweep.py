"""Quality of synthetic rows: methods × epsilon × folds × seeds, one line of CSV each.

    .venv/bin/python -m benchmarks.quality.sweep brca --out build/quality/brca.csv

A row of a run is the noise as really released by the plaintext backend: m = 3, t = 1, rounding and
clipping included.  Trained on four fifths of the silos' people, tested on the rest.  ``report``
makes tables and figures of the CSV.  Lines that the file has already are not made again.
"""

import argparse
import csv
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.quality.recipe import fit_recipe
from benchmarks.quality.studies import FOLDS, STUDIES, Study
from secgen_dsl.backends.plaintext.backend import run_plaintext
from secgen_dsl.cli.study import PlannedStudy, plan_spec
from secgen_dsl.evaluation.biology import differential_expression, mean_rates
from secgen_dsl.evaluation.coexpression import coexpression
from secgen_dsl.evaluation.fidelity import wasserstein
from secgen_dsl.evaluation.utility import train_and_test
from secgen_dsl.privacy.gdp import mu_for_budget
from secgen_dsl.synthesis.synthesize import synthesize

EPSILONS = ("0.25", "0.5", "1", "2", "4", "5", "10")
SEEDS = (1, 2, 3)
DELTA = Fraction(1, 10**5)

Floats = NDArray[np.float64]
Rows = tuple[Floats, NDArray[np.str_]]


@dataclass(frozen=True)
class Task:
    """One run: a study's fold at an epsilon."""

    study: Study
    train: pd.DataFrame
    epsilon: str
    seed: int


Method = Callable[[Task], Rows]


def _real(task: Task) -> Rows:
    return task.study.values(task.train), task.train["label"].to_numpy(dtype=np.str_)


def _reference(task: Task) -> Rows:
    """The public people themselves, with labels that only a labelled reference tells secgen."""
    known = task.study.reference[task.study.reference["label"].isin(task.study.labels)]
    return task.study.values(known), known["label"].to_numpy(dtype=np.str_)


def _recipe(task: Task) -> Rows:
    rng = np.random.default_rng(task.seed)
    fitted = fit_recipe(
        task.study.values(task.train),
        task.study.codes(task.train),
        len(task.study.labels),
        float(mu_for_budget(Fraction(task.epsilon), DELTA)),
        rng,
    )
    values, codes = fitted.draw(len(task.train), rng)
    return values, np.array(task.study.labels)[codes]


Layout = Callable[[Study, Path, str, str], Path]
"""Writes the spec with its public files; arguments and result as of ``Study.lay_out``."""


@cache
def _planned(study_name: str, epsilon: str, measure: str, layout: Layout) -> PlannedStudy:
    with tempfile.TemporaryDirectory() as name:
        return plan_spec(layout(_study(study_name), Path(name), epsilon, measure))


@cache
def _study(name: str) -> Study:
    return STUDIES[name]()


def secgen(measure: str, layout: Layout = Study.lay_out) -> Method:
    """What secgen makes of a spec that measures this."""

    def run(task: Task) -> Rows:
        planned = _planned(task.study.name.lower(), task.epsilon, measure, layout)
        measurements = run_plaintext(
            planned.plan, task.study.tables(planned.plan.program, task.train)
        )
        samples = synthesize(
            planned.plan,
            measurements,
            planned.public_files,
            len(task.train),
            np.random.default_rng(task.seed),
        )
        genes = [gene.symbol for gene in samples.genes]
        order = [genes.index(gene) for gene in task.study.genes]
        return samples.values[:, order], samples.labels("label")

    return run


def labelled(study: Study, folder: Path, epsilon: str, measure: str) -> Path:
    """The layout of a study whose reference has labels."""
    return study.lay_out(folder, epsilon, measure, labelled=True)


METHODS: dict[str, Method] = {
    "real": _real,
    "reference only": _reference,
    "recipe (not private)": _recipe,
    "tables": secgen("marginal label * genes in 4 bins from elsewhere"),
    "factors": secgen("moments genes by label in factors from elsewhere"),
    "factors, labelled reference": secgen(
        "moments genes by label in factors from elsewhere", labelled
    ),
    "tables, labelled reference": secgen(
        "marginal label * genes in 4 bins from elsewhere", labelled
    ),
    "factors and tables": secgen(
        "moments genes by label in factors from elsewhere share 70%\n"
        "marginal label * genes in 4 bins from elsewhere"
    ),
    "no reference": secgen("moments genes by label in factors from hallmark"),
}
"""The first two depend neither on epsilon nor on a seed."""

_WITHOUT_NOISE = ("real", "reference only")

FIELDS = (
    "study", "method", "epsilon", "fold", "seed",
    "accuracy", "balanced_accuracy", "macro_f1", "aupr",
    "wasserstein", "correlation_error", "edge_precision", "edge_recall", "sign_agreement",
    "de_tpr", "de_fpr", "rows", "seconds",
)  # fmt: skip


def measure(study: Study, train: pd.DataFrame, test: pd.DataFrame, rows: Rows) -> dict[str, float]:
    """All figures of one run."""
    values, labels = rows
    real, real_labels = study.values(train), train["label"].to_numpy(dtype=np.str_)
    tested = train_and_test(
        values,
        labels,
        study.values(test),
        test["label"].to_numpy(dtype=np.str_),
        study.labels,
        learner="logistic",
    )
    pairs = coexpression(real, values)
    tpr, fpr = mean_rates(differential_expression(real, real_labels, values, labels, study.labels))
    return {
        "accuracy": tested.accuracy,
        "balanced_accuracy": tested.balanced_accuracy,
        "macro_f1": tested.macro_f1,
        "aupr": tested.aupr,
        "wasserstein": float(wasserstein(real, values).mean()),
        "correlation_error": pairs.mean_difference,
        "edge_precision": pairs.precision,
        "edge_recall": pairs.recall,
        "sign_agreement": pairs.sign_agreement,
        "de_tpr": tpr,
        "de_fpr": fpr,
        "rows": len(labels),
    }


def _lines(
    name: str, methods: list[str], epsilons: list[str], seeds: list[int], folds: int
) -> Iterator[dict[str, object]]:
    for method in methods:
        alone = method in _WITHOUT_NOISE
        for epsilon in [""] if alone else epsilons:
            for fold in range(folds):
                for seed in [0] if alone else seeds:
                    yield {
                        "study": name,
                        "method": method,
                        "epsilon": epsilon,
                        "fold": fold,
                        "seed": seed,
                    }


def main(methods: dict[str, Method], about: str | None) -> None:
    """The command line of a module of methods, ``about`` which it tells."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("study", choices=list(STUDIES))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--method", action="append", choices=list(methods))
    parser.add_argument("--epsilon", action="append")
    parser.add_argument("--seed", action="append", type=int)
    parser.add_argument("--folds", type=int, default=FOLDS)
    options = parser.parse_args()
    study = _study(options.study)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    done = set()
    if options.out.exists():
        with options.out.open(encoding="utf-8", newline="") as file:
            done = {tuple(line[key] for key in FIELDS[:5]) for line in csv.DictReader(file)}
    wanted = _lines(
        options.study,
        options.method or list(methods),
        options.epsilon or list(EPSILONS),
        options.seed or list(SEEDS),
        options.folds,
    )
    with options.out.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        if not done:
            writer.writeheader()
        for line in wanted:
            if tuple(str(line[key]) for key in FIELDS[:5]) in done:
                continue
            train, test = study.split(int(str(line["fold"])))
            task = Task(study, train, str(line["epsilon"]), int(str(line["seed"])))
            start = time.monotonic()
            rows = methods[str(line["method"])](task)
            line["seconds"] = round(time.monotonic() - start, 2)
            found = measure(study, train, test, rows)
            writer.writerow({**line, **{key: f"{value:.6g}" for key, value in found.items()}})
            file.flush()


if __name__ == "__main__":
    main(METHODS, __doc__)
