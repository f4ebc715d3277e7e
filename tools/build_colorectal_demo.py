"""Make the demo's files from the colorectal table: parts of the silos, panel of the cell cycle.

    python tools/build_colorectal_demo.py colorectal_demo.csv.gz \\
        [--gene-sets hallmark_v6.2.symbols.gmt --gene-panels gene_panels.csv.gz]

With the two options the panel is written anew, else the present one is checked.  The bytes depend
on the sources and zlib's release only.  Every fifth person of each silo is withheld as a test set:
those whose SHA-256 of seed and patient is smallest, so the choice looks at no value of theirs.
"""

import argparse
import csv
import gzip
import hashlib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

SPECS = Path(__file__).resolve().parent.parent / "specs"
SEED = "secgen colorectal demo 2026"
SILOS = ("europe", "northeast", "south")
WITHHELD_PERCENT = 20
# Ten patients with hypermutated tumours: too few for a class, so the demo calls them unknown.
RENAMED_SUBTYPES = {"HM-SNV": "unknown"}
REPAIR_GENES = ("MLH1", "MSH2", "MSH6", "PMS2", "EPCAM")
CELL_CYCLE_SET = "HALLMARK_G2M_CHECKPOINT"
CELL_CYCLE_GENES = 48
CELL_CYCLE_HEADER = """\
# Cell-cycle genes: the hallmark gene set HALLMARK_G2M_CHECKPOINT (MSigDB v6.2) cut to the
# L1000 landmark genes, in alphabetical order. The choice looked at no patient's data.
# Source: Liberzon A et al., "The Molecular Signatures Database (MSigDB) hallmark gene set
# collection", Cell Systems 2015;1(6):417-425, CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/);
# changed: genes that are not L1000 landmarks are left out.
"""


def read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
        reader = csv.DictReader(text)
        rows = list(reader)
        return list(reader.fieldnames or ()), rows


def write_table(path: Path, header: Sequence[str], rows: Iterable[dict[str, str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with (
        path.open("wb") as file,
        # No time and no name in the gzip header: same rows, same bytes.
        gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=file, mtime=0) as packed,
    ):
        packed.write(text.getvalue().encode())


def withheld_patients(patients: Iterable[str]) -> set[str]:
    """A fifth of the distinct patients, by the seeded order."""
    ordered = sorted(
        set(patients), key=lambda patient: hashlib.sha256(f"{SEED}\0{patient}".encode()).digest()
    )
    return set(ordered[: round(len(ordered) * WITHHELD_PERCENT / 100)])


def build_tables(source: Path, folder: Path) -> set[str]:
    """Write the five parts; returns the names of the source's columns."""
    header, rows = read_table(source)
    for row in rows:
        row["subtype"] = RENAMED_SUBTYPES.get(row["subtype"], row["subtype"])
    withheld: list[dict[str, str]] = []
    for silo in SILOS:
        people = [row for row in rows if row["group"] == silo]
        test = withheld_patients(row["patient"] for row in people)
        withheld += [row for row in people if row["patient"] in test]
        kept = [row for row in people if row["patient"] not in test]
        write_table(folder / f"{silo}.csv.gz", header, kept)
        print(f"{silo}: {len(kept)} rows, {len(people) - len(kept)} withheld")
    write_table(folder / "withheld.csv.gz", header, withheld)
    reference = [row for row in rows if row["group"] == "reference"]
    write_table(folder / "colorectal_reference.csv.gz", header, reference)
    print(f"withheld: {len(withheld)} rows; reference: {len(reference)} rows")
    return set(header)


def build_panel(gene_sets: Path, gene_panels: Path, path: Path) -> None:
    """Write the cell-cycle panel."""
    members: set[str] = set()
    for line in gene_sets.read_text(encoding="utf-8").splitlines():
        name, _, *genes = line.split("\t")
        if name == CELL_CYCLE_SET:
            members = set(genes)
    _, rows = read_table(gene_panels)
    landmarks = {row["symbol"] for row in rows if row["panel"] == "L1000_landmark_978"}
    text = "".join(f"{gene}\n" for gene in sorted(members & landmarks))
    path.write_text(CELL_CYCLE_HEADER + text, encoding="utf-8")


def check_panel(path: Path, columns: set[str]) -> None:
    """Stop unless the panel has its 48 genes and the table holds them and the repair genes."""
    lines = path.read_text(encoding="utf-8").splitlines()
    genes = [line for line in lines if not line.startswith("#")]
    if len(genes) != CELL_CYCLE_GENES:
        raise SystemExit(f"expected {CELL_CYCLE_GENES} cell-cycle genes, found {len(genes)}")
    absent = [gene for gene in (*genes, *REPAIR_GENES) if gene not in columns]
    if absent:
        raise SystemExit(f"genes that the table does not have: {', '.join(absent)}")
    print(f"{path.name}: {len(genes)} genes, all in the table, as are the repair genes")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("table", type=Path, help="colorectal_demo.csv.gz")
    parser.add_argument("--gene-sets", type=Path, help="hallmark sets, .gmt")
    parser.add_argument("--gene-panels", type=Path, help="gene_panels.csv.gz")
    arguments = parser.parse_args()
    panel = SPECS / "panels" / "cell_cycle.txt"
    for folder in (SPECS / "data", panel.parent):
        folder.mkdir(parents=True, exist_ok=True)
    columns = build_tables(arguments.table, SPECS / "data")
    if arguments.gene_sets and arguments.gene_panels:
        build_panel(arguments.gene_sets, arguments.gene_panels, panel)
    check_panel(panel, columns)


if __name__ == "__main__":
    main()
