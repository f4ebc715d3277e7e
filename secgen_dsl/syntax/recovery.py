"""Where to go on after a syntax error: one typo must not make ten.

A text with an error is cut before every line that can only begin a block (``trust {``,
``panel NAME expression``), so that a brace too few or too many harms one block.  Within such a
piece the statement that holds an error is blanked out and the piece is parsed again.  Offsets stay
as they are, so that later errors point at the right place.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from secgen_dsl.syntax.shapes import BLOCKS

_LANDMARK = re.compile(r'"(?:\\.|[^"\\\n])*"?|#[^\n]*|[{}\n;]')
_WORDS = "|".join(BLOCKS)
_OPENING = re.compile(
    rf"^(?:(?:{_WORDS})(?=[ \t]+[^\s,}}])"
    r'|[ \t]*(?:study[ \t]+"[^"\n]*"[ \t]*\{|silos[ \t]+hold\b'
    r"|(?:silos|helpers|trust|person|columns|privacy|measure|release|simulate)[ \t]*\{"
    r"|public[ \t]+\S+[ \t]+from\b|panel[ \t]+\S+[ \t]+expression\b))",
    re.MULTILINE,
)
_LIST_CLOSED = re.compile(r"\s*\}[ \t]*(?=[^\s};#])")
_FIRST_WORD = re.compile(r"[ \t\r\n;]*([A-Za-z]*)")


@dataclass(frozen=True)
class Place:
    """The surroundings of an error.

    Attributes:
        block: first word of the block, or of the line outside all blocks.
        word: first word of the statement.
        start: where the statement begins.
        braces: offsets of the braces that are open at the error, outermost first.
        in_list: whether the innermost of them opens a list, in which newlines separate.
        list_closed: whether that list is closed before another brace opens.
    """

    block: str
    word: str
    start: int
    braces: tuple[int, ...]
    in_list: bool
    list_closed: bool


def pieces(text: str) -> list[tuple[int, int]]:
    """``text`` cut before each line that can only begin a block: (start, end) of each piece."""
    cuts = [0, *(match.start() for match in _OPENING.finditer(text) if match.start()), len(text)]
    return list(pairwise(cuts))


def _landmarks(text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    """Offsets of the braces and statement ends that are not inside quotes or comments.

    A newline after ``,`` or ``*`` ends nothing.
    """
    last, seen = "", start
    for match in _LANDMARK.finditer(text, start, end):
        code = text[seen : match.start()].rstrip()
        last, seen = code[-1:] or last, match.end()
        mark = match.group()
        if mark[0] == "#" or (mark == "\n" and last in (",", "*")):
            continue
        last = mark[-1]
        if mark in "{}\n;":
            yield match.start(), mark


def _first_word(text: str, offset: int) -> str:
    match = _FIRST_WORD.match(text, offset)
    return match.group(1) if match else ""


def place_of(text: str, start: int, end: int, offset: int) -> Place:
    """The surroundings of ``offset`` in the piece from ``start`` to ``end``.

    An ``offset`` on a statement's end belongs to the statement that ends there.
    """
    statement = header = start
    braces: list[int] = []
    for position, mark in _landmarks(text, start, min(offset, end)):
        in_list = len(braces) > 1 or (len(braces) == 1 and _first_word(text, header) == "panel")
        if mark == "{":
            if not braces:
                header = statement
                if _first_word(text, header) != "panel":
                    statement = position + 1
            braces.append(position)
        elif mark == "}":
            if braces:
                braces.pop()
            if not braces:
                statement = position + 1
        elif not in_list:
            statement = position + 1
    block = _first_word(text, header if braces else statement)
    in_list = len(braces) > 1 or (len(braces) == 1 and block == "panel")
    closed = in_list and next(
        (mark == "}" for _, mark in _landmarks(text, braces[-1] + 1, end) if mark in "{}"), False
    )
    return Place(block, _first_word(text, statement), statement, tuple(braces), in_list, closed)


def statement_end(text: str, end: int, after: int, place: Place) -> int:
    """Where the statement that holds an error ends: parsing resumes there.

    Args:
        end: end of the piece.
        after: first offset behind the error itself.
    """
    depth = 1 if place.in_list and place.list_closed else 0
    for position, mark in _landmarks(text, after, end):
        if mark == "{":
            depth += 1
        elif mark == "}":
            if depth == 0:
                return position
            depth -= 1
        elif depth == 0:
            return position
    return end


def past_list(text: str, end: int, stop: int, place: Place) -> int:
    """Where a statement ends that lost the ``{`` of its list: a ``}`` with words behind it is next.

    (A ``}`` that closes a block has none behind it.)  ``stop`` where no such brace is next.
    """
    closing = _LIST_CLOSED.match(text, stop, end)
    return stop if closing is None else statement_end(text, end, closing.end(), place)


def blank(text: str, start: int, end: int) -> str:
    """``text`` with spaces from ``start`` to ``end``, newlines kept."""
    return text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]


def open_block(text: str, offset: int) -> str:
    """``text`` with a brace at ``offset`` in place of the rest of the line (a comment at most)."""
    end = text.find("\n", offset)
    end = len(text) if end < 0 else end
    if end == offset:  # the line ends here: its end gives way to the brace
        return text[:offset] + "{" + text[offset + 1 :]
    return text[:offset] + "{" + " " * (end - offset - 1) + text[end:]


def unmatched_close(text: str, start: int, end: int) -> bool:
    """Whether the piece closes more braces than it opens."""
    depth = 0
    for _, mark in _landmarks(text, start, end):
        depth += {"{": 1, "}": -1}.get(mark, 0)
    return depth < 0
