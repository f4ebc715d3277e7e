"""Spec text to tree, with every syntax error of the text in one go."""

import re
from functools import cache
from importlib.resources import files
from pathlib import Path

from lark import Lark
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.lexer import PatternRE, PatternStr, TerminalDef

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, Source, fail, in_order
from secgen_dsl.syntax import tree
from secgen_dsl.syntax.build import TreeBuilder
from secgen_dsl.syntax.foreign import foreign
from secgen_dsl.syntax.mistakes import explain
from secgen_dsl.syntax.recovery import (
    blank,
    open_block,
    past_list,
    pieces,
    place_of,
    statement_end,
    unmatched_close,
)
from secgen_dsl.syntax.scene import Fault, Scene

MAXIMUM_BYTES = 1_000_000
"""A larger spec is refused: long gene lists belong in a file of their own."""

_MAXIMUM_ERRORS = 20
_MAXIMUM_WORK = 1_000_000
"""So many characters are parsed again, at most, in search of more errors."""

_PIECE_COST = 500
"""What a piece costs beside its characters, in the same unit."""

_WORD_END = r"(?![A-Za-z0-9_+/-]|\.(?!\.))"
_PLAIN = ("WORD", "STRING", "NUMBER", "_NL", "$END")


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
        if terminal.name not in _PLAIN:
            pattern = terminal.pattern.value.removesuffix(_WORD_END)
            words[terminal.name] = re.sub(r"\\(.)", r"\1", pattern)
    return words


@cache
def _parser(*, positions: bool = True) -> Lark:
    """The parser.  Without positions it is quicker, and knows only whether a text parses."""
    grammar = (files("secgen_dsl.grammar") / "secgen.lark").read_text(encoding="utf-8")
    return Lark(
        grammar,
        parser="lalr",
        lexer="contextual",
        propagate_positions=positions,
        edit_terminals=_whole_words,
    )


@cache
def block_words() -> frozenset[str]:
    """The words that begin a block, or a line outside all blocks."""
    accepted = _parser().parse_interactive("").accepts()  # type: ignore[no-untyped-call]
    return frozenset(word for name, word in _keywords().items() if name in accepted)


@cache
def keywords() -> frozenset[str]:
    """All words that the grammar has; none is reserved."""
    return frozenset(word for word in _keywords().values() if word.isalnum())


def read_source(path: Path) -> Source:
    """The text of a spec file.

    Raises:
        SecgenError: SG101 unreadable, SG103 too large, SG104 not UTF-8 text.
    """
    return source_of(str(path), read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """The bytes of a spec file, one more than ``MAXIMUM_BYTES`` at most.

    Raises:
        SecgenError: SG101 unreadable.
    """
    try:
        with path.open("rb") as file:  # the size of a pipe or device is not known before
            return file.read(MAXIMUM_BYTES + 1)
    except OSError as error:
        raise fail(
            "SG101",
            f"the spec cannot be read: {(error.strerror or 'unknown reason').lower()}",
            place=str(path),
            next_step="give the path of a spec, a text file"
            if path.is_dir()
            else "check the path; it is relative to the current folder",
        ) from error


def source_of(name: str, data: bytes) -> Source:
    """The text of a spec from its bytes; a byte order mark is left out.

    Raises:
        SecgenError: SG103 too large, SG104 not UTF-8 text.
    """
    if len(data) > MAXIMUM_BYTES:
        raise fail(
            "SG103",
            f"the spec has more than {MAXIMUM_BYTES:,} bytes",
            place=name,
            next_step='put long gene lists into a file: panel … from "genes.txt"',
        )
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
        SecgenError: the syntax errors of the text, 20 at most (SG102, SG104, SG110–SG112, SG114).
    """
    if "\0" in source.text:
        raise fail(
            "SG104",
            "the spec holds bytes that no text has",
            place=source.name,
            next_step="save it as UTF-8 text; a spec is not a data file",
        )
    text = source.text + "\n"
    try:
        parsed = _parser().parse(text)
    except UnexpectedInput:
        raise SecgenError(in_order(_errors(source, text))) from None
    builder = TreeBuilder(source)
    spec = builder.transform(parsed)
    if builder.faults:
        raise SecgenError(builder.faults)
    if not spec.items:
        raise fail(
            "SG102",
            "the spec is empty",
            place=source.name,
            next_step='begin with the line "secgen 1"; specs/ holds whole examples',
        )
    return spec


def check_syntax(source: Source) -> None:
    """Whether a spec parses, in a third of the time of ``parse``: no tree is built.

    Raises:
        SecgenError: as ``parse`` (but a number with too many digits passes).
    """
    try:
        sound = _parser(positions=False).parse(source.text + "\n").children
    except UnexpectedInput:
        sound = []
    if not sound or "\0" in source.text:
        parse(source)


def _errors(source: Source, text: str) -> list[Diagnostic]:
    """The errors of a text that does not parse, piece by piece."""
    other = foreign(source)
    if other is not None:
        return [other]
    found: list[Diagnostic] = []
    work = 0
    for start, end in pieces(text):
        while len(found) < _MAXIMUM_ERRORS and work < _MAXIMUM_WORK:
            work += end - start + _PIECE_COST
            fault = _first_fault(text[start:end], start)
            if fault is None:
                break
            diagnostic, text = _mend(fault, source, text, start, end)
            found.append(diagnostic)
    if not found:  # each piece is sound, but not where it stands
        fault = _first_fault(text, 0)
        if fault is not None:
            found.append(_mend(fault, source, text, 0, len(text))[0])
    return found


def _mend(fault: Fault, source: Source, text: str, start: int, end: int) -> tuple[Diagnostic, str]:
    """The diagnostic of a fault in a piece, and the text without the statement that holds it."""
    place = place_of(text, start, end, fault.start)
    explanation = explain(Scene(fault, source, text, place, (start, end), _reads))
    diagnostic = explanation.diagnostic
    if explanation.put is not None:
        at, sign = explanation.put
        return diagnostic, text[:at] + sign + text[at + 1 :]
    unopened = fault.at_line_end and fault.words == ("{",) and not place.braces
    if unopened and place.word != "panel" and explanation.only is None:
        return diagnostic, open_block(text, fault.start)
    begin, stop = place.start, end
    if explanation.only is not None:
        begin, stop = explanation.only
    elif fault.at_end:
        begin = start
    elif place.braces or not unmatched_close(text, start, end):
        stop = max(explanation.after, statement_end(text, end, explanation.after, place))
        if unmatched_close(text, start, end):
            stop = past_list(text, end, stop, place)
    ranges = ((begin, stop), (fault.start, fault.start + 1), (start, end))
    first, last = next((r for r in ranges if text[slice(*r)].strip()), (start, end))
    return diagnostic, blank(text, first, last)


def _reads(beginning: str) -> bool:
    """Whether the parser takes a text as the beginning of a piece."""
    try:
        _parser().parse_interactive(beginning).exhaust_lexer()
    except UnexpectedInput:
        return False
    return True


def _first_fault(piece: str, offset: int) -> Fault | None:
    """Where the parser stops in a piece that begins at ``offset``; None if it does not."""
    interactive = _parser().parse_interactive(piece)
    try:
        interactive.exhaust_lexer()
        interactive.feed_eof()  # type: ignore[no-untyped-call]
    except UnexpectedToken as error:
        at_end = error.token.type == "$END"
        position = len(piece) if at_end or error.token.start_pos is None else error.token.start_pos
        kind = error.token.type
    except UnexpectedCharacters as error:
        at_end, position, kind = False, error.pos_in_stream or 0, ""
    else:
        return None
    accepts = interactive.accepts()  # type: ignore[no-untyped-call]
    words = _keywords()
    return Fault(
        start=offset + position,
        at_end=at_end,
        at_line_end=kind == "_NL",
        words=tuple(sorted(words[name] for name in accepts if name in words)),
        name="WORD" in accepts,
        text="STRING" in accepts,
        number="NUMBER" in accepts,
        line_end="_NL" in accepts,
    )
