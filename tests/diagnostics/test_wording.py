"""The texts of the source: none blames, and each diagnostic has a place and a next step."""

import ast
from collections.abc import Iterator

import pytest

from secgen_dsl.diagnostics.codes import TITLES
from tests.conftest import ROOT
from tests.wording import blames

SOURCES = sorted(
    str(path.relative_to(ROOT))
    for folder in ("secgen_dsl", "backends")
    for path in (ROOT / folder).rglob("*.py")
)
_FOR_PROGRAMMERS = ("ValueError", "TypeError", "RuntimeError", "AssertionError")
_MAKERS = ("fail", "Diagnostic")
_PLACES = {"place", "span"}


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _texts(node: ast.AST) -> Iterator[ast.Constant]:
    """String literals below a node, without docstrings and what only programmers read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue
        if isinstance(child, ast.Call) and _name(child.func) in _FOR_PROGRAMMERS:
            continue
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child
        yield from _texts(child)


@pytest.mark.parametrize("source", SOURCES)
def test_no_text_blames(source: str) -> None:
    tree = ast.parse((ROOT / source).read_text(encoding="utf-8"))
    found = [(text.lineno, text.value) for text in _texts(tree) if blames(str(text.value))]
    assert found == []


@pytest.mark.parametrize("source", SOURCES)
def test_each_diagnostic_has_a_place_and_a_next_step(source: str) -> None:
    tree = ast.parse((ROOT / source).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        named = {keyword.arg for keyword in node.keywords}
        if _name(node.func) in _MAKERS and not ("next_step" in named and named & _PLACES):
            raise AssertionError(f"{source}:{node.lineno}: no next_step, or no place")
        # Findings.error and .warn: code, message, span, label, next step.
        is_finding = isinstance(node.func, ast.Attribute) and node.func.attr in ("error", "warn")
        if is_finding and len(node.args) + len(named) < 5:
            raise AssertionError(f"{source}:{node.lineno}: no next step")


def test_titles_do_not_blame() -> None:
    assert [title for title in TITLES.values() if blames(title) or title.endswith(".")] == []
