"""No text of the catalogue is left over: its key is written in the code, or built there."""

import ast
import re
from pathlib import Path

from secgen_dsl.describe.catalogue import keys
from tests.conftest import ROOT

PLACES = ("secgen_dsl/describe", "secgen_dsl/cli")
BUILT = re.compile(r"[._](title|word|meaning|one|many)$")


def written() -> tuple[set[str], list[re.Pattern[str]]]:
    """Texts of the code, and patterns of those with places in them."""
    texts: set[str] = set()
    patterns: set[str] = set()
    files = [path for place in PLACES for path in (ROOT / place).rglob("*.py")]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = [
                    re.escape(str(part.value)) if isinstance(part, ast.Constant) else "[a-z_.]+"
                    for part in node.values
                ]
                # "difference.{key}" says nothing of the keys, which stand somewhere by themselves.
                literal = "".join(parts).replace("[a-z_.]+", "")
                if re.search("[a-z]{3}", literal) and not literal.startswith("difference"):
                    patterns.add("".join(parts))
    for path in (ROOT / "secgen_dsl/describe/render").glob("*.*"):
        texts |= set(re.findall(r'"([a-z_.]+)"', path.read_text("utf-8", errors="replace")))
        texts |= set(re.findall(r"words\.([a-z_.]+)", path.read_text("utf-8", errors="replace")))
    crosswalks = Path(ROOT / "secgen_dsl/describe/crosswalks.toml").read_text("utf-8")
    texts |= set(re.findall(r"^([a-z_]+) = ", crosswalks, re.MULTILINE))
    return texts, [re.compile(each) for each in patterns]


def test_every_text_is_used() -> None:
    """A key stands in the code whole, or without its section, or as a name with places."""
    texts, patterns = written()

    def is_used(key: str) -> bool:
        short = key.partition(".")[2]
        forms = {key, short, BUILT.sub("", key), BUILT.sub("", short), key.rpartition(".")[2]}
        return bool(forms & texts) or any(one.fullmatch(each) for one in patterns for each in forms)

    assert [key for key in keys("en") if not is_used(key)] == []
    assert not is_used("difference.never_said")
