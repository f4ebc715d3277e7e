"""What a public reference brings: how large, from which platform.  A CSV with ``sweep``'s columns.

    .venv/bin/python -m benchmarks.quality.references brca730 --epsilon 1 --epsilon 4 \\
        --folds 2 --out benchmarks/quality/results/references.csv

On the 730 genes that TCGA-BRCA and SCAN-B share.  The panel is in TCGA's VST.  SCAN-B is in
log2(FPKM + 0.1) and no public sample is known in both units, so there is no bridge, and `check`
refuses one of different people (SG225).  Two stand-ins, both of public values alone:

* "by moments": what ``aligned by`` would compute of a bridge with *different* people on its two
  sides, SCAN-B's own on one and TCGA's of other regions on the other.  Each gene's mean and
  standard deviation are then TCGA's; only the shape and the co-expression are SCAN-B's.
  Differences between the two populations are removed with those between the platforms.
* "one shift": all of SCAN-B's values moved by one number, the median over genes of the difference
  of the means in 20 TCGA people of other regions.  Gene length, which FPKM divides by, stays.

Smaller references are random subsets of TCGA's other regions, another one for each seed.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.quality.studies import Study, scanb
from benchmarks.quality.sweep import METHODS, Layout, Method, Rows, Task, main, secgen

FACTORS = "moments genes by label in factors from elsewhere"


@cache
def _scanb(genes: tuple[str, ...]) -> pd.DataFrame:
    table = scanb()
    return pd.concat([table["sample_id"].rename("person"), table[list(genes)]], axis=1)


@cache
def _subset(people: int, seed: int) -> Layout:
    def lay_out(study: Study, folder: Path, epsilon: str, measure: str) -> Path:
        spec = study.lay_out(folder, epsilon, measure)
        chosen = study.reference.sample(people, random_state=np.random.default_rng([people, seed]))
        chosen[["person", *study.genes]].to_csv(folder / "reference.csv", index=False)
        return spec

    return lay_out


def subset(people: int, measure: str = FACTORS) -> Method:
    """Factors from so many people of TCGA's other regions, drawn by the task's seed."""

    def run(task: Task) -> Rows:
        return secgen(measure, _subset(people, task.seed))(task)

    return run


def _by_moments(people: int) -> Layout:
    def lay_out(study: Study, folder: Path, epsilon: str, measure: str) -> Path:
        spec = study.lay_out(folder, epsilon, measure)
        target = study.reference.sample(people, random_state=np.random.default_rng(people))
        genes = list(study.genes)
        moved = _scanb(study.genes).copy()
        standard = (moved[genes] - moved[genes].mean()) / moved[genes].std()
        moved[genes] = standard * target[genes].std() + target[genes].mean()
        moved.to_csv(folder / "reference.csv", index=False)
        return spec

    return lay_out


def _one_shift(study: Study, folder: Path, epsilon: str, measure: str) -> Path:
    spec = study.lay_out(folder, epsilon, measure)
    moved = _scanb(study.genes).copy()
    genes = list(study.genes)
    known = study.reference.sample(20, random_state=np.random.default_rng(20))
    moved[genes] += float((known[genes].mean() - moved[genes].mean()).median())
    moved.to_csv(folder / "reference.csv", index=False)
    return spec


REFERENCES: dict[str, Method] = {
    "real": METHODS["real"],
    "factors, TCGA 220 people": secgen(FACTORS),
    "factors, TCGA 100 people": subset(100),
    "factors, TCGA 50 people": subset(50),
    "factors, TCGA 20 people": subset(20),
    "7 factors, TCGA 50 people": subset(50, FACTORS.replace("factors", "7 factors")),
    "factors, SCAN-B by moments of 220": secgen(FACTORS, _by_moments(220)),
    "factors, SCAN-B by moments of 20": secgen(FACTORS, _by_moments(20)),
    "factors, SCAN-B one shift": secgen(FACTORS, _one_shift),
    "no reference": METHODS["no reference"],
}

if __name__ == "__main__":
    main(REFERENCES, __doc__)
