"""Makes the invented public references of three example studies: `specs/data/invented_*.csv.gz`.

The values are drawn from a seeded generator and mean nothing: they stand in for a public cohort
(Beat AML; a single-cell atlas; breast cancers of other regions) so that the studies can be planned
and rehearsed.
"""

import csv
import gzip
import io
from pathlib import Path

import numpy as np

SPECS = Path(__file__).parents[1] / "specs"


def write(
    path: Path, genes: list[str], samples: int, high: float, seed: int, factors: int = 0
) -> None:
    """A table of normal values; with ``factors``, half of their variance is of so many of them."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0.2 * high, 0.7 * high, len(genes))
    spreads = rng.uniform(0.03 * high, 0.08 * high, len(genes))
    values = rng.normal(centres, spreads, (samples, len(genes)))
    if factors:
        strengths = 1 / np.arange(1, factors + 1) ** 0.5
        loadings = rng.normal(size=(factors, len(genes))) * strengths[:, np.newaxis]
        shared = rng.normal(size=(samples, factors)) @ loadings / (strengths**2).sum() ** 0.5
        values = centres + (values - centres + spreads * shared) / 2**0.5
    values = np.clip(values, 0, high)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["sample", *genes])
    for number, row in enumerate(values, start=1):
        writer.writerow([f"invented-{number}", *(f"{value:.2f}" for value in row)])
    with path.open("wb") as file, gzip.GzipFile("", "wb", mtime=0, fileobj=file) as packed:
        packed.write(text.getvalue().encode())


def genes_of(name: str) -> list[str]:
    lines = (SPECS / "panels" / name).read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def main() -> None:
    write(SPECS / "data" / "invented_aml_reference.csv.gz", genes_of("l1000.txt"), 40, 18, 1)
    write(SPECS / "data" / "invented_atlas.csv.gz", genes_of("cell_types.txt"), 60, 14, 2)
    write(SPECS / "data" / "invented_brca_reference.csv.gz", genes_of("l1000.txt"), 60, 20, 3, 15)


if __name__ == "__main__":
    main()
