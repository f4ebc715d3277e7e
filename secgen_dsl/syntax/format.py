"""The canonical layout of a spec.

Two spaces a level, one statement a line, 100 columns.  A block that is written on one line stays
on it if it fits.  Lists that do not fit are filled one level deeper, without a comma at their end.
Lines of one kind are aligned: two spaces stand between their columns.  Comments stay where they
are, at most one blank line stays where there were some, and the order is the author's.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from secgen_dsl.syntax.outline import (
    Block,
    Comment,
    Entry,
    Item,
    Listing,
    Part,
    Statement,
    Token,
    read_outline,
    read_tokens,
)

WIDTH = 100
"""Columns of a line, where it can be broken."""

_STEP = "  "
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_SPACED = frozenset("*~,{}%")
_BREAKS = (",", "*")

_ANY = "any"
_TEXT = '"'


class _Columns(NamedTuple):
    """How lines of one kind are divided into aligned columns.

    Attributes:
        head: the first column has at least so many words.
        starts: what begins the further ones, each of which a line may lack: a text in quotes, one
            of several words, or anything.
    """

    head: int
    starts: tuple[str, ...]


_DECLARATION = _Columns(2, (_ANY,))
"""``panel NAME  expression …``: lines outside all blocks that begin with the same word."""

_COLUMNS: Mapping[str, _Columns] = {
    "study": _Columns(1, (_TEXT,)),
    "silos": _Columns(1, (_TEXT, "terms", "approval", "source")),
    "helpers": _Columns(1, (_TEXT,)),
    "columns": _Columns(1, (_ANY,)),
    "measure": _Columns(2, ("in", "weight share error")),
    "simulate": _Columns(1, (_TEXT,)),
}
"""First word of a block → the columns of its lines."""


def format_text(text: str) -> str:
    """The canonical layout of the text of a spec, which must be one that parses.

    The layout of a layout is the same, and it parses to the same tree.

    Raises:
        RuntimeError: a word or a comment would be lost; nothing of the kind is known to happen.
    """
    lines: list[str] = []
    tokens = read_tokens(text)
    _write(lines, read_outline(tokens), "", None)
    formatted = "".join(f"{line}\n" for line in lines)
    if _content(read_tokens(formatted)) != _content(tokens):
        raise RuntimeError("the layout would change the spec")
    return formatted


def _content(tokens: Sequence[Token]) -> list[str]:
    """What the layout must keep; commas are left out, since newlines may stand for them."""
    return [token.text for token in tokens if token.text != ","]


def _write(lines: list[str], entries: Sequence[Entry], indent: str, block: str | None) -> None:
    """Append the lines of the entries of a block, or of the whole spec (``block`` None)."""
    flat = [_fitting(entry, indent) for entry in entries]
    aligned = _aligned(entries, flat, indent, block)
    for index, entry in enumerate(entries):
        if entry.blank and index:
            lines.append("")
        text = aligned.get(index, flat[index])
        if isinstance(entry, Comment):
            lines.append(indent + entry.text)
            continue
        if text is not None:
            lines.append(indent + text)
        elif isinstance(entry, Block):
            lines.append(_behind(indent + _opening(entry), entry.opening_comment))
            _write(lines, entry.entries, indent + _STEP, entry.word)
            lines.append(indent + "}")
        else:
            lines.extend(_wrapped(entry.parts, indent))
        lines[-1] = _behind(lines[-1], entry.comment)


def _behind(line: str, comment: str) -> str:
    return f"{line}  {comment}" if comment else line


def _opening(block: Block) -> str:
    header = _flat(block.header)
    return f"{header} {{" if header else "{"


def _fitting(entry: Entry, indent: str) -> str | None:
    """The entry on one line; None if it has to, or should, take several."""
    text: str | None = None
    if isinstance(entry, Statement):
        text = _flat(entry.parts)
    elif isinstance(entry, Block) and not entry.opening_comment:
        if not entry.entries:
            return _opening(entry) + "}"
        inner = [_fitting(inner, "") for inner in entry.entries] if entry.one_line else [None]
        text = f"{_opening(entry)} {'; '.join(filter(None, inner))} }}" if all(inner) else None
    return text if text is not None and len(indent) + len(text) <= WIDTH else None


# ---- a statement -------------------------------------------------------------------------------


def _gap(before: Part, after: Part) -> str:
    """What stands between two neighbours on a line."""
    if isinstance(before, Listing) or isinstance(after, Listing):
        return " "
    left, right = before.text, after.text
    if right == ",":
        return ""
    if (right in ("..", "%") and _NUMBER.fullmatch(left)) or (
        left == ".." and _NUMBER.fullmatch(right)
    ):
        return ""
    known = all(t.kind != "sign" or t.text in _SPACED for t in (before, after))
    return " " if known or after.apart else ""  # another sign is left as it is written


def _shown(part: Part) -> str | None:
    """A part on one line; None if a comment forbids it."""
    if isinstance(part, Token):
        return part.text if part.kind != "comment" else None
    if part.comment or any(item.comment for item in part.items):
        return None
    return f"{{ {', '.join(item.name for item in part.items)} }}" if part.items else "{}"


def _flat(parts: Sequence[Part]) -> str | None:
    """Parts on one line; None if a comment forbids it."""
    pieces: list[str] = []
    for index, part in enumerate(parts):
        shown = _shown(part)
        if shown is None:
            return None
        pieces += (_gap(parts[index - 1], part), shown) if index else (shown,)
    return "".join(pieces)


def _reach(parts: Sequence[Part], index: int) -> int:
    """Characters from a part to the next place where the line can be broken."""
    length = 0
    for at in range(index, len(parts)):
        part = parts[at]
        if isinstance(part, Listing):
            return length + len(" {")
        if part.kind == "comment":
            break
        length += len(part.text) + (len(_gap(parts[at - 1], part)) if at > index else 0)
        if part.text in _BREAKS:
            break
    return length


def _wrapped(parts: Sequence[Part], indent: str) -> list[str]:
    """The lines of a statement that does not fit on one, or that comments divide."""
    lines: list[str] = []
    line, fresh = indent, True
    for index, part in enumerate(parts):
        before = parts[index - 1] if index else None
        gap = _gap(before, part) if before is not None and not fresh else ""
        if isinstance(part, Listing):
            shown = _shown(part)
            tail = _reach(parts, index + 1) + 1 if index + 1 < len(parts) else 0
            if shown is not None and len(line) + len(gap) + len(shown) + tail <= WIDTH:
                line += gap + shown
            else:
                lines.append(_behind(line + gap + "{", part.comment))
                lines.extend(_filled(part.items, indent + _STEP))
                line = indent + "}"
            fresh = False
        elif part.kind == "comment":
            if fresh:
                lines.append(line + part.text)
            else:
                lines.append(_behind(line, part.text))
            line, fresh = indent + _STEP, True
        else:
            if (
                isinstance(before, Token)
                and before.text in _BREAKS
                and not fresh
                and len(line) + len(gap) + _reach(parts, index) > WIDTH
            ):
                lines.append(line)
                line, gap = indent + _STEP, ""
            line += gap + part.text
            fresh = False
    lines.append(line)
    return lines


def _filled(items: Sequence[Item], indent: str) -> list[str]:
    """The lines of a list's items, as many on each as fit; a comment ends its line."""
    lines: list[str] = []
    last = max((index for index, item in enumerate(items) if item.name), default=-1)
    line = ""
    for index, item in enumerate(items):
        text = item.name + "," if index < last else item.name
        if line and (not item.name or len(indent) + len(line) + 1 + len(text) > WIDTH):
            lines.append(indent + line)
            line = ""
        if not item.name:
            if item.blank and lines:
                lines.append("")
            lines.append(indent + item.comment)
            continue
        line = f"{line} {text}" if line else text
        if item.comment:
            lines.append(_behind(indent + line, item.comment))
            line = ""
    if line:
        lines.append(indent + line)
    return lines


# ---- alignment ---------------------------------------------------------------------------------


def _aligned(
    entries: Sequence[Entry], flat: Sequence[str | None], indent: str, block: str | None
) -> dict[int, str]:
    """Index of an entry → its text, for the statements that are aligned with their neighbours.

    A blank line, a block and a statement of several lines divide the statements into groups;
    outside all blocks also another first word.
    """
    columns = _DECLARATION if block is None else _COLUMNS.get(block)
    if columns is None:
        return {}
    texts: dict[int, str] = {}
    group: dict[int, list[tuple[int, str]]] = {}
    word = ""
    for index, entry in enumerate(entries):
        first = _first_word(entry) if block is None and not isinstance(entry, Comment) else word
        divides = not isinstance(entry, Comment) and flat[index] is None
        if entry.blank or divides or first != word:
            texts |= _align(group, indent)
            group = {}
        word = first
        if isinstance(entry, Statement) and flat[index] is not None:
            group[index] = _cells(entry.parts, columns)
    return texts | _align(group, indent)


def _first_word(entry: Statement | Block) -> str:
    if isinstance(entry, Block):
        return ""
    return entry.parts[0].text if isinstance(entry.parts[0], Token) else ""


def _cells(parts: Sequence[Part], columns: _Columns) -> list[tuple[int, str]]:
    """A statement in pieces: (number of the column, text)."""
    cells: list[tuple[int, str]] = []
    for index, part in enumerate(parts):
        shown = _shown(part) or ""
        if index == 0:
            cells.append((0, shown))
            continue
        last, text = cells[-1]
        column = _column_at(parts, index, columns, last)
        if column is None:
            cells[-1] = last, text + _gap(parts[index - 1], part) + shown
        else:
            cells.append((column, shown))
    return cells


def _column_at(parts: Sequence[Part], index: int, columns: _Columns, last: int) -> int | None:
    """The column that a part begins; None if it belongs to column ``last``."""
    part, before = parts[index], parts[index - 1]
    after_break = isinstance(before, Token) and before.text in _BREAKS
    if index < columns.head or after_break:
        return None
    for number, start in enumerate(columns.starts[last:], last + 1):
        if start == _ANY:
            return number
        if isinstance(part, Token) and (
            (start == _TEXT and part.kind == "text")
            or (part.kind == "word" and part.text in start.split())
        ):
            return number
    return None


def _align(group: Mapping[int, list[tuple[int, str]]], indent: str) -> dict[int, str]:
    """The aligned texts of a group; none if one would not fit, or fewer than two have columns."""
    if sum(len(cells) > 1 for cells in group.values()) < 2:
        return {}
    widths: dict[int, int] = {}
    for cells in group.values():
        for column, text in cells[:-1]:
            widths[column] = max(widths.get(column, 0), len(text))
    texts: dict[int, str] = {}
    for index, cells in group.items():
        found = dict(cells)
        last, text = cells[-1]
        before = [found.get(c, "").ljust(widths[c]) for c in sorted(widths) if c < last]
        texts[index] = "  ".join([*before, text])
        if len(indent) + len(texts[index]) > WIDTH:
            return {}
    return texts
