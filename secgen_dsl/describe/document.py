"""A document as a tree of blocks: what every rendering shows, and nothing of how it looks.

Sections build it from a plan (``sections``); HTML, Markdown and PDF are written from it
(``render``).  So no sentence and no figure is written twice.
"""

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from secgen_dsl.ir.base import Node


class Plain(Node):
    """Words of the catalogue."""

    kind: Literal["plain"] = "plain"
    text: str


class Strong(Node):
    """Words of the catalogue that stand out."""

    kind: Literal["strong"] = "strong"
    text: str


class Code(Node):
    """A command, a hash, a name of a file: shown as it is typed."""

    kind: Literal["code"] = "code"
    text: str


class Given(Node):
    """Words that the spec gives: a name or prose, in whatever script; never markup."""

    kind: Literal["given"] = "given"
    text: str


class Value(Node):
    """A figure, with the trace that tells where it is from.

    Attributes:
        text: the figure as it is read.
        trace: number of its trace, from 1.
    """

    kind: Literal["value"] = "value"
    text: str
    trace: int


class Link(Node):
    """A reference to a section or figure of the document.

    Attributes:
        target: its id.
    """

    kind: Literal["link"] = "link"
    text: str
    target: str


Inline: TypeAlias = Annotated[
    Plain | Strong | Code | Given | Value | Link, Field(discriminator="kind")
]
Text: TypeAlias = tuple[Inline, ...]
"""A run of words."""


class Trace(Node):
    """Where figures come from.

    Attributes:
        number: from 1, in the order of first use.
        field: the path in plan.json, certificate.json or study.json, for example
            ``plan: rounds[].releases[].noise.variance``.
        formula: how the shown figure follows from it, in words and symbols.
    """

    number: int
    field: str
    formula: Text


class Heading(Node):
    """The title of a part of a section.

    Attributes:
        id: an anchor, unique in the document.
    """

    kind: Literal["heading"] = "heading"
    id: str
    text: Text


class Paragraph(Node):
    """One paragraph.

    Attributes:
        tone: ``caution`` for what is not promised; it is set in the same size as all else.
    """

    kind: Literal["paragraph"] = "paragraph"
    text: Text
    tone: Literal["plain", "caution"] = "plain"


class Items(Node):
    """A list of points."""

    kind: Literal["items"] = "items"
    items: tuple[Text, ...]


class Table(Node):
    """A table with a heading for each column; the first column names the row.

    Attributes:
        id: an anchor.
        caption: what it shows, in a sentence.
        columns: headings; all empty for a list of facts.
        rows: as long as ``columns`` each.
        numeric: columns whose cells are figures, set flush right.
    """

    kind: Literal["table"] = "table"
    id: str
    caption: Text
    columns: tuple[Text, ...]
    rows: tuple[tuple[Text, ...], ...]
    numeric: tuple[int, ...] = ()

    @property
    def headed(self) -> bool:
        """Whether its columns have headings."""
        return any(self.columns)


class Figure(Node):
    """A picture drawn from the plan.

    Attributes:
        id: an anchor.
        title: what it is.
        description: what it shows, for those who do not see it.
        svg: the picture, an SVG document without scripts, links or foreign content.
        table: the same as a table.
    """

    kind: Literal["figure"] = "figure"
    id: str
    title: Text
    description: Text
    svg: str
    table: Table


class Listing(Node):
    """Text as it is in a file: the plan, the spec."""

    kind: Literal["listing"] = "listing"
    id: str
    title: Text
    text: str


Block: TypeAlias = Annotated[
    Heading | Paragraph | Items | Table | Figure | Listing, Field(discriminator="kind")
]


class Section(Node):
    """A numbered section, or a lettered annex.

    Attributes:
        id: an anchor.
        number: ``1`` to ``16``, or ``A`` to ``E``.
    """

    id: str
    number: str
    title: Text
    blocks: tuple[Block, ...]


class Document(Node):
    """The protocol description.

    Attributes:
        language: ``en`` or ``de``.
        title: the heading.
        subtitle: the study's title.
        cover: facts of the first lines: status, hashes, contact.
        sections: in order.
        traces: in order of first use.
        record: what ``secgen describe --check`` needs to make the document again.
    """

    format: Literal["secgen.description/1"]
    language: str
    title: Text
    subtitle: Text
    cover: Table
    sections: tuple[Section, ...]
    traces: tuple[Trace, ...]
    record: dict[str, str]

    def blocks(self) -> Iterator[Block]:
        """All blocks, in order."""
        for section in self.sections:
            yield from section.blocks


def plain(text: Text) -> str:
    """The words alone."""
    return "".join(each.text for each in text)
