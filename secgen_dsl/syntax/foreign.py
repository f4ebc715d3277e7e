"""Texts of another format: one complaint that says so, in place of one a line."""

import re

from secgen_dsl.diagnostics.diagnostic import Diagnostic, Source, Span
from secgen_dsl.syntax.shapes import BLOCKS

_JSON = re.compile(r'\s*(?:\{\s*(?:"(?:\\.|[^"\\\n])*"\s*:|\})|\[\s*[\[{"])')
_BLOCK_OPENS = re.compile(r"\{[ \t]*(?:#[^\n]*)?$", re.MULTILINE)
_YAML = re.compile(r"(?:---|%YAML)(?: |$)|(?:- *)*[\w.\"'-][\w. \"'/-]*:(?: |$)|- ")
_TOML_HEADER = re.compile(r"\[\[?[\w.\" -]+\]\]?(?: *#.*)?$")
_TOML = re.compile(r"[\w.\"-]+ *= *\S")
_MOST = 0.8
"""So many of the lines have to look like another format."""

_LEAST = 3
"""Fewer lines with colons are a habit within a spec."""

_LONGEST = 200_000
"""Behind so many characters a text is not looked at."""

_SHAPE = (
    "a spec is blocks in braces, a statement a line: "
    + "  ".join(BLOCKS[word] for word in ("secgen", "study", "silos", "privacy"))
    + "  …; `secgen init` writes one"
)


def foreign(source: Source) -> Diagnostic | None:
    """The complaint about a text that looks like JSON, YAML or TOML; None for any other."""
    name = _format_of(source.text[:_LONGEST])
    if not name:
        return None
    start = len(source.text) - len(source.text.lstrip())
    end = start + len(source.text[start:].split("\n", 1)[0].rstrip())
    return Diagnostic(
        "SG110",
        f"this looks like {name}, not like a spec",
        span=Span(source, start, end),
        label="the whole text",
        next_step=_SHAPE,
    )


def _format_of(text: str) -> str:
    if _JSON.match(text):
        return "JSON"
    if _BLOCK_OPENS.search(text):  # as a spec has them, whatever else is wrong
        return ""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if len(lines) < 2:
        return ""
    if any(map(_TOML_HEADER.match, lines)):
        looks = [line for line in lines if _TOML.match(line) or _TOML_HEADER.match(line)]
        return "TOML" if len(looks) >= _MOST * len(lines) else ""
    looks = [line for line in lines if _YAML.match(line)]
    return "YAML" if len(looks) >= max(_LEAST, _MOST * len(lines)) else ""
