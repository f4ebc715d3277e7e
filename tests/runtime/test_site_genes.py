"""How a file's genes are found: systems, versions, maps, several entries of one gene."""

import gzip
import hashlib
from pathlib import Path

import pandas as pd
import pytest

from secgen_dsl.ir.program import Program
from secgen_dsl.runtime.site.genes import system_of
from tests.runtime.studies import counted, fault, program, read, toml, write_csv
from tests.site_programs import SUBTYPE, make_panel

SYMBOLS = ("MLH1", "MSH2", "MSH6", "PMS2")
ENSEMBL = ("ENSG00000076242", "ENSG00000095002", "ENSG00000116062", "ENSG00000122512")
ENTREZ = ("4292", "4436", "2956", "5395")
MAP = "hgnc_id\tsymbol\tentrez_id\tensembl_gene_id\n" + "".join(
    f"HGNC:{number}\t{symbol}\t{entrez}\t{ensembl}\n"
    for number, (symbol, entrez, ensembl) in enumerate(zip(SYMBOLS, ENTREZ, ENSEMBL, strict=True))
)


def of(genes: tuple[str, ...], unit: str = "log2") -> Program:
    panel = make_panel(genes).model_copy(update={"unit": unit})
    return program(columns=[SUBTYPE], panels=[panel])


def site(folder: Path, names: tuple[str, ...], genes: str, gene_map: str | bytes = MAP) -> Path:
    """A table whose four genes have these names, and a site.toml with this [genes]."""
    frame = pd.DataFrame([["p", "CIN", *range(1, len(names) + 1)]])
    frame.columns = pd.Index(["patient", "subtype", *names])
    write_csv(folder / "t.csv", frame)
    data = gene_map.encode() if isinstance(gene_map, str) else gene_map
    (folder / "map.tsv").write_bytes(data)
    return toml(folder, f'[files]\nexpression = "t.csv"\n[genes]\n{genes}\n')


def test_systems() -> None:
    assert {system_of(name) for name in (*SYMBOLS, "7SK", "HLA-A", "AC004.1")} == {"symbol"}
    others = ("ENSG00000141736.9", "ENSMUSG00000000001")
    assert {system_of(name) for name in (*ENSEMBL, *others)} == {"ensembl"}
    assert {system_of(name) for name in ENTREZ} == {"entrez"}
    assert system_of("ENST00000231790") == system_of("ENSG1") == system_of("٣") == "symbol"


@pytest.mark.parametrize("spec", [SYMBOLS, ENSEMBL, ENTREZ])
@pytest.mark.parametrize(
    ("system", "names"),
    [
        ("symbol", SYMBOLS),
        ("ensembl", ENSEMBL),
        ("ensembl", tuple(f"{name}.{number}" for number, name in enumerate(ENSEMBL, 9))),
        ("entrez", ENTREZ),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n", "gz"])
def test_every_system_through_a_map(
    tmp_path: Path, spec: tuple[str, ...], system: str, names: tuple[str, ...], ending: str
) -> None:
    data = MAP.encode()
    data = gzip.compress(data, mtime=0) if ending == "gz" else b"\xef\xbb\xbf" + data
    if ending == "\r\n":
        data = data.replace(b"\n", b"\r\n")
    path = site(tmp_path, names, f'system = "{system}"\nmap = "map.tsv"', data)
    table, report = read(path, of(spec))
    assert [table.expression[gene].tolist() for gene in spec] == [[1], [2], [3], [4]]
    same = system_of(spec[0]) == system
    assert (report.genes.directly, report.genes.through_map) == ((4, 0) if same else (0, 4))
    assert report.genes.map_sha256 == ("" if same else hashlib.sha256(data).hexdigest())


def test_versions_of_the_spec_and_the_file(tmp_path: Path) -> None:
    names = tuple(f"{name}.12" for name in ENSEMBL)
    spec = of(tuple(f"{name}.9" for name in ENSEMBL))
    assert read(site(tmp_path, names, ""), spec)[0].rows == 1
    assert read(site(tmp_path, names, ""), of(ENSEMBL))[0].rows == 1
    assert fault(site(tmp_path, names, "strip_version = false"), spec).code == "SG414"
    assert read(site(tmp_path, names, "strip_version = false"), of(names))[0].rows == 1


@pytest.mark.parametrize(
    ("spec", "names", "words"),
    [
        (ENSEMBL, SYMBOLS, "look like symbols, and Ensembl ids are looked for"),
        (SYMBOLS, ENSEMBL, "look like Ensembl ids, and symbols are looked for"),
        (SYMBOLS, ENTREZ, "look like Entrez ids, and symbols are looked for"),
    ],
)
def test_a_panel_of_another_system_than_the_file(
    tmp_path: Path, spec: tuple[str, ...], names: tuple[str, ...], words: str
) -> None:
    found = fault(site(tmp_path, names, ""), of(spec))
    assert found.code == "SG414"
    assert words in found.message
    assert found.local == f"one of the file's names is {names[0]}"
    assert f'system = "{system_of(names[0])}"' in found.next_step
    assert "map" in found.next_step
    # The same without any site.toml.
    assert words in fault(tmp_path / "t.csv", of(spec)).message


def test_a_system_that_the_file_does_not_have(tmp_path: Path) -> None:
    path = site(tmp_path, SYMBOLS, 'system = "ensembl"\nmap = "map.tsv"')
    found = fault(path, of(SYMBOLS))
    assert found.code == "SG414"
    assert "look like symbols, and Ensembl ids are looked for" in found.message
    assert 'write `system = "symbol"`' in found.next_step


@pytest.mark.parametrize(
    ("genes", "gene_map", "words"),
    [
        ('system = "ensembl"', MAP, "no map is given"),
        ('system = "ensembl"\nmap = "absent.tsv"', MAP, "cannot be read: no such file"),
        ('system = "ensembl"\nmap = "map.tsv"', "", "no column of Ensembl ids and of symbols"),
        ('system = "entrez"\nmap = "map.tsv"', MAP.replace("entrez", "x"), "no column of Entrez"),
        ('system = "ensembl"\nmap = "map.tsv"', b"symbol\tensembl\n\xff\n", "UTF-8"),
        ('system = "ensembl"\nmap = "map.tsv"', b"\x1f\x8bbroken", "UTF-8 text (plain or gzip)"),
        ('system = "ensembl"\nmap = "map.tsv"', 'symbol,ensembl\n"MLH1"x,1\n', "line 2"),
        ('system = "ensembl"\nmap = "map.tsv"', MAP + f"H\tX\t1\t{ENSEMBL[0]}\n", None),
    ],
)
def test_maps_that_cannot_be_used(
    tmp_path: Path, genes: str, gene_map: str | bytes, words: str | None
) -> None:
    path = site(tmp_path, ENSEMBL if "ensembl" in genes else ENTREZ, genes, gene_map)
    if words is None:  # a row of a gene that the panel does not have harms nobody
        assert read(path, of(SYMBOLS))[0].rows == 1
        return
    found = fault(path, of(SYMBOLS))
    assert found.code == "SG422"
    assert words in found.message
    assert found.span is not None
    assert found.span.line in (4, 5)


def test_a_map_that_gives_one_name_to_two_genes(tmp_path: Path) -> None:
    both = MAP.replace(ENSEMBL[1], ENSEMBL[0])
    found = fault(site(tmp_path, ENSEMBL, 'system = "ensembl"\nmap = "map.tsv"', both), of(SYMBOLS))
    assert found.code == "SG422"
    assert "two genes of the panel: MLH1 and MSH2" in found.message


def test_genes_that_the_map_lacks(tmp_path: Path) -> None:
    path = site(tmp_path, ENSEMBL, 'system = "ensembl"\nmap = "map.tsv"')
    found = fault(path, of((*SYMBOLS, "EPCAM")))
    assert found.code == "SG414"
    assert "1 of 5 genes are not in the file: EPCAM (1 of them are not in the map)" in found.message


TWICE = ("MLH1", "MSH2", "MSH6", "PMS2", "MSH2", "MSH2")


def test_a_gene_that_stands_several_times(tmp_path: Path) -> None:
    found = fault(site(tmp_path, TWICE, ""), of(SYMBOLS))
    assert found.code == "SG423"
    assert "MSH2 3 times" in found.message
    assert 'duplicates = "first"' in found.next_step
    table, report = read(site(tmp_path, TWICE, 'duplicates = "first"'), of(SYMBOLS))
    assert table.expression["MSH2"].tolist() == [2]
    assert report.genes.several == {"MSH2": ["MSH2"] * 3}
    for unit in ("tpm", "counts"):
        table, _ = read(site(tmp_path, TWICE, 'duplicates = "sum"'), of(SYMBOLS, unit))
        assert table.expression["MSH2"].tolist() == [2 + 5 + 6]
        assert table.expression["PMS2"].tolist() == [4]
    # A gene that nobody asks for may stand there as often as it likes.
    assert read(site(tmp_path, TWICE, ""), of(("MLH1", "PMS2")))[0].rows == 1


def test_logarithms_are_not_added_up(tmp_path: Path) -> None:
    for unit in ("log2", "vst", "log2_cpm"):
        found = fault(site(tmp_path, TWICE, 'duplicates = "sum"'), of(SYMBOLS, unit))
        assert found.code == "SG423"
        assert f"values in {unit} cannot be added up" in found.message
    panel = counted(make_panel(SYMBOLS), "PMS2")
    one = program(columns=[SUBTYPE], panels=[panel])
    # The unit of the range is log2_cpm, but the file holds counts.
    assert panel.unit == "log2_cpm"
    assert fault(site(tmp_path, TWICE, 'duplicates = "sum"'), one).code == "SG414"
    one = program(columns=[SUBTYPE], panels=[counted(make_panel(SYMBOLS[:3]), "PMS2")])
    table, _ = read(site(tmp_path, TWICE, 'duplicates = "sum"'), one)
    assert table.expression["MSH2"].tolist() == [13]


def test_two_ids_of_one_gene_through_the_map(tmp_path: Path) -> None:
    two = MAP + f"HGNC:9\tMLH1\t4292\t{ENSEMBL[0][:-1]}9\n"
    names = (*ENSEMBL, f"{ENSEMBL[0][:-1]}9.3")
    genes = 'system = "ensembl"\nmap = "map.tsv"\n'
    found = fault(site(tmp_path, names, genes, two), of(SYMBOLS, "tpm"))
    assert found.code == "SG423"
    assert "MLH1 2 times:" in found.message
    assert found.local == "its entries are ENSG00000076242, ENSG00000076249.3"
    table, _ = read(site(tmp_path, names, genes + 'duplicates = "sum"', two), of(SYMBOLS, "tpm"))
    assert table.expression["MLH1"].tolist() == [6]


def test_a_column_that_is_used_is_no_gene(tmp_path: Path) -> None:
    """LANGUAGE rule 7, by the names in the file: what is renamed clashes no more."""
    flag = SUBTYPE.model_copy(update={"name": "MLH1", "values": ("yes", "no"), "otherwise": None})
    one = program(columns=[flag], panels=[make_panel(["MLH1"])])
    frame = pd.DataFrame({"patient": ["p"], "MLH1": ["yes"], "expr:MLH1": [7]})
    table, _ = read(write_csv(tmp_path / "t.csv", frame), one)
    assert table.categories["MLH1"].tolist() == ["yes"]
    assert table.expression["MLH1"].tolist() == [7]
    frame.columns = pd.Index(["patient", "MLH1_mutated", "MLH1"])
    write_csv(tmp_path / "t.csv", frame)
    path = toml(tmp_path, '[files]\nexpression = "t.csv"\n[columns]\nMLH1 = "MLH1_mutated"\n')
    table, _ = read(path, one)
    assert table.categories["MLH1"].tolist() == ["yes"]
    assert table.expression["MLH1"].tolist() == [7]
    # Two files have a name space each.
    write_csv(tmp_path / "c.csv", pd.DataFrame({"sample": ["s"], "patient": "p", "MLH1": "no"}))
    write_csv(tmp_path / "t.csv", pd.DataFrame({"sample": ["s"], "MLH1": [3]}))
    path = toml(tmp_path, '[files]\nexpression = "t.csv"\nclinical = "c.csv"\n')
    table, _ = read(path, one)
    assert table.categories["MLH1"].tolist() == ["no"]
    assert table.expression["MLH1"].tolist() == [3]
