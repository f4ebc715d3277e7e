"""`secgen synthesize`, on the results of a real run in one process."""

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from tests.cli.commands import secgen
from tests.conftest import SPECS

HOSPITALS = SPECS / "two_hospitals.secgen"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synthesize") / "results"
    assert secgen("run", HOSPITALS, "--backend", "plaintext", "-o", out).code == 0
    return out


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "synthetic.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_rows_of_chosen_labels(results: Path, tmp_path: Path) -> None:
    asked = ("--rows", "60", "--where", "sex=female", "--balance", "subtype", "--seed", "4")
    for name in ("once", "again"):
        assert secgen("synthesize", results, *asked, "-o", tmp_path / name).code == 0
    rows = rows_of(tmp_path / "once")
    assert {row["sex"] for row in rows} == {"female"}
    assert len(set(Counter(row["subtype"] for row in rows).values())) == 1
    once, again = ((tmp_path / n / "synthetic.csv").read_bytes() for n in ("once", "again"))
    assert once == again
    record = json.loads((tmp_path / "once" / "synthesis.json").read_bytes())
    assert (record["rows"], record["seed"]) == (60, 4)


def test_proportions_of_two_columns_hold_together(results: Path, tmp_path: Path) -> None:
    # By the noise of one run in many a rare subtype is nobody's: the two most frequent ones.
    drawn = Counter(row["subtype"] for row in rows_of(results)).most_common(2)
    (first, _), (second, _) = drawn
    parts = [f"subtype={first}=1", f"subtype={second}=3"]
    asked = [word for part in parts for word in ("--part", part)]
    ended = secgen(
        "synthesize", results, *asked, "--balance", "sex", "--rows", "80", "-o", tmp_path / "rows"
    )
    assert ended.code == 0
    rows = rows_of(tmp_path / "rows")
    subtypes, sexes = (Counter(row[column] for row in rows) for column in ("subtype", "sex"))
    assert set(subtypes) == {first, second}
    # A systematic sample keeps every cell of the joint table to within one row.
    assert abs(subtypes[second] - 60) <= 2
    assert abs(sexes["female"] - 40) <= 2


def test_an_unseeded_sample_says_its_seed(results: Path, tmp_path: Path) -> None:
    first = secgen("synthesize", results, "--rows", "9", "-o", tmp_path / "a", "--json").json
    second = secgen("synthesize", results, "--rows", "9", "-o", tmp_path / "b", "--json").json
    assert first["seed"] != second["seed"]
    seed = str(first["seed"])
    again = secgen("synthesize", results, "--rows", "9", "--seed", seed, "-o", tmp_path / "c")
    assert again.code == 0
    same = [(tmp_path / name / "synthetic.csv").read_bytes() for name in ("a", "c")]
    assert same[0] == same[1]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--where", "sex=femal"), "SG613"),
        (("--balance", "repair"), "SG613"),
        (("--part", "subtype=CIN=0"), "SG613"),
    ],
    ids=["value", "column", "no part"],
)
def test_labels_that_cannot_be_given(
    results: Path, tmp_path: Path, words: tuple[str, ...], code: str
) -> None:
    ended = secgen("synthesize", results, *words, "--rows", "5", "-o", tmp_path / "rows")
    assert (ended.code, ended.codes()) == (1, [code])
    assert not (tmp_path / "rows").exists()


def test_what_is_no_run(results: Path, tmp_path: Path) -> None:
    ended = secgen("synthesize", tmp_path, "--rows", "5", "-o", tmp_path / "rows")
    assert (ended.code, ended.codes()) == (1, ["SG531"])
    assert secgen("synthesize", results, "--rows", "5", "-o", tmp_path / "rows").code == 0
    ended = secgen("synthesize", results, "--rows", "5", "-o", tmp_path / "rows")
    assert (ended.code, ended.codes()) == (1, ["SG706"])
    changed = tmp_path / "changed"
    changed.mkdir()
    for name in ("plan.json", "receipt.json", "study.json"):
        (changed / name).write_bytes((results / name).read_bytes())
    (changed / "measurements.json").write_text("{}")
    ended = secgen("synthesize", changed, "--rows", "5", "-o", tmp_path / "other")
    assert (ended.code, ended.codes()) == (1, ["SG531"])


def test_public_tables_are_asked_for(tmp_path: Path) -> None:
    colorectal = SPECS / "colorectal.secgen"
    out = tmp_path / "results"
    assert secgen("run", colorectal, "--backend", "plaintext", "-o", out).code == 0
    ended = secgen("synthesize", out, "--rows", "5", "-o", tmp_path / "rows")
    assert (ended.code, ended.codes()) == (1, ["SG606"])
    asked = ("--spec", colorectal, "--where", "subtype=CIN")
    ended = secgen("synthesize", out, *asked, "-o", tmp_path / "rows")
    assert ended.code == 0
    rows = rows_of(tmp_path / "rows")
    assert {row["subtype"] for row in rows} == {"CIN"}
    assert len(rows) == 600  # as the plan says
