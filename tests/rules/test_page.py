"""docs/security/static-rules.md is true: its rows, codes, cases and tests exist."""

import ast
import re
from functools import cache

import pytest

from secgen_dsl.diagnostics.codes import TITLES
from secgen_dsl.diagnostics.pages import page_of
from tests.conftest import ROOT
from tests.rules.cases import FAILS, PASSES
from tests.rules.test_static_rules import RULES

PAGE = (ROOT / "docs" / "security" / "static-rules.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| (S[0-9]{2}) \| (.+) \|$", re.MULTILINE)


def rows(heading: str) -> dict[str, list[str]]:
    """The rows of the table under a heading: rule → its other cells."""
    section = PAGE.split(heading, 1)[1].split("\n## ", 1)[0]
    found = [(rule, cells.split(" | ")) for rule, cells in _ROW.findall(section)]
    assert len(found) == len(dict(found)), "a rule has two rows"
    return dict(found)


SAID, TESTED = rows("# Static rules\n"), rows("## Tests\n")
NODES = sorted(set(re.findall(r"`(tests/[\w/.]+::\w+)`", PAGE)))


@cache
def functions_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_rule_has_its_rows() -> None:
    assert list(SAID) == list(TESTED) == RULES
    assert all(len(cells) == 3 and all(cells) for cells in (*SAID.values(), *TESTED.values()))


def test_the_cases_are_those_of_the_tests() -> None:
    for rule, (failing, passing, more) in TESTED.items():
        for cell, cases in ((failing, FAILS), (passing, PASSES)):
            named = [f"{rule} {what}" for what in re.findall(r"`([^`]+)`", cell)]
            assert named == [case.id for case in cases if case.rule == rule]
        assert re.search(r"`tests/[\w/.]+::\w+`", more), rule


def test_the_codes_are_those_of_the_cases_and_have_pages() -> None:
    for rule, cells in SAID.items():
        codes = re.findall(r"SG[0-9]{3}", cells[2])
        assert codes, rule
        assert {case.code for case in FAILS if case.rule == rule} <= set(codes)
        for code in codes:
            assert code in TITLES
            assert page_of(code).markdown


@pytest.mark.parametrize("node", NODES)
def test_each_test_that_is_named_exists(node: str) -> None:
    file, _, name = node.partition("::")
    assert name.startswith("test_")
    assert name in functions_of(file)


def test_codes_outside_the_tables_exist() -> None:
    assert set(re.findall(r"SG[0-9]{3}", PAGE)) <= TITLES.keys()
    assert len(NODES) > 25
