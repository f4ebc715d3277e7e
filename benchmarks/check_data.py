"""What reading a large table costs a site: wall time and memory of `secgen check-data`.

    python benchmarks/check_data.py [--genes 60000] [--samples 2000] [--panel 1000] [--only parquet]

Invented counts in float32, seven in ten of them zero, written as h5ad (dense, CSR, CSC), Parquet
and gzip CSV with genes as rows.  Each is read with a panel in log2 and with a panel of counts whose
library sizes are the sum of all genes in the file.  Prints a line of JSON for each.
"""

import argparse
import csv
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse

FORMATS = ("h5ad-dense", "h5ad-csr", "h5ad-csc", "parquet", "csv-genes-as-rows")
UNITS = {
    "log2": "expression log2 0..20",
    "counts": "expression counts as log2(cpm + 1) 0..20 library size from all genes in the file",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--genes", type=int, default=60_000)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--panel", type=int, default=1000)
    parser.add_argument("--only", choices=FORMATS)
    options = parser.parse_args()
    generator = np.random.default_rng(1)
    counts = generator.poisson(8, (options.samples, options.genes)).astype(np.float32)
    counts *= generator.random(counts.shape, dtype=np.float32) < 0.3
    genes = [f"GENE{number}" for number in range(options.genes)]
    step = options.genes // options.panel
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        specs = {unit: write_spec(folder, unit, genes[::step]) for unit in UNITS}
        for kind in FORMATS if options.only is None else [options.only]:
            site, size = write_site(folder, kind, counts, genes)
            for unit, spec in specs.items():
                print(
                    json.dumps(
                        {"format": kind, "unit": unit, "file_mb": round(size / 1e6)}
                        | measure(spec, site)
                    ),
                    flush=True,
                )


def write_spec(folder: Path, unit: str, genes: list[str]) -> Path:
    (folder / "genes.txt").write_text("\n".join(genes) + "\n", encoding="utf-8")
    path = folder / f"{unit}.secgen"
    path.write_text(
        f"""secgen 1
study "Large tables" {{ purpose "Benchmark"; contact "nobody@consortium.example" }}
silos hold patients {{ a terms open; b terms open; c terms open }}
trust {{ tolerate 1 colluding party }}
person {{ key patient; at most 1 sample; in at most 1 silo }}
columns {{ subtype category {{ A, B }} }}
panel genes {UNITS[unit]} from "genes.txt"
privacy {{ add or remove one person; epsilon 4; delta 1e-5 }}
measure {{ marginal subtype * genes in 4 equal bins }}
release {{ samples 100 to silos as csv }}
""",
        encoding="utf-8",
    )
    return path


def write_site(
    folder: Path, kind: str, counts: NDArray[np.float32], genes: list[str]
) -> tuple[Path, int]:
    """Write the table and a site.toml; return the latter and the bytes of the table."""
    samples = [f"s{number}" for number in range(len(counts))]
    people = pd.DataFrame(
        {
            "patient": [f"p{number}" for number in range(len(counts))],
            "subtype": ["A", "B"] * (len(counts) // 2) + ["A"] * (len(counts) % 2),
        },
        index=samples,
    )
    clinical = folder / "clinical.csv"
    people.to_csv(clinical, index_label="sample")
    files = [f'clinical = "{clinical.name}"']
    path = folder / f"{kind}.table"
    if kind.startswith("h5ad"):
        path = folder / f"{kind}.h5ad"
        matrix = counts
        if kind == "h5ad-csr":
            matrix = sparse.csr_matrix(counts)
        elif kind == "h5ad-csc":
            matrix = sparse.csc_matrix(counts)
        anndata.AnnData(matrix, obs=people, var=pd.DataFrame(index=genes)).write_h5ad(path)
        files = []
    elif kind == "parquet":
        path = folder / "table.parquet"
        columns = dict(zip(genes, counts.T, strict=True))
        pq.write_table(pa.table({"sample": samples} | columns), path)
    else:
        path = folder / "table.csv.gz"
        files.append('orientation = "genes_by_samples"')
        with gzip.open(path, "wt", compresslevel=1, encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["gene", *samples])
            for gene, values in zip(genes, counts.T, strict=True):
                writer.writerow([gene, *values.astype(int).tolist()])
    site = folder / f"{kind}.toml"
    site.write_text("\n".join(["[files]", f'expression = "{path.name}"', *files]) + "\n")
    return site, path.stat().st_size


_CHILD = """
import sys
from secgen_dsl.cli.main import main
try:
    main()
finally:
    status = open("/proc/self/status").read()
    print(next(line for line in status.splitlines() if "VmHWM" in line), file=sys.stderr)
"""


def measure(spec: Path, site: Path) -> dict[str, object]:
    """Wall seconds and peak memory of one `secgen check-data`."""
    command = [sys.executable, "-c", _CHILD, "check-data", spec, "--site", site, "--json"]
    start, before = time.monotonic(), os.times()
    # The child tells its own peak: that of `wait4` would begin with this process's.
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds, after = time.monotonic() - start, os.times()
    output = json.loads(done.stdout)
    assert done.returncode == 0, output
    return {
        "samples": output["report"]["samples"],
        "values": output["report"]["panels"]["genes"]["values"],
        "wall_s": round(seconds, 1),
        "cpu_s": round(
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system,
            1,
        ),
        "peak_mb": round(int(done.stderr.split()[-2]) / 1024),
    }


if __name__ == "__main__":
    main()
