"""Factors of TCGA-BRCA, from the sums that a run would open: skipped without the cohort."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from secgen_dsl.backends.plaintext.backend import read_tables, run_plaintext
from secgen_dsl.cli.study import plan_spec
from secgen_dsl.synthesis.synthesize import synthesize
from tests.conftest import ROOT

DATA = Path(os.environ.get("SECGEN_SHARED_DATA", ROOT.parent / "shared" / "data"))
pytestmark = pytest.mark.skipif(
    not (DATA / "tcga_brca_l1000.csv.gz").is_file(), reason="BRCA is not on this machine"
)
MARKERS = ("ERBB2", "GATA3", "CDC20", "CCNB2", "AURKA", "EGFR", "STAT1", "MYC")
SPEC = """secgen 1
study "S" {{ purpose "x"; contact "nobody@consortium.example" }}
silos hold patients {{ northeast terms open; west terms open; south terms open }}
trust {{ tolerate 1 colluding party }}
person {{ key patient; at most 1 sample; in at most 1 silo; at most 1000 people in all }}
columns {{ pam50 category {{ LumA, LumB, Basal, Her2, Normal }} }}
public r from "reference.csv" log2
panel p expression log2 0..25 {{ {genes} }}
privacy {{ add or remove one person; epsilon 4; delta 1e-5 }}
measure {{ moments p by pam50 in factors from r }}
release {{ samples 700 to public as csv }}
"""


def test_samples_keep_what_is_known_of_breast_cancer(tmp_path: Path) -> None:
    table = pd.read_csv(DATA / "tcga_brca_l1000.csv.gz")
    genes = [*dict.fromkeys((*MARKERS, *table.columns[10:140]))]
    genes = [gene for gene in genes if gene in table.columns]
    kept = ["patient", "pam50", *genes]
    regions = {"northeast": "Northeast", "west": "West", "south": "South"}
    files = {name: tmp_path / f"{name}.csv" for name in regions}
    for name, region in regions.items():
        table.loc[table["tss_region"] == region, kept].to_csv(files[name], index=False)
    public = table["tss_region"].isin(["Europe", "Canada", "Other"])
    table.loc[public, genes].to_csv(tmp_path / "reference.csv", index=False)
    spec = tmp_path / "s.secgen"
    spec.write_text(SPEC.format(genes=", ".join(genes)))
    planned = plan_spec(spec)
    tables = read_tables(planned.plan.program, files, {name: bytes(32) for name in files})
    samples = synthesize(
        planned.plan,
        run_plaintext(planned.plan, tables),
        planned.public_files,
        700,
        np.random.default_rng(1),
    )
    assert [gene.symbol for gene in samples.genes] == genes
    own = pd.DataFrame(samples.values, columns=genes).groupby(samples.labels("pam50")).mean()
    assert own.loc["Her2", "ERBB2"] > own.drop("Her2")["ERBB2"].max() + 0.5
    assert own.loc["Basal", "GATA3"] < own.drop("Basal")["GATA3"].min() - 1
    for proliferation in ("CDC20", "CCNB2", "AURKA"):
        assert (
            own.loc["LumA", proliferation] < own.loc[["LumB", "Basal"], proliferation].min() - 0.5
        )
    real = table.loc[table["tss_region"].isin(regions.values()), genes].to_numpy()
    difference = np.corrcoef(samples.values.T) - np.corrcoef(real.T)
    assert np.abs(difference).mean() < 0.1
