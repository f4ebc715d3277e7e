"""`secgen init`: whatever is answered passes `check`; nothing that a table holds is given away."""

import csv
import gzip
import os
import pty
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from secgen_dsl.cli import study as study_module
from secgen_dsl.cli.study import PlannedStudy, plan_spec
from secgen_dsl.diagnostics.diagnostic import Source
from secgen_dsl.ir.program import UNITS, CategoryColumn
from secgen_dsl.runtime.site.description import Site
from tests.cli.commands import Ended, secgen
from tests.conftest import SPECS

DEMO = SPECS / "data" / "europe.csv.gz"
PROTECTED = {"key": "patient", "samples": "1", "in silos": "1", "adjacency": "add"}


def piped(**answers: str | Iterable[str]) -> str:
    """All questions in their order, without those that only some answers lead to.

    Of the label columns' own questions the first, category or number, is left out where there is
    one column: it is a category.
    """
    asked: dict[str, str | Iterable[str]] = {
        "title": "", "silos": "", "helpers": (), "terms": "", "tolerated": "",
        **{name.replace(" ", "_"): text for name, text in PROTECTED.items()},
        "people": "", "labels": "", "values": ("", ""), "unit": "", "library": (), "genes": "",
        "range": "", "epsilon": "", "rows": "",
    }  # fmt: skip
    assert answers.keys() <= asked.keys()
    asked |= answers
    if "terms" not in answers:  # kind and code of each silo
        named = asked["silos"] if isinstance(asked["silos"], str) else [*asked["silos"]][-1]
        asked["terms"] = [""] * (2 * len((named or "a, b, c").split(",")))
    if "," not in asked["labels"]:
        asked["values"] = ["", *asked["values"]]
    lines = [[text] if isinstance(text, str) else [*text] for text in asked.values()]
    return "".join(f"{line}\n" for each in lines for line in each)


def written(folder: Path, ended: Ended, site: bool = True) -> PlannedStudy:
    """What was written: it passes `check` and `fmt --check`, and `site.toml` is one."""
    assert ended.code == 0, ended.err + ended.out
    spec = folder / "study.secgen"
    expected = {"study.secgen", "site.toml"} if site else {"study.secgen"}
    assert expected <= {path.name for path in folder.iterdir()}
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    checked = secgen("check", spec)
    assert checked.code == 0, checked.err
    assert secgen("fmt", "--check", spec).code == 0
    if site:
        assert Site(folder / "site.toml", "").description.files.expression
    return plan_spec(spec)


def test_every_question_has_an_answer_that_is_safe(tmp_path: Path) -> None:
    program = written(
        tmp_path, secgen("init", tmp_path / "study.secgen", stdin=piped())
    ).plan.program
    assert [silo.name for silo in program.silos] == ["north", "south", "west"]
    assert {silo.terms.kind for silo in program.silos} == {"controlled"}
    assert program.tolerated == 1
    assert program.samples is not None
    assert {program.samples.audience.kind, program.measurements.kind} == {"silos"}
    assert program.privacy.epsilon == 1


def test_with_yes_only_what_is_protected_is_asked(tmp_path: Path) -> None:
    stdin = "".join(f"{answer}\n" for answer in PROTECTED.values())
    ended = secgen("init", tmp_path / "study.secgen", "--yes", stdin=stdin)
    quickly = written(tmp_path, ended).plan
    (tmp_path / "asked").mkdir()
    ended = secgen("init", tmp_path / "asked" / "study.secgen", stdin=piped())
    assert quickly == written(tmp_path / "asked", ended).plan


@pytest.mark.parametrize("left", PROTECTED)
def test_what_is_protected_has_no_default(left: str, tmp_path: Path) -> None:
    """Enter is no answer to these four: the question is put again until the input ends."""
    answers = {name.replace(" ", "_"): text for name, text in PROTECTED.items()}
    answers[left.replace(" ", "_")] = ""
    for options in ((), ("--yes",)):
        stdin = "\n".join(answers.values()) if options else piped(**answers).rstrip("\n")
        ended = secgen("init", tmp_path / "study.secgen", *options, stdin=stdin)
        assert (ended.code, ended.codes()) == (1, ["SG707"])
        assert list(tmp_path.iterdir()) == []


CASES: dict[str, str] = {
    "two silos": piped(silos="a, b", helpers=[""]),
    "one silo": piped(silos="a", helpers=["university, registry"]),
    "seven silos, three may collude": piped(silos="a,b,c,d,e,f,g", tolerated="3"),
    "open": piped(terms=["open", "", ""]),
    "consent": piped(terms=["consent", "GRU", "", "", "", ""]),
    "replace": piped(adjacency="replace", people="1089"),
    "many people": piped(people="4000000000"),
    "several samples": piped(samples="3", in_silos="2"),
    "two labels": piped(labels="stage, sex", values=["", "I, II", "unknown", "", "f, m", "none"]),
    "a label called as the panel": piped(labels="genes"),
    "a value alone": piped(values=["case", "none", "other"]),
    "the rest among the values": piped(values=["case, other", ""]),
    "words of the language": piped(
        key="key", labels="measure", values=["epsilon, delta", "secgen"], genes="panel, in, TP53"
    ),
    "odd names": piped(
        title='A "title" \\ with # signs',
        key="patient id",
        labels="stage {x}",
        values=['"T1, N0", "t(8;21)", #, 0.5', "else"],
        genes="HLA-A, 7SK, ENSG00000141736.9, a..b, gene # 1, x }",
    ),
    "counts of a column": piped(unit="counts", library=["total counts"]),
    "counts of all genes": piped(unit="counts", library=[""]),
    "a range below zero": piped(range="-3.5..17"),
    "much noise": piped(epsilon="0.01"),
}


@pytest.mark.parametrize("name", CASES)
def test_answers(name: str, tmp_path: Path) -> None:
    written(tmp_path, secgen("init", tmp_path / "study.secgen", stdin=CASES[name]))


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_has_a_usual_range(unit: str, tmp_path: Path) -> None:
    stdin = piped(unit=unit, library=[""] if unit == "counts" else ())
    written(tmp_path, secgen("init", tmp_path / "study.secgen", stdin=stdin))


def test_odd_names_are_names_and_nothing_else(tmp_path: Path) -> None:
    ended = secgen("init", tmp_path / "study.secgen", stdin=CASES["odd names"])
    planned = written(tmp_path, ended)
    program = planned.plan.program
    assert planned.study.title == 'A "title" \\ with # signs'
    assert program.columns[0].values == ("T1, N0", "t(8;21)", "#", "0.5", "else")
    genes = ("HLA-A", "7SK", "ENSG00000141736.9", "a..b", "gene # 1", "x }")
    assert program.panels[0].genes == genes


def test_genes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "genes.txt").write_text("MLH1\nMSH2\n")
    ended = secgen("init", tmp_path / "study.secgen", stdin=piped(genes="genes.txt"))
    panel = written(tmp_path, ended).plan.program.panels[0]
    assert panel.genes == ("MLH1", "MSH2")
    assert panel.list_sha256


def test_an_answer_that_cannot_be_is_asked_again(tmp_path: Path) -> None:
    stdin = piped(
        silos=["St. John's", "a, b, c"], tolerated=["2", "one", "1"], samples=["0", "1"],
        in_silos=["4", "3"], adjacency=["maybe", "add"], people=["many", "none"],
        unit=["lgo2", "log2"], range=["20..0", "0..20"], epsilon=["1e9", "60", "2"],
        rows=["-1", "9"],
    )  # fmt: skip
    ended = secgen("init", tmp_path / "study.secgen", stdin=stdin)
    program = written(tmp_path, ended).plan.program
    assert ended.out.count("Error: ") + ended.err.count("Error: ") == 12
    assert 'did you mean "log2"?' in ended.out + ended.err
    assert (program.privacy.epsilon, program.person.silos) == (2, 3)


def cells_of(table: Path) -> set[str]:
    with gzip.open(table, "rt", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    return {cell for row in rows[1:] for cell in row} | {str(len(rows) - 1)}


def tokens(*files: Path) -> set[str]:
    return set(re.findall(r"[\w.+-]+", "\n".join(file.read_text() for file in files)))


def from_demo(folder: Path, stdin: str, *options: str) -> Ended:
    folder.mkdir(exist_ok=True)
    return secgen("init", folder / "study.secgen", "--from", DEMO, *options, stdin=stdin)


def test_with_yes_only_names_of_a_table_are_written(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "genes.txt").write_text("MLH1\nCDK1\n")
    stdin = "\n".join([*PROTECTED.values(), "subtype, sex", "rest", "genes.txt", ""])
    plain = secgen("init", tmp_path / "study.secgen", "--yes", stdin=stdin)
    ours = {"study.secgen", "site.toml"}
    own_words = tokens(*(tmp_path / name for name in ours))
    assert plain.code == 0
    ended = from_demo(tmp_path / "x", stdin, "--yes")
    planned = written(tmp_path / "x", ended)
    files = [tmp_path / "x" / "study.secgen", tmp_path / "x" / "site.toml"]
    header = gzip.decompress(DEMO.read_bytes()).decode().partition("\n")[0].split(",")
    named = tokens(*files) - own_words
    assert not named & cells_of(DEMO)
    assert named - {*header} - {*DEMO.parts, ".."} == {"FILL_IN", "replace", "genes.txt"}
    # No gene is taken of the table's header, not even if asked for: the panel's file names them.
    assert not named & {*header} - {"patient", "subtype", "sex"}
    assert not {"CIN", "GS", "MSI", "female", "male"} & tokens(*files)
    assert "CIN" not in ended.out
    assert planned.plan.program.panels[0].genes == ("MLH1", "CDK1")
    checked = secgen("check-data", files[0], "--site", files[1])
    assert checked.code == 0, checked.err


@pytest.mark.parametrize(
    ("lines", "values", "shown"),
    [
        (["y", "y", ""], ("CIN", "GS", "MSI", "unknown"), True),
        (["y", "n", "MSI, MSS", "none"], ("MSI", "MSS"), True),
        (["n", "MSI, MSS", "rest"], ("MSI", "MSS", "rest"), False),
    ],
    ids=["looked-at-and-public", "looked-at-and-edited", "not-looked-at"],
)
def test_values_are_looked_at_and_written_only_if_said_so(
    lines: list[str], values: tuple[str, ...], shown: bool, tmp_path: Path
) -> None:
    ended = from_demo(tmp_path, piped(labels="subtype", values=lines, genes=["rest", "y"]))
    program = written(tmp_path, ended).plan.program
    assert program.columns[0].values == values
    assert ("  GS\n" in ended.out.replace(": ", ": \n")) is shown
    text = (tmp_path / "study.secgen").read_text()
    assert ("CIN" in text) is ("CIN" in values)


def small_table(folder: Path) -> Path:
    """Many ids, one value of one person, a column of numbers, awkward names."""
    path = folder / "table.csv"
    lines = ['patient,stage,id,age,"a ""b""","x } privacy { epsilon 9",TP53']
    for row in range(60):
        stage = "rare" if row == 7 else ("II" if row % 2 else "I")
        lines.append(f"p{row},{stage},id{row},{40 + row},1.5,2.5,3.5")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_rare_values_are_pointed_out_and_many_are_no_label(tmp_path: Path) -> None:
    table = small_table(tmp_path)
    stdin = piped(
        labels="stage, id",
        values=["", "y", "n", "I, II", "", "", "y", "a, b", ""],
        genes=["rest", "y"],
    )
    ended = secgen("init", tmp_path / "study.secgen", "--from", table, stdin=stdin)
    program = written(tmp_path, ended).plan.program
    assert "rare  (fewer than 5 rows: it may point at a person)" in ended.out
    assert "I  (fewer" not in ended.out
    assert "60 distinct values: hardly a label" in ended.out
    assert "rare" not in (tmp_path / "study.secgen").read_text()
    assert program.panels[0].genes == ("age", 'a "b"', "x } privacy { epsilon 9", "TP53")
    assert program.privacy.epsilon == 1


def test_a_name_that_the_table_lacks_is_asked_again(tmp_path: Path) -> None:
    answers = {"key": ["patint", "patient"], "values": ["n", "f,m", ""], "genes": "MLH1"}
    ended = from_demo(tmp_path, piped(labels="sex", **answers))
    written(tmp_path, ended)
    assert 'the file has no column "patint"; did you mean "patient"?' in ended.out + ended.err


def test_from_a_site_description(tmp_path: Path) -> None:
    small_table(tmp_path)
    site = tmp_path / "ours.toml"
    site.write_text(
        '[files]\nexpression = "table.csv"\n[columns]\ntumour_stage = "stage"\n'
        '[values.tumour_stage]\nI = "early"\nII = "late"\n'
    )
    stdin = piped(labels="tumour_stage", values=["", ""], genes="TP53")
    ended = secgen("init", tmp_path / "study.secgen", "--from", site, stdin=stdin)
    program = written(tmp_path, ended, site=False).plan.program
    assert program.columns[0].name == "tumour_stage"
    assert program.columns[0].values == ("early", "late", "unknown")
    assert not (tmp_path / "site.toml").exists()
    assert "rare" not in (tmp_path / "study.secgen").read_text()
    assert secgen("check-data", tmp_path / "study.secgen", "--site", site).code == 0


def test_names_of_a_table_are_genes_only_if_said_so(tmp_path: Path) -> None:
    """A column of numbers may be anything, and Enter is a no."""
    table = small_table(tmp_path)
    asked = "Are these 4 the public names of genes, and no ids of people or samples: age, "
    for number, refused in enumerate(("n", "")):
        folder = tmp_path / str(number)
        folder.mkdir()
        answers = {"values": ["n", "I, II", ""], "genes": ["", "rest", refused, "rest", "TP53"]}
        stdin = piped(labels="stage", **answers)
        ended = secgen("init", folder / "study.secgen", "--from", table, stdin=stdin)
        assert written(folder, ended).plan.program.panels[0].genes == ("TP53",)
        assert ended.out.count(asked) == 1
        assert "epsilon 9" not in (folder / "study.secgen").read_text()


@pytest.mark.parametrize("options", [[], ["--yes"]], ids=["asked", "yes"])
@pytest.mark.parametrize(
    ("first", "genes"),
    [
        ("gene", ["MLH1", "MSH2"]),
        ("Gene.Symbol", ["A", "B"]),
        ("", ["ENSG00000076242", "x", "ENSG00000095002.4"]),
    ],
    ids=["gene", "symbol", "ensembl"],
)
def test_a_table_with_genes_as_rows_is_refused(
    first: str, genes: list[str], options: list[str], tmp_path: Path
) -> None:
    """What its header names are patients."""
    table = tmp_path / "table.csv"
    pd.DataFrame([[1.5, 2.5]] * len(genes), genes, ["TCGA-1", "TCGA-2"]).to_csv(
        table, index_label=first
    )
    stdin = piped(key="TCGA-1")
    ended = secgen("init", tmp_path / "study.secgen", "--from", table, *options, stdin=stdin)
    assert (ended.code, ended.codes()) == (1, ["SG421"])
    assert "TCGA" not in ended.out + ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


@pytest.mark.parametrize("ending", ["h5ad", "parquet"])
def test_from_other_formats(ending: str, tmp_path: Path) -> None:
    table = tmp_path / f"table.{ending}"
    obs = pd.DataFrame(
        {"patient": [f"p{row}" for row in range(8)], "stage": ["I", "II"] * 4},
        index=[f"s{row}" for row in range(8)],
    )
    values = pd.DataFrame(np.ones((8, 2)), columns=["TP53", "KRAS"], index=obs.index)
    if ending == "h5ad":
        anndata.AnnData(values, obs=obs).write_h5ad(table)
    else:
        pd.concat([obs, values], axis=1).to_parquet(table)
    stdin = piped(labels="stage", values=["y", "y", "none"], genes=["rest", "y"])
    ended = secgen("init", tmp_path / "study.secgen", "--from", table, stdin=stdin)
    program = written(tmp_path, ended).plan.program
    assert program.panels[0].genes == ("TP53", "KRAS")
    assert isinstance(program.columns[0], CategoryColumn)
    assert program.columns[0].values == ("I", "II")
    files = (tmp_path / "study.secgen", "--site", tmp_path / "site.toml")
    assert secgen("check-data", *files).code == 0


@pytest.mark.parametrize("content", [None, b"", b"\x00\x01"])
def test_a_table_that_cannot_be_read(content: bytes | None, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    if content is not None:
        table.write_bytes(content)
    ended = secgen("init", tmp_path / "study.secgen", "--from", table, stdin=piped())
    assert (ended.code, ended.codes()) == (1, ["SG411"])
    assert {path.name for path in tmp_path.iterdir()} <= {"table.csv"}


@pytest.mark.parametrize("name", ["study.secgen", "site.toml"])
@pytest.mark.parametrize("broken_link", [False, True])
def test_nothing_is_overwritten(name: str, broken_link: bool, tmp_path: Path) -> None:
    if broken_link:
        (tmp_path / name).symlink_to(tmp_path / "absent")
    else:
        (tmp_path / name).write_text("mine")
    ended = secgen("init", tmp_path / "study.secgen", stdin=piped())
    assert (ended.code, ended.codes()) == (1, ["SG706"])
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert broken_link or (tmp_path / name).read_text() == "mine"


def test_what_appears_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan_source = study_module.plan_source

    def slow(source: Source, folder: Path) -> PlannedStudy:
        (tmp_path / "site.toml").write_text("somebody else's")
        return plan_source(source, folder)

    monkeypatch.setattr(study_module, "plan_source", slow)
    ended = secgen("init", tmp_path / "study.secgen", stdin=piped())
    assert (ended.code, ended.codes()) == (1, ["SG706"])
    assert [path.name for path in tmp_path.iterdir()] == ["site.toml"]


def test_at_a_terminal(tmp_path: Path) -> None:
    """Each answer is typed when its question stands on a real terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "secgen_dsl.cli.main", "init", "study.secgen"],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, close_fds=True,
    )  # fmt: skip
    os.close(theirs)
    answers = iter(piped().split("\n"))
    shown = ""
    try:
        while chunk := os.read(ours, 4096).decode():
            shown += chunk
            if re.search(r": $", shown):
                os.write(ours, next(answers).encode() + b"\n")
                shown = shown.rstrip(" ") + "\n"
    except OSError:  # how Linux says that the terminal's other end is closed
        pass
    assert process.wait(timeout=60) == 0, shown
    assert "north, south, west" in shown
    written(tmp_path, Ended(process.returncode, shown, ""))


def test_site_description_is_commented_toml(tmp_path: Path) -> None:
    (tmp_path / "a folder").mkdir()
    table = small_table(tmp_path / "a folder")
    stdin = piped(labels="stage", values=["n", "I, II", ""], genes="TP53")
    ended = secgen("init", tmp_path / "study.secgen", "--from", table, stdin=stdin)
    written(tmp_path, ended)
    text = (tmp_path / "site.toml").read_text()
    files = {"expression": "a folder/table.csv", "unit": "log2"}
    assert tomllib.loads(text) == {"files": files}
    uncommented = re.sub(r'^# (?=\[|("[^"]*"|\S+) = )', "", text, flags=re.MULTILINE)
    uncommented = uncommented.replace('"stage" = "name in the file"', '"stage" = "stage"')
    (tmp_path / "site.toml").write_text(uncommented)
    described = Site(tmp_path / "site.toml", "").description
    assert described.files.orientation == "genes_by_samples"
    assert described.values == {"stage": {"value in the file": "I"}}
