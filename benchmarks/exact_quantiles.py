"""What one patient changes where bins are cut at the patients' own quartiles.

    .venv/bin/python benchmarks/exact_quantiles.py

On the TCGA breast cancer table (1,089 tumours, 978 genes, 5 subtypes): the L2 distance between all
subtype × gene tables with and without each tumour, bins cut at exact quartiles of the tumours that
are there.  A plan calibrated to one changed cell a table counts √978 of it.  Of a gene without
equal values the worst is √7: the three edges move past one other person each, who leaves a cell and
enters another, and the patient's own cell; past equal values an edge moves several at once.
Epsilon is that of Gaussian noise at δ = 1e-5 for the distance that is measured, where a plan was
sold as 4 (closed form of Gaussian differential privacy).
"""

from fractions import Fraction

import numpy as np
import pandas as pd
from brca_study import shared_data
from numpy.typing import NDArray

from secgen_dsl.privacy.gdp import epsilon_for_mu, mu_for_budget

BINS = 4
SOLD, DELTA = 4, Fraction(1, 10**5)


def tables(
    values: NDArray[np.float64], labels: NDArray[np.int64], label_count: int
) -> NDArray[np.int64]:
    """Counts of shape (genes, labels, bins), bins cut at the exact quartiles of the rows."""
    edges = np.quantile(values, [k / BINS for k in range(1, BINS)], axis=0)
    codes = (values[np.newaxis] >= edges[:, np.newaxis]).sum(axis=0)
    counts = np.zeros((values.shape[1], label_count * BINS), dtype=np.int64)
    for gene in range(values.shape[1]):
        cells = labels * BINS + codes[:, gene]
        counts[gene] = np.bincount(cells, minlength=label_count * BINS)
    return counts.reshape(values.shape[1], label_count, BINS)


def main() -> None:
    shared = shared_data()
    if shared is None:
        raise SystemExit("the cohort is not here: set SECGEN_SHARED_DATA")
    frame = pd.read_csv(shared / "tcga_brca_l1000.csv.gz", keep_default_na=False, low_memory=False)
    genes = list(frame.columns[frame.columns.get_loc("pathology") + 1 :])
    values = frame[genes].to_numpy(dtype=np.float64)
    labels, names = pd.factorize(frame["pam50"], sort=True)
    whole = tables(values, labels, len(names))
    squared = np.empty((len(frame), len(genes)), dtype=np.int64)
    for person in range(len(frame)):
        rest = np.arange(len(frame)) != person
        other = tables(values[rest], labels[rest], len(names))
        squared[person] = ((whole - other) ** 2).sum(axis=(1, 2))
    distances = np.sqrt(squared.sum(axis=1))
    claimed = len(genes) ** 0.5
    mu = float(mu_for_budget(Fraction(SOLD), DELTA))
    print(f"{len(frame):,} tumours, {len(genes):,} genes, {len(names)} subtypes, {BINS} bins")
    print(f"one table: up to √{squared.max()} = {squared.max() ** 0.5:.2f}, claimed 1")
    print(f"all tables, claimed: {claimed:.1f} (epsilon {SOLD} at delta 1e-5)")
    for what, distance in (("mean", distances.mean()), ("worst", distances.max())):
        epsilon = epsilon_for_mu(mu * distance / claimed, float(DELTA))
        print(f"all tables, {what}: {distance:.1f}, hence epsilon {epsilon:.1f}")


if __name__ == "__main__":
    main()
