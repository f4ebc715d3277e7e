"""The small study of `tests/fixtures/study`: completes texts, and says what is wrong with them."""

import re
from pathlib import Path

from secgen_dsl.cli.study import plan_source
from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, Source, in_order
from secgen_dsl.semantics.resolve import resolve
from secgen_dsl.syntax import tree
from secgen_dsl.syntax.parser import parse

FOLDER = Path(__file__).with_name("fixtures") / "study"
STUDY = (FOLDER / "study.secgen").read_text(encoding="utf-8")

_WITHOUT = re.compile(r"^# without (\w+)$", re.MULTILINE)


def complete(text: str) -> str:
    """``text``, and behind it the blocks of the small study that it does not bring.

    A text with syntax errors, and one with `secgen` and `study`, stays as it is.  A comment
    `# without WORD` leaves out the blocks that begin with that word.
    """
    left_out = set(_WITHOUT.findall(text))
    try:
        brought = {type(item) for item in parse(Source("", text)).items}
    except SecgenError:  # a comment alone is no spec
        if not left_out:
            return text
        brought = set()
    if {tree.Version, tree.StudyBlock} <= brought:
        return text
    blocks = [
        STUDY[item.span.start : item.span.end]
        for item in parse(Source("", STUDY)).items
        if type(item) not in brought
    ]
    kept = [block for block in blocks if block.split(maxsplit=1)[0] not in left_out]
    return "\n".join([text.rstrip("\n"), *kept]) + "\n"


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
