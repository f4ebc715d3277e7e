"""Reads `*.cases`: edits of a committed spec and the diagnostics that they must give.

A case is a group of lines; blank lines separate cases.

    # what the case is about (optional)
    - the text to be replaced (several such lines: several lines of text; blanks: any number)
    + what replaces it (none: it is removed); more such pairs may follow
    ! SG110 20 the next step that is offered

There is one `!` line for each diagnostic, in the order of the text: code, line, next step.
The spec is study A, unless a line `@ two_hospitals` says otherwise.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, Source
from secgen_dsl.diagnostics.render import in_order
from secgen_dsl.semantics.resolve import resolve
from secgen_dsl.syntax.parser import parse
from tests.conftest import SPECS

_INTERNALS = ("WORD", "STRING", "NUMBER", "_NL", "$END", "LALR", "token", "Token", "None")


@dataclass(frozen=True)
class Case:
    name: str
    spec: str
    expected: tuple[str, ...]


def read_cases(path: Path) -> Iterator[Case]:
    for group in path.read_text(encoding="utf-8").strip().split("\n\n"):
        lines = group.splitlines()
        base = next((line[2:] for line in lines if line[0] == "@"), "colorectal")
        spec = (SPECS / f"{base}.secgen").read_text(encoding="utf-8")
        for old, new in edits(lines):
            spec = edited(spec, old, new)
        name = " ".join(line[1:].strip() for line in lines if line[0] in "#+")
        yield Case(name, spec, tuple(line[2:] for line in lines if line[0] == "!"))


def edited(spec: str, old: str, new: str) -> str:
    """``spec`` with ``new`` for the first ``old``, in which any number of blanks is one."""
    pattern = re.sub(r"(?:\\ )+", " +", re.escape(old))
    changed, count = re.subn(pattern, lambda _: new, spec, count=1)
    assert count, f"{old!r} is not in the spec"
    return changed


def edits(lines: list[str]) -> Iterator[tuple[str, str]]:
    """The (old, new) texts of a case: each `-` group with the `+` group behind it."""
    marked = [line for line in lines if line[0] in "-+"]
    while marked:
        old = list(takewhile(lambda line: line[0] == "-", marked))
        new = list(takewhile(lambda line: line[0] == "+", marked[len(old) :]))
        marked = marked[len(old) + len(new) :]
        yield "\n".join(line[2:] for line in old), "\n".join(line[2:] for line in new)


def diagnose(spec: str) -> list[Diagnostic]:
    """All diagnostics of a spec, in order; none if it is sound."""
    source = Source("spec.secgen", spec)
    try:
        resolve(parse(source), source, SPECS)
    except SecgenError as error:
        return in_order(error.diagnostics)
    return []


def as_expected(diagnostics: list[Diagnostic]) -> tuple[str, ...]:
    return tuple(
        f"{d.code} {d.span.line if d.span else '-'} {d.next_step}".rstrip() for d in diagnostics
    )


def assert_helpful(diagnostic: Diagnostic) -> None:
    """The rules for wording that a machine can check."""
    said = (diagnostic.message, diagnostic.label, diagnostic.next_step)
    assert diagnostic.message
    assert diagnostic.next_step, diagnostic
    assert diagnostic.next_step not in (diagnostic.message, diagnostic.label), diagnostic
    source = diagnostic.span.source.text if diagnostic.span is not None else ""
    for whole in said:
        # What is quoted from the user's own text is the user's wording.
        text = re.sub(r'"([^"]*)"', lambda m: '""' if m.group(1) in source else m.group(), whole)
        assert not text.endswith("."), text
        assert "you" not in text.replace("did you mean", "")
        assert not any(word in text for word in _INTERNALS), text
    if diagnostic.span is not None:
        at_end = diagnostic.span.start == len(diagnostic.span.source.text)
        assert diagnostic.span.end > diagnostic.span.start or at_end
