"""What is known of a syntax error, and how an explanation of it is said."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from secgen_dsl.diagnostics.diagnostic import Diagnostic, Source, Span
from secgen_dsl.syntax.recovery import Place
from secgen_dsl.syntax.shapes import form_of

_MOST_CHOICES = 8

BARE = re.compile(r"[A-Za-z0-9_](?:(?!\.\.)[A-Za-z0-9_.+/-])*")
WORD = re.compile(r'[^\s{}",;#*]+')
TEXT = re.compile(r'"(?:\\.|[^"\\\n])*"')


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
        put: this one character, put in the place of another, mends the fault; else None.
    """

    diagnostic: Diagnostic
    after: int
    only: tuple[int, int] | None = None
    put: tuple[int, str] | None = None


class Scene:
    """A fault and its surroundings.

    Attributes:
        source: what the user wrote.
        text: the same with earlier errors blanked out.
        piece: start and end of the part of the text that was parsed.
        reads: whether the parser takes a beginning of a piece.
        found: the word, text or sign at the fault.
        form: how the statement looks, as a next step; empty if it is not known.
        first: nothing of the statement stands before the fault.
    """

    def __init__(
        self,
        fault: Fault,
        source: Source,
        text: str,
        place: Place,
        piece: tuple[int, int],
        reads: Callable[[str], bool],
    ) -> None:
        self.fault = fault
        self.source = source
        self.text = text
        self.place = place
        self.piece = piece
        self.reads = reads
        match = TEXT.match(text, fault.start) or WORD.match(text, fault.start)
        self.found = match.group() if match else text[fault.start : fault.start + 1]
        self.first = not text[place.start : fault.start].strip()
        inside = bool(place.braces) and place.block != "panel"
        statement = text[place.start : fault.start] + " " + self.found
        form = form_of(place.block or place.word, statement, inside=inside)
        self.form = f"the form is: {form}" if form else ""

    def before(self) -> str:
        """The piece up to the fault."""
        return self.text[self.piece[0] : self.fault.start]

    def say(
        self,
        code: str,
        message: str,
        label: str,
        next_step: str,
        *,
        start: int = -1,
        length: int = 0,
        only: tuple[int, int] | None = None,
        put: tuple[int, str] | None = None,
    ) -> Explanation:
        """An explanation.

        Args:
            start: offset of what is wrong; else that of the fault.
            length: of what is wrong; else that of the word at the fault.
            only: see ``Explanation``; likewise ``put``.
        """
        begin = self.fault.start if start < 0 else start
        end = begin + (length or max(len(self.found), 1))
        span = Span(self.source, begin, min(end, max(len(self.source.text), begin)))
        diagnostic = Diagnostic(code, message, span=span, label=label, next_step=next_step)
        # A brace that is out of place still opens or closes what follows it.
        return Explanation(diagnostic, begin if self.found in ("{", "}") else end, only, put)

    def shown(self) -> str:
        """What stands at the fault, in quotes or in words."""
        if self.found[0] == '"':
            return "a text in quotes"
        if not self.found.isprintable():
            return "a character that cannot be seen"
        return f'"{self.found}"'

    def expected(self) -> str:
        """What could stand at the fault, in words."""
        fault = self.fault
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
