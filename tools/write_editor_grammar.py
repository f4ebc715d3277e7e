"""Write the TextMate grammar of the VS Code extension; its words come from the grammar of specs.

    .venv/bin/python tools/write_editor_grammar.py

Run it when `grammar/secgen.lark` has changed; a test compares the committed file with `as_json`.
"""

import json
from pathlib import Path

from secgen_dsl.syntax.outline import LIST_OPENERS
from secgen_dsl.syntax.parser import block_words, keywords

PATH = Path(__file__).resolve().parent.parent / "editors/vscode/syntaxes/secgen.tmLanguage.json"

_WORD = r"[A-Za-z0-9_](?:(?!\.\.)[A-Za-z0-9_.+/-])*"
_WORD_END = r"(?![A-Za-z0-9_+/-]|\.(?!\.))"
_CALL = r'[A-Za-z][A-Za-z0-9_]*[ \t]*\([^()\n{}"]*\)'
_NUMBER = rf"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?{_WORD_END}"


def one_of(words: frozenset[str]) -> str:
    """A pattern for whole words of the language."""
    return rf"(?:{'|'.join(sorted(words, key=lambda word: (-len(word), word)))}){_WORD_END}"


def rule(match: str, scope: str) -> dict[str, object]:
    return {"name": f"{scope}.secgen", "match": match}


def includes(*names: str) -> list[dict[str, str]]:
    return [{"include": f"#{name}"} for name in names]


def braces(kind: str, *names: str) -> dict[str, object]:
    """What stands between braces, on however many lines."""
    mark = {"0": {"name": f"punctuation.section.{kind}.secgen"}}
    return {
        "name": f"meta.{kind}.secgen",
        "begin": r"\{",
        "end": r"\}",
        "beginCaptures": mark,
        "endCaptures": mark,
        "patterns": includes(*names),
    }


def opening(words: frozenset[str], inside: str) -> dict[str, object]:
    """A line outside all blocks, up to its end or to the brace that closes its block or list."""
    return {
        "begin": one_of(words),
        "end": r"(?<=\})|(?=[;#])|$",
        "beginCaptures": {"0": {"name": "keyword.control.secgen"}},
        "patterns": includes(inside, "statement"),
    }


def grammar() -> dict[str, object]:
    """The TextMate grammar.

    A line outside all blocks opens a block or a list; a brace within a block opens a list, in which
    every word is a name.  Words are matched whole, so that no keyword is found inside a name.
    """
    string = {
        "name": "string.quoted.double.secgen",
        "begin": '"',
        "end": '"|$',
        "patterns": [
            rule(r"\\[\"\\]", "constant.character.escape"),
            rule(r"\\.", "invalid.illegal"),
        ],
    }
    return {
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "name": "secgen",
        "scopeName": "source.secgen",
        "fileTypes": ["secgen"],
        "patterns": includes("comment", "declaration", "heading", "piece"),
        "repository": {
            "comment": rule(r"#.*$", "comment.line.number-sign"),
            "declaration": opening(LIST_OPENERS, "list"),
            "heading": opening(block_words() - LIST_OPENERS, "block"),
            "block": braces("block", "comment", "list", "statement"),
            "list": braces("list", "comment", "string", "name-in-list", "sign"),
            "statement": {"patterns": includes("call", "keyword", "piece")},
            "call": rule(_CALL, "support.function"),
            "piece": {"patterns": includes("string", "number", "name", "sign")},
            "keyword": rule(one_of(keywords()), "keyword.other"),
            "name-in-list": rule(_WORD, "constant.other"),
            "name": rule(_WORD, "variable.other"),
            "number": rule(_NUMBER, "constant.numeric"),
            "string": string,
            "sign": {
                "patterns": [
                    rule(r"\.\.|[*~%]", "keyword.operator"),
                    rule(r"[,;]", "punctuation.separator"),
                ]
            },
        },
    }


def as_json() -> str:
    """The text of the grammar's file."""
    return json.dumps(grammar(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.parent.mkdir(parents=True, exist_ok=True)
    PATH.write_text(as_json(), encoding="utf-8")
    print(PATH.name)
