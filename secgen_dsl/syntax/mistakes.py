"""Syntax errors in the user's words: what is wrong, where, and the next step."""

import re
from dataclasses import dataclass, replace

from secgen_dsl.diagnostics.diagnostic import Diagnostic, Source, Span, nearest
from secgen_dsl.syntax.later import LATER, OPENS_LATER
from secgen_dsl.syntax.recovery import Place
from secgen_dsl.syntax.shapes import BLOCKS, KEYWORDS, STATEMENTS, form_of

_MOST_CHOICES = 8
_BARE = re.compile(r"[A-Za-z0-9_](?:(?!\.\.)[A-Za-z0-9_.+/-])*")
_WORD = re.compile(r'[^\s{}",;#*]+')
_RUN = re.compile(r'[^\s,{}"#]+')
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])")
_TEXT = re.compile(r'"(?:\\.|[^"\\\n])*"')
_FIRST = re.compile(r"[ \t]*([A-Za-z]+)[ \t]+")
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


@dataclass(frozen=True)
class Explanation:
    """What to say of a fault, and how to go on.

    Attributes:
        after: first offset behind what is wrong.
        only: blanking this range mends the fault; else None.
    """

    diagnostic: Diagnostic
    after: int
    only: tuple[int, int] | None = None


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
        match = _TEXT.match(text, fault.start) or _WORD.match(text, fault.start)
        self._found = match.group() if match else text[fault.start : fault.start + 1]
        inside = bool(place.braces) and place.block != "panel"
        statement = text[place.start : fault.start] + " " + self._found
        form = form_of(place.block or place.word, statement, inside=inside)
        self._form = f"the form is: {form}" if form else ""

    def explain(self) -> Explanation:
        """The first explanation that fits."""
        fault, place = self._fault, self._place
        if fault.at_end or (place.in_list and not place.list_closed):
            return self._unclosed()
        going_on = self._going_on()
        if going_on is not None:
            return going_on
        clash = self._clash()
        if clash is not None:
            return clash
        if fault.at_line_end or (self._found == "}" and place.braces):
            return self._say(
                "SG110",
                "the statement is not finished",
                f"{self._expected()} is missing here",
                self._form or "finish it on this line; a line goes on only after `,` or `*`",
                length=1,
            )
        if self._found == "}":
            return self._say(
                "SG110",
                'this "}" closes nothing',
                "no block is open here",
                "remove it, or the one above that closes its block too early",
            )
        return (
            self._quotes()
            or self._thousands()
            or self._later()
            or self._odd_name()
            or self._other()
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
        only: tuple[int, int] | None = None,
    ) -> Explanation:
        begin = self._fault.start if start < 0 else start
        end = begin + (length or max(len(self._found), 1))
        span = Span(self._source, begin, min(end, max(len(self._source.text), begin)))
        diagnostic = Diagnostic(code, message, span=span, label=label, next_step=next_step)
        # A brace that is out of place still opens or closes what follows it.
        return Explanation(diagnostic, begin if self._found in ("{", "}") else end, only)

    def _unclosed(self) -> Explanation:
        place = self._place
        if not place.braces:
            return self._say(
                "SG110", "the spec ends too early", "the end of the file", self._form, length=1
            )
        brace = place.braces[-1]
        what = "the list" if place.in_list else f"the block `{place.block}`"
        only = None
        if place.in_list:  # go on with the line that could not belong to the list, else the next
            line = self._text.rfind("\n", 0, self._fault.start)
            only = place.start, line if line > brace else self._text.find("\n", brace)
        return self._say(
            "SG110",
            f"{what} is not closed",
            "opened here",
            'add the missing "}" at its end',
            start=brace,
            length=1,
            only=only,
        )

    def _going_on(self) -> Explanation | None:
        """A line that ends with ``*`` or ``,`` takes the next statement for its rest."""
        line = self._text.rfind("\n", 0, self._fault.start) + 1
        if line <= self._place.start or self._place.in_list:
            return None
        first = _FIRST.match(self._text, line)
        if first is None or first.group(1) not in STATEMENTS or first.end() > self._fault.start:
            return None
        above = re.sub(r"#[^\n]*", lambda m: " " * len(m.group()), self._text[:line]).rstrip()
        return self._say(
            "SG110",
            f'the line ends with "{above[-1]}", so the next one belongs to it',
            "nothing of this statement follows",
            "finish the line, or remove this sign",
            start=len(above) - 1,
            length=1,
            only=(self._place.start, line - 1),
        )

    def _clash(self) -> Explanation | None:
        """A word of the language where a column or panel of that name may be meant."""
        previous = _PREVIOUS.search(self._text, self._place.start, self._fault.start)
        if previous is None or previous.group(1) not in ("pairs", "each"):
            return None
        word = previous.group(1)
        if not (self._found in "*}" or self._fault.at_line_end):
            return None
        return self._say(
            "SG110",
            f'"{word}" is a word of the language here',
            f"{self._expected()} is missing behind it",
            f'a column or panel of that name needs quotes: "{word}"; else {self._form}',
            start=previous.start(1),
            length=len(word),
        )

    def _quotes(self) -> Explanation | None:
        rest = self._text[self._fault.start :].split("\n", 1)[0]
        if rest.startswith('"'):
            if self._found == '"':
                return self._say(
                    "SG110",
                    "a text in quotes is not closed",
                    "opened here",
                    'end it with " on the same line',
                    length=len(rest.rstrip()),
                    only=self._up_to_brace(rest),
                )
            if re.search(r'(?<!\\)(?:\\\\)*\\[^"\\]', self._found):
                return self._say(
                    "SG110",
                    "a single backslash cannot stand in a text",
                    "in this text",
                    r"write \\ for a backslash, or / in a path",
                )
        if rest and rest[0] in "“”„‘’'«»":
            return self._say(
                "SG110",
                f"{rest[0]} does not open a text",
                "another kind of quote",
                'use straight double quotes: "…"',
                length=1,
            )
        return None

    def _up_to_brace(self, rest: str) -> tuple[int, int] | None:
        """What an unclosed text spoils: not the brace at the line's end, which ends a block."""
        if self._place.in_list:
            return None
        return self._place.start, self._fault.start + len(rest.rstrip("} \t\r"))

    def _thousands(self) -> Explanation | None:
        if self._found != "," or "," in self._fault.words:
            return None
        start = self._fault.start
        while start > 0 and self._text[start - 1].isdigit():
            start -= 1
        match = _THOUSANDS.match(self._text, start)
        if match is None:
            return None
        return self._say(
            "SG110",
            "a number is written without commas",
            "commas separate the items of a list",
            f"write {match.group().replace(',', '')}",
            start=start,
            length=len(match.group()),
        )

    def _later(self) -> Explanation | None:
        """A word of a later release, here or (``to named "…"``) just before."""
        if self._fault.only_text:
            return None
        word, start = self._found, self._fault.start
        previous = _PREVIOUS.search(self._text, self._place.start, start)
        if previous is not None and previous.group(1) in OPENS_LATER:
            word, start = previous.group(1), previous.start(1)
        if word not in LATER:
            return None
        message, next_step = LATER[word]
        label = "not in this release" if "release" in message else "not in the language"
        explanation = self._say("SG112", message, label, next_step, start=start, length=len(word))
        return replace(explanation, after=self._fault.start + len(self._found))

    def _odd_name(self) -> Explanation | None:
        """A bare word with characters that only quotes allow, such as ``t(8;21)`` or ``α``."""
        start = self._fault.start
        while start > self._place.start and _RUN.match(self._text[start - 1]):
            start -= 1
        run = _RUN.match(self._text, start)
        glued = start < self._fault.start
        if run is None or not (self._fault.name or (glued and self._place.in_list)):
            return None
        word = run.group().rstrip(";")
        if _BARE.fullmatch(word) or "*" in word or not any(c.isalnum() for c in word):
            return None
        return self._say(
            "SG110",
            f'the name "{word}" needs quotes',
            "a bare name has only letters, digits and . _ + - /",
            f'write "{word}" in quotes',
            start=start,
            length=len(word),
        )

    def _other(self) -> Explanation:
        """Any other word, text or sign."""
        fault, found = self._fault, self._shown()
        words = [word for word in fault.words if word.isalpha()]
        form = self._form or "compare the line with the examples in specs/"
        if self._found[0] in "=:":
            return self._say(
                "SG110", f"{found} has no place in a spec", "not needed", "leave it out", length=1
            )
        only_number = fault.number and not (fault.name or fault.text or words)
        if only_number and self._found[0] in "-−":
            return self._say(
                "SG110", "no number of a spec is negative", "less than zero", "leave the sign out"
            )
        if fault.only_text or only_number:
            what = "text in quotes" if fault.only_text else "number"
            if self._found in KEYWORDS or not self._found[0].isalnum():
                return self._say(
                    "SG110", f"a {what} is missing before {found}", "it belongs here", form
                )
            lacks = "is not in quotes" if fault.only_text else "is not a number"
            quoted = f'put it in quotes: "{self._found}"' if fault.only_text else form
            return self._say("SG110", f"{found} {lacks}", f"a {what} belongs here", quoted)
        if "," in fault.words and self._found[0] not in ",*{}(":
            return self._say(
                "SG110",
                f"a comma is missing before {found}",
                "the next item of the list",
                "separate the items with commas",
            )
        if self._found == ",":
            unneeded = self._place.in_list
            return self._say(
                "SG110",
                "this comma separates nothing" if unneeded else "no comma can stand here",
                "nothing stands before it" if unneeded else f"expected {self._expected()}",
                "remove it" if unneeded else form,
            )
        if not self._place.braces and "study" in words:
            blocks = f"the blocks are {', '.join(BLOCKS)}"
            return self._say(
                "SG111",
                f"{found} does not begin a block",
                "not a block of the language",
                nearest(self._found, words) or blocks,
            )
        hint = nearest(self._found, words) if self._found.isalpha() else ""
        if fault.line_end and not hint:
            return self._say(
                "SG110", f"the statement does not go on with {found}", "one too many", form
            )
        return self._say(
            "SG111" if self._found.isalpha() and words and not fault.name else "SG110",
            f"{found} cannot stand here",
            f"expected {self._expected()}",
            hint or form,
        )

    def _shown(self) -> str:
        if self._found[0] == '"':
            return "a text in quotes"
        if not self._found.isprintable():
            return "a character that cannot be seen"
        return f'"{self._found}"'

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
