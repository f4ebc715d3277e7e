"""`secgen synthesize`, on the results of a real run in one process."""

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from secgen_dsl.cli.bundling import bundle_of
from secgen_dsl.cli.results import Protocol, RowsUnmadeError, common_seed, write_results
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.plan import Measurement, Measurements
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
        (("--part", "subtype=CIN=0", "--part", "subtype=GS=0"), "SG613"),
    ],
    ids=["value", "column", "no part"],
)
def test_labels_that_cannot_be_given(
    results: Path, tmp_path: Path, words: tuple[str, ...], code: str
) -> None:
    ended = secgen("synthesize", results, *words, "--rows", "5", "-o", tmp_path / "rows")
    assert (ended.code, ended.codes()) == (1, [code])
    assert not (tmp_path / "rows").exists()


@pytest.mark.parametrize("part", ["sex=female=0.5", "sex=female=50%"])
def test_a_single_part_or_a_percentage_is_no_proportion(
    results: Path, tmp_path: Path, part: str
) -> None:
    ended = secgen("synthesize", results, "--part", part, "--rows", "5", "-o", tmp_path / "rows")
    assert ended.code == 2
    assert "all values that are wanted" in " ".join(ended.err.split())
    assert not (tmp_path / "rows").exists()


def test_what_was_written_is_counted(results: Path, tmp_path: Path) -> None:
    asked = ("--rows", "40", "--part", "sex=female=1", "--part", "sex=male=3")
    ended = secgen("synthesize", results, *asked, "-o", tmp_path / "rows")
    assert "sex: female 10, male 30" in ended.out
    assert Counter(row["sex"] for row in rows_of(tmp_path / "rows")) == {"female": 10, "male": 30}


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


def no_memory(*_: object) -> None:
    raise MemoryError


DRAW = "secgen_dsl.synthesis.sample.draw_samples"


def test_what_was_opened_outlives_a_synthesis_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "results"
    run = ("run", HOSPITALS, "--backend", "plaintext", "--seed", "3")
    with monkeypatch.context() as patched:
        patched.setattr(DRAW, no_memory)
        ended = secgen(*run, "-o", out)
    assert (ended.code, ended.codes()) == (1, ["SG614"])
    said = " ".join(ended.err.split())
    assert "not enough memory (SG902)" in said
    assert "fewer genes" not in said  # which would be another plan, and another budget
    assert "spends again" not in said
    assert not list(out.glob("synthetic*"))
    assert secgen("audit", out).code == 0
    assert secgen(*run, "-o", out).codes() == ["SG702"]  # nothing is debited twice
    asked = ("--seed", "3", "-o", tmp_path / "rows")
    assert secgen("synthesize", out, *asked).code == 0
    rehearsal = ("run", HOSPITALS, "--backend", "plaintext", "--mock", "4")
    monkeypatch.setattr(DRAW, no_memory)
    assert secgen(*rehearsal, "-o", tmp_path / "mock").codes() == ["SG902"]
    assert not (tmp_path / "mock").exists()


def test_rows_of_a_run_without_rows_are_those_it_would_have_had(
    two_hospitals: PlannedStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = two_hospitals.plan
    measured = Measurements(
        format="secgen.measurements/2",
        plan_sha256=sha256_of(plan),
        measurements=tuple(
            Measurement(query=one.query, values=tuple(range(one.opened))) for one in plan.releases()
        ),
    )
    protocol, seed = Protocol("mpyc", measured, {}, 5, {}), common_seed(measured)
    bundle = bundle_of(two_hospitals)
    whole, without = tmp_path / "whole", tmp_path / "without"
    write_results(two_hospitals, bundle, protocol, seed, whole)
    with monkeypatch.context() as patched:
        patched.setattr(DRAW, lambda *_: {}["gene"])
        with pytest.raises(RowsUnmadeError) as raised:
            write_results(two_hospitals, bundle, protocol, seed, without)
    (found,) = raised.value.diagnostics
    assert "KeyError (SG900, tests.cli.test_synthesize:" in found.message
    assert f"--seed {seed} -o DIR" in found.next_step
    names = {path.name for path in whole.iterdir()} - {path.name for path in without.iterdir()}
    assert names == {path.name for path in whole.glob("synthetic.*")} != set()
    asked = ("--seed", str(seed), "-o", tmp_path / "rows")
    assert secgen("synthesize", without, *asked).code == 0
    rows = [(folder / "synthetic.csv").read_bytes() for folder in (whole, tmp_path / "rows")]
    assert rows[0] == rows[1]
