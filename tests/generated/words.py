"""Names, texts and numbers as they may stand in a spec, plain and odd."""

import re
from collections.abc import Callable, Collection
from decimal import Decimal, InvalidOperation
from pathlib import Path

from hypothesis import strategies as st

GRAMMAR = Path(__file__).parents[2] / "grammar" / "secgen.lark"
KEYWORDS = tuple(sorted(set(re.findall(r'(?<=")[a-z]+(?=")', GRAMMAR.read_text(encoding="utf-8")))))
"""Every word that the grammar gives a meaning to."""

BARE = re.compile(r"[A-Za-z0-9_](?:(?!\.\.)[A-Za-z0-9_.+/-])*")

PLAIN_NAMES = (
    *("subtype", "sex", "eln", "grade", "stage", "cohort_2", "site", "MLH1", "MSH2", "EPCAM"),
    *("TP53", "NPM1", "A", "B", "C", "x", "y", "Z9", "unknown", "none", "yes", "no"),
)
ODD_NAMES = (
    *("HLA-A", "NKX2-1", "7SK", "ENSG00000141736.9", "ER+", "HM-SNV", "a/b", "a.b", "0", "2.5"),
    *("t(8;21)", "inv(16)", "with space", 'a "quote"', "back\\slash", "\\", '\\"', "a..b", "-1"),
    *("#note", "{", "}", "*", "x*y", "x (2)", "x (labels)", "a,b", ";", "%", "~", "..", "'"),
    *("β2-microglobulin", "名前", "É", "E\u0301", "ﬁ", "Ω", "🧬", "العربية", "ß", "ẞ"),
    *("nan", "NA", "None", "true", "x=SUM(A1)", "0.50", "+1", "1.", ".5", "-0", "1e5", "1e400"),
    *("1e99999999999999999999", "SLOT_PLAN", "SLOT_ROUND", '"""', "expr:MLH1", "1_000", "٣"),
)
_LETTERS = st.characters(categories=("L", "N", "P", "S", "Zs"), codec="utf-8")
_ANY_NAME = st.text(_LETTERS, min_size=1, max_size=6)


def is_name(text: str) -> bool:
    """Whether a name of a spec may be so, in quotes if need be."""
    return is_text(text) and text[0] not in "=@"


def is_text(text: str) -> bool:
    """Whether a text that people read may be so."""
    return bool(text) and text == text.strip() and text.isprintable()


NAMES = st.one_of(
    st.sampled_from(PLAIN_NAMES),
    st.sampled_from(PLAIN_NAMES),
    st.sampled_from(ODD_NAMES),
    st.sampled_from(KEYWORDS),
    _ANY_NAME.map(str.strip).filter(is_name),
)
"""Names of columns, values, genes, panels, public tables and sets."""

PARTIES = st.one_of(
    st.sampled_from(("europe", "northeast", "south", "north", "a", "B2", "7", "x_1-y")),
    st.sampled_from(tuple(word for word in KEYWORDS)),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", fullmatch=True),
)

TEXTS = st.one_of(
    st.sampled_from(("IRB-2026-0142", "TCGA", "a; b # c }", 'said "so"', "dbGaP phs000001", "β")),
    _ANY_NAME.map(str.strip).filter(is_text),
)
"""Texts that people read: titles, provenance, terms."""


def unused(
    draw: st.DrawFn,
    names: st.SearchStrategy[str],
    taken: Collection[str],
    key: Callable[[str], object] = str,
) -> str:
    """A drawn name whose ``key`` no taken one has; a number is appended to one that is taken."""
    name = draw(names)
    keys = {key(other) for other in taken}
    number = 2
    fresh = name
    while key(fresh) in keys:
        fresh = f"{name}_{number}"[-40:]
        number += 1
    return fresh


def compared(text: str) -> str | Decimal:
    """What a label value is compared by (LANGUAGE rule 6), written for these tests."""
    if re.fullmatch(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", text):
        try:
            return Decimal(text)
        except InvalidOperation:
            return text
    return text


def quoted(text: str) -> str:
    """A text in quotes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def written(name: str, *, bare: bool, only_name: bool) -> str:
    """A name as a spec writes it.

    Args:
        bare: without quotes, where that is possible.
        only_name: nothing but a name may stand there, so that keywords need no quotes.
    """
    if bare and BARE.fullmatch(name) and (only_name or name not in KEYWORDS):
        return name
    return quoted(name)
