"""The table of codes and the source agree."""

import ast
import re
from collections import Counter
from pathlib import Path

from secgen_dsl.diagnostics import codes
from tests.conftest import ROOT

_CODE = re.compile(r"\bSG[0-9]{3}\b")


def _codes_in_code() -> Counter[str]:
    """Codes in string constants that are nothing but a code: not in comments or docstrings."""
    found: Counter[str] = Counter()
    for folder in ("secgen_dsl", "backends"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name == "codes.py":
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.update([node.value] if _CODE.fullmatch(node.value) else [])
    return found


def test_every_code_has_a_title_and_every_title_a_code() -> None:
    used = set(_codes_in_code())
    assert len(used) > 60
    assert used - set(codes.TITLES) == set()
    assert set(codes.TITLES) - used == set()


def test_codes_and_titles_are_unique_and_sorted() -> None:
    text = Path(codes.__file__).read_text(encoding="utf-8")
    keys = re.findall(r'^        "(SG[0-9]{3})":', text, re.MULTILINE)
    assert keys == sorted(set(keys))  # a repeated key would vanish from the dict
    assert len(keys) == len(codes.TITLES)
    titles = [title.casefold() for title in codes.TITLES.values()]
    assert sorted(titles) == sorted(set(titles))


def test_docstrings_name_only_codes_that_exist() -> None:
    for folder in ("secgen_dsl", "backends"):
        for path in (ROOT / folder).rglob("*.py"):
            for code in _CODE.findall(path.read_text(encoding="utf-8")):
                assert code in codes.TITLES, (path, code)
