"""The cohorts of the quality study: silos by region, a public reference of other regions, folds.

The tables may not be committed: they are read from the project's shared data folder, or from the
one that SECGEN_SHARED_DATA names.
"""

import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.brca_study import shared_data
from secgen_dsl.backends.plaintext.backend import read_tables
from secgen_dsl.ir.program import Program
from secgen_dsl.queries.table import SampleTable

FOLDS = 5


@dataclass(frozen=True)
class Study:
    """A cohort as a consortium would have it.

    Attributes:
        name: in tables and files.
        people: the silos' rows, with the columns ``person``, ``silo``, ``label`` and the genes.
        reference: public rows with the same columns; secgen is told their labels only where a
            method says so.
        genes: of the panel.
        labels: the label's values.
        unit: of all values.
        people_bound: the public bound on people.
    """

    name: str
    people: pd.DataFrame
    reference: pd.DataFrame
    genes: tuple[str, ...]
    labels: tuple[str, ...]
    unit: str
    people_bound: int

    @cached_property
    def silos(self) -> tuple[str, ...]:
        """Names, in the order of the table."""
        return tuple(dict.fromkeys(self.people["silo"]))

    def split(self, fold: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """(training rows, withheld rows): one person in five of each silo is withheld."""
        held = pd.Series(False, index=self.people.index)
        for silo in self.silos:
            own = self.people.index[self.people["silo"] == silo]
            held[np.random.default_rng(7).permutation(own)[fold::FOLDS]] = True
        return self.people[~held], self.people[held]

    def values(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Shape (rows, genes)."""
        return rows[list(self.genes)].to_numpy(dtype=np.float64)

    def tables(self, program: Program, rows: pd.DataFrame) -> dict[str, SampleTable]:
        """Silo → those of the rows that are its own, read as its party reads them."""
        with tempfile.TemporaryDirectory() as name:
            files = {silo: Path(name) / f"{silo}.csv" for silo in self.silos}
            for silo, path in files.items():
                rows[rows["silo"] == silo].to_csv(path, index=False)
            return read_tables(program, files, dict.fromkeys(files, bytes(32)))

    def codes(self, rows: pd.DataFrame) -> NDArray[np.int64]:
        """Shape (rows,): positions of the labels."""
        return np.array([self.labels.index(label) for label in rows["label"]], dtype=np.int64)

    def lay_out(
        self,
        folder: Path,
        epsilon: str,
        measure: str,
        publics: str = "",
        *,
        labelled: bool = False,
    ) -> Path:
        """Write a spec with its panel, reference and gene sets; returns the spec's path.

        Args:
            measure: statements, in which ``genes`` is the panel, ``label`` the column,
                ``elsewhere`` the reference and ``hallmark`` the gene sets.
            publics: other public tables, instead of ``elsewhere``.
            labelled: whether ``elsewhere`` has its labels.
        """
        folder.mkdir(parents=True, exist_ok=True)
        columns = ["person", *(["label"] if labelled else []), *self.genes]
        self.reference[columns].to_csv(folder / "reference.csv", index=False)
        (folder / "panel.txt").write_text("\n".join(self.genes) + "\n", encoding="utf-8")
        (folder / "hallmark.gmt").write_bytes(_shared("hallmark_v6.2.symbols.gmt").read_bytes())
        if not publics and "elsewhere" in measure:
            clause = "labelled by label " if labelled else ""
            publics = f'public elsewhere from "reference.csv" {self.unit} {clause}"other regions"'
        if "hallmark" in measure:
            publics += '\nsets hallmark from "hallmark.gmt"'
        silos = "\n".join(f"  {silo}  terms open" for silo in self.silos)
        spec = folder / "study.secgen"
        spec.write_text(
            f"""secgen 1
study "{self.name}" {{ purpose "Benchmark"; contact "nobody@consortium.example" }}
silos hold patients {{
{silos}
}}
trust {{ tolerate 1 colluding party }}
person {{
  key person; at most 1 sample; in at most 1 silo; at most {self.people_bound} people in all
}}
columns {{ label category {{ {", ".join(f'"{label}"' for label in self.labels)} }} }}
{publics}
panel genes expression {self.unit} 0..25 from "panel.txt"
privacy {{ add or remove one person; epsilon {epsilon}; delta 1e-5 }}
measure {{
{measure}
}}
release {{ samples 700 to public as csv }}
""",
            encoding="utf-8",
        )
        return spec


def brca() -> Study:
    """TCGA-BRCA: 978 L1000 genes, PAM50; the regions of the end-to-end study."""
    frame = _read("tcga_brca_l1000.csv.gz")
    genes = list(frame.columns[frame.columns.get_loc("pathology") + 1 :])
    return _study(
        "BRCA",
        frame,
        genes,
        label=frame["pam50"],
        labels=("LumA", "LumB", "Basal", "Her2", "Normal"),
        silos={"Northeast": "northeast", "West": "west", "South": "south"},
        reference=("Europe", "Canada", "Other"),
        unit="vst",
        people_bound=1000,
    )


def colorectal() -> Study:
    """TCGA-COADREAD: its L1000 genes; molecular subtypes CIN, GS, MSI."""
    frame = _read("tcga_coadread.csv.gz")
    panels = _read("gene_panels.csv.gz")
    landmarks = set(panels.loc[panels["panel"].str.contains("L1000"), "symbol"])
    genes = [name for name in frame.columns if name in landmarks]
    return _study(
        "colorectal",
        frame,
        genes,
        label=frame["subtype"].str.removeprefix("GI."),
        labels=("CIN", "GS", "MSI"),
        silos={"Europe": "europe", "Northeast": "northeast", "South": "south"},
        reference=("Midwest", "West", "Canada", "Other"),
        unit="log2",
        people_bound=600,
    )


def brca50() -> Study:
    """BRCA on 50 genes, for methods that do not run on 978.

    The genes of four breast cancer signatures that the table holds (PAM50, Oncotype DX,
    EndoPredict, MammaPrint: 24), and the first of the late oestrogen response by the alphabet.
    """
    whole = brca()
    panels = _read("gene_panels.csv.gz")
    signature = set(panels.loc[~panels["panel"].str.contains("L1000"), "symbol"])
    sets = _shared("hallmark_v6.2.symbols.gmt").read_text(encoding="utf-8").splitlines()
    response = next(row for row in sets if row.startswith("HALLMARK_ESTROGEN_RESPONSE_LATE"))
    genes = [gene for gene in whole.genes if gene in signature]
    others = sorted((set(response.split("\t")[2:]) & set(whole.genes)) - signature)
    return replace(whole, name="BRCA50", genes=(*genes, *others[: 50 - len(genes)]))


def brca730() -> Study:
    """BRCA on the 730 L1000 genes that SCAN-B measured too."""
    whole = brca()
    other = set(scanb().columns)
    return replace(
        whole, name="BRCA730", genes=tuple(gene for gene in whole.genes if gene in other)
    )


def scanb() -> pd.DataFrame:
    """400 breast cancers of another country and platform, log2(FPKM + 0.1)."""
    return _read("scanb_gse96058_400.csv.gz")


STUDIES = {"brca": brca, "colorectal": colorectal, "brca50": brca50, "brca730": brca730}


def _study(
    name: str,
    frame: pd.DataFrame,
    genes: list[str],
    *,
    label: pd.Series,
    labels: tuple[str, ...],
    silos: dict[str, str],
    reference: tuple[str, ...],
    unit: str,
    people_bound: int,
) -> Study:
    known = pd.concat(
        [
            frame.iloc[:, 0].rename("person"),
            frame["tss_region"].map(silos).rename("silo"),
            label.rename("label"),
            frame[genes],
        ],
        axis=1,
    )
    labelled = known["label"].isin(labels)
    people = known[known["silo"].notna() & labelled].reset_index(drop=True)
    public = known[frame["tss_region"].isin(reference)].reset_index(drop=True)
    return Study(name, people, public, tuple(genes), labels, unit, people_bound)


def _read(name: str) -> pd.DataFrame:
    return pd.read_csv(_shared(name), keep_default_na=False, low_memory=False)


def _shared(name: str) -> Path:
    shared = shared_data()
    if shared is None:
        raise SystemExit("the cohorts are not on this machine: set SECGEN_SHARED_DATA")
    return shared / name
