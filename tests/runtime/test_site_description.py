"""site.toml: what it maps, and every way in which it can be wrong."""

from pathlib import Path

import pytest

from tests.runtime.studies import (
    GENES,
    cohort,
    counted,
    fault,
    faults,
    program,
    read,
    samples_of,
    toml,
    write_csv,
)
from tests.site_programs import make_panel

COHORT = cohort(seed=1)
FILES = '[files]\nexpression = "t.csv"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_csv(tmp_path / "t.csv", COHORT.table())
    return tmp_path


MAPPED = """[cohort]
id = "crc-2026"
[files]
expression = "other.csv"
[columns]
patient = "ID"
subtype = "CMS_like"
age = "years"
[values.subtype]
"GI.CIN" = "CIN"
"1" = "MSI"
"" = "GS"
[values.sex]
F = "female"
"""


def mapped_file(folder: Path) -> Path:
    frame = COHORT.table().rename(columns={"patient": "ID", "subtype": "CMS_like", "age": "years"})
    replaced = {"CIN": "GI.CIN", "MSI": " 1.0", "GS": ""}
    frame["CMS_like"] = COHORT.table()["subtype"].replace("", "none of them").replace(replaced)
    frame["sex"] = frame["sex"].replace({"female": "F"})
    return write_csv(folder / "other.csv", frame)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_columns_and_values_are_mapped(folder: Path, ending: str, mark: bytes) -> None:
    mapped_file(folder)
    (folder / "site.toml").write_bytes(mark + MAPPED.replace("\n", ending).encode())
    table, report = read(folder / "site.toml")
    plain, _ = read(folder / "t.csv")
    unknown = plain.categories["subtype"] == ""
    assert table.categories["subtype"][~unknown].tolist() == [
        str(text) for text in plain.categories["subtype"][~unknown]
    ]
    assert set(table.categories["subtype"][unknown].tolist()) == {"none of them"}
    assert table.categories["sex"].tolist() == plain.categories["sex"].tolist()
    assert table.numbers["age"].tolist() == plain.numbers["age"].tolist()
    assert report.cohort == "crc-2026"
    assert report.columns["subtype"] == "CMS_like"
    assert set(report.labels["subtype"].mapped) == {"GI.CIN", "1.0", ""}
    assert report.labels["subtype"].unknown == {
        "none of them": int(unknown.sum()),
        "other": report.labels["subtype"].unknown["other"],
    }


def test_paths_are_relative_to_the_folder_of_site_toml(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "deep").mkdir()
    (folder / "t.csv").rename(folder / "deep" / "t.csv")
    site = toml(folder, '[files]\nexpression = "deep/t.csv"\n')
    monkeypatch.chdir(folder / "deep")
    assert read(Path("..") / site.name)[0].rows == 12
    site.write_text(f"[files]\nexpression = '{folder / 'deep' / 't.csv'}'\n")
    assert read(site)[0].rows == 12


@pytest.mark.parametrize(
    ("text", "line", "words", "step"),
    [
        ('[files]\nexpresion = "t.csv"\n', 2, '[files] has no "expresion"', 'mean "expression"?'),
        ('[colums]\na = "b"\n', 1, 'has no "colums"', 'mean "columns"?'),
        ('files = 3\n', 1, '"files" is no table', "[files]"),
        ('[files]\nexpression = 3\n', 2, "is no text", "in quotes"),
        ('[files]\norientation = "rows"\n', 2, "none of samples_by_genes", "genes_by_samples"),
        ('[genes]\nstrip_version = "yes"\n', 2, "neither true nor false", "without quotes"),
        ('[genes]\nsystem = "ensemble"\n', 2, "none of symbol, ensembl", "ensembl"),
        ('[genes]\nduplicates = "mean"\n', 2, "none of error, sum, first", "first"),
        ('[values]\nsubtype = "a"\n', 2, '"subtype" is no table', "[values.subtype]"),
        ('[values.subtype]\n"x" = 1\n', 2, '"x" in [values.subtype] is no text', "quotes"),
        (FILES + 'unit = "log2tpm"\n', 3, 'no unit "log2tpm"', 'mean "log2_tpm"?'),
        (FILES + 'unit = "metres"\n', 3, 'no unit "metres"', "the units are log2, log2_tpm"),
        (FILES + '[columns]\nsubtpye = "x"\n', 4, 'no column "subtpye"', 'mean "subtype"?'),
        (FILES + '[columns]\nMLH1 = "x"\n', 4, 'no column "MLH1"', "[genes]"),
        (FILES + '[columns]\nsubtype = " "\n', 4, "is empty", "header"),
        (FILES + '[values.age]\n"x" = "1"\n', 3, 'no category column "age"', "subtype, sex"),
        (FILES + '[values.subtype]\n"x" = "MSS"\n', 4, '"MSS" is no value', 'mean "MSI"?'),
        (FILES + "[values]\nsex = { x = 'man' }\n", 4, '"man" is no value', "female, male"),
        (FILES + '[genes]\nmap = "m.tsv"\n', 4, "how the file names them", "system ="),
    ],
)  # fmt: skip
def test_what_site_toml_cannot_hold(
    folder: Path, text: str, line: int, words: str, step: str
) -> None:
    found = fault(toml(folder, text))
    assert found.code == "SG418"
    assert words in found.message
    assert step in found.next_step
    assert found.where().startswith(f"{folder / 'site.toml'}:{line}:")


@pytest.mark.parametrize(
    ("data", "words", "place"),
    [
        (b"[files]\nexpression = t.csv\n", "no TOML", "line 2"),
        (b'[files]\nexpression = "C:\\new"\nlayer = "C:\\q"\n', "no TOML", "line 3"),
        (b"[files]\nlayer = 'a'\nlayer = 'b'\n", "overwrite a value", "(north)"),
        (b"\xff\xfe[\0f\0", "UTF-8", "byte 1"),
        ("[cohort]\nid = 'Köln'\n".encode("latin-1"), "UTF-8", "byte 17"),
        (b"\x00", "no TOML", "line 1"),
        (b"a = " + b"[" * 5000, "nested", "(north)"),
        (b"#" * 10_000_001, "larger than 10 MB", "(north)"),
    ],
    ids=["no quotes", "backslash", "twice", "utf-16", "latin-1", "nul", "deep", "large"],
)
def test_files_that_are_no_toml(folder: Path, data: bytes, words: str, place: str) -> None:
    (folder / "site.toml").write_bytes(data)
    found = fault(folder / "site.toml")
    assert found.code == "SG418"
    assert words in found.message
    assert place in found.place


def test_a_site_toml_that_cannot_be_read(folder: Path) -> None:
    (folder / "x.toml").mkdir()
    for name in ("absent.toml", "x.toml"):
        assert "cannot be read" in fault(folder / name).message


def test_two_columns_of_one_name(folder: Path) -> None:
    found = fault(toml(folder, FILES + '[columns]\nsubtype = "x"\nsex = "x"\n'))
    assert (found.code, found.span and found.span.line) == ("SG419", 5)
    assert '"subtype" and "sex"' in found.message
    # Also with a column that is not renamed: it keeps its name.
    found = fault(toml(folder, FILES + '[columns]\nsubtype = "sex"\n'))
    assert (found.code, found.span and found.span.line) == ("SG419", 4)
    # The sample's name may be the person's as well: then each person has one sample.
    text = '[files]\nexpression = "t.csv"\nsample = "sample"\n[columns]\npatient = "sample"\n'
    assert read(toml(folder, text))[0].rows == 12
    # Names that change places are no clash.
    assert read(toml(folder, FILES + '[columns]\nsubtype = "sex"\nsex = "subtype"\n'))[0].rows == 12


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (['CIN = "GS"', 'GS = "CIN"'], '"CIN" of "subtype" becomes "GS", which itself becomes'),
        (['x = "CIN"', 'CIN = "GS"'], '"x" of "subtype" becomes "CIN", which itself becomes "GS"'),
        (['"1" = "CIN"', '"1.0" = "GS"'], '"1.0" of "subtype" is mapped twice'),
    ],
)
def test_maps_with_circles_and_chains(folder: Path, lines: list[str], words: str) -> None:
    found = faults(toml(folder, FILES + "[values.subtype]\n" + "\n".join(lines)))
    assert {each.code for each in found} == {"SG419"}
    assert any(words in each.message for each in found)
    assert all(each.where().startswith(str(folder / "site.toml:")) for each in found)


def test_a_value_that_is_mapped_to_itself_is_no_circle(folder: Path) -> None:
    text = FILES + '[values.subtype]\nCIN = "CIN"\nother = "CIN"\n"GI" = "GS"\n'
    table, _ = read(toml(folder, text))
    assert "other" not in table.categories["subtype"].tolist()


def test_all_faults_come_at_once(folder: Path) -> None:
    text = '[columns]\nx = "a"\n[values.y]\na = "b"\n[values.sex]\na = "b"\n'
    assert [each.code for each in faults(toml(folder, FILES + text))] == ["SG418"] * 3
    text = '[columns]\nsubtype = "no such"\n[genes]\nsystem = "symbol"\n'
    one = program(panels=[make_panel([*GENES, "TP53"])])
    assert [each.code for each in faults(toml(folder, FILES + text), one)] == ["SG413", "SG414"]


def test_an_absent_column_is_named_as_in_the_file_and_in_the_spec(folder: Path) -> None:
    found = fault(toml(folder, FILES + '[columns]\nsubtype = "subtyp"\n'))
    assert found.code == "SG413"
    assert 'no column "subtyp" (the spec\'s "subtype")' in found.message
    assert 'did you mean "subtype"?' in found.local


def test_library_sizes_from_a_column(folder: Path) -> None:
    frame = COHORT.table()
    frame["total"] = [*range(1, 9), "0", "-5", "inf", "?"]
    write_csv(folder / "t.csv", frame)
    one = program(panels=[counted(make_panel(GENES), "depth")])
    table, report = read(toml(folder, FILES + '[columns]\ndepth = "total"\n'), one)
    assert table.library_sizes["panel"][:8].tolist() == list(range(1, 9))
    assert report.library_sizes["panel"].missing == 4
    assert fault(folder / "t.csv", one).code == "SG413"


def test_library_sizes_from_a_table_with_other_columns(folder: Path) -> None:
    one = program(panels=[counted(make_panel(GENES), None)])
    found = fault(folder / "t.csv", one)
    assert found.code == "SG424"
    assert "other columns as well" in found.message
    assert "clinical" in found.next_step
    # Also if the columns are in a file of their own, and in this one once more.
    write_csv(folder / "c.csv", COHORT.table().drop(columns=list(GENES)))
    site = toml(folder, '[files]\nexpression = "t.csv"\nclinical = "c.csv"\n')
    found = fault(site, one)
    assert found.code == "SG424"
    assert "patient" in found.message
    write_csv(folder / "t.csv", COHORT.table()[["sample", *GENES]])
    table, _ = read(site, one)
    assert samples_of(table)[0][-1] is not None


def test_the_unit_is_the_panels(folder: Path) -> None:
    """Both units are told, and where the line stands."""
    log2 = program()
    assert read(toml(folder, FILES + 'unit = "log2"\n'))[1].unit == "log2"
    found = fault(toml(folder, FILES + 'unit = "log2_fpkm"\n'))
    assert (found.code, found.span and found.span.line) == ("SG427", 3)
    assert found.message == 'the file is in log2_fpkm, the panel "panel" asks for log2'
    assert "let the spec say so" in found.next_step
    found = fault(toml(folder, FILES + 'unit = "counts"\n'))
    assert found.next_step.endswith("counts as log2(cpm + 1)")
    # Of a panel of counts the site has counts, not the unit of the bins.
    counts = log2.model_copy(update={"panels": (counted(make_panel(GENES), "age"),)})
    assert read(toml(folder, FILES + 'unit = "counts"\n'), counts)[1].unit == "counts"
    found = fault(toml(folder, FILES + 'unit = "log2_cpm"\n'), counts)
    assert found.code == "SG427"
    assert "asks for counts" in found.message


def test_no_one_unit_fits_panels_in_several(folder: Path) -> None:
    second = make_panel(GENES[2:]).model_copy(update={"name": "raw", "unit": "tpm"})
    both = program(panels=[make_panel(GENES[:2]), second])
    assert read(toml(folder, FILES), both)[1].panel_units == {"panel": "log2", "raw": "tpm"}
    found = fault(toml(folder, FILES + 'unit = "log2"\n'), both)
    assert 'the panel "raw" asks for tpm' in found.message
    assert "leave the line out" in found.next_step
    # Without panels no value is read, so none has a unit.
    assert read(toml(folder, FILES + 'unit = "vst"\n'), program(panels=[]))[1].panel_units == {}
