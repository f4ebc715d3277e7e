"""`secgen check-data`: a site sees what its files say, and nobody else does."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from secgen_dsl.cli.field import Field, pointing_to_check_data
from secgen_dsl.diagnostics.diagnostic import SecgenError, fail
from tests.cli.commands import secgen

SPEC = """secgen 1
study "Two columns" { purpose "Tests"; contact "nobody@consortium.example" }
silos hold patients { a terms open; b terms open; c terms open }
trust { tolerate 1 colluding party }
person { key patient; at most 2 samples; keep earliest collected; in at most 1 silo }
columns {
  subtype category { CIN, GS, MSI, unknown } else unknown
  sex     category { female, male }
  age     number 0..100 in bins at 50
}
panel repair expression log2 0..20 { MLH1, MSH2 }
privacy { add or remove one person; epsilon 4; delta 1e-5 }
measure {
  marginal subtype * sex
  marginal subtype * age
  marginal subtype * repair in 4 equal bins
}
release { samples 100 to silos as csv }
"""
TABLE = """sample,patient,collected,cms,sex,age,MLH1,MSH2
s1,p1,2020-01-01,GI.CIN,female,40,1.5,2
s2,p1,2021-01-01,GI.CIN,female,41,30,2
s3,p1,soon,GI.GS,female,42,1,2
s4,p2,2020-01-01,Secret label,Ünknown,140,-1,nan
s4,p2,2020-01-01,Secret label,Ünknown,140,-1,nan
s5,,2020-01-01,CIN,male,12,1,1
s6,p3,2020-01-01,MSI,male,
s7,p4,2020-01-01,"MSI"x,male,,1,1
"""
SITE = """[cohort]
id = "crc-2026"
[files]
expression = "t.csv"
[columns]
subtype = "cms"
[values.subtype]
"GI.CIN" = "CIN"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "s.secgen").write_text(SPEC, encoding="utf-8")
    (tmp_path / "t.csv").write_text(TABLE, encoding="utf-8")
    (tmp_path / "site.toml").write_text(SITE, encoding="utf-8")
    return tmp_path


def test_the_report(folder: Path) -> None:
    ended = secgen("check-data", folder / "s.secgen", "--site", folder / "site.toml")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].startswith("PRIVATE")
    assert "never pass it on" in lines[0]
    for words in [
        "cohort        crc-2026",
        "table         t.csv, text, 7 samples, named by sample, 1 rows do not fit the header",
        "  subtype ← cms",
        "  found       2 by their own names, 0 by the map",
        "  count       4 samples of 3 people",
        "  left out    1 rows without patient",
        "  left out    1 rows whose sample is there before, of the same person",
        "  left out    1 rows beyond 2 of a person",
        "  odd         1 dates that are missing",
        "  values      CIN 2, GS 0, MSI 1, unknown 0",
        "  mapped      GI.CIN 2",
        "  unknown     Secret label 1",
        '  these       count as "unknown"',
        "  unknown     Ünknown 1",
        "  these       add nothing to the tables of this column",
        "  outside     0 below and 1 above the range of the spec (33.3%)",
        "  range       -1 to 30",
        "  values      5, missing 3",
        "  outside     1 below and 1 above the range of the spec (40.0%)",
        "  MSH2 2, MLH1 1",
        "  not stated  the file's values are taken to be in",
        "              log2, as the spec says of repair",
        '  if so       write `unit = "log2"` under [files] of a site.toml',
    ]:
        assert any(line.startswith(words) for line in lines), words
    assert ended.err.count("warning[") == 1
    assert 'many values of the panel "repair" lie outside 0..20: 2 of 5;' in ended.err


def test_the_unit_is_stated(folder: Path) -> None:
    site = folder / "site.toml"
    site.write_text(SITE.replace('"t.csv"', '"t.csv"\nunit = "log2"'), encoding="utf-8")
    ended = secgen("check-data", folder / "s.secgen", "--site", site)
    assert ended.code == 0
    assert "Unit of expression\n  stated      log2\n" in ended.out
    assert "not stated" not in ended.out
    ended = secgen("check-data", folder / "s.secgen", "--site", site, "--json")
    report = ended.json["report"]
    assert (report["unit"], report["panel_units"]) == ("log2", {"repair": "log2"})
    site.write_text(SITE.replace('"t.csv"', '"t.csv"\nunit = "counts"'), encoding="utf-8")
    ended = secgen("check-data", folder / "s.secgen", "--site", site)
    assert (ended.code, ended.codes(), ended.out) == (1, ["SG427"], "")
    # It stops a run as well, before the site's file is opened.
    (folder / "t.csv").unlink()
    sites = []
    for silo in "abc":
        (folder / f"{silo}.toml").write_text(site.read_text(), encoding="utf-8")
        sites.append(f"--data={silo}={folder / silo}.toml")
    out = folder / "out"
    ended = secgen("run", folder / "s.secgen", *sites, "--out", out, "--backend", "plaintext")
    assert (ended.code, set(ended.codes())) == (1, {"SG427"})


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("values", ["log2", "counts"])
def test_no_gene_is_offered_for_a_column(folder: Path, suffix: str, values: str) -> None:
    """PTEN is no gene of the panel; its name is like `pten_id`, but its values are expression."""
    spec = SPEC.replace("key patient", "key pten_id").replace("keep earliest collected;", "")
    if values == "counts":
        counts = "counts as log2(cpm + 1) 0..16 library size from column total"
        spec = spec.replace("log2 0..20", counts)
    (folder / "s.secgen").write_text(spec, encoding="utf-8")
    frame = pd.DataFrame(
        {"subtype": "CIN", "sex": "male", "age": 40, "MLH1": [5, 6], "total": [10**6, 2 * 10**6]}
        | {"MSH2": [5, 6], "PTEN_D": [7, 9] if values == "counts" else [7.5, 9.25]}
    )

    def said() -> str:
        path = folder / f"odd.{suffix}"
        frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
        ended = secgen("check-data", folder / "s.secgen", "--site", path)
        assert (ended.code, ended.codes()) == (1, ["SG413"])
        return ended.err

    assert "did you mean" not in said()
    frame.insert(0, "Pten-Id", ["a1", "a2"])
    assert 'did you mean "Pten-Id"?' in said()
    # A gene of the panel is not offered whatever its values.
    text = (folder / "s.secgen").read_text(encoding="utf-8").replace("pten_id", "MLH11")
    (folder / "s.secgen").write_text(text, encoding="utf-8")
    frame["MLH1"] = ["x", "y"]
    assert "did you mean" not in said()


def test_json(folder: Path) -> None:
    ended = secgen("check-data", folder / "s.secgen", "--site", folder / "site.toml", "--json")
    assert ended.code == 0
    assert list(ended.json) == ["private", "ok", "diagnostics", "report"]
    report = ended.json["report"]
    assert (report["samples"], report["people"]) == (4, 3)
    assert report["columns"]["subtype"] == "cms"
    assert report["labels"]["subtype"]["unknown"] == {"Secret label": 1}
    assert report["panels"]["repair"]["above"] == 1
    assert report["missing_values"] == {"MLH1": 1, "MSH2": 2}


def test_a_bundle_serves_as_well(folder: Path) -> None:
    assert secgen("compile", folder / "s.secgen", "-o", folder / "bundle").code == 0
    ended = secgen("check-data", folder / "bundle", "--site", folder / "site.toml")
    assert ended.code == 0
    assert "4 samples of 3 people" in ended.out


def test_shape_faults_end_with_1(folder: Path) -> None:
    for text, code in [
        (SITE.replace('"cms"', '"CMS"'), "SG413"),
        (SITE.replace("[columns]", "[column]"), "SG418"),
        (SITE.replace('"CIN"', '"GI.CIN"'), "SG418"),
        (SITE.replace("t.csv", "u.csv"), "SG411"),
    ]:
        (folder / "site.toml").write_text(text, encoding="utf-8")
        ended = secgen("check-data", folder / "s.secgen", "--site", folder / "site.toml")
        assert (ended.code, set(ended.codes())) == (1, {code})
        assert ended.out == ""
        assert "Secret" not in ended.err
        ended = secgen("check-data", folder / "s.secgen", "--site", folder / "site.toml", "--json")
        assert (ended.code, set(ended.codes())) == (1, {code})


def test_only_check_data_shows_names_of_the_file(folder: Path) -> None:
    """The header of a table that is turned, for one, names patients."""
    names = [f"Patient{number}" for number in range(4)]
    pd.DataFrame([["TP53", *range(4)]], columns=["patient", *names]).to_csv(
        folder / "t.csv", index=False
    )
    site = folder / "site.toml"
    for options in ((), ("--json",)):
        ended = secgen("check-data", folder / "s.secgen", "--site", site, *options)
        assert ended.code == 1
        assert "the header begins with: patient, Patient0" in ended.out + ended.err
    for silo in "abc":
        (folder / f"{silo}.toml").write_text(site.read_text(encoding="utf-8"), encoding="utf-8")
    sites = [f"--data={silo}={folder / silo}.toml" for silo in "abc"]
    for backend in ("plaintext", "mpyc"):
        options = ("--backend", backend, "--out", folder / backend)
        ended = secgen("run", folder / "s.secgen", *sites, *options)
        assert (ended.code, set(ended.codes())) == (1, {"SG413", "SG414"}), ended.err
        assert "Patient" not in ended.out + ended.err
        for path in (folder / backend).rglob("*"):
            assert path.is_dir() or b"Patient0" not in path.read_bytes()


def test_a_spec_with_an_error(folder: Path) -> None:
    (folder / "s.secgen").write_text(SPEC.replace("trust {", "truts {"), encoding="utf-8")
    ended = secgen("check-data", folder / "s.secgen", "--site", folder / "site.toml")
    assert (ended.code, ended.codes()[0]) == (1, "SG111")


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("MLH1", [4000, 9000, 12000] * 4, 'most values of the panel "repair" lie outside 0..20'),
        ("subtype", ["GI.CIN", "GI.MSI", "CIN"] * 4, 'most values of "subtype" are unknown'),
        ("MLH1", ["1,5", "2,5", "3,5"] * 4, 'most values of the panel "repair" are missing'),
        ("patient", [""] * 12, "no sample counts"),
    ],
)
def test_content_that_is_hardly_what_is_meant(
    folder: Path, column: str, values: list[object], words: str
) -> None:
    frame = pd.DataFrame(
        {"patient": range(12), "collected": "2020", "subtype": "CIN", "sex": "male", "age": 40}
        | {"MLH1": 5.0, "MSH2": 5.0}
    )
    frame[column] = values
    if column == "MLH1":
        frame["MSH2"] = values
    frame.to_csv(folder / "odd.csv", index=False)
    ended = secgen("check-data", folder / "s.secgen", "--site", folder / "odd.csv")
    assert ended.code == 0
    assert "warning[SG425]" in ended.err
    assert words in ended.err
    assert "next:" in ended.err
    ended = secgen("check-data", folder / "s.secgen", "--site", folder / "odd.csv", "--json")
    assert ended.code == 0
    assert {each["code"] for each in ended.json["diagnostics"]} == {"SG425"}


GENES = [f"G{number}" for number in range(10)]
BINNED = SPEC.replace("{ MLH1, MSH2 }", "{ " + ", ".join(GENES) + " }")


@pytest.mark.parametrize(
    ("bins", "shift", "words"),
    [
        ("in 4 equal bins", -6.5, '100% of the values of the panel "repair" fall in the first of'),
        ("in bins at 9, 11", 4.5, "fall in the last of the 3 bins of `marginal subtype * repair"),
        ("in 4 bins from atlas", 3.5, "fall in the last of the 4 bins"),
        ("in 4 bins from atlas", 0.9, '% of the genes of the panel "repair" fall in the last'),
        ("in 4 bins from atlas", -0.9, '% of the genes of the panel "repair" fall in the first'),
        ("in 4 bins from atlas", 0.0, ""),
        ("in 2 equal bins", -6.5, ""),
        ("in 3 equal bins", -2.5, ""),  # half of the values in an end: wide bins do that
    ],
)
def test_values_in_one_end_of_the_bins_look_like_another_unit(
    folder: Path, bins: str, shift: float, words: str
) -> None:
    draw = np.random.default_rng(5)
    values = pd.DataFrame(draw.normal(9, 1, (60, 10)), columns=GENES)
    values.to_csv(folder / "atlas.csv", index=False)
    atlas = 'public atlas from "atlas.csv" log2\n'
    spec = BINNED.replace("in 4 equal bins", bins) + (atlas if "atlas" in bins else "")
    (folder / "s.secgen").write_text(spec, encoding="utf-8")
    people = {"patient": range(60), "collected": "2020", "subtype": "CIN", "sex": "male", "age": 40}
    frame = pd.DataFrame(people).join(pd.DataFrame(draw.normal(9, 1, (60, 10)), columns=GENES))
    frame[GENES] += shift
    frame.to_csv(folder / "odd.csv", index=False)
    ended = secgen("check-data", folder / "s.secgen", "--site", folder / "odd.csv")
    assert ended.code == 0
    assert ("warning[SG425]" in ended.err) == bool(words), ended.err
    assert words in ended.err
    assert not words or "looks like another unit" in ended.err


def test_clinical_rows_without_expression_are_remarked(folder: Path) -> None:
    table = pd.read_csv(folder / "t.csv", nrows=6).drop_duplicates("sample")
    table.to_csv(folder / "t.csv", index=False)
    table[["sample", "MLH1", "MSH2"]].assign(sample=lambda t: "X-" + t["sample"]).to_csv(
        folder / "e.csv", index=False
    )
    site = SITE.replace('"t.csv"', '"e.csv"\nclinical = "t.csv"')
    (folder / "site.toml").write_text(site, encoding="utf-8")
    ended = secgen("check-data", folder / "s.secgen", "--site", folder / "site.toml")
    assert ended.code == 0
    assert "find no row of the expression file" in ended.err
    assert "0 samples of 0 people" in ended.out


def test_nothing_is_written(folder: Path) -> None:
    def state() -> dict[str, str]:
        return {
            str(path): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*")
            if path.is_file()
        }

    before = state()
    command = [sys.executable, "-m", "secgen_dsl.cli.main", "check-data", "s.secgen"]
    done = subprocess.run(
        [*command, "--site", "site.toml", "--json"], cwd=folder, capture_output=True, check=True
    )
    assert json.loads(done.stdout)["ok"]
    assert state() == before


def test_texts_that_are_none_can_be_shown(folder: Path) -> None:
    data = TABLE.replace("Secret label", "M\udcfc\x1b[31mller").encode("utf-8", "surrogateescape")
    (folder / "t.csv").write_bytes(data)
    for options in ([], ["--json"]):
        ended = secgen("check-data", folder / "s.secgen", "--site", folder / "site.toml", *options)
        assert ended.code == 0
        assert "\x1b" not in ended.out


def test_a_run_takes_site_toml_wherever_it_takes_a_table(folder: Path) -> None:
    for silo in "abc":
        (folder / silo).mkdir()
        text = TABLE.replace("s1,p1", f"s1,{silo}1")
        (folder / silo / "t.csv").write_text(text, encoding="utf-8")
        (folder / silo / "site.toml").write_text(SITE, encoding="utf-8")
    simulate = 'simulate { a "a/site.toml"; b "b/site.toml"; c "c/site.toml" }\n'
    (folder / "s.secgen").write_text(SPEC + simulate, encoding="utf-8")
    ended = secgen(
        "run", folder / "s.secgen", "--backend", "plaintext", "-o", folder / "out",
        "--data", f"b={folder / 'b' / 'site.toml'}",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    ended = secgen("run", folder / "s.secgen", "-o", folder / "mpyc")
    assert ended.code == 0, ended.err
    reading = [
        json.loads(path.read_text())
        for path in (folder / "mpyc" / "parties").glob("*/reading.json")
    ]
    assert {report["cohort"] for report in reading} == {"crc-2026"}
    assert all(report["labels"]["subtype"]["mapped"] == {"GI.CIN": 2} for report in reading)
    # Nothing of the sites' names of files, columns and values is in what is passed on.
    for path in (folder / "mpyc").iterdir():
        if path.is_file():
            data = path.read_bytes()
            assert not [word for word in (b"site.toml", b"cms", b"Secret") if word in data]


@pytest.mark.parametrize(("code", "points"), [("SG413", True), ("SG504", False)])
def test_a_party_that_cannot_read_its_table_points_to_it(code: str, points: bool) -> None:
    here = Path("here")
    field = Field(here / "bundle", "a", here, here, Path("my site.toml"), here, here, None)
    with pytest.raises(SecgenError) as caught, pointing_to_check_data(field):
        raise fail(code, "the file has no column", next_step="map it")
    step = caught.value.diagnostics[0].next_step
    assert step.startswith("map it")
    assert ("`secgen check-data here/bundle --site 'my site.toml'`" in step) == points
