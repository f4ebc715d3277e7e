"""Two real cohorts, each in its own words and formats, as two sites of one spec.

TCGA-BRCA and SCAN-B (see ../shared/data/README.md): skipped on a machine without them.
"""

import gzip
import os
from fractions import Fraction
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.program import CategoryColumn, NumberColumn, Program
from secgen_dsl.runtime.site.remarks import remarks
from secgen_dsl.semantics.bins import equal_edges, reference_edges
from tests.conftest import ROOT
from tests.runtime.studies import AGE, faults, program, read, toml, write_csv
from tests.site_programs import make_marginal, make_panel

DATA = Path(os.environ.get("SECGEN_SHARED_DATA", ROOT.parent / "shared" / "data"))
pytestmark = pytest.mark.skipif(
    not (DATA / "gene_panels.csv.gz").is_file(), reason="the real tables are not on this machine"
)

SUBTYPES = ("LumA", "LumB", "Basal", "Her2", "Normal")
PAM50 = CategoryColumn(kind="category", name="subtype", values=SUBTYPES, otherwise=None)
ER = CategoryColumn(kind="category", name="er", values=("ER+", "ER-"), otherwise=None)


@pytest.fixture(scope="module")
def brca() -> pd.DataFrame:
    return pd.read_csv(DATA / "tcga_brca_l1000.csv.gz", dtype={"age": str})


@pytest.fixture(scope="module")
def scanb() -> pd.DataFrame:
    return pd.read_csv(DATA / "scanb_gse96058_400.csv.gz", dtype=str)


@pytest.fixture(scope="module")
def genes(brca: pd.DataFrame, scanb: pd.DataFrame) -> list[str]:
    """Landmark genes of both tables whose Ensembl ids are unambiguous."""
    panels = pd.read_csv(DATA / "gene_panels.csv.gz", dtype=str)
    landmarks = panels[panels["panel"] == "L1000_landmark_978"].dropna(subset=["ensembl"])
    both = set(brca.columns) & set(scanb.columns)
    one_id = panels.dropna(subset=["ensembl"]).groupby("symbol")["ensembl"].nunique() == 1
    return [gene for gene in landmarks["symbol"] if gene in both and one_id[gene]]


def study(genes: list[str], *columns: CategoryColumn | NumberColumn) -> Program:
    return program(columns=[PAM50, *columns], panels=[make_panel(genes)])


def test_brca_by_names_of_its_own(brca: pd.DataFrame, genes: list[str], tmp_path: Path) -> None:
    site = toml(
        tmp_path,
        f"""[files]
expression = "{DATA / "tcga_brca_l1000.csv.gz"}"
[columns]
subtype = "pam50"
""",
    )
    table, report = read(site, study(genes, AGE))
    assert len(genes) > 600
    first = brca.drop_duplicates("patient")
    assert table.rows == report.people == brca["patient"].nunique() == len(first)
    assert (
        report.labels["subtype"].counts == brca["pam50"].value_counts().reindex(SUBTYPES).to_dict()
    )
    assert not report.labels["subtype"].unknown
    assert table.expression["ERBB2"][table.categories["subtype"] == "Her2"].mean() > 16
    values = brca[genes].to_numpy()
    assert report.panels["panel"].least == values.min()
    assert report.panels["panel"].greatest == values.max()


def scanb_sites(folder: Path, scanb: pd.DataFrame, genes: list[str]) -> dict[str, Path]:
    """The cohort in four ways: other names, values, ids, formats; each with its site.toml."""
    panels = pd.read_csv(DATA / "gene_panels.csv.gz", dtype=str).dropna(subset=["ensembl"])
    ids = panels.drop_duplicates("symbol").set_index("symbol")["ensembl"]
    values = scanb.set_index("sample_id")[genes].astype(np.float64)
    ensembl = values.rename(columns=lambda gene: f"{ids[gene]}.{len(gene)}")
    clinical = scanb[["sample_id", "pam50", "age_at_diagnosis", "er_status"]].rename(
        columns={"sample_id": "GSM", "pam50": "CMS_like", "age_at_diagnosis": "years"}
    )
    clinical["CMS_like"] = clinical["CMS_like"].replace(
        {"LumA": "Luminal A", "LumB": "Luminal B", "Her2": "HER2-enriched"}
    )
    clinical = clinical.sample(frac=1, random_state=1)
    write_csv(folder / "clinical.tsv", clinical)
    write_csv(folder / "turned.csv.gz", ensembl.T, index="gene_id")
    ensembl.to_parquet(folder / "values.parquet")
    ensembl.T.to_parquet(folder / "turned.parquet")
    observations = clinical.set_index("GSM").loc[ensembl.index].reset_index(names="GSM")
    observations.index = pd.Index([f"row{number}" for number in range(len(observations))])
    anndata.AnnData(
        sparse.csr_matrix(ensembl.to_numpy() * 0),
        obs=observations,
        var=pd.DataFrame(index=list(ensembl.columns)),
        layers={"log2_fpkm": sparse.csc_matrix(ensembl.to_numpy())},
    ).write_h5ad(folder / "values.h5ad", compression="gzip")
    files = {
        "turned.csv.gz": 'clinical = "clinical.tsv"\norientation = "genes_by_samples"',
        "values.parquet": 'clinical = "clinical.tsv"',
        "turned.parquet": 'clinical = "clinical.tsv"\norientation = "genes_by_samples"',
        "values.h5ad": 'layer = "log2_fpkm"',
    }
    sites = {}
    for name, lines in files.items():
        sites[name] = folder / f"{name}.toml"
        sites[name].write_text(
            f"""[files]
expression = "{name}"
{lines}
sample = "GSM"
[columns]
patient = "GSM"
subtype = "CMS_like"
age = "years"
er = "er_status"
[values.subtype]
"Luminal A" = "LumA"
"Luminal B" = "LumB"
"HER2-enriched" = "Her2"
[values.er]
1 = "ER+"
0 = "ER-"
[genes]
system = "ensembl"
map = "{DATA / "gene_panels.csv.gz"}"
"""
        )
    return sites


def test_scanb_in_other_words_ids_and_formats(
    scanb: pd.DataFrame, genes: list[str], tmp_path: Path
) -> None:
    one = study(genes, AGE, ER)
    in_order = scanb.sort_values("sample_id")
    for name, site in scanb_sites(tmp_path, scanb, genes).items():
        table, report = read(site, one)
        assert table.rows == report.people == 400, name
        assert report.genes.through_map == len(genes)
        assert len(report.genes.map_sha256) == 64
        assert report.labels["subtype"].mapped["Luminal A"] == (scanb["pam50"] == "LumA").sum()
        assert not report.labels["subtype"].unknown
        assert sum(report.labels["er"].mapped.values()) == scanb["er_status"].notna().sum()
        # The same people, gene by gene: age tells most of them apart, expression all.
        for gene in ("ERBB2", *genes[:20]):
            if gene in genes:
                expected = sorted(
                    zip(
                        in_order["pam50"], in_order["age_at_diagnosis"], in_order[gene], strict=True
                    )
                )
                found = sorted(
                    zip(
                        table.categories["subtype"].tolist(),
                        table.numbers["age"].tolist(),
                        table.expression[gene].tolist(),
                        strict=True,
                    )
                )
                assert found == sorted((p, float(a), float(x)) for p, a, x in expected), name


def test_brca_against_a_panel_of_ensembl_ids(genes: list[str], tmp_path: Path) -> None:
    panels = pd.read_csv(DATA / "gene_panels.csv.gz", dtype=str).dropna(subset=["ensembl"])
    ids = panels.drop_duplicates("symbol").set_index("symbol")["ensembl"]
    one = study([str(ids[gene]) for gene in genes])
    text = (
        f'[files]\nexpression = "{DATA / "tcga_brca_l1000.csv.gz"}"\n[columns]\nsubtype = "pam50"\n'
    )
    with pytest.raises(SecgenError, match="look like symbols, and Ensembl ids are looked for"):
        read(toml(tmp_path, text), one)
    with gzip.open(DATA / "gene_panels.csv.gz", "rt", encoding="utf-8") as file:
        (tmp_path / "map.csv").write_text(file.read(), encoding="utf-8")
    text += '[genes]\nsystem = "symbol"\nmap = "map.csv"\n'
    assert read(toml(tmp_path, text), one)[0].rows == 1089


def test_faults_on_the_real_table(scanb: pd.DataFrame, genes: list[str], tmp_path: Path) -> None:
    """Each fault of shape, made on a real table."""
    sites = scanb_sites(tmp_path, scanb, genes)
    one = study(genes, AGE, ER)
    text = sites["turned.csv.gz"].read_text()
    for old, new, code in [
        ('subtype = "CMS_like"', 'subtype = "pam50"', "SG413"),
        ('age = "years"', 'age = "CMS_like"', "SG419"),
        ('"Luminal B" = "LumB"', '"Luminal B" = "LumB"\nLumB = "LumA"', "SG419"),
        ('"Luminal B" = "LumB"', '"Luminal B" = "lumb"', "SG418"),
        ('orientation = "genes_by_samples"', "", "SG421"),
        ('system = "ensembl"', 'system = "entrez"', "SG414"),
        ('system = "ensembl"', 'system = "ensembl"\nstrip_version = false', "SG414"),
        ("gene_panels.csv.gz", "no_such.csv", "SG422"),
        ("[genes]", "[gene]", "SG418"),
        ('expression = "turned.csv.gz"', 'expression = "clinical.tsv"', "SG414"),
        ('sample = "GSM"', 'sample = "GSE"', "SG413"),
        ('clinical = "clinical.tsv"', 'clinical = "values.parquet"', "SG413"),
        ('clinical = "clinical.tsv"', 'layer = "x"', "SG420"),
    ]:
        assert old in text
        path = tmp_path / "faulty.toml"
        path.write_text(text.replace(old, new))
        assert {each.code for each in faults(path, one)} == {code}, (old, new)


def remarks_of(
    folder: Path,
    frame: pd.DataFrame,
    genes: list[str],
    reference: pd.DataFrame,
    low: int,
    high: int,
) -> list[str]:
    """What `check-data` remarks on a site's table, for quantile bins and bins of equal width."""
    panel = make_panel(genes, Fraction(low), Fraction(high))
    marginals = []
    for bins in (2, 3, 4, 6):
        for kind in ("reference", "equal"):
            edges = [equal_edges(panel.low, panel.high, bins)] * len(genes)
            if kind == "reference":
                columns = (reference[gene].astype(float).tolist() for gene in genes)
                edges = [reference_edges(each, panel.low, panel.high, bins) for each in columns]
            one = make_marginal(["subtype"], panel, edges, f"{kind} {bins}")
            marginals.append(one.model_copy(update={"binning": kind, "reference": "far"}))
    site = write_csv(folder / "one.csv", frame)
    asked = program(columns=[PAM50], panels=[panel]).model_copy(
        update={"queries": tuple(marginals)}
    )
    table, report = read(site, asked)
    return [each.message for each in remarks(asked, table, report, "one.csv")]


def people(frame: pd.DataFrame, genes: list[str]) -> pd.DataFrame:
    names = [f"p{number}" for number in range(len(frame))]
    return frame[genes].astype(float).assign(patient=names, subtype="LumA")


def test_no_real_cohort_in_its_own_unit_looks_like_another_one(
    brca: pd.DataFrame, scanb: pd.DataFrame, genes: list[str], tmp_path: Path
) -> None:
    """Neither whole nor hospital by hospital; bins are those of the other hospitals' quantiles."""
    some = genes[::6]
    for _, rows in brca.groupby("tss"):
        if len(rows) >= 10:
            rest = brca.drop(index=rows.index)
            assert remarks_of(tmp_path, people(rows, some), some, rest, 0, 24) == []
    assert remarks_of(tmp_path, people(scanb, some), some, scanb, -4, 18) == []
    colon = pd.read_csv(DATA / "colorectal_demo.csv.gz")
    own = [name for name in colon.columns[7:] if colon[name].dtype == float]
    reference = colon[colon["group"] == "reference"]
    for _, rows in colon[colon["group"] != "reference"].groupby("site"):
        if len(rows) >= 10:
            assert remarks_of(tmp_path, people(rows, own), own, reference, 0, 20) == []


def test_a_real_cohort_in_another_unit_does(
    brca: pd.DataFrame, scanb: pd.DataFrame, genes: list[str], tmp_path: Path
) -> None:
    some = genes[::6]
    (message,) = remarks_of(tmp_path, people(scanb, some), some, brca, -4, 24)
    assert "fall in the first of the 2 bins" in message
    linear = people(2 ** brca[some], some)
    (message,) = remarks_of(tmp_path, linear, some, brca, 0, 24)
    assert message.startswith('most values of the panel "panel" lie outside 0..24')
    counts = pd.read_csv(DATA / "colorectal_demo.csv.gz")
    repair = ["MLH1", "MSH2", "MSH6", "PMS2", "EPCAM"]
    linear = people(np.log1p(counts[repair]), repair)
    (message,) = remarks_of(tmp_path, linear, repair, counts, 0, 20)
    assert "fall in the first of" in message
