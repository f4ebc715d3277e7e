"""Each claim of the threat model names a test that exists, or says that there is none."""

import ast
import re
from functools import cache

import pytest

from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"(tests/[\w/]+\.py)::(\w+)", TEXT)))
WITHOUT = re.compile(r"\*\*(?:argued only|not covered)\*\*")


@cache
def names_in(file: str) -> frozenset[str]:
    """Names of a file's tests; none if there is no such file."""
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    )


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[test for _, test in NAMED])
def test_each_test_that_is_named_exists(file: str, test: str) -> None:
    assert test in names_in(file)


def test_each_claim_has_a_test_or_says_that_it_has_none() -> None:
    tables = re.findall(r"^\| claim \| backed by \|\n\|---\|---\|\n((?:\|.*\n)+)", TEXT, re.M)
    claims = [line for table in tables for line in table.splitlines()]
    assert len(claims) > 30
    for claim in claims:
        backed = claim.rstrip("| ").rpartition(" | ")[2]
        assert "::" in backed or WITHOUT.search(backed), claim


def test_files_that_are_named_exist() -> None:
    for file in re.findall(r"`((?:tests|docs)/[\w./-]+\.(?:py|md))`", TEXT):
        assert (ROOT / file).is_file(), file
