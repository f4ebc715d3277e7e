"""The first yardstick on the colorectal demo: ten seeded splits, plaintext backend, real noise.

    .venv/bin/python tools/yardstick.py [--splits 10] [--json FILE]

For each split, a fifth of each silo's people is withheld, the plan of specs/colorectal.secgen is
carried out on the rest (every party draws its own noise, as in a real run), and classifiers of
CIN / GS / MSI are tested on the withheld rows.  The noise is fresh: figures move a little from
run to run.
"""

import argparse
import json
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from secgen_dsl.backends.plaintext.backend import read_tables, run_plaintext
from secgen_dsl.cli.study import PlannedStudy, plan_spec
from secgen_dsl.evaluation.accuracy import (
    LabelledTable,
    Split,
    YardstickReport,
    render_yardstick,
    yardstick,
)
from secgen_dsl.synthesis.synthesize import synthesize

SPECS = Path(__file__).resolve().parent.parent / "specs"
CLASSES = ("CIN", "GS", "MSI")
LABEL = "subtype"
TEST_SHARE = 0.2


def silo_rows() -> dict[str, pd.DataFrame]:
    """All rows of each silo: those that the demo uses and those that it withholds."""
    withheld = pd.read_csv(SPECS / "data" / "withheld.csv.gz", dtype=str, keep_default_na=False)
    rows = {}
    for silo in ("europe", "northeast", "south"):
        kept = pd.read_csv(SPECS / "data" / f"{silo}.csv.gz", dtype=str, keep_default_na=False)
        rows[silo] = pd.concat([kept, withheld[withheld["group"] == silo]], ignore_index=True)
    return rows


def labelled(table: pd.DataFrame, genes: list[str]) -> LabelledTable:
    """Expression and labels of a table."""
    return LabelledTable(
        table[genes].to_numpy(dtype=np.float64), table[LABEL].to_numpy(dtype=np.str_)
    )


def splits(planned: PlannedStudy, count: int) -> Iterator[Split]:
    """Seeded splits by person within each silo, each with synthetic rows of its own."""
    program = planned.plan.program
    genes = [gene for panel in program.panels for gene in panel.genes]
    reference = pd.read_csv(
        SPECS / "data" / "colorectal_reference.csv.gz", dtype=str, keep_default_na=False
    )
    rows = silo_rows()
    for number in range(count):
        rng = np.random.default_rng((20261122, number))
        with tempfile.TemporaryDirectory() as name:
            files, train, test = {}, [], []
            for silo, table in rows.items():
                people = rng.permutation(table["patient"].unique())
                held = set(people[: round(TEST_SHARE * len(people))])
                is_held = table["patient"].isin(held)
                files[silo] = Path(name) / f"{silo}.csv"
                table[~is_held].to_csv(files[silo], index=False)
                train.append(table[~is_held])
                test.append(table[is_held])
            keys = {silo: secrets.token_bytes(32) for silo in files}
            measurements = run_plaintext(planned.plan, read_tables(program, files, keys))
        samples = synthesize(planned.plan, measurements, planned.public_files, 600, rng)
        yield Split(
            real_train=labelled(pd.concat(train), genes),
            reference=labelled(reference, genes),
            synthetic=LabelledTable(samples.values, samples.labels(LABEL)),
            test=labelled(pd.concat(test), genes),
        )


def measure(count: int = 10) -> YardstickReport:
    """The report over ``count`` splits."""
    planned = plan_spec(SPECS / "colorectal.secgen")
    return yardstick(splits(planned, count), CLASSES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    report = measure(options.splits)
    print(render_yardstick(report))
    if options.json:
        options.json.write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
