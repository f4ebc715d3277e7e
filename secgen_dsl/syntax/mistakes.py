"""Syntax errors in the user's words: what is wrong, where, and the next step."""

import re
from dataclasses import dataclass

from secgen_dsl.diagnostics.diagnostic import Diagnostic, Source, Span, nearest
from secgen_dsl.syntax.later import LATER
from secgen_dsl.syntax.recovery import Place
from secgen_dsl.syntax.shapes import BLOCKS, form_of

_MOST_CHOICES = 8
_BARE = re.compile(r"[A-Za-z0-9_](?:(?!\.\.)[A-Za-z0-9_.+/-])*")
_WORD = re.compile(r'[^\s{}",;#*]+')
_RUN = re.compile(r'[^\s,{}"#]+')
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])")
_PREVIOUS = re.compile(r"([A-Za-z]+)[ \t]*$")


@dataclass(frozen=True)
class Fault:
    """Where the parser stopped, and what it could have taken there.

    Attributes:
        start: offset of what stands there.
        at_end: nothing stands there: the text ends.
        at_line_end: a newline, ``;`` or comment stands there.
        words: keywords and signs that would do.
        name: a name would do; likewise the others.
    """

    start: int
    at_end: bool
    at_line_end: bool
    words: tuple[str, ...]
    name: bool
    text: bool
    number: bool
    line_end: bool

    @property
    def only_text(self) -> bool:
        """Nothing but a text in quotes would do."""
        return self.text and not (self.name or self.number or self.line_end or self.words)


class Explainer:
    """Explains one fault.

    Args:
        source: what the user wrote.
        text: the same with earlier errors blanked out.
    """

    def __init__(self, fault: Fault, source: Source, text: str, place: Place) -> None:
        self._fault = fault
        self._source = source
        self._text = text
        self._place = place
        match = _WORD.match(text, fault.start)
        self.found = match.group() if match else text[fault.start : fault.start + 1]
        inside = bool(place.braces) and place.block != "panel"
        form = form_of(place.block, place.word, inside=inside)
        self._form = f"the form is: {form}" if form else ""

    def explain(self) -> tuple[Diagnostic, int]:
        """The diagnostic, and the first offset behind what is wrong."""
        fault, place = self._fault, self._place
        if fault.at_end or (place.in_list and not place.list_closed and place.braces):
            return self._unclosed()
        if fault.at_line_end or (self.found == "}" and place.braces):
            return self._say(
                "SG110",
                "the statement is not finished",
                f"{self._expected()} is missing here",
                self._form or "finish it on this line; a line goes on only after `,` or `*`",
                length=1,
            )
        if self.found == "}":
            return self._say(
                "SG110",
                'this "}" closes nothing',
                "no block is open here",
                "remove it, or the one above that closes its block too early",
            )
        return (
            self._quotes() or self._thousands() or self._later() or self._odd_name() or self._word()
        )

    def _say(
        self,
        code: str,
        message: str,
        label: str,
        next_step: str,
        *,
        start: int = -1,
        length: int = 0,
    ) -> tuple[Diagnostic, int]:
        begin = self._fault.start if start < 0 else start
        end = begin + (length or max(len(self.found), 1))
        span = Span(self._source, begin, min(end, max(len(self._source.text), begin)))
        # A brace that is out of place still opens or closes what follows it.
        after = begin if self.found in ("{", "}") else end
        return Diagnostic(code, message, span=span, label=label, next_step=next_step), after

    def _unclosed(self) -> tuple[Diagnostic, int]:
        place = self._place
        if not place.braces:
            return self._say(
                "SG110", "the spec ends too early", "the end of the file", self._form, length=1
            )
        brace = place.braces[-1]
        what = "the list" if place.in_list else f"the block `{place.block}`"
        diagnostic, _ = self._say(
            "SG110",
            f"{what} is not closed",
            "opened here",
            'add the missing "}" at its end',
            start=brace,
            length=1,
        )
        line_end = self._text.find("\n", brace)
        return diagnostic, line_end if place.in_list and line_end >= 0 else len(self._text)

    def _quotes(self) -> tuple[Diagnostic, int] | None:
        rest = self._text[self._fault.start :].split("\n", 1)[0]
        if rest.startswith('"'):
            closed = re.match(r'"(?:\\.|[^"\\])*"', rest)
            if closed and re.search(r'(?<!\\)(?:\\\\)*\\[^"\\]', closed.group()):
                return self._say(
                    "SG110",
                    "a single backslash cannot stand in a text",
                    "in this text",
                    r"write \\ for a backslash, or / in a path",
                    length=closed.end(),
                )
            if not closed:
                return self._say(
                    "SG110",
                    "a text in quotes is not closed",
                    "opened here",
                    'end it with " on the same line',
                    length=len(rest.rstrip()),
                )
        if rest[:1] in "“”„‘’'«»" and rest:
            return self._say(
                "SG110",
                f"{rest[0]} does not open a text",
                "another kind of quote",
                'use straight double quotes: "…"',
                length=1,
            )
        return None

    def _thousands(self) -> tuple[Diagnostic, int] | None:
        if self.found[:1] != ",":
            return None
        start = self._fault.start
        while start > 0 and self._text[start - 1].isdigit():
            start -= 1
        match = _THOUSANDS.match(self._text, start)
        if match is None or not self._fault.words:
            return None
        plain = match.group().replace(",", "")
        return self._say(
            "SG110",
            "a number is written without commas",
            "commas separate the items of a list",
            f"write {plain}",
            start=start,
            length=len(match.group()),
        )

    def _later(self) -> tuple[Diagnostic, int] | None:
        """A word of a later release, here or (``to named "…"``) just before a text."""
        word = self.found
        if word.startswith('"') or self._text[self._fault.start] == '"':
            previous = _PREVIOUS.search(self._text, self._place.start, self._fault.start)
            word = previous.group(1) if previous else ""
        if word not in LATER or self._fault.only_text:
            return None
        message, next_step = LATER[word]
        return self._say("SG112", message, "not in this release", next_step)

    def _odd_name(self) -> tuple[Diagnostic, int] | None:
        """A bare word with characters that only quotes allow, such as ``t(8;21)`` or ``α``."""
        start = self._fault.start
        while start > self._place.start and _RUN.match(self._text[start - 1]):
            start -= 1
        run = _RUN.match(self._text, start)
        if run is None or run.end() <= self._fault.start:
            return None
        word = run.group().rstrip(";")
        glued = start < self._fault.start
        if _BARE.fullmatch(word) or "*" in word or not (self._fault.name or glued):
            return None
        if glued and not _BARE.match(word):
            return None
        if glued and not (self._place.in_list or self._fault.name):
            return None
        return self._say(
            "SG110",
            f'the name "{word}" needs quotes',
            "a bare name has only letters, digits and . _ + - /",
            f'write "{word}" in quotes',
            start=start,
            length=len(word),
        )

    def _word(self) -> tuple[Diagnostic, int]:
        """Any other word, text or sign."""
        fault, found = self._fault, self._found_shown()
        keywords = [word for word in fault.words if word.isalpha()]
        if fault.only_text:
            return self._say(
                "SG110", f"{found} is not in quotes", "a text is expected", self._in_quotes()
            )
        if fault.number and not (fault.name or fault.text or keywords):
            return self._say(
                "SG110",
                f"{found} is not a number",
                "a number is expected",
                self._form or "write it in digits, for example 1 or 1e-6",
            )
        if "," in fault.words and "}" in fault.words and not self._is_sign():
            return self._say(
                "SG110",
                f"a comma is missing before {found}",
                "commas or newlines separate the items of a list",
                "write, for example: { a, b }",
            )
        if not self._place.braces and self._place.word == self.found and "study" in keywords:
            return self._say(
                "SG111",
                f"{found} does not begin a block",
                "not a block of the language",
                nearest(self.found, keywords) or f"the blocks are {', '.join(BLOCKS)}",
            )
        hint = nearest(self.found, keywords) if self.found.isalpha() else ""
        if fault.line_end and not hint:
            return self._say(
                "SG110",
                f"the statement does not go on with {found}",
                "one too many",
                self._form or "remove it, or put it on a line of its own",
            )
        code = "SG111" if self.found.isalpha() and keywords and not fault.name else "SG110"
        return self._say(
            code,
            f"{found} cannot stand here",
            f"expected {self._expected()}",
            hint or self._form or "compare the line with the examples in docs",
        )

    def _is_sign(self) -> bool:
        return len(self.found) == 1 and not self.found.isalnum() and self.found != '"'

    def _found_shown(self) -> str:
        if self.found == '"':
            return "a text in quotes"
        return f'"{self.found}"' if self.found.isprintable() else "a character that cannot be seen"

    def _in_quotes(self) -> str:
        line = self._text[self._fault.start :].split("\n", 1)[0].strip().rstrip('"')
        short = line if len(line) <= 40 else f"{self.found} …"
        return f'write "{short}"' if line.isprintable() and '"' not in short else self._form

    def _expected(self) -> str:
        fault = self._fault
        choices = [f'"{word}"' for word in fault.words]
        if fault.text and not fault.name:
            choices.insert(0, "a text in quotes")
        if fault.number:
            choices.insert(0, "a number")
        if fault.name:
            choices.insert(0, "a name")
        if fault.line_end:
            choices.append("the end of the line")
        if not choices or len(choices) > _MOST_CHOICES:
            return "something else"
        return " or ".join([", ".join(choices[:-1]), choices[-1]] if choices[1:] else choices)
