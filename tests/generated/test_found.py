"""What generated specs have found, each as small as it can be said."""

import pytest

from secgen_dsl.ir.base import sha256_of
from secgen_dsl.ir.statement import name_text
from secgen_dsl.semantics.resolve import Resolved
from tests.conftest import SPECS
from tests.generated.studies import resolved

TEXT = (SPECS / "pseudobulk.secgen").read_text(encoding="utf-8")


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
    assert renamed.program.marginals[0].statement == f"marginal cell_type * {written}"
    assert renamed.program.marginals[0].columns == ("cell_type", name)


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
