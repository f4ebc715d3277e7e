"""The reader: shape faults stop with a code, a place and a next step; content faults never stop."""

import csv
import gzip
import io
import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError
from secgen_dsl.ir.program import CategoryColumn
from secgen_dsl.queries.contribution import raw_cells
from secgen_dsl.queries.table import SampleTable
from secgen_dsl.runtime.site.read import read_site
from secgen_dsl.runtime.site.report import NumberReport
from secgen_dsl.runtime.site.source import parse_numbers
from tests.site_programs import SEX, SUBTYPE, make_marginal, make_panel, make_program

PANEL = make_panel(["MLH1", "MSH2"])
EDGES = [(Fraction(5), Fraction(10))] * 2
MARGINAL = make_marginal(["subtype"], PANEL, EDGES)
PROGRAM = make_program([SUBTYPE, SEX], [PANEL], [MARGINAL])
KEY = b"a site's secret"
HEADER = "patient,subtype,sex,MLH1,MSH2\n"


def write(folder: Path, text: str | bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(folder: Path, text: str | bytes, name: str = "data.csv") -> SampleTable:
    return read_site(PROGRAM, write(folder, text, name), KEY, "north")[0]


def faults(folder: Path, text: str | bytes, name: str = "data.csv") -> tuple[Diagnostic, ...]:
    with pytest.raises(SecgenError) as raised:
        read(folder, text, name)
    for fault in raised.value.diagnostics:
        assert str(folder / name) in fault.place
        assert "north" in fault.place
        assert fault.next_step
        assert fault.severity == "error"
    return raised.value.diagnostics


def fault(folder: Path, text: str | bytes, name: str = "data.csv") -> Diagnostic:
    (only,) = faults(folder, text, name)
    return only


def people(table: SampleTable) -> list[tuple[str | float, ...]]:
    columns = [*table.categories.values(), *table.expression.values()]
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


# Reading


@pytest.mark.parametrize(
    ("name", "delimiter", "packed"),
    [
        ("data.csv", ",", False),
        ("data.csv.gz", ",", True),
        ("data.tsv", "\t", False),
        ("data.tsv.gz", "\t", True),
        ("data.CSV", ",", False),
        ("data.txt", "\t", False),
        ("data.txt", ",", False),
        ("table", ",", True),
        ("packed_without_saying.csv", ",", True),
    ],
)
def test_the_formats(tmp_path: Path, name: str, delimiter: str, packed: bool) -> None:
    text = "patient,age,subtype,sex,MSH2,MLH1\n p1 ,61, MSI ,male,9.5,7.25\np2,?,x,,1e1,-3\n"
    data = text.replace(",", delimiter).encode()
    table = read(tmp_path, gzip.compress(data) if packed else data, name)
    assert table.rows == 2
    assert set(table.categories) == {"subtype", "sex"}
    assert table.categories["subtype"].tolist() == ["MSI", "x"]
    assert table.categories["sex"].tolist() == ["male", ""]
    assert {gene: values.tolist() for gene, values in table.expression.items()} == {
        "MLH1": [7.25, -3.0],
        "MSH2": [9.5, 10.0],
    }
    assert all(values.dtype == np.float64 for values in table.expression.values())


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_ends_of_lines_byte_order_marks_quotes_and_blank_lines(tmp_path: Path, ending: str) -> None:
    lines = ["", '"patient","subtype", sex ,MLH1,MSH2', "", '"p,1","CIN","male",1,2', ""]
    table = read(tmp_path, b"\xef\xbb\xbf" + ending.join(lines).encode())
    assert people(table) == [("CIN", "male", 1.0, 2.0)]


def test_no_panel_at_all(tmp_path: Path) -> None:
    program = make_program([SUBTYPE], [], [make_marginal(["subtype"])])
    path = write(tmp_path, "subtype,patient\nCIN,1\n,2\n")
    table, _ = read_site(program, path, KEY, "north")
    assert table.rows == 2
    assert table.categories["subtype"].tolist() == ["CIN", ""]


def test_a_gene_with_the_name_of_a_column_is_read_from_its_prefixed_column(tmp_path: Path) -> None:
    flag = CategoryColumn(kind="category", name="NPM1", values=("yes", "no"), otherwise=None)
    panel = make_panel(["NPM1", "FLT3"])
    program = make_program([flag], [panel], [make_marginal(["NPM1"], panel, EDGES)])
    path = write(tmp_path, "patient,NPM1,expr:NPM1,FLT3\np,yes,7,8\n")
    table, _ = read_site(program, path, KEY, "north")
    assert table.categories["NPM1"].tolist() == ["yes"]
    assert table.expression["NPM1"].tolist() == [7.0]
    path = write(tmp_path, "patient,NPM1,FLT3\np,yes,8\n")
    with pytest.raises(SecgenError, match=r"SG414 .*expr:NPM1"):
        read_site(program, path, KEY, "north")


@given(st.lists(st.floats() | st.integers().map(float), max_size=5))
def test_numbers_are_read_exactly(numbers: list[float]) -> None:
    for texts in ([repr(x) for x in numbers], [repr(x) for x in numbers] + ["n/a"]):
        read_back = parse_numbers(texts)
        np.testing.assert_array_equal(read_back[: len(numbers)], numbers)


@pytest.mark.parametrize("text", ["", "NA", "1_000", "1,5", "٣", "0x1p3", "high", "--1", "1e", "½"])
def test_what_is_no_number_is_missing(text: str) -> None:
    assert math.isnan(parse_numbers([text])[0])
    assert parse_numbers(["2.5", text, "-inf"]).tolist()[::2] == [2.5, -math.inf]


# Shape faults


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.csv", tmp_path, Path("a\0b.csv")):
        with pytest.raises(SecgenError, match="SG411 the file cannot be read"):
            read_site(PROGRAM, path, KEY, "north")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\n \n\n", "empty"),
        (b"\x00\x01\x02\x03" * 100, "not a table"),
        (np.random.default_rng(5).bytes(3000), "UTF-8"),
        ("Schlüssel,patient,subtype\n1,2,3\n".encode("latin-1"), "UTF-8"),
        (HEADER.encode("utf-16"), "UTF-8"),
        (HEADER.replace("\n", "\r").encode() + b"p,CIN,male,1,2\rq,GS,male,1,2\r", "lines"),
        (gzip.compress(HEADER.encode() * 500, mtime=0)[:-9], "gzip"),
        (gzip.compress(HEADER.encode(), mtime=0)[:12], "gzip"),
        (b"\x1f\x8b\x08\x00broken", "gzip"),
        (b"\x1f\x8b", "gzip"),
    ],
)
def test_files_that_are_no_table(tmp_path: Path, data: bytes, words: str) -> None:
    found = fault(tmp_path, data)
    assert found.code == "SG411"
    assert words in found.message


@pytest.mark.parametrize(
    ("name", "delimiter", "words"),
    [
        ("data.csv", ";", "semicolons, where commas"),
        ("data.csv", "\t", "tabs, where commas"),
        ("data.tsv", ",", "commas, where tabs"),
        ("data.txt", ";", "semicolons"),
        ("data.csv", "|", "bars"),
    ],
)
def test_another_delimiter(tmp_path: Path, name: str, delimiter: str, words: str) -> None:
    found = fault(tmp_path, (HEADER + "p,CIN,male,1,2\n").replace(",", delimiter), name)
    assert found.code == "SG412"
    assert words in found.message


def test_absent_columns_are_all_named_with_the_nearest(tmp_path: Path) -> None:
    first, second = faults(tmp_path, "Patient,sub_type,sex,MLH1,MSH2\n")
    assert (first.code, second.code) == ("SG413", "SG413")
    assert 'no column "patient"' in first.message
    assert 'did you mean "Patient"?' in first.local
    assert 'no column "subtype"' in second.message
    assert 'did you mean "sub_type"?' in second.local


def test_absent_genes_are_counted_and_five_are_listed(tmp_path: Path) -> None:
    panel = make_panel([f"GENE{number}" for number in range(9)])
    program = make_program([SUBTYPE], [panel], [make_marginal([], panel, EDGES[:1] * 9)])
    path = write(tmp_path, "patient,subtype,GENE0,GENE1,gene2\n")
    with pytest.raises(SecgenError) as raised:
        read_site(program, path, KEY, "north")
    (found,) = raised.value.diagnostics
    assert found.code == "SG414"
    assert "7 of 9 genes" in found.message
    assert "GENE2, GENE3, GENE4, GENE5, GENE6, and 2 more" in found.message
    assert 'did you mean "gene2"?' in found.local


def test_genes_in_rows_suggest_another_orientation(tmp_path: Path) -> None:
    found = fault(tmp_path, "gene,p1,p2\nMLH1,7,8\nTP53,1,2\n")
    assert found.code == "SG421"
    assert 'orientation = "genes_by_samples"' in found.next_step


def test_repeated_names(tmp_path: Path) -> None:
    found = fault(tmp_path, "patient,subtype,sex,MLH1,MSH2, sex\n")
    assert found.code == "SG415"
    assert '"sex" 2 times' in found.message
    found = fault(tmp_path, "patient,subtype,sex,MLH1,MSH2, MLH1\n")
    assert found.code == "SG423"
    assert "MLH1 2 times" in found.message
    # A repeated column that nobody needs harms nobody.
    assert read(tmp_path, "x,patient,subtype,sex,MLH1,MSH2,x\n").rows == 0


def test_a_file_none_of_whose_rows_fits_its_header(tmp_path: Path) -> None:
    # What R writes by default: row names without a name of their own.
    found = fault(tmp_path, HEADER + "1,p,CIN,male,1,2\n\n2,q,CIN,male,1,2\n")
    assert found.code == "SG416"
    assert "header of 5 columns" in found.message


def test_all_faults_of_a_header_come_at_once(tmp_path: Path) -> None:
    found = faults(tmp_path, "patient,patient,sex,MLH1\n")
    assert [each.code for each in found] == ["SG415", "SG413", "SG414"]


# Content faults

ODD_ROWS = [
    b'p,"CIN"x,male,1,2',  # text behind a closing quote
    b'p,"CIN,male,1,2',  # a quote that is never closed
    b"p,CIN,male,1,2,3",  # a field too many
    b"p,CIN,male,1\r2,3,4",  # a bare carriage return
]


@pytest.mark.parametrize("odd", ODD_ROWS)
@pytest.mark.parametrize("again", [False, True])
def test_a_row_that_does_not_fit_adds_nothing_and_changes_nobody_else(
    tmp_path: Path, odd: bytes, again: bool
) -> None:
    rows = [f"q{n},GS,male,{n},2".encode() for n in range(6)]
    spoiled = [*rows[:2], odd, *rows[2:4], *([odd] if again else []), *rows[4:]]
    data = HEADER.encode() + b"\n".join(spoiled) + b"\n"
    assert people(read(tmp_path, data)) == people(
        read(tmp_path, HEADER.encode() + b"\n".join(rows) + b"\n")
    )
    _, report = read_site(PROGRAM, write(tmp_path, data), KEY, "north")
    assert (report.people, report.files["table"].rows_that_do_not_fit) == (6, 2 if again else 1)


def test_bytes_that_are_no_text_tell_people_apart(tmp_path: Path) -> None:
    data = HEADER.encode() + b"M\xfcller,CIN,male,1,2\nM\xf6ller,\xff,male,3,4\n"
    table = read(tmp_path, data)
    assert table.rows == 2
    # The label that is no text is an unknown one: it counts under `unknown`, in both genes' tables.
    assert raw_cells(PROGRAM, MARGINAL, table).sum() == 4


@pytest.mark.parametrize("ending", ["", "\n"])
def test_a_header_alone_is_an_empty_silo(tmp_path: Path, ending: str) -> None:
    table = read(tmp_path, HEADER.rstrip("\n") + ending)
    assert table.rows == 0
    assert not raw_cells(PROGRAM, MARGINAL, table).any()


def test_odd_content_is_read_and_reported(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        HEADER
        + "p1,CIN,male,NaN,high\n"
        + "p2,HM-SNV,n/a,inf,-inf\n"
        + "p3,,NULL,25,-1\n"
        + "p4\n"
        + ",MSI,male,1,1\n"
        + "NA,MSI,male,1,1\n"
        + "p1,CIN,male,NaN,high\n"
        + f"p5,{'x' * 200_000},mal\0,{'9' * 140_000},5\n",
    )
    table, report = read_site(PROGRAM, path, KEY, "north")
    assert table.rows == 5
    assert table.categories["subtype"].tolist() == ["CIN", "HM-SNV", "", "", ""]
    assert table.categories["sex"].tolist() == ["male", "", "", "", ""]
    np.testing.assert_array_equal(
        table.expression["MLH1"], [math.nan, math.inf, 25, math.nan, math.inf]
    )
    np.testing.assert_array_equal(table.expression["MSH2"], [math.nan, -math.inf, -1, math.nan, 5])
    assert raw_cells(PROGRAM, MARGINAL, table)[0].tolist() == [
        [0, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
        [0, 0, 3],
    ]
    assert (report.files["table"].rows, report.people, report.samples) == (8, 5, 5)
    assert (report.rows_without_person, report.further_samples) == (2, 1)
    assert {name: label.missing for name, label in report.labels.items()} == {
        "subtype": 2,
        "sex": 3,
    }
    assert report.labels["subtype"].unknown == {"HM-SNV": 1, "x" * 59 + "…": 1}
    assert report.labels["subtype"].counts == {"CIN": 1, "GS": 0, "MSI": 0, "unknown": 0}
    assert report.labels["sex"].unknown == {"mal\0": 1}
    assert report.missing_values == {"MLH1": 2, "MSH2": 2}
    assert report.panels["panel"] == NumberReport(
        least=-1, greatest=25, values=6, missing=4, below=2, above=3
    )


def test_a_trailing_nul_does_not_turn_an_unknown_label_into_a_listed_one(tmp_path: Path) -> None:
    table = read(tmp_path, HEADER + "p,CIN\0,male\0,1,2\n")
    assert table.categories["subtype"].tolist() == [""]


def test_a_listed_label_is_no_missing_word(tmp_path: Path) -> None:
    fusion = CategoryColumn(
        kind="category", name="fusion", values=("inv(16)", "none", "0"), otherwise=None
    )
    program = make_program([fusion], [], [make_marginal(["fusion"])])
    path = write(tmp_path, "patient,fusion\np1,none\np2,None\np3,0.00\np4,NA\np5,inv(16)\n")
    table, report = read_site(program, path, KEY, "north")
    assert table.categories["fusion"].tolist() == ["none", "", "0", "", "inv(16)"]
    assert raw_cells(program, program.queries[0], table).ravel().tolist() == [1, 1, 1]
    assert report.labels["fusion"].missing == 2


# One sample of a person


def _csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue()


def _samples(with_name: str | None) -> tuple[list[str], list[list[str]]]:
    generator = np.random.default_rng(11)
    header = ["patient", "subtype", "sex", "MLH1", "MSH2"]
    rows = [
        [f"p{person}", str(generator.choice(SUBTYPE.values)), "male", f"{person}", f"{number}"]
        for person in range(30)
        for number in range(1 + person % 4)
    ]
    if with_name:
        header.append(with_name)
        for row in rows:
            # Person 3 has four samples of one name: their content tells them apart.
            row.append("same" if row[0] == "p3" else f"{row[0]}-{row[4]}")
    return header, rows


@pytest.mark.parametrize("with_name", [None, "sample", "sample_id"])
def test_the_kept_sample_depends_on_the_persons_rows_only(
    tmp_path: Path, with_name: str | None
) -> None:
    header, rows = _samples(with_name)
    kept = people(read(tmp_path, _csv(header, rows)))
    assert len(kept) == 30
    assert any(row[-1] != 0 for row in kept)  # not merely the first ones
    generator = np.random.default_rng(12)
    for _ in range(10):
        some = set(generator.choice(30, 12, replace=False).tolist())
        left = [row for row in rows if int(row[0][1:]) in some]
        left = [left[position] for position in generator.permutation(len(left))]
        left += left[:5]  # the same rows again
        expected = [row for row in kept if int(row[2]) in some]
        assert people(read(tmp_path, _csv(header, left))) == expected


def test_the_choice_is_the_smallest_hmac_and_changes_with_the_key(tmp_path: Path) -> None:
    header, rows = _samples("sample")
    path = write(tmp_path, _csv(header, rows))
    choices = {
        tuple(people(read_site(PROGRAM, path, bytes([number]), "north")[0])) for number in range(8)
    }
    assert len(choices) == 8


def test_the_choice_looks_at_the_name_of_a_sample_not_at_its_values(tmp_path: Path) -> None:
    header, rows = _samples("sample")
    kept = {row[2:] for row in people(read(tmp_path, _csv(header, rows))) if row[2] != 3}
    for row in rows:
        row[1], row[2] = "MSI", ""
    again = {row[2:] for row in people(read(tmp_path, _csv(header, rows))) if row[2] != 3}
    assert again == kept


def test_removing_a_person_changes_no_other_contribution(tmp_path: Path) -> None:
    header, rows = _samples(None)
    whole = raw_cells(PROGRAM, MARGINAL, read(tmp_path, _csv(header, rows)))
    for person in range(30):
        rest = [row for row in rows if row[0] != f"p{person}"]
        difference = whole - raw_cells(PROGRAM, MARGINAL, read(tmp_path, _csv(header, rest)))
        assert difference.min() >= 0
        assert difference.sum(axis=(1, 2)).tolist() == [1, 1]
