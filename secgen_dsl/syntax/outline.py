"""The outline of a spec: its blocks, statements, lists and comments, whatever their words mean.

The formatter works from this and not from the tree, which has no comments; and since no word of
the language is looked at but those of ``LIST_OPENERS``, a new statement needs nothing here.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

LIST_OPENERS = frozenset({"panel"})
"""Words that begin a line outside all blocks whose braces hold a list, not statements."""

_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    r"|(?P<comment>#[^\n]*)"
    r'|(?P<text>"(?:\\.|[^"\\\n])*")'
    r'|(?P<call>[A-Za-z][A-Za-z0-9_]*[ \t]*\([^()\n{}"]*\))'
    r"|(?P<word>-?[A-Za-z0-9_](?:(?!\.\.)[A-Za-z0-9_.+/-])*)"
    r"|(?P<sign>\.\.|[^;])"
    r"|(?P<end>;)"
)
_SUM = re.compile(
    r"[ \t]*(?:[A-Za-z_]\w*|[0-9.]+)[ \t]*(?:\+[ \t]*(?:[A-Za-z_]\w*|[0-9.]+)[ \t]*)*"
)


class Token(NamedTuple):
    """A word, number, text in quotes, sign or comment.

    Attributes:
        kind: ``word`` (also numbers and ``log2(cpm + 1)``), ``text``, ``sign`` or ``comment``.
        text: as it is written; of a comment without the blanks at its end.
        line: number of its line.
        apart: whether something blank, or ``;``, stands before it.
        ended: whether a ``;`` does.
    """

    kind: str
    text: str
    line: int
    apart: bool
    ended: bool


@dataclass(slots=True)
class Item:
    """An item of a list: a name, a comment on a line of its own, or a name and the comment behind.

    Attributes:
        blank: a blank line stands before it.
    """

    name: str
    comment: str
    blank: bool


@dataclass(slots=True)
class Listing:
    """``{ A, B }`` within a statement; ``comment`` is the one behind the opening brace."""

    comment: str = ""
    items: list[Item] = field(default_factory=list)


Part: TypeAlias = Token | Listing
"""Of a statement.  A comment is one where the statement goes on behind it."""


@dataclass(slots=True)
class Comment:
    """A comment on a line of its own."""

    text: str
    blank: bool


@dataclass(slots=True)
class Statement:
    """A statement with the comment at its end.

    Attributes:
        blank: a blank line stands before it; likewise of a block.
    """

    parts: list[Part]
    blank: bool
    comment: str = ""


@dataclass(slots=True)
class Block:
    """``HEADER { … }``.

    Attributes:
        one_line: it is written on one line.
        opening_comment: behind the opening brace.
        comment: behind the closing brace.
    """

    header: list[Part]
    blank: bool
    one_line: bool
    opening_comment: str = ""
    entries: "list[Entry]" = field(default_factory=list)
    comment: str = ""

    @property
    def word(self) -> str:
        """The first word of the block."""
        first = self.header[0] if self.header else None
        return first.text if isinstance(first, Token) else ""


Entry: TypeAlias = Comment | Statement | Block


def read_tokens(text: str) -> list[Token]:
    """All tokens of a text; line ends and ``;`` stand in what follows them."""
    tokens: list[Token] = []
    line, apart, ended = 0, True, False
    for match in _TOKEN.finditer(text):
        kind, found = match.lastgroup or "", match.group()
        if kind == "space":
            line += found.count("\n")
            apart = True
        elif kind == "end":
            apart = ended = True
        else:
            if kind == "comment":
                found = found.rstrip(" \t\r")
            elif kind == "call":
                kind, found = "word", _call(found)
            tokens.append(Token(kind, found, line, apart, ended))
            apart = ended = False
    return tokens


def _call(text: str) -> str:
    """``log2(cpm+1)`` with the usual blanks; anything but a sum is left as it is written."""
    name, _, inside = text.removesuffix(")").partition("(")
    if not _SUM.fullmatch(inside):
        return text
    return f"{name.rstrip()}({' + '.join(term.strip() for term in inside.split('+'))})"


def read_outline(tokens: list[Token]) -> list[Entry]:
    """The outline of the tokens of a text, which must be one that parses."""
    return _Reader(tokens).entries(depth=0)


class _Reader:
    """Reads entries from tokens, each token once."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._names_only: dict[int, bool] = {}
        self._one_line: dict[int, bool] = {}
        self._look_at_braces()

    def entries(self, depth: int) -> list[Entry]:
        """What stands up to the brace that closes the block, or to the end."""
        found: list[Entry] = []
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.text == "}" and depth:
                break
            blank = self._lines_before(self._at) > 1
            if token.kind == "comment":
                found.append(Comment(token.text, blank))
                self._at += 1
            else:
                found.append(self._statement(depth, blank))
        return found

    def _look_at_braces(self) -> None:
        """For each opening brace: does it hold only names, and on how many lines?"""
        opened: list[int] = []
        names = 0
        for index, token in enumerate(self._tokens):
            if token.kind in ("word", "text"):
                names = names + 1 if not (token.ended or self._lines_before(index)) else 1
                if names > 1 and opened:
                    self._names_only[opened[-1]] = False
            elif token.kind == "sign":
                names = 0
                if token.text == "{":
                    if opened:
                        self._names_only[opened[-1]] = False
                    opened.append(index)
                    self._names_only[index] = True
                elif token.text == "}" and opened:
                    opening = opened.pop()
                    self._one_line[opening] = self._tokens[opening].line == token.line
                elif token.text != "," and opened:
                    self._names_only[opened[-1]] = False

    def _lines_before(self, index: int) -> int:
        """How many line ends stand before a token."""
        return self._tokens[index].line - self._tokens[index - 1].line if index else 1

    def _same_line_comment(self) -> str:
        """Takes the comment that stands behind the last token on its line, if there is one."""
        if self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.kind == "comment" and not self._lines_before(self._at):
                self._at += 1
                return token.text
        return ""

    def _statement(self, depth: int, blank: bool) -> Statement | Block:
        parts: list[Part] = []
        goes_on = True
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.kind == "comment":
                if not goes_on:
                    break
                parts.append(token)
                self._at += 1
                continue
            ends_here = token.ended or self._lines_before(self._at) or (token.text == "}" and depth)
            if ends_here and not goes_on:
                break
            if token.text == "{":
                if not self._is_list(parts, depth):
                    return self._block(parts, depth, blank)
                parts.append(self._listing())
                goes_on = False
                continue
            parts.append(token)
            self._at += 1
            goes_on = token.text in (",", "*")
        return Statement(parts, blank, self._same_line_comment())

    def _is_list(self, parts: list[Part], depth: int) -> bool:
        first = parts[0] if parts else None
        opens_list = isinstance(first, Token) and first.text in LIST_OPENERS
        return self._names_only[self._at] and (depth > 0 or opens_list)

    def _block(self, header: list[Part], depth: int, blank: bool) -> Block:
        block = Block(header, blank, self._one_line.get(self._at, False))
        self._at += 1
        block.opening_comment = self._same_line_comment()
        block.entries = self.entries(depth + 1)
        self._at += 1  # the closing brace
        block.comment = self._same_line_comment()
        return block

    def _listing(self) -> Listing:
        listing = Listing()
        self._at += 1
        listing.comment = self._same_line_comment()
        while self._at < len(self._tokens):
            token, blank = self._tokens[self._at], self._lines_before(self._at) > 1
            self._at += 1
            if token.text == "}":
                break
            if token.kind == "comment":
                if listing.items and self._lines_before(self._at - 1) == 0:
                    listing.items[-1].comment = token.text
                else:
                    listing.items.append(Item("", token.text, blank))
            elif token.text != ",":
                listing.items.append(Item(token.text, "", blank))
        return listing
