"""Editor support: both highlighters know the grammar's words and agree; snippets parse; problems
are found in what `secgen check` prints."""

import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from pygments import token as pygments_token
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename

from secgen_dsl.syntax.format import format_text
from secgen_dsl.syntax.parser import block_words, keywords
from tests.cli.commands import secgen
from tests.conftest import ROOT, SPECS
from tests.study import all_faults
from tests.syntax.layouts import any_spec, meaning
from tests.syntax.test_format import CASES, LAID_OUT

EXTENSION = ROOT / "editors" / "vscode"
TEXTS = LAID_OUT | {name: text for name, (text, _) in CASES.items()}

Kinds = list[tuple[str, str]]
"""(character, kind) of each character of a text that is not blank."""

PYGMENTS = [
    (pygments_token.Keyword.Declaration, "block word"),
    (pygments_token.Keyword, "word"),
    (pygments_token.Name.Constant, "item"),
    (pygments_token.Name.Function, "call"),
    (pygments_token.Name, "name"),
    (pygments_token.Number, "number"),
    (pygments_token.String, "text"),
    (pygments_token.Comment, "comment"),
    (pygments_token.Operator, "operator"),
    (pygments_token.Punctuation, "punctuation"),
]
TEXTMATE = {
    "keyword.control": "block word",
    "keyword.other": "word",
    "constant.other": "item",
    "support.function": "call",
    "variable.other": "name",
    "constant.numeric": "number",
    "string": "text",
    "constant.character.escape": "text",
    "comment": "comment",
    "keyword.operator": "operator",
    "punctuation": "punctuation",
}


def read(name: str) -> Any:
    return json.loads((EXTENSION / name).read_text(encoding="utf-8"))


def by_pygments(text: str) -> Kinds:
    """Kinds by the Pygments lexer; an error token has none, so it is a failure."""
    found: Kinds = []
    for kind, piece in get_lexer_by_name("secgen", ensurenl=False, stripnl=False).get_tokens(text):
        if piece.strip():
            (name, *_) = [name for known, name in PYGMENTS if kind in known]
            found += [(c, name) for c in piece if not c.isspace()]
    return found


@pytest.fixture(scope="module")
def by_textmate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Kinds]]:
    """Kinds by the committed TextMate grammar, in an engine that works like that of VS Code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("cache"))  # the library makes a folder for its cache
        from textmate_grammar.parsers.base import LanguageParser
    parser = LanguageParser(read("syntaxes/secgen.tmLanguage.json"))

    def kinds(text: str) -> Kinds:
        lines = text.split("\n")
        scopes: dict[tuple[int, int], str] = {}
        element = parser.parse_string(text)
        for (line, column), piece, names in element.flatten() if element else ():
            for offset in range(len(piece)):
                scopes[line, column + offset] = names[-1]
        return [
            (c, next((kind for scope, kind in TEXTMATE.items() if found.startswith(scope)), found))
            for row, line in enumerate(lines)
            for column, c in enumerate(line)
            if not c.isspace()
            for found in [scopes.get((row, column), "nothing")]
        ]

    return kinds


@pytest.mark.parametrize("name", TEXTS)
def test_the_highlighters_agree(name: str, by_textmate: Callable[[str], Kinds]) -> None:
    text = TEXTS[name]
    found = by_pygments(text)
    assert "".join(c for c, _ in found) == "".join(text.split())
    assert by_textmate(text) == found


@settings(max_examples=25)
@given(any_spec())
def test_the_highlighters_agree_on_any_spec(by_textmate: Callable[[str], Kinds], text: str) -> None:
    assume(meaning(text) is not None)
    plain = text.replace("\r", "")  # editors split lines before they colour them
    assert by_textmate(plain) == by_pygments(plain)


def test_what_is_coloured_how() -> None:
    text = (
        "measure { marginal in_sex * sex } # in\npanel sex expression log2 0..2 { in, weight, 7SK }"
    )
    words = re.findall(r"\S+", text)
    kinds = {}
    rest = by_pygments(text)
    for word in words:
        kinds.setdefault(word.strip(","), rest[0][1])
        rest = rest[len(word) :]
    assert kinds == {
        "measure": "block word", "{": "punctuation", "marginal": "word", "in_sex": "name",
        "*": "operator", "sex": "name", "}": "punctuation", "#": "comment", "in": "comment",
        "panel": "block word", "expression": "word", "log2": "name", "0..2": "number",
        "weight": "item", "7SK": "item",
    }  # fmt: skip


def test_every_word_of_the_grammar_is_known(by_textmate: Callable[[str], Kinds]) -> None:
    text = "".join(f"{word}\n" for word in sorted(block_words()))
    assert {kind for _, kind in by_pygments(text)} == {"block word"}
    assert {kind for _, kind in by_textmate(text)} == {"block word"}
    text = f"trust {{\n{' '.join(sorted(keywords()))}\n}}"
    for kinds in (by_pygments(text), by_textmate(text)):
        assert {kind for _, kind in kinds[len("trust{") : -1]} == {"word"}
    assert len(keywords()) > 50
    assert block_words() < keywords()


def test_the_committed_grammar_is_what_the_script_writes() -> None:
    spec = importlib.util.spec_from_file_location("tool", ROOT / "tools/write_editor_grammar.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.PATH.read_text(encoding="utf-8") == tool.as_json(), (
        "run .venv/bin/python tools/write_editor_grammar.py"
    )


def test_pygments_finds_the_lexer() -> None:
    lexer = get_lexer_for_filename("study.secgen")
    assert type(lexer) is type(get_lexer_by_name("secgen"))
    for path in SPECS.glob("*.secgen"):
        text = path.read_text(encoding="utf-8")
        assert "".join(piece for _, piece in lexer.get_tokens(text)) == text


# ---- the extension -------------------------------------------------------------------------------

SNIPPETS = read("snippets/secgen.json")
LINES = {
    "category column": "columns",
    "marginal": "measure",
    "marginal of a panel": "measure",
    "marginal of gene pairs": "measure",
    "marginal of gene pairs by label": "measure",
    "moments": "measure",
    "number column": "columns",
    "mutation column": "columns",
    "keep earliest": "person",
    "expect": "person",
}
"""Snippets that are a line of a block."""


def filled(name: str) -> list[str]:
    """A snippet with the defaults at its placeholders, once for each choice that it offers."""
    body = "\n".join(SNIPPETS[name]["body"]).removesuffix("\n$0")
    choice = re.compile(r"\$\{\d+\|((?:\\.|[^|])*)\|\}")
    most = max([len(re.split(r"(?<!\\),", m)) for m in choice.findall(body)], default=1)
    texts = []
    for number in range(most):

        def chosen(match: re.Match[str], number: int = number) -> str:
            offered = re.split(r"(?<!\\),", match.group(1))
            return offered[number % len(offered)].replace("\\", "")

        text = re.sub(r"\$\{\d+:([^}]*)\}", r"\1", choice.sub(chosen, body))
        assert "$" not in text
        texts.append(text + "\n")
    return texts


@pytest.mark.parametrize("name", SNIPPETS)
def test_snippets_parse_and_are_canonical(name: str) -> None:
    assert SNIPPETS[name]["prefix"]
    assert SNIPPETS[name]["description"]
    for text in filled(name):
        whole = f"{LINES[name]} {{\n  {text}}}\n" if name in LINES else text
        assert meaning(whole) is not None, whole
        assert format_text(whole) == whole


def test_the_snippet_of_a_whole_spec_is_sound() -> None:
    (text,) = filled("whole spec")
    assert all_faults(text) == []


def test_each_block_has_a_snippet() -> None:
    first = {filled(name)[0].split()[0] for name in SNIPPETS if name not in LINES}
    assert first == block_words()


def test_the_manifest_names_what_is_there() -> None:
    manifest = read("package.json")["contributes"]
    (language,) = manifest["languages"]
    (grammar,) = manifest["grammars"]
    (snippets,) = manifest["snippets"]
    assert language["extensions"] == [".secgen"]
    assert {language["id"]} == {grammar["language"], snippets["language"]}
    assert grammar["scopeName"] == read(grammar["path"])["scopeName"]
    assert read(snippets["path"]) == SNIPPETS
    configuration = read(language["configuration"])
    assert configuration["comments"] == {"lineComment": "#"}
    for word in ("HLA-A", "ENSG00000141736.9", "ER+", "7SK"):
        assert re.fullmatch(configuration["wordPattern"], word)


def test_the_problem_matcher_reads_what_check_prints(tmp_path: Path) -> None:
    (matcher,) = read("package.json")["contributes"]["problemMatchers"]
    tasks = [task for task in read("tasks.json")["tasks"] if task["problemMatcher"]]
    assert [task["problemMatcher"] for task in tasks] == [f"${matcher['name']}"]
    path = tmp_path / "a study: é.secgen"
    spec = LAID_OUT["colorectal"].replace("epsilon 4", "epsilon four").replace("trust", "trst")
    path.write_text(spec, encoding="utf-8")
    ended = secgen(*(argument.replace("${file}", str(path)) for argument in tasks[0]["args"]))
    assert ended.code == 1
    pattern = matcher["pattern"]
    found = []
    for line in ended.out.splitlines():
        match = re.fullmatch(pattern["regexp"], line)
        assert match is not None, line
        found.append({name: match.group(pattern[name]) for name in pattern if name != "regexp"})
    rows = spec.split("\n")
    for problem, word, code in zip(found, ("trst", "four"), ("SG111", "SG110"), strict=True):
        row, column = int(problem["line"]), int(problem["column"])
        assert rows[row - 1][column - 1 :].startswith(word)
        assert (problem["file"], problem["severity"]) == (str(path), "error")
        assert problem["code"] == code
        assert word in problem["message"]
