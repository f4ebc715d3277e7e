"""`secgen evaluate` on the demo's data, on pairs of tables, and on what does not go together."""

import json
import re
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pypdf
import pytest

from secgen_dsl.evaluation.report.parts import marks
from tests.cli.commands import Ended, secgen
from tests.conftest import SPECS
from tests.describe.browser import CHROMIUM, Browser

HOSPITALS = SPECS / "two_hospitals.secgen"
DATA = SPECS / "data"
REAL = ("--real", DATA / "europe.csv.gz", "--real", DATA / "south.csv.gz")
HELD = ("--holdout", DATA / "withheld.csv.gz")
KNOWN = ("--reference", DATA / "colorectal_reference.csv.gz")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluate") / "results"
    assert secgen("run", HOSPITALS, "--backend", "plaintext", "-o", out).code == 0
    return out


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sets") / "sets.gmt"
    file.write_text("repair\tx\tMLH1\tMSH2\nother\tx\tMSH6\tPMS2\tMSH2\nnone\tx\tA\tB\n")
    return file


@pytest.fixture(scope="module")
def page(results: Path, sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All options; "without noise": the real rows themselves."""
    out = tmp_path_factory.mktemp("page")
    bare = out / "bare.csv"
    silos = [pd.read_csv(DATA / f"{name}.csv.gz") for name in ("europe", "south")]
    pd.concat(silos).to_csv(bare, index=False)
    ended = secgen(
        "evaluate", results, *REAL, *HELD, *KNOWN, "--sets", sets, "--unprotected", bare,
        "--label", "subtype", "-o", out,
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert "not for release" in ended.out
    return out / "evaluation.html"


def test_a_run_is_compared_as_its_plan_says(page: Path) -> None:
    found = json.loads((page.parent / "evaluation.json").read_bytes())
    assert (found["format"], found["release"]) == ("secgen.evaluation/1", False)
    assert "private data" in found["private"]
    assert (found["label"], found["classes"]) == ("subtype", ["CIN", "GS", "MSI"])
    assert found["rows"]["real"] == 221 + 76
    assert found["tested_on"] == "withheld rows"
    assert found["fidelity"]["bins"] == "the plan's"
    assert 0.5 < found["utility"]["logistic"]["real"]["accuracy"] <= 1
    assert len(found["biology"]["differential_expression"]["pairs"]) == 3
    assert found["biology"]["gene_sets"]["sets"] == 2
    attacks = found["privacy"]["attacks"]
    assert [attack["above_the_promise"] for attack in attacks] == [False] * 3
    density = attacks[-1]
    assert density["attack"] == "density ratio (DOMIAS)"
    assert density["evidence"]  # on the real rows themselves it succeeds
    assert density["tpr_at_fpr"]["0.001"] is None  # of 98 others, none is 0.1%
    sizes = [line["measured"] for line in found["fairness"]]
    assert len(sizes) == 3
    assert abs(sizes[0] - 156) < 500  # CIN: 156 people, with fresh noise of some 50


def test_the_page_is_whole_and_stands_alone(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.index("Not for release.") < text.index("<main")
    assert "<script" not in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    pictures = [f"<svg{part.split('</svg>')[0]}</svg>" for part in text.split("<svg")[1:]]
    assert (
        len(pictures) == 2 + 2 + 2 + 3 + 1
    )  # confusion, rows and genes, maps and sets, pairs, ROC
    names = set()
    for picture in pictures:
        root = ElementTree.fromstring(picture)  # noqa: S314
        names.add(root.get("id"))
        title, about = (root.find(f"{{http://www.w3.org/2000/svg}}{n}") for n in ("title", "desc"))
        assert title is not None
        assert about is not None
        assert title.text
        assert len(about.text or "") > 60
    assert len(names) == len(pictures)
    assert text.count("<summary>The same in numbers</summary>") == len(pictures)


def test_without_withheld_rows_it_is_said(results: Path) -> None:
    ended = secgen("evaluate", results, *REAL, *KNOWN, "--json")
    assert ended.code == 0
    found = ended.json["evaluation"]
    assert found["label"] == "sex"  # the first beside a panel
    assert found["tested_on"].startswith("the real rows")
    assert found["privacy"] is None
    assert [each["code"] for each in ended.json["diagnostics"]] == ["SG719"]


# -- pairs of tables -----------------------------------------------------------------------------


def rows(seed: int, number: int = 60, genes: int = 4, **more: Any) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        rng.normal(size=(number, genes)), columns=[f"G{place}" for place in range(genes)]
    )
    kinds = np.array(["A", "B"])[np.arange(number) % 2]
    table["G0"] += 2 * (kinds == "A")
    table.insert(0, "kind", kinds)
    return table.assign(**more)


def compare(folder: Path, made: pd.DataFrame, real: pd.DataFrame, *more: str | Path) -> Ended:
    made.to_csv(folder / "made.csv", index=False)
    real.to_csv(folder / "real.tsv", index=False, sep="\t")
    return secgen("evaluate", folder / "made.csv", "--real", folder / "real.tsv", *more, "--json")


def test_any_two_tables_can_be_compared(tmp_path: Path) -> None:
    real = rows(1).assign(Z=1.0, patient=[f"P{n}" for n in range(60)], rare="x")
    real.loc[:1, "kind"] = "C"
    rows(2).to_csv(tmp_path / "held.csv", index=False)
    ended = compare(
        tmp_path, rows(0).iloc[:, ::-1], real, "--holdout", tmp_path / "held.csv", "-o",
        tmp_path / "out",
    )  # fmt: skip
    assert ended.code == 0
    found = ended.json["evaluation"]
    assert (found["label"], found["classes"], found["genes"]) == ("kind", ["A", "B"], 4)
    assert found["utility"]["logistic"]["synthetic"]["accuracy"] > 0.7
    assert found["privacy"]["attacks"][0]["above_the_promise"] is None
    assert found["privacy"]["attacker_knows"].startswith("half")
    assert (tmp_path / "out" / "evaluation.html").exists()
    scores = found["utility"]["logistic"]["real"]
    assert scores["majority_rate"] == 0.5  # of the 60 withheld rows 30 are A
    text = (tmp_path / "out" / "evaluation.html").read_text(encoding="utf-8")
    assert "majority class for all 0.500" in text
    assert "balanced accuracy" in text


def test_formats_and_a_site(results: Path, tmp_path: Path) -> None:
    """Parquet and h5ad hold the same rows as CSV; a site.toml maps its own names."""
    import anndata

    made, real = rows(0), rows(1)
    made.to_csv(tmp_path / "made.csv", index=False)
    real.to_csv(tmp_path / "real.csv", index=False)
    real.to_parquet(tmp_path / "real.parquet")
    anndata.AnnData(
        real.drop(columns="kind").to_numpy(),
        obs=real[["kind"]].set_index(real.index.astype(str)),
        var=pd.DataFrame(index=real.columns[1:]),
    ).write_h5ad(tmp_path / "real.h5ad")
    same = [
        secgen(
            "evaluate", tmp_path / "made.csv", "--real", tmp_path / f"real.{kind}", "--json"
        ).json["evaluation"]
        for kind in ("csv", "parquet", "h5ad")
    ]
    assert same[0] == same[1] == same[2]
    silo = pd.read_csv(DATA / "europe.csv.gz").rename(columns={"subtype": "kind"})
    silo.to_csv(tmp_path / "silo.csv", index=False)
    site = tmp_path / "site.toml"
    site.write_text('[files]\nexpression = "silo.csv"\n[columns]\nsubtype = "kind"\n')
    ended = secgen("evaluate", results, "--site", site, "--label", "subtype", "--json")
    assert ended.json["evaluation"]["rows"]["real"] == 221
    assert secgen("evaluate", results, "--real", tmp_path / "silo.csv").codes() == ["SG413"]


def test_a_hostile_name_is_no_markup(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>"
    tables = [
        rows(seed).rename(columns={"G1": bad}).replace({"kind": {"A": bad}}) for seed in (0, 1)
    ]
    assert compare(tmp_path, *tables, "-o", tmp_path / "out").code == 0
    assert "<script" not in (tmp_path / "out" / "evaluation.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("code", "change", "more"),
    [
        ("SG713", {}, ("--holdout", "none.csv")),
        ("SG713", {}, ("--holdout", "site.toml")),
        ("SG714", {"G1": "x", "G2": "x", "G3": "x"}, ()),
        ("SG715", {}, ("--label", "kinds")),
        ("SG715", {"second": ["x", "y"] * 30}, ()),
        ("SG715", {"kind": "none of them"}, ("--label", "kind")),
        ("SG717", {"kind": ["A"] * 58 + ["B"] * 2}, ()),
        ("SG718", {"G1": [float("nan")] + [0.0] * 59}, ()),
        ("SG718", {"G1": [float("inf")] + [0.0] * 59}, ()),
        ("SG718", {"G1": [1e300] + [0.0] * 59}, ()),  # its square is infinite
        ("SG213", {}, ("--sets", "none.gmt")),
    ],
    ids=range(11),
)
def test_what_does_not_go_together(
    tmp_path: Path, code: str, change: dict[str, Any], more: tuple[str, ...]
) -> None:
    made = rows(0).assign(second=["x", "y"] * 30) if "second" in change else rows(0)
    ended = compare(tmp_path, made, rows(1).assign(**change), *more)
    assert (ended.code, ended.codes()) == (1, [code])


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    real, other = tmp_path / "real.csv", tmp_path / "other.csv"
    rows(1).to_csv(real, index=False)
    for text, said in (
        (rows(0).to_csv(index=False, sep=";"), ["SG713"]),
        ("\0\1PK\3junk", ["SG713"]),
        (rows(0).head(0).to_csv(index=False), ["SG717"]),  # not: has no labels
    ):
        other.write_text(text)
        assert secgen("evaluate", other, "--real", real).codes() == said
        assert secgen("evaluate", real, "--real", other).codes() == said
    assert secgen("evaluate", real, "--real", real, "-o", other).codes() == ["SG701"]


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    """Genes that one table lacks or has words in, labels that only one has."""
    made, real = rows(0, 90, 6), rows(1, 90, 6)
    made["G5"] = made["G5"].astype(str).where(made.index > 0, "high")
    made.loc[:20, "kind"], real.loc[:20, "kind"] = "D", "C"
    found = compare(tmp_path, made.drop(columns="G4"), real).json
    warned = {each["code"]: each["message"] for each in found["diagnostics"]}
    assert warned == {
        "SG714": "4 columns are compared; 2 are left out, for not all tables hold them as numbers: "
        "G4, G5",
        "SG715": 'values of "kind" that are left out: "C" (real rows only), '
        '"D" (synthetic rows only)',
    }
    assert (found["evaluation"]["genes"], found["evaluation"]["classes"]) == (4, ["A", "B"])


def test_another_unit_is_said(tmp_path: Path) -> None:
    made, real = rows(0), rows(1)
    genes = list(real.columns[1:])
    made[genes] = 2 ** (made[genes] + 12)
    found = compare(tmp_path, made, real).json["diagnostics"]
    assert [each["code"] for each in found] == ["SG720"]
    assert "synthetic rows look like another unit" in found[0]["message"]


def test_a_single_class_is_no_matter_of_spelling(tmp_path: Path) -> None:
    made = rows(0).query("kind == 'A'")
    for more in ((), ("--label", "kind")):
        (found,) = compare(tmp_path, made, rows(1), *more).json["diagnostics"]
        assert found["code"] == "SG715"
        assert 'the same "kind"' in found["message"]
        assert "spell" not in found["next"]


def test_more_rows_are_compared_as_a_table(results: Path, tmp_path: Path) -> None:
    more = ("--rows", "80", "--seed", "1", "--out", tmp_path / "more")
    assert secgen("synthesize", results, "--spec", HOSPITALS, *more).code == 0
    found = secgen("evaluate", tmp_path / "more", *REAL, "--label", "subtype", "--json")
    assert found.code == 0, found.out
    assert found.json["evaluation"]["rows"]["synthetic"] == 80
    assert found.json["evaluation"]["genes"] == 5


def test_a_class_that_no_synthetic_row_is_of(results: Path, tmp_path: Path) -> None:
    """It is judged all the same: whoever uses the rows will never find it."""
    folder = tmp_path / "results"
    shutil.copytree(results, folder)
    made = pd.read_csv(folder / "synthetic.csv")
    made[made["subtype"] != "MSI"].to_csv(folder / "synthetic.csv", index=False)
    found = secgen("evaluate", folder, *REAL, "--label", "subtype", "--json").json
    assert [each["code"] for each in found["diagnostics"]] == ["SG716"]
    assert found["evaluation"]["classes"] == ["CIN", "GS", "MSI"]
    assert found["evaluation"]["fairness"][2]["recall"]["logistic"] == 0


def test_many_classes_in_the_figures(tmp_path: Path) -> None:
    """Columns of a confusion are numbered where names do not fit; marks are not used twice."""
    tables = [rows(seed, 120) for seed in (0, 1)]
    for table in tables:
        table["kind"] = [f"class number {n % 8}" for n in range(120)]
    assert compare(tmp_path, *tables, "-o", tmp_path / "out").code == 0
    text = (tmp_path / "out" / "evaluation.html").read_text(encoding="utf-8")
    assert "Columns have the numbers of the lines." in text
    assert re.search(r">class n\w*… · 8<", text)
    assert len({marks(kind, [(0, 0)]) for kind in range(36)}) == 36


def test_few_rows_and_rare_classes(tmp_path: Path) -> None:
    assert compare(tmp_path, rows(0), rows(1, 8)).codes() == ["SG717"]
    made, real = rows(0), rows(1)
    made.loc[:5, "kind"] = real.loc[:2, "kind"] = "C"
    ended = compare(tmp_path, made, real)
    assert ended.code == 0
    assert [each["code"] for each in ended.json["diagnostics"]] == ["SG716"]
    assert ended.json["evaluation"]["classes"] == ["A", "B"]


def test_real_rows_are_needed(tmp_path: Path) -> None:
    assert secgen("evaluate", tmp_path / "x.csv").code == 2
    assert secgen("evaluate", tmp_path, *REAL).codes() == ["SG531"]


# -- in a browser --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no {CHROMIUM} (Debian: chromium)")
def test_the_page_in_a_browser(page: Path, tmp_path: Path) -> None:
    with Browser() as browser:
        browser.size(1100, 900)
        browser.open(page)
        assert {url.split(":")[0] for url in browser.requests} == {"file", "data"}
        assert browser.messages == []
        ground = "getComputedStyle(document.body).backgroundColor"
        light = browser.run(ground)
        browser.media("screen", "dark")
        assert browser.run(ground) != light
        browser.size(360, 800)
        assert browser.run("document.documentElement.scrollWidth") <= 360
        browser.media("print")
        printed = tmp_path / "page.pdf"
        printed.write_bytes(browser.paper())
    words = "".join(sheet.extract_text() for sheet in pypdf.PdfReader(printed).pages)
    assert "Not for release." in words
    assert "Attacks on membership" in words
