"""The rules for the wording of a diagnostic that a machine can check."""

import re

from secgen_dsl.diagnostics.diagnostic import Diagnostic

BLAME = re.compile(r"\b(you|your|must|wrong|invalid|illegal|bad|please|sorry)\b", re.I)
"""Words that blame, command or apologise; `did you mean` is no blame."""

_INTERNALS = ("WORD", "STRING", "NUMBER", "_NL", "$END", "LALR", "token", "Token", "None")


def blames(text: str) -> str:
    """The first word of a text that blames; empty if there is none."""
    found = BLAME.search(text.replace("did you mean", ""))
    return found.group() if found else ""


def assert_helpful(diagnostic: Diagnostic) -> None:
    """A message, a next step that says something else, no blame, no internals."""
    said = (diagnostic.message, diagnostic.label, diagnostic.next_step)
    assert diagnostic.message
    assert diagnostic.next_step, diagnostic
    assert diagnostic.next_step not in (diagnostic.message, diagnostic.label), diagnostic
    source = diagnostic.span.source.text if diagnostic.span is not None else ""
    for whole in said:
        # What is quoted from the user's own text is the user's wording.
        text = re.sub(r'"([^"]*)"', lambda m: '""' if m.group(1) in source else m.group(), whole)
        assert not text.endswith(".") or text == whole == diagnostic.label == ".", text
        assert not blames(text), text
        assert not any(word in text for word in _INTERNALS), text
    if diagnostic.span is not None:
        at_end = diagnostic.span.start == len(diagnostic.span.source.text)
        assert diagnostic.span.end > diagnostic.span.start or at_end
