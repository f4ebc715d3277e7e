"""One style of diagnostic: code, place, what is wrong in the user's words, a next step."""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Source:
    """A text that a span points into.

    Attributes:
        name: as the user knows it (the path that they typed).
        text: the whole text.
    """

    name: str
    text: str = field(repr=False)

    def position(self, offset: int) -> tuple[int, int]:
        """(line, column) of an offset, both from 1; an offset past the end is the end."""
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line (from 1), without its end; empty past the end."""
        if number > len(self._line_starts):
            return ""
        return self.text[self._line_starts[number - 1] : self._end_of(number)].rstrip("\r")

    def _end_of(self, number: int) -> int:
        """Offset of a line's newline, or of the text's end."""
        after = self._line_starts[number : number + 1]
        return after[0] - 1 if after else len(self.text)

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.text))]


@dataclass(frozen=True)
class Span:
    """Characters ``start`` (inclusive) to ``end`` (exclusive) of a source."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        """Line of the first character, from 1."""
        return self.source.position(self.start)[0]


@dataclass(frozen=True)
class Diagnostic:
    """Something that a user should know or mend.

    Attributes:
        code: stable identifier, for example ``SG201`` (see ``codes.py``).
        message: what is wrong, in the user's words, without a full stop.
        span: where in a spec, if it is there.
        place: where else: a file and row, a site.
        label: a few words under the caret.
        next_step: what to do about it.
        local: names out of a site's files that help to mend it.  They may be patients', so nothing
            shows or writes them but the site's own command (``for_the_site``).
        names: all that is meant, where the message names the first few; public, for JSON.
    """

    code: str
    message: str
    severity: Severity = "error"
    span: Span | None = None
    place: str = ""
    label: str = ""
    next_step: str = ""
    local: str = field(default="", repr=False)
    names: tuple[str, ...] = ()

    def where(self) -> str:
        """The place in one line: ``file:line:column``, or what ``place`` says."""
        if self.span is None:
            return self.place
        line, column = self.span.source.position(self.span.start)
        return f"{self.span.source.name}:{line}:{column}"

    def as_json(self) -> dict[str, object]:
        """The diagnostic as plain JSON data."""
        data: dict[str, object] = {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "place": self.where(),
            "label": self.label,
            "next": self.next_step,
        }
        if self.names:
            data["names"] = list(self.names)
        if self.span is not None:
            line, column = self.span.source.position(self.span.start)
            end_line, end_column = self.span.source.position(self.span.end)
            data["span"] = {
                "line": line,
                "column": column,
                "end_line": end_line,
                "end_column": end_column,
            }
        return data


class SecgenError(Exception):
    """Ends a command: one or more diagnostics, at least one of them an error."""

    def __init__(self, diagnostics: Iterable[Diagnostic] | Diagnostic) -> None:
        if isinstance(diagnostics, Diagnostic):
            diagnostics = (diagnostics,)
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics)
        super().__init__("; ".join(f"{d.code} {d.message}" for d in self.diagnostics))


def fail(
    code: str, message: str, *, place: str = "", next_step: str = "", local: str = ""
) -> SecgenError:
    """An error without a span, to be raised: ``raise fail("SG401", …)``."""
    return SecgenError(Diagnostic(code, message, place=place, next_step=next_step, local=local))


def for_the_site(error: SecgenError) -> SecgenError:
    """The same error with what only the site itself may see, after each next step."""
    return SecgenError(
        replace(each, next_step="; ".join(filter(None, (each.next_step, each.local))), local="")
        for each in error.diagnostics
    )


def in_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """By place in their texts; those without a span come last, in the order given."""
    found = list(diagnostics)
    texts: dict[str, int] = {}
    for diagnostic in found:
        if diagnostic.span is not None:
            texts.setdefault(diagnostic.span.source.name, len(texts))

    def place(diagnostic: Diagnostic) -> tuple[bool, int, int]:
        span = diagnostic.span
        return (True, 0, 0) if span is None else (False, texts[span.source.name], span.start)

    return sorted(found, key=place)


def printable(text: str) -> str:
    """``text`` without what steers a terminal: control characters are replaced."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def printable_lines(text: str) -> str:
    """The same for a text of several lines: only its line breaks stay."""
    return "\n".join(printable(line) for line in text.split("\n"))


def nearest(word: str, candidates: Iterable[str]) -> str:
    """``did you mean "x"?`` for the closest candidate, or an empty text."""
    names = {name.lower(): name for name in candidates}
    found = get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    return f'did you mean "{names[found[0]]}"?' if found else ""
