"""What changes the plan's hash, and what only changes the text."""

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secgen_dsl.cli.study import plan_spec
from secgen_dsl.diagnostics.diagnostic import Source
from secgen_dsl.ir.base import canonical_json, sha256_of
from secgen_dsl.semantics.resolve import Resolved, resolve
from secgen_dsl.syntax.parser import parse
from secgen_dsl.syntax.recovery import pieces
from tests.conftest import SPECS

NAMES = ("colorectal", "two_hospitals")
TEXTS = {name: (SPECS / f"{name}.secgen").read_text(encoding="utf-8") for name in NAMES}


def meaning(text: str, folder: Path = SPECS) -> Resolved:
    source = Source("s", text)
    return resolve(parse(source), source, folder)


def hashes(text: str, folder: Path = SPECS) -> tuple[str, str]:
    resolved = meaning(text, folder)
    return sha256_of(resolved.program), sha256_of(resolved.study)


BEFORE = {name: hashes(text) for name, text in TEXTS.items()}


@settings(max_examples=25)
@given(st.data())
def test_layout_and_the_order_of_blocks_change_nothing(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(NAMES))
    text = TEXTS[name]
    blocks = [text[start:end] + "\n" for start, end in pieces(text)]
    assert len(blocks) > 8
    panels = [block for block in blocks if block.startswith("panel")]
    shuffled = data.draw(st.permutations(blocks))
    # The order of panels is the order of their lines: it is kept.
    rest = iter(panels)
    shuffled = [next(rest) if block in panels else block for block in shuffled]
    lines = "".join(shuffled).split("\n")
    for _ in range(data.draw(st.integers(0, 5))):
        at = data.draw(st.integers(0, len(lines) - 1))
        lines.insert(at, data.draw(st.sampled_from(["", "# a note", "   ", ";", "\t# {"])))
    assert hashes("\n".join(lines)) == BEFORE[name]


CHANGES = [
    ("key patient", "key person_id"),
    ("at most 1000 people", "at most 1001 people"),
    ("CIN, GS, MSI", "GS, CIN, MSI"),
    ("CIN, GS, MSI", "CIN, GS, MSS"),
    ("female, male, unknown } else unknown", "female, male, unknown } else male"),
    ("female, male, unknown } else unknown", "female, male, unknown }"),
    ('"TCGA colorectal cohorts of other regions"', '"TCGA"'),
    ("MLH1, MSH2", "MSH2, MLH1"),
    (", EPCAM", ""),
    ("0..20 {", "0..21 {"),
    ("0..20 {", "0.5..20 {"),
    ("epsilon 4", "epsilon 4.000001"),
    ("delta 1e-6", "delta 1.1e-6"),
    ("  marginal sex * subtype\n", ""),
    ("marginal sex * subtype", "marginal subtype * sex"),
    ("in 4 bins from elsewhere", "in 3 bins from elsewhere"),
    ("in 4 bins from elsewhere", "in 4 equal bins"),
    ("in 10 equal bins ", "in bins at 2,4,6,8,10,12,14,16,18 "),
    ("weight 10", "weight 11"),
    ("weight 10", ""),
    ("samples 600", "samples 601"),
    ("to public as csv, h5ad", "to silos as csv, h5ad"),
    ("as csv, h5ad", "as csv"),
    ("measurements to silos", "measurements to public"),
]


RENAMED = [("sex ", "gender "), ("repair ", "mismatch "), ("europe ", "europa ")]


@pytest.mark.parametrize(("old", "new"), CHANGES + RENAMED, ids=lambda text: text.strip()[:30])
def test_what_changes_the_run_changes_the_hash(old: str, new: str) -> None:
    text = TEXTS["colorectal"]
    assert old in text
    program, study = hashes(text.replace(old, new))
    assert program != BEFORE["colorectal"][0]
    assert study == BEFORE["colorectal"][1]


def test_the_terms_of_a_silo_change_the_hash() -> None:
    closed = TEXTS["colorectal"].replace("to public", "to silos")
    consent = closed.replace("terms open", 'terms consent "GRU"', 1)
    other = closed.replace("terms open", 'terms consent "HMB"', 1)
    assert len({hashes(text)[0] for text in (closed, consent, other)}) == 3


@settings(max_examples=10)
@given(st.lists(st.sampled_from(CHANGES), min_size=1, max_size=4, unique_by=lambda c: c[0]))
def test_several_changes_change_the_hash(edits: list[tuple[str, str]]) -> None:
    text = TEXTS["colorectal"]
    for old, new in edits:
        text = text.replace(old, new, 1)
    assert hashes(text)[0] != BEFORE["colorectal"][0]


PROSE = [
    ("Colorectal subtypes", "Another title"),
    ("Invented records", "Data"),
    ("IRB-2026-0142", "IRB-1"),
    ("privacy@consortium.example", "a@b.example"),
    ("bowel cancer (", "cancer ("),
    ("One primary", "Two"),
    ("Clinical decisions", "Sale"),
    ("90 days", "9 days"),
    ("European sites", "Sites"),
    ("TCGA COAD, READ", "A biobank"),
    ('  contact    "Consortium\'s study office, privacy@consortium.example"\n', ""),
]


@pytest.mark.parametrize(("old", "new"), PROSE, ids=lambda text: text.strip()[:30])
def test_prose_changes_only_the_study(old: str, new: str) -> None:
    assert old in TEXTS["colorectal"]
    program, study = hashes(TEXTS["colorectal"].replace(old, new))
    assert program == BEFORE["colorectal"][0]
    assert study != BEFORE["colorectal"][1]


def test_the_files_of_a_simulation_are_outside_both_hashes() -> None:
    text = TEXTS["colorectal"].replace('"data/europe.csv.gz"', '"elsewhere.csv"')
    assert hashes(text) == BEFORE["colorectal"]
    start = text.index("simulate")
    assert hashes(text[:start]) == BEFORE["colorectal"]


def test_defaults_are_said_and_are_the_same_as_written_out() -> None:
    text = TEXTS["two_hospitals"]
    assert "measurements to silos" in meaning(text).defaults
    written = text.replace("as csv }", "as csv; measurements to silos }")
    assert hashes(written) == BEFORE["two_hospitals"]
    # Which samples are kept without `keep` has no words of its own: naming a date is another plan.
    (kept,) = set(meaning(written).defaults) - {"mechanism gaussian"}
    assert "keyed hash" in kept
    written = written.replace("delta 1e-5", "delta 1e-5; mechanism gaussian")
    assert meaning(written).defaults == (kept,)
    assert hashes(written) == BEFORE["two_hospitals"]
    assert meaning(written.replace("1 sample", "1 sample; keep earliest day")).defaults == ()
    short = text.replace(" as csv }", " }").replace("; delta 1e-5", "")
    assert set(meaning(short).defaults) == {
        "measurements to silos",
        "samples as csv",
        "delta 1e-06",
        "mechanism gaussian",
        kept,
    }
    assert hashes(short) == hashes(text.replace("delta 1e-5", "delta 1e-6"))


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for name in ("panels", "data"):
        shutil.copytree(SPECS / name, tmp_path / name)
    return tmp_path


def test_the_panel_file_is_pinned_by_its_bytes(copied: Path) -> None:
    text = TEXTS["colorectal"]
    assert hashes(text, copied) == BEFORE["colorectal"]
    with (copied / "panels/cell_cycle.txt").open("a") as file:
        file.write("# a remark\n")
    assert hashes(text, copied)[0] != BEFORE["colorectal"][0]
    assert hashes(text, copied)[1] == BEFORE["colorectal"][1]


def test_the_public_table_is_pinned_by_its_bytes(copied: Path) -> None:
    path = copied / "data/colorectal_reference.csv.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), mtime=1))
    before, after = (
        meaning(TEXTS["colorectal"]).program,
        meaning(TEXTS["colorectal"], copied).program,
    )
    assert before.queries == after.queries  # the same edges
    assert before.references[0].sha256 != after.references[0].sha256
    assert sha256_of(before) != sha256_of(after)


@pytest.mark.parametrize("name", NAMES)
def test_every_process_finds_the_same_plan(name: str) -> None:
    path = SPECS / f"{name}.secgen"
    code = (
        "import sys; from pathlib import Path; from secgen_dsl.cli.study import plan_spec; "
        "from secgen_dsl.ir.base import canonical_json; "
        "sys.stdout.buffer.write(canonical_json(plan_spec(Path(sys.argv[1])).plan))"
    )
    here = canonical_json(plan_spec(path).plan)
    for seed in ("0", "4321"):
        there = subprocess.run(
            [sys.executable, "-c", code, path],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        assert there == here
