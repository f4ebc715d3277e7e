"""The document as one HTML file: no network, no script, light and dark, and made to be printed."""

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from secgen_dsl.describe.catalogue import Catalogue
from secgen_dsl.describe.document import Document, Figure, plain
from secgen_dsl.describe.render.words import (
    heading,
    numbers,
    record_text,
    resource,
    source,
    template,
    traces,
)

if TYPE_CHECKING:
    from jinja2 import Template

_SHORT_LISTING = 40  # lines; a longer one is folded
_LONG_LISTING = 200  # lines; it is printed in two columns
_SHORT_TABLE = 12  # rows; it stands on one sheet

# Where a tag of an SVG names an id: its own, or one that it refers to.
_TAG = re.compile(r"<[A-Za-z][^>]*>")
_ID = re.compile(r'(?P<before>\bid="|\bhref="#|url\(#)(?P<id>[^")]+)')
_IDS = re.compile(r'(?P<before>\baria-(?:labelledby|describedby)=")(?P<ids>[^"]*)')
_PROLOGUE = re.compile(r"^\s*(?:<\?xml.*?\?>)?\s*(?:<!DOCTYPE[^>]*>)?\s*", re.DOTALL)


def render_html(document: Document) -> str:
    """The document as HTML.  Nothing in it is markup but what the template holds."""
    say = Catalogue(document.language)
    return _template().render(
        document=document,
        say=say,
        words=say.words,
        style=resource("style.css"),
        number=numbers(document),
        traces=traces(document),
        record=record_text(document),
        short_listing=_SHORT_LISTING,
        long_listing=_LONG_LISTING,
        short_table=_SHORT_TABLE,
        heading=lambda section: heading(section, say),
    )


@lru_cache(maxsize=1)
def _template() -> "Template":
    return template(
        "document.html.jinja", escapes=True, plain=plain, picture=picture, source=source
    )


def picture(figure: Figure) -> str:
    """The figure's SVG as an element of a page: its ids begin with the figure's own, so that two
    pictures do not share one.
    """
    start = f"{figure.id}-"

    def named(tag: re.Match[str]) -> str:
        text = _ID.sub(lambda match: f"{match['before']}{start}{match['id']}", tag[0])
        return _IDS.sub(
            lambda match: match["before"] + " ".join(start + i for i in match["ids"].split()), text
        )

    return _TAG.sub(named, _PROLOGUE.sub("", figure.svg, count=1))
