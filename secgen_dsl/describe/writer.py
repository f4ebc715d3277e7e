"""What every section needs to be written: the subject, the words, and the traces of figures."""

from collections.abc import Sequence
from fractions import Fraction

from secgen_dsl.describe.catalogue import Catalogue, Part, given
from secgen_dsl.describe.document import (
    Block,
    Heading,
    Items,
    Paragraph,
    Plain,
    Section,
    Table,
    Text,
    Trace,
    Value,
)
from secgen_dsl.describe.subject import Subject
from secgen_dsl.ir.program import Audience, decimal_text

Cells = Sequence[Sequence[Part]]


class Writer:
    """Writes sections.

    Args:
        subject: what the document is about.
        language: one of ``catalogue.LANGUAGES``.
    """

    def __init__(self, subject: Subject, language: str) -> None:
        self.subject = subject
        self.say = Catalogue(language)
        self._traces: dict[tuple[str, Text], int] = {}
        self.missing: list[str] = []

    @property
    def traces(self) -> tuple[Trace, ...]:
        """Of all figures so far, in order of first use."""
        return tuple(
            Trace(number=number, field=field, formula=formula)
            for (field, formula), number in self._traces.items()
        )

    def value(self, text: str, field: str, formula: str = "as_written") -> Value:
        """A figure.

        Args:
            text: as it is read.
            field: where it is from, for example ``plan: threshold``.
            formula: key of the formula, under ``formula``.
        """
        return Value(text=text, trace=self.trace(field, self.say(f"formula.{formula}")))

    def trace(self, field: str, formula: Text) -> int:
        """The number of a trace; one that was used before keeps its own."""
        return self._traces.setdefault((field, formula), len(self._traces) + 1)

    def integer(self, number: int, field: str, formula: str = "as_written") -> Value:
        """A whole number."""
        return self.value(self.say.integer(number), field, formula)

    def decimal(self, text: str, field: str, formula: str = "as_written") -> Value:
        """A decimal number that is text already."""
        return self.value(self.say.decimal(text), field, formula)

    def rational(self, number: Fraction, field: str, formula: str = "as_written") -> Value:
        """An exact number of the plan."""
        return self.decimal(decimal_text(number), field, formula)

    def prose(self, text: str, what: str) -> Text:
        """What only the study can say, or that it does not say it.

        Args:
            what: the field of the spec, for a warning.
        """
        if text:
            return (given(text),)
        if what not in self.missing:
            self.missing.append(what)
        return self.say("document.not_stated")

    def sentence(self, text: str, what: str) -> Text:
        """The same, with a full stop where the study has none."""
        words = self.prose(text, what)
        if text and text.rstrip()[-1:] not in tuple(".!?\u3002\u06d4"):
            return (*words, Plain(text="."))
        return words

    def audience(self, audience: Audience) -> Text:
        """Who an audience is."""
        return self.say(f"audience.{audience.kind}", name=given(audience.name))

    # -- blocks ----------------------------------------------------------------------------------

    def section(self, key: str, number: str, *blocks: Block | None) -> Section:
        """A section whose title is ``key.title``; blocks that are None are left out."""
        kept = tuple(block for block in blocks if block is not None)
        return Section(id=key, number=number, title=self.say(f"{key}.title"), blocks=kept)

    def paragraph(self, key: str, /, **parts: Part) -> Paragraph:
        """A paragraph of the catalogue."""
        return Paragraph(text=self.say(key, **parts))

    def joined(self, *texts: Text) -> Paragraph:
        """A paragraph of several sentences."""
        return Paragraph(text=join(texts))

    def heading(self, key: str) -> Heading:
        """A heading inside a section."""
        return Heading(id=key.replace(".", "-"), text=self.say(key))

    def items(self, *texts: Text) -> Items:
        """A list."""
        return Items(items=texts)

    def table(
        self, key: str, columns: Sequence[str], rows: Cells, numeric: Sequence[int] = (),
        **parts: Part,
    ) -> Table:  # fmt: skip
        """A table.

        Args:
            key: of its caption, ``section.name``; it is the table's anchor, too.
            columns: keys of the headings in the same section; empty: a list of facts.
            rows: cells as words, inlines or runs of them.
        """
        section = key.partition(".")[0]
        width = len(columns) or len(rows[0])
        headings = tuple(self.say(f"{section}.{name}") for name in columns) or ((),) * width
        return Table(
            id=key.replace(".", "-"),
            caption=self.say(key, **parts),
            columns=headings,
            rows=tuple(tuple(map(text_of, row)) for row in rows),
            numeric=tuple(numeric),
        )


def text_of(part: Part) -> Text:
    """A run of words from whatever a cell may be."""
    if isinstance(part, tuple):
        return part
    if isinstance(part, str):
        return (Plain(text=part),) if part else ()
    return (part,)


def join(texts: Sequence[Text], between: str = " ") -> Text:
    """Runs of words, one after the other; empty ones are left out."""
    found: Text = ()
    for text in texts:
        if text:
            found = (*found, Plain(text=between), *text) if found else text
    return found


def listed(names: Sequence[str]) -> Text:
    """Names of the spec, with commas."""
    return join([(given(name),) for name in names], ", ")
