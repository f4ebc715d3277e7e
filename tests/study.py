"""The small study of `tests/fixtures/study`: completes texts, and says what is wrong with them."""

import re
from collections.abc import Iterable
from pathlib import Path

from secgen_dsl.cli.study import plan_source
from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, Source, Span, in_order
from secgen_dsl.semantics.resolve import resolve
from secgen_dsl.syntax import tree
from secgen_dsl.syntax.parser import parse

FOLDER = Path(__file__).with_name("fixtures") / "study"
STUDY = (FOLDER / "study.secgen").read_text(encoding="utf-8")

_WITHOUT = re.compile(r"^# without (\w+)$", re.MULTILINE)
_WORD = re.compile(r"\w+")


def complete(text: str) -> str:
    """``text``, and behind it the blocks of the small study that it does not bring.

    They are added as far as they fit: a marginal of what the text does not declare is left out, and
    a column or panel that nothing measures.  A text with syntax errors, and one with `secgen` and
    `study`, stays as it is.  A comment `# without WORD` leaves out the blocks that begin with that
    word.
    """
    left_out = set(_WITHOUT.findall(text))
    try:
        brought: tuple[tree.Item, ...] = parse(Source("", text)).items
    except SecgenError:  # a comment alone is no spec
        if not left_out:
            return text
        brought = ()
    kinds = {type(item) for item in brought}
    if {tree.Version, tree.StudyBlock} <= kinds:
        return text
    added = [item for item in parse(Source("", STUDY)).items if type(item) not in kinds]
    names = _declared((*brought, *added))
    spoilt: list[Span] = []
    for item in added:
        if isinstance(item, tree.MeasureBlock):
            fits = [line for line in item.queries if _factors(line) <= names]
            spoilt += [line.span for line in item.queries if fits and line not in fits]
            measured = [word for line in fits or item.queries for word in _factors(line)]
    if tree.MeasureBlock in kinds:
        measured = _WORD.findall(text)
    for item in added:
        if isinstance(item, tree.ColumnsBlock):
            spoilt += [line.span for line in item.columns if line.name.text not in measured]
        elif isinstance(item, tree.PanelLine) and item.name.text not in measured:
            spoilt.append(item.span)
    blocks = [_without(item.span, spoilt) for item in added]
    kept = [block for block in blocks if block and block.split(maxsplit=1)[0] not in left_out]
    return "\n".join([text.rstrip("\n"), *kept]) + "\n"


def _declared(items: Iterable[tree.Item]) -> set[str]:
    """The columns and panels."""
    names = {item.name.text for item in items if isinstance(item, tree.PanelLine)}
    for item in items:
        if isinstance(item, tree.ColumnsBlock):
            names |= {line.name.text for line in item.columns}
    return names


def _factors(line: object) -> set[str]:
    assert isinstance(line, tree.MarginalLine), "the small study measures marginals only"
    return {factor.text for factor in line.factors}


def _without(span: Span, spoilt: Iterable[Span]) -> str:
    """The text of a span without the lines of others."""
    text = STUDY[span.start : span.end]
    for other in sorted(spoilt, key=lambda one: -one.start):
        if span.start <= other.start and other.end <= span.end:
            start, end = other.start - span.start, other.end - span.start
            text = text[:start].rstrip(" ") + text[end:].removeprefix("\n")
    return text


def syntax_faults(text: str) -> list[Diagnostic]:
    """What the parser says of a text as it stands."""
    try:
        parse(Source("spec.secgen", text))
    except SecgenError as error:
        return in_order(error.diagnostics)
    return []


def meaning_faults(text: str, folder: Path = FOLDER) -> list[Diagnostic]:
    """What the parser and the semantics say of a text as it stands, warnings included."""
    source = Source("spec.secgen", text)
    try:
        return in_order(resolve(parse(source), source, folder).warnings)
    except SecgenError as error:
        return in_order(error.diagnostics)


def all_faults(text: str, folder: Path = FOLDER) -> list[Diagnostic]:
    """What `secgen check` says of a text as it stands, warnings included."""
    try:
        return in_order(plan_source(Source("spec.secgen", text), folder).warnings)
    except SecgenError as error:
        return in_order(error.diagnostics)
