"""What classifiers learn from synthetic BRCA rows: plaintext backend, noise as really released.

    .venv/bin/python benchmarks/brca_accuracy.py [--epsilon 4] [--folds 5]

Five folds by person within each silo (Northeast, West, South); labels pam50, 978 genes, 4 bins from
the public reference (Europe, Canada, Other), delta 1e-5.  Tested on the withheld fold: accuracy and
balanced accuracy of a scaled logistic regression, trained on real rows, on the reference only and
on synthetic rows.
"""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from brca_study import LABELS, SILOS, lay_out, shared_data
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from secgen_dsl.backends.plaintext.backend import read_tables, run_plaintext
from secgen_dsl.cli.study import plan_spec
from secgen_dsl.synthesis.synthesize import synthesize


def scores(train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(accuracy, balanced accuracy) of a classifier trained on one table, tested on another."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    predicted = model.fit(*train).predict(test[0])
    return np.array(
        [accuracy_score(test[1], predicted), balanced_accuracy_score(test[1], predicted)]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epsilon", default="4")
    parser.add_argument("--folds", type=int, default=5)
    options = parser.parse_args()
    shared = shared_data()
    if shared is None:
        sys.exit("the BRCA cohort is not on this machine (see benchmarks/brca_study.py)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        planned = plan_spec(lay_out(shared, folder, options.epsilon))
        program = planned.plan.program
        genes = list(program.panels[0].genes)
        read = {s: pd.read_csv(folder / "data" / f"{s}.csv") for s in (*SILOS, "reference")}
        reference = read.pop("reference")
        reference = reference[reference["pam50"].isin(LABELS)]
        results: dict[str, list[np.ndarray]] = {"real": [], "reference only": [], "synthetic": []}
        for fold in range(options.folds):
            files, train, test = {}, [], []
            for silo, table in read.items():
                people = np.random.default_rng(7).permutation(table["patient"].unique())
                held = table["patient"].isin(set(people[fold :: options.folds]))
                files[silo] = folder / f"{silo}.csv"
                table[~held].to_csv(files[silo], index=False)
                train.append(table[~held])
                test.append(table[held])
            keys = {silo: secrets.token_bytes(32) for silo in files}
            measurements = run_plaintext(planned.plan, read_tables(program, files, keys))
            samples = synthesize(
                planned.plan,
                measurements,
                planned.public_files,
                700,
                np.random.default_rng(fold),
            )
            real, withheld = pd.concat(train), pd.concat(test)
            tested = (withheld[genes].to_numpy(), withheld["pam50"].to_numpy())
            for label, rows in {
                "real": (real[genes].to_numpy(), real["pam50"].to_numpy()),
                "reference only": (reference[genes].to_numpy(), reference["pam50"].to_numpy()),
                "synthetic": (samples.values, samples.labels("pam50")),
            }.items():
                results[label].append(scores(rows, tested))
    print(f"epsilon {options.epsilon}, delta 1e-5, {options.folds} folds")
    for label, found in results.items():
        accuracy, balanced = np.mean(found, axis=0)
        print(f"  {label:<16} accuracy {accuracy:.3f}   balanced {balanced:.3f}")


if __name__ == "__main__":
    main()
