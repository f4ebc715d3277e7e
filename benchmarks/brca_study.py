"""Lays out the BRCA study: three silos, a public reference of other regions, a spec.

The cohort (TCGA-BRCA, 1,089 × 978 L1000 genes) may not be committed: it is read from the
project's shared data folder, or from the one that SECGEN_SHARED_DATA names.
"""

import csv
import gzip
import os
from pathlib import Path

SILOS = {"northeast": ("Northeast",), "west": ("West",), "south": ("South",)}
REFERENCE = ("Europe", "Canada", "Other")
LABELS = ("LumA", "LumB", "Basal", "Her2", "Normal")


def shared_data() -> Path | None:
    """The folder of the cohorts, or None on a machine without it."""
    root = Path(__file__).resolve().parent.parent
    folder = Path(os.environ.get("SECGEN_SHARED_DATA", root.parent / "shared" / "data"))
    return folder if (folder / "tcga_brca_l1000.csv.gz").is_file() else None


def lay_out(shared: Path, out: Path, epsilon: str = "4", inline: bool = False) -> Path:
    """Write the study's files under ``out`` and return the path of the spec.

    Args:
        shared: folder of the cohorts.
        epsilon: of the budget.
        inline: list the 978 genes in the spec instead of in a file.
    """
    (out / "data").mkdir(parents=True, exist_ok=True)
    with gzip.open(shared / "tcga_brca_l1000.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        header = next(rows)
        table = list(rows)
    region = header.index("tss_region")
    first_gene = header.index("pathology") + 1
    genes = header[first_gene:]
    for name, regions in {**SILOS, "reference": REFERENCE}.items():
        with (out / "data" / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows(row for row in table if row[region] in regions)
    (out / "l1000.txt").write_text("\n".join(genes) + "\n", encoding="utf-8")
    panel = "{ " + ", ".join(genes) + " }" if inline else 'from "l1000.txt"'
    spec = out / ("brca_inline.secgen" if inline else "brca.secgen")
    simulate = "\n".join(f'  {name} "data/{name}.csv"' for name in SILOS)
    silos = "\n".join(f"  {name}  terms open" for name in SILOS)
    spec.write_text(
        f"""secgen 1
study "Breast cancer subtypes" {{ purpose "Benchmark"; contact "nobody@consortium.example" }}
silos hold patients {{
{silos}
}}
trust {{ tolerate 1 colluding party }}
person {{ key patient; at most 1 sample; in at most 1 silo; at most 1000 people in all }}
columns {{ pam50 category {{ {", ".join(LABELS)} }} }}
public elsewhere from "data/reference.csv" vst "TCGA-BRCA of other regions"
panel l1000 expression vst 0..25 {panel}
privacy {{ add or remove one person; epsilon {epsilon}; delta 1e-5 }}
measure {{ marginal pam50 * l1000 in 4 bins from elsewhere }}
release {{ samples 700 to public as csv, h5ad }}
simulate {{
{simulate}
}}
""",
        encoding="utf-8",
    )
    return spec
