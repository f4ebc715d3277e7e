"""Spec text to tree, with every syntax error of the text in one go."""

import re
from functools import cache
from importlib.resources import files
from pathlib import Path

from lark import Lark
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken
from lark.lexer import PatternRE, PatternStr, TerminalDef

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, Source, Span, fail, nearest
from secgen_dsl.syntax import tree
from secgen_dsl.syntax.build import TreeBuilder
from secgen_dsl.syntax.later import LATER
from secgen_dsl.syntax.recovery import blank_statement

MAXIMUM_BYTES = 1_000_000
"""A larger spec is refused: long gene lists belong in a file of their own."""

_MAXIMUM_ERRORS = 20
_WORD_END = r"(?![A-Za-z0-9_+/-]|\.(?!\.))"
_PLAIN_NAMES = {
    "WORD": "a name",
    "STRING": "a text in quotes",
    "NUMBER": "a number",
    "_NL": "the end of the line",
    "$END": "the end of the spec",
}


def _whole_words(terminal: TerminalDef) -> None:
    """Lets a keyword match whole words only, wherever the lexer tries it."""
    if isinstance(terminal.pattern, PatternStr) and terminal.pattern.value.isalpha():
        terminal.pattern = PatternRE(re.escape(terminal.pattern.value) + _WORD_END)
        terminal.priority = 1


@cache
def _keywords() -> dict[str, str]:
    """Terminal name → the keyword or sign that it stands for."""
    words = {}
    for terminal in _parser().terminals:
        if terminal.name not in _PLAIN_NAMES:
            pattern = terminal.pattern.value.removesuffix(_WORD_END)
            words[terminal.name] = re.sub(r"\\(.)", r"\1", pattern)
    return words


@cache
def _parser() -> Lark:
    grammar = (files("secgen_dsl.grammar") / "secgen.lark").read_text(encoding="utf-8")
    return Lark(
        grammar,
        parser="lalr",
        lexer="contextual",
        propagate_positions=True,
        edit_terminals=_whole_words,
    )


def read_source(path: Path) -> Source:
    """The text of a spec file.

    Raises:
        SecgenError: SG101 unreadable, SG103 too large, SG104 not UTF-8 text.
    """
    name = str(path)
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise fail(
                "SG103",
                f"the spec has more than {MAXIMUM_BYTES:,} bytes",
                place=name,
                next_step='put long gene lists into a file: panel … from "genes.txt"',
            )
        data = path.read_bytes()
    except OSError as error:
        raise fail(
            "SG101",
            f"the spec cannot be read: {(error.strerror or 'unknown reason').lower()}",
            place=name,
            next_step="check the path",
        ) from error
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise fail(
            "SG104",
            f"the spec is not UTF-8 text (byte {error.start + 1})",
            place=name,
            next_step="save it as UTF-8 text; a spec is not a data file",
        ) from error
    return Source(name, text)


def parse(source: Source) -> tree.Spec:
    """The tree of a spec.

    Raises:
        SecgenError: every syntax error of the text (SG102, SG104, SG110–SG112).
    """
    if "\0" in source.text:
        raise fail(
            "SG104",
            "the spec holds bytes that no text has",
            place=source.name,
            next_step="save it as UTF-8 text; a spec is not a data file",
        )
    text = source.text + "\n"
    diagnostics: list[Diagnostic] = []
    while len(diagnostics) < _MAXIMUM_ERRORS:
        try:
            parsed = _parser().parse(text)
        except UnexpectedInput as error:
            diagnostic, offset = _diagnose(error, source, text)
            diagnostics.append(diagnostic)
            if isinstance(error, UnexpectedEOF) or _at_end(error):
                break
            shorter = blank_statement(text, offset)
            if shorter == text:
                break
            text = shorter
            continue
        if not diagnostics:
            spec = TreeBuilder(source).transform(parsed)
            if not spec.items:
                raise fail(
                    "SG102",
                    "the spec is empty",
                    place=source.name,
                    next_step='start with the line "secgen 1"; the README shows a whole spec',
                )
            return spec
        break
    raise SecgenError(diagnostics)


def _at_end(error: UnexpectedInput) -> bool:
    return isinstance(error, UnexpectedToken) and error.token.type == "$END"


def _diagnose(error: UnexpectedInput, source: Source, text: str) -> tuple[Diagnostic, int]:
    if isinstance(error, UnexpectedToken):
        expected = set(error.accepts or error.expected)
        offset = error.token.start_pos
        if _at_end(error) or offset is None:
            offset = len(source.text)
            end = offset
        else:
            end = error.token.end_pos or offset + 1
        return _unexpected(source, text, offset, end, error.token.type, expected), offset
    offset = error.pos_in_stream or 0
    expected = set(error.allowed or ()) if isinstance(error, UnexpectedCharacters) else set()
    return _unexpected(source, text, offset, offset + 1, "", expected), offset


def _unexpected(
    source: Source, text: str, offset: int, end: int, kind: str, expected: set[str]
) -> Diagnostic:
    span = Span(source, offset, end)
    words = _keywords()
    wanted = sorted(words[name] for name in expected if name in words and words[name].isalpha())
    if kind == "$END":
        return Diagnostic(
            "SG110",
            "the spec ends inside a block",
            span=span,
            label="the end of the file",
            next_step='close the block with "}"',
        )
    found = text[offset:end]
    if kind == "_NL":
        start = offset
        return Diagnostic(
            "SG110",
            "the statement is not finished",
            span=Span(source, start, start + 1),
            label=f"expected {_choices(expected)}",
            next_step="finish it on this line; only lists, and lines after , or *, may go on",
        )
    word = re.match(r'[^\s{}",;#*]+', text[offset:])
    found = word.group() if word else found
    span = Span(source, offset, offset + max(len(found), 1))
    if found in LATER:
        message, next_step = LATER[found]
        return Diagnostic(
            "SG112", message, span=span, label="not in this release", next_step=next_step
        )
    if found.isalpha() and wanted and "WORD" not in expected:
        return Diagnostic(
            "SG111",
            f'"{found}" is not a word that can stand here',
            span=span,
            label=f"expected {_choices(expected)}",
            next_step=nearest(found, wanted) or f"use {_choices(expected)}",
        )
    if kind in words and found.isalpha() and "WORD" in expected:
        return Diagnostic(
            "SG111",
            f'"{found}" is a keyword here',
            span=span,
            label="a name is expected",
            next_step=f'write it in quotes to use it as a name: "{found}"',
        )
    shown = found if found.isprintable() and found.strip() else repr(found)
    return Diagnostic(
        "SG110",
        f'"{shown}" cannot stand here' if shown != '"' else "a text in quotes is not closed",
        span=span,
        label=f"expected {_choices(expected)}",
        next_step=f"use {_choices(expected)}" if shown != '"' else 'end it with " on the same line',
    )


def _choices(expected: set[str]) -> str:
    words = _keywords()
    signs = sorted(words[name] for name in expected if name in words)
    plain = [_PLAIN_NAMES[name] for name in _PLAIN_NAMES if name in expected]
    choices = plain + [f'"{sign}"' for sign in signs]
    if not choices:
        return "something else"
    if len(choices) == 1:
        return choices[0]
    return ", ".join(choices[:-1]) + " or " + choices[-1]
