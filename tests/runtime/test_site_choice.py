"""Which samples count: at most k of a person, by rules that look at that person's rows alone."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.program import Program
from secgen_dsl.runtime.site.read import read_site
from tests.runtime.studies import KEY, program, read, samples_of, toml, write_csv
from tests.site_programs import SEX, SUBTYPE, make_panel

ONE_GENE = [make_panel(["MLH1"])]
ODD = [
    "",
    '"',
    '""',
    '"x',
    'x"',
    "a;b",
    "\r",
    "\x00",
    " ",
    "\x85",
    "\u2028",
    "\udcff",
    "1e999",
    "-",
]


def values(path: Path, one: Program) -> list[float]:
    return sorted(read(path, one)[0].expression["MLH1"].tolist())


def write(folder: Path, **columns: list[Any]) -> Path:
    return write_csv(folder / "t.csv", pd.DataFrame(columns))


@pytest.mark.parametrize(("samples", "expected"), [(1, 6), (2, 9), (3, 10), (9, 10)])
def test_the_cap(tmp_path: Path, samples: int, expected: int) -> None:
    path = write(
        tmp_path,
        patient=[*"aaabbcdef", "a"],
        subtype=["CIN"] * 10,
        MLH1=list(range(10)),
    )
    one = program(samples=samples, columns=[SUBTYPE], panels=ONE_GENE)
    table, report = read(path, one)
    expected = sum(min(samples, count) for count in Counter("aaabbcdefa").values())
    assert table.rows == report.samples == expected
    assert (report.people, report.further_samples) == (6, 10 - expected)


def test_a_cap_for_each_value_of_a_column(tmp_path: Path) -> None:
    """Values are compared after maps and ``else``; a row without one adds nothing at all."""
    texts = ["CIN", "G.CIN", "CIN", "MSI", "", "odd", "GS", "CIN"]
    frame = {
        "patient": [*"aaaaaaab"],
        "subtype": texts,
        "sex": ["male", "female", "m", "x", "", "male", "male", "male"],
        "MLH1": list(range(8)),
    }
    write(tmp_path, **frame)
    site = toml(
        tmp_path,
        '[files]\nexpression = "t.csv"\n'
        '[values.subtype]\n"G.CIN" = "CIN"\n[values.sex]\nm = "male"\n',
    )
    by_subtype = program(per="subtype", columns=[SUBTYPE, SEX], panels=ONE_GENE)
    table, report = read(site, by_subtype)
    # Of a: one of three CIN, MSI, one of the two that are unknown by `else`, GS.  Of b: CIN.
    assert (table.rows, report.people, report.rows_without_value) == (5, 2, 0)
    kept = Counter(table.categories["subtype"].tolist())
    assert (kept["CIN"], kept["MSI"], kept["GS"]) == (2, 1, 1)
    # `sex` has no `else`: of a's rows two have no value.
    by_sex = program(samples=2, per="sex", columns=[SUBTYPE, SEX], panels=ONE_GENE)
    table, report = read(site, by_sex)
    assert Counter(table.categories["sex"].tolist()) == {"male": 3, "female": 1}
    assert report.rows_without_value == 2


def test_the_earliest_are_kept(tmp_path: Path) -> None:
    one = program(samples=2, keep="collected", columns=[SUBTYPE], panels=ONE_GENE)
    path = write(
        tmp_path,
        patient=[*"aaaaabbbcc"],
        collected=[
            *("2021-05-01", "2021-04-30T23:59", "", "01.01.2020", "2022-01-01"),
            *("2019", "3.5", "NA"),
            *("", "?"),
        ],
        subtype=["CIN"] * 10,
        MLH1=list(range(10)),
    )
    assert values(path, one) == [0, 1, 5, 6, 8, 9]
    _, report = read(path, one)
    assert report.unreadable_dates == 5
    first = program(samples=1, keep="collected", columns=[SUBTYPE], panels=ONE_GENE)
    assert values(path, first)[:2] == [1, 6]


def test_ties_of_dates_go_by_the_hmac_of_the_samples_name(tmp_path: Path) -> None:
    one = program(keep="collected", columns=[SUBTYPE], panels=ONE_GENE)
    path = write(
        tmp_path,
        sample=[f"s{number}" for number in range(8)],
        patient=["a"] * 8,
        collected=["2020-01-01"] * 7 + ["2019-12-31"],
        subtype=["CIN"] * 8,
        MLH1=list(range(8)),
    )
    assert values(path, one) == [7]
    tied = write_csv(tmp_path / "tied.csv", pd.read_csv(path).head(7))
    keys = [bytes([number]) for number in range(40)]
    chosen = {read_site(one, tied, key, "")[0].expression["MLH1"][0] for key in keys}
    assert len(chosen) == 7


def test_one_sample_counts_once(tmp_path: Path) -> None:
    """Rows of one person and one sample: one counts, told by content and not by order."""
    one = program(samples=3, columns=[SUBTYPE], panels=ONE_GENE)
    rows = pd.DataFrame(
        {
            "sample": ["s1", "s1", "s1", "s2", "s1", "NA", "NA"],
            "patient": [*"aaaabcc"],
            "subtype": ["CIN"] * 7,
            "MLH1": list(range(7)),
        }
    )
    kept = {
        tuple(values(write_csv(tmp_path / "t.csv", some), one))
        for some in (rows, rows.iloc[::-1], rows.iloc[[1, 2, 0, 6, 5, 4, 3]])
    }
    assert len(kept) == 1
    (only,) = kept
    assert set(only) > {3, 4, 5, 6}
    assert len(only) == 5
    _, report = read(tmp_path / "t.csv", one)
    assert (report.repeated_samples, report.shared_samples) == (2, 1)


def joined(folder: Path, clinical: pd.DataFrame, expression: pd.DataFrame) -> Path:
    write_csv(folder / "c.csv", clinical)
    write_csv(folder / "e.csv", expression)
    return toml(folder, '[files]\nclinical = "c.csv"\nexpression = "e.csv"\n')


def test_rows_that_are_in_one_file_only_add_nothing(tmp_path: Path) -> None:
    one = program(columns=[SUBTYPE], panels=ONE_GENE)
    clinical = pd.DataFrame(
        {"sample": ["1", "2", " 3 ", "", "NA"], "patient": [*"abcde"], "subtype": "CIN"}
    )
    expression = pd.DataFrame({"sample": ["3", "1", "9", "", "NA"], "MLH1": range(5)})
    table, report = read(joined(tmp_path, clinical, expression), one)
    assert sorted(table.expression["MLH1"].tolist()) == [0, 1]
    assert report.rows_without_expression == 3
    assert report.expression_without_row == 1
    # Nobody at all is an empty silo.
    assert read(joined(tmp_path, clinical.head(0), expression.head(0)), one)[0].rows == 0


@pytest.mark.parametrize(
    ("samples", "persons", "expressed", "files"),
    [
        ("112", "abc", "12", ["c.csv"]),
        ("112", "aac", "12", ["c.csv"]),
        ("12", "ab", "1112", ["e.csv"]),
        ("11", "ab", "22", ["c.csv", "e.csv"]),
        # Neither the rows of nobody nor a sample that is in one file only is an exception.
        ("1133", ["NA", "", "c", "d"], "11", ["c.csv", "e.csv"]),
        ("12", "ab", "33", ["e.csv"]),
    ],
    ids=["two people", "one person", "expression", "both", "nobody", "unused"],
)
def test_files_that_are_joined_hold_each_sample_once(
    tmp_path: Path, samples: str, persons: Sequence[str], expressed: str, files: list[str]
) -> None:
    """One person's row would else be a part of what others contribute."""
    one = program(samples=9, columns=[SUBTYPE], panels=ONE_GENE)
    names = [f"TCGA-{each}" for each in samples]
    clinical = pd.DataFrame({"sample": names, "patient": [*persons], "subtype": "CIN"})
    # Rows that are the same are no exception either.
    expression = pd.DataFrame({"sample": [f"TCGA-{each}" for each in expressed], "MLH1": 1})
    with pytest.raises(SecgenError) as raised:
        read(joined(tmp_path, clinical, expression), one)
    assert [fault.code for fault in raised.value.diagnostics] == ["SG426"] * len(files)
    for fault, file in zip(raised.value.diagnostics, files, strict=True):
        assert file in fault.place
        assert "TCGA" not in str(fault.as_json())
        assert "TCGA" in fault.local


def test_a_sample_twice_in_a_header_of_genes_as_rows(tmp_path: Path) -> None:
    one = program(columns=[SUBTYPE], panels=ONE_GENE)
    (tmp_path / "c.csv").write_text("sample,patient,subtype\n1,a,CIN\n")
    (tmp_path / "e.csv").write_text("gene,1,1\nMLH1,4,5\n")
    site = toml(
        tmp_path,
        '[files]\nclinical = "c.csv"\nexpression = "e.csv"\norientation = "genes_by_samples"\n',
    )
    with pytest.raises(SecgenError, match="SG426"):
        read(site, one)


def test_no_panel_needs_no_file_of_expression_values(tmp_path: Path) -> None:
    one = program(columns=[SUBTYPE], panels=[])
    clinical = pd.DataFrame({"sample": [*"12"], "patient": [*"ab"], "subtype": "CIN"})
    write_csv(tmp_path / "c.csv", clinical)
    site = toml(tmp_path, '[files]\nclinical = "c.csv"\nexpression = "absent.csv"\n')
    assert read(site, one)[0].rows == 2


# One person changes one person's contribution

cells = st.one_of(
    st.sampled_from(ODD),
    st.floats(allow_nan=False).map(repr),
    st.text(st.characters(exclude_characters=",\n", codec=None), max_size=6),
)
people = st.lists(
    st.tuples(
        st.sampled_from([*"abcde", "", "NA", "á", '"a"']),
        st.sampled_from(["s1", "s2", "s3", "s4", ""]),
        st.sampled_from(["CIN", "GS", "MSI", "unknown", "x", "", *ODD]),
        st.sampled_from(["2020-01-01", "2019", "", "soon"]),
        cells,
        cells,
    ),
    max_size=10,
)


def of_person(one: Program, path: Path) -> Counter[tuple[object, ...]]:
    return Counter(samples_of(read(path, one)[0]))


@given(
    people, st.data(), st.sampled_from([(1, None, None), (2, None, "day"), (1, "subtype", None)])
)
def test_removing_a_person_changes_that_persons_samples_only(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, ...]],
    data: st.DataObject,
    rule: tuple[int, str | None, str | None],
) -> None:
    """In one table of raw lines, whatever stands in the cells, in whatever order."""
    folder = tmp_path_factory.mktemp("raw")
    samples, per, keep = rule
    one = program(
        samples=samples, per=per, keep=keep, columns=[SUBTYPE], panels=[make_panel(["A1", "B1"])]
    )
    lines = [",".join(row) for row in rows]
    owners = [owner(line) for line in lines]
    order = data.draw(st.permutations(range(len(lines))))
    whole = of_person(one, raw(folder, [lines[place] for place in order]))
    parts: Counter[tuple[object, ...]] = Counter()
    for person in dict.fromkeys(owners):
        own = [line for line, each in zip(lines, owners, strict=True) if each == person]
        rest = [line for line, each in zip(lines, owners, strict=True) if each != person]
        added = of_person(one, raw(folder, own))
        parts += added
        assert whole - of_person(one, raw(folder, rest)) == added
        assert added.total() <= samples * (4 if per else 1)
    assert parts == whole


HEADER = "patient,sample,subtype,day,A1,B1"
FITTING = "NA,,,,,"
"""A line that fits and adds nothing: without any, a file of odd lines alone is a shape fault."""


def raw(folder: Path, lines: list[str]) -> Path:
    text = "\n".join([HEADER, FITTING, *lines]) + "\n"
    path = folder / "raw.csv"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


def owner(line: str) -> str:
    """The person key of a line that fits; empty if it has none."""
    try:
        fields = next(csv.reader([line.rstrip("\r")], strict=True), [])
    except csv.Error:
        return ""
    key = fields[0].strip() if 0 < len(fields) <= 6 else ""
    return "" if key == "NA" else key


@given(st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=5), st.data())
def test_a_column_of_a_turned_table_changes_no_other_one(
    tmp_path_factory: pytest.TempPathFactory, columns: list[list[str]], data: st.DataObject
) -> None:
    """With genes as rows a person is a column: cells without delimiters and line ends are theirs
    alone, and any other cell makes the file no grid."""
    folder = tmp_path_factory.mktemp("turned")
    names = [f"s{number}" for number in range(len(columns))]
    clinical = pd.DataFrame({"sample": names, "patient": names, "subtype": "CIN"})
    write_csv(folder / "c.csv", clinical)
    one = program(columns=[SUBTYPE], panels=[make_panel(["A1", "B1", "C1"])])
    site = toml(
        folder,
        '[files]\nclinical = "c.csv"\nexpression = "e.csv"\norientation = "genes_by_samples"\n',
    )

    def kept(some: list[int]) -> Counter[tuple[object, ...]]:
        head = [["gene", *(names[place] for place in some)]]
        body = [[gene, *(columns[place][row] for place in some)] for row, gene in enumerate(GENES)]
        text = "\n".join(",".join(line) for line in head + body) + "\n"
        (folder / "e.csv").write_bytes(text.encode("utf-8", "surrogatepass"))
        return of_person(one, site)

    order = data.draw(st.permutations(range(len(columns))))
    whole = kept(order)
    assert whole.total() == len(columns)
    gone = data.draw(st.sampled_from(order))
    rest = kept([place for place in order if place != gone])
    assert whole - rest == kept([gone])
    assert rest - whole == Counter()


GENES = ("A1", "B1", "C1")


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"), st.integers(0, 9), st.floats(), st.sampled_from(["CIN", "GS"])
        ),
        max_size=8,
        unique_by=lambda row: row[1],
    ),
    st.lists(st.tuples(st.integers(0, 9), st.floats()), max_size=8, unique_by=lambda row: row[0]),
    st.sampled_from([(1, None, None), (2, None, "day"), (1, "subtype", None)]),
)
def test_removing_a_person_from_joined_files(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, int, float, str]],
    expressed: list[tuple[int, float]],
    rule: tuple[int, str | None, str | None],
) -> None:
    """With a person both go: the clinical rows and the expression rows of their samples."""
    folder = tmp_path_factory.mktemp("joined")
    samples, per, keep = rule
    one = program(samples=samples, per=per, keep=keep, columns=[SUBTYPE], panels=ONE_GENE)

    def kept(persons: str, *, without: str = "") -> Counter[tuple[object, ...]]:
        some = [row for row in rows if row[0] in persons]
        gone = {row[1] for row in rows if row[0] in without}
        clinical = pd.DataFrame(some, columns=["patient", "sample", "day", "subtype"])
        expression = pd.DataFrame(
            [row for row in expressed if row[0] not in gone], columns=["sample", "MLH1"]
        )
        return of_person(one, joined(folder, clinical, expression))

    whole = kept("abc")
    for person in "abc":
        rest = "abc".replace(person, "")
        own = kept(person, without=rest)
        assert whole - kept(rest, without=person) == own
        assert kept(rest, without=person) - whole == Counter()
        assert own.total() <= samples * (2 if per else 1)


def test_the_key_is_used(tmp_path: Path) -> None:
    path = write(tmp_path, patient=["a"] * 9, subtype=["CIN"] * 9, MLH1=list(range(9)))
    one = program(columns=[SUBTYPE], panels=ONE_GENE)
    chosen = {read(path, one, bytes([n]))[0].expression["MLH1"][0] for n in range(60)}
    assert len(chosen) == 9
    assert len({read(path, one, KEY)[0].expression["MLH1"][0] for _ in range(3)}) == 1
