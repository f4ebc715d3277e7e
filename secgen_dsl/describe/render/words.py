"""What the three renderings share: cleaned words, numbers of tables and figures, the record."""

import json
import re
import unicodedata
from collections.abc import Callable
from html import unescape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from secgen_dsl.describe.catalogue import Catalogue
from secgen_dsl.describe.document import (
    Document,
    Figure,
    Plain,
    Section,
    Table,
    Text,
    Trace,
    plain,
)

if TYPE_CHECKING:
    from jinja2 import Template

_CONTROLS = frozenset({"Cc", "Cs"})  # and halves of surrogate pairs

# Format characters that nobody sees, and those that turn the direction of what follows them: in a
# name they could make the words around it read differently (CVE-2021-42574).  By bidirectional
# class, since some signs of Arabic and of Kaithi are format characters too and are seen.
_UNSEEN = frozenset(["BN", "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"])
_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"

# Where each form holds the record; no text of a study can stand there.  Typst does not compress the
# metadata of a PDF, and a line break in its other texts is written as an escape.
_IN_HTML = re.compile(r'<meta name="secgen-record" content="([^"]*)">')
_IN_MARKDOWN = re.compile(r"<!-- secgen-record: (.*) -->")
_IN_PDF = re.compile(r"stream\r?\n<\?xpacket begin=[^\n]*?<pdf:Keywords>([^<]*)</pdf:Keywords>")


def clean(text: str) -> str:
    """The text without control characters (line breaks and tabs stay), without those that nobody
    sees (joiners stay), and without those that turn the direction of the words after them.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(each for each in text if each in "\n\t" or _kept(each))


def _kept(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "Cf":
        return character in _JOINERS or unicodedata.bidirectional(character) not in _UNSEEN
    return category not in _CONTROLS


def numbers(document: Document) -> dict[str, int]:
    """The number of each table and each figure by its id, counted apart from 1.

    The cover and the tables inside figures have none.
    """
    found: dict[str, int] = {}
    tables = figures = 0
    for block in document.blocks():
        if isinstance(block, Table):
            tables += 1
            found[block.id] = tables
        elif isinstance(block, Figure):
            figures += 1
            found[block.id] = figures
    return found


def traces(document: Document) -> dict[int, Trace]:
    """Each trace by its number."""
    return {trace.number: trace for trace in document.traces}


def heading(section: Section, say: Catalogue) -> Text:
    """The section's title with its number: ``1. In plain words``, ``Annex A. The plan``."""
    number = section.number
    if not number.isdecimal():
        number = say.words("render.annex", letter=number)
    return (Plain(text=f"{number}. "), *section.title)


def source(trace: Trace) -> str:
    """A trace in one line: its field, and how the figure follows."""
    return clean(f"{trace.field} — {plain(trace.formula)}")


def template(name: str, *, escapes: bool, **filters: Callable[..., Any]) -> "Template":
    """A template of this folder: an unknown name is an error, lines of blocks leave no gap.

    Args:
        escapes: whether what is filled in is cleaned, and escaped as HTML.
        filters: what the template calls by these names.
    """
    from jinja2 import BaseLoader, Environment, StrictUndefined

    def cleaned(value: object) -> object:
        # A plain string is from a text; what is marked safe is from the template.
        return clean(value) if type(value) is str else value

    environment = Environment(
        loader=BaseLoader(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=escapes,  # noqa: S701 - Markdown's filters do it
        finalize=cleaned if escapes else None,
    )
    environment.filters |= filters
    return environment.from_string(resource(name))


def resource(name: str) -> str:
    """A file of this folder."""
    return (files("secgen_dsl.describe.render") / name).read_text(encoding="utf-8")


# -- the record ----------------------------------------------------------------------------------


def record_text(document: Document) -> str:
    """The record as one line of JSON."""
    return json.dumps(document.record, sort_keys=True, ensure_ascii=True)


def record_in(rendering: bytes) -> dict[str, str] | None:
    """The record that a rendering holds, whichever form it has; None: it is none of ours.

    In HTML it is the ``meta`` element of the head, in Markdown the last line, in PDF the keywords
    of the metadata.
    """
    text = rendering.decode("utf-8", errors="replace")
    if rendering.startswith(b"%PDF-"):
        match = _IN_PDF.search(text)
    elif text.startswith("<!DOCTYPE html>"):
        match = _IN_HTML.search(text.partition("</head>")[0])
    else:
        match = _IN_MARKDOWN.fullmatch(text.rstrip("\n").rpartition("\n")[2])
    if match is None:
        return None
    written = match[1] if match.re is _IN_MARKDOWN else unescape(match[1])
    try:
        record = json.loads(written)
    except ValueError:
        return None
    good = isinstance(record, dict) and all(isinstance(each, str) for each in record.values())
    return record if good else None
