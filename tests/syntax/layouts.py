"""The same spec in other layouts, and specs of any form: both made from the grammar alone.

Nothing here knows a statement: what is new in the grammar is tried as soon as it is there.
"""

import re
from dataclasses import fields, is_dataclass
from functools import cache

from hypothesis import strategies as st

from secgen_dsl.diagnostics.diagnostic import SecgenError, Source, Span
from secgen_dsl.syntax.parser import _keywords, _parser, parse

_CALL = r'[A-Za-z]\w*[ \t]*\([^()\n{}"]*\)'
_PIECE = re.compile(rf'"(?:\\.|[^"\\\n])*"|#[^\n]*|{_CALL}|[^\s,;"#{{}}*()]+|[{{}}*]')
_COMMENT = re.compile(rf'"(?:\\.|[^"\\\n])*"|{_CALL}|(#[^\n]*)')
_PLAIN = {
    "WORD": ["A", "HLA-A", "ER+", "7SK", "x" * 40, "weight", "in", "panel", "0.5x", '"a; b"'],
    "STRING": ['"north"', '"{ # ; }"', r'"a \" b"', '"' + "long " * 12 + '"'],
    "NUMBER": ["1", "0.25", "20", "1e-6"],
    "COUNTS": ["log2(cpm + 1)", "log2 ( cpm+1)"],
    "OTHER_CONVERSION": ["vst(x # y;z, )", "log2( 1e+5 )", "sqrt()"],
    "_NL": ["\n", "\n", "\n", ";", "\n\n\n", "# c\n", " # own\n\n  # x \n", ";# z\n", "\r\n"],
}


def meaning(text: str) -> object:
    """The tree of a text, apart from spans; None if it does not parse."""
    try:
        return _without_spans(parse(Source("s", text)))
    except SecgenError:
        return None


def _without_spans(node: object) -> object:
    if type(node).__name__ == "Transform":  # its text is as it is written, blanks and all
        return "".join(node.text.split())  # type: ignore[attr-defined]
    if isinstance(node, tuple):
        return tuple(_without_spans(child) for child in node)
    if is_dataclass(node) and not isinstance(node, Span):
        values = (getattr(node, f.name) for f in fields(node) if f.name != "span")
        return (type(node).__name__, *map(_without_spans, values))
    return node


def comments(text: str) -> list[str]:
    """The comments of a text, without the blanks at their ends."""
    return [m.group(1).rstrip(" \t\r") for m in _COMMENT.finditer(text) if m.group(1)]


# ---- the same spec in another layout -------------------------------------------------------------

_GAPS = {
    "none": [""],
    "blank": [" ", "  ", "\t", " \r "],
    "line": ["\n", "\n\n", "\r\n", "\n \t\n\n", "\n;\n"],
    "end": [";", " ; ", ";;", "; \n", "\n;"],
    "comment": [
        "# one\n",
        " # two\n",
        "\n# own\n",
        "\n\n  # own\n\n# two \n\n",
        "#\r\n",
        "# a # b\n;",
    ],
    "comma": [",", ", ", " ,", ",\n", ",\n\n", ", # behind\n", ",\n# own\n"],
}
"""Kinds of what can stand between two pieces of a text."""


@cache
def gaps(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The pieces of a text, each with the kinds of gap before it that leave the tree as it is.

    Commas count as gaps: in lists newlines may stand for them.
    """
    pieces = [m for m in _PIECE.finditer(text) if not m.group().startswith("#")]
    before = meaning(text)
    assert before is not None
    found = []
    start = 0
    for match in [*pieces, None]:
        at = match.start() if match else len(text)
        allowed = tuple(
            kind
            for kind, examples in _GAPS.items()
            if meaning(f"{text[:start]}{examples[0]}{text[at:]}") == before
        )
        assert allowed, text[start - 20 : at + 20]
        found.append((match.group() if match else "", allowed))
        start = match.end() if match else at
    return tuple(found)


@st.composite
def relaid(draw: st.DrawFn, text: str) -> str:
    """``text`` in another layout, which parses to the same tree."""
    chance = draw(st.randoms(use_true_random=False))
    kinds = draw(st.sampled_from([("none", "blank", "end"), ("line", "comma"), tuple(_GAPS)]))
    pieces = []
    for piece, allowed in gaps(text):
        wanted = [kind for kind in allowed if kind in kinds] or allowed
        pieces += [chance.choice(_GAPS[chance.choice(wanted)]), piece]
    return "".join(pieces)


# ---- specs of any form ---------------------------------------------------------------------------


@st.composite
def any_spec(draw: st.DrawFn) -> str:
    """A text that parses, made by a walk through the parser's states; it need not make sense."""
    chance = draw(st.randoms(use_true_random=False))
    length = draw(st.integers(1, 150))
    keywords = _keywords()
    interactive = _parser().parse_interactive("")
    pieces: list[str] = []
    while len(pieces) < 3 * length + 300:
        accepted = sorted(interactive.accepts())  # type: ignore[no-untyped-call]
        if len(pieces) > length:
            closing = [name for name in ("$END", "RBRACE", "_NL") if name in accepted]
            accepted = closing[:1] or accepted
        elif len(accepted) > 1 and "$END" in accepted:
            accepted.remove("$END")
        name = chance.choice(accepted)
        if name == "$END":
            break
        piece = chance.choice(_PLAIN[name]) if name in _PLAIN else keywords[name]
        interactive.feed_token(_token(name, piece))
        pieces.append(piece)
    return " ".join(pieces)


def _token(name: str, text: str) -> object:
    from lark import Token

    return Token(name, text, start_pos=0, end_pos=len(text), line=1, column=1, end_line=1)
