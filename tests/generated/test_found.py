"""What generated specs have found, each as small as it can be said."""

import re
import shutil
from pathlib import Path

import pytest

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.statement import name_text
from secgen_dsl.planner.plan import plan_program
from secgen_dsl.semantics.resolve import Resolved
from secgen_dsl.verifier import verify
from tests.conftest import SPECS
from tests.generated.studies import resolved

TEXT = re.sub(" +", " ", (SPECS / "pseudobulk.secgen").read_text(encoding="utf-8"))


def meaning(*edits: tuple[str, str]) -> Resolved:
    text = TEXT
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return resolved(text, SPECS)


@pytest.mark.parametrize("value", ["by", "in", "share", "within", "else"])
def test_an_expected_value_may_be_called_as_a_keyword(value: str) -> None:
    expected = ("key donor", f"key donor; expect disease {value} ~ 5%")
    found = meaning(("{ case, control }", f"{{ {value}, control }}"), expected)
    assert found.program.expectations[0].value == value


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("HLA-A", "HLA-A"),
        ("0.5", "0.5"),
        ("in", "in"),
        ("two words", '"two words"'),
        ("t(8;21)", '"t(8;21)"'),
        ("a..b", '"a..b"'),
        ("each", '"each"'),
        ("pairs", '"pairs"'),
        ('\\"', r'"\\\""'),
        ("-1", '"-1"'),
    ],
)
def test_names_in_a_canonical_statement_can_be_read_again(name: str, written: str) -> None:
    assert name_text(name) == written
    renamed = meaning(("disease", written))
    assert renamed.program.queries[0].statement == f"marginal cell_type * {written}"
    assert renamed.program.queries[0].columns == ("cell_type", name)


def test_the_order_of_public_tables_and_sets_means_nothing() -> None:
    lines = [
        'public beta from "data/invented_atlas.csv.gz" log2_cpm',
        'public alpha from "data/invented_atlas.csv.gz" log2_cpm',
        'public to_counts from "data/invented_atlas.csv.gz" log2_cpm and '
        '"data/invented_atlas.csv.gz" counts',
        'public to_cpm from "data/invented_atlas.csv.gz" log2_cpm and '
        '"data/invented_atlas.csv.gz" cpm',
    ]
    there = meaning(("secgen 1\n", "\n".join(["secgen 1", *lines, ""])))
    back = meaning(("secgen 1\n", "\n".join(["secgen 1", *reversed(lines), ""])))
    assert sha256_of(there.program) == sha256_of(back.program)


NOT_PRINTABLE = ['""', '" "', '"a\tb"', '"a\u202eb"']


def codes(*edits: tuple[str, str]) -> list[str]:
    with pytest.raises(SecgenError) as caught:
        meaning(*edits)
    assert all(found.span is not None for found in caught.value.diagnostics)
    return [found.code for found in caught.value.diagnostics]


@pytest.mark.parametrize("name", NOT_PRINTABLE, ids=ascii)
@pytest.mark.parametrize(
    "old",
    [
        "key donor",
        "earliest collected",
        "public atlas",
        "panel bulk",
        "column total_counts",
        'controlled "dbGaP phs000001"',
        'approval "Data access committee 2026-14"',
        'named "Members of the consortium"',
        "{ case",
        "disease ",
    ],
)
def test_what_cannot_be_printed_is_refused_where_it_stands(old: str, name: str) -> None:
    new = f"{old.partition(' ')[0]} {name}" if old[0] != "d" else name
    assert set(codes((old, new))) <= {"SG205", "SG207", "SG307"}


def test_sets_and_listed_genes_are_printable_too(tmp_path: Path) -> None:
    shutil.copytree(SPECS / "data", tmp_path / "data")
    (tmp_path / "panels").mkdir()
    (tmp_path / "panels/cell_types.txt").write_text("CD3E\x7f\nCD19\n")
    with pytest.raises(SecgenError, match="SG207"):
        resolved(TEXT, tmp_path)
    (tmp_path / "panels/sets.gmt").write_text("one\tsource\tCD3E\tCD19\n")
    (tmp_path / "panels/cell_types.txt").write_text("CD3E\nCD19\n")
    with pytest.raises(SecgenError, match="SG207"):
        resolved(TEXT + '\nsets "" from "panels/sets.gmt"\n', tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("disease category { case, control }", "disease number 0..2e9 in 3 equal bins"),
        ("disease category { case, control }", "disease number -2e9..0 in 3 equal bins"),
        ("0..16", "-1000000001..16"),
        ("0..16 library", "0..16 missing is -1e12 library"),
    ],
)
def test_numbers_beyond_a_billion_are_refused_where_they_stand(old: str, new: str) -> None:
    assert codes((old, new)) == ["SG216"]


GENES = ", ".join(f"G{number}" for number in range(40))
IDS = f"""secgen 1
study "ids" {{ }}
silos hold patients {{ a terms open; b terms open; c terms open }}
trust {{ tolerate 1 colluding party }}
person {{ key k; at most 1 sample; in at most 1 silo }}
columns {{ x category {{ a, b }}; y category {{ a, b }}; "x*y" category {{ a, b }} }}
panel p expression log2 0..20 {{ {GENES} }}
privacy {{ add or remove one person; epsilon 4; delta 1e-6 }}
release {{ }}
"""


@pytest.mark.parametrize(
    "measure",
    [
        'marginal x * y * p in 3 equal bins; marginal "x*y" * p in 3 equal bins',
        'marginal x * y * p in 3 equal bins; marginal "x*y"; marginal "x*y (labels)"',
    ],
)
def test_added_histograms_have_ids_of_their_own(measure: str) -> None:
    text = IDS.replace(" }\npanel", '; "x*y (labels)" category { a, b } }\npanel')
    plan = plan_program(resolved(f"{text}measure {{ {measure} }}", SPECS).program)
    verify(plan)
    assert len(plan.added) >= 1


def many(item: str, number: int) -> str:
    return "; ".join(item.format(index) for index in range(number))


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("a terms open; b terms open; c terms open }", "}; helpers { a; b; c }", "SG208"),
        ("a terms open; b terms open; c terms open", many("s{} terms open", 1001), "SG208"),
        ("x category { a, b }", f"x category {{ {many('v{}', 45_000)} }}", "SG311"),
    ],
    ids=["no silo", "too many parties", "too many cells"],
)
def test_sizes_that_no_run_has_are_refused_where_they_stand(old: str, new: str, code: str) -> None:
    assert old in IDS
    text = IDS.replace(old, new) + "measure { marginal x * p in 64 equal bins }"
    with pytest.raises(SecgenError) as caught:
        resolved(text, SPECS)
    assert [found.code for found in caught.value.diagnostics] == [code]
