"""One cohort in every format gives the same samples; files that are none stop a site."""

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from secgen_dsl.runtime.site.source import moment_of
from tests.runtime.studies import (
    GENES,
    Cohort,
    cohort,
    counted,
    fault,
    faults,
    program,
    read,
    samples_of,
    toml,
    write_csv,
    write_h5ad,
    write_parquet,
)
from tests.site_programs import make_panel

COHORT = cohort()


def table_csv(name: str) -> Callable[[Path], Path]:
    return lambda folder: write_csv(folder / name, COHORT.table())


def table_parquet(folder: Path) -> Path:
    return write_parquet(folder / "table.parquet", COHORT.table())


def table_h5ad(kind: str, layer: str = "", **options: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        write_h5ad(folder / "table.h5ad", COHORT, kind, layer=layer, **options)
        named = f'layer = "{layer}"' if layer else ""
        return toml(folder, f'[files]\nexpression = "table.h5ad"\n{named}\n')

    return write


def joined(expression: str, clinical: str, *, turned: bool = False) -> Callable[[Path], Path]:
    """Two files; the rows of the expression values in another order, and one more."""

    def write(folder: Path) -> Path:
        columns = pd.DataFrame(dict(COHORT.columns))
        if clinical.endswith("parquet"):
            write_parquet(folder / clinical, columns)
        elif clinical.endswith("h5ad"):
            write_h5ad(folder / clinical, Cohort(COHORT.columns, {"X1": [0.0] * len(columns)}))
        else:
            write_csv(folder / clinical, columns)
        values = COHORT.genes()
        values.loc["stranger"] = 1.0
        values = values.iloc[::-1]
        if turned:
            values = values.T
        if expression.endswith("parquet"):
            values.to_parquet(folder / expression)
        elif expression.endswith("h5ad"):
            turned_columns = {"sample": list(values.index)}
            write_h5ad(folder / expression, Cohort(turned_columns, values.to_dict("list")))
        else:
            write_csv(folder / expression, values, index="")
        orientation = 'orientation = "genes_by_samples"' if turned else ""
        return toml(
            folder,
            f'[files]\nexpression = "{expression}"\nclinical = "{clinical}"\n{orientation}\n',
        )

    return write


WAYS: dict[str, Callable[[Path], Path]] = {
    "csv": table_csv("table.csv"),
    "csv gz": table_csv("table.csv.gz"),
    "tsv": table_csv("table.tsv"),
    "tsv gz": table_csv("table.tsv.gz"),
    "parquet": table_parquet,
    "h5ad dense": table_h5ad("dense"),
    "h5ad packed": table_h5ad("dense", compression="gzip"),
    "h5ad csr": table_h5ad("csr"),
    "h5ad csc": table_h5ad("csc", "raw counts", compression="gzip"),
    "h5ad csr layer": table_h5ad("csr", "log"),
    "csv and csv": joined("e.csv", "c.tsv"),
    "csv gz turned": joined("e.csv.gz", "c.csv", turned=True),
    "tsv turned": joined("e.tsv", "c.parquet", turned=True),
    "parquet and csv": joined("e.parquet", "c.csv"),
    "parquet turned": joined("e.parquet", "c.tsv.gz", turned=True),
    "h5ad and csv": joined("e.h5ad", "c.csv"),
    "csv and h5ad": joined("e.csv", "c.h5ad"),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_samples(tmp_path: Path, way: str) -> None:
    table, report = read(WAYS[way](tmp_path))
    expected, _ = read(write_csv(tmp_path / "plain.csv", COHORT.table()))
    assert samples_of(table) == samples_of(expected)
    assert table.rows == report.samples == report.people == 12
    assert all(values.dtype == np.float64 for values in table.expression.values())
    assert table.expression["MLH1"].tolist() == COHORT.expression["MLH1"]
    assert report.expression_without_row == (1 if " and " in way or "turned" in way else 0)


@pytest.mark.parametrize(
    "way", ["h5ad dense", "h5ad csr", "h5ad csc", "csv and csv", "csv gz turned", "parquet and csv",
            "parquet turned", "h5ad and csv"]
)  # fmt: skip
def test_library_sizes_are_the_sum_of_all_genes_in_every_format(tmp_path: Path, way: str) -> None:
    panel = counted(make_panel(GENES[:2]), None)
    table, report = read(WAYS[way](tmp_path), program(panels=[panel]))
    values = COHORT.genes().to_numpy()
    expected = np.where(values > 0, values, 0).sum(axis=1)
    assert table.library_sizes["panel"].tolist() == expected.tolist()
    assert report.library_sizes["panel"].greatest == expected.max()


def test_float32_is_read_exactly_and_texts_have_its_own_digits(tmp_path: Path) -> None:
    third = np.array([1 / 3], dtype=np.float32)
    columns = {"patient": ["p"], "subtype": third, "sex": [True], "age": third}
    for gene in GENES:
        columns[gene] = third
    table, report = read(write_parquet(tmp_path / "t.parquet", columns))
    assert table.expression["MLH1"].tolist() == table.numbers["age"].tolist() == [float(third[0])]
    assert report.labels["subtype"].unknown == {"0.33333334": 1}
    assert report.labels["sex"].unknown == {"True": 1}


def test_numbers_as_texts_and_integers_as_keys(tmp_path: Path) -> None:
    columns = {
        # Beyond float64's integers: a detour through floats would make one person of two.
        "patient": pa.array([2**60, 2**60 + 1, None]),
        "subtype": pa.array(["MSI", "GS", "CIN"]).dictionary_encode(),
        "sex": pa.array(["male", None, "female"]),
        "age": pa.array(["61.5", "?", "1e1"]),
        "MLH1": pa.array(["1.25", "n/a", "3"]),
        "MSH2": pa.array([1, None, 3]),
        "MSH6": pa.array([True, False, None]),
        "PMS2": pa.array([None, None, None]),
    }
    table, report = read(write_parquet(tmp_path / "t.parquet", columns))
    assert report.rows_without_person == 1
    assert samples_of(table) == [
        ("", "GS", None, None, None, 0.0, None),
        ("male", "MSI", 61.5, 1.25, 1.0, 1.0, None),
    ]


def test_an_index_names_samples_only_to_join(tmp_path: Path) -> None:
    """In one table it is often the number of the row: the choice would hang on other rows."""
    frame = COHORT.table().drop(columns="sample")
    frame["patient"] = ["same", "other"] * 6
    kept = set()
    for rows in (frame, frame.iloc[::-1], frame.sort_values("age")):
        path = write_csv(tmp_path / "t.csv", rows.reset_index(drop=True), index="")
        kept.add(tuple(samples_of(read(path)[0])))
    assert len(kept) == 1


def test_pandas_index_of_a_parquet_file(tmp_path: Path) -> None:
    clinical = pd.DataFrame(dict(COHORT.columns)).rename(columns={"sample": "aliquot"})
    for name in (None, "aliquot"):
        values = COHORT.genes()
        values.index.name = name
        values.to_parquet(tmp_path / "e.parquet")
        write_csv(tmp_path / "c.csv", clinical)
        site = toml(
            tmp_path, '[files]\nexpression = "e.parquet"\nclinical = "c.csv"\nsample = "aliquot"\n'
        )
        table, report = read(site)
        assert table.rows == 12
        assert report.files["expression"].sample == (name or "(row names)")


# Files that cannot be read


def test_formats_and_layers_that_do_not_fit(tmp_path: Path) -> None:
    write_h5ad(tmp_path / "t.h5ad", COHORT, layer="log")
    write_csv(tmp_path / "t.csv", COHORT.table())
    (tmp_path / "text.h5ad").write_text("patient\n")
    (tmp_path / "t.h5ad.gz").write_bytes(gzip.compress((tmp_path / "t.h5ad").read_bytes()))
    with h5py.File(tmp_path / "other.h5ad", "w") as file:
        file["x"] = [1]
    cases = {
        'expression = "t.h5ad"\nlayer = "logs"': ("SG420", 'no layer "logs"', 'mean "log"?'),
        'expression = "t.csv"\nlayer = "log"': ("SG420", "no layers", "take the line out"),
        'expression = "text.h5ad"': ("SG420", "it is none", "ending"),
        'expression = "t.h5ad.gz"': ("SG420", "packed", "unpack"),
        'expression = "other.h5ad"': ("SG420", "`obs` and `var`", "write_h5ad"),
        'expression = "t.h5ad"\norientation = "genes_by_samples"': ("SG420", "obs", "adata.T"),
        'orientation = "genes_by_samples"\nexpression = "t.csv"': ("SG418", "column", "clinical"),
        'clinical = "t.csv"': ("SG418", "no file of expression", "expression ="),
        'layer = "log"': ("SG418", "no file is named", "expression ="),
        'expression = "absent.csv"': ("SG411", "cannot be read", "check the path"),
        'expression = "t.csv"\nsample = "aliquot"': ("SG413", '"aliquot"', "sample ="),
    }  # fmt: skip
    for text, (code, words, step) in cases.items():
        found = fault(toml(tmp_path, f"[files]\n{text}\n"))
        assert found.code == code, text
        assert words in found.message
        assert step in found.next_step + found.local


@pytest.mark.parametrize("name", ["t.parquet", "t.h5ad"])
@pytest.mark.parametrize("cut", [8, 100, 0.5, -20])
def test_files_that_are_cut_short(tmp_path: Path, name: str, cut: float) -> None:
    whole = WAYS["parquet" if "parquet" in name else "h5ad packed"](tmp_path)
    data = (tmp_path / ("table" + Path(name).suffix)).read_bytes()
    length = int(len(data) * cut) if isinstance(cut, float) else cut
    (tmp_path / name).write_bytes(data[:length])
    assert whole.exists()
    assert fault(tmp_path / name).code in ("SG411", "SG420")


@pytest.mark.parametrize("name", ["table.parquet", "table.h5ad"])
def test_files_with_bytes_that_were_changed(tmp_path: Path, name: str) -> None:
    """Whatever happens to the bytes: samples, or a diagnostic."""
    WAYS["parquet" if "parquet" in name else "h5ad packed"](tmp_path)
    data = (tmp_path / name).read_bytes()
    draw = np.random.default_rng(3)
    met = set()
    for _ in range(60):
        changed = bytearray(data)
        for place in draw.integers(8, len(data), 2):
            changed[place] = draw.integers(256)
        (tmp_path / name).write_bytes(bytes(changed))
        try:
            read(tmp_path / name)
            met.add("read")
        except Exception as error:
            met.add(getattr(error, "diagnostics", [error])[0].code)
    assert met <= {"read", "SG411", "SG413", "SG414", "SG420", "SG423", "SG415"}
    assert len(met) > 1


def test_a_parquet_column_of_lists(tmp_path: Path) -> None:
    columns = COHORT.table().to_dict("list") | {"sex": pa.array([[1]] * 12)}
    found = fault(write_parquet(tmp_path / "t.parquet", columns))
    assert found.code == "SG420"
    assert found.local.startswith('the column "sex" holds list<')


@pytest.mark.parametrize("name", ["sex", "subtype"])
@pytest.mark.parametrize("length", [0, 3, 40])
def test_a_column_of_obs_that_is_shorter_or_longer(tmp_path: Path, name: str, length: int) -> None:
    path = tmp_path / "t.h5ad"
    write_h5ad(path, COHORT)
    with h5py.File(path, "a") as file:
        attributes = {"encoding-type": "string-array", "encoding-version": "0.2.0"}
        del file["obs"][name]
        stored = file["obs"].create_dataset(
            name, data=np.array(["GS"] * length, dtype=object), dtype=h5py.string_dtype()
        )
        stored.attrs.update(attributes)
    found = fault(path)
    assert (found.code, found.message) == (
        "SG420",
        "a column of `obs` has another length than its index",
    )


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("described", [True, False])
def test_a_fault_of_a_turned_table_names_no_patient(
    tmp_path: Path, ending: str, described: bool
) -> None:
    """The header of such a table, and the first column of the others, may name patients."""
    names = [f"Patient{number}" for number in range(12)]
    write_csv(tmp_path / "c.csv", COHORT.table())
    values = pd.DataFrame(COHORT.genes().to_numpy().T, index=["A", "B", "C", "D"], columns=names)
    if ending == "csv":
        write_csv(tmp_path / "e.csv", values, index="gene")
    else:
        values.to_parquet(tmp_path / "e.parquet")
    turned = 'orientation = "genes_by_samples"\n' if described else ""
    site = toml(tmp_path, f'[files]\nexpression = "e.{ending}"\nclinical = "c.csv"\n{turned}')
    for path in (site, tmp_path / f"e.{ending}"):
        found = faults(path)
        assert found
        assert not any("Patient" in str(each.as_json()) for each in found)


def test_tables_that_are_turned(tmp_path: Path) -> None:
    columns = pd.DataFrame(dict(COHORT.columns))
    write_csv(tmp_path / "c.csv", columns)
    values = COHORT.genes()
    write_csv(tmp_path / "rows.csv", values, index="")
    write_csv(tmp_path / "genes.csv", values.T, index="")
    values.to_parquet(tmp_path / "rows.parquet")
    values.T.to_parquet(tmp_path / "genes.parquet")
    turned = Cohort({"sample": list(GENES)}, values.T.to_dict("list"))
    write_h5ad(tmp_path / "genes.h5ad", turned)
    for name, orientation in [
        ("rows.csv", "genes_by_samples"), ("genes.csv", "samples_by_genes"),
        ("rows.parquet", "genes_by_samples"), ("genes.parquet", "samples_by_genes"),
        ("genes.h5ad", "samples_by_genes"),
    ]:  # fmt: skip
        text = (
            f'[files]\nexpression = "{name}"\nclinical = "c.csv"\norientation = "{orientation}"\n'
        )
        found = fault(toml(tmp_path, text))
        assert found.code == "SG421", name
        assert ("adata.T" if "h5ad" in name else "orientation = ") in found.next_step
        assert orientation not in found.next_step


@pytest.mark.parametrize("join", [("c.csv", "e.csv"), ("c.csv", "e.parquet")])
def test_two_files_that_do_not_name_their_samples(tmp_path: Path, join: tuple[str, str]) -> None:
    clinical, expression = join
    write_csv(tmp_path / clinical, pd.DataFrame(dict(COHORT.columns)))
    values = COHORT.genes().reset_index(drop=True)
    if expression.endswith("parquet"):
        write_parquet(tmp_path / expression, values)
    else:
        write_csv(tmp_path / expression, values)
    found = fault(
        toml(tmp_path, f'[files]\nexpression = "{expression}"\nclinical = "{clinical}"\n')
    )
    assert found.code == "SG413"
    assert expression in found.place
    assert "does not name its samples" in found.message


# With genes as rows


def turned_site(folder: Path, text: str, name: str = "e.csv") -> Path:
    (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    write_csv(
        folder / "c.csv",
        pd.DataFrame(
            {"sample": ["s1", "s2"], "patient": ["p1", "p2"], "subtype": "CIN", "sex": "male"}
        ),
    )
    return toml(
        folder,
        f'[files]\nexpression = "{name}"\nclinical = "c.csv"\norientation = "genes_by_samples"\n',
    )


TURNED = program(columns=[program().columns[0]], panels=[make_panel(["MLH1", "MSH2"])])


@pytest.mark.parametrize(
    "text",
    [
        "gene,s1,s2\nMLH1,1,2\nMSH2,3,4\n",
        '"","s1","s2"\n"MLH1","1",2\n"MSH2",3,4\n',  # as R's write.csv writes it
        "\ufeffgene,s1,s2\r\n\r\nMLH1,1,2\r\nMSH2, 3 ,4\r\n",
        "gene,s1,other,s2\nMLH1,1,9,2\nTP53,9,9,9\nMSH2,3,9,4",
    ],
)
def test_ways_to_write_genes_as_rows(tmp_path: Path, text: str) -> None:
    table, _ = read(turned_site(tmp_path, text), TURNED)
    assert table.expression["MLH1"].tolist() == [1, 2]
    assert table.expression["MSH2"].tolist() == [3, 4]
    tabs = text.replace(",", "\t")
    for name in ("e.tsv", "e.txt"):
        again, _ = read(turned_site(tmp_path, tabs, name), TURNED)
        assert samples_of(again) == samples_of(table)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("gene,s1,s2\nMLH1,1,2\nMSH2,3\n", "SG416", "row 3 has 2 fields"),
        ('gene,s1,s2\nMLH1,"1,5",2\nMSH2,3,4\n', "SG416", "row 2 has 4 fields"),
        ('gene,s1,s2\nMLH1,1,"2,5"\nMSH2,3,"2,5"\n', "SG416", "row 2 has 4 fields"),
        ("s1,s2\nMLH1,1,2\nMSH2,3,4\n", "SG416", "has 3 fields where the header has 2"),  # R
        ("gene;s1;s2\nMLH1;1;2\n", "SG412", "semicolons"),
        ("gene\ts1\ts2\nMLH1\t1\t2\n", "SG412", "tabs"),
        ("gene,s1\rMLH1,1\rMSH2,2\r", "SG411", "lines"),
        ("", "SG411", "empty"),
        ("gene,s1\0\n", "SG411", "UTF-8"),
        ("gene,s1,s2\n", "SG414", "2 of 2 genes"),
    ],
)
def test_genes_as_rows_must_be_a_grid(tmp_path: Path, text: str, code: str, words: str) -> None:
    found = fault(turned_site(tmp_path, text), TURNED)
    assert found.code == code
    assert words in found.message
    if code == "SG416":
        assert ", row " in found.place


# Dates


def test_dates_in_order() -> None:
    texts = [
        "0001-01-01", "1969-12-31", "1970-01", "2019-03", "2019-03-01T00:00:00.000001",
        "2019-03-02T00:30:00+01:00", "20190302T000000", "2019-03-02 00:00:01Z", "9999-12-31",
        "-3", "0", "2019", "20190301", "inf",
    ]  # fmt: skip
    moments = [moment_of(text) for text in texts]
    assert moments == sorted(moments)
    assert len(set(moments)) == len(texts)
    unreadable = ["", "NA", "1.3.2019", "03/01/2019", "nan", "2019-13-01", "0001-01-01T00:00+23:00"]
    assert {moment_of(text) for text in unreadable[:-1]} == {(2, 0)}
    assert moment_of(unreadable[-1]) < moment_of("0001-01-01")


# Nothing is unpickled


HOSTILE = """
import pickle, sys
from pathlib import Path
import h5py, numpy as np, pyarrow as pa, pyarrow.parquet as pq

folder = Path(sys.argv[1])
marker = folder / "ran"

class Bomb:
    def __reduce__(self):
        return (Path.touch, (marker,))

bomb = pickle.dumps(Bomb())
field = pa.field("sex", pa.binary(), metadata={
    b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": bomb})
names = ["sample", "patient", "subtype", "age", "MLH1", "MSH2", "MSH6", "PMS2"]
schema = pa.schema([*(pa.field(n, pa.string()) for n in names), field], metadata={b"pandas": bomb})
pq.write_table(pa.table([*([["1"]] * 8), [bomb]], schema=schema), folder / "bomb.parquet")
with h5py.File(folder / "table.h5ad", "r+") as file:
    del file["obs/sex"]
    file["obs/sex"] = np.frombuffer(bomb * 12, dtype=np.dtype((np.void, len(bomb))))
    file["obs/sex"].attrs["encoding-type"] = "array"
    file["obs/sex"].attrs["encoding-version"] = "0.2.0"
    file["obs"].attrs["pickle"] = np.void(bomb)

seen = []
sys.addaudithook(lambda event, _: seen.append(event) if event.startswith("pickle.") else None)
from tests.runtime.studies import read
for name in ("bomb.parquet", "table.h5ad"):
    try:
        print(name, read(folder / name)[0].rows)
    except Exception as error:
        print(name, error.diagnostics[0].code)
assert not marker.exists()
assert not seen, seen
pickle.loads(bomb)
assert marker.exists() and seen  # the hook and the bomb work
"""


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    WAYS["h5ad dense"](tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE, tmp_path],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["bomb.parquet 1", "table.h5ad SG420"]


def test_a_text_that_is_not_utf8_stops_no_typed_file(tmp_path: Path) -> None:
    WAYS["h5ad dense"](tmp_path)
    with h5py.File(tmp_path / "table.h5ad", "r+") as file:
        file["obs/patient"][0] = b"M\xfcller"
    assert read(tmp_path / "table.h5ad")[0].rows == 12
    bad = pa.Array.from_buffers(
        pa.string(), 12, [None, pa.py_buffer(np.arange(13, dtype="i4")), pa.py_buffer(b"\xff" * 12)]
    )
    columns = COHORT.table().to_dict("list") | {"subtype": bad}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet")[0].rows == 12
