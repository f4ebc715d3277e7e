"""The document as Markdown: tables and links as GitHub and pandoc read them, and no picture."""

import re
from collections.abc import Iterable
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from secgen_dsl.describe.catalogue import Catalogue
from secgen_dsl.describe.document import Document, Given, Inline, Table, Text
from secgen_dsl.describe.render.words import clean, heading, numbers, record_text, template

if TYPE_CHECKING:
    from jinja2 import Template

# All that opens markup in CommonMark, GitHub's tables, footnotes and mathematics, and pandoc's
# attributes, wherever it stands in a line.
_MARKUP = frozenset("\\`*_{}[]<>#|~&$^@!")
# What opens a list, a quotation, a heading or a definition where a line begins.
_OPENING = re.compile(r"^(?P<number>\d{1,9})?(?P<sign>[-+=:%.)])")
# What GitHub makes a link of though nobody marked it.
_ADDRESS = re.compile(r"(?i)\b(https?|ftp|mailto|xmpp)(:)|\b(www)(\.)")


def render_markdown(document: Document) -> str:
    """The document as Markdown.  What a spec gives is escaped: it adds no markup and no links."""
    say = Catalogue(document.language)
    return _template().render(
        document=document,
        say=say,
        words=say.words,
        number=numbers(document),
        # Two hyphens would end the comment that holds it.
        record=record_text(document).replace("--", "\\u002d\\u002d"),
        heading=lambda section: heading(section, say),
        table=partial(_table, nothing=escape(say.words("render.nothing"))),
        fence=_fence,
        code=_code,
    )


@lru_cache(maxsize=1)
def _template() -> "Template":
    # For Markdown `run` and `escape` do it.
    return template(
        "document.md.jinja", escapes=False, run=run, line=line, escape=escape, clean=clean
    )


def escape(text: str) -> str:
    """Words that show as they are, in one line, wherever they stand but where a line begins."""
    escaped = "".join("\\" + each if each in _MARKUP else each for each in clean(text))
    escaped = _ADDRESS.sub(
        lambda match: f"{match[1] or match[3]}\\{match[2] or match[4]}",
        escaped,
    )
    return " ".join(escaped.split()) if escaped.strip() else ""


def run(text: Text) -> str:
    """A run of words, in one line; it may not begin a block (``line``)."""
    return "".join(_inline(each) for each in text)


def line(text: Text) -> str:
    """A run of words where a line begins."""
    return _OPENING.sub(lambda match: f"{match['number'] or ''}\\{match['sign']}", run(text))


def _inline(each: Inline) -> str:
    match each.kind:
        case "code":
            return _code(each.text)
        case "strong":
            return f"**{_words(each.text)}**"
        case "value":
            return f"{_words(each.text)}<sup>[\\[{each.trace}\\]](#trace-{each.trace})</sup>"
        case "link":
            return f"[{_words(each.text)}](#{each.target})"
        case _:
            return _isolated(each) if isinstance(each, Given) else _words(each.text)


def _words(text: str) -> str:
    """Escaped, with the spaces at both ends that join it to its neighbours."""
    inner = escape(text)
    if not inner:
        return " " if text else ""
    return f"{' ' * text[0].isspace()}{inner}{' ' * text[-1].isspace()}"


def _isolated(given: Given) -> str:
    """A given text; one of another direction does not turn the words around it."""
    words = _words(given.text)
    return (
        words if words.isascii() else f"\N{FIRST STRONG ISOLATE}{words}\N{POP DIRECTIONAL ISOLATE}"
    )


def _code(text: str) -> str:
    """A code span.  A bar in it is escaped too: in a table it would end the cell."""
    inner = " ".join(clean(text).split())
    if not inner:
        return ""
    if "|" in inner:
        return f"<code>{escape(inner)}</code>"
    ticks = "`" * (_longest(inner) + 1)
    space = " " if inner.startswith("`") or inner.endswith("`") else ""
    return f"{ticks}{space}{inner}{space}{ticks}"


def _table(table: Table, *, nothing: str) -> str:
    """The table, a line for each row."""
    columns = range(len(table.columns))
    rules = ("---:" if column in table.numeric else "---" for column in columns)
    lines = [_row(run(each) for each in table.columns), _row(rules)]
    lines += (_row(run(cell) for cell in row) for row in table.rows)
    if not table.rows:
        lines.append(_row([nothing, *[""] * (len(columns) - 1)]))
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _fence(text: str) -> str:
    """A fence that the text does not hold."""
    return "`" * max(3, _longest(text) + 1)


def _longest(text: str) -> int:
    """Length of the longest row of backticks."""
    return max((len(each) for each in re.findall("`+", text)), default=0)
